"""The GPU check: its report is right about what it is given, and whatever fails leaves the rest standing."""

import json
import re
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
import torch

import step01_numpy
import step03_gpu
from step01_numpy.common.commands.command_line import main
from step03_gpu import check
from step03_gpu.check import benchmark, contestants, measure, report, runner, suite
from step03_gpu.check.case import Case, Row
from step03_gpu.check.device import AHEAD, MOST_AHEAD, Gpu, Host
from step03_gpu.check.measure import Measured
from step03_gpu.check.parts import parts
from step03_gpu.check.runner import Outcome, Part, run_part
from step03_gpu.check.telling import Lost, Tell

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
    assert CASE._replace(n_queries=1).flop("forward") == flop / 8192


def test_one_query_is_compared_with_all_keys():
    case = Case("float32", (1, 2), 33, 32, False, 1)
    assert [x.shape[2] for x in measure.draw(case, "cpu")] == [1, 33, 33, 1]
    rows, _, failed = measure.measure(case, Host(), lambda name: name in ("decoding", "rung 3"))
    assert [(row.contestant, row.direction) for row in rows] == [
        ("rung 3", "forward"),
        ("decoding", "forward"),
    ]
    assert not failed
    assert all(row.right for row in rows)


def test_the_table_gives_shares_and_ratios():
    cells = [cell.strip() for cell in report.table(ROWS, {"bfloat16": 800.0}).splitlines()[3].split("|")]
    assert cells[1:7] == ["rung 5", "forward", "8", "275", "34.4", "0.75"]
    assert cells[7:10] == ["", "", ""]  # backends that were not measured
    assert cells[10:13] == ["2.0e-03", "inf", "0.00"]


def test_goals_are_reached_missed_or_not_measured():
    forward, backward, triton = report.verdicts(ROWS, report.GOALS + report.GOALS_TRITON)
    assert forward.endswith("0.75, reached")
    assert backward.endswith("0.40, **missed**")
    assert triton.endswith("not measured")


def test_a_wrong_kernel_has_reached_no_goal():
    wrong = [row._replace(error=1.0, allowed=0.1) for row in ROWS]
    assert "**wrong**" in report.verdicts(wrong, report.GOALS)[0]
    assert "| **1.0e+00** | 1.0e-01 |" in report.table(wrong, {"bfloat16": 800.0})
    assert not ROWS[0]._replace(error=float("nan"), allowed=1.0).right


def test_parts_of_a_report_are_found_again():
    found = {"first": "## First\n\ntext", "tests-rungs": "## Tests\n\n| a |"}
    assert report.sections(report.joined("# A card\n\ntoday", found)) == found


def test_the_report_is_a_file_named_after_the_card(tmp_path):
    path = report.write("text", tmp_path / "new", "NVIDIA H100 80GB HBM3")
    assert path == tmp_path / "new" / "nvidia-h100-80gb-hbm3.md"
    assert path.read_text() == "text"


def test_an_error_that_is_no_number_is_infinite():
    x = [torch.zeros(3)]
    assert measure.error(x, [torch.full((3,), torch.nan)]) == float("inf")
    assert measure.error(x, [torch.tensor([0.0, -2.0, 1.0])]) == 2.0


def nothing():
    return Measured([], {}, {})


def test_what_is_compared_runs_turn_by_turn():
    calls = []
    runs = {(name, "forward"): lambda name=name: calls.append(name) for name in "ab"}
    assert set(measure.interleave(runs, Host(), nothing())) == set(runs)
    assert "".join(calls) == "aabb" + measure.AT_MOST * "ab"


def test_what_fails_while_it_is_timed_is_out_and_the_others_go_on():
    calls, found = [], nothing()

    def breaks():
        calls.append("a")
        if len(calls) > 4:
            raise AssertionError("at last")

    runs = {("a", "forward"): breaks, ("b", "forward"): lambda: calls.append("b")}
    measure.interleave(runs, Host(), found)
    assert found.failed == {"a": "AssertionError: at last"}
    assert calls.count("b") == 2 + measure.AT_MOST


