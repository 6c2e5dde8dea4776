"""Write files whole or not at all, delete nobody's but one's own, and hold a place that no other may take."""

import os
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

HOLDER = re.compile(rb"(process \d+ on \S+)\n")  # all that a lock file holds
BUSY = (BlockingIOError, PermissionError)  # what a lock that another has raises, on POSIX and on Windows


def write_atomically(path: str | Path, data: bytes) -> None:
    """
    Write a file so that a reader, or a kill at any moment, finds the old content or the new, never a part.

    Parameters
    ----------
    path : str or Path
        The data go to a new file beside it, whose name no other process has, to the disk, and only then take
        the name.
    data : bytes

    Raises
    ------
    OSError
        Naming `path`; then the old file is as it was, and nothing is left beside it.
    """
    path = _regular(path)
    with _naming(path), _part(path) as part:
        with open(part, "r+b") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)


def check_writable(path: str | Path) -> None:
    """Refuse a path that cannot be written, before hours of work are done for it."""
    path = _regular(path)
    with _naming(path), _part(path):
        pass


@contextmanager
def claim(path: str | Path) -> Iterator[None]:
    """
    Hold a path that this process will write again and again; what writers left there that were killed goes.

    Parameters
    ----------
    path : str or Path
        The lock is the operating system's, on a file beside it that says who holds it: it ends with the
        process, however that ends. Where the file system knows no locks, a warning says so.

    Raises
    ------
    ValueError
        Where another holds it, naming the process and its host.
    OSError
        Naming `path`, where no lock file can be made.
    """
    path = _regular(path)
    lock = path.with_name(f".{path.name}.lock")
    with _naming(path):
        file = _locked(lock, path)
    try:
        with _naming(path):
            file.seek(0)
            file.truncate()
            file.write(f"process {os.getpid()} on {_host()}\n".encode())
            file.flush()
        _remove_abandoned(path)
        yield
    finally:
        with suppress(OSError):
            lock.unlink(missing_ok=True)  # still locked: who opened it meanwhile sees that it has no name
        file.close()


def _locked(lock: Path, path: Path) -> BinaryIO:
    """Open a lock file and lock it, or say who has it."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        file = os.fdopen(os.open(lock, flags, 0o666), "r+b")
        try:
            _lock(file)
        except BUSY:
            found = HOLDER.fullmatch(_content(file))
            who = found[1].decode(errors="replace") if found else "another process"
            file.close()
            raise ValueError(f"{path} is held by {who}, which trains there; expected another path") from None
        except OSError as error:
            warnings.warn(f"{path} cannot be locked ({error.strerror}): keep others away", stacklevel=4)
        if os.fstat(file.fileno()).st_nlink:
            if _content(file) and not HOLDER.fullmatch(_content(file)):
                file.close()
                raise ValueError(f"{lock} is no lock of this program; expected no such file")
            return file
        file.close()  # its holder ended between our opening and our locking it


def _content(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(300)


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(1 << 30)  # behind all that is in it: what is locked there cannot be read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """Make an empty file of our own beside a path, and remove it unless it has been given another name."""
    part = path.with_name(f"{_stem(path)}{os.getpid()}.{token_hex(4)}.part")
    try:
        open(part, "xb").close()  # a signal may come before it returns
        yield part
    finally:
        with suppress(OSError):  # the error that brought us here is the one to report
            part.unlink(missing_ok=True)


def _stem(path: Path) -> str:
    """Return how the names of our parts begin: whose they are, and where it runs; a name has 255 bytes."""
    return f".{os.fsdecode(os.fsencode(path.name)[:100])}.{_host()[:60]}."


def _remove_abandoned(path: Path) -> None:
    """Remove the parts that writers of `path` left which were killed on this host, and nothing else."""
    stem = _stem(path)
    for part in [x for x in path.parent.iterdir() if x.name.startswith(stem)]:
        found = re.fullmatch(r"(\d+)\.[0-9a-f]{8}\.part", part.name.removeprefix(stem))
        if found and not _may_run(int(found[1])):
            with suppress(OSError):
                part.unlink()


def _may_run(process: int) -> bool:
    if sys.platform == "win32":
        return True  # there os.kill(process, 0) would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def _host() -> str:
    return re.sub(r"[\s/]", "_", platform.node()) or "unknown"


def _regular(path: str | Path) -> Path:
    """Follow links, and refuse what os.replace would destroy: devices, directories, links that go round."""
    path = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError where they go round
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ValueError(f"{path} is no regular file; expected a file to write")
    return path


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let errors name the file that is wanted, not the one beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
