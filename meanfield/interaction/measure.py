"""A measure as what interacts: points with weights. Knows nothing of who gives it or takes it."""

from __future__ import annotations

from typing import NamedTuple

from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array

__all__ = ["Measure", "plain"]


class Measure(NamedTuple):
    """Point masses on a geometry.

    Attributes:
        points: (n, gdim) coordinates: unit vectors, or colatitudes (n, 1) in the zonal geometry;
            or the same, already located.
        weights: (n,) masses m_j >= 0, sum 1 over all ranks.
        quadrature: (n,) weights of a rule at the same points that integrates harmonics exactly
            (the balanced nodal weights of a mesh), or None. With it, moments are those of the
            uniform measure plus those of ``weights - quadrature``, so that the uniform density
            exerts no force to round-off, whatever the accuracy of the transforms.
    """

    points: Array | Located
    weights: Array
    quadrature: Array | None = None


def plain(points: Array | Located) -> Array:
    """The points themselves, located or not."""
    return points.points if isinstance(points, Located) else points
