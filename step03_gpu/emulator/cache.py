"""Where compiled kernels are kept, and which of them may be used."""

import hashlib
import os
import stat
import tempfile
import warnings
from functools import cache
from pathlib import Path

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def digest(*parts: str | bytes) -> str:
    """Return 128 bits of the SHA-256 of some texts or bytes."""
    joined = b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    return hashlib.sha256(joined).hexdigest()[:32]


def kept(key: str) -> Path | None:
    """Return the file of a key if it is whole: its name ends with the digest of what it holds."""
    return next((path for path in cache_folder().glob(f"{key}-*") if _is_whole(path)), None)


def _is_whole(path: Path) -> bool:
    try:
        return path.stem.endswith(f"-{digest(path.read_bytes())}")
    except OSError:  # another process has just removed it, or it is no file
        return False


def keep(key: str, made: Path) -> Path:
    """
    Move a finished file to its place, whole or not at all: another process may make or read the same one.

    What is damaged under this key goes. What is whole stays: it may be about to run, and two processes that
    compile the same text in different folders make different files of it.
    """
    path = made.parent.parent / f"{key}-{digest(made.read_bytes())}{made.suffix}"
    for other in path.parent.glob(f"{key}-*"):
        if not _is_whole(other):
            other.unlink(missing_ok=True)
    os.replace(made, path)
    return path


def cache_folder() -> Path:
    """
    Return where compiled kernels are kept: $ATTENTION_STEP_BY_STEP_CACHE, or the user's cache folder.

    What lies there is run, so it must be a folder of our own that nobody else may write to. In place of
    another one comes a temporary folder, with a warning; and so where none can be made.
    """
    named, home = os.environ.get("ATTENTION_STEP_BY_STEP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    default = Path(home or Path.home() / ".cache") / "attention-step-by-step" / "kernels"
    folder = Path(named or default).absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return _temporary_folder()
    status, problem = folder.stat(), None
    if status.st_uid != os.geteuid():
        problem = f"belongs to another user (uid {status.st_uid})"
    elif status.st_mode & WRITABLE_BY_OTHERS:
        problem = "may be written to by others (chmod go-w changes that)"
    if problem:
        advice = "compiled kernels are kept for this process alone"
        warnings.warn(f"{folder} {problem}: {advice}", RuntimeWarning, stacklevel=2)
        return _temporary_folder()
    return folder


@cache
def _temporary_folder():
    return Path(tempfile.mkdtemp(prefix="attention-step-by-step-"))
