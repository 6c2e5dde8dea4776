"""Read a Hugging Face config.json as a `ModelConfig`."""

from pathlib import Path
from typing import NamedTuple

from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.pretrained.families import NO_HEAD, TABLE
from step01_numpy.common.pretrained.fields import Family
from step01_numpy.common.pretrained.known_fields import CONFIG, GENERATION, Known
from step01_numpy.common.pretrained.weight_files import holdings
from step01_numpy.common.support.json_text import parse


class Description(NamedTuple):
    """What a model's directory says of it: its `model_type`, our configuration, how to generate with it."""

    model_type: str
    config: ModelConfig
    generation: dict  # of generation_config.json, or where there is none of config.json
    tokenizer_class: str | None = None


def read_config(directory: Path, *, headless: bool = False) -> Description:
    """
    Read config.json, and generation_config.json if there is one.

    Parameters
    ----------
    directory : Path
    headless : bool
        Whether only the hidden rows are wanted, whatever head the file has.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    ValueError
        Naming the model type or the field that our models cannot honour, what was expected, and what came.
    """
    path = directory / "config.json"
    if not path.is_file() and (others := holdings(directory)):
        raise FileNotFoundError(f"{directory} has no {path.name}; expected the directory of a model{others}")
    theirs = read_json(path)
    model_type = theirs.get("model_type")
    if model_type not in list(TABLE):
        raise ValueError(f"{path}: model_type is {model_type!r}; supported are {', '.join(TABLE)}")
    known_to(TABLE[model_type]).check(path, theirs)
    try:
        config = ModelConfig(**fields(theirs, headless=headless))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error
    generation = read_generation(directory, theirs, config)
    return Description(model_type, config, generation, theirs.get("tokenizer_class"))


def known_to(family: Family) -> Known:
    """Return the lists of config.json's fields; how to generate is read, where it stands there, by itself."""
    elsewhere = frozenset(GENERATION.honoured) | GENERATION.used | GENERATION.ignored
    own = Known(family.used, family.ignored, family.honoured)
    return Known(ignored=elsewhere) | CONFIG | own


def read_generation(directory: Path, theirs: dict, config: ModelConfig) -> dict:
    """Read how to generate: of generation_config.json alone, or else of config.json, which is given."""
    path = directory / "generation_config.json"
    found = read_json(path, default={})
    if not path.is_file():
        path, found = directory / "config.json", {name: x for name, x in theirs.items() if name in GENERATION}
    if config.architecture != "encoder" and config.head != "none":
        GENERATION.check(path, found)
    return {name: x for name, x in found.items() if x is not None}


def fields(theirs: dict, *, headless: bool = False) -> dict:
    """
    Return the fields of `ModelConfig` that say what a config.json says.

    Parameters
    ----------
    theirs : dict
        Its content, of a `model_type` in the table.
    headless : bool
    """
    family = TABLE[theirs["model_type"]]
    found = {name: look_up(theirs) for name, look_up in family.fields.items()}
    return found | family.constants | (NO_HEAD if headless else _head(theirs, family))


def _head(theirs: dict, family: Family) -> dict:
    for architecture in theirs.get("architectures") or [None]:
        if architecture in family.heads:
            return family.heads[architecture]
    known = ", ".join(name for name in family.heads if name is not None)
    raise ValueError(f"architectures is {theirs['architectures']}; expected one of {known}")


def read_json(path: Path, *, default: dict | None = None) -> dict:
    """Read a file that holds one JSON object; where it is missing return the default, if there is one."""
    if not path.is_file() and default is not None:
        return default
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} has no {path.name}; expected the directory of a model")
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected an object")
    return content
