"""Cross-entropy: how many nats the right tokens surprise the model by, with label smoothing."""

from functools import partial

import torch
from jaxtyping import Float, Int

from step01_numpy.common.support import checks
from step02_torch.arrays import Array, as_tokens, gradients_of, widen, without_autocast
from step02_torch.attention import cap
from step02_torch.merge import log_sum_exp
from step02_torch.parameters import linear

BLOCK = 256  # rows whose logits are in memory at a time


def cross_entropy(
    logits: Float[Array, "N V"], targets: Int[Array, " N"], *, smoothing: float = 0.0
) -> Float[Array, ""]:
    """
    Return the mean of -Σ_v p_v log softmax(logits)_v over the rows, in nats per token.

    Parameters
    ----------
    logits : (N, V)
    targets : (N,)
    smoothing : float
        ε: p is (1 - ε) for the target plus ε/V for every token, as in `torch.nn.functional.cross_entropy`.

    References
    ----------
    Szegedy et al. 2015, section 7, arXiv:1512.00567.
    """
    targets = as_tokens("targets", targets, logits.shape[-1])
    checks.shape("targets", targets, logits.shape[:1])
    smoothing = checks.rate("smoothing", smoothing)
    picked = logits.gather(-1, targets[:, None])[:, 0]
    expected = (1 - smoothing) * picked
    if smoothing:  # else not 0 · mean, which is NaN where a logit is -inf
        expected = expected + smoothing * logits.mean(dim=-1)
    return (log_sum_exp(logits) - expected).mean()


def linear_cross_entropy(
    hidden: Float[Array, "N d"],
    weight: Float[Array, "V d"],
    targets: Int[Array, " N"],
    *,
    bias: Float[Array, " V"] | None = None,
    smoothing: float = 0.0,
    softcap: float | None = None,
) -> Float[Array, ""]:
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

    Notes
    -----
    The gradients are computed in the forward already, while a block's logits are at hand: autograd would
    keep all logits, or compute them again.
    """
    targets = as_tokens("targets", targets, len(weight))
    checks.shape("targets", targets, hidden.shape[:1])
    checks.features("hidden", hidden, weight.shape[1])
    smoothing = checks.rate("smoothing", smoothing)
    wide = widen(hidden), widen(weight), None if bias is None else widen(bias)
    with without_autocast(hidden):  # which takes losses in float32
        return _LinearCrossEntropy.apply(*wide, targets, smoothing, softcap)[0]


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(hidden, weight, bias, targets, smoothing, softcap):
        n, loss, d_hidden = len(hidden), 0.0, torch.empty_like(hidden)
        d_weight, d_bias = torch.zeros_like(weight), torch.zeros_like(weight[:, 0])
        for start in range(0, n, BLOCK):
            rows = slice(start, start + BLOCK)
            scores = linear(hidden[rows], weight, bias)
            logits = cap(scores, softcap)
            share = len(logits) / n
            loss = loss + share * cross_entropy(logits, targets[rows], smoothing=smoothing)
            d_logits = logits.softmax(dim=-1).sub_(smoothing / len(weight))
            d_logits[torch.arange(len(logits)), targets[rows]] -= 1 - smoothing
            d_logits *= share / len(logits)
            if softcap is not None:
                d_logits *= 1 - (logits / softcap) ** 2  # tanh's derivative is 1 - tanh²
            torch.mm(d_logits, weight, out=d_hidden[rows])
            d_weight.addmm_(d_logits.T, hidden[rows])
            d_bias += d_logits.sum(dim=0)
        return loss, d_hidden, d_weight, d_bias

    @staticmethod
    def setup_context(ctx, inputs, output):
        *arrays, ctx.smoothing, ctx.softcap = inputs
        ctx.save_for_backward(*arrays, *output[1:])
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, d_loss, *_):
        *inputs, targets, d_hidden, d_weight, d_bias = ctx.saved_tensors
        if torch.is_grad_enabled():  # what is returned is to be differentiated too
            hidden, weight, bias = inputs
            all_at_once = partial(_all_at_once, targets, ctx.smoothing, ctx.softcap)
            if bias is None:
                return *gradients_of(all_at_once, (hidden, weight), d_loss), None, None, None, None
            return *gradients_of(all_at_once, (hidden, weight, bias), d_loss), None, None, None
        d_bias = d_loss * d_bias if ctx.needs_input_grad[2] else None
        return d_loss * d_hidden, d_loss * d_weight, d_bias, None, None, None


def _all_at_once(targets, smoothing, softcap, hidden, weight, bias=None):
    return cross_entropy(cap(linear(hidden, weight, bias), softcap), targets, smoothing=smoothing)
