"""The command line, the same in every stage: `python -m step01_numpy COMMAND …`."""

import argparse
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType

from step01_numpy.common.commands import (
    describe,
    embed,
    evaluate,
    generate,
    parity,
    search,
    tour,
    train,
    translate,
)
from step01_numpy.common.commands.context import Context

COMMANDS = {
    "tour": tour,
    "translate": translate,
    "generate": generate,
    "embed": embed,
    "search": search,
    "train": train,
    "evaluate": evaluate,
    "parity": parity,
    "describe": describe,
}
EXTRAS = {"torch": "torch", "scipy": "text", "matplotlib": "viz"}  # optional packages that no command names
USER_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message):
        """Print the message and where help is, and exit with 2."""
        self.exit(USER_ERROR, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(
    stage: ModuleType,
    arguments: Sequence[str] | None = None,
    *,
    below: Sequence[str] = (),
    models: ModuleType | None = None,
    commands: Mapping[str, ModuleType] | None = None,
) -> int:
    """
    Run one command of a stage.

    Parameters
    ----------
    stage : module
    arguments : sequence of str, optional
        What was typed after the program's name.
    below : sequence of str
        The packages of the stages below this one, which `parity` compares it with; imported where needed.
    models : module, optional
        Where the stage's models come from when it writes none itself.
    commands : mapping, optional
        Commands that this stage has beyond the common ones.

    Returns
    -------
    code : int
        0; 1 where `parity` finds a difference; 2 for a user's mistake, told in one line on stderr;
        130 after Ctrl-C.
    """
    _speak_utf8()
    commands = COMMANDS | dict(commands or {})
    try:
        chosen = build_parser(stage.__name__, commands).parse_args(arguments)
    except SystemExit as stop:  # --help or a mistake, already told
        return stop.code
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(chosen, commands[chosen.command], Context(stage, tuple(below), models))


def build_parser(program: str, available: Mapping[str, ModuleType] = COMMANDS) -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog=f"python -m {program}",
        description="Attention, step by step: look at it, translate and write with it, train it, check it.",
        epilog=f"'python -m {program} COMMAND --help' explains a command, with examples.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, module in available.items():
        summary, _, rest = module.HELP.format(program=f"python -m {program}").partition("\n\n")
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=rest,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
    return parser


def _run(chosen, command, context) -> int:
    try:
        code = command.run(chosen, context)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough; the interpreter's last flush may fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ValueError, OSError, ImportError) as error:
        print(
            f"python -m {context.stage.__name__} {chosen.command}: error: {one_line(error)}", file=sys.stderr
        )
        return USER_ERROR


def one_line(error: Exception) -> str:
    """Tell an error in one line."""
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        extra = EXTRAS[error.name]
        return f'this needs the package {error.name}: pip install "attention-step-by-step[{extra}]"'
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(message, category, filename, lineno, file=None, line=None):
    print(f"note: {message}", file=sys.stderr)


def _speak_utf8():
    """Write UTF-8 whatever the locale says, so that French survives a pipe on every system."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
