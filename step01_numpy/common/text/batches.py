"""Cut a corpus into batches of sentences of like length, shuffled and resumable."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from step01_numpy.common.support import checks
from step01_numpy.common.text.tokenizer import BOS, EOS, PAD


class Batch(NamedTuple):
    """One batch of a translation model, int64 and padded with 0.

    Parameters
    ----------
    source : np.ndarray
        (B, S): source tokens, then <eos>.
    target_in : np.ndarray
        (B, L): <bos>, then target tokens; what the decoder is given.
    target_out : np.ndarray
        (B, L): target tokens, then <eos>; what it has to say.
    """

    source: np.ndarray
    target_in: np.ndarray
    target_out: np.ndarray


def pad(sequences: Sequence[Sequence[int]], pad_id: int = PAD) -> tuple[np.ndarray, np.ndarray]:
    """Put sequences into one array, filled up on the right.

    Parameters
    ----------
    sequences : sequence of sequences of int
        Token ids.
    pad_id : int
        What to fill up with.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        The array (B, longest) and the lengths (B,), both int64.

    Raises
    ------
    ValueError
        If there are no sequences.
    """
    if not len(sequences):
        raise ValueError("sequences is empty; expected at least one sequence")
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    padded = np.full((len(sequences), lengths.max()), pad_id, dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded, lengths


class Shuffled(Iterator[tuple[np.ndarray, ...]]):
    """Give batches for ever, epoch after epoch, each example once an epoch; a subclass says what one holds.

    Examples are sorted by length with ties broken at random, cut into batches, and the batches shuffled.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each example, as a batch pads them.
    tokens_per_batch : int
        The most tokens of a batch, padding included: examples times the longest among them.
    rng : np.random.Generator
        Every draw comes from it, two at the start of each epoch.

    Attributes
    ----------
    epoch : int
        The number of epochs begun.
    batches_per_epoch : int
        The same in every epoch.

    Raises
    ------
    ValueError
        If there are no examples, or one is too long for a batch.
    """

    example = "sequence"  # what errors and `state_dict` call one

    def __init__(self, lengths: Sequence[int], *, tokens_per_batch: int, rng: np.random.Generator) -> None:
        self._lengths = np.array(lengths, dtype=np.int64)
        self._check(tokens_per_batch)
        self._bounds = _cut(np.sort(self._lengths), tokens_per_batch)
        self.tokens_per_batch, self.rng = tokens_per_batch, rng
        self.epoch, self.batches_per_epoch = 0, len(self._bounds) - 1
        self._epoch_start: dict[str, Any] | None = None
        self._order: list[np.ndarray] = []
        self._position = 0

    def batch(self, chosen: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the batch of the examples with these indices; further draws come from `rng`."""
        raise NotImplementedError

    def __next__(self) -> tuple[np.ndarray, ...]:
        if self._position == len(self._order):
            self._epoch_start = self.rng.bit_generator.state
            self._order = self._shuffled()
            self._position, self.epoch = 0, self.epoch + 1
        chosen = self._order[self._position]
        self._position += 1
        return self.batch(chosen)

    def _check(self, tokens_per_batch: int) -> None:
        if not len(self._lengths):
            raise ValueError(f"lengths is empty; expected at least one {self.example}")
        longest = int(self._lengths.argmax())
        if self._lengths[longest] > tokens_per_batch:
            raise ValueError(
                f"{self.example} {longest} has {self._lengths[longest]} tokens, special ones included; "
                f"expected at most tokens_per_batch, {tokens_per_batch}"
            )

    def _shuffled(self) -> list[np.ndarray]:
        examples = self.rng.permutation(len(self._lengths))
        examples = examples[np.argsort(self._lengths[examples], kind="stable")]
        batches = np.split(examples, self._bounds[1:-1])
        return [batches[index] for index in self.rng.permutation(len(batches))]

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on with the next batch.

        Returns
        -------
        dict[str, Any]
            Fit for JSON; holds the state of `rng` too.
        """
        return {
            **self._data(),
            "epoch": self.epoch,
            "position": self._position,
            "epoch_start": _plain(self._epoch_start),
            "rng": _plain(self.rng.bit_generator.state),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the batches stood that gave this state, bit for bit; `rng` included.

        Parameters
        ----------
        state : dict[str, Any]
            From `state_dict`, of batches over the same data.

        Raises
        ------
        ValueError
            If the state is of other data, another `tokens_per_batch` or another kind of generator.
        """
        expected = {*self._data(), "epoch", "position", "epoch_start", "rng"}
        if set(state) != expected:
            raise ValueError(f"state has the keys {sorted(state)}; expected {sorted(expected)}")
        for name, ours in self._data().items():
            if state[name] != ours:
                raise ValueError(f"state is of batches with {name} {state[name]}; expected {ours}")
        if state["epoch_start"] is not None:
            self.rng.bit_generator.state = self._epoch_start = state["epoch_start"]
            self._order = self._shuffled()
        else:
            self._epoch_start, self._order = None, []
        self.rng.bit_generator.state = state["rng"]
        for name in ("epoch", "position"):
            checks.not_negative(name, state[name])
        checks.at_most("position", state["position"], "number of batches", len(self._order))
        self.epoch, self._position = state["epoch"], state["position"]

    def _data(self) -> dict[str, int]:
        return {
            f"{self.example}s": len(self._lengths),
            "tokens": int(self._lengths.sum()),
            "tokens_per_batch": self.tokens_per_batch,
        }


class Batches(Shuffled):
    """Batches of a parallel corpus, each pair once an epoch.

    Parameters
    ----------
    sources, targets : sequence of sequences of int
        Token ids without special tokens; equally many of both.
    tokens_per_batch : int
        The most tokens of a batch, padding, <bos> and <eos> included: sentences times the length of the
        longest source or target among them.
    rng : np.random.Generator
        As in `Shuffled`.

    Raises
    ------
    ValueError
        If there are no pairs, unequally many sources and targets, or a pair too long for a batch.
    """

    example = "pair"

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        tokens_per_batch: int,
        rng: np.random.Generator,
    ) -> None:
        if len(sources) != len(targets):
            raise ValueError(
                f"sources has {len(sources)} sentences and targets {len(targets)}; expected equally many"
            )
        if not len(sources):
            raise ValueError("sources and targets are empty; expected at least one pair")
        lengths = [max(len(source), len(target)) + 1 for source, target in zip(sources, targets, strict=True)]
        super().__init__(lengths, tokens_per_batch=tokens_per_batch, rng=rng)
        self.sources, self.targets = sources, targets

    def batch(self, chosen: np.ndarray) -> Batch:
        """Return the batch of these pairs."""
        source, _ = pad([[*self.sources[pair], EOS] for pair in chosen])
        target_in, _ = pad([[BOS, *self.targets[pair]] for pair in chosen])
        target_out, _ = pad([[*self.targets[pair], EOS] for pair in chosen])
        return Batch(source, target_in, target_out)


def _cut(ascending: np.ndarray, tokens_per_batch: int) -> list[int]:
    bounds = [0]
    for end, longest in enumerate(ascending):
        if (end + 1 - bounds[-1]) * longest > tokens_per_batch:
            bounds.append(end)
    return [*bounds, len(ascending)]


def _plain(state: Any) -> Any:
    # Some bit generators keep arrays in their state, which JSON does not know.
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state
