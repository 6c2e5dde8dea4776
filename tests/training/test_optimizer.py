"""AdamW and clipping against PyTorch's, the schedules against their formulas."""

import time

import numpy as np
import pytest
import torch

from step01_numpy.common.training.configuration import TrainingConfig
from tests.tolerances import assert_all_equal64, assert_equal64

SHAPES = {"matrix": (3, 4), "vector": (5,), "tiny": (2, 3), "untouched": (4,)}
OPTIONS = [{}, {"betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.5}, {"weight_decay": 0.0}]


def parameters(stage, arrays):
    return {name: stage.get("Parameter")(stage.array(x.copy())) for name, x in arrays.items()}


def draw(rng):
    """Draw gradients: the tiny ones are of eps's size, the untouched has none."""
    gradients = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    return gradients | {"tiny": 1e-9 * gradients["tiny"], "untouched": None}


def give(parameters, gradients, convert):
    for name, parameter in parameters.items():
        parameter.grad = None if gradients[name] is None else convert(gradients[name].copy())


def values(stage, parameters):
    return {name: stage.numpy(parameter.data).copy() for name, parameter in parameters.items()}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_adamw_equals_torchs(stage, rng, options):
    arrays = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    ours = parameters(stage, arrays)
    adamw = stage.get("AdamW")(ours.items(), **options)
    theirs = {name: torch.nn.Parameter(torch.tensor(x)) for name, x in arrays.items()}
    defaults = {"betas": (0.9, 0.98), "eps": 1e-9, "weight_decay": 0.01}
    reference = torch.optim.AdamW(theirs.values(), **{**defaults, **options}, foreach=False)
    for rate in (0.1, 0.03, 0.2, 0.0, 0.05):
        gradients = draw(rng)
        give(ours, gradients, stage.array)
        give(theirs, gradients, torch.tensor)
        adamw.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
        assert_all_equal64(values(stage, ours), {name: x.detach().numpy() for name, x in theirs.items()})
    assert (values(stage, ours)["untouched"] == arrays["untouched"]).all()


def test_adamw_by_hand(stage):
    """From means of 0 the first step is rate · sign(gradient), however large the gradient is."""
    ours = parameters(stage, {"x": np.array([1.0, 1.0, 1.0])})
    adamw = stage.get("AdamW")(ours.items(), weight_decay=0.5)
    give(ours, {"x": np.array([3e5, -2.0, 1e-3])}, stage.array)
    adamw.step(0.1)
    expected = 1 - 0.1 * 0.5 - 0.1 * np.array([1, -1, 1])
    np.testing.assert_allclose(values(stage, ours)["x"], expected, atol=1e-6)


def test_steps_count_for_weights_without_a_gradient_too(stage):
    """A weight whose first gradient comes late is corrected by the number of all steps, in every stage."""
    ours = parameters(stage, {"x": np.array([1.0]), "late": np.array([1.0])})
    adamw = stage.get("AdamW")(ours.items(), betas=(0.5, 0.5), weight_decay=0.0)
    for late in (None, np.array([4.0])):
        give(ours, {"x": np.array([4.0]), "late": late}, stage.array)
        adamw.step(0.1)
    mean, root = (0.5 * 4) / (1 - 0.5**2), np.sqrt(0.5 * 16 / (1 - 0.5**2))
    np.testing.assert_allclose(values(stage, ours)["late"], 1 - 0.1 * mean / root, rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adamw_keeps_the_dtype(stage, rng, dtype):
    ours = parameters(stage, {"x": np.ones(3, dtype)})
    adamw = stage.get("AdamW")(ours.items())
    give(ours, {"x": np.ones(3, dtype)}, stage.array)
    adamw.step(0.1)
    assert values(stage, ours)["x"].dtype == dtype
    assert stage.numpy(adamw.state_dict()["mean.x"]).dtype == dtype


def test_state_of_adamw_continues_in_every_stage(stage, rng):
    """Three steps elsewhere, two here: equal to five elsewhere."""
    from step01_numpy.common.parity.stage import Stage

    elsewhere = Stage("step01_numpy" if stage.name == "step02_torch" else "step02_torch")
    arrays = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    gradients = [draw(rng) for _ in range(5)]
    reference = parameters(elsewhere, arrays)
    adamw = elsewhere.get("AdamW")(reference.items())
    for step in range(3):
        give(reference, gradients[step], elsewhere.array)
        adamw.step(0.1)
    ours = parameters(stage, values(elsewhere, reference))
    continued = stage.get("AdamW")(ours.items())
    state = {name: elsewhere.numpy(x).copy() for name, x in adamw.state_dict().items()}
    continued.load_state_dict(state)
    returned = {name: stage.numpy(x) for name, x in continued.state_dict().items()}
    assert set(returned) == {"steps"} | {f"{kind}.{name}" for kind in ("mean", "square") for name in SHAPES}
    assert all((returned[name] == x).all() for name, x in state.items())
    for step in range(3, 5):
        for optimizer, weights, where in ((adamw, reference, elsewhere), (continued, ours, stage)):
            give(weights, gradients[step], where.array)
            optimizer.step(0.1)
        assert_all_equal64(values(stage, ours), values(elsewhere, reference))
    assert int(continued.state_dict()["steps"]) == int(adamw.state_dict()["steps"]) == 5


@pytest.mark.parametrize("max_norm", [0.5, 2.0, 1e3])
def test_clipping_equals_torchs(stage, rng, max_norm):
    gradients = draw(rng) | {"tiny": np.zeros((2, 3))}
    arrays = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    ours = parameters(stage, arrays)
    give(ours, gradients, stage.array)
    theirs = {name: torch.nn.Parameter(torch.tensor(x)) for name, x in arrays.items()}
    give(theirs, gradients, torch.tensor)
    expected = torch.nn.utils.clip_grad_norm_(theirs.values(), max_norm).item()
    norm = stage.get("clip_gradients")(list(ours.values()), max_norm)
    assert isinstance(norm, float)
    assert norm == pytest.approx(expected, rel=1e-12)
    assert ours.pop("untouched").grad is None
    for name, parameter in ours.items():
        assert_equal64(stage.numpy(parameter.grad), theirs[name].grad.numpy(), name)


def test_gradients_within_the_norm_stay_bit_for_bit(stage, rng):
    ours = parameters(stage, {"x": np.zeros((3, 4))})
    gradient = rng.normal(size=(3, 4))
    give(ours, {"x": gradient}, stage.array)
    norm = stage.get("clip_gradients")(list(ours.values()), 100.0)
    assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
    assert (stage.numpy(ours["x"].grad) == gradient).all()


def rates(stage, steps, **options):
    config = TrainingConfig(**{"steps": 100, "warmup": 10, "peak_rate": 0.02, **options})
    return [stage.get("learning_rate")(step, config) for step in steps]


def test_cosine_schedule(stage):
    found = rates(stage, [1, 5, 10, 55, 100, 145], schedule="cosine")
    assert found == pytest.approx([0.002, 0.01, 0.02, 0.01, 0, 0], abs=1e-15)
    found = rates(stage, [10 + 30, 10 + 60], schedule="cosine")  # a third and two thirds of the way: cos ±1/2
    assert found == pytest.approx([0.015, 0.005])


def test_inverse_square_root_schedule(stage):
    found = rates(stage, [1, 5, 10, 40, 90, 1000], schedule="inverse_square_root")
    assert found == pytest.approx([0.002, 0.01, 0.02, 0.01, 0.02 / 3, 0.002])


@pytest.mark.parametrize("schedule", ["cosine", "inverse_square_root"])
def test_rates_rise_to_the_peak_and_fall(stage, schedule):
    found = rates(stage, range(1, 101), schedule=schedule)
    assert (np.diff(found[:10]) > 0).all()
    assert (np.diff(found[9:]) < 0).all()
    assert max(found) == found[9] == 0.02


def test_no_warmup(stage):
    assert rates(stage, [1, 4], warmup=0, schedule="inverse_square_root") == pytest.approx([0.02, 0.01])
    assert rates(stage, [50, 100], warmup=0) == pytest.approx([0.01, 0], abs=1e-15)
    assert rates(stage, [100, 101], warmup=100) == pytest.approx([0.02, 0], abs=1e-15)  # nothing left to fall


def test_rates_do_not_depend_on_the_clock(stage, monkeypatch):
    def no_clock():
        raise AssertionError("a schedule looked at the clock")

    before = rates(stage, range(1, 101))
    with monkeypatch.context() as patch:
        for name in ("time", "monotonic", "perf_counter", "process_time", "time_ns", "perf_counter_ns"):
            patch.setattr(time, name, no_clock)
        assert rates(stage, range(1, 101)) == before
