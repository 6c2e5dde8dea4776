"""The scale of a model as a table for people, or as numbers for programs."""

import json

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.scale.costs import (
    BYTES,
    Cost,
    Group,
    cached_numbers,
    groups,
    kept_numbers,
    keys_in_sight,
    kinds_of_block,
    total,
)
from step01_numpy.common.scale.known_models import KnownModel

ARCHITECTURES = {"encoder": "encoder", "decoder": "decoder", "encoder_decoder": "encoder and decoder"}
PREFIXES = "kMGTPEZYRQ"
COUNTED = """
FLOP/token: the forward of {tokens} which attends to {keys} tokens (--context {context}).
A multiplication and its addition are 2. Matrix products alone are counted, not softmax, norms, activations,
biases and look-ups. A part without parameters needs none, or shares another's."""


def as_text(name: str, model: KnownModel, context: int) -> str:
    """Lay out the parts of a model, their parameters, bytes and FLOP."""
    c, found = model.config, groups(model.config, context)
    widths = max(len(part) for group in found for part in group.parts) + 4, 22
    heading = f"{'part':{widths[0]}}{'×':>5}{'parameters of one':>22}{'in all':>22}"
    lines = [f"{name}: {shape(c)}"]
    lines += [f"{label}: {x}" for label, x in (("source", model.source), ("note", model.note)) if x]
    lines += ["", heading + "".join(f"{kind:>11}" for kind in BYTES) + f"{'FLOP/token':>13}"]
    for group in found:
        alone = f" {next(iter(group.parts))}" if len(group.parts) == 1 else ""
        lines.append(_row(group.name + alone, group.count, group.one, widths))
        parts = {} if alone else group.parts
        lines += [_row(f"  {part}", group.count, cost, widths) for part, cost in parts.items()]
    lines += [_row("total", 1, total(found), widths), "", *_cache(c, context)]
    tokens = "a token" if c.architecture != "encoder_decoder" else "a source and a target token, each of"
    seen = [keys_in_sight(window, context) for _, window in kinds_of_block(c).values()]
    keys = " or ".join(dict.fromkeys(f"{n:,}" for n in seen))
    return "\n".join(lines) + COUNTED.format(tokens=tokens, keys=keys, context=context)


def as_json(name: str, model: KnownModel, context: int) -> str:
    """Return the same numbers, unrounded."""
    c, found = model.config, groups(model.config, context)
    report = {
        "name": name,
        "source": model.source,
        "note": model.note,
        "config": c.to_dict(),
        "context": context,
        "groups": [_group(group) for group in found],
        "total": _cost(total(found)),
        "kv_cache_bytes_per_token": _bytes(cached_numbers(c)),
    }
    return json.dumps(report, indent=1, ensure_ascii=False)


def si(x: int) -> str:
    """Return a number in three digits and a prefix: 405_853_388_800 is "406 G"."""
    if x < 1000:
        return f"{x} "
    digits, exponent = f"{x:.2e}".split("e")  # rounded first: 999,501 is 1.00 M
    thousands, tens = divmod(int(exponent), 3)
    return f"{float(digits) * 10**tens:.{2 - tens}f} {PREFIXES[thousands - 1]}"


def shape(c: ModelConfig) -> str:
    """Tell a model's architecture and sizes in a line."""
    heads = f"{c.n_heads} heads" + (f" ({c.n_kv_heads} of keys and values)" if c.n_kv_heads else "")
    blocks = f"{c.n_layers} blocks" + (" each" if c.architecture == "encoder_decoder" else "")
    return (
        f"{ARCHITECTURES[c.architecture]} of {blocks}, d_model {c.d_model:,}, {heads}, "
        f"d_ff {c.d_ff:,}, {c.vocab_size:,} tokens"
    )


def _row(name, count, cost, widths):
    whole = cost * count
    sizes = "".join(f"{si(size * whole.parameters) + 'B':>11}" for size in BYTES.values())
    numbers = f"{count:>5}{cost.parameters:>{widths[1]},}{whole.parameters:>{widths[1]},}"
    return f"{name:{widths[0]}}{numbers}{sizes}{si(whole.flop):>13}".rstrip()


def _cache(c, context):
    """Tell what decoding keeps of each token."""
    numbers = cached_numbers(c)
    if not numbers:
        return ["KV cache: none, an encoder reads all tokens at once"]
    sizes = " or ".join(f"{size * numbers:,} bytes in {kind}" for kind, size in BYTES.items())
    two = c.architecture == "encoder_decoder"
    lines = [f"KV cache: {sizes} a token" + ("; as much again for each source token" if two else "")]
    kept = BYTES["bf16"] * kept_numbers(c, context)
    lines += [f"          {si(kept)}B in bf16 for {context:,} tokens" + (" of each" if two else "")]
    where = f" in {c.n_layers - len(c.full_layers)} of {c.n_layers} blocks" if c.full_layers else ""
    window = f"          a window of {c.window or 0:,} tokens{where}: no more than those are kept there"
    return lines + ([window.removesuffix("" if where else " there")] if c.window else [])


def _group(group: Group):
    parts = {name: _cost(cost) for name, cost in group.parts.items()}
    return {"name": group.name, "count": group.count, "one": _cost(group.one), "parts": parts}


def _cost(cost: Cost):
    return {
        "parameters": cost.parameters,
        "bytes": _bytes(cost.parameters),
        "flop_per_token": cost.flop,
    }


def _bytes(numbers):
    return {kind: size * numbers for kind, size in BYTES.items()}
