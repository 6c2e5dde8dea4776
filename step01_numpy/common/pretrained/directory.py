"""Open a model to use: a checkpoint of ours, a Hugging Face directory, or a name of their Hub."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.decoding.search import gnmt
from step01_numpy.common.pretrained.config import read_config
from step01_numpy.common.pretrained.hub import locate
from step01_numpy.common.pretrained.keys import TABLE
from step01_numpy.common.pretrained.model_tokenizer import FastTokenizer, MarianTokenizer, OwnTokenizer
from step01_numpy.common.pretrained.sentence_vectors import Pooling, read_pooling
from step01_numpy.common.pretrained.tokenizer_files import open_tokenizer
from step01_numpy.common.pretrained.weight_files import WeightFiles
from step01_numpy.common.pretrained.weights import read_state
from step01_numpy.common.scale.limits import check_size
from step01_numpy.common.support import checks
from step01_numpy.common.support.undrawn import NO_DRAW
from step01_numpy.common.training import checkpoints
from step01_numpy.common.training.backend import Backend


class SearchDefaults(NamedTuple):
    """
    How a model's authors search with it, as `beam_search` takes it.

    Attributes
    ----------
    beam : int
    length_penalty : float, or callable
    early_stopping : bool or "never"
    force_eos : bool
    max_length : int or None
        The most tokens of a result, its end included; None leaves it to the caller.
    """

    beam: int = 1
    length_penalty: float | Callable = 1.0
    early_stopping: bool | str = False
    force_eos: bool = False
    max_length: int | None = None


OURS = SearchDefaults(length_penalty=gnmt(), early_stopping="never")


@dataclass(frozen=True)
class Pretrained:
    """
    A trained model, ready to use.

    Attributes
    ----------
    model : the stage's model
        Dropout is off.
    config : ModelConfig or RecurrentConfig
    tokenizer : OwnTokenizer, FastTokenizer or MarianTokenizer
    search : SearchDefaults
    pooling : Pooling or None
        How a sentence-transformers directory makes one vector of a sentence.
    """

    model: Any
    config: ModelConfig
    tokenizer: OwnTokenizer | FastTokenizer | MarianTokenizer
    search: SearchDefaults = OURS
    pooling: Pooling | None = None


def load_model(path: str | Path, backend: Backend, *, attend: Callable | None = None) -> Pretrained:
    """
    Open a model on a stage.

    Parameters
    ----------
    path : str or Path
        A checkpoint file of ours, the directory of a model of Hugging Face, or its name on their Hub.
    backend : Backend
    attend : optional
        An attention in place of the stage's own.

    Raises
    ------
    FileNotFoundError
        Naming the file that is missing.
    ImportError
        Naming the extra whose library is missing.
    OSError
        If the Hub cannot be reached.
    ValueError
        For what is at fault in its files: no code in them is ever run.
    """
    path = locate(path)
    return (_of_directory if path.is_dir() else _of_checkpoint)(path, backend, attend)


def _of_checkpoint(path, backend, attend):
    checkpoint = checkpoints.load(path)
    try:
        model = backend.load(checkpoint, attend=attend, rng=NO_DRAW)
    except ValueError as error:
        raise ValueError(f"{path} does not hold the weights of its model: {error}") from error
    architecture = getattr(checkpoint.config, "architecture", "encoder_decoder")  # RecurrentConfig has none
    return Pretrained(model, checkpoint.config, OwnTokenizer(checkpoint.tokenizer, architecture))


def _of_directory(path, backend, attend):
    pooling = read_pooling(path)
    directory = path if pooling is None else pooling.directory
    description = read_config(directory, headless=pooling is not None)
    config, files = description.config, WeightFiles.of_directory(directory)
    check_size(config, len(files.tensors), sum(prod(x.shape) for x in files.tensors.values()))
    tokenizer = open_tokenizer(directory, description)
    model = backend.model(config, attend=attend, rng=NO_DRAW)
    wanted = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    try:
        state = read_state(files, TABLE[description.model_type], wanted, config.n_layers)
    except ValueError as error:
        raise ValueError(f"{directory} does not hold the weights of its model: {error}") from error
    model.load_state_dict(state, copy=False)
    model.eval()
    return Pretrained(model, config, tokenizer, _search_defaults(description.generation), pooling)


def _search_defaults(generation):
    given = {
        "beam": generation.get("num_beams"),
        "length_penalty": generation.get("length_penalty"),
        "early_stopping": generation.get("early_stopping"),
        "force_eos": generation.get("forced_eos_token_id") is not None,
        "max_length": generation.get("max_length"),
    }
    given = {name: x for name, x in given.items() if x is not None}
    for name in {"beam", "max_length"} & set(given):
        checks.positive(name, given[name])
    if "max_length" in given:
        given["max_length"] -= 1  # theirs counts the token that begins a translation
    return SearchDefaults(**given)
