"""The cases of what stands around attention: heads, positions, norms, losses, the optimizer, decoding."""

import numpy as np

from step01_numpy.cache import KVCache
from step01_numpy.multi_head_attention import MultiHeadAttention
from step01_numpy.optimizer import AdamW
from step01_numpy.parameters import Parameter
from step01_numpy.rotary import Rotary, rotary_angles
from tests.homework.cases import B, D, H, L, S, mask, normal, whole
from tests.homework.task import Case

D_MODEL = H * D


def heads(rng):
    """Return cases of cutting heads and of joining them."""
    split, merge = "multi_head_attention:split_heads", "multi_head_attention:merge_heads"
    return [
        Case("split", (normal(rng, B, L, D_MODEL), H), target=split),
        Case("split: as many heads as positions", (normal(rng, B, 4, 16), 4), target=split),
        Case("split: one head", (normal(rng, B, L, D), 1), target=split),
        Case("merge", (normal(rng, B, H, L, D),), target=merge),
        Case("merge: as many heads as positions", (normal(rng, B, 4, 4, D),), target=merge),
    ]


def _layers(rng):
    """Return (what makes a layer, arguments, options) of multi-head attention by the names of the cases."""
    seed = int(rng.integers(2**31))

    def layer(**options):
        return lambda: MultiHeadAttention(D_MODEL, H, rng=np.random.default_rng(seed), **options).double()

    x, context = normal(rng, B, L, D_MODEL), normal(rng, B, S, D_MODEL)
    positions = rng.integers(0, 50, (B, L))
    return {
        "self-attention": (layer(), (x,), {}),
        "causal": (layer(), (x,), {"causal": True}),
        "mask": (layer(), (x, None, mask(rng, B, 1, L, L)), {}),
        "window and bias": (layer(), (x,), {"window": (1, 1), "bias": normal(rng, H, L, L)}),
        "large inputs and mask": (layer(), (300 * x, None, mask(rng, B, 1, L, L)), {}),
        "cross-attention": (layer(), (x, context), {}),
        "cross-attention with mask": (layer(bias=False), (x, context, mask(rng, B, 1, L, S)), {}),
        "grouped heads": (layer(n_kv_heads=1), (x,), {"causal": True}),
        "wide heads": (layer(d_head=5), (x,), {}),
        "rotary": (layer(rotary=Rotary(D)), (x,), {}),
        "rotary at given positions": (layer(rotary=Rotary(2)), (x,), {"positions": positions}),
    }


def multi_head(rng):
    """Return cases of multi-head attention."""
    return [Case(name, args, options, build=build) for name, (build, args, options) in _layers(rng).items()]


def multi_head_backward(rng):
    """Return cases of its backward, each after a forward."""

    def after_forward(build, args, options):
        def built():
            layer = build()
            layer.forward(*args, **options)
            return layer

        return built

    return [
        Case(name, (normal(rng, B, L, D_MODEL),), build=after_forward(*parts))
        for name, parts in _layers(rng).items()
    ]


def cache(rng):
    """Return cases of a cache that is added to again and again."""

    def calls(*lengths):
        return tuple(((normal(rng, B, H, n, D), normal(rng, B, H, n, 6)), {}) for n in lengths)

    return [
        Case("one append", build=KVCache, calls=calls(3)),
        Case("three appends", build=KVCache, calls=calls(3, 1, 2)),
        Case("limit", build=lambda: KVCache(4), calls=calls(3, 1, 2, 1)),
        Case("limit below the first append", build=lambda: KVCache(2), calls=calls(5, 1, 1)),
    ]


def sinusoids(rng):
    """Return cases of sinusoids and of their frequencies."""
    positions, of = rng.permutation(9)[:L], "positions:frequencies"
    return [
        Case("sinusoids", (positions, 6)),
        Case("sinusoids: two axes", (rng.integers(0, 99, (B, L)), 8)),
        Case("sinusoids: another base", (positions, 6), {"base": 50.0}),
        Case("sinusoids: halves", (positions, 6), {"interleaved": False}),
        Case("frequencies", (8,), target=of),
        Case("frequencies: another base", (6,), {"base": 50.0}, of),
    ]


def rotary(rng):
    """Return cases of turning by positions."""
    cos, sin = rotary_angles(rng.integers(0, 30, L), 6, base=100.0)
    own_cos, own_sin = rotary_angles(rng.integers(0, 30, (B, 1, L)), 6, base=100.0)
    x = normal(rng, B, H, L, 6)
    return [
        Case("halves", (x, cos, sin)),
        Case("interleaved", (x, cos, sin), {"interleaved": True}),
        Case("some coordinates stay", (normal(rng, B, H, L, 9), cos, sin)),
        Case("interleaved: some stay", (normal(rng, B, H, L, 9), cos, sin), {"interleaved": True}),
        Case("positions of their own", (x, own_cos, own_sin)),
        Case("no heads", (x[0, 0], cos, sin)),
    ]


def _norm_calls(rng):
    """Return x, weight, bias and options of layer norm by the names of the cases."""
    weight, bias = normal(rng, 6), normal(rng, 6)
    x, flat = 3 + 2 * normal(rng, B, L, 6), 3 + 0.01 * normal(rng, B, 6)
    return {
        "plain": ((x, weight, bias), {}),
        "two axes": ((x[0], weight, bias), {}),
        "equal sizes": ((normal(rng, 6, 6), weight, bias), {}),
        "one row": ((x[0, 0], weight, bias), {}),
        "large eps": ((x, weight, bias), {"eps": 0.5}),
        "small variance": ((flat, weight, bias), {}),
    }


