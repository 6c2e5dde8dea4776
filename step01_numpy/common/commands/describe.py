"""`describe`: the scale of a model, on paper."""

import argparse
from pathlib import Path

from step01_numpy.common.commands.context import Context, add_json, file_name, file_path, positive_integer
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.pretrained.config import read_config
from step01_numpy.common.pretrained.hub import locate
from step01_numpy.common.pretrained.sentence_vectors import read_pooling
from step01_numpy.common.scale.comparison import as_json_pair
from step01_numpy.common.scale.comparison import as_text as comparison
from step01_numpy.common.scale.known_models import KNOWN_MODELS, KnownModel
from step01_numpy.common.scale.table import as_json, as_text
from step01_numpy.common.support.json_text import parse
from step01_numpy.common.training.checkpoints import load

HELP = f"""Tell a model's parameters, bytes and FLOP, part by part, without making a weight.

The model is one of those known by name, {", ".join(KNOWN_MODELS)},
or a JSON file with fields of a model's configuration, or a model's own file or directory.
With --compare two of them stand beside each other: the fields that differ, and what that costs.

examples:
  {{program}} describe --config llama-3.1-405b
  {{program}} describe --config gpt2-xl --context 1024 --json
  {{program}} describe --model model.safetensors
  {{program}} describe --compare llama-3.1-8b qwen3-8b
"""
CONTEXT = 2048  # tokens, where the model takes so many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--config",
        metavar="NAME_OR_FILE",
        type=file_name,
        help="a model known by name, or a JSON file of its configuration",
    )
    which.add_argument("--model", metavar="PATH", type=file_path, help="a model's own file or directory")
    which.add_argument(
        "--compare",
        metavar=("A", "B"),
        nargs=2,
        type=file_name,
        help="two models, known by name, or by the path of a configuration, file or directory",
    )
    parser.add_argument(
        "--context",
        metavar="N",
        type=positive_integer,
        help=f"tokens that the counted one attends to (default: {CONTEXT}, or as many as the model takes)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Count, and print."""
    if arguments.compare is not None:
        names, models = tuple(arguments.compare), tuple(map(find_any, arguments.compare))
        contexts = tuple(arguments.context or min(CONTEXT, x.config.max_positions) for x in models)
        print((as_json_pair if arguments.json else comparison)(names, models, contexts))
        return 0
    if arguments.model is not None:
        name, model = str(arguments.model), KnownModel(configuration_of(arguments.model), "", "")
    else:
        name, model = arguments.config, find(arguments.config)
    tokens = arguments.context or min(CONTEXT, model.config.max_positions)
    print((as_json if arguments.json else as_text)(name, model, tokens))
    return 0


def find_any(name: str) -> KnownModel:
    """Return the model known by this name, or the one of a configuration, a checkpoint or a directory."""
    path = Path(name)
    if name in KNOWN_MODELS or path.suffix == ".json" or not path.exists():
        return find(name)
    return KnownModel(configuration_of(path), "", "")


def find(name: str) -> KnownModel:
    """Return the model known by this name, or the one whose configuration the file of this name holds."""
    if name in KNOWN_MODELS:
        return KNOWN_MODELS[name]
    if not Path(name).is_file():
        raise ValueError(f"config is {name!r}; expected a JSON file, or one of {', '.join(KNOWN_MODELS)}")
    try:
        config = ModelConfig.from_dict(parse(Path(name).read_text(encoding="utf-8")))
    except ValueError as error:  # of JSON, of UTF-8, and ours
        raise ValueError(f"{name}: {error}") from None
    return KnownModel(config, "", "")


def configuration_of(path: Path) -> ModelConfig:
    """Read the configuration of a checkpoint, or of a directory of Hugging Face."""
    path = locate(path)
    if not path.is_dir():
        config = load(path).config
        if not isinstance(config, ModelConfig):
            raise ValueError(f"{path} holds a {config.family}; expected a Transformer, to count its parts")
        return config
    pooling = read_pooling(path)
    directory = path if pooling is None else pooling.directory
    return read_config(directory, headless=pooling is not None).config
