"""What other libraries raise, turned into what our callers expect."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """
    Turn what a library raises within, a plain Exception or a panic of Rust among it, into a ValueError.

    Parameters
    ----------
    what : str
        What is at fault then, and how: the library's words follow in brackets.
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ValueError(f"{what} ({error})") from error
        raise
