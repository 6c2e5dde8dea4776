"""Vectors of lines: tokens, batches of like length, one vector a line, in the order that came."""

import warnings
from collections.abc import Sequence

import numpy as np

from step01_numpy.common.support.host import share
from step01_numpy.common.text.batches import pad
from step01_numpy.common.training.backend import Backend

ROWS = 32  # of a batch


class Embedder:
    """
    A model and its tokenizer, at work for a stage.

    Parameters
    ----------
    backend : Backend
    pretrained : Pretrained
        An encoder or a decoder, as `load_model` returns it. Where it says nothing of pooling, vectors are
        brought to length 1.

    Raises
    ------
    ValueError
        For a model of another kind.

    References
    ----------
    Reimers and Gurevych 2019, arXiv:1908.10084.
    """

    def __init__(self, backend: Backend, pretrained):
        family, pooling = pretrained.config.family, pretrained.pooling
        if family != "LanguageModel":
            raise ValueError(f"model is a {family}; expected an encoder or a decoder, to embed lines with")
        self.backend, self.model, self.tokenizer = backend, pretrained.model, pretrained.tokenizer
        self.d_model = pretrained.config.d_model
        self.unit = pooling is None or pooling.normalise
        self.pool = "mean" if pooling is None else pooling.mode
        self._prompt = (lambda role: "") if pooling is None else pooling.prompt
        limits = [pretrained.config.max_positions, None if pooling is None else pooling.max_tokens]
        limits[1] = self.tokenizer.max_tokens if limits[1] is None else limits[1]
        self.limit = min(limit for limit in limits if limit is not None)
        self._empty = self.tokenizer.encode("")  # what stands around every text
        self._told = False

    def embed(self, lines: Sequence[str], role: str | None = None) -> np.ndarray:
        """
        Return a vector for each line; an empty one is a text too.

        A line of more tokens than the model takes is cut, as sentence-transformers does, and the first time
        a warning says so. Where the model has a prompt, each line stands behind it.

        Parameters
        ----------
        lines : sequence of str
        role : "query", "document" or None
            What the lines are, for models that have prompts of their own for it.

        Returns
        -------
        vectors : (n_lines, d), float32

        Raises
        ------
        ValueError
            Naming the first line whose vector is not finite.
        """
        prompt = self._prompt(role)
        encoded = [
            self._cut(tokens) for tokens in self.tokenizer.encode_batch([prompt + line for line in lines])
        ]
        order = sorted(range(len(lines)), key=lambda i: len(encoded[i]))
        vectors = np.zeros((len(lines), self.d_model), np.float32)
        chunks = [order[i : i + ROWS] for i in range(0, len(order), ROWS)]

        def work(tasks):
            for chunk in tasks:
                vectors[chunk] = self._vectors([encoded[i] for i in chunk])

        self._run(work, chunks[::-1])  # the longest lines first
        finite = np.isfinite(vectors).all(axis=-1)
        if not finite.all():
            line = lines[int(finite.argmin())]
            raise ValueError(f"the vector of {line[:60]!r} holds NaN or infinity; expected finite numbers")
        return vectors

    def _run(self, work, tasks):
        """Give each thread its own batches where the arrays are NumPy's, whose functions have one thread."""
        if isinstance(self.backend.package.from_numpy(np.zeros(1)), np.ndarray):
            share(work, tasks)
        else:
            work(iter(tasks))

    def _vectors(self, sequences):
        """Embed one batch, (n, d)."""
        filler = self.tokenizer.markers.pad
        tokens, _ = pad([sequence or [filler] for sequence in sequences], filler)  # at least one column
        mask = np.arange(tokens.shape[1]) < np.array([[len(sequence)] for sequence in sequences])
        arrays = [self.backend.package.from_numpy(x) for x in (tokens, mask)]
        options = {"unit": self.unit, "pool": self.pool}
        return self.backend.numpy(self.backend.models.embed(self.model, *arrays, **options))

    def _cut(self, tokens):
        """Leave out what is too much before the special tokens that end every text."""
        if len(tokens) <= self.limit:
            return tokens
        if not self._told:
            warnings.warn(
                f"a line has {len(tokens)} tokens; what is too long is cut to {self.limit}", stacklevel=3
            )
            self._told = True
        n_before = next((i for i, token in enumerate(self._empty) if token != tokens[i]), len(self._empty))
        end = self._empty[n_before:]
        return [*tokens[: self.limit - len(end)], *end]


def cosines(query: np.ndarray, documents: Sequence[np.ndarray]) -> np.ndarray:
    """
    Return how alike a query and each document are.

    Parameters
    ----------
    query : (d,)
    documents : (n, d)

    Returns
    -------
    cosines : (n,)
        From -1 to 1; 0 where a vector is 0.
    """
    documents = np.asarray(documents)
    lengths = np.linalg.norm(documents, axis=-1) * np.linalg.norm(query)
    return documents @ query / np.where(lengths == 0, 1, lengths)


def ranking(scores: np.ndarray) -> np.ndarray:
    """Return the indices of scores, (n,), from the highest down; of equal ones the first comes first."""
    return np.argsort(-scores, kind="stable")
