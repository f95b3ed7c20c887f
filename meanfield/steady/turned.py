"""A state on the sphere that is known by its zonal form, about an axis that its equation has, too.

A density with edges is resolved between them in one angle; nodes on the sphere leave 1e-6. Owns how
the one is told as the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.manifolds import SphereGrid
from meanfield.geometry.sphere import Array, harmonic_dimension
from meanfield.steady.equation import Equation, MomentMap, Point
from meanfield.steady.state import UNIFORM, StationaryState

__all__ = ["TurnedState", "axial_start", "turned"]

_EXACT, _AXIAL = 1e-9, 1e-2  # of a gradient: what may be around an axis


@dataclass(frozen=True)
class TurnedState(StationaryState):
    """An axially symmetric state on S^2; what is told of it is that of its zonal form.

    Attributes:
        zonal: the state about e_d.
        direction: (d,) the axis, a unit vector.
    """

    zonal: StationaryState
    direction: Array

    @property
    def is_uniform(self) -> bool:
        return self.zonal.is_uniform

    @property
    def mean(self) -> Array:
        return np.asarray(self.zonal.mean[-1] * self.direction)

    @property
    def axis(self) -> Array:
        return self.direction

    @property
    def c2(self) -> float:
        return self.zonal.c2

    @property
    def entropy(self) -> float:
        return self.zonal.entropy

    @property
    def is_axially_symmetric(self) -> bool:
        return True

    def zonal_moments(self) -> Array:
        return self.zonal.moments

    @property
    def energy_excess(self) -> float:
        return self.zonal.energy_excess

    @property
    def energy(self) -> float:
        return self.zonal.energy

    @property
    def free_energy_excess(self) -> float:
        return self.zonal.free_energy_excess

    def density(self, points: Array) -> Array:
        heights = np.clip(self.grid.manifold.checked(points) @ self.direction, -1.0, 1.0)
        return self.zonal.density(np.arccos(heights)[:, None])


def axial_start(moment_map: MomentMap, moments: Array, exact: bool) -> tuple[Array, Array] | None:
    """Zonal moments about their axis of moments on S^2, and the axis; None: they have none.

    Args:
        moment_map: T on the sphere.
        moments: (k,) orthonormal.
        exact: whether to round-off, or as well as edges that are not resolved let it be seen.
    """
    grid = moment_map.grid
    if not isinstance(grid, SphereGrid):
        return None
    point = moment_map.at(moments)
    allowed = _allowed(moment_map.equation, grid, moments, point)
    gradient = moment_map.gradient(point)
    most = (_EXACT if exact else _AXIAL) * float(np.abs(gradient).max())
    turns = grid.generators(gradient)
    axes = [axis for axis in allowed if np.abs(axis @ turns).max() <= most]
    if not axes:
        return None
    axis = axes[0]
    at_axis = grid.manifold.harmonics(grid.degree).moments(axis[None], np.ones(1))
    sums = np.bincount(grid.degrees, weights=moments * at_axis)
    return sums / np.sqrt(harmonic_dimension(grid.degree, 3)), axis


def _allowed(equation: Equation, grid: SphereGrid, moments: Array, point: Point) -> list[Array]:
    """Unit vectors about which the state may be symmetric and the equation is.

    All directions are the same: that of the mean of moments, if there is one, and of the odd second
    moment. Else e_3, if it is the equation's: its zonal form about another axis is another one.
    """
    if not equation.is_isotropic:
        try:
            equation.refuse_tilted()
        except InputError:
            return []
        return [np.eye(3)[2]]
    mean = grid.manifold.harmonics(1).values(moments[:4], np.eye(3)) - moments[0]
    length = float(np.linalg.norm(mean))
    x = grid.points
    values, vectors = np.linalg.eigh((x * (grid.weights * point.rho)[:, None]).T @ x)
    odd = np.asarray(vectors[:, int(np.argmax(np.abs(values - np.median(values))))])
    return [mean / length, odd] if length > UNIFORM else [odd]


def turned(
    moment_map: MomentMap, zonal: StationaryState, axis: Array, iterations: tuple[int, int]
) -> TurnedState:
    """A zonal state about another axis, on the grid of a map on the sphere."""
    grid = moment_map.grid
    assert isinstance(grid, SphereGrid)
    c = np.zeros(grid.degree + 1)
    kept = min(c.size, zonal.moments.size)
    c[:kept] = (zonal.moments / np.sqrt(harmonic_dimension(zonal.grid.degree, 3)))[:kept]
    at_axis = grid.manifold.harmonics(grid.degree).moments(axis[None], np.ones(1))
    heights = np.clip(grid.points @ axis, -1.0, 1.0)
    with np.errstate(divide="ignore"):
        log_rho = np.log(zonal.density(np.arccos(heights)[:, None]))
    return TurnedState(
        moment_map.equation, grid, c[grid.degrees] * at_axis, log_rho, zonal.residual, iterations,
        zonal, axis,
    )  # fmt: skip
