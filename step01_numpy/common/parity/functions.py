"""`check_attention`: somebody's attention, and its backward if there is one, as plain functions."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import Parameter

import numpy as np

from step01_numpy.common.parity.cases import ATTENTION, Case, select
from step01_numpy.common.parity.comparison import ask, row
from step01_numpy.common.parity.evaluation import FunctionCall, draw, shapes_may_be_refused
from step01_numpy.common.parity.signatures import NotOffered, check_takes, parameters, takes
from step01_numpy.common.parity.stage import Stage
from step01_numpy.common.parity.table import Rows

REFERENCE = "step01_numpy"
OPTIONS = ("mask", "bias", "causal", "window", "offset", "scale", "softcap")
IN_WEIGHTS = ("mask", "bias", "causal", "window", "offset")  # a backward that is given the weights needs none
BY_POSITION = {  # what the arguments of a backward are after d_out, by their number
    0: (), 1: ("saved",), 3: ("q", "k", "v"), 4: ("q", "k", "v", "saved"), 5: ("q", "k", "v", "out", "saved"),
}  # fmt: skip
KNOWN = {"q", "k", "v", "out", "weights", "lse", "saved"}
AUTOGRAD = "autograd"


def check_attention(
    forward: Callable,
    backward: Callable | str | None = None,
    *,
    arrays: str = "numpy",
    only: Iterable[str] | None = None,
    seed: int = 0,
) -> Rows:
    """
    Compare somebody's attention with step01's, in float64: two plain functions, nothing around them.

    Parameters
    ----------
    forward : callable
        `forward(q, k, v) -> out`, or `(out, saved)`; q is (B, H, L, D), k (B, H, S, D), v (B, H, S, D). Of
        the options mask (boolean, True = may attend), bias, causal, window, offset, scale and softcap it is
        given those that its signature names, with the meaning that they have for
        `scaled_dot_product_attention`; the others are rows "not offered", and so are grouped heads and
        D_v ≠ D where it raises. If saved has the shape of the weights (…, L, S), or of lse (…, L), it is
        compared with them.
    backward : callable or "autograd", optional
        One of `backward(d_out, q, k, v)`, `backward(d_out, q, k, v, saved)`,
        `backward(d_out, q, k, v, out, saved)`, `backward(d_out, saved)`, and `backward(d_out)` after a call
        of the forward; or with any of the names q, k, v, out, weights, lse, saved behind d_out, in any order.
        It returns (d_q, d_k, d_v), and takes options as the forward does. "autograd" lets PyTorch
        differentiate the forward.
    arrays : "numpy" or "torch"
        What the functions are given and return.
    only : iterable of str, optional
        Operations as the rows name them, such as "attention, plain".
    seed : int

    Returns
    -------
    rows : Rows
        One for each operation; `rows.passed` tells whether all is well, and printing them shows the table.

    Raises
    ------
    ValueError
        For a backward whose arguments cannot be told, and for an unknown name in `only`.

    Notes
    -----
    The backward is given step01's out, and step01's weights or lse for a saved that is one of these: a wrong
    forward is not held against it. Any other saved is what the forward returned.
    """
    if arrays not in ("numpy", "torch"):
        raise ValueError(f"arrays is {arrays!r}; expected 'numpy' or 'torch'")
    if callable(backward):
        arguments(backward)
    tensors = arrays == "torch" or backward == AUTOGRAD
    rows = Rows()
    for case in select(only, ATTENTION):
        expected = ask(FunctionCall(case, Stage(REFERENCE), seed))
        call = PlainCall(case, forward, backward, reference_results(case, seed), tensors, seed)
        judged = {name: x for name, x in call.reference.items() if name in ("out", call.kind)}
        rows.append(row(call, replace(expected, results=judged), name_of(forward), REFERENCE))
    return rows


def reference_results(case: Case, seed: int) -> dict[str, np.ndarray]:
    """Return step01's out, weights and lse."""
    stage, (inputs, options, _) = Stage(REFERENCE), draw(case, seed)
    out, weights = stage.call("scaled_dot_product_attention", *inputs, **options)
    return {"out": out, "weights": weights, "lse": stage.call("flash_attention", *inputs, **options)[1]}


