"""Closed forms and growth rates of the mean-field equation of self-attention.

What tests and studies hold a computed solution against. Owns formulas that do not come from the
solvers: they are typed from scipy's special functions and ordinary differential equations, and
share no code with ``meanfield.interaction``. Knows nothing of meshes, solvers or files.

Conventions: the sphere is S^{d-1} in R^d; densities and energies are with respect to the uniform
probability sigma; "sa" and "usa" are the softmax and the unnormalised model, V = ``value`` I with
value = 1 or -1. The interaction energy E = (1/2 beta) iint e^{beta <x, y>} *increases* along the
flow for V = +I.

Sources: arXiv 2312.10794 (Geshkovski, Letrouit, Polyanskiy, Rigollet, "GLPR") for the model and the
clustering of tokens; the rest is derived in the docstrings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, linalg, optimize, special

from meanfield.analysis.equiangular import equiangular_rate, equiangular_solution
from meanfield.errors import InputError, suggest
from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.sphere import Array

__all__ = [
    "Model",
    "angular_gaussian_covariance",
    "bessel_ratio",
    "critical_noise",
    "energy_bounds",
    "equiangular_rate",
    "equiangular_solution",
    "first_order_threshold",
    "growth_rate",
    "kernel_coefficient",
    "narrow_cluster_variance",
    "noisy_linear_mean",
    "poisson_mean_length",
    "poisson_radius",
    "ring_rates",
    "two_dirac_angle",
    "two_dirac_rate",
    "two_dirac_time",
]

Model = Literal["sa", "usa"]

# Tolerances of the ordinary differential equations solved here: near round-off.
_RTOL, _ATOL = 1e-13, 1e-15


def _check(model: str, d: int = 2, value: int = 1) -> None:
    if model not in ("sa", "usa"):
        hint = suggest(str(model), ("sa", "usa"))
        raise InputError(f"model '{model}' found, 'sa' or 'usa' expected{hint}")
    if d < 2:
        raise InputError(f"d = {d} found, a dimension of at least 2 expected")
    if value not in (1, -1):
        raise InputError(f"value = {value} found, 1 (V = I) or -1 (V = -I) expected")


# ---------------------------------------------------------------------------------------------
# The kernel and the linear stability of the uniform state


def bessel_ratio(order: float, shift: int, x: float) -> float:
    """I_{order + shift}(x)/I_order(x) for x >= 0, order >= 0, shift >= 0.

    A product of ratios of neighbours, each by the continued fraction
    I_{nu+1}/I_nu = 1/(2(nu+1)/x + I_{nu+2}/I_{nu+1}) (DLMF 10.33.1), so that neither function
    under- nor overflows.
    """
    if shift == 0:
        return 1.0
    if x == 0.0:
        return 0.0
    # Far above x the ratio is x/(2 nu) to leading order, and errors shrink on the way down.
    start = int(order + shift + 40.0 + 2.0 * x)
    ratio, product = 0.0, 1.0
    for k in range(start - int(order), 0, -1):
        nu = order + k
        ratio = 1.0 / (2.0 * nu / x + ratio)
        if k <= shift:
            product *= ratio
    return product


def kernel_coefficient(beta: float, d: int, degree: int) -> float:
    """Funk-Hecke coefficient lam_l of e^{beta <x, y>} on S^{d-1}, times e^{-|beta|}.

    lam_l = Gamma(d/2) (2/beta)^{d/2-1} I_{l+d/2-1}(beta): the kernel acts on harmonics of degree l
    as multiplication by lam_l, integrals being with respect to sigma.
    """
    b = abs(beta)
    lam0 = math.exp(float(log_scaled_bessel(0.5 * d - 1.0, b)))
    sign = -1.0 if beta < 0.0 and degree % 2 else 1.0
    return sign * lam0 * bessel_ratio(0.5 * d - 1.0, degree, b)


def growth_rate(
    model: Model, beta: float, d: int, degree: int, kappa: float = 0.0, value: int = 1
) -> float:
    """Rate r_l at which harmonics of degree l grow on the uniform state.

    mu = 1 + eps(t) Y_l gives X = grad xi with xi = eps lam_l Y_l/beta (usa), over lam_0 (sa), and
    d eps/dt = l(l + d - 2) [ value lam_l/beta - kappa ] eps for usa,
    l(l + d - 2) [ value lam_l/(beta lam_0) - kappa ] eps for sa.

    Args:
        model: "sa" or "usa".
        beta: inverse temperature, any real; 0 is the linear limit, where only l = 1 is driven.
        d: dimension of R^d.
        degree: l >= 0.
        kappa: diffusion coefficient, whatever the exponent of the diffusion.
        value: V = value * I.

    Returns:
        The rate; inf where that of usa, of size e^|beta|, is no double.
    """
    _check(model, d, value)
    l = degree
    if l == 0:
        return 0.0
    if beta == 0.0:
        drive = 1.0 / d if l == 1 else 0.0
    else:
        sign = 1.0 if l % 2 or beta > 0.0 else -1.0  # lam_l/beta is even in beta for odd l
        drive = sign * bessel_ratio(0.5 * d - 1.0, l, abs(beta)) / abs(beta)
        if model == "usa":
            log_scale = abs(beta)
            scale = math.exp(log_scale) if log_scale < 700.0 else math.inf
            drive *= kernel_coefficient(beta, d, 0) * scale
    return l * (l + d - 2) * (value * drive - kappa)


def critical_noise(model: Model, beta: float, d: int) -> float:
    """kappa_c: the uniform state is linearly unstable for kappa < kappa_c (V = +I, beta >= 0).

    The largest of the drives of ``growth_rate`` is that of degree 1:
    usa: lam_1/beta; sa: I_{d/2}(beta)/(beta I_{d/2-1}(beta)); 1/d for both at beta = 0.

    Raises:
        InputError: beta < 0, where degree 1 is not the first to grow.
    """
    if beta < 0.0:
        raise InputError(f"beta = {beta:g} found, beta >= 0 expected for the critical noise")
    return growth_rate(model, beta, d, 1) / (d - 1)


def first_order_threshold(d: int) -> float:
    """beta*_d: above it the transition of usa to clusters is of first order (with hysteresis).

    The root of I_{d/2+1}(beta)/I_{d/2}(beta) = 1/d; beta*_3 = 1.81615453.
    """
    _check("usa", d)
    return float(
        optimize.brentq(
            lambda b: bessel_ratio(0.5 * d, 1, b) - 1.0 / d, 1e-6, 20.0 + 4.0 * d, xtol=1e-14
        )
    )


def energy_bounds(beta: float, d: int, scaled: bool = False) -> tuple[float, float]:
    """Smallest and largest E: lam_0/(2 beta) (uniform) and e^beta/(2 beta) (a Dirac), beta > 0.

    Args:
        scaled: times e^{-beta}.

    Raises:
        InputError: beta <= 0, for which the uniform measure is not the minimum.
    """
    if beta <= 0.0:
        raise InputError(f"beta = {beta:g} found, beta > 0 expected: the bounds do not hold else")
    factor = 1.0 if scaled else math.exp(beta)
    return factor * kernel_coefficient(beta, d, 0) / (2.0 * beta), factor / (2.0 * beta)


# ---------------------------------------------------------------------------------------------
# beta = 0: the conformal flow of the Poisson kernel


def poisson_mean_length(r: ArrayLike, d: int) -> Array:
    """Length m(r) of the mean of the Poisson kernel [ (1 - |w|^2)/|x - w|^2 ]^{d-1}, r = |w| < 1.

    m = (2 (d - 1)/d) r 2F1(1, 1 - d/2; 1 + d/2; r^2): r for d = 2;
    (1 + r^2)/(2 r) - (1 - r^2)^2/(4 r^2) log((1 + r)/(1 - r)) for d = 3.
    """
    _check("sa", d)
    radius = np.asarray(r, dtype=np.float64)
    series = special.hyp2f1(1.0, 1.0 - 0.5 * d, 1.0 + 0.5 * d, radius**2)
    return np.asarray(2.0 * (d - 1) / d * radius * series)


def poisson_radius(t: ArrayLike, r0: float, d: int, value: int = 1) -> Array:
    """|w(t)| of the Poisson kernel that X = P_x V int y dmu (beta = 0) carries along.

    The flow is conformal and keeps the family: r' = value (1 - r^2) m(r)/2. Solved for the
    hyperbolic distance s = 2 artanh r, s' = value m(r), which stays accurate as r tends to 1;
    for d = 2, r = [1 + (r0^{-2} - 1) e^{-t}]^{-1/2}.

    Args:
        t: times >= 0, any shape.
        r0: |w(0)|, 0 <= r0 < 1.
        d: dimension of R^d.
        value: V = value * I.
    """
    _check("sa", d, value)
    if not 0.0 <= r0 < 1.0:
        raise InputError(f"r0 = {r0:g} found, 0 <= r0 < 1 expected")
    times = np.asarray(t, dtype=np.float64)

    def rate(_: float, s: Array) -> Array:
        return value * poisson_mean_length(np.tanh(0.5 * s), d)

    return np.tanh(0.5 * _at_times(rate, 2.0 * math.atanh(r0), times))


def _at_times(rate: Callable[[float, Array], Array], start: float, times: Array) -> Array:
    """Solution of the scalar equation y' = rate(t, y), y(0) = start, at ``times`` of any shape."""
    flat = times.ravel()
    if flat.size and (not np.all(np.isfinite(flat)) or flat.min() < 0.0):
        raise InputError("times that are negative or not finite found, times >= 0 expected")
    wanted, back = np.unique(flat, return_inverse=True)
    if wanted.size == 0 or wanted[-1] == 0.0:
        return np.full(times.shape, start)
    solution = integrate.solve_ivp(
        rate, (0.0, wanted[-1]), [start], "DOP853", t_eval=wanted, rtol=_RTOL, atol=_ATOL
    )
    return np.asarray(solution.y[0][back].reshape(times.shape))