def layer_norm(rng):
    """Return cases of layer norm."""
    return [Case(name, *call) for name, call in _norm_calls(rng).items()]


def layer_norm_backward(rng):
    """Return cases of its backward."""
    return [
        Case(name, (normal(rng, *x.shape), x, weight), options)
        for name, ((x, weight, _), options) in _norm_calls(rng).items()
    ]


def _loss_calls(rng):
    """Return logits, targets and options of the cross-entropy by the names of the cases."""
    logits, targets = normal(rng, 5, S), rng.integers(0, S, 5)
    return {
        "plain": ((logits, targets), {}),
        "equal sizes": ((normal(rng, 5, 5), rng.permutation(5)), {}),
        "one row": ((logits[:1], targets[:1]), {}),
        "smoothing": ((logits, targets), {"smoothing": 0.1}),
        "more smoothing": ((normal(rng, 4, 6), rng.integers(0, 6, 4)), {"smoothing": 0.5}),
        "large logits": ((whole(rng, 5, S) * 100, targets), {}),
    }


def cross_entropy(rng):
    """Return cases of the cross-entropy."""
    return [Case(name, *call) for name, call in _loss_calls(rng).items()]


def cross_entropy_backward(rng):
    """Return cases of its backward; what comes back is not 1."""
    return [
        Case(name, (float(rng.uniform(0.2, 3)), *args), options)
        for name, (args, options) in _loss_calls(rng).items()
    ]


def adamw(rng):
    """Return cases of the optimizer: from its first step, and after others with other gradients."""
    seed = int(rng.integers(2**31))

    def optimizer(earlier, unused=False, **options):
        def build():
            draw = np.random.default_rng(seed)
            weights = {"w": Parameter(normal(draw, 3, 4)), "b": Parameter(normal(draw, 5))}
            built = AdamW(weights.items(), **options)
            for n in range(earlier + 1):
                for weight in weights.values():
                    weight.grad = normal(draw, *weight.data.shape)
                if n < earlier:
                    built.step(0.01)
            if unused:
                weights["b"].grad = None
            return built

        return build

    return [
        Case("first step", (0.1,), build=optimizer(0)),
        Case("third step", (0.1,), build=optimizer(2)),
        Case("three steps", build=optimizer(1), calls=(((0.1,), {}), ((0.05,), {}), ((0.2,), {}))),
        Case("decay", (0.1,), build=optimizer(2, weight_decay=0.5)),
        Case("no decay", (0.1,), build=optimizer(2, weight_decay=0.0, betas=(0.5, 0.9))),
        Case("large eps", (0.1,), build=optimizer(2, eps=0.3)),
        Case("a weight without a gradient", (0.1,), build=optimizer(1, unused=True)),
    ]


def gru(rng):
    """Return cases of one step of a GRU."""
    weight, bias = normal(rng, 12, 4) / 2, normal(rng, 12)
    square = normal(rng, 4, 12), normal(rng, 4, 4)
    return [
        Case("plain", (normal(rng, B, 12), normal(rng, B, 4), weight, bias), first=True),
        Case("as many rows as the state is wide", (*square, weight, bias), first=True),
        Case("from 0", (normal(rng, B, 12), np.zeros((B, 4)), weight, bias), first=True),
        Case("one wide", (normal(rng, B, 3), normal(rng, B, 1), weight[:3, :1], bias[:3]), first=True),
    ]


def additive(rng):
    """Return cases of Bahdanau's score."""
    return [
        Case("plain", (normal(rng, B, D), normal(rng, B, S, D), normal(rng, D))),
        Case("equal sizes", (normal(rng, 4, 4), normal(rng, 4, 4, 4), normal(rng, 4))),
        Case("one key", (normal(rng, B, D), normal(rng, B, 1, D), normal(rng, D))),
    ]


class Telling:
    """
    A language model for beam search: what comes next depends on the two tokens before.

    Parameters
    ----------
    table : (vocab_size, vocab_size, vocab_size)
        Logits, by the token before the last, the last, and the next.
    """

    def __init__(self, table):
        self.table, self.before, self.last = table, None, None

    def step(self, tokens):
        """Return the logits of what follows."""
        self.before = np.zeros_like(tokens) if self.last is None else self.last
        self.last = tokens
        return self.table[self.before, self.last]

    def reorder(self, rows):
        """Let row b continue what was row `rows[b]`."""
        self.before, self.last = self.before[rows], self.last[rows]


def beam_search(rng):
    """Return cases of beam search; the third token, 2, ends a sequence."""

    def case(name, n_rows, beam, vocab_size=6, **options):
        table = 2 * normal(rng, vocab_size, vocab_size, vocab_size)
        model = Telling(table)
        return Case(name, (model.step, model.reorder, n_rows, beam), {"max_length": 6, **options})

    return [
        case("one beam", 2, 1),
        case("two beams", 3, 2),
        case("four beams", 2, 4),
        case("more beams than tokens", 2, 5, 4),
        case("limits of their own", 3, 2, max_length=np.array([2, 5, 7])),
        case("no length penalty", 3, 3, length_penalty=0.0),
        case("length rewarded", 3, 3, length_penalty=2.5),
        case("stop at once", 3, 2, early_stopping=True),
        case("stop never early", 3, 2, early_stopping="never"),
    ]
