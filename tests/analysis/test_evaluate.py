"""The P1 density of a moved triangulation, read at fixed points."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meanfield.analysis import evaluate
from meanfield.analysis.evaluate import LOG_FLOOR, log_bounds, log_density_at
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.errors import InputError
from meanfield.geometry.laws import PoissonKernel, Uniform
from meanfield.geometry.mesh import Mesh, circle, delaunay_weights, icosphere, zonal_interval
from meanfield.geometry.sphere import random_rotation
from meanfield.interaction.attention import Attention


def masses(mesh: Mesh) -> Any:
    weights = delaunay_weights(mesh)[2]
    return weights / weights.sum()


def linear(mesh: Mesh) -> Any:
    return mesh.embedded() @ np.linspace(0.3, -0.2, mesh.d)


@pytest.mark.parametrize(
    ("meshes", "order"),
    [
        ([icosphere(3), icosphere(4)], 2.0),
        ([circle(40), circle(80)], 2.0),
        ([zonal_interval(40, 5), zonal_interval(80, 5)], 2.0),
    ],
    ids=["sphere", "circle", "zonal"],
)
def test_interpolation_is_exact_at_vertices_and_of_second_order(
    meshes: list[Mesh], order: float
) -> None:
    errors = []
    for mesh in meshes:
        log_rho = linear(mesh)
        mass = masses(mesh) * np.exp(log_rho)
        at = log_density_at(mesh, log_rho, mass / mass.sum(), mesh.points)
        np.testing.assert_allclose(at, log_rho, rtol=0.0, atol=1e-12)
        if mesh.geometry == "sphere":
            points = np.random.default_rng(0).standard_normal((500, 3))
            points /= np.linalg.norm(points, axis=1, keepdims=True)
        elif mesh.geometry == "circle":
            angle = np.linspace(-math.pi, math.pi, 500)
            points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        else:
            points = np.linspace(0.0, math.pi, 500)[:, None]
        exact = linear(Mesh(mesh.geometry, mesh.d, points, mesh.cells[:0]))
        found = log_density_at(mesh, log_rho, mass / mass.sum(), points)
        errors.append(float(np.max(np.abs(found - exact))))
    assert errors[1] < 2e-3
    assert math.log2(errors[0] / errors[1]) > order - 0.3


def test_every_point_of_a_turned_mesh_is_held_by_a_cell() -> None:
    mesh = icosphere(3)
    turned = Mesh(
        "sphere", 3, mesh.points @ random_rotation(3, np.random.default_rng(1)), mesh.cells
    )
    values = log_density_at(turned, np.full(642, 0.5), masses(mesh), icosphere(5).points)
    np.testing.assert_allclose(values, 0.5, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("mesh", [icosphere(4), circle(200), zonal_interval(200, 3)],
                         ids=["sphere", "circle", "zonal"])  # fmt: skip
def test_of_characteristics_is_the_density_of_the_flow(mesh: Mesh) -> None:
    """The conformal flow at beta = 0: exact at points that no characteristic goes through."""
    from meanfield.analysis.exact import poisson_radius

    d = mesh.d
    axis = np.eye(d)[-1]
    attention = Attention("sa", 0.0, d, mesh.geometry)
    solver = LagrangianSolver(attention, mesh, PoissonKernel(0.2 * axis).density)
    while solver.t < 1.5:
        solver.advance(1.5)
    moved = solver.moved_mesh()
    found = np.exp(log_density_at(moved, solver.log_density(), solver.mass, mesh.points))
    w = float(poisson_radius(1.5, 0.2, d)) * axis
    exact = PoissonKernel(w).density(mesh.embedded())
    assert np.dot(masses(mesh), np.abs(found - exact)) < 4e-3
    assert np.dot(masses(mesh), found) == pytest.approx(1.0, abs=4e-3)


def test_a_cell_that_is_torn_apart_holds_no_more_than_its_mass() -> None:
    """Two collapsed clusters on the circle: between them there is next to nothing."""
    mesh = circle(100)
    angle = np.arctan2(mesh.points[:, 1], mesh.points[:, 0])
    where = np.where(
        np.abs(angle) < 1.5, 1e-3 * angle, math.pi + 1e-3 * (angle % (2.0 * math.pi) - math.pi)
    )
    points = np.stack([np.cos(where), np.sin(where)], axis=1)
    moved = Mesh("circle", 2, points, mesh.cells)
    mass = np.full(100, 0.01)
    between = np.array([[0.0, 1.0], [0.0, -1.0]])
    values = log_density_at(moved, np.full(100, 7.0), mass, between)
    assert np.all(values < math.log(4.0 * 0.01 / 0.49)) and np.all(values > -10.0)


def test_where_no_cell_is_nothing_is_known() -> None:
    mesh = icosphere(2)
    gathered = mesh.points + np.array([0.0, 0.0, 3.0])
    gathered /= np.linalg.norm(gathered, axis=1, keepdims=True)
    moved = Mesh("sphere", 3, gathered, mesh.cells)
    values = log_density_at(moved, np.zeros(162), masses(mesh), np.array([[0.0, 0.0, -1.0]]))
    assert values[0] == LOG_FLOOR


def test_refuses_what_does_not_fit() -> None:
    mesh = icosphere(1)
    with pytest.raises(InputError, match=r"\(42,\) and \(q, 3\) expected"):
        log_density_at(mesh, Uniform(3).density(mesh.points), masses(mesh), np.zeros((4, 2)))


def test_vertices_of_a_collapsed_cluster_that_changed_places() -> None:
    """Round-off turns a cell over; it is no cell round the whole circle."""
    mesh = circle(8)
    angle = np.array([0.0, 1e-13, 0.5e-13, 2e-13, 2.0, 2.0 + 1e-6, 2.0 + 2e-6, 2.0 + 3e-6])
    moved = replace(mesh, points=np.stack([np.cos(angle), np.sin(angle)], axis=1))
    log_rho = np.array([20.0, 21.0, 20.0, -8.0, -9.0, 10.0, 10.0, -8.0])
    at = np.array([0.5, 1.0, 1.5, -1.0, -2.0])
    points = np.stack([np.cos(at), np.sin(at)], axis=1)
    mass = np.full(8, 0.125)
    found = log_density_at(moved, log_rho, mass, points)
    assert np.all(found < 3.0)
    np.testing.assert_allclose(found[:3], -8.0 - 0.5 * at[:3], atol=1e-9)
    # A gap of more than half a turn has its own size, not that of the rest of the circle.
    bounds = log_bounds(moved, mass)
    np.testing.assert_allclose(
        np.exp(bounds[[3, 7]]), 4.0 * 0.125 / (np.array([2.0, 2.0 * math.pi - 2.0]) / 2 / math.pi),
        rtol=1e-5,
    )  # fmt: skip
    alone = replace(mesh, points=np.tile(mesh.points[:1], (8, 1)))
    assert np.all(log_density_at(alone, log_rho, mass, points) == LOG_FLOOR)


def test_many_candidates_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = icosphere(3)
    moved = replace(mesh, points=mesh.points @ random_rotation(3, np.random.default_rng(1)).T)
    values, mass = linear(moved), masses(moved)
    whole = log_density_at(moved, values, mass, mesh.points)
    for most in (1, 50, 1000):
        monkeypatch.setattr(evaluate, "_CANDIDATES", most)
        np.testing.assert_array_equal(log_density_at(moved, values, mass, mesh.points), whole)
