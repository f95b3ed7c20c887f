"""What moves a token whatever the others do: X += P_x F(x), with F a field in R^d."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["Drift", "TangentialGradient", "commutes_with_axis", "mean_of", "tilted"]

_NODES, _LEVELS = 64, 12  # of means over the sphere: a panel's, and panels to each pole
_SAME = 1e-12


class Drift(ABC):
    """A field F on S^{d-1} that does not hang on the measure.

    Attributes:
        d: dimension of the ambient space.
    """

    d: int

    @property
    @abstractmethod
    def is_gradient(self) -> bool:
        """Whether P_x F = grad of a ``potential``."""

    @abstractmethod
    def vector(self, x: Array) -> Array:
        """F at unit vectors (n, d), (n, d); need not be tangential."""

    @abstractmethod
    def bend(self, x: Array) -> tuple[Array, Array]:
        """tr G and x.G x, (n,) each, G the derivative of F in R^d."""

    @abstractmethod
    def potential(self, x: Array) -> Array:
        """(n,) with P_x F = grad of it; only where ``is_gradient``. Its sign is that of -U."""

    @abstractmethod
    def mean_potential(self) -> float:
        """Mean of the potential over the sphere; only where ``is_gradient``."""

    @property
    @abstractmethod
    def size(self) -> float:
        """A bound on |F|."""

    @property
    @abstractmethod
    def rate(self) -> float:
        """A bound on |G|, or its order."""

    @property
    @abstractmethod
    def average(self) -> float:
        """Mean of tr G/d over the sphere: > 0 where F grows outwards on average."""

    @abstractmethod
    def refuse_tilted(self) -> None:
        """Refuse what does not commute with the rotations about the last axis (zonal geometry).

        Raises:
            InputError: the law of the tokens would not stay axially symmetric.
        """

    @abstractmethod
    def describe(self) -> str:
        """A few words."""

    def divergence(self, x: Array) -> Array:
        """div(P_x F) at unit vectors, (n,): tr G - x.G x - (d - 1) x.F."""
        trace, bend = self.bend(x)
        normal = np.einsum("ij,ij->i", x, self.vector(x))
        return np.asarray(trace - bend - (self.d - 1) * normal)


def commutes_with_axis(matrix: Array) -> bool:
    """Whether a matrix commutes with all rotations about e_d."""
    d = len(matrix)
    block = matrix[:-1, :-1]
    size = float(np.trace(block)) / (d - 1)
    ideal = np.zeros((d, d))
    ideal[:-1, :-1], ideal[-1, -1] = size * np.eye(d - 1), matrix[-1, -1]
    if d == 3:
        turn = 0.5 * (block[1, 0] - block[0, 1])
        ideal[1, 0], ideal[0, 1] = turn, -turn
    return float(np.linalg.norm(matrix - ideal)) <= _SAME * float(np.linalg.norm(matrix))


def mean_of(function: Callable[[Array], Array], d: int) -> float:
    """Mean over the sphere of f(t), t a coordinate; f may be narrow at t = 1 and bend at 0."""
    t, weights = _graded(d)
    return float(np.dot(weights, function(t)))


@lru_cache(maxsize=16)
def _graded(d: int) -> tuple[Array, Array]:
    """Nodes t and weights (sum 1): Gauss in the angle, on panels that halve towards both poles."""
    half = 0.5 * math.pi * np.concatenate([[0.0], 0.5 ** np.arange(_LEVELS, -1, -1.0)])
    edges = np.concatenate([half, math.pi - half[-2::-1]])
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    size = 0.5 * np.diff(edges)
    theta = (0.5 * (edges[1:] + edges[:-1])[:, None] + size[:, None] * nodes).ravel()
    w = (size[:, None] * weights).ravel() * np.sin(theta) ** (d - 2)
    return np.cos(theta), w / w.sum()


class TangentialGradient(Drift):
    """A drift that is told by a tangential gradient and its divergence."""

    margin: ClassVar[float]
    """Factor that makes the largest slope seen a bound."""

    @property
    @abstractmethod
    def steepest(self) -> tuple[float, float]:
        """The largest slope and the largest Laplacian that are seen."""

    @property
    def is_gradient(self) -> bool:
        return True

    def bend(self, x: Array) -> tuple[Array, Array]:
        """F is tangential, so that its divergence is all there is."""
        return self.divergence(x), np.zeros(len(x))

    @property
    def size(self) -> float:
        return self.margin * self.steepest[0]

    @property
    def rate(self) -> float:
        """The largest Laplacian, in its order."""
        return self.steepest[1]

    @property
    def average(self) -> float:
        """0: tangential."""
        return 0.0


def tilted(name: str, found: str) -> InputError:
    """That something is not symmetric about the last axis."""
    return InputError(
        f"{name}: {found} found, one that is symmetric about the last axis expected on a zonal "
        "geometry: take the sphere or the circle"
    )
