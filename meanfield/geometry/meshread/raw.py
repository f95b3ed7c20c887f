"""What a reader found in a file: points, cells by their kinds, values at the points.

Knows no format, and nothing of what a mesh must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array

__all__ = ["IntArray", "Raw", "UnreadableError", "joined", "one_line"]

IntArray = NDArray[np.int64]


class UnreadableError(Exception):
    """A reader does not cope with a file; its text says why, in a few words."""


@dataclass(frozen=True)
class Raw:
    """A file as it is, not checked.

    Attributes:
        points: (n, 2) or (n, 3).
        cells: blocks of (kind, (m, corners) numbers of points); kinds by the names that meshio
            gives them: "triangle", "quad", "polygon", "line", "tetra", ...
        data: values at the points by their names, first axis n.
        declared: whether the file tells how many points and cells it has, so that one that has
            lost its end is not taken for one that holds points only.

    Raises:
        UnreadableError: if the arrays have other shapes.
    """

    points: Array
    cells: tuple[tuple[str, IntArray], ...]
    data: Mapping[str, Array] = field(default_factory=dict)
    declared: bool = True

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] not in (2, 3):
            raise UnreadableError(
                f"found points of shape {self.points.shape}, expected 3 coordinates each"
            )
        for kind, cells in self.cells:
            if cells.ndim != 2:
                raise UnreadableError(f"found {kind} cells of shape {cells.shape}")

    def counts(self) -> dict[str, int]:
        """Number of cells of each kind that there are any of."""
        found: dict[str, int] = {}
        for kind, cells in self.cells:
            if len(cells):
                found[kind] = found.get(kind, 0) + len(cells)
        return found

    def of_kind(self, kind: str) -> list[IntArray]:
        """The blocks of one kind, none of them empty."""
        return [cells for name, cells in self.cells if name == kind and len(cells)]

    @property
    def contents(self) -> str:
        """What there is, for messages: ``80 triangle, 2 line``."""
        return ", ".join(f"{n} {kind}" for kind, n in self.counts().items()) or "no cells"

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing but points."""
        return set(self.counts()) <= {"vertex"}


def joined(raw: Raw) -> Raw:
    """Make one of points in exactly the same place, in the order of the first of each.

    For formats that have, or readers that make, a point for each corner; values are left out.

    Raises:
        UnreadableError: if cells name points that are not there.
    """
    for _, block in raw.cells:
        if block.size and not 0 <= block.min() <= block.max() < len(raw.points):
            raise UnreadableError("gave cells of points that are not there")
    points = raw.points + 0.0  # no negative zeros
    first, number = np.unique(points, axis=0, return_index=True, return_inverse=True)[1:]
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    number = rank[number.ravel()]
    cells = tuple((kind, number[block]) for kind, block in raw.cells)
    return Raw(points[first[order]], cells, declared=raw.declared)


def one_line(texts: Iterable[str], length: int = 160) -> str:
    """What a reader said, on one line that is not too long."""
    text = " ".join(" ".join(texts).split())
    return text if len(text) <= length else text[: length - 3] + "..."
