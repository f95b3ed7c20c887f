"""Closed forms of nonlinear diffusion: stationary means under W = <x, y>, spreading on the circle.

What tests hold densities against, as ``analysis.exact``: no code is shared with the solvers. The
free energy is F = kappa int H(rho) dsigma - |m|^2/2, H'' = rho^{m-2} (``interaction.diffusion``).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import integrate, optimize

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["barenblatt_circle", "barenblatt_front", "porous_edge", "porous_mean"]

_FAR = 1e6  # edges beyond this are those of a density that is uniform to six digits


def porous_mean(kappa: float, exponent: float, d: int = 3) -> float:
    """|m| of the stationary state of W = <x, y> with nonlinear diffusion; 0 for kappa >= 1/d.

    See ``porous_edge``.
    """
    return 0.0 if kappa >= 1.0 / d else _moments(porous_edge(kappa, exponent, d), exponent, d)[1]


def porous_edge(kappa: float, exponent: float, d: int = 3) -> float:
    """Where the stationary density of W = <x, y> vanishes, as a value of t = <a, x>.

    From kappa H'(rho) = |m| t - const, with p = 1/(m - 1), rho = (p^{-1} q |t - s|)^p on t > s
    (m > 1; s < -1: everywhere positive) or on t < s (m < 1; s > 1), where q = |m|/kappa: mass 1
    gives q of s, and kappa = <t>/q. d = 3, m = 2, s > -1: (1 - s)^2 (2 + s) = 12 kappa and
    |m| = (2 + s)/3.

    Args:
        kappa: below 1/d.
        exponent: 0 < m <= 2, not next to 1 (a von Mises-Fisher law, ``exact.noisy_linear_mean``);
            above 2 there may be two such states.
        d: dimension of the ambient space, >= 2.
    """
    if not (0.0 < exponent <= 2.0 and abs(exponent - 1.0) >= 0.05):
        raise InputError(f"exponent = {exponent:g} found, 0 < m <= 0.95 or 1.05 <= m <= 2 expected")
    if not 0.0 < kappa < 1.0 / d:
        raise InputError(f"kappa = {kappa:g} found, 0 < kappa < 1/{d} expected")

    def excess(z: float) -> float:
        """Of kappa, with s = 1 - 2/z (m > 1; z > 1: inside) or 1 + z (m < 1)."""
        s = 1.0 - 2.0 / z if exponent > 1.0 else 1.0 + z
        q, mean = _moments(s, exponent, d)
        return mean / q - kappa

    low, high = (1.0 / _FAR, _FAR) if exponent < 2.0 else (1.0 + 1e-13, _FAR)
    if excess(low) * excess(high) > 0.0:
        raise InputError(
            f"kappa = {kappa:g} found: no state with an edge is known for exponent = {exponent:g}, "
            f"d = {d}; mass gathers in a point"
        )
    z = float(optimize.brentq(excess, low, high, xtol=1e-300, rtol=1e-14))
    return 1.0 - 2.0 / z if exponent > 1.0 else 1.0 + z


def _moments(s: float, exponent: float, d: int) -> tuple[float, float]:
    """|m|/kappa and <t> of the density whose edge is ``s``."""
    p = 1.0 / (exponent - 1.0)
    bottom = max(s, -1.0) if exponent > 1.0 else -1.0
    # t = 1 - (1 - bottom) sin^2(phi/2) takes the roots from the ends.
    width = 1.0 - bottom

    def integrand(phi: float, power: int) -> float:
        half = width * math.sin(0.5 * phi) ** 2
        t = 1.0 - half
        rest = width * math.cos(0.5 * phi) ** 2 + (bottom - s)  # t - s, without cancellation
        sphere = (half * (2.0 - half)) ** (0.5 * (d - 3))
        gap = rest if exponent > 1.0 else (s - 1.0) + half
        return t**power * gap**p * sphere * 0.5 * width * math.sin(phi)

    def of(power: int, least: float) -> float:
        found = integrate.quad(integrand, 0.0, math.pi, (power,), epsabs=least, epsrel=1e-10)
        return float(found[0])

    norm = math.sqrt(math.pi) * math.gamma(0.5 * (d - 1)) / math.gamma(0.5 * d)
    mass = of(0, 0.0)
    return (mass / norm) ** (-1.0 / p) * abs(p), of(1, 1e-13 * mass) / mass


def barenblatt_front(s: float, exponent: float) -> float:
    """Angle of the front of ``barenblatt_circle``."""
    c, k, a = _barenblatt(exponent)
    return math.sqrt(c / k) * s**a


def barenblatt_circle(angle: Array, s: float, exponent: float) -> Array:
    """The density on the circle that has spread from a point by d_s rho = (rho^m)_{angle angle}.

    With diffusion kappa alone, s grows by (kappa/m) t. Exact as long as the front is below pi; with
    respect to the uniform probability.

    Args:
        angle: (n,) from the point, within -pi and pi.
        s: > 0.
        exponent: m > 1.
    """
    c, k, a = _barenblatt(exponent)
    return s**-a * np.maximum(c - k * (angle * s**-a) ** 2, 0.0) ** (1.0 / (exponent - 1.0))


def _barenblatt(m: float) -> tuple[float, float, float]:
    if not m > 1.0:
        raise InputError(f"exponent = {m:g} found, m > 1 expected")
    k, p = (m - 1.0) / (2.0 * m * (m + 1.0)), 1.0 / (m - 1.0)
    # int (c - k y^2)^p dy = c^{p + 1/2} k^{-1/2} B(1/2, p + 1) = 2 pi
    shape = math.gamma(0.5) * math.gamma(p + 1.0) / math.gamma(p + 1.5)
    c = (2.0 * math.pi * math.sqrt(k) / shape) ** (1.0 / (p + 0.5))
    return c, k, 1.0 / (m + 1.0)
