"""Translate lines of text: tokens, batches of like length, search, and text again, in the order that came."""

from collections.abc import Callable, Sequence

import numpy as np

from step01_numpy.common.decoding.search import beam_search, greedy
from step01_numpy.common.inference.doubts import not_learned, repeats_itself, token_log_probabilities, unsure
from step01_numpy.common.pretrained.directory import Pretrained
from step01_numpy.common.support import checks
from step01_numpy.common.support.host import one_thread
from step01_numpy.common.text.batches import pad
from step01_numpy.common.training.backend import Backend

ROWS = 64  # of a batch, beams counted


def longest_translation(source_length: int, max_positions: int) -> int:
    """Return how many tokens a translation may have, <eos> included: runaway ones must end somewhere."""
    return min(2 * source_length + 10, max_positions)


def raise_reason(number: int, reason: str) -> None:
    """Refuse a line, and all with it."""
    raise ValueError(reason)


class Translator:
    """
    A model and its tokenizer, at work for a stage.

    Parameters
    ----------
    backend : Backend
    pretrained : Pretrained
    beam : int, optional
        1 is greedy search; when not given, what the model's authors used.

    Raises
    ------
    ValueError
        For a model that does not translate.
    """

    def __init__(self, backend: Backend, pretrained: Pretrained, *, beam: int | None = None):
        self.markers = pretrained.tokenizer.markers
        if pretrained.config.family == "LanguageModel":
            raise ValueError(
                "model is a LanguageModel; expected one that translates, an encoder and a decoder"
            )
        if self.markers.first is None:
            raise ValueError(
                "model has no decoder_start_token_id; expected the token that begins a translation"
            )
        self.backend, self.model, self.tokenizer = backend, pretrained.model, pretrained.tokenizer
        self.max_positions, self.defaults = pretrained.config.max_positions, pretrained.search
        self.seen = pretrained.seen
        self.pad = pretrained.config.pad  # the model's own: what it hides of a source, whatever else pads
        self.beam = self.defaults.beam if beam is None else beam
        checks.at_most("beam", self.beam, "vocab_size", pretrained.config.vocab_size)

    def translate(
        self,
        lines: Sequence[str],
        *,
        first_line: int = 1,
        done: Callable | None = None,
        doubted: Callable | None = None,
        refused: Callable | None = None,
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
        doubted : callable, optional
            Told in the end of each line that the model has not learned to translate: its number, and why.
        refused : callable, optional
            Told the number of each line of more tokens than the model takes, and what is wrong with it; its
            translation is empty.

        Raises
        ------
        ValueError
            For such a line, if there is nobody to tell.
        """
        sources = self._encode(lines, first_line, refused or raise_reason)
        translations, reasons = [""] * len(lines), [[] for _ in lines]
        order = sorted((i for i in range(len(lines)) if sources[i]), key=lambda i: len(sources[i]))
        rows = max(1, ROWS // self.beam)
        for chunk in (order[i : i + rows] for i in range(0, len(order), rows)):
            found = self.search([sources[i] for i in chunk])
            sure = self.sureness([sources[i] for i in chunk], found) if doubted else [None] * len(chunk)
            for i, tokens, log_p in zip(chunk, found, sure, strict=True):
                translations[i] = self.tokenizer.decode(tokens)
                reasons[i] = self.doubts(lines[i], sources[i], tokens, log_p) if doubted else []
            if done is not None:
                done(len(chunk))
        for number, found in enumerate(reasons, first_line):
            if found:
                doubted(number, found)
        return translations

    def sureness(
        self, sources: Sequence[Sequence[int]], found: Sequence[Sequence[int]]
    ) -> list[np.ndarray | None]:
        """
        Return how probable the model finds each token of each translation, and its end, in nats: log p.

        None for a model that does not say what it was trained on: what is usual for it is not known.
        """
        if self.seen is None:
            return [None] * len(found)
        said = [[*map(int, tokens), self.markers.eos[0]][: self.max_positions] for tokens in found]
        read = [[self.markers.first, *tokens[:-1]] for tokens in said]
        with one_thread():
            logits = self.backend.logits(self.model, pad(sources, self.pad)[0], pad(read, self.pad)[0])
        return [token_log_probabilities(logits[i, : len(x)], x) for i, x in enumerate(said)]

    def doubts(
        self, text: str, source: Sequence[int], found: Sequence[int], log_p: np.ndarray | None = None
    ) -> list[str]:
        """
        Return why what was found for the tokens of a text may be wrong; nothing where nothing says so.

        Parameters
        ----------
        text : str
        source, found : sequence of int
        log_p : array, optional
            The translation's `sureness`.
        """
        result = [] if self.seen is None else not_learned(self.seen, text)
        if log_p is not None:
            result += unsure(log_p, [self.tokenizer.decode(found[: i + 1]) for i in range(len(log_p))])
        if len(found) >= self._longest(len(source)) - 1:  # in the last place some models are made to end
            result.append("the translation does not come to an end")
        return [*result, *(["the translation repeats itself"] if repeats_itself(found) else [])]

    def search(self, sources: Sequence[Sequence[int]]) -> list[list[int]]:
        """Translate tokens, as the tokenizer encodes a line; nothing but the text's own tokens comes back."""
        limits = np.array([self._longest(len(source)) for source in sources])
        options = {"first": self.markers.first, "eos": self.markers.eos, "max_length": limits}
        beginnings = [[self.markers.first]] * len(sources)
        adjust = self.defaults.constraints.over(beginnings, max_length=limits, eos=self.markers.eos)
        with one_thread():  # a step's products are so small that threads would wait for each other
            decoding = self.backend.start(self.model, pad(sources, self.pad)[0])
            if self.beam == 1:
                return greedy(decoding.step, len(sources), adjust=adjust, **options)
            found = beam_search(
                decoding.step,
                decoding.reorder,
                len(sources),
                self.beam,
                adjust=adjust,
                length_penalty=self.defaults.length_penalty,
                early_stopping=self.defaults.early_stopping,
                **options,
            )
            return [hypothesis.tokens for hypothesis in found]

    def _longest(self, source_length):
        room = self.defaults.room(1)  # the token that begins a translation counts
        if room is None:
            return longest_translation(source_length, self.max_positions)
        return min(room, self.max_positions)

    def _encode(self, lines, first_line, refused):
        blank = self.tokenizer.encode("")
        encoded = self.tokenizer.encode_batch([line.strip() for line in lines])
        sources = [[] if ids == blank else ids for ids in encoded]
        for i, source in enumerate(sources):
            if len(source) > self.max_positions:
                number, sources[i] = first_line + i, []
                refused(
                    number,
                    f"line {number} has {len(source)} tokens, <eos> included; "
                    f"expected at most {self.max_positions}, the model's max_positions",
                )
        return sources
