"""What must hold for each kind of attention whatever the numbers: mass, signs, rest, ranks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import few_tokens, run, small
from ranks import on_ranks

import meanfield as mf
from meanfield.case import Implicit, Lagrangian, Particles
from meanfield.collective import Communicator, own_share
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.solver import Solver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import KINDS, Composite, HeadMatrices
from meanfield.interaction.measure import Measure

NEW = [name for name in KINDS if name not in ("sa", "usa")]
MESHES: dict[str, Mesh] = {
    "sphere": icosphere(2), "circle": circle(64), "zonal": zonal_interval(33, 4),
}  # fmt: skip


def until(solver: Solver, t: float) -> None:
    while solver.t < t:
        solver.advance(t)


def model(name: str, geometry: str) -> Composite:
    """One head with the identity and one that is no gradient."""
    d = {"sphere": 3, "circle": 2, "zonal": 4}[geometry]
    A, V = 2.0 * np.eye(d), np.eye(d)
    A[-1, -1], V[-1, -1] = 1.0, 0.5
    heads = (HeadMatrices(A, V, A), HeadMatrices(np.eye(d), np.eye(d), np.eye(d)))
    return Composite(heads, name, d, geometry)


def bumpy(x: Array) -> Array:
    """Of unit vectors."""
    t = x[:, -1]
    return np.asarray(np.exp(1.5 * t + 0.5 * t**2))


@pytest.mark.filterwarnings("ignore::meanfield.errors.MeanfieldWarning")
@pytest.mark.parametrize("geometry", MESHES)
@pytest.mark.parametrize("name", NEW)
def test_densities_keep_mass_and_sign_and_agree_with_characteristics(
    name: str, geometry: str
) -> None:
    made, mesh = model(name, geometry), MESHES[geometry]
    moving = LagrangianSolver(made, mesh, bumpy, options=Lagrangian())
    until(moving, 0.5)
    assert abs(float(np.sum(moving.mass)) - 1.0) <= 1e-12
    exact = moving.mass @ moving.positions()[:, -1]
    space = P1Space(mesh)
    x = mesh.manifold.embed(space.points[: space.n_owned])
    t = x[:, -1]
    solvers: tuple[EulerianSolver | ImplicitSolver, ...] = (
        EulerianSolver(space, made, bumpy(x)),
        ImplicitSolver(space, made, bumpy(x)),
        ImplicitSolver(space, made, bumpy(x), options=Implicit(potential="implicit")),
        ImplicitSolver(space, made, bumpy(x), 0.1),
    )
    start = float(np.dot(solvers[0].weights * solvers[0].rho, t))
    for solver in solvers:
        until(solver, 0.5)
        masses = solver.weights * solver.rho
        assert abs(float(np.sum(masses)) - 1.0) <= 1e-12 and np.all(solver.rho >= 0.0)
        if solver.kappa == 0.0:
            assert float(np.dot(masses, t)) == pytest.approx(exact, abs=2e-2)
    assert abs(exact - start) > 3e-3


@pytest.mark.filterwarnings("ignore::meanfield.errors.MeanfieldWarning")
@pytest.mark.parametrize("geometry", MESHES)
@pytest.mark.parametrize("name", NEW)
def test_the_uniform_density_rests_under_the_identity(name: str, geometry: str) -> None:
    d, mesh = {"sphere": 3, "circle": 2, "zonal": 4}[geometry], MESHES[geometry]
    one = np.eye(d)
    made = Composite((HeadMatrices(3.0 * one, one, 3.0 * one),), name, d, geometry)
    space = P1Space(mesh)
    solver = ImplicitSolver(space, made, np.ones(space.n_owned))
    assert np.max(np.abs(solver.velocity())) <= 1e-12
    until(solver, 5.0)
    assert np.max(np.abs(solver.rho - 1.0)) <= 1e-9


@pytest.mark.parametrize("method", ["direct", "harmonics"])
@pytest.mark.parametrize("name", NEW)
def test_fields_are_the_same_on_two_ranks(name: str, method: str) -> None:
    made = model(name, "sphere").by(method)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(31, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    m = rng.uniform(size=31)
    m /= m.sum()
    whole = made.field(Measure(x, m)).velocity_and_divergence(x)

    def one(comm: Communicator) -> tuple[Array, Array]:
        own = own_share(comm, 31)
        again = model(name, "sphere").by(method)
        return again.field(Measure(x[own], m[own]), comm=comm).velocity_and_divergence(x[own])

    found = on_ranks(2, one)
    parts = [part for part in found if not isinstance(part, Exception)]
    assert len(parts) == 2, found
    for number in (0, 1):
        joined = np.concatenate([part[number] for part in parts])
        assert joined == pytest.approx(whole[number], abs=1e-8 * np.abs(whole[number]).max())


@pytest.mark.parametrize("name", NEW)
def test_energies_of_tokens_increase(name: str) -> None:
    """In any dimension, where there is an energy."""
    d = 5
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    A = np.diag([2.0, 1.0, 0.5, 0.5, -0.5])
    head = HeadMatrices(A, 0.5 * A, 2.0 * np.eye(d))
    made = Composite((head,), name, d)
    solver = ParticleSolver(made, x, options=Particles(number=40))
    if made.energy_kind is None:
        assert name == "hardmax" and made.why_no_energy == "hardmax attention has none"
        return
    values = [solver.field().energy(scaled=True)]
    for t in (0.1, 0.5, 2.0, 10.0):
        until(solver, t)
        values.append(solver.field().energy(scaled=True))
    assert all(b > a for a, b in itertools.pairwise(values))


OPTIONS: dict[str, dict[str, Any]] = {
    "linear": {"beta": 2.0}, "hardmax": {},
    "l2": {"heads": [{"beta": 1.0, "K": np.diag([1.0, 1.0, 2.0])}]},
    "sigmoid": {"beta": 2.0, "bias": -1.0}, "sinkhorn": {"beta": 3.0},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::meanfield.errors.MeanfieldWarning")
@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("solver", ["implicit", "lagrangian", "particles"])
def test_runs_go_on(name: str, solver: str, tmp_path: Path) -> None:
    recipe = few_tokens if solver == "particles" else small.but(geometry__level=2, solver=solver)
    recipe = recipe.but(
        model={"attention": name, **OPTIONS[name]}, time={"end": 0.5, "outputs": {"every": 0.25}}
    )
    run(recipe(), tmp_path / "parts")
    longer = recipe(time__end=1.0)
    run(longer, tmp_path / "parts", resume=True)
    run(longer, tmp_path / "whole")
    parts, whole = (mf.RunFolder.open(tmp_path / n).read_series() for n in ("parts", "whole"))
    np.testing.assert_allclose(parts["mean_norm"][-1], whole["mean_norm"][-1], rtol=1e-5)
