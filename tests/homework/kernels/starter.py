"""The starter of tasks over kernels: the ladder's files with empty regions, the emulator, and checks."""

import re
from collections.abc import Iterable
from pathlib import Path

from step03_gpu import emulator
from tests.homework.kernels.answers import DRIVERS, read
from tests.homework.kernels.regions import blank, expand, names
from tests.homework.kernels.task import KernelTask

PACKAGE = '"""Your homework: a part of the project "Attention, step by step"."""\n'
HERE, EMULATOR = Path(__file__).parent, Path(emulator.__file__).parent
BESIDE = ("check_kernels.py", "launches.py", "regions.py")  # check.py


def starter(tasks: Iterable[KernelTask], *, notes: bool = False) -> dict[str, str]:
    """
    Return the files of a starter, by path: nothing where there is no task.

    Parameters
    ----------
    tasks : iterable of KernelTask
    notes : bool
        Whether the heads of files keep what they say of the formulas.
    """
    tasks = list(tasks)
    if not tasks:
        return {}
    kernels, drivers = needed(tasks)
    stubs = emptied(tasks)
    texts = {
        "step03_gpu/__init__.py": PACKAGE,
        "step03_gpu/kernels/__init__.py": '"""Kernels: write between the marks."""\n',
        **{x: (HERE / x).read_text("utf-8") for x in BESIDE},
        **{f"drivers/{x}": read(x) for x in drivers},
        **{f"step03_gpu/kernels/{x}": blank(head(x, notes), stubs.get(x, {})) for x in kernels},
    }
    for path in (*EMULATOR.glob("*.py"), *(EMULATOR / "include").iterdir()):
        texts[f"step03_gpu/emulator/{path.relative_to(EMULATOR).as_posix()}"] = path.read_text("utf-8")
    return dict(sorted(texts.items()))


def head(file: str, notes: bool) -> str:
    """Return a file's text; its head without what is new and without formulas, where they are not wanted."""
    text = read(file)
    if notes:
        return text
    comment = re.match(r"(?://[^\n]*\n)*", text)[0]
    kept = re.sub(r"// New:.*\n(?://  .*\n)*", "", comment)
    return re.sub(r"(?://.*:\n)?(?://.* = .*\n)+", "", kept) + text[len(comment) :]


def needed(tasks: Iterable[KernelTask]) -> tuple[list[str], list[str]]:
    """Return the files of kernels with which tasks are compiled, and the drivers."""
    found: set[str] = set()
    for task in tasks:
        expand(task.unit, read, found)
    found.discard("ptx.cuh")  # the emulator's own
    drivers = sorted(x for x in found if (DRIVERS / x).is_file())
    return sorted(found - set(drivers)), drivers


def emptied(tasks: Iterable[KernelTask]) -> dict[str, dict[str, str]]:
    """Return the regions that go, each with what stands in its place, by the file."""
    found: dict[str, dict[str, str]] = {}
    for task in tasks:
        for regions_, stub in ((task.targets, task.stub), (task.also, task.stand_in or task.stub)):
            for file, some in names(regions_).items():
                found.setdefault(file, {}).update(dict.fromkeys(some, stub))
    return found
