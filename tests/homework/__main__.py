"""`python -m tests.homework`: list the tasks, export a starter, grade what comes back."""

import argparse
import sys
from importlib import import_module

# Modules here, each with NAME, HELP, add_arguments(parser) and run(arguments).
COMMANDS = (
    "list_command",
    "export",
    "grade_command",
    "report_command",
    "bundle_command",
)


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line, as everywhere in this project."""

    def error(self, message):
        """Say what is wrong, and where help is; exit with 2."""
        self.exit(2, f"{self.prog}: {message}; --help tells more\n")


def parser() -> Parser:
    """Return the parser of all commands."""
    root = Parser(prog="python -m tests.homework", description=__doc__.split("\n")[0])
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"tests.homework.{name}")
        command = commands.add_parser(module.NAME, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return root


def main(arguments=None) -> int:
    """Run a command; return its exit code: 2, with one line, for a caller's mistake, and 130 after Ctrl-C."""
    chosen = parser().parse_args(arguments)
    try:
        return chosen.run(chosen) or 0
    except (ValueError, OSError) as error:
        print(f"python -m tests.homework: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
