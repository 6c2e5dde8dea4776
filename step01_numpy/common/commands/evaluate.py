"""`evaluate`: translate a split of a corpus and compare with its references."""

import argparse
import json
import time

from step01_numpy.common.commands.context import (
    Context,
    add_beam,
    add_json,
    add_model,
    progress_bar,
    translator,
)
from step01_numpy.common.parallel_text import read_parallel

HELP = """Translate a split of a parallel corpus; print BLEU and the share of exact translations.

BLEU comes from sacrebleu, with the signature that says how it was computed; 100 is best. A translation is
exact when it is its reference, character for character.

examples:
  {program} evaluate --data embedded --split held_out
  {program} evaluate --model model.safetensors --data multi30k --split test_2016_flickr --lowercase --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model(parser)
    parser.add_argument(
        "--data",
        metavar="PATH",
        required=True,
        help="directory of line files (SPLIT.en, SPLIT.fr, plain or .gz), tab-separated file, or 'embedded'",
    )
    parser.add_argument("--split", metavar="NAME", required=True, help="such as test, validation, held_out")
    parser.add_argument("--lowercase", action="store_true", help="compare without regard to case")
    add_beam(parser)
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Translate the split, score it, and print."""
    pairs = read_parallel(arguments.data, arguments.split)
    bleu_of = _bleu(arguments.lowercase)
    work = translator(context, arguments.model, arguments.beam)
    started = time.perf_counter()
    with progress_bar(total=len(pairs), unit="line") as bar:
        found = work.translate([english for english, _ in pairs], done=bar.update)
    result = score(bleu_of, found, [french for _, french in pairs], arguments.lowercase)
    result |= {"beam": work.beam, "seconds": round(time.perf_counter() - started, 2)}
    print(json.dumps(result) if arguments.json else _as_text(result))
    return 0


def score(bleu_of, found: list[str], references: list[str], lowercase: bool) -> dict:
    """Return BLEU with its signature, and the percentage of exact translations."""
    bleu = bleu_of.corpus_score(found, [references]).score
    same = str.lower if lowercase else str
    exact = sum(same(x) == same(y) for x, y in zip(found, references, strict=True))
    return {
        "bleu": round(bleu, 2),
        "signature": str(bleu_of.get_signature()),
        "exact_percent": round(100 * exact / len(found), 2),
        "exact": exact,
        "sentences": len(found),
    }


def _as_text(result):
    return (
        f"BLEU {result['bleu']:.2f}  ({result['signature']})\n"
        f"exact {result['exact_percent']:.2f} %  ({result['exact']} of {result['sentences']} sentences)\n"
        f"beam {result['beam']}, {result['seconds']:.1f} s"
    )


def _bleu(lowercase):
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise ImportError(
            'evaluate needs the library sacrebleu: pip install "attention-step-by-step[text]"'
        ) from error
    return BLEU(lowercase=lowercase)
