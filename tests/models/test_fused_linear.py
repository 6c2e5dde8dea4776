"""The engine's fused projections: one product gives what several gave, and follows its maps' weights."""

from contextlib import nullcontext
from copy import deepcopy
from importlib import import_module

import numpy as np
import pytest
import torch

from tests.tolerances import assert_all_equal64, assert_equal64

pytestmark = pytest.mark.ours

LAYERS = {
    "MultiHeadAttention": ((12, 6, 2), {"bias": True}, ("w_q", "w_k", "w_v")),
    "FeedForward": ((6, 10), {"activation": "silu", "gated": True}, ("w_1", "w_3")),
    "FeedForward without biases": ((6, 10), {"gated": True, "bias": False}, ("w_1", "w_3")),
}


def build(stage, case, seed=3):
    """Build a layer of the case; return it, its maps of the same rows, and an input."""
    args, options, maps = LAYERS[case]
    rng = np.random.default_rng(seed)
    layer = stage.layer(case.split()[0], *args, rng=rng, **options)
    return layer, [getattr(layer.layer, name) for name in maps], rng.normal(size=(2, 3, args[0]))


def fuse(layer):
    """Let the engine of the layer's arrays fuse it."""
    return import_module(f"{owner(layer)}.engine.fused").fuse(layer.layer)


def owner(layer):
    """Return the package whose code the layer runs: step03 borrows step01's."""
    return "step02_torch" if isinstance(layer.layer, torch.nn.Module) else "step01_numpy"


def count_products(layer, x, monkeypatch):
    """Return how many linear maps the layer computes without gradients, and its output."""
    calls = []
    for module in (import_module(f"{owner(layer)}.{name}") for name in ("parameters", "engine.fused")):
        original = module.linear
        counted = lambda *args, original=original: calls.append(1) or original(*args)  # noqa: E731
        monkeypatch.setattr(module, "linear", counted)
    with torch.no_grad():
        out = layer.forward(x)
    monkeypatch.undo()
    return len(calls), out


@pytest.mark.parametrize("case", LAYERS)
def test_one_product_gives_what_each_gave(stage, case, monkeypatch):
    layer, _, x = build(stage, case)
    before, expected = count_products(layer, x, monkeypatch)
    state = layer.state()
    fuse(layer)
    after, found = count_products(layer, x, monkeypatch)
    assert (before, after) == ((4, 2) if "Head" in case else (3, 2))
    assert_equal64(found, expected)
    assert {name: weight.tolist() for name, weight in layer.state().items()} == {
        name: weight.tolist() for name, weight in state.items()
    }


@pytest.mark.parametrize("case", LAYERS)
def test_gradients_after_fusing(stage, case, rng):
    (layer, _, x), (twin, _, _) = build(stage, case), build(stage, case)
    d_out = rng.normal(size=twin.forward(x).shape)
    expected = twin.gradients(d_out, x)
    fuse(layer)
    assert_all_equal64(layer.gradients(d_out, x), expected)


@pytest.mark.parametrize("case", LAYERS)
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_new_weights_reach_the_product(stage, case, name, monkeypatch):
    """Of one map alone, in an array of its own, or in place as an optimizer does."""
    layer, maps, x = build(stage, case)
    if name == "bias" and "without" in case:
        pytest.skip("it has no biases")
    for products, change in ((2, _change_in_place), (4 if "Head" in case else 3, _replace)):
        fuse(layer)
        parameter = getattr(maps[-1], name)
        change(parameter)
        twin, _, _ = build(stage, case, seed=4)
        expected = twin.load(layer.state()).forward(x)
        count, found = count_products(layer, x, monkeypatch)
        assert_equal64(found, expected)
        assert count == products


@pytest.mark.parametrize("case", LAYERS)
def test_a_map_in_place_of_another(stage, case, monkeypatch):
    """As an adapter takes the place of a projection: it is asked, not what was fused before it came."""
    (layer, _, x), (other, _, _) = build(stage, case), build(stage, case, seed=4)
    fuse(layer)
    name = LAYERS[case][2][-1]
    setattr(layer.layer, name, getattr(other.layer, name))
    expected = other.load(layer.state()).forward(x)
    count, found = count_products(layer, x, monkeypatch)
    assert_equal64(found, expected)
    assert count == (4 if "Head" in case else 3)


@pytest.mark.parametrize("case", LAYERS)
def test_a_map_that_takes_anothers_weights(stage, case, monkeypatch):
    """They lie in the same memory, and yet not where the product takes them from."""
    layer, maps, x = build(stage, case)
    fuse(layer)
    maps[-1].weight.data = maps[-2].weight.data
    twin, _, _ = build(stage, case, seed=4)
    expected = twin.load(layer.state()).forward(x)
    _, found = count_products(layer, x, monkeypatch)
    assert_equal64(found, expected)


@pytest.mark.parametrize("case", LAYERS)
def test_a_bias_taken_away_or_given(stage, case, monkeypatch):
    """The twin was never fused, and lost or got the same bias."""
    (layer, maps, x), (twin, twin_maps, _) = build(stage, case), build(stage, case)
    _, biased, _ = build(stage, "FeedForward")
    fuse(layer)
    for own in (maps, twin_maps):
        own[-1].bias = biased[-1].bias if own[-1].bias is None else None
    expected = twin.forward(x)
    _, found = count_products(layer, x, monkeypatch)
    assert_equal64(found, expected)


@pytest.mark.parametrize("case", LAYERS)
def test_a_copied_layer_follows_its_own_weights(stage, case, monkeypatch):
    layer, _, x = build(stage, case)
    fuse(layer)
    layer.layer = deepcopy(layer.layer)
    _change_in_place(getattr(layer.layer, LAYERS[case][2][-1]).weight)
    twin, _, _ = build(stage, case, seed=4)
    expected = twin.load(layer.state()).forward(x)
    _, found = count_products(layer, x, monkeypatch)
    assert_equal64(found, expected)


def _change_in_place(parameter):
    with torch.no_grad() if isinstance(parameter, torch.Tensor) else nullcontext():
        parameter.data *= 2


def _replace(parameter):
    parameter.data = parameter.data * 3


@pytest.mark.parametrize("case", LAYERS)
def test_a_wrong_size_is_named(stage, case):
    layer, _, x = build(stage, case)
    fuse(layer)
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=r"x has shape \(2, 3, 5\); expected \(\.\.\., \d+\)"),
    ):
        layer.forward(x[..., :5])
