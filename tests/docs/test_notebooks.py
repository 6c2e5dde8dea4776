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


@pytest.mark.proof
@each_page
def test_it_runs_from_top_to_bottom(path, tmp_path):
    """In a fresh process, in another folder, with the package and nothing else of the repository."""
    code = "\n".join(x.source for x in as_notebook(path).cells if x.cell_type == "code")
    (tmp_path / "lesson.py").write_text(code, encoding="utf-8")
    for stage in ("step01_numpy", "step02_torch", "step03_gpu"):
        (tmp_path / stage).symlink_to(ROOT / stage)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import lesson"
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
