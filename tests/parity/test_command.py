"""`parity --stage PACKAGE`, from a folder that is not ours, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from step01_numpy.common.commands.command_line import main
from step01_numpy.common.parity.cases import CASES
from tests.parity import attention_by_hand

ROOT = Path(__file__).parent.parent.parent
MINE = (
    Path(attention_by_hand.__file__)
    .read_text()
    .replace("def attention(", "def scaled_dot_product_attention(")
)


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run the command in a folder where a package `name` has this source; return code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [x for x in sys.path if x])  # as where Python runs with -P

    def run(name, source, *arguments):
        import step01_numpy

        (tmp_path / f"{name}.py").write_text(source)
        code = main(step01_numpy, ["parity", "--stage", name, *arguments])
        sys.modules.pop(name, None)
        return code, *capsys.readouterr()

    return run


def test_from_any_folder_in_a_process_of_its_own(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    command = [
        sys.executable,
        "-m",
        "step01_numpy",
        "parity",
        "--stage",
        "mine",
        "--only",
        "attention",
        "--json",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [row["operation"] for row in rows] == [x.operation for x in CASES if x.family == "attention"]
    assert {row["forward"]["status"] for row in rows} == {"equal", "not offered"}
    assert [row["gradient"]["status"] for row in rows[:2]] == ["equal", "not offered"]
    assert rows[1]["gradient"]["text"] == "mine.attention_backward takes no mask"
    assert {(row["stage"], row["reference"], row["passed"]) for row in rows} == {
        ("mine", "step01_numpy", True)
    }


def test_it_passes(run):
    code, out, err = run("mine_right", MINE, "--only", "attention", "softmax_", "softmax")
    assert (code, out) == (2, "")
    assert "'softmax_' is no operation" in err
    code, out, err = run("mine_right", MINE, "--only", "attention")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "all 8 comparisons are within tolerance, 6 are not offered"


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [
        ("mine_misspelt", MINE.replace("dot_product", "dotproduct"), "(it has scaled_dotproduct_attention)"),
        ("mine_empty", "", "missing: mine_empty has no scaled_dot_product_attention"),
        ("mine_wrong", MINE.replace("np.tril", "np.triu"), "(mine_wrong), forward: out["),
        (
            "mine_raising",
            MINE.replace("if causal", "if causal and nothing"),
            "raised NameError: name 'nothing'",
        ),
    ],
)
def test_it_fails(run, name, source, told):
    code, out, err = run(name, source, "--only", "attention")
    assert (code, err) == (1, "")
    assert told in " ".join(out.split())


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [
        ("mine_broken", "def f(:", "SyntaxError"),
        ("mine_importing", "import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("mine_leaving", "raise SystemExit('bye')", "SystemExit: bye"),
        ("mine.not.there", "", "No module named 'mine"),
    ],
)
def test_a_package_that_cannot_be_imported(run, name, source, told):
    code, out, err = run(name, source)
    assert (code, out) == (2, "")
    assert err.startswith(f"python -m step01_numpy parity: error: the package '{name}' cannot be imported: ")
    assert told in err
    assert err.count("\n") == 1
