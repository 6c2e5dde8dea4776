"""Decoding with cached keys: tokens per second against `transformers`, on the same weights in turn."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import step01_numpy
import step02_torch
from step01_numpy.common.decoding.search import greedy
from step01_numpy.common.pretrained.config import read_config
from step01_numpy.common.pretrained.keys import TABLE
from step01_numpy.common.pretrained.weight_files import WeightFiles
from step01_numpy.common.pretrained.weights import read_state
from step01_numpy.common.support.undrawn import NO_DRAW
from step01_numpy.common.training.backend import Backend
from tests.benchmarks.timing import Result, interleave

NEW, ROUNDS = 128, 5  # tokens


def save(directory: str) -> torch.nn.Module:
    """Save a model of GPT-2's shape with random weights, and return it: all sides read the same numbers."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    config = transformers.GPT2Config(bos_token_id=None, eos_token_id=None, pad_token_id=0)
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(directory)
    return model


def decoder(stage, directory: str):
    """Open the model on a stage; return its greedy decoding, from one token to NEW."""
    description = read_config(Path(directory))
    backend = Backend(stage)
    model = backend.model(description.config, rng=NO_DRAW)
    wanted = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    files = WeightFiles.of_directory(Path(directory))
    state = read_state(files, TABLE[description.model_type], wanted, description.config.n_layers)
    model.load_state_dict(state, copy=False)
    backend.prepare(model.eval())
    empty = np.zeros((1, 0), np.int64)

    def run():
        greedy(backend.start(model, empty).step, 1, max_length=NEW, eos=(), first=0)

    return run


def memory_rate() -> float:
    """Return how fast a product of the weights' size reads memory, in GB/s, two threads on NumPy's side."""
    weight, x = np.ones((30000, 4096), np.float32), np.ones(4096, np.float32)
    time = interleave({"read": lambda: weight @ x}, rounds=7)["read"]
    return weight.nbytes / (time / 1e3) / 1e9


def run() -> list[Result]:
    """Decode in turn, with two threads on either side."""
    torch.set_num_threads(2)
    with TemporaryDirectory() as directory:
        theirs = save(directory)
        prompt, options = torch.zeros(1, 1, dtype=torch.long), {"max_new_tokens": NEW, "do_sample": False}
        times = interleave(
            {
                "step01": decoder(step01_numpy, directory),
                "step02": decoder(step02_torch, directory),
                "theirs": lambda: theirs.generate(prompt, **options),
            },
            ROUNDS,
            warm_up=1,
        )
    rate = {name: NEW / (time / 1e3) for name, time in times.items()}
    weights = sum(x.numel() * 4 for x in theirs.parameters()) - theirs.transformer.wpe.weight.numel() * 4
    limit = memory_rate() * 1e9 / weights
    return [
        Result(
            "decoding, step01 against transformers", "tokens/s", rate["step01"], rate["theirs"], 2.0, True
        ),
        Result(
            "decoding, step02 against transformers", "tokens/s", rate["step02"], rate["theirs"], 1.0, True
        ),
        Result("decoding, step01 against memory's limit", "tokens/s", rate["step01"], limit, None, True),
    ]
