"""Vectors of lines: their order, their batches, what is cut; the commands `embed` and `search`."""

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from step01_numpy.common.inference import embedding
from step01_numpy.common.inference.embedding import Embedder, cosines, ranking
from step01_numpy.common.pretrained.sentence_vectors import Pooling
from step01_numpy.common.training.backend import Backend

PACKAGES = ["step01_numpy", "step02_torch"]
TABLE = np.random.default_rng(5).normal(size=(30, 4)).astype(np.float32)
WORDS = {chr(ord("a") + i): 3 + i for i in range(26)}  # of one letter each
FIRST, LAST, PAD = 1, 2, 0


class Tokenizer:
    """Letters between two special tokens; `bare` leaves those out, as GPT-2 does."""

    markers, max_tokens = SimpleNamespace(pad=PAD), None

    def __init__(self, bare=False):
        self.bare = bare

    def encode(self, text):
        ids = [WORDS[x] for x in text]
        return ids if self.bare else [FIRST, *ids, LAST]

    def encode_batch(self, texts):
        return [self.encode(text) for text in texts]


class Model:
    """Its rows are its table's; it remembers the batches that it was given."""

    def __init__(self, package):
        self.table, self.package, self.batches = package.from_numpy(TABLE), package, []

    def encode(self, tokens, mask):
        rows = self.package.to_numpy(tokens)
        real = np.ones(rows.shape, bool) if mask is None else self.package.to_numpy(mask)
        self.batches.append([row[keep].tolist() for row, keep in zip(rows, real, strict=True)])
        return self.table[tokens]


def fake(package="step01_numpy", bare=False, max_positions=12, pooling=None, family="LanguageModel"):
    package = import_module(package)
    config = SimpleNamespace(family=family, d_model=4, max_positions=max_positions)
    pretrained = SimpleNamespace(
        model=Model(package), config=config, tokenizer=Tokenizer(bare), pooling=pooling
    )
    return Embedder(Backend(package), pretrained)


def alone(*tokens):
    """The vector of one text, by definition."""
    mean = TABLE[list(tokens)].astype(np.float64).mean(axis=0)
    return mean / np.linalg.norm(mean)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("package", PACKAGES)
def test_vectors_come_back_in_order(package):
    lines = ["abc", "", "z", "abcdefgh", "q"]
    found = fake(package).embed(lines)
    assert found.dtype == np.float32
    expected = [alone(FIRST, *(WORDS[x] for x in line), LAST) for line in lines]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.usefixtures("threads")
def test_batches_are_of_like_length():
    work = fake()
    work.embed(["a" * (i % 7) for i in range(70)])
    lengths = sorted([len(row) for row in batch] for batch in work.model.batches)  # threads take them in turn
    assert [len(batch) for batch in lengths] == [embedding.ROWS, embedding.ROWS, 6]
    assert [n for batch in lengths for n in batch] == sorted(2 + i % 7 for i in range(70))


def test_a_text_without_any_token_has_a_vector_of_zeros():
    work = fake(bare=True)
    np.testing.assert_allclose(work.embed(["", "ab"]), [np.zeros(4), alone(3, 4)], atol=1e-6)
    np.testing.assert_allclose(work.embed([""]), np.zeros((1, 4)))
    assert work.embed([]).shape == (0, 4)


@pytest.mark.parametrize(("bare", "expected"), [(False, [FIRST, 3, 4, LAST]), (True, [3, 4, 5, 6])])
def test_what_is_too_long_is_cut_before_its_end(bare, expected):
    work = fake(bare=bare, max_positions=4)
    with pytest.warns(UserWarning, match=r"a line has \d tokens; what is too long is cut to 4") as told:
        work.embed(["abcdef", "abcdefg"])
    assert len(told) == 1
    work.embed(["abcdef"])  # told once: a second warning would be an error here
    assert work.model.batches == [[expected, expected], [expected]]


def test_what_the_directory_says_of_pooling():
    pooling = Pooling(None, normalise=False, max_tokens=3)
    work = fake(pooling=pooling)
    with pytest.warns(UserWarning, match="cut to 3"):
        found = work.embed(["xyz"])[0]
    np.testing.assert_allclose(found, TABLE[[FIRST, WORDS["x"], LAST]].mean(axis=0), atol=1e-6)
    assert fake(pooling=Pooling(None, normalise=True, max_tokens=None)).limit == 12


def test_only_encoders_and_decoders_embed():
    with pytest.raises(ValueError, match="model is a Transformer; expected an encoder or a decoder"):
        fake(family="Transformer")


def test_cosines_and_their_ranking(rng):
    query, documents = rng.normal(size=4), rng.normal(size=(5, 4))
    documents[2], documents[3] = 3 * query, 0
    found = cosines(query, documents)
    assert found[2] == pytest.approx(1)
    assert found[3] == 0
    angle = np.arccos(found[0])
    projected = documents[0] @ query / np.linalg.norm(query)
    assert np.cos(angle) * np.linalg.norm(documents[0]) == pytest.approx(projected)
    assert ranking(np.array([0.1, 0.5, -1.0, 0.5])).tolist() == [1, 3, 0, 2]
