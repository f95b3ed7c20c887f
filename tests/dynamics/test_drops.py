"""Drops along edges: antisymmetric, second order, and exact where the uniform measure is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import MESHES, meshes
from convergence import rates
from drifts import M3, Flow, angular_gaussian, driven, linear_flow, spin
from scipy.linalg import expm

from meanfield.dynamics.drift import EdgeDrift
from meanfield.dynamics.drops import edge_drops, edge_factors
from meanfield.dynamics.laplacian import EdgeLaplacian
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention

Make = Callable[..., Any]


def drops(space: P1Space, xi: Any = None, velocity: Any = None) -> Array:
    """Drops of a potential and of velocities (n, gdim) at the vertices of one rank: (K, n)."""
    stars, x = space.stars, space.points
    velocity = np.zeros((0, len(x))) if velocity is None else np.ascontiguousarray(velocity.T)
    out = np.full(stars.neighbour.shape, np.nan)
    edge_drops(
        stars.neighbour, edge_factors(stars.neighbour, x), np.ascontiguousarray(x.T),
        np.empty(0) if xi is None else xi, velocity, out,
    )  # fmt: skip
    return out


def other_way(space: P1Space, u: Array) -> Array:
    """The drops of the same edges from their other ends."""
    found: Array = np.append(u.ravel(), 0.0)[space.stars.reverse]
    return found


def any_flow(space: P1Space) -> Array:
    """Tangent vectors at the vertices, neighbouring ones with nothing in common."""
    x = space.points
    v = np.random.default_rng(4).standard_normal(x.shape)
    return v if x.shape[1] == 1 else v - np.sum(x * v, axis=1, keepdims=True) * x


@meshes
def test_what_leaves_arrives_to_the_last_bit(which: Any, make_space: Make) -> None:
    space = make_space(*which)
    xi = np.random.default_rng(5).standard_normal(space.n_owned)
    for found in (drops(space, xi), drops(space, None, any_flow(space)),
                  drops(space, xi, any_flow(space))):  # fmt: skip
        assert np.all(np.isfinite(found))
        assert np.array_equal(found, -other_way(space, found))
        assert np.max(np.abs(found)) > 0.01
        padding = space.stars.neighbour == np.arange(space.n_owned)
        assert not np.any(found[padding])


@meshes
def test_parts_of_a_drift_add_up(which: Any, make_space: Make) -> None:
    space = make_space(*which)
    xi, v = np.random.default_rng(5).standard_normal(space.n_owned), any_flow(space)
    both = drops(space, xi, v)
    np.testing.assert_allclose(both, drops(space, xi) + drops(space, None, v), atol=1e-14)
    step = xi[space.stars.neighbour] - xi
    assert np.array_equal(drops(space, xi), step)


def test_rotations_are_exact(make_space: Make) -> None:
    axis = np.array([0.3, -0.5, 0.8])
    for which in (("sphere", 3), ("unstructured", 400)):
        space = make_space(*which)
        x, y = space.points, space.points[space.stars.neighbour]
        normal = np.cross(x[None], y)
        sine = np.linalg.norm(normal, axis=2)
        angle = np.arctan2(sine, np.einsum("ij,kij->ki", x, y))
        exact = angle / np.where(sine > 0.0, sine, 1.0) * (normal @ axis)
        found = drops(space, None, np.cross(axis, x))
        np.testing.assert_allclose(found, exact, atol=1e-15)
    space = make_space("circle", 120)
    found = drops(space, None, space.points @ spin(1.7).T)
    np.testing.assert_allclose(np.abs(found), 1.7 * 2.0 * np.pi / 120, rtol=1e-13)


def integrals(space: P1Space, flow: Flow) -> Array:
    """int X . t ds along all edges, by Gauss of six points."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    x, total = space.points, np.zeros(space.stars.neighbour.shape)
    for k, other in enumerate(space.stars.neighbour):
        y = x[other]
        if x.shape[1] == 1:
            for node, weight in zip(nodes, weights, strict=True):
                at = x + 0.5 * (1.0 + node) * (y - x)
                total[k] += 0.5 * weight * flow(at)[0][:, 0] * (y - x)[:, 0]
            continue
        angle = 2.0 * np.arcsin(0.5 * np.linalg.norm(y - x, axis=1))
        t = y - np.sum(x * y, axis=1, keepdims=True) * x
        t /= np.maximum(np.linalg.norm(t, axis=1, keepdims=True), 1e-300)
        for node, weight in zip(nodes, weights, strict=True):
            s = (0.5 * (1.0 + node) * angle)[:, None]
            at, along = x * np.cos(s) + t * np.sin(s), t * np.cos(s) - x * np.sin(s)
            total[k] += 0.5 * weight * angle * np.sum(flow(at)[0] * along, axis=1)
    return total


