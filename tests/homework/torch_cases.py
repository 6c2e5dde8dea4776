"""
The cases of PyTorch's tasks. Those of functions are step01's, whose arguments are the same.

They are arrays; PyTorch is imported by what makes an object, when it is made.
"""

import numpy as np

from step01_numpy.common.configuration.model import ModelConfig
from tests.homework import cases_attention, cases_layers
from tests.homework.cases import B, D, H, L, S, mask, normal
from tests.homework.task import Case

D_MODEL = H * D


def grouped(rng):
    """Return cases of key/value heads that serve several queries."""
    return [x for x in cases_attention.grouped(rng) if not x.target]


def drawn(module: str, name: str, rng, *args, **options):
    """Return what makes a layer of step02 in float64; all makers of one generator's number draw alike."""
    seed = int(rng.integers(2**31))

    def build():
        from importlib import import_module

        kind = getattr(import_module(f"step02_torch.{module}"), name)
        return kind(*args, **options, rng=np.random.default_rng(seed)).double()

    return build


def self_attention(rng):
    """Return cases of one head of self-attention."""
    return _heads(rng, "self_attention", "SelfAttention")


def masked_attention(rng):
    """Return cases of one head of causal self-attention."""
    return _heads(rng, "masked_attention", "MaskedSelfAttention")


def _heads(rng, module, name):
    x, square = normal(rng, B, L, D), normal(rng, B, D, D)
    return [
        Case("plain", (x,), build=drawn(module, name, rng, D)),
        Case("equal sizes", (square,), build=drawn(module, name, rng, D)),
        Case("mask", (x, mask(rng, B, L, L)), build=drawn(module, name, rng, D)),
        Case("large inputs and mask", (300 * x, mask(rng, B, L, L)), build=drawn(module, name, rng, D)),
        Case("a head of another size", (x,), build=drawn(module, name, rng, D, 3)),
        Case("with biases", (x,), build=drawn(module, name, rng, D, bias=True)),
    ]


def cross_attention(rng):
    """Return cases of one head of cross-attention."""
    name = "cross_attention", "CrossAttention"
    x, context, visible = normal(rng, B, L, D), normal(rng, B, S, D), mask(rng, B, L, S)
    return [
        Case("plain", (x, context), build=drawn(*name, rng, D)),
        Case("equal sizes", (normal(rng, B, D, D), normal(rng, B, D, D)), build=drawn(*name, rng, D)),
        Case("mask", (x, context, visible), build=drawn(*name, rng, D)),
        Case("large inputs and mask", (300 * x, 300 * context, visible), build=drawn(*name, rng, D)),
        Case("a head of another size", (x, context), build=drawn(*name, rng, D, 3)),
        Case("with biases", (x, context), build=drawn(*name, rng, D, bias=True)),
    ]


def multi_head(rng):
    """Return cases of multi-head attention."""
    seed = int(rng.integers(2**31))

    def layer(rotary=None, **options):
        def build():
            from step02_torch.multi_head_attention import MultiHeadAttention
            from step02_torch.rotary import Rotary

            turns = None if rotary is None else Rotary(rotary)
            draw = np.random.default_rng(seed)
            return MultiHeadAttention(D_MODEL, H, rotary=turns, rng=draw, **options).double()

        return build

    x, context = normal(rng, B, L, D_MODEL), normal(rng, B, S, D_MODEL)
    own, bias, positions = mask(rng, B, 1, L, L), normal(rng, H, L, L), rng.integers(0, 50, (B, L))
    return [
        Case("self-attention", (x,), build=layer()),
        Case("causal", (x,), {"causal": True}, build=layer()),
        Case("mask", (x, None, own), build=layer()),
        Case("large inputs and mask", (300 * x, None, own), build=layer()),
        Case("window and bias", (x,), {"window": (1, 1), "bias": bias}, build=layer()),
        Case("cross-attention", (x, context), build=layer()),
        Case("cross-attention with mask", (x, context, mask(rng, B, 1, L, S)), build=layer(bias=False)),
        Case("grouped heads", (x,), {"causal": True}, build=layer(n_kv_heads=1)),
        Case("wide heads", (x,), build=layer(d_head=5)),
        Case("rotary", (x,), build=layer(rotary=D)),
        Case("rotary at given positions", (x,), {"positions": positions}, build=layer(rotary=2)),
    ]


def cache(rng):
    """Return cases of a cache that is added to again and again."""

    def empty(limit=None):
        def build():
            from step02_torch.cache import KVCache

            return KVCache(limit)

        return build

    def calls(*lengths):
        return tuple(((normal(rng, B, H, n, D), normal(rng, B, H, n, 6)), {}) for n in lengths)

    return [
        Case("one append", build=empty(), calls=calls(3)),
        Case("three appends", build=empty(), calls=calls(3, 1, 2)),
        Case("limit", build=empty(4), calls=calls(3, 1, 2, 1)),
        Case("limit below the first append", build=empty(2), calls=calls(5, 1, 1)),
    ]


def feed_forward(rng):
    """Return cases of the feed-forward."""

    def layer(**options):
        return drawn("feed_forward", "FeedForward", rng, 4, 6, **options)

    x, square = normal(rng, B, L, 4), normal(rng, 4, 4)
    return [
        Case("plain", (x,), build=layer()),
        Case("two axes", (square,), build=layer()),
        Case("GELU", (x,), build=layer(activation="gelu")),
        Case("gated", (x,), build=layer(activation="silu", gated=True)),
        Case("gated, without biases", (x,), build=layer(activation="gelu_tanh", gated=True, bias=False)),
    ]


def residual(rng):
    """Return cases of the way around a sublayer, which is a linear map."""
    seed = int(rng.integers(2**31))

    def around(**options):
        def build():
            from step02_torch.blocks import Residual

            config = {"vocab_size": 9, "d_model": 4, "n_heads": 2, "d_ff": 8, "n_layers": 1}
            made = Residual(ModelConfig(**config, dropout=0.0, **options)).double()
            made.dropout.rng, draw = None, np.random.default_rng(seed)
            for weight in made.parameters():
                weight.data.copy_(weight.data.new_tensor(draw.normal(1, 0.5, weight.shape)))
            return made

        return build

    def through(*shape):
        return normal(rng, *shape), drawn("parameters", "Linear", rng, 4, 4)()

    return [
        Case("norm first", through(B, L, 4), build=around(norm_first=True)),
        Case("norm last", through(B, L, 4), build=around(norm_first=False)),
        Case("norms on both sides", through(B, L, 4), build=around(norm_first=True, norm_after=True)),
        Case("RMS norm first", through(B, L, 4), build=around(norm_first=True, norm="rms")),
        Case("RMS norm last", through(B, L, 4), build=around(norm_first=False, norm="rms")),
    ]


softmax, masks, simple = cases_attention.softmax, cases_attention.masks, cases_attention.simple
attention, hide = cases_attention.attention, cases_attention.hide
rotary, heads = cases_layers.rotary, cases_layers.heads
cross_entropy = cases_layers.cross_entropy
