"""The mutants' own proof: one of every table is killed here, all of them by `make proof`."""

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.mutants import command, runner
from tests.mutants.mutant import Mutant
from tests.mutants.tables import MUTANTS, TABLES

KILLER = "tests/attention/test_attention.py::test_default_scale_is_one_over_root_of_head_size"
HARMLESS = Mutant("harmless", "step01_numpy.attention:scale_or_default", "1 /", "1.0 /", KILLER)
NEVER_RUN = Mutant("never run", "step01_numpy.attention:scale_or_default", "1 /", "2 /", KILLER + "_at_all")
NOWHERE = Mutant("nowhere", "step01_numpy.attention:scale_or_default", "no such text", "", KILLER)


def run(*words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env=environment
    )


@pytest.fixture
def told(monkeypatch, capsys):
    """Call the command with mutants that are said to die, or not; return exit status, output and errors."""

    def call(*arguments, survivors=()):
        def result(mutant):
            return runner.Result("SURVIVED" if mutant.name in survivors else "killed", 0.1)

        monkeypatch.setattr(command, "result", result)
        try:
            status = command.main(arguments)
        except SystemExit as error:
            status = error.code
        return status, *capsys.readouterr()

    return call


def test_one_of_every_table_is_killed():
    done = run("-m", "tests.mutants", "--sample")
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    assert [line[:9] for line in lines] == ["killed   "] * len(TABLES)
    assert last == f"0 of {len(TABLES)} survived"
    assert f"{len(TABLES)} of {len(TABLES)} mutants" in done.stderr


@pytest.mark.proof
def test_what_is_not_killed_is_told():
    """In a process of its own: pytest within pytest would share its plugins."""
    names = "HARMLESS, NEVER_RUN, NOWHERE"
    script = f"from tests.mutants.test_mutants import {names}; from tests.mutants.command import run_all\n"
    done = run("-c", f"{script}run_all([{names}])")
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stdout + done.stderr
    assert lines[0] == f"SURVIVED {HARMLESS.line}"
    assert lines[1].startswith("NOT RUN (")
    assert "ERROR: not found: " in lines[1]
    assert lines[2].startswith(
        "NOT APPLIED (nowhere: step01_numpy.attention:scale_or_default has no 'no such"
    )


def test_the_code_is_whole_again():
    import step01_numpy.attention as attention

    function = attention.scale_or_default
    before = inspect.unwrap(function).__code__
    with runner.applied(HARMLESS):
        assert inspect.unwrap(function).__code__ is not before
    assert attention.scale_or_default is function
    assert inspect.unwrap(function).__code__ is before


def test_names_choose_what_is_run(told):
    status, out, _ = told("softcap")
    assert status == 0
    lines = out.splitlines()
    assert len(lines) - 1 == sum("softcap" in mutant.line for mutant in MUTANTS) > 3
    assert all("softcap" in line for line in lines[:-1])
    assert len(told("softcap", "16-bit sums")[1].splitlines()) == len(lines) + sum(
        "16-bit sums" in mutant.line for mutant in MUTANTS
    )
    assert len(told()[1].splitlines()) == len(MUTANTS) + 1


def test_a_survivor_fails_the_run(told):
    status, out, errors = told("no scale", survivors=["no scale"])
    n = sum("no scale" in mutant.line for mutant in MUTANTS)
    assert status == 1
    assert out.startswith("SURVIVED no scale ")
    assert out.endswith(f"\n1 of {n} survived\n")
    assert f"{n} of {n} mutants" in errors
    assert told("no scale")[0] == 0


@pytest.mark.parametrize("names", [["zebra"], ["no scale", "zebra"]])
def test_a_name_of_nothing_is_a_mistake(told, names):
    status, out, errors = told(*names, survivors=["no scale"])
    assert (status, out) == (2, "")
    assert "no mutant's line holds 'zebra'; --list prints them all" in errors


def test_help_says_how_and_runs_nothing(told):
    status, out, _ = told("--help")
    assert status == 0
    assert "NAME" in out
    assert "killed" not in out.split("positional arguments")[1]


def test_list_runs_nothing(told):
    status, out, _ = told("--list", survivors=[mutant.name for mutant in MUTANTS])
    assert status == 0
    assert out.splitlines() == [mutant.line for mutant in MUTANTS]
    assert told("--list", "--sample")[1].splitlines() == [table[0].line for table in TABLES.values()]


def test_names_are_distinct():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_table_has_mutants():
    assert all(len(table) >= 3 for table in TABLES.values())
    assert len(MUTANTS) >= 400


def test_every_table_is_in_the_list():
    """A table that is written and not listed would never be run."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        module = import_module(f"tests.mutants.{path.stem}") if path.stem != "__main__" else None
        for name, value in vars(module).items() if module else ():
            if name.isupper() and isinstance(value, list) and value and isinstance(value[0], Mutant):
                found.append(value)
    assert {id(table) for table in TABLES.values()} == {id(x) for x in found if x is not MUTANTS}


def root_of(_mutant):
    return os.environ["PYTEST_DEBUG_TEMPROOT"]


@pytest.mark.proof
def test_processes_keep_their_files_apart_and_leave_none(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(command, "result", root_of)
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", "")  # it comes back
    roots = [Path(found[1]) for found in command.results(MUTANTS[:9], jobs=2) if found]
    assert len(roots) == 9
    assert {root.parent.parent for root in roots} == {tmp_path}
    assert not list(tmp_path.iterdir())
    command.have_a_root(str(tmp_path))
    first = os.environ["PYTEST_DEBUG_TEMPROOT"]
    command.have_a_root(str(tmp_path))
    assert os.environ["PYTEST_DEBUG_TEMPROOT"] != first
