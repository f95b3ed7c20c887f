"""Cells with Gauss nodes, and quadrature rules: exact integrals, error estimates, splitting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield.errors import InputError
from meanfield.geometry.cells import Faces, cells_of
from meanfield.geometry.manifolds import manifold, of_vectors
from meanfield.geometry.rules import cells_between, log_crowding, resting_ends, rule_on


def integral(boxes: np.ndarray, concentration: float) -> tuple[float, float]:
    """Of e^{k (z - 1)} over cells, and the estimated error."""
    cells = Faces(6)
    points, weights = cells.nodes(boxes)
    values = np.exp(concentration * (points[..., 2] - 1.0)) * weights
    errors = cells.errors((values / cells.reference_weights)[..., None])
    return float(values.sum()), float(errors.sum())


def test_nodes_are_on_the_sphere_and_weigh_one() -> None:
    cells = Faces(6)
    points, weights = cells.nodes(cells.covering(3))
    assert points.shape == (54, 36, 3)
    assert weights.min() > 0.0
    np.testing.assert_allclose(np.linalg.norm(points, axis=2), 1.0, atol=1e-14)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    second = np.einsum("nk,nki,nkj->ij", weights, points, points)
    np.testing.assert_allclose(second, np.eye(3) / 3.0, atol=1e-12)
    assert cells.reference_weights.sum() == pytest.approx(1.0, abs=1e-14)


def test_parts_cover_what_is_split() -> None:
    cells = Faces(4)
    boxes = cells.covering(2)
    whole, parts = cells.nodes(boxes)[1].sum(axis=1), cells.nodes(cells.split(boxes))[1]
    assert len(parts) == 4 * len(whole)
    np.testing.assert_allclose(parts.reshape(-1, 4 * 16).sum(axis=1), whole, rtol=1e-5)


def test_estimates_bound_errors_and_fall_when_cells_are_split() -> None:
    cells, k = Faces(6), 12.0
    exact = (1.0 - math.exp(-2.0 * k)) / (2.0 * k)
    boxes, estimates = cells.covering(2), []
    for _ in range(3):
        found, estimate = integral(boxes, k)
        assert abs(found - exact) <= estimate + 1e-13
        estimates.append(estimate)
        boxes = cells.split(boxes)
    assert estimates[0] > 100.0 * estimates[1] > 1e4 * estimates[2]


def test_where_there_are_cells() -> None:
    assert isinstance(cells_of(manifold("sphere", 3)), Faces)


@pytest.mark.parametrize("latitudes", [*range(4, 61), 64, 78, 89, 110])
def test_rules_of_all_sizes_have_the_degree_that_they_tell(latitudes: int) -> None:
    on = manifold("sphere", 3)
    rule = rule_on(on, round(1.42 * latitudes**2))
    harmonics = on.harmonics(rule.degree, 1e-13)
    moments = harmonics.moments(rule.points, rule.weights)
    np.testing.assert_allclose(moments, harmonics.uniform(), atol=3e-11)
    assert rule.degree > latitudes


@pytest.mark.parametrize("number", [650, 4570, 9090])
def test_rule_on_the_sphere_and_its_cells(number: int) -> None:
    on = manifold("sphere", 3)
    rule = rule_on(on, number)
    assert abs(len(rule.points) - number) < 0.12 * number
    assert rule.weights.sum() == pytest.approx(1.0, abs=1e-13)
    assert len(cells_between(on, rule.points)) == 2 * len(rule.points) - 4


def test_no_rule_of_few_nodes_or_without_cells() -> None:
    with pytest.raises(InputError, match="7 nodes"):
        rule_on(manifold("sphere", 3), 7)
    with pytest.raises(InputError, match="no quadrature rule"):
        rule_on(of_vectors(4), 100)


@pytest.mark.parametrize("d", [2, 3, 8])
def test_panels_cover_a_curve(d: int) -> None:
    on = manifold("circle", 2) if d == 2 else manifold("zonal", d)
    cells = cells_of(on)
    boxes = cells.covering(4)
    whole = cells.nodes(boxes)[1].sum(axis=1)
    points, weights = cells.nodes(cells.split(boxes))
    np.testing.assert_allclose(weights.sum(axis=1).reshape(-1, 2).sum(axis=1), whole, atol=1e-10)
    harmonics = on.harmonics(3)
    found = harmonics.moments(points.reshape(-1, on.gdim), weights.ravel())
    np.testing.assert_allclose(found, harmonics.uniform(), atol=1e-9)


@pytest.mark.parametrize("d", [3, 5])
def test_intervals_end_at_poles(d: int) -> None:
    ends = resting_ends(manifold("zonal", d))
    np.testing.assert_array_equal(ends, [[0.0], [math.pi]])
    assert len(resting_ends(manifold("circle", 2))) == 0


def test_crowding_is_that_of_the_angle() -> None:
    """A ring of width w in theta and a cluster of width w at a pole are about as crowded."""
    on = manifold("zonal", 5)
    theta = np.linspace(1e-4, math.pi - 1e-4, 20001)[:, None]
    found = []
    for middle in (0.0, 0.5 * math.pi):
        rho = np.exp(-0.5 * ((theta[:, 0] - middle) / 0.05) ** 2)
        rho /= np.trapezoid(rho * on.uniform_per_radian(theta), theta[:, 0])
        found.append(log_crowding(on, theta, np.log(np.maximum(rho, 1e-300))))
    assert abs(found[0] - found[1]) < 0.5
