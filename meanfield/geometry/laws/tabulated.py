"""Laws given as values on a mesh: P1 on a triangulated sphere or polygonal circle, or on angles.

Owns the location of points in cells, the mass of a cell on the sphere and sampling inside it. The
interpolation is gnomonic: the value at x is that of the flat cell at the point where the ray
through x meets it. Uses no ``Mesh`` and knows nothing of files or solvers, so that any arrays of
vertices and cells will do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanfield.arguments import Count, checked_arguments
from meanfield.checks import real_array
from meanfield.errors import InputError
from meanfield.geometry.laws.base import along_axis, as_points, check_dimension, zonal_by_sampling
from meanfield.geometry.meshcore import Mesh
from meanfield.geometry.sphere import Array, colatitude, log_area

__all__ = ["Source", "TabulatedDensity", "TabulatedProfile"]

IntArray = NDArray[np.int64]

Source = tuple[str, str] | tuple[str, str, float]
"""File and array, and the time if one was asked for."""

_RADIUS_TOLERANCE = 1e-6
"""Relative departure of a vertex from the sphere that is still put right silently."""


def _told(source: Source | None) -> str:
    """Where the values come from, for a description."""
    if source is None:
        return ""
    at = f" at t = {source[2]:g}" if len(source) > 2 else ""
    return f", array '{source[1]}' of {source[0]}{at}"


def _check_values(values: object, n: int) -> Array:
    """Return values at ``n`` vertices, (n,) finite and >= 0, or say which one is not."""
    expected = f"one number for each of {n} vertices"
    values = real_array(values, "values", expected)
    if values.shape != (n,):
        raise InputError(f"values: found shape {values.shape}, expected {expected}")
    for wrong, what in ((~np.isfinite(values), "finite"), (values < 0.0, ">= 0")):
        if np.any(wrong):
            at = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"values: found {values[at]} at vertex {at} ({int(wrong.sum())} like it), expected "
                f"a density, {what} everywhere"
            )
    return values


def _draw_in_cells(
    n: int,
    rng: np.random.Generator,
    masses: Array,
    attempt: Callable[[IntArray], tuple[Array, Array]],
) -> Array:
    """Choose a cell for each of ``n`` points by mass, then repeat ``attempt`` until accepted.

    ``attempt`` takes the cells of the missing points and returns proposals and the probability to
    keep each.
    """
    cell = rng.choice(len(masses), size=n, p=masses / masses.sum())
    todo: IntArray = np.arange(n)
    x: Array | None = None
    while len(todo) or x is None:
        proposed, chance = attempt(cell[todo])
        if x is None:
            x = np.empty((n, *proposed.shape[1:]))
        kept = rng.random(len(todo)) < chance
        x[todo[kept]] = proposed[kept]
        todo = todo[~kept]
    return x


@dataclass(frozen=True, eq=False)
class TabulatedDensity:
    """Values at the vertices of a mesh of S^1 or S^2, interpolated and normalised.

    The values are divided by the exact integral over the sphere of their gnomonic P1 interpolant,
    so they may be given in any unit.

    Attributes:
        points: vertices, (n, d) with d = 2 or 3, on a sphere about the origin of any one radius
            (to 1e-6 relative); scaled to unit length. Unused vertices are dropped.
        cells: (m, 2) segments of the circle or (m, 3) triangles, in any orientation, that cover
            the sphere once.
        values: one number >= 0 for each vertex, not all zero.
        source: file, array and perhaps time that it was read from, if any.

    Raises:
        InputError: if the arrays do not fit, the vertices do not lie on a sphere, the cells do not
            cover it, or the values are negative, not finite or all zero.
    """

    points: Array = field(repr=False)
    cells: IntArray = field(repr=False)
    values: Array = field(repr=False)
    source: Source | None = None
    _inverse: Array = field(init=False, repr=False)
    _volume: Array = field(init=False, repr=False)
    _masses: Array = field(init=False, repr=False)
    _tree: cKDTree = field(init=False, repr=False)
    _incident: tuple[IntArray, IntArray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = real_array(self.points, "points", "(n, 2) or (n, 3) vertices")
        cells = np.asarray(self.cells)
        if points.ndim != 2 or points.shape[1] not in (2, 3) or not len(points):
            raise InputError(f"points: found shape {points.shape}, expected (n, 2) or (n, 3)")
        d = points.shape[1]
        if cells.ndim != 2 or cells.shape[1] != d or not len(cells) or cells.dtype.kind not in "iu":
            raise InputError(
                f"cells: found shape {cells.shape} of {cells.dtype}, expected (m, {d}) integers"
            )
        if cells.min() < 0 or cells.max() >= len(points):
            raise InputError(
                f"cells: found vertices {cells.min()} to {cells.max()}, expected 0 to "
                f"{len(points) - 1}"
            )
        values = _check_values(self.values, len(points))
        used, flat = np.unique(cells, return_inverse=True)
        cells = flat.reshape(cells.shape).astype(np.int64)
        points, values = _on_unit_sphere(points[used]), values[used]
        corners = np.swapaxes(points[cells], 1, 2)  # vertices as columns
        volume = np.abs(np.linalg.det(corners))
        if volume.min() < 1e-14:
            raise InputError(
                f"cells: cell {int(volume.argmin())} has no area, expected proper triangles"
            )
        unit_masses = _cell_masses(points, cells, volume)
        cover = float(unit_masses.sum())
        if abs(cover - 1.0) > 1e-3:
            raise InputError(
                f"cells: found cells that cover {cover:.4f} times the sphere, expected a closed "
                "mesh that covers it once"
            )
        masses = np.sum(unit_masses * values[cells], axis=1)
        total = float(masses.sum())
        if not 0.0 < total < math.inf:
            raise InputError(f"values: found the integral {total:g}, expected a positive mass")
        order = np.argsort(cells.ravel(), kind="stable")
        starts = np.searchsorted(cells.ravel()[order], np.arange(len(points) + 1))
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "values", values / total)
        object.__setattr__(self, "_inverse", np.linalg.inv(corners))
        object.__setattr__(self, "_volume", volume)
        object.__setattr__(self, "_masses", masses / total)
        object.__setattr__(self, "_tree", cKDTree(points))
        object.__setattr__(self, "_incident", (order // d, starts))

    @property
    def d(self) -> int:
        """Dimension of the surrounding space, 2 or 3."""
        return int(self.points.shape[1])

    def _locate(self, x: Array) -> tuple[IntArray, Array]:
        """Cell of each row of ``x`` and its barycentric coordinates in the flat cell."""
        n = len(x)
        best_cell = np.zeros(n, dtype=np.int64)
        best = np.full(n, -np.inf)

        def try_cells(rows: IntArray, candidates: IntArray) -> None:
            inner = np.einsum("rcij,rj->rci", self._inverse[candidates], x[rows]).min(axis=2)
            pick = inner.argmax(axis=1)
            value = inner[np.arange(len(rows)), pick]
            better = value > best[rows]
            best[rows[better]] = value[better]
            best_cell[rows[better]] = candidates[np.arange(len(rows)), pick][better]

        owners, starts = self._incident
        valence = np.diff(starts)
        neighbours = min(8, len(self.points))
        nearest = self._tree.query(x, k=neighbours)[1].reshape(n, neighbours)
        for column in range(neighbours):
            rows = np.flatnonzero(best < -1e-12)
            size = max(1, 500_000 // int(valence.max()))
            for begin in range(0, len(rows), size):
                some = rows[begin : begin + size]
                vertex = nearest[some, column]
                width = int(valence[vertex].max())
                offset = np.minimum(np.arange(width), valence[vertex, None] - 1)
                try_cells(some, owners[starts[vertex, None] + offset])
        rows = np.flatnonzero(best < -1e-12)  # long thin cells, far from their own vertices
        size = max(1, 500_000 // len(self.cells))
        for begin in range(0, len(rows), size):
            some = rows[begin : begin + size]
            try_cells(some, np.tile(np.arange(len(self.cells)), (len(some), 1)))
        if n and best.min() < -1e-6:
            raise InputError(
                f"cells: no cell holds the direction {x[int(best.argmin())]}, expected a closed "
                "mesh that covers the sphere"
            )
        weights = np.einsum("rij,rj->ri", self._inverse[best_cell], x)
        weights = np.maximum(weights, 0.0)
        return best_cell, weights / weights.sum(axis=1, keepdims=True)

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,)."""
        cell, weights = self._locate(as_points(x, self.d))
        return np.asarray(np.sum(weights * self.values[self.cells[cell]], axis=1))

    def log_density(self, x: Array) -> Array:
        """Logarithm of the density, -inf where it is zero, (n,)."""
        with np.errstate(divide="ignore"):
            return np.log(self.density(x))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws: a cell by its mass, then rejection from uniform points of the flat cell."""
        corners = self.points[self.cells]
        sides = corners[:, 1:] - corners[:, :1]
        gram = np.linalg.det(sides @ np.swapaxes(sides, 1, 2))
        lowest = self._volume / np.sqrt(gram)  # distance of the origin from the plane of the cell
        peak = self.values[self.cells].max(axis=1)

        def attempt(cell: IntArray) -> tuple[Array, Array]:
            weights = rng.standard_exponential((len(cell), self.d))
            weights /= weights.sum(axis=1, keepdims=True)
            y = np.einsum("ri,rij->rj", weights, corners[cell])
            length = np.linalg.norm(y, axis=1)
            value = np.sum(weights * self.values[self.cells[cell]], axis=1)
            chance = value / peak[cell] * (lowest[cell] / length) ** self.d
            return y / length[:, None], chance

        return _draw_in_cells(n, rng, self._masses, attempt)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether the interpolated density is unchanged by rotations about e_d at many points."""
        return zonal_by_sampling(self, tol)

    def describe(self) -> str:
        """One line."""
        where = _told(self.source)
        return f"values at {len(self.points)} vertices on S^{self.d - 1}{where}"


