"""Compiled: tangent vectors of S^2 from and to their components along theta and phi."""

from __future__ import annotations

import math

import numba as nb

from meanfield.geometry.sphere import Array

__all__ = ["add_frame", "edge_tangents", "in_frame"]


@nb.njit(nogil=True, error_model="numpy", cache=True)
def _angles(x0: float, x1: float, x2: float) -> tuple[float, float, float, float]:
    """Cosine and sine of the longitude, and of the angle from e_3."""
    square = x0 * x0 + x1 * x1
    # Squares of what is so near to a pole lose their digits.
    rho = math.sqrt(square) if square > 1e-280 else math.hypot(x0, x1)
    cp, sp = (x0 / rho, x1 / rho) if rho > 0.0 else (math.copysign(1.0, x0), 0.0)
    radius = math.sqrt(rho * rho + x2 * x2)
    ct, st = x2 / radius, rho / radius
    return cp, sp, ct, st


@nb.njit(nogil=True, error_model="numpy", cache=True)
def add_frame(x: Array, slopes: Array, out: Array) -> None:
    """Tangent vectors (n, 3) from their components along theta and phi, (2, n), at points (n, 3).

    Sines and cosines come from the coordinates. At the poles the longitude is that of ``locate``, 0
    or pi by the sign of the zero. In one loop: as NumPy's, with ten arrays in between, this was
    more than half of the time of a gradient at 40 000 points.
    """
    for i in range(x.shape[0]):
        cp, sp, ct, st = _angles(x[i, 0], x[i, 1], x[i, 2])
        g0, g1 = slopes[0, i], slopes[1, i]
        out[i, 0] = g0 * ct * cp - g1 * sp
        out[i, 1] = g0 * ct * sp + g1 * cp
        out[i, 2] = -g0 * st


@nb.njit(nogil=True, error_model="numpy", cache=True)
def in_frame(x: Array, vectors: Array, slopes: Array) -> None:
    """Components along theta and phi, (2, n), of vectors (n, 3): the inverse of ``add_frame``."""
    for i in range(x.shape[0]):
        cp, sp, ct, st = _angles(x[i, 0], x[i, 1], x[i, 2])
        v0, v1, v2 = vectors[i, 0], vectors[i, 1], vectors[i, 2]
        slopes[0, i] = (v0 * cp + v1 * sp) * ct - v2 * st
        slopes[1, i] = v1 * cp - v0 * sp


@nb.njit(nogil=True, error_model="numpy", cache=True)
def edge_tangents(x: Array, y: Array, out: Array) -> None:
    """``Manifold.tangents`` of edges from x to y, (n, 3), into out (n, 2)."""
    for i in range(x.shape[0]):
        x0, x1, x2 = x[i, 0], x[i, 1], x[i, 2]
        y0, y1, y2 = y[i, 0], y[i, 1], y[i, 2]
        chord = math.sqrt((y0 - x0) ** 2 + (y1 - x1) ** 2 + (y2 - x2) ** 2)
        angle = 2.0 * math.asin(min(0.5 * chord, 1.0))
        along = x0 * y0 + x1 * y1 + x2 * y2
        v0, v1, v2 = y0 - along * x0, y1 - along * x1, y2 - along * x2
        scale = angle / math.sqrt(v0 * v0 + v1 * v1 + v2 * v2)
        # The frame: e_3 x x and x x that, near the poles with e_1 for e_3.
        f0, f1, f2 = (-x1, x0, 0.0) if abs(x2) < 0.9 else (0.0, -x2, x1)
        length = math.sqrt(f0 * f0 + f1 * f1 + f2 * f2)
        f0, f1, f2 = f0 / length, f1 / length, f2 / length
        s0, s1, s2 = x1 * f2 - x2 * f1, x2 * f0 - x0 * f2, x0 * f1 - x1 * f0
        out[i, 0] = scale * (v0 * f0 + v1 * f1 + v2 * f2)
        out[i, 1] = scale * (v0 * s0 + v1 * s1 + v2 * s2)
