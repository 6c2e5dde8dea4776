"""Training: one update, and the loop of updates."""

from collections.abc import Iterable, Iterator

from step01_numpy.common.text.batches import PAD
from step01_numpy.common.training.configuration import TrainingConfig
from step01_numpy.training import Progress
from step02_torch.arrays import from_numpy, without_autocast
from step02_torch.loss import linear_cross_entropy
from step02_torch.optimizer import AdamW, clip_gradients, learning_rate
from step02_torch.parameters import Layer

__all__ = ["Progress", "loss_and_gradients", "train", "training_step"]


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
    *inputs, targets = (from_numpy(x, weight.device) for x in batch)
    real = targets != PAD  # padding teaches nothing and is not counted
    hidden = model.hidden(*inputs)[real]
    loss = linear_cross_entropy(
        hidden, weight, targets[real], bias=bias, smoothing=smoothing, softcap=model.softcap
    )
    with without_autocast(loss):  # a backward has the dtypes of its forward
        loss.backward()
    return loss.item(), len(hidden)


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
