"""Sampling: its rules against the processors of the library transformers, its draws against probabilities."""

import numpy as np
import pytest
import torch
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from step01_numpy.common.decoding.constraints import Constraints
from step01_numpy.common.decoding.sampling import (
    Sampler,
    Sampling,
    draw,
    generators,
    heat,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    sample,
)
from step01_numpy.common.decoding.search import greedy
from step01_numpy.common.text.tokenizer import BOS
from tests.decoding.test_search import FakeModel

ROWS, VOCAB = 4, 37


@pytest.fixture
def logits(rng):
    x = (2 * rng.normal(size=(ROWS, VOCAB))).astype(np.float32)
    x[1, 5:9] = x[1, 4]  # equals
    x[2, ::2] = -np.inf
    return x


def assert_same(ours, processor, logits, tokens=None):
    tokens = torch.zeros((ROWS, 1), dtype=torch.long) if tokens is None else torch.tensor(tokens)
    theirs = processor(tokens, torch.tensor(logits)).numpy()
    assert (np.isinf(ours) == np.isinf(theirs)).all()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 3.0])
def test_temperature(logits, temperature):
    assert_same(heat(logits, temperature), TemperatureLogitsWarper(temperature), logits)


@pytest.mark.parametrize("k", [1, 2, 5, 36, 37, 100])
def test_top_k(logits, k):
    assert_same(keep_top_k(logits, k), TopKLogitsWarper(k), logits)


def test_top_k_keeps_equals():
    kept = np.isfinite(keep_top_k(np.array([[3.0, 1.0, 2.0, 2.0, 0.0]]), 2))
    assert kept.tolist() == [[True, False, True, True, False]]


@pytest.mark.parametrize("p", [1e-17, 1e-6, 0.1, 0.5, 0.9, 0.999, 1.0])
def test_top_p(logits, p):
    logits[1, 4:9] += 0.1 * np.arange(5)  # of equals the library keeps some
    assert_same(keep_top_p(logits, p), TopPLogitsWarper(p), logits)


@pytest.mark.parametrize(("p", "kept"), [(0.45, [1]), (0.5, [1]), (0.55, [1, 3]), (0.85, [0, 1, 3])])
def test_the_nucleus_reaches_p_with_the_fewest_tokens(p, kept):
    found = keep_top_p(np.log(np.array([[0.125, 0.5, 0.0625, 0.25, 0.0625]])), p)
    assert np.flatnonzero(np.isfinite(found[0])).tolist() == kept


@pytest.mark.parametrize("penalty", [0.8, 1.0, 1.2, 5.0])
def test_repetition_penalty(logits, rng, penalty):
    texts = rng.integers(0, VOCAB, (ROWS, 9))
    seen = np.zeros(logits.shape, bool)
    np.put_along_axis(seen, texts, True, axis=1)
    ours = penalize_repetition(logits, seen, penalty)
    assert_same(ours, RepetitionPenaltyLogitsProcessor(penalty), logits, texts)
    assert (logits[seen] > 0).any()
    assert (logits[seen] < 0).any()


def test_the_rules_apply_in_the_librarys_order(logits, rng):
    """Seen tokens, penalised, heated, cut twice: the draws of 1,000 numbers show what is left of each."""
    texts = rng.integers(0, VOCAB, (ROWS, 9))
    chain = [
        RepetitionPenaltyLogitsProcessor(1.7),
        TemperatureLogitsWarper(1.4),
        TopKLogitsWarper(12),
        TopPLogitsWarper(0.8),
    ]
    x = torch.tensor(logits).double()
    for processor in chain:
        x = processor(torch.tensor(texts), x)
    rules = Sampling(temperature=1.4, top_k=12, top_p=0.8, repetition_penalty=1.7)
    for seed in range(200):
        found = Sampler(rules, generators(seed, texts.tolist()), texts)(logits)
        gumbels = [x.gumbel(size=VOCAB) for x in generators(seed, texts.tolist())]
        assert (found == draw(x.numpy(), np.stack(gumbels))).all()


