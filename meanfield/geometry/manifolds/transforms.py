"""Harmonic transforms on one geometry, at any points.

A measure is (points, weights). Its *moments* against real harmonics Y_k that are orthonormal in
L^2(sigma), sigma the uniform probability, and fields given by such coefficients, at any points:

    a_k = sum_j m_j Y_k(x_j),        f(x) = sum_k c_k Y_k(x),   grad f(x).

A grid (``base.Grid``) gives the same with nodes of its own choice, and keeps coefficients in the
same order. Knows nothing of what interacts: multipliers by degree come from the caller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array
from meanfield.surroundings import hidden, unreadable_threads

__all__ = ["Basis", "Harmonics", "Located", "load_ducc0"]


_ducc0: ModuleType | None = None


def load_ducc0() -> ModuleType:
    """The library of fast transforms, where it is needed: meshes and folders do without."""
    global _ducc0
    if _ducc0 is None:
        # It looks for its number of threads, which are not used, when it is first asked for them.
        with hidden(*unreadable_threads()):
            import ducc0

            ducc0.misc.thread_pool_size()
        _ducc0 = ducc0
    return _ducc0


class Located(NamedTuple):
    """Points in the coordinates of a transform, to be made once for points that do not move.

    ``angles``: (n, 2) colatitude and longitude on S^2, (n,) longitude on S^1, (n,) theta (zonal).
    ``points``: the points themselves, (n, gdim).
    """

    points: Array
    angles: Array


@dataclass(frozen=True)
class Basis(ABC):
    """Real harmonics of degree 0..``degree``, orthonormal in L^2(sigma), in one order.

    Attributes:
        degree: largest degree L.
    """

    degree: int

    @property
    @abstractmethod
    def d(self) -> int:
        """Dimension of the ambient space R^d."""

    @cached_property
    @abstractmethod
    def degrees(self) -> NDArray[np.int64]:
        """(n_coefficients,) degree of each harmonic; the first one is the constant 1."""


@dataclass(frozen=True)
class Harmonics(Basis):
    """Transforms at any points, on one geometry.

    Attributes:
        epsilon: relative accuracy asked of nonuniform transforms.
    """

    epsilon: float = 1e-13

    @abstractmethod
    def locate(self, points: Array) -> Located:
        """Prepare points (n, gdim) for repeated transforms."""

    @abstractmethod
    def moments(self, points: Array | Located, weights: Array) -> Array:
        """a_k = sum_j weights_j Y_k(x_j), (n_coefficients,): the adjoint transform."""

    @abstractmethod
    def values(self, coefficients: Array, points: Array | Located) -> Array:
        """f(x_i) = sum_k c_k Y_k(x_i), (n,)."""

    @abstractmethod
    def gradient(self, coefficients: Array, points: Array | Located) -> Array:
        """Surface gradient of f in the coordinates of the points, (n, gdim).

        Zonal: the derivative with respect to theta, (n, 1).
        """

    @abstractmethod
    def moment_rates(self, points: Array | Located, flows: Array) -> Array:
        """sum_j <v_j, grad Y_k(x_j)>, (n_coefficients,): the adjoint of ``gradient``.

        Of masses m_j that move with X_j, v = m X, the time derivative of their moments.

        Args:
            points: (n, gdim).
            flows: (n, gdim) tangent vectors v, in the coordinates of the points.
        """

    def hessian(self, coefficients: Array, points: Array | Located) -> Array:
        """Covariant second derivatives of f as tangential matrices, (n, gdim, gdim).

        Raises:
            NotImplementedError: in the coordinates of these points there are none.
        """
        raise NotImplementedError(f"{type(self).__name__} has no second derivatives")

    def laplacian_coefficients(self, coefficients: Array) -> Array:
        """Coefficients of the Laplace-Beltrami operator applied to f: factor -l(l + d - 2)."""
        return -coefficients * (self.degrees * (self.degrees + self.d - 2))

    def power(self, coefficients: Array) -> Array:
        """sum of c_k^2 over each degree, (degree + 1,): invariant under rotations."""
        return np.bincount(self.degrees, weights=coefficients**2, minlength=self.degree + 1)

    def uniform(self) -> Array:
        """Moments of the uniform probability: one at degree zero."""
        moments = np.zeros(self.degrees.size)
        moments[0] = 1.0
        return moments

    def _located(self, points: Array | Located) -> Located:
        return points if isinstance(points, Located) else self.locate(points)
