"""
The grid of options that flash-attention's own tests span, in float32 against float64, for every stage.

Scores of a soft cap of 50 reach ±50, ALiBi's biases -200: what rounds there shows in the weights. What
PyTorch makes of a case is made once for all stages: the parameters are the module's, so that pytest has one
stage follow the other, case by case.
"""

import contextlib
from typing import NamedTuple

import numpy as np
import pytest
import torch

from step01_numpy.common.parity.verdict import difference
from tests.attention.test_attention import allowed
from tests.tolerances import assert_earned

LENGTHS = [(113, 203), (128, 217), (108, 256), (512, 256), (257, 512)]
HEADS, SLOPES = 4, np.array([1 / 2, 1 / 4, 1 / 16, 1 / 256])
VISIBLE = {
    "all": {},
    "causal": {"causal": True},
    "window": {"window": (30, 20)},
    "causal window": {"causal": True, "window": (64, None)},
}


@contextlib.contextmanager
def without_denormals():
    """Let numbers below 2^-126 be 0 in float32: these weights are full of them, which are slow to compute."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def by_torch(arrays, see, bias, softcap, dtype):
    """Return out and the gradients of the attention written down in PyTorch."""
    q, k, v, d_out = (torch.tensor(x).to(dtype) for x in arrays)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    k, v = (x.repeat_interleave(HEADS // x.shape[0], 0) for x in (k, v))
    scores = (q / q.shape[-1] ** 0.5) @ k.mT
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    scores = scores if bias is None else scores + torch.tensor(bias).to(dtype)
    weights = scores.masked_fill(~torch.tensor(see), -torch.inf).softmax(-1).nan_to_num(0)
    out = weights @ v
    out.backward(d_out)
    return [x.detach().double().numpy() for x in (out, *(leaf.grad for leaf in leaves))]


def reordered(arrays, see, bias, softcap, features, keys):
    """
    Return what PyTorch makes of the same attention in float32, its sums in another order.

    The features of q and k may stand in any order, and so may the keys: no result changes but by rounding.
    """
    q, k, v, d_out = arrays
    arrays = q[..., features], k[:, keys][..., features], v[:, keys], d_out
    bias = bias if bias is None else bias[..., keys]
    out, d_q, d_k, d_v = by_torch(arrays, see[:, keys], bias, softcap, torch.float32)
    features, keys = np.argsort(features), np.argsort(keys)
    return out, d_q[..., features], d_k[:, keys][..., features], d_v[:, keys]


def peers(rng, *call):
    """Return PyTorch's least accurate out, d_q, d_k and d_v of four orders of its sums, and the reference."""
    (q, k, *_), *_ = call
    orders = [(np.arange(q.shape[-1]), np.arange(k.shape[-2]))]
    orders += [tuple(map(rng.permutation, map(len, orders[0]))) for _ in range(3)]
    with without_denormals():
        found, reference = [reordered(*call, *order) for order in orders], by_torch(*call, torch.float64)
    worst = [max(x, key=lambda x: difference(x, y)) for *x, y in zip(*found, reference, strict=True)]
    return worst, reference


class Case(NamedTuple):
    """What a stage is given, PyTorch's least accurate result, and the one in float64."""

    arrays: tuple
    d_out: np.ndarray
    options: dict
    worst: list
    reference: list


@pytest.fixture(scope="module")
def case(lengths, size, kv_heads, visible, softcap, alibi):
    n_queries, n_keys = lengths
    rng = np.random.default_rng(20170612)
    q, d_out = rng.normal(size=(2, HEADS, n_queries, size)).astype(np.float32)
    k, v = rng.normal(size=(2, kv_heads, n_keys, size)).astype(np.float32)
    q = q if softcap is None else q * np.float32(softcap)  # so that it caps: the raw scores go up to ±200
    see = allowed(**VISIBLE[visible], n_queries=n_queries, n_keys=n_keys)
    away = abs(np.arange(n_queries)[:, None] + n_keys - n_queries - np.arange(n_keys))
    bias = (-SLOPES[:, None, None] * away).astype(np.float32) if alibi else None
    worst, reference = peers(rng, (q, k, v, d_out), see, bias, softcap)
    return Case((q, k, v), d_out, {**VISIBLE[visible], "softcap": softcap, "bias": bias}, worst, reference)


@pytest.mark.grid
@pytest.mark.parametrize("lengths", LENGTHS, scope="module")
@pytest.mark.parametrize("size", [40, 64, 128], scope="module")
@pytest.mark.parametrize("kv_heads", [4, 1], scope="module")
@pytest.mark.parametrize("visible", VISIBLE, scope="module")
@pytest.mark.parametrize("softcap", [None, 50.0], scope="module")
@pytest.mark.parametrize("alibi", [False, True], scope="module")
def test_float32(stage, case):
    out, lse = stage.call("flash_attention", *case.arrays, **case.options)
    gradients = stage.gradients(
        "flash_attention", case.d_out, *case.arrays, result=(out, lse), **case.options
    )
    names = "out", "d_q", "d_k", "d_v"
    for name, x, peer, reference in zip(names, (out, *gradients), case.worst, case.reference, strict=True):
        assert_earned(x, peer, reference, "float32", 2 if name == "out" else 3, name)
