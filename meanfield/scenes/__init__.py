"""Scenes in three dimensions: densities and tokens on spheres and circles, drawn by pyvista.

``views`` is where to look from and what there is to see (no pyvista), ``opengl`` whether this
machine renders at all, ``look`` what may be asked for, ``stage`` what stands in a scene, and its
images. Knows no files.
"""

from __future__ import annotations

from meanfield.scenes.look import Look
from meanfield.scenes.opengl import off_screen, why_not
from meanfield.scenes.stage import Stage

__all__ = ["Look", "Stage", "off_screen", "why_not"]
