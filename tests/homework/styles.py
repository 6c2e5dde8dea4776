"""Submissions of attention in other styles than the project's: right ones, and wrong ones with what is said of them."""

# ruff: noqa: E501  (one line of a submission a line)

from typing import NamedTuple

HEAD = '''"""A student's file."""
import numpy as np
import math
from math import sqrt, exp


'''
SIGNATURE = "def scaled_dot_product_attention(q, k, v, mask=None, *, bias=None, causal=False, window=None, offset=None, scale=None, softcap=None):\n"
# What every style begins with, but for one line: heads repeated, defaults, and which keys are visible.
PARTS = {
    "groups": "    n = q.shape[-3] // k.shape[-3] if q.ndim > 2 else 1\n    if n > 1:\n        k, v = np.repeat(k, n, axis=-3), np.repeat(v, n, axis=-3)\n",
    "sizes": "    L, S, D = q.shape[-2], k.shape[-2], q.shape[-1]\n",
    "scale": "    c = 1 / math.sqrt(D) if scale is None else scale\n",
    "scores": "    s = np.einsum('...ld,...sd->...ls', q, k) * c\n",
    "cap": "    if softcap is not None:\n        s = softcap * np.tanh(s / softcap)\n",
    "bias": "    if bias is not None:\n        s = s + bias\n",
    "visible": "    o = S - L if offset is None else offset\n    i, j = np.indices((L, S))\n    ok = np.ones((L, S), bool)\n    if causal:\n        ok &= j <= i + o\n    if window is not None:\n        left, right = window\n        if left is not None:\n            ok &= j >= i + o - left\n        if right is not None:\n            ok &= j <= i + o + right\n    if mask is not None:\n        ok = ok & mask\n",
    "hide": "    s = np.where(ok, s, -np.inf)\n",
    "softmax": "    m = s.max(axis=-1, keepdims=True)\n    e = np.exp(s - np.where(np.isfinite(m), m, 0))\n    t = e.sum(axis=-1, keepdims=True)\n    w = e / np.where(t == 0, 1, t)\n",
    "out": "    return np.einsum('...ls,...sd->...ld', w, v), w\n",
}  # fmt: skip


class Style(NamedTuple):
    """
    A submission of attention.

    Parameters
    ----------
    name : str
    said : str
        What the first sentence holds; empty where it is right.
    parts : dict
        What stands in place of the usual parts, by their names.
    top : str
        What stands before the function.
    """

    name: str
    said: str
    parts: dict
    top: str = ""

    def text(self) -> str:
        """Return the file."""
        return HEAD + self.top + SIGNATURE + "".join({**PARTS, **self.parts}.values())


