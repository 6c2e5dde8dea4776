"""The cases of the tasks over kernels: sizes just over a tile's edge, and what each option asks for."""

import numpy as np

from tests.homework.cases import heads, mask, normal
from tests.homework.kernels import reference
from tests.homework.kernels.launches import FACTORS, TILE_SIZE
from tests.homework.task import Case

OTHER = "warps in other orders"
NAIVE = "kernels/01_naive.cu:"
HIDDEN = -np.inf


def case(name, target, args, **options):
    """Return a case of a region."""
    return Case(name, args, options, target=f"kernels/{target}")


def calls(rng, D, L=5, S=7):
    """Return (q, k, v), mask and options by the names of cases."""

    def drawn(kv_heads=None, heads_=3, L=L, S=S):
        return heads(rng, heads_, kv_heads, L, S, D, D)

    visible = mask(rng, 2, 1, L, S)
    rising = drawn()
    rising[0][...] = 1
    rising[1][...] = np.linspace(-3, 3, S)[:, None]
    return {
        "plain": (drawn(), None, {}),
        "grouped heads": (drawn(2, 6), None, {}),
        "causal": (drawn(), None, {"causal": True}),
        "window": (drawn(), None, {"window": (2, 1)}),
        "mask with a hidden row": (drawn(), visible, {}),
        "scores that rise": (rising, None, {}),
        "scores that fall": ((rising[0], -rising[1], rising[2]), None, {}),
        "scale": (drawn(), None, {"scale": 0.3}),
    }


def some(drawn, *chosen):
    """Return the chosen ones."""
    return {name: drawn[name] for name in chosen}


def scores(rng):
    """Draw cases of the first kernel of rung 1."""
    drawn = some(calls(rng, 64), "plain", "grouped heads", "causal", "mask with a hidden row", "scale")
    drawn["more scores than a block has threads"] = heads(rng, 2, None, 20, 30, 64, 64), None, {}
    return [
        case(name, "01_naive.cu:naive-scores", (*x[:2], hidden), launch="scores", **options)
        for name, (x, hidden, options) in drawn.items()
    ]


def softmax(rng):
    """Draw cases of the softmax of rows."""
    hidden = normal(rng, 1, 2, 6, 9)
    hidden[..., 4:] = HIDDEN
    hidden[0, 0, 1] = HIDDEN
    drawn = {
        "plain": normal(rng, 2, 3, 5, 7),
        "large scores": 1000 + 100 * normal(rng, 1, 2, 4, 6),
        "all scores far below 0": -2000 + 10 * normal(rng, 1, 2, 4, 6),
        "hidden keys and a hidden row": hidden,
        "more rows than a block has threads": normal(rng, 1, 2, 300, 3),
    }
    return [case(name, "01_naive.cu:softmax-row", (x,), launch="softmax") for name, x in drawn.items()]


def visible(rng):
    """Draw cases of what is visible."""
    q, k, _ = heads(rng, D=1, D_v=1)
    drawn = {
        "no option": (None, {}),
        "causal": (None, {"causal": True}),
        "window": (None, {"window": (2, 1)}),
        "offset": (None, {"causal": True, "offset": 0}),
        "window and offset": (None, {"window": (1, 0), "offset": 1}),
        "mask": (mask(rng, 2, 3, 5, 7), {}),
        "mask for all heads": (mask(rng, 2, 1, 5, 7), {}),
        "mask for all queries, and causal": (rng.random((2, 1, 1, 7)) < 0.6, {"causal": True}),
    }
    return [
        case(name, "attention.cuh:hiding", (q, k, hidden), launch="visible_pairs", **options)
        for name, (hidden, options) in drawn.items()
    ]


def reductions(rng):
    """Draw cases of reductions over a warp, and over the half of one."""
    found = []
    targets = ("02_online_softmax.cu:warp-sum", "03_tiled.cu:row-largest", "03_tiled.cu:row-sum")
    for target, kernel in zip(targets, ("warp_sums", "row_largest", "row_totals"), strict=True):
        what = target.split(":")[1]
        for name, shape, options in (
            (what, (2, 128), {}),
            (f"{what} of a single warp", (1, 32), {}),
            (f"{what} ({OTHER})", (1, 64), {"orders": True}),
        ):
            x = normal(rng, *shape) - 3  # all below 0: a maximum that begins at 0 is seen
            found.append(case(name, target, (x,), launch="reduce", kernel=kernel, **options))
    return found


