"""The command `count` of step03: what it prints and draws, and how it says what is wrong."""

import json

import pytest

import step01_numpy
import step03_gpu
from step01_numpy.common.commands.command_line import main
from step03_gpu import count


def run(capsys, *words):
    """Return exit code, output and errors of the command."""
    commands = {"count": count}
    code = main(step03_gpu, ["count", *words], models=step01_numpy, commands=commands)
    return code, *capsys.readouterr()


def test_table_and_figure(capsys, tmp_path):
    path = tmp_path / "roofline.svg"
    code, out, _ = run(capsys, "--rung", "3", "--length", "64", "--head-size", "32", "--svg", str(path))
    assert code == 0
    assert out.startswith("attention, L = S = 64, D = 32, 1 head; counted at this length.")
    assert [line[:15] for line in out.splitlines() if line.startswith("|  ")] == ["|    3 | float3"]
    assert "rung 3, float32" in path.read_text()


def test_counts_grow_with_heads_and_shrink_under_a_causal_mask(capsys):
    options = ("--rung", "2", "--length", "64", "--head-size", "32", "--json")
    totals = []
    for more in ((), ("--heads", "3"), ("--causal",)):
        code, out, _ = run(capsys, *options, *more)
        assert code == 0
        totals.append(json.loads(out)[0]["total"])
    one, three, causal = totals
    assert three == {name: 3 * n for name, n in one.items()}
    assert causal["__shfl_xor_sync"] == one["__shfl_xor_sync"] * 65 // 128


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--head-size", "48"), "--head-size is 48; kernels exist for 32, 64, 96, 128"),
        (("--length", "1000"), "--length is 1000; beyond 384 it is a multiple of 128"),
        (("--rung", "5", "--dtype", "float32"), "rung 5 takes float16, bfloat16, not float32"),
        (("--rung", "7"), "invalid choice: 7"),
        (("--length", "0"), "expected"),
        (("--svg", "/no/such/folder/x.svg"), "/no/such/folder"),
    ],
    ids=str,
)
def test_mistakes(capsys, words, message):
    code, out, errors = run(capsys, *words)
    assert (code, out) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
