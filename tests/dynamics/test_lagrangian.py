"""Characteristics: exact results, invariants, merging, restart."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import reference
from parameters import slow_but

from meanfield.analysis import exact
from meanfield.analysis.peaks import moved_clusters
from meanfield.case import Lagrangian
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.lagrangian import solver as lagrangian
from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.geometry.laws import (
    Cap,
    Fourier,
    Gegenbauer,
    Mixture,
    PoissonKernel,
    Uniform,
    VonMisesFisher,
    standard_density,
)
from meanfield.geometry.mesh import Mesh, circle, icosphere, unstructured_sphere, zonal_interval
from meanfield.geometry.sphere import random_rotation
from meanfield.interaction.attention import Attention

Density = Callable[[Any], Any]


def make(
    mesh: Mesh, model: str, beta: float, density: Density, value: int = 1, **options: Any
) -> LagrangianSolver:
    attention = Attention(model, beta, mesh.d, mesh.geometry, value)  # type: ignore[arg-type]
    return LagrangianSolver(attention, mesh, density, options=Lagrangian(**options))


def run(solver: LagrangianSolver, t_end: float) -> LagrangianSolver:
    while solver.t < t_end:
        solver.advance(t_end)
    assert solver.t == t_end
    return solver


def mean(solver: LagrangianSolver) -> Any:
    return solver.mass @ solver.positions()


# ------------------------------------------------------------------ accuracy


def test_standard_density_is_spectrally_accurate() -> None:
    """verification.md 1: E (relative) and mean to 1e-8 at T = 1 with 2 562 vertices."""
    solver = run(make(icosphere(4), "sa", 4.0, standard_density().density), 1.0)
    known = reference.STANDARD_SA[0]
    assert solver.field().energy(scaled=True) == pytest.approx(known.energy_scaled, rel=1e-8)
    np.testing.assert_allclose(mean(solver), known.mean, rtol=0.0, atol=1e-8)


@pytest.mark.parametrize(
    ("level", "bound"),
    [
        (3, 1e-3),
        pytest.param(5, 1e-4, marks=pytest.mark.slow),
        pytest.param(6, 2e-5, marks=pytest.mark.slow),
    ],
)
def test_standard_density_late(level: int, bound: float) -> None:
    """At T = 4 the density has grown 150-fold."""
    solver = run(make(icosphere(level), "sa", 4.0, standard_density().density), 4.0)
    known = reference.STANDARD_SA[1]
    assert np.max(np.abs(mean(solver) - known.mean)) < bound
    if level >= 5:
        top = known.max_log_rho
        assert top is not None
        # The reference is w.r.t. area, and the largest over the vertices of level 8.
        largest = solver.log_density().max() - math.log(4.0 * math.pi)
        assert top - 2e-3 < largest < top + 1e-5


# The nodes must resolve where the flow tears apart: by ((1 + r)/(1 - r)) (1 - r_0)/(1 + r_0), 850
# at t = 8 for d = 3, which has 1/850 of the mass there; the circle has more.
@pytest.mark.parametrize(
    ("d", "vertices", "end"),
    [
        (2, 513, 4.0),
        pytest.param(3, 4097, 8.0, marks=pytest.mark.slow),
        (8, 257, 8.0),
        pytest.param(64, 257, 8.0, marks=pytest.mark.slow),
    ],
)
def test_conformal_flow_to_a_dirac(d: int, vertices: int, end: float) -> None:
    """verification.md 3: beta = 0, the density stays a Poisson kernel; its peak at a vertex."""
    mesh = zonal_interval(vertices, d)
    law = PoissonKernel(0.2 * np.eye(d)[-1])
    solver = make(mesh, "sa", 0.0, law.density, rtol=1e-11, atol=1e-13)
    for t in (0.5 * end, end):
        r = float(exact.poisson_radius(t, 0.2, d))
        run(solver, t)
        peak = (d - 1) * math.log((1.0 + r) / (1.0 - r))
        assert solver.log_density()[0] == pytest.approx(peak, abs=1e-8)
        assert solver.log_density()[-1] == pytest.approx(-peak, abs=1e-8)
        length = float(exact.poisson_mean_length(r, d))
        assert mean(solver)[1] == pytest.approx(length, abs=1e-8)


@pytest.mark.slow
def test_conformal_flow_on_the_sphere() -> None:
    mesh = icosphere(5)
    axis = mesh.points[17]
    solver = make(mesh, "usa", 0.0, PoissonKernel(0.2 * axis).density, rtol=1e-11, atol=1e-13)
    for point in reference.POISSON_SPHERE:
        if not 0.0 < point.t <= 4.0:
            continue  # until t = 8 these nodes are torn 850-fold apart
        run(solver, point.t)
        peak = 2.0 * math.log((1.0 + point.r) / (1.0 - point.r))
        assert solver.log_density()[17] == pytest.approx(peak, abs=1e-8)
        assert mean(solver) @ axis == pytest.approx(point.m, abs=1e-8)


@pytest.mark.parametrize(
    ("model", "known"), [("sa", reference.ZONAL_SA), ("usa", reference.ZONAL_USA)]
)
@pytest.mark.parametrize(
    "mesh", slow_but([0], [zonal_interval(129, 3), icosphere(5)]), ids=["zonal", "sphere"]
)
def test_axially_symmetric_trajectories(model: str, known: Any, mesh: Mesh) -> None:
    """verification.md 7 to all of its digits."""
    law = Gegenbauer(3, (0.3, 0.25))
    solver = make(mesh, model, 4.0, law.density, rtol=1e-10, atol=1e-12)
    for point in known:
        run(solver, point.t)
        z = solver.positions()[:, -1]
        c = [solver.mass @ z, solver.mass @ (1.5 * z * z - 0.5)]
        np.testing.assert_allclose(c, point.moments, rtol=0.0, atol=1e-8)
        assert solver.field().energy() == pytest.approx(point.energy, abs=1e-8)


def test_circle_trajectory() -> None:
    law = Fourier(cos=(0.1, 0.0, 0.2))
    solver = run(make(circle(128), "sa", 4.0, law.density, rtol=1e-10, atol=1e-12), 2.0)
    x = solver.positions()
    angle = np.arctan2(x[:, 1], x[:, 0])
    point = reference.CIRCLE_SA
    c = [solver.mass @ np.cos(k * angle) for k in (1, 2, 3)]
    np.testing.assert_allclose(c, point.moments, rtol=0.0, atol=1e-8)
    assert solver.field().energy() == pytest.approx(point.energy, abs=1e-8)


@pytest.mark.parametrize("d", [2, 4, 16, 64])
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_growth_at_the_uniform_state_in_any_dimension(model: str, d: int) -> None:
    """verification.md 2: a small mode of degree 2 grows by its rate."""
    size, beta = 1e-5, 4.0
    law = Gegenbauer(d, (0.0, size))
    rate = exact.growth_rate(model, beta, d, 2)  # type: ignore[arg-type]
    t = min(1.0, 1.0 / rate)
    solver = make(zonal_interval(129, d), model, beta, law.density, rtol=1e-10, atol=1e-13)

    def amplitude() -> float:
        z = solver.positions()[:, 1]
        return float(solver.mass @ ((d * z * z - 1.0) / (d - 1.0)))

    before = amplitude()
    run(solver, t)
    assert math.log(amplitude() / before) / t == pytest.approx(rate, rel=1e-3)


# ------------------------------------------------------------------ invariants


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize(
    "mesh",
    [icosphere(3), unstructured_sphere(500, 3), circle(101), zonal_interval(101, 8)],
    ids=["sphere", "unstructured", "circle", "zonal8"],
)
def test_mass_energy_and_the_bound_on_the_density(mesh: Mesh, model: str, value: int) -> None:
    d = mesh.d
    law = Mixture((VonMisesFisher(np.eye(d)[-1], 2.0), Uniform(d)), (0.6, 0.4))
    solver = make(mesh, model, 3.0, law.density, value)
    start = solver.log_density().max()
    masses, energy = solver.mass.copy(), solver.field().energy_excess()
    end = 0.5 if model == "sa" else 0.05
    while solver.t < end:
        solver.advance(end)
        now = solver.field().energy_excess()
        assert value * (now - energy) >= -1e-12 * abs(now)
        energy = now
        if model == "sa":  # ||rho(t)|| <= e^{(d-1)t} ||rho_0||
            assert solver.log_density().max() <= start + (d - 1) * solver.t + 1e-12
    assert np.array_equal(solver.mass, masses)
    assert abs(masses.sum() - 1.0) < 1e-14 and np.all(masses >= 0.0)
    assert np.max(np.abs(np.linalg.norm(solver.positions(), axis=1) - 1.0)) < 1e-15


@pytest.mark.parametrize("mesh", [icosphere(4), circle(64), zonal_interval(65, 5)],
                         ids=["sphere", "circle", "zonal5"])  # fmt: skip
def test_uniform_state_is_stationary(mesh: Mesh) -> None:
    solver = make(mesh, "sa", 4.0, Uniform(mesh.d).density)
    x = solver.positions()
    run(solver, 1.0)
    assert np.max(np.abs(solver.positions() - x)) < 1e-12
    assert np.max(np.abs(solver.log_density())) < 1e-12


def test_rotation_equivariance() -> None:
    """Another rotation of the law, the same energies: to the accuracy of the nodes."""
    turn = random_rotation(3, np.random.default_rng(5))
    law = standard_density()
    energies = []
    for q in (np.eye(3), turn):
        solver = make(icosphere(4), "sa", 4.0, lambda x, q=q: law.density(x @ q))
        energies.append(run(solver, 1.0).field().energy(scaled=True))
    assert energies[0] == pytest.approx(energies[1], rel=1e-8)


def test_lifted_mean_angle_on_the_circle_is_conserved() -> None:
    """usa, d = 2 (verification.md 6): int phi dmu, phi followed continuously."""
    law = Mixture((VonMisesFisher((1.0, 0.3), 3.0), VonMisesFisher((-1.0, 1.0), 2.0)), (0.7, 0.3))
    solver = make(circle(256), "usa", 3.0, law.density, merge=False)
    x = solver.positions()
    lifted = np.arctan2(x[:, 1], x[:, 0])
    begin = solver.mass @ lifted
    while solver.t < 1.0:
        solver.advance(1.0)
        y = solver.positions()
        lifted = lifted + np.arctan2(x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0], np.sum(x * y, axis=1))
        x = y
    assert np.max(np.abs(lifted)) > 1.0 and solver.log_density().max() > 3.0  # it did move
    assert solver.mass @ lifted == pytest.approx(begin, abs=1e-9)


def test_density_is_what_the_law_gives_to_vertices_of_no_mass() -> None:
    solver = make(icosphere(3), "sa", 4.0, Cap((0.0, 0.0, 1.0), 0.8).density)
    empty = solver.mass == 0.0
    assert np.any(empty) and np.all(solver.log_density()[empty] == -np.inf)
    run(solver, 0.5)
    assert np.all(solver.log_density()[empty] == -np.inf)
    assert np.all(np.isfinite(solver.log_density()[~empty]))


# ------------------------------------------------------------------ collapse


def two_blobs(k: float, angle: float) -> Mixture:
    second = (math.cos(angle), math.sin(angle), 0.0)
    return Mixture((VonMisesFisher((1.0, 0.0, 0.0), k), VonMisesFisher(second, k)), (0.5, 0.5))


@pytest.mark.slow
def test_two_narrow_clusters_merge_when_two_diracs_would() -> None:
    """Metastable for 2e4 units of time, in a few hundred steps."""
    beta, angle = 9.0, 2.0
    law = two_blobs(200.0, angle)
    solver = make(icosphere(4), "sa", beta, law.density)
    start = solver.positions()
    near = start @ np.array([1.0, 0.0, 0.0]) > start @ np.array(
        [math.cos(angle), math.sin(angle), 0.0]
    )
    one, two = np.where(near, solver.mass, 0.0), np.where(near, 0.0, solver.mass)

    def between() -> float:
        x = solver.positions()
        a, b = one @ x, two @ x
        return math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b))

    before = (0.0, between())
    while between() > 0.05:
        before = (solver.t, between())
        solver.advance(1e5)
        assert solver.step < 5000
    after = (solver.t, between())
    # Logarithmic in the angle between the steps before and after.
    s = math.log(before[1] / 0.05) / math.log(before[1] / after[1])
    time = before[0] + s * (after[0] - before[0])
    known = exact.two_dirac_time(angle, 0.05, "sa", beta)
    assert known == pytest.approx(21364.58, rel=1e-4)
    assert time == pytest.approx(known, rel=0.02)
    assert solver.step < 400 and solver.merge_error < 1e-6
    run(solver, 1e5)
    assert solver.points == 1 and solver.step < 500
    assert abs(solver.mass.sum() - 1.0) < 1e-14


def test_merging_changes_less_than_the_tolerance() -> None:
    law = two_blobs(100.0, 1.0)
    found = []
    for merge in (False, True):
        solver = run(make(icosphere(3), "sa", 4.0, law.density, merge=merge), 20.0)
        found.append((solver.points, mean(solver), solver.field().energy(scaled=True), solver.step))
    assert found[0][0] == 642 and found[1][0] < 20
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0.0, atol=1e-8)
    assert found[0][2] == pytest.approx(found[1][2], rel=1e-8)


# ------------------------------------------------------------------ new vertices


def longest(solver: LagrangianSolver, mass: float) -> float:
    """The longest edge that carries so much mass."""
    mesh = solver.reference
    sides = np.concatenate([mesh.cells[:, [0, 1]], mesh.cells[:, [1, -1]]])
    x = solver.positions()
    length = np.linalg.norm(x[sides[:, 0]] - x[sides[:, 1]], axis=1)
    return float(np.max(length[solver.mass[sides].sum(axis=1) > mass]))


# ------------------------------------------------------------------ restart, refusals


def test_a_restart_goes_on_as_one_run() -> None:
    def new() -> LagrangianSolver:
        law = standard_density()
        return make(icosphere(3), "sa", 9.0, law.density)

    whole = new()
    for _ in range(24):
        whole.advance(50.0)
    first = new()
    for _ in range(12):
        first.advance(50.0)
    second = new()
    second.restore(first.state())
    for _ in range(12):
        second.advance(50.0)
    assert (second.t, second.step, second.n) == (whole.t, whole.step, whole.n)
    assert np.array_equal(second.positions(), whole.positions())
    # Kept as the sum of a start and a change, which begins anew.
    np.testing.assert_allclose(second.log_density(), whole.log_density(), rtol=0.0, atol=1e-13)
    assert np.array_equal(second.mass, whole.mass)


def test_refusals() -> None:
    mesh = icosphere(1)
    with pytest.raises(InputError, match="negative or not finite at 42 vertices"):
        make(mesh, "sa", 1.0, lambda x: -np.ones(len(x)))
    with pytest.raises(InputError, match="vanishes at every vertex"):
        make(mesh, "sa", 1.0, lambda x: np.zeros(len(x)))
    with pytest.raises(InputError, match="'circle'"):
        LagrangianSolver(Attention("sa", 1.0, 2, "circle"), mesh, Uniform(3).density)
    with pytest.raises(InputError, match=r"solver\.rtol: .* found 1.0$"):
        make(mesh, "sa", 1.0, Uniform(3).density, rtol=1.0)
    with pytest.raises(InputError, match="did you mean 'dop853'"):
        make(mesh, "sa", 1.0, Uniform(3).density, method="dop854")
    with pytest.raises(InputError, match="a time after"):
        make(mesh, "sa", 1.0, Uniform(3).density).advance(0.0)


def test_a_step_that_no_longer_moves_time_is_told() -> None:
    solver = make(icosphere(1), "sa", 1.0, standard_density().density)
    solver.advance(1.0)
    solver._control.longest = 1e-30
    with pytest.raises(BrokenInvariantError, match="no longer moves time"):
        solver.advance(1.0 + solver.t)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_vertex_at_a_repelling_pole_stays(sign: float) -> None:
    # sin(pi) is 1e-16: the vertex at the south pole left at t = 80, that at the north pole never.
    law = Gegenbauer(3, (0.3 * sign,))
    solver = LagrangianSolver(Attention("sa", 4.0, 3, "zonal"), zonal_interval(33, 3), law.density)
    run(solver, 90.0)
    theta = solver.moved_mesh().points[:, 0]
    assert theta[-1 if sign > 0.0 else 0] == (math.pi if sign > 0.0 else 0.0)
    assert solver.points == 2


@pytest.mark.parametrize(
    ("beta", "steps"), [(9.0, 40), pytest.param(25.0, 80, marks=pytest.mark.slow)]
)
def test_noise_of_the_transforms_does_not_cut_steps(beta: float, steps: int) -> None:
    # Opposite to a narrow law Z is next to nothing: its noise there cut steps to 1e-8 of a unit.
    law = VonMisesFisher((1.0, 2.0, 0.0), 20.0)
    with pytest.warns(MeanfieldWarning, match="finer mesh") if beta > 9.0 else nullcontext():
        solver = LagrangianSolver(Attention("sa", beta, 3, "sphere"), icosphere(3), law.density)
    while solver.t < 3.0 and solver.step <= steps:
        solver.advance(3.0)
    assert solver.t == 3.0 and solver.dark_points > 0 and solver.energy_violations == 0


def test_speed_of_usa_beyond_the_square_root_of_all_doubles() -> None:
    # |X| ~ e^400: its square is no double.
    with pytest.warns(MeanfieldWarning, match="finer mesh"):
        solver = LagrangianSolver(
            Attention("usa", 400.0, 2, "circle"),
            circle(200),
            VonMisesFisher((1.0, 0.0), 2.0).density,
        )
    speed, largest = solver.speed(), float(np.max(np.abs(solver.velocity())))
    assert 1e160 < speed < largest < 1e174


@pytest.mark.parametrize("value", [1, -1])
def test_a_step_in_the_wrong_direction_is_recorded(
    value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = Attention("sa", 4.0, 3, "sphere", value)
    solver = LagrangianSolver(attention, icosphere(3), standard_density().density)
    run(solver, 1.0)
    assert (solver.energy_violations, solver.energy_violation) == (0, 0.0)
    right = lagrangian.rates_in
    monkeypatch.setattr(lagrangian, "rates_in", lambda *args: -right(*args))
    solver.restore(solver.state())  # so that nothing of the right field is left
    before, steps = solver.field().energy(), solver.step
    run(solver, 1.5)
    assert solver.energy_violations == solver.step - steps > 0
    lost = value * (before - solver.field().energy()) / before
    assert lost / solver.energy_violations < solver.energy_violation < 1.5 * abs(lost)


@pytest.mark.parametrize("mesh", [icosphere(3), unstructured_sphere(700, 1)], ids=["ico", "any"])
def test_parts_of_a_collapsing_cluster_are_not_counted(mesh: Mesh) -> None:
    # They collapse one after the other: up to 9 clusters were counted between t = 7 and 12.
    solver = make(mesh, "sa", 4.0, standard_density().density, rtol=1e-5)
    counts = []
    for t in np.arange(3.0, 12.5, 0.5):
        run(solver, float(t))
        near = 1e-3 * solver.longest_edge
        counts.append(moved_clusters(solver.moved_mesh(), solver.log_density(), solver.mass, near))
    assert set(counts) == {3}
