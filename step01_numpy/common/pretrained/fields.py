"""
How fields of Hugging Face's config.json become fields of `ModelConfig`: one table a family.

What a field may say that our models cannot do is refused by name.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
ROPE = ("rope_theta", "rope_type", "type", "partial_rotary_factor")
ROTARY = ("rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor")
LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
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


def rotary(config: dict) -> dict:
    """Return the rotary fields as one: of `rope_scaling`, and where that is none of `rope_parameters`."""
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    parts = [name for name, value in rope.items() if isinstance(value, dict)]
    if parts:
        raise ValueError(
            f"its rotary positions have the parts {', '.join(parts)}; expected one for all layers"
        )
    unknown = sorted(set(rope) - {*LLAMA3, *ROPE})
    if unknown:
        raise ValueError(f"its rotary positions have the field {unknown[0]}; expected {', '.join(ROPE)}")
    base = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "llama3"):
        raise ValueError(f"rope_type is {kind!r}; expected 'default' or 'llama3'")
    if rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)) != 1.0:
        raise ValueError("partial_rotary_factor is not 1; expected all of a head to turn")
    if kind == "default":
        return {"base": float(base), "scaling": None}
    absent = [name for name in LLAMA3 if name not in rope]
    if absent:
        raise ValueError(f"its llama3 rotary scaling lacks {', '.join(absent)}")
    return {"base": float(base), "scaling": tuple(rope[name] for name in LLAMA3)}


@reads("vocab_size", "decoder_vocab_size")
def joint_vocabulary(config: dict) -> int:
    """Return the vocabulary's size, and refuse two languages that do not share it."""
    size, target = at("vocab_size")(config), config.get("decoder_vocab_size")
    if target not in (None, size):
        raise ValueError(f"decoder_vocab_size is {target}; expected vocab_size, {size}")
    return size


@reads("num_attention_heads", "head_dim", "hidden_size")
def n_heads(config: dict) -> int:
    """Return the number of heads, and refuse heads that do not share out the width exactly."""
    count, size, width = at("num_attention_heads")(config), config.get("head_dim"), at("hidden_size")(config)
    if size is not None and size * count != width:
        raise ValueError(f"head_dim is {size}; expected hidden_size / num_attention_heads, {width} / {count}")
    return count
