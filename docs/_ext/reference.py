"""The reference: a page for each module of the stages, in reading order, written before the build."""

import ast
import re
from pathlib import Path

from docs._ext.cells import ROOT

STAGES = ("step01_numpy", "step02_torch", "step03_gpu")
BESIDE = {
    "step01_numpy": ("common.support.layer",),
    "step03_gpu": ("devices.sequence", "devices.ring", "devices.head_parallel", "devices.data_parallel"),
}
PARAMETERS = re.compile(r"<dl>\n((?:<dd>.*?</dd>\n)+)</dl>", re.S)
SPECIAL = re.compile(r"(?<![\w*`\\|])([*|])(?=\w)")


def modules(stage: str) -> list[str]:
    """Return a stage's modules as its `__init__.py` brings them in, and what it adds to the mirror."""
    tree = ast.parse((ROOT / stage / "__init__.py").read_text(encoding="utf-8"))
    imported = [
        x.module for x in tree.body if isinstance(x, ast.ImportFrom) and x.module.startswith(f"{stage}.")
    ]
    names = dict.fromkeys(x.removeprefix(f"{stage}.") for x in imported)
    own = (x for x in names if (ROOT / stage / f"{x}.py").exists())
    return [*own, *(x for x in BESIDE.get(stage, ()) if x not in own)]


def write_pages(app):
    """Write the pages that list a stage's modules, each where it differs from what lies there."""
    for stage in STAGES:
        folder, names = Path(app.srcdir) / "reference" / stage, modules(stage)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = f"{stage}.{name}"
            lines = [
                path,
                "=" * len(path),
                "",
                f".. automodule:: {path}",
                "   :members:",
                "   :ignore-module-all:",
                "",
            ]
            _write(folder / f"{name}.rst", "\n".join(lines))
        for old in set(folder.glob("*.rst")) - {folder / f"{name}.rst" for name in (*names, "index")}:
            old.unlink()
        lines = [
            stage,
            "=" * len(stage),
            "",
            f".. automodule:: {stage}",
            "   :no-members:",
            "",
            ".. toctree::",
            "",
        ]
        _write(folder / "index.rst", "\n".join(lines + [f"   {name}" for name in names]) + "\n")


def escape_stars(app, what, name, obj, options, lines):
    """Keep `(*heads, L, D)` and `|x|` as they are: to docutils they are marks."""
    lines[:] = [SPECIAL.sub(r"\\\1", line) for line in lines]


def list_parameters(app, page, template, context, doctree):
    """Make a list of a signature's parameters: Sphinx writes definitions without a term."""

    def listed(match):
        lines = match[1].replace("<dd>", "<li>").replace("</dd>", "</li>")
        return f'<ul class="parameters">\n{lines}</ul>'

    if "body" in context:
        context["body"] = PARAMETERS.sub(listed, context["body"])


def _write(path, text):
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("builder-inited", write_pages)
    app.connect("html-page-context", list_parameters)
    app.connect("autodoc-process-docstring", escape_stars, priority=100)  # before numpydoc, which has 500
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