def meridian(x: Array) -> tuple[Array, Array]:
    """Along the meridians, at rest at the poles."""
    return np.sin(x) * (1.0 + 0.4 * np.cos(x)), np.zeros(len(x))


@pytest.mark.parametrize(
    ("kind", "sizes", "flow"),
    [
        ("sphere", (2, 3, 4), linear_flow(M3)),
        ("circle", (40, 80, 160), linear_flow(M3[:2, :2])),
        ("zonal", (41, 81, 161), meridian),
    ],
)
def test_edges_are_integrated_to_third_order(
    kind: str, sizes: Any, flow: Flow, make_space: Make
) -> None:
    def error(size: int) -> float:
        space = make_space(kind, size)
        found = drops(space, None, flow(space.points)[0])
        return float(np.max(np.abs(found - integrals(space, flow))))

    rates(error, sizes).check(2.8, 3.2, 1e-3)


# ------------------------------------------------------------------ the uniform measure


def slope(x: Array) -> tuple[Array, Array, Array]:
    """xi = x_1 x_2 on S^2: with its gradient, and its Laplacian -6 xi."""
    a, b = x[:, 0], x[:, 1]
    gradient = np.stack([b, a, np.zeros(len(x))], axis=1) - 2.0 * (a * b)[:, None] * x
    return a * b, gradient, -6.0 * a * b


@pytest.mark.parametrize(
    ("which", "with_slope"),
    [
        (("sphere", 3), False),
        (("sphere", 3), True),
        (("unstructured", 400), True),
        (("circle", 121), False),
    ],
)
def test_the_edges_find_the_divergence_of_the_uniform_measure(
    which: Any, with_slope: bool, make_space: Make
) -> None:
    space = make_space(*which)
    x, w = space.points, space.weights
    model = driven(
        space.geometry, space.d, linear_flow(M3[: space.d, : space.d]),
        slope=slope if with_slope else None,
    )  # fmt: skip
    field = model.field(_uniform(model, space))
    rows = field.along_edges(model.locate(x))
    assert len(rows) == space.d + with_slope
    exact = w * field.divergence(model.locate(x))
    exact -= w * np.sum(exact)  # what is left of the total by plain weights
    edges = EdgeDrift(space, model)

    def error() -> float:
        found = np.sum(space.stars.coefficient * edges.of(rows).drops, axis=0)
        return float(np.max(np.abs(found - exact) / w))

    assert error() > 1e-4  # the trapezoidal rule alone
    before = edges.of(rows).drops
    edges.settle(rows, w, field.divergence(model.locate(x)))
    assert error() < 1e-11
    after = edges.of(rows).drops
    assert np.array_equal(after, -other_way(space, after))
    # A small change; and any other field is changed by the same.
    assert np.max(np.abs(after - before)) < 0.02 * np.max(np.abs(before))
    twice = edges.of(2.0 * rows).drops
    np.testing.assert_allclose(twice - after, before, atol=1e-14)


def _uniform(model: Any, space: P1Space) -> Any:
    from meanfield.interaction.measure import Measure

    return Measure(model.locate(space.points), space.weights, space.weights)


def test_a_field_that_vanishes_at_the_uniform_measure_needs_nothing(
    make_space: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: Any, right: Array) -> Array:
        raise AssertionError("nothing to be solved for")

    monkeypatch.setattr(EdgeLaplacian, "potential", none)
    space = make_space("sphere", 2)
    edges, zero = EdgeDrift(space, driven("sphere", 3, linear_flow(M3))), np.zeros(space.n_owned)
    edges.settle(np.zeros((3, space.n_owned)), space.weights, zero)
    rows = linear_flow(M3)(space.points)[0].T
    assert np.array_equal(edges.of(rows).drops, drops(space, None, rows.T))


