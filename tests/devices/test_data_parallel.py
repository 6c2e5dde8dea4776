"""Training on several ranks makes the updates of one process: batches, dropout, weights, checkpoint."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import step02_torch
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.checkpoints import load
from step01_numpy.common.training.trainer import Trainer
from tests.devices import cases as cases
from tests.tolerances import assert_all_equal64

ENGLISH = [
    "the cat sleeps",
    "a dog runs",
    "the old dog sees the cat in the garden",
    "she reads a book",
    "we eat",
]
FRENCH = [
    "le chat dort",
    "un chien court",
    "le vieux chien voit le chat dans le jardin",
    "elle lit",
    "nous mangeons",
]
SMALL = {"d_model": 16, "n_heads": 2, "d_ff": 24, "n_layers": 1, "dropout": 0.2, "max_positions": 40}
TRAINING = {"steps": 5, "warmup": 2, "tokens_per_batch": 80, "seed": 3}
MODELS = {
    "transformer": SMALL,
    "recurrent": {"d_model": 16, "dropout": 0.2, "max_positions": 40},
    "causal-lm": SMALL,
    "masked-lm": SMALL,
}


@pytest.fixture
def data(tmp_path):
    """Return files of pairs and of lines: batches of one row, and of more than there are ranks."""
    pairs = [f"{e}\t{f}" for e, f in zip(ENGLISH, FRENCH, strict=True)]
    for name, lines in (("pairs.tsv", pairs), ("lines.txt", ENGLISH)):
        (tmp_path / name).write_text("\n".join(lines * 4) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "task",
    [pytest.param(x, marks=() if x in ("transformer", "causal-lm") else pytest.mark.proof) for x in MODELS],
)
def test_four_ranks_equal_one_process(ranks, data, task):
    config = {"task": task, "model": MODELS[task], "training": TRAINING, "tokenizer": {"vocab_size": 60}}
    source = data / ("lines.txt" if task.endswith("lm") else "pairs.tsv")
    one = cases.updates(source, data / "one", config, (lambda: Backend(step02_torch), Trainer))
    for progress, state, batches in ranks.run(cases.updates, source, data / "four", config):
        assert [x[:1] + x[2:3] for x in progress] == [x[:1] + x[2:3] for x in one[0]]  # steps and tokens
        np.testing.assert_allclose(progress, one[0], rtol=1e-10)  # losses, rates and norms
        assert_all_equal64(state, one[1], "after 5 updates")
        assert batches == one[2]  # and with them the random generator
    found, expected = load(data / "four"), load(data / "one")
    assert_all_equal64(found.state, expected.state)
    assert_all_equal64(found.training.optimizer, expected.training.optimizer)


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


TORCHRUN = (
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    2,
    "-m",
    "step03_gpu.devices.data_parallel",
)


@pytest.mark.proof
def test_torchrun_writes_a_checkpoint_that_translates(data, capsys):
    out, config = data / "two.safetensors", data / "config.json"
    config.write_text(json.dumps({"model": SMALL, "training": TRAINING, "tokenizer": {"vocab_size": 60}}))
    result = run(*TORCHRUN, "--data", data / "pairs.tsv", "--out", out, "--config", config, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["step"] == 5  # told once
    assert load(out).training.step == 5
    more = ("--data", data / "pairs.tsv", "--out", out, "--resume", "--steps", 7, "--json")
    capsys.readouterr()
    assert main(step02_torch, ["translate", "--model", str(out), "the cat sleeps"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(step02_torch, ["train", *map(str, more)]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 7


def test_a_users_mistakes(data):
    arguments = ("step03_gpu.devices.data_parallel", "--data", data / "pairs.tsv", "--out", data / "out")
    result = run(*arguments)
    assert result.returncode == 2
    assert re.search("this process has no rank; expected to be started by torchrun", result.stderr)
    assert len(result.stderr.splitlines()) == 1
