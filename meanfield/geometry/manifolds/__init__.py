"""Geometries by name. A new one: its file and its line here.

One that is meshed has options of its own in ``case.geometry``, too. One for tokens alone has
``dimension`` 0, no harmonics unless it brings them, and is ``whole`` if it is the whole sphere.
"""

from __future__ import annotations

from functools import lru_cache

from meanfield.errors import InputError, suggest
from meanfield.geometry.manifolds.ambient import Ambient
from meanfield.geometry.manifolds.base import Grid, Manifold, MatrixGrid
from meanfield.geometry.manifolds.circle import S1, CircleGrid, CircleHarmonics, CircleNodes
from meanfield.geometry.manifolds.invariant import InvariantGrid, PolygonGrid
from meanfield.geometry.manifolds.sphere import S2, SphereGrid, SphereHarmonics
from meanfield.geometry.manifolds.transforms import Harmonics, Located
from meanfield.geometry.manifolds.zonal import Latitudes, ZonalGrid, ZonalHarmonics, ZonalNodes

__all__ = [
    "MANIFOLDS",
    "S1",
    "S2",
    "Ambient",
    "CircleGrid",
    "CircleHarmonics",
    "CircleNodes",
    "Grid",
    "Harmonics",
    "InvariantGrid",
    "Latitudes",
    "Located",
    "Manifold",
    "MatrixGrid",
    "PolygonGrid",
    "SphereGrid",
    "SphereHarmonics",
    "ZonalGrid",
    "ZonalHarmonics",
    "ZonalNodes",
    "manifold",
    "of_vectors",
]

MANIFOLDS: dict[str, type[Manifold]] = {kind.name: kind for kind in (S2, S1, Latitudes, Ambient)}
"""Each geometry by its name."""


@lru_cache(maxsize=64)
def manifold(name: str, d: int) -> Manifold:
    """The geometry of a name in a dimension.

    Raises:
        InputError: an unknown name, or a dimension that it does not have.
    """
    kind = MANIFOLDS.get(name)
    if kind is None:
        meshed = [known for known, one in MANIFOLDS.items() if one.dimension]
        raise InputError(
            f"unknown geometry {name!r}{suggest(name, meshed)}; expected one of {', '.join(meshed)}"
        )
    return kind(d)


def of_vectors(d: int) -> Manifold:
    """The geometry of unit vectors in R^d: S^1, S^2, or any dimension."""
    return next((on(d) for on in MANIFOLDS.values() if on.whole and on.only_d == d), Ambient(d))
