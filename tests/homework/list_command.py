"""`list`: the tasks that can be handed out."""

import json

import numpy as np

from tests.homework.table import TASKS

NAME, HELP = "list", "print the tasks that can be handed out"


def add_arguments(parser):
    """Take --json."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments):
    """Print a line a task."""
    rows = [row(task) for task in TASKS.values()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for x in rows:
        print(f"stage {x['stage']}  {x['name']:24} {x['points']:3} points  {', '.join(x['targets'])}")


def row(task):
    """Return what is listed of a task."""
    points = task.points * len(task.cases(np.random.default_rng(0)))
    return {"name": task.name, "stage": task.stage, "points": points, "targets": list(task.targets)}
