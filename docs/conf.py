"""Sphinx's settings; `make site` builds the site into build/site."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

project = "Attention, step by step"
author = "The authors of Attention, step by step"
copyright = f"{author}, MIT"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_copybutton",
    "docs._ext.directives",
    "docs._ext.explorer",
    "docs._ext.maths",
    "docs._ext.notebooks",
    "docs._ext.outside",
    "docs._ext.reference",
]
exclude_patterns = ["_ext"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

suppress_warnings = [
    "ref.python",  # `Array` in a signature is that of its own stage; each stage has one
]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = project
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
templates_path = ["_templates"]
html_show_sphinx = False
html_show_search_summary = False  # summaries are fetched, which a page from disk may not
html_copy_source = False
html_show_sourcelink = False
copybutton_selector = "div.highlight-python:not(.stage) pre"
