"""`python -m tests.proof`: every case of every grid, every mutant, some fuzz; prints a table."""

import argparse
import subprocess
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

TIMED = ["tests/explorer/test_time.py"]  # all that is marked `alone`


class Results:
    """A plugin of pytest that counts what became of the cases of each test, and their seconds."""

    def __init__(self):
        self.outcomes, self.seconds = defaultdict(Counter), Counter()

    def pytest_runtest_logreport(self, report):
        test = report.nodeid.split("[")[0]
        self.seconds[test] += report.duration
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[test][report.outcome] += 1


def grids(jobs):
    """Run the grids, then what measures a time; return whether all passed, rows: what, how many, seconds."""
    results = Results()
    # One more than there are cores: a test waits much of its time, for a browser or an attack's deadline.
    workers = ["-n", str(jobs + 1), "--dist", "worksteal"] if jobs > 1 else []
    codes = [pytest.main(["-m", "grid or proof", *workers], plugins=[results])]
    codes.append(pytest.main(["-m", "alone", *TIMED], plugins=[results]))
    rows = []
    for test, outcomes in sorted(results.outcomes.items()):
        counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items(), key=str))
        rows.append((test.removeprefix("tests/"), counts, results.seconds[test]))
    return all(code == pytest.ExitCode.OK for code in codes), rows


def fuzz():
    """Draw hostile inputs, for half a minute, in a process of its own, whose memory is limited."""
    start = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz", "--minutes", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row = ("fuzz", "no fault" if done.returncode == 0 else "FAULTS", time.monotonic() - start)
    return done.returncode == 0, row, done.stdout + done.stderr


def mutants(jobs):
    """Run the mutants; return whether all were killed, and the rows of the table."""
    from tests.mutants.command import run_all  # only now: pytest wants to be first to import what it tests
    from tests.mutants.tables import MUTANTS, TABLES

    found = run_all(MUTANTS, jobs + 1 if jobs > 1 else 1)  # a mutant waits, too, for a compiler or a child
    rows = []
    for name, table in TABLES.items():
        killed = sum(found[mutant.name].verdict == "killed" for mutant in table)
        seconds = sum(found[mutant.name].seconds for mutant in table)
        rows.append((f"mutants: {name}", f"{killed} of {len(table)} killed", seconds))
    return all(x.verdict == "killed" for x in found.values()), rows


def main():
    parser = argparse.ArgumentParser("python -m tests.proof", description=__doc__)
    parser.add_argument("-j", "--jobs", type=int, default=2, metavar="N", help="processes side by side (2)")
    jobs, start = parser.parse_args().jobs, time.monotonic()
    with ThreadPoolExecutor() as beside:
        fuzzing = beside.submit(fuzz)
        passed, rows = grids(jobs)
        fuzzed, fuzz_row, said = fuzzing.result()
    if not fuzzed:
        print(said)
    all_killed, more = mutants(jobs)
    more = [fuzz_row, *more]
    for what, counts, seconds in [*rows, *more]:
        print(f"{what:88} {counts:>24} {seconds:7.1f} s")
    ok = passed and all_killed and fuzzed
    minutes = (time.monotonic() - start) / 60
    print(f"{'proven' if ok else 'NOT PROVEN'}, in {minutes:.1f} minutes")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
