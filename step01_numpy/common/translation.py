"""Translate lines of text: tokens, batches of like length, search, and text again, in the order that came."""

from collections.abc import Callable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from step01_numpy.common.backend import Backend
from step01_numpy.common.batches import pad
from step01_numpy.common.search import beam_search, gnmt, greedy
from step01_numpy.common.tokenizer import EOS, Tokenizer

ROWS = 64  # of a batch, beams counted


def longest_translation(source_length: int, max_positions: int) -> int:
    """Return how many tokens a translation may have, <eos> included: runaway ones must end somewhere."""
    return min(2 * source_length + 10, max_positions)


class Translator:
    """
    A model and its tokenizer, at work for a stage.

    Parameters
    ----------
    backend : Backend
    model : the stage's Transformer
    tokenizer : Tokenizer
    max_positions : int
        The longest sequence that the model takes, <eos> included.
    beam : int
        1 is greedy search.
    """

    def __init__(self, backend: Backend, model, tokenizer: Tokenizer, max_positions: int, *, beam: int = 1):
        self.backend, self.model, self.tokenizer = backend, model, tokenizer
        self.max_positions, self.beam = max_positions, beam

    def translate(
        self, lines: Sequence[str], *, first_line: int = 1, done: Callable | None = None
    ) -> list[str]:
        """
        Return one line for each line; a blank one stays empty.

        Parameters
        ----------
        lines : sequence of str
        first_line : int
            What an error calls the first of them.
        done : callable, optional
            Told after each batch how many lines it had.

        Raises
        ------
        ValueError
            For a line of more tokens than the model takes, naming it.
        """
        sources = self._encode(lines, first_line)
        translations = [""] * len(lines)
        order = sorted((i for i in range(len(lines)) if sources[i]), key=lambda i: len(sources[i]))
        rows = max(1, ROWS // self.beam)
        for chunk in (order[i : i + rows] for i in range(0, len(order), rows)):
            for i, tokens in zip(chunk, self.search([sources[i] for i in chunk]), strict=True):
                translations[i] = self.tokenizer.decode(tokens)
            if done is not None:
                done(len(chunk))
        return translations

    def search(self, sources: Sequence[Sequence[int]]) -> list[list[int]]:
        """Translate tokens, <eos> included in the sources, left out of the result."""
        limits = np.array([longest_translation(len(source), self.max_positions) for source in sources])
        with threadpool_limits(1):  # a step's products are so small that threads would wait for each other
            decoding = self.backend.start(self.model, pad(sources)[0])
            if self.beam == 1:
                return greedy(decoding.step, len(sources), max_length=limits)
            found = beam_search(
                decoding.step,
                decoding.reorder,
                len(sources),
                self.beam,
                max_length=limits,
                length_penalty=gnmt(),
                early_stopping="never",
            )
            return [hypothesis.tokens for hypothesis in found]

    def _encode(self, lines, first_line):
        encoded = self.tokenizer.encode_batch([line.strip() for line in lines])
        sources = [[*ids, EOS] if ids else [] for ids in encoded]
        for number, source in enumerate(sources, first_line):
            if len(source) > self.max_positions:
                raise ValueError(
                    f"line {number} has {len(source)} tokens, <eos> included; "
                    f"expected at most {self.max_positions}, the model's max_positions"
                )
        return sources
