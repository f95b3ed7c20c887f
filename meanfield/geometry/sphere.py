"""The unit sphere S^{d-1} in R^d, any d >= 2: projections, geodesics, uniform points, rotations.

NumPy only. Knows nothing of meshes, measures or attention. Points are rows of (n, d) arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "colatitude",
    "dimension_ratio",
    "geodesic_distance",
    "harmonic_dimension",
    "log_area",
    "normalize",
    "random_rotation",
    "tangent_project",
    "uniform_points",
]

# float64 throughout; left open here, because NumPy's own annotations of what an expression of
# float64 arrays is differ between its versions.
Array = NDArray[Any]


def normalize(x: Array) -> Array:
    """Scale each row of ``x`` (n, d) to unit length.

    Raises:
        ValueError: if a row is zero or not finite, so that it has no direction.
    """
    x = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    if not np.all(np.isfinite(length)) or np.any(length == 0.0):
        raise ValueError("a zero or non-finite vector has no direction on the sphere")
    return x / length


def tangent_project(x: Array, v: Array) -> Array:
    """Project vectors onto tangent spaces: P_x v = v - <x, v> x, rows of (n, d) arrays."""
    return v - np.sum(x * v, axis=-1, keepdims=True) * x


def geodesic_distance(x: Array, y: Array) -> Array:
    """Angles between rows of ``x`` and ``y`` (broadcast), in radians in [0, pi].

    Uses 2 atan2(|x - y|, |x + y|), exact to round-off at both ends (arccos loses half of the
    digits there).
    """
    return 2.0 * np.arctan2(np.linalg.norm(x - y, axis=-1), np.linalg.norm(x + y, axis=-1))


def colatitude(x: Array) -> Array:
    """Angles (n,) in [0, pi] of unit vectors (n, d) from the last coordinate axis e_d."""
    return np.arctan2(np.linalg.norm(x[:, :-1], axis=1), x[:, -1])


def uniform_points(n: int, d: int, rng: np.random.Generator) -> Array:
    """Draw ``n`` independent uniform points on S^{d-1}, as (n, d) unit vectors."""
    return normalize(rng.standard_normal((n, d)))


def random_rotation(d: int, rng: np.random.Generator) -> Array:
    """Draw a (d, d) rotation (determinant +1) from the Haar measure."""
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0.0:
        q[:, 0] = -q[:, 0]
    return q


def log_area(d: int) -> float:
    """Logarithm of the area of S^{d-1}: log(2 pi^{d/2} / Gamma(d/2))."""
    return math.log(2.0) + 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d)


def dimension_ratio(degrees: Array, d: int) -> Array:
    """dim H_l / dim H_{l-1} for l >= 1 (H_l: the harmonics of degree l on S^{d-1})."""
    lower = np.maximum(2.0 * degrees + d - 4.0, 1.0)  # l = 1, d = 2 is overwritten below
    ratio = (2.0 * degrees + d - 2.0) * (degrees + d - 3.0) / (lower * degrees)
    return np.where(degrees == 1.0, float(d), ratio)


def harmonic_dimension(degree: int, d: int) -> Array:
    """Dimensions of the spaces of harmonics of degree 0..``degree`` on S^{d-1}, as floats."""
    return np.concatenate([[1.0], np.cumprod(dimension_ratio(np.arange(1.0, degree + 1), d))])
