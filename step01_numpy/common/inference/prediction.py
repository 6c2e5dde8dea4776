"""How well a language model says what comes next, or what was hidden."""

from collections.abc import Callable
from itertools import islice

import numpy as np

from step01_numpy.common.decoding.search import log_probabilities
from step01_numpy.common.text.batches import PAD, Shuffled
from step01_numpy.common.training.backend import Backend


def predict(backend: Backend, model, batches: Shuffled, *, done: Callable | None = None) -> dict:
    """
    Let a model say each token of one epoch that has a target.

    Parameters
    ----------
    backend : Backend
    model : the stage's LanguageModel
    batches : CausalBatches or MaskedBatches
    done : callable, optional
        Called after each batch.

    Returns
    -------
    dict
        "nats_per_token", the mean of -log p(target); "perplexity", e to that power: among so many equally
        probable tokens the model chooses; "accuracy_percent", how often the target is the most probable
        token; and "tokens", how many had a target.

    Raises
    ------
    ValueError
        Where the model's logits are not finite.
    """
    nats, right, tokens = 0.0, 0, 0
    for *inputs, targets in islice(batches, batches.batches_per_epoch):
        wanted = targets[targets != PAD]
        found = log_probabilities(backend.logits(model, *inputs)[targets != PAD])
        nats -= found[np.arange(len(wanted)), wanted].sum()
        right += int((found.argmax(axis=-1) == wanted).sum())
        tokens += len(wanted)
        if done is not None:
            done()
    if not np.isfinite(nats):
        raise ValueError(f"the model's log-probabilities sum to {-nats}; expected a finite number")
    with np.errstate(over="ignore"):
        perplexity = float(np.exp(nats / tokens))
    return {
        "nats_per_token": float(nats / tokens),
        "perplexity": perplexity,
        "accuracy_percent": round(100 * right / tokens, 2),
        "tokens": tokens,
    }
