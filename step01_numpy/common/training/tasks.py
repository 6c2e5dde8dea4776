"""What can be trained: for each `--model`, its configuration, its data, its batches and its defaults."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from step01_numpy.common.configuration.model import Configuration, ModelConfig
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.text.as_typed import with_calm, with_hurried
from step01_numpy.common.text.batches import Batches, Shuffled
from step01_numpy.common.text.language_batches import CausalBatches, MaskedBatches
from step01_numpy.common.text.parallel import Pairs, read_parallel
from step01_numpy.common.text.plain import causal_sequences, masked_sequences, read_text
from step01_numpy.common.text.several import read_together
from step01_numpy.common.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Task:
    """
    One of the things that a model can be trained for.

    Attributes
    ----------
    name : str
        As `train --model` has it.
    about : str
        A few words for the help.
    configuration : type
        Of the model; with `fixed`, it tells the tasks apart.
    read : callable
        (path, split or None) -> data, a list of pairs or of lines.
    texts : callable
        data -> the texts that the vocabulary is learned from.
    batches : callable
        (data, tokenizer, the most tokens of a sequence, and by name tokens_per_batch and rng) -> the batches,
        and how many of the data are too long for them and left out.
    translates : bool
        Whether the data are parallel.
    masks : bool
        Whether the tokenizer needs <mask>.
    fixed : dict
        Fields of the model's configuration that make it this task's.
    model, training : dict
        Defaults that are not those of the configurations' own fields.
    """

    name: str
    about: str
    configuration: type[Configuration]
    read: Callable[..., list]
    texts: Callable[[list], list[str]]
    batches: Callable[..., tuple[Shuffled, int]]
    translates: bool
    masks: bool = False
    fixed: dict = field(default_factory=dict)
    model: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)

    def fits(self, config: Configuration) -> bool:
        """Tell whether a model's configuration is one of this task's."""
        same = all(getattr(config, name, None) == value for name, value in self.fixed.items())
        return isinstance(config, self.configuration) and same

    def training_data(
        self, paths: str | Path | Sequence[str | Path], hurried: int = 0, calm: bool = False
    ) -> list:
        """
        Read what to train on, of one corpus or of several.

        Parameters
        ----------
        paths : str or Path, or several
        hurried : int
            A translator's: so many of 100 pairs are added as typed in a hurry.
        calm : bool
            A translator's: exclamations are added with a full stop.
        """
        paths = [paths] if isinstance(paths, str | Path) else list(paths)
        if self.translates:
            pairs = with_hurried(read_together(paths), hurried)
            return with_calm(pairs) if calm else pairs
        return list(chain.from_iterable(self.read(path, "train") for path in paths))

    def model_config(self, vocab_size: int, given: dict) -> Configuration:
        """Build the model's configuration from the fields given, and this task's defaults for the others."""
        if not isinstance(given, dict):
            return self.configuration.from_dict(given)  # which says what was expected
        fields = {**self.fixed, **self.model, **given, "vocab_size": vocab_size}
        config = self.configuration.from_dict(fields)
        for name, value in self.fixed.items():
            if getattr(config, name) != value:
                raise ValueError(f"{name} is {fields[name]!r}; expected {value!r}, as {self.name} has it")
        return config


def pair_batches(pairs: Pairs, tokenizer: Tokenizer, longest: int, **options) -> tuple[Batches, int]:
    """Make batches of the pairs that fit, and count those that do not."""
    sources, targets = (tokenizer.encode_batch(side) for side in zip(*pairs, strict=True))
    fitting = [i for i in range(len(pairs)) if max(len(sources[i]), len(targets[i])) < longest]
    if not fitting:
        raise ValueError(f"no pair is left: each of {len(pairs)} has a side of over {longest - 1} tokens")
    batches = Batches([sources[i] for i in fitting], [targets[i] for i in fitting], **options)
    return batches, len(pairs) - len(fitting)


def causal_batches(
    lines: list[str], tokenizer: Tokenizer, longest: int, **options
) -> tuple[CausalBatches, int]:
    """Make batches of a stream of lines, of which nothing is left out."""
    return CausalBatches(causal_sequences(lines, tokenizer, longest), **options), 0


def masked_batches(
    lines: list[str], tokenizer: Tokenizer, longest: int, **options
) -> tuple[MaskedBatches, int]:
    """Make batches of lines with masks, of which nothing is left out: long lines are cut."""
    if not tokenizer.has_mask:
        raise ValueError("the tokenizer has no token <mask>; expected one trained for a masked model")
    sequences = masked_sequences(lines, tokenizer, longest)
    return MaskedBatches(sequences, tokenizer.vocab_size, **options), 0


def _both_sides(pairs):
    return list(chain.from_iterable(pairs))


TRANSFORMER = Task(
    name="transformer",
    about="translates: encoder and decoder, as in 2017",
    configuration=ModelConfig,
    fixed={"architecture": "encoder_decoder"},
    read=read_parallel,
    texts=_both_sides,
    batches=pair_batches,
    translates=True,
)
RECURRENT = Task(
    name="recurrent",
    about="translates: the recurrent networks of 2014, in which attention began",
    configuration=RecurrentConfig,
    read=read_parallel,
    texts=_both_sides,
    batches=pair_batches,
    translates=True,
)
MASKED = Task(
    name="masked-lm",
    about="finds hidden tokens from both sides, as BERT",
    configuration=ModelConfig,
    fixed={"architecture": "encoder"},
    read=read_text,
    texts=list,
    batches=masked_batches,
    translates=False,
    masks=True,
    model={
        "activation": "gelu",
        "positions": "learned",
        "norm_first": False,
        "scale_embedding": False,
        "embedding_norm": True,
        "head": "transformed",
        "head_bias": True,
    },
    training={"label_smoothing": 0.0},
)
CAUSAL = Task(
    name="causal-lm",
    about="says how a text goes on, as GPT",
    configuration=ModelConfig,
    fixed={"architecture": "decoder"},
    read=read_text,
    texts=list,
    batches=causal_batches,
    translates=False,
    model={"activation": "gelu_tanh", "positions": "rotary", "scale_embedding": False},
    training={"label_smoothing": 0.0},
)
TASKS = {task.name: task for task in (TRANSFORMER, RECURRENT, MASKED, CAUSAL)}


def task_of(config: Configuration) -> Task:
    """Return what a model of this configuration is trained for."""
    return next(task for task in TASKS.values() if task.fits(config))
