"""A caller's mistake raises an error that names the argument, what was expected and what came."""

import numpy as np
import pytest

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.ours]  # the messages are our words


def zeros(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


Q, K, V = zeros(2, 6, 5, 4), zeros(2, 3, 7, 4), zeros(2, 3, 7, 8)
ATTENTION = [
    ((Q, zeros(2, 4, 7, 4), zeros(2, 4, 7, 8)), {}, ValueError, "k has 4 key/value heads, .* q's 6 heads"),
    ((Q, zeros(2, 3, 7, 5), V), {}, ValueError, "k has head size 5; q has 4"),
    ((Q, K, zeros(2, 3, 6, 8)), {}, ValueError, "v has 6 positions; k has 7"),
    ((Q, K, zeros(2, 6, 7, 8)), {}, ValueError, r"v has leading shape \(2, 6\); k has \(2, 3\)"),
    ((Q, zeros(1, 3, 7, 4), zeros(1, 3, 7, 8)), {}, ValueError, r"k has shape \(1, 3, 7, 4\); expected"),
    ((Q, zeros(3, 7, 4), zeros(3, 7, 8)), {}, ValueError, r"k has shape \(3, 7, 4\); expected"),
    ((zeros(4), K, V), {}, ValueError, r"q has shape \(4,\); expected"),
    ((zeros(2, 6, 0, 4), K, V), {}, ValueError, r"q is empty: shape \(2, 6, 0, 4\)"),
    ((Q, zeros(2, 3, 0, 4), zeros(2, 3, 0, 8)), {}, ValueError, "k is empty"),
    ((zeros(2, 6, 5, 4, dtype=np.int64), K, V), {}, TypeError, "q has dtype int64; expected a floating"),
    ((Q, K.astype(np.float32), V), {}, TypeError, "q, k, v have dtypes float64, float32, float64"),
    ((Q, K, V, zeros(5, 7)), {}, TypeError, "mask has dtype float64; expected bool"),
    (
        (Q, K, V, zeros(5, 6, dtype=bool)),
        {},
        ValueError,
        r"mask has shape \(5, 6\), which does not broadcast",
    ),
    ((Q, K, V, zeros(3, 2, 6, 5, 7, dtype=bool)), {}, ValueError, "mask has shape .* does not broadcast"),
    ((Q, K[:, :, :1], V[:, :, :1], zeros(5, 7, dtype=bool)), {}, ValueError, "mask has shape"),
    ((Q, K, V), {"bias": zeros(2, 1, 5, 6)}, ValueError, r"bias has shape \(2, 1, 5, 6\), which does not"),
    ((Q, K, V), {"bias": zeros(5, 7, dtype=np.int32)}, TypeError, "bias has dtype int32"),
    (
        (Q, K, V),
        {"window": (-1, 2)},
        ValueError,
        "window's left side is -1; expected an integer of at least 0",
    ),
    ((Q, K, V), {"window": (1, 2.5)}, ValueError, "window's right side is 2.5"),
    ((Q, K, V), {"window": 3}, TypeError, r"window is 3; expected \(left, right\)"),
    ((Q, K, V), {"offset": 1.5}, TypeError, "offset is 1.5; expected an integer"),
    ((Q, K, V), {"scale": float("nan")}, ValueError, "scale is nan; expected a finite number"),
    ((Q, K, V), {"softcap": 0.0}, ValueError, "softcap is 0.0; expected a number above 0"),
]


@pytest.mark.parametrize("function", ["scaled_dot_product_attention", "flash_attention"])
@pytest.mark.parametrize(("args", "options", "error", "message"), ATTENTION, ids=lambda x: str(x)[:40])
def test_attention(stage, function, args, options, error, message):
    with pytest.raises(error, match=message):
        stage.call(function, *args, **options)


@pytest.mark.parametrize("function", ["scaled_dot_product_attention", "flash_attention"])
def test_attention_of_lists(stage, function):
    with pytest.raises(TypeError, match="q is a list; expected this stage's"):
        getattr(stage.package, function)([[1.0]], [[1.0]], [[1.0]])


def test_arrays_of_another_stage():
    import step02_torch

    with pytest.raises(TypeError, match="q is a ndarray; expected this stage's Tensor"):
        step02_torch.scaled_dot_product_attention(Q, K, V)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((12, 5), "n_heads is 5, which does not divide d_model 12"),
        ((12, 6, 4), "n_kv_heads is 4, which does not divide n_heads 6"),
        ((12, 0), "n_heads is 0; expected an integer of at least 1"),
        ((0, 1), "d_model is 0"),
        ((12, 2.0), "n_heads is 2.0; expected an integer"),
    ],
)
def test_head_counts(stage, args, message):
    with pytest.raises(ValueError, match=message):
        stage.layer("MultiHeadAttention", *args)