def test_draws_come_with_their_probabilities(rng):
    """A χ² test of 20,000 draws by 37 tokens; 75.0 is exceeded with a probability of 1.5e-4."""
    logits, n = rng.normal(size=(1, VOCAB)), 20_000
    found = draw(np.broadcast_to(logits, (n, VOCAB)), rng.gumbel(size=(n, VOCAB)))
    expected = n * np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert (((np.bincount(found, minlength=VOCAB) - expected) ** 2) / expected).sum() < 75.0


def test_a_draw_survives_the_last_bits_of_the_logits(rng):
    """Two stages' logits differ by rounding; 2,000 draws of one in 5,000 tokens do not."""
    logits = rng.normal(size=(2000, 5000))
    gumbels = rng.gumbel(size=logits.shape)
    there = logits + rng.uniform(-1e-6, 1e-6, logits.shape)
    assert (draw(logits, gumbels) != draw(there, gumbels)).sum() == 0


def test_no_temperature_is_greedy():
    for rules in (Sampling(), Sampling(top_k=1, temperature=5.0), Sampling(top_p=1e-9, temperature=2.0)):
        found = sample(FakeModel(5).step, 5, max_length=6, rules=rules)
        assert found == greedy(FakeModel(5).step, 5, max_length=6)


RULES = Sampling(temperature=1.5, top_k=3, top_p=0.95, repetition_penalty=1.1)


def test_a_seed_gives_one_text():
    texts = [sample(FakeModel(6).step, 6, max_length=8, rules=RULES, seed=seed, eos=()) for seed in (1, 2, 1)]
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.parametrize("rows", [[2], [3, 1], [4, 3, 2, 1, 0]])
def test_a_row_does_not_depend_on_its_neighbours(rows):
    """Its text comes from its tokens and the seed, wherever it stands."""
    texts = [[BOS, 7], [BOS], [9, 8, 0], [3, BOS, 2], [2]]

    def found(rows):
        model = FakeModel(5)
        model.rows = [model.rows[row] for row in rows]
        first, before = np.array([texts[row][-1] for row in rows]), [texts[row] for row in rows]
        return sample(model.step, len(rows), max_length=8, rules=RULES, first=first, texts=before, eos=())

    together = found(range(5))
    assert found(rows) == [together[row] for row in rows]


def test_a_text_that_comes_again_gets_another_continuation():
    model = FakeModel(1)
    model.rows = model.rows * 3
    found = sample(model.step, 3, max_length=9, rules=Sampling(temperature=2.0), eos=())
    assert len({tuple(row) for row in found}) == 3
    first = generators(5, [[1, 2], [3], [1, 2]])
    assert first[0].random() == generators(5, [[1, 2]])[0].random() != first[2].random()


def test_what_is_said_is_penalised_from_then_on():
    """Of equal logits a strong penalty lets each token come once: the one fed first not before the last."""
    step = lambda tokens: np.ones((len(tokens), 5))  # noqa: E731
    found = sample(step, 2, max_length=5, rules=Sampling(repetition_penalty=3.0), first=[2, 0], eos=())
    assert found == [[0, 1, 3, 4, 0], [1, 2, 3, 4, 0]]


def test_never_is_never_drawn():
    step = lambda tokens: np.zeros((len(tokens), 4))  # noqa: E731
    adjust = Constraints(never=(1, 3)).over([[0]] * 3, max_length=60)
    found = sample(step, 3, max_length=60, rules=Sampling(temperature=1.0), adjust=adjust, eos=())
    assert {token for row in found for token in row} == {0, 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": -0.5}, "temperature is -0.5; expected a finite number of at least 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"top_k": 0}, "top_k is 0; expected an integer of at least 1"),
        ({"top_k": 2.5}, "top_k is 2.5"),
        ({"top_p": 0.0}, "top_p is 0.0; expected a number above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; expected a finite number above 0"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty is nan"),
    ],
)
def test_bad_rules(changes, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**changes)