@pytest.mark.grid
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("causal", [False, True])
def test_every_contestant_computes_attention(dtype, causal):
    case = Case(dtype, (1, 2), 33, 32, causal)
    rows, _, failed = measure.measure(case, Host(), lambda name: name not in ("rung 2", "rung 4"))
    assert not failed
    assert all(row.right for row in rows)
    expected = {"SDPA flash", "SDPA math", "array operations", "rung 1", "rung 3"}
    assert {row.contestant for row in rows} >= expected | ({"rung 5"} if dtype == "bfloat16" else set())
    assert max(row.error for row in rows) < (1e-5 if dtype == "float32" else 5e-2)


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed: make triton")
@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU Triton computes bfloat16")
def test_why_triton_is_missing_is_said():
    found = measure.measure(Case("bfloat16", (1, 1), 33, 32, False), Host(), lambda name: name == "Triton")
    assert found == ([], {"Triton": ANY}, {})
    assert "Triton's interpreter" in found.refused["Triton"]


def test_a_kernel_counts_for_one_rung():
    own = {name: x.directions for name, x in contestants.contestants("bfloat16").items() if "rung" in name}
    assert own == {
        "rung 1": ("forward",),
        "rung 2": ("forward",),
        "rung 3": ("forward",),
        "rung 4": ("backward",),
        "rung 5": ("forward", "backward"),
        "rung 6": ("forward",),
    }


def test_a_wrong_contestant_shows_a_large_error(monkeypatch):
    def upside_down(q, k, v, causal):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v.flip(-2))

    wrong = {"wrong": contestants.of_tensors(upside_down)}
    monkeypatch.setattr(measure, "contestants", lambda dtype: wrong)
    rows, *_ = measure.measure(Case("float32", (1, 1), 33, 32, False), Host())
    assert min(row.error for row in rows) > 0.1
    assert not any(row.right for row in rows)


def test_errors_are_allowed_by_pytorchs_own(monkeypatch):
    """Four times its error; where it has none, four units in the last place of the largest number."""
    case = Case("float32", (1, 1), 5, 32, False)
    inputs = measure.draw(case, "cpu")
    expected = measure.reference(inputs, case.causal)
    (out,), gradients = expected["forward"], expected["backward"]
    peer = contestants.Contestant(
        lambda *_: (out[None, None] + 0.5, None), lambda *_: [x[None, None] for x in gradients]
    )
    monkeypatch.setattr(measure, "of_sdpa", lambda backend: peer)
    last_place = torch.finfo(torch.float32).eps * max(x.abs().max().item() for x in gradients)
    assert measure.allowed(inputs, case, expected) == pytest.approx(
        {"forward": 4 * 0.5, "backward": 4 * last_place}
    )


def test_a_wrong_contestant_fails_its_part(monkeypatch, tmp_path):
    """One of ours; what PyTorch computes is not for us to mend."""

    def upside_down(q, k, v, causal):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v.flip(-2))

    wrong = contestants.of_tensors(upside_down)._replace(directions=("forward",))
    monkeypatch.setattr(measure, "contestants", lambda dtype: {"wrong": wrong, "SDPA math": wrong})
    case = "float32", (1, 1), 33, 32, False
    benchmark.compare(Tell(tmp_path / "said"), "cpu", [("a case", case)], timed=False)
    said = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    (failure,) = [line["failed"] for line in said if "failed" in line]
    assert re.fullmatch(r"a case, wrong forward: error \S+, allowed \S+", failure)


@pytest.mark.parametrize(
    ("name", "error", "kind", "said"),
    [
        ("rung 3", RuntimeError("no such card\nat line 7"), "failed", "RuntimeError: no such card"),
        ("rung 3", MemoryError("3 TB"), "refused", "out of memory: 3 TB"),
        ("rung 3", torch.OutOfMemoryError("3 TB"), "refused", "out of memory: 3 TB"),
        (
            "rung 3",
            ValueError("rung 3 takes no such thing"),
            "refused",
            "ValueError: rung 3 takes no such thing",
        ),
        (
            "rung 3",
            type("CompileException", (Exception,), {})("line 1"),
            "failed",
            "CompileException: line 1",
        ),
        ("rung 3", AssertionError(), "failed", "AssertionError"),
        ("SDPA flash", RuntimeError("not on this card"), "refused", "RuntimeError: not on this card"),
    ],
)
def test_what_refuses_or_fails_is_told(monkeypatch, name, error, kind, said):
    def refuse(*_):
        raise error

    monkeypatch.setattr(measure, "contestants", lambda dtype: {name: contestants.of_tensors(refuse)})
    found = measure.measure(Case("float32", (1, 1), 5, 32, False), Host())
    assert found.rows == []
    assert {"refused": found.refused, "failed": found.failed}[kind] == {name: said}
    assert len(found.refused) + len(found.failed) == 1


