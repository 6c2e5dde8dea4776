"""Mean, first and largest rows of a sentence, and its direction: values, gradients, padding, short rows."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from step01_numpy.common.parity.stage import central_differences
from tests.tolerances import assert_earned, assert_equal64

B, L, D = 2, 5, 4
MASK = np.array([[True, True, True, False, False], [True, False, True, True, True]])


def torch_mean(hidden, mask=MASK):
    """The formula of sentence-transformers."""
    real = torch.tensor(mask)[..., None].to(hidden.dtype)
    return (hidden * real).sum(1) / real.sum(1).clamp(min=1e-9)


def with_gradient(function, x, d_out):
    leaf = torch.tensor(x).requires_grad_()
    out = function(leaf)
    out.backward(torch.tensor(d_out))
    return out.detach().numpy(), leaf.grad.numpy()


def test_mean_pool_equals_torchs(stage, rng):
    hidden, d_out = rng.normal(size=(B, L, D)), rng.normal(size=(B, D))
    expected, gradient = with_gradient(torch_mean, hidden, d_out)
    assert_equal64(stage.call("mean_pool", hidden, MASK), expected)
    assert_equal64(stage.gradients("mean_pool", d_out, hidden, MASK)[0], gradient)


def torch_first(hidden):
    return hidden[[0, 1], [0, 0]]


def torch_max(hidden):
    return hidden.masked_fill(~torch.tensor(MASK)[..., None], float("-inf")).max(dim=1).values


@pytest.mark.parametrize(("name", "formula"), [("first_pool", torch_first), ("max_pool", torch_max)])
def test_other_ways_equal_torchs(stage, rng, name, formula):
    hidden, d_out = rng.normal(size=(B, L, D)), rng.normal(size=(B, D))
    expected, gradient = with_gradient(formula, hidden, d_out)
    filled = np.where(MASK[..., None], hidden, np.nan)
    assert_equal64(stage.call(name, filled, MASK), expected)
    assert_equal64(stage.gradients(name, d_out, filled, MASK)[0], gradient)
    assert stage.call(name, hidden.astype("float32"), MASK).dtype == np.float32


def test_the_first_real_token_is_taken(stage, rng):
    """Wherever padding stands; and where no token is real, the largest is 0."""
    hidden, mask = rng.normal(size=(B, L, D)), np.arange(L) >= np.array([[2], [L]])
    assert_equal64(stage.call("first_pool", hidden, mask)[0], hidden[0, 2])
    assert (stage.call("max_pool", hidden, mask)[1] == 0).all()
    assert (stage.gradients("max_pool", rng.normal(size=(B, D)), hidden, mask)[0][1] == 0).all()


def test_padding_does_not_count_whatever_it_holds(stage, rng):
    hidden, d_out = rng.normal(size=(B, L, D)), rng.normal(size=(B, D))
    filled = np.where(MASK[..., None], hidden, np.nan)
    assert_equal64(stage.call("mean_pool", filled, MASK), stage.call("mean_pool", hidden, MASK))
    (gradient,) = stage.gradients("mean_pool", d_out, filled, MASK)
    assert (gradient[~MASK] == 0).all()
    assert np.isfinite(gradient).all()


def test_a_sentence_without_tokens_gives_zeros(stage, rng):
    mask = np.stack([MASK[0], np.zeros(L, bool)])
    hidden, d_out = rng.normal(size=(B, L, D)), rng.normal(size=(B, D))
    assert (stage.call("mean_pool", hidden, mask)[1] == 0).all()
    assert (stage.gradients("mean_pool", d_out, hidden, mask)[0][1] == 0).all()


@pytest.mark.parametrize("shape", [(D,), (3, D), (2, 3, D)])
def test_normalise_equals_torchs(stage, rng, shape):
    x, d_out = 3 * rng.normal(size=shape), rng.normal(size=shape)
    expected, gradient = with_gradient(lambda x: functional.normalize(x, dim=-1), x, d_out)
    assert_equal64(stage.call("normalise", x), expected)
    assert_equal64(stage.gradients("normalise", d_out, x)[0], gradient)


@pytest.mark.parametrize("length", [0.0, 1e-13])
def test_a_row_too_short_for_a_direction(stage, rng, length):
    x, d_out = rng.normal(size=(3, D)), rng.normal(size=(3, D))
    x[1] *= length / np.linalg.norm(x[1])
    expected, gradient = with_gradient(lambda x: functional.normalize(x, dim=-1), x, d_out)
    assert_equal64(stage.call("normalise", x), expected)
    assert_equal64(stage.gradients("normalise", d_out, x)[0], gradient)


def test_gradients_equal_central_differences(stage, rng):
    hidden, d_out = rng.normal(size=(B, L, D)), rng.normal(size=(B, D))
    (gradient,) = stage.gradients("mean_pool", d_out, hidden, MASK)
    numeric = central_differences(lambda x: stage.call("mean_pool", x, MASK), hidden, d_out)
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)
    x = rng.normal(size=(B, D))
    (gradient,) = stage.gradients("normalise", d_out, x)
    numeric = central_differences(lambda x: stage.call("normalise", x), x, d_out)
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)


@pytest.mark.parametrize(("dtype", "mean"), [("float32", 1), ("float16", 100)])
def test_lower_precision(stage, rng, dtype, mean):
    hidden = rng.normal(mean, 1, size=(B, 1000, D)).astype(dtype)  # sums of 100s are beyond float16
    mask, wide = rng.random((B, 1000)) < 0.8, torch.tensor(hidden.astype(np.float64))
    pooled, directions = stage.call("mean_pool", hidden, mask), stage.call("normalise", hidden)
    assert pooled.dtype == directions.dtype == dtype
    peer = torch_mean(torch.tensor(hidden).float(), mask).numpy()
    assert_earned(pooled, peer, torch_mean(wide, mask).numpy(), dtype, 2)
    peer = functional.normalize(torch.tensor(hidden), dim=-1).numpy()
    assert_earned(directions, peer, functional.normalize(wide, dim=-1).numpy(), dtype, 2)


@pytest.mark.usefixtures("unchecked")
def test_bad_masks(stage, rng):
    hidden = rng.normal(size=(B, L, D))
    with pytest.raises(TypeError, match="mask has dtype float64; expected bool"):
        stage.call("mean_pool", hidden, MASK.astype(float))
    with pytest.raises(ValueError, match=r"mask has shape \(2, 4\); expected \(2, 5\)"):
        stage.call("mean_pool", hidden, MASK[:, :4])
    with pytest.raises(ValueError, match=r"hidden has shape \(2, 4\); expected 3 axes"):
        stage.call("mean_pool", hidden[:, 0], MASK)
