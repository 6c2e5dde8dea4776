"""The tables, the figure and the code of docs/kernels.md are what they say."""

import re

import pytest

from docs._ext.cells import ROOT
from step03_gpu.count.cases import cases, counted
from step03_gpu.count.figure import draw
from step03_gpu.count.table import as_text


@pytest.mark.proof
@pytest.mark.parametrize("backward", [False, True])
def test_tables_and_figure(tmp_path, backward):
    found = [(case, counted(case)) for case in cases(None, 8192, 128, backward=backward)]
    rows = [line for line in as_text(found).splitlines() if line.startswith("|")]
    page = (ROOT / "docs/kernels.md").read_text()
    assert "\n".join(rows) in page
    if not backward:
        pytest.importorskip("matplotlib", reason="matplotlib draws the figure (extra viz)")
        draw(found, tmp_path / "roofline.svg")
        assert (tmp_path / "roofline.svg").read_text() == (ROOT / "docs/roofline.svg").read_text()


@pytest.mark.proof
def test_kernels_on_the_page():
    """The kernel of one's own runs, its threads do not race, and its counts are as asserted."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/kernels.md").read_text(), re.DOTALL)
    names = {}
    for block in blocks:
        if "RawModule(" in block or "count(" in block:
            exec(block, names)
    assert {"kernel", "found"} <= set(names)
