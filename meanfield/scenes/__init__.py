"""Scenes in three dimensions: densities and tokens on spheres and circles, drawn by pyvista.

``views`` is where to look from and what there is to see (no pyvista), ``opengl`` whether this
machine renders at all, ``stage`` what stands in a scene and the images of it. Knows no files.
"""

from __future__ import annotations

from meanfield.scenes.opengl import off_screen, why_not
from meanfield.scenes.stage import Look, Stage

__all__ = ["Look", "Stage", "off_screen", "why_not"]
