"""Softmax and log-sum-exp: their values, their rows of -inf, their gradients."""

import numpy as np
import pytest
import torch

from step01_numpy.common.parity.stage import central_differences
from tests.tolerances import assert_earned, assert_equal64


@pytest.fixture
def scores(rng):
    scores = rng.normal(size=(2, 3, 5, 7)) * 5
    scores[0, 1, 2, 3:] = -np.inf
    return scores


@pytest.mark.parametrize("axis", [-1, -2, 1])
def test_softmax_equals_torch(stage, scores, axis):
    assert_equal64(stage.call("softmax", scores, axis=axis), torch.tensor(scores).softmax(axis).numpy())


@pytest.mark.parametrize("axis", [-1, -2, 1])
def test_log_sum_exp_equals_torch(stage, scores, axis):
    expected = torch.tensor(scores).logsumexp(axis).numpy()
    assert_equal64(stage.call("log_sum_exp", scores, axis=axis), expected)


def test_rows_sum_to_one(stage, scores):
    assert_equal64(stage.call("softmax", scores).sum(axis=-1), np.ones((2, 3, 5)))


def test_large_scores_stay_in_range(stage):
    weights = stage.call("softmax", np.array([[1e4, 1e4, -1e4]]))
    assert_equal64(weights, np.array([[0.5, 0.5, 0]]))
    assert_equal64(stage.call("log_sum_exp", np.array([[1e4, 1e4]])), np.array([1e4 + np.log(2)]))


def test_hidden_row_gives_zero_weights_and_gradients(stage, scores, rng):
    scores[1, 1] = -np.inf
    d_out = rng.normal(size=scores.shape)
    assert (stage.call("softmax", scores)[1, 1] == 0).all()
    assert (stage.gradients("softmax", d_out, scores)[0][1, 1] == 0).all()
    assert (stage.call("log_sum_exp", scores)[1, 1] == -np.inf).all()
    assert (stage.gradients("log_sum_exp", d_out[..., 0], scores)[0][1, 1] == 0).all()


def test_nan_passes_through(stage):
    scores = np.array([[0.0, np.nan, 1.0], [0.0, 1.0, 2.0]])
    weights = stage.call("softmax", scores)
    assert np.isnan(weights[0]).all()
    assert not np.isnan(weights[1]).any()
    assert np.isnan(stage.call("log_sum_exp", scores)).tolist() == [True, False]


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("function", ["softmax", "log_sum_exp"])
def test_gradient_equals_central_differences(stage, rng, function, axis):
    scores = rng.normal(size=(4, 5))
    d_out = rng.normal(size=stage.call(function, scores, axis=axis).shape)
    (gradient,) = stage.gradients(function, d_out, scores, axis=axis)
    numeric = central_differences(lambda x: stage.call(function, x, axis=axis), scores, d_out)
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_lower_precision(stage, scores, dtype):
    scores = scores.astype(dtype)
    expected = torch.tensor(scores.astype(np.float64))
    weights, lse = stage.call("softmax", scores), stage.call("log_sum_exp", scores)
    assert weights.dtype == dtype
    assert lse.dtype == np.float32
    peer = torch.tensor(scores)
    assert_earned(weights, peer.softmax(-1), expected.softmax(-1).numpy(), dtype, 2)
    assert_earned(lse, peer.float().logsumexp(-1), expected.logsumexp(-1).numpy(), "float32", 2)


def test_what_ones_as_upstream_gradients_cannot_see(stage, scores, rng):
    """docs/gradients.md: ones show a missing row sum, and no fault in what the bracket is multiplied by."""
    weights = stage.call("softmax", scores)
    ones, random = np.ones_like(scores), rng.normal(size=scores.shape)

    def wrong(d_weights):
        centred = d_weights - (d_weights * weights).sum(axis=-1, keepdims=True)
        return {
            "without the row sum": weights * d_weights,
            "twice as large": 2 * weights * centred,
            "negative": -weights * centred,
            "without the weights": centred,
            "zero": 0 * centred,
        }

    right = {
        name: stage.gradients("softmax", d, scores)[0] for name, d in (("ones", ones), ("random", random))
    }
    assert_equal64(right["ones"], np.zeros_like(scores))
    for name, gradient in wrong(ones).items():
        seen = np.abs(gradient - right["ones"]).max() > 1e-10
        assert seen == (name == "without the row sum"), name
    assert_equal64(wrong(ones)["without the row sum"], weights)
    for name, gradient in wrong(random).items():
        assert np.abs(gradient - right["random"]).max() > 0.01, name
