"""
Keep a model in one safetensors file: weights by name, its shape, its tokenizer, and how to train on.

No pickle: loading a file never runs code from it.
"""

import json
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from step01_numpy.common.configuration.model import Configuration, ModelConfig
from step01_numpy.common.configuration.recurrent import RecurrentConfig
from step01_numpy.common.scale.limits import check_size
from step01_numpy.common.support import checks
from step01_numpy.common.support.files import write_atomically
from step01_numpy.common.support.json_text import parse
from step01_numpy.common.support.tensor_files import not_finite, read_all
from step01_numpy.common.text.seen import Seen
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.configuration import TrainingConfig

KEY = "attention-step-by-step"  # of our one entry in the file's metadata, a JSON text
VERSION = 1
FAMILIES = {"Transformer": ModelConfig, "LanguageModel": ModelConfig, "RecurrentTranslator": RecurrentConfig}
TRAINING = "training."  # prefix of the optimizer's arrays; no weight's name begins so
CHECKED = re.compile(r'(.*), "checksum": "([0-9a-f]{8})"}', re.DOTALL)  # the text of our entry, and its end


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
    data : str or None
        `digest` of the pairs or lines trained on; None in files of before it was kept.
    """

    step: int
    config: TrainingConfig
    batches: dict
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    data: str | None = None


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
    ValueError
        Naming the first array that holds a number that is not finite; then nothing is written.
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
        if training.data is not None:
            about["training"]["data"] = training.data
        arrays |= {TRAINING + name: x for name, x in training.optimizer.items()}
    arrays = {name: np.array(x, order="C") for name, x in arrays.items()}
    if fault := not_finite(arrays):
        raise ValueError(f"{path} is not written: {fault}")
    text = json.dumps(about, ensure_ascii=False).removesuffix("}")
    text += f', "checksum": "{checksum(text, arrays)}"}}'
    write_atomically(path, to_bytes(arrays, {KEY: text}))  # one entry: several would have no fixed order


def load(path: str | Path) -> Checkpoint:
    """
    Read a checkpoint.

    Raises
    ------
    ImportError
        Without the library tokenizers.
    FileNotFoundError
        If there is no such file.
    ValueError
        For a file that is truncated, damaged, of another program or another version, whose weights are not
        finite, or fewer than its model needs.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; expected a checkpoint")
    arrays, metadata = read_all(Path(path))
    if KEY not in metadata:
        raise ValueError(f"{path} is a safetensors file of another program; expected a checkpoint of ours")
    try:
        found = _assemble(parse(metadata[KEY]), arrays)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} is no checkpoint that this version can read: {reason}") from error
    kept = CHECKED.fullmatch(metadata[KEY])
    if kept and kept[2] != checksum(kept[1], arrays):
        raise ValueError(f"{path} is damaged: its bytes are not those that were written")
    if fault := not_finite(arrays):
        raise ValueError(f"{path}: {fault}")
    return found


def checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    """Return the CRC-32, in 8 hexadecimal digits, of a text and of arrays, their names and shapes."""
    found = zlib.crc32(text.encode())
    for name in sorted(arrays):
        x = arrays[name]
        found = zlib.crc32(f"{name} {x.dtype} {x.shape}".encode(), found)
        found = zlib.crc32(x, found)
    return f"{found:08x}"


def _assemble(about: dict, arrays: dict) -> Checkpoint:
    if about["version"] != VERSION:
        raise ValueError(f"its format is version {about['version']}; expected {VERSION}")
    config = _configuration(about.get("family", "Transformer"), about["model"])
    tokenizer = Tokenizer.from_json(json.dumps(about["tokenizer"]))
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(f"its tokenizer has {tokenizer.vocab_size} tokens, its model {config.vocab_size}")
    state = {name: x for name, x in arrays.items() if not name.startswith(TRAINING)}
    seen = Seen.from_dict(about["seen"]) if "seen" in about else None
    _check_types(arrays)
    check_size(config, len(state), sum(x.size for x in state.values()))
    if "training" not in about:
        return Checkpoint(state, config, tokenizer, None, seen)
    optimizer = {name.removeprefix(TRAINING): x for name, x in arrays.items() if name not in state}
    kept = about["training"]
    checks.not_negative("step", kept["step"])
    course = TrainingConfig.from_dict(kept["config"])
    training = Training(kept["step"], course, kept["batches"], optimizer, kept.get("data"))
    return Checkpoint(state, config, tokenizer, training, seen)


def _configuration(family: str, fields: dict) -> Configuration:
    checks.one_of("family", family, tuple(FAMILIES))  # files of before there were several name none
    config = FAMILIES[family].from_dict(fields)
    if config.family != family:
        raise ValueError(f"its family is {family}, its model's {config.family}")
    return config


def _check_types(arrays):
    """Refuse what is not of the type that its owner has: floats, and one whole number."""
    for name, x in arrays.items():
        kind, expected = ("iu", "an integer") if name == TRAINING + "steps" else ("f", "a floating dtype")
        if x.dtype.kind not in kind:
            raise ValueError(f"{name} is stored as {x.dtype}; expected {expected}")


def _library():
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            'checkpoints need the library safetensors: pip install "attention-step-by-step[text]"'
        ) from error
    return safetensors
