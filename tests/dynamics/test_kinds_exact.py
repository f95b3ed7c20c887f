"""Kinds of attention in time, against exact results, by all solvers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from convergence import rates

from meanfield.case import Implicit, Lagrangian, Particles
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.solver import Solver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import circle, icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite import Composite, HeadMatrices

Density = type[EulerianSolver] | type[ImplicitSolver]


def until(solver: Solver, t: float) -> None:
    while solver.t < t:
        solver.advance(t)


def tight(number: int) -> Particles:
    return Particles(number=number, rtol=1e-11, atol=1e-13)


# ------------------------------------------------------------------ linear

START, END = 1.5, 11.0088557  # q at t = 0 and at t = 4, of (q - 1)^2/q = C e^t


def narrowing(x: Array) -> Array:
    """The angular Gaussian with the axis ratio q = 1.5."""
    return np.asarray(1.0 / (START * (x[:, 0] ** 2 / START**2 + x[:, 1] ** 2)))


def linear(geometry: str = "circle") -> Composite:
    return Composite((HeadMatrices(np.eye(2), np.eye(2)),), "linear", 2, geometry)


def ratio(weights: Array, x: Array) -> float:
    """q of the angular Gaussian with this second moment: <x_1^2> = q/(1 + q)."""
    square = float(np.dot(weights, x[:, 0] ** 2))
    return square / (1.0 - square)


def test_linear_attention_keeps_angular_gaussians() -> None:
    assert (END - 1.0) ** 2 / END == pytest.approx(0.5**2 / 1.5 * math.exp(4.0), rel=1e-8)
    phi = (np.arange(256) + 0.5) * (2.0 * math.pi / 256)
    x = np.stack([START * np.cos(phi), np.sin(phi)], axis=1)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    tokens = ParticleSolver(linear("any"), x, options=tight(256))
    until(tokens, 4.0)
    assert ratio(np.full(256, 1.0 / 256), tokens.x) == pytest.approx(END, rel=1e-7)
    moving = LagrangianSolver(linear(), circle(256), narrowing, options=Lagrangian(rtol=1e-10))
    until(moving, 4.0)
    assert ratio(moving.mass, moving.positions()) == pytest.approx(END, rel=1e-7)


@pytest.mark.parametrize("kind", [EulerianSolver, ImplicitSolver])
def test_linear_attention_of_densities_is_of_second_order(kind: Density) -> None:
    def error(cells: int) -> float:
        space = P1Space(circle(cells))
        rho = narrowing(space.points[: space.n_owned])
        solver: EulerianSolver | ImplicitSolver
        if kind is ImplicitSolver:
            solver = ImplicitSolver(space, linear(), rho, options=Implicit(rtol=1e-5))
        else:
            solver = EulerianSolver(space, linear(), rho)
        until(solver, 4.0)
        x = space.points[: space.n_owned]
        return abs(ratio(solver.weights * solver.rho, x) / END - 1.0)

    rates(error, (64, 128, 256)).check(1.6, math.inf, 2e-2)


# ------------------------------------------------------------------ hardmax

M = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])
LIMIT = np.array([0.511803392, -0.023768299, 0.043844259, 0.241773532, -0.023407436, 0.246423076])


@pytest.mark.parametrize("kind", ["characteristics", "explicit", "implicit"])
def test_hardmax_of_a_density_is_the_linear_field(kind: str) -> None:
    """A = 2 O, V = M O^T: X = P_x M x, whose law from the uniform one is an angular Gaussian."""
    c, s = math.cos(0.9), math.sin(0.9)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    made = Composite((HeadMatrices(2.0 * turn, M @ turn.T),), "hardmax", 3, "sphere")
    mesh, ones = icosphere(4), lambda x: np.ones(len(x))
    if kind == "characteristics":
        moving = LagrangianSolver(made, mesh, ones, options=Lagrangian(rtol=1e-9))
        until(moving, 0.5)
        x, mass, wrong = moving.positions(), moving.mass, 1e-7
    else:
        space = P1Space(mesh)
        x = space.points[: space.n_owned]
        solver = (EulerianSolver if kind == "explicit" else ImplicitSolver)(space, made, ones(x))
        until(solver, 0.5)
        mass, wrong = solver.weights * solver.rho, 2e-3
    second = np.einsum("i,ij,ik->jk", mass, x, x)[np.triu_indices(3)]
    assert np.max(np.abs(second - LIMIT)) <= wrong


def test_hardmax_tokens_meet_at_the_leaders() -> None:
    """A = I, V = e e^T: the maximiser of a token is itself, and X = P_x V x."""
    x = np.random.default_rng(3).normal(size=(30, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    lam = np.array([1.0, 0.5, -0.5])
    made = Composite((HeadMatrices(np.eye(3), np.diag(lam)),), "hardmax", 3)
    solver = ParticleSolver(made, x, options=tight(30))
    until(solver, 1.0)
    exact = x * np.exp(lam)
    assert solver.x == pytest.approx(exact / np.linalg.norm(exact, axis=1)[:, None], abs=1e-9)


def test_hardmax_tokens_go_through_jumps() -> None:
    """Tokens end at leaders, which are their own maximisers, and change whom they follow."""
    x = np.random.default_rng(3).normal(size=(40, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    A = np.diag([1.0, 2.0, 6.0])
    made = Composite((HeadMatrices(A, np.eye(3)),), "hardmax", 3)
    solver = ParticleSolver(made, x, options=Particles(number=40))
    followed = []
    for t in (1e-3, 1.0, 30.0):
        until(solver, t)
        followed.append(np.argmax(solver.x @ A @ solver.x.T, axis=1))
    assert np.count_nonzero(followed[0] != followed[1]) > 0
    leaders = np.unique(followed[2])
    assert 2 <= leaders.size < 20
    assert np.max(np.abs(solver.x - solver.x[followed[2]])) <= 1e-6
