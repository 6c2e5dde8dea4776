"""Decoding with cached keys and values gives what the full forward gives, beams and all, in every stage."""

import numpy as np
import pytest

from step01_numpy.common.decoding.search import beam_search, greedy
from step01_numpy.common.parity.stage import Stage
from tests.models.test_transformer import LAYERS, SOURCE, TARGET, VARIANTS, build, configuration, shaken
from tests.tolerances import assert_equal64


@pytest.fixture(params=["STANDARD", "FLASH"])
def attend(request, stage):
    """Decode with either attention."""
    return getattr(stage.package, request.param)


def translator(stage, rng, **options):
    """Build a model that is done with training."""
    attend = options.pop("attend", stage.package.STANDARD)
    model = shaken(build(stage, configuration(**options), attend=attend), rng)
    model.layer.eval()
    return model


class Decoding:
    """A translation in progress, with the stage's cache."""

    def __init__(self, model, source):
        self.stage, self.model = model.stage, model.layer
        self.cache = self.stage.get("start")(self.model, self.stage.array(source))

    def step(self, tokens):
        return self.stage.numpy(self.stage.get("step")(self.model, self.stage.array(tokens), self.cache))

    def reorder(self, rows):
        self.cache.reorder(self.stage.array(rows))


class Uncached:
    """The same by the full forward over all tokens so far, at every step anew."""

    def __init__(self, model, source):
        self.model, self.source, self.tokens = model, source, np.zeros((len(source), 0), np.int64)

    def step(self, tokens):
        self.tokens = np.concatenate([self.tokens, tokens.reshape(-1, 1)], axis=1)
        return self.model.forward(self.source, self.tokens)[:, -1]

    def reorder(self, rows):
        self.source, self.tokens = self.source[rows], self.tokens[rows]


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["pre-norm", "post-norm", "learned", "rotary", "grouped", "Marian"])
def test_every_step_gives_the_full_forwards_logits(stage, attend, rng, variant):
    model = translator(stage, rng, attend=attend, **VARIANTS[variant])
    expected = model.forward(SOURCE, TARGET)
    decoding = Decoding(model, SOURCE)
    for position, tokens in enumerate(TARGET.T):
        assert_equal64(decoding.step(tokens), expected[:, position], f"position {position}")


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("variant", ["pre-norm", "learned", "grouped"])
@pytest.mark.parametrize("rows", [[2, 0, 1], [2, 0, 0], [1], [0, 0, 2, 2, 1, 1]])
def test_reordered_rows_continue_the_others(stage, attend, rng, variant, rows):
    """Rows swapped, doubled and dropped in mid-decoding: each goes on with its past, source and padding."""
    model = translator(stage, rng, attend=attend, **VARIANTS[variant])
    rest = rng.integers(1, 11, (len(rows), 2))
    whole = np.concatenate([TARGET[rows, :3], rest], axis=1)
    expected = model.forward(SOURCE[rows], whole)
    decoding = Decoding(model, SOURCE)
    for tokens in TARGET.T[:3]:
        decoding.step(tokens)
    decoding.reorder(np.array(rows))
    for position, tokens in enumerate(rest.T, 3):
        assert_equal64(decoding.step(tokens), expected[:, position], f"position {position}")


def test_rows_reordered_before_the_first_step(stage, rng):
    model, rows = translator(stage, rng), np.array([1, 1, 2, 0])
    decoding = Decoding(model, SOURCE)
    decoding.reorder(rows)
    assert_equal64(decoding.step(TARGET[rows, 0]), model.forward(SOURCE[rows], TARGET[rows, :1])[:, 0])


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
def test_beams_with_a_cache_equal_beams_without(stage, rng, positions):
    model = translator(stage, rng, positions=positions)
    cached, uncached = Decoding(model, SOURCE), Uncached(model, SOURCE)
    options = {"n_rows": 3, "beam": 3, "max_length": 6}
    found = beam_search(cached.step, cached.reorder, **options)
    expected = beam_search(uncached.step, uncached.reorder, **options)
    assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in expected]
    assert [x.score for x in found] == pytest.approx([x.score for x in expected], abs=1e-10)
    assert len({tuple(hypothesis.tokens) for hypothesis in found}) > 1


@pytest.mark.grid(pairs=True)
@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", ["pre-norm", "learned", "grouped"])
def test_weights_of_any_stage_give_the_same_logits_and_tokens(stage, rng, variant, dtype):
    """A `state_dict` in NumPy arrays is the seam between the stages, in both directions."""
    config = configuration(**VARIANTS[variant])
    elsewhere = Stage("step01_numpy" if stage.name == "step02_torch" else "step02_torch")
    original = shaken(build(elsewhere, config, dtype=dtype), rng)
    there = build(stage, config, seed=1, dtype=dtype).load(original.state())
    back = build(elsewhere, config, seed=2, dtype=dtype).load(there.state())
    models = [original, there, back]
    for model in models:
        model.layer.eval()
    logits = [model.forward(SOURCE, TARGET) for model in models]
    assert {x.dtype.name for x in logits} == {dtype}
    if dtype == "float64":
        assert_equal64(logits[1], logits[0])
    np.testing.assert_allclose(logits[1], logits[0], atol=1e-4)
    assert (logits[2] == logits[0]).all()
    states = original.state(), back.state()
    assert all((x == states[1][name]).all() for name, x in states[0].items())
    tokens = [greedy(Decoding(model, SOURCE).step, 3, max_length=10) for model in models]
    assert tokens[0] == tokens[1] == tokens[2]
    assert len({tuple(row) for row in tokens[0]}) > 1


def test_a_step_reads_only_what_is_new(stage, rng):
    """One key for each token decoded, and one for each of the source's, projected once."""
    maps = []
    attend = stage.package.record(stage.package.STANDARD, maps)
    model = translator(stage, rng, attend=attend)
    decoding = Decoding(model, SOURCE)
    for n_steps in (1, 2, 3):
        maps.clear()
        decoding.step(TARGET[:, n_steps - 1])
        assert [x.shape for x in maps] == [(3, 4, 1, n_steps), (3, 4, 1, SOURCE.shape[1])] * LAYERS
        lengths = [(own.length, cross.length) for own, cross in decoding.cache.blocks]
        assert lengths == [(n_steps, SOURCE.shape[1])] * LAYERS
    keys = [stage.numpy(cross.keys) for _, cross in decoding.cache.blocks]
    decoding.cache.memory = decoding.cache.memory * 9  # read once, it is not looked at again
    decoding.step(TARGET[:, 3])
    assert all(
        (stage.numpy(pair[1].keys) == x).all() for pair, x in zip(decoding.cache.blocks, keys, strict=True)
    )
