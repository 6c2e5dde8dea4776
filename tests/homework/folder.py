"""A folder written whole or not at all."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # what every system takes
RESERVED = {"con", "prn", "aux", "nul", *(f"{x}{i}" for x in ("com", "lpt") for i in range(10))}


def write_folder(out: str | Path, make: Callable[[], dict[str, bytes]]) -> None:
    """
    Write a folder of files, whole or not at all.

    Parameters
    ----------
    out : str or Path
        A folder that is not there, within one that is.
    make : callable
        Returns the files' contents by their paths, "a/b.py"; called once `out` is known to be writable.

    Raises
    ------
    ValueError
        Where something stands at `out` already, or there is no folder to put it in.
    OSError
        Naming `out`, where it cannot be written; then nothing is left.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise ValueError(f"--out is {out}, which is there already; expected a new folder")
    if not out.parent.is_dir():
        raise ValueError(f"--out is {out}, and there is no folder {out.parent}; expected one to write it in")
    part = out.with_name(f".{out.name}.{os.getpid()}.{token_hex(4)}.part")
    try:
        part.mkdir()
        for name, data in make().items():
            assert all(portable(x) for x in name.split("/")), name
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(data)
        part.rename(out)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def portable(name: str) -> bool:
    """Tell whether a file can have this name on every system."""
    return NAME.fullmatch(name) is not None and name.split(".")[0].lower() not in RESERVED and name[-1] != "."
