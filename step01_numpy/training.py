"""Training: one update, and the loop of updates."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from step01_numpy.common.batches import PAD, Batch
from step01_numpy.common.configuration import TrainingConfig
from step01_numpy.loss import linear_cross_entropy
from step01_numpy.optimizer import AdamW, clip_gradients, learning_rate
from step01_numpy.transformer import Transformer


class Progress(NamedTuple):
    """
    What one update did.

    Attributes
    ----------
    step : int
        Updates so far.
    loss : float
        Nats per token on this batch, label smoothing included.
    tokens : int
        Target tokens of the batch, padding not counted.
    rate : float
        Learning rate.
    norm : float
        Norm of all gradients before clipping.
    """

    step: int
    loss: float
    tokens: int
    rate: float
    norm: float


def training_step(
    model: Transformer, batch: Batch, optimizer: AdamW, config: TrainingConfig, *, step: int
) -> Progress:
    """Run the model on a batch, forward and backward, and update its weights; `step` counts from 1."""
    loss, tokens = loss_and_gradients(model, batch, smoothing=config.label_smoothing)
    norm = clip_gradients(model.parameters(), config.max_norm)
    rate = learning_rate(step, config)
    optimizer.step(rate)
    return Progress(step, loss, tokens, rate, norm)


def loss_and_gradients(model: Transformer, batch: Batch, *, smoothing: float) -> tuple[float, int]:
    """Leave the gradients of the batch's mean loss in the weights; return it and its number of tokens."""
    model.zero_grad()
    source, target_in, target_out = (np.asarray(x, like=model.embedding.weight.data) for x in batch)
    hidden = model.hidden(source, target_in)
    real = target_out != PAD  # padding teaches nothing and is not counted
    loss, (d_rows, d_weight) = linear_cross_entropy(
        hidden[real], model.embedding.weight.data, target_out[real], smoothing=smoothing
    )
    d_hidden = np.zeros_like(hidden)
    d_hidden[real] = d_rows
    model.embedding.weight.accumulate(d_weight)
    model.hidden_backward(d_hidden)
    return float(loss), len(d_rows)


def train(
    model: Transformer,
    batches: Iterable[Batch],
    optimizer: AdamW,
    config: TrainingConfig,
    *,
    first_step: int = 0,
) -> Iterator[Progress]:
    """
    Update the model on batch after batch, as long as the caller asks for more.

    Parameters
    ----------
    model : Transformer
    batches : iterable of Batch
    optimizer : AdamW
    config : TrainingConfig
    first_step : int
        Updates already made, when training goes on from a checkpoint.

    Yields
    ------
    progress : Progress
        After each update.
    """
    model.train()
    for step, batch in enumerate(batches, first_step + 1):
        yield training_step(model, batch, optimizer, config, step=step)
