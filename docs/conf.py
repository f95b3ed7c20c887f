"""How the documentation is built: ``scripts/env sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx_gallery.sorting import ExplicitOrder

from meanfield.shipped import ORDER

_HERE = Path(__file__).parent
sys.path += [str(_HERE / "_ext")]

project = "meanfield"
author = "The meanfield maintainers"
copyright = f"2026, {author}"
version = release = importlib.metadata.version("meanfield")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "refpages",  # writes reference/generated/ from the code
    "outside",  # files beside docs/ as pages, links to them
]
nitpicky = True
exclude_patterns = ["_build", "notebooks", "validation/tables"]
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
smartquotes = False  # "--set" and "e_1" are what they are
autodoc_typehints = "none"  # docstrings say types in words, with shapes and units
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True  # attributes of a class stand in its own text once
copybutton_exclude = ".linenos, .gp, .go"

# Scripts are run at the size that MEANFIELD_EXAMPLE says (small, or in full); none is with
# MEANFIELD_GALLERY=none. Scenes are rendered without a window.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["PYVISTA_OFF_SCREEN"] = "true"
_run = os.environ.get("MEANFIELD_GALLERY", "run") != "none"
_size = "small" if os.environ.get("MEANFIELD_EXAMPLE") == "small" else "full"
_told = _HERE / "gallery" / ".size"
if _run and not (_told.is_file() and _told.read_text("utf-8") == _size):
    # A script that has not changed is not run again; but what it drew at another size is no good.
    shutil.rmtree(_told.parent, ignore_errors=True)
    _told.parent.mkdir()
    _told.write_text(_size, "utf-8")
sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "../scripts/examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "write_computation_times": False,  # a page of its own that loads scripts from elsewhere
    "plot_gallery": _run,
    "within_subsection_order": ExplicitOrder([*(f"{name}.py" for name in ORDER), "*"]),
    "abort_on_example_error": True,
    "image_scrapers": ("matplotlib", "plotters"),  # _ext/plotters.py
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
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"  # _ext/mathml.py: drawn by the browser, without a network
html_show_sourcelink = False
html_copy_source = False
html_sidebars: dict[str, list[str]] = {"index": [], "install": [], "tutorial": []}
# Nothing here leads to an address that there is none of: the project has no site and no repository
# to edit a page in.
html_theme_options: dict[str, Any] = {
    "logo": {"text": f"meanfield {release}"},
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "show_nav_level": 1,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "back_to_top_button": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
