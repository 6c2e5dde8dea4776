"""Batches for language models: what is to be said where, masks by definition and by count, resuming."""

import json
from itertools import islice

import numpy as np
import pytest

from step01_numpy.common.text.language_batches import CausalBatches, MaskedBatches, mask_tokens
from step01_numpy.common.text.tokenizer import BOS, EOS, MASK, PAD

VOCAB_SIZE = 300


def sequences(kind, n=103, seed=5):
    """Make sequences that no two of are alike: token 5 + index first, then anything but <mask> and <pad>."""
    rng = np.random.default_rng(seed)
    made = [[5 + index, *rng.integers(5, VOCAB_SIZE, rng.integers(1, 12)).tolist()] for index in range(n)]
    return [[BOS, *x, EOS] for x in made] if kind is MaskedBatches else made


def batches(kind, seed=0, tokens_per_batch=64):
    rng, extra = np.random.default_rng(seed), {MaskedBatches: (VOCAB_SIZE,)}.get(kind, ())
    return kind(sequences(kind), *extra, tokens_per_batch=tokens_per_batch, rng=rng)


def epoch(source):
    return list(islice(source, source.batches_per_epoch))


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


KINDS = pytest.mark.parametrize("kind", [CausalBatches, MaskedBatches])

# ---- what a batch holds -----------------------------------------------------------------------------------


@KINDS
def test_shapes_types_and_budget(kind):
    for batch in epoch(batches(kind)):
        tokens, mask, targets = batch
        assert batch._fields == ("tokens", "mask", "targets")
        assert tokens.shape == mask.shape == targets.shape
        assert (tokens.dtype, mask.dtype, targets.dtype) == (np.int64, bool, np.int64)
        assert tokens.size <= 64
        assert (mask == (tokens != PAD)).all()
        assert (np.diff(mask.astype(int)) <= 0).all()  # padding stands right
        assert (targets[~mask] == PAD).all()


def test_causal_targets_are_the_next_tokens():
    known, found = sequences(CausalBatches), []
    for tokens, mask, targets in epoch(batches(CausalBatches)):
        for row, real, following in zip(tokens, mask, targets, strict=True):
            found.append([*row[real].tolist(), following[real][-1]])
            assert row[real][1:].tolist() == following[real][:-1].tolist()
    assert sorted(found) == sorted(known)


def test_masked_targets_are_what_was_hidden():
    known, found, shown = sequences(MaskedBatches), [], []
    for tokens, mask, targets in epoch(batches(MaskedBatches)):
        assert (targets != PAD).any()
        shown += (tokens[targets != PAD] == targets[targets != PAD]).tolist()
        for row, real, hidden in zip(np.where(targets, targets, tokens), mask, targets, strict=True):
            found.append(row[real].tolist())
            assert not {BOS, EOS, MASK} & set(hidden.tolist())
    assert sorted(found) == sorted(known)
    assert np.mean(shown) < 0.3


def test_masks_differ_from_epoch_to_epoch():
    source = batches(MaskedBatches, tokens_per_batch=10**4)
    (first,), (second,) = epoch(source), epoch(source)
    chosen = []
    for tokens, _, targets in (first, second):
        original = np.where(targets, targets, tokens)
        chosen.append(
            {
                (*row[1:3], column)
                for row, x in zip(original, targets, strict=True)
                for column in x.nonzero()[0]
            }
        )
    assert 0 < len(chosen[0] & chosen[1]) < 0.3 * len(chosen[0])


# ---- masking ----------------------------------------------------------------------------------------------


def test_shares_of_masking():
    """By definition on every token, and by count within five standard deviations of 15, 80, 10 and 10 %."""
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, VOCAB_SIZE, (400, 500)) * (rng.random((400, 500)) < 0.8)
    before = tokens.copy()
    hidden, targets = mask_tokens(tokens, VOCAB_SIZE, rng)
    assert (tokens == before).all()
    assert hidden.dtype == targets.dtype == np.int64
    chosen, ordinary = targets != PAD, tokens > MASK
    assert not (chosen & ~ordinary).any()
    assert (targets == np.where(chosen, tokens, PAD)).all()
    assert (hidden[~chosen] == tokens[~chosen]).all()
    assert hidden[chosen].min() == MASK
    assert_share(chosen.sum(), ordinary.sum(), 0.15)
    masked, same = hidden[chosen] == MASK, hidden[chosen] == tokens[chosen]
    lucky = 1 / (VOCAB_SIZE - 5)  # random tokens that are the old ones
    assert_share(masked.sum(), chosen.sum(), 0.8)
    assert_share(same.sum(), chosen.sum(), 0.1 + 0.1 * lucky)
    assert_share((~masked & ~same).sum(), chosen.sum(), 0.1 - 0.1 * lucky)
    assert set(hidden[chosen][~masked & ~same]) == set(range(5, VOCAB_SIZE))