# ---------------------------------------------------------------------------------------------
# A linear field


def angular_gaussian_covariance(t: float, a: Array) -> Array:
    """S with which X = P_x(A x) turns the uniform measure into an angular Gaussian at time t.

    The density is det(S)^{-1/2} (x^T S^{-1} x)^{-d/2}, S = e^{tA} e^{tA^T}; ``a`` is (d, d).
    """
    flow = linalg.expm(t * np.asarray(a, dtype=np.float64))
    return np.asarray(flow @ flow.T)


# ---------------------------------------------------------------------------------------------
# Diracs


def two_dirac_rate(
    model: Model, gamma: ArrayLike, beta: float, mass: float = 0.5, value: int = 1
) -> Array:
    """d gamma/dt of two Diracs of masses a = ``mass`` and 1 - a with <x, y> = gamma.

    usa: e^{beta gamma} (1 - gamma^2);
    sa: the same times (1 - a)/(a e^beta + (1 - a) e^{beta gamma})
    + a/((1 - a) e^beta + a e^{beta gamma}).
    """
    _check(model, value=value)
    if not 0.0 < mass < 1.0:
        raise InputError(f"mass = {mass:g} found, 0 < mass < 1 expected")
    g = np.asarray(gamma, dtype=np.float64)
    return np.asarray(value * (1.0 - g * g) * _pull(model, g, beta, mass))