def test_a_device_that_answers_no_more_is_told(monkeypatch):
    class Broken(Host):
        def wait(self):
            raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(
        measure, "contestants", lambda dtype: {"rung 5": contestants.of_tensors(lambda *_: None)}
    )
    with pytest.raises(Lost, match="rung 5"):
        measure.measure(Case("float32", (1, 1), 5, 32, False), Broken())


class Events:
    """PyTorch's events and sleep, of a GPU that Python needs `launching` clocks to launch a run on."""

    def __init__(self, launching):
        self.launching, self.slept, self.log = launching, 0, []

    def _sleep(self, clocks):
        self.slept = clocks
        self.log.append("sleep")

    def Event(self, enable_timing):
        return SimpleNamespace(
            record=lambda: self.log.append("event"),
            query=lambda: self.slept < self.launching,
            synchronize=lambda: None,
            elapsed_time=lambda end: 0.5,
        )


def test_a_gpu_is_kept_busy_until_its_queue_is_filled(monkeypatch):
    events = Events(3 * AHEAD)
    monkeypatch.setattr(torch, "cuda", events)
    gpu = Gpu()
    assert gpu.time(lambda: events.log.append("run")) == 0.5
    assert events.log == 2 * ["sleep", "event", "run", "event"]  # the first sleep was too short
    assert gpu.ahead == 4 * AHEAD
    monkeypatch.setattr(torch, "cuda", Events(10 * MOST_AHEAD))
    assert gpu.time(lambda: None) == 0.5  # one that nothing can fill, as of what waits itself, is measured so


# ---- parts -------------------------------------------------------------------------------------------------


def part(function, seconds=60, **options):
    return Part(function, function, seconds, f"tests.kernels.check_faults:{function}", options)


@pytest.mark.parametrize(
    ("function", "options", "failed"),
    [
        ("raises", {}, r"AssertionError: no such thing$"),
        ("exhausts_memory", {}, r"out of memory: wanted 3 TB$"),
        (
            "is_killed",
            {"name": "SIGKILL"},
            r"killed by SIGKILL in the midst of rung 4, which the system does where",
        ),
        ("is_killed", {"name": "SIGSEGV"}, r"killed by SIGSEGV in the midst of rung 4$"),
        ("exits", {}, r"ended with exit code 7: the driver's last words$"),
        ("no_such_function", {}, r"AttributeError: .*no_such_function"),
    ],
)
def test_a_part_that_ends_badly_says_how(function, options, failed):
    shown = []
    found = run_part(part(function, **options), 60.0, shown.append)
    assert len(found.failed) == 1
    assert re.search(failed, found.failed[0])
    assert f"- **failed**: {found.failed[0]}" in found.text
    assert ("before" in found.text) == ("before" in shown) == (function in ("raises", "is_killed"))


