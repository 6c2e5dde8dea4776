"""`evaluate`: compare translations with their references, or count how well a text is predicted."""

import argparse
import json
import time
from itertools import zip_longest

import numpy as np

from step01_numpy.common.commands.context import (
    SHIPPED,
    Context,
    add_beam,
    add_json,
    add_model,
    build_model,
    file_name,
    progress_bar,
    translator,
)
from step01_numpy.common.inference.prediction import predict
from step01_numpy.common.pretrained.config import read_config
from step01_numpy.common.pretrained.hub import locate
from step01_numpy.common.text.as_typed import plain
from step01_numpy.common.text.parallel import splits_of
from step01_numpy.common.text.several import read_references
from step01_numpy.common.training.checkpoints import load
from step01_numpy.common.training.tasks import task_of

HELP = """Measure a model on a text: BLEU of a translator, nats per token of a language model.

A translator translates a split of a parallel corpus. BLEU and chrF come from sacrebleu, with the signatures
that say how they were computed; 100 is best. A translation is exact when it is a reference, character for
character. In a tab-separated file all translations of an English sentence are its references. Spaces,
apostrophes, quotation marks and dashes of every kind count as the one that a keyboard has.

A language model says each token of a text: a causal one the next, in windows as long as the model takes; a
masked one those hidden from it, 15 % as in training, the same ones every time. Nats per token are the mean of
-log p; perplexity is e to that power; accuracy is the share of tokens that were the most probable one.

examples:
  {program} evaluate --data embedded --split held_out
  {program} evaluate --model model.safetensors --data multi30k --split test_2016_flickr --lowercase --json
  {program} evaluate --model causal.safetensors --data book.txt
"""
TOKENS_PER_BATCH = 2500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model(parser)
    parser.add_argument(
        "--data",
        metavar="PATH",
        type=file_name,
        required=True,
        help="directory of line files (SPLIT.en, SPLIT.fr, plain or .gz), tab-separated file, or 'embedded'; "
        "for a language model: text file (plain or .gz), 'embedded' (its English side) or 'embedded-both'",
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        help="such as test, validation, held_out; needed for all data but a text file",
    )
    parser.add_argument("--lowercase", action="store_true", help="compare without regard to case")
    add_beam(parser)
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Measure, and print."""
    path = SHIPPED if arguments.model is None else locate(arguments.model)
    checkpoint = None if path.is_dir() else load(path)
    if checkpoint is None and read_config(path).config.family != "Transformer":
        raise ValueError(f"{path} holds a language model; of such, expected a checkpoint of ours")
    if checkpoint is None or task_of(checkpoint.config).translates:
        result, text = _translations(arguments, context)
    else:
        result, text = _predictions(arguments, context, path, checkpoint)
    print(json.dumps(result) if arguments.json else text)
    return 0


def _predictions(arguments, context, path, checkpoint) -> tuple[dict, str]:
    for name, given in (("--lowercase", arguments.lowercase), ("--beam", arguments.beam not in (None, 1))):
        if given:
            raise ValueError(f"{name} is given for a language model; expected it for a translator alone")
    task, longest = task_of(checkpoint.config), checkpoint.config.max_positions
    data = task.read(arguments.data, arguments.split)
    batches, _ = task.batches(
        data,
        checkpoint.tokenizer,
        longest,
        tokens_per_batch=max(TOKENS_PER_BATCH, longest),
        rng=np.random.default_rng(0),
    )
    model, started = build_model(context, path, checkpoint), time.perf_counter()
    with progress_bar(total=batches.batches_per_epoch, unit="batch") as bar:
        result = predict(context.backend, model, batches, done=bar.update)
    result |= {"task": task.name, "seconds": round(time.perf_counter() - started, 2)}
    text = "{nats_per_token:.4f} nats/token, perplexity {perplexity:.2f}, "
    text += "accuracy {accuracy_percent:.2f} %  ({tokens} tokens)\n{task}, {seconds:.1f} s"
    return result, text.format(**result)


def _translations(arguments, context) -> tuple[dict, str]:
    if arguments.split is None:
        splits = ", ".join(splits_of(arguments.data)) or "none with both languages"
        raise ValueError(f"--split is missing; expected one of {arguments.data}'s: {splits}")
    sources, references = read_references(arguments.data, arguments.split)
    metrics = metrics_of(arguments.lowercase)
    work = translator(context, arguments.model, arguments.beam)
    started = time.perf_counter()
    with progress_bar(total=len(sources), unit="line") as bar:
        found = work.translate(sources, done=bar.update)
    result = score(metrics, found, references, arguments.lowercase)
    result |= {"beam": work.beam, "seconds": round(time.perf_counter() - started, 2)}
    return result, _as_text(result)


def score(metrics: tuple, found: list[str], references: list[list[str]], lowercase: bool) -> dict:
    """Return BLEU and chrF with their signatures, and the percentage of exact translations."""
    found = [plain(x) for x in found]
    references = [[plain(x) for x in accepted] for accepted in references]
    streams = list(zip_longest(*references))  # as sacrebleu takes them: the first of each, the second, …
    bleu, chrf = metrics
    scores = [metric.corpus_score(found, streams).score for metric in metrics]
    same = str.lower if lowercase else str
    exact = sum(same(x) in map(same, accepted) for x, accepted in zip(found, references, strict=True))
    return {
        "bleu": round(scores[0], 2),
        "signature": str(bleu.get_signature()),
        "chrf": round(scores[1], 2),
        "chrf_signature": str(chrf.get_signature()),
        "exact_percent": round(100 * exact / len(found), 2),
        "exact": exact,
        "sentences": len(found),
        "references": sum(map(len, references)),
    }


def _as_text(result):
    return (
        f"BLEU {result['bleu']:.2f}  ({result['signature']})\n"
        f"chrF {result['chrf']:.2f}  ({result['chrf_signature']})\n"
        f"exact {result['exact_percent']:.2f} %  ({result['exact']} of {result['sentences']} sentences, "
        f"{result['references']} references)\n"
        f"beam {result['beam']}, {result['seconds']:.1f} s"
    )


def metrics_of(lowercase: bool) -> tuple:
    """Return sacrebleu's BLEU and chrF."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError as error:
        raise ImportError(
            'evaluate needs the library sacrebleu: pip install "attention-step-by-step[text]"'
        ) from error
    return BLEU(lowercase=lowercase), CHRF(lowercase=lowercase)
