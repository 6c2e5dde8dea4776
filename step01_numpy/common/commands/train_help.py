"""What `train --help` says about the models and the fields of a `--config` file, read from the code."""

import dataclasses
import json
import textwrap

from step01_numpy.common.configuration.model import ACTIVATIONS, HEADS, NORMS, POSITIONS
from step01_numpy.common.training.configuration import SCHEDULES, TokenizerConfig, TrainingConfig
from step01_numpy.common.training.tasks import RECURRENT, TASKS, TRANSFORMER, Task

CHOICES = {
    "positions": POSITIONS,
    "norm": NORMS,
    "activation": ACTIVATIONS,
    "head": HEADS,
    "schedule": SCHEDULES,
}
WIDTH = 108


def models() -> str:
    """Return a line for each model."""
    return "\n".join(f"  {name:12} {task.about}" for name, task in TASKS.items())


def defaults() -> str:
    """Return the defaults of all fields as JSON, what they may be, and which tasks have other ones."""
    parts = {
        "task": TRANSFORMER.name,
        "model": _fields_of_model(TRANSFORMER),
        "training": TrainingConfig().to_dict(),
        "tokenizer": TokenizerConfig().to_dict(),
    }
    lines = [_wrapped(f'"{name}": {json.dumps(x)},', "   ") for name, x in parts.items()]
    text = "  {" + "\n".join(lines).strip(" ,") + "}"
    text += "\n" + "\n".join(f"{name}: {', '.join(values)}" for name, values in CHOICES.items())
    text += "\nmodels with other fields or other defaults:\n"
    text += _wrapped(f"{RECURRENT.name} {json.dumps({'model': _fields_of_model(RECURRENT)})}", "  ")
    for task in TASKS.values():
        if task.model:
            changed = {"model": task.model, "training": task.training}
            text += "\n" + _wrapped(f"{task.name} {json.dumps(changed)}", "  ")
    return text


def _fields_of_model(task: Task) -> dict:
    """Return the fields that a configuration may set, with their defaults."""
    fields: tuple = dataclasses.fields(task.configuration)
    return {x.name: x.default for x in fields if x.name not in ("vocab_size", *task.fixed)}


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
