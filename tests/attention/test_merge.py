"""Merged attentions over sets of keys are the attention over all of them, in any order."""

import warnings
from functools import reduce
from itertools import permutations

import numpy as np
import pytest

from step01_numpy.common.parity.stage import central_differences
from tests.tolerances import EPS, assert_all_equal64, assert_earned, assert_equal64

L, S, D, D_V = 5, 11, 4, 3
SETS = [slice(0, 2), slice(2, 7), slice(7, 11)]  # of keys


@pytest.fixture
def qkv(rng):
    """Return q, k, v with two query heads to a key/value head; the scores are large enough to matter."""
    return rng.normal(size=(2, 4, L, D)) * 3, rng.normal(size=(2, 2, S, D)), rng.normal(size=(2, 2, S, D_V))


@pytest.fixture
def parts(rng):
    """Return out, lse, other_out, other_lse, a few of whose rows have seen no key."""
    out, other_out = rng.normal(size=(2, 2, 3, L, D_V))
    lse, other_lse = rng.normal(size=(2, 2, 3, L)) * 2
    for o, s, rows in ((out, lse, (1, 2)), (other_out, other_lse, (2, 3))):
        o[0, :, rows], s[0, :, rows] = 0, -np.inf
    return out, lse, other_out, other_lse


def attend(stage, qkv, keys, **options):
    """Attend to some of the keys; `offset` says where the queries stand among all of them."""
    q, k, v = qkv
    offset = S - L - keys.start
    return stage.call("flash_attention", q, k[..., keys, :], v[..., keys, :], offset=offset, **options)


def merge(stage, *parts):
    return reduce(lambda a, b: stage.call("merge_attention", *a, *b), parts)


def gradients(stage, d_out, d_lse, parts):
    """Differentiate Σ d_out · out + Σ d_lse · lse by the stage's own backward, or by autograd."""
    merge, (d_out, d_lse, *parts) = stage.get("merge_attention"), stage.array((d_out, d_lse, *parts))
    if stage.has("merge_attention_backward"):
        return stage.numpy(stage.get("merge_attention_backward")(d_out, d_lse, *parts))
    leaves = [x.requires_grad_() for x in parts]
    out, lse = merge(*leaves)
    seen = lse.isfinite()
    ((d_out * out).sum() + (d_lse * lse)[seen].sum()).backward()
    return stage.numpy(tuple(x.grad for x in leaves))


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"window": (3, 1)}, {"softcap": 2.0}], ids=str)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_three_sets_of_keys_in_any_order(stage, qkv, order, options):
    expected = attend(stage, qkv, slice(0, S), **options)
    found = merge(stage, *(attend(stage, qkv, SETS[i], **options) for i in order))
    assert_all_equal64(found, expected, "out, lse")


def test_merging_is_associative(stage, qkv):
    a, b, c = (attend(stage, qkv, keys, causal=True) for keys in SETS)
    assert_all_equal64(merge(stage, a, merge(stage, b, c)), merge(stage, merge(stage, a, b), c))


def test_each_sets_backward_takes_the_merged_out_and_lse(rng, qkv):
    """What the ring builds on: no set needs to know more of the others than out and lse."""
    from step01_numpy import flash_attention, flash_attention_backward, merge_attention

    q, k, v = qkv
    d_out = rng.normal(size=(*q.shape[:-1], D_V))
    out, lse = flash_attention(*qkv, causal=True)
    expected = flash_attention_backward(d_out, *qkv, out, lse, causal=True)
    at = [{"causal": True, "offset": S - L - keys.start} for keys in SETS]
    sets = [(k[..., keys, :], v[..., keys, :]) for keys in SETS]
    parts = [flash_attention(q, *kv, **options) for kv, options in zip(sets, at, strict=True)]
    out, lse = reduce(lambda a, b: merge_attention(*a, *b), parts)
    found = [
        flash_attention_backward(d_out, q, *kv, out, lse, **options)
        for kv, options in zip(sets, at, strict=True)
    ]
    d_q, d_k, d_v = zip(*found, strict=True)
    joined = sum(d_q), np.concatenate(d_k, axis=-2), np.concatenate(d_v, axis=-2)
    assert_all_equal64(joined, expected, "gradient")


def test_rows_without_a_key(stage, parts):
    out, lse, other_out, other_lse = parts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        merged, total = stage.call("merge_attention", *parts)
    assert (merged[0, :, 2] == 0).all()  # seen by neither
    assert (total[0, :, 2] == -np.inf).all()
    assert_equal64(merged[0, :, 1], other_out[0, :, 1])  # seen by one
    assert_equal64(total[0, :, 1], other_lse[0, :, 1])
    assert_equal64(merged[0, :, 3], out[0, :, 3])
    assert_equal64(total[0, :, 3], lse[0, :, 3])
    seen = [0, 1, 3, 4]
    assert_equal64(total[:, :, seen], np.logaddexp(lse, other_lse)[:, :, seen])


