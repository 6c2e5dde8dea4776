"""What README says of the oracle, run as it stands there."""

import re
import sys
from pathlib import Path

import pytest

import step01_numpy
from step01_numpy.common.commands.command_line import main

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Use it as an oracle")[2].partition("\n## ")[0]
FUNCTION, PACKAGE = re.findall(r"```python\n(.*?)```", SECTION, re.S)


def test_two_plain_functions(capsys):
    assert len([line for line in FUNCTION.splitlines() if line]) <= 10
    scope = {}
    exec(FUNCTION, scope)
    told = capsys.readouterr().out
    assert "attention, nothing visible (attention), forward: out[" in told
    assert told.splitlines()[-1].startswith("1 of 14 are out of tolerance")
    rows = scope["check_attention"](scope["attention"])
    assert [row.operation for row in rows if row.forward.status == "differs"] == [
        "attention, nothing visible"
    ]


@pytest.mark.parametrize("dropped", [None, "Array, from_numpy"])
def test_a_package(tmp_path, monkeypatch, capsys, dropped):
    lines = [line for line in PACKAGE.splitlines() if dropped is None or dropped not in line]
    assert len(lines) == len(PACKAGE.splitlines()) - (dropped is not None)
    (tmp_path / "mine.py").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"python -m step01_numpy (parity .*)", SECTION)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert main(step01_numpy, command.split()) == 0
    sys.modules.pop("mine")
    told = capsys.readouterr().out
    assert re.search(r"attention, plain +\S+e\S+ +\S+e-1\d\n", told)
    assert told.splitlines()[-1] == "all 2 comparisons are within tolerance, 12 are not offered"
