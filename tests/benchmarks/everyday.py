"""
How many of a hundred everyday sentences a translator gets right: `python -m tests.benchmarks.everyday`.

The sentences and what counts as right are in `everyday.txt`, written before any model learned everyday text.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import step01_numpy
from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.inference.translation import Translator
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.text.parallel import normal_form
from step01_numpy.common.training.backend import Backend

SENTENCES = Path(__file__).with_name("everyday.txt")


def read(path: Path = SENTENCES) -> dict[str, set[str]]:
    """Return for each English sentence the normal forms of its right translations."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {english: {normal_form(x) for x in expand(french)} for english, french in rows}


def expand(text: str) -> set[str]:
    """Spell out `{a|b}`, one within another too: "so{| {or|and} not}" is so, so or not, so and not."""
    start, depth = text.find("{"), 0
    if start < 0:
        return {text}
    marks = []  # where the choices of the first braces begin and end
    for end in range(start, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if end == start or depth == 0 or (depth == 1 and text[end] == "|"):
            marks.append(end)
        if depth == 0:
            break
    choices = [text[i + 1 : j] for i, j in pairwise(marks)]
    rest = expand(text[end + 1 :])
    return {text[:start] + x + y for choice in choices for x in expand(choice) for y in rest}


def mistakes(translations: dict[str, str]) -> dict[str, str]:
    """Return those of the translations, by their English, that are not right."""
    right = read()
    return {english: x for english, x in translations.items() if normal_form(x) not in right[english]}


def main(words: list[str] | None = None) -> None:
    """Translate all sentences, and print the mistakes and how many are right."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.everyday", description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="checkpoint (default: the one shipped)")
    parser.add_argument("--beam", type=int, default=1, help="hypotheses kept (default: 1, greedy)")
    arguments = parser.parse_args(words)
    backend, english = Backend(step01_numpy), list(read())
    translator = Translator(backend, load_model(arguments.model, backend), beam=arguments.beam)
    wrong = mistakes(dict(zip(english, translator.translate(english), strict=True)))
    for sentence, translation in wrong.items():
        print(f"{sentence}  →  {translation}")
    print(f"{len(english) - len(wrong)} of {len(english)} right")


if __name__ == "__main__":
    main()
