"""Read JSON that anybody may have written: whatever is wrong with it is a ValueError."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any


def parse(text: str | bytes, *, objects: Callable | None = None) -> Any:
    """
    Return what a JSON text says.

    Parameters
    ----------
    text : str or bytes
    objects : callable, optional
        Makes an object of its pairs of name and value, such as `distinct`.

    Raises
    ------
    ValueError
        For what is no JSON, and for brackets nested deeper than Python can follow.
    """
    try:
        return json.loads(text, object_pairs_hook=objects)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def distinct(pairs: list[tuple[str, Any]]) -> dict:
    """Make a dict of pairs, and refuse a name that stands twice, of which others would drop one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the name {twice!r} stands twice")
    return found