def _pull(model: Model, gamma: Array, beta: float, a: float) -> Array:
    """gamma'/(1 - gamma^2), which is -angle'/sin(angle)."""
    if model == "usa":
        return np.asarray(np.exp(beta * gamma))
    b = 1.0 - a
    apart = np.exp(beta * (1.0 - gamma))  # divided through by e^{beta gamma}
    return np.asarray(b / (a * apart + b) + a / (b * apart + a))


def two_dirac_angle(
    t: ArrayLike, angle: float, model: Model, beta: float, mass: float = 0.5, value: int = 1
) -> Array:
    """Angle between two Diracs at times t (any shape), from ``angle`` in [0, pi] at t = 0.

    Solved for u = log tan(angle/2), u' = -value gamma'/(1 - gamma^2), which keeps the digits of
    angles next to 0 and pi.
    """
    _check(model, value=value)
    if not 0.0 <= angle <= math.pi:
        raise InputError(f"angle = {angle:g} found, 0 <= angle <= pi expected")
    if angle in (0.0, math.pi):
        return np.full(np.shape(t), angle)

    def rate(_: float, u: Array) -> Array:
        return -value * _pull(model, -np.tanh(u), beta, mass)

    start = math.log(math.tan(0.5 * angle))
    return 2.0 * np.arctan(np.exp(_at_times(rate, start, np.asarray(t, dtype=np.float64))))


