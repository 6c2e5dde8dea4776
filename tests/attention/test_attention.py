"""Scaled dot-product attention against PyTorch's, float64 first, then in every dtype."""

import ml_dtypes
import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as sdpa

from step01_numpy.common.parity.stage import central_differences
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

B, H, L, S, D, D_V = 2, 3, 5, 7, 4, 6
DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@pytest.fixture(params=["scaled_dot_product_attention", "flash_attention"])
def function(request):
    """Both attentions keep one contract: every test here holds for either."""
    return request.param


def qkv(rng, heads=H, kv_heads=H, n_queries=L, n_keys=S, lead=(B,)):
    q = rng.normal(size=(*lead, heads, n_queries, D))
    k = rng.normal(size=(*lead, kv_heads, n_keys, D))
    return q, k, rng.normal(size=(*lead, kv_heads, n_keys, D_V))


def allowed(mask=None, causal=False, window=(None, None), offset=None, n_queries=L, n_keys=S):
    """The visible keys, written as the contract states them."""
    offset = n_keys - n_queries if offset is None else offset
    left, right = window
    i, j = np.arange(n_queries)[:, None] + offset, np.arange(n_keys)[None, :]
    see = np.ones((n_queries, n_keys), bool) if mask is None else mask
    see = see & (j <= i) if causal else see
    see = see if left is None else see & (j >= i - left)
    return see if right is None else see & (j <= i + right)


def torch_attention(q, k, v, d_out, see, bias=None, scale=None, dtype=torch.float64):
    """Return PyTorch's out and gradients: the mask and the bias merged into one float mask."""
    see = torch.tensor(np.broadcast_to(see, np.broadcast_shapes(see.shape, (q.shape[-2], k.shape[-2]))))
    hidden = torch.where(see, 0.0, -torch.inf).to(dtype)
    merged = hidden if bias is None else hidden + torch.tensor(bias).to(dtype)
    q, k, v = (torch.tensor(np.asarray(x, np.float64)).to(dtype).requires_grad_() for x in (q, k, v))
    out = sdpa(q, k, v, attn_mask=merged, scale=scale, enable_gqa=q.shape[-3] != k.shape[-3])
    out.backward(torch.tensor(np.asarray(d_out, np.float64)).to(dtype))
    return [x.detach().double().numpy() for x in (out, q.grad, k.grad, v.grad)]


def check(stage, function, arrays, rng, bias=None, scale=None, **options):
    """Compare out and gradients with PyTorch's, and the weights or lse with their definition."""
    q, k, v = arrays
    sizes = {"n_queries": q.shape[-2], "n_keys": k.shape[-2]}
    see = allowed(**{name: x for name, x in options.items()}, **sizes)
    options |= {"bias": bias, "scale": scale}
    d_out = rng.normal(size=(*q.shape[:-1], v.shape[-1]))
    out, saved = stage.call(function, q, k, v, **options)
    gradients = stage.gradients(function, d_out, q, k, v, **options)
    expected_out, *expected_gradients = torch_attention(q, k, v, d_out, see, bias, scale)
    assert_equal64(out, expected_out, "out")
    assert_all_equal64(gradients, expected_gradients, "gradient")
    check_saved(function, saved, q, k, see, bias, scale)


