"""The suite's own proof: it catches every classic mistake."""

import subprocess
import sys

from tests.mutants.runner import MUTANTS


def test_every_mutant_is_killed():
    assert len(MUTANTS) >= 25
    run = subprocess.run([sys.executable, "-m", "tests.mutants"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert run.stdout.count("killed  ") == len(MUTANTS)


def test_names_are_distinct():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