def two_dirac_time(start: float, end: float, model: Model, beta: float, mass: float = 0.5) -> float:
    """Time in which the angle between two Diracs falls from ``start`` to ``end`` (V = +I).

    The integral of 1/|angle'|. For 0 < end < start < pi.
    """
    _check(model)
    if not 0.0 < end < start < math.pi:
        raise InputError(f"angles {start:g} and {end:g} found, 0 < end < start < pi expected")

    # In u = log tan(angle/2), d angle/sin(angle) = du: no singular ends.
    def slowness(u: float) -> float:
        gamma = np.asarray(-math.tanh(u))
        return 1.0 / float(_pull(model, gamma, beta, mass))

    time, _ = integrate.quad(
        slowness, math.log(math.tan(0.5 * end)), math.log(math.tan(0.5 * start)),
        epsabs=0.0, epsrel=1e-13, limit=500,
    )  # fmt: skip
    return float(time)


def narrow_cluster_variance(t: ArrayLike, variance: float, beta: float) -> Array:
    """Tangent variance C(t) of a narrow Gaussian cluster (sa, C << 1, beta > 0).

    C' = -2 C/(1 + beta C), so that log(C/C_0) + beta (C - C_0) = -2 t:
    C = W(beta C_0 e^{beta C_0 - 2 t})/beta with Lambert's W.
    """
    if beta <= 0.0 or variance <= 0.0:
        raise InputError(f"beta = {beta:g} and variance = {variance:g} found, both > 0 expected")
    times = np.asarray(t, dtype=np.float64)
    start = beta * variance
    if start < 600.0:
        return np.asarray(special.lambertw(start * np.exp(start - 2.0 * times)).real / beta)
    raise InputError(f"beta * variance = {start:g} found, below 600 expected: no narrow cluster")


def ring_rates(model: Model, beta: float, m: int) -> Array:
    """Growth rates of the Fourier modes q = 0..m-1 of a ring of m equal Diracs on the circle.

    Linearised at angles 2 pi k/m, with g(phi) = e^{beta cos phi} sin phi the rates are
    (1/m) sum_k g'(2 pi k/m)(cos(2 pi q k/m) - 1), for sa over Z = (1/m) sum_k e^{beta cos}.
    m = 2, q = 1: e^{-beta} (usa), 2/(1 + e^{2 beta}) (sa). q = 0 is a rotation: 0.
    """
    _check(model)
    if m < 2:
        raise InputError(f"m = {m} found, a ring of at least 2 Diracs expected")
    phi = 2.0 * np.pi * np.arange(m) / m
    scale = 0.0 if model == "usa" else 1.0
    weight = np.exp(beta * (np.cos(phi) - scale))
    slope = weight * (np.cos(phi) - beta * np.sin(phi) ** 2)
    modes = np.cos(np.outer(np.arange(m), phi)) - 1.0
    rates = modes @ slope / m
    return np.asarray(rates / np.mean(weight) if model == "sa" else rates)


def noisy_linear_mean(kappa: float, d: int) -> float:
    """|m| of the stable stationary state at beta = 0 with noise.

    It is a von Mises-Fisher law of concentration |m|/kappa: the positive root of
    |m| = I_{d/2}(|m|/kappa)/I_{d/2-1}(|m|/kappa); 0 for kappa >= 1/d.
    """
    _check("sa", d)
    if kappa <= 0.0:
        raise InputError(f"kappa = {kappa:g} found, kappa > 0 expected")
    if kappa >= 1.0 / d:
        return 0.0

    def excess(m: float) -> float:
        return bessel_ratio(0.5 * d - 1.0, 1, m / kappa) - m

    # The ratio is concave in m: positive next to 0, negative at 1.
    return float(optimize.brentq(excess, 1e-9, 1.0, xtol=1e-15))
