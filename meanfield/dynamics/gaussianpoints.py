"""Gaussians in tangent planes of S^{d-1}, and the points by which they are integrated.

Rows are a centre n (d) and a factor L (d, d - 1) that is tangent there, points x = u +
sqrt(1 - |u|^2) n with u = L z, z of a product of Gauss-Hermite rules.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["RIM", "cloud", "frame", "inverse", "rows", "rule", "tangent"]

RIM = 1e-12
"""1 - |u|^2 beyond which a point is on the rim of its hemisphere."""


def rule(points: int, directions: int) -> tuple[Array, Array]:
    """Points (q, k) and weights (q,), sum 1, of the normal law: a product of Gauss-Hermite."""
    z, w = np.polynomial.hermite_e.hermegauss(points)
    w = w / np.sum(w)
    all_z = np.array(list(itertools.product(z, repeat=directions)))
    return all_z, np.array([math.prod(row) for row in itertools.product(w, repeat=directions)])


def frame(n: Array) -> Array:
    """Orthonormal tangents (d, d - 1) at a unit vector."""
    away = np.eye(len(n)) - np.outer(n, n)
    away = np.delete(away, int(np.argmax(np.abs(n))), axis=1)
    found = np.linalg.qr(away)[0]
    return np.asarray(found - np.outer(n, n @ found))


def rows(n: Array, factors: Array) -> Array:
    """Centres (k, d) beside factors (k, d, d - 1), as one array (k, d + d (d - 1))."""
    return np.concatenate([n, factors.reshape(len(n), -1)], axis=1)


def tangent(n: Array, columns: Array) -> Array:
    """Columns (k, d, m) without their parts along n (k, d)."""
    return columns - n[:, :, None] * np.einsum("ki,kij->kj", n, columns)[:, None, :]


def inverse(factors: Array) -> Array:
    """L^{-T}, (k, d, d - 1): L (L^T L)^{-1}."""
    return factors @ np.linalg.inv(np.swapaxes(factors, 1, 2) @ factors)


def cloud(n: Array, factors: Array, z: Array) -> tuple[Array, Array]:
    """Points (k, q, d) of Gaussians, and their <n, x>, (k, q)."""
    u = np.einsum("kij,qj->kqi", factors, z)
    height = np.sqrt(np.maximum(1.0 - np.sum(u * u, axis=2), RIM))
    x = u + height[:, :, None] * n[:, None, :]
    return x / np.sqrt(np.sum(x * x, axis=2))[:, :, None], height
