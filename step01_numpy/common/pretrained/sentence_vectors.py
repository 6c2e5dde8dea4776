"""Read how a sentence-transformers directory makes one vector of a sentence."""

import json
from pathlib import Path
from typing import NamedTuple

from step01_numpy.common.pretrained.config import read_json
from step01_numpy.common.support import checks

MODULES, MEAN = "modules.json", "pooling_mode_mean_tokens"


class Pooling(NamedTuple):
    """
    From rows to a vector: their mean.

    Attributes
    ----------
    directory : Path
        Where the model is.
    normalise : bool
        Whether the vector is brought to length 1.
    max_tokens : int or None
        Where sentences are cut, special tokens included.
    """

    directory: Path
    normalise: bool
    max_tokens: int | None


def read_pooling(directory: Path) -> Pooling | None:
    """
    Read modules.json and what it points to; None where there is none.

    Raises
    ------
    FileNotFoundError
        Naming the file that is missing.
    ValueError
        For a file at fault, a module other than Transformer, Pooling, Normalize in this order, and a pooling
        other than the mean.
    """
    path = directory / MODULES
    if not path.is_file():
        return None
    try:
        modules = [
            (x["type"].split(".")[-1], Path(x["path"])) for x in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no list of modules ({error!r})") from error
    kinds = [kind for kind, _ in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(
            f"{path} has the modules {', '.join(kinds)}; expected Transformer, Pooling, Normalize"
        )
    _check_mean(directory / modules[1][1] / "config.json")
    model = directory / modules[0][1]
    limit = read_json(model / "sentence_bert_config.json", default={}).get("max_seq_length")
    if limit is not None:
        checks.positive(f"{model / 'sentence_bert_config.json'}: max_seq_length", limit)
    return Pooling(model, "Normalize" in kinds, limit)


def _check_mean(path):
    about = read_json(path)
    modes = [name for name, value in about.items() if name.startswith("pooling_mode_") and value is True]
    mode = about.get("pooling_mode", "mean" if modes == [MEAN] else modes)
    if mode != "mean":
        raise ValueError(f"{path}: pooling is {mode}; expected the mean of the tokens")
