"""Read any text for a language model, and cut its tokens into the sequences that one learns from."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from step01_numpy.common.text.parallel import read_lines
from step01_numpy.common.text.tokenizer import BOS, EOS, MASK, Tokenizer

# Names that stand for the embedded corpus, and which of its sides each reads: English, or both.
EMBEDDED = {"embedded": (0,), "embedded-both": (0, 1)}


def read_text(path: str | Path, split: str | None = None) -> list[str]:
    """Read a text, one string a line that is not blank.

    Parameters
    ----------
    path : str or Path
        A UTF-8 text file, plain or ``.gz``; or "embedded", the English side of the project's own corpus, or
        "embedded-both", each English sentence followed by its French one.
    split : str, optional
        The split of the embedded corpus: train, validation or held_out. A file has no other than train.

    Returns
    -------
    list[str]
        The lines in NFC, without blanks around them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no such split, or the file is blank, not UTF-8 (naming the line) or a damaged ``.gz``.
    """
    if str(path) in EMBEDDED:
        return _read_embedded(str(path), split)
    if split not in (None, "train"):
        raise ValueError(f"split is {split!r}; expected none, for {path} is one text without splits")
    if Path(path).is_dir():
        raise ValueError(f"{path} is a directory; expected a text file or one of {', '.join(EMBEDDED)}")
    lines = [line.strip() for line in read_lines(path)]
    if not any(lines):
        raise ValueError(f"{path} has {len(lines)} lines, all blank; expected text")
    return [line for line in lines if line]


def _read_embedded(name: str, split: str | None) -> list[str]:
    from step01_numpy.common.text.corpus import embedded_corpus  # its grammar would slow every start

    splits = embedded_corpus()._asdict()
    if split not in splits:
        raise ValueError(f"split is {split!r}; the embedded corpus has {', '.join(splits)}")
    return [pair[side] for pair in splits[split] for side in EMBEDDED[name]]


def causal_sequences(lines: Sequence[str], tokenizer: Tokenizer, longest: int) -> list[list[int]]:
    """Cut the stream ``<eos> line <eos> line … <eos>`` into windows of which each token but one is learned.

    Parameters
    ----------
    lines : sequence of str
        As `read_text` gives them.
    tokenizer : Tokenizer
    longest : int
        The most tokens that the model is given at once.

    Returns
    -------
    list[list[int]]
        Windows of ``longest + 1`` tokens, the last one shorter: ``longest`` tokens to read and, for each, the
        one that follows. A window begins with the token that the one before ended with, so that every token
        of the lines is learned once. The first <eos> teaches how a line begins.
    """
    stream = [EOS, *chain.from_iterable([*ids, EOS] for ids in tokenizer.encode_batch(lines))]
    return [stream[start : start + longest + 1] for start in range(0, len(stream) - 1, longest)]


def masked_sequences(lines: Sequence[str], tokenizer: Tokenizer, longest: int) -> list[list[int]]:
    """Make of each line ``<bos> line <eos>``, cutting lines that are too long into several.

    Parameters
    ----------
    lines : sequence of str
        As `read_text` gives them.
    tokenizer : Tokenizer
    longest : int
        The most tokens that the model is given at once, at least 3.

    Returns
    -------
    list[list[int]]
        At most `longest` tokens each. What holds nothing but unknown characters is left out: there is nothing
        in it to mask.

    Raises
    ------
    ValueError
        If no token has room between <bos> and <eos>.
    """
    room = longest - 2
    if room < 1:
        raise ValueError(f"longest is {longest}; expected at least 3: <bos>, a token and <eos>")
    pieces = (
        ids[start : start + room]
        for ids in tokenizer.encode_batch(lines)
        for start in range(0, len(ids), room)
    )
    return [[BOS, *piece, EOS] for piece in pieces if max(piece) > MASK]
