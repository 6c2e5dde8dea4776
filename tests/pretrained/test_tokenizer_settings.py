"""tokenizer_config.json and its neighbours, where they change what tokenizer.json says: the library's ids."""

import json

import pytest
import tokenizers
import transformers

from step01_numpy.common.pretrained.tokenizer_files import open_tokenizer
from tests.pretrained.test_config import BERT, GPT2, LLAMA, MARIAN
from tests.pretrained.test_tokenizer_files import Described
from tests.pretrained.tiny_tokenizers import byte_pairs, sentence_pieces, word_pieces, words

LINES = ["They ARRIVED late.", "été, é", "她the house", "  she sees", ""]


def said(directory, name="tokenizer_config.json", **fields):
    (directory / name).write_text(json.dumps(fields))


def assert_as_the_library(directory, theirs, size, lines=LINES, **generation):
    (directory / "config.json").write_text(json.dumps(theirs | {"vocab_size": size}))
    library = transformers.AutoTokenizer.from_pretrained(directory)
    tokenizer = open_tokenizer(directory, Described(theirs, size, **generation))
    expected = [library(line).input_ids for line in lines]
    assert tokenizer.encode_batch(lines) == expected
    for ids in expected:
        assert tokenizer.decode(ids) == library.decode(ids, skip_special_tokens=True)
    return tokenizer


