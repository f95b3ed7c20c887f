"""Pictures of the plotters of pyvista that a script of the gallery has shown.

pyvista's own scraper takes all that there are, also those by which ``meanfield.plot`` draws a file,
and fails on them, since they are closed. Here it is those that the script has a name for, and has
shown: each once, as ``show`` left it.
"""

from __future__ import annotations

from typing import Any

import pyvista
from PIL import Image
from sphinx_gallery.scrapers import figure_rst

__all__ = ["shown"]


def shown(block: object, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Files of what a block has shown, and the text that has them in the page.

    Args:
        block: not looked at.
        block_vars: of sphinx-gallery: has the names of the script, and those of files to come.
        gallery_conf: of sphinx-gallery: has where the sources are.
    """
    names: list[str] = []
    for value in block_vars["example_globals"].values():
        if isinstance(value, pyvista.Plotter) and value.last_image is not None:
            names.append(next(block_vars["image_path_iterator"]))
            Image.fromarray(value.last_image).save(names[-1])
            value.last_image = None  # the next blocks have it, too
    return str(figure_rst(names, gallery_conf["src_dir"]))


def _get_sg_image_scraper() -> object:
    """By this name sphinx-gallery asks a module for its scraper."""
    return shown
