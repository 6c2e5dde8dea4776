"""A folder of submissions: whose each is, which of several is the newest, the bytes it is known by."""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

CANVAS = re.compile(r"(?P<student>[^_]+)_(?:LATE_)?(?P<id>\d+)_(?P<number>\d+)_(?P<file>.+)")
MOODLE = re.compile(r"(?P<student>.+)_(?P<id>\d+)_assignsubmission_\w+")
NUMBERED = re.compile(r"(?P<student>.+?)--(?P<version>.+)")  # "emmy--2", "emmy--2026-05-03"
TABLES = {".csv", ".json", ".html", ".txt", ".md", ".graded"}  # what lies beside submissions and is none
RESUBMITTED = re.compile(r"-\d+(?=\.\w+$)")  # what Canvas puts behind the name of a file that comes again
MOST, LARGEST = 2_000, 64 << 20  # files, bytes: what is more is known by names, sizes and times


@dataclass(frozen=True)
class Submission:
    """
    What a student handed in once.

    Attributes
    ----------
    student : str
    keys : tuple of str
        Names under which a table of the course may know the student, this one first.
    parts : tuple of Path
        A folder or a zip, or the single files of an upload to Canvas.
    age : tuple
        Of two submissions of one student the newer has the larger.
    """

    student: str
    keys: tuple[str, ...]
    parts: tuple[Path, ...]
    age: tuple

    @property
    def name(self) -> str:
        """The name of its folder or file, the first of several."""
        return self.parts[0].name


def find(folder: str | Path) -> list[Submission]:
    """
    Return the submissions of a folder, by student, the newest of each last.

    Parameters
    ----------
    folder : str or Path
        An entry is a submission: NAME or NAME.zip; NAME--2 where there are several of one student; or what
        Canvas and Moodle call the files of a course that they offer as one download.

    Raises
    ------
    ValueError
        For what is no folder, or holds no submission.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; expected one that holds a folder or a zip for each student")
    entries = sorted(x for x in folder.iterdir() if x.name[0] not in "._" and x.suffix not in TABLES)
    found: dict[tuple, Submission] = {}
    for entry in entries:
        one = submission(entry)
        single = CANVAS.fullmatch(entry.name) and entry.suffix != ".zip"
        place = (one.keys, "files" if single else entry.name)
        before = found.get(place)
        if before:  # single files that Canvas lists one by one are one submission
            one = Submission(one.student, one.keys, (*before.parts, entry), max(before.age, one.age))
        found[place] = one
    if not found:
        raise ValueError(f"{folder} holds no submission; expected a folder or a zip for each student")
    return sorted(found.values(), key=lambda x: (x.student.casefold(), x.keys, x.age))


def submission(entry: Path) -> Submission:
    """Return the submission that an entry is, or is a part of."""
    plain = entry.name if entry.is_dir() else entry.stem
    time = entry.lstat().st_mtime_ns
    if match := CANVAS.fullmatch(entry.name):
        keys = match["student"], match["id"]
        return Submission(keys[0], keys, (entry,), age(match["number"], time))
    if match := MOODLE.fullmatch(plain):
        return Submission(match["student"], (match["student"], match["id"]), (entry,), age("", time))
    if match := NUMBERED.fullmatch(plain):
        return Submission(match["student"], (match["student"],), (entry,), age(match["version"], time))
    return Submission(plain, (plain,), (entry,), age("", time))


def age(version: str, time: int) -> tuple:
    """Return what orders submissions: a version, its numbers as numbers, then the time of the file in ns."""
    parts = re.split(r"(\d+)", version)
    return tuple(int(x) if i % 2 else x for i, x in enumerate(parts)), time


def counting(submissions: list[Submission]) -> set[Submission]:
    """Return the newest submission of each student."""
    return set({x.keys: x for x in sorted(submissions, key=lambda x: x.age)}.values())


@contextmanager
def gathered(one: Submission) -> Iterator[Path]:
    """Give the one path that can be graded; single files of Canvas get their own names back, in a folder."""
    if not CANVAS.fullmatch(one.name) or one.parts[0].suffix == ".zip":
        yield one.parts[0]
        return
    with TemporaryDirectory() as folder:
        for part in one.parts:
            name = RESUBMITTED.sub("", CANVAS.fullmatch(part.name)["file"])
            if stat.S_ISREG(part.lstat().st_mode):
                shutil.copyfile(part, Path(folder) / name)
        yield Path(folder)


def digest(one: Submission) -> str:
    """Return by what a submission is known again: its names and bytes, or of a very large one the times."""
    files = [x for part in one.parts for x in regular_files(part)]
    whole = len(files) < MOST and sum(x.lstat().st_size for _, x in files) <= LARGEST
    found = hashlib.sha256()
    for name, file in files:
        about = file.lstat()
        found.update(f"{name}\0{about.st_size}\0".encode(errors="surrogateescape"))
        found.update(file.read_bytes() if whole else str(about.st_mtime_ns).encode())
    return found.hexdigest()


def regular_files(part: Path) -> list[tuple[str, Path]]:
    """Return the regular files of a part and their names within it; no link is followed, no pipe opened."""
    if not stat.S_ISDIR(part.lstat().st_mode):
        return [(part.name, part)] if stat.S_ISREG(part.lstat().st_mode) else []
    found = []
    for root, folders, names in os.walk(part):
        folders.sort()
        for path in (Path(root) / x for x in sorted(names)):
            if stat.S_ISREG(path.lstat().st_mode):
                found.append((str(path.relative_to(part)), path))
            if len(found) >= MOST:
                return found
    return found