def check_saved(function, saved, q, k, see, bias, scale):
    k = np.repeat(k, q.shape[-3] // k.shape[-3], axis=-3)
    scores = torch.tensor(q @ k.swapaxes(-1, -2)) * (1 / D**0.5 if scale is None else scale)
    scores = scores if bias is None else scores + torch.tensor(bias)
    scores = scores.masked_fill(~torch.as_tensor(see), -torch.inf)
    if function == "flash_attention":
        assert_equal64(saved, scores.logsumexp(-1).numpy(), "lse")
    else:
        assert_equal64(saved, scores.softmax(-1).nan_to_num(0).numpy(), "weights")


@pytest.mark.parametrize("lead", [(), (H,), (B, H)])
def test_the_simple_one_is_the_general_one_without_options(stage, rng, lead):
    q, k, v = (rng.normal(size=(*lead, *size)) for size in ((L, D), (S, D), (S, D_V)))
    d_out, general = rng.normal(size=(*lead, L, D_V)), "scaled_dot_product_attention"
    assert_all_equal64(stage.call("simple_attention", q, k, v), stage.call(general, q, k, v))
    found = stage.gradients("simple_attention", d_out, q, k, v)
    assert_all_equal64(found, stage.gradients(general, d_out, q, k, v))


def test_plain(stage, function, rng):
    check(stage, function, qkv(rng), rng)


def test_default_scale_is_one_over_root_of_head_size(stage, function, rng):
    q, k, v = qkv(rng)
    expected = torch.softmax(torch.tensor(q @ k.swapaxes(-1, -2)) / 2, -1).numpy() @ v  # √D = 2
    assert_equal64(stage.call(function, q, k, v)[0], expected)


@pytest.mark.parametrize("scale", [0.3, 1.0, -0.5])
def test_scale(stage, function, rng, scale):
    check(stage, function, qkv(rng), rng, scale=scale)


@pytest.mark.parametrize(("n_queries", "n_keys"), [(L, S), (S, L), (1, S), (S, 1), (6, 6)])
def test_causal_for_any_lengths(stage, function, rng, n_queries, n_keys):
    check(stage, function, qkv(rng, n_queries=n_queries, n_keys=n_keys), rng, causal=True)


@pytest.mark.parametrize("offset", [-3, 0, 1, 50])
def test_causal_offset(stage, function, rng, offset):
    check(stage, function, qkv(rng), rng, causal=True, offset=offset)


def test_causal_with_offset_zero_is_torchs_is_causal(stage, function, rng):
    q, k, v = qkv(rng)
    expected = sdpa(*(torch.tensor(x) for x in (q, k, v)), is_causal=True).numpy()
    assert_equal64(stage.call(function, q, k, v, causal=True, offset=0)[0], expected)


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("window", [(2, 1), (0, 0), (None, 1), (2, None), (50, 50), (None, None)])
@pytest.mark.parametrize("offset", [None, 0])
def test_window(stage, function, rng, window, offset):
    check(stage, function, qkv(rng), rng, window=window, offset=offset)


def test_causal_window(stage, function, rng):
    check(stage, function, qkv(rng), rng, causal=True, window=(2, 3))


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("shape", [(L, S), (S,), (1, S), (L, 1), (H, L, S), (B, 1, 1, S), (B, H, L, S), ()])
def test_mask_of_any_broadcastable_shape(stage, function, rng, shape):
    mask = np.asarray(rng.random(shape) < 0.6)
    check(stage, function, qkv(rng), rng, mask=mask)


def test_mask_and_causal_combine(stage, function, rng):
    check(stage, function, qkv(rng), rng, mask=rng.random((B, 1, 1, S)) < 0.7, causal=True)


@pytest.mark.parametrize("shape", [(L, S), (H, L, S), (B, H, L, S)])
def test_bias_with_minus_infinity(stage, function, rng, shape):
    bias = np.where(rng.random(shape) < 0.3, -np.inf, rng.normal(size=shape))
    bias[..., 2, :] = -np.inf  # one query sees nothing
    check(stage, function, qkv(rng), rng, bias=bias)


def test_softcap_comes_before_bias_and_mask(stage, function, rng):
    q, k, v = qkv(rng)
    bias, mask = rng.normal(size=(L, S)) * 3, rng.random((L, S)) < 0.7
    mask[:, 0] = True
    scores = 1.5 * np.tanh(q @ k.swapaxes(-1, -2) / 2 / 1.5) + bias
    expected = torch.tensor(np.where(mask, scores, -np.inf)).softmax(-1).numpy() @ v
    assert_equal64(stage.call(function, q, k, v, mask, bias=bias, softcap=1.5)[0], expected)


@pytest.mark.grid
def test_gradients_equal_central_differences(stage, function, rng):
    q, k, v = qkv(rng, heads=4, kv_heads=2, lead=())
    options = {"softcap": 1.5, "bias": rng.normal(size=(L, S)), "causal": True, "window": (3, None)}
    d_out = rng.normal(size=(4, L, D_V))
    gradients = stage.gradients(function, d_out, q, k, v, **options)
    for i, gradient in enumerate(gradients):
        arrays = [q, k, v]

        def out(x, i=i, arrays=arrays):
            return stage.call(function, *arrays[:i], x, *arrays[i + 1 :], **options)[0]

        numeric = central_differences(out, arrays[i], d_out)
        np.testing.assert_allclose(gradient, numeric, atol=1e-7)


@pytest.mark.parametrize("kv_heads", [1, 2, 3, 6])
def test_grouped_heads(stage, function, rng, kv_heads):
    check(stage, function, qkv(rng, heads=6, kv_heads=kv_heads), rng, causal=True)


def test_no_head_axes(stage, function, rng):
    q, k, v = (x[0, 0] for x in qkv(rng))
    out, _ = stage.call(function, q, k, v, causal=True)
    expected, _ = stage.call(function, q[None, None], k[None, None], v[None, None], causal=True)
    assert_equal64(out, expected[0, 0])


def test_hidden_row_is_zero_without_nan(stage, function, rng):
    q, k, v = qkv(rng)
    mask = np.ones((L, S), bool)
    mask[2] = False
    d_out = rng.normal(size=(B, H, L, D_V))
    out, saved = stage.call(function, q, k, v, mask)
    d_q, d_k, d_v = stage.gradients(function, d_out, q, k, v, mask)
    assert (out[:, :, 2] == 0).all()
    assert (saved[:, :, 2] == (-np.inf if function == "flash_attention" else 0)).all()
    assert (d_q[:, :, 2] == 0).all()
    without = [0, 1, 3, 4]  # the hidden query leaves no trace in the other gradients
    others = stage.gradients(function, d_out[:, :, without], q[:, :, without], k, v)
    assert_all_equal64((d_q[:, :, without], d_k, d_v), others)


def test_everything_hidden_is_zero_throughout(stage, function, rng):
    q, k, v = qkv(rng)
    mask = np.zeros((1, 1), bool)
    out, _ = stage.call(function, q, k, v, mask)
    gradients = stage.gradients(function, rng.normal(size=(B, H, L, D_V)), q, k, v, mask)
    assert not any(x.any() for x in (out, *gradients))


def test_nan_in_a_visible_key_reaches_the_queries_that_see_it(stage, function, rng):
    q, k, v = qkv(rng)
    k[0, 1, 5, 2] = np.nan
    out, _ = stage.call(function, q, k, v, causal=True)
    expected = np.zeros((B, H, L, D_V), bool)
    expected[0, 1, 3:] = True  # key 5 is visible from query 5 - (S - L) = 3 on
    assert (np.isnan(out) == expected).all()


def test_poison_behind_minus_infinity_stays_there(stage, function, rng):
    q, k, v = qkv(rng)
    bias = np.zeros((L, S))
    bias[:, 4:] = -np.inf
    expected, _ = stage.call(function, q, k[:, :, :4], v[:, :, :4])
    k[:, :, 4:], v[:, :, 4:] = 1e3, 1e3
    assert_equal64(stage.call(function, q, k, v, bias=bias, softcap=None)[0], expected)


def test_inputs_stay_as_they_are(stage, function, rng):
    arrays = qkv(rng)
    copies = [x.copy() for x in arrays]
    stage.gradients(function, rng.normal(size=(B, H, L, D_V)), *arrays, softcap=2.0, causal=True)
    assert all((x == copy).all() for x, copy in zip(arrays, copies, strict=True))


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
def test_lower_precision(stage, function, rng, dtype, causal):
    arrays = [x.astype(DTYPES[dtype]) for x in qkv(rng, n_queries=70, n_keys=70)]
    d_out = rng.normal(size=(B, H, 70, D_V)).astype(DTYPES[dtype])
    see = allowed(causal=causal, n_queries=70, n_keys=70)
    out, saved = stage.call(function, *arrays, causal=causal)
    gradients = stage.gradients(function, d_out, *arrays, causal=causal)
    peers = torch_attention(*arrays, d_out, see, dtype=getattr(torch, dtype))
    expected = torch_attention(*arrays, d_out, see)
    assert {x.dtype.name for x in (out, *gradients)} == {dtype}
    assert saved.dtype.name == ("float32" if function == "flash_attention" else dtype)
    names = ("out", "d_q", "d_k", "d_v")
    for i, (name, x) in enumerate(zip(names, (out, *gradients), strict=True)):
        assert_earned(x, peers[i], expected[i], dtype, 2 if i == 0 else 3, name)


def test_record_keeps_the_weights_of_each_call(stage, rng):
    q, k, v = qkv(rng)
    maps = []
    attend = stage.package.record(stage.package.STANDARD, maps)
    forward = getattr(attend, "forward", attend)
    forward(*stage.array((q, k, v)))
    forward(*stage.array((q, k, v)), causal=True)
    assert_equal64(maps[0], stage.call("scaled_dot_product_attention", q, k, v)[1])
    assert_equal64(maps[1], stage.call("scaled_dot_product_attention", q, k, v, causal=True)[1])


def test_bias_gets_no_gradient(rng):
    import step02_torch

    q, k, v = (torch.tensor(x) for x in qkv(rng))
    bias = torch.zeros(L, S, dtype=torch.float64, requires_grad=True)
    out, _ = step02_torch.scaled_dot_product_attention(q.requires_grad_(), k, v, bias=bias)
    out.backward(torch.tensor(rng.normal(size=out.shape)))
    assert bias.grad is None