def _on_unit_sphere(points: Array) -> Array:
    length = np.linalg.norm(points, axis=1)
    radius = float(np.median(length))
    off = np.abs(length - radius)
    if not np.all(np.isfinite(length)) or radius == 0.0 or off.max() > _RADIUS_TOLERANCE * radius:
        worst = int(np.nan_to_num(off, nan=np.inf).argmax())
        raise InputError(
            f"points: found vertex {worst} at distance {length[worst]:.9g} from the origin, "
            f"expected {radius:.9g} like the others to {_RADIUS_TOLERANCE:g}; centre the mesh at "
            "the origin"
        )
    return points / length[:, None]


def _cell_masses(points: Array, cells: IntArray, volume: Array) -> Array:
    """Integrals over each spherical cell of the d barycentric functions, w.r.t. sigma, (m, d).

    Gauss-Legendre on the flat cell (collapsed square for a triangle) of
    |det(vertices)| / |y|^d, the Jacobian of the projection to the sphere.
    """
    d = points.shape[1]
    nodes, weights = np.polynomial.legendre.leggauss(8 if len(cells) <= 20_000 else 4)
    u, w = 0.5 * (nodes + 1.0), 0.5 * weights
    rule: list[tuple[tuple[float, ...], float]]
    if d == 2:
        rule = [((1.0 - a, a), wa) for a, wa in zip(u, w, strict=True)]
    else:
        rule = [
            ((1.0 - a, a * (1.0 - b), a * b), wa * wb * a)
            for a, wa in zip(u, w, strict=True)
            for b, wb in zip(u, w, strict=True)
        ]
    masses = np.zeros(cells.shape)
    for bary, weight in rule:
        y = sum(b * points[cells[:, i]] for i, b in enumerate(bary))
        part = weight * volume / np.linalg.norm(y, axis=1) ** d
        masses += part[:, None] * np.array(bary)
    return masses / math.exp(log_area(d))