def assert_share(count, of, share):
    assert abs(count - share * of) < 5 * np.sqrt(of * share * (1 - share))


def test_random_tokens_are_drawn_evenly():
    rng = np.random.default_rng(2)
    tokens = np.full((1000, 1000), 7)
    hidden, _ = mask_tokens(tokens, 10, rng)
    counts = np.bincount(hidden.ravel(), minlength=10)
    for token in (5, 6, 8, 9):
        assert_share(counts[token], tokens.size, 0.15 * 0.1 / 5)
    assert_share(counts[MASK], tokens.size, 0.15 * 0.8)


def test_at_least_one_token_is_chosen_and_each_may_be():
    rng, found = np.random.default_rng(1), set()
    for _ in range(200):
        _, targets = mask_tokens(np.array([[BOS, 7, 8, EOS], [BOS, 9, EOS, PAD]]), 20, rng)
        assert targets.any()
        found |= set(targets[targets != PAD].tolist())
    assert found == {7, 8, 9}


def test_masking_depends_on_rng_alone():
    tokens = np.random.default_rng(0).integers(0, 50, (7, 9))
    first, again, other = (mask_tokens(tokens, 50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert_same([first], [again])
    assert (first[1] != other[1]).any()


# ---- epochs and resuming ----------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("taken", [0, 1, 7, "epoch", "epoch and 3"])
def test_resumes_bit_for_bit_where_others_draw_from_the_same_rng(kind, taken):
    source = batches(kind, seed=1)
    length = source.batches_per_epoch
    for _ in range({"epoch": length, "epoch and 3": length + 3}.get(taken, taken)):
        next(source)
        source.rng.random(3)
    resumed = batches(kind, seed=99)
    next(resumed)
    resumed.load_state_dict(json.loads(json.dumps(source.state_dict())))
    assert resumed.epoch == source.epoch
    for _ in range(2 * length):
        assert_same([next(source)], [next(resumed)])
        np.testing.assert_array_equal(source.rng.random(3), resumed.rng.random(3))


@KINDS
def test_a_state_of_other_data_is_refused(kind):
    source = batches(kind)
    with pytest.raises(ValueError, match="state is of batches with sequences 9; expected 103"):
        source.load_state_dict({**source.state_dict(), "sequences": 9})


# ---- errors -----------------------------------------------------------------------------------------------


def test_data_that_make_no_batches():
    options = {"tokens_per_batch": 8, "rng": np.random.default_rng(0)}
    for kind, rest in ((CausalBatches, ()), (MaskedBatches, (10,))):
        with pytest.raises(ValueError, match="lengths is empty; expected at least one sequence"):
            kind([], *rest, **options)
        with pytest.raises(ValueError, match=r"sequence 1 has \d+ tokens, .*at most tokens_per_batch, 8"):
            kind([[7] * 8, [7] * 10], *rest, **options)
    CausalBatches([[7] * 9], **options)  # of which eight are read
    with pytest.raises(ValueError, match="sequence 1 has 1 tokens; expected at least 2"):
        CausalBatches([[7, 8], [7]], **options)
    with pytest.raises(ValueError, match="sequence 1 holds special tokens alone"):
        MaskedBatches([[7], [BOS, 3, EOS]], 10, **options)


def test_nothing_to_mask():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="tokens holds special tokens alone; expected one to mask"):
        mask_tokens(np.array([[BOS, MASK, EOS, PAD]]), 10, rng)
    with pytest.raises(ValueError, match="vocab_size is 5; expected more than the 5 special tokens"):
        mask_tokens(np.array([[7]]), 5, rng)
