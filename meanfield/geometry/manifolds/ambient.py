"""S^{d-1} by unit vectors, any d: for tokens. Nothing is meshed, and nothing transformed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NoReturn

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.manifolds.base import Grid, IntArray, Manifold
from meanfield.geometry.manifolds.transforms import Harmonics
from meanfield.geometry.sphere import Array

__all__ = ["Ambient"]


class Ambient(Manifold):
    """Unit vectors (n, d)."""

    name: ClassVar[str] = "any"
    dimension: ClassVar[int] = 0
    has_harmonics: ClassVar[bool] = False

    def in_space(self, points: Array) -> Array:
        """The first three coordinates."""
        return np.asarray(points[:, :3])

    def from_space(self, x: Array, beside: Callable[[str], Array]) -> Array:
        self._refuse("are no places in space")

    def edge_weights(self, points: Array, cells: IntArray) -> tuple[IntArray, Array, Array]:
        self._refuse("have no mesh")

    def shares(self, points: Array, cells: IntArray) -> Array:
        self._refuse("have no mesh")

    def harmonics(self, degree: int, epsilon: float = 1e-13) -> Harmonics:
        self._refuse("have no harmonics: expected 'sphere', 'circle' or 'zonal'")

    def grid(self, degree: int, size: int) -> Grid:
        self._refuse("have no grid: expected 'sphere', 'circle' or 'zonal'")

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(f"geometry '{self.name}' found: unit vectors in any dimension {what}")
