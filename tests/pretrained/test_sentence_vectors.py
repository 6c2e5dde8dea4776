"""modules.json: mean, first or largest rows, of a model beside it or below; prompts, limits; nothing else."""

import json

import numpy as np
import pytest
import tokenizers
import torch

import step01_numpy
from step01_numpy.common.commands.search import check_similarity
from step01_numpy.common.inference.embedding import Embedder
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.pretrained.sentence_vectors import Pooling, read_pooling
from step01_numpy.common.training.backend import Backend
from tests.pretrained import hugging_face as hf

KINDS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
MEAN = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
CLS = {
    "pooling_mode_cls_token": True,
    "pooling_mode_mean_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}


def write(directory, kinds=tuple(KINDS), *, pooling=MEAN, model="", limit=None, sentences=None, **module):
    """Write the files that sentence-transformers puts around a model."""
    places = KINDS | {"Transformer": model}
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": places.get(kind, kind),
            "type": f"sentence_transformers.models.{kind}",
            **module,
        }
        for i, kind in enumerate(kinds)
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir(exist_ok=True)
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if limit is not None:
        limit = limit if isinstance(limit, dict) else {"max_seq_length": limit}
        (directory / model / "sentence_bert_config.json").write_text(json.dumps(limit))
    if sentences is not None:
        (directory / "config_sentence_transformers.json").write_text(json.dumps(sentences))


def test_a_directory_without_modules(tmp_path):
    assert read_pooling(tmp_path) is None


@pytest.mark.parametrize(
    ("kinds", "options", "expected"),
    [
        (("Transformer", "Pooling", "Normalize"), {}, (True, None)),
        (("Transformer", "Pooling"), {"limit": 9}, (False, 9)),
        (("Transformer", "Pooling"), {"pooling": {"pooling_mode": "mean"}}, (False, None)),
        (("Transformer", "Pooling"), {"pooling": {}}, (False, None)),
        (("Transformer", "Pooling"), {"pooling": {"pooling_mode": "cls"}}, (False, None, "cls")),
        (("Transformer", "Pooling"), {"pooling": {"pooling_mode": ["max"]}}, (False, None, "max")),
        (("Transformer", "Pooling"), {"pooling": CLS}, (False, None, "cls")),
        (("Transformer", "Pooling"), {"pooling": {"pooling_mode_max_tokens": True}}, (False, None, "max")),
        (("Transformer", "Pooling"), {"limit": {"do_lower_case": True}}, (False, None, "mean", True)),
        (
            ("Transformer", "Pooling"),
            {"sentences": {"prompts": {"q": "Q: "}, "default_prompt_name": "q", "similarity_fn_name": "dot"}},
            (False, None, "mean", False, {"q": "Q: "}, "q", "dot"),
        ),
    ],
)
def test_what_the_files_say(tmp_path, kinds, options, expected):
    write(tmp_path, kinds, **options)
    assert read_pooling(tmp_path) == Pooling(tmp_path, *expected)


def test_a_model_with_a_head_in_a_directory_below(tmp_path):
    below = tmp_path / "0_Transformer"
    below.mkdir()
    hf.save(hf.bert("BertForMaskedLM"), below)
    write(tmp_path, model="0_Transformer", limit=7)
    opened = load_model(tmp_path, Backend(step01_numpy))
    assert opened.config.head == "none"
    assert opened.pooling == Pooling(below, True, 7)


LINES = ["they arrived late", "the house .", "she"]


def vectors(directory, pool, lines=LINES):
    """Return the vectors of each line alone, by the formulas of sentence-transformers."""
    library = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    library.no_truncation()
    library.no_padding()
    model = hf.bert()
    for line in lines:
        ids = torch.tensor([library.encode(line).ids])
        with torch.no_grad():
            rows = model(ids, torch.ones_like(ids)).last_hidden_state[0]
        yield {"cls": rows[0], "max": rows.max(dim=0).values, "mean": rows.mean(dim=0)}[pool].numpy()


@pytest.mark.parametrize("pool", ["cls", "max", "mean"])
def test_lines_are_pooled_so(stage, tmp_path, pool):
    hf.save(hf.bert(), tmp_path)
    write(tmp_path, ("Transformer", "Pooling"), pooling={"pooling_mode": pool})
    backend = Backend(stage.package, step01_numpy if stage.models else None)
    found = Embedder(backend, load_model(tmp_path, backend)).embed(LINES)
    np.testing.assert_allclose(found, list(vectors(tmp_path, pool)), atol=1e-5)