@dataclass(frozen=True, eq=False)
class TabulatedProfile:
    """A zonal law on S^{d-1} given by values at angles from e_d, piecewise linear in the angle.

    Attributes:
        d: dimension of the surrounding space, >= 2.
        theta: rising angles in radians, from 0 to pi (to 1e-9).
        values: one number >= 0 for each angle, in any unit; divided by their integral.
        source: file, array and perhaps time that it was read from, if any.

    Raises:
        InputError: if the angles do not rise from 0 to pi, or the values are negative, not finite
            or have no mass.
    """

    d: int
    theta: Array = field(repr=False)
    values: Array = field(repr=False)
    source: Source | None = None
    _masses: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_dimension(self.d)
        theta = real_array(self.theta, "theta", "a list of rising angles").copy()
        if theta.ndim != 1 or len(theta) < 2 or not np.all(np.diff(theta) > 0.0):
            raise InputError("theta: expected a list of at least two rising angles")
        if abs(theta[0]) > 1e-9 or abs(theta[-1] - math.pi) > 1e-9:
            raise InputError(
                f"theta: found angles from {theta[0]:.9g} to {theta[-1]:.9g}, expected 0 to pi"
            )
        theta[0], theta[-1] = 0.0, math.pi
        values = _check_values(self.values, len(theta))
        pieces = math.ceil(1024 / (len(theta) - 1))
        nodes, weights = np.polynomial.legendre.leggauss(8)
        inside = (np.arange(pieces)[:, None] + 0.5 * (nodes + 1.0)).ravel() / pieces
        width = np.diff(theta)[:, None]
        angle = theta[:-1, None] + width * inside
        rho = values[:-1, None] + np.diff(values)[:, None] * inside
        scale = math.exp(log_area(self.d - 1) - log_area(self.d))
        each = np.tile(0.5 * weights / pieces, pieces)
        masses = scale * np.sum(rho * np.sin(angle) ** (self.d - 2) * width * each, axis=1)
        total = float(masses.sum())
        if not 0.0 < total < math.inf:
            raise InputError(f"values: found the integral {total:g}, expected a positive mass")
        object.__setattr__(self, "theta", theta)
        object.__setattr__(self, "values", values / total)
        object.__setattr__(self, "_masses", masses / total)

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,)."""
        x = as_points(x, self.d)
        return np.interp(colatitude(x), self.theta, self.values)

    def log_density(self, x: Array) -> Array:
        """Logarithm of the density, -inf where it is zero, (n,)."""
        with np.errstate(divide="ignore"):
            return np.log(self.density(x))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws: an interval by its mass, then rejection from uniform angles in it."""
        low, width = self.theta[:-1], np.diff(self.theta)
        left, rise = self.values[:-1], np.diff(self.values)
        widest = np.sin(np.clip(0.5 * math.pi, low, self.theta[1:]))  # where the sine is largest
        peak = np.maximum(left, self.values[1:])

        def attempt(cell: IntArray) -> tuple[Array, Array]:
            inside = rng.random(len(cell))
            angle = low[cell] + width[cell] * inside
            sine = (np.sin(angle) / widest[cell]) ** (self.d - 2)
            return angle, (left[cell] + rise[cell] * inside) / peak[cell] * sine

        angle = _draw_in_cells(n, rng, self._masses, attempt)
        axis = np.zeros(self.d)
        axis[-1] = 1.0
        return along_axis(2.0 * np.sin(0.5 * angle) ** 2, axis, rng)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Always."""
        return True

    def describe(self) -> str:
        """One line."""
        where = _told(self.source)
        return f"values at {len(self.theta)} angles from e_d on S^{self.d - 1}{where}"


def density_law(mesh: Mesh, values: object) -> TabulatedDensity | TabulatedProfile:
    """The probability law of a P1 density; normalised by its exact integral.

    Args:
        mesh: any of the three geometries.
        values: (n_vertices,) numbers >= 0 with respect to sigma, in any unit.

    Raises:
        InputError: values that are no density.

    Example:
        >>> mesh = mf.icosphere(2)
        >>> law = mf.density_law(mesh, 1.0 + mesh.points[:, 2])
        >>> law.density([[0.0, 0.0, 1.0]]).round(2)
        array([2.])
    """
    rho = _check_values(values, mesh.n_vertices)
    if mesh.manifold.latitudes:
        order = np.argsort(mesh.points[:, 0])
        return TabulatedProfile(mesh.d, mesh.points[order, 0], rho[order])
    return TabulatedDensity(mesh.points, mesh.cells, rho)
