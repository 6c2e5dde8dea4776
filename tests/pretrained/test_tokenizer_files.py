"""Tokenizers of Hugging Face's directories: the library transformers' own ids, bad files refused."""

import json
import sys

import pytest
import transformers

from step01_numpy.common.pretrained.model_tokenizer import Markers, OwnTokenizer
from step01_numpy.common.pretrained.tokenizer_files import open_tokenizer
from step01_numpy.common.text.tokenizer import Tokenizer
from tests.pretrained.test_config import BERT, GPT2, LLAMA, MARIAN
from tests.pretrained.tiny_tokenizers import TEXTS, byte_pairs, sentence_pieces, word_pieces, words

LINES = ["They arrived late.", "She sees été, the  house!", "", "été zyx \n 12", *TEXTS[:3]]


class Described:
    """As much of a `Description` as a tokenizer needs."""

    def __init__(self, theirs, size, **generation):
        self.model_type, self.generation = theirs["model_type"], theirs | generation
        self.tokenizer_class = None
        self.config = type("config", (), {"vocab_size": size})


def assert_same(tokenizer, library, lines=LINES, **options):
    expected = [library(line).input_ids for line in lines]
    assert tokenizer.encode_batch(lines) == expected
    assert [tokenizer.encode(line) for line in lines] == expected
    for ids in expected:
        assert tokenizer.tokens(ids) == library.convert_ids_to_tokens(ids)
        text = library.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False, **options)
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("as_json", [True, False])
def test_word_pieces(tmp_path, as_json):
    size = word_pieces(tmp_path, as_json=as_json)
    tokenizer = open_tokenizer(tmp_path, Described(BERT, size, pad_token_id=0))
    assert_same(tokenizer, transformers.BertTokenizerFast.from_pretrained(tmp_path))
    assert tokenizer.vocab_size == size
    assert tokenizer.markers == Markers(pad=0, mask=4)
    assert tokenizer.encode("they [MASK] late") == [2, 5, 4, 7, 3]


@pytest.mark.parametrize("about", [{"do_lower_case": False}, {"strip_accents": False}, {}])
def test_word_pieces_with_other_settings(tmp_path, about):
    size = word_pieces(tmp_path, as_json=False)
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps(about | {"mask_token": {"__type": "AddedToken", "content": "[SEP]"}})
    )
    tokenizer = open_tokenizer(tmp_path, Described(BERT, size))
    assert_same(tokenizer, transformers.BertTokenizerFast.from_pretrained(tmp_path))
    assert tokenizer.markers.mask == 3


@pytest.mark.parametrize("as_json", [True, False])
def test_bytes(tmp_path, as_json):
    size = byte_pairs(tmp_path, as_json=as_json)
    tokenizer = open_tokenizer(tmp_path, Described(GPT2, size, bos_token_id=0, eos_token_id=0))
    assert_same(tokenizer, transformers.GPT2TokenizerFast.from_pretrained(tmp_path))
    assert tokenizer.markers == Markers(pad=0, first=0, eos=(0,))
    assert tokenizer.encode("<|endoftext|>") == [0]


def test_words_behind_a_first_token(tmp_path):
    size = words(tmp_path, 12)
    tokenizer = open_tokenizer(tmp_path, Described(LLAMA, size, bos_token_id=1, eos_token_id=[2, 5]))
    assert tokenizer.encode("w3 w11 w99") == [1, 3, 11, 0]
    assert tokenizer.decode([1, 3, 11, 2]) == "w3 w11"
    assert tokenizer.markers == Markers(pad=0, first=1, eos=(2, 5))


def test_old_llama_s_padding_is_none(tmp_path):
    words(tmp_path, 12)
    assert open_tokenizer(tmp_path, Described(LLAMA, 12, pad_token_id=-1)).markers.pad == 0


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_sentence_pieces(tmp_path):
    size = sentence_pieces(tmp_path)
    pad = {"pad_token_id": size - 1, "decoder_start_token_id": size - 1}
    tokenizer = open_tokenizer(tmp_path, Described(MARIAN, size, **pad, eos_token_id=0))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"source_lang": "en", "target_lang": "fr"}))
    library = transformers.MarianTokenizer.from_pretrained(tmp_path)
    assert_same(tokenizer, library, [*LINES, ">>fra<< They arrived late.", "1 << 2 >> 1"])
    assert tokenizer.markers == Markers(pad=size - 1, first=size - 1, eos=(0,))
    assert tokenizer.decode(tokenizer.encode("They arrived late.")) == "They arrived late."


