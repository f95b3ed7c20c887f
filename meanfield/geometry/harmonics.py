"""Harmonic transforms of measures on S^2, S^1 and zonal S^{d-1}.

A measure is (points, weights). Its *moments* against real harmonics Y_k that are orthonormal in
L^2(sigma), sigma the uniform probability, and fields given by such coefficients, at any points:

    a_k = sum_j m_j Y_k(x_j),        f(x) = sum_k c_k Y_k(x),   grad f(x).

S^2 and S^1 use the nonuniform transforms of ducc0, the zonal case a three-term recurrence.
Knows nothing of what interacts: multipliers by degree come from the caller.
"""

from __future__ import annotations

import itertools
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from typing import Any, NamedTuple, TypeVar

import ducc0
import numba as nb
import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.polynomials import gegenbauer
from meanfield.geometry.sphere import Array, harmonic_dimension

__all__ = [
    "CircleHarmonics",
    "Harmonics",
    "Located",
    "SphereHarmonics",
    "ZonalHarmonics",
    "available_cpus",
    "harmonics_for",
]

_THREADED_FROM = 30_000  # nodes; below, a second thread costs more than it brings (measured)


_PART = 10_240  # nodes of a transform at a time, about
_Values = TypeVar("_Values", NDArray[np.float64], NDArray[np.complex128])


def _in_parts(n: int, part: Callable[[slice], _Values]) -> list[_Values]:
    """Do a transform for parts of the nodes, each on one thread; the results in their order.

    ducc0's own threads add in the order in which they happen to arrive, and its parameters depend
    on their number: two runs, or a run and its continuation, then differ by round-off. This way
    the result depends on the nodes alone, and is as fast.
    """
    ends = np.linspace(0, n, max(1, round(n / _PART)) + 1).astype(int).tolist()
    parts = [slice(start, stop) for start, stop in itertools.pairwise(ends)]
    threads = _threads(n)
    if threads == 1 or len(parts) == 1:
        return [part(nodes) for nodes in parts]
    return list(_pool(threads).map(part, parts))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _threads(n: int) -> int:
    if n < _THREADED_FROM:
        return 1
    return max(1, int(os.environ.get("MEANFIELD_NUM_THREADS", "0")) or available_cpus())


