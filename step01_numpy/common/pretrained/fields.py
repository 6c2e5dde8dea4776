"""
How fields of Hugging Face's config.json become fields of `ModelConfig`: one table a family.

What a field may say that our models cannot do is refused by name.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from step01_numpy.common.support import checks

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
REQUIRED = object()


class Family(NamedTuple):
    """
    A family's table.

    Attributes
    ----------
    fields : dict
        Our field -> a function of all of theirs.
    constants : dict
        Our fields that a family always sets so.
    heads : dict
        The class in `architectures` -> our fields for its head; None stands for a file that names no class.
    honoured : dict
        Their field -> the values that our models can do; one that is absent is the first of them.
    ignored : set of str
        Their fields, beside those of `known_fields.CONFIG`, that change no result of ours.
    """

    fields: dict[str, Callable]
    constants: dict
    heads: dict[str | None, dict]
    honoured: dict[str, tuple]
    ignored: frozenset[str] = frozenset()

    @property
    def used(self) -> frozenset[str]:
        """Their fields that ours are read from."""
        return frozenset(name for look_up in self.fields.values() for name in look_up.names)


def reads(*names: str) -> Callable:
    """Return the decorator that writes on a function which of their fields it reads."""

    def mark(look_up):
        look_up.names = names
        return look_up

    return mark


def part(name: str, whole: Callable) -> Callable:
    """Return the function that takes one of several fields of ours, which `whole` reads together."""

    @reads(*whole.names)
    def look_up(config):
        return whole(config)[name]

    return look_up


def inverse_root(name: str, default: int) -> Callable:
    """Return the function that looks up a size whose inverse root is a scale."""

    @reads(name)
    def look_up(config):
        size = at(name, default=default)(config)
        checks.above_zero(name, size)
        return size**-0.5

    return look_up


def at(*names: str, default=REQUIRED) -> Callable:
    """Return the function that looks a field up which may have several names; all that are there agree."""

    @reads(*names)
    def look_up(config):
        present = {name: config[name] for name in names if config.get(name) is not None}
        if not present and default is REQUIRED:
            raise ValueError(f"it lacks {names[0]}")
        if any(x != y for x, y in pairwise(present.values())):
            given = " and ".join(map(str, present.values()))
            raise ValueError(f"{' and '.join(present)} are {given}; expected them equal")
        return next(iter(present.values()), default)

    return look_up


def nullable(name: str, default) -> Callable:
    """Return the function that looks a field up of which null means something else than its absence."""
    return reads(name)(lambda config: config.get(name, default))


def activation(name: str, default: str) -> Callable:
    """Return the function that translates an activation's name."""

    @reads(name)
    def look_up(config):
        value = at(name, default=default)(config)
        if value not in ACTIVATIONS:
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]

    return look_up


def equal(*names: str, also: str | None = None, default=REQUIRED) -> Callable:
    """Return the function that looks a field up which we have once, they several times, perhaps `also`."""

    @reads(*names, *([also] if also else []))
    def look_up(config):
        values = {name: at(name, default=default)(config) for name in names}
        if config.get(also) is not None:
            values[also] = config[also]
        if len(set(values.values())) != 1:
            given = " and ".join(map(str, values.values()))
            raise ValueError(f"{' and '.join(values)} are {given}; expected them equal")
        return values[names[0]]

    return look_up


@reads("vocab_size", "decoder_vocab_size")
def joint_vocabulary(config: dict) -> int:
    """Return the vocabulary's size, and refuse two languages that do not share it."""
    size, target = at("vocab_size")(config), config.get("decoder_vocab_size")
    if target not in (None, size):
        raise ValueError(f"decoder_vocab_size is {target}; expected vocab_size, {size}")
    return size


def head_size(default: int | None = None) -> Callable:
    """Return the function that looks up the size of a head: None where heads share out the width exactly."""

    @reads("head_dim", "num_attention_heads", "hidden_size")
    def look_up(config):
        size = at("head_dim", default=default)(config)
        shared = at("num_attention_heads")(config) * (size or 0) == at("hidden_size")(config)
        return None if shared else size

    return look_up
