"""The cases of attention's tasks: softmax, masks, attention and its backward, flash attention, merging."""

import numpy as np

from step01_numpy.attention import scaled_dot_product_attention, simple_attention
from step01_numpy.flash_attention import flash_attention
from tests.homework.cases import (
    D_V,
    EQUAL,
    B,
    D,
    H,
    L,
    S,
    attention_calls,
    heads,
    large_scores,
    mask,
    normal,
    whole,
    with_gradient,
)
from tests.homework.task import Case


def softmax(rng):
    """Return cases of softmax and of log-sum-exp."""
    hidden = normal(rng, 4, S)
    hidden[1], hidden[2, :3] = -np.inf, -np.inf
    far = -800 + whole(rng, 4, S)
    calls = {
        "plain": (normal(rng, B, 4, S), {}),
        "another axis": (normal(rng, B, 4, S), {"axis": 1}),
        "equal sizes": (normal(rng, 4, 4), {"axis": 0}),
        "large scores": (whole(rng, 4, S) * 500, {}),
        "all scores far below 0": (far, {}),
        "hidden row": (hidden, {}),
    }
    cases = [Case(name, (x,), options) for name, (x, options) in calls.items()]
    return cases + [Case(f"log-sum-exp: {x.name}", x.args, x.options, "merge:log_sum_exp") for x in cases]


def softmax_backward(rng):
    """Return cases of softmax's backward; a hidden row's weights are 0."""
    weights = rng.dirichlet(np.ones(S), (B, 4))
    hidden = weights.copy()
    hidden[0, 1] = 0
    square = rng.dirichlet(np.ones(4), 4).T.copy()
    return [
        Case("plain", (normal(rng, B, 4, S), weights)),
        Case("another axis", (normal(rng, B, S, 4), weights.swapaxes(1, 2).copy()), {"axis": 1}),
        Case("equal sizes", (normal(rng, 4, 4), square), {"axis": 0}),
        Case("hidden row", (normal(rng, B, 4, S), hidden)),
    ]


def masks(rng):
    """Return cases of the causal mask, the window and the padding."""
    causal, padding = "masks:causal_mask", "masks:padding_mask"
    lengths = rng.permutation([0, 2, 3, S])
    return [
        Case("window", (6, 6, 2)),
        Case("window on both sides", (6, 6, 1, 2)),
        Case("window: more keys than queries", (L, S, 2, 1)),
        Case("window: more queries than keys", (6, 4, 1)),
        Case("window without a left bound", (L, S, None, 1)),
        Case("window without a right bound", (L, S, 2, None)),
        Case("window with offset", (L, S, 2, 1), {"offset": 1}),
        Case("causal", (6,), target=causal),
        Case("causal: more keys than queries", (L, S), target=causal),
        Case("causal: more queries than keys", (6, 4), target=causal),
        Case("causal with offset", (L, S), {"offset": 0}, causal),
        Case("padding", (lengths, S), target=padding),
        Case("padding of one", (np.array([3]), L), target=padding),
    ]


def hide(rng):
    """Return cases of hiding scores, and of one mask out of many."""
    combine, visible, square = "masks:combine_masks", mask(rng, B, 1, L, S), mask(rng, L, L)
    scores = normal(rng, B, H, L, S)
    return [
        Case("hide", (scores, visible)),
        Case("hide: two dimensions", (scores, visible[0, 0])),
        Case("hide nothing", (scores, None)),
        Case("combine nothing", (L, S), target=combine),
        Case("combine a mask alone", (L, S, visible), target=combine),
        Case("combine causal", (L, S), {"causal": True}, combine),
        Case("combine mask and causal", (L, S, visible), {"causal": True}, combine),
        Case("combine mask and window", (L, L, square), {"window": (1, 2)}, combine),
        Case("combine causal and window", (L, S), {"causal": True, "window": (2, 3)}, combine),
        Case("combine with offset", (L, S, visible), {"causal": True, "offset": 1}, combine),
        Case("combine: one query", (1, S), {"window": (2, 0)}, combine),
    ]


def simple(rng):
    """Return cases of attention in its lines."""
    one = [x[0, 0] for x in heads(rng)]
    return [
        Case("plain", heads(rng)),
        Case("equal sizes", heads(rng, **EQUAL)),
        Case("no heads", tuple(one)),
        Case("one key", heads(rng, S=1)),
    ]


