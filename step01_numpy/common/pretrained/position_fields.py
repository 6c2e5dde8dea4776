"""How positions and windows are read from config.json: several of our fields from several of theirs."""

from collections.abc import Callable

from step01_numpy.common.pretrained.fields import at, nullable, reads
from step01_numpy.common.support import checks

ROPE = ("rope_theta", "rope_type", "type", "partial_rotary_factor")
ROTARY = ("rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor")
LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")


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
