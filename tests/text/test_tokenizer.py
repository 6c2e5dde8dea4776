"""The tokenizer: exact round trips, stable ids, readable tokens, and its errors."""

import json
import subprocess
import sys
import unicodedata
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from step01_numpy.common.text.corpus import embedded_corpus
from step01_numpy.common.text.tokenizer import BOS, EOS, MASK, PAD, SPECIAL_TOKENS, UNK, WORD_MARK, Tokenizer

TEXTS = [
    "They arrived late.",
    "Ils sont arrivés tard.",
    "L'accord sur la zone économique européenne a été signé en août 1992.",
    "Aujourd'hui, elle l'aide !",
] * 3


@cache
def trained():
    return Tokenizer.train([text for pair in embedded_corpus().train for text in pair], 1600)


@pytest.fixture
def small():
    """A tokenizer of a handful of sentences."""
    return Tokenizer.train(TEXTS, 120)


# ---- there and back ---------------------------------------------------------------------------------------


def test_every_sentence_of_the_corpus_comes_back():
    texts = [text for split in embedded_corpus() for pair in split for text in pair]
    ids = trained().encode_batch(texts)
    assert [trained().decode(row) for row in ids[::10]] == texts[::10]
    assert not any(UNK in row for row in ids)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("".join(sorted(set("".join(TEXTS)) | {" "}))), max_size=40))
def test_any_text_of_known_characters_comes_back(text):
    tokenizer = known_characters()
    assert tokenizer.decode(tokenizer.encode(text)) == text


@cache
def known_characters():
    return Tokenizer.train(TEXTS, 120)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_any_text_comes_back_less_its_unknown_characters(text):
    known = set("".join(TEXTS)) | {" "}
    composed = unicodedata.normalize("NFC", text)
    expected = "".join(character for character in composed if character in known)
    tokenizer = known_characters()
    assert tokenizer.decode(tokenizer.encode(text.replace(WORD_MARK, ""))) == expected


def test_decomposed_letters_are_composed(small):
    assert small.encode("arrive\u0301s") == small.encode("arrivés")
    assert small.decode(small.encode("arrive\u0301s")) == "arrivés"


def test_lowercase_is_part_of_the_tokenizer():
    tokenizer = Tokenizer.from_json(Tokenizer.train(TEXTS, 120, lowercase=True).to_json())
    assert tokenizer.decode(tokenizer.encode("ILS sont ARRIVÉS.")) == "ils sont arrivés."


def test_batches_of_text_are_encoded_like_single_ones(small):
    assert small.encode_batch(TEXTS) == [small.encode(text) for text in TEXTS]


# ---- tokens and ids ---------------------------------------------------------------------------------------


def test_tokens_are_readable():
    ids = trained().encode("The agreement was signed in August 1992.")
    assert trained().tokens(ids) == ["▁The", "▁agreement", "▁was", "▁signed", "▁in", "▁August", "▁1992", "."]
    ids = trained().encode("L'accord n'a pas été signé.")
    assert trained().tokens(ids) == ["▁L", "'", "accord", "▁n", "'", "a", "▁pas", "▁été", "▁signé", "."]


def test_no_token_joins_words_or_punctuation(small):
    for token in small.tokens(range(len(SPECIAL_TOKENS), small.vocab_size)):
        bare = token.removeprefix(WORD_MARK)
        assert bare.isalpha() or bare.isdigit() or len(bare) <= 1, token


def test_special_tokens_have_their_ids(small):
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert small.tokens([PAD, BOS, EOS, UNK]) == ["<pad>", "<bos>", "<eos>", "<unk>"]


def test_encode_adds_no_special_token_and_reads_none_in_text():
    text = "a <eos> <pad> b"
    tokenizer = Tokenizer.train([text], 40)
    for same in (tokenizer, Tokenizer.from_json(tokenizer.to_json())):
        assert min(same.encode(text)) > UNK
        assert same.decode(same.encode(text)) == text


def test_decode_stops_at_eos_and_leaves_special_tokens_out(small):
    late, early = small.encode("late"), small.encode("tard")
    assert small.decode([BOS, *late, UNK, PAD, *late, EOS, *early, PAD]) == "late late"
    assert small.decode([]) == small.decode([EOS, *late]) == ""


def test_a_mask_token_where_asked_for(small):
    masked = Tokenizer.train([*TEXTS, "<mask>"], 120, mask=True)
    for same in (masked, Tokenizer.from_json(masked.to_json())):
        assert same.has_mask
        assert same.tokens(range(5)) == [*SPECIAL_TOKENS, "<mask>"]
        assert same.decode([MASK, *same.encode("late")]) == "late"
        assert min(same.encode("<mask>")) > MASK
        assert same.decode(same.encode("<mask>")) == "<mask>"
    assert not small.has_mask
    assert not Tokenizer.train(["<mask>"] * 9, 60).has_mask
    assert (MASK, masked.vocab_size) == (4, 120)


def test_vocabulary_is_as_large_as_asked_or_as_the_texts_allow():
    assert trained().vocab_size <= 1600
    assert Tokenizer.train(TEXTS, 70).vocab_size == 70
    assert Tokenizer.train(["ab"], 100).vocab_size < 15


# ---- keeping it -------------------------------------------------------------------------------------------


def test_json_gives_the_same_tokenizer(small):
    again = Tokenizer.from_json(small.to_json())
    assert again.to_json() == small.to_json()
    assert again.encode_batch(TEXTS) == small.encode_batch(TEXTS)


def test_training_is_the_same_in_every_process_and_silent(small):
    script = (
        "import sys, json; from step01_numpy.common.text.tokenizer import Tokenizer; "
        "sys.stdout.write(Tokenizer.train(json.loads(sys.argv[1]), 120).to_json())"
    )
    command = [sys.executable, "-c", script, json.dumps(TEXTS)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == small.to_json()
    assert run.stderr == ""


# ---- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1, 120])
def test_an_id_outside_the_vocabulary(small, bad):
    assert small.vocab_size == 120
    with pytest.raises(ValueError, match=rf"ids holds {bad}; expected ids from 0 to 119"):
        small.decode([5, bad])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "text is no JSON"),
        ('{"a": 1}', "text describes no tokenizer"),
        ("[]", "text describes no tokenizer"),
        ("foreign", "text is of a tokenizer whose first tokens are"),
    ],
)
def test_foreign_or_broken_json(small, text, message):
    if text == "foreign":
        text = small.to_json().replace("<bos>", "<s>")
    with pytest.raises(ValueError, match=rf"{message}.*expected what Tokenizer.to_json returned"):
        Tokenizer.from_json(text)


def test_training_refuses_what_it_cannot_use():
    with pytest.raises(TypeError, match="texts is a str"):
        Tokenizer.train("They arrived late.", 100)
    with pytest.raises(ValueError, match="texts holds 0 texts"):
        Tokenizer.train([], 100)
    with pytest.raises(ValueError, match="texts holds 2 texts and no character"):
        Tokenizer.train(["", ""], 100)
    with pytest.raises(ValueError, match=r"vocab_size is 10; expected at least \d\d"):
        Tokenizer.train(TEXTS, 10)


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for use in (lambda: Tokenizer.train(TEXTS, 100), lambda: Tokenizer.from_json("{}")):
        with pytest.raises(ImportError, match=r'pip install "attention-step-by-step\[text\]"'):
            use()
