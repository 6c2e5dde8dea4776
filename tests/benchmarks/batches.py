"""What grading takes: a submission of every task of each stage, and a batch of stage 1 by two processes."""

import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.timing import Result
from tests.homework import batch
from tests.homework.batch_command import grade_by_name
from tests.homework.blank import ROOT
from tests.homework.table import TASKS

SUBMISSIONS, PROMISED = 6, 600.0  # graded here; seconds for 100
ALONE = {1: ("step01_numpy", 15.0), 2: ("step02_torch", 30.0), 3: ("step03_gpu/kernels", 90.0)}  # s


def run() -> list[Result]:
    """Grade one submission of each stage, the project's own files, and then a batch."""
    return [*(alone(stage, *x) for stage, x in ALONE.items()), in_a_batch()]


def alone(stage: int, folder: str, promised: float) -> Result:
    """Grade all tasks of a stage by the command."""
    names = ",".join(x.name for x in TASKS.values() if x.stage == stage)
    start = time.monotonic()
    command = [sys.executable, "-m", "tests.homework", "grade", folder, "--tasks", names, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, found = time.monotonic() - start, json.loads(done.stdout)
    assert found["score"] == found["max_score"]
    return Result(f"a submission of stage {stage}", "s", seconds, None, promised)


def in_a_batch() -> Result:
    """Grade right submissions and wrong ones in turn, and say how long 100 of them would take."""
    tasks = [x for x in TASKS.values() if x.stage == 1]
    grade = partial(grade_by_name, names=[x.name for x in tasks], seed=0, feedback="names")
    with TemporaryDirectory() as folder:
        for number in range(SUBMISSIONS):
            hand_in(Path(folder) / "all" / str(number), tasks, wrong=number % 2 == 1)
        start = time.monotonic()
        found = batch.grade_all(Path(folder) / "all", grade, {}, Path(folder) / "state")
        seconds = time.monotonic() - start
    assert all(x["result"] for x in found["submissions"])
    assert found["submissions"][0]["result"]["score"] == found["submissions"][0]["result"]["max_score"]
    return Result("100 submissions of stage 1, in a batch", "s", 100 * seconds / SUBMISSIONS, None, PROMISED)


def hand_in(folder: Path, tasks, *, wrong: bool) -> None:
    """Hand in the solution's files, or those in which no score is scaled and softmax overflows."""
    for name in {module for task in tasks for module in task.modules}:
        path = folder / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "step01_numpy" / f"{name.replace('.', '/')}.py", path)
    for sample in (ROOT / "tests/homework/samples/mistaken").glob("*.py") if wrong else ():
        if sample.name in ("softmax.py", "attention.py"):
            shutil.copy(sample, folder)
