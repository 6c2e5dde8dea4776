"""Every lesson is a notebook: it opens as one, and the one that the site offers runs from top to bottom."""

import os
import re
import subprocess
import sys

import pytest

from docs._ext.cells import LESSONS, ROOT
from docs._ext.notebooks import as_notebook

each_page = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@each_page
def test_it_opens_as_a_notebook(path):
    import jupytext
    import nbformat

    opened = jupytext.read(path)
    assert opened.metadata["kernelspec"]["language"] == "python"
    assert [x for x in opened.cells if x.cell_type == "code"]
    offered = nbformat.reads(jupytext.writes(as_notebook(path), fmt="ipynb"), as_version=4)
    nbformat.validate(offered)
    text = "\n".join(x.source for x in offered.cells if x.cell_type == "markdown")
    assert not re.search(r"^```\{", text, re.M), "a directive that only the site knows"
    assert not re.search(r"\]\((?!https?:)[^)]*\.md", text), "a link to a page that lies elsewhere"
    assert "Found by `tests/" in text


# Imports what others have written, once, and forks a process for each lesson, whose folder is asked for.
FRESH = """
import gc, os, sys, traceback
import jaxtyping, matplotlib.figure, numpy, threadpoolctl, torch
gc.freeze()
for folder in map(str.strip, sys.stdin):
    child, code = os.fork(), 1
    if child == 0:
        said = os.open(f"{folder}/said", os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 1), os.dup2(said, 2), os.chdir(f"{folder}/..")
        sys.path.insert(0, folder)
        try:
            import lesson
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush(), os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def fresh():
    """Run a lesson in a process that has nothing of the repository, in another folder; return its code."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-P", "-c", FRESH], cwd="/", env=environment, **pipes) as process:

        def run(folder):
            print(folder, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.mark.proof
@each_page
def test_it_runs_from_top_to_bottom(fresh, path, tmp_path):
    """With the package and nothing else of the repository."""
    code = "\n".join(x.source for x in as_notebook(path).cells if x.cell_type == "code")
    (tmp_path / "lesson.py").write_text(code, encoding="utf-8")
    for stage in ("step01_numpy", "step02_torch", "step03_gpu"):
        (tmp_path / stage).symlink_to(ROOT / stage)
    assert fresh(tmp_path) == 0, (tmp_path / "said").read_text()
