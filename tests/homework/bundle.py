"""The archives with which platforms grade: our code without the weights, the tasks, how it is started."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from string import Template

from tests.homework.blank import ROOT
from tests.homework.grade import project_version
from tests.homework.task import Task

TEMPLATES = Path(__file__).parent / "templates"
TEXTS = {".py", ".cu", ".cuh", ".h", ".json"}  # what code is made of; shipped weights are none of it
REQUIREMENTS = ("numpy", "jaxtyping", "threadpoolctl", "pytest")
PROGRAM = 0o755
COMPILER = (
    "RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*"
)
LARGEST = 10 << 20  # bytes: classroom50 takes no more
Entries = dict[str, tuple[bytes, int]]  # by its path in the archive, what a file holds and its mode


def project(tasks: Iterable[Task], seed: int, feedback: str) -> Entries:
    """
    Return the files of the project that grade these tasks, below `project/`.

    Parameters
    ----------
    tasks : iterable of Task
    seed : int
        Of the cases that all submissions get.
    feedback : str
        "names", "cases" or "points".
    """
    tasks = list(tasks)
    folders = [f"step0{n}_{name}" for n, name in enumerate(("numpy", "torch", "gpu"), 1)] + ["tests"]
    paths = [x for folder in folders for x in sorted((ROOT / folder).rglob("*")) if _wanted(x)]
    found = {str(x.relative_to(ROOT)): x.read_bytes() for x in paths}
    named = ",".join(x.name for x in tasks)
    arguments = ["--tasks", named, "--seed", str(seed), "--feedback", feedback]
    requirements = [*REQUIREMENTS, *(["torch"] if any(x.stage == 2 for x in tasks) else [])]
    version = project_version()
    found |= {
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "constraints.txt": (ROOT / "constraints.txt").read_bytes(),
        "requirements.txt": _lines(requirements),
        "arguments.txt": _lines(arguments),
        f"attention_step_by_step-{version}.dist-info/METADATA": _lines(
            ["Metadata-Version: 2.1", "Name: attention-step-by-step", f"Version: {version}"]
        ),
    }
    return {f"project/{name}": (data, 0o644) for name, data in found.items()}


def _wanted(path: Path) -> bool:
    """Whether a file is part of the grader: code, and what it fills in, but no tests and no samples."""
    inside = path.relative_to(ROOT)
    apart = {"__pycache__", "samples", "fuzz", "benchmarks"} & set(inside.parts)
    text = path.suffix in TEXTS or "templates" in inside.parts
    return path.is_file() and text and not apart and not path.name.startswith("test_")


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{x}\n" for x in lines).encode()


def gradescope(tasks: list[Task], seed: int, feedback: str) -> Entries:
    """Return Gradescope's archive: setup.sh and run_autograder at its root, and what they start."""
    programs = {name: _template("gradescope", name) for name in ("setup.sh", "run_autograder")}
    needs = {"packages.txt": (_lines(["g++"]), 0o644)} if any(x.stage == 3 for x in tasks) else {}
    return programs | needs | project(tasks, seed, feedback)


def classroom50(tasks: list[Task], seed: int, feedback: str) -> Entries:
    """Return what goes to CLASSROOM/autograders/ASSIGNMENT of a classroom50 repository."""
    return {"autograder.py": _template("classroom50", "autograder.py", 0o644)} | project(
        tasks, seed, feedback
    )


def prairielearn(tasks: list[Task], seed: int, feedback: str) -> Entries:
    """Return what goes to a PrairieLearn course: the grader, the recipe of its image, and a question."""
    grader, question = "serverFilesCourse/attention_homework", "questions/attention_homework"
    files = ",".join(dict.fromkeys(name for task in tasks for name in task.files))
    page = Template((TEMPLATES / "prairielearn" / "question.html").read_text("utf-8")).substitute(files=files)
    compiler = _lines([COMPILER] if any(x.stage == 3 for x in tasks) else [])
    entries = {f"{grader}/{name}": x for name, x in project(tasks, seed, feedback).items()}
    return entries | {
        f"{grader}/run.sh": _template("prairielearn", "run.sh"),
        f"{grader}/Dockerfile": (_template("prairielearn", "Dockerfile")[0] + compiler, 0o644),
        f"{question}/question.html": (page.encode(), 0o644),
        f"{question}/info.json": (json.dumps(INFO, indent=4).encode() + b"\n", 0o644),
    }


INFO = {
    "uuid": "3f6c0d6e-5b0e-4f7c-9a53-2f1f6f1f8a17",
    "title": "Attention, step by step",
    "topic": "Attention",
    "type": "v3",
    "gradingMethod": "External",
    "externalGradingOptions": {
        "enabled": True,
        "image": "YOUR-REGISTRY/attention-homework",
        "serverFilesCourse": ["attention_homework/"],
        "entrypoint": "/grade/serverFilesCourse/attention_homework/run.sh",
        "timeout": 300,
    },
}


def _template(platform: str, name: str, mode: int = PROGRAM) -> tuple[bytes, int]:
    return (TEMPLATES / platform / name).read_bytes(), mode


PLATFORMS = {"gradescope": gradescope, "classroom50": classroom50, "prairielearn": prairielearn}


def archive(entries: Entries, name: str) -> bytes:
    """
    Return an archive; the same entries give the same bytes, whenever and by whomever it is made.

    Parameters
    ----------
    entries : dict
    name : str
        Ends in .zip or .tar.gz, which says what is made.
    """
    if name.endswith(".zip"):
        return _zip(entries)
    if name.endswith(".tar.gz"):
        return _tar(entries)
    raise ValueError(f"--out is {name!r}; expected a name that ends in .zip or .tar.gz")


def _zip(entries: Entries) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, (data, mode) in sorted(entries.items()):
            about = zipfile.ZipInfo(name)
            about.external_attr, about.create_system = (0o100000 | mode) << 16, 3  # a regular file of Unix
            about.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(about, data)
    return file.getvalue()


def _tar(entries: Entries) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, (data, mode) in sorted(entries.items()):
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(data), mode
            made.addfile(about, io.BytesIO(data))
    return gzip.compress(file.getvalue(), mtime=0)
