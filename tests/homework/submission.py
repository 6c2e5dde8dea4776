"""
Read what was handed in: a folder, a zip, or a file. Nothing is run, parsed or unpacked here.

Whatever is wrong with one file is a sentence about it; the others are read all the same.
"""

import os
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

LARGEST, MOST_FILES, DEEPEST, MOST_OWN = 200_000, 5000, 12, 50  # bytes, files, folders, modules of one's own
PACKAGES = {"step01_numpy", "step02_torch", "step03_gpu"}
RESERVED = {"numpy", "jaxtyping", "threadpoolctl", "wire", "splice", "confine", "loading", "standins", "main"}
IGNORED = re.compile(r"(^|/)(__MACOSX|__pycache__|node_modules|site-packages|\.[^/]*)(/|$)")


class Unreadable(Exception):
    """A file that cannot be graded; the message says why, without the file's name."""


@dataclass
class Submission:
    """
    The files of a submission, none of which has been read.

    Attributes
    ----------
    files : dict
        From a path to a function that returns the file's bytes or raises Unreadable.
    notes : list of str
        About the submission as a whole.
    """

    files: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def find(self, package: str, module: str) -> str:
        """
        Return the path of a module: the one whose path says most of the module's, nearest to the top.

        Raises
        ------
        Unreadable
            Where there is none, or two that are equally good.
        """
        wanted = (package, *file_of(module).split("/"))
        best: dict[tuple, list[str]] = {}
        for path in self.files:
            parts = PurePosixPath(path).parts
            n = next((n for n in range(len(wanted), 0, -1) if parts[-n:] == wanted[-n:]), 0)
            if n and not (PACKAGES - {package}) & set(parts):
                best.setdefault((-n, len(parts)), []).append(path)
        if not best:
            raise Unreadable(f"There is no {wanted[-1]} in your submission{self.instead(wanted[-1])}.")
        found = sorted(best[min(best)])
        if len(found) > 1:
            raise Unreadable(f"There are several files {wanted[-1]}: {', '.join(found[:3])}. Hand in one.")
        return found[0]

    def instead(self, name: str) -> str:
        """Say what a missing file may have become."""
        stem, suffix = name.lower().rsplit(".", 1)
        for path in sorted(self.files):
            other = PurePosixPath(path).name
            if other.lower() == f"{stem}.ipynb":
                return f"; {other} is a notebook, which cannot be graded: save it as {name}"
            if (
                other.lower().startswith(stem)
                and other.lower().endswith((f".{suffix}", ".txt"))
                and other != f"{stem}_test.py"
            ):
                return f"; if {other} is meant, name it {name}"
        return ""

    def text(self, path: str) -> str:
        """Return a file's text; Unreadable where it has none that can be graded."""
        name = PurePosixPath(path).name
        try:
            data = self.files[path]()
        except Unreadable as error:
            raise Unreadable(f"{name} {error}.") from None
        if b"\0" in data:
            raise Unreadable(f"{name} is not text: it holds binary data.")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unreadable(f"{name} is not UTF-8: save it with that encoding.") from None

    def own_modules(self, path: str, package: str, given) -> dict[str, str]:
        """Return the modules beside a file that were not handed out, by the names they can be imported by."""
        folder, found = PurePosixPath(path).parent, {}
        beside = [x for x in self.files if PurePosixPath(x).parent == folder and x.endswith(".py")]
        names = {PurePosixPath(x).stem: x for x in sorted(beside)}
        new = [x for x in names if f"{package}.{x}" not in given and x.isidentifier() and x != "__init__"]
        for name in new[:MOST_OWN]:
            try:
                text = self.text(names[name])
            except Unreadable:
                continue
            found[f"{package}.{name}"] = text
            if name not in RESERVED and name not in given and name not in sys.stdlib_module_names:
                found[name] = text
        return found


def file_of(module: str) -> str:
    """Return the path of a module within its package; a kernel's file is named by its path."""
    return module if module.endswith((".cu", ".cuh")) else f"{module.replace('.', '/')}.py"


def read(path: str | Path) -> Submission:
    """
    Look through a folder, a zip or a file.

    Raises
    ------
    ValueError
        Where there is nothing at that path.
    """
    path = Path(path)
    if path.is_dir():
        found = Submission(dict(in_folder(path)))
    elif zipfile.is_zipfile(path) if path.is_file() else False:
        found = in_zip(path)
    elif path.is_file():
        found = Submission({path.name: lambda: from_file(path)})
    else:
        raise ValueError(f"{path} is no folder, zip or file; expected a submission")
    if len(found.files) > MOST_FILES:
        found = Submission(
            notes=[f"The submission has more than {MOST_FILES} files: hand in the asked ones only."]
        )
    if not found.files and not found.notes:
        found.notes.append("The submission is empty.")
    return found


def in_folder(top: Path) -> Iterator:
    """Yield the files of a folder: links are not followed."""
    n = 0
    for folder, names, files in os.walk(top, followlinks=False):
        inside = Path(folder).relative_to(top)
        names[:] = [x for x in sorted(names) if len(inside.parts) < DEEPEST and not IGNORED.search(f"{x}/")]
        for name in sorted(files):
            n += 1
            if n > MOST_FILES + 1:
                return
            if not IGNORED.search(name):
                yield (inside / name).as_posix(), lambda path=Path(folder, name): from_file(path)


def from_file(path: Path) -> bytes:
    """Read a regular file; a link or a pipe is none, and nothing else is opened."""
    try:
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        raise Unreadable("is a link or cannot be opened: hand in the file itself") from None
    with open(opened, "rb") as file:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or path.is_symlink():
            raise Unreadable("is no regular file")
        return enough(file)


def enough(file) -> bytes:
    """Read a file to its end, if it is not too long, whatever it says of its length."""
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Unreadable(f"is larger than {LARGEST // 1000} kB")
    return data


def in_zip(path: Path) -> Submission:
    """Look through a zip; what would climb out of a folder is left out."""
    found = Submission()
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, MemoryError):
        return Submission(notes=["The zip cannot be read."])
    climbing = [x.filename for x in entries if climbs(x.filename)]
    if climbing:
        found.notes.append(f"{len(climbing)} paths of the zip lead out of it and were not read.")
    for entry in entries:
        name = entry.filename
        if not entry.is_dir() and name not in climbing and not IGNORED.search(name):
            found.files[PurePosixPath(name).as_posix()] = lambda entry=entry: from_zip(path, entry)
    return found


def climbs(name: str) -> bool:
    """Tell whether a path leads out of the folder that it is unpacked to."""
    return name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts


def from_zip(path: Path, entry) -> bytes:
    """Read one file of a zip into memory, up to the limit."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Unreadable("is a link: hand in the file itself")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as file:
            return enough(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        raise Unreadable("cannot be read: the zip is damaged or locked") from None
