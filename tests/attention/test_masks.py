"""Masks: where the diagonal lies, how masks combine, and whom they hide."""

import numpy as np
import pytest


def test_causal_mask_of_a_square(stage):
    assert (stage.call("causal_mask", 4) == np.tri(4, dtype=bool)).all()


@pytest.mark.parametrize(("n_queries", "n_keys"), [(3, 5), (5, 3), (1, 4)])
def test_causal_queries_are_the_last_ones_by_default(stage, n_queries, n_keys):
    expected = np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)
    assert (stage.call("causal_mask", n_queries, n_keys) == expected).all()


@pytest.mark.parametrize("offset", [-2, 0, 1, 9])
def test_causal_offset(stage, offset):
    mask = stage.call("causal_mask", 3, 5, offset=offset)
    expected = [[j <= i + offset for j in range(5)] for i in range(3)]
    assert mask.tolist() == expected


@pytest.mark.parametrize("left", [None, 0, 2])
@pytest.mark.parametrize("right", [None, 0, 1])
@pytest.mark.parametrize("offset", [None, -1, 2])
def test_sliding_window(stage, left, right, offset):
    mask = stage.call("sliding_window_mask", 4, 6, left, right, offset=offset)
    shift = 6 - 4 if offset is None else offset

    def sees(i, j):
        return (left is None or i + shift - left <= j) and (right is None or j <= i + shift + right)

    assert mask.tolist() == [[sees(i, j) for j in range(6)] for i in range(4)]


def test_padding_mask(stage):
    mask = stage.call("padding_mask", np.array([2, 0, 3]), 3)
    assert mask.shape == (3, 1, 1, 3)
    assert mask[:, 0, 0].tolist() == [[True, True, False], [False] * 3, [True] * 3]


def test_combination_is_an_and(stage, rng):
    mask = rng.random((2, 1, 4, 6)) < 0.5
    combined = stage.call("combine_masks", 4, 6, mask, causal=True, window=(2, 5), offset=1)
    causal = stage.call("causal_mask", 4, 6, offset=1)
    window = stage.call("sliding_window_mask", 4, 6, 2, 5, offset=1)
    assert (combined == (mask & causal & window)).all()


def test_nothing_hidden_is_no_mask(stage):
    assert stage.call("combine_masks", 4, 6, None, window=(None, None)) is None


def test_hide(stage):
    hidden = stage.call("hide", np.array([1.0, np.nan, 3.0]), np.array([True, False, False]))
    assert hidden.tolist() == [1.0, -np.inf, -np.inf]
