"""Several corpora to train on, none of which loses what it holds out; several references of one sentence."""

import numpy as np
import pytest

from step01_numpy.common.text.corpus import embedded_corpus
from step01_numpy.common.text.parallel import read_parallel, table_split
from step01_numpy.common.text.several import read_references, read_together
from step01_numpy.common.text.tokenizer import Tokenizer
from step01_numpy.common.training.tasks import CAUSAL, TRANSFORMER


@pytest.fixture
def table(tmp_path):
    """A tab-separated file: own sentences, and some of the embedded corpus in another spelling."""
    corpus = embedded_corpus()
    lines = [f"Sentence {n}.\tPhrase {n}." for n in range(400)]
    lines += [f"{english.upper()}\tA." for english, _ in corpus.held_out[:50]]
    lines += [f"{english} \tB." for english, _ in corpus.train[:400]]
    path = tmp_path / "fra.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("other", ["one dog.", "One dog!", "  ONE  dog", "“One dog”"])
def test_near_duplicates_fall_on_one_side(other):
    for number in range(100):
        assert table_split(f"{number} One dog.") == table_split(f"{number} {other}")


def test_one_corpus_is_read_as_it_is(table):
    assert read_together([table]) == read_parallel(table, "train")


def test_what_one_corpus_holds_out_is_left_out_of_all(table):
    pairs = read_together([table, "embedded"])
    held_out = [pair for split in ("validation", "test") for pair in read_parallel(table, split)]
    held_out += [*embedded_corpus().validation, *embedded_corpus().held_out]
    forbidden = {english.lower() for english, _ in held_out}
    assert not [english for english, _ in pairs if english.lower() in forbidden]
    # What both have for training is there twice, and nothing else is lost.
    embedded = [pair for pair in embedded_corpus().train if pair[0].lower() not in forbidden]
    assert len(embedded) < len(embedded_corpus().train)
    assert pairs[-len(embedded) :] == embedded
    own = [pair for pair in read_parallel(table, "train") if pair[0].lower() not in forbidden]
    assert pairs[: -len(embedded)] == own


def test_nothing_left(tmp_path):
    english = next(f"Sentence {n}." for n in range(400) if table_split(f"Sentence {n}.") == "train")
    for path in ("a", "b"):
        (tmp_path / path).mkdir()
        for split in ("train", "test"):
            for language in ("en", "fr"):
                (tmp_path / path / f"{split}.{language}").write_text(english)
    with pytest.raises(ValueError, match="every pair is held out by one of them"):
        read_together([tmp_path / "a", tmp_path / "b"])


def test_corpora_of_two_languages(table, tmp_path):
    russian = tmp_path / "rus.txt"
    russian.write_text("\n".join(f"Sentence {n}.\tПредложение {n}." for n in range(400)), encoding="utf-8")
    assert read_together([russian])[0][1].startswith("Предложение")
    with pytest.raises(ValueError, match=r"embedded and of .*rus.txt have no letter in common"):
        read_together([russian, "embedded"])


def test_no_pair_that_a_model_takes(table):
    pairs = read_parallel(table, "train")[:3]
    tokenizer = Tokenizer.train([english for english, _ in pairs], 60)
    with pytest.raises(ValueError, match="no pair is left: each of 3 has a side of over 4 tokens"):
        TRANSFORMER.batches(pairs, tokenizer, 5, tokens_per_batch=90, rng=np.random.default_rng(0))


def test_tasks_read_several(table):
    assert TRANSFORMER.training_data([table, "embedded"]) == read_together([table, "embedded"])
    assert TRANSFORMER.training_data(str(table)) == read_parallel(table, "train")
    assert CAUSAL.training_data([table, "embedded"]) == [
        *CAUSAL.read(table, "train"),
        *CAUSAL.read("embedded", "train"),
    ]


def test_a_table_has_every_reference_of_a_sentence(tmp_path):
    (tmp_path / "fra.txt").write_text("Go.\tVa !\nHello.\tSalut.\nGo.\tVas-y.\nGo.\tVa !\n", encoding="utf-8")
    found = read_references(tmp_path / "fra.txt", table_split("Go."))
    assert ("Go.", ["Va !", "Vas-y."]) in list(zip(*found, strict=True))


def test_elsewhere_a_line_is_a_sentence(tmp_path):
    (tmp_path / "test.en").write_text("Go.\nGo.")
    (tmp_path / "test.fr").write_text("Va.\nPars.")
    assert read_references(tmp_path, "test") == (["Go.", "Go."], [["Va."], ["Pars."]])
    sources, references = read_references("embedded", "held_out")
    assert list(zip(sources, (x for (x,) in references), strict=True)) == embedded_corpus().held_out