def available_cpus() -> int:
    """Number of processors for this process: those of the machine, shared by its MPI ranks."""
    environment = os.environ
    ranks = environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") or environment.get("MPI_LOCALNRANKS")
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return max(1, cpus // int(ranks or 1))


class Located(NamedTuple):
    """Points in the coordinates of a transform, to be made once for points that do not move.

    ``angles``: (n, 2) colatitude and longitude on S^2, (n,) longitude on S^1, (n,) theta (zonal).
    ``points``: the points themselves, (n, gdim).
    """

    points: Array
    angles: Array


@dataclass(frozen=True)
class Harmonics(ABC):
    """Real harmonics of degree 0..``degree``, orthonormal in L^2(sigma), on one geometry.

    Attributes:
        degree: largest degree L.
        epsilon: relative accuracy asked of nonuniform transforms.
    """

    degree: int
    epsilon: float = 1e-13

    @property
    @abstractmethod
    def d(self) -> int:
        """Dimension of the ambient space R^d."""

    @cached_property
    @abstractmethod
    def degrees(self) -> NDArray[np.int64]:
        """(n_coefficients,) degree of each coefficient."""

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


@dataclass(frozen=True)
class SphereHarmonics(Harmonics):
    """Spherical harmonics on S^2 by ``ducc0.sht`` (nonuniform spherical harmonic transforms)."""

    @property
    def d(self) -> int:
        return 3

    @cached_property
    def _orders(self) -> NDArray[np.int64]:
        # ducc0 stores m = 0: l = 0..L, m = 1: l = 1..L, ...; real and imaginary parts alternate.
        return np.concatenate([np.full(self.degree + 1 - m, m) for m in range(self.degree + 1)])

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        l = np.concatenate([np.arange(m, self.degree + 1) for m in range(self.degree + 1)])
        return np.repeat(l, 2)

    @cached_property
    def _scale(self) -> Array:
        # Y_lm orthonormal for the area -> for sigma: sqrt(4 pi). A real field is
        # a_l0 Y_l0 + 2 Re sum_{m>0} a_lm Y_lm: sqrt 2 makes the real pair orthonormal.
        scale = np.where(self._orders == 0, 1.0, np.sqrt(2.0)) * np.sqrt(4.0 * np.pi)
        pair = np.repeat(scale, 2)
        pair[1 : 2 * (self.degree + 1) : 2] = 0.0  # m = 0 has no imaginary part
        return pair

    @cached_property
    def _inverse_scale(self) -> Array:
        # real coefficients -> complex a_lm of ducc0's synthesis
        scale = np.where(self._orders == 0, 1.0, np.sqrt(0.5)) * np.sqrt(4.0 * np.pi)
        pair = np.repeat(scale, 2)
        pair[1 : 2 * (self.degree + 1) : 2] = 0.0
        return pair

    def locate(self, points: Array) -> Located:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != 3:
            raise InputError(f"points of shape {x.shape} found, (n, 3) unit vectors expected")
        angles = np.empty((x.shape[0], 2))
        angles[:, 0] = np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2])
        angles[:, 1] = np.arctan2(x[:, 1], x[:, 0])
        angles[:, 1] += np.where(angles[:, 1] < 0.0, 2.0 * np.pi, 0.0)
        return Located(x, angles)

    @property
    def _options(self) -> dict[str, Any]:
        return {"lmax": self.degree, "mmax": self.degree, "epsilon": self.epsilon, "nthreads": 1}

    def moments(self, points: Array | Located, weights: Array) -> Array:
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros(self.degrees.size)
        masses = np.ascontiguousarray(weights, dtype=np.float64).reshape(1, n)

        def part(nodes: slice) -> NDArray[np.complex128]:
            return ducc0.sht.adjoint_synthesis_general(
                map=masses[:, nodes], loc=at.angles[nodes], spin=0, **self._options
            )[0]

        return reduce(np.add, _in_parts(n, part)).view(np.float64) * self._scale

    def values(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros(0)
        alm = (coefficients * self._inverse_scale).view(np.complex128).reshape(1, -1)

        def part(nodes: slice) -> Array:
            return ducc0.sht.synthesis_general(
                alm=alm, loc=at.angles[nodes], spin=0, **self._options
            )[0]

        return np.concatenate(_in_parts(n, part))

    def gradient(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        n = at.angles.shape[0]
        if n == 0:
            return np.zeros((0, 3))
        alm = (coefficients * self._inverse_scale).view(np.complex128).reshape(1, -1)

        out = np.empty((n, 3))

        def part(nodes: slice) -> Array:
            slopes = ducc0.sht.synthesis_general(
                alm=alm, loc=at.angles[nodes], spin=1, mode="DERIV1", **self._options
            )
            _add_frame(at.points[nodes], slopes, out[nodes])
            return out[nodes]

        _in_parts(n, part)
        return out


@nb.njit(nogil=True, error_model="numpy", cache=True)
def _add_frame(x: Array, slopes: Array, out: Array) -> None:
    """Tangent vectors (n, 3) from their components along theta and phi, (2, n), at points (n, 3).

    Sines and cosines come from the coordinates. At the poles the longitude is that of ``locate``, 0
    or pi by the sign of the zero. In one loop: as NumPy's, with ten arrays in between, this was
    more than half of the time of a gradient at 40 000 points.
    """
    for i in range(x.shape[0]):
        x0, x1, x2 = x[i, 0], x[i, 1], x[i, 2]
        square = x0 * x0 + x1 * x1
        # Squares of what is so near to a pole lose their digits.
        rho = math.sqrt(square) if square > 1e-280 else math.hypot(x0, x1)
        cp, sp = (x0 / rho, x1 / rho) if rho > 0.0 else (math.copysign(1.0, x0), 0.0)
        radius = math.sqrt(rho * rho + x2 * x2)
        ct, st = x2 / radius, rho / radius
        g0, g1 = slopes[0, i], slopes[1, i]
        out[i, 0] = g0 * ct * cp - g1 * sp
        out[i, 1] = g0 * ct * sp + g1 * cp
        out[i, 2] = -g0 * st


@dataclass(frozen=True)
class CircleHarmonics(Harmonics):
    """Fourier modes on S^1 by ``ducc0.nufft``: 1, sqrt2 cos(k phi), sqrt2 sin(k phi), ..."""

    @property
    def d(self) -> int:
        return 2

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.repeat(np.arange(1, self.degree + 1), 2)])

    def locate(self, points: Array) -> Located:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != 2:
            raise InputError(f"points of shape {x.shape} found, (n, 2) unit vectors expected")
        return Located(x, np.arctan2(x[:, 1], x[:, 0]))

    def moments(self, points: Array | Located, weights: Array) -> Array:
        at = self._located(points)
        n = at.angles.size
        if n == 0:
            return np.zeros(self.degrees.size)
        masses = np.ascontiguousarray(weights, dtype=np.float64).astype(np.complex128)

        def part(nodes: slice) -> NDArray[np.complex128]:
            return ducc0.nufft.nu2u(
                points=masses[nodes],
                coord=at.angles[nodes].reshape(-1, 1),
                out=np.zeros(2 * self.degree + 1, dtype=np.complex128),
                forward=True,
                epsilon=self.epsilon,
                nthreads=1,
                fft_order=False,
            )

        modes = reduce(np.add, _in_parts(n, part))
        positive = modes[self.degree + 1 :]
        out = np.empty(self.degrees.size)
        out[0] = modes[self.degree].real
        out[1::2] = np.sqrt(2.0) * positive.real
        out[2::2] = -np.sqrt(2.0) * positive.imag
        return out

    def _synthesise(self, coefficients: Array, at: Located) -> Array:
        n = at.angles.size
        if n == 0:
            return np.zeros(0)
        modes = np.zeros(2 * self.degree + 1, dtype=np.complex128)
        modes[self.degree] = coefficients[0]
        half = np.sqrt(0.5) * (coefficients[1::2] - 1j * coefficients[2::2])
        modes[self.degree + 1 :] = half
        modes[: self.degree] = np.conj(half[::-1])

        def part(nodes: slice) -> Array:
            return ducc0.nufft.u2nu(
                grid=modes,
                coord=at.angles[nodes].reshape(-1, 1),
                forward=False,
                epsilon=self.epsilon,
                nthreads=1,
                fft_order=False,
            ).real

        return np.concatenate(_in_parts(n, part))

    def values(self, coefficients: Array, points: Array | Located) -> Array:
        return self._synthesise(coefficients, self._located(points))

    def gradient(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        k = self.degrees[1::2]
        derivative = np.zeros_like(coefficients)
        derivative[1::2] = k * coefficients[2::2]
        derivative[2::2] = -k * coefficients[1::2]
        slope = self._synthesise(derivative, at)
        return slope[:, None] * np.column_stack([-np.sin(at.angles), np.cos(at.angles)])


@dataclass(frozen=True)
class ZonalHarmonics(Harmonics):
    """Axially symmetric harmonics sqrt(dim H_l) P_l(cos theta) on S^{d-1}, any d >= 2.

    P_l is the Gegenbauer polynomial with P_l(1) = 1 (Legendre for d = 3, Chebyshev for d = 2).
    Points are colatitudes theta, (n, 1). A measure is the law of theta, whose axially symmetric
    spread over S^{d-1} is what interacts.
    """

    dimension: int = 3

    @property
    def d(self) -> int:
        return self.dimension

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        return np.arange(self.degree + 1)

    @cached_property
    def _root_dimension(self) -> Array:
        return np.sqrt(harmonic_dimension(self.degree, self.d))

    def locate(self, points: Array) -> Located:
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != 1:
            raise InputError(f"points of shape {x.shape} found, (n, 1) angles theta expected")
        return Located(x, x[:, 0].copy())

    def moments(self, points: Array | Located, weights: Array) -> Array:
        at = self._located(points)
        return self._root_dimension * (gegenbauer(np.cos(at.angles), self.d, self.degree) @ weights)

    def values(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        p = gegenbauer(np.cos(at.angles), self.d, self.degree)
        return (coefficients * self._root_dimension) @ p

    def gradient(self, coefficients: Array, points: Array | Located) -> Array:
        at = self._located(points)
        if self.degree == 0:
            return np.zeros((at.angles.size, 1))
        # P_l' = l(l+d-2)/(d-1) times the polynomial of degree l-1 in dimension d+2.
        p = gegenbauer(np.cos(at.angles), self.d + 2, self.degree - 1)
        l = self.degrees[1:]
        c = (coefficients * self._root_dimension)[1:] * (l * (l + self.d - 2) / (self.d - 1))
        return (-np.sin(at.angles) * (c @ p))[:, None]


def harmonics_for(geometry: str, d: int, degree: int, epsilon: float = 1e-13) -> Harmonics:
    """The harmonics of a geometry: "sphere" (d = 3), "circle" (d = 2) or "zonal" (any d >= 2).

    Raises:
        InputError: an unknown geometry, or a dimension that it does not have.
    """
    if geometry == "sphere" and d == 3:
        return SphereHarmonics(degree, epsilon)
    if geometry == "circle" and d == 2:
        return CircleHarmonics(degree, epsilon)
    if geometry == "zonal" and d >= 2:
        with np.errstate(over="ignore"):
            if not np.isfinite(harmonic_dimension(degree, d)[-1]):
                raise InputError(
                    f"d = {d} with harmonics up to degree {degree} found: their number is beyond "
                    "1e308; take a smaller d or a smoother interaction"
                )
        return ZonalHarmonics(degree, epsilon, dimension=d)
    raise InputError(
        f"geometry '{geometry}' with d = {d} found; 'sphere' (d = 3), 'circle' (d = 2) or "
        "'zonal' (d >= 2) expected"
    )
