"""The cells of a lesson: taken from its page, and run one after another in one namespace, without Sphinx."""

import ast
import contextlib
import io
import linecache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
LESSONS = sorted((ROOT / "docs/lessons").glob("[0-9]*.md"))


class Ran(NamedTuple):
    """What a cell printed, and the value of its last expression, or None."""

    printed: str
    value: object


def notebook(path: Path):
    """Open a page as a notebook."""
    import jupytext

    return jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")


def sources(path: Path) -> list[str]:
    """Return the code of a page's cells."""
    return [cell.source for cell in notebook(path).cells if cell.cell_type == "code"]


def run(source: str, space: dict, name: str) -> Ran:
    """
    Run a cell as a notebook does.

    Parameters
    ----------
    source : str
    space : dict
        The page's namespace: what earlier cells have defined, and where this one defines.
    name : str
        The cell's name in tracebacks.
    """
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # tracebacks show the cell
    body = ast.parse(source, name).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(ast.Module(body, []), name, "exec"), space)
        value = eval(compile(ast.Expression(last.value), name, "eval"), space) if last else None
    return Ran(printed.getvalue(), value)
