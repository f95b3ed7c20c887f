"""Which series of a head a geometry has."""

from __future__ import annotations

from collections.abc import Callable

from meanfield.geometry.manifolds import S1, S2, Latitudes, Manifold
from meanfield.interaction.composite.circle import CircleHead
from meanfield.interaction.composite.latitudes import LatitudeHead
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.series import HeadSeries
from meanfield.interaction.composite.sphere import SphereHead

__all__ = ["series_on"]

_WAYS: dict[type[Manifold], Callable[[HeadMatrices], HeadSeries]] = {
    S2: SphereHead,
    S1: CircleHead,
    Latitudes: LatitudeHead,
}


def series_on(on: Manifold, head: HeadMatrices) -> HeadSeries:
    """The series of a head on a geometry that has harmonics."""
    return _WAYS[type(on)](head)
