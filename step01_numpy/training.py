"""Training: one update, and the loop of updates."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from step01_numpy.common.text.batches import PAD
from step01_numpy.common.training.configuration import TrainingConfig
from step01_numpy.loss import linear_cross_entropy
from step01_numpy.optimizer import AdamW, clip_gradients, learning_rate
from step01_numpy.parameters import Layer


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
        Tokens of the batch that had a target.
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
    model: Layer, batch: tuple, optimizer: AdamW, config: TrainingConfig, *, step: int
) -> Progress:
    """Run the model on a batch, forward and backward, and update its weights; `step` counts from 1."""
    loss, tokens = loss_and_gradients(model, batch, smoothing=config.label_smoothing)
    norm = clip_gradients(model.parameters(), config.max_norm)
    rate = learning_rate(step, config)
    optimizer.step(rate)
    return Progress(step, loss, tokens, rate, norm)


def loss_and_gradients(model: Layer, batch: tuple, *, smoothing: float) -> tuple[float, int]:
    """
    Leave the gradients of the batch's mean loss in the weights; return it and its number of tokens.

    Parameters
    ----------
    model : Layer
        Any model: it gives `hidden` rows, of which the logits are a `projection` within its `softcap`.
    batch : (*inputs, targets)
        The model's inputs, and (B, L): for each row the right token, or 0 where there is nothing to learn.
    smoothing : float
    """
    model.zero_grad()
    weight, bias = model.projection()
    *inputs, targets = (np.asarray(x, like=weight.data) for x in batch)
    hidden = model.hidden(*inputs)
    real = targets != PAD  # padding teaches nothing and is not counted
    loss, (d_rows, d_weight, d_bias) = linear_cross_entropy(
        hidden[real],
        weight.data,
        targets[real],
        bias=None if bias is None else bias.data,
        smoothing=smoothing,
        softcap=model.softcap,
    )
    d_hidden = np.zeros_like(hidden)
    d_hidden[real] = d_rows
    weight.accumulate(d_weight)
    if bias is not None:
        bias.accumulate(d_bias)
    model.hidden_backward(d_hidden)
    return float(loss), len(d_rows)


def train(
    model: Layer,
    batches: Iterable[tuple],
    optimizer: AdamW,
    config: TrainingConfig,
    *,
    first_step: int = 0,
) -> Iterator[Progress]:
    """
    Update the model on batch after batch, as long as the caller asks for more.

    Parameters
    ----------
    model : Layer
    batches : iterable of (*inputs, targets)
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
