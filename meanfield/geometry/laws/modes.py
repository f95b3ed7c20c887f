"""Laws that are the uniform one plus a few modes: spherical harmonics, Fourier, Gegenbauer.

All are 1 + sum of amplitudes times modes whose largest absolute value is 1, so an amplitude is the
largest relative change of the density that the mode makes, and one mode alone stays positive up to
amplitude 1. They are refused when the density becomes negative. Sampling is exact, by rejection
from uniform points. Knows nothing of meshes or files.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from typing_extensions import TypedDict  # on Python 3.11 pydantic takes no other

from meanfield.arguments import Count, checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.laws.base import (
    Amplitudes,
    Axis,
    Dimension,
    Vector,
    as_points,
    check_dimension,
    direction,
    lowest_on_interval,
    off_axis,
    real,
    reject_from_uniform,
    unchecked,
    vector,
)
from meanfield.geometry.polynomials import gegenbauer_sum
from meanfield.geometry.sphere import Array
from meanfield.options import Expected, Field, Unit, field, options

__all__ = ["Fourier", "Gegenbauer", "Harmonic"]

_NEGATIVE = -1e-12
"""Round-off allowed below zero: 1 + cos must pass, and is clipped."""


def _log(rho: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(rho)


def _refuse_negative(value: float, where: str, name: str) -> None:
    if value < _NEGATIVE:
        raise InputError(
            f"{name}: the density falls to {value:.4g} at {where}, expected >= 0 everywhere; "
            "make the amplitudes smaller"
        )


@options("")
class Gegenbauer:
    """The zonal law 1 + sum_l a_l P_l(<x, axis>), P_l the Gegenbauer polynomial with P_l(1) = 1.

    For d = 2 the modes are cos(l theta), theta the angle from the axis; for d = 3 Legendre
    polynomials, the same as ``Harmonic`` with m = 0.

    Raises:
        InputError: if the density is negative somewhere.

    Example:
        >>> mf.Gegenbauer(8, (0.3, 0.25)).density([[0.0] * 7 + [1.0]]).round(3)
        array([1.55])
    """

    d: Dimension
    """Dimension of the surrounding space, >= 2."""
    coefficients: Amplitudes = Field(examples=[[0.3, 0.25]])
    """a_1, a_2, ... (degree zero is the 1)."""
    axis: Axis | None = Field(default=None, examples=["e_d"])
    """Direction of the symmetry axis; left out: the last coordinate axis."""
    type: Literal["gegenbauer"] = field(default="gegenbauer", kw_only=True, repr=False)
    _axis: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_dimension(self.d)
        given = vector(self.coefficients, "coefficients")
        axis: Array = np.zeros(self.d)
        axis[-1] = 1.0
        if self.axis is not None:
            vector(self.axis, "axis", self.d)
            as_given, axis = direction(self.axis, "axis")
            object.__setattr__(self, "axis", as_given)
        object.__setattr__(self, "coefficients", given)
        object.__setattr__(self, "_axis", axis)
        theta, least = lowest_on_interval(
            lambda s: 1.0 + gegenbauer_sum(given, np.cos(s), self.d),
            0.0,
            math.pi,
            max(256, 32 * len(given)),
        )
        _refuse_negative(least, f"the angle {theta:.4g} from the axis", "coefficients")

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,)."""
        t = np.clip(as_points(x, self.d) @ self._axis, -1.0, 1.0)
        return np.maximum(1.0 + gegenbauer_sum(self.coefficients, t, self.d), 0.0)

    def log_density(self, x: Array) -> Array:
        """Logarithm of the density, -inf where it touches zero, (n,)."""
        return _log(self.density(x))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws, by rejection from uniform points."""
        bound = 1.0 + math.fsum(abs(a) for a in self.coefficients)
        return reject_from_uniform(n, self.d, rng, self.density, bound)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether the axis is the last one, or all coefficients vanish (for d = 2 see Fourier)."""
        if off_axis(self._axis) <= tol or all(abs(a) <= tol for a in self.coefficients):
            return True
        if self.d == 2:
            phi = math.atan2(self._axis[1], self._axis[0])
            degrees = range(1, len(self.coefficients) + 1)
            cos = [a * math.cos(k * phi) for k, a in zip(degrees, self.coefficients, strict=True)]
            sin = [a * math.sin(k * phi) for k, a in zip(degrees, self.coefficients, strict=True)]
            return _even_about_e2(cos, sin, tol)
        # Zonal about a line only: even degrees see the axis up to its sign, nothing more.
        return False

    def describe(self) -> str:
        """One line."""
        modes = "".join(
            f" {a:+g} P_{degree}" for degree, a in enumerate(self.coefficients, 1) if a != 0.0
        )
        axis = "e_d" if self.axis is None else str(tuple(round(float(a), 6) for a in self._axis))
        return f"Gegenbauer modes on S^{self.d - 1}, 1{modes}, axis {axis}"


