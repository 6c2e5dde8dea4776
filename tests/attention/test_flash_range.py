"""Flash attention keeps the digits that plain attention keeps, however large its scores and lse are."""

import numpy as np
import pytest

from step02_torch.flash_attention import flash_attention_backward as step02_backward
from step03_gpu.flash_attention import on_rung
from tests.attention.test_option_grid import peers
from tests.tolerances import EPS, assert_all_equal64, assert_earned

FLASH = "flash_attention"
N_QUERIES, N_KEYS, HEADS = 300, 700, 4
LOWEST = float(np.finfo(np.float32).min)


def check(stage, rng, size=1.0, bias=None):
    """Compare float32 with float64, where all keys are seen."""
    q, d_out = (rng.normal(size=(HEADS, N_QUERIES, 16)).astype(np.float32) for _ in range(2))
    k, v = (rng.normal(size=(2, N_KEYS, 16)).astype(np.float32) for _ in range(2))
    q *= np.float32(size)
    see = np.ones((N_QUERIES, N_KEYS), bool)
    worst, reference = peers(rng, (q, k, v, d_out), see, bias, None)
    out, _ = stage.call(FLASH, q, k, v, bias=bias)
    found = out, *stage.gradients(FLASH, d_out, q, k, v, bias=bias)
    for i, (name, x) in enumerate(zip(("out", "d_q", "d_k", "d_v"), found, strict=True)):
        assert_earned(x, worst[i], reference[i], "float32", 3 if i else 2, name)


@pytest.mark.grid
@pytest.mark.parametrize("largest", [100, 440, 3800, 15000])
def test_scores_of_any_size(stage, rng, largest):
    """A score of 3,800 is rounded by 1e-4: once, or the weights no longer sum to 1."""
    check(stage, rng, size=largest / 4)


@pytest.mark.grid
@pytest.mark.parametrize("hidden", [-50.0, -1e4, -1e9, -1e20, LOWEST])
@pytest.mark.parametrize("rows", [slice(None), slice(5, 7)])
def test_a_bias_that_hides_all_keys_of_a_row_alike(stage, rng, hidden, rows):
    """Many models hide so: a row with nothing to see is the mean of all, and lse has no room for log n."""
    bias = np.zeros((N_QUERIES, N_KEYS), np.float32)
    bias[:, N_KEYS // 2 :] = hidden  # padding
    bias[rows] = hidden
    check(stage, rng, bias=bias)


@pytest.mark.grid
@pytest.mark.parametrize("size", [1.0, 40.0])
@pytest.mark.parametrize("n_own", [1, 300, 699])
def test_keys_that_are_not_all_find_their_own_share(stage, rng, size, n_own):
    """The lse of all keys is no rounded lse of some: their weights sum to less than 1, and shall."""
    q, d_out = (rng.normal(size=(HEADS, N_QUERIES, 16)) for _ in range(2))
    k, v = (rng.normal(size=(2, N_KEYS, 16)) for _ in range(2))
    q = q * size
    backward = getattr(stage.package, f"{FLASH}_backward", step02_backward)  # which is not for everybody
    out, lse = stage.call(FLASH, q, k, v)
    parts = []
    for keys in (slice(0, n_own), slice(n_own, None)):
        part = q, k[:, keys], v[:, keys]
        parts.append(stage.numpy(backward(*stage.array((d_out, *part, out, lse)))))
    (d_q, d_k, d_v), (other_q, other_k, other_v) = parts
    found = d_q + other_q, np.concatenate([d_k, other_k], axis=1), np.concatenate([d_v, other_v], axis=1)
    assert_all_equal64(found, stage.gradients(FLASH, d_out, q, k, v))


@pytest.mark.parametrize("rung", [0, 4])
def test_weights_of_a_large_lse_sum_to_1(rng, rung):
    """d_v of a d_out of 1 are a query's weights. All scores are 4800, which nothing rounds but lse."""
    q, k = np.full((1, 32), 600), rng.permuted(np.broadcast_to(np.arange(32) % 2, (90, 32)), axis=-1)
    q, k, v = (x.astype(np.float32) for x in (q, k, rng.normal(size=(90, 32))))
    attend, scale = on_rung(rung), 0.5
    out, lse = attend.forward(q, k, v, scale=scale)
    *_, d_v = attend.backward(np.ones_like(out), q, k, v, out, lse, scale=scale)
    off = abs(np.log(d_v[:, 0].sum(dtype=np.float64)))
    assert lse > 3000
    assert off <= 4 * EPS["float32"]
