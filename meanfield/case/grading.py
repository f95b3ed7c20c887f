"""How fine a mesh of [geometry] is, and where: what its classes share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold
from meanfield.options import Field, Pure

if TYPE_CHECKING:
    from meanfield.geometry.mesh import Mesh

__all__ = [
    "MAX_VERTICES",
    "Factor",
    "check_grading",
    "edge_length",
    "finer",
    "vertices_words",
    "with_grading",
]

MAX_VERTICES = 20_000_000

Factor = Annotated[Pure, Field(ge=1e-3, le=1e3)]
"""How many times as fine a graded mesh is at its centre."""


def edge_length(on: Manifold, vertices: int) -> float:
    """Mean length of the edges of a mesh of so many vertices, in radians, about; nan: no mesh."""
    if on.dimension == 2:
        return math.sqrt(4.0 * math.pi / vertices)
    if on.dimension == 1:
        return 2.0 * math.pi / vertices if on.closed else math.pi / (vertices - 1)
    return math.nan


def finer(factor: float | None) -> float:
    """How many times as fine a graded mesh is where it is finest; None: not graded."""
    return 1.0 if factor is None else max(factor, 1.0 / factor)


def vertices_words(least: float) -> str:
    """A number of vertices of three digits, rounded up; "": more than there may be."""
    unit = 10.0 ** max(math.floor(math.log10(least)) - 2, 0)
    number = math.ceil(least / unit - 1e-9) * int(unit)
    return f"vertices = {number}" if number <= MAX_VERTICES else ""


def check_grading(factor: float | None, centre: Sequence[float] | None, on: Manifold) -> None:
    """Refuse a centre that is none, or of a mesh that is not graded.

    Raises:
        InputError: what was found, what was expected.
    """
    if centre is None:
        return
    if factor is None:
        raise InputError(
            "centre: found without a factor, expected factor = ... (how many times as fine the "
            "mesh is there), or no centre"
        )
    from meanfield.geometry.grading import checked_centre

    checked_centre(centre, on)


def with_grading(mesh: Mesh, factor: float | None, centre: Sequence[float] | None = None) -> Mesh:
    """The mesh, or the graded one if there is a factor."""
    if factor is None:
        return mesh
    from meanfield.geometry.mesh import graded

    return graded(mesh, factor, centre)
