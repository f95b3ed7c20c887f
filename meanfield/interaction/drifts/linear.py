"""A linear drift P_x(M x): a rotation and a quadratic potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.checks import square_matrix
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.base import Drift, commutes_with_axis, tilted

__all__ = ["LinearDrift"]


@dataclass(frozen=True, eq=False)
class LinearDrift(Drift):
    """X += P_x(M x).

    Attributes:
        M: (d, d).

    Raises:
        InputError: no square matrix of finite numbers.

    Example:
        >>> mf.LinearDrift(np.diag([0.0, 0.0, 1.0])).M.shape
        (3, 3)
    """

    M: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "M", square_matrix(self.M, "M"))

    @property
    def d(self) -> int:  # type: ignore[override]  # known by the matrix
        """Dimension."""
        return len(self.M)

    @property
    def is_gradient(self) -> bool:
        return float(np.linalg.norm(self.M - self.M.T)) <= 1e-12 * float(np.linalg.norm(self.M))

    def vector(self, x: Array) -> Array:
        return np.asarray(x @ self.M.T)

    def bend(self, x: Array) -> tuple[Array, Array]:
        inner = np.einsum("ij,ij->i", x, self.vector(x))
        return np.full(len(x), float(np.trace(self.M))), inner

    def potential(self, x: Array) -> Array:
        return 0.5 * np.einsum("ij,ij->i", x, self.vector(x))

    def mean_potential(self) -> float:
        return 0.5 * float(np.trace(self.M)) / self.d

    @property
    def size(self) -> float:
        return float(np.linalg.norm(self.M, 2))

    @property
    def rate(self) -> float:
        return 2.0 * self.size

    @property
    def average(self) -> float:
        return float(np.trace(self.M)) / self.d

    def refuse_tilted(self) -> None:
        if not commutes_with_axis(self.M):
            raise tilted("drift", "a matrix that does not commute with the rotations")

    def describe(self) -> str:
        return f"drift, |M| = {self.size:.4g}"
