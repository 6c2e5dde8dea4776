"""The GPU check: its report is right about the times it is given, and a rehearsal goes through all of it."""

import re
from importlib import import_module

import pytest
import torch

import step01_numpy
import step03_gpu
from step01_numpy.common.commands.command_line import main
from step03_gpu import check
from step03_gpu.check import benchmark, contestants, measure, report, suite
from step03_gpu.check.measure import Case, Row

CASE = Case("bfloat16", (4, 16), 8192, 128, False)
ROWS = [
    Row("SDPA flash", CASE, "forward", 6.0, 1e-3),
    Row("rung 5", CASE, "forward", 8.0, 2e-3),
    Row("SDPA flash", CASE, "backward", 20.0, 1e-3),
    Row("rung 5", CASE, "backward", 50.0, 2e-3),
]


def run(*arguments):
    options = {
        "below": ("step01_numpy", "step02_torch"),
        "models": step01_numpy,
        "commands": {"check": check},
    }
    return main(step03_gpu, ["check", *map(str, arguments)], **options)


def test_rates_count_what_the_mathematics_needs():
    flop = 4 * 64 * 8192**2 * 128
    assert ROWS[0].tflops == pytest.approx(flop / 6e-3 / 1e12)
    assert ROWS[2].tflops == pytest.approx(2.5 * flop / 20e-3 / 1e12)
    assert CASE._replace(causal=True).flop("forward") == flop / 2


def test_the_table_gives_shares_and_ratios():
    cells = [cell.strip() for cell in report.table(ROWS, {"bfloat16": 800.0}).splitlines()[3].split("|")]
    assert cells[1:7] == ["rung 5", "forward", "8", "275", "34.4", "0.75"]
    assert cells[7:10] == ["", "", ""]  # backends that were not measured
    assert cells[10] == "2.0e-03"


def test_goals_are_reached_missed_or_not_measured():
    forward, backward, triton = report.verdicts(ROWS, report.GOALS)
    assert forward.endswith("0.75, reached")
    assert backward.endswith("0.40, **missed**")
    assert triton.endswith("not measured")


def test_the_report_is_a_file_named_after_the_card(tmp_path):
    path = report.write("text", tmp_path / "new", "NVIDIA H100 80GB HBM3")
    assert path == tmp_path / "new" / "nvidia-h100-80gb-hbm3.md"
    assert path.read_text() == "text"


def test_an_error_that_is_no_number_is_infinite():
    x = [torch.zeros(3)]
    assert measure.error(x, [torch.full((3,), torch.nan)]) == float("inf")
    assert measure.error(x, [torch.tensor([0.0, -2.0, 1.0])]) == 2.0


def test_what_is_compared_runs_turn_by_turn():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert set(measure.interleave(runs, "cpu")) == {"a", "b"}
    assert "".join(calls) == "aabb" + measure.AT_MOST * "ab"


@pytest.mark.grid
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("causal", [False, True])
def test_every_contestant_computes_attention(dtype, causal):
    case = Case(dtype, (1, 2), 33, 32, causal)
    rows, _ = measure.measure(case, "cpu", lambda name: name not in ("rung 2", "rung 4"))
    expected = {"SDPA flash", "SDPA math", "array operations", "rung 1", "rung 3"}
    assert {row.contestant for row in rows} >= expected | ({"rung 5"} if dtype == "bfloat16" else set())
    assert max(row.error for row in rows) < (1e-5 if dtype == "float32" else 5e-2)


def test_a_kernel_counts_for_one_rung():
    own = {name: x.directions for name, x in contestants.contestants("bfloat16").items() if "rung" in name}
    assert own == {
        "rung 1": ("forward",),
        "rung 2": ("forward",),
        "rung 3": ("forward",),
        "rung 4": ("backward",),
        "rung 5": ("forward", "backward"),
    }


def test_a_wrong_contestant_shows_a_large_error(monkeypatch):
    def upside_down(q, k, v, causal):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v.flip(-2))

    wrong = {"wrong": contestants.of_tensors(upside_down)}
    monkeypatch.setattr(measure, "contestants", lambda dtype: wrong)
    rows, _ = measure.measure(Case("float32", (1, 1), 33, 32, False), "cpu")
    assert min(row.error for row in rows) > 0.1


def test_what_refuses_is_told(monkeypatch):
    def refuse(*_):
        raise RuntimeError("no such card\nat line 7")

    monkeypatch.setattr(measure, "contestants", lambda dtype: {"broken": contestants.of_tensors(refuse)})
    monkeypatch.setattr(measure, "release", lambda device: None)
    rows, refused = measure.measure(Case("float32", (1, 1), 5, 32, False), "cpu")
    assert (rows, refused) == ([], {"broken": "no such card"})


def test_a_rehearsal_prints_the_whole_report(capsys):
    assert run("--rehearse", "--no-tests") == 0
    said = capsys.readouterr().out
    assert said.startswith("# Rehearsal")
    assert [part.title for part in benchmark.rehearsal()] == re.findall(r"^### (.*)$", said, re.MULTILINE)
    assert "| rung 3 | forward |" in said
    assert "rung 5 forward: at least 0.6 times the speed of SDPA flash: " in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and the check would run on it")
def test_without_a_gpu_one_line_says_so(capsys):
    assert run() == 2
    assert "check needs a GPU that both PyTorch and CuPy see" in capsys.readouterr().err


@pytest.mark.parametrize(("body", "passed"), [("assert True", True), ("assert 1 == 2", False)])
def test_the_suite_tells_what_failed(monkeypatch, tmp_path, body, passed):
    folder = tmp_path / "tests"
    (folder / "attention").mkdir(parents=True)
    (folder / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--stage')\n")
    (folder / "attention" / "test_softmax.py").write_text(f"def test_it():\n    {body}\n")
    monkeypatch.setattr(suite, "TESTS", folder)
    found, summary = suite.run_tests(60)
    assert found is passed
    assert ("1 passed" in summary) is passed
    assert ("FAILED tests/attention/test_softmax.py::test_it" in summary) is not passed


def test_the_suite_is_stopped_in_time(monkeypatch, tmp_path):
    folder = tmp_path / "tests"
    (folder / "attention").mkdir(parents=True)
    (folder / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--stage')\n")
    (folder / "attention" / "test_masks.py").write_text("import time\ntime.sleep(30)\n")
    monkeypatch.setattr(suite, "TESTS", folder)
    assert suite.run_tests(1) == (False, "not finished within 1 s")


def test_every_test_file_of_the_suite_exists():
    assert [name for name in suite.STAGED + suite.OWN if not (suite.TESTS / name).exists()] == []


def test_the_command_is_step03s_alone(capsys):
    assert import_module("step01_numpy.__main__")
    assert main(step01_numpy, ["check"]) == 2