def _even_about_e2(cos: Vector, sin: Vector, tol: float) -> bool:
    """Whether sum a_k cos(k phi) + b_k sin(k phi) is unchanged by phi -> pi - phi."""
    odd_cos = [a for k, a in enumerate(cos, 1) if k % 2 == 1]
    even_sin = [b for k, b in enumerate(sin, 1) if k % 2 == 0]
    return all(abs(a) <= tol for a in odd_cos + even_sin)


@options("")
class Fourier:
    """The law 1 + sum_k a_k cos(k phi) + b_k sin(k phi) on the circle S^1, d = 2.

    phi is the usual angle, from e_1 towards e_2: x = (cos phi, sin phi). The zonal geometry and
    ``Gegenbauer`` measure theta from the last axis e_2, so theta = pi/2 - phi and
    cos(k theta) = cos(k pi/2) cos(k phi) + sin(k pi/2) sin(k phi): the zonal mode cos(theta) is
    sin(phi), cos(2 theta) is -cos(2 phi), cos(3 theta) is -sin(3 phi).

    Raises:
        InputError: if the density is negative somewhere.

    Example:
        >>> mf.Fourier(cos=(0.5,)).density([[1.0, 0.0], [-1.0, 0.0]])
        array([1.5, 0.5])
    """

    cos: Amplitudes = ()
    """a_1, a_2, ..."""
    sin: Amplitudes = ()
    """b_1, b_2, ..."""
    type: Literal["fourier"] = field(default="fourier", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cos", vector(self.cos, "cos"))
        object.__setattr__(self, "sin", vector(self.sin, "sin"))
        nodes = max(256, 32 * max(len(self.cos), len(self.sin)))
        phi, least = lowest_on_interval(self._at, 0.0, 2.0 * math.pi, nodes)
        _refuse_negative(least, f"phi = {phi:.4g}", "cos" if self.cos else "sin")

    @property
    def d(self) -> int:
        """Dimension of the surrounding space, 2."""
        return 2

    def _at(self, phi: Array) -> Array:
        rho = np.ones_like(phi)
        for k, a in enumerate(self.cos, 1):
            rho += a * np.cos(k * phi)
        for k, b in enumerate(self.sin, 1):
            rho += b * np.sin(k * phi)
        return rho

    def density(self, x: Array) -> Array:
        """Density with respect to sigma = dphi / (2 pi), (n,)."""
        x = as_points(x, 2)
        return np.maximum(self._at(np.arctan2(x[:, 1], x[:, 0])), 0.0)

    def log_density(self, x: Array) -> Array:
        """Logarithm of the density, -inf where it touches zero, (n,)."""
        return _log(self.density(x))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws, by rejection from uniform points."""
        bound = 1.0 + math.fsum(abs(a) for a in (*self.cos, *self.sin))
        return reject_from_uniform(n, 2, rng, self.density, bound)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether no cosine of odd and no sine of even order is there (symmetry x_1 -> -x_1)."""
        return _even_about_e2(self.cos, self.sin, tol)

    def describe(self) -> str:
        """One line."""
        parts = [f"{a:+g} cos({k} phi)" for k, a in enumerate(self.cos, 1) if a != 0.0]
        parts += [f"{b:+g} sin({k} phi)" for k, b in enumerate(self.sin, 1) if b != 0.0]
        return "Fourier modes on S^1, " + " ".join(["1", *parts])


class Mode(TypedDict):
    """One entry of ``modes`` in a case file."""

    l: int
    m: int
    amplitude: float


@options("")
class Harmonic:
    """The law 1 + sum of amplitude * Y_lm / max |Y_lm| on the sphere S^2, d = 3.

    Real spherical harmonics of degree l >= 1 and order m, |m| <= l: proportional to
    P_l^m(x_3) cos(m phi) for m >= 0 and to P_l^|m|(x_3) sin(|m| phi) for m < 0, phi the longitude
    from e_1 towards e_2, with no alternating sign: next to the north pole, at phi = 0, those with
    m >= 0 are positive. They are divided by their largest absolute value on the sphere. So
    (1, 0), (1, 1), (1, -1) are x_3, x_1, x_2 and (l, 0) is the Legendre polynomial P_l(x_3).

    Raises:
        InputError: if a mode does not exist or the density is negative somewhere.

    Example:
        >>> mf.Harmonic(((1, 0, 0.5),)).density([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]).round(3)
        array([1.5, 0.5])
    """

    modes: Annotated[
        Sequence[tuple[int, int, float]],
        unchecked(list[Mode]),
        Expected("a list of tables such as { l = 2, m = 0, amplitude = 0.1 }"),
        Unit("density"),
    ] = Field(examples=[[{"l": 2, "m": 0, "amplitude": 0.1}]])
    """(l, m, amplitude) for each mode; several entries for one mode add up."""
    type: Literal["harmonic"] = field(default="harmonic", kw_only=True, repr=False)
    _peaks: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        modes = tuple(_mode(given, f"modes[{i}]") for i, given in enumerate(self.modes))
        object.__setattr__(self, "modes", modes)
        object.__setattr__(self, "_peaks", tuple(_peak(degree, abs(m)) for degree, m, _ in modes))
        if math.fsum(abs(a) for _, _, a in modes) > 1.0:
            theta, phi, least = self._lowest()
            _refuse_negative(least, f"colatitude {theta:.4g}, longitude {phi:.4g}", "modes")

    @property
    def d(self) -> int:
        """Dimension of the surrounding space, 3."""
        return 3

    def _at(self, x: Array) -> Array:
        rho = np.ones(len(x))
        for (degree, m, amplitude), peak in zip(self.modes, self._peaks, strict=True):
            around = (x[:, 0] + 1j * x[:, 1]) ** abs(m)
            along = _associated_legendre(degree, abs(m), np.clip(x[:, 2], -1.0, 1.0))
            rho += (amplitude / peak) * along * (around.real if m >= 0 else around.imag)
        return rho

    def _lowest(self) -> tuple[float, float, float]:
        n = 8 * max(degree for degree, _, _ in self.modes) + 16
        theta, phi = np.meshgrid(np.linspace(0.0, math.pi, n), np.linspace(0.0, 2 * math.pi, 2 * n))
        angles = np.column_stack([theta.ravel(), phi.ravel()])
        values = self._at(_from_angles(angles))
        best = int(values.argmin())
        place, value = angles[best], float(values[best])
        from scipy.optimize import minimize  # 0.2 s: where it is needed

        for i in np.argsort(values)[:4]:
            polished = minimize(
                lambda s: float(self._at(_from_angles(s[None, :]))[0]),
                angles[i],
                method="Nelder-Mead",
                options={"initial_simplex": angles[i] + np.array([[0, 0], [1, 0], [0, 1]]) / n},
            )
            if polished.fun < value:
                place, value = polished.x, float(polished.fun)
        return float(place[0]), float(place[1]), value

    def density(self, x: Array) -> Array:
        """Density with respect to sigma, (n,)."""
        return np.maximum(self._at(as_points(x, 3)), 0.0)

    def log_density(self, x: Array) -> Array:
        """Logarithm of the density, -inf where it touches zero, (n,)."""
        return _log(self.density(x))

    @checked_arguments
    def sample(self, n: Count, rng: np.random.Generator) -> Array:
        """Exact draws, by rejection from uniform points."""
        bound = 1.0 + math.fsum(abs(a) for _, _, a in self.modes)
        return reject_from_uniform(n, 3, rng, self.density, bound)

    @checked_arguments
    def is_zonal(self, tol: float = 1e-12) -> bool:
        """Whether all modes with m != 0 vanish."""
        return all(m == 0 or abs(a) <= tol for _, m, a in self.modes)

    def describe(self) -> str:
        """One line."""
        parts = "".join(f" {a:+g} Y_({degree},{m})" for degree, m, a in self.modes)
        return f"spherical harmonics on S^2, 1{parts} (max |Y| = 1)"


def _mode(given: object, name: str) -> tuple[int, int, float]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence) or len(given) != 3:
        raise InputError(f"{name}: found {given!r}, expected (l, m, amplitude)")
    degree, m, amplitude = given
    if isinstance(degree, bool) or not isinstance(degree, numbers.Integral) or degree < 1:
        raise InputError(f"{name}.l: found {degree!r}, expected an integer >= 1")
    if isinstance(m, bool) or not isinstance(m, numbers.Integral) or abs(m) > degree:
        raise InputError(
            f"{name}.m: found {m!r}, expected an integer between {-degree} and {degree} "
            f"(the degree is {degree})"
        )
    return int(degree), int(m), real(amplitude, f"{name}.amplitude", "a number")


def _associated_legendre(degree: int, m: int, t: Array) -> Array:
    """P_l^m(t) / (1 - t^2)^{m/2} up to a factor: the Gegenbauer polynomial of S^{2m+2}."""
    if degree == m:
        return np.ones_like(t)
    unit = np.zeros(degree - m)
    unit[-1] = 1.0
    return gegenbauer_sum(unit, t, 2 * m + 3)


def _peak(degree: int, m: int) -> float:
    """Largest absolute value on the sphere of the harmonic before it is divided by it."""
    if m == 0:
        return 1.0
    _, least = lowest_on_interval(
        lambda s: -np.abs(np.sin(s) ** m * _associated_legendre(degree, m, np.cos(s))),
        0.0,
        0.5 * math.pi,
        32 * (degree + 1),
    )
    return -least


def _from_angles(angles: Array) -> Array:
    theta, phi = angles[:, 0], angles[:, 1]
    return np.column_stack(
        [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
    )
