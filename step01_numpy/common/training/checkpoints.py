"""
Keep a model in one safetensors file: weights by name, its shape, its tokenizer, and how to train on.

No pickle: loading a file never runs code from it.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from step01_numpy.common.configuration.model import Configuration, ModelConfig
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.support import checks
from step01_numpy.common.support.files import write_atomically
from step01_numpy.common.text.seen import Seen
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.configuration import TrainingConfig

KEY = "attention-step-by-step"  # of our one entry in the file's metadata, a JSON text
VERSION = 1
FAMILIES = {"Transformer": ModelConfig, "LanguageModel": ModelConfig, "RecurrentTranslator": RecurrentConfig}
TRAINING = "training."  # prefix of the optimizer's arrays; no weight's name begins so


@dataclass(frozen=True)
class Training:
    """
    What a training needs to go on bit for bit.

    Attributes
    ----------
    step : int
        Updates made.
    config : TrainingConfig
    batches : dict
        `Batches.state_dict()`, with the state of the one random generator.
    optimizer : dict
        Its arrays by name.
    """

    step: int
    config: TrainingConfig
    batches: dict
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """
    A model at rest.

    Attributes
    ----------
    state : dict
        The weights by name, as `state_dict()` of any stage gives them, in NumPy arrays.
    config : ModelConfig or RecurrentConfig
        Its `family` names the class that builds the model.
    tokenizer : Tokenizer
    training : Training or None
        None in a slim file, which cannot be trained on.
    seen : Seen or None
        What a translator was trained on; None for other models, and in older files.
    """

    state: dict[str, np.ndarray]
    config: Configuration
    tokenizer: Tokenizer
    training: Training | None = None
    seen: Seen | None = None


def save(path: str | Path, checkpoint: Checkpoint) -> None:
    """
    Write a checkpoint; a kill at any moment leaves the file that was there before.

    Parameters
    ----------
    path : str or Path
    checkpoint : Checkpoint
        The same content gives the same bytes.

    Raises
    ------
    ImportError
        Without the library safetensors.
    OSError
        Naming `path`, when it cannot be written; then no part of it is left.
    """
    _library()
    from safetensors.numpy import save as to_bytes

    arrays, about = dict(checkpoint.state), {"version": VERSION, "model": checkpoint.config.to_dict()}
    about["family"] = checkpoint.config.family
    about["tokenizer"] = json.loads(checkpoint.tokenizer.to_json())
    if checkpoint.seen is not None:
        about["seen"] = checkpoint.seen.to_dict()
    if checkpoint.training is not None:
        training = checkpoint.training
        about["training"] = {
            "step": training.step,
            "config": training.config.to_dict(),
            "batches": training.batches,
        }
        arrays |= {TRAINING + name: x for name, x in training.optimizer.items()}
    arrays = {name: np.array(x, order="C") for name, x in arrays.items()}
    metadata = {KEY: json.dumps(about, ensure_ascii=False)}  # one entry: several would have no fixed order
    write_atomically(path, to_bytes(arrays, metadata))


def load(path: str | Path) -> Checkpoint:
    """
    Read a checkpoint.

    Raises
    ------
    ImportError
        Without the libraries safetensors and tokenizers.
    FileNotFoundError
        If there is no such file.
    ValueError
        For a file that is truncated, of another program or another version.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; expected a checkpoint")
    arrays, metadata = _read(path)
    if KEY not in metadata:
        raise ValueError(f"{path} is a safetensors file of another program; expected a checkpoint of ours")
    try:
        return _assemble(json.loads(metadata[KEY]), arrays)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} is no checkpoint that this version can read: {reason}") from error


def _read(path):
    library = _library()
    try:
        with library.safe_open(str(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except library.SafetensorError as error:
        raise ValueError(f"{path} is truncated or no safetensors file ({error})") from error


def _assemble(about: dict, arrays: dict) -> Checkpoint:
    if about["version"] != VERSION:
        raise ValueError(f"its format is version {about['version']}; expected {VERSION}")
    config = _configuration(about.get("family", "Transformer"), about["model"])
    tokenizer = Tokenizer.from_json(json.dumps(about["tokenizer"]))
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(f"its tokenizer has {tokenizer.vocab_size} tokens, its model {config.vocab_size}")
    state = {name: x for name, x in arrays.items() if not name.startswith(TRAINING)}
    seen = Seen.from_dict(about["seen"]) if "seen" in about else None
    if "training" not in about:
        return Checkpoint(state, config, tokenizer, None, seen)
    optimizer = {name.removeprefix(TRAINING): x for name, x in arrays.items() if name not in state}
    kept = about["training"]
    training = Training(kept["step"], TrainingConfig.from_dict(kept["config"]), kept["batches"], optimizer)
    return Checkpoint(state, config, tokenizer, training, seen)


def _configuration(family: str, fields: dict) -> Configuration:
    checks.one_of("family", family, tuple(FAMILIES))  # files of before there were several name none
    config = FAMILIES[family].from_dict(fields)
    if config.family != family:
        raise ValueError(f"its family is {family}, its model's {config.family}")
    return config


def _library():
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            'checkpoints need the library safetensors: pip install "attention-step-by-step[text]"'
        ) from error
    return safetensors
