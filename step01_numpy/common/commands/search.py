"""`search`: the documents that are nearest to a query."""

import argparse
import json
from pathlib import Path

from step01_numpy.common.commands.context import Context, add_json, file_path, positive_integer, utf8_text
from step01_numpy.common.commands.embed import add_embedding_model
from step01_numpy.common.inference.embedding import Embedder, cosines, ranking
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.pretrained.sentence_vectors import Pooling
from step01_numpy.common.text.parallel import read_lines

HELP = """Rank documents by how near their vectors are to that of a query, as a retrieval system does.

Nearness is the cosine of the angle between the vectors. Documents are the lines of a UTF-8 file; blank ones
are passed over.

examples:
  {program} search --model DIRECTORY --documents lines.txt "Who came late?"
  {program} search --model DIRECTORY --documents lines.txt --top 3 --json "Who came late?"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("query", metavar="QUERY", type=utf8_text, help="what is searched for")
    add_embedding_model(parser)
    parser.add_argument(
        "--documents", metavar="FILE", type=file_path, required=True, help="the documents, one a line"
    )
    parser.add_argument(
        "--top", metavar="N", type=positive_integer, default=10, help="documents to show (default: 10)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Search, and print the nearest documents with their cosines, the nearest first."""
    documents = read_documents(arguments.documents)
    opened = load_model(arguments.model, context.backend)
    check_similarity(opened.pooling)
    work = Embedder(context.backend, opened)
    vectors, (query,) = work.embed([*documents.values()], "document"), work.embed([arguments.query], "query")
    scores, numbers = cosines(query, vectors), list(documents)
    found = [
        {"cosine": round(float(scores[i]), 6), "line": numbers[i], "text": documents[numbers[i]]}
        for i in ranking(scores)[: arguments.top]
    ]
    if arguments.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print("\n".join(f"{x['cosine']:7.4f}  {x['text']}" for x in found))
    return 0


def check_similarity(pooling: Pooling | None) -> None:
    """Refuse a model whose vectors are to be compared otherwise than by their angle."""
    name = None if pooling is None else pooling.similarity
    if name not in (None, "cosine") and not (name in ("dot", "dot_score") and pooling.normalise):
        raise ValueError(
            f"{pooling.directory}: similarity_fn_name is {name!r}; expected 'cosine', by which documents are "
            "ranked"
        )


def read_documents(path: Path) -> dict[int, str]:
    """
    Read the documents by their line numbers, from 1.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not UTF-8, naming the line, or holds no document.
    """
    documents = {i: line.strip() for i, line in enumerate(read_lines(path), 1) if line.strip()}
    if not documents:
        raise ValueError(f"{path} has blank lines only; expected documents, one a line")
    return documents
