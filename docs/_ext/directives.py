"""Sphinx's side of a lesson: cells that run in the build, the stages side by side, what breaks if."""

from html import escape
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective

from docs._ext import mistakes, objects
from docs._ext.cells import run

SUMMARY = {"hide-input": "The code of this picture", "solution": "Solution"}


class CodeCell(SphinxDirective):
    """
    A cell of a notebook: it runs where it stands, and an error in it fails the build.

    Its tags: `hide-input` folds the code, `solution` folds code and result.
    """

    has_content, optional_arguments = True, 1
    option_spec: ClassVar = {"tags": directives.unchanged}

    def run(self):
        space = self.env.temp_data.setdefault("cells", {"__name__": "__main__"})
        source = "\n".join(self.content)
        place = f"{self.get_source_info()[0]}:{self.content_offset + 1}"
        try:
            ran = run(source, space, place)
        except Exception as error:
            raise self.severe(f"the cell fails: {type(error).__name__}: {error}") from error
        tags = (self.options.get("tags") or "").strip("[] ").split(", ")
        code = [literal(source, "python", "cell")]
        shown = [literal(ran.printed.rstrip("\n"), "text", "printed")] if ran.printed else []
        if ran.value is not None:
            html = getattr(ran.value, "_repr_html_", None)
            shown.append(raw(pictured(html())) if html else literal(repr(ran.value), "text", "printed"))
        if "solution" in tags:
            return folded(SUMMARY["solution"], code + shown)
        return shown + folded(SUMMARY["hide-input"], code) if "hide-input" in tags else code + shown


class Stages(SphinxDirective):
    """The same object of several stages side by side; lines that the first does not have are marked."""

    required_arguments = 1
    option_spec: ClassVar = {"stages": directives.unchanged, "body": directives.flag}

    def run(self):
        stages = self.options.get("stages", "step01_numpy step02_torch").split()
        try:
            cuts = [objects.cut(stage, self.arguments[0], "body" in self.options) for stage in stages]
        except ValueError as error:
            raise self.error(str(error)) from error
        grid = nodes.container(classes=["stages"])
        for cut in cuts:
            self.env.note_dependency(str(cut.path))
            marked = [] if cut is cuts[0] else objects.differing(cuts[0].code, cut.code)
            block = literal(cut.code, "python", "stage")
            block["highlight_args"] = {"hl_lines": marked}
            name = f"{cut.path.relative_to(objects.ROOT)}, line {cut.line}"
            grid += container_wrapper(self, block, name.replace("_", r"\_"))
        return [grid]


class Breaks(SphinxDirective):
    """A mutant by its name: its lines, the page's numbers without it and with it, the test that kills it."""

    required_arguments, final_argument_whitespace, has_content = 1, True, True

    def run(self):
        mistake = mistakes.parse(self.arguments[0], "\n".join(self.content))
        try:
            mistakes.confirm(mistake, self.env.temp_data.setdefault("cells", {}))
            file, before, after = mistakes.changed_lines(mistake)
        except Exception as error:
            raise self.severe(f"{mistake.name}: {type(error).__name__}: {error}") from error
        lines = [f"- {line}" for line in before.splitlines()] + [f"+ {line}" for line in after.splitlines()]
        box = nodes.container(classes=["breaks"])
        box += raw(f'<p class="breaks-title">{escape(mistake.name)} <code>{escape(file)}</code></p>')
        box += literal("\n".join(lines), "diff", "mutant")
        if mistake.rows:
            box += raw(table(mistake))
        killer = escape(mistakes.mutant(mistake.name).killer)
        box += raw(f'<p class="killer">Found by <code>{killer}</code>.</p>')
        return [box]


def table(mistake) -> str:
    """Return the rows of a mistake as a table of HTML."""
    head = '<tr><td></td><th scope="col">right</th><th scope="col">with the mistake</th></tr>'
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(row.expression)}</code></th><td>{escape(row.right)}</td>'
        f"<td>{escape(row.wrong)}</td></tr>"
        for row in mistake.rows
    )
    return f'<div class="table-wrapper"><table class="right-wrong">{head}{rows}</table></div>'


def literal(text, language, *classes):
    """Make a block of code."""
    return nodes.literal_block(text, text, language=language, classes=list(classes))


def raw(html):
    """Make a node of HTML as it is."""
    return nodes.raw("", html, format="html")


def pictured(html):
    """Put a figure into a box that scrolls where it is wider than the page."""
    return f'<div class="picture">{html}</div>' if html.startswith("<svg") else html


def folded(summary, content):
    """Put nodes behind a line that opens them."""
    return [raw(f"<details><summary>{escape(summary)}</summary>"), *content, raw("</details>")]


def setup(app):
    app.add_directive("code-cell", CodeCell)
    app.add_directive("stages", Stages)
    app.add_directive("breaks", Breaks)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
