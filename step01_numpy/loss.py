"""Cross-entropy: how many nats the right tokens surprise the model by, with label smoothing."""

import numpy as np
from jaxtyping import Float, Int

from step01_numpy.arrays import Array
from step01_numpy.attention import cap, cap_backward
from step01_numpy.common.support import checks, gradients, ranges
from step01_numpy.merge import log_sum_exp
from step01_numpy.parameters import linear
from step01_numpy.softmax import softmax

BLOCK = 256  # rows whose logits are in memory at a time


def cross_entropy(
    logits: Float[Array, "N V"], targets: Int[Array, " N"], *, smoothing: float = 0.0
) -> Float[Array, ""] | np.floating:
    """
    Return the mean of -Σ_v p_v log softmax(logits)_v over the rows, in nats per token.

    Parameters
    ----------
    logits : (N, V)
    targets : (N,)
    smoothing : float
        ε: p is (1 - ε) for the target plus ε/V for every token, as in PyTorch.

    References
    ----------
    Szegedy et al. 2015, section 7, arXiv:1512.00567.
    """
    smoothing = _check(logits, targets, smoothing)
    picked = logits[np.arange(len(targets), like=targets), targets]
    expected = (1 - smoothing) * picked
    if smoothing:  # else not 0 · mean, which is NaN where a logit is -inf
        expected = expected + smoothing * logits.mean(axis=-1)
    return (log_sum_exp(logits) - expected).mean()


def cross_entropy_backward(
    d_loss: Float[Array, ""] | np.floating | float,
    logits: Float[Array, "N V"],
    targets: Int[Array, " N"],
    *,
    smoothing: float = 0.0,
) -> Float[Array, "N V"]:
    """Differentiate `cross_entropy`: softmax minus p, over N, in the dtype of the logits."""
    smoothing = _check(logits, targets, smoothing)
    d_loss = gradients.number("d_loss", d_loss, logits)
    d_logits = softmax(logits) - smoothing / logits.shape[-1]
    d_logits[np.arange(len(targets), like=targets), targets] -= 1 - smoothing
    return (d_logits * (d_loss / len(targets))).astype(logits.dtype, copy=False)


def _check(logits, targets, smoothing):
    ranges.tokens("targets", targets, logits.shape[-1])
    checks.shape("targets", targets, logits.shape[:1])
    return checks.rate("smoothing", smoothing)


def linear_cross_entropy(
    hidden: Float[Array, "N d"],
    weight: Float[Array, "V d"],
    targets: Int[Array, " N"],
    *,
    bias: Float[Array, " V"] | None = None,
    smoothing: float = 0.0,
    softcap: float | None = None,
) -> tuple[
    Float[Array, ""] | np.floating, tuple[Float[Array, "N d"], Float[Array, "V d"], Float[Array, " V"]]
]:
    """
    Return `cross_entropy(cap(linear(hidden, weight, bias), softcap), targets)`, never with all N×V logits.

    Parameters
    ----------
    hidden, weight : (N, d), (V, d)
    bias : (V,), optional
    targets, smoothing
        As in `cross_entropy`.
    softcap : float, optional
        c in c·tanh(logits / c), which keeps logits within ±c.

    Returns
    -------
    loss : ()
    gradients : (d_hidden, d_weight, d_bias)
        Of the loss. While a block's logits are at hand its gradients cost little; later they would have to
        be computed again.
    """
    ranges.tokens("targets", targets, len(weight))
    checks.shape("targets", targets, hidden.shape[:1])
    checks.features("hidden", hidden, weight.shape[1])
    smoothing = checks.rate("smoothing", smoothing)
    n, loss, d_hidden = len(hidden), 0.0, np.empty_like(hidden)
    d_weight, d_bias = np.zeros_like(weight), np.zeros_like(weight[:, 0])
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        scores = linear(hidden[rows], weight, bias)
        logits = cap(scores, softcap)
        share = len(logits) / n
        loss = loss + share * cross_entropy(logits, targets[rows], smoothing=smoothing)
        d_logits = cross_entropy_backward(share, logits, targets[rows], smoothing=smoothing)
        if softcap is not None:
            d_logits = cap_backward(d_logits, scores, softcap)
        d_hidden[rows] = d_logits @ weight
        d_weight += d_logits.T @ hidden[rows]
        d_bias += d_logits.sum(axis=0)
    return loss, (d_hidden, d_weight, d_bias)
