"""Geometries: coordinates and back, measure, cells, transforms in one order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from meanfield.errors import InputError
from meanfield.geometry.manifolds import (
    MANIFOLDS,
    S1,
    S2,
    Ambient,
    Latitudes,
    Manifold,
    manifold,
    of_vectors,
)
from meanfield.geometry.mesh import Mesh, circle, icosphere, usual_mesh, zonal_interval
from meanfield.geometry.sphere import geodesic_distance, log_area, uniform_points

MESHED: list[Manifold] = [S2(3), S1(2), Latitudes(2), Latitudes(3), Latitudes(8)]
meshed = pytest.mark.parametrize("on", MESHED, ids=lambda on: on.describe())


def points_on(on: Manifold, n: int = 200) -> Any:
    return on.coordinates(uniform_points(n, on.d, np.random.default_rng(on.d)))


def mesh_on(on: Manifold) -> Mesh:
    if on.dimension == 2:
        return icosphere(3)
    return circle(101) if on.closed else zonal_interval(101, d=on.d)


@meshed
def test_coordinates_and_back(on: Manifold) -> None:
    x = points_on(on)
    assert x.shape == (200, on.gdim)
    unit = on.embed(x)
    assert unit.shape == (200, on.d)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0, atol=1e-15)
    np.testing.assert_allclose(on.coordinates(unit), x, atol=1e-15)
    np.testing.assert_allclose(on.settle(on.lift(x)), x, atol=1e-15)
    space, beside = on.in_space(x), on.beside_space(x)
    assert space.shape == (200, 3)
    np.testing.assert_array_equal(on.from_space(space, beside.__getitem__), x)
    np.testing.assert_allclose(on.moments_of(x), unit[:, -on.moments :], atol=1e-15)
    np.testing.assert_allclose(on.normalised(x), x, atol=1e-15)


@meshed
def test_velocities_and_back(on: Manifold) -> None:
    """A lifted velocity is the derivative of the lifted point, and the drawn one of the drawn."""
    x, h = points_on(on), 1e-6
    f = on.harmonics(3)
    v = f.gradient(np.random.default_rng(1).normal(size=f.degrees.size), x)
    lifted = on.lifted_velocity(on.lift(x), v)
    np.testing.assert_allclose(on.settled_velocity(x, lifted), v, atol=1e-12)
    forward, back = (on.normalised(x + sign * h * v) for sign in (1.0, -1.0))
    slope = (on.lift(forward) - on.lift(back)) / (2.0 * h)
    np.testing.assert_allclose(lifted, slope, atol=1e-8 * np.abs(v).max() ** 2)
    drawn = (on.in_space(forward) - on.in_space(back)) / (2.0 * h)
    np.testing.assert_allclose(on.vectors_in_space(x, v), drawn, atol=1e-8 * np.abs(v).max() ** 2)


@meshed
def test_cells_cover_the_measure(on: Manifold) -> None:
    mesh = mesh_on(on)
    assert mesh.manifold == on == manifold(mesh.geometry, mesh.d)
    shares = on.shares(mesh.points, mesh.cells)
    assert np.all(shares > 0.0) and shares.sum() == pytest.approx(1.0, rel=1e-12)
    assert math.log(on.total) + on.log_factor == pytest.approx(log_area(on.d), rel=1e-12)
    edges, c, w = on.edge_weights(mesh.points, mesh.cells)
    assert np.all(c > 0.0) and w.sum() == pytest.approx(on.total, rel=2e-2)
    ends = on.lift(mesh.points)[edges]
    length = np.linalg.norm(on.tangents(mesh.points[edges[:, 0]], mesh.points[edges[:, 1]]), axis=1)
    np.testing.assert_allclose(length, geodesic_distance(ends[:, 0], ends[:, 1]), rtol=1e-9)


@meshed
def test_harmonics_and_grid_keep_one_order(on: Manifold) -> None:
    """The moments of a function on the nodes of the grid, by both transforms."""
    degree = 9
    harmonics, grid = on.harmonics(degree), on.grid(degree, 40)
    assert grid.manifold == on and harmonics.d == grid.d == on.d
    np.testing.assert_array_equal(harmonics.degrees, grid.degrees)
    if on.only_d is not None:  # as many as there are: none is a mere filling
        counts = np.bincount(harmonics.degrees)
        wanted = [1] + [2] * degree if on.d == 2 else [2 * l + 1 for l in range(degree + 1)]
        assert counts.tolist() == wanted
    c = np.random.default_rng(2).normal(size=harmonics.degrees.size)
    values = harmonics.values(c, grid.points)
    np.testing.assert_allclose(grid.synthesise(c), values, atol=1e-11)
    np.testing.assert_allclose(grid.analyse(values), c, atol=1e-11)
    np.testing.assert_allclose(harmonics.moments(grid.points, grid.weights * values), c, atol=1e-11)
    np.testing.assert_allclose(grid.weights.sum(), 1.0, rtol=1e-13)


def test_angles_of_one_dimensional_ones() -> None:
    for on in (S1(2), Latitudes(2), Latitudes(5)):
        low, high = on.span
        x = on.evenly(4000)
        angle = on.angles(x)
        assert np.all(np.diff(angle) > 0.0) and low <= angle[0] and angle[-1] <= high
        step = math.pi / 4000
        assert step * on.uniform_per_radian(x).sum() == pytest.approx(1.0, abs=2e-3)
        assert usual_mesh(on).manifold == on


def test_dimensions_and_names() -> None:
    assert manifold("sphere", 3) == S2(3) and manifold("any", 7) == Ambient(7)
    assert of_vectors(2) == S1(2) and of_vectors(3) == S2(3) and of_vectors(4) == Ambient(4)
    with pytest.raises(InputError, match=r"unknown geometry 'zonl' \(did you mean 'zonal'\?\)"):
        manifold("zonl", 3)
    for name, d, expected in (
        ("sphere", 4, "d = 3"),
        ("circle", 3, "d = 2"),
        ("zonal", 1, "d >= 2"),
    ):
        with pytest.raises(InputError, match=rf"geometry '{name}' has {expected}, found d = {d}"):
            manifold(name, d)
    assert {kind.name for kind in MANIFOLDS.values()} == {"sphere", "circle", "zonal", "any"}


def test_any_dimension_has_tokens_only() -> None:
    on = Ambient(7)
    assert not on.has_harmonics and on.gdim == 7 and on.dimension == 0
    x = uniform_points(5, 7, np.random.default_rng(0))
    assert on.embed(x) is x and on.in_space(x).shape == (5, 3)
    for ask in (lambda: on.harmonics(3), lambda: on.grid(3, 9)):
        with pytest.raises(InputError, match="geometry 'any' found: unit vectors in any dimension"):
            ask()
    with pytest.raises(InputError, match="has none"):
        Mesh("any", 7, x, np.zeros((1, 1), dtype=np.int64))
