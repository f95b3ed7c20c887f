"""Repulsion whose series is cut: the local one that its tail tends to; the logarithmic gas."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import rough
from parameters import slow_but

import meanfield as mf
from meanfield.case import Eulerian, Implicit
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.movingdiffusion import MovingDiffusion
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import Composite
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Log, Onsager, Riesz
from meanfield.interaction.together import Together

Make = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")

CHARGE = 0.25


def gas(space: Any, strength: float = -1.0) -> Interaction:
    return Interaction(Log(strength=strength), space.d, space.geometry)


def beside_a_charge(space: Any, at: tuple[float, ...], core: float = 1e-2) -> Together:
    """Its density at rest: 1 + CHARGE where <at, x> <= (1 - CHARGE)/(1 + CHARGE), d = 3."""
    drift = mf.ChargePotential(at=at, strength=CHARGE, core=core).on(space.d)
    alone = Composite((), "sa", space.d, space.geometry, drifts=(drift,))
    return Together((gas(space), alone))


def implicit(
    space: Any,
    pulls: AnyInteraction,
    rho: Array,
    diffusion: Diffusion | float = 0.0,
    **choices: Any,
) -> ImplicitSolver:
    return ImplicitSolver(space, pulls, rho, diffusion, Implicit(**choices))


def along(space: Any, axis: tuple[float, ...]) -> Array:
    """<axis, x> at the vertices."""
    return np.asarray(space.manifold.embed(space.points[: space.n_owned]) @ np.array(axis))


def run_to(solver: Any, t: float) -> Any:
    while solver.t < t:
        solver.advance(t)
    return solver


# ------------------------------------------------------------------ when, and how large


def test_it_is_closed_where_nothing_else_determines_the_density(make_space: Make) -> None:
    space = make_space("zonal", 60, 3)
    degree = space.manifold.resolved_degree(60)
    tail = 0.5 / ((degree + 1) * (degree + 2))  # lam_l = 1/(2 l (l + 1))
    rho = np.ones(60)
    for kappa, choice, closed in (
        (0.0, "auto", True), (0.0, "cut", False), (9.9 * tail, "auto", True),
        (10.1 * tail, "auto", False), (10.1 * tail, "closed", True), (0.0, "closed", True),
    ):  # fmt: skip
        solver = implicit(space, gas(space), rho, kappa, tail=choice)
        assert solver.tail == pytest.approx(tail if closed else 0.0, rel=1e-12)
        assert solver.kappa == kappa
    # Attraction would be anti-diffusion; the coefficients of the others do not only decrease.
    for other in (gas(space, 1.0), Interaction(Onsager(strength=-1.0), 3, "zonal")):
        assert implicit(space, other, rho, 1.0).tail == 0.0
        with pytest.raises(InputError, match='tail: "closed" found'):
            implicit(space, other, rho, 1.0, tail="closed")
    explicit = EulerianSolver(space, gas(space), rho)
    assert explicit.tail == pytest.approx(tail, rel=1e-12)


# ------------------------------------------------------------------ exact at each degree


@pytest.mark.parametrize("degree", [2, 10, 17, 18, 24])
def test_rates_of_all_degrees(degree: int, make_space: Make) -> None:
    """-l(l + 1) |lam_l| up to L = 18, as ever; beyond, where there was none, that of the tail."""
    space = make_space("zonal", 60, 3)
    x = along(space, (0.0, 0.0, 1.0))
    wave = np.polynomial.legendre.legval(x, np.eye(degree + 1)[degree])
    t = 0.05

    def rate(tail: str) -> float:
        solver = implicit(space, gas(space), 1.0 + 1e-3 * wave, rtol=1e-4, tail=tail)
        assert solver.interaction.truncation.degree == 18  # type: ignore[union-attr]
        before = float(np.dot(solver.weights * (solver.rho - 1.0), wave))
        run_to(solver, t)
        return math.log(float(np.dot(solver.weights * (solver.rho - 1.0), wave)) / before) / t

    l, half = min(degree, 19), 0.5 * degree * math.pi / 59
    exact = -degree * (degree + 1) * 0.5 / (l * (l + 1))
    of_mesh = exact * (math.sin(half) / half) ** 2
    assert rate("closed") == pytest.approx(of_mesh, rel=1e-2)
    assert rate("cut") == pytest.approx(of_mesh if degree <= 18 else 0.0, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize(
    "which", slow_but([0], [("zonal", 80, 3), ("circle", 90, 2), ("sphere", 3)])
)
def test_energies_are_those_of_the_series(which: Any, make_space: Make) -> None:
    """E, xi and X of what the mesh resolves are not changed by closing; F falls at their rate."""
    space = make_space(*which)
    axis = (0.0,) * (space.d - 1) + (1.0,) if space.geometry == "zonal" else (0.6, 0.8, 0.0)
    x = along(space, axis[: space.d])
    rho = 1.0 + 0.5 * x + 0.2 * x * x
    one, other = (implicit(space, gas(space), rho, tail=tail) for tail in ("closed", "cut"))
    # The square of a P1 density is summed up at vertices: h^2.
    assert one.energy() == pytest.approx(other.energy(), rel=1e-3)
    assert one.energy(scaled=True) == one.energy()
    assert one.energy() != one.field().energy()
    np.testing.assert_allclose(one.velocity(), other.velocity(), atol=1e-12)
    assert one.speed() == pytest.approx(other.speed(), rel=2e-2)
    assert one.free_energy_excess() == pytest.approx(other.free_energy_excess(), rel=1e-2)


def test_the_energy_falls_as_the_field_says() -> None:
    case = mf.Case.from_dict(
        {
            "geometry": {"type": "zonal", "d": 3, "vertices": 80},
            "model": {"interaction": {"type": "log", "strength": -1.0}},
            "initial": {"type": "gegenbauer", "coefficients": [0.4, 0.2]},
            "solver": {"type": "implicit", "rtol": 1e-5},
            "time": {"end": 1.0, "outputs": {"every": 0.02}},
        }
    )
    series = mf.run(case, progress=False).series
    assert np.all(np.diff(series["energy"]) > 0.0)  # E = -1/2 iint log 1/|x - y|
    assert np.max(np.abs(series["energy_residual"][1:])) < 2e-5
    assert np.all(series["energy"] == series["energy_scaled"])
    closed = Log().lam(0, 3)[0]  # E of the uniform state: -lam_0/2
    assert series["energy"][-1] == pytest.approx(-0.5 * closed, rel=5e-2)


# ------------------------------------------------------------------ what holds for any step


@pytest.mark.parametrize("kappa", [0.0, 1e-4])
@pytest.mark.parametrize("kernel", slow_but([0], [Log(strength=-1.0), Riesz(s=1.0, strength=-0.5)]))
@pytest.mark.parametrize(
    "which", slow_but([0], [("zonal", 60, 3), ("circle", 64, 2), ("sphere", 2)])
)
def test_free_energy_falls(which: Any, kernel: Any, kappa: float, make_space: Make) -> None:
    space = make_space(*which)
    if space.d == 2 and kernel.type == "riesz":
        kernel = Riesz(s=0.5, strength=-0.5)  # below d - 1
    pulls = Interaction(kernel, space.d, space.geometry)
    for name in ("holes", "peak", "lognormal"):
        solver = implicit(space, pulls, rough(name, space), kappa)
        assert solver.tail > 0.0
        before = solver.free_energy_excess()
        for _ in range(12):
            solver.advance(1e3)
            after = solver.free_energy_excess()
            assert np.all(solver.rho >= 0.0)
            assert abs(math.fsum(solver.weights * solver.rho) - 1.0) < 3e-15
            assert after - before <= 1e-12 * (abs(after) + abs(before)) + 1e-14
            before = after
        assert solver.energy_violations == 0


@pytest.mark.parametrize("kind", ["implicit", "explicit"])
@pytest.mark.parametrize(
    "which", slow_but([0], [("zonal", 60, 3), ("circle", 64, 2), ("sphere", 3)])
)
def test_the_uniform_state_rests(which: Any, kind: str, make_space: Make) -> None:
    space = make_space(*which)
    rho, pulls = np.ones(space.n_owned), gas(space)
    solver: Any = (
        implicit(space, pulls, rho) if kind == "implicit" else EulerianSolver(space, pulls, rho)
    )
    for _ in range(20):
        solver.advance(1e9)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-12
    assert solver.energy_violations == 0


@pytest.mark.parametrize("values", [(0.02,), (0.0, 0.05, 0.0), (0.05, 0.0, 0.1)])
@pytest.mark.parametrize("exponent", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["implicit", "explicit"])
def test_beside_diffusion(kind: str, exponent: float, values: Any, make_space: Make) -> None:
    """F falls between jumps of kappa, also where it is 0; the uniform state rests."""
    space = make_space("zonal", 40, 3)
    table = mf.TableInTime(np.array([0.0, 0.1, 0.2][: len(values)]), np.array(values))
    diffusion: Any = Diffusion(values[0], exponent)
    if len(values) > 1:
        diffusion = MovingDiffusion(table, exponent)

    def made(rho: Array) -> Any:
        if kind == "implicit":
            return ImplicitSolver(space, gas(space), rho, diffusion, Implicit(tail="closed"))
        choices = Eulerian(tail="closed")
        return EulerianSolver(space, gas(space), rho, choices, diffusion=diffusion)

    solver = made(rough("holes", space))
    assert solver.tail > 0.0
    before = solver.free_energy_excess()
    while solver.t < 0.3:
        kappa = solver.kappa
        solver.advance(0.3)
        assert np.all(solver.rho >= 0.0)
        after = solver.free_energy_excess()
        if solver.kappa == kappa:
            assert after - before <= 1e-12 * (abs(after) + abs(before)) + 1e-14
        before = after
    assert solver.energy_violations == 0
    assert abs(math.fsum(solver.weights * solver.rho) - 1.0) < 1e-13
    rests = run_to(made(np.ones(space.n_owned)), 0.3)
    assert np.max(np.abs(rests.rho - 1.0)) < 1e-12
    assert rests.energy_violations == 0


def test_rotations(make_space: Make) -> None:
    """The icosphere, the charge and the law turned together: the same densities."""
    space = make_space("sphere", 2)
    x = space.points[: space.n_owned]
    turn = np.eye(3)[[2, 0, 1]]  # of its group
    place = np.argmax(x @ turn.T @ x.T, axis=1)  # where a vertex goes to
    assert np.max(np.abs(x[place] - x @ turn.T)) < 1e-9
    at, mean = x[7], np.array([0.3, -0.5, 0.2])
    solvers = []
    for matrix in (np.eye(3), turn):
        pulls = beside_a_charge(space, tuple(matrix @ at), 0.1)
        rho = np.exp(x @ (matrix @ mean))
        solvers.append(run_to(implicit(space, pulls, rho, rtol=1e-2), 0.5))
    assert solvers[0].tail > 0.0
    np.testing.assert_allclose(solvers[1].rho[place], solvers[0].rho, rtol=1e-7, atol=1e-9)


# ------------------------------------------------------------------ the logarithmic gas


def edge_of(solver: Any, axis: tuple[float, ...]) -> tuple[float, float, float]:
    """L1 distance to the exact state, largest deviation where t < 1/2, mass beyond the edge."""
    t, w = along(solver.space, axis), solver.weights
    exact = np.where(t <= 0.6 + 1e-12, 1.25, 0.0)
    wrong = np.abs(solver.rho - exact)
    return (
        float(np.dot(w, wrong)),
        float(wrong[t < 0.5].max()),
        float(np.dot(w * solver.rho, t > 0.6)),
    )


def test_gas_beside_a_charge(make_space: Make) -> None:
    found = {}
    for n in (100, 200):
        space = make_space("zonal", n, 3)
        solver = implicit(space, beside_a_charge(space, (0.0, 0.0, 1.0)), np.ones(n))
        run_to(solver, 30.0)
        found[n] = edge_of(solver, (0.0, 0.0, 1.0))
        t, w = along(space, (0.0, 0.0, 1.0)), solver.weights
        inner = float(np.dot(w * solver.rho, t < 0.5) / np.dot(w, t < 0.5))
        assert inner == pytest.approx(1.25, abs=6e-4)
        assert float(np.dot(w * solver.rho, t)) == pytest.approx(-0.2, abs=1e-4)
        assert solver.energy_violations == 0
    assert found[100][0] < 0.012 and found[200][0] < 0.005  # L1
    assert found[100][1] < 0.02 and found[200][1] < 0.012
    assert found[100][2] < 6e-3 and found[200][2] < 1e-3


def test_what_it_is_without(make_space: Make) -> None:
    """Scales below 1/L keep what the scheme has left there."""
    space = make_space("zonal", 100, 3)
    pulls, rho = beside_a_charge(space, (0.0, 0.0, 1.0)), np.ones(100)
    closed, cut = (
        run_to(implicit(space, pulls, rho, tail=tail), 20.0) for tail in ("closed", "cut")
    )
    axis = (0.0, 0.0, 1.0)
    assert edge_of(cut, axis)[0] > 5.0 * edge_of(closed, axis)[0]
    assert edge_of(cut, axis)[1] > 10.0 * edge_of(closed, axis)[1]


def test_on_the_sphere(make_space: Make) -> None:
    space = make_space("sphere", 3)
    axis = (0.48, 0.36, 0.8)
    solver = implicit(space, beside_a_charge(space, axis, 0.05), np.ones(space.n_owned))
    run_to(solver, 20.0)
    l1, largest, beyond = edge_of(solver, axis)
    assert l1 < 0.05 and largest < 0.12 and beyond < 0.02


def test_explicit_steps_agree(make_space: Make) -> None:
    space = make_space("zonal", 60, 3)
    t = along(space, (0.0, 0.0, 1.0))
    rho = np.where(t > 0.2, 1.0, 0.0) + 0.1
    reference = run_to(implicit(space, gas(space), rho, rtol=1e-5), 0.3)
    solver = EulerianSolver(space, gas(space), rho, Eulerian())
    run_to(solver, 0.3)
    difference = float(np.dot(solver.weights, np.abs(solver.rho - reference.rho)))
    assert difference < 5e-3
    assert solver.energy() == pytest.approx(reference.energy(), rel=1e-3)
    assert solver.energy_violations == 0


def test_explicit_steps_next_to_what_empties(make_space: Make) -> None:
    """A little linear diffusion does not shorten steps: they are bounded by drops alone."""

    def explicit(vertices: int, kappa: float = 0.0) -> EulerianSolver:
        space, rho = make_space("zonal", vertices, 3), np.ones(vertices)
        pulls = beside_a_charge(space, (0.0, 0.0, 1.0), 0.05)
        return EulerianSolver(space, pulls, rho, Eulerian(tail="cut"), 0.0, Diffusion(kappa))

    without, fine = (run_to(explicit(vertices), 0.5) for vertices in (60, 237))
    exact = np.interp(without.space.points[:60, 0], fine.space.points[:237, 0], fine.rho)

    def wrong(solver: EulerianSolver) -> float:
        return float(np.dot(solver.weights, np.abs(solver.rho - exact)))

    for kappa in (1e-8, 1e-3):
        solver = explicit(60, kappa)
        while solver.t < 0.5 and solver.step <= 3 * without.step:
            solver.advance(0.5)
            assert np.all(solver.rho >= 0.0)
        assert solver.t == 0.5
        assert abs(math.fsum(solver.weights * solver.rho) - 1.0) < 1e-14
        assert solver.energy_violations == 0
        assert solver.rho.min() < 10.0 * kappa  # all but empty next to the charge
        # Before the limiter had a bound: 0.036, and 0.068 without diffusion.
        assert wrong(solver) < 0.01 and wrong(without) < 0.01


def test_a_run_goes_on(tmp_path: Path) -> None:
    table: dict[str, Any] = {
        "geometry": {"type": "zonal", "d": 3, "vertices": 60},
        "model": {
            "interaction": {"type": "log", "strength": -1.0},
            "potential": {"type": "charge", "at": [0.0, 0.0, 1.0], "strength": CHARGE},
        },
        "initial": {"type": "uniform"},
        "solver": {"type": "implicit"},
        "time": {"end": 0.4, "outputs": {"every": 0.2}},
    }
    whole = mf.run(table, tmp_path / "whole", progress=False)
    table["time"]["end"] = 0.2
    mf.run(table, tmp_path / "parts", progress=False)
    table["time"]["end"] = 0.4
    last = mf.run(table, tmp_path / "parts", resume=True, progress=False)
    for name in ("t", "energy", "rho_max", "dissipation", "energy_residual"):
        np.testing.assert_array_equal(last.series[name], whole.series[name])
    table["solver"]["tail"] = "cut"
    with pytest.raises(InputError, match=r"solver\.tail"):
        mf.run(table, tmp_path / "parts", resume=True, progress=False)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            {"interaction": {"type": "log", "strength": {"times": [0, 1], "values": [-1.0, -2.0]}}},
            "its numbers depend on time",
        ),
        (
            {"interaction": {"type": "log", "strength": -1.0},
             "strength": {"type": "power", "exponent": 1.0}},
            "it is times a strength",
        ),
    ],
)  # fmt: skip
def test_a_tail_that_stays_open_is_told(model: dict[str, Any], why: str, tmp_path: Path) -> None:
    table = {
        "geometry": {"type": "circle", "vertices": 40},
        "model": model,
        "initial": {"type": "cap", "centre": [1.0, 0.0], "angle": 1.0},
        "solver": {"type": "implicit"},
        "time": {"end": 0.1},
    }
    with pytest.warns(mf.MeanfieldWarning, match=f"is left out, as {why}"):
        mf.run(mf.Case.from_dict(table), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert record["tail"] == {"left_open": why}
    with pytest.raises(InputError, match=f'tail: "closed" found, but the tail of .*{why}'):
        mf.run(mf.Case.from_dict({**table, "solver": {"type": "implicit", "tail": "closed"}}))
