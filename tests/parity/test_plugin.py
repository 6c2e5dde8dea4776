"""`pytest --stage PACKAGE`: outside this repository a test for each verdict, inside it the suite's own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from step01_numpy.common.parity.signatures import NotOffered
from tests import conftest
from tests.parity import attention_by_hand

ROOT = Path(__file__).parent.parent.parent
RIGHT = (
    Path(attention_by_hand.__file__)
    .read_text()
    .replace("def attention(", "def scaled_dot_product_attention(")
)
OPTIONS = "q, k, v, out, weights"
RIGHT = RIGHT.replace(f"{OPTIONS})", f"{OPTIONS}, mask=None, causal=False)")
PLUGIN = ["-p", "no:attention_parity", "-p", "step01_numpy.common.parity.plugin"]  # installed or not


def run_pytest(folder, *arguments, path=()):
    """Run pytest in a folder, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--color=no",
        "-W",
        "error",
        *arguments,
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    """A folder with somebody's package, a test of his own that fails, and a torch not to be imported."""
    (tmp_path / "mine.py").write_text(RIGHT)
    (tmp_path / "test_other.py").write_text("def test_other(): assert False")
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch is imported')")
    return tmp_path


# ---- outside -----------------------------------------------------------------------------------------------


def test_a_test_for_each_verdict(folder):
    done = run_pytest(folder, *PLUGIN, "--stage", "mine", "--only", "attention", "-v", "-rs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine::attention, causal, L > S: gradient PASSED" in done.stdout
    assert "16 passed, 12 skipped" in done.stdout
    assert "mine.scaled_dot_product_attention takes no window" in done.stdout
    assert "test_other" not in done.stdout


def test_what_is_missing_is_skipped_by_its_name(folder):
    done = run_pytest(folder, *PLUGIN, "--stage", "mine", "-rs")
    assert done.returncode == 0, done.stdout
    assert "18 passed, 112 skipped" in done.stdout
    assert "mine has no flash_attention" in done.stdout


def test_a_wrong_gradient_fails_gradients_alone(folder):
    (folder / "mine.py").write_text(RIGHT.replace("(d_weights - (d_weights", "(d_weights + 0 * (d_weights"))
    done = run_pytest(folder, *PLUGIN, "--stage", "mine", "--only", "attention", "--only", "softmax", "-rf")
    assert done.returncode == 1
    failed = re.findall(r"^FAILED (.*?) - ", done.stdout, re.M)
    assert len(failed) == 9
    assert all(name.endswith(": gradient") for name in failed)
    assert re.search(r"d_scores\[\d, \d, \d\] is \S+; expected \S+$", done.stdout, re.M)
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("source", "arguments", "told"),
    [
        ("", [], "mine has none of the names that were looked for: softmax, log_sum_exp, linear"),
        (
            RIGHT.replace("dot_prod", "dotprod"),
            ["--only", "attention"],
            "looked for: scaled_dot_product_attention",
        ),
        ("import nowhere_to_be_found", [], "the package 'mine' cannot be imported: ModuleNotFoundError"),
        (RIGHT, ["--only", "atention"], "'atention' is no operation"),
    ],
)
def test_what_cannot_be_compared_is_an_error_in_one_line(folder, source, arguments, told):
    (folder / "mine.py").write_text(source)
    done = run_pytest(folder, *PLUGIN, "--stage", "mine", *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.startswith("ERROR: ")
    assert told in done.stderr
    assert done.stderr.strip().count("\n") == 0


@pytest.mark.proof
def test_tests_that_are_asked_for_run_too(folder):
    done = run_pytest(folder, *PLUGIN, "--stage", "mine", "--only", "softmax", "test_other.py", "-n", "2")
    assert "1 failed, 2 passed, 2 skipped" in done.stdout
    assert "1 failed in" in run_pytest(folder, *PLUGIN).stdout


# ---- inside ------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(folder):
    """The same folder, where the suite's own torch can be imported."""
    (folder / "torch.py").unlink()
    return folder


def test_only_what_concerns_the_package_is_collected(elsewhere):
    folders = [f"tests/{name}" for name in ("attention", "house")]
    done = run_pytest(ROOT, "--stage", "mine", "--collect-only", *folders, path=[elsewhere])
    names = [line for line in done.stdout.splitlines() if "::" in line]
    assert len(names) > 300
    assert [name for name in names if "mine" not in name] == []
    assert [name for name in names if "test_fused_linear.py" in name or "test_bad_input" in name] == []
    assert "tests/attention/test_softmax.py::test_rows_sum_to_one[mine]" in names


def test_what_it_does_not_offer_is_skipped_by_name(elsewhere):
    tests = [
        "tests/parity/test_parity.py",
        "tests/attention/test_heads.py",
        "tests/attention/test_merge.py",
    ]
    done = run_pytest(ROOT, "--stage", "mine", "-rs", *tests, path=[elsewhere])
    assert done.returncode == 0, done.stdout
    assert re.search(r"^9 passed, \d+ skipped, \d+ deselected", done.stdout, re.M), done.stdout
    for name in ("flash_attention", "MultiHeadAttention", "record", "merge_attention"):
        assert f"mine has no {name}" in done.stdout
    assert "mine.scaled_dot_product_attention takes no window" in done.stdout


@pytest.mark.proof
def test_a_package_that_offers_nothing_is_an_error(elsewhere):
    (elsewhere / "mine.py").write_text("")
    done = run_pytest(ROOT, "--stage", "mine", "tests/parity", path=[elsewhere])
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "mine has none of the names that were looked for" in done.stderr


def met(error, package, stage):
    """Let a test of a stage raise while a package was asked for; return what comes of it."""
    config = SimpleNamespace(getoption=lambda name: [package])
    item = SimpleNamespace(config=config, callspec=SimpleNamespace(params={"stage": stage}))
    running = conftest.skip_what_is_not_offered(item)
    next(running)
    with pytest.raises((pytest.skip.Exception, AttributeError)) as found:
        running.throw(error)
    return found.type


def test_our_own_stages_skip_nothing():
    missing = NotOffered("mine has no softmax")
    assert met(missing, "mine", "mine") is pytest.skip.Exception
    assert met(missing, "mine", "step01_numpy") is NotOffered
    for own in (*conftest.STAGES, conftest.RUNGS):
        assert met(missing, own, own) is NotOffered


def test_what_a_package_misses_in_itself_is_no_skip(monkeypatch):
    package = type(sys)("mine")
    monkeypatch.setitem(sys.modules, "mine", package)
    exec("def broken(package):\n    return package.softmx", package.__dict__)
    with pytest.raises(AttributeError) as ours:
        _ = package.softmx
    assert met(ours.value, "mine", "mine") is pytest.skip.Exception
    with pytest.raises(AttributeError) as theirs:
        package.broken(package)
    assert met(theirs.value, "mine", "mine") is AttributeError
