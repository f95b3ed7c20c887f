"""One octant of S^2 as a rule for functions with the parities of single harmonics."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.manifolds.algebra import harmonics_at, places
from meanfield.geometry.sphere import Array

__all__ = ["Octant", "octant_for"]


class Octant:
    """Nodes that integrate products of two harmonics of one parity class; others mirror them.

    Gauss in the height, equal steps in the longitude: harmonics are products there, so that a
    function is analysed circle by circle.

    Args:
        degree: of the harmonics.

    Attributes:
        points: (n, 3), circle by circle.
        classes: the numbers of the harmonics of each of the eight classes, by the signs that they
            take at the mirror images.
    """

    def __init__(self, degree: int) -> None:
        self.degree = degree
        count = degree + 1 + (degree + 1) % 2
        node, weight = np.polynomial.legendre.leggauss(count)
        t, weight = node[node > 0.0], weight[node > 0.0]
        longitudes = -(-(2 * degree + 2) // 4)
        self._phi = (np.arange(longitudes) + 0.5) * (0.5 * math.pi / longitudes)
        s = np.sqrt(1.0 - t * t)
        c, z = np.cos(self._phi), np.ones(longitudes)
        self.points = np.stack(
            [np.outer(s, c), np.outer(s, np.sin(self._phi)), np.outer(t, z)], -1
        ).reshape(-1, 3)
        l, m, sine = places(degree)
        key = 4 * ((l + m) % 2) + 2 * sine + m % 2
        self.classes = [np.flatnonzero(key == k) for k in range(8)]
        # At longitude 0 cosines are their factor in the height, which sines have, too.
        cosines = harmonics_at(np.stack([s, 0.0 * s, t], -1), degree)[:, ~sine]
        polar = np.concatenate([cosines, cosines[:, m[~sine] > 0]], axis=1)
        self._polar = polar * (weight / longitudes)[:, None]

    def analysed(self, values: Array, of: NDArray[np.int64]) -> Array:
        """(k, c) integrals of the k harmonics ``of`` one class times the columns of (n, c)."""
        _, m, sine = places(self.degree)
        numbers = m[of]
        orders = np.unique(numbers)
        angles = np.outer(orders, self._phi)
        turn = -np.sin(angles) if np.any(sine[of]) else np.cos(angles)
        circles = values.reshape(len(self._polar), self._phi.size, -1)
        by_order = turn @ circles
        out = np.empty((of.size, circles.shape[2]))
        for k, order in enumerate(orders):
            rows = np.flatnonzero(numbers == order)
            out[rows] = self._polar[:, of[rows]].T @ by_order[:, k]
        return out


@lru_cache(maxsize=8)
def octant_for(degree: int) -> Octant:
    """The one for harmonics up to a degree."""
    return Octant(degree)
