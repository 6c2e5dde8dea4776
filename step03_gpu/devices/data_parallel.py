"""
Train step02's models on several devices at once: each takes some rows of every batch.

    torchrun --nproc-per-node 2 -m step03_gpu.devices.data_parallel --data embedded --out model.safetensors

The arguments are those of `train`. N processes make the updates that one process makes: the batches, what
dropout drops, and the weights, up to rounding. One process for each GPU (NCCL), or any number on CPUs (gloo).
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel

import step02_torch
from step01_numpy.common.commands import train
from step01_numpy.common.commands.command_line import USER_ERROR, Parser, one_line
from step01_numpy.common.commands.context import Context
from step01_numpy.common.text.batches import PAD
from step01_numpy.common.training.backend import Backend
from step01_numpy.common.training.configuration import TrainingConfig
from step01_numpy.common.training.trainer import Trainer
from step02_torch.arrays import from_numpy
from step02_torch.loss import linear_cross_entropy
from step02_torch.optimizer import clip_gradients, learning_rate
from step02_torch.training import Progress

TIMEOUT = timedelta(seconds=60)  # that a rank waits for the others; of what it does alone nothing takes long
PROGRAM = "torchrun --nproc-per-node N -m step03_gpu.devices.data_parallel"


class DataParallel(Backend):
    """
    step02's models, trained on this rank's share of every batch.

    Parameters
    ----------
    device : torch.device or str
        This rank's.
    """

    def __init__(self, device="cpu"):
        super().__init__(step02_torch)
        self.device, self.share = device, None

    def model(self, config, *, attend=None, rng=None):
        """Build the model on this rank's device; what dropout drops is drawn for the whole batch."""
        self.share = Share(rng, dist.get_rank(), dist.get_world_size())
        return super().model(config, attend=attend, rng=self.share).to(self.device)

    def train(self, model, batches, optimizer, config: TrainingConfig, first_step: int) -> Iterator[Progress]:
        """Update the model on batch after batch, as step02's `train` does; yields Progress."""
        model.train()
        parallel = DistributedDataParallel(MeanLoss(model, config.label_smoothing))
        for step, batch in enumerate(batches, first_step + 1):
            model.zero_grad()
            loss = loss_and_gradients(parallel, batch, self.share)
            norm = clip_gradients(model.parameters(), config.max_norm)
            rate = learning_rate(step, config)
            optimizer.step(rate)
            yield Progress(step, loss, int((batch[-1] != PAD).sum()), rate, norm)


class MeanLoss(Module):
    """
    What runs on every rank: rows of a batch in, the mean loss of their tokens out.

    Parameters
    ----------
    model : Layer
    smoothing : float
    """

    def __init__(self, model, smoothing: float):
        super().__init__()
        self.model, self.smoothing = model, smoothing

    def forward(self, *batch):
        """Return the loss in nats per token of (*inputs, targets)."""
        *inputs, targets = batch
        weight, bias = self.model.projection()
        real = targets != PAD
        if not real.any():
            real = ~real  # a rank without tokens computes something, of which its share is 0
        hidden = self.model.hidden(*inputs)[real]
        options = {"smoothing": self.smoothing, "softcap": self.model.softcap}
        return linear_cross_entropy(hidden, weight, targets[real], bias=bias, **options)


