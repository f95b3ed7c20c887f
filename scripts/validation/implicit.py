"""The implicit solver: stationary profiles, widths of clusters, orders, long times."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

import meanfield as mf
from meanfield.interaction.attention import SelfAttention
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary

from .solving import (
    STANDARD,
    attention,
    cosines,
    implicit,
    masses,
    mean,
    order,
    places,
    settled,
    space,
    two_moments,
    until,
)
from .table import Table, Values

table = Table("implicit")

PROFILE = "fixed point of the profile, another code"


def _bump(d: int, k: float = 2.0) -> mf.VonMisesFisher:
    return mf.VonMisesFisher((0.0,) * (d - 1) + (1.0,), k)


def _profile(size: int, d: int, model: str, beta: float, kappa: float) -> Values:
    on = space("zonal", size, d)
    return two_moments(settled(implicit(on, attention(model, beta, on), _bump(d), kappa), 1e-11))


@table.row(
    "`sa`, $d = 3$, $\\beta = 4$, $\\kappa = 0.1$ at rest, 200 latitudes: "
    "$\\lvert m\\rvert$, $c_2$",
    "{:.8f}, {:.8f}", known=(0.8231632710, 0.5590414935),
    within=(2e-8, 4e-8), source=PROFILE, quick=True,
)  # fmt: skip
def profile_sa() -> Values:
    return _profile(200, 3, "sa", 4.0, 0.1)


@table.row(
    "`usa`, $d = 3$, $\\beta = 1$, $\\kappa = 0.3$ at rest, 800 latitudes", "{:.8f}, {:.8f}",
    known=(0.6648695797, 0.3530267874), source=PROFILE,
)  # fmt: skip
def profile_usa() -> Values:
    return _profile(800, 3, "usa", 1.0, 0.3)


@table.row(
    "`sa`, $d = 2$, $\\beta = 4$, $\\kappa = 0.1$ at rest, 128 vertices of $S^1$",
    "{:.9f}, {:.9f}", known=(0.9131361279, 0.6958706442), source=PROFILE, quick=True,
)  # fmt: skip
def profile_circle() -> Values:
    on = space("circle", 128, 2)
    return two_moments(settled(implicit(on, attention("sa", 4.0, on), _bump(2), 0.1), 1e-11))


@table.row(
    "`sa`, $\\beta = 4$, $\\kappa = 0.1$ on $S^2$, level 5, about $(2, 1, 0.4)$, until it moves by "
    "less than 1e-10", "{:.9f}, {:.9f}", known=(0.8231632710, 0.5590414935), source=PROFILE,
)  # fmt: skip
def profile_sphere() -> Values:
    on = space("sphere", 5)
    law = mf.VonMisesFisher((2.0, 1.0, 0.4), 6.0)
    return two_moments(settled(implicit(on, attention("sa", 4.0, on), law, 0.1), 1e-10, 1e3))


@table.row(
    "`hysteresis.toml` (`usa`, $\\beta = 4$, $\\kappa = 1.4$) at rest, 100, 400, 1 600 latitudes: "
    "error of $\\lvert m\\rvert$", "{:.1e}, {:.1e}, {:.0e}",
    source="`stationary`, residual 1e-15",
)  # fmt: skip
def hysteresis() -> Values:
    state = find_stationary(Equation(SelfAttention("usa", 4.0), 1.4, 3), _bump(3, 4.0))
    found = []
    for size in (100, 400, 1600):
        on = space("zonal", size)
        solver = implicit(on, attention("usa", 4.0, on), _bump(3, 4.0), 1.4)
        found.append(abs(two_moments(settled(solver, 1e-9))[0] - state.mean_norm))
    return tuple(found)


def _standard(t: float, **choices: object) -> tuple[float, int]:
    """Error of the mean, steps."""
    on = space("sphere", 5)
    solver = implicit(on, attention("sa", 4.0, on), mf.standard_density(), 0.0, **choices)
    known = np.array(STANDARD[t][1])
    return float(np.linalg.norm(mean(until(solver, t)) - known)), solver.step


@table.row(
    "standard density, `sa`, $\\beta = 4$, $\\kappa = 0$, level 5, $t = 1$: error of the mean and "
    "steps, default `rtol`", "{:.1e} in {:.0f} steps", source="characteristics",
)  # fmt: skip
def standard_at_1() -> Values:
    return _standard(1.0)


@table.row("the same, $t = 4$", "{:.1e} in {:.0f} steps", source="characteristics")
def standard_at_4() -> Values:
    return _standard(4.0)


@table.row("the same, `rtol = 1e-4`, $t = 1$", "{:.1e} in {:.0f} steps", source="characteristics")
def standard_finer() -> Values:
    return _standard(1.0, rtol=1e-4)


def _variance(size: int, d: int, beta: float, kappa: float) -> float:
    """Of a cluster at rest, across."""
    on = space("zonal", size, d)
    solver = settled(implicit(on, attention("sa", beta, on), _bump(d, 20.0), kappa), 1e-10)
    c, m = places(on)[:, -1], masses(solver)
    return (1.0 - float(m @ (c * c))) / (d - 1)


@table.row(
    "variance of a cluster at rest, `sa`, $\\beta = 9$, $\\kappa = 0.005$, zonal $d = 3$, edges of "
    "$\\sigma$, $\\sigma/2$, $\\sigma/4$, $\\sigma = \\sqrt\\kappa$: relative error",
    "{:.1e}, {:.1e}, {:.1e}; order {:.1f}", source="`stationary`",
)  # fmt: skip
def widths() -> Values:
    exact = _exact_variance(3)
    sizes = [round(math.pi / (math.sqrt(0.005) / k)) + 1 for k in (1, 2, 4)]
    errors = [abs(_variance(size, 3, 9.0, 0.005) / exact - 1.0) for size in sizes]
    return (*errors, order(errors))


def _exact_variance(d: int) -> float:
    """The same of the state itself, sa, beta = 9, kappa = .005."""
    state = find_stationary(Equation(SelfAttention("sa", 9.0), 0.005, d), _bump(d, 20.0))
    return (1.0 - (1.0 + (d - 1) * state.c2) / d) / (d - 1)


def _width_error(kind: str, size: int, d: int, mean: Sequence[float]) -> float:
    """Relative error of the variance at t = 15 of a cluster about a place."""
    on = space(kind, size, d)
    law = mf.VonMisesFisher(tuple(mean), 20.0)
    solver = until(implicit(on, attention("sa", 9.0, on), law, 0.005), 15.0)
    c, m = cosines(solver), masses(solver)
    return abs((1.0 - float(m @ (c * c))) / (d - 1) / _exact_variance(d) - 1.0)


@table.row(
    "the same, $d = 5$, edges of $\\sigma$, $\\sigma/2$; on $S^1$, edges of $1.5\\sigma$, "
    "$\\sigma$",
    "{:.1e}, {:.1e}; {:.0e}, {:.0e}", source="`stationary`",
)  # fmt: skip
def widths_elsewhere() -> Values:
    zonal = [_width_error("zonal", n, 5, (0.0, 0.0, 0.0, 0.0, 1.0)) for n in (45, 90)]
    circle = [_width_error("circle", n, 2, (1.0, 0.0)) for n in (59, 89)]
    return (*zonal, *circle)


@table.row(
    "the same on $S^2$, levels 4, 5 (edges of $\\sigma$, $\\sigma/2$), eight clusters anywhere: "
    "least and largest error", "{:.1e}, {:.1e}; {:.1e}, {:.1e}", source="`stationary`",
)  # fmt: skip
def widths_sphere() -> Values:
    places_of = np.random.default_rng(0).standard_normal((8, 3))
    found = [[_width_error("sphere", n, 3, x.tolist()) for x in places_of] for n in (4, 5)]
    return min(found[0]), max(found[0]), min(found[1]), max(found[1])


@table.row(
    "order in time, $S^1$, 64 vertices, `sa`, $\\beta = 4$, $\\kappa = 0.05$, 8, 16, 32 steps to "
    "$t = 1$, `order = 1` and `order = 2`", "{:.2f}, {:.2f}", source="1, 2", quick=True,
)  # fmt: skip
def order_in_time() -> Values:
    on = space("circle", 64, 2)
    law = mf.Mixture((_bump(2), mf.VonMisesFisher((1.0, 0.2), 1.0)), (0.6, 0.4))

    def after(steps: int, which: int) -> object:
        pulls = attention("sa", 4.0, on)
        return until(implicit(on, pulls, law, 0.05, dt=1.0 / steps, order=which, rtol=1e-7), 1.0)

    exact = after(256, 2)
    found = []
    for which in (1, 2):
        errors = [
            float(exact.weights @ np.abs(after(steps, which).rho - exact.rho))  # type: ignore[attr-defined]
            for steps in (8, 16, 32)
        ]
        found.append(order(errors))
    return tuple(found)


@table.row(
    "three noisy clusters on $S^1$, 256 vertices, `sa`, $\\beta = 9$, $\\kappa = 0.005$: time at "
    "which two merge, steps to $t = 10^6$, smallest and largest step, seconds",
    "{:.3g}; {:.0f}, {:.0e} to {:.0e}, {:.0f} s", source="they live for 1e4",
)  # fmt: skip
def metastable() -> Values:
    on = space("circle", 256, 2)
    law = mf.Mixture(
        tuple(mf.VonMisesFisher((math.cos(a), math.sin(a)), 25.0) for a in (0.1, 2.2, 4.4)),
        (0.4, 0.32, 0.28),
    )
    begun = time.perf_counter()
    solver = implicit(on, attention("sa", 9.0, on), law, 0.005)
    steps, times, energies = [], [], []
    while solver.t < 1e6:
        steps.append(solver.advance(1e6))
        times.append(solver.t)
        energies.append(solver.field().energy(scaled=True))
    seconds = time.perf_counter() - begun
    t, e = np.array(times), np.array(energies)
    rest = float(np.mean(e[(t > 20.0) & (t < 2000.0)]))
    merged = float(t[np.argmax(e > 1.2 * rest)])
    return merged, float(solver.step), min(steps), max(steps[:-1]), seconds
