"""Find the package that is to be compared."""

import os
import sys
from importlib import import_module
from types import ModuleType

from step01_numpy.common.parity.verdict import one_line


def find_package(name: str) -> ModuleType:
    """
    Import a package, from the current directory too, as `python -m` does.

    Raises
    ------
    ValueError
        In one line, whatever the import raised.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ValueError(f"the package {name!r} cannot be imported: {reason}") from error
