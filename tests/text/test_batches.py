"""Batches: padding, the budget of tokens, each pair once an epoch, and resuming bit for bit."""

import json
from itertools import islice, pairwise

import numpy as np
import pytest

from step01_numpy.common.text.batches import Batches, pad
from step01_numpy.common.text.tokenizer import BOS, EOS, PAD


def corpus(n_pairs=203, seed=5):
    """Make pairs whose tokens name the pair: 10 + pair, as often as the side is long."""
    lengths = np.random.default_rng(seed).integers(1, 12, (n_pairs, 2))
    sides = [[[10 + pair] * int(length) for pair, length in enumerate(column)] for column in lengths.T]
    return sides[0], sides[1]


def batches(seed=0, tokens_per_batch=64, bit_generator=np.random.PCG64):
    sources, targets = corpus()
    rng = np.random.Generator(bit_generator(seed))
    return Batches(sources, targets, tokens_per_batch=tokens_per_batch, rng=rng)


def pairs_of(batch):
    return (batch.source[:, 0] - 10).tolist()


def epoch(source):
    return list(islice(source, source.batches_per_epoch))


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# ---- what a batch holds -----------------------------------------------------------------------------------


def test_pad():
    padded, lengths = pad([[5, 6, 7], [8], []])
    np.testing.assert_array_equal(padded, [[5, 6, 7], [8, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(lengths, [3, 1, 0])
    assert padded.dtype == lengths.dtype == np.int64
    np.testing.assert_array_equal(pad([[1], [2, 3]], pad_id=-1)[0], [[1, -1], [2, 3]])


def test_rows_carry_bos_eos_and_padding():
    sources, targets = [[7, 8], [9]], [[4], [5, 6, 7]]
    (batch,) = epoch(Batches(sources, targets, tokens_per_batch=8, rng=np.random.default_rng(0)))
    rows = {row[0]: index for index, row in enumerate(batch.source.tolist())}
    order = [rows[7], rows[9]]
    np.testing.assert_array_equal(batch.source[order], [[7, 8, EOS], [9, EOS, PAD]])
    np.testing.assert_array_equal(batch.target_in[order], [[BOS, 4, PAD, PAD], [BOS, 5, 6, 7]])
    np.testing.assert_array_equal(batch.target_out[order], [[4, EOS, PAD, PAD], [5, 6, 7, EOS]])
    assert {array.dtype for array in batch} == {np.dtype(np.int64)}


def test_rows_are_the_pairs_that_were_given():
    sources, targets = corpus()
    for batch in epoch(batches()):
        for row, pair in enumerate(pairs_of(batch)):
            source, target_in, target_out = (array[row][array[row] != PAD].tolist() for array in batch)
            assert source == [*sources[pair], EOS]
            assert target_in == [BOS, *targets[pair]]
            assert target_out == [*targets[pair], EOS]


@pytest.mark.parametrize("tokens_per_batch", [12, 30, 64, 10_000])
def test_no_batch_is_over_the_budget_and_none_could_take_the_next_pair(tokens_per_batch):
    source = batches(tokens_per_batch=tokens_per_batch)
    sizes = []
    for batch in epoch(source):
        assert batch.target_in.shape == batch.target_out.shape
        longest = max(batch.source.shape[1], batch.target_in.shape[1])
        assert len(batch.source) * longest <= tokens_per_batch
        sizes.append((longest, len(batch.source)))
    sizes.sort()
    for (_, count), (longest, following) in pairwise(sizes):
        assert (count + following) * longest > tokens_per_batch


def test_a_batch_holds_sentences_of_like_length():
    padded = [(batch.target_out == PAD).mean() + (batch.source == PAD).mean() for batch in epoch(batches())]
    longer = [np.maximum((b.source != PAD).sum(1), (b.target_out != PAD).sum(1)) for b in epoch(batches())]
    assert max(np.ptp(lengths) for lengths in longer) <= 2
    assert np.mean(padded) < 1


# ---- epochs -----------------------------------------------------------------------------------------------


def test_each_epoch_gives_each_pair_once_in_another_order():
    source = batches()
    first, second = epoch(source), epoch(source)
    for one in (first, second):
        assert sorted(pair for batch in one for pair in pairs_of(batch)) == list(range(203))
    assert [batch.source.shape for batch in first] != [batch.source.shape for batch in second]
    together = [{frozenset(pairs_of(batch)) for batch in one} for one in (first, second)]
    assert len(together[0] & together[1]) < source.batches_per_epoch / 2
    lengths = [max(batch.source.shape[1], batch.target_in.shape[1]) for batch in first]
    assert lengths != sorted(lengths)


def test_epochs_are_counted():
    source = batches()
    assert source.epoch == 0
    epoch(source)
    assert source.epoch == 1
    next(source)
    assert source.epoch == 2


def test_every_draw_comes_from_rng():
    np.random.seed(1)  # noqa: NPY002
    first = epoch(batches(seed=3))
    np.random.seed(2)  # noqa: NPY002
    assert_same(first, epoch(batches(seed=3)))
    other = epoch(batches(seed=4))
    assert [pairs_of(batch) for batch in other] != [pairs_of(batch) for batch in first]


# ---- resuming ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 1, 7, "epoch", "epoch and 3"])
def test_resumes_bit_for_bit(taken):
    source = batches(seed=1)
    length = source.batches_per_epoch
    steps = {"epoch": length, "epoch and 3": length + 3}.get(taken, taken)
    for _ in range(steps):
        next(source)
    state = json.loads(json.dumps(source.state_dict()))
    resumed = batches(seed=99)
    next(resumed)
    resumed.load_state_dict(state)
    assert resumed.epoch == source.epoch
    assert_same(list(islice(source, 2 * length)), list(islice(resumed, 2 * length)))
    assert resumed.rng.random() == source.rng.random()


def test_resumes_where_others_draw_from_the_same_rng():
    source = batches(seed=1)
    for _ in range(5):
        next(source)
        source.rng.random(3)
    state = source.state_dict()
    resumed = batches(seed=99)
    resumed.load_state_dict(state)
    for _ in range(2 * source.batches_per_epoch):
        assert_same([next(source)], [next(resumed)])
        np.testing.assert_array_equal(source.rng.random(3), resumed.rng.random(3))


def test_saving_changes_nothing_and_a_state_stays_as_it_was():
    source, untouched = batches(seed=1), batches(seed=1)
    next(source), next(untouched)
    state = source.state_dict()
    text = json.dumps(state)
    assert_same(list(islice(source, 60)), list(islice(untouched, 60)))
    assert json.dumps(state) == text


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_any_bit_generator_can_be_saved(kind):
    source = batches(seed=1, bit_generator=kind)
    next(source)
    resumed = batches(seed=2, bit_generator=kind)
    resumed.load_state_dict(json.loads(json.dumps(source.state_dict())))
    assert_same(list(islice(source, 60)), list(islice(resumed, 60)))


# ---- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([], [], "sources and targets are empty"),
        ([[1]], [[1], [2]], "sources has 1 sentences and targets 2"),
        ([[1], [1] * 3], [[1], [1] * 8], "pair 1 has 9 tokens, .*expected at most tokens_per_batch, 8"),
        ([[1] * 8], [[1]], "pair 0 has 9 tokens"),
    ],
)
def test_data_that_make_no_batches(sources, targets, message):
    with pytest.raises(ValueError, match=message):
        Batches(sources, targets, tokens_per_batch=8, rng=np.random.default_rng(0))


def test_pad_needs_a_sequence():
    with pytest.raises(ValueError, match="sequences is empty"):
        pad([])


def test_a_foreign_state_is_refused():
    source, state = batches(), batches().state_dict()
    with pytest.raises(ValueError, match="tokens_per_batch 32; expected 64"):
        source.load_state_dict(batches(tokens_per_batch=32).state_dict())
    with pytest.raises(ValueError, match="pairs 204; expected 203"):
        source.load_state_dict({**state, "pairs": 204})
    with pytest.raises(ValueError, match=r"state has the keys \['epoch'\]; expected \['epoch', "):
        source.load_state_dict({"epoch": 1})
    with pytest.raises(ValueError, match="PCG64"):
        source.load_state_dict(batches(bit_generator=np.random.SFC64).state_dict())