LOOPS = """    w = np.zeros(np.broadcast_shapes(s.shape))
    for index in np.ndindex(*s.shape[:-1]):
        row = s[index]
        top = max(row)
        if top == -math.inf:
            continue
        e = [math.exp(x - top) for x in row]
        w[index] = [x / sum(e) for x in e]
"""
TRIL = "    o = S - L if offset is None else offset\n    ok = np.ones((L, S), bool)\n    if causal:\n        ok = np.tril(ok, k=o)\n    if window is not None:\n        left, right = window\n        ok = ok if left is None else ok & np.triu(np.ones((L, S), bool), k=o - left)\n        ok = ok if right is None else ok & np.tril(np.ones((L, S), bool), k=o + right)\n    if mask is not None:\n        ok = ok & mask\n"
BIASED = "    s = s + np.where(ok, 0, -np.inf)\n"
HELPER = "def _softmax(x):\n    m = x.max(axis=-1, keepdims=True)\n    m = np.where(m == -np.inf, 0, m)\n    e = np.exp(x - m)\n    t = e.sum(axis=-1, keepdims=True)\n    return np.divide(e, t, out=np.zeros_like(e), where=t > 0)\n\n\n"
CLASS = "class Scorer:\n    def __init__(self, c):\n        self.c = c\n\n    def __call__(self, q, k):\n        return np.matmul(q, np.swapaxes(k, -1, -2)) * self.c\n\n\n"
SERVED = "from step01_numpy.masks import combine_masks, hide\nfrom step01_numpy.softmax import softmax\n\n\n"
RIGHT = [
    Style("einsum", "", {}),
    Style("loops", "", {"softmax": LOOPS}),
    Style("np.tril", "", {"visible": TRIL}),
    Style("an additive mask", "", {"hide": BIASED}),
    Style("a helper", "", {"softmax": "    w = _softmax(s)\n"}, HELPER),
    Style("a class", "", {"scores": "    s = Scorer(c)(q, k)\n"}, CLASS),
    Style("what may be called", "", {"visible": "", "hide": "    ok = combine_masks(L, S, mask, causal=causal, window=window, offset=offset)\n    s = hide(s, ok)\n", "softmax": "    w = softmax(s)\n"}, SERVED),
    Style("scaled before the product", "", {"scores": "    s = (q * c) @ np.swapaxes(k, -1, -2)\n"}),
    Style("both scaled by a root", "", {"scores": "    r = sqrt(abs(c))\n    s = np.matmul(q * r, np.swapaxes(k * r, -1, -2)) * np.sign(c)\n"}),
    Style("log-sum-exp", "", {"softmax": "    m = s.max(axis=-1, keepdims=True)\n    m = np.where(np.isfinite(m), m, 0)\n    with np.errstate(divide='ignore'):\n        l = m + np.log(np.exp(s - m).sum(axis=-1, keepdims=True))\n    w = np.where(np.isfinite(l), np.exp(s - np.where(np.isfinite(l), l, 0)), 0)\n"}),
    Style("long doubles", "", {"scores": "    s = np.einsum('...ld,...sd->...ls', q.astype(np.longdouble), k.astype(np.longdouble)) * c\n"}),
    Style("a product and a sum", "", {"scores": "    s = (q[..., :, None, :] * k[..., None, :, :]).sum(axis=-1) * c\n"}),
    Style("np.repeat by an index", "", {"groups": "    if q.ndim > 2 and q.shape[-3] != k.shape[-3]:\n        index = np.arange(q.shape[-3]) // (q.shape[-3] // k.shape[-3])\n        k, v = k[..., index, :, :], v[..., index, :, :]\n"}),
    Style("nested functions", "", {"out": "    def mix(w):\n        return np.matmul(w, v)\n    return (lambda w: (mix(w), w))(w)\n"}),
    Style("a list for a tuple", "", {"out": "    return [w @ v, w]\n"}),
    Style("slow by a pause", "", {"out": "    import time\n    time.sleep(0.02)\n    return w @ v, w\n"}),
]  # fmt: skip
GENERIC = "wrong in"
WRONG = [
    Style("no scale", "not scaled", {"scale": "    c = 1.0 if scale is None else scale\n"}),
    Style("divided by D", "head size itself", {"scale": "    c = 1 / D if scale is None else scale\n"}),
    Style("scale ignored", "`scale` changes nothing", {"scale": "    c = 1 / math.sqrt(D)\n"}),
    Style("softmax over queries", "over the queries", {"softmax": "    m = s.max(axis=-2, keepdims=True)\n    e = np.exp(s - np.where(np.isfinite(m), m, 0))\n    t = e.sum(axis=-2, keepdims=True)\n    w = e / np.where(t == 0, 1, t)\n"}),
    Style("causal from the top left", "first positions, not the last", {"visible": PARTS["visible"].replace("S - L if offset is None else offset", "0 if offset is None else offset")}),
    Style("causal ignored", "`causal` changes nothing", {"visible": PARTS["visible"].replace("if causal", "if False")}),
    Style("mask ignored", "`mask` changes nothing", {"visible": PARTS["visible"].replace("if mask is not None", "if False")}),
    Style("window ignored", "`window` changes nothing", {"visible": PARTS["visible"].replace("if window is not None", "if False")}),
    Style("offset ignored", "offset is ignored", {"visible": PARTS["visible"].replace("S - L if offset is None else offset", "S - L")}),
    Style("bias ignored", "`bias` changes nothing", {"bias": ""}),
    Style("softcap ignored", "`softcap` changes nothing", {"cap": ""}),
    Style("heads tiled", "in turn", {"groups": "    n = q.shape[-3] // k.shape[-3] if q.ndim > 2 else 1\n    if n > 1:\n        k, v = np.concatenate([k] * n, axis=-3), np.concatenate([v] * n, axis=-3)\n"}),
    Style("-1e9 for -inf", "large negative numbers", {"hide": "    s = np.where(ok, s, -1e9)\n", "bias": PARTS["bias"]}),
    Style("hidden by 0", "hidden scores are 0", {"hide": "    s = s * ok\n"}),
    Style("hidden after softmax", "afterwards", {"hide": "", "softmax": PARTS["softmax"] + "    w = np.where(ok, w, 0)\n"}),
    Style("a row without keys is NaN", "NaN", {"softmax": "    m = s.max(axis=-1, keepdims=True)\n    e = np.exp(s - np.where(np.isfinite(m), m, 0))\n    w = e / e.sum(axis=-1, keepdims=True)\n"}),
    Style("clipped for capped", "cuts scores off", {"cap": "    if softcap is not None:\n        s = np.clip(s, -softcap, softcap)\n"}),
    Style("tanh without its factor", "[softcap", {"cap": "    if softcap is not None:\n        s = np.tanh(s / softcap)\n"}),
    Style("mask inverted", "inverted", {"visible": PARTS["visible"].replace("ok = ok & mask", "ok = ok & ~mask")}),
    Style("out alone", "1 value came back; expected 2", {"out": "    return w @ v\n"}),
    Style("weights first", "shape", {"out": "    return w, w @ v\n"}),
    Style("out transposed", "shape", {"out": "    return np.swapaxes(w @ v, -1, -2), w\n"}),
    Style("float32 inside", "float32", {"scores": "    s = np.einsum('...ld,...sd->...ls', q.astype(np.float32), k.astype(np.float32)).astype(float) * c\n"}),
    Style("out doubled", "2 times", {"out": "    return 2 * (w @ v), w\n"}),
    Style("weights of float32", "second result is right to some seven digits", {"out": "    return w @ v, w.astype(np.float32)\n"}),
    Style("nothing returned", "is something returned", {"out": "    w @ v, w\n"}),
    Style("a name that is not there", "NameError", {"out": "    return w @ values, w\n"}),
    Style("keys not transposed", "ValueError", {"scores": "    s = q @ k * c\n"}),
    Style("the last key left out", GENERIC, {"out": "    w[..., -1] = 0\n    return w @ v, w\n"}),
]  # fmt: skip
STYLES = RIGHT + WRONG
