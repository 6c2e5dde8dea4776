"""Greedy and beam search, against trying out every sequence."""

import functools
import itertools

import numpy as np
import pytest

from step01_numpy.common.decoding.constraints import Constraints
from step01_numpy.common.decoding.continuation import ENDED, follow
from step01_numpy.common.decoding.search import beam_search, gnmt, greedy
from step01_numpy.common.text.tokenizer import BOS, EOS

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

    def log_probability(self, row, tokens, first=BOS, never=()):
        total = 0.0
        for i, token in enumerate(tokens):
            logits = self.logits(row, (first, *tokens[:i])).astype(np.float64)
            logits[list(never)] = -np.inf
            total += logits[token] - np.log(np.exp(logits).sum())
        return total

    def score(self, row, tokens, penalty):
        return self.log_probability(row, tokens) / penalty(len(tokens))


def power(exponent):
    return lambda length: length**exponent


PENALTIES = [gnmt(0.0), gnmt(0.6), power(1.0), power(3.0), power(-0.5)]


def bare(tokens):
    return [t for t in tokens if t != EOS]


def every_sequence(max_length=MAX_LENGTH):
    others = [t for t in range(VOCAB_SIZE) if t != EOS]
    for length in range(max_length):
        for tokens in itertools.product(others, repeat=length):
            yield (*tokens, EOS)
    yield from itertools.product(others, repeat=max_length)


def naive_beam_search(score, beam, penalty, early_stopping, max_length=MAX_LENGTH):
    """One row by the book, transformers' `generate`: what shall be found; `score` is the log-probability."""
    going, ended = [()], []
    for length in range(1, max_length + 1):
        longer = sorted(((*x, t) for x in going for t in range(VOCAB_SIZE)), key=score, reverse=True)
        done = [x for x in longer if x[-1] == EOS or length == max_length]
        ended += [x for x in longer[:beam] if x in done]  # an end further down is no end
        ended = sorted(ended, key=lambda x: score(x) / penalty(len(x)), reverse=True)[:beam]
        going = [x for x in longer[: 2 * beam] if x not in done][:beam]
        if not going or len(ended) < beam:
            continue
        worst = score(ended[-1]) / penalty(len(ended[-1]))
        reachable = max_length if early_stopping == "never" and penalty(9) > penalty(1) else length
        if early_stopping is True or score(going[0]) / penalty(reachable) <= worst:
            break
    return ended[0], score(ended[0]) / penalty(len(ended[0]))


@pytest.mark.grid
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_of_all_sequences(seed, penalty):
    model, n_rows = FakeModel(3, seed), 3
    options = {"max_length": MAX_LENGTH, "length_penalty": penalty}
    found = beam_search(model.step, model.reorder, n_rows, 200, **options)
    for row, hypothesis in enumerate(found):
        best = max(every_sequence(), key=lambda x: model.score(row, x, penalty))
        assert hypothesis.tokens == bare(best)
        assert hypothesis.score == pytest.approx(model.score(row, best, penalty), rel=1e-9)


@pytest.mark.grid(pairs=True)
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("beam", [1, 2, 3])
def test_a_narrow_beam_finds_what_the_definition_says(beam, penalty, early_stopping):
    options = {"max_length": 6, "length_penalty": penalty, "early_stopping": early_stopping}
    for seed in range(4):
        model = FakeModel(4, seed, sharpness=1.0)
        found = beam_search(model.step, model.reorder, 4, beam, **options)
        for row, hypothesis in enumerate(found):
            log_probability = functools.cache(functools.partial(model.log_probability, row))
            tokens, score = naive_beam_search(log_probability, beam, penalty, early_stopping, 6)
            assert hypothesis.tokens == bare(tokens)
            assert hypothesis.score == pytest.approx(score, rel=1e-9)


def test_the_ways_to_stop_differ():
    """Else the test above would say nothing of them."""
    options, found = {"max_length": 6, "length_penalty": 2.0}, {}
    for early_stopping in (True, False, "never"):
        model = FakeModel(40, 0, sharpness=1.0)
        search = beam_search(model.step, model.reorder, 40, 2, early_stopping=early_stopping, **options)
        found[early_stopping] = [x.tokens for x in search]
    assert found[True] != found[False] != found["never"] != found[True]


