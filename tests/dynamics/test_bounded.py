"""Limiters with a bound: nothing above the flow at jumps and plateaus, and no order lost.

Along characteristics of sa d log rho/dt <= d - 1, so that max rho <= e^{(d-1) t} max rho_0; the
largest density itself is that of characteristics.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import rough
from convergence import rates
from parameters import slow_but

from meanfield.analysis import exact
from meanfield.case import Eulerian, Implicit
from meanfield.dynamics.drift import Drift
from meanfield.dynamics.edgesweep import EdgeSweep
from meanfield.dynamics.eulerian import EulerianSolver, EulerianState
from meanfield.dynamics.exchange import Exchange
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.geometry.laws import Cap, Mixture, PoissonKernel, Uniform
from meanfield.geometry.mesh import icosphere
from meanfield.interaction.attention import Attention

Make = Callable[..., Any]
Solver = EulerianSolver | ImplicitSolver

CAPS = Mixture((Cap((0, 0, 1), 0.3), Cap((1, 0.2, 0), 0.2), Uniform(3)), (0.4, 0.3, 0.3))
BOUNDED: list[Any] = ["log-muscl", "bounded"]

pytestmark = pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")


def made(kind: type, space: Any, beta: float, law: Any, scheme: str, rtol: float = 1e-3) -> Solver:
    """An explicit or an implicit solver of sa."""
    attention = Attention("sa", beta, space.d, space.geometry)
    rho = law.density(space.manifold.embed(space.points[: space.n_owned]))
    if kind is Eulerian:
        return EulerianSolver(space, attention, rho, Eulerian(scheme=scheme))  # type: ignore[arg-type]
    options = Implicit(scheme=scheme, rtol=rtol)  # type: ignore[arg-type]
    return ImplicitSolver(space, attention, rho, options=options)


def growth(solver: Any, times: list[float], rate: float = 0.0) -> list[float]:
    """Largest density over the first one and e^{rate t}: in all steps, or at some times."""

    def largest() -> float:
        if isinstance(solver, LagrangianSolver):
            return float(solver.log_density().max())
        return math.log(solver.rho.max())

    first, found = largest(), []
    for t in times:
        while solver.t < t:
            solver.advance(t)
            if rate or solver.t == t:
                found.append(math.exp(largest() - first - rate * solver.t))
    return found


# ------------------------------------------------------------------ the largest density


@pytest.mark.parametrize("scheme", BOUNDED)
@pytest.mark.parametrize("level", [4, 5, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [Eulerian, Implicit])
def test_jumps_make_no_new_maxima(kind: type, level: int, scheme: str, make_space: Make) -> None:
    # Up to 20 % above with a constant allowance (1.12 and 1.15 here at levels 4 and 5).
    solver = made(kind, make_space("sphere", level), 9.0, CAPS, scheme)
    found = growth(solver, [0.02, 0.1, 0.25], rate=2.0)
    assert 0.9 < found[0] and max(found) <= 1.002
    assert solver.energy_violations == 0


@pytest.mark.parametrize(("which", "d"), [(("circle", 800, 2), 2), (("zonal", 800, 5), 5)])
@pytest.mark.parametrize("scheme", BOUNDED)
def test_jumps_in_one_dimension(scheme: str, which: Any, d: int, make_space: Make) -> None:
    axis = (0.0,) * (d - 1) + (1.0,)
    law = Mixture((Cap(axis, 0.3), Uniform(d)), (0.6, 0.4))
    solver = made(Eulerian, make_space(*which), 9.0, law, scheme)
    assert max(growth(solver, [0.1, 0.25], rate=d - 1.0)) <= 1.002


PLATEAUS = [  # beta, level, end, how far above the flow the default may come
    (9.0, 5, 0.25, 1.002),
    (1.0, 4, 1.0, 1.08),  # the smaller cap is three cells wide
    (1.0, 5, 1.0, 1.002),
    (1.0, 6, 1.0, 1.002),
    (40.0, 5, 0.25, 1.002),
]


@pytest.mark.parametrize("plateau", slow_but([0, 1], PLATEAUS), ids=str)
def test_plateaus_keep_below_the_flow(plateau: Any, make_space: Make) -> None:
    beta, level, end, most = plateau
    times = list(np.linspace(0.1, 1.0, 10) * end)
    law = CAPS.density
    attention = Attention("sa", beta, 3, "sphere")
    flow = growth(LagrangianSolver(attention, icosphere(level), law), times)
    for scheme, bound in (("log-muscl", most), ("bounded", 1.002)):
        found = growth(made(Eulerian, make_space("sphere", level), beta, CAPS, scheme), times)
        assert max(np.divide(found, flow)) <= bound, scheme
        assert min(np.divide(found, flow)) > 0.9  # the plateaus are still there


# ------------------------------------------------------------------ the inequality of one step


@pytest.mark.parametrize(
    "which",
    [("sphere", 4, 3), ("unstructured", 700, 3), ("circle", 300, 2), ("zonal", 300, 5)],
    ids=lambda w: w[0],
)
def test_an_euler_step_is_bounded_by_the_star(which: Any, make_space: Make) -> None:
    # rho' <= M (1 - dt div_h), M the largest density on the star, for dt A_out <= 1/2.
    space = make_space(*which)
    stars, w, n = space.stars, space.weights, space.n_owned
    rng = np.random.default_rng(12)
    beyond = []
    for draw in range(20):
        rho = 10.0 ** rng.uniform(-10.0, 3.0, n) if draw % 2 else np.exp(rng.standard_normal(n))
        xi = rng.standard_normal(n)
        drift = Drift(xi, np.empty((0, n)))
        flow = stars.coefficient * (xi[stars.neighbour] - xi)
        out = np.maximum(flow, 0.0).sum(axis=0) / w
        dt = 0.5 / out.max()
        most = np.maximum(rho[stars.neighbour].max(axis=0), rho)
        bound = most * (1.0 - dt * flow.sum(axis=0) / w)
        new = EdgeSweep(space, w, "bounded").euler(rho, drift, dt, 0.0, rho, True)
        assert np.all(new <= bound * (1.0 + 1e-12))
        roomy = EdgeSweep(space, w, "log-muscl")
        roomy.curvature = np.full(n, 0.5)  # a room of 1 everywhere
        beyond.append(np.max(roomy.euler(rho, drift, dt, 0.0, rho, True) / bound))
    assert max(beyond) > 1.05  # with an allowance it does not hold


@pytest.mark.parametrize(
    ("scheme", "names"), [("log-muscl", ["cap"]), ("bounded", ["cap", "holes", "lognormal"])]
)
def test_edges_of_the_exchange_are_bounded_by_the_star(
    scheme: str, names: list[str], make_space: Make
) -> None:
    # What implicit steps are made of: at jumps no edge has more than the star of its upwind end.
    space = make_space("sphere", 4)
    stars, n = space.stars, space.n_owned
    rng = np.random.default_rng(13)
    for name in names:
        rho = np.maximum(rough(name, space), 1e-6)
        xi = rng.standard_normal(n)
        rates = Exchange(space, space.weights, scheme).rates(Drift(xi, np.empty((0, n))), rho, 0.0)
        rise = xi - xi[stars.neighbour]  # > 0: the neighbour is upwind
        edge = np.zeros_like(rise)
        np.divide(
            rates.arriving, stars.coefficient * rise, out=edge, where=stars.coefficient * rise > 0.0
        )
        upwind = rho[stars.neighbour]
        star = np.maximum(rho[stars.neighbour].max(axis=0), rho)
        found = edge * upwind / star[stars.neighbour]
        assert np.count_nonzero(found) > n
        assert np.max(found) <= 1.0 + 1e-12


# ------------------------------------------------------------------ smooth data


CONFORMAL = [
    ("sphere", (3, 4), 3, 4e-3), ("circle", (64, 128, 256), 2, 7e-5),
    ("zonal", (64, 128, 256), 8, 2.8e-3),
    pytest.param("sphere", (3, 4, 5), 3, 1e-3, marks=pytest.mark.slow)]  # fmt: skip


@pytest.mark.parametrize(("which", "sizes", "d", "last"), CONFORMAL, ids=lambda v: str(v))
@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        *((Eulerian, scheme) for scheme in BOUNDED),
        (Implicit, "bounded"),
        pytest.param(Implicit, "log-muscl", marks=pytest.mark.slow),  # the same steps and limiter
    ],
)
def test_conformal_flow_is_of_second_order(
    kind: type, scheme: str, which: str, sizes: Any, d: int, last: float, make_space: Make
) -> None:
    axis = np.array({"sphere": (0.5, -0.3, 0.7), "circle": (0.6, 0.8)}.get(which, np.eye(d)[-1]))
    axis /= np.linalg.norm(axis)

    def error(n: int) -> float:
        space = make_space(which, n, d)
        solver = made(kind, space, 0.0, PoissonKernel(tuple(0.2 * axis)), scheme, 1e-5)
        growth(solver, [2.0])
        x = space.manifold.embed(space.points[: space.n_owned])
        r = float(exact.poisson_radius(2.0, 0.2, d))
        rho = PoissonKernel(tuple(r * axis)).density(x)
        return float(solver.weights @ np.abs(solver.rho - rho))

    # On the circle from 64 to 128 vertices; 1.90 to 256.
    rates(error, sizes).check(1.87 if which == "circle" else 1.9, math.inf, last)


# ------------------------------------------------------------------ restart


@pytest.mark.parametrize("scheme", BOUNDED)
@pytest.mark.parametrize("before", [1, 7])
def test_restart_to_the_last_bit(before: int, scheme: str, make_space: Make) -> None:
    space = make_space("sphere", 4)

    def steps(solver: Solver, number: int) -> np.ndarray:
        for _ in range(number):
            solver.advance(1e3)
        return solver.rho

    one = made(Eulerian, space, 4.0, CAPS, scheme)
    steps(one, before)
    state = one.state()
    assert isinstance(state, EulerianState)
    assert state.curvature.size == (space.n_owned if scheme == "log-muscl" else 0)
    values = state.values()
    rho = steps(one, 3)
    two = made(Eulerian, space, 4.0, CAPS, scheme)
    two.restore(EulerianState.from_values(values))
    np.testing.assert_array_equal(steps(two, 3), rho)
    # Of an earlier version: the curvature of the density at hand.
    del values["curvature"]
    two.restore(EulerianState.from_values(values))
    again = steps(two, 3)
    assert np.array_equal(again, rho) == (scheme == "bounded")
    assert two.weights @ np.abs(again - rho) < 1e-3


def test_the_first_step_knows_its_curvature(make_space: Make) -> None:
    # As if the sweep had run twice: that of the density itself, not none.
    space = make_space("sphere", 4)
    law = Mixture((PoissonKernel((0.3, 0.1, 0.2)), Uniform(3)), (0.8, 0.2))
    one, two = (made(Eulerian, space, 4.0, law, "log-muscl") for _ in range(2))
    state = two.state()
    assert isinstance(state, EulerianState) and state.curvature.size == 0
    log = np.log(two.rho)
    bends = np.mean(log[space.stars.neighbour] - log, axis=0)
    two.restore(dataclasses.replace(state, curvature=space.gather(bends)))
    none = made(Eulerian, space, 4.0, law, "log-muscl")
    none.restore(dataclasses.replace(state, curvature=np.zeros_like(bends)))
    for solver in (one, two, none):
        solver.advance(1e3)
    np.testing.assert_allclose(two.rho, one.rho, rtol=1e-13)
    assert np.max(np.abs(none.rho / one.rho - 1.0)) > 1e-9
