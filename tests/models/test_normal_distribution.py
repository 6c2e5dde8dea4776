"""Φ in float32 against SciPy's in float64, and GELU made of it against PyTorch's."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from step01_numpy.common.support import normal_distribution as module
from step01_numpy.common.support.normal_distribution import normal_distribution
from tests.tolerances import EPS, assert_earned


def test_it_is_good_to_a_float32():
    x = np.linspace(-9, 9, 200_001, dtype=np.float32)
    assert np.abs(normal_distribution(x) - ndtr(x.astype(np.float64))).max() <= EPS["float32"]


def test_far_out_it_is_0_or_1():
    x = np.array([-np.inf, -1e38, -1e15, -15, 0, 6.5, 1e15, np.inf, np.nan], np.float32)
    found = normal_distribution(x)
    assert found.dtype == np.float32
    assert found[:-1].tolist() == [0, 0, 0, 0, 0.5, 1, 1, 1]
    assert np.isnan(found[-1])


def test_the_left_tail_has_digits():
    x = np.linspace(-12.5, -4.001, 20_001, dtype=np.float32)
    np.testing.assert_allclose(normal_distribution(x), ndtr(x.astype(np.float64)), rtol=1e-3)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3), (2, 3, 5)])
def test_any_shape_and_layout(shape, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    before = x.copy()
    np.testing.assert_allclose(normal_distribution(x.T), ndtr(x.T), atol=EPS["float32"])
    assert (x == before).all()


@pytest.mark.parametrize(("middle", "spread"), [(0, 3), *((x, 0.5) for x in (-3, -4, -5, -6, -7, -8))])
def test_gelu_and_its_gradient_in_float32(stage, rng, middle, spread):
    x, d_out = (
        rng.normal(middle, spread, (5, 70)).astype(np.float32),
        rng.normal(size=(5, 70)).astype(np.float32),
    )

    def reference(dtype):
        leaf = torch.tensor(x).to(dtype).requires_grad_()
        out = torch.nn.functional.gelu(leaf)
        out.backward(torch.tensor(d_out).to(dtype))
        return out.detach().numpy(), leaf.grad.numpy()

    (peer, d_peer), (expected, d_expected) = reference(torch.float32), reference(torch.float64)
    assert_earned(stage.call("gelu", x), peer, expected, "float32", 2)
    assert_earned(stage.gradients("gelu", d_out, x)[0], d_peer, d_expected, "float32", 3)
