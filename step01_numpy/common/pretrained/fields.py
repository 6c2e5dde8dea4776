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


@reads(*ROTARY)
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
    if kind not in ("default", "linear", "llama3"):
        raise ValueError(f"rope_type is {kind!r}; expected 'default', 'linear' or 'llama3'")
    if rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)) != 1.0:
        raise ValueError("partial_rotary_factor is not 1; expected all of a head to turn")
    if kind == "default":
        return {"base": float(base), "scaling": None}
    if kind == "linear":  # over a single position no pair of coordinates turns once: all turn more slowly
        return {"base": float(base), "scaling": (at("factor")(rope), 1, 2, 1)}
    absent = [name for name in LLAMA3 if name not in rope]
    if absent:
        raise ValueError(f"its llama3 rotary scaling lacks {', '.join(absent)}")
    return {"base": float(base), "scaling": tuple(rope[name] for name in LLAMA3)}


def windows(config: dict, size: int | None, is_full: Callable) -> dict:
    """
    Return the window and the blocks without it.

    Parameters
    ----------
    config : dict
    size : int or None
        The window, where there is one.
    is_full : callable
        Tells of a block's number whether it has none, where no `layer_types` says so.
    """
    n_layers, kinds = at("num_hidden_layers")(config), config.get("layer_types")
    checks.at_most("num_hidden_layers", n_layers, "the most that can differ in their windows", 10_000)
    if kinds is None:
        kinds = ["full_attention" if is_full(i) else "sliding_attention" for i in range(n_layers)]
    if len(kinds) != n_layers or not set(kinds) <= {"full_attention", "sliding_attention"}:
        raise ValueError(f"layer_types is {kinds}; expected {n_layers} of full_attention, sliding_attention")
    full = tuple(i for i, kind in enumerate(kinds) if kind == "full_attention")
    if len(full) == n_layers:
        return {"window": None, "full_layers": ()}
    if size is None:
        raise ValueError("layer_types has sliding_attention; expected a sliding_window, which is null")
    return {"window": size, "full_layers": full}


@reads("num_hidden_layers", "layer_types", "sliding_window", "use_sliding_window", "max_window_layers")
def qwen_windows(config: dict) -> dict:
    """Return the windows of Qwen, off unless it says that they are used, and then in the last blocks."""
    used, first = config.get("use_sliding_window", False), config.get("max_window_layers", 28)
    size = nullable("sliding_window", 4096)(config) if used else None
    return windows(config, size, lambda i: size is None or i < first)


@reads("num_hidden_layers", "layer_types", "sliding_window")
def gemma2_windows(config: dict) -> dict:
    """Return the windows of Gemma 2: every second block has none."""
    return windows(config, nullable("sliding_window", 4096)(config), lambda i: i % 2 == 1)


@reads("num_hidden_layers", "layer_types", "sliding_window", "sliding_window_pattern")
def gemma3_windows(config: dict) -> dict:
    """Return the windows of Gemma 3: of so many blocks one has none, the last."""
    every = at("sliding_window_pattern", default=6)(config)
    checks.positive("sliding_window_pattern", every)
    return windows(config, nullable("sliding_window", 4096)(config), lambda i: (i + 1) % every == 0)


@reads("rope_parameters", "rope_scaling", "rope_theta", "rope_local_base_freq")
def gemma_rotary(config: dict) -> dict:
    """Return the rotary fields of Gemma 3, with a base of its own for blocks with a window."""
    kinds = config.get("rope_parameters") or {}
    unknown = sorted(set(kinds) - {"full_attention", "sliding_attention"})
    if unknown:
        raise ValueError(f"rope_parameters has {unknown[0]}; expected full_attention and sliding_attention")
    full = {"rope_theta": config.get("rope_theta", 1e6)} | (kinds.get("full_attention") or {})
    full |= config.get("rope_scaling") or {}
    windowed = {"rope_theta": config.get("rope_local_base_freq", 1e4)}
    windowed |= kinds.get("sliding_attention") or {}
    found, windowed = (rotary({"rope_parameters": x}) for x in (full, windowed))
    if windowed["scaling"] is not None:
        raise ValueError("its blocks with a window scale their rotary positions; expected 'default'")
    return found | {"windowed": windowed["base"]}


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