@dataclass
class PlainCall:
    """A case of attention as it is put to two plain functions; `reference` has step01's results."""

    case: Case
    forward: Callable
    backward: Callable | str | None
    reference: dict[str, np.ndarray]
    tensors: bool
    seed: int

    @cached_property
    def kind(self) -> str | None:
        """What stands behind `out`: "weights" or "lse" by its shape, "other", or None for nothing."""
        try:
            _, saved = self.run()
        except Exception:  # told where the forward is judged
            return None
        shape = tuple(getattr(saved, "shape", ()))
        kinds = [name for name in ("weights", "lse") if shape == self.reference[name].shape]
        return None if saved is None else (*kinds, "other")[0]

    def run(self, leaves=None):
        """Call the forward: out and what it saves, as they come."""
        (q, k, v), options, _ = draw(self.case, self.seed)
        name = name_of(self.forward)
        check_takes(name, self.forward, 3, options)
        options = neutral(self.forward, q, k) | options
        with shapes_may_be_refused(self.case, name):
            found = self.forward(*(leaves or self.given((q, k, v))), **self.given(options))
        out, *saved = found if isinstance(found, tuple | list) else (found,)
        return out, (saved[0] if len(saved) == 1 else tuple(saved) or None)

    def results(self) -> dict:
        """Call the forward: its results by name."""
        return {name: as_numpy(x) for name, x in zip(("out", self.kind), self.run(), strict=True) if name}

    def gradients(self, d_out: np.ndarray, results: Mapping) -> dict:
        """Call the backward, or PyTorch's: gradients by name."""
        if self.backward is None:
            raise NotOffered("no backward was given")
        if self.backward == AUTOGRAD:
            leaves = [x.requires_grad_() for x in self.given(draw(self.case, self.seed)[0])]
            self.run(leaves)[0].backward(self.given(d_out.copy()))
            return {name: as_numpy(x.grad) for name, x in zip("qkv", leaves, strict=True)}
        arrays, options = self.backward_arrays(), self.backward_options()
        found = self.backward(self.given(d_out.copy()), **arrays, **self.given(options))
        if not isinstance(found, tuple | list):
            raise TypeError(f"{type(found).__name__} came back; expected (d_q, d_k, d_v)")
        return {name: as_numpy(x) for name, x in zip("qkv", found, strict=False)}

    def backward_arrays(self) -> dict:
        """Return the backward's arguments behind d_out: copies of step01's, or what the forward saved."""
        inputs, _, _ = draw(self.case, self.seed)
        copies = dict(zip("qkv", inputs, strict=True)) | {x: y.copy() for x, y in self.reference.items()}
        wanted = arguments(self.backward)
        if self.opaque:
            copies["saved"] = self.run()[1]
        elif "saved" in wanted.values():
            copies["saved"] = copies[self.kind or "weights"]
        return {name: self.given(copies[what]) for name, what in wanted.items()}

    @property
    def opaque(self) -> bool:
        """Whether the backward goes on from what the forward alone knows."""
        wanted = arguments(self.backward).values()
        return not wanted or ("saved" in wanted and self.kind == "other")

    def backward_options(self) -> dict:
        """Return the options that the backward takes; it must take those that nothing else tells it."""
        options, wanted = draw(self.case, self.seed)[1], arguments(self.backward).values()
        weights = "weights" in wanted or ("saved" in wanted and self.kind in ("weights", None))
        told = OPTIONS if self.opaque else IN_WEIGHTS if weights else ()
        asked = {name: x for name, x in options.items() if takes(self.backward, name) or name not in told}
        check_takes(name_of(self.backward), self.backward, 0, asked)
        inputs = draw(self.case, self.seed)[0]
        return neutral(self.backward, *inputs[:2]) | asked

    def given(self, x):
        """Return arrays as the functions take them, throughout tuples and dicts."""
        if isinstance(x, tuple):
            return tuple(map(self.given, x))
        if isinstance(x, dict):
            return {name: self.given(item) for name, item in x.items()}
        if self.tensors and isinstance(x, np.ndarray):
            import torch

            return torch.from_numpy(x)
        return x


def arguments(backward: Callable) -> dict[str, str]:
    """
    Tell what the arguments of a backward behind d_out are: by their names, or else by their number.

    Raises
    ------
    ValueError
        Where neither tells.
    """
    found = parameters(backward)
    if found is None:
        return dict(zip("qkv", "qkv", strict=True))
    named = [p for p in found if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)][1:]
    required = [p.name for p in named if p.default is p.empty and p.name not in OPTIONS]
    if set(required) <= KNOWN:
        return {p.name: p.name for p in named if p.name in KNOWN}
    if len(required) not in BY_POSITION:
        raise ValueError(
            f"{name_of(backward)} takes {', '.join(required)} behind d_out; expected nothing, saved, "
            f"(q, k, v), (q, k, v, saved), (q, k, v, out, saved), or names among {', '.join(sorted(KNOWN))}"
        )
    return dict(zip(required, BY_POSITION[len(required)], strict=True))


def neutral(function: Callable, q: np.ndarray, k: np.ndarray) -> dict:
    """Return what changes nothing, for those options that a function insists on."""
    shape = q.shape[-2], k.shape[-2]
    values = {
        "mask": np.ones(shape, dtype=bool),
        "bias": np.zeros(shape),
        "causal": False,
        "window": None,
        "offset": shape[1] - shape[0],
        "scale": q.shape[-1] ** -0.5,
        "softcap": None,
    }
    required = {p.name for p in parameters(function) or () if p.default is p.empty}
    return {name: x for name, x in values.items() if name in required}


def as_numpy(x):
    """Return a tensor as an array, and leave all else as it is."""
    return x.detach().cpu().numpy() if hasattr(x, "detach") else x


def name_of(function) -> str:
    """Return a function's name, or that of its type."""
    return getattr(function, "__name__", type(function).__name__)
