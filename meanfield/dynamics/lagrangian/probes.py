"""First cells for laws that are narrower than cells are: probes between the nodes.

What no node of a cell sees no estimate of its error tells. So where the nodes of all cells together
miss mass, each cell's is compared with that of finer ones in its place, and cells that see another
mass are split.

Knows cells and values of a density; nothing of fields and of what moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from meanfield.geometry.cells import Cells
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array

__all__ = ["first_boxes"]

_ACROSS = {2: 3, 1: 4}  # cells along each side of the geometry, to begin with, by dimension
_PROBES = {2: 32, 1: 1024}  # the same of the cells whose nodes are probes
_MISSED = 1e-2  # of all mass: from there on probes look for it
_WRONG, _LEAST = 0.05, 1e-3  # of a cell's mass, and of all mass: what a cell may see wrong


def first_boxes(
    cells: Cells, on: Manifold, density: Callable[[Array], Array], number: int, *, probed: bool
) -> Array:
    """Boxes of at most ``number`` nodes that cover a geometry.

    Args:
        cells: of the geometry ``on``.
        density: values (m,) >= 0 with respect to sigma at unit vectors (m, d), of mass one.
        probed: whether mass that no node sees is looked for, and its cells are split.
    """

    def masses(of: Array) -> Array:
        points, area = cells.nodes(of)
        flat = points.reshape(area.size, -1)
        return np.asarray(np.sum(area * density(on.embed(flat)).reshape(area.shape), axis=1))

    across = _ACROSS[cells.dimension]
    while across > 1 and 2 * len(cells.covering(across)) * cells.per_cell > number:
        across -= 1
    boxes = cells.covering(across)
    seen = masses(boxes)
    if not probed or abs(float(seen.sum()) - 1.0) <= _MISSED:
        return boxes
    parts = 2**cells.dimension
    for level in range(math.floor(math.log2(_PROBES[cells.dimension] / across)), 0, -1):
        there = masses(_divided(cells, boxes, level)).reshape(len(boxes), -1).sum(axis=1)
        wrong = np.abs(seen - there)
        # Cells of an earlier level have parts as fine as this one only if they have been split.
        worst = np.argsort(-wrong, kind="stable")
        bad = worst[wrong[worst] > np.maximum(_WRONG * there[worst], _LEAST * there.sum())]
        room = (number // cells.per_cell - len(boxes)) // (parts - 1)
        chosen = bad[: max(room, 0)]
        if not chosen.size:
            break
        new = cells.split(boxes[chosen])
        boxes = np.concatenate([np.delete(boxes, chosen, axis=0), new])
        seen = np.concatenate([np.delete(seen, chosen), masses(new)])
    return boxes


def _divided(cells: Cells, boxes: Array, times: int) -> Array:
    """Their parts after so many splits, those of a box one after the other."""
    for _ in range(times):
        boxes = cells.split(boxes)
    return boxes
