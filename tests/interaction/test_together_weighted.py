"""A kernel beside attention that takes more of a measure than its moments: sinkhorn and l2."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cases import small
from ranks import on_ranks

from meanfield.case import Lagrangian, Particles
from meanfield.collective import Communicator, own_share
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.solver import Solver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import Composite, HeadMatrices, Moving, MovingHead
from meanfield.interaction.composite.kinds.sinkhorn import Sinkhorn
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.intime import TableInTime
from meanfield.interaction.kernels import Power
from meanfield.interaction.measure import Measure
from meanfield.interaction.strength import PowerStrength
from meanfield.interaction.strong import Strong
from meanfield.interaction.together import Together

GEOMETRIES = [("sphere", 3), ("circle", 2), ("zonal", 3), ("any", 4)]
KINDS: dict[str, Any] = {"sinkhorn": Sinkhorn(1e-13), "l2": "l2"}
every_kind = pytest.mark.parametrize("kind", KINDS)


def places(geometry: str, d: int, count: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if geometry == "zonal":
        return np.asarray(rng.uniform(0.1, math.pi - 0.1, size=(count, 1)))
    x = rng.normal(size=(count, d)) + 0.3
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def masses(geometry: str = "sphere", d: int = 3, count: int = 40) -> Measure:
    m = np.random.default_rng(3).uniform(size=count)
    return Measure(places(geometry, d, count, 3), m / m.sum())


def kernel(geometry: str, d: int) -> Interaction:
    return Interaction(Power(k=5, strength=2.0), d, geometry, accuracy=1e-14)


def heads(kind: str, geometry: str, d: int) -> Composite:
    """One with a symmetric A, which weighs masses, and one without V, which does not."""
    a = np.eye(d)
    a[-1, -1] = 2.0
    nothing = HeadMatrices(a, np.zeros((d, d)), np.eye(d))
    pull = HeadMatrices(2.0 * a, a, a @ a)
    return Composite((nothing, pull), KINDS[kind], d, geometry, drifts=(LinearDrift(a),))


def softmax(geometry: str, d: int) -> Composite:
    return Composite((HeadMatrices(4.0 * np.eye(d), np.eye(d)),), "sa", d, geometry)


@every_kind
@pytest.mark.parametrize(("geometry", "d"), GEOMETRIES)
def test_fields_add_up(kind: str, geometry: str, d: int) -> None:
    parts = (kernel(geometry, d), heads(kind, geometry, d), softmax(geometry, d))
    both = Together(parts)
    mu, x = masses(geometry, d), places(geometry, d, 17)
    field, alone = both.field(mu), [part.field(mu) for part in parts]
    for found, *summands in zip(
        field.velocity_and_divergence(x), *(one.velocity_and_divergence(x) for one in alone),
        strict=True,
    ):  # fmt: skip
        assert found == pytest.approx(sum(summands), abs=1e-12 * np.abs(found).max())
    at = both.locate(x)
    edges = [one.along_edges(at) for one in alone]
    assert field.along_edges(at)[0] == pytest.approx(sum(rows[0] for rows in edges), abs=1e-12)
    if both.harmonics is not None:
        assert field.moments is not None and field.moments.size == both.metric.size
        # One adjoint transform for what is shared, and one for the head that weighs masses.
        assert both.further == parts[1].further == parts[1].metric.size // 2
        again = both.field_of_moments(field.moments, mu, 0.0, None)
        assert np.array_equal(again.velocity(x), field.velocity(x))
        assert both.kernel_norm(field.moments) > 0.0 and not np.any(both.repels)


@every_kind
def test_sums_of_sums_and_times_a_strength(kind: str) -> None:
    parts = (kernel("sphere", 3), heads(kind, "sphere", 3), softmax("sphere", 3))
    nested = Together((Strong(Together(parts[:2]), PowerStrength()), parts[2]))
    mu, x = masses(), places("sphere", 3, 9)
    order = float(np.linalg.norm(mu.weights @ mu.points))
    pull = Together(parts[:2]).field(mu).velocity(x) * order + parts[2].field(mu).velocity(x)
    assert nested.field(mu).velocity(x) == pytest.approx(pull, abs=1e-12)


@every_kind
def test_in_time_beside_a_kernel(kind: str) -> None:
    d, one = 3, heads(kind, "sphere", 3).heads[1]
    value = TableInTime(np.array([0.0, 1.0]), np.array([one.A, np.eye(d)]))
    keys = TableInTime(np.array([0.0, 1.0]), np.array([one.A, np.eye(d)]))
    moving = Moving((MovingHead(value, one.V, keys),), KINDS[kind], d, "sphere")
    both, mu, x = Together((kernel("sphere", d), moving)), masses(), places("sphere", 3, 9)
    for t, a in ((0.5, one.A), (1.0, np.eye(d))):
        fixed = Composite((HeadMatrices(a, one.V, a),), KINDS[kind], d, "sphere")
        wanted = kernel("sphere", d).field(mu).velocity(x) + fixed.field(mu).velocity(x)
        assert both.field(mu, t).velocity(x) == pytest.approx(wanted, abs=1e-12)


def energetic() -> Together:
    """A repelling kernel, sinkhorn attention and a saddle: all with an energy."""
    a = np.diag([2.0, 1.0, -1.0])
    return Together((
        Interaction(Power(k=2, strength=-0.5), 3, "sphere"),
        Composite((HeadMatrices(a, 0.7 * a),), Sinkhorn(1e-12), 3, "sphere",
                  drifts=(LinearDrift(np.diag([1.0, 0.0, 0.5])),)),
    ))  # fmt: skip


def test_energies_add_up_and_rise_by_what_is_told() -> None:
    both, mu, step = energetic(), masses(), 1e-4
    field = both.field(mu)
    assert both.energy_kind == "gradient" and both.why_no_energy == ""
    alone = [part.ascending(part.field(mu).energy()) for part in both.parts]
    assert field.energy() == pytest.approx(sum(alone), rel=1e-12)
    rate = float(mu.weights @ field.dissipation_density(mu.points))
    v, ends = field.velocity(mu.points), []
    for sign in (-1.0, 1.0):
        x = np.asarray(mu.points) + sign * step * v
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        ends.append(both.field(Measure(x, mu.weights)).ascent())
    assert rate > 0.05
    assert (ends[1] - ends[0]) / (2.0 * step) == pytest.approx(rate, rel=1e-6)


def until(solver: Solver, t: float) -> None:
    while solver.t < t:
        solver.advance(t)


def test_every_solver_moves_the_mean_alike_and_energies_rise() -> None:
    """Densities by three solvers, tokens at the vertices with their masses."""
    both, mesh = energetic(), icosphere(3)

    def start(x: Array) -> Array:
        return np.asarray(np.exp(1.5 * x[:, 2] - x[:, 0]))

    moving = LagrangianSolver(both, mesh, start, options=Lagrangian())
    until(moving, 0.5)
    exact = moving.mass @ moving.positions()
    space = P1Space(mesh)
    rho = start(space.points[: space.n_owned])
    began = (space.points[: space.n_owned].T * moving.mass).sum(axis=1)
    assert np.linalg.norm(exact - began) > 0.05
    for solver in (EulerianSolver(space, both, rho), ImplicitSolver(space, both, rho)):
        values = [solver.field().ascent()]
        while solver.t < 0.5:
            solver.advance(0.5)
            values.append(solver.field().ascent())
        assert np.min(np.diff(values)) >= 0.0
        masses_now = solver.weights * solver.rho
        mean = masses_now @ space.points[: space.n_owned]
        assert mean == pytest.approx(exact, abs=1e-2)
        assert abs(masses_now.sum() - 1.0) <= 1e-12
    x = np.repeat(mesh.points, np.rint(2e4 * moving.mass).astype(int), axis=0)
    rng = np.random.default_rng(0)
    cloud = ParticleSolver(both, rng.permutation(x)[:600], options=Particles())
    before = cloud.field().energy(scaled=True)
    until(cloud, 0.5)
    assert cloud.field().energy(scaled=True) > before


def test_growth_rates_add_up() -> None:
    """At the uniform state: r_l of sinkhorn attention (issue 11) and those of W = s t^k."""
    first, second = 0.21439525, 0.45615622  # beta = 4
    both = Together((
        Interaction(Power(k=1, strength=0.3), 3, "sphere"),
        Composite((HeadMatrices(4.0 * np.eye(3), np.eye(3)),), "sinkhorn", 3, "sphere"),
    ))  # fmt: skip
    space = P1Space(icosphere(4))
    z = space.points[: space.n_owned, 2]
    for shape, rate in ((z, first + 0.3 * 2.0 / 3.0), (1.5 * z**2 - 0.5, second)):
        solver = EulerianSolver(space, both, 1.0 + 1e-4 * shape)
        at = solver.field().divergence(space.points[: space.n_owned])
        found = -float((solver.weights * shape) @ at) / float((solver.weights * shape) @ shape)
        assert found / 1e-4 == pytest.approx(rate, rel=2e-3)


@every_kind
@pytest.mark.parametrize("method", ["harmonics", "direct"])
@pytest.mark.parametrize("size", [2, 3])
def test_fields_are_the_same_on_more_ranks(kind: str, method: str, size: int) -> None:
    mu = masses("sphere", 3, 31)

    def made() -> Together:
        return Together((kernel("sphere", 3), heads(kind, "sphere", 3))).by(method)

    whole = made().field(mu).velocity_and_divergence(mu.points)

    def one(comm: Communicator) -> tuple[Array, Array]:
        own = own_share(comm, 31)
        x = np.asarray(mu.points)[own]
        field = made().field(Measure(x, mu.weights[own]), comm=comm)
        return field.velocity_and_divergence(x)

    found = on_ranks(size, one)
    parts = [part for part in found if not isinstance(part, Exception)]
    assert len(parts) == size, found
    for number in (0, 1):
        joined = np.concatenate([part[number] for part in parts])
        assert joined == pytest.approx(whole[number], abs=1e-10 * np.abs(whole[number]).max())


@pytest.mark.parametrize("kind", ["sinkhorn", "l2"])
def test_a_case_takes_them_beside_a_kernel(kind: str) -> None:
    keys = np.diag([1.0, 1.0, 2.0])
    model: dict[str, Any] = {
        "attention": kind, "heads": [{"beta": 1.0, "K": keys}],
        "interaction": {"type": "power", "k": 2},
    }  # fmt: skip
    case = small(model=model)
    made = case.model.on(case.geometry)
    assert isinstance(made, Together)
    head = HeadMatrices(keys, np.eye(3), keys @ keys)
    both = Together((
        Interaction(Power(k=2), 3, "sphere"), Composite((head,), kind, 3, "sphere"),
    ))  # fmt: skip
    mu, x = masses(), places("sphere", 3, 9)
    assert made.field(mu).velocity(x) == pytest.approx(both.field(mu).velocity(x), abs=1e-12)