def test_a_potential_is_left_as_it_is(make_space: Make) -> None:
    space = make_space("sphere", 2)
    edges = EdgeDrift(space, Attention("sa", 4.0, 3, "sphere"))
    rows = np.random.default_rng(1).standard_normal((1, space.n_owned))
    drift = edges.of(rows)
    assert drift.is_gradient and np.shares_memory(drift.xi, rows) and drift.drops.size == 0
    wrong, size = edges.apart(rows, rows + 0.01, np.ones(space.n_owned))
    assert wrong == pytest.approx(0.01) and size == pytest.approx(np.ptp(rows))


def test_drifts_of_several_rows_are_compared_by_what_they_move(make_space: Make) -> None:
    # A potential of any size that does not change over space moves nothing.
    space = make_space("sphere", 3)
    model = driven("sphere", 3, linear_flow(M3), slope=slope)
    edges = EdgeDrift(space, model)
    rows = model.field(_uniform(model, space)).along_edges(model.locate(space.points))
    shifted = rows.copy()
    shifted[0] += 100.0
    rho = 1.0 + 0.5 * space.points[:, 2]
    wrong, size = edges.apart(rows, shifted, rho)
    assert wrong < 1e-12
    v = model.field(_uniform(model, space)).velocity(space.points)
    assert size == pytest.approx(math.sqrt(space.weights @ (rho * np.sum(v * v, axis=1))), rel=0.02)
    assert not edges.of(rows).is_gradient
    wrong, _ = edges.apart(rows, 1.01 * rows, rho)
    assert wrong == pytest.approx(0.01 * size)
    # As large as velocities of usa may be.
    wrong, huge = edges.apart(1e200 * rows, 1.01e200 * rows, rho)
    assert (wrong, huge) == (pytest.approx(1e198 * size), pytest.approx(1e200 * size))
    # What jumps where there is nothing is not seen.
    shifted = rows.copy()
    shifted[1:, 17] += 1.0
    rho[17] = 0.0
    rho[space.stars.neighbour[:, 17]] = 0.0
    assert edges.apart(rows, shifted, rho)[0] < 1e-12


# ------------------------------------------------------------------ the linear system


@pytest.mark.parametrize("first", ["lu", "amg"])
def test_potentials_are_solved_for_to_round_off(
    first: str, make_space: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for which in MESHES:
        space = make_space(*which)
        system = EdgeLaplacian(space)
        monkeypatch.setattr(system, "_preferred", lambda: [first])
        p = np.random.default_rng(2).standard_normal(space.n_owned)
        c = space.stars.coefficient
        right = np.sum(c * (p - p[space.stars.neighbour]), axis=0)
        found = system.potential(right)
        wrong, w = found - p, space.weights
        wrong -= w @ wrong
        # Poles of a sphere in eight dimensions hang on an edge of next to nothing.
        assert np.max(np.abs(w * wrong)) < 1e-12 * np.max(w)
        left = np.sum(c * (found - found[space.stars.neighbour]), axis=0) - right
        assert np.max(np.abs(left)) < 1e-12 * np.max(np.abs(right))


def test_a_potential_hangs_on_its_right_side_alone(make_space: Make) -> None:
    space = make_space("sphere", 3)
    rng = np.random.default_rng(5)
    one, other = (v - v.mean() for v in rng.standard_normal((2, space.n_owned)))
    system = EdgeLaplacian(space)
    first = system.potential(one)
    system.potential(other)
    assert np.array_equal(system.potential(one), first)
    assert np.array_equal(EdgeLaplacian(space).potential(one), first)


def test_a_potential_that_is_not_found_is_an_error(
    make_space: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = make_space("sphere", 2)
    system = EdgeLaplacian(space)
    monkeypatch.setattr(system, "_preferred", lambda: [])
    with pytest.raises(BrokenInvariantError, match="uniform state was not solved for"):
        system.potential(np.zeros(space.n_owned))


# ------------------------------------------------------------------ the exact density


def test_the_angular_gaussian_solves_its_equation() -> None:
    # d_t rho = -div(rho X) at a few points, by differences along the flow.
    x = np.random.default_rng(1).standard_normal((20, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    h, t = 1e-3, 0.7
    logs = []
    for s in (-h, h):
        y = x @ expm(s * M3).T
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        logs.append(np.log(angular_gaussian(M3, t + s, y)))
    div = linear_flow(M3)(x)[1]
    np.testing.assert_allclose((logs[1] - logs[0]) / (2.0 * h), -div, atol=1e-5)
