"""Cells as VTK lays them out (a number for the kind, connectivity, offsets), as blocks by kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from meanfield.geometry.meshread.raw import IntArray, UnreadableError

__all__ = ["LINES", "POLYGONS", "STRIPS", "VERTICES", "blocks"]

VERTICES, LINES, STRIPS, POLYGONS = 2, 4, 6, 7
"""VTK's numbers for poly-vertices, polylines, strips of triangles and polygons."""

_NAMES = {
    1: "vertex", 3: "line", 5: "triangle", 9: "quad", 10: "tetra", 12: "hexahedron", 13: "wedge",
    14: "pyramid", 21: "line3", 22: "triangle6", 23: "quad8", 24: "tetra10", 28: "quad9",
}  # fmt: skip
_REORDERED = {8: ("quad", [0, 1, 3, 2]), 11: ("hexahedron", [0, 1, 3, 2, 4, 5, 7, 6])}


def blocks(
    types: IntArray, offsets: IntArray, connectivity: IntArray
) -> tuple[tuple[str, IntArray], ...]:
    """Sort cells by kind and number of corners, each kind in the order of the file.

    Args:
        types: (m,) VTK's number of each cell.
        offsets: (m + 1,) where the points of each cell begin and end.
        connectivity: numbers of points.

    Raises:
        UnreadableError: if they do not fit.
    """
    size = np.diff(offsets)
    if (
        len(offsets) != len(types) + 1
        or np.any(size < 0)
        or (len(offsets) and (offsets[0] < 0 or offsets[-1] > len(connectivity)))
    ):
        raise UnreadableError("the cells' offsets do not fit their number")
    made: list[tuple[str, IntArray]] = []
    for kind, corners in np.unique(np.stack([types, size], axis=1), axis=0).tolist():
        if not corners:
            continue
        at = np.flatnonzero((types == kind) & (size == corners))
        made.extend(_named(kind, connectivity[offsets[at][:, None] + np.arange(corners)]))
    return tuple(made)


def _named(kind: int, cells: IntArray) -> Iterator[tuple[str, IntArray]]:
    """Cells of one kind and size by the name of the kind; rows of simple ones are taken apart."""
    corners = cells.shape[1]
    if kind == VERTICES:
        yield "vertex", cells.reshape(-1, 1)
    elif kind == LINES:
        yield "line", np.stack([cells[:, :-1], cells[:, 1:]], axis=2).reshape(-1, 2)
    elif kind == STRIPS:
        for k in range(corners - 2):
            yield "triangle", cells[:, [k, k + 1, k + 2] if k % 2 == 0 else [k + 1, k, k + 2]]
    elif kind == POLYGONS:
        yield {3: "triangle", 4: "quad"}.get(corners, "polygon"), cells
    elif kind in _REORDERED:
        name, order = _REORDERED[kind]
        yield name, cells[:, order]
    else:
        yield _NAMES.get(kind, f"VTK's cell {kind}"), cells
