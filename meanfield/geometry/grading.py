"""Graded meshes: the vertices of a mesh drawn together about a point, by a map that keeps circles.

x at the angle theta to the centre goes to the angle theta' with tan(theta'/2) = tan(theta/2)/s, on
the same great circle: a Moebius map of the sphere. Circles stay circles, so that a Delaunay mesh
stays one, with the same cells. Lengths shrink by s at the centre and grow by s at its antipode.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.meshcore import Mesh
from meanfield.geometry.sphere import Array

__all__ = ["MOST_GRADED", "checked_centre", "checked_factor", "graded"]

MOST_GRADED = 1e3
"""Largest factor, and one over the smallest."""


@checked_arguments
def graded(mesh: Mesh, factor: float, centre: ArrayLike | None = None) -> Mesh:
    """A mesh made finer at a point, by the same factor coarser at its antipode.

    For one narrow cluster whose place is known: as many vertices, edges shorter by ``factor`` where
    it forms.

    Args:
        mesh: of the sphere, the circle or latitudes.
        factor: how many times as fine at the centre, from 1/1000 to 1000 (below 1: coarser there).
        centre: a vector of the space, of any length but zero; None: e_d. On latitudes it is that
            pole, and none is given.

    Raises:
        InputError: no such factor or centre.

    Example:
        >>> mesh = mf.graded(mf.icosphere(2), 3.0, (0.0, 0.0, 1.0))
        >>> mesh.n_vertices
        162
    """
    s, on = checked_factor(factor), mesh.manifold
    if on.latitudes:
        checked_centre(centre, on)
        theta = 2.0 * np.arctan(np.tan(0.5 * mesh.points) / s)
        # Both poles stay to the last digit, as meshes of latitudes have them.
        theta = np.where((mesh.points == 0.0) | (mesh.points == np.pi), mesh.points, theta)
        return Mesh(mesh.geometry, mesh.d, theta, mesh.cells)
    points = _drawn_together(mesh.points, checked_centre(centre, on), s)
    return Mesh(mesh.geometry, mesh.d, points, mesh.cells)


def checked_factor(factor: float) -> float:
    """A factor in its range.

    Raises:
        InputError: it is none.
    """
    if not 1.0 / MOST_GRADED <= factor <= MOST_GRADED:
        raise InputError(
            f"factor: found {factor:g}, expected a number from {1.0 / MOST_GRADED:g} to "
            f"{MOST_GRADED:g}: how many times as fine at the centre"
        )
    return float(factor)


def checked_centre(centre: ArrayLike | None, on: Manifold) -> Array:
    """The unit vector (d,) of a centre on a manifold; None: e_d.

    Raises:
        InputError: it is no vector of d numbers, or has no direction, or is given on latitudes.
    """
    if centre is None:
        return np.eye(on.d)[-1]
    if on.latitudes:
        raise InputError(
            "centre: found one with latitudes, which are symmetric about e_d: expected none (it is "
            "the pole theta = 0; a factor below 1 refines the other one)"
        )
    found = real_array(centre, "centre", f"{on.d} numbers")
    length = float(np.linalg.norm(found)) if found.shape == (on.d,) else math.nan
    if not 0.0 < length < math.inf:
        told = f"shape {found.shape}" if found.shape != (on.d,) else found.tolist()
        raise InputError(f"centre: found {told}, expected {on.d} numbers, not all 0")
    return np.asarray(found / length)


def _drawn_together(x: Array, centre: Array, s: float) -> Array:
    """The map for unit vectors (n, d).

    With c = <x, centre>: cos theta' = (s^2 (1 + c) - (1 - c))/q, and what is orthogonal to the
    centre is multiplied by 2 s/q, where q = s^2 (1 + c) + (1 - c).
    """
    # 1 + c and 1 - c without cancellation: each is half a squared distance.
    far = 0.5 * np.sum((x + centre) ** 2, axis=1)
    near = 0.5 * np.sum((x - centre) ** 2, axis=1)
    q = s * s * far + near
    across = x - (1.0 - near)[:, None] * centre
    out = ((s * s * far - near) / q)[:, None] * centre + (2.0 * s / q)[:, None] * across
    return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))