@pytest.mark.parametrize(
    ("architecture", "around", "first"),
    [("encoder_decoder", ([], [2]), 1), ("encoder", ([1], [2]), 1), ("decoder", ([2], []), 2)],
)
def test_our_own(architecture, around, first):
    own = Tokenizer.train(TEXTS, 60, mask=architecture == "encoder")
    tokenizer = OwnTokenizer(own, architecture)
    ids = own.encode("They arrived late.")
    assert tokenizer.encode("They arrived late.") == [*around[0], *ids, *around[1]]
    assert tokenizer.markers == Markers(0, first, (2,), 4 if architecture == "encoder" else None)
    assert (tokenizer.vocab_size, tokenizer.tokens(ids)) == (own.vocab_size, own.tokens(ids))
    assert tokenizer.decode([*ids, 2, 5]) == "They arrived late."


def test_a_tokenizer_that_does_not_fit(tmp_path):
    size = word_pieces(tmp_path)
    assert open_tokenizer(tmp_path, Described(BERT, size + 9)).vocab_size == size
    with pytest.raises(
        ValueError, match=rf"tokenizer has {size} tokens, its model a vocabulary of {size - 1}"
    ):
        open_tokenizer(tmp_path, Described(BERT, size - 1))
    with pytest.raises(ValueError, match=rf"special token {size} is outside its vocabulary of {size}"):
        open_tokenizer(tmp_path, Described(BERT, size, eos_token_id=size))


@pytest.mark.parametrize("ids", [[-1], [20], [3, 999]])
@pytest.mark.parametrize(("write", "theirs"), [(word_pieces, BERT), (sentence_pieces, MARIAN)])
def test_ids_outside_the_vocabulary(tmp_path, ids, write, theirs):
    size = write(tmp_path)
    tokenizer = open_tokenizer(tmp_path, Described(theirs, size, pad_token_id=0))
    ids = [size if index == 20 else index for index in ids]
    with pytest.raises(ValueError, match=rf"ids holds {ids[-1]}; expected ids from 0 to {size - 1}"):
        tokenizer.tokens(ids)


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (BERT, "has no tokenizer; expected tokenizer.json, or vocab.txt"),
        (GPT2, "expected tokenizer.json, or vocab.json and merges.txt"),
        (LLAMA, "expected tokenizer.json$"),
        (MARIAN, "expected source.spm and target.spm and vocab.json"),
    ],
)
def test_missing_files(tmp_path, theirs, message):
    with pytest.raises(FileNotFoundError, match=message):
        open_tokenizer(tmp_path, Described(theirs, 50))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"{}", b'{"version": "1.0"}', b"3"])
def test_files_at_fault(tmp_path, data):
    for theirs, names in (
        (BERT, ["tokenizer.json"]),
        (GPT2, ["vocab.json", "merges.txt"]),
        (MARIAN, ["vocab.json", "source.spm", "target.spm"]),
    ):
        directory = tmp_path / theirs["model_type"]
        directory.mkdir()
        for name in names:
            (directory / name).write_bytes(data)
        if data == b"{}" and theirs is GPT2:
            continue  # a tokenizer of no words
        with pytest.raises(ValueError, match=f"{directory.name}/{names[0][:4]}|source.spm"):
            open_tokenizer(directory, Described(theirs, 50))


def test_a_vocabulary_without_an_end(tmp_path):
    size = sentence_pieces(tmp_path)
    (tmp_path / "vocab.json").write_text('{"<unk>": 1}')
    with pytest.raises(ValueError, match=r"vocab.json lacks </s>"):
        open_tokenizer(tmp_path, Described(MARIAN, size))


@pytest.mark.parametrize(
    ("generation", "message"),
    [
        ({"eos_token_id": [0, "x"]}, r"eos_token_id is \[0, 'x'\]; expected the id of a token"),
        ({"pad_token_id": {}}, "pad_token_id is {}; expected the id of a token"),
        ({"decoder_start_token_id": 1.5}, "decoder_start_token_id is 1.5; expected the id of a token"),
    ],
)
def test_special_tokens_at_fault(tmp_path, generation, message):
    size = sentence_pieces(tmp_path)
    with pytest.raises(ValueError, match=message):
        open_tokenizer(tmp_path, Described(MARIAN, size, **generation))


@pytest.mark.parametrize(
    ("library", "write", "theirs"),
    [("tokenizers", word_pieces, BERT), ("sentencepiece", sentence_pieces, MARIAN)],
)
def test_missing_library(monkeypatch, tmp_path, library, write, theirs):
    size = write(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"attention-step-by-step\[text\]"):
        open_tokenizer(tmp_path, Described(theirs, size))