def online(rng):
    """Draw cases of the online softmax."""
    drawn = calls(rng, 64)
    drawn["many keys"] = heads(rng, 2, None, 6, 70, 64, 64), None, {}
    found = attended(drawn, "02_online_softmax.cu:online-softmax", 2)
    return [x for x in found if x.name != "scale"]


def attended(drawn, target, rung, **more):
    """Return cases of a whole attention."""
    return [
        case(name, target, (*x, hidden), launch="attend", rung=rung, **options, **more)
        for name, (x, hidden, options) in drawn.items()
    ]


def tiles(rng):
    """Draw cases of loading tiles."""
    drawn = {"whole tiles": 64, "the last tile reaches over the end": 70, "fewer rows than a tile": 5}
    found = [
        case(name, "tiles.cuh:load-tile", (normal(rng, rows, TILE_SIZE),), launch="tiles")
        for name, rows in drawn.items()
    ]
    x = normal(rng, 35, TILE_SIZE)
    return [*found, case(OTHER, "tiles.cuh:load-tile", (x,), launch="tiles", orders=True)]


def products(rng):
    """Draw cases of the product of rows."""
    found = []
    for name, (R, C, D) in zip(("4 x 2 for a thread", "2 x 4 for a thread"), FACTORS, strict=True):
        args = normal(rng, 8 * R, D), normal(rng, 16 * C, D)
        found.append(case(name, "tiles.cuh:multiply-rows", args, launch="products"))
        found.append(
            case(f"{name} ({OTHER})", "tiles.cuh:multiply-rows", args, launch="products", orders=True)
        )
    return found


def walk(rng):
    """Draw cases of the walk along the tiles of keys."""
    drawn = some(calls(rng, 64, 35, 70), "plain", "causal", "mask with a hidden row")
    drawn = {name: (tuple(x[:1, :1] for x in arrays), m if m is None else m[:1], options)
             for name, (arrays, m, options) in drawn.items()}  # fmt: skip
    drawn["one tile"] = tuple(x[:, :1] for x in heads(rng, 1, None, 20, 12, 64, 64)), None, {}
    drawn |= {f"{name} ({OTHER})": drawn[name] for name in ("plain", "causal")}
    found = []
    for name, ((q, k, v), hidden, options) in drawn.items():
        d_out = normal(rng, *q.shape)
        args = d_out, q, k, v, reference.terms(d_out, q, k, v, hidden, **options), hidden
        orders = {"orders": True} if OTHER in name else {}
        target = "04_tiled_backward.cu:barriers"
        found.append(case(name, target, args, launch="query_gradients", **options, **orders))
    return found


def rescale(rng):
    """Draw cases of the softmax of tiles."""
    names = ("plain", "causal", "mask with a hidden row", "scores that rise", "scores that fall")
    drawn = {name: (tuple(x[:1, :1] for x in arrays), m if m is None else m[:1], options)
             for name, (arrays, m, options) in some(calls(rng, 96, 35, 70), *names).items()}  # fmt: skip
    found = attended(drawn, "03_tiled.cu:rescale", 3)
    return found + attended({OTHER: drawn["plain"]}, "03_tiled.cu:rescale", 3, orders=True)


def gradients(rng):
    """Draw cases of the gradient of softmax."""
    sums, differences = (f"04_tiled_backward.cu:{x}" for x in ("row-sums", "differentiate"))
    found = [
        case("row sums", sums, (normal(rng, 2, 3, 5, 64), normal(rng, 2, 3, 5, 64)), launch="row_sums"),
        case(f"row sums ({OTHER})", sums, (normal(rng, 1, 2, 9, 64), normal(rng, 1, 2, 9, 64)),
             launch="row_sums", orders=True),
    ]  # fmt: skip
    scores, d_weights = 3 * normal(rng, 8, 32), normal(rng, 8, 32)
    seen = (rng.random((8, 32)) < 0.7).astype(np.int32)
    terms = normal(rng, 8, 4) + np.array(
        [0, 4, 0, 0]
    )  # reference, rest, delta, and what fills up their place
    hidden = terms.copy()
    seen[2], hidden[2, :2] = 0, 0
    for name, visible_, known in (
        ("all visible", np.ones((8, 32), np.int32), terms),
        ("hidden keys", seen, terms),
        ("a hidden row", seen, hidden),
    ):
        args = (scores, d_weights, visible_, known)
        found.append(case(name, differences, args, launch="differences", scale=0.4))
    return found
