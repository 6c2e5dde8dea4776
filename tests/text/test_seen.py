"""The words that a translator was trained on: counted, packed into its file, and asked for."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step01_numpy.common.text.seen import AS_LONG, SELDOM, Seen, seen_in, words_of

SENTENCES = ["The cat sees the dog.", "Don't you see?", "It costs 20 €.", "L\u2019été: is it there?"] * 3


def test_words_are_counted_whatever_their_case():
    seen = seen_in(SENTENCES)
    assert [seen.count(word) for word in ("the", "THE", "Cat", "don", "t", "20", "€", "été", "it")] == (
        [6, 6, 3, 3, 3, 3, 3, 3, 6]
    )
    assert [seen.count(word) for word in ("thee", "he", "ca", "2", "3", "", "t 3", ".*", "there is")] == [
        0
    ] * 9


@given(st.lists(st.text("abé .1'☃", max_size=12), max_size=8))
def test_counts_are_those_of_a_counter(sentences):
    seen = seen_in(sentences)
    counted = Counter(word for sentence in sentences for word in words_of(sentence))
    assert {word: seen.count(word) for word in counted} == counted


def test_the_longest_is_no_single_outlier():
    sentences = ["a b c"] * AS_LONG + ["a b"] * 50 + ["a " * 40]
    assert seen_in(sentences).longest == 3
    assert seen_in(["a " * 4, "a"]).longest == 1
    assert seen_in([]).longest == 0


def test_the_nearest_spelling_is_of_a_learned_word():
    seen = seen_in(["house"] * (SELDOM + 1) + ["hausee"] * SELDOM + ["mouse"] * 9)
    assert seen.nearest("Hause") == "house"
    assert seen.nearest("xylophone") is None
    assert seen.nearest("☃") is None


def test_a_number_is_no_count():
    """Met 3 times, "0" stands before "00" in the list: that is nothing about the word "3"."""
    seen = seen_in(["0 0 0 00", "3 3"])
    assert [seen.count(word) for word in ("0", "00", "3", "1", "2")] == [3, 1, 2, 0, 0]


def test_two_trainings_know_the_words_of_both():
    early, late = seen_in(["a cat", "a dog a dog"] * 2), seen_in(["a cat sleeps so long today"] * AS_LONG)
    joined = late.joined(early)
    assert [joined.count(word) for word in ("a", "cat", "dog", "sleeps")] == [20, 20, 4, 20]
    assert joined.longest == late.longest == 6
    assert early.joined(late) == joined
    assert early.joined(early) == early


def test_what_is_packed_comes_back():
    seen = seen_in(SENTENCES)
    assert Seen.from_dict(seen.to_dict()) == seen
    assert set(seen.to_dict()) == {"longest", "words"}


@pytest.mark.parametrize(
    "values",
    [
        {},
        None,
        {"longest": 3},
        {"words": "?", "longest": 3},
        {"words": "AAAA", "longest": 3},
        {**seen_in(SENTENCES).to_dict(), "longest": "long"},
        {**seen_in(SENTENCES).to_dict(), "longest": None},
    ],
)
def test_what_is_no_list_of_words(values):
    with pytest.raises(ValueError, match="seen is no list of counted words"):
        Seen.from_dict(values)
