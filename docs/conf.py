"""How Sphinx makes the site: ``sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinxcontrib import katex

import nnlite

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "nnlite"
author = "The nnlite developers"
project_copyright = author
version = release = nnlite.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinxcontrib.katex",
    "reference",
    "figures",
]
exclude_patterns = ["_build", "_static", "examples"]

# Prose.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
nb_execution_mode = "force"  # a tutorial's results are those of the package as it is
nb_execution_timeout = 120
nb_execution_show_traceback = True
nb_merge_streams = True

# The reference: what a name in single backticks names, is linked.
default_role = "py:obj"
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"no-value": True}  # of attributes: what they are, the text says
autodoc_type_aliases = {name: name for name in ("Array", "Shape", "Weights")}
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# Formulas: KaTeX's code is the extension's, its style and fonts lie in _static.
if katex.katex_version != "0.16.22":
    raise RuntimeError(f"docs/_static/katex is of KaTeX 0.16.22, not {katex.katex_version}")
katex_css_path = "katex/katex.min.css"

html_theme = "pydata_sphinx_theme"
html_title = "nnlite"
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"*": [], "reference": ["sidebar-nav-bs"]}  # of pages that have pages below them
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
