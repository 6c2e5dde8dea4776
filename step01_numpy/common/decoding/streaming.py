"""Turn tokens into text as they come, whole characters only."""

from collections.abc import Callable, Iterable, Iterator, Sequence

UNFINISHED = "\ufffd"  # what decoders write for bytes that are no character, or not yet


def pieces(tokens: Iterable[int], decode: Callable, before: Sequence[int] = ()) -> Iterator[str]:
    """
    Yield the text that each token adds to what stands before it.

    A byte-level tokenizer may spread a character over several tokens: the character waits for the last of
    them. What never becomes a character is yielded with the text that follows it, or at the end.

    Parameters
    ----------
    tokens : iterable of int
    decode : callable
        Takes token ids, a list, and returns their text. It is always given all of them, since a token's text
        may depend on its neighbours (the space that a sentence's first word has not).
    before : sequence of int
        The tokens of the text to be continued.

    Yields
    ------
    text : str
        Joined they are the text of all tokens, less the text before.
    """
    ids = list(before)
    written = decode(ids).rstrip(UNFINISHED) if ids else ""
    for token in tokens:
        ids.append(token)
        text = decode(ids).rstrip(UNFINISHED)
        if text.startswith(written) and text != written:
            yield text[len(written) :]
            written = text
    if rest := decode(ids)[len(written) :]:
        yield rest
