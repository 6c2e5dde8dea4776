"""Training: target tokens per second against `torch.nn.Transformer`, on the same batches in turn."""

import statistics
import time

import numpy as np
import torch

import step01_numpy
import step02_torch
from step01_numpy.common.text.batches import PAD
from tests.benchmarks.timing import Result
from tests.benchmarks.translation import MODEL, TRAINING, corpus, torch_trainer

UPDATES = 25


def stage_trainer(stage):
    """Return a stage's update: a function from (batch, step) to the loss."""
    model = stage.Transformer(MODEL, rng=np.random.default_rng(0))
    adamw = stage.AdamW(model.named_parameters(), betas=TRAINING.betas, weight_decay=TRAINING.weight_decay)
    model.train()
    return lambda batch, step: stage.training_step(model, batch, adamw, TRAINING, step=step).loss


def run(data: str = "embedded") -> list[Result]:
    """Update the three models batch by batch, in turn; `data` is what `train --data` takes."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    _, batches = corpus(data, np.random.default_rng(0))
    _, torch_update, _ = torch_trainer()
    updates = {
        "nn.Transformer": lambda batch, step: torch_update(batch, 1e-4),
        "step02": stage_trainer(step02_torch),
        "step01": stage_trainer(step01_numpy),
    }
    rates = {name: [] for name in updates}
    for step in range(1, UPDATES + 4):
        batch = next(batches)
        for name, update in updates.items():
            start = time.perf_counter()
            update(batch, step)
            if step > 3:
                rates[name].append((batch.target_out != PAD).sum() / (time.perf_counter() - start))
    rate = {name: float(statistics.median(x)) for name, x in rates.items()}
    theirs = rate["nn.Transformer"]
    return [
        Result("training, step02 against nn.Transformer", "tokens/s", rate["step02"], theirs, 1.2, True),
        Result("training, step01 against nn.Transformer", "tokens/s", rate["step01"], theirs, 1.0, True),
    ]