def test_a_part_that_hangs_is_stopped_with_all_that_it_has_started(tmp_path):
    start, note = time.monotonic(), tmp_path / "pid"
    found = run_part(part("hangs", 60, note=str(note)), 10.0, lambda text: None)
    assert time.monotonic() - start < 40
    assert found.failed == ["not finished within 10 s, in the midst of rung 5"]
    assert "before" in found.text
    time.sleep(0.2)
    stat = Path(f"/proc/{note.read_text()}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_part_goes_on_without_who_has_lost_the_device():
    found = run_part(part("loses_the_device"), 60.0, lambda text: None)
    assert "without rung 5" in found.text
    assert found.failed == ["rung 5: the device was lost; once more without it"]


def test_the_other_parts_run_and_the_report_is_written_after_each(tmp_path, capsys):
    chosen = [part("fails_here_and_there"), part("exits"), part("works")._replace(name="last")]
    (tmp_path / "a-card.md").write_text(report.joined("# A card", {"kept": "of before", "last": "old"}))
    assert check.run_all(part("works"), chosen, 5.0, tmp_path) == 1
    found = report.sections((tmp_path / "a-card.md").read_text())
    assert list(found) == ["kept", "last", "fails_here_and_there", "exits"]
    assert found["kept"] == "of before"
    assert "fine" in found["last"]
    assert "the rest" in found["fails_here_and_there"]
    assert "- **failed**: rung 3: error 1e-1, allowed 1e-3" in capsys.readouterr().out


def test_what_has_no_time_left_is_told(monkeypatch, tmp_path, capsys):
    clock, limits = [0.0], []

    def takes_40_s(part, seconds, show):
        clock[0] += 40
        limits.append(seconds)
        return Outcome(f"## {part.title}", [], "A card")

    monkeypatch.setattr(runner, "run_part", takes_40_s)
    monkeypatch.setattr(check, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    listed = [part("works")._replace(name=name, title=name) for name in ("first", "second", "third")]
    assert check.run_all(part("works"), listed, 1.5, tmp_path) == 0
    assert limits == [90, 50, 10]
    assert "third\n\nnot run: the 1.5 minutes are over" in capsys.readouterr().out
    assert list(report.sections((tmp_path / "a-card.md").read_text())) == ["first", "second"]


def test_parts_are_chosen_by_name():
    names = [x.name for x in check.chosen_parts(parts("cuda"), ["ladder", "tests"])]
    assert names[0] == "ladder"
    assert len(names) == 1 + len(suite.OWN + suite.STAGED)
    with pytest.raises(ValueError, match="--part is 'zebra'; expected one of first, ladder"):
        check.chosen_parts(parts("cuda"), ["zebra"])


def test_the_ladders_table_comes_within_8_minutes():
    listed = parts("cuda")
    names = [x.name for x in listed]
    before = listed[: names.index("ladder") + 1]
    assert names[0] == "first"
    assert 60 + sum(x.seconds for x in before) < 8 * 60
    assert {x.target.partition(":")[0] for x in listed} == {benchmark.__name__, suite.__name__}
    assert all(
        hasattr(import_module(module), name) for module, _, name in (x.target.partition(":") for x in listed)
    )


def test_a_rehearsal_is_of_the_same_comparisons():
    """Of the same dtypes, masks, contestants and goals; in small, and with one file of tests for all."""
    names = [[x.name for x in parts(device) if not x.name.startswith("tests-")] for device in ("cuda", "cpu")]
    assert names[0] == names[1]
    for part, small in zip(parts("cuda"), parts("cpu"), strict=False):
        for x, y in zip(*(p.options.get("measurements", []) for p in (part, small)), strict=True):
            assert (x.title, x.wanted, x.goals) == (y.title, y.wanted, y.goals)
            assert Case(*x.case)._replace(heads=(1, 2), length=40, size=32) == y.case


@pytest.mark.proof
def test_a_rehearsal_prints_the_whole_report(capsys):
    assert run("--rehearse") == 0
    said = capsys.readouterr().out
    assert said.startswith("passed in")
    assert "# Rehearsal" in said
    assert [x.title for x in parts("cpu")] == re.findall(r"^## (.*)$", said, re.MULTILINE)
    assert "| rung 3 | forward |" in said
    assert "rung 5 forward: at least 0.6 times the speed of SDPA flash: " in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and the check would run on it")
def test_without_a_gpu_one_line_says_so(capsys):
    assert run() == 2
    assert "check needs a GPU that both PyTorch and CuPy see" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("workers", "body", "told"),
    [
        (1, "assert True", [("say", "test_it.py: 1 passed")]),
        (2, "assert True", [("say", "test_it.py: 1 passed")]),
        (2, "assert 1 == 2", [("failed", "test_it.py::test_it (call)"), ("say", "test_it.py: 1 failed")]),
    ],
)
def test_a_file_of_tests_tells_what_failed(tmp_path, workers, body, told):
    """In a process of its own: pytest within pytest would share its plugins."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")  # as ours has it
    (folder / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--stage', action='append')\n"
    )
    (folder / "test_it.py").write_text(f"def test_it():\n    {body}\n")
    task = Part("tests", "Tests", 60, "step03_gpu.check.suite:run_file")
    found = run_part(
        task._replace(options={"file": "test_it.py", "workers": workers, "tests": str(folder)}),
        60.0,
        lambda text: None,
    )
    for kind, text in told:
        assert text in (found.text if kind == "say" else found.failed[0])
    assert len(found.failed) == len(told) - 1


def test_every_test_file_of_the_suite_exists():
    assert [name for name in suite.STAGED + suite.OWN if not (suite.TESTS / name).exists()] == []


def test_the_command_is_step03s_alone(capsys):
    assert import_module("step01_numpy.__main__")
    assert main(step01_numpy, ["check"]) == 2
