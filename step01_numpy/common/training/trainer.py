"""A training from its first update to its checkpoint, and from a checkpoint on."""

import dataclasses
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path

import numpy as np

from step01_numpy.common.configuration.model import Configuration
from step01_numpy.common.scale.limits import check_memory
from step01_numpy.common.support.files import claim
from step01_numpy.common.support.tensor_files import not_finite
from step01_numpy.common.text.seen import seen_in
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint, Training, load, save
from step01_numpy.common.training.configuration import RunConfig, TokenizerConfig, TrainingConfig
from step01_numpy.common.training.tasks import TASKS, task_of


class Trainer:
    """
    A model, its optimizer and its batches, which share one random generator.

    Use `Trainer.new` or `Trainer.resumed`.

    Attributes
    ----------
    task : Task
        What the model is trained for.
    step : int
        Updates made.
    dropped : int
        Pairs left out, because they are longer than the model or a batch takes.
    """

    def __init__(
        self,
        backend: Backend,
        data: list,
        tokenizer: Tokenizer,
        model: Configuration,
        training: TrainingConfig,
    ):
        self.backend, self.tokenizer, self.model_config, self.config = backend, tokenizer, model, training
        self.data = digest(data)
        self.task, self.step = task_of(model), 0
        rng = np.random.default_rng(training.seed)
        check_memory(model)
        self.model = backend.model(model, rng=rng)
        self.optimizer = backend.optimizer(self.model, training)
        self.seen = seen_in(source for source, _ in data) if self.task.translates else None
        longest = min(model.max_positions, training.tokens_per_batch)
        self.batches, self.dropped = self.task.batches(
            data, tokenizer, longest, tokens_per_batch=training.tokens_per_batch, rng=rng
        )

    @classmethod
    def new(cls, backend: Backend, data: str | Path | Sequence[str | Path], config: RunConfig) -> "Trainer":
        """Start: read the data as the task does, learn the vocabulary from them, and draw the weights."""
        task, wanted = TASKS[config.task], config.tokenizer
        read = task.training_data(data, config.training.hurried, config.training.calm)
        tokenizer = Tokenizer.train(
            task.texts(read),
            wanted.vocab_size,
            lowercase=wanted.lowercase,
            plain=wanted.plain,
            mask=task.masks,
        )
        return cls(backend, read, tokenizer, config.model_config(tokenizer.vocab_size), config.training)

    @classmethod
    def started_from(
        cls,
        backend: Backend,
        data: str | Path | Sequence[str | Path],
        checkpoint: Checkpoint,
        config: RunConfig,
    ) -> "Trainer":
        """
        Start from a checkpoint's weights and vocabulary, with a course, an optimizer and data of its own.

        Parameters
        ----------
        backend : Backend
        data : str or Path, or several
            As the checkpoint's task reads it.
        checkpoint : Checkpoint
            One without the state of its training will do.
        config : RunConfig
            Of the checkpoint's task. Its `training` is used; the other parts are the checkpoint's own.

        Raises
        ------
        ValueError
            For a configuration of another task, or one that shapes a model or a vocabulary.
        """
        task = task_of(checkpoint.config)
        if config.task != task.name:
            raise ValueError(f"the checkpoint to start from is of {task.name}; expected one of {config.task}")
        if config.model or config.tokenizer != TokenizerConfig():
            raise ValueError(
                "the configuration shapes a model or a tokenizer; expected training alone: the others are "
                "those of the checkpoint to start from"
            )
        read = task.training_data(data, config.training.hurried, config.training.calm)
        trainer = cls(backend, read, checkpoint.tokenizer, checkpoint.config, config.training)
        _begin_with(trainer, checkpoint)
        return trainer

    @classmethod
    def resumed(
        cls,
        backend: Backend,
        data: str | Path | Sequence[str | Path],
        path: str | Path,
        *,
        task: str | None = None,
        steps: int | None = None,
    ) -> "Trainer":
        """
        Go on from a checkpoint, bit for bit when the data and the stage are those of its training.

        Parameters
        ----------
        backend : Backend
        data : str or Path, or several
            As the checkpoint's task reads it.
        path : str or Path
            The checkpoint.
        task : str, optional
            The task that the checkpoint is expected to be of.
        steps : int, optional
            A new number of updates, counted from the very first; it changes a cosine schedule.

        Raises
        ------
        ValueError
            For a checkpoint of another task, without the state of a training, or of a training with other
            data, or the same in another order.
        """
        checkpoint = load(path)
        found = task_of(checkpoint.config)
        if task not in (None, found.name):
            raise ValueError(f"{path} holds a model of {found.name}; expected one of {task}")
        if checkpoint.training is None:
            raise ValueError(
                f"{path} was saved slim, without the state of its training; it cannot be resumed"
            )
        kept = checkpoint.training
        config = kept.config if steps is None else dataclasses.replace(kept.config, steps=steps)
        read = found.training_data(data, config.hurried, config.calm)
        trainer = cls(backend, read, checkpoint.tokenizer, checkpoint.config, config)
        try:
            trainer.model.load_state_dict(checkpoint.state)
            trainer.optimizer.load_state_dict(kept.optimizer)
            trainer.batches.load_state_dict(kept.batches)  # and with them the random generator
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{path} does not fit: {error}") from error
        _check_data(path, kept.data, trainer.data)
        trainer.step = kept.step
        return trainer

    @staticmethod
    def claim(path: str | Path) -> AbstractContextManager:
        """Hold the path of a checkpoint while a training writes it, as `files.claim` does."""
        return claim(path)

    def run(self) -> Iterator:
        """
        Update until `config.steps` are reached or the caller stops asking; yields the stage's `Progress`.

        Raises
        ------
        ValueError
            When the loss is no longer finite.
        """
        if self.step >= self.config.steps:
            return
        updates = self.backend.train(self.model, self.batches, self.optimizer, self.config, self.step)
        for progress in updates:
            if not np.isfinite(progress.loss):
                raise ValueError(
                    f"the loss is {progress.loss} at step {progress.step}; try a lower peak_rate"
                )
            self.step = progress.step
            yield progress
            if self.step >= self.config.steps:
                return

    def save(self, path: str | Path, *, slim: str | None = None) -> None:
        """
        Write a checkpoint.

        Parameters
        ----------
        path : str or Path
        slim : "float32" or "float16", optional
            Leave out what `resumed` needs, and write the weights in this dtype.

        Raises
        ------
        ValueError
            For a weight that is not finite or beyond float16's range; then nothing is written.
        """
        optimizer = {} if slim else self.backend.state(self.optimizer)
        training = Training(self.step, self.config, self.batches.state_dict(), optimizer, self.data)
        state = self.backend.state(self.model)
        if slim is not None:
            state = {name: _rounded(name, x, slim) for name, x in state.items()}
        if fault := not_finite(state | optimizer):
            raise ValueError(f"{path} is not written: at step {self.step} {fault}; try a lower peak_rate")
        kept = None if slim else training
        save(path, Checkpoint(state, self.model_config, self.tokenizer, kept, self.seen))


def digest(data: list) -> str:
    """Return what tells pairs of lines, or lines, from all others and other orders: 32 hexadecimal digits."""
    found = blake2b(digest_size=16)
    for i in range(0, len(data), 1000):
        found.update(json.dumps(data[i : i + 1000]).encode())
    return found.hexdigest()


def _begin_with(trainer, checkpoint):
    trainer.model.load_state_dict(checkpoint.state)
    if trainer.seen is not None and checkpoint.seen is not None:
        trainer.seen = trainer.seen.joined(checkpoint.seen)


def _check_data(path, kept, found):
    if kept is None:
        text = f"{path} does not say what it was trained on; whether these are the same data is not checked"
        warnings.warn(text, stacklevel=3)
    elif kept != found:
        raise ValueError(f"{path} was trained on other data, or in another order; expected the same lines")


def _rounded(name, weight, dtype):
    largest = np.abs(weight).max()
    if not largest <= np.finfo(dtype).max:  # NaN is not either
        raise ValueError(f"{name} has a weight of size {largest:.3g}; expected none beyond {dtype}'s range")
    return weight.astype(dtype)
