"""Streaming: whole characters, as early as can be, and in the end all of the text."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from step01_numpy.common.decoding.streaming import pieces


def decode(ids):
    return bytes(ids).decode("utf-8", "replace")


@pytest.fixture(scope="module")
def byte_level():
    """A real byte-level tokenizer, of bytes alone: é and 🎉 take several tokens."""
    vocab = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@pytest.mark.parametrize("text", ["déjà 🎉 vu", "plain", "🎉", "", "日本\n語 "])
def test_no_half_character_is_yielded(text):
    found = list(pieces(text.encode(), decode))
    assert found == list(text)


@pytest.mark.parametrize("text", ["L'été 🎉🎉", "naïve café"])
def test_with_a_real_tokenizer(byte_level, text):
    ids = byte_level.encode(text).ids
    found = list(pieces(ids, byte_level.decode))
    assert found == list(text)
    for n in range(len(ids)):  # a prompt that ends in half a character is completed
        before = bytes(text.encode()[:n]).decode(errors="ignore")
        assert "".join(pieces(ids[n:], byte_level.decode, before=ids[:n])) == text.removeprefix(before)


def test_pieces_come_as_early_as_can_be():
    seen = []

    def tokens():
        for byte in "aé!".encode():
            yield byte
            seen.append("fed")

    stream = pieces(tokens(), decode)
    assert next(stream) == "a"
    assert len(seen) == 0
    assert next(stream) == "é"
    assert len(seen) == 2


def test_bytes_that_are_no_character_come_with_what_follows_or_at_the_end():
    assert list(pieces(b"a\xf0\x9fb\xe2\x82", decode)) == ["a", "\ufffdb", "\ufffd"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        ids = rng.integers(0, 256, 12).tolist()
        assert "".join(pieces(ids, decode)) == decode(ids)


def test_text_goes_on_from_what_stands_before():
    """A word's first token is written without its space only where the text begins."""
    words = ["▁Elle", "▁voit", ".", "▁la"]

    def decode(ids):
        return "".join(words[i] for i in ids).replace("▁", " ").removeprefix(" ")

    assert list(pieces([1, 3, 2], decode, before=[0])) == [" voit", " la", "."]
    assert list(pieces([1, 3, 2], decode)) == ["voit", " la", "."]


def test_tokens_without_text_yield_nothing():
    assert list(pieces([0, 1, 0, 2], lambda ids: "".join(["", "a", "b"][i] for i in ids))) == ["a", "b"]
