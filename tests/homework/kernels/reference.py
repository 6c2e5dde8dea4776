"""What kernels should answer, in NumPy: the formulas of step 1, by the names of launches."""

import numpy as np

from tests.homework.kernels.launches import state


def softmax(scores):
    """Return weights and log-sum-exps of rows; a row of minus infinities has weights 0."""
    largest = scores.max(axis=-1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    weights = np.exp(scores - largest)
    total = weights.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        lse = (largest + np.log(total))[..., 0]
    return weights / np.where(total == 0, 1, total), lse


def visible(shape, kv_heads, n_keys, mask=None, **options):
    """Return which query may see which key, (B, H, L, S)."""
    batch, heads, n_queries, _ = shape
    problem = state(shape, kv_heads, n_keys, mask, **options)
    position = np.arange(n_queries)[:, None] + problem["offset"]
    keys = np.arange(n_keys)
    seen = (keys >= position - problem["left"]) & (keys <= position + problem["right"])
    seen = seen if mask is None else seen & mask
    return np.broadcast_to(seen, (batch, heads, n_queries, n_keys))


def scores(q, k, mask=None, *, scale=None, **options):
    """Return scaled scores, minus infinity where nothing is seen."""
    seen = visible(q.shape, k.shape[1], k.shape[2], mask, **options)
    k = np.repeat(k, q.shape[1] // k.shape[1], axis=1)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    return np.where(seen, q @ k.swapaxes(-1, -2) * scale, -np.inf)


def attend(q, k, v, mask=None, *, rung, **options):
    """Return out and lse."""
    weights, lse = softmax(scores(q, k, mask, **options))
    return {"out": weights @ np.repeat(v, q.shape[1] // v.shape[1], axis=1), "lse": lse}


def terms(d_out, q, k, v, mask=None, **options):
    """Return what the backward knows of each row: 0, lse, d_out · out, and what fills up their place."""
    out, lse = attend(q, k, v, mask, rung=4, **options).values()
    delta = (d_out * out).sum(axis=-1)
    return np.stack([0 * delta, np.where(np.isfinite(lse), lse, 0), delta, 0 * delta], axis=-1)


def query_gradients(d_out, q, k, v, terms, mask=None, *, scale=None, **options):
    """Return d_q, by the weights that `terms` make."""
    weights, _ = softmax(scores(q, k, mask, scale=scale, **options))
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    d_scores = weights * (d_out @ v.swapaxes(-1, -2) - terms[..., 2:3])
    return {"d_q": d_scores @ k * (q.shape[-1] ** -0.5 if scale is None else scale)}


def visible_pairs(q, k, mask=None, **options):
    """Return the same beyond the ends, where nothing is seen."""
    found = visible(q.shape, k.shape[1], k.shape[2], mask, **options)
    return np.pad(found, [(0, 0), (0, 0), (0, 3), (0, 5)]).astype(np.int32)


def reduce(x, *, kernel):
    """Return, for each thread, the sum or the largest of its warp or of its half."""
    parts = x.reshape(len(x), -1, 32 if kernel == "warp_sums" else 16)
    found = (
        parts.max(axis=-1, keepdims=True) if kernel == "row_largest" else parts.sum(axis=-1, keepdims=True)
    )
    return np.broadcast_to(found, parts.shape).reshape(x.shape)


def tiles(x):
    """Return the rows of all tiles."""
    return np.pad(x, [(0, -len(x) % 32), (0, 0)])


def differences(scores, d_weights, seen, terms, *, scale):
    """Return weights, and the gradients of scaled scores."""
    largest, rest, delta = terms.T[:3, :, None]
    weights = np.exp((scores - largest) * scale - rest) * (seen != 0)
    return {"weights": weights, "d_scores": weights * (d_weights - delta)}


ANSWERS = {
    "scores": lambda *args, **options: {"scores": scores(*args, **options)},
    "softmax": lambda given: dict(zip(("weights", "lse"), softmax(given), strict=True)),
    "attend": attend,
    "query_gradients": query_gradients,
    "row_sums": lambda d_out, out: {"delta": (d_out * out).sum(axis=-1)},
    "visible_pairs": lambda *args, **options: {"visible": visible_pairs(*args, **options)},
    "reduce": lambda x, **options: {"result": reduce(x, **options)},
    "tiles": lambda x: {"tile": tiles(x)},
    "products": lambda a, b: {"product": a @ b.T},
    "differences": differences,
}
