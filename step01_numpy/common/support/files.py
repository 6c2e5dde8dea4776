"""Write files whole or not at all."""

import os
from pathlib import Path


def write_atomically(path: str | Path, data: bytes) -> None:
    """
    Write a file so that a reader, or a kill at any moment, finds the old content or the new, never a part.

    Parameters
    ----------
    path : str or Path
        The data goes to `path`.part beside it, to the disk, and only then takes the name.
    data : bytes

    Raises
    ------
    OSError
        Naming `path`; then the old file is as it was, and nothing is left beside it.
    """
    path = _regular(path)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        _remove(part)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def check_writable(path: str | Path) -> None:
    """Refuse a path that cannot be written, before hours of work are done for it."""
    path = _regular(path)
    part = path.with_name(path.name + ".part")
    try:
        part.touch()
        _remove(part)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _regular(path: str | Path) -> Path:
    """Follow links, and refuse what os.replace would destroy or stumble over: devices and directories."""
    path = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError where they go round
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ValueError(f"{path} is no regular file; expected a file to write")
    return path


def _remove(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:  # the error that brought us here is the one to report
        return
