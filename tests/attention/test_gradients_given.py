"""A backward refuses a gradient, or what the forward returned, of another shape or dtype."""

from importlib import import_module

import numpy as np
import pytest

import step02_torch

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.ours]  # the messages are our words

Q, K, V, OUT = (2, 4, 5, 3), (2, 2, 7, 3), (2, 2, 7, 6), (2, 4, 5, 6)  # B 2, H 4, H_kv 2, L 5, S 7
WEIGHTS, LSE = (*Q[:3], 7), Q[:3]
ATTENTION = {"d_out": OUT, "q": Q, "k": K, "v": V, "out": OUT}
MERGED = {"d_out": OUT, "d_lse": LSE, "out": OUT, "lse": LSE, "other_out": OUT, "other_lse": LSE}
ROWS, STATE = (2, 5, 3), (5, 3)

# Of each backward: the shapes of its arguments, or the arguments themselves; and which are the forward's
# results or gradients of those.
BACKWARDS = {
    "softmax_backward": ({"d_weights": ROWS, "weights": ROWS}, ["d_weights"]),
    "simple_attention_backward": (
        {"d_out": (2, 5, 6), "q": (2, 5, 3), "k": (2, 7, 3), "v": (2, 7, 6), "weights": (2, 5, 7)},
        ["d_out", "weights"],
    ),
    "attention_backward": ({**ATTENTION, "weights": WEIGHTS}, ["d_out", "out", "weights"]),
    "flash_attention_backward": ({**ATTENTION, "lse": LSE}, ["d_out", "out", "lse"]),
    "cap_backward": ({"d_capped": ROWS, "scores": ROWS, "softcap": 2.0}, ["d_capped"]),
    "linear_backward": ({"d_out": (2, 5, 6), "x": ROWS, "weight": (6, 3)}, ["d_out"]),
    "log_sum_exp_backward": ({"d_lse": (2, 5), "scores": ROWS, "lse": (2, 5)}, ["d_lse", "lse"]),
    "merge_attention_backward": (MERGED, ["d_out", "d_lse"]),
    "lookup_backward": (
        {"d_rows": (2, 3), "indices": np.array([1, 1]), "table": (4, 3)},
        ["d_rows"],
    ),
    "layer_norm_backward": ({"d_out": ROWS, "x": ROWS, "weight": (3,)}, ["d_out"]),
    "rms_norm_backward": ({"d_out": ROWS, "x": ROWS, "weight": (3,)}, ["d_out"]),
    **{
        f"{name}_backward": ({"d_out": ROWS, "x": ROWS}, ["d_out"])
        for name in ("relu", "gelu", "gelu_tanh", "silu", "normalise")
    },
    "gru_step_backward": (
        {x: STATE for x in ("d_new", "state", "reset", "update", "candidate", "recalled")}
        | {"weight": (9, 3)},
        ["d_new"],
    ),
    "summary_backward": ({"d_out": (5, 4), "annotations": (5, 7, 4)}, ["d_out"]),
    "additive_scores_backward": ({"d_scores": (5, 7), "activation": (5, 7, 3), "v": (3,)}, ["d_scores"]),
    "dot_scores_backward": ({"d_scores": (5, 7), "query": (5, 3), "keys": (5, 7, 3)}, ["d_scores"]),
    "local_weights_backward": (
        {x: (5, 7) for x in ("d_weights", "soft", "gaussian", "distance")} | {"window": 2},
        ["d_weights"],
    ),
    "predict_position_backward": (
        {"d_centre": (5,), "state": STATE, "hidden": STATE, "share": (5,), "lengths": (5,), "weight": (3, 3)}
        | {"v": (3,)},
        ["d_centre"],
    ),
    "cross_entropy_backward": ({"d_loss": (), "logits": (2, 3), "targets": np.array([1, 2])}, ["d_loss"]),
}
# These have no array to compare with: what can be told of the shape is checked, in tests of their own.
OTHERS = {"repeat_heads_backward", "rotate_backward", "weight_backward"}
OTHERS |= {f"{kind}_pool_backward" for kind in ("mean", "first", "max")}


def arguments(name, rng, dtype):
    shapes = BACKWARDS[name][0]
    return {x: rng.random(y).astype(dtype) if isinstance(y, tuple) else y for x, y in shapes.items()}


def offered():
    """Yield every backward that a stage has to itself, and those of flash attention in other modules."""
    for stage in ("step01_numpy", "step03_gpu"):
        for name, function in vars(import_module(stage)).items():
            own = name.endswith("_backward") and function.__module__.startswith(stage)
            if own and name not in OTHERS:
                yield stage, name
    for module in ("tests.step01_engine", "tests.step03_rungs", "step02_torch.flash_attention"):
        yield module, "flash_attention_backward"


