"""Cut a sequence into one part for each rank, and put the parts together again."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from jaxtyping import Float, Int

from step01_numpy.common.support import checks
from step02_torch.arrays import Array

CONTIGUOUS, ZIGZAG = "contiguous", "zigzag"
ORDERS = (CONTIGUOUS, ZIGZAG)


def sequence_chunks(length: int, n_ranks: int, order: str = CONTIGUOUS) -> list[list[range]]:
    """
    Say which positions each rank holds.

    Parameters
    ----------
    length : int
        Positions of the whole sequence. Ranks need not divide it: parts differ by a position or two, and of a
        short sequence some are empty.
    n_ranks : int
    order : "contiguous" or "zigzag"
        Contiguous: rank r holds chunk r of n. Zigzag: chunks r and 2n - 1 - r of 2n, one early and one late,
        so that with a causal mask all ranks see equally many keys.

    Returns
    -------
    chunks : list of list of range
        For each rank its chunks, in the order in which it holds them. They serve as `positions` too.
    """
    checks.not_negative("length", length)
    checks.positive("n_ranks", n_ranks)
    checks.one_of("order", order, ORDERS)
    n_chunks = n_ranks if order == CONTIGUOUS else 2 * n_ranks
    chunks = [range(*ends) for ends in pairwise(i * length // n_chunks for i in range(n_chunks + 1))]
    if order == CONTIGUOUS:
        return [[chunk] for chunk in chunks]
    return [[chunks[rank], chunks[-1 - rank]] for rank in range(n_ranks)]


def split_sequence(
    x: Float[Array, "..."] | Int[Array, "..."], n_ranks: int, *, order: str = CONTIGUOUS, dim: int = -2
) -> list[Array]:
    """
    Cut x into the parts that `ring_attention` expects on the ranks.

    Parameters
    ----------
    x : tensor
        The whole sequence: q, k, v, or tokens with `dim=-1`.
    n_ranks, order
        As in `sequence_chunks`.
    dim : int
        The axis of the positions.

    Returns
    -------
    parts : list of tensors
        Rank r takes parts[r].
    """
    held = sequence_chunks(x.shape[dim], n_ranks, order)
    pieces = ([x.narrow(dim, chunk.start, len(chunk)) for chunk in chunks] for chunks in held)
    return [torch.cat(piece, dim=dim) for piece in pieces]


def join_sequence(parts: list, *, order: str = CONTIGUOUS, dim: int = -2) -> Array:
    """
    Undo `split_sequence`: put the parts of all ranks into the order of the sequence.

    Parameters
    ----------
    parts : list of tensors
        Of all ranks, in the order of the ranks.
    order, dim
        As in `split_sequence`.

    Raises
    ------
    ValueError
        Where a part is not as long as `split_sequence` cuts it.
    """
    lengths = [part.shape[dim] for part in parts]
    held = sequence_chunks(sum(lengths), len(parts), order)
    check_lengths("parts", lengths, held)
    pieces = [
        (chunk.start, part.narrow(dim, rows.start, len(chunk)))
        for part, chunks in zip(parts, held, strict=True)
        for rows, chunk in local_slices(chunks)
    ]
    return torch.cat([piece for _, piece in sorted(pieces, key=lambda x: x[0])], dim=dim)


def local_slices(chunks: list[range]) -> Iterator[tuple[slice, range]]:
    """Yield where each of a rank's chunks lies in its own part, and the chunk."""
    start = 0
    for chunk in chunks:
        yield slice(start, start + len(chunk)), chunk
        start += len(chunk)


def check_lengths(name: str, lengths: list[int], held: list[list[range]]) -> None:
    """Refuse parts of a sequence that are not as long as `split_sequence` cuts them."""
    expected = [sum(map(len, chunks)) for chunks in held]
    if lengths != expected:
        raise ValueError(f"{name} has {lengths} positions on the ranks; expected {expected}")
