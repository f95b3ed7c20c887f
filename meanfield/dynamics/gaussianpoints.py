"""Gaussians in tangent planes of S^{d-1}, and the points by which they are integrated.

Rows are a centre n (d) and a factor L (d, d - 1) that is tangent there, points x = u +
sqrt(1 - |u|^2) n with u = L z, z of a product of Gauss-Hermite rules. Of u ~ N(0, L L^T) the
density of x is that of u times <n, x>, since the area is du/<n, x>.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = [
    "FEW",
    "FINE",
    "RIM",
    "cloud",
    "frame",
    "from_cloud",
    "inverse",
    "log_density",
    "rows",
    "rule",
    "rule_of_clouds",
    "tangent",
]

FEW, FINE = 3, 5
"""Points in each direction of a Gaussian; for d <= 3 the latter."""
RIM = 1e-12
"""1 - |u|^2 beyond which a point is on the rim of its hemisphere."""
_ON_RIM = 1e-5  # <n, x> up to which a point may be there: 1e-6, and round-off in single precision


def rule(points: int, directions: int) -> tuple[Array, Array]:
    """Points (q, k) and weights (q,), sum 1, of the normal law: a product of Gauss-Hermite."""
    z, w = np.polynomial.hermite_e.hermegauss(points)
    w = w / np.sum(w)
    all_z = np.array(list(itertools.product(z, repeat=directions)))
    return all_z, np.array([math.prod(row) for row in itertools.product(w, repeat=directions)])


def rule_of_clouds(d: int) -> tuple[Array, Array]:
    """Points and weights of the rule by which runs sum a Gaussian in d dimensions: see ``rule``."""
    return rule(FINE if d <= 3 else FEW, d - 1)


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


def from_cloud(x: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Masses (k,), centres (k, d), factors (k, d, d - 1) of Gaussians, by their points.

    What ``cloud`` has made of them, to the round-off of the points. Those on the rim of a
    hemisphere do not tell u; the others are enough.

    Args:
        x: (k q, d) unit vectors, q of ``rule_of_clouds`` for each Gaussian, one after the other;
            or, as earlier versions had for d <= 3, too, three in each direction.
        weights: (k q,).

    Raises:
        InputError: weights of another rule.
    """
    d = x.shape[1]
    z, share = _rule_of(weights, d)
    points = x.reshape(-1, len(z), d)
    n = np.einsum("q,kqi->ki", share, points)  # int u = 0
    n /= np.linalg.norm(n, axis=1)[:, None]
    inside = (np.einsum("kqi,ki->kq", points, n) > _ON_RIM).astype(np.float64)
    gram = np.einsum("kq,qi,qj->kij", inside, z, z)
    moved = np.einsum("kq,kqi,qj->kij", inside, points, z)
    factors = np.swapaxes(np.linalg.solve(gram, np.swapaxes(moved, 1, 2)), 1, 2)
    return weights.reshape(-1, len(z)).sum(axis=1), n, tangent(n, factors)


def _rule_of(weights: Array, d: int) -> tuple[Array, Array]:
    """The rule, whose weights they are times the mass of each Gaussian."""
    for points in (FINE, FEW):
        if len(weights) % points ** (d - 1) == 0:
            z, share = rule(points, d - 1)
            own = weights.reshape(-1, len(z))
            if np.allclose(own, own.sum(axis=1)[:, None] * share, rtol=1e-5, atol=0.0):
                return z, share
    raise InputError(
        f"{len(weights)} weights found that are those of no Gaussians in d = {d}, {FINE} or {FEW} "
        "points in each direction expected"
    )


def log_density(masses: Array, n: Array, factors: Array, x: Array) -> Array:
    """log of the density of a sum of Gaussians, relative to the uniform probability, (m,).

    What a Gaussian has beyond its hemisphere is left out.

    Args:
        masses: (k,); n: (k, d); factors: (k, d, d - 1).
        x: (m, d) unit vectors.
    """
    d = n.shape[1]
    sphere = math.log(2.0) + 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d)
    found = np.full(len(x), -np.inf)
    for mass, centre, factor in zip(masses, n, factors, strict=True):
        if not mass > 0.0:
            continue
        along, gram = x @ centre, factor.T @ factor
        z = np.linalg.solve(gram, factor.T @ x.T)
        scale = 0.5 * (np.linalg.slogdet(gram)[1] + (d - 1) * math.log(2.0 * math.pi))
        height = math.log(mass) + np.log(np.maximum(along, math.sqrt(RIM)))
        own = np.where(along > 0.0, height + sphere - scale - 0.5 * np.sum(z * z, axis=0), -np.inf)
        found = np.logaddexp(found, own)
    return found
