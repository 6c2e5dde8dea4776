"""The commands `embed` and `search`, on a model small enough to make."""

import contextlib
import io
import json
from importlib import import_module

import numpy as np
import pytest
import torch
from torch.nn import functional

from step01_numpy.common.commands import embed as command
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.inference.embedding import ROWS
from tests.pretrained import hugging_face as hf

STAGES = {
    "step01_numpy": {},
    "step02_torch": {"below": ("step01_numpy",)},
    "step03_gpu": {"below": ("step01_numpy", "step02_torch"), "models": import_module("step01_numpy")},
}
IDS = {"They arrived late.": [2, 5, 6, 7, 16, 3], "": [2, 3], "See, the house": [2, 9, 17, 11, 12, 3]}
TEXTS = list(IDS)
MODEL = hf.bert()


def save(model, directory):
    """Save a model without transformers' progress bar."""
    with contextlib.redirect_stderr(io.StringIO()):
        return hf.save(model, directory)


def sentence_transformers(directory, kinds=("Transformer", "Pooling", "Normalize"), **options):
    """Add what sentence-transformers keeps beside a model."""
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [{"type": f"sentence_transformers.models.{x}", "path": paths[i]} for i, x in enumerate(kinds)]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 5} | options))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return save(MODEL, tmp_path_factory.mktemp("bert"))


def expected(text, unit=True, cut=None):
    """What transformers' model makes of one text, alone."""
    ids = IDS[text] if cut is None or len(IDS[text]) <= cut else [*IDS[text][: cut - 1], 3]
    with torch.no_grad():
        mean = MODEL(torch.tensor([ids])).last_hidden_state.mean(dim=1)
    return (functional.normalize(mean, dim=-1) if unit else mean)[0].numpy()


@pytest.fixture
def run(capsys):
    """Run a command in this process: exit code, stdout, stderr."""

    def run_command(*arguments, package="step01_numpy"):
        code = main(import_module(package), [str(x) for x in arguments], **STAGES[package])
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def refused(run):
    """Run a command that must fail as a user's mistake, and return its one line."""

    def run_command(*arguments):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err

    return run_command


def stdin(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


@pytest.mark.parametrize("package", STAGES)
def test_embed_prints_a_line_for_a_line(run, directory, package):
    code, out, _ = run("embed", "--model", directory, *TEXTS, package=package)
    assert code == 0
    found = np.array([line.split() for line in out.splitlines()], np.float32)
    np.testing.assert_allclose(found, [expected(text) for text in TEXTS], atol=1e-6)


def test_embed_as_json_and_as_a_file_holds_the_same_numbers(run, directory, tmp_path):
    lines = run("embed", "--model", directory, *TEXTS)[1].splitlines()
    printed = np.array([line.split() for line in lines], np.float32)
    rows = [json.loads(x) for x in run("embed", "--model", directory, "--json", *TEXTS)[1].splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    assert (np.array([row["vector"] for row in rows], np.float32) == printed).all()
    assert run("embed", "--model", directory, "--out", tmp_path / "v", *TEXTS) == (0, "", "")
    saved = np.load(tmp_path / "v")
    assert saved.dtype == np.float32
    assert (saved == printed).all()


def test_embed_reads_standard_input_in_pieces(run, directory, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "LINES", 2)
    stdin(monkeypatch, ("\ufeff" + "\r\n".join(TEXTS)).encode())
    assert run("embed", "--model", directory, "--out", tmp_path / "v.npy")[0] == 0
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), [expected(text) for text in TEXTS], atol=1e-6)
    stdin(monkeypatch, b"")
    assert run("embed", "--model", directory, "--out", tmp_path / "v.npy")[0] == 0
    assert np.load(tmp_path / "v.npy").shape == (0, 32)
    stdin(monkeypatch, b"")
    assert run("embed", "--model", directory) == (0, "", "")


def test_many_lines(run, directory, tmp_path):
    texts = [TEXTS[i % 3] for i in range(2 * ROWS + 5)]
    run("embed", "--model", directory, "--out", tmp_path / "v", *texts)
    np.testing.assert_allclose(np.load(tmp_path / "v"), [expected(text) for text in texts], atol=1e-6)


