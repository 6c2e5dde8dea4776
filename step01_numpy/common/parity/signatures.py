"""What a function takes, read off its signature: so that what it does not offer is no error."""

from collections.abc import Callable
from inspect import Parameter, signature


class NotOffered(AttributeError):
    """A function of somebody's has no parameter for an option that was asked of it."""


class Missing(NotOffered):
    """A package has none of the names that were looked for."""


def parameters(function: Callable) -> list[Parameter] | None:
    """Return a function's parameters, or None where it does not tell, as one written in C may not."""
    try:
        return list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def takes(function: Callable, option: str) -> bool:
    """Tell whether a function can be given an option by its name."""
    found = parameters(function)
    kinds = {p.name: p.kind for p in found or ()}
    by_name = kinds.get(option) in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return found is None or by_name or Parameter.VAR_KEYWORD in kinds.values()


def check_takes(title: str, function: Callable, n_arguments: int, options) -> None:
    """
    Refuse to call a function with more than it takes.

    Parameters
    ----------
    title : str
        What the function is called where it is refused.
    function : callable
    n_arguments : int
        Given by position.
    options : iterable of str
        Given by name.

    Raises
    ------
    NotOffered
        Naming the options that it has no parameter for.
    """
    lacking = [name for name in options if not takes(function, name)]
    if lacking:
        raise NotOffered(f"{title} takes no {', '.join(lacking)}")
    kinds = [p.kind for p in parameters(function) or ()]
    room = sum(kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
    if kinds and Parameter.VAR_POSITIONAL not in kinds and room < n_arguments:
        raise NotOffered(f"{title} takes {room} arguments, not {n_arguments}")
