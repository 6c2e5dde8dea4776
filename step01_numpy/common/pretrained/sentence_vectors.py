"""Read how a sentence-transformers directory makes one vector of a sentence."""

from pathlib import Path
from typing import NamedTuple

from step01_numpy.common.pretrained.config import read_json
from step01_numpy.common.pretrained.known_fields import MODULE, POOLING, SENTENCE_MODEL, SENTENCES
from step01_numpy.common.support import checks
from step01_numpy.common.support.json_text import parse

MODULES = "modules.json"
MODES = ("mean", "cls", "max")
LEGACY = "pooling_mode_"  # one field a mode, each true or false: pooling_mode_mean_tokens …
ROLES = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}  # prompts are looked for in this order


class Pooling(NamedTuple):
    """
    From rows to a vector.

    Attributes
    ----------
    directory : Path
        Where the model is.
    normalise : bool
        Whether the vector is brought to length 1.
    max_tokens : int or None
        Where sentences are cut, special tokens included; None leaves it to the tokenizer.
    mode : "mean", "cls" or "max"
        As of `embed`.
    lower : bool
        Whether sentences are made lower case first.
    prompts : dict
        What is put before sentences, by name.
    default_prompt : str or None
        The name of the one where nothing else is asked for.
    similarity : str or None
        How vectors are compared.
    """

    directory: Path
    normalise: bool
    max_tokens: int | None
    mode: str = "mean"
    lower: bool = False
    prompts: dict[str, str] = {}  # noqa: RUF012  (never changed)
    default_prompt: str | None = None
    similarity: str | None = None

    def prompt(self, role: str | None = None) -> str:
        """Return what is put before a sentence: of a query, of a document, or of any."""
        names = (*ROLES.get(role, ()), self.default_prompt)
        return next((self.prompts[name] for name in names if name in self.prompts), "")


def read_pooling(directory: Path) -> Pooling | None:
    """
    Read modules.json and what it points to; None where there is none.

    Raises
    ------
    FileNotFoundError
        Naming the file that is missing.
    ValueError
        For a file at fault, a module other than Transformer, Pooling, Normalize in this order, and a pooling
        of another kind.
    """
    path = directory / MODULES
    if not path.is_file():
        return None
    try:
        content = parse(path.read_text(encoding="utf-8"))
        modules = [(x["type"].split(".")[-1], x["path"]) for x in content]
        places = [directory / place for _, place in modules]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no list of modules ({error!r})") from error
    for module in content:
        MODULE.check(path, module)
    kinds = [kind for kind, _ in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(
            f"{path} has the modules {', '.join(kinds)}; expected Transformer, Pooling, Normalize"
        )
    mode, with_prompt = _mode(places[1] / "config.json")
    found = _of_model(places[0])._replace(mode=mode, normalise="Normalize" in kinds)
    found = _with_prompts(found, directory / "config_sentence_transformers.json")
    if any(found.prompts.values()) and not with_prompt:
        raise ValueError(f"{places[1]}: include_prompt is false; expected true, where there are prompts")
    return found


def _of_model(place):
    path = next(iter(sorted(place.glob("sentence_*_config.json"))), place / "sentence_bert_config.json")
    about = SENTENCE_MODEL.check(path, read_json(path, default={}))
    limit, lower = about.get("max_seq_length"), about.get("do_lower_case", False)
    if limit is not None:
        checks.positive(f"{path}: max_seq_length", limit)
    checks.is_bool(f"{path}: do_lower_case", lower)
    return Pooling(place, normalise=False, max_tokens=limit, lower=lower)


def _mode(path):
    about = POOLING.check(path, read_json(path))
    flags = {
        name.removeprefix(LEGACY).split("_")[0]: x for name, x in about.items() if name.startswith(LEGACY)
    }
    if "pooling_mode_mean_sqrt_len_tokens" in about:  # another mean
        flags |= {
            "mean": about.get("pooling_mode_mean_tokens"),
            "sqrt": about["pooling_mode_mean_sqrt_len_tokens"],
        }
    modes = about.get("pooling_mode", [mode for mode, given in flags.items() if given] or ["mean"])
    modes = [modes] if isinstance(modes, str) else modes
    if len(modes) != 1 or modes[0] not in MODES:
        raise ValueError(
            f"{path}: pooling is {', '.join(map(str, modes))}; expected one of {', '.join(MODES)}"
        )
    return modes[0], about.get("include_prompt", True)


def _with_prompts(pooling, path):
    about = SENTENCES.check(path, read_json(path, default={}))
    prompts, name = about.get("prompts") or {}, about.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(x, str) for x in prompts.values()):
        raise ValueError(f"{path}: prompts is {prompts!r}; expected texts by name")
    if name is not None and name not in prompts:
        raise ValueError(f"{path}: default_prompt_name is {name!r}; expected one of {', '.join(prompts)}")
    return pooling._replace(prompts=prompts, default_prompt=name, similarity=about.get("similarity_fn_name"))