@pytest.mark.filterwarnings("default:a line has:UserWarning")
@pytest.mark.parametrize("unit", [True, False])
def test_a_directory_of_sentence_transformers(run, tmp_path, unit):
    save(MODEL, tmp_path)
    kinds = ("Transformer", "Pooling", "Normalize")[: 3 if unit else 2]
    sentence_transformers(tmp_path, kinds)
    code, out, err = run("embed", "--model", tmp_path, *TEXTS)
    assert code == 0
    assert err == "note: a line has 6 tokens; what is too long is cut to 5\n"
    found = np.array([line.split() for line in out.splitlines()], np.float32)
    np.testing.assert_allclose(found, [expected(text, unit, cut=5) for text in TEXTS], atol=1e-6)


@pytest.mark.parametrize("package", STAGES)
def test_search_ranks_by_cosine(run, directory, tmp_path, package):
    documents = tmp_path / "documents"
    documents.write_text("They arrived late.\n\n See, the house \nlate\nhouse\n", encoding="utf-8")
    options = "search", "--model", directory, "--documents", documents
    code, out, _ = run(*options, "--json", "See, the house", package=package)
    found = json.loads(out)
    assert code == 0
    assert found[0] == {"cosine": pytest.approx(1, abs=1e-5), "line": 3, "text": "See, the house"}
    assert sorted(x["line"] for x in found) == [1, 3, 4, 5]
    cosine = expected(TEXTS[0]) @ expected(TEXTS[2])
    assert next(x for x in found if x["line"] == 1)["cosine"] == pytest.approx(cosine, abs=1e-5)
    assert [x["cosine"] for x in found] == sorted((x["cosine"] for x in found), reverse=True)
    code, out, _ = run(*options, "--top", 2, "See, the house", package=package)
    assert out.splitlines() == [f"{x['cosine']:7.4f}  {x['text']}" for x in found[:2]]


def test_search_ranks_by_cosine_where_vectors_are_not_of_length_one(run, tmp_path):
    save(MODEL, tmp_path)
    sentence_transformers(tmp_path, ("Transformer", "Pooling"), max_seq_length=None)
    (tmp_path / "documents").write_text("See, the house\nThey arrived late.\n")
    out = run("search", "--model", tmp_path, "--documents", tmp_path / "documents", "--json", TEXTS[0])[1]
    assert [x["cosine"] for x in json.loads(out)] == [
        pytest.approx(1, abs=1e-5),
        pytest.approx(expected(TEXTS[0]) @ expected(TEXTS[2]), abs=1e-5),
    ]


def test_bad_documents(refused, directory, tmp_path):
    path = tmp_path / "documents"
    search = "search", "--model", directory, "--documents", path
    assert "documents does not exist; expected a text file" in refused(*search, "x")
    path.write_bytes(b"")
    assert "documents is empty; expected lines of text" in refused(*search, "x")
    path.write_bytes(b" \n\n")
    assert "documents has blank lines only; expected documents, one a line" in refused(*search, "x")
    path.write_bytes(b"late\n\xe9t\xe9\n")
    assert "documents, line 2: byte 0xe9 is not UTF-8; expected UTF-8 text" in refused(*search, "x")
    assert "'0' is given; expected an integer of at least 1" in refused(*search, "--top", 0, "x")


def test_what_embed_refuses(refused, run, directory, monkeypatch, tmp_path):
    assert "the following arguments are required: --model" in refused("embed", "x")
    assert "not allowed with argument" in refused("embed", "--model", directory, "--json", "--out", "x", "x")
    assert "none does not exist" in refused("embed", "--model", tmp_path / "none", "x")
    missing = tmp_path / "none" / "v.npy"
    assert "v.npy: No such file" in refused("embed", "--model", directory, "--out", missing, "x")
    stdin(monkeypatch, b"\xe9t\xe9\nlate\n")
    line = refused("embed", "--model", directory)
    assert line.endswith("standard input, line 1: byte 0xe9 is not UTF-8; expected UTF-8 text\n")
    save(hf.marian(), tmp_path)
    line = refused("embed", "--model", tmp_path, "x")
    assert "model is a Transformer; expected an encoder or a decoder" in line


def test_describe_reads_a_directory(run, directory):
    out = run("describe", "--model", directory, "--json")[1]
    pooler = 32 * 32 + 32  # which no vector of ours is made of
    assert json.loads(out)["total"]["parameters"] == sum(x.numel() for x in MODEL.parameters()) - pooler
