"""Each lesson as a notebook: what only the site can do is written out, so that any Jupyter shows it."""

import re
from pathlib import Path

from docs._ext import mistakes, objects
from docs._ext.cells import LESSONS, notebook

STAGES = re.compile(r"^```\{stages\} (\S+)\n(?::stages: (.+)\n)?(:body:\n)?```$", re.M)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#\s]+?)(\.md)?(#[^)\s]*)?\)")


def as_notebook(path: Path):
    """Return a lesson as a notebook, its directives in plain Markdown, its solutions folded."""
    book = notebook(path)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            text = STAGES.sub(_stages, cell.source)
            text = mistakes.FENCE.sub(_breaks, text)
            cell.source = LINK.sub(_link, text)
        elif {"hide-input", "solution"} & set(cell.metadata.get("tags", ())):
            cell.metadata["jupyter"] = {"source_hidden": True}
    return book


def write_notebooks(app, error):
    """Write every lesson's notebook beside its page."""
    import jupytext

    if error is None and app.builder.name == "html":
        for path in LESSONS:
            target = Path(app.outdir) / "lessons" / f"{path.stem}.ipynb"
            target.write_text(jupytext.writes(as_notebook(path), fmt="ipynb"), encoding="utf-8")


def _stages(match):
    stages = (match[2] or "step01_numpy step02_torch").split()
    cuts = [objects.cut(stage, match[1], bool(match[3])) for stage in stages]
    shown = (f"`{x.path.relative_to(objects.ROOT)}`:\n\n```python\n{x.code}\n```" for x in cuts)
    return "\n\n".join(shown)


def _breaks(match):
    mistake = mistakes.parse(match[1], match[2])
    file, before, after = mistakes.changed_lines(mistake)
    lines = [f"- {x}" for x in before.splitlines()] + [f"+ {x}" for x in after.splitlines()]
    shown = f"**{mistake.name}**, in `{file}`:\n\n```diff\n" + "\n".join(lines) + "\n```\n"
    rows = (f"| `{row.expression}` | {row.right} | {row.wrong} |\n" for row in mistake.rows)
    shown += "\n| | right | with the mistake |\n| --- | --- | --- |\n" + "".join(rows)
    return f"{shown}\nFound by `{mistakes.mutant(mistake.name).killer}`."


def _link(match):
    """Lead from notebook to notebook; what else a page leads to stands as text."""
    target = Path(match[2]).name
    return f"[{match[1]}]({target}.ipynb)" if match[3] and target[:1].isdigit() else match[1]


def offer(app, page, template, context, doctree):
    """Tell the template of a lesson which notebook is its own."""
    name = page.removeprefix("lessons/")
    context["notebook"] = f"{name}.ipynb" if any(path.stem == name for path in LESSONS) else None


def setup(app):
    app.connect("html-page-context", offer)
    app.connect("build-finished", write_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
