"""Continue prompts by a language model: tokens, batches, search or sampling, and text again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from step01_numpy.common.decoding.continuation import ENDED, adjusted, follow, gather
from step01_numpy.common.decoding.sampling import Sampler, Sampling, generators
from step01_numpy.common.decoding.search import beam_search
from step01_numpy.common.decoding.streaming import pieces
from step01_numpy.common.inference.translation import raise_reason
from step01_numpy.common.support import checks
from step01_numpy.common.training.backend import Backend, Decoding

ROWS = 32  # of a batch, beams counted
MAX_TOKENS = 100  # where nothing else is asked for


class Continuation(NamedTuple):
    """
    What a model wrote.

    Attributes
    ----------
    prompt : str
        What was given.
    text : str or None
        What follows it; None where the prompt was refused.
    tokens : list of int
        Of the text, without an end.
    ended : bool
        Whether the model ended it; else it was cut off.
    """

    prompt: str
    text: str | None
    tokens: list[int]
    ended: bool


class Writer:
    """
    A language model and its tokenizer, at work for a stage.

    Parameters
    ----------
    backend : Backend
    pretrained : Pretrained
        A model with the architecture "decoder".
    max_tokens : int, optional
        The most tokens that follow a prompt, an end included; if not given, what the model's authors say, or
        `MAX_TOKENS`, or what the longest prompt leaves room for.
    rules : Sampling, optional
        If not given, those of the model's authors.
    seed : int
    beam : int, optional
        The number of beams; 1 chooses by the rules; if not given, as many as the model's authors use.

    Raises
    ------
    ValueError
        For a model that writes no text.
    """

    def __init__(
        self,
        backend: Backend,
        pretrained,
        *,
        max_tokens: int | None = None,
        rules: Sampling | None = None,
        seed: int = 0,
        beam: int | None = None,
    ):
        architecture = getattr(pretrained.config, "architecture", "encoder_decoder")
        if architecture != "decoder":
            raise ValueError(
                f"the model's architecture is {architecture!r}; expected 'decoder', to write text"
            )
        self.backend, self.tokenizer = backend, pretrained.tokenizer
        self.model = backend.prepare(pretrained.model)
        self.max_positions, self.markers = pretrained.config.max_positions, pretrained.tokenizer.markers
        self.max_tokens, self.seed, self.defaults = max_tokens, seed, pretrained.search
        self.rules = self.defaults.rules if rules is None else rules
        self.beam = self.defaults.beam if beam is None else beam
        checks.at_most("beam", self.beam, "vocab_size", pretrained.config.vocab_size)

    def stream(self, prompt: str) -> Iterator[str]:
        """Yield the text that follows a prompt as it comes, whole characters only."""
        encoded = self.encode([prompt])
        steps = self._follow(encoded, generators(self.seed, encoded), self.room(encoded))
        tokens = (int(rows[0]) for rows in steps if rows[0] != ENDED)
        return pieces(tokens, self.tokenizer.decode, self._shown(encoded[0]))

    def write(self, prompts: Sequence[str], *, refused: Callable | None = None) -> Iterator[Continuation]:
        """
        Yield what follows each of some prompts, batch by batch, the same as if each were alone.

        Parameters
        ----------
        prompts : sequence of str
        refused : callable, optional
            As in `encode`; no text follows such a prompt.
        """
        encoded = self.encode(prompts, refused=refused)
        fitting = [i for i, ids in enumerate(encoded) if ids]
        found = self._write([prompts[i] for i in fitting], [encoded[i] for i in fitting])
        for prompt, ids in zip(prompts, encoded, strict=True):
            yield next(found) if ids else Continuation(prompt, None, [], False)

    def _write(self, prompts, encoded):
        room, draws, size = self.room(encoded), generators(self.seed, encoded), max(1, ROWS // self.beam)
        for i in range(0, len(encoded), size):
            batch = slice(i, i + size)
            found = self._tokens(encoded[batch], draws[batch], room[batch])
            for i, tokens in enumerate(found, batch.start):
                text = "".join(pieces(tokens, self.tokenizer.decode, self._shown(encoded[i])))
                yield Continuation(prompts[i], text, tokens, len(tokens) < room[i])

    def encode(self, prompts: Sequence[str], *, refused: Callable | None = None) -> list[list[int]]:
        """
        Return the tokens of prompts; an empty one is the token that texts begin with.

        Parameters
        ----------
        prompts : sequence of str
        refused : callable, optional
            Told the number, and what is wrong, of each prompt that is too long, or empty where the model
            knows no such token; no tokens are returned for it.

        Raises
        ------
        ValueError
            For such a prompt, if there is nobody to tell.
        """
        refused = refused or raise_reason
        first = [] if self.markers.first is None else [self.markers.first]
        encoded = [ids or first for ids in self.tokenizer.encode_batch(list(prompts))]
        more = 1 if self.max_tokens is None else self.max_tokens
        for number, ids in enumerate(encoded, 1):
            if not ids:
                refused(number, f"prompt {number} is empty; expected text to continue")
            room = None if self.max_tokens else self.defaults.room(len(ids))
            if room is not None and room < 1:
                encoded[number - 1] = []
                refused(
                    number,
                    f"prompt {number} has {len(ids)} tokens, and the model's max_length, which counts them, "
                    f"is {self.defaults.max_length}; expected fewer, or a number of tokens that shall follow",
                )
            elif len(ids) + more > self.max_positions:
                reason = f"prompt {number} has {len(ids)} tokens, and {more} shall follow; "
                reason += f"expected at most {self.max_positions} in all, the model's max_positions"
                encoded[number - 1] = []
                refused(number, reason)
        return encoded

    def room(self, encoded: Sequence[Sequence[int]]) -> list[int]:
        """Return the most tokens that may follow each prompt."""
        if self.max_tokens is not None:
            return [self.max_tokens] * len(encoded)
        most = self.max_positions - max(map(len, encoded), default=0)
        wanted = (self.defaults.room(len(ids)) for ids in encoded)
        return [min(MAX_TOKENS if n is None else n, most) for n in wanted]

    def _tokens(self, encoded, draws, room):
        if self.beam == 1:
            return gather(self._follow(encoded, draws, room), len(encoded))
        decoding, options = self._start(encoded), self._options(encoded, room)
        found = beam_search(
            decoding.step,
            decoding.reorder,
            len(encoded),
            self.beam,
            length_penalty=self.defaults.length_penalty,
            early_stopping=self.defaults.early_stopping,
            adjust=self._adjust(encoded, room, self.rules.repetition_penalty),
            **options,
        )
        return [hypothesis.tokens for hypothesis in found]

    def _follow(self, encoded, draws, room):
        decoding, rows = self._start(encoded), len(encoded)
        adjust = self._adjust(encoded, room, 1.0)  # the sampler has its own
        choose = adjusted(Sampler(self.rules, draws, encoded), adjust, rows)
        return follow(decoding.step, choose, rows, **self._options(encoded, room))

    def _options(self, encoded, room):
        first = [ids[-1] for ids in encoded]
        return {"max_length": np.array(room), "first": first, "eos": self.markers.eos}

    def _adjust(self, encoded, room, repetition_penalty):
        constraints = replace(self.defaults.constraints, repetition_penalty=repetition_penalty)
        return constraints.over(encoded, max_length=np.array(room), eos=self.markers.eos)

    def _start(self, encoded) -> Decoding:
        """Read all but the last token of each prompt."""
        tokens, mask = pad_left([ids[:-1] for ids in encoded], self.markers.pad)
        return self.backend.start(self.model, tokens, mask)

    def _shown(self, ids):
        """Leave out the tokens that are no text."""
        return [token for token in ids if token not in (self.markers.first, *self.markers.eos)]


def pad_left(sequences: Sequence[Sequence[int]], pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Put sequences into one array, (B, longest), that ends with them; return it and where it is theirs."""
    longest = max(len(sequence) for sequence in sequences)
    tokens = np.full((len(sequences), longest), pad, dtype=np.int64)
    mask = np.zeros(tokens.shape, dtype=bool)
    for row, sequence in enumerate(sequences):
        tokens[row, longest - len(sequence) :] = sequence
        mask[row, longest - len(sequence) :] = True
    return tokens, mask
