"""The surface that a file gives: boundaries of volumes, quads and polygons split into triangles."""

from __future__ import annotations

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.meshread.raw import IntArray, Raw

__all__ = ["lines", "triangles"]

# Outward, for cells of positive volume.
_QUADS = [[0, 3, 2, 1], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]]
_FACES = {
    "tetra": [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]],
    "hexahedron": _QUADS,
    "wedge": [[0, 2, 1], [3, 4, 5], [0, 1, 4, 3], [1, 2, 5, 4], [2, 0, 3, 5]],
    "pyramid": [[0, 3, 2, 1], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]],
}
_FLAT = ("quad", "polygon")
_CURVED = {"triangle6", "triangle7", "triangle10", "line3", "quad8", "quad9", "tetra10"}


def triangles(raw: Raw, notes: list[str]) -> IntArray:
    """The triangles (m, 3) of the surface, (0, 3) if there are no faces.

    Where there are volumes their boundary is the surface, and faces that are given, too, are not
    looked at. What was done is added to ``notes``.

    Raises:
        InputError: for cells of other kinds.
    """
    counts = raw.counts()
    solid = {kind: n for kind, n in counts.items() if kind in _FACES}
    # Points and lines come along with gmsh's surfaces.
    others = set(counts) - {"vertex", "line", "triangle", *_FLAT, *solid}
    if others:
        hint = (
            "write a mesh of order one"
            if others <= _CURVED
            else "write the boundary surface as triangles"
        )
        raise InputError(f"expected a surface of triangles only, found {raw.contents}: {hint}")
    if solid:
        notes.append(f"took the boundary of {_listed(solid)} cells as the surface")
        faces = _boundary(raw)
    else:
        faces = [block for kind in ("triangle", *_FLAT) for block in raw.of_kind(kind)]
        flat = {kind: n for kind, n in counts.items() if kind in _FLAT}
        if flat:
            notes.append(f"split {_listed(flat)} cells into triangles")
    parts = [np.zeros((0, 3), dtype=np.int64)]
    for block in faces:
        for k in range(1, block.shape[1] - 1):
            parts.append(block[:, [0, k, k + 1]])
    return np.concatenate(parts)


def lines(raw: Raw) -> IntArray:
    """The lines (m, 2), (0, 2) if there are none."""
    return np.concatenate([np.zeros((0, 2), dtype=np.int64), *raw.of_kind("line")])


def _boundary(raw: Raw) -> list[IntArray]:
    """The faces that belong to one volume only, by their number of corners."""
    sides: dict[int, list[IntArray]] = {}
    for kind, faces in _FACES.items():
        for block in raw.of_kind(kind):
            for face in faces:
                sides.setdefault(len(face), []).append(block[:, face])
    made = []
    for blocks in sides.values():
        all_of_them = np.concatenate(blocks)
        first, uses = np.unique(
            np.sort(all_of_them, axis=1), axis=0, return_index=True, return_counts=True
        )[1:]
        made.append(all_of_them[np.sort(first[uses == 1])])
    return made


def _listed(counts: dict[str, int]) -> str:
    return " and ".join(f"{n} {kind}" for kind, n in counts.items())