def test_large_scores_stay_in_range(stage):
    out, other = np.array([[1.0]]), np.array([[3.0]])
    merged, total = stage.call("merge_attention", out, np.array([1e4]), other, np.array([1e4]))
    assert_equal64(merged, np.array([[2.0]]))
    assert_equal64(total, np.array([1e4 + np.log(2)]))


def test_gradients_equal_central_differences(stage, rng, parts):
    parts = [x[1] for x in parts]  # where every row is seen
    d_out, d_lse = rng.normal(size=parts[0].shape), rng.normal(size=parts[1].shape)
    found = gradients(stage, d_out, d_lse, parts)
    for i, x in enumerate(parts):
        for j, d in enumerate((d_out, d_lse)):
            single = [d_out * (j == 0), d_lse * (j == 1)]
            numeric = central_differences(lambda _, j=j: stage.call("merge_attention", *parts)[j], x, d)
            assert_close(gradients(stage, *single, parts)[i], numeric)
        assert np.isfinite(found[i]).all()


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_gradients_of_out_and_lse_add_up(stage, rng, parts):
    d_out, d_lse = rng.normal(size=parts[0].shape), rng.normal(size=parts[1].shape)
    both = gradients(stage, d_out, d_lse, parts)
    apart = zip(
        gradients(stage, d_out, 0 * d_lse, parts), gradients(stage, 0 * d_out, d_lse, parts), strict=True
    )
    assert_all_equal64(both, [a + b for a, b in apart])


def test_gradients_of_rows_without_a_key_are_zero(stage, rng, parts):
    d_out, d_lse = rng.normal(size=parts[0].shape), rng.normal(size=parts[1].shape)
    d_first, d_lse_first, d_second, d_lse_second = gradients(stage, d_out, d_lse, parts)
    for rows, d, s in (((1, 2), d_first, d_lse_first), ((2, 3), d_second, d_lse_second)):
        assert (d[0, :, rows] == 0).all()
        assert (s[0, :, rows] == 0).all()
    assert_equal64(d_second[0, :, 1], d_out[0, :, 1])  # seen by this set alone


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_lower_precision(stage, rng, dtype):
    """Out in 16 bits is merged in float32: off by no more than one rounding of the result."""
    out, other_out = rng.normal(size=(2, 3, L, D_V)).astype(dtype)
    lse, other_lse = rng.normal(size=(2, 3, L)).astype("float32") * 2
    merged, total = stage.call("merge_attention", out, lse, other_out, other_lse)
    assert merged.dtype.name == dtype
    assert total.dtype.name == "float32"
    wide = [x.astype(np.float64) for x in (out, lse, other_out, other_lse)]
    expected, expected_total = stage.call("merge_attention", *wide)
    assert np.abs(merged - expected).max() <= EPS[dtype] * np.abs(expected).max()
    assert_earned(total, np.logaddexp(lse, other_lse), expected_total, "float32", 2)


def test_gradients_in_16_bits_are_rounded_once(rng, parts):
    from step01_numpy import merge_attention_backward

    d_out, d_lse = rng.normal(size=parts[0].shape), rng.normal(size=parts[1].shape)
    half = [x.astype("float16" if x.ndim == 4 else "float32") for x in (d_out, d_lse, *parts)]
    wide = [x.astype(np.float64) for x in half]
    found, expected = merge_attention_backward(*half), merge_attention_backward(*wide)
    assert [x.dtype.name for x in found] == ["float16", "float32"] * 2
    for x, y in zip(found, expected, strict=True):
        assert np.abs(x - y).max() <= EPS[x.dtype.name] * 4 * np.abs(y).max()


BAD = [
    (1, lambda x: x[..., 1:], ValueError, r"lse has shape \(2, 3, 4\); expected \(2, 3, 5\)"),
    (2, lambda x: x[..., 1:], ValueError, r"other_out has shape \(2, 3, 5, 2\); expected \(2, 3, 5, 3\)"),
    (3, lambda x: x[:1], ValueError, r"other_lse has shape \(1, 3, 5\); expected \(2, 3, 5\)"),
    (0, lambda x: x.astype(int), TypeError, "out has dtype int64; expected a floating dtype"),
    (2, lambda x: x.astype("float32"), TypeError, "other_out has dtype .*float32; expected that of out"),
]


@pytest.mark.ours  # the messages are our words
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("position", "change", "error", "message"), BAD)
def test_bad_input(stage, parts, position, change, error, message):
    parts = list(parts)
    parts[position] = change(parts[position])
    with pytest.raises(error, match=message):
        stage.call("merge_attention", *parts)


def test_autograd_is_not_fed_an_lse_without_history(qkv):
    """step02's flash attention gives lse no gradient; merged, its gradients would be silently wrong."""
    import torch

    import step02_torch

    q, k, v = (torch.tensor(x, requires_grad=True) for x in qkv)
    part = step02_torch.flash_attention(q, k, v)
    with pytest.raises(ValueError, match=r"^lse has no gradient and out has one"):
        step02_torch.merge_attention(*part, *part)
    with torch.no_grad():
        step02_torch.merge_attention(*part, *part)
