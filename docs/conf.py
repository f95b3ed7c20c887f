"""How the documentation is built: ``scripts/env sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

project = "meanfield"
author = "The meanfield maintainers"
copyright = f"2026, {author}"
version = release = importlib.metadata.version("meanfield")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
nitpicky = True
exclude_patterns = ["_build", "notebooks"]
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "../scripts/examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "plot_gallery": os.environ.get("MEANFIELD_GALLERY", "run") != "none",
}

html_theme = "pydata_sphinx_theme"
html_title = "meanfield"
html_show_sourcelink = False
