"""A law given by the user as a Python function, normalised by quadrature, sampled by rejection.

Owns the quadrature on S^1, S^2 and zonal S^{d-1}. Knows nothing of meshes or files.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from meanfield.arguments import Count, checked_arguments
from meanfield.checks import called
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws.base import (
    as_points,
    check_dimension,
    real,
    reject_from_uniform,
    zonal_by_sampling,
)
from meanfield.geometry.laws.tabulated import TabulatedProfile
from meanfield.geometry.sphere import Array, log_area, random_rotation, uniform_points

__all__ = ["Function", "FunctionDensity"]

Function = Callable[[Array], Array]

_TIGHT, _WARN, _REFUSE = 1e-10, 1e-6, 1e-2
"""Relative change between two quadrature rules: stop refining, warn, refuse."""

_LEAST_ACCEPTANCE = 1e-4


@dataclass(frozen=True, eq=False)
class FunctionDensity:
    """A density proportional to a Python function of unit vectors.

    The integral is taken with rules of doubling size until two agree to 1e-10: the trapezoidal
    rule in the angle for d = 2, times Gauss-Legendre panels in the colatitude for d = 3, and
    panels in the angle from e_d alone for a zonal function, any d. The coarsest rule has 512
    angles (zonal and d = 2; 128 x 256 points for d = 3): narrower features can be missed.
    If the finest rules differ by more than 1e-6 a ``MeanfieldWarning`` says so; above 1e-2 the
    function is refused.

    Sampling is by rejection from uniform points, with ``bound`` or the largest value found
    (polished, plus 1 %). For a zonal function the angle is drawn instead from the piecewise linear
    interpolant on 8193 angles: an error of order 1e-7 in a smooth density.

    Attributes:
        function: maps (n, d) unit vectors to (n,) finite values >= 0, in any unit.
        d: dimension of the surrounding space; 2 or 3 unless ``zonal``.
        zonal: whether the function depends on the last coordinate alone (tried at some points).
        bound: a number that the function nowhere exceeds, in its own unit; found if None.
        source: file and name that the function was loaded from, if any.

    Raises:
        InputError: if the function fails, returns negative or non-finite values, has no mass,
            cannot be integrated, exceeds the bound, or is not zonal although declared so.

    Example:
        >>> law = mf.FunctionDensity(lambda x: 1.0 + x[:, 2] ** 2, 3)
        >>> law.density([[0.0, 0.0, 1.0]]).round(6)
        array([1.5])
    """

    function: Function
    d: int
    zonal: bool = False
    bound: float | None = None
    source: tuple[str, str] | None = None
    _mass: float = field(init=False, repr=False)
    _peak: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_dimension(self.d)
        if not callable(self.function):
            raise InputError(f"function: found {self.function!r}, expected a function of (n, d)")
        if self.d > 3 and not self.zonal:
            raise InputError(
                f"function: found d = {self.d}, expected d = 2 or 3, or a function declared zonal "
                "(zonal = true) that depends on the last coordinate alone"
            )
        if self.zonal:
            self._check_zonal()
        mass, error, peak = self._integrate()
        if not 0.0 < mass < math.inf:
            raise InputError(f"function: found the integral {mass:g}, expected a positive mass")
        if error > _WARN:
            message = (
                f"the integral of the density function is known to {error:.1e} only, expected "
                f"{_WARN:g}; a smoother function is integrated better"
            )
            if error > _REFUSE:
                raise InputError(f"function: {message}")
            warnings.warn(message, MeanfieldWarning, stacklevel=3)
        if self.bound is not None:
            bound = real(self.bound, "bound", "a positive number")
            if bound < peak:
                raise InputError(
                    f"bound: found {bound:g}, expected at least {peak:g}, which the function "
                    "reaches"
                )
            peak = bound
        object.__setattr__(self, "_mass", mass)
        object.__setattr__(self, "_peak", peak)

    def _values(self, x: Array) -> Array:
        found = called("function", "the density function", self.function, x)
        if found.shape != (len(x),):
            raise InputError(
                f"function: found a result of shape {found.shape} for {x.shape} points, expected "
                f"({len(x)},)"
            )
        for wrong, what in ((~np.isfinite(found), "finite"), (found < 0.0, ">= 0")):
            if np.any(wrong):
                at = int(np.flatnonzero(wrong)[0])
                raise InputError(
                    f"function: found the value {found[at]} at {x[at]}, expected a density, {what} "
                    "everywhere"
                )
        return found

    def _check_zonal(self) -> None:
        rng = np.random.default_rng(7)
        x = uniform_points(64, self.d, rng)
        y = x.copy()
        y[:, :-1] = -x[:, :-1] if self.d == 2 else x[:, :-1] @ random_rotation(self.d - 1, rng)
        here, there = self._values(x), self._values(y)
        wrong = np.abs(here - there) > 1e-9 * np.maximum(here, there)
        if np.any(wrong):
            at = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"zonal: found {here[at]:.9g} and {there[at]:.9g} at two points with last "
                f"coordinate {x[at, -1]:.6g}, expected a function of the last coordinate alone"
            )

    def _integrate(self) -> tuple[float, float, float]:
        """Integral, relative difference of the last two rules, bound on the function."""
        before, error = math.nan, math.inf
        mass = peak = 0.0
        place = np.zeros(self.d)
        for size in (8, 16, 32, 64) if self.d == 3 and not self.zonal else 32 * 2 ** np.arange(8):
            x, weights = self._rule(int(size))
            values = self._values(x)
            before, mass = mass, float(weights @ values)
            if values.max() > peak:
                peak, place = float(values.max()), x[int(values.argmax())]
            error = abs(mass - before) / mass if mass > 0.0 else math.inf
            if error <= _TIGHT:
                break
        return mass, error, self._polish(place, peak)

    def _rule(self, panels: int) -> tuple[Array, Array]:
        """Unit vectors and weights (sum 1) of a rule on the sphere."""
        nodes, weights = np.polynomial.legendre.leggauss(16)
        theta = (math.pi / panels) * (np.arange(panels)[:, None] + 0.5 * (nodes + 1.0)).ravel()
        if self.zonal:
            scale = log_area(self.d - 1) - log_area(self.d)
            w = math.exp(scale) * np.sin(theta) ** (self.d - 2)
            x: Array = np.zeros((len(theta), self.d))
            x[:, 0], x[:, -1] = np.sin(theta), np.cos(theta)
            return x, w * np.tile(weights, panels) * (0.5 * math.pi / panels)
        if self.d == 2:
            n = 16 * panels
            phi = (2.0 * math.pi / n) * (np.arange(n) + 0.5)
            return np.column_stack([np.cos(phi), np.sin(phi)]), np.full(n, 1.0 / n)
        n = 32 * panels
        phi = (2.0 * math.pi / n) * (np.arange(n) + 0.5)
        ring = np.column_stack([np.cos(phi), np.sin(phi)])
        x = np.empty((len(theta), n, 3))
        x[:, :, :2] = np.sin(theta)[:, None, None] * ring
        x[:, :, 2] = np.cos(theta)[:, None]
        w = 0.5 * np.sin(theta) * np.tile(weights, panels) * (0.5 * math.pi / panels)
        return x.reshape(-1, 3), np.repeat(w / n, n)

    def _polish(self, place: Array, peak: float) -> float:
        """Climb from the best node; the result plus 1 % is taken as a bound."""
        if peak == 0.0:
            return 0.0
        from scipy.optimize import minimize  # 0.2 s: where it is needed

        climbed = minimize(
            lambda v: -float(self._values((v / np.linalg.norm(v))[None, :])[0]) / peak,
            place,
            method="Nelder-Mead",
            options={"initial_simplex": np.vstack([place, place + 0.01 * np.eye(self.d)])},
        ).fun
        return 1.01 * peak * max(1.0, -float(climbed))

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,)."""
        return self._values(as_points(x, self.d)) / self._mass

    def log_density(self, x: Array) -> Array:
        """Logarithm of the density, -inf where it is zero, (n,)."""
        with np.errstate(divide="ignore"):
            return np.log(self._values(as_points(x, self.d))) - math.log(self._mass)

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Draws by rejection, or from the tabulated profile of a zonal function.

        Raises:
            InputError: if fewer than one draw in 10 000 would be kept, or the function exceeds
                the bound found.
        """
        if self.zonal:
            theta = np.linspace(0.0, math.pi, 8193)
            x = np.zeros((len(theta), self.d))
            x[:, 0], x[:, -1] = np.sin(theta), np.cos(theta)
            return TabulatedProfile(self.d, theta, self.density(x)).sample(n, rng)
        bound = self._peak / self._mass
        return reject_from_uniform(n, self.d, rng, self.density, bound, _LEAST_ACCEPTANCE)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether it was declared so, or is unchanged by rotations about e_d at many points."""
        return self.zonal or zonal_by_sampling(self, tol)

    def describe(self) -> str:
        """One line."""
        name = getattr(self.function, "__name__", "function")
        where = "" if self.source is None else f" of {self.source[0]}"
        kind = "zonal function" if self.zonal else "function"
        return f"{kind} {name}{where} on S^{self.d - 1}"
