"""Two models beside each other: which fields of their configurations differ, and what that costs."""

import json
from pathlib import Path

from step01_numpy.common.scale.costs import BYTES, Cost, cached_numbers, groups, kept_numbers, total
from step01_numpy.common.scale.known_models import KnownModel
from step01_numpy.common.scale.table import as_json, shape, si

NOTE = """

Ratio: the second model's number over the first's. FLOP/token: the forward of a token that attends to as many
tokens as --context says; matrix products alone, where a multiplication and its addition are 2."""
TOTAL = ("total",)


def as_text(names: tuple[str, str], models: tuple[KnownModel, KnownModel], contexts: tuple[int, int]) -> str:
    """
    Lay out two models: their shapes, the fields that differ, and parameters and FLOP part by part.

    Parameters
    ----------
    names : (str, str)
        What the columns are called.
    models : (KnownModel, KnownModel)
    contexts : (int, int)
        Tokens that the counted one attends to.
    """
    one, two = (x.config for x in models)
    names = tuple(Path(name).name for name in names)
    widths = [max(13, len(name) + 2) for name in names]
    lines = [f"{name}: {shape(x)}" for name, x in zip(names, (one, two), strict=True)]
    lines += ["", *_differing(one.to_dict(), two.to_dict(), names)]
    costs = [_parts(x, context) for x, context in zip((one, two), contexts, strict=True)]
    parts = [
        part for part in dict.fromkeys([*costs[0], *costs[1]]) if part != TOTAL
    ]  # those of the first first
    for title, what in (("parameters", "parameters"), ("FLOP/token", "flop")):
        lines += ["", _heading(title, names, widths)]
        for part in [*parts, TOTAL]:
            pair = [getattr(x[part], what) if part in x else None for x in costs]
            lines += [_row(part[-1], pair, widths)] if any(pair) else []
    lines += ["", _heading("memory", names, widths)]
    weights = [BYTES["bf16"] * x[TOTAL].parameters for x in costs]
    cache = [BYTES["bf16"] * cached_numbers(x) for x in (one, two)]
    kept = [BYTES["bf16"] * kept_numbers(x, n) for x, n in zip((one, two), contexts, strict=True)]
    lines.append(_row("weights in bf16", weights, widths, "B"))
    lines.append(_row("KV cache a token, bf16", cache, widths, "B"))
    said = f"{contexts[0]:,}" if contexts[0] == contexts[1] else f"{contexts[0]:,} and {contexts[1]:,}"
    lines.append(_row(f"KV cache of {said} tokens", kept, widths, "B"))
    return "\n".join(lines) + NOTE


def as_json_pair(
    names: tuple[str, str], models: tuple[KnownModel, KnownModel], contexts: tuple[int, int]
) -> str:
    """Return what `describe --json` says of each of the two, in a list."""
    both = zip(names, models, contexts, strict=True)
    return json.dumps([json.loads(as_json(*one)) for one in both], indent=1, ensure_ascii=False)


def _parts(config, context) -> dict[tuple, Cost]:
    """Return what each part costs in all, by its group and its name, and the total."""
    found = {}
    for group in groups(config, context):
        alone = f" {next(iter(group.parts))}" if len(group.parts) == 1 else ""
        found[group.name + alone,] = group.one * group.count
        if not alone:
            found |= {(group.name, f"  {part}"): cost * group.count for part, cost in group.parts.items()}
    return found | {TOTAL: total(groups(config, context))}


def _differing(one, two, names):
    """Tell the fields whose values differ, a line each."""
    fields = [name for name in one if one[name] != two.get(name)]
    if not fields:
        return ["the configurations are equal"]
    first = [json.dumps(one[name]) for name in fields]
    rows = [("field", *names), *zip(fields, first, (json.dumps(two[name]) for name in fields), strict=True)]
    widths = [max(len(row[i]) for row in rows) + 2 for i in (0, 1)]
    return [f"{a:{widths[0]}}{b:{widths[1]}}{c}" for a, b, c in rows]


def _heading(title, names, widths):
    return f"{title:<32}" + "".join(f"{x:>{w}}" for x, w in zip(names, widths, strict=True)) + f"{'ratio':>9}"


def _row(name, pair, widths, unit=""):
    numbers = ["-" if x is None else (si(x) + unit).strip() for x in pair]
    ratio = f"{pair[1] / pair[0]:.2f}" if all(pair) else "-"
    return f"{name:<32}" + "".join(f"{x:>{w}}" for x, w in zip(numbers, widths, strict=True)) + f"{ratio:>9}"