def test_prompts_and_capitals(tmp_path):
    hf.save(hf.bert(), tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    prompts = {"query": "they see ", "passage": "the ", "other": "late "}
    sentences = {"prompts": prompts, "default_prompt_name": "other"}
    write(tmp_path, ("Transformer", "Pooling"), limit={"do_lower_case": True}, sentences=sentences)
    backend = Backend(step01_numpy)
    work = Embedder(backend, load_model(tmp_path, backend))
    for role, prompt in (("query", "they see "), ("document", "the "), (None, "late ")):
        expected = list(vectors(tmp_path, "mean", [prompt + line for line in LINES]))
        np.testing.assert_allclose(work.embed([x.upper() for x in LINES], role), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:a line has")
@pytest.mark.parametrize(
    ("limit", "tokenizer", "expected"),
    [(None, 5, 5), (7, 5, 7), (None, 10**30, 24), (99, None, 24), (None, None, 24)],
)
def test_where_lines_are_cut(tmp_path, limit, tokenizer, expected):
    """By sentence_bert_config.json, by tokenizer_config.json where that is silent, by the model always."""
    hf.save(hf.bert(), tmp_path)
    about = {} if tokenizer is None else {"model_max_length": tokenizer}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(about))
    write(tmp_path, limit=limit)
    backend = Backend(step01_numpy)
    work = Embedder(backend, load_model(tmp_path, backend))
    assert work.limit == expected
    assert np.allclose(work.embed(["the " * 40]), work.embed(["the " * (expected - 2)]))


def test_how_documents_are_compared(tmp_path):
    found = Pooling(tmp_path, normalise=True, max_tokens=None)
    for name, unit in ((None, False), ("cosine", False), ("dot", True)):
        check_similarity(found._replace(similarity=name, normalise=unit))
    check_similarity(None)
    for name, unit in (("euclidean", True), ("dot", False)):
        with pytest.raises(ValueError, match=f"similarity_fn_name is '{name}'; expected 'cosine'"):
            check_similarity(found._replace(similarity=name, normalise=unit))


@pytest.mark.parametrize(
    ("kinds", "pooling", "message"),
    [
        (
            ("Transformer", "Pooling", "Dense"),
            MEAN,
            "has the modules Transformer, Pooling, Dense; expected Tran",
        ),
        (("Pooling",), MEAN, "has the modules Pooling; expected Transformer, Pooling, Normalize"),
        ((), MEAN, "has the modules ; expected"),
        (
            tuple(KINDS),
            MEAN | {"pooling_mode_max_tokens": True},
            "pooling is mean, max; expected one of mean, ",
        ),
        (tuple(KINDS), {"pooling_mode": "lasttoken"}, "pooling is lasttoken; expected one of mean, cls, max"),
        (tuple(KINDS), {"pooling_mode_mean_sqrt_len_tokens": True}, "pooling is sqrt; expected one of"),
        (
            tuple(KINDS),
            {"pooling_mode_weightedmean_tokens": True},
            "pooling is weightedmean; expected one of",
        ),
        (tuple(KINDS), MEAN | {"weights": [1]}, "weights is a field that is not known here"),
    ],
)
def test_other_ways(tmp_path, kinds, pooling, message):
    write(tmp_path, kinds, pooling=pooling)
    with pytest.raises(ValueError, match=message):
        read_pooling(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kwargs": ["task"]}, r"modules.json: kwargs is \["),
        ({"limit": {"transformer_task": "fill-mask"}}, "sentence_bert_config.json: transformer_task is"),
        ({"limit": {"model_args": {"trust_remote_code": True}}}, "model_args is .*; expected {} or null"),
        ({"limit": 0}, "max_seq_length is 0; expected an integer of at least 1"),
        ({"limit": {"do_lower_case": "x"}}, "do_lower_case is 'x'; expected true or false"),
        ({"limit": {"modality_config": {"image": {}}}}, "modality_config is"),
        ({"sentences": {"prompts": {"a": 3}}}, "prompts is {'a': 3}; expected texts by name"),
        ({"sentences": {"default_prompt_name": "x"}}, "default_prompt_name is 'x'; expected one of"),
        ({"sentences": {"truncate_dim": 8}}, "truncate_dim is 8; expected null"),
        ({"sentences": {"seed": 8}}, "config_sentence_transformers.json: seed is a field that is not known"),
        (
            {"sentences": {"prompts": {"a": "b"}}, "pooling": MEAN | {"include_prompt": False}},
            "include_prompt is false; expected true, where there are prompts",
        ),
    ],
)
def test_fields_that_are_refused(tmp_path, options, message):
    write(tmp_path, **options)
    with pytest.raises(ValueError, match=message):
        read_pooling(tmp_path)


@pytest.mark.parametrize("text", ["{", '{"a": 3}', "3", "[3]", '[{"path": ""}]'])
def test_no_modules(tmp_path, text):
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(ValueError, match=r"modules.json is no list of modules"):
        read_pooling(tmp_path)


def test_missing_pooling(tmp_path):
    write(tmp_path)
    (tmp_path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"1_Pooling has no config.json"):
        read_pooling(tmp_path)
