"""Text for language models: what is read, what is refused, and every token in its sequence."""

import gzip
from itertools import chain

import pytest

from step01_numpy.common.text.corpus import embedded_corpus
from step01_numpy.common.text.plain import causal_sequences, masked_sequences, read_text
from step01_numpy.common.text.tokenizer import BOS, EOS, MASK, UNK, Tokenizer

LINES = ["They arrived late.", "She sees the house.", "Été", "The agreement was signed in August 1992."]
TEXT = "\ufeffThey arrived late.\r\n\n  She sees the house. \n\t\nE\u0301te\u0301\n" + LINES[3]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(LINES, 60, mask=True)


# ---- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["text", "text.txt", "text.gz"])
def test_lines_that_are_not_blank_in_nfc(tmp_path, name):
    data = TEXT.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert read_text(tmp_path / name) == LINES


def test_the_embedded_corpus():
    for split, pairs in embedded_corpus()._asdict().items():
        assert read_text("embedded", split) == [english for english, _ in pairs]
        assert read_text("embedded-both", split) == list(chain.from_iterable(pairs))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "text is empty; expected lines of text"),
        (b" \n\t\n", "text has 2 lines, all blank; expected text"),
        (b"One.\nTwo \xe9t\xe9.\n", "text, line 2: byte 0xe9 is not UTF-8"),
    ],
)
def test_files_at_fault(tmp_path, data, message):
    (tmp_path / "text").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_text(tmp_path / "text")


def test_what_is_no_text_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing does not exist; expected a text file"):
        read_text(tmp_path / "nothing")
    with pytest.raises(ValueError, match="is a directory; expected a text file or one of embedded, embedded"):
        read_text(tmp_path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(TEXT.encode())[:-9])
    with pytest.raises(ValueError, match=r"cut.gz is no complete gzip file"):
        read_text(tmp_path / "cut.gz")


def test_splits(tmp_path):
    (tmp_path / "text").write_text("One.")
    with pytest.raises(ValueError, match=r"split is 'test'; expected none, for .*text is one text"):
        read_text(tmp_path / "text", "test")
    for split in (None, "test"):
        with pytest.raises(ValueError, match=f"split is {split!r}; the embedded corpus has train, "):
            read_text("embedded", split)


# ---- sequences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("longest", [1, 2, 7, 8, 1000])
def test_windows_teach_every_token_once(tokenizer, longest):
    windows = causal_sequences(LINES, tokenizer, longest)
    stream = [EOS]
    for line in LINES:
        stream += [*tokenizer.encode(line), EOS]
    assert [token for window in windows for token in window[1:]] == stream[1:]
    assert [token for window in windows for token in window[:-1]] == stream[:-1]
    assert {len(window) for window in windows[:-1]} <= {longest + 1}
    assert 2 <= len(windows[-1]) <= longest + 1


def test_a_stream_that_fills_its_windows_exactly(tokenizer):
    learned = sum(len(tokenizer.encode(line)) + 1 for line in LINES)
    assert [len(window) for window in causal_sequences(LINES, tokenizer, learned)] == [learned + 1]


@pytest.mark.parametrize("longest", [3, 8, 1000])
def test_long_lines_are_cut_and_none_is_lost(tokenizer, longest):
    sequences = masked_sequences(LINES, tokenizer, longest)
    assert all(len(x) <= longest and x[0] == BOS and x[-1] == EOS for x in sequences)
    inside = [x[1:-1] for x in sequences]
    assert all(min(x) > EOS for x in inside)
    assert list(chain.from_iterable(inside)) == list(chain.from_iterable(tokenizer.encode_batch(LINES)))
    if longest == 1000:
        assert inside == tokenizer.encode_batch(LINES)


def test_nothing_to_mask_is_left_out():
    tokenizer = Tokenizer.train(["a"], 10, mask=True)
    (known,) = tokenizer.encode("a")
    assert masked_sequences(["a", "\u4e00"], tokenizer, 9)[0] == [BOS, known, EOS]
    assert all(max(x) > MASK for x in masked_sequences(["\u4e00 a \u4e00\u4e00"], tokenizer, 3))
    assert UNK in tokenizer.encode("\u4e00 a")


def test_no_room(tokenizer):
    with pytest.raises(ValueError, match="longest is 2; expected at least 3"):
        masked_sequences(LINES, tokenizer, 2)