class Share:
    """
    Which rows of a batch are this rank's; and a generator that draws for all rows and gives out these.

    Every rank's generator thus stays where the one of a single process would stand.

    Parameters
    ----------
    rng : numpy.random.Generator
    rank, size : int
    """

    def __init__(self, rng, rank: int, size: int):
        self.rng, self.rank, self.size = rng, rank, size
        self.rows, self.n_rows = slice(None), None

    def cut(self, batch: tuple) -> tuple[tuple, float]:
        """
        Return this rank's rows, and the share of the batch's tokens that is in them.

        A rank without rows takes the first one, with a share of 0: it must take its part in every message.
        """
        self.n_rows = len(batch[-1])
        first, end = (self.n_rows * i // self.size for i in (self.rank, self.rank + 1))
        self.rows = slice(first, end) if first < end else slice(0, 1)
        targets = batch[-1]
        n_tokens = (targets[first:end] != PAD).sum()
        return tuple(x[self.rows] for x in batch), float(n_tokens / (targets != PAD).sum())

    def random(self, shape: tuple, **options) -> np.ndarray:
        """Draw for dropout: uniform from [0, 1), of x's shape, whose first axis is the batch."""
        return self.rng.random((self.n_rows, *shape[1:]), **options)[self.rows]

    def __getattr__(self, name):
        return getattr(self.rng, name)  # weights are drawn as ever


def loss_and_gradients(parallel: DistributedDataParallel, batch: tuple, share: Share) -> float:
    """
    Leave the gradients of the whole batch's mean loss in every rank's weights, and return that loss.

    Parameters
    ----------
    parallel : DistributedDataParallel
        Of a `MeanLoss`.
    batch : (*inputs, targets)
        The same whole batch on every rank.
    share : Share

    Notes
    -----
    The loss is a mean over tokens, of which ranks have unequally many. DistributedDataParallel takes the mean
    of the n ranks' gradients; so each weighs its loss with n times its share of the tokens. An all_reduce of
    all gradients, under way while the backward goes on, sends 2 (n - 1)/n of them from every rank.
    """
    rows, weight = share.cut(batch)
    device = next(parallel.parameters()).device
    loss = weight * parallel(*(from_numpy(x, device) for x in rows))  # a rank without tokens: 0
    (share.size * loss).backward()
    total = loss.detach().clone()
    dist.all_reduce(total)
    return total.item()


class ParallelTrainer(Trainer):
    """A trainer of which rank 0 alone holds and writes the checkpoint; all ranks read it."""

    @staticmethod
    def claim(path: str | Path) -> contextlib.AbstractContextManager:
        """Hold the path of a checkpoint as `Trainer` does, for all ranks."""
        return Trainer.claim(path) if dist.get_rank() == 0 else contextlib.nullcontext()

    def save(self, path: str | Path, *, slim: str | None = None) -> None:
        """Write a checkpoint as `Trainer` does; the other ranks have the same weights, and write nothing."""
        if dist.get_rank() == 0:
            super().save(path, slim=slim)


class ParallelContext(Context):
    """Step02, on this rank's device."""

    @property
    def backend(self) -> Backend:
        """The models of this rank."""
        cuda = torch.cuda.is_available()
        return DataParallel(torch.device("cuda", torch.cuda.current_device()) if cuda else "cpu")


def main(arguments: list[str] | None = None) -> int:
    """Run `train` on all ranks that torchrun has started; return 0, or 2 for a user's mistake."""
    summary = __doc__.strip().partition("\n")[0]
    parser = Parser(prog=PROGRAM, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
    train.add_arguments(parser)
    chosen = parser.parse_args(arguments)
    rank = os.environ.get("RANK")
    try:
        if rank is None:
            raise ValueError(f"this process has no rank; expected to be started by {PROGRAM}")
        if chosen.minutes is not None:
            raise ValueError("--minutes is given; expected --steps: clocks of several processes do not agree")
        return _run(chosen, rank)
    except (ValueError, OSError, ImportError) as error:
        print(f"step03_gpu.devices.data_parallel: error on rank {rank}: {one_line(error)}", file=sys.stderr)
        return USER_ERROR


def _run(chosen, rank) -> int:
    """Join the other ranks and train; rank 0 alone tells of it."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT)
    with contextlib.ExitStack() as stack:
        stack.callback(dist.destroy_process_group)
        if rank != "0":
            silence = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        return train.run(chosen, ParallelContext(step02_torch), ParallelTrainer)


if __name__ == "__main__":
    sys.exit(main())
