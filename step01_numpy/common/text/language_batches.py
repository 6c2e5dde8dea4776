"""Batches for language models: the next token, or the masked ones, of sequences of one text."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from step01_numpy.common.text.batches import Shuffled, pad
from step01_numpy.common.text.tokenizer import MASK, PAD

CHOSEN, MASKED, REPLACED = 0.15, 0.8, 0.1  # of the tokens; of the chosen: <mask>, and a random token


class TextBatch(NamedTuple):
    """One batch of a language model, padded on the right.

    Parameters
    ----------
    tokens : np.ndarray
        (B, L) int64: what the model reads.
    mask : np.ndarray
        (B, L) bool: True where there is a token, False for padding.
    targets : np.ndarray
        (B, L) int64: what it has to say at each position, 0 where nothing is to be learned.
    """

    tokens: np.ndarray
    mask: np.ndarray
    targets: np.ndarray


class CausalBatches(Shuffled):
    """Batches of windows: every token but the last is read, and the one after it is to be said.

    Parameters
    ----------
    sequences : sequence of sequences of int
        Windows of a text, of at least two tokens.
    tokens_per_batch : int
        The most tokens that a batch reads, padding included.
    rng : np.random.Generator
        As in `Shuffled`.

    Raises
    ------
    ValueError
        If there are no windows, or one is too short, or too long for a batch.
    """

    def __init__(
        self, sequences: Sequence[Sequence[int]], *, tokens_per_batch: int, rng: np.random.Generator
    ) -> None:
        for index, sequence in enumerate(sequences):
            if len(sequence) < 2:
                raise ValueError(f"sequence {index} has {len(sequence)} tokens; expected at least 2")
        super().__init__(
            [len(sequence) - 1 for sequence in sequences], tokens_per_batch=tokens_per_batch, rng=rng
        )
        self.sequences = sequences

    def batch(self, chosen: np.ndarray) -> TextBatch:
        """Return the batch of these windows."""
        tokens, _ = pad([self.sequences[index][:-1] for index in chosen])
        targets, _ = pad([self.sequences[index][1:] for index in chosen])
        return TextBatch(tokens, tokens != PAD, targets)


class MaskedBatches(Shuffled):
    """Batches of sequences of which some tokens are hidden, others each time, and are to be said.

    Parameters
    ----------
    sequences : sequence of sequences of int
        Each with at least one token that is not special.
    vocab_size : int
        Tokens of a vocabulary that has <mask>.
    tokens_per_batch : int
        The most tokens of a batch, padding included.
    rng : np.random.Generator
        As in `Shuffled`; `mask_tokens` draws from it for every batch.

    Raises
    ------
    ValueError
        If there are no sequences, or one is too long for a batch or holds special tokens alone.
    """

    def __init__(
        self,
        sequences: Sequence[Sequence[int]],
        vocab_size: int,
        *,
        tokens_per_batch: int,
        rng: np.random.Generator,
    ) -> None:
        for index, sequence in enumerate(sequences):
            if max(sequence, default=PAD) <= MASK:
                raise ValueError(f"sequence {index} holds special tokens alone; expected one to mask")
        lengths = [len(sequence) for sequence in sequences]
        super().__init__(lengths, tokens_per_batch=tokens_per_batch, rng=rng)
        self.sequences, self.vocab_size = sequences, vocab_size

    def batch(self, chosen: np.ndarray) -> TextBatch:
        """Return the batch of these sequences, masked anew."""
        tokens, _ = pad([self.sequences[index] for index in chosen])
        hidden, targets = mask_tokens(tokens, self.vocab_size, self.rng)
        return TextBatch(hidden, tokens != PAD, targets)


def mask_tokens(
    tokens: np.ndarray, vocab_size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hide some tokens for a masked language model to find.

    Parameters
    ----------
    tokens : np.ndarray
        (B, L) int64. Special tokens, ids up to 4, are never chosen.
    vocab_size : int
        Random tokens are drawn from 5 to below it.
    rng : np.random.Generator
        Drawn from three times, each time a number for every token.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        Two arrays (B, L). The tokens, of which 15 % are chosen and at least one is; of these 80 % became
        <mask>, 10 % a random token, 10 % stayed as they were, so that the model cannot trust any token it
        sees. And the targets: the token that was there for the chosen ones, 0 for all others.

    Raises
    ------
    ValueError
        If no token can be chosen, or the vocabulary has no token to put in.

    References
    ----------
    Devlin et al. 2018, section 3.1, arXiv:1810.04805.
    """
    if vocab_size <= MASK + 1:
        raise ValueError(f"vocab_size is {vocab_size}; expected more than the {MASK + 1} special tokens")
    ordinary = tokens > MASK
    if not ordinary.any():
        raise ValueError("tokens holds special tokens alone; expected one to mask")
    draw = np.where(ordinary, rng.random(tokens.shape), 2.0)
    chosen = (draw < CHOSEN) | (draw == draw.min())  # the smallest draw is chosen even above 15 %
    fate = rng.random(tokens.shape)
    random = rng.integers(MASK + 1, vocab_size, tokens.shape)
    hidden = np.where(chosen & (fate < MASKED), MASK, tokens)
    hidden = np.where(chosen & (fate >= MASKED) & (fate < MASKED + REPLACED), random, hidden)
    return hidden, np.where(chosen, tokens, PAD)
