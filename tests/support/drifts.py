"""Interactions that only drive: a given velocity at each point, whatever the measure.

Fields that are no gradients, with exact results; ``linear`` has its density in closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import expm

from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import SelfAttention
from meanfield.interaction.field import Field
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.measure import plain

Flow = Callable[[Array], tuple[Array, Array]]
"""Velocity (n, gdim) and divergence (n,) at points (n, gdim)."""


class DrivenField(Field):
    """X = grad xi + X_0: both given, and neither asks for the measure."""

    interaction: Driven

    def velocity_and_divergence(self, points: Any, scaled: bool = False, seen: Any = None) -> Any:
        x = plain(points)
        v, div = self.interaction.flow(x)
        if self.interaction.slope is not None:
            more = self.interaction.slope(x)[1:]
            v, div = v + more[0], div + more[1]
        return v, div

    def velocity(self, points: Any, scaled: bool = False, seen: Any = None) -> Array:
        found: Array = self.velocity_and_divergence(points)[0]
        return found

    def along_edges(self, points: Located, seen: Any = None) -> Array:
        rows = self.interaction.flow(points.points)[0].T
        if self.interaction.slope is None:
            return rows
        return np.concatenate([self.interaction.slope(points.points)[0][None], rows])


@dataclass(frozen=True)
class Driven(Interaction):
    """No interaction at all: a drift.

    Attributes:
        flow: X_0, told by its velocity.
        slope: xi, its gradient and its Laplacian at points; None: there is none.
        rate: what ``fastest_rate`` tells.
    """

    flow: Flow = lambda x: (np.zeros_like(x), np.zeros(len(x)))
    slope: Callable[[Array], tuple[Array, Array, Array]] | None = None
    rate: float = 1.0

    def field(self, measure: Any, t: float = 0.0, comm: Any = None) -> DrivenField:
        found = super().field(measure, t, comm)
        return DrivenField(self, found.measure, found.moments, t, comm)

    def field_of_moments(self, moments: Array, measure: Any, t: float, comm: Any) -> DrivenField:
        return DrivenField(self, measure, moments, t, comm)

    @property
    def has_potential(self) -> bool:
        return False

    @property
    def has_gradient(self) -> bool:
        return self.slope is not None

    @property
    def energy_kind(self) -> None:
        return None

    @property
    def convexity(self) -> None:  # type: ignore[override]  # kept by the parent, not here
        return None

    @property
    def repels(self) -> Array:  # type: ignore[override]
        return np.zeros(self.metric.size, dtype=bool)

    def fastest_rate(self, degree: int) -> float:
        return self.rate


def driven(geometry: str, d: int, flow: Flow, **more: Any) -> Driven:
    """A drift on a geometry."""
    return Driven(SelfAttention("sa", 0.0, 1), d, geometry, flow=flow, **more)


def linear_flow(m: Array) -> Flow:
    """P_x(M x), and tr M - d x.Mx."""
    m = np.asarray(m, dtype=np.float64)

    def flow(x: Array) -> tuple[Array, Array]:
        y = x @ m.T
        along = np.einsum("ij,ij->i", x, y)
        return y - along[:, None] * x, np.trace(m) - len(m) * along

    return flow


def linear(m: Array) -> Driven:
    """X = P_x(M x), on S^2 or S^1."""
    m = np.asarray(m, dtype=np.float64)
    return driven("sphere" if len(m) == 3 else "circle", len(m), linear_flow(m))


def angular_gaussian(m: Array, t: float, x: Array) -> Array:
    """What the flow of P_x(M x) makes of the uniform density: |e^{-Mt} x|^{-d}/det e^{Mt}."""
    m = np.asarray(m, dtype=np.float64)
    back = x @ expm(-t * m).T
    density: Array = np.linalg.norm(back, axis=1) ** -len(m) / np.exp(t * np.trace(m))
    return density


def spin(axis: Any) -> Array:
    """(3, 3) the matrix of x -> axis cross x; one number: (2, 2), of a quarter turn times it."""
    if np.ndim(axis) == 0:
        return np.array([[0.0, -axis], [axis, 0.0]])
    a, b, c = axis
    return np.array([[0.0, -c, b], [c, 0.0, -a], [-b, a, 0.0]])


M3 = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])
M2 = np.array([[0.8, 1.3], [-0.4, -0.6]])
"""Matrices with no symmetry; densities reach 30 in a time of 1.5 and 1.2."""
