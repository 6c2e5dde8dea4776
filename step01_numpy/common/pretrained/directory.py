"""Open a model to use: a checkpoint of ours, a Hugging Face directory, or a name of their Hub."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.pretrained.config import read_config
from step01_numpy.common.pretrained.generation import OURS, SearchDefaults, search_defaults
from step01_numpy.common.pretrained.hub import locate
from step01_numpy.common.pretrained.keys import TABLE
from step01_numpy.common.pretrained.model_tokenizer import FastTokenizer, MarianTokenizer, OwnTokenizer
from step01_numpy.common.pretrained.sentence_vectors import Pooling, read_pooling
from step01_numpy.common.pretrained.tokenizer_files import open_tokenizer
from step01_numpy.common.pretrained.weight_files import WeightFiles
from step01_numpy.common.pretrained.weights import read_state
from step01_numpy.common.scale.limits import check_size
from step01_numpy.common.support.undrawn import NO_DRAW
from step01_numpy.common.text.seen import Seen
from step01_numpy.common.training import checkpoints
from step01_numpy.common.training.backend import Backend

ADAPTER = "adapter_config.json"


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
    seen : Seen or None
        What a translator of ours was trained on.
    """

    model: Any
    config: ModelConfig
    tokenizer: OwnTokenizer | FastTokenizer | MarianTokenizer
    search: SearchDefaults = OURS
    pooling: Pooling | None = None
    seen: Seen | None = None


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
    search = OURS if architecture == "encoder_decoder" else SearchDefaults()
    tokenizer = OwnTokenizer(checkpoint.tokenizer, architecture)
    return Pretrained(model, checkpoint.config, tokenizer, search, seen=checkpoint.seen)


def _of_directory(path, backend, attend):
    pooling = read_pooling(path)
    directory = path if pooling is None else pooling.directory
    if (directory / ADAPTER).is_file():
        raise ValueError(
            f"{directory} holds {ADAPTER}: weights to be added to those of a model, which is not done here; "
            "expected the whole model, as peft's merge_and_unload makes it"
        )
    description = read_config(directory, headless=pooling is not None)
    config, files = description.config, WeightFiles.of_directory(directory)
    check_size(config, len(files.tensors), sum(prod(x.shape) for x in files.tensors.values()))
    tokenizer = open_tokenizer(directory, description)
    if pooling is not None and pooling.lower:
        tokenizer.lower()
    try:
        search = search_defaults(description)
    except ValueError as error:
        raise ValueError(f"{directory}, how to generate: {error}") from error
    model = backend.model(config, attend=attend, rng=NO_DRAW)
    wanted = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    try:
        state = read_state(files, TABLE[description.model_type], wanted, config.n_layers)
    except ValueError as error:
        raise ValueError(f"{directory} does not hold the weights of its model: {error}") from error
    model.load_state_dict(state, copy=False)
    model.eval()
    return Pretrained(model, config, tokenizer, search, pooling)
