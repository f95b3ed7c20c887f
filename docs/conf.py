"""How the documentation is built: ``scripts/env sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

from sphinx_gallery.sorting import ExplicitOrder

from meanfield.shipped import ORDER

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

# Scripts are run at the size that MEANFIELD_EXAMPLE says (small, or in full); none is with
# MEANFIELD_GALLERY=none. Scenes are rendered without a window.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["PYVISTA_OFF_SCREEN"] = os.environ["PYVISTA_BUILDING_GALLERY"] = "true"
sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "../scripts/examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "plot_gallery": os.environ.get("MEANFIELD_GALLERY", "run") != "none",
    "within_subsection_order": ExplicitOrder([*(f"{name}.py" for name in ORDER), "*"]),
    "abort_on_example_error": True,
    "image_scrapers": ("matplotlib", "pyvista"),
    "image_srcset": ["2x"],
    "reset_modules": ("matplotlib",),
    "capture_repr": (),
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "inspect_global_variables": False,
    "first_notebook_cell": "%matplotlib inline",
}

html_theme = "pydata_sphinx_theme"
html_title = "meanfield"
html_show_sourcelink = False