@pytest.mark.grid
@pytest.mark.parametrize(
    "kind", [{}, {"tokenizer_class": "BertTokenizer"}, {"tokenizer_class": "TokenizersBackend"}]
)
@pytest.mark.parametrize(
    "about", [{}, {"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}]
)
def test_how_bert_normalises(tmp_path, kind, about):
    size = word_pieces(tmp_path)
    said(tmp_path, **kind, **about)
    tokenizer = assert_as_the_library(tmp_path, BERT, size)
    changes = about and kind != {"tokenizer_class": "TokenizersBackend"}
    assert (tokenizer.encode_batch(LINES) != plain(tmp_path, LINES)) == bool(changes)


def plain(directory, lines):
    """Return the ids of tokenizer.json alone."""
    made = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    made.no_truncation()
    made.no_padding()
    return [x.ids for x in made.encode_batch(lines)]


def test_what_bert_s_class_makes_of_a_file_that_keeps_capitals(tmp_path):
    """Where tokenizer_config.json is silent they are made small, whatever tokenizer.json says."""
    size = word_pieces(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))
    said(tmp_path, tokenizer_class="BertTokenizer")
    assert_as_the_library(tmp_path, BERT, size)


AROUND = [
    {},
    {"add_prefix_space": True},
    {"add_bos_token": True},
    {"add_bos_token": True, "add_eos_token": True},
]


@pytest.mark.grid
@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("about", AROUND)
def test_what_stands_around_bytes(tmp_path, about, as_json):
    """A beginning and an end are tokenizer.json's matter, where there is one."""
    size = byte_pairs(tmp_path, as_json=as_json)
    said(tmp_path, tokenizer_class="GPT2Tokenizer", **about)
    tokenizer = assert_as_the_library(tmp_path, GPT2, size)
    assert (tokenizer.encode("They") != tokenizer.encode(" They")) or "add_prefix_space" in about
    assert (tokenizer.encode("")[:1] == [0]) == ("add_bos_token" in about and not as_json)


def test_llama_s_prefix_may_not_contradict(tmp_path):
    words(tmp_path, 12)
    said(tmp_path, tokenizer_class="LlamaTokenizer", add_prefix_space=True)
    with pytest.raises(ValueError, match=r"add_prefix_space is true in tokenizer_config.json, and false by"):
        open_tokenizer(tmp_path, Described(LLAMA, 12))
    said(tmp_path, tokenizer_class="LlamaTokenizer", add_prefix_space=False)
    assert open_tokenizer(tmp_path, Described(LLAMA, 12)).encode("w3") == [1, 3]


ADDED = {"content": "<|x|>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("older", [True, False])
def test_added_tokens(tmp_path, special, older):
    """They stand beside tokenizer.json, and are ids of their own in a text."""
    size = words(tmp_path, 12)
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}
    about |= {"additional_special_tokens": ["<|x|>"]} if special else {}
    if older:
        said(tmp_path, **about)
        said(tmp_path, "added_tokens.json", **{"<|x|>": size})
    else:
        said(tmp_path, **about, added_tokens_decoder={str(size): ADDED | {"special": special}})
    tokenizer = assert_as_the_library(tmp_path, LLAMA, size + 1, ["w3<|x|>w4", "<|x|>"])
    assert tokenizer.encode("w3<|x|>w4") == [1, 3, size, 4]
    assert ("<|x|>" in tokenizer.decode([3, size])) == (not special)


def test_added_tokens_at_fault(tmp_path):
    words(tmp_path, 12)
    said(tmp_path, added_tokens_decoder={"15": ADDED})
    with pytest.raises(
        ValueError, match=r"the added token '<|x|>' is 15, and 12 by the tokenizer's own files"
    ):
        open_tokenizer(tmp_path, Described(LLAMA, 20))
    for wrong in ({"x": ADDED}, {"3": 5}, {"3": {"content": "x", "shape": 1}}):
        said(tmp_path, added_tokens_decoder=wrong)
        with pytest.raises(ValueError, match=r"tokenizer_config.json: added_tokens_decoder"):
            open_tokenizer(tmp_path, Described(LLAMA, 20))
    said(tmp_path)
    said(tmp_path, "added_tokens.json", x="y")
    with pytest.raises(ValueError, match=r"added_tokens.json: 'x' is 'y'; expected the id of a token"):
        open_tokenizer(tmp_path, Described(LLAMA, 20))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
def test_special_tokens_of_the_vocabulary(tmp_path, name):
    """A word that is called special is one: it is found within others, and is no text."""
    size = words(tmp_path, 12)
    if name != "tokenizer_config.json":
        said(tmp_path, tokenizer_class="PreTrainedTokenizerFast")
    said(
        tmp_path,
        name,
        **{"tokenizer_class": "PreTrainedTokenizerFast"} if "config" in name else {},
        sep_token="w5",
    )
    tokenizer = assert_as_the_library(tmp_path, LLAMA, size, ["w3w5w4", "w5"])
    assert tokenizer.decode([3, 5, 4]) == "w3 w4"


@pytest.mark.parametrize("cleans", [True, False])
def test_spaces_before_marks(tmp_path, cleans):
    size = word_pieces(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    content["decoder"]["cleanup"] = False  # else the decoder does it
    path.write_text(json.dumps(content))
    said(tmp_path, tokenizer_class="TokenizersBackend", clean_up_tokenization_spaces=cleans)
    tokenizer = assert_as_the_library(tmp_path, BERT, size, ["They arrived late."])
    text = tokenizer.decode(tokenizer.encode("They arrived late."))
    assert text.endswith("late." if cleans else "late .")


@pytest.mark.parametrize(
    ("write", "theirs"), [(word_pieces, BERT), (byte_pairs, GPT2), (sentence_pieces, MARIAN)]
)
def test_rows_that_stand_for_no_token(tmp_path, write, theirs):
    """Vocabularies are filled up to round numbers: such an id prints nothing."""
    size = write(tmp_path)
    tokenizer = open_tokenizer(tmp_path, Described(theirs, size + 9, pad_token_id=0))
    ids = tokenizer.encode("They arrived late.")
    assert tokenizer.decode([*ids[:3], size, *ids[3:], size + 8]) == tokenizer.decode(ids) != ""
    with pytest.raises(ValueError, match="ids holds -1; expected ids from 0 on"):
        tokenizer.decode([*ids, -1])


def test_marian_s_own_end_and_padding(tmp_path):
    """They are the tokenizer's, whatever generation is told."""
    size = sentence_pieces(tmp_path)
    plainly = open_tokenizer(tmp_path, Described(MARIAN, size, pad_token_id=size - 1, eos_token_id=0))
    told = open_tokenizer(tmp_path, Described(MARIAN, size, pad_token_id=5, eos_token_id=6))
    ids = plainly.encode("They arrived late.")
    assert told.encode("They arrived late.") == ids
    assert told.decode([*ids, 5, 6, size - 1]) == plainly.decode([*ids, 5, 6]) != plainly.decode(ids)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("tokenizer_config.json", {"do_upper_case": True}, "do_upper_case is a field that is not known here"),
        ("tokenizer_config.json", {"truncation_side": "left"}, '"left"; expected "right"'),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["x.Y"]}}, "auto_map is .*; expected null"),
        (
            "tokenizer_config.json",
            {"split_special_tokens": True},
            "split_special_tokens is true; expected false",
        ),
        (
            "special_tokens_map.json",
            {"tokens": []},
            "special_tokens_map.json: tokens is a field that is not known",
        ),
    ],
)
def test_fields_that_are_refused(tmp_path, name, fields, message):
    words(tmp_path, 12)
    said(tmp_path, name, **fields)
    with pytest.raises(ValueError, match=message):
        open_tokenizer(tmp_path, Described(LLAMA, 12))


def test_another_class_s_vocabulary(tmp_path):
    size = word_pieces(tmp_path, as_json=False)
    said(tmp_path, tokenizer_class="BertJapaneseTokenizer")
    with pytest.raises(
        ValueError, match=r"tokenizer_class is 'BertJapaneseTokenizer'; expected 'BertTokenizer'"
    ):
        open_tokenizer(tmp_path, Described(BERT, size))


@pytest.mark.parametrize(("limit", "expected"), [(None, None), (10**30, None), (1e30, None), (77, 77)])
def test_a_limit_of_length(tmp_path, limit, expected):
    words(tmp_path, 12)
    said(tmp_path, **{} if limit is None else {"model_max_length": limit})
    assert open_tokenizer(tmp_path, Described(LLAMA, 12)).max_tokens == expected
