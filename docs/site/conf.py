"""Sphinx's settings for nanolm's site; docs/build.py lays the pages out and calls it."""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import docstrings  # noqa: E402 (beside this file)

project = "nanolm"
author = "The nanolm authors"
project_copyright = "The nanolm authors, MIT licence"
html_title = "nanolm"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx-mathjax-offline", "sphinx_copybutton"]
root_doc = "index"
exclude_patterns = []
suppress_warnings = ["mystnb.unknown_mime_type", "misc.highlighting_failure"]

nb_execution_mode = "off"                           # the lessons are shown with the outputs that are stored in them
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 4
myst_dmath_double_inline = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports = ["torch", "transformers", "tiktoken", "mpi4py", "tensorflow", "gguf", "huggingface_hub"]

html_theme = "furo"
html_static_path = [str(HERE / "static")]
html_css_files = ["nanolm.css"]
html_js_files = ["wide.js"]
html_use_index = html_domain_indices = False      # thousands of names: the search finds them
html_favicon = str(HERE / "static" / "icon.svg")
html_search_scorer = str(HERE / "static" / "scorer.js")
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False                    # an excerpt is fetched, which a page opened from a folder may not; and it
                                                    # would show formulas as TeX
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
highlight_language = "none"                         # of literal blocks: docstrings. Cells and files say "python"
pygments_style, pygments_dark_style = "friendly", "monokai"


def tags_outside(app, tree):
    r"""A formula with a \tag is displayed as it stands: in the split environment that Sphinx puts around lines, MathJax
    allows no tag."""
    from docutils import nodes
    for formula in tree.findall(nodes.math_block):
        text = formula.astext()
        if r"\tag{" in text:
            formula.children = [nodes.Text(rf"\[{text.strip()}\]")]
            formula.rawsource = formula.astext()
            formula["nowrap"] = formula["no-wrap"] = True


def setup(app):
    """Let Sphinx call our own two functions."""
    app.connect("autodoc-process-docstring", docstrings.process)
    app.connect("doctree-read", tags_outside)