def simple_backward(rng):
    """Return cases of its backward."""
    cases = []
    for case in simple(rng):
        out, weights = simple_attention(*case.args)
        cases.append(Case(case.name, (normal(rng, *out.shape), *case.args, weights)))
    return cases


def attention(rng):
    """Return cases of attention with all its options."""
    cases = [Case(name, *call) for name, call in attention_calls(rng).items()]
    args, visible = large_scores(rng)
    return [*cases, Case("large scores", args), Case("large scores and mask", args, {"mask": visible})]


def backward(rng):
    """Return cases of attention's backward."""
    return with_gradient(rng, scaled_dot_product_attention, attention_calls(rng))


def grouped(rng):
    """Return cases of key/value heads that serve several queries, and of the way back."""
    back, x = "attention:repeat_heads_backward", normal(rng, B, 2, S, D)
    return [
        Case("repeat", (x, normal(rng, B, 6, L, D))),
        Case("repeat: one head for all", (x[:, :1], normal(rng, B, 3, L, D))),
        Case("repeat: a head each", (x, normal(rng, B, 2, L, D))),
        Case("backward", (normal(rng, B, 6, S, D), (B, 2)), target=back),
        Case("backward: one head for all", (normal(rng, B, 3, S, D), (B, 1)), target=back),
        Case("backward: a head each", (normal(rng, B, 2, S, D), (B, 2)), target=back),
    ]


def _tiled_calls(rng):
    """Return attention's calls, and two whose keys fill more than one tile and no tile whole."""
    calls, q, k = attention_calls(rng), normal(rng, 1, 1, 9, D), normal(rng, 1, 1, 701, D)
    visible = mask(rng, 9, 701)
    v = normal(rng, 1, 1, 701, D_V)
    # the largest score comes late: what was summed before has to be rescaled, whatever the tile
    k = k * np.linspace(0.5, 4, 701)[:, None]
    many = normal(rng, 1, 1, 301, D), normal(rng, 1, 1, 307, D), normal(rng, 1, 1, 307, D_V)
    del calls["no heads"], calls["offset"]
    return {
        **calls,
        "many keys": ((q, k, v), {}),
        "many keys and mask": ((q, k, v), {"mask": visible}),
        "many queries: causal": (many, {"causal": True}),
        "many keys: bias": ((q, k, v), {"bias": normal(rng, 9, 701)}),
        "many queries: window": (many, {"window": (40, 0)}),
    }


def flash(rng):
    """Return cases of flash attention."""
    args, visible = large_scores(rng)
    cases = [Case(name, *call) for name, call in _tiled_calls(rng).items()]
    falling = whole(rng, 1, 1, 701, D) * (np.arange(701)[::-1, None] // 11)
    many = whole(rng, 1, 1, 9, D) * 64, falling, normal(rng, 1, 1, 701, D_V)
    return [
        *cases,
        Case("large scores", args),
        Case("large scores and mask", args, {"mask": visible}),
        Case("many keys: scores that fall from tile to tile", many),
    ]


def flash_backward(rng):
    """Return cases of flash attention's backward."""
    return with_gradient(rng, flash_attention, _tiled_calls(rng))


def merge(rng):
    """Return cases of two attentions that become one."""
    shape = B, H, L
    out, other = normal(rng, *shape, D_V), normal(rng, *shape, D_V)
    lse, other_lse = normal(rng, *shape), normal(rng, *shape)
    empty, far = lse.copy(), whole(rng, *shape) * 100
    empty[0, 1, 2], none = -np.inf, other_lse.copy()
    none[0, 1, 2], none[1, 0] = -np.inf, -np.inf
    nothing = np.where(np.isinf(empty) & np.isinf(none), 0.0, 1.0)[..., None]
    return [
        Case("plain", (out, lse, other, other_lse)),
        Case("exchanged", (other, other_lse, out, lse)),
        Case("no heads", (out[0, 0], lse[0, 0], other[0, 0], other_lse[0, 0])),
        Case("large numbers", (out, far, other, far[::-1].copy())),
        Case("nothing visible", (nothing * out, empty, nothing * other, none)),
    ]
