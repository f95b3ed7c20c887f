"""Mesh files as they are: what a file holds must not hang on one reader's dialect.

Readers are asked in turn until what one of them gives is what was wanted. ``raw`` is what they
give; ``faces`` makes a surface of it. What a mesh must be is not known here.
"""

from __future__ import annotations

from meanfield.geometry.meshread.bymeshio import quiet
from meanfield.geometry.meshread.faces import lines, triangles
from meanfield.geometry.meshread.raw import Raw
from meanfield.geometry.meshread.turns import read_by_turns

__all__ = ["Raw", "lines", "quiet", "read_by_turns", "triangles"]
