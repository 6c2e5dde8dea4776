"""`embed`: lines in, vectors out."""

import argparse
import io
import json
from pathlib import Path

import numpy as np

from step01_numpy.common.commands.context import Context, file_name, file_path, utf8_text
from step01_numpy.common.commands.lines import chunks
from step01_numpy.common.inference.embedding import Embedder
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.support.files import check_writable, write_atomically

HELP = """Give each line a vector: an encoder's rows pooled as its directory says, or their mean, of length 1.

The model is a directory, as sentence-transformers and BERT have it. Lines come from the arguments, or from
standard input (UTF-8) where there are none; an empty line has a vector too. Without --out and --json a
line's numbers are printed as one line.

examples:
  {program} embed --model DIRECTORY "They arrived late."
  {program} embed --model DIRECTORY --out vectors.npy < lines.txt
"""
LINES = 1024  # read before the first of them is embedded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("text", metavar="TEXT", type=utf8_text, nargs="*", help="a line")
    add_embedding_model(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--out",
        metavar="FILE",
        type=file_path,
        help="save the vectors there, (lines, d), in NumPy's .npy format",
    )
    form.add_argument("--json", action="store_true", help="print a JSON object for each line")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Embed, and print or save."""
    if arguments.out is not None:
        check_writable(arguments.out)
    work, saved = Embedder(context.backend, load_model(arguments.model, context.backend)), []
    for chunk in chunks(arguments.text, LINES):
        vectors = work.embed(chunk)
        if arguments.out is not None:
            saved.append(vectors)
        else:
            print("\n".join(_lines(chunk, vectors, arguments.json)), flush=True)
    if arguments.out is not None:
        save(arguments.out, np.concatenate([*saved, work.embed([])]))
    return 0


def add_embedding_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, which must be given: the model shipped in the package translates."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        type=file_name,
        required=True,
        help="a Hugging Face encoder: its directory, or its name on their Hub; or a checkpoint of ours",
    )


def save(path: Path, vectors: np.ndarray) -> None:
    """Write an array as a .npy file, whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, vectors)
    write_atomically(path, buffer.getvalue())


def _lines(texts, vectors, as_json):
    """Yield each vector in as many digits as tell its float32 numbers from all others."""
    for text, vector in zip(texts, vectors, strict=True):
        numbers = [str(x) for x in vector]
        if as_json:
            yield json.dumps({"text": text, "vector": [float(x) for x in numbers]}, ensure_ascii=False)
        else:
            yield " ".join(numbers)
