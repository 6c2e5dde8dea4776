"""Sentences that nobody trained on, and texts that nobody should type."""

import unicodedata
from pathlib import Path

import numpy as np

from step01_numpy.common.text.parallel import read_parallel

EVERYDAY = Path(__file__).parent.parent / "benchmarks" / "everyday.txt"
ODD = [
    "", " ", "\ufeff", "\ufeffHello.\ufeff", "\x1c Hello.\x85", "\u3000Hello\u2009.", "\u00a0 \t\n",
    "Hello.\u200b", "<eos>", "<pad> <bos> <unk>", "▁", "▁▁ a▁b", "a  b", "  two  blanks  ",
    "don't", "don\u2019t \u201cgo\u201d \u2013 now\u2026", "e\u0301te\u0301", "été",
    "ﬁne ǆ ŉ ß ẞ ſ ς Σ İ ı", "STRASSE Straße", "日本語 ないです",
    "नमस्ते", "🙂🙃 👩\u200d👩", "1½ ²³ ⅷ 〇 १२", "snake_case __init__",
    "hause mouce wether becuase", "teh  recieve adress", "$5.00 + 7 % = ?", "a" * 300, "x " * 40,
    "\x00\x07", "naïve café", "-- - ---", "''\"\"``", "http://a.b/c?d=e&f#g", "\u0301",
    "a\u0301\u0302\u0303", "ﷺ", "Ⅳ", "ªº",
]  # fmt: skip


def sentences(count: int) -> list[str]:
    """Return everyday sentences and the grammar's, none of which the shipped model was trained on."""
    lines = EVERYDAY.read_text(encoding="utf-8").splitlines()
    everyday = [line.split("\t")[0] for line in lines if "\t" in line]
    made = [english for english, _ in read_parallel("embedded", "held_out")] if count > len(everyday) else []
    return list(dict.fromkeys(everyday + made))[:count]


def odd_texts(count: int) -> list[str]:
    """Return odd texts: those above, and random ones of all characters that this Python knows."""
    rng = np.random.default_rng(15)
    usual = list("abcdefghij ABCDEFGHIJ.,'’-  éàç▁_0123\u00a0\ufeff\u0301\t")
    texts = list(ODD)
    while len(texts) < count:
        share, length = rng.random(), rng.integers(1, 25)
        texts.append(
            "".join(
                any_character(rng) if rng.random() < share else str(rng.choice(usual)) for _ in range(length)
            )
        )
    return texts[:count]


def any_character(rng) -> str:
    """Draw one of the characters of planes 0 to 2 that this Python knows."""
    while unicodedata.category(found := chr(rng.integers(0x30000))) in ("Cn", "Cs", "Co"):
        pass
    return found