@pytest.mark.parametrize("d_head", [0, 2.0, True, -4])
def test_head_sizes(stage, d_head):
    stage.layer("MultiHeadAttention", 12, 5, d_head=4)  # need not share out the width
    with pytest.raises(ValueError, match=f"d_head is {d_head}; expected an integer of at least 1"):
        stage.layer("MultiHeadAttention", 12, 5, d_head=d_head)


def test_rows_of_the_wrong_size(stage):
    with pytest.raises(ValueError, match=r"x has shape \(2, 5, 7\); expected \(..., 6\)"):
        stage.layer("SelfAttention", 6).forward(zeros(2, 5, 7))
    with pytest.raises(ValueError, match=r"x has shape \(5, 12\); expected 3 axes"):
        stage.layer("MultiHeadAttention", 12, 3).forward(zeros(5, 12))


def test_rotary_positions_in_cross_attention(stage):
    layer = stage.layer("MultiHeadAttention", 12, 3, rotary=stage.package.Rotary(4))
    with pytest.raises(ValueError, match="rotary positions serve self-attention only"):
        layer.forward(zeros(2, 5, 12), zeros(2, 7, 12))


def test_odd_size_of_positions(stage):
    with pytest.raises(ValueError, match="2, which does not divide d_rotary 5"):
        stage.package.Rotary(5)
    with pytest.raises(ValueError, match="2, which does not divide d_model 7"):
        stage.call("sinusoidal_positions", 4, 7)


def test_position_out_of_range(stage):
    with pytest.raises(ValueError, match=r"positions holds token 9; the vocabulary has 9 \(0 to 8\)"):
        stage.layer("LearnedPositions", 9, 4).forward(np.array([[0, 9]]))


@pytest.mark.parametrize("sides", [(-1, 0), (0, -2), (1.5, 0)])
def test_window_mask(stage, sides):
    with pytest.raises(ValueError, match=r"window's .* side is"):
        stage.call("sliding_window_mask", 3, 3, *sides)


def test_state_of_another_layer(stage):
    layer = stage.layer("SelfAttention", 6)
    before = {name: x.copy() for name, x in layer.state().items()}
    with pytest.raises(
        ValueError, match=r"missing names \['w_v.weight'\] and unexpected names \['w_o.weight'\]"
    ):
        layer.load({"w_q.weight": zeros(6, 6), "w_k.weight": zeros(6, 6), "w_o.weight": zeros(6, 6)})
    with pytest.raises(ValueError, match=r"w_k.weight has shape \(6, 5\); expected \(6, 6\)"):
        layer.load({"w_q.weight": zeros(6, 6), "w_k.weight": zeros(6, 5), "w_v.weight": zeros(6, 6)})
    assert all((layer.state()[name] == x).all() for name, x in before.items())


@pytest.mark.parametrize("package", ["step01_numpy", "step03_gpu"])
def test_backward_after_a_cached_forward(package):
    from importlib import import_module

    stage = import_module(package)
    layer = stage.MultiHeadAttention(12, 3)
    out = layer(stage.from_numpy(zeros(2, 5, 12)), cache=stage.KVCache())
    with pytest.raises(RuntimeError, match="backward follows a forward with a cache"):
        layer.backward(out)


@pytest.mark.parametrize("package", ["step01_numpy", "step03_gpu"])
def test_unknown_device(package):
    from importlib import import_module

    with pytest.raises(ValueError, match="device is 'tpu'"):
        import_module(package).from_numpy(zeros(1), device="tpu")
