"""What a command knows of the stage that it runs for, and the options that commands share."""

import argparse
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from math import inf
from pathlib import Path
from types import ModuleType

from step01_numpy.common import shipped
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import Checkpoint, load
from step01_numpy.common.training.tasks import task_of

SHIPPED = Path(shipped.__file__).with_name("english_french.safetensors")
SHIPPED_RECURRENT = SHIPPED.with_name("english_french_recurrent.safetensors")
ABOUT_SHIPPED = """\
The shipped models learned from 182,000 pairs: Tatoeba's everyday sentences (CC BY 2.0 FR), and a grammar's on
meetings and treaties. Good at short everyday English; not at rare words, names, idioms or over 20 words."""


@dataclass(frozen=True)
class Context:
    """
    The stage that a command runs for.

    Attributes
    ----------
    stage : module
    below : tuple of str
        Packages of the stages below, in order.
    models : module or None
        Where the stage's models come from when it writes none itself.
    attend : optional
        What its models attend with, where the user has a choice.
    """

    stage: ModuleType
    below: tuple[str, ...] = ()
    models: ModuleType | None = None
    attend: object | None = None

    @property
    def backend(self) -> Backend:
        """The stage's own models."""
        return Backend(self.stage, self.models, self.attend)

    @property
    def spans_all(self) -> bool:
        """Whether this is the last stage, whose tour leads through all of them."""
        return self.models is not None

    def all_backends(self) -> list[Backend]:
        """Return the models of the stages below and of this one."""
        return [*(Backend(import_module(name)) for name in self.below), self.backend]


LIMIT = {int: 2**63, float: inf}  # what numbers stay below
LONGEST = 40  # characters of a wrong number that are repeated
ANY_MODEL = (
    "checkpoint to use, or a Hugging Face model: its directory, or its name on their Hub "
    "(default: the checkpoint shipped in the package)"
)


def add_model(parser: argparse.ArgumentParser, about: str = ANY_MODEL) -> None:
    """Add `--model`."""
    parser.add_argument("--model", metavar="MODEL", type=file_path, help=about)


def add_beam(parser: argparse.ArgumentParser) -> None:
    """Add `--beam`."""
    parser.add_argument(
        "--beam",
        metavar="N",
        type=positive_integer,
        help="beams; 1 is greedy search (default: 1, or what a Hugging Face model says)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="write the result as JSON")


def read_checkpoint(path: Path | None) -> tuple[Path, Checkpoint]:
    """Read the checkpoint asked for, or the shipped one."""
    path = SHIPPED if path is None else path
    if path.is_dir():
        raise ValueError(f"{path} is a directory; expected a checkpoint file of ours")
    return path, load(path)


def read_translator(path: Path | None) -> tuple[Path, Checkpoint]:
    """Read the checkpoint asked for, or the shipped one, which must be of a translator."""
    path, checkpoint = read_checkpoint(path)
    task = task_of(checkpoint.config)
    if not task.translates:
        raise ValueError(f"{path} holds a model of {task.name}; expected one that translates")
    return path, checkpoint


def translator(context: Context, path: Path | None, beam: int | None) -> Translator:
    """Make a translator of the model asked for, or the shipped one."""
    opened = load_model(SHIPPED if path is None else path, context.backend)
    return Translator(context.backend, opened, beam=beam)


def build_model(context: Context, path: Path, checkpoint: Checkpoint):
    """Build the model of a checkpoint, which was read from `path`."""
    try:
        return context.backend.load(checkpoint)
    except ValueError as error:
        raise ValueError(f"{path} does not hold the weights of its model: {error}") from error


def utf8_text(argument: str) -> str:
    """Read a text, for argparse: UTF-8, even where the locale knows no more than ASCII."""
    try:
        argument.encode()
        return argument
    except UnicodeEncodeError:
        try:
            return os.fsencode(argument).decode()
        except UnicodeError:
            raise argparse.ArgumentTypeError(f"{argument!r} is given; expected UTF-8 text") from None


def file_name(argument: str) -> str:
    """Read what names a file or a model, for argparse."""
    if not argument or "\0" in argument:
        raise argparse.ArgumentTypeError(f"{argument!r} is given; expected the name of a file")
    return argument


def file_path(argument: str) -> Path:
    """Read a path, for argparse; an empty one would be the current directory."""
    return Path(file_name(argument))


def positive_integer(text: str) -> int:
    """Read an integer of at least 1, for argparse."""
    return _number(text, int, 1, "an integer of at least 1")


def natural_number(text: str) -> int:
    """Read an integer of at least 0, for argparse."""
    return _number(text, int, 0, "an integer of at least 0")


def positive_number(text: str) -> float:
    """Read a finite number above 0, for argparse."""
    return _number(text, float, 5e-324, "a number above 0")


def number(text: str) -> float:
    """Read a finite number of at least 0, for argparse."""
    return _number(text, float, 0.0, "a number of at least 0")


def _number(text, kind, least, expected):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value < LIMIT[kind]:
        shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
        expected += " and below 2**63" if value is not None and value > least else ""
        raise argparse.ArgumentTypeError(f"{shown!r} is given; expected {expected}")
    return value


def progress_bar(*, total: int, initial: int = 0, unit: str):
    """Return a progress bar on stderr, or one that shows nothing where that is no terminal."""
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError(
            'this command needs the library tqdm: pip install "attention-step-by-step[text]"'
        ) from error
    return tqdm(total=total, initial=initial, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True)
