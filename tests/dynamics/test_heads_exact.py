"""Heads, drifts and potentials in time, against exact results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from convergence import rates
from scipy.linalg import expm
from scipy.stats import special_ortho_group

from meanfield.case import Eulerian, Implicit, Lagrangian, Particles
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.solver import Solver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import circle, icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.drifts import Drift, LinearDrift
from meanfield.interaction.drifts.potentials import CapPotential, LinearPotential
from meanfield.interaction.measure import Measure

V = np.array([[0.9, -0.4, 0.2], [0.5, 0.7, -0.3], [0.0, 0.4, 0.8]])
AXIS = np.array([0.3, -0.5, 0.8])
TURN = np.array([[0.0, -0.8, -0.5], [0.8, 0.0, -0.3], [0.5, 0.3, 0.0]])  # x -> AXIS x x
M = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])


def until(solver: Solver, t: float) -> None:
    while solver.t < t:
        solver.advance(t)


def tight(number: int) -> Particles:
    return Particles(number=number, rtol=1e-11, atol=1e-13)


# ------------------------------------------------------------------ tokens


def test_antipodal_pair_of_an_anisotropic_head() -> None:
    """V = A/beta = diag(lam): in phase, e_k grows at lam_k - lam_p tanh(beta lam_p)."""
    lam, beta, size = np.array([2.0, 1.9, -0.5]), 0.7, 1e-4
    for model, factor, known in (
        ("sa", 1.0, (0.1292967036, -2.2707032964)),
        ("usa", math.cosh(2.0 * beta), (0.278104081, -4.884052236)),
    ):
        head = HeadMatrices(beta * np.diag(lam), np.diag(lam))
        made = Composite((head,), model, 3)  # type: ignore[arg-type]
        for k, rate in zip((1, 2), known, strict=True):
            assert rate == pytest.approx(factor * (lam[k] - 2.0 * math.tanh(2.0 * beta)), abs=1e-8)
            x = np.zeros((2, 3))
            x[:, 0] = math.cos(size), -math.cos(size)
            x[:, k] = math.sin(size)
            solver = ParticleSolver(made, x, options=tight(2))
            until(solver, 0.1)
            grown = math.log(solver.x[0, k] / size) / 0.1
            assert grown == pytest.approx(rate, abs=2e-6)


def test_three_groups_stay_apart() -> None:
    d = np.diag([2.0, -3.0])
    made = Composite((HeadMatrices(1.5 * d, d),), "sa", 2)
    x = np.array([[1.0, 0.0], [0.1, 1.0], [0.05, -1.0]])
    solver = ParticleSolver(made, x / np.linalg.norm(x, axis=1, keepdims=True), options=tight(3))
    until(solver, 30.0)
    assert solver.x[0] == pytest.approx([1.0, 0.0], abs=1e-9)
    assert solver.x[1:, 0] == pytest.approx([0.023905191282] * 2, abs=1e-9)
    assert solver.x[1, 1] > 0.9 and solver.x[2, 1] < -0.9


def test_a_single_token_follows_the_sum_of_the_values() -> None:
    rng = np.random.default_rng(0)
    heads = tuple(HeadMatrices(rng.normal(size=(3, 3)), share * V) for share in (0.6, 0.4))
    x = AXIS[None] / np.linalg.norm(AXIS)
    solver = ParticleSolver(Composite(heads, "sa", 3), x, options=tight(1))
    until(solver, 1.0)
    assert solver.x[0] == pytest.approx([0.67840662, -0.41451769, 0.60658021], abs=1e-8)
    exact = expm(V) @ x[0]
    assert solver.x[0] == pytest.approx(exact / np.linalg.norm(exact), abs=1e-9)


@pytest.mark.parametrize(
    ("n", "cosines"),
    [
        (4, [-1.0 / 3.0]),
        (6, [0.0, -1.0]),
        (12, [1.0 / math.sqrt(5.0), -1.0 / math.sqrt(5.0), -1.0]),
    ],
)
def test_repelling_tokens_become_platonic_solids(n: int, cosines: list[float]) -> None:
    """V = -I: tetrahedron, octahedron, icosahedron; the energy to 1e-10."""
    x = np.random.default_rng(2).normal(size=(n, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    d = np.eye(3)
    made = Composite((HeadMatrices(2.0 * d, -d),), "usa", 3)
    solver = ParticleSolver(made, x, options=tight(n))
    until(solver, 400.0)
    counts = {4: [3], 6: [4, 1], 12: [5, 5, 1]}[n]
    row = math.exp(2.0) + sum(k * math.exp(2.0 * c) for k, c in zip(counts, cosines, strict=True))
    # E of V = -I is told with its sign, so that it increases.
    assert solver.field().energy() == pytest.approx(-0.5 * 0.5 * row / n, rel=1e-10)
    one = Attention("usa", 2.0, 3, value=-1).field(Measure.equal(solver.x))
    assert one.energy() == pytest.approx(0.5 * 0.5 * row / n, rel=1e-10)


# ------------------------------------------------------------------ characteristics


def test_conformal_flow_with_values_field_and_rotation() -> None:
    """A = 0: the density stays |1 - |w|^2|.../|x - w|^4, whatever V, b and the rotation."""
    start = np.array([0.2, 0.1, -0.3])

    def poisson(x: Array) -> Array:
        square = start @ start
        return np.asarray(((1.0 - square) / (1.0 + square - 2.0 * x @ start)) ** 2)

    drifts: tuple[Drift, ...] = (LinearDrift(TURN), LinearPotential(field=(0.1, -0.2, 0.05)).on(3))
    made = Composite((HeadMatrices(np.zeros((3, 3)), V),), "sa", 3, "sphere", drifts=drifts)
    solver = LagrangianSolver(made, icosphere(4), poisson, options=Lagrangian(rtol=1e-10))
    until(solver, 1.0)
    mean = solver.mass @ solver.positions()
    assert mean == pytest.approx([0.17839544, 0.58969330, -0.12332039], abs=3e-8)


def test_hardmax_limit_of_orthogonal_keys() -> None:
    """A = beta O, V = M O^T tends to X = P_x M x like 1/beta."""
    turn = expm(TURN)
    limit = np.array(
        [0.511803392, -0.023768299, 0.043844259, 0.241773532, -0.023407436, 0.246423076]
    )
    scaled = []
    for beta in (25.0, 50.0):
        made = Composite((HeadMatrices(beta * turn, M @ turn.T),), "sa", 3, "sphere")
        solver = LagrangianSolver(made, icosphere(5), lambda x: np.ones(len(x)))
        until(solver, 0.5)
        x = solver.positions()
        second = np.einsum("i,ij,ik->jk", solver.mass, x, x)[np.triu_indices(3)]
        scaled.append(beta * float(np.max(np.abs(second - limit))))
    assert scaled == pytest.approx([0.2343, 0.2354], abs=2e-4)


@pytest.mark.parametrize("kind", [EulerianSolver, ImplicitSolver])
def test_linear_attention_moves_a_density_as_characteristics(
    kind: type[EulerianSolver] | type[ImplicitSolver],
) -> None:
    """A = 0: the head pulls by V int y dmu alone."""
    made = Composite((HeadMatrices(np.zeros((3, 3)), V),), "sa", 3, "sphere")

    def density(x: Array) -> Array:
        return np.asarray(np.exp(2.0 * x[:, 2]))

    mesh = icosphere(4)
    moving = LagrangianSolver(made, mesh, density)
    until(moving, 1.0)
    exact = moving.mass @ moving.positions()
    space = P1Space(mesh)
    solver = kind(space, made, density(space.points[: space.n_owned]))
    until(solver, 1.0)
    mean = (solver.weights * solver.rho) @ space.points[: space.n_owned]
    assert np.linalg.norm(exact) > 0.6
    assert mean == pytest.approx(exact, abs=5e-3)


# ------------------------------------------------------------------ at rest


def resting(d: int) -> Composite:
    """Singular values 9, 4.5, 1.5 in random frames, V = 3 A^{-1}."""
    left, right = (special_ortho_group.rvs(d, random_state=seed) for seed in (3, 4))
    a = left @ np.diag([9.0, 4.5, 1.5][:d]) @ right
    return Composite(
        (HeadMatrices(a, 3.0 * np.linalg.inv(a)),), "sa", d, "circle" if d == 2 else "sphere"
    )


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", ["explicit", "implicit", "characteristics"])
def test_uniform_density_rests_until_20(d: int, kind: str) -> None:
    mesh = circle(128) if d == 2 else icosphere(4)
    made = resting(d)
    if kind == "characteristics":
        moving = LagrangianSolver(made, mesh, lambda x: np.ones(len(x)))
        until(moving, 20.0)
        assert np.max(np.abs(moving.log_density())) <= 1e-9
        return
    space = P1Space(mesh)
    rho = np.ones(space.n_owned)
    solver: EulerianSolver | ImplicitSolver
    if kind == "explicit":
        solver = EulerianSolver(space, made, rho, Eulerian())
    else:
        solver = ImplicitSolver(space, made, rho, options=Implicit())
    assert np.max(np.abs(solver.velocity())) <= 1e-12
    until(solver, 20.0)
    # Growth up to .5: what round-off puts in is e^10 times as large.
    assert np.max(np.abs(solver.rho - 1.0)) <= 1e-9


# ------------------------------------------------------------------ potentials and noise


@pytest.mark.parametrize(
    ("drift", "kappa", "known"),
    [
        (CapPotential(axis=(0.0, 0.0, 1.0), strength=2.0).on(3), 0.2, 0.7836887665),
        (LinearPotential(field=(0.0, 0.0, 5.0)).on(3), 1.0, 0.8000908040),
    ],
    ids=["cap", "field"],
)
def test_a_potential_alone_ends_in_its_gibbs_measure(
    drift: Drift, kappa: float, known: float
) -> None:
    def error(level: int) -> float:
        space = P1Space(icosphere(level))
        made = Composite((), "sa", 3, "sphere", drifts=(drift,))
        solver = ImplicitSolver(space, made, np.ones(space.n_owned), kappa)
        until(solver, 1e4)
        z = space.points[: space.n_owned, 2]
        return abs(float(np.dot(solver.weights * solver.rho, z)) - known)

    rates(error, (2, 3, 4)).check(1.8, math.inf, 4e-3)
