"""The layers around attention against PyTorch's own, autograd and central differences."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from step01_numpy.common.parity.stage import central_differences
from step02_torch.arrays import from_numpy as to_torch
from step02_torch.arrays import to_numpy as from_torch
from tests.tolerances import assert_all_equal64, assert_earned, assert_equal64

D, D_FF = 6, 9


ACTIVATIONS = {
    "relu": torch.relu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
}


def feed_forward(activation):
    """Return PyTorch's two linear maps, gated where there is a third."""

    def run(x, w):
        def linear(x, name):
            return functional.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

        hidden = ACTIVATIONS[activation](linear(x, "w_1"))
        return linear(hidden * linear(x, "w_3") if "w_3.weight" in w else hidden, "w_2")

    return run


# Each layer: its class, what it is built with, and PyTorch's function of its input and its weights by name.
LAYERS = {
    "LayerNorm": (
        "LayerNorm",
        {"d_model": D},
        lambda x, w: functional.layer_norm(x, (D,), w["weight"], w["bias"], 1e-5),
    ),
    "RMSNorm": ("RMSNorm", {"d_model": D}, lambda x, w: functional.rms_norm(x, (D,), w["weight"], 1e-6)),
    **{
        f"FeedForward, {name}": (
            "FeedForward",
            {"d_model": D, "d_ff": D_FF, "activation": name, **options},
            feed_forward(name),
        )
        for name, options in (
            ("relu", {}),
            ("gelu", {"bias": False}),
            ("gelu_tanh", {}),
            ("silu", {"gated": True, "bias": False}),
            ("gelu", {"gated": True}),
        )
    },
}
NORMS = {
    "layer_norm": (3, lambda eps: lambda x, w, b: functional.layer_norm(x, (D,), w, b, eps)),
    "rms_norm": (2, lambda eps: lambda x, w: functional.rms_norm(x, (D,), w, eps)),
}


def build(stage, rng, name, dtype="float64"):
    """Build a layer with random weights: a norm's ones and zeros would hide mistakes."""
    class_name, options, _ = LAYERS[name]
    layer = stage.layer(class_name, dtype=dtype, **options)
    return layer.load({name: rng.normal(size=x.shape).astype(dtype) for name, x in layer.state().items()})


