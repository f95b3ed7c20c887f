"""Views of the sphere show the right place, from the right side, with rings where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.figures.byhand import hemisphere_images
from meanfield.geometry.mesh import icosphere, unstructured_sphere
from meanfield.geometry.sphere import Array, normalize, random_rotation, uniform_points
from meanfield.scenes import views


def test_linear_fields_are_interpolated_on_any_mesh() -> None:
    rng = np.random.default_rng(5)
    slope = rng.standard_normal(3)
    frame = views.frame_towards(normalize(rng.standard_normal((1, 3)))[0])
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    pixels = 50
    centres = (np.arange(pixels) + 0.5) * 2.0 / pixels - 1.0
    u, v = np.meshgrid(centres, centres)
    disc = np.hypot(u, v) < 0.999
    w = np.sqrt(np.maximum(1.0 - u**2 - v**2, 0.0))
    exact = (np.stack([u, v, w], axis=-1) @ frame) @ slope
    bounds = {}
    for name, mesh in (
        ("level 2", icosphere(2)),
        ("level 4", icosphere(4)),
        ("level 7", icosphere(7)),  # nearest vertex
        ("unstructured", unstructured_sphere(2000, seed=1)),
    ):
        images = hemisphere_images(
            mesh.points, np.stack([mesh.points @ slope, np.ones(mesh.n_vertices)]), frame, pixels
        )
        assert images.shape == (2, pixels, pixels)
        assert np.isfinite(images).all()  # also outside, where the rim goes on
        np.testing.assert_allclose(images[1], 1.0, atol=1e-12)
        bounds[name] = np.abs(images[0] - exact)[disc].max() / np.linalg.norm(slope)
    assert bounds["level 2"] < 0.04  # (edge 0.3)^2 / 4 between point and chord and projection
    assert bounds["level 4"] < 0.0025  # second order: sixteen times less
    assert bounds["level 7"] < 0.01
    assert bounds["unstructured"] < 0.006


def test_view_shows_the_mass_and_turns_with_it() -> None:
    mesh = icosphere(4)
    weights = views.vertex_weights(mesh.points, mesh.cells)
    assert weights.sum() == pytest.approx(1.0) and (weights > 0.0).all()
    rng = np.random.default_rng(2)

    def view(centres: Array) -> Array:
        mass = weights * np.exp(80.0 * (mesh.points @ centres.T - 1.0)).sum(axis=1)
        return views.view_direction(mesh.points, (mass / mass.sum())[None])

    for _ in range(5):
        rotation = random_rotation(3, rng)
        one = rotation[:1]
        assert view(one) @ one[0] > 0.8
        # Three at right angles and one opposite: none may be at the rim.
        four = np.vstack([rotation, -rotation[:1]])
        assert np.abs(four @ view(four)).min() > 0.35
    uniform = views.view_direction(mesh.points, weights[None])
    assert uniform @ normalize(np.array([[1.0, -1.0, 0.7]]))[0] > 0.9


def test_rings_go_round_what_is_gathered_even_in_one_vertex() -> None:
    mesh = icosphere(5)
    weights = views.vertex_weights(mesh.points, mesh.cells)
    assert views.gathered(mesh.points, weights).shape == (0, 3)
    rng = np.random.default_rng(8)
    rotation = random_rotation(3, rng)
    narrow = weights * np.exp(3000.0 * (mesh.points @ rotation[0] - 1.0))
    vertex = int(np.argmax(mesh.points @ rotation[1]))
    slight = int(np.argmax(mesh.points @ rotation[2]))
    mass = 0.5 * weights + 0.36 * narrow / narrow.sum()
    mass[vertex] += 0.1
    mass[slight] += 0.04  # 4.1 % with its share of the rest
    centres = views.gathered(mesh.points, mass)
    assert centres.shape == (2, 3)
    assert centres[np.argmax(centres @ rotation[0])] @ rotation[0] > np.cos(0.01)
    assert centres[np.argmax(centres @ rotation[1])] @ mesh.points[vertex] > np.cos(0.01)
    ring = views.ring(centres[0])
    np.testing.assert_allclose(centres[0] @ ring, np.cos(0.1), atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(ring, axis=0), 1.0, atol=1e-14)


def test_rings_go_round_gathered_tokens() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    x, masses = uniform_points(n, 3, rng), np.full(n, 1.0 / n)
    assert views.gathered_tokens(x, masses).shape == (0, 3)
    rotation = random_rotation(3, rng)
    x[:2000] = rotation[0]  # a point
    x[2000:4000] = normalize(rotation[1] + 0.03 * rng.standard_normal((2000, 3)))
    x[4000:4800] = rotation[2]  # 4 % and what happens to be there
    centres = views.gathered_tokens(x, masses)
    assert len(centres) == 2
    np.testing.assert_allclose(np.max(centres @ rotation[:2].T, axis=0), 1.0, atol=1e-4)
    # By mass, not by number.
    masses = np.where(np.arange(n) < 4000, 1e-9, 1.0)
    masses[4000:4800] *= 100.0
    (centre,) = views.gathered_tokens(x, masses / masses.sum())
    assert centre @ rotation[2] > 1.0 - 1e-4
    assert views.gathered_tokens(rotation[:1], np.ones(1)) == pytest.approx(rotation[:1])


def test_rings_are_on_the_peaks_whatever_the_cells() -> None:
    """The heaviest vertex is one of a large cell: it is beside the peak."""
    rng = np.random.default_rng(4)
    peak = random_rotation(3, rng)[0]
    x = uniform_points(2000, 3, rng)
    fine = normalize(peak + 0.06 * rng.standard_normal((6000, 3)))
    density = np.concatenate([np.zeros(2000), np.exp(2500.0 * (fine @ peak - 1.0))])
    far = np.flatnonzero(np.abs(x @ peak - np.cos(0.09)) < 2e-3)[0]
    mass = 0.4 * density / density.sum()
    mass[:2000] += 0.55 / 2000
    mass[far] += 0.05  # more than any vertex of the peak
    assert np.argmax(mass) == far
    centres = views.gathered(np.concatenate([x, fine]), mass)
    assert centres.shape == (1, 3)
    assert centres[0] @ peak > np.cos(0.015)


@pytest.mark.parametrize("apart", [0.12, 0.13, 0.2])
def test_a_cluster_beside_a_bigger_one_has_its_own_ring(apart: float) -> None:
    two = np.array([[0.0, 0.0, 1.0], [np.sin(apart), 0.0, np.cos(apart)]])
    x = np.concatenate(
        [np.repeat(two, [240, 210], axis=0), uniform_points(550, 3, np.random.default_rng(1))]
    )
    found = views.gathered_tokens(x, np.full(1000, 1e-3))
    assert len(found) == 2
    assert np.arccos(np.clip(found @ two.T, -1.0, 1.0)).min(axis=1).max() < 0.01
    for centre in found:  # as the footnote says
        assert np.mean(x @ centre > np.cos(views.RING_RADIUS)) > views.RING_MASS


def test_a_wide_bump_has_one_ring() -> None:
    for level in (5, 6):
        mesh = icosphere(level)
        weights = views.vertex_weights(mesh.points, mesh.cells)
        for width in (0.05, 0.1, 0.2):
            peak = normalize(np.array([0.3, 0.5, 0.8]))
            mass = weights * np.exp((mesh.points @ peak - 1.0) / width**2)
            centres = views.gathered(mesh.points, mass / mass.sum())
            assert centres.shape == (1, 3)
            assert centres[0] @ peak > np.cos(0.03)
