"""Laws with a closed-form density and an exact sampler, in any dimension.

Uniform, von Mises-Fisher, Poisson kernel and angular Gaussian. Densities are with respect to
sigma, uniform = 1. Knows nothing of meshes or files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np

from meanfield.arguments import Count, checked_arguments
from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.laws.base import (
    Axis,
    Dimension,
    Scalar,
    Vector,
    along_axis,
    as_points,
    check_dimension,
    direction,
    in_numbers,
    off_axis,
    real,
    unchecked,
    vector,
)
from meanfield.geometry.sphere import Array, normalize, uniform_points
from meanfield.options import Expected, Field, Unit, field, options

__all__ = [
    "AngularGaussian",
    "PoissonKernel",
    "Uniform",
    "VonMisesFisher",
]


@options("")
class Uniform:
    """The uniform law sigma, density 1.

    >>> mf.Uniform(3).density([[0.0, 0.0, 1.0]])
    array([1.])
    """

    d: Dimension
    """Dimension of the surrounding space, >= 2."""
    type: Literal["uniform"] = field(default="uniform", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        check_dimension(self.d)

    def density(self, x: Array) -> Array:
        """Ones, (n,)."""
        return np.ones(len(as_points(x, self.d)))

    def log_density(self, x: Array) -> Array:
        """Zeros, (n,)."""
        return np.zeros(len(as_points(x, self.d)))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Normalised Gaussian vectors."""
        return uniform_points(n, self.d, rng)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Always."""
        return True

    def describe(self) -> str:
        """One line."""
        return f"uniform on S^{self.d - 1}"


@options("")
class VonMisesFisher:
    """The von Mises-Fisher law, density proportional to exp(k <x, mean>).

    Everything is log-scaled, so that any concentration from 0 (uniform) to 1e15 works.

    Raises:
        InputError: if the mean has no direction or the concentration is negative.

    >>> mf.VonMisesFisher((0, 0, 1), 4.0).density([[0.0, 0.0, 1.0]]).round(3)
    array([8.003])
    """

    mean: Axis = Field(examples=["e_d"])
    """Direction of the mean, d numbers of any length but zero."""
    concentration: Annotated[Scalar, Unit("1")] = Field(examples=[4.0])
    """k >= 0."""
    type: Literal["von-mises-fisher"] = field(default="von-mises-fisher", kw_only=True, repr=False)
    _mu: Array = field(init=False, repr=False, compare=False)
    _log_scale: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given, mu = direction(self.mean, "mean")
        k = real(self.concentration, "concentration", "a number >= 0")
        if k < 0.0:
            raise InputError(
                f"concentration: found {k:g}, expected a number >= 0; to concentrate at the "
                "opposite point, change the sign of the mean"
            )
        object.__setattr__(self, "mean", given)
        object.__setattr__(self, "concentration", k)
        object.__setattr__(self, "_mu", mu)
        object.__setattr__(self, "_log_scale", float(log_scaled_bessel(0.5 * len(mu) - 1.0, k)))

    @property
    def d(self) -> int:
        """Dimension of the surrounding space."""
        return len(self._mu)

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,). It may overflow only beyond 1e308."""
        return np.exp(self.log_density(x))

    def log_density(self, x: Array) -> Array:
        """k (<x, mean> - 1) - log(e^{-k} lam_0(k)), with 1 - <x, mean> taken from |x - mean|."""
        gap = 0.5 * np.sum((as_points(x, self.d) - self._mu) ** 2, axis=1)
        return -self.concentration * gap - self._log_scale

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws: inversion for d = 3 (Ulrich 1984), else rejection (Wood 1994).

        Written for 1 - <x, mean> and with ratios of Gamma variables, so that no digits are lost
        at large concentration.
        """
        k, d = self.concentration, self.d
        if k == 0.0:
            return uniform_points(n, d, rng)
        if d == 3:
            s = -np.log1p(rng.random(n) * math.expm1(-2.0 * k)) / k
            return along_axis(np.clip(s, 0.0, 2.0), self._mu, rng)
        b = (d - 1) / (2.0 * k + math.hypot(2.0 * k, d - 1))
        s = np.empty(n)
        todo = np.arange(n)
        while len(todo):
            one, two = rng.standard_gamma(0.5 * (d - 1), (2, len(todo)))
            ratio = 2.0 * one / (two + b * one)  # (1 - <x, mean>) / b, so it lies in [0, 2/b]
            log_accept = (
                2.0 * b * k / (1.0 + b)
                - k * b * ratio
                + (d - 1) * np.log(0.5 * (1.0 + b) * (1.0 + 0.5 * (1.0 - b) * ratio))
            )
            kept = -rng.standard_exponential(len(todo)) <= log_accept
            s[todo[kept]] = b * ratio[kept]
            todo = todo[~kept]
        return along_axis(np.clip(s, 0.0, 2.0), self._mu, rng)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether the mean lies on the last axis, or the law is uniform."""
        return self.concentration == 0.0 or off_axis(self._mu) <= tol

    def describe(self) -> str:
        """One line."""
        return (
            f"von Mises-Fisher on S^{self.d - 1}, mean direction {in_numbers(self._mu)}, "
            f"concentration {self.concentration:g}"
        )