def torch_layer(name, layer, x, d_out, dtype=torch.float64):
    """Return PyTorch's result, and its gradients by name."""
    x = torch.tensor(x).to(dtype).requires_grad_()
    weights = {name: torch.tensor(w).to(dtype).requires_grad_() for name, w in layer.state().items()}
    out = LAYERS[name][2](x, weights)
    out.backward(torch.tensor(d_out).to(dtype))
    leaves = {"0": x, **weights}
    return out.detach().numpy(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shape", [(2, 5, D), (7, D), (D,), (2, 3, 5, D)])
def test_layer_equals_torchs(stage, rng, name, shape):
    layer = build(stage, rng, name)
    x, d_out = rng.normal(2, 3, size=shape), rng.normal(size=shape)
    expected, gradients = torch_layer(name, layer, x, d_out)
    assert_equal64(layer.forward(x), expected)
    assert_all_equal64(layer.gradients(d_out, x), gradients)


@pytest.mark.grid
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_equal_central_differences(stage, rng, name):
    layer = build(stage, rng, name)
    x, d_out = rng.normal(size=(3, D)), rng.normal(size=(3, D))
    gradients, state = layer.gradients(d_out, x), {name: w.copy() for name, w in layer.state().items()}
    np.testing.assert_allclose(gradients.pop("0"), central_differences(layer.forward, x, d_out), atol=1e-7)
    assert set(gradients) == set(state)
    for weight in gradients:

        def out(w, weight=weight):
            return layer.load({**state, weight: w}).forward(x)

        numeric = central_differences(out, state[weight].copy(), d_out)
        np.testing.assert_allclose(gradients[weight], numeric, atol=1e-7)


@pytest.mark.parametrize("name", LAYERS)
def test_lower_precision(stage, rng, name):
    layer = build(stage, rng, name, "float32")
    x = rng.normal(2, 3, size=(4, 5, D)).astype(np.float32)
    d_out = rng.normal(size=(4, 5, D)).astype(np.float32)
    peer, peers = torch_layer(name, layer, x, d_out, torch.float32)
    expected, references = torch_layer(name, layer, x, d_out)
    out, gradients = layer.forward(x), layer.gradients(d_out, x)
    assert {x.dtype.name for x in (out, *gradients.values())} == {"float32"}
    assert_earned(out, peer, expected, "float32", 2, "out")
    for weight, gradient in gradients.items():
        assert_earned(gradient, peers[weight], references[weight], "float32", 3, weight)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("eps", [1e-6, 0.5])
def test_norms_function_equals_torchs(stage, rng, name, eps):
    """Rows so small that eps counts, in the value and in the gradient."""
    n_arrays, torchs = NORMS[name]
    arrays = [rng.normal(size=(2, 5, D)) * 1e-3, rng.normal(size=D), rng.normal(size=D)][:n_arrays]
    d_out = rng.normal(size=(2, 5, D))
    leaves = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = torchs(eps)(*leaves)
    expected.backward(torch.tensor(d_out))
    assert_equal64(stage.call(name, *arrays, eps=eps), expected.detach().numpy())
    found = stage.gradients(name, d_out, *arrays, eps=eps)
    assert_all_equal64(found, [leaf.grad.numpy() for leaf in leaves])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_equals_torchs(stage, rng, name, dtype):
    """Numbers far out too, where an exponential of them would overflow."""
    x = np.concatenate([rng.normal(size=60) * 3, [-1e4, -90.0, 0.0, 90.0, 1e4]]).astype(dtype)
    d_out = rng.normal(size=x.shape).astype(dtype)

    def torchs(dtype):
        leaf = torch.tensor(x, dtype=dtype, requires_grad=True)
        out = ACTIVATIONS[name](leaf)
        out.backward(torch.tensor(d_out, dtype=dtype))
        return out.detach().numpy(), leaf.grad.numpy()

    found = stage.call(name, x), *stage.gradients(name, d_out, x)
    for ours, peer, expected in zip(found, torchs(getattr(torch, dtype)), torchs(torch.float64), strict=True):
        assert ours.dtype == x.dtype
        assert_earned(ours, peer, expected, dtype, 2, name)
    if dtype == "float64":
        inside = slice(0, 60)
        numeric = central_differences(lambda y: stage.call(name, y), x[inside].copy(), d_out[inside])
        np.testing.assert_allclose(found[1][inside], numeric, atol=1e-6)


RANGES = [(-20, -6), (-6, -3), (-3, 3), (6, 20), (-1000, 1000), (-1e-3, 1e-3)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_keeps_its_dtype_and_its_digits(stage, rng, name, dtype):
    """Range by range: what is small beside what is large would not be seen."""
    for low, high in RANGES:
        x, d_out = (from_torch(torch.tensor(y).to(getattr(torch, dtype))) for y in spread(rng, low, high))
        found = stage.call(name, x), *stage.gradients(name, d_out, x)
        peers, references = (torch_activation(name, x, d_out, t) for t in (dtype, "float64"))
        for ours, peer, expected in zip(found, peers, references, strict=True):
            assert ours.dtype == x.dtype
            if dtype == "float64":
                assert_equal64(ours, expected, name)
            else:
                assert_earned(ours, peer, expected, dtype, 2, f"{name} of {low} to {high}")


def spread(rng, low, high):
    """Return numbers between two, these among them, and gradients."""
    return np.concatenate([rng.uniform(low, high, 40), [low, high]]), rng.normal(size=42)


def torch_activation(name, x, d_out, dtype):
    """Return PyTorch's value and gradient, computed in a dtype."""
    leaf = to_torch(x).to(getattr(torch, dtype)).requires_grad_()
    out = ACTIVATIONS[name](leaf)
    out.backward(to_torch(d_out).to(leaf.dtype))
    return out.detach().double().numpy(), leaf.grad.double().numpy()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sigmoid_near_0_keeps_its_digits(stage, dtype):
    x = np.array([-80.0, -30, -20, -6, 0, 6, 30, 1e4, -1e4]).astype(dtype)
    expected = torch.sigmoid(torch.tensor(x, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(stage.call("sigmoid", x), expected, rtol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.usefixtures("unchecked")
def test_activations_refuse_floats_of_8_bits():
    import ml_dtypes

    import step01_numpy

    x = np.zeros(3, ml_dtypes.float8_e4m3fn)
    for name in ACTIVATIONS:
        with pytest.raises(TypeError, match="x has dtype float8_e4m3fn; expected a floating dtype"):
            getattr(step01_numpy, name)(x)


@pytest.mark.usefixtures("unchecked")
def test_a_rate_of_numpys_leaves_the_dtype_alone(stage, rng):
    layer = stage.layer("Dropout", np.float64(0.5), rng=rng, dtype="float32")
    assert layer.forward(np.ones((3, 4), np.float32)).dtype == np.float32


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_norm_takes_an_eps(stage, rng, name):
    x = rng.normal(size=(5, D))
    layer = stage.layer(name, D, eps=0.5)
    expected = stage.call(
        "layer_norm" if name == "LayerNorm" else "rms_norm", x, *layer.state().values(), eps=0.5
    )
    assert_equal64(layer.forward(x), expected)
    assert abs(layer.forward(x) - stage.layer(name, D).forward(x)).max() > 0.01


@pytest.mark.parametrize(("name", "n"), [("layer_norm", 2), ("rms_norm", 1)])
def test_norms_sum_sixteen_bits_in_float32(stage, rng, name, n):
    """The square of 300 is no float16, and the sum of 4,096 of its like would lose the last of them."""
    x = rng.normal(1000, 300, size=(3, 4096)).astype(np.float16)
    weights = [rng.normal(size=4096).astype(np.float16) for _ in range(n)]
    wide = [w.astype(np.float64) for w in weights]
    expected = stage.call(name, x.astype(np.float64), *wide)
    found = stage.call(name, x, *weights)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected, rtol=2**-10, atol=2**-10)
    d_out = rng.normal(size=x.shape).astype(np.float16)
    gradients = stage.gradients(name, d_out, x, *weights)
    expected = stage.gradients(name, d_out.astype(np.float64), x.astype(np.float64), *wide)
    for ours, exact in zip(gradients, expected, strict=True):
        assert ours.dtype == np.float16
        np.testing.assert_allclose(ours, exact, rtol=2**-7, atol=2**-7)  # PyTorch rounds in between


def test_norms_start_as_ones_and_zeros(stage):
    state = {name: x.tolist() for name, x in stage.layer("LayerNorm", 3).state().items()}
    assert state == {"weight": [1.0, 1.0, 1.0], "bias": [0.0, 0.0, 0.0]}
    assert stage.layer("RMSNorm", 2).state()["weight"].tolist() == [1.0, 1.0]


def test_embedding_equals_torchs_and_repeated_tokens_add_up(stage, rng):
    layer = stage.layer("Embedding", 8, D, rng=np.random.default_rng(3))
    tokens, d_out = np.array([[7, 3, 3, 0], [3, 1, 7, 3]]), rng.normal(size=(2, 4, D))
    module = torch.nn.Embedding(8, D, _weight=torch.tensor(layer.state()["weight"]))
    expected = module(torch.tensor(tokens))
    expected.backward(torch.tensor(d_out))
    assert_equal64(layer.forward(tokens), expected.detach().numpy())
    assert_all_equal64(layer.gradients(d_out, tokens), {"weight": module.weight.grad.numpy()})


def test_embedding_starts_at_the_deviation_it_names(stage):
    weight = stage.layer("Embedding", 200, 100, rng=np.random.default_rng(3), dtype="float32").state()[
        "weight"
    ]
    assert weight.dtype == np.float32
    assert weight.std() == pytest.approx(0.1, rel=0.02)
    reference = np.random.default_rng(3).normal(0, 0.1, (200, 100)).astype(np.float32)
    assert (weight == reference).all()  # of every stage


def dropout(stage, rate=0.3, seed=5):
    return stage.layer("Dropout", rate, rng=np.random.default_rng(seed))


def test_dropout_draws_the_same_in_every_stage(stage, rng):
    x = rng.normal(size=(4, 5, D))
    kept = np.random.default_rng(5).random(x.shape, dtype=np.float32) >= 0.3
    assert_equal64(dropout(stage).forward(x), np.where(kept, x / 0.7, 0))


def test_dropout_keeps_the_mean(stage):
    n = 40_000
    out = dropout(stage).forward(np.ones((4, n // 4)))
    assert set(np.unique(out.round(12))) == {0, round(1 / 0.7, 12)}
    assert abs(out.mean() - 1) < 4 * np.sqrt(0.3 / 0.7 / n)


def test_dropout_gradient_uses_the_forwards_mask(stage, rng):
    x, d_out = rng.normal(size=(4, 5, D)), rng.normal(size=(4, 5, D))
    factor = dropout(stage).forward(x) / x
    assert 0 < (factor == 0).sum() < x.size
    assert_equal64(dropout(stage).gradients(d_out, x)["0"], d_out * factor)


def test_dropout_draws_anew_each_time(stage, rng):
    layer, x = dropout(stage), np.ones((4, 5, D))
    assert (layer.forward(x) != layer.forward(x)).any()


@pytest.mark.parametrize(("rate", "training"), [(0.3, False), (0.0, True), (0.0, False)])
def test_dropout_that_is_off_is_the_identity_and_draws_nothing(stage, rng, rate, training):
    generator = np.random.default_rng(5)
    layer = stage.layer("Dropout", rate, rng=generator)
    x, d_out = rng.normal(size=(5, D)), rng.normal(size=(5, D))
    layer.gradients(d_out, x)  # a mask of an earlier forward must not linger
    state = generator.bit_generator.state
    layer.layer.train(training)
    assert (layer.forward(x) == x).all()
    assert (layer.gradients(d_out, x)["0"] == d_out).all()
    assert generator.bit_generator.state == state


def test_dropout_keeps_float32(stage):
    layer = stage.layer("Dropout", 0.3, dtype="float32")
    assert layer.forward(np.ones((3, 4), np.float32)).dtype == np.float32
