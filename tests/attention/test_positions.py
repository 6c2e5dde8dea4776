"""Positions: the paper's formulas, the property each is made for, and gradients."""

import numpy as np
import pytest

from step01_numpy.common.parity.stage import central_differences
from tests.tolerances import assert_equal64


def test_sinusoids_as_in_the_paper(stage):
    table = stage.call("sinusoidal_positions", 50, 6)
    for p, i in [(0, 0), (7, 0), (7, 1), (49, 2)]:
        angle = p / 10000 ** (2 * i / 6)
        assert table[p, 2 * i : 2 * i + 2] == pytest.approx([np.sin(angle), np.cos(angle)], abs=1e-6)
    assert table.dtype == np.float32


def test_sinusoids_in_halves_are_marians(stage):
    pytest.importorskip("transformers", reason="the oracle here, which a GPU machine may lack")
    from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

    theirs = MarianSinusoidalPositionalEmbedding(50, 6).create_weight().numpy()
    ours = stage.call("sinusoids", np.arange(50), 6, interleaved=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(("base", "scaling"), [(5e5, (8.0, 1.0, 4.0, 8192)), (1e4, (3.0, 0.5, 9.0, 100))])
def test_scaled_frequencies_are_transformers(stage, base, scaling):
    """Llama 3.1's numbers, and others: pairs that turn often, seldom, and between."""
    pytest.importorskip("transformers", reason="the oracle here, which a GPU machine may lack")
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    factor, low, high, original = scaling
    names = {"low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": original}
    parameters = {"rope_type": "llama3", "rope_theta": base, "factor": factor, **names}
    config = LlamaConfig(hidden_size=64, num_attention_heads=1, rope_parameters=parameters)
    theirs, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    ours = stage.call("rotary_frequencies", 64, base=base, scaling=scaling)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)
    plain = stage.call("rotary_frequencies", 64, base=base)
    assert np.isclose(ours, plain).any()
    assert np.isclose(ours, plain / factor).any()


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotated_products_depend_on_the_distance_alone(stage, rng, interleaved):
    q, k = rng.normal(size=(1, 8)), rng.normal(size=(1, 8))

    def product(i, j):
        rows = [stage.call("rotary_angles", np.array([p]), 8) for p in (i, j)]
        a, b = (
            stage.call("rotate", x, *row, interleaved=interleaved)
            for x, row in zip((q, k), rows, strict=True)
        )
        return (a @ b.T).item()

    assert product(3, 1) == pytest.approx(product(12, 10), abs=1e-12)
    assert abs(product(3, 1) - product(1, 3)) > 1e-3


def test_rotation_by_complex_numbers(stage, rng):
    """The paper's definition: pair i of a vector at position p times e^(i p θ_i)."""
    x, positions = rng.normal(size=(5, 8)), np.array([0, 3, 1, 9, 4])
    theta = 10000.0 ** (-np.arange(0, 8, 2) / 8)
    turned = (x[:, 0::2] + 1j * x[:, 1::2]) * np.exp(1j * positions[:, None] * theta)
    angles = stage.call("rotary_angles", positions, 8)
    out = stage.call("rotate", x, *angles, interleaved=True)
    assert_equal64(out, np.stack([turned.real, turned.imag], axis=-1).reshape(5, 8))
    halves = np.concatenate([x[:, 0::2], x[:, 1::2]], axis=1)
    expected = np.concatenate([turned.real, turned.imag], axis=1)
    assert_equal64(stage.call("rotate", halves, *angles), expected)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotation_of_some_coordinates_and_its_gradient(stage, rng, interleaved):
    x, d_out = rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 5, 6))
    angles = stage.call("rotary_angles", np.arange(5), 4)
    out = stage.call("rotate", x, *angles, interleaved=interleaved)
    assert_equal64(out[..., 4:], x[..., 4:])
    (gradient,) = stage.gradients("rotate", d_out, x, *angles, interleaved=interleaved)
    numeric = central_differences(
        lambda y: stage.call("rotate", y, *angles, interleaved=interleaved), x, d_out
    )
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)


def test_rotation_keeps_float32(stage, rng):
    x = rng.normal(size=(5, 4)).astype(np.float32)
    assert stage.call("rotate", x, *stage.call("rotary_angles", np.arange(5), 4)).dtype == np.float32


def test_learned_positions(stage, rng):
    layer = stage.layer("LearnedPositions", 9, 4)
    positions, d_out = np.array([[0, 3, 3], [8, 0, 1]]), rng.normal(size=(2, 3, 4))
    table = layer.state()["weight"]
    assert_equal64(layer.forward(positions), table[positions])
    expected = np.zeros_like(table)
    for row, d in zip(positions.reshape(-1), d_out.reshape(-1, 4), strict=True):
        expected[row] += d  # a position that occurs twice collects two gradients
    assert_equal64(layer.gradients(d_out, positions)["weight"], expected)


def test_alibi_slopes_of_the_paper(stage):
    assert stage.call("alibi_slopes", 8) == [2.0**-h for h in range(1, 9)]
    assert stage.call("alibi_slopes", 4) == [2.0**-h for h in (2, 4, 6, 8)]
    six = [2.0**-h for h in (2, 4, 6, 8)] + [2.0**-1, 2.0**-3]
    assert stage.call("alibi_slopes", 6) == pytest.approx(six)


def test_alibi_bias(stage):
    bias = stage.call("alibi_bias", 2, 2, 4)
    distance = np.array([[2, 1, 0, 1], [3, 2, 1, 0]])
    assert_equal64(bias.astype(float), -np.array([2.0**-4, 2.0**-8])[:, None, None] * distance)


def test_alibi_shifts_weights_to_near_keys(stage, rng):
    q = np.zeros((1, 2, 3, 4))
    bias = stage.call("alibi_bias", 2, 3).astype(float)
    _, weights = stage.call("scaled_dot_product_attention", q, q, q, bias=bias, causal=True)
    assert (np.diff(weights[0, 0, 2]) > 0).all()
