"""Maps of the sphere: there and back, equal areas, and the mass in the middle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield.figures.maps import interpolated
from meanfield.figures.projections import MAPS, best_frame, frame_with_up
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import normalize, random_rotation, uniform_points


@pytest.mark.parametrize("name", list(MAPS))
def test_there_and_back(name: str) -> None:
    on, frame = MAPS[name], random_rotation(3, np.random.default_rng(0))
    points, inside = on.pixels(200, frame)
    a, b = on.half
    rows, columns = inside.shape
    x = ((np.arange(columns) + 0.5) * 2.0 / columns - 1.0) * a
    y = ((np.arange(rows) + 0.5) * 2.0 / rows - 1.0) * b
    expected = np.stack(np.meshgrid(x, y), axis=-1)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1.0, atol=1e-14)
    found = on.places(points[inside], frame)
    np.testing.assert_allclose(found, expected[inside], atol=1e-11)
    assert inside.mean() == pytest.approx(math.pi / 4 if on.oval else 1.0, abs=0.01)
    np.testing.assert_allclose(on.places(frame[2:], frame), 0.0, atol=1e-12)  # the middle


@pytest.mark.parametrize("name", ["equal-area", "mollweide"])
def test_equal_areas_are_equal(name: str) -> None:
    """The determinant of (longitude, sin latitude) -> (x, y) is one everywhere inside."""
    on, h = MAPS[name], 1e-5
    longitude, s = (
        a.ravel() for a in np.meshgrid(np.linspace(-3, 3, 13), np.linspace(-0.9, 0.9, 9))
    )

    def at(longitude: np.ndarray, s: np.ndarray) -> np.ndarray:
        return np.stack(on.forward(longitude, np.arcsin(s)))

    across = (at(longitude + h, s) - at(longitude - h, s)) / (2 * h)
    upward = (at(longitude, s + h) - at(longitude, s - h)) / (2 * h)
    np.testing.assert_allclose(across[0] * upward[1] - across[1] * upward[0], 1.0, atol=1e-6)


def test_lines_leave_at_the_border() -> None:
    on, frame = MAPS["equal-area"], np.eye(3)
    angle = np.linspace(-0.3, 0.3, 61)  # round the point behind the middle
    line = on.line(np.stack([np.sin(angle), np.full(61, 0.1), -np.cos(angle)], axis=1), frame)
    jumps = np.flatnonzero(np.isnan(line[:, 0]))
    assert len(jumps) == 1
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    assert np.nanmax(steps) < 0.1


def test_the_mass_is_away_from_the_border() -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        centres = normalize(rng.standard_normal((3, 3)))
        masses = np.full(3, 1 / 3)
        frame = best_frame(centres, masses)
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(frame) == pytest.approx(1.0)
        r = np.hypot(*(MAPS["equal-area"].places(centres, frame) / MAPS["equal-area"].half).T)
        assert r.max() < 0.8
    even = uniform_points(500, 3, rng)
    assert best_frame(even, np.full(500, 0.002))[1, 2] > 0.7  # the third axis is up
    up = frame_with_up(np.array([0.0, 0.0, 2.0]), np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(up[2], [0.0, 0.0, 1.0])
    np.testing.assert_allclose(up @ up.T, np.eye(3), atol=1e-14)


def test_linear_fields_are_interpolated_all_round() -> None:
    rng = np.random.default_rng(2)
    slope, at = rng.standard_normal(3), uniform_points(3000, 3, rng)
    for level, bound in ((2, 0.04), (4, 0.0025), (7, 0.01)):  # the last: the nearest vertex
        points = icosphere(level).points
        found = interpolated(points, np.stack([points @ slope, np.ones(len(points))]), at)
        np.testing.assert_allclose(found[1], 1.0, atol=1e-12)
        assert np.abs(found[0] - at @ slope).max() < bound * np.linalg.norm(slope)
