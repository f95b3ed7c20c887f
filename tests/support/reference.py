"""Reference values of the mean-field equation of self-attention, with their sources.

What is no closed form: those are in ``meanfield.analysis.exact``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.analysis.exact import Model, growth_rate
from meanfield.geometry.sphere import Array

_DATA = Path(__file__).parents[1] / "data"


def growth_rates(
    model: Model, beta: float, d: int, degree: int, kappa: float = 0.0, value: int = 1
) -> Array:
    """Rates of degrees 0..``degree``, (degree + 1,): see ``growth_rate``."""
    return np.array([growth_rate(model, beta, d, l, kappa, value) for l in range(degree + 1)])


@dataclass(frozen=True)
class StandardPoint:
    """The standard density (``geometry.laws.standard_density``) evolved to time ``t``.

    Attributes:
        t: time.
        energy_scaled: E e^{-beta}.
        mean: int x dmu.
        max_log_rho: largest log rho with respect to area (not sigma: add log 4 pi), or None.
    """

    t: float
    energy_scaled: float
    mean: Sequence[float]
    max_log_rho: float | None = None


@dataclass(frozen=True)
class TrajectoryPoint:
    """A solution at time ``t``: moments c_l = int P_l(cos theta) dmu, l = 1, 2, ..., and E.

    For d = 2, P_l(cos theta) is cos(l theta).
    """

    t: float
    moments: tuple[float, ...]
    energy: float


@dataclass(frozen=True)
class PoissonPoint:
    """|w| = ``r`` and |mean| = ``m`` of the conformal flow (beta = 0, d = 3, r(0) = .2)."""

    t: float
    r: float
    m: float


@dataclass(frozen=True)
class StationaryProfile:
    """A stable axially symmetric stationary state with noise: c_1 = |m|, c_2 and E."""

    d: int
    model: Model
    beta: float
    kappa: float
    moments: tuple[float, float]
    energy: float


@dataclass(frozen=True)
class FirstOrder:
    """The first-order transition of usa.

    Values of kappa where the uniform state turns stable, where both states have the same free
    energy, and where the clustered state ends (with |m| = ``mean_length``).
    """

    d: int
    beta: float
    kappa_c: float
    equal_free_energy: float
    end_of_hysteresis: float
    mean_length: float


STANDARD_SA = tuple(
    StandardPoint(**point)
    for point in tomllib.loads((_DATA / "standard_sa.toml").read_text("utf-8"))["points"]
)
"""sa, beta = 4, V = I: see the file, which benchmarks read too."""

STANDARD_SA_LATE = StandardPoint(8.0, 0.04882618317, (0.3785626456, 0.3969492750, 0.2000144038))
"""The same when clusters have collapsed: two methods agree to 1e-9 (verification.md 1)."""

ZONAL_SA = (
    TrajectoryPoint(1.0, (0.1443977792, 0.1002315273), 0.91167176),
    TrajectoryPoint(2.0, (0.2057177548, 0.1994137443), 1.01029605),
    TrajectoryPoint(3.0, (0.2820061307, 0.3815375338), 1.30071079),
)
"""sa, beta = 4, d = 3, rho_0 = 1 + .3 P_1 + .25 P_2."""

ZONAL_USA = (
    TrajectoryPoint(0.2, (0.1726192134, 0.1545316028), 0.95873833),
    TrajectoryPoint(0.4, (0.2928286207, 0.4448088643), 1.62620087),
)
"""usa, beta = 4, d = 3, rho_0 = 1 + .3 P_1 + .25 P_2."""

CIRCLE_SA = TrajectoryPoint(2.0, (0.0761058497, -0.0080259310, 0.3578231082), 1.53449016)
"""sa, beta = 4, d = 2, rho_0 = 1 + .1 cos + .2 cos 3 (with respect to sigma)."""

POISSON_SPHERE = (
    PoissonPoint(0.0, 0.2, 0.2645209773),
    PoissonPoint(2.0, 0.5957927802, 0.7347273790),
    PoissonPoint(4.0, 0.9189282834, 0.9809039599),
    PoissonPoint(8.0, 0.9984358380, 0.9999836978),
)
"""beta = 0, d = 3, from |w| = .2."""

STATIONARY_PROFILES = (
    StationaryProfile(3, "sa", 4.0, 0.1, (0.8231632710, 0.5590414935), 2.87132356),
    StationaryProfile(3, "usa", 1.0, 0.3, (0.6648695797, 0.3530267874), 0.85474152),
    StationaryProfile(2, "sa", 4.0, 0.1, (0.9131361279, 0.6958706442), 4.41036334),
)
"""usa: mu ~ exp(Z/(beta kappa)); sa: mu ~ Z^{1/(beta kappa)}."""

FIRST_ORDER_USA = FirstOrder(3, 4.0, 1.280360, 1.5496, 1.617409, 0.73)
"""usa, d = 3, beta = 4 (Mun and Rosenzweig 2026)."""
