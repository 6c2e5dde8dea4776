"""What of a grid remains in `make test`: every value of every parameter, or every pair, in few cases."""

import os
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import pytest

from tests.grids import sample
from tests.proof import TIMED

ROOT = Path(__file__).parent.parent.parent
AXES = [[("stage", x) for x in range(4)], [("size", x) for x in range(6)], [("dtype", x) for x in range(3)]]
GRID = list(product(*AXES))


@pytest.mark.parametrize(("size", "most"), [(1, 6), (2, 30)])
def test_every_set_of_values_remains(size, most):
    chosen = [GRID[i] for i in sample(GRID, size)]
    assert {x for case in chosen for x in combinations(case, size)} == {
        x for case in GRID for x in combinations(case, size)
    }
    assert len(chosen) <= most


def test_one_parameter_loses_no_value():
    assert (
        sample([[("x", i)] for i in range(5)], 1)
        == sample([[("x", i)] for i in range(5)], 2)
        == set(range(5))
    )


def test_holes_in_a_grid_do_no_harm():
    cases = [case for case in GRID if case[0][1] != case[1][1]]
    assert len(sample(cases, 1)) == 6


def test_every_process_chooses_alike():
    assert sample(GRID, 2) == sample([[(name, str(x)) for name, x in case] for case in GRID], 2)


SUITE = """
import pytest
@pytest.mark.grid
@pytest.mark.parametrize("x", [[1], [2]])
@pytest.mark.parametrize("y", "abc")
def test_it(x, y): pass
def test_other(): pass
@pytest.mark.proof
def test_long(): pass
"""


@pytest.mark.parametrize(
    ("chosen", "figures"),
    [
        ("not proof", "4 passed, 4 deselected"),
        ("proof", "4 passed, 4 deselected"),
        ("grid or proof", "7 passed, 1 deselected"),
        ("", "8 passed"),
    ],
)
def test_a_grid_is_shared_between_test_and_proof(tmp_path, chosen, figures):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    grid\n    proof\n")
    (tmp_path / "conftest.py").write_text("from tests.grids import pytest_collection_modifyitems")
    (tmp_path / "test_it.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-m", chosen, str(tmp_path)]
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # what is installed takes seconds to import
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert figures in done.stdout, done.stdout + done.stderr


def test_the_proof_runs_all_that_is_marked_alone():
    mark = "pytest.mark." + "alone"
    assert [
        str(x.relative_to(ROOT)) for x in sorted((ROOT / "tests").rglob("test_*.py")) if mark in x.read_text()
    ] == TIMED
