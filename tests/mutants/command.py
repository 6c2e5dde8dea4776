"""The command line of the mutants: which are run, by how many processes, and what is told of them."""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from tempfile import TemporaryDirectory, mkdtemp

import tests.conftest  # noqa: F401  (as in each of the processes: the shape checker, one thread of BLAS)
from tests.mutants.runner import result
from tests.mutants.tables import TABLES
from tests.progress import Progress

DESCRIPTION = """
Put each classic wrong formula into the code, and see that the test named for it fails. A line for every
mutant: what became of it, its name, where it goes, the test. Exit status: 0 all are killed, 1 one survives or
cannot be put in, 2 nothing has the name.
"""


def parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser("python -m tests.mutants", description=DESCRIPTION)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only those whose line holds one of these words"
    )
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="processes side by side (1)")
    parser.add_argument("--sample", action="store_true", help="only the first of each table")
    parser.add_argument("--list", action="store_true", help="print the lines and run nothing")
    return parser


def selected(names, sample=False):
    """Return the mutants whose line holds one of the words, or all; as a sample, the first of each table."""
    tables = [
        [x for x in table if not names or any(name in x.line for name in names)] for table in TABLES.values()
    ]
    return [mutant for table in tables for mutant in (table[:1] if sample else table)]


def results(mutants: list, jobs: int = 1) -> Iterator[tuple]:
    """Yield (mutant, what became of it) as it is known, None after 10 s without; with one job, stay here."""
    if jobs == 1:
        yield from ((mutant, result(mutant)) for mutant in mutants)
        return
    with (
        TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as root,
        ProcessPoolExecutor(jobs, get_context("spawn"), have_a_root, (root,)) as pool,
    ):
        waiting = {pool.submit(result, mutant): mutant for mutant in mutants}
        while waiting:
            done, _ = wait(waiting, timeout=10, return_when=FIRST_COMPLETED)
            yield from ((waiting.pop(future), future.result()) for future in done)
            if not done:
                yield None


def have_a_root(folder: str) -> None:
    """Keep this process's temporary files apart: where several remove what is old, one fails now and then."""
    os.environ["PYTEST_DEBUG_TEMPROOT"] = mkdtemp(dir=folder)


def run_all(mutants: list, jobs: int = 1) -> dict:
    """Run mutants and print a line for each; return what became of each, by name."""
    progress, found = Progress(len(mutants), "mutants"), {}
    for finished in results(mutants, jobs):
        if finished:
            mutant, each = finished
            found[mutant.name] = each
            progress.clear()
            print(f"{each.verdict:8} {mutant.line}", flush=True)
        survivors = sum(x.verdict != "killed" for x in found.values())
        progress.show(len(found), f", {survivors} survived")
    progress.clear()
    return found


def main(arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    command = parser()
    options = command.parse_args(arguments)
    for name in options.names:
        if not selected([name]):
            command.error(f"no mutant's line holds {name!r}; --list prints them all")
    mutants = selected(options.names, options.sample)
    if options.list:
        print(*(mutant.line for mutant in mutants), sep="\n")
        return 0
    found = run_all(mutants, options.jobs)
    survivors = sum(x.verdict != "killed" for x in found.values())
    print(f"{survivors} of {len(found)} survived")
    return 1 if survivors else 0
