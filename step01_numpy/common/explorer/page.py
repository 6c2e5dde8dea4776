"""Write the explorer as one HTML file: style, script, a translator's tokenizer and its weights."""

import base64
import dataclasses
import sys
from functools import cache
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.display.page import embedded_json
from step01_numpy.common.explorer.bundle import bundle
from step01_numpy.common.support.json_text import parse
from step01_numpy.common.text.as_typed import PLAIN
from step01_numpy.common.text.seen import Seen
from step01_numpy.common.training.checkpoints import Checkpoint

HERE = Path(__file__).parent
LARGEST = 12_000_000  # bytes of the page
FREE = ("vocab_size", "d_model", "n_heads", "d_ff", "n_layers", "dropout", "max_positions", "norm_eps")


def page(checkpoint: Checkpoint) -> bytes:
    """
    Return the page.

    Parameters
    ----------
    checkpoint : Checkpoint
        A translator of the shape that the package ships, of any size that the page has room for.

    Raises
    ------
    ValueError
        For a model that the script does not know, or one that is too large.
    """
    check_known(checkpoint.config)
    for dtype in dtypes(checkpoint.state):
        weights = packed(checkpoint.state, dtype)
        text = Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
            style=(HERE / "style.css").read_text(encoding="utf-8"),
            script=bundle(),
            examples=escape((HERE / "examples.txt").read_text(encoding="utf-8")),
            data=embedded_json(about(checkpoint, dtype)),
            weights=weights,
        )
        if len(written := text.encode()) <= LARGEST:
            return written
    raise ValueError(f"the page would have {len(written)} bytes; expected at most {LARGEST}: a smaller model")


def check_known(config) -> None:
    """Refuse a model whose parts the script does not have."""
    if getattr(config, "family", None) != "Transformer":
        raise ValueError(f"model is a {config.family}; expected a Transformer that translates")
    for field in dataclasses.fields(ModelConfig):
        value = getattr(config, field.name)
        if field.name not in FREE and value != field.default:
            raise ValueError(f"{field.name} is {value!r}; the explorer knows {field.default!r} alone")


def dtypes(state: dict) -> list[type]:
    """Return how the weights may be stored, the most exact way first: as they are, or in 16 bits."""
    halves = all(x.dtype == np.float16 for x in state.values())
    fit = all(np.abs(x).max(initial=0) <= np.finfo(np.float16).max for x in state.values())
    return [np.float16] if halves else [np.float32, np.float16] if fit else [np.float32]


def packed(state: dict, dtype) -> str:
    """Return all weights in base64, in the order of their names, little-endian."""
    little = np.dtype(dtype).newbyteorder("<")
    return base64.b64encode(b"".join(state[name].astype(little).tobytes() for name in sorted(state))).decode()


def about(checkpoint: Checkpoint, dtype) -> dict:
    """Return what the script has to know besides the weights' numbers."""
    config, state = checkpoint.config, checkpoint.state
    return {
        "model": config.to_dict(),
        "arrays": [(name, state[name].shape) for name in sorted(state)],
        "halves": dtype is np.float16,
        "tokenizer": parse(checkpoint.tokenizer.to_json()),
        "seen": None if checkpoint.seen is None else known(checkpoint.seen),
    }


def known(seen: Seen) -> dict:
    """Return what was seen in training, and the characters that Python reads unlike JavaScript."""
    return {
        "counts": seen.counts,
        "longest": seen.longest,
        "folds": folds(),
        "plain": {x: plain for plain, found in PLAIN.items() for x in found},
    }


@cache
def folds() -> dict[str, str]:
    """Return the characters whose case folds to something else than their lower case, and to what."""
    every = map(chr, range(sys.maxunicode + 1))
    return {x: x.casefold() for x in every if x.casefold() != x.lower()}
