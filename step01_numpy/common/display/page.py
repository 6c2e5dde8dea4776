"""Write a tour as one HTML file without remote parts: the maps of every block and head, and the parity."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from step01_numpy.common.display.alignment import ALIGNMENT
from step01_numpy.common.display.tables import html_table, parity_table
from step01_numpy.common.display.tour import CROSS, Tour
from step01_numpy.common.parity.table import verdict
from step01_numpy.common.parity.verdict import Row

HIDDEN = -1  # for a weight of exactly 0, which is masked; others are rounded
OPENING = (
    "This is cross-attention in the last block, of which the sentence above takes the mean over its heads"
)
TEMPLATE = Path(__file__).parent / "page.html"


def page(tours: Sequence[Tour], rows: Sequence[Row]) -> str:
    """
    Return the page.

    Parameters
    ----------
    tours : sequence of Tour
        One for each stage; the maps are the first one's.
    rows : sequence of Row
        The parity table; may be empty.
    """
    first = tours[0]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        text=escape(first.text),
        translations=translations_list(first),
        opening=OPENING if CROSS in first.maps else f"This is the {ALIGNMENT}",
        finding=paragraph("finding", first.finding),
        doubts=paragraph("doubt", first.doubts and f"This may be wrong: {'; '.join(first.doubts)}."),
        stage=escape(first.stage),
        verdict=escape(proof_in_words(tours, rows)),
        stages=stages_table(tours),
        parity=parity_table(rows) + f"<p>{escape(verdict(rows))}</p>" if rows else "",
        data=embedded_json(maps_data(first)),
    )


def paragraph(name: str, text: str) -> str:
    """Return a paragraph of a class, or nothing where there is no text."""
    return f'<p class="{name}">{escape(text)}</p>' if text else ""


def proof_in_words(tours: Sequence[Tour], rows: Sequence[Row]) -> str:
    """Return the verdict that stands over the folded tables."""
    if len(tours) == 1:
        return f"The numbers of {tours[0].stage} alone; the last stage's tour compares all stages."
    pairs = (zip(tours[0].operations, tour.operations, strict=True) for tour in tours[1:])
    apart = max(float(np.abs(a.out - b.out).max()) for both in pairs for a, b in both)
    compared = f"; on random inputs, forward and backward, {verdict(rows)}" if rows else ""
    return f"{len(tours)} stages, one result: they differ by {apart:.1e} at most on this sentence{compared}."


def translations_list(tour: Tour) -> str:
    """Return the translations as a definition list has them, with their models if there are several."""
    several = len(tour.translations) > 1
    names = [f"French, by {name}" if several else "French" for name in tour.translations]
    pairs = zip(names, tour.translations.values(), strict=True)
    return "\n".join(f'<dt>{escape(name)}</dt><dd lang="fr">{escape(x)}</dd>' for name, x in pairs)


def maps_data(tour: Tour) -> list[dict]:
    """Return the maps as the script reads them: weights in thousandths, or -1; and what stands beside."""
    return [
        {
            "kind": kind,
            "beside": [i for i, other in enumerate(tour.maps) if (kind, other) == (CROSS, ALIGNMENT)],
            "rows": tour.labels[kind][0],
            "columns": tour.labels[kind][1],
            "blocks": np.where(weights == 0, HIDDEN, np.rint(1000 * weights)).astype(int).tolist(),
        }
        for kind, weights in tour.maps.items()
    ]


def embedded_json(data) -> str:
    """Return JSON that no text in it can break out of, inside a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def stages_table(tours: Sequence[Tour]) -> str:
    """Return the table of the stages' numbers for this sentence."""
    body = []
    for number, operation in enumerate(tours[0].operations):
        for tour in tours:
            out = tour.operations[number].out
            first = ", ".join(f"{x:.6f}" for x in out.reshape(-1, out.shape[-1])[0, :4])
            apart = float(np.abs(out - operation.out).max())
            body.append((operation.title, tour.stage, first, f"{apart:.1e}"))
    for name in tours[0].translations:
        body += [(f"Translation by {name}", tour.stage, tour.translations[name], "") for tour in tours]
    return html_table(("Operation", "Stage", "First numbers of its output", "Largest difference"), body)