def test_a_number_is_the_exponent_of_the_length():
    models = [FakeModel(3, 1) for _ in range(3)]
    penalties = [2.0, power(2.0), power(1.0)]
    found = [
        beam_search(m.step, m.reorder, 3, 4, max_length=5, length_penalty=p)
        for m, p in zip(models, penalties, strict=True)
    ]
    assert found[0] == found[1] != found[2]


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

    (found,) = beam_search(step, lambda rows: None, 1, 2, max_length=4, length_penalty=gnmt(1.5))
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


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_first_eos_and_never(search):
    """Rows that start with tokens of their own, end with either of two, and may not choose a third."""
    model, first, eos, never = FakeModel(8, 3, sharpness=0.5), np.array([0, 1, 2, 3] * 2), (1, 3), (0,)
    adjust = Constraints(never=never, renormalise=True).over(first[:, None].tolist(), max_length=4, eos=eos)
    options = {"max_length": 4, "first": first, "eos": eos, "adjust": adjust}
    if search == "greedy":
        found = greedy(model.step, 8, **options)
    else:
        found = beam_search(model.step, model.reorder, 8, 200, length_penalty=2.0, **options)
        scores, found = [x.score for x in found], [x.tokens for x in found]
    candidates = [(*[2] * n, end) for n in range(4) for end in eos] + [(2, 2, 2, 2)]
    assert len({tuple(x) for x in found}) > 1
    for row, tokens in enumerate(found):

        def score(x, row=row):
            return model.log_probability(row, x, int(first[row]), never)

        if search == "beam":
            best = max(candidates, key=lambda x: score(x) / len(x) ** 2)
            assert tokens == [t for t in best if t not in eos]
            assert scores[row] == pytest.approx(score(best) / len(best) ** 2, rel=1e-9)
            continue
        prefix = ()
        while len(prefix) < 4 and prefix[-1:] not in [(1,), (3,)]:
            prefix += (max((1, 2, 3), key=lambda t, prefix=prefix: score((*prefix, t))),)
        assert tokens == [t for t in prefix if t not in eos]


def test_ends_of_several_kinds_leave_enough_to_go_on_with():
    """Two ends are the most probable after both beginnings: six candidates are needed to keep two."""
    probabilities = np.log([0.06, 0.45, 0.04, 0.45])
    (found,) = beam_search(
        lambda tokens: np.tile(probabilities, (len(tokens), 1)),
        lambda rows: None,
        1,
        2,
        max_length=4,
        eos=(1, 3),
        length_penalty=5.0,
        early_stopping="never",
    )
    assert found.tokens == [0, 0, 0]
    assert found.score == pytest.approx((3 * np.log(0.06) + np.log(0.45)) / 4**5)


@pytest.mark.parametrize("beam", [1, 3])
def test_without_an_end_every_row_reaches_its_limit(beam):
    model = FakeModel(3, 5)
    found = beam_search(model.step, model.reorder, 3, beam, max_length=[2, 5, 3], eos=())
    assert [len(x.tokens) for x in found] == [2, 5, 3]
    model = FakeModel(3, 5)
    found = greedy(model.step, 3, max_length=[2, 5, 3], eos=())
    assert [len(x) for x in found] == [2, 5, 3]


def test_a_forced_end_costs_nothing():
    """At its limit a row must end, with probability 1; before it, nothing changes."""
    model, limits, forced = FakeModel(4, 7), [3, 2, 4, 3], 0
    adjust = Constraints(last=(EOS,)).over([[BOS]] * 4, max_length=limits, eos=EOS)
    options = {"max_length": np.array(limits), "length_penalty": 2.0, "adjust": adjust}
    found = beam_search(model.step, model.reorder, 4, 200, **options)
    for row, limit in enumerate(limits):
        scores = {}
        for tokens in every_sequence(limit - 1):
            length = len(tokens) + (tokens[-1] != EOS)
            scores[tokens] = model.log_probability(row, tokens) / length**2
        best = max(scores, key=scores.get)
        assert found[row].tokens == bare(best)
        assert found[row].score == pytest.approx(scores[best], rel=1e-9)
        forced += best[-1] != EOS
    assert 0 < forced < 4


def test_tokens_are_yielded_as_they_come():
    model = FakeModel(3, 1)
    expected = greedy(FakeModel(3, 1).step, 3, max_length=4)
    steps = follow(model.step, lambda logits: logits.argmax(-1), 3, max_length=4)
    assert len(model.rows[0][1]) == 0  # nothing is done before it is asked for
    for n, tokens in enumerate(steps):
        assert len(model.rows[0][1]) == n + 1
        assert tokens.tolist() == [row[n] if n < len(row) else ENDED for row in expected]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam": 0}, "beam is 0"),
        ({"beam": 2.0}, "beam is 2.0"),
        ({"length_penalty": float("nan")}, "length_penalty is nan"),
        ({"early_stopping": "soon"}, "early_stopping is 'soon'; expected True, False or 'never'"),
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


@pytest.mark.parametrize("alpha", [-1.0, float("nan")])
def test_a_bad_alpha(alpha):
    with pytest.raises(ValueError, match=f"alpha is {alpha}"):
        gnmt(alpha)
