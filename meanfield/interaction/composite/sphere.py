"""Heads on S^2 by spherical harmonics: a matrix between harmonics, then radial nodes.

    e^{<A x, y> - s} = sum_kk' T_kk' Y_k(x) Y_k'(y),  s = |A|

In the frames of the singular value decomposition T couples harmonics of one parity class only:
eight blocks, made once for a head. It is exact to e^{s} times round-off, so that it tells Z where
that is no smaller than ``noise/accuracy`` of its bound. For all other targets |A x| is interpolated
between Chebyshev nodes, where the series is that of a zonal kernel: exact to e^{|A x|} times
round-off. What is smaller still is left to direct sums.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import ive

from meanfield.geometry.manifolds import Located
from meanfield.geometry.manifolds.algebra import (
    coordinate_products,
    harmonics_at,
    lower,
    places,
    rotated,
    tangential,
)
from meanfield.geometry.manifolds.sphere import SphereGrid, SphereHarmonics
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite.bessel import exponential_series, uniform_slope
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.octant import Octant, octant_for
from meanfield.interaction.composite.parts import HeadParts
from meanfield.interaction.composite.series import (
    NOISE,
    HeadSeries,
    HeadSums,
    Precision,
    largest_sums,
    series_degree,
)
from meanfield.interaction.composite.sums import tangential_divergence

__all__ = ["SphereHead", "SphereSums"]

_LARGEST = 70  # degree up to which the matrix is made: 25 MB and a second
_NODES = 3e-15  # accuracy of the interpolation


class SphereHead(HeadSeries):
    """A head on S^2, made once for its matrices.

    Args:
        head: the matrices.

    Attributes:
        degree: of the series; moments are needed to two degrees more.
    """

    def __init__(self, head: HeadMatrices) -> None:
        self.head = head
        self.degree = series_degree(head.size, 3)

    # ------------------------------------------------------------------ the matrix

    @property
    def has_matrix(self) -> bool:
        """Whether the matrix between harmonics is made; else all targets go by radial nodes."""
        return self.degree <= _LARGEST or self.head.frames.is_round

    @property
    def _octant(self) -> Octant:
        return octant_for(self.degree)

    @cached_property
    def _blocks(self) -> list[Array]:
        """T in its eight blocks, by a rule on one octant: others are its mirror images."""
        w = self._octant.points * np.asarray(self.head.frames.sizes)
        r = np.linalg.norm(w, axis=1)
        series, l = self.radial_series(r), places(self.degree).l
        there = harmonics_at(directions_of(w, r), self.degree)
        return [
            self._octant.analysed(there[:, of] * series[:, l[of]], of)
            for of in self._octant.classes
        ]

    @cached_property
    def round_series(self) -> Array:
        """(degree + 1,) of the kernel for an A that is round: one |A x| for all targets."""
        return self.radial_series(np.abs(self.head.frames.sizes[:1]))[0]

    def radial_series(self, r: Array) -> Array:
        """(n, degree + 1) of the zonal kernel that it is at |A x| = r, (n,), with e^{-|A|}."""
        size = float(np.abs(self.head.frames.sizes).max())
        return np.asarray(exponential_series(r, self.degree, 3) * np.exp(r - size)[:, None])

    def _applied(self, moments: Array) -> Array:
        """T times columns of moments in the frame of y: coefficients in the frame of x."""
        sizes = self.head.frames.sizes
        if self.head.frames.is_round:
            l, m, _ = places(self.degree)
            mirrored = (-1.0) ** (l + m) if sizes[2] < 0.0 else 1.0
            return np.asarray((self.round_series[l] * mirrored)[:, None] * moments)
        out = np.empty_like(moments)
        for of, block in zip(self._octant.classes, self._blocks, strict=True):
            out[of] = block @ moments[of]
        return out

    def sums(self, moments: Array, of: int, precision: Precision) -> SphereSums:
        """With the moments of a measure up to degree ``of``."""
        return SphereSums(self, moments, of, precision)

    def applied(self, moments: Array, of: int) -> Array:
        """Coefficients of Z e^{-|A|}, nothing left out."""
        frames, degree = self.head.frames, self.degree
        a = rotated(moments[lower(degree, of)], degree, frames.out.T)
        return rotated(self._applied(a[:, None])[:, 0], degree, frames.into)

    def flow(self, moments: Array, of: int) -> tuple[Array, Array]:
        """Coefficients of Z and (3, ...) of V int e^{<A x, y>} y dmu, times e^{-|A|}."""
        head, degree = self.head, self.degree
        frames = head.frames
        b = rotated(moments[lower(degree + 1, of)], degree + 1, frames.out.T)
        columns = [b[lower(degree, degree + 1)]]
        columns += [product @ b for product in coordinate_products(degree, degree + 1)]
        c = self._applied(np.stack(columns, axis=1)).T
        c = np.concatenate([c[:1], (head.V @ frames.out) @ c[1:]])
        c = rotated(c, degree, frames.into)
        return c[0], c[1:]

    def together(
        self, sums: list[tuple[HeadSums, float]], at: Located, order: int
    ) -> tuple[Array, Array]:
        """Summed as coefficients: one synthesis for all."""
        by_matrix = [
            (one, factor) for one, factor in sums
            if isinstance(one, SphereSums) and one.series.has_matrix
        ]  # fmt: skip
        rest = [pair for pair in sums if pair not in by_matrix]
        velocity, divergence = super().together(rest, at, order)
        if not by_matrix:
            return velocity, divergence
        degree = max(one.series.degree for one, _ in by_matrix)
        flow = np.zeros((3, (degree + 1) ** 2))
        for one, log_factor in by_matrix:
            factor = math.exp(log_factor + one.series.head.size)
            flow[:, lower(one.series.degree, degree)] += factor * one.flow
        phi, psi, bend = tangential(flow, degree)
        transforms = _harmonics(degree + 1, by_matrix[0][0].precision.epsilon)
        velocity = velocity + transforms.tangent(phi, psi, at)
        return velocity, divergence + transforms.values(bend, at) if order > 1 else divergence


class SphereSums(HeadSums):
    """A head on S^2 and the moments of one measure.

    Args:
        series: the head.
        moments: of the measure.
        of: their degree.
        precision: what is asked for.
    """

    def __init__(self, series: SphereHead, moments: Array, of: int, precision: Precision) -> None:
        self.series, self.precision = series, precision
        self._moments, self._of = moments, of
        self._mass = float(moments[0]) if series.head.rests else 0.0

    @cached_property
    def _excess(self) -> Array:
        """Moments less the uniform part, where the head is at rest under that."""
        out = self._moments.copy()
        out[0] -= self._mass
        return out

    @cached_property
    def _both(self) -> tuple[Array, Array]:
        return self.series.flow(self._excess, self._of)

    @property
    def flow(self) -> Array:
        """(3, n_coefficients) of V int e^{<A x, y> - |A|} y dmu, less the uniform part at rest."""
        return self._both[1]

    @cached_property
    def _value(self) -> Array:
        return self.series.applied(self._excess, self._of)

    @cached_property
    def _tangential(self) -> tuple[Array, Array, Array]:
        """Potential, stream function and divergence of the tangential part of the flow."""
        return tangential(self.flow, self.series.degree)

    @cached_property
    def _bound(self) -> float:
        """No Z e^{-|A|} is larger (Cauchy-Schwarz by degree)."""
        power = np.bincount(places(self._of).l, weights=self._moments**2)
        return float(largest_sums(np.array([self.series.head.size]), power, 3)[0])

    def pairs(self, moments: Array) -> float:
        series = self.series
        if series.has_matrix:
            value = series.applied(self._moments, self._of)
            return float(np.dot(value, moments[lower(series.degree, self._of)]))
        grid = SphereGrid(self._of, self._of + 1)
        at = SphereHarmonics(self._of, self.precision.epsilon).locate(grid.points)
        parts = self.parts(at, 0)
        z = parts.z * np.exp(parts.log_scale - series.head.size)
        return float(np.dot(grid.analyse(z), moments))

    def parts(self, at: Located, order: int) -> HeadParts:
        n = len(at.points)
        if not n and not self.series.has_matrix:
            none, flow = np.zeros(0), np.zeros((0, 3))
            return HeadParts(none, none, none, none, flow, none, flow)
        dim = np.ones(n, dtype=bool)
        parts = None
        if self.series.has_matrix:
            parts = self._by_matrix(at, order)
            if self.precision.relative is None:
                return parts
            dim = parts.z * self.precision.relative < parts.noise
        if not np.any(dim):
            assert parts is not None
            return parts
        better = self._by_nodes(at.points[dim], order)
        return better if parts is None else parts.replaced(dim, better)

    def _by_matrix(self, at: Located, order: int) -> HeadParts:
        """With e^{-|A|} taken out."""
        series, epsilon, mass = self.series, self.precision.epsilon, self._mass
        head, n = series.head, len(at.points)
        transforms = _harmonics(series.degree, epsilon)
        scale, noise = np.full(n, head.size), np.full(n, NOISE * self._bound)
        coefficients = self._value if order == 0 else self._both[0]
        z = excess = transforms.values(coefficients, at)
        w = r = np.zeros(0)
        if mass:
            w = at.points @ head.A.T
            r = np.linalg.norm(w, axis=1)
            z = excess + mass * np.exp(r - head.size) * exponential_series(r, 0, 3)[:, 0]
        if order == 0:
            return HeadParts(scale, z, excess, noise)
        phi, psi, bend = self._tangential
        higher = _harmonics(series.degree + 1, epsilon)
        flow = higher.tangent(phi, psi, at)
        if order == 1:
            return HeadParts(scale, z, excess, noise, flow)
        slope = transforms.gradient(coefficients, at)
        if mass:
            factor = mass * np.exp(r - head.size) * uniform_slope(r, 3)
            slope = slope + (factor[:, None] * w) @ head.A
        return HeadParts(scale, z, excess, noise, flow, higher.values(bend, at), slope)

    def _by_nodes(self, x: Array, order: int) -> HeadParts:
        """With e^{-|A x|} taken out, at targets x (n, 3)."""
        head, degree = self.series.head, self.series.degree
        w = x @ head.A.T
        r = np.linalg.norm(w, axis=1)
        columns = _products(self._moments, self._of, degree, order)
        values = _interpolated(columns, r, directions_of(w, r), degree, self.precision.epsilon)
        z, noise = values[0], np.full(len(x), NOISE * float(self._moments[0]))
        if order == 0:
            return HeadParts(r, z, z, noise)
        mean = values[1:4].T
        flow = mean @ head.V.T
        along = tangent_project(x, flow)
        if order == 1:
            return HeadParts(r, z, z, noise, along)
        s = np.empty((len(x), 3, 3))
        for number, (i, k) in enumerate(_PAIRS):
            s[:, i, k] = s[:, k, i] = values[4 + number]
        trace = np.einsum("ijk,kj->i", s, head.A @ head.V)
        bend = np.einsum("ij,ijk,ik->i", x @ head.V, s, w)
        divergence = tangential_divergence(x, flow, trace, bend)
        return HeadParts(r, z, z, noise, along, divergence, mean @ head.A)


def directions_of(w: Array, r: Array) -> Array:
    """w/|w|; some direction where that is 0."""
    safe = np.where(r > 0.0, r, 1.0)[:, None]
    return np.where(r[:, None] > 0.0, w / safe, np.array([0.0, 0.0, 1.0]))


_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def _products(moments: Array, of: int, degree: int, order: int) -> Array:
    """(1, 4 or 10, n_coefficients) moments of mu, of y_k mu, of y_i y_k mu."""
    rows = [moments[lower(degree, of)]]
    if order >= 1:
        near = moments[lower(degree + 1, of)]
        rows += [p @ near for p in coordinate_products(degree, degree + 1)]
    if order >= 2:
        far = moments[lower(degree + 2, of)]
        first = [p @ far for p in coordinate_products(degree + 1, degree + 2)]
        last = coordinate_products(degree, degree + 1)
        rows += [last[k] @ first[i] for i, k in _PAIRS]
    return np.stack(rows)


def _interpolated(columns: Array, r: Array, direction: Array, degree: int, epsilon: float) -> Array:
    """(k, n): the series of each row of moments, its r interpolated between Chebyshev nodes."""
    low, high = float(r.min()), float(r.max())
    spread = high - low
    count = _node_count(spread)
    angle = math.pi * (np.arange(count) + 0.5) / count
    nodes = 0.5 * (low + high) + 0.5 * spread * np.cos(angle)
    signs = np.sin(angle) * (-1.0) ** np.arange(count)
    series = exponential_series(np.maximum(nodes, 0.0), degree, 3)
    l = places(degree).l
    at = _harmonics(degree, epsilon).locate(direction)
    above, below = np.zeros((len(columns), r.size)), np.zeros(r.size)
    exact: list[tuple[Array, Array]] = []
    for node, sign, lam in zip(nodes, signs, series, strict=True):
        # No further than this node's series goes.
        last = int(np.flatnonzero(lam * (2.0 * np.arange(degree + 1) + 1.0) > 1e-17)[-1])
        keep = lower(last, degree)
        transforms = _harmonics(last, epsilon)
        values = np.stack([transforms.values((lam[l] * row)[keep], at) for row in columns])
        apart = r - node
        hit = np.flatnonzero(apart == 0.0)
        if count == 1:
            return values
        if hit.size:
            exact.append((hit, values[:, hit]))
            apart[hit] = 1.0
        weight = sign / apart
        above += weight * values
        below += weight
    out = above / below
    for hit, values in exact:
        out[:, hit] = values
    return out


def _node_count(spread: float) -> int:
    """Nodes that interpolate e^{-r} i_l(r) over such a range: by the tail of its series."""
    if spread < 1e-9:
        return 1
    half = 0.5 * spread
    k = np.arange(int(40 + 3.0 * half + 12.0 * math.sqrt(half)))
    terms = 2.0 * ive(k, 2.0 * half)
    tails = np.cumsum(terms[::-1])[::-1]
    return max(4, int(np.flatnonzero(tails <= _NODES)[0]))


@lru_cache(maxsize=256)
def _harmonics(degree: int, epsilon: float) -> SphereHarmonics:
    return SphereHarmonics(degree, epsilon)
