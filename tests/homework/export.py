"""`export`: write a folder for students: the blanked files, a handout, and a check that knows no solution."""

import io
import json
from pathlib import Path

import numpy as np

from tests.homework import choice, judge, torch_sandbox
from tests.homework.answers import Question, answer, questions
from tests.homework.blank import ROOT, starter
from tests.homework.check import prints, shapes
from tests.homework.courses import VERSION
from tests.homework.encode import Encoder
from tests.homework.folder import write_folder
from tests.homework.handout import handout
from tests.homework.kernels.starter import starter as kernels_starter
from tests.homework.mistakes import wrong_answers
from tests.homework.task import Task

NAME, HELP = "export", "write a folder for students: files without their bodies, a handout and a check"
FEEDBACK = ("names", "cases", "points")
TORCH = ("tensors", "forbidden")  # of the child, what the check of tasks in PyTorch takes
SEED = 1  # of what students check themselves with; what they are graded with has another


def add_arguments(parser):
    """Take the tasks or a course, the folder, and what students are told."""
    choice.add_arguments(parser)
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="the folder to write; it must not be there"
    )
    parser.add_argument("--notes", action="store_true", help="leave the formulas in the docstrings")
    parser.add_argument(
        "--feedback", choices=FEEDBACK, default="names", help="what the check says of mistakes (names)"
    )


def run(arguments):
    """Write the folder and say what is in it."""
    tasks = choice.chosen(arguments.tasks, arguments.course)
    export(tasks, arguments.out, notes=arguments.notes, feedback=arguments.feedback)
    print(f"{arguments.out}: {len(tasks)} tasks; HANDOUT.md says what to do, check.py how far it is done")


def export(tasks: list[Task], out: str | Path, *, notes: bool = False, feedback: str = "names") -> None:
    """
    Write a folder for students, whole or not at all.

    Parameters
    ----------
    tasks : list of Task
    out : str or Path
        A folder that is not there yet.
    notes : bool
        Whether the formulas stay in the docstrings.
    feedback : str
        "names": the check names mistakes; "cases": it says which cases are wrong; "points": neither.
    """
    write_folder(out, lambda: files(tasks, notes=notes, feedback=feedback))


def files(tasks: list[Task], *, notes: bool = False, feedback: str = "names") -> dict[str, bytes]:
    """Return what `export` writes, by path."""
    if any(task.stage == 2 for task in tasks):
        torch_sandbox.folder()  # or says that there is none
    asked = {task.name: questions(task, SEED) for task in tasks}
    names = {"tasks": [task.name for task in tasks], "seed": SEED, "version": VERSION, "feedback": feedback}
    texts = {
        **starter([x for x in tasks if x.stage < 3], notes=notes),
        **kernels_starter([x for x in tasks if x.stage == 3], notes=notes),
        "HANDOUT.md": handout(tasks, asked),
        "check.py": (ROOT / "tests/homework/check.py").read_text("utf-8"),
        "tasks.json": json.dumps(names, indent=2) + "\n",
    }
    if any(task.stage == 2 for task in tasks):
        texts |= {f"check_{x}.py": (ROOT / f"tests/homework/child/{x}.py").read_text("utf-8") for x in TORCH}
    data = {name: text.encode() for name, text in texts.items()}
    return {**data, "check.npz": check_data(tasks, asked, feedback)}


def check_data(tasks: list[Task], asked: dict[str, list[Question]], feedback: str = "names") -> bytes:
    """Return the data of `check.py`: inputs, and the sums by which right and wrong answers are known."""
    encode = Encoder()
    rows = [_row(task, asked[task.name], encode, feedback) for task in tasks]
    index = json.dumps({"feedback": feedback, "tasks": rows}).encode()
    arrays = {f"a{i}": x for i, x in enumerate(encode.arrays)}
    file = io.BytesIO()
    np.savez_compressed(file, index=np.frombuffer(index, np.uint8), **arrays)
    return file.getvalue()


def _row(task, asked, encode, feedback):
    """Describe a task for `check.py`."""
    kernels = ("unit", "names", "stub") if task.stage == 3 else ()
    row = {x: getattr(task, x) for x in ("name", "package", "points", "uses", "state", "forbids", *kernels)}
    return {
        **row,
        "cases": [_case(task, question, encode) for question in asked],
        "mistakes": _mistakes(task, asked) if feedback == "names" else [],
    }


def _case(task, question, encode):
    case, right = question.case, answer(task, question)
    more = {"names": judge.ways(task).names(task, question)} if task.stage == 2 else {}
    return {
        **more,
        "name": case.name,
        "target": task.target_of(case),
        "first": case.first,
        "object": encode(question.built),
        "calls": [[encode(tuple(args)), encode(dict(options))] for args, options in case.all_calls],
        "right": prints(right),
        "shapes": shapes(right),
    }


def _mistakes(task, asked):
    """Describe each mistake by the sums of its answers."""
    found = []
    for mutant, answers in wrong_answers(task, asked).items():
        known = {name: prints(x) for name, x in answers.items() if not isinstance(x, type)}
        found += [{"says": mutant.says, "cases": known}] * bool(known)
    return found
