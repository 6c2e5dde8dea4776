"""What cases are made of: sizes that hide nothing, and all that attention can be asked."""

import numpy as np

from tests.homework.task import Case

B, H, L, S, D, D_V = 2, 3, 5, 7, 4, 6  # all different, so that no axis is taken for another
EQUAL = {"L": 5, "S": 5, "D": 5, "D_v": 5}  # all equal: a transposed product gives numbers, and no error


def normal(rng, *shape):
    """Draw normal numbers in float64."""
    return rng.standard_normal(shape)


def whole(rng, *shape, largest=9):
    """Draw whole numbers as floats: sums of their products are exact in any order."""
    return rng.integers(-largest, largest, shape, endpoint=True).astype(np.float64)


def mask(rng, *shape):
    """Draw a mask of which most may attend; the first batch entry's second row sees nothing."""
    drawn = rng.random(shape) < 0.6
    drawn[..., -1] |= ~drawn.any(axis=-1)
    drawn[(0,) * (drawn.ndim - 2) + (1,)] = False
    return drawn


def heads(rng, heads=H, kv_heads=None, L=L, S=S, D=D, D_v=D_V):
    """Draw q, k and v."""
    kv_heads = heads if kv_heads is None else kv_heads
    return normal(rng, B, heads, L, D), normal(rng, B, kv_heads, S, D), normal(rng, B, kv_heads, S, D_v)


def attention_calls(rng):
    """Return (q, k, v) and options of attention by the names of the cases, an option or two at a time."""
    bias = normal(rng, H, L, S)
    bias[0, 0, :3], bias[1, 1] = -np.inf, -np.inf
    q, k, v = heads(rng)
    visible = mask(rng, B, 1, L, S)
    return {
        "plain": ((q, k, v), {}),
        "equal sizes": (heads(rng, **EQUAL), {}),
        "no heads": ((q[0, 0], k[0, 0], v[0, 0]), {}),
        "causal": (heads(rng), {"causal": True}),
        "causal: more queries than keys": (heads(rng, L=6, S=4), {"causal": True}),
        "mask": ((q, k, v), {"mask": visible}),
        "mask and causal": (heads(rng), {"mask": visible, "causal": True}),
        "window": (heads(rng), {"window": (2, 1)}),
        "offset": (heads(rng), {"causal": True, "offset": 0}),
        "bias": (heads(rng), {"bias": bias}),
        "softcap": ((2 * q, 2 * k, v), {"softcap": 1.5}),
        "softcap with bias and mask": ((2 * q, 2 * k, v), {"softcap": 1.5, "bias": bias, "mask": visible}),
        "scale": (heads(rng), {"scale": 0.3}),
        "grouped heads": (heads(rng, 6, 2), {}),
    }


def large_scores(rng):
    """
    Return q, k, v and a mask whose scores are exact in any order, and far beyond what exp can take.

    Whatever is drawn, all scores of one row are below -10,000, and some of its keys are hidden: a finite
    number in their place would win.
    """
    q, k = whole(rng, B, H, L, D) * 64, whole(rng, B, H, S, D) * 16
    q[1, 0, 2], k[1, 0, :, 0] = (-576, 0, 0, 0), 64 + np.abs(k[1, 0, :, 0])
    visible = mask(rng, B, 1, L, S)
    visible[1, 0, 2, 0], visible[1, 0, 2, -1] = False, True
    return (q, k, normal(rng, B, H, S, D_V)), visible


def with_gradient(rng, forward, calls):
    """Return the cases of a backward: a random gradient, and what the forward was given and returned."""
    cases = []
    for name, (args, options) in calls.items():
        out, saved = forward(*args, **options)
        cases.append(Case(name, (normal(rng, *out.shape), *args, out, saved), options))
    return cases