def call(package, name, arguments):
    """Call a backward with NumPy's arrays, turned into its stage's."""
    if package == "step02_torch.flash_attention":
        arguments = {
            x: step02_torch.from_numpy(y) if hasattr(y, "dtype") else y for x, y in arguments.items()
        }
    return getattr(import_module(package), name)(**arguments)


def wrong(x):
    """Yield arrays that could pass for x: some that broadcast to it, or it to them, and another dtype."""
    for axis in range(x.ndim):
        yield x.take([0], axis), ValueError
    yield x[None].repeat(2, 0), ValueError
    if x.ndim:
        yield x[0], ValueError
    for other in {"float64", "float32", "float16"} - {x.dtype.name}:
        yield x.astype(other), TypeError
    yield x.astype(int), TypeError
    yield x.tolist(), TypeError


@pytest.mark.parametrize(("package", "name"), list(offered()))
def test_a_backward_trusts_nothing(rng, package, name):
    given = arguments(name, rng, "float32")
    call(package, name, given)
    for argument in BACKWARDS[name][1]:
        for x, error in wrong(given[argument]):
            if argument == "d_loss" and isinstance(x, float):
                continue  # a number of Python's is one of every dtype
            with pytest.raises(error, match=f"^{argument} (has|is)"):
                call(package, name, {**given, argument: x})


@pytest.mark.parametrize("package", ["step01_numpy", "tests.step01_engine", "step03_gpu"])
@pytest.mark.parametrize("name", ["attention_backward", "flash_attention_backward"])
def test_a_backward_checks_what_the_forward_checked(rng, package, name):
    given = arguments(name, rng, "float64")
    for change, error, message in (
        ({"k": given["k"][:1]}, ValueError, "k has shape|v has leading shape"),
        ({"q": given["q"].astype(np.float32)}, TypeError, "q, k, v have dtypes"),
        ({"scale": np.nan}, ValueError, "scale is nan"),
        ({"softcap": np.inf}, ValueError, "softcap is inf"),
        ({"window": (1, -1)}, ValueError, "window's right side is -1"),
        ({"mask": np.ones((5, 6), bool)}, ValueError, "mask has shape"),
    ):
        with pytest.raises(error, match=message):
            call(package, name, {**given, **change})


def test_lse_of_16_bits_is_in_float32(rng):
    given = arguments("flash_attention_backward", rng, "float16")
    for package in ("step01_numpy", "step03_gpu", "step02_torch.flash_attention"):
        call(package, "flash_attention_backward", {**given, "lse": given["lse"].astype(np.float32)})
        with pytest.raises(TypeError, match="lse has dtype float16; expected float32"):
            call(package, "flash_attention_backward", given)


def test_heads_that_were_not_repeated(rng):
    backward = import_module("step01_numpy").repeat_heads_backward
    for shape, heads in (((2, 6, 5, 3), (3, 2)), ((2, 5, 5, 3), (2, 2)), ((5, 3), (2,)), ((4, 5, 3), (2, 2))):
        with pytest.raises(ValueError, match="d_x has heads"):
            backward(rng.random(shape), heads)


def test_weights_of_steps_that_were_not_taken(rng):
    backward = import_module("step01_numpy").weight_backward
    for shape in ((5, 4, 6), (20, 6), (4, 1, 6)):
        with pytest.raises(ValueError, match="d_out has shape"):
            backward(rng.random(shape), rng.random((4, 5, 3)))


@pytest.mark.parametrize("kind", ["mean", "first", "max"])
def test_pooled_rows_of_another_batch(rng, kind):
    backward, mask = getattr(import_module("step01_numpy"), f"{kind}_pool_backward"), np.ones((2, 5), bool)
    given = (rng.random((2, 5, 3)), mask) if kind == "max" else (mask,)
    for shape in ((1, 3), (4, 3), (3,)):
        with pytest.raises(ValueError, match="d_out has shape"):
            backward(rng.random(shape), *given)


def test_dropouts_gradient_has_the_shape_that_was_dropped_from(rng):
    layer = import_module("step01_numpy").Dropout(0.5, rng=rng)
    layer(rng.random((2, 3)))
    with pytest.raises(ValueError, match=r"d_out has shape \(1, 3\); expected \(2, 3\)"):
        layer.backward(rng.random((1, 3)))
