"""modules.json: the mean, brought to length 1 or not, of a model beside it or below; nothing else."""

import json

import pytest

import step01_numpy
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.pretrained.sentence_vectors import read_pooling
from step01_numpy.common.training.backend import Backend
from tests.pretrained import hugging_face as hf

KINDS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
MEAN = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def write(directory, kinds=tuple(KINDS), *, pooling=MEAN, model="", limit=None):
    """Write the files that sentence-transformers puts around a model."""
    places = KINDS | {"Transformer": model}
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": places.get(kind, kind),
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir(exist_ok=True)
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if limit is not None:
        (directory / model / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": limit}))


def test_a_directory_without_modules(tmp_path):
    assert read_pooling(tmp_path) is None


@pytest.mark.parametrize(
    ("kinds", "options", "expected"),
    [
        (("Transformer", "Pooling", "Normalize"), {}, (True, None)),
        (("Transformer", "Pooling"), {"limit": 9}, (False, 9)),
        (("Transformer", "Pooling"), {"pooling": {"pooling_mode": "mean"}}, (False, None)),
    ],
)
def test_what_the_files_say(tmp_path, kinds, options, expected):
    write(tmp_path, kinds, **options)
    assert read_pooling(tmp_path) == (tmp_path, *expected)


def test_a_model_with_a_head_in_a_directory_below(tmp_path):
    below = tmp_path / "0_Transformer"
    below.mkdir()
    hf.save(hf.bert("BertForMaskedLM"), below)
    write(tmp_path, model="0_Transformer", limit=7)
    opened = load_model(tmp_path, Backend(step01_numpy))
    assert opened.config.head == "none"
    assert opened.pooling == (below, True, 7)


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
            {"pooling_mode_cls_token": True},
            r"pooling is \['pooling_mode_cls_token'\]; expected the m",
        ),
        (
            tuple(KINDS),
            MEAN | {"pooling_mode_max_tokens": True},
            "pooling is .*; expected the mean of the tokens",
        ),
        (
            tuple(KINDS),
            {"pooling_mode": "lasttoken"},
            "pooling is lasttoken; expected the mean of the tokens",
        ),
        (tuple(KINDS), {}, r"pooling is \[\]; expected the mean"),
    ],
)
def test_other_ways(tmp_path, kinds, pooling, message):
    write(tmp_path, kinds, pooling=pooling)
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
