"""A potential by its harmonics: projected from a function, or fitted to values at points."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.manifolds import Harmonics, Manifold, manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.drifts.base import TangentialGradient, tilted

__all__ = ["Expanded", "fitted", "projected", "turned"]

_EPSILON = 1e-13  # of the transforms
_FIRST, _MOST = 16, {2: 128, 1: 1024}  # degrees of a projection, by the dimension of the grid
_ENOUGH, _WORTH_TELLING = 1e-12, 1e-6  # of the last quarter; of the rest: relative, in L^2
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Expanded(TangentialGradient):
    """F = grad of a sum of harmonics, on S^2 or S^1, or of zonal ones in any d.

    Attributes:
        transforms: their values and gradients.
        coefficients: (n_coefficients,) of -U.
        on: the geometry of the harmonics: S^2, S^1, or latitudes.
        name: in messages and descriptions.
        exact: -U itself at unit vectors, where that is known: the series is used for the rest.
    """

    transforms: Harmonics
    coefficients: Array
    on: Manifold
    name: str
    exact: Callable[[Array], Array] | None = None

    margin: ClassVar[float] = 1.05

    @property
    def d(self) -> int:  # type: ignore[override]  # known by the harmonics
        """Dimension."""
        return self.on.d

    def _points(self, x: Array) -> Array:
        """Coordinates of unit vectors."""
        if not self.on.latitudes:
            return x
        return np.arctan2(np.linalg.norm(x[:, :-1], axis=1), x[:, -1])[:, None]

    def vector(self, x: Array) -> Array:
        gradient = self.transforms.gradient(self.coefficients, self._points(x))
        if not self.on.latitudes:
            return gradient
        across = np.linalg.norm(x[:, :-1], axis=1, keepdims=True)
        along = x * x[:, -1:]
        along[:, -1] -= 1.0  # sin(theta) times the unit vector of growing theta
        slope = np.divide(gradient, across, out=np.zeros_like(across), where=across > 1e-300)
        return np.asarray(slope * along)

    def divergence(self, x: Array) -> Array:
        bent = self.transforms.laplacian_coefficients(self.coefficients)
        return np.asarray(self.transforms.values(bent, self._points(x)))

    def potential(self, x: Array) -> Array:
        if self.exact is not None:
            return self.exact(x)
        return np.asarray(self.transforms.values(self.coefficients, self._points(x)))

    def mean_potential(self) -> float:
        return float(self.coefficients[0])

    @cached_property
    def steepest(self) -> tuple[float, float]:
        grid = self.on.grid(self.transforms.degree, 2 * self.transforms.degree + 2)
        slope = np.linalg.norm(grid.gradient(self.coefficients), axis=0)
        bent = grid.synthesise(self.transforms.laplacian_coefficients(self.coefficients))
        return float(np.max(slope)), float(np.max(np.abs(bent)))

    def refuse_tilted(self) -> None:
        if not self.on.latitudes and turned(self.potential, self.d):
            raise tilted(self.name, "values that change around it")

    def describe(self) -> str:
        return f"{self.name}, degree {self.transforms.degree}"


def turned(function: Callable[[Array], Array], d: int) -> bool:
    """Whether a function of unit vectors is seen to change under rotations about e_d."""
    rng = np.random.default_rng(11)
    height = rng.uniform(-1.0, 1.0, size=64)
    ends = []
    for _ in range(2):
        across = rng.normal(size=(64, d - 1))
        across *= (np.sqrt(1.0 - height**2) / np.linalg.norm(across, axis=1))[:, None]
        ends.append(function(np.column_stack([across, height])))
    if d == 2:  # there are but two of each
        x = np.column_stack([np.sqrt(1.0 - height**2), height])
        ends = [function(x), function(x * np.array([-1.0, 1.0]))]
    size = float(np.max(np.abs(ends[0])))
    return float(np.max(np.abs(ends[0] - ends[1]))) > _SAME * size


def _home(function: Callable[[Array], Array], d: int) -> Manifold:
    """Where a function has harmonics.

    Raises:
        InputError: d > 3, and it is not symmetric about e_d.
    """
    if d <= 3:
        return manifold({2: "circle", 3: "sphere"}[d], d)
    if turned(function, d):
        raise InputError(
            f'model.potential.gradient: found none in d = {d}, expected one (gradient = "NAME"): '
            "harmonics exist for d = 2 and 3 and for functions of the last coordinate alone"
        )
    return manifold("zonal", d)


def projected(function: Callable[[Array], Array], d: int, name: str) -> Expanded:
    """A function by the harmonics that it has: as many as matter to round-off, or as are tried.

    Args:
        function: -U at unit vectors (n, d), (n,).
        d: dimension.
        name: in messages.

    Raises:
        InputError: d > 3, and it is not symmetric about e_d.
    """
    on = _home(function, d)
    most = _MOST[on.dimension]
    degree = _FIRST
    while True:
        grid = on.grid(degree, 2 * degree + 2)
        values = function(grid.unit_vectors)
        coefficients = grid.analyse(values)
        power = np.bincount(grid.degrees, weights=coefficients**2)
        total = float(np.sum(power[1:]))
        last = float(np.sum(power[math.ceil(0.75 * power.size) :]))
        if last <= _ENOUGH**2 * total or 2 * degree > most:
            break
        degree *= 2
    rest = values - grid.synthesise(coefficients)
    _tell_rest(math.sqrt(float(grid.weights @ rest**2)), math.sqrt(total), degree, name)
    return Expanded(on.harmonics(degree, _EPSILON), coefficients, on, name, function)


def fitted(points: Array, values: Array, d: int, name: str) -> Expanded:
    """Harmonics that fit values at points best, as many as so many points resolve.

    Least squares with the share of the sphere that each point has for a weight: exact for values of
    few degrees. What is left is told, if it is more than 1e-6.

    Args:
        points: (n, d) unit vectors, or (n, 1) angles from e_d.
        values: (n,) of -U.
        d: dimension.
        name: in messages.

    Raises:
        InputError: points in d > 3 that are no angles.
    """
    kind = "zonal" if points.shape[1] == 1 else {2: "circle", 3: "sphere"}.get(d)
    if kind is None:
        raise InputError(f"model.potential.path: found points in d = {d}, expected a zonal mesh")
    on = manifold(kind, d)
    degree = max(1, on.resolved_degree(len(points)))
    transforms = on.harmonics(degree, _EPSILON)
    at, weights = transforms.locate(points), _shares(points, on)
    count = transforms.degrees.size

    def normal(c: Array) -> Array:
        return transforms.moments(at, weights * transforms.values(c, at))

    right = transforms.moments(at, weights * values)
    found, _ = cg(
        LinearOperator((count, count), matvec=normal, dtype=np.float64), right, x0=right,
        rtol=1e-13, atol=0.0, maxiter=400,
    )  # fmt: skip
    rest = values - transforms.values(found, at)
    size = values - float(weights @ values)
    _tell_rest(
        math.sqrt(float(weights @ rest**2)), math.sqrt(float(weights @ size**2)), degree, name
    )
    return Expanded(transforms, found, on, name)


def _shares(points: Array, on: Manifold) -> Array:
    """(n,) the share of the sphere that is nearest to each point, sum 1."""
    if on.dimension == 2:
        from scipy.spatial import SphericalVoronoi  # 0.1 s: where it is needed

        shares = SphericalVoronoi(points / np.linalg.norm(points, axis=1)[:, None])
        found = np.asarray(shares.calculate_areas())
    else:
        angle = on.angles(points)
        order = np.argsort(angle)
        rising = angle[order]
        low, high = on.span
        middle = 0.5 * (rising[1:] + rising[:-1])
        if on.closed:
            across = 0.5 * (rising[0] + rising[-1] - (high - low))
            edges = np.concatenate([[across], middle, [across + high - low]])
        else:
            edges = np.concatenate([[low], middle, [high]])
        found = np.empty(len(points))
        centre = 0.5 * (edges[1:] + edges[:-1])
        found[order] = np.diff(edges) * on.uniform_per_radian(centre[:, None])
    return np.asarray(found / found.sum())


def _tell_rest(rest: float, size: float, degree: int, name: str) -> None:
    if rest > _WORTH_TELLING * size:
        warnings.warn(
            f"{name}: harmonics up to degree {degree} leave {rest / max(size, 1e-300):.1e} of it "
            "out (in L^2)",
            MeanfieldWarning,
            stacklevel=4,
        )
