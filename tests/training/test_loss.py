"""Cross-entropy, of logits and of what they are a projection of, against PyTorch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from step01_numpy.common.parity.stage import central_differences
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

N, V, D = 5, 7, 6


def torch_loss(logits, targets, d_loss, smoothing, dtype=torch.float64, softcap=None):
    logits = torch.tensor(logits).to(dtype).requires_grad_()
    loss = functional.cross_entropy(logits, torch.tensor(targets), label_smoothing=smoothing)
    loss.backward(torch.tensor(d_loss, dtype=dtype))
    return loss.detach().numpy(), logits.grad.numpy()


def torch_linear_loss(hidden, weight, bias, targets, smoothing, dtype=torch.float64, softcap=None):
    leaves = [torch.tensor(x).to(dtype).requires_grad_() for x in (hidden, weight, bias)]
    logits = functional.linear(*leaves)
    logits = logits if softcap is None else softcap * (logits / softcap).tanh()
    loss = functional.cross_entropy(logits, torch.tensor(targets), label_smoothing=smoothing)
    loss.backward()
    return loss.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


def linear_loss(stage, hidden, weight, bias, targets, **options):
    """Return the loss and its gradients, which step01 returns beside it and autograd has behind it."""
    hidden, weight, bias, targets = stage.array((hidden, weight, bias, targets))
    function = stage.get("linear_cross_entropy")
    if stage.has("cross_entropy_backward"):
        loss, gradients = function(hidden, weight, targets, bias=bias, **options)
        return stage.numpy(loss), stage.numpy(gradients)
    leaves = [x.requires_grad_() for x in (hidden, weight, bias)]
    loss = function(*leaves[:2], targets, bias=bias, **options)
    loss.backward()
    return stage.numpy(loss), stage.numpy(tuple(leaf.grad for leaf in leaves))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("n", [1, N])
def test_cross_entropy_equals_torchs(stage, rng, n, smoothing):
    logits, targets = rng.normal(size=(n, V)) * 3, rng.integers(0, V, n)
    d_loss = rng.normal(size=())
    expected, gradient = torch_loss(logits, targets, d_loss, smoothing)
    assert_equal64(stage.call("cross_entropy", logits, targets, smoothing=smoothing), expected)
    found = stage.gradients("cross_entropy", d_loss, logits, targets, smoothing=smoothing)
    assert_all_equal64(found, [gradient])


def test_gradient_equals_central_differences(stage, rng):
    logits, targets, d_loss = rng.normal(size=(N, V)), rng.integers(0, V, N), np.array(-1.7)
    (found,) = stage.gradients("cross_entropy", d_loss, logits, targets, smoothing=0.1)

    def loss(x):
        return stage.call("cross_entropy", x, targets, smoothing=0.1)

    np.testing.assert_allclose(found, central_differences(loss, logits, d_loss), atol=1e-8)


def test_what_cross_entropy_counts(stage):
    """Nats: a model that knows nothing of V tokens is surprised by log V, one that is sure by nothing."""
    targets = np.arange(V)
    assert stage.call("cross_entropy", np.zeros((V, V)), targets) == pytest.approx(np.log(V))
    assert stage.call("cross_entropy", 50 * np.eye(V), targets) == pytest.approx(0, abs=1e-12)
    assert stage.call("cross_entropy", -50 * np.eye(V), targets) == pytest.approx(50 + np.log(V - 1))


def test_large_logits_stay_in_range(stage, rng):
    logits, targets = rng.normal(size=(N, V)) * 1e4, rng.integers(0, V, N)
    expected, gradient = torch_loss(logits, targets, 1.3, 0.1)
    assert_equal64(stage.call("cross_entropy", logits, targets, smoothing=0.1), expected)
    found = stage.gradients("cross_entropy", np.array(1.3), logits, targets, smoothing=0.1)
    assert_all_equal64(found, [gradient])


def hidden_logits(rng, n=N):
    """Return logits and targets, -inf among the others, and in one row at the target itself."""
    logits, targets = rng.normal(size=(n, V)) * 3, rng.integers(0, V, n)
    logits[np.arange(n), (targets + 1) % V] = logits[0, (targets[0] + 2) % V] = -np.inf
    return logits, targets


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_logit_of_minus_infinity_equals_torchs(stage, rng, dtype):
    """Where nothing is smoothed, 0 · -inf has no say: what cannot come is no surprise if it does not."""
    logits, targets = hidden_logits(rng)
    expected, gradient = torch_loss(logits.astype(dtype), targets, 1.3, 0.0)
    found = stage.call("cross_entropy", logits.astype(dtype), targets)
    (d_logits,) = stage.gradients("cross_entropy", np.array(1.3, dtype), logits.astype(dtype), targets)
    assert found.dtype == d_logits.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(d_logits, gradient, atol=1e-6 if dtype == "float32" else 1e-12)


def test_a_target_of_minus_infinity_is_an_infinite_surprise(stage, rng):
    logits, targets = hidden_logits(rng)
    logits[0, targets[0]] = -np.inf
    expected, gradient = torch_loss(logits, targets, 1.0, 0.0)
    assert stage.call("cross_entropy", logits, targets) == expected == np.inf
    assert_all_equal64(stage.gradients("cross_entropy", np.array(1.0), logits, targets), [gradient])


def test_a_bias_of_minus_infinity_equals_torchs(stage, rng):
    arrays = [rng.normal(size=x) for x in ((N, D), (V, D), V)]
    arrays[2][3], targets = -np.inf, np.array([0, 1, 2, 4, 5])
    expected, gradients = torch_linear_loss(*arrays, targets, 0.0)
    loss, found = linear_loss(stage, *arrays, targets)
    assert_equal64(loss, expected, "loss")
    assert_all_equal64(found, gradients, "gradient")


@pytest.mark.usefixtures("unchecked")
def test_options_of_numpys_leave_the_dtype_alone(rng):
    import step01_numpy

    logits, targets = rng.normal(size=(N, V)).astype(np.float32), rng.integers(0, V, N)
    for kind in (float, np.float64, np.float32):
        loss = step01_numpy.cross_entropy(logits, targets, smoothing=kind(0.5))
        d_logits = step01_numpy.cross_entropy_backward(kind(0.5), logits, targets, smoothing=kind(0.5))
        assert loss.dtype == d_logits.dtype == np.float32
    half = step01_numpy.cross_entropy_backward(1.0, logits.astype(np.float16), targets)
    assert half.dtype == np.float16


def n_rows(stage):
    """One row; one block; more than one, the last one short."""
    block = stage.get("BLOCK")
    return [1, block - 1, block, 2 * block, 2 * block + 3]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("which", range(5))
def test_linear_cross_entropy_equals_torchs(stage, rng, which, smoothing):
    n = n_rows(stage)[which]
    arrays = rng.normal(size=(n, D)), rng.normal(size=(V, D)), rng.normal(size=V), rng.integers(0, V, n)
    expected, gradients = torch_linear_loss(*arrays, smoothing)
    loss, found = linear_loss(stage, *arrays, smoothing=smoothing)
    assert_equal64(loss, expected, "loss")
    assert_all_equal64(found, gradients, "gradient")


def test_linear_cross_entropy_of_capped_logits(stage, rng):
    n = n_rows(stage)[-1]
    arrays = rng.normal(size=(n, D)), rng.normal(size=(V, D)), rng.normal(size=V), rng.integers(0, V, n)
    expected, gradients = torch_linear_loss(*arrays, 0.1, softcap=1.5)
    loss, found = linear_loss(stage, *arrays, smoothing=0.1, softcap=1.5)
    assert_equal64(loss, expected, "loss")
    assert_all_equal64(found, gradients, "gradient")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_linear_cross_entropy_in_float32(stage, rng, smoothing):
    n = n_rows(stage)[-1]
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((n, 32), (50, 32), 50)]
    arrays.append(rng.integers(0, 50, n))
    peer, peers = torch_linear_loss(*arrays, smoothing, torch.float32)
    expected, references = torch_linear_loss(*arrays, smoothing)
    loss, found = linear_loss(stage, *arrays, smoothing=smoothing)
    assert {x.dtype.name for x in (loss, *found)} == {"float32"}
    assert_earned(loss, peer, expected, "float32", 2, "loss")
    for name, x, peer, reference in zip(
        ("d_hidden", "d_weight", "d_bias"), found, peers, references, strict=True
    ):
        assert_earned(x, peer, reference, "float32", 3, name)


def test_linear_cross_entropy_leaves_its_inputs_as_they_are(stage, rng):
    arrays = [rng.normal(size=(N, D)), rng.normal(size=(V, D)), rng.normal(size=V), rng.integers(0, V, N)]
    copies = [x.copy() for x in arrays]
    linear_loss(stage, *arrays, smoothing=0.1)
    assert all((x == copy).all() for x, copy in zip(arrays, copies, strict=True))


def test_gradient_of_a_loss_that_is_scaled_afterwards(rng):
    """step02's gradients are made in the forward, so its backward must still multiply by what comes back."""
    import step02_torch

    arrays, targets = [rng.normal(size=x) for x in ((N, D), (V, D), V)], rng.integers(0, V, N)
    _, gradients = torch_linear_loss(*arrays, targets, 0.1)
    leaves = [torch.tensor(x, requires_grad=True) for x in arrays]
    options = {"bias": leaves[2], "smoothing": 0.1}
    loss = step02_torch.linear_cross_entropy(*leaves[:2], torch.tensor(targets), **options)
    (loss * -1.7).backward()
    assert_all_equal64([leaf.grad.numpy() for leaf in leaves], [-1.7 * x for x in gradients])


def test_the_logits_are_never_all_in_memory(rng):
    import tracemalloc

    import step01_numpy

    hidden, weight = rng.normal(size=(2000, 4)), rng.normal(size=(1000, 4))
    targets = rng.integers(0, 1000, 2000)
    tracemalloc.start()
    step01_numpy.linear_cross_entropy(hidden, weight, targets, smoothing=0.1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2000 * 1000 * 8, f"{peak} bytes; the logits alone would be 16 MB"
