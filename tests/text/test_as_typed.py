"""Text as people type it: what typography has many of, and sentences written in a hurry."""

import unicodedata

import pytest

from step01_numpy.common.text.as_typed import PLAIN, plain, with_calm, with_hurried
from step01_numpy.common.text.tokenizer import UNK, Tokenizer
from step01_numpy.common.training.configuration import TokenizerConfig, TrainingConfig
from step01_numpy.common.training.tasks import CAUSAL, TRANSFORMER

PAIRS = [(f"Is this House {n} of Yours?", f"Est-ce ta maison {n} ?") for n in range(600)]


def test_every_space_and_dash_of_a_kind_is_the_keyboards():
    assert plain("«\u00a0Qu\u2019est-ce\u202f?\u00a0» \u2013 \u201cl\u2019été\u201d\u2026") == (
        "« Qu'est-ce ? » - \"l'été\"..."
    )
    for one, found in PLAIN.items():
        assert not set(one) & set(found)
        assert all(unicodedata.category(x) == "Zs" for x in found) == (one == " ")


def test_a_plain_tokenizer_reads_all_spellings_alike():
    texts = ["Qu\u2019est-ce\u202f?", "Qu'est-ce\u00a0?", "Qu'est-ce ?"] * 3
    tokenizer = Tokenizer.from_json(Tokenizer.train(texts, 60, plain=True).to_json())
    first, *others = tokenizer.encode_batch(texts)
    assert all(ids == first for ids in others)
    assert tokenizer.decode(first) == "Qu'est-ce ?"
    assert UNK not in tokenizer.encode(
        "Qu\u2018est\u2010ce\u2003?"
    )  # spellings that no text of its training had


def test_a_tokenizer_keeps_spellings_where_it_is_not_asked():
    texts = ["Qu\u2019est-ce\u202f?", "Qu'est-ce ?"] * 3
    tokenizer = Tokenizer.train(texts, 60)
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_batch(texts)] == texts


def test_hurried_pairs_stand_behind_their_own():
    pairs = with_hurried(PAIRS, 30)
    added = [i for i, pair in enumerate(pairs) if pair not in PAIRS]
    assert [pair for i, pair in enumerate(pairs) if i not in added] == PAIRS
    assert 0.2 < len(added) / len(PAIRS) < 0.4
    kinds = set()
    for i in added:
        (source, target), (hurried, same) = pairs[i - 1], pairs[i]
        assert same == target  # it learns to write as always
        kinds.add((hurried.islower(), hurried.endswith("?")))
        assert hurried in (source.lower(), source[:-1], source[:-1].lower())
    assert kinds == {(True, True), (True, False), (False, False)}


def test_which_pairs_are_hurried_depends_on_their_texts_alone():
    def hurried(pairs):
        return set(with_hurried(pairs, 30)) - set(PAIRS)

    assert hurried(PAIRS[::-1]) == hurried(PAIRS)
    assert with_hurried(PAIRS, 0) == PAIRS
    assert len(with_hurried(PAIRS, 100)) == 2 * len(PAIRS)


def test_a_sentence_of_marks_alone_keeps_them():
    assert with_hurried([("?!", "?!")] * 2, 100)[1][0] == "?!"


def test_training_data_hold_the_hurried(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join("\t".join(pair) for pair in PAIRS), encoding="utf-8")
    read = TRANSFORMER.training_data(path)
    assert TRANSFORMER.training_data(path, 30) == with_hurried(read, 30) != read
    assert CAUSAL.training_data(path, 30) == CAUSAL.training_data(path)  # there is no source to hurry


def test_exclamations_are_learned_with_a_full_stop_too():
    pairs = [("Hello!", "Salut !"), ("Stop !!", "Stop !"), ("I see.", "Je vois."), ("Well?!", "Eh bien ?!")]
    added = [("Hello.", "Salut !"), ("Stop.", "Stop !")]
    assert with_calm(pairs) == [pairs[0], added[0], pairs[1], added[1], *pairs[2:]]
    assert with_calm([("!", "!")]) == [("!", "!")]


def test_training_data_hold_the_calm(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("Hello!\tSalut !\n" * 3, encoding="utf-8")
    assert TRANSFORMER.training_data(path, 0, True) == [("Hello!", "Salut !"), ("Hello.", "Salut !")] * 3
    assert TRANSFORMER.training_data(path, 0) == [("Hello!", "Salut !")] * 3


def test_calm_is_true_or_false():
    with pytest.raises(ValueError, match="calm is 1"):
        TrainingConfig(calm=1)


@pytest.mark.parametrize("hurried", [-1, 101, 2.5, True, "10"])
def test_shares_that_are_none(hurried):
    with pytest.raises(ValueError, match="hurried"):
        TrainingConfig(hurried=hurried)


def test_plain_is_true_or_false():
    with pytest.raises(ValueError, match="plain is 1"):
        TokenizerConfig(plain=1)
