"""Lines of text for a command: where they come from, and what becomes of those that the model cannot take."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence

SHOWN = 20  # numbers of lines in one message


def chunks(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """
    Yield the lines of the arguments, or of standard input where there are none, so many at a time.

    What was read before a fault is yielded before its error; from a terminal each line comes alone.
    """
    if texts:
        lines = (line for text in texts for line in text.split("\n"))
    else:
        lines, size = standard_input(), 1 if sys.stdin.isatty() else size
    chunk = []
    try:
        for line in lines:
            chunk.append(line)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except (ValueError, OSError):
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def standard_input() -> Iterator[str]:
    """
    Yield the lines of standard input.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        For a line that is not UTF-8, naming it.
    """
    stream: Iterable[bytes] = getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())
    number = 0
    try:
        for number, line in enumerate(stream, 1):
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        byte = line[error.start]
        raise ValueError(
            f"standard input, line {number}: byte 0x{byte:02x} is not UTF-8; expected UTF-8 text"
        ) from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard input") from error


class Refused:
    """
    What could not be done, told at the end: the lines before and behind it are not lost with it.

    Called with the number of a line and what is wrong with it.

    Parameters
    ----------
    instead : str
        What is printed in the place of such a line.
    """

    def __init__(self, instead: str = "an empty line"):
        self.instead, self.numbers, self.reason = instead, [], ""

    def __call__(self, number: int, reason: str) -> None:
        """Remember a line; the first one's reason will be told."""
        self.reason = self.reason or reason
        self.numbers.append(number)

    def check(self) -> None:
        """Raise a ValueError if there was such a line."""
        if not self.numbers:
            return
        others = ", ".join(map(str, self.numbers[1 : SHOWN + 1])) + ", …" * (len(self.numbers) > SHOWN + 1)
        also = f"; at fault too: {others}" if others else ""
        raise ValueError(f"{self.reason}{also}; {self.instead} stands in its place")
