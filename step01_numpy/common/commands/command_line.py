"""The command line, the same in every stage: `python -m step01_numpy COMMAND …`."""

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from types import ModuleType

from step01_numpy.common.commands import process
from step01_numpy.common.commands.context import Context

# As --help lists them; each is a module beside this one, imported when it is asked for: that is a tenth of a
# short translation's time.
COMMANDS = (
    "tour",
    "explore",
    "translate",
    "generate",
    "embed",
    "search",
    "train",
    "evaluate",
    "parity",
    "describe",
)
ATTENDING = ("translate", "generate", "embed", "search", "train")  # commands whose models attend as one likes
EXTRAS = {"torch": "torch", "scipy": "text", "matplotlib": "viz"}  # optional packages that no command names
NO_MEMORY = ("can't allocate memory", "out of memory")  # said by PyTorch, on either device
LONGEST = 2000  # characters of an error
USER_ERROR, BROKEN_PIPE = 2, 141


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message):
        """Print the message and where help is, and exit with 2."""
        self.exit(USER_ERROR, f"{self.prog}: error: {shortened(message)} (see {self.prog} --help)\n")


def main(
    stage: ModuleType,
    arguments: Sequence[str] | None = None,
    *,
    below: Sequence[str] = (),
    models: ModuleType | None = None,
    commands: Mapping[str, ModuleType] | None = None,
    attentions: tuple[Sequence[str], Callable] | None = None,
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
    attentions : (names, function), optional
        What `--attention` takes, where the stage has several; the function turns one, or None where none is
        given, into what models attend with.

    Returns
    -------
    code : int
        0; 1 where `parity` finds a difference; 2 for a user's mistake, told in one line on stderr;
        130 after Ctrl-C, 143 after SIGTERM, 141 where nobody reads on.
    """
    process.open_streams()
    context, words = Context(stage, tuple(below), models), sys.argv[1:] if arguments is None else arguments
    said = [f"python -m {stage.__name__}"]
    try:
        with process.signals(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = _run(words, available(words) | dict(commands or {}), context, said, attentions)
            process.flush()
            return code
    except KeyboardInterrupt as stop:
        return process.code_of(stop)
    except (ValueError, OSError, ImportError, MemoryError, RuntimeError) as error:
        process.forget_output()
        if isinstance(error, BrokenPipeError):  # whoever read our output has seen enough
            return BROKEN_PIPE
        if isinstance(error, RuntimeError) and not lacks_memory(error):
            raise
        print(f"{' '.join(said)}: error: {one_line(error)}", file=sys.stderr)
        return USER_ERROR


def available(words: Sequence[str]) -> dict[str, ModuleType]:
    """Import the common command that was typed, or all of them where the first word is none."""
    names = words[:1] if words and words[0] in COMMANDS else COMMANDS
    return {name: import_module(f"step01_numpy.common.commands.{name}") for name in names}


def _run(arguments, commands, context, said, attentions):
    """Run the command that was typed; its name goes into `said`, before what is said of a mistake."""
    names, attend = attentions or ((), None)
    try:
        chosen = build_parser(context.stage.__name__, commands, names).parse_args(arguments)
    except SystemExit as stop:  # --help or a mistake, already told
        return stop.code
    said.append(chosen.command)
    if hasattr(chosen, "attention"):
        context = replace(context, attend=attend(chosen.attention))
    return commands[chosen.command].run(chosen, context)


def build_parser(program: str, modules: Mapping[str, ModuleType], attentions: Sequence[str] = ()) -> Parser:
    """
    Build the parser of the commands whose modules are given by name.

    Where there are several attentions, some commands take `--attention`.
    """
    parser = Parser(
        prog=f"python -m {program}",
        description="Attention, step by step: look at it, translate and write with it, train it, check it.",
        epilog=f"'python -m {program} COMMAND --help' explains a command, with examples.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, module in modules.items():
        summary, _, rest = module.HELP.format(program=f"python -m {program}").partition("\n\n")
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=rest,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        if attentions and name in ATTENDING:
            about = "what the model attends with (default: the best that the device has)"
            command.add_argument(
                "--attention", choices=attentions, metavar="NAME", help=f"{about}: %(choices)s"
            )
    return parser


def one_line(error: Exception) -> str:
    """Tell an error in one line."""
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        extra = EXTRAS[error.name]
        return f'this needs the package {error.name}: pip install "attention-step-by-step[{extra}]"'
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return shortened(f"{place}{error.strerror}")
    if lacks_memory(error):
        return shortened(f"not enough memory: {error}").removesuffix(":")
    return shortened(str(error)) or type(error).__name__


def shortened(message: str) -> str:
    """Bring a message to one line of a length that can be read; it may repeat what a file holds."""
    line = " ".join(message.split())
    return line if len(line) <= LONGEST else line[:LONGEST] + " …"


def lacks_memory(error: Exception) -> bool:
    """Tell whether memory ran out, of which PyTorch says so in a RuntimeError."""
    said = isinstance(error, RuntimeError) and any(x in str(error) for x in NO_MEMORY)
    return said or isinstance(error, MemoryError)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    print(f"note: {' '.join(str(message).split())}", file=sys.stderr)
