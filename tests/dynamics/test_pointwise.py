"""The density at any point and time by the history of a run: exact results, mass, resumption."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from ranks import on_ranks

from meanfield.analysis import exact
from meanfield.case import Lagrangian
from meanfield.collective import Alone, Communicator
from meanfield.dynamics.lagrangian import LagrangianSolver, characteristics
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import (
    Fourier,
    Gegenbauer,
    PoissonKernel,
    VonMisesFisher,
    standard_density,
)
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.rules import rule_on
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Moving, MovingDrift, MovingHead
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.intime import TableInTime

X = uniform_points(400, 3, np.random.default_rng(3))
SA = Attention("sa", 4.0, 3, "sphere")


def charted(
    model: Any, mesh: Mesh, density: Callable[[Array], Array], end: float,
    comm: Communicator | None = None, **options: Any,
) -> LagrangianSolver:  # fmt: skip
    """Where it is at ``end``, from a chart unless it is said otherwise."""
    chosen, ranks = Lagrangian(pointwise=True, **options), comm or Alone()
    solver = characteristics(model, mesh, density, end, options=chosen, comm=ranks)
    return to(solver, end)


def to(solver: LagrangianSolver, end: float) -> LagrangianSolver:
    while solver.t < end:
        solver.advance(end)
    return solver


# ------------------------------------------------------------------ exact results


@pytest.mark.parametrize(("model", "value"), [("sa", 1), ("usa", -1)])
def test_conformal_flow_at_any_point_and_time(model: str, value: int) -> None:
    """verification.md 3: a Poisson kernel of a radius that is known; V = -I: back in time."""
    axis = np.array([2.0, -1.0, 2.0]) / 3.0
    attention = Attention(model, 0.0, 3, "sphere", value)  # type: ignore[arg-type]
    radii = [float(exact.poisson_radius(t, 0.2, 3)) for t in (0.0, 1.5, 3.0)][::value]
    law = PoissonKernel(radii[0] * axis)
    solver = charted(attention, icosphere(4), law.density, 3.0, accuracy=1e-8)
    for t, r in zip((0.0, 1.5, 3.0), radii, strict=True):
        known = np.log(PoissonKernel(r * axis).density(X))
        assert np.max(np.abs(solver.log_density_at(X, t) - known)) < 1e-6
    known = PoissonKernel(radii[2] * axis).density(X)
    np.testing.assert_allclose(solver.density_at(X), known, rtol=1e-6)


def test_at_the_beginning_it_is_the_law_with_mass_one() -> None:
    law = VonMisesFisher((0.0, 0.6, 0.8), 3.0)
    solver = charted(SA, icosphere(3), lambda x: 5.0 * law.density(x), 0.5)
    wrong = solver.log_density_at(X, 0.0) - np.log(5.0 * law.density(X))
    assert np.ptp(wrong) < 1e-14
    assert np.max(np.abs(solver.log_density_at(X, 0.0) - np.log(law.density(X)))) < 1e-9


def test_a_drift_by_itself_needs_no_moments() -> None:
    """A table of linear drifts, which jumps: the angular Gaussian, split at the jumps."""
    from scipy.linalg import expm

    a, b = (
        np.diag([1.0, -0.5, 0.2]),
        np.array([[0.0, -2.0, 0.0], [2.0, 0.0, 1.0], [0.0, -1.0, 0.3]]),
    )
    table = TableInTime(np.array([0.0, 0.37]), np.array([a, b]))
    solver = LagrangianSolver(
        Moving((), "sa", 3, "sphere", drifts=(MovingDrift((table,), LinearDrift),)),
        icosphere(2),
        lambda x: np.ones(len(x)),
    )
    to(solver, 0.8)
    for t in (0.2, 0.37, 0.8):
        phi = expm(a * min(t, 0.37))
        if t > 0.37:
            phi = expm(b * (t - 0.37)) @ phi
        s = np.linalg.inv(phi @ phi.T)
        known = -0.5 * math.log(1.0 / np.linalg.det(s)) - 1.5 * np.log(np.sum(X @ s * X, axis=1))
        assert np.max(np.abs(solver.log_density_at(X, t) - known)) < 2e-7


@pytest.mark.parametrize(
    ("mesh", "law"),
    [
        (icosphere(4), standard_density()),
        (circle(400), Fourier(cos=(0.1, 0.0, 0.2))),
        (zonal_interval(400, 5), Gegenbauer(5, (0.3, 0.2))),
    ],
    ids=["sphere", "circle", "zonal"],
)
@pytest.mark.parametrize(("model", "value"), [("sa", 1), ("usa", 1), ("sa", -1)])
def test_moved_vertices_have_the_density_that_they_carry(
    mesh: Mesh, law: Any, model: str, value: int
) -> None:
    attention = Attention(model, 2.0, mesh.d, mesh.geometry, value)  # type: ignore[arg-type]
    end = 1.0 if model == "sa" else 0.4
    solver = charted(attention, mesh, law.density, end, accuracy=1e-9)
    on = solver.manifold
    points = solver.moved_mesh().points
    assert np.max(np.abs(solver.log_density() - solver.log_density_at(points, 0.0))) > 0.1
    for at in (points, on.embed(points)):
        assert np.max(np.abs(solver.log_density_at(at) - solver.log_density())) < 2e-6


def test_jumps_of_an_interaction_are_not_stepped_over() -> None:
    a, b = 2.0 * np.diag([1.0, 0.5, -0.5]), np.diag([-1.0, 1.0, 2.0])
    times = np.array([0.0, 0.31])
    head = MovingHead(
        TableInTime(times, np.array([a, b])),
        TableInTime(times, np.array([4.0 * np.eye(3), -3.0 * a])),
    )
    model = Moving((head,), "sa", 3, "sphere")
    solver = to(LagrangianSolver(model, icosphere(3), standard_density().density), 0.6)
    assert np.count_nonzero(solver.history.times == 0.31) == 2
    assert np.ptp(solver.log_density()) > 1.0
    wrong = solver.log_density_at(solver.positions()) - solver.log_density()
    assert np.max(np.abs(wrong)) < 1e-5


# ------------------------------------------------------------------ mass, mean, entropy


def test_mass_mean_and_entropy_of_the_standard_density() -> None:
    solver = charted(SA, icosphere(4), standard_density().density, 1.0)
    rule = rule_on(solver.manifold, 6000)
    rho = solver.density_at(rule.points)
    known = reference.STANDARD_SA[0]
    assert rule.weights @ rho == pytest.approx(1.0, abs=1e-8)
    np.testing.assert_allclose((rule.weights * rho) @ rule.points, known.mean, rtol=0.0, atol=1e-8)
    entropy = float((rule.weights * rho) @ np.log(rho))
    assert solver.mass @ solver.log_density() == pytest.approx(entropy, abs=1e-6)


@pytest.mark.slow
def test_the_same_when_it_has_become_narrow() -> None:
    """accuracy.md 2g: at T = 4 the largest value is 1800."""
    solver = charted(SA, icosphere(5), standard_density().density, 4.0)
    rule = rule_on(solver.manifold, 64_000)  # 220 latitudes
    rho = solver.density_at(rule.points)
    known = reference.STANDARD_SA[1]
    assert rule.weights @ rho == pytest.approx(1.0, abs=1e-8)
    np.testing.assert_allclose((rule.weights * rho) @ rule.points, known.mean, rtol=0.0, atol=1e-7)
    assert (rule.weights * rho) @ np.log(rho) == pytest.approx(4.65004216, abs=3e-7)
    assert solver.mass @ solver.log_density() == pytest.approx(4.65004216, abs=1e-6)


def test_steps_for_it_are_short_enough() -> None:
    """Against a history of many more steps, from the same nodes."""
    solvers = []
    for options in (Lagrangian(pointwise=True), Lagrangian(control="positions", rtol=1e-12)):
        chart = characteristics(
            SA, icosphere(4), standard_density().density, 3.0, options=options, comm=Alone()
        )
        solvers.append(to(chart, 3.0))
    assert 2 * solvers[0].step < solvers[1].step
    apart = [solver.log_density_at(X) for solver in solvers]
    assert np.max(np.abs(apart[0] - apart[1])) < 1e-6


# ------------------------------------------------------------------ restart, ranks, refusals


def test_a_restart_knows_the_past() -> None:
    law = standard_density()

    def new() -> LagrangianSolver:
        options = Lagrangian(pointwise=True)
        return characteristics(SA, icosphere(3), law.density, 1.0, options=options, comm=Alone())

    whole, first, second = to(new(), 1.0), to(new(), 0.5), new()
    second.initial_mass_error = 0.1  # of another chart
    second.restore(first.state())
    to(second, 1.0)
    to(whole, 1.0)
    to(first, 1.0)
    for t in (0.2, 0.5, 1.0):
        assert np.array_equal(second.log_density_at(X, t), first.log_density_at(X, t))
        assert np.max(np.abs(second.log_density_at(X, t) - whole.log_density_at(X, t))) < 1e-4


def test_ranks_share_the_points() -> None:
    alone = charted(SA, icosphere(3), standard_density().density, 1.0).log_density_at(X, 0.7)

    def found(comm: Communicator) -> Array:
        law = standard_density()
        return charted(SA, icosphere(3), law.density, 1.0, comm=comm).log_density_at(X, 0.7)

    for each in on_ranks(2, found):
        assert isinstance(each, np.ndarray)
        # Transforms with steps by moments are to 1e-9.
        np.testing.assert_allclose(each, alone, rtol=0.0, atol=1e-9)


def test_what_nothing_was_kept_of_is_not_known() -> None:
    """Opposite to a narrow law Z is lost in the noise of its transforms."""
    law = VonMisesFisher((1.0, 2.0, 0.0), 40.0)
    axis = np.array([1.0, 2.0, 0.0]) / math.sqrt(5.0)
    with pytest.warns(MeanfieldWarning, match="finer mesh"):
        attention = Attention("sa", 25.0, 3, "sphere")
        solver = LagrangianSolver(attention, icosphere(3), law.density)
    to(solver, 0.5)
    with pytest.warns(MeanfieldWarning, match=r"1 of 2 points is not known at t = 0.5 \(nan\)"):
        found = solver.log_density_at(np.array([axis, -axis]))
    assert np.isfinite(found[0]) and np.isnan(found[1])


def test_refusals() -> None:
    solver = charted(SA, icosphere(2), standard_density().density, 0.5)
    with pytest.raises(InputError, match=r"density_at: t = 0.6 found, 0 to 0.5 expected$"):
        solver.density_at(X, 0.6)
    with pytest.raises(InputError, match=r"t = -1 found, 0 to 0.5 expected$"):
        solver.log_density_at(X, -1.0)
    with pytest.raises(InputError, match="t: found the text 'now', expected a number"):
        solver.density_at(X, "now")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="point 0 has length 2"):
        solver.density_at(2.0 * X[:1])
    with pytest.raises(InputError, match=r"points of shape \(3,\) found"):
        solver.density_at(X[0])
    direct = LagrangianSolver(SA.direct(), icosphere(1), standard_density().density)
    with pytest.raises(InputError, match="not told by the moments of one measure"):
        direct.density_at(X)
    assert direct.density_until == -math.inf and solver.density_until == 0.5


def test_long_steps_of_few_points_end_what_is_known() -> None:
    law = Fourier(cos=(0.9,))
    model = Attention("sa", 9.0, 2, "circle")
    solver = to(LagrangianSolver(model, circle(64), law.density), 1e4)
    until = solver.density_until
    assert solver.points < 10 and 10.0 < until < 1e4
    x = np.eye(2)
    assert np.all(np.isfinite(solver.log_density_at(x, 10.0)))
    with pytest.raises(InputError, match=r"0 to .* expected \(since then few points are left"):
        solver.density_at(x)
    again = LagrangianSolver(model, circle(64), law.density)
    again.restore(solver.state())
    again.advance(2e4)
    assert again.density_until == until  # nothing is added behind a gap
