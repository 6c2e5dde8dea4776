"""Greedy and beam search, against trying out every sequence."""

import itertools

import numpy as np
import pytest

from step01_numpy.common.search import beam_search, greedy
from step01_numpy.common.tokenizer import BOS, EOS

VOCAB_SIZE, MAX_LENGTH = 4, 4


class FakeModel:
    """Logits that depend on the row and all tokens so far; the prefixes are its cache."""

    def __init__(self, n_rows, seed=0, sharpness=2.0):
        self.seed, self.sharpness = seed, sharpness
        self.rows = [(row, ()) for row in range(n_rows)]

    def step(self, tokens):
        assert tokens.shape == (len(self.rows),)
        self.rows = [(row, (*prefix, int(t))) for (row, prefix), t in zip(self.rows, tokens, strict=True)]
        return np.stack([self.logits(*x) for x in self.rows])

    def reorder(self, rows):
        self.rows = [self.rows[i] for i in rows]

    def logits(self, row, prefix):
        rng = np.random.default_rng([self.seed, row, *prefix])
        return (self.sharpness * rng.normal(size=VOCAB_SIZE)).astype(np.float32)

    def log_probability(self, row, tokens):
        total = 0.0
        for i, token in enumerate(tokens):
            logits = self.logits(row, (BOS, *tokens[:i])).astype(np.float64)
            total += logits[token] - np.log(np.exp(logits).sum())
        return total

    def score(self, row, tokens, alpha):
        return self.log_probability(row, tokens) / ((5 + len(tokens)) / 6) ** alpha


def bare(tokens):
    return [t for t in tokens if t != EOS]


def every_sequence(max_length=MAX_LENGTH):
    others = [t for t in range(VOCAB_SIZE) if t != EOS]
    for length in range(max_length):
        for tokens in itertools.product(others, repeat=length):
            yield (*tokens, EOS)
    yield from itertools.product(others, repeat=max_length)


def naive_beam_search(model, row, beam, alpha, max_length=MAX_LENGTH):
    """One row, no pruning: what `beam_search` shall find."""
    going, ended = [((), 0.0)], []
    for length in range(1, max_length + 1):
        longer = [(*tokens, t) for tokens, _ in going for t in range(VOCAB_SIZE)]
        scored = sorted(((x, model.log_probability(row, x)) for x in longer), key=lambda x: -x[1])
        best = scored[: beam - len(ended)]
        done = [x for x in best if x[0][-1] == EOS or length == max_length]
        ended += [(x, model.score(row, x, alpha)) for x, _ in done]
        going = [x for x in best if x not in done]
    return max(ended, key=lambda x: x[1])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all_sequences(seed, alpha):
    model, n_rows = FakeModel(3, seed), 3
    found = beam_search(model.step, model.reorder, n_rows, 200, max_length=MAX_LENGTH, length_penalty=alpha)
    for row, hypothesis in enumerate(found):
        best = max(every_sequence(), key=lambda x: model.score(row, x, alpha))
        assert hypothesis.tokens == bare(best)
        assert hypothesis.score == pytest.approx(model.score(row, best, alpha), rel=1e-9)


@pytest.mark.parametrize("beam", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_a_narrow_beam_finds_what_the_definition_says(seed, beam):
    model = FakeModel(4, seed, sharpness=1.0)
    found = beam_search(model.step, model.reorder, 4, beam, max_length=MAX_LENGTH, length_penalty=0.6)
    for row, hypothesis in enumerate(found):
        tokens, score = naive_beam_search(model, row, beam, 0.6)
        assert hypothesis.tokens == bare(tokens)
        assert hypothesis.score == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_one_beam_is_greedy(seed):
    first, second = FakeModel(5, seed), FakeModel(5, seed)
    expected = greedy(first.step, 5, max_length=7)
    found = beam_search(second.step, second.reorder, 5, 1, max_length=7)
    assert [x.tokens for x in found] == expected
    assert len({len(x) for x in expected}) > 1  # rows end at different times


def test_greedy_takes_the_most_probable_token():
    model = FakeModel(3, 1)
    for row, tokens in enumerate(greedy(model.step, 3, max_length=MAX_LENGTH)):
        prefix = (BOS,)
        for token in tokens:
            assert token == model.logits(row, prefix).argmax()
            prefix += (token,)
        assert len(tokens) == MAX_LENGTH or model.logits(row, prefix).argmax() == EOS


@pytest.mark.parametrize("beam", [1, 3])
def test_each_row_has_a_limit_of_its_own(beam):
    limits, together = np.array([1, 5, 3]), FakeModel(3, 4)
    found = beam_search(together.step, together.reorder, 3, beam, max_length=limits)
    for row, limit in enumerate(limits):
        alone = FakeModel(3, 4)
        alone.rows = [(row, ())]
        (expected,) = beam_search(alone.step, alone.reorder, 1, beam, max_length=int(limit))
        assert found[row] == expected
        assert len(found[row].tokens) <= limit
    endless = greedy(lambda tokens: np.zeros((len(tokens), VOCAB_SIZE)), 3, max_length=limits)
    assert [len(x) for x in endless] == limits.tolist()


def test_a_sequence_that_starts_worse_may_end_better():
    """Log 0.25 over four tokens beats log 0.3 over one, once divided by the length's penalty."""

    def step(tokens):
        first = np.log([0.25, 0.225, 0.3, 0.225])
        return np.where((tokens == BOS)[:, None], first, [0.0, -50.0, -50.0, -50.0])

    (found,) = beam_search(step, lambda rows: None, 1, 2, max_length=4, length_penalty=1.5)
    assert found.tokens == [0, 0, 0, 0]
    assert found.score == pytest.approx(np.log(0.25) / 1.5**1.5)


def test_of_equals_the_first_is_taken():
    def step(tokens):
        return np.zeros((len(tokens), VOCAB_SIZE))

    for beam in (1, 2):  # tokens 0 and 1 come before <eos>, so no sequence ends early
        found = beam_search(step, lambda rows: None, 2, beam, max_length=3, length_penalty=0.0)
        assert [x.tokens for x in found] == [[0, 0, 0]] * 2
    assert greedy(step, 2, max_length=3) == [[0, 0, 0]] * 2


def test_more_beams_than_tokens():
    model = FakeModel(1)
    assert beam_search(model.step, model.reorder, 1, 50, max_length=1)[0].score < 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam": 0}, "beam is 0"),
        ({"beam": 2.0}, "beam is 2.0"),
        ({"length_penalty": -1.0}, "length_penalty is -1.0"),
        ({"length_penalty": float("nan")}, "length_penalty is nan"),
        ({"max_length": 0}, "max_length 0"),
        ({"n_rows": 0}, "n_rows is 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments(changes, message):
    model = FakeModel(2)
    arguments = {"n_rows": 2, "beam": 2, "max_length": 3, **changes}
    with pytest.raises(ValueError, match=message):
        beam_search(model.step, model.reorder, **arguments)
