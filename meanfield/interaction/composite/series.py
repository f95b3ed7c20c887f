"""How sums of one head are made by transforms, on any geometry: what the ways have in common.

A head on a geometry is a ``HeadSeries``, made once for its matrices; with the moments of a measure
it gives ``HeadSums``, which tell ``HeadParts`` at any targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from meanfield.geometry.manifolds import Grid, Located
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.interaction.composite.bessel import exponential_series
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.expansion import expansion_of
from meanfield.interaction.kernels.exponential import Exponential

__all__ = [
    "BEYOND",
    "NOISE",
    "HeadSeries",
    "HeadSums",
    "Precision",
    "largest_sums",
    "series_degree",
]

NOISE = 2e-14
"""Of sums by transforms, over their bound (measured)."""

BEYOND = 2
"""Degrees of moments that are needed beyond those of the series: products with two coordinates."""


class Precision(NamedTuple):
    """How exact sums have to be.

    Attributes:
        epsilon: of the transforms.
        relative: of Z itself, for what is divided by it; None: of the largest Z is enough.
    """

    epsilon: float
    relative: float | None


def series_degree(size: float, d: int, tolerance: float = 1e-15) -> int:
    """Degree of e^{<A x, y>}, |A| = ``size``, in x as well as in y."""
    found = expansion_of(Exponential(beta=max(size, 1e-3)), d).degree(tolerance)
    assert found is not None
    return found


def largest_sums(sizes: Array, power: Array, d: int) -> Array:
    """(k,): no int e^{<A x, y> - |A|} dmu is larger, at any x (Cauchy-Schwarz by degree).

    Args:
        sizes: (k,) |A|.
        power: (L + 1,) squared norms of the moments of mu of each degree.
        d: dimension.
    """
    degree = power.size - 1
    series = exponential_series(sizes, degree, d)
    return np.asarray(series @ np.sqrt(harmonic_dimension(degree, d) * power))


class HeadSums(ABC):
    """A head and the moments of one measure."""

    @abstractmethod
    def parts(self, at: Located, order: int) -> HeadParts:
        """Sums at some targets: 0: Z; 1: and the flow; 2: and its divergence. Not collective."""

    @abstractmethod
    def pairs(self, moments: Array) -> float:
        """iint e^{<A x, y> - |A|} of the measure (y) and another one (x), by its moments."""


class HeadSeries(ABC):
    """A head on one geometry.

    Attributes:
        head: its matrices.
        degree: of its series; moments are needed to ``BEYOND`` more.
    """

    head: HeadMatrices
    degree: int

    @abstractmethod
    def sums(self, moments: Array, of: int, precision: Precision) -> HeadSums:
        """With the moments of a measure up to degree ``of``."""

    def pair_matrix(self, grid: Grid, at: Located, precision: Precision) -> Array:
        """(n_coefficients, n_coefficients) of ``HeadSums.pairs`` as a bilinear form; kept.

        Args:
            grid: nodes that integrate products of harmonics up to its degree.
            at: its nodes.
            precision: what is asked for.
        """
        known = self.__dict__.setdefault("_pair_matrices", {})
        if grid.degree not in known:
            count = grid.degrees.size
            columns = np.empty((count, count))
            for k in range(count):
                one = np.zeros(count)
                one[k] = 1.0
                parts = self.sums(one, grid.degree, precision).parts(at, 0)
                z = parts.z * np.exp(parts.log_scale - self.head.size)
                columns[:, k] = grid.analyse(z)
            known[grid.degree] = columns
        return np.asarray(known[grid.degree])

    def together(
        self, sums: list[tuple[HeadSums, float]], at: Located, order: int
    ) -> tuple[Array, Array]:
        """Flow (n, k) and divergence (n,; 0 below order 2) of heads of this kind, added.

        Args:
            sums: each with the logarithm of a factor.
            at: targets.
            order: 1 or 2.
        """
        velocity, divergence = np.zeros(at.points.shape), np.zeros(len(at.points))
        for one, log_factor in sums:
            parts = one.parts(at, order)
            scale = np.exp(parts.log_scale + log_factor)
            assert parts.flow is not None
            velocity += parts.flow * scale[:, None]
            if parts.divergence is not None:
                divergence += parts.divergence * scale
        return velocity, divergence
