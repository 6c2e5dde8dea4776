"""Reading parallel text: what is read, and how every fault of a file is named."""

import gzip
import re

import pytest

from step01_numpy.common.text.corpus import embedded_corpus
from step01_numpy.common.text.parallel import TABLE_SPLITS, read_lines, read_parallel, table_split

ENGLISH = ["One dog.", "Two dogs.", "A café."]
FRENCH = ["Un chien.", "Deux chiens.", "Un café."]


def write(path, lines, end="\n"):
    data = "".join(line + end for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def directory(tmp_path):
    """A directory with the split train, plain English and packed French."""
    write(tmp_path / "train.en", ENGLISH)
    write(tmp_path / "train.fr.gz", FRENCH)
    return tmp_path


@pytest.fixture
def table(tmp_path):
    """A tab-separated file, the same English twice on end, licences in the third column."""
    rows = [f"Sentence {n}.\tPhrase {n}{m}.\tCC-BY {n}" for n in range(400) for m in "ab"]
    return write(tmp_path / "fra.txt", rows)


# ---- embedded ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "validation", "held_out"])
def test_embedded_corpus_in_both_directions(split):
    expected = getattr(embedded_corpus(), split)
    assert read_parallel("embedded", split) == expected
    assert read_parallel("embedded", split, "fr", "en") == [(french, english) for english, french in expected]


def test_embedded_corpus_names_its_splits_and_languages():
    with pytest.raises(ValueError, match=r"split is 'dev'.*train, validation, held_out"):
        read_parallel("embedded", "dev")
    with pytest.raises(ValueError, match=r"target 'de'.*\"en\" and \"fr\""):
        read_parallel("embedded", "train", "en", "de")


# ---- line files -------------------------------------------------------------------------------------------


def test_line_files_plain_and_packed(directory):
    assert read_parallel(directory) == list(zip(ENGLISH, FRENCH, strict=True))
    assert read_parallel(str(directory), "train", "fr", "en") == list(zip(FRENCH, ENGLISH, strict=True))


def test_windows_line_ends_byte_order_mark_and_no_last_line_end(directory):
    text = "\ufeff" + "\r\n".join(ENGLISH)
    (directory / "train.en").write_text(text, encoding="utf-8", newline="")
    assert read_parallel(directory) == list(zip(ENGLISH, FRENCH, strict=True))


def test_text_comes_in_composed_form_without_blanks_around(directory):
    write(directory / "train.en", ["  One dog. ", "Two dogs.\t", "A cafe\u0301."])
    assert [english for english, _ in read_parallel(directory)] == ENGLISH


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0c", "\r"], ids=ascii)
def test_only_line_feeds_end_lines(directory, character):
    write(directory / "train.en", ["One dog.", f"Two{character}dogs.", "A café."])
    assert [english for english, _ in read_parallel(directory)][1] == f"Two{character}dogs."


def test_unequal_numbers_of_lines(directory):
    write(directory / "train.en", ENGLISH[:2])
    with pytest.raises(ValueError, match=r"train\.en has 2 lines and .*train\.fr\.gz has 3; expected equal"):
        read_parallel(directory)


def test_an_empty_side_is_named_by_file_and_line(directory):
    write(directory / "train.fr.gz", ["Un chien.", " ", "Un café."])
    with pytest.raises(ValueError, match=r"train\.fr\.gz, line 2: empty"):
        read_parallel(directory)


def test_a_missing_split_names_those_present(directory):
    write(directory / "val.en", ENGLISH)
    write(directory / "val.fr", FRENCH)
    write(directory / "test.en", ENGLISH)
    with pytest.raises(FileNotFoundError, match=r"lacks dev\.en or dev\.fr.*both languages: train, val$"):
        read_parallel(directory, "dev")
    with pytest.raises(FileNotFoundError, match=r"lacks train\.en or train\.de.*both languages: none$"):
        read_parallel(directory, "train", "en", "de")


# ---- tab-separated files ----------------------------------------------------------------------------------


def test_table_splits_hold_every_pair_once_and_keep_one_english_together(table):
    splits = [read_parallel(table, split) for split in TABLE_SPLITS]
    assert sorted(pair for split in splits for pair in split) == sorted(
        (f"Sentence {n}.", f"Phrase {n}{m}.") for n in range(400) for m in "ab"
    )
    for name, pairs in zip(TABLE_SPLITS, splits, strict=True):
        assert {table_split(english) for english, _ in pairs} == {name}
    assert all(0 < len(pairs) < 60 for pairs in splits[1:])


def test_table_shares_are_as_documented():
    splits = [table_split(f"Sentence {n}.") for n in range(20_000)]
    assert [round(100 * splits.count(name) / len(splits)) for name in TABLE_SPLITS] == [96, 2, 2]


def test_table_backwards_packed_and_in_other_languages(table):
    forwards = read_parallel(table, "test", "en", "de")
    packed = table.with_name("fra.txt.gz")
    packed.write_bytes(gzip.compress(table.read_bytes()))
    assert read_parallel(packed, "test", "de", "en") == [(other, english) for english, other in forwards]


def test_table_faults_are_named(table):
    with pytest.raises(ValueError, match=r"split is 'val'.*train, validation, test"):
        read_parallel(table, "val")
    with pytest.raises(ValueError, match=r"source is 'de' and target 'fr'"):
        read_parallel(table, "train", "de", "fr")
    write(table, ["One.\tUn.", "Two. Deux."])
    with pytest.raises(ValueError, match=r"fra\.txt, line 2: no tab in 'Two\. Deux\.'"):
        read_parallel(table)
    write(table, ["One.\tUn.", "\tDeux."])
    with pytest.raises(ValueError, match=r"fra\.txt, line 2: empty"):
        read_parallel(table)
    write(table, ["One.\tUn."])
    with pytest.raises(ValueError, match=r"none of its 1 pairs falls in the split 'test'"):
        read_parallel(table, "test")


# ---- files at fault ---------------------------------------------------------------------------------------


def test_a_table_whose_first_column_is_not_english(tmp_path):
    path = tmp_path / "turned.txt"
    path.write_text("\n".join(f"Привет {n}\tHello {n}" for n in range(200)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"turned.txt: no letter from a to z in its first column, such as"):
        read_parallel(path)


def test_read_lines_keeps_empty_lines_and_blanks(tmp_path):
    path = write(tmp_path / "a.txt", [" one", "", "three "], end="\r\n")
    assert read_lines(path) == [" one", "", "three "]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_an_empty_file(tmp_path, name):
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is empty"):
        read_lines(write(tmp_path / name, []))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with byte order mark"])
def test_broken_utf8_is_named_by_line(tmp_path, mark):
    path = tmp_path / "a.txt"
    path.write_bytes(mark + "Où ?\nLà.\n".encode() + "Déjà.\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt, line 3: byte 0xe9 is not UTF-8"):
        read_lines(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-12],
        lambda data: data[:5],
        lambda data: b"plain text",
        lambda data: data[:20] + b"????" + data[24:],
    ],
    ids=["truncated", "header only", "not gzip", "overwritten"],
)
def test_a_damaged_gzip_file(tmp_path, damage):
    path = write(tmp_path / "a.txt.gz", [f"line {n}" for n in range(50)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"a\.txt\.gz is no complete gzip file"):
        read_lines(path)


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; expected \"embedded\""):
        read_parallel(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; expected a text file"):
        read_lines(tmp_path / "nowhere")