@options("")
class PoissonKernel:
    """The law of density [ (1 - |w|^2) / |x - w|^2 ]^{d-1}: conformal image of the uniform one.

    The exact solution of the flow at beta = 0 stays in this family and concentrates to a Dirac as
    |w| tends to 1.

    Raises:
        InputError: if |w| >= 1.

    >>> mf.PoissonKernel((0.0, 0.0, 0.5)).density([[0.0, 0.0, 1.0]]).round(3)
    array([9.])
    """

    w: Annotated[
        Vector,
        unchecked(list[float] | float),
        Expected("d numbers, or one, the last of them"),
        Unit("1"),
    ] = Field(examples=[0.2])
    """A point of the open unit ball, d numbers."""
    type: Literal["poisson-kernel"] = field(default="poisson-kernel", kw_only=True, repr=False)
    _w: Array = field(init=False, repr=False, compare=False)
    _r: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = vector(self.w, "w")
        check_dimension(len(given), "w (number of entries)")
        r = math.hypot(*given)
        if r >= 1.0:
            raise InputError(f"w: found a vector of length {r:.6g}, expected length < 1")
        object.__setattr__(self, "w", given)
        object.__setattr__(self, "_w", np.array(given))
        object.__setattr__(self, "_r", r)

    @property
    def d(self) -> int:
        """Dimension of the surrounding space."""
        return len(self._w)

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,)."""
        return np.exp(self.log_density(x))

    def log_density(self, x: Array) -> Array:
        """(d-1) [ log(1 - |w|^2) - log |x - w|^2 ], (n,).

        With r = |w| and u = w / r, |x - w|^2 is taken as (1 - r)^2 + r |x - u|^2, and 1 - r^2 as
        (1 - r)(1 + r): both keep their digits as r tends to 1.
        """
        x, r = as_points(x, self.d), self._r
        u = self._w / r if r > 0.0 else self._w
        square = (1.0 - r) ** 2 + r * np.sum((x - u) ** 2, axis=1)
        return (self.d - 1) * (math.log((1.0 - r) * (1.0 + r)) - np.log(square))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws: uniform points y through y -> w + (1 - |w|^2) (y + w) / |y + w|^2."""
        y = uniform_points(n, self.d, rng) + self._w
        square = np.sum(y * y, axis=1, keepdims=True)
        return normalize(self._w + (1.0 - self._r) * (1.0 + self._r) * y / square)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether w lies on the last axis."""
        return off_axis(self._w) <= tol

    def describe(self) -> str:
        """One line."""
        return f"Poisson kernel on S^{self.d - 1}, w = {in_numbers(self._w)}"


@options("")
class AngularGaussian:
    """Direction of a centred Gaussian vector: density det(S)^{-1/2} (x^T S^{-1} x)^{-d/2}.

    The uniform law carried by the linear field P_x(A x) for a time t is this one with
    S = e^{tA} e^{tA^T}. Only S up to a factor matters.

    Raises:
        InputError: if the matrix is not square, symmetric and positive definite.

    >>> mf.AngularGaussian(np.diag([1.0, 1.0, 4.0])).density([[0.0, 0.0, 1.0]]).round(3)
    array([4.])
    """

    matrix: Annotated[
        Sequence[Sequence[float]] | Array,
        unchecked(list[list[float]] | list[float]),
        Expected("d rows of d numbers, or the d numbers of a diagonal"),
        Unit("1"),
    ] = Field(examples=[[1.0, 1.0, 3.0]])
    """S, (d, d), symmetric and positive definite."""
    type: Literal["angular-gaussian"] = field(default="angular-gaussian", kw_only=True, repr=False)
    _factor: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given: object = self.matrix
        rows_in = isinstance(given, Sequence) or (isinstance(given, np.ndarray) and given.ndim == 2)
        if isinstance(given, (str, bytes)) or not rows_in:
            raise InputError(f"matrix: found {as_found(given)}, expected d lists of d numbers")
        assert isinstance(given, Sequence | np.ndarray)
        d = check_dimension(len(given), "matrix (number of rows)")
        rows = tuple(vector(row, f"matrix[{i}]", d) for i, row in enumerate(given))
        s = np.array(rows)
        if np.abs(s - s.T).max() > 1e-10 * np.abs(s).max():
            i, j = np.unravel_index(np.abs(s - s.T).argmax(), s.shape)
            raise InputError(
                f"matrix: found {s[i, j]:.6g} at ({i}, {j}) and {s[j, i]:.6g} at ({j}, {i}), "
                "expected a symmetric matrix"
            )
        least = float(np.linalg.eigvalsh(s)[0])
        if not least > 0.0:
            raise InputError(
                f"matrix: found an eigenvalue {least:.6g}, expected a positive definite matrix"
            )
        object.__setattr__(self, "matrix", rows)
        object.__setattr__(self, "_factor", np.linalg.cholesky(s))

    @property
    def d(self) -> int:
        """Dimension of the surrounding space."""
        return len(self._factor)

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,)."""
        return np.exp(self.log_density(x))

    def log_density(self, x: Array) -> Array:
        """-log det(S)/2 - (d/2) log(x^T S^{-1} x), by the Cholesky factor of S, (n,)."""
        whitened = np.linalg.solve(self._factor, as_points(x, self.d).T)
        half_log_det = float(np.log(np.diag(self._factor)).sum())
        return -half_log_det - 0.5 * self.d * np.log(np.sum(whitened**2, axis=0))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws: normalised Gaussian vectors of covariance S."""
        return normalize(rng.standard_normal((n, self.d)) @ self._factor.T)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether S = diag(a, ..., a, b), entries relative to their place on the diagonal."""
        s = np.array(self.matrix)
        diagonal = np.diag(s)
        relative = s / np.sqrt(np.outer(diagonal, diagonal)) - np.eye(self.d)
        spread = np.ptp(diagonal[:-1]) / diagonal[:-1].max()
        return bool(np.abs(relative).max() <= tol and spread <= tol)

    def describe(self) -> str:
        """One line."""
        values = np.linalg.eigvalsh(np.array(self.matrix))
        return f"angular Gaussian on S^{self.d - 1}, eigenvalues {in_numbers(values)}"
