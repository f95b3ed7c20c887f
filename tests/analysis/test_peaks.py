"""Diagnostics against what is known of a law, and the definition of a cluster."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.analysis.peaks import PeakCounter
from meanfield.geometry.laws import Mixture, Uniform, VonMisesFisher
from meanfield.geometry.mesh import circle, icosphere, zonal_interval


@pytest.mark.parametrize("directions", [1, 2, 3, 4])
def test_peaks_of_a_mixture(directions: int) -> None:
    mesh = icosphere(4)
    means = np.array([[0, 0, 1.0], [1, 0, 0], [0, -1, 0], [-0.6, 0.8, 0]])[:directions]
    parts = [VonMisesFisher(tuple(mean), 20.0) for mean in means]
    law = Mixture((*parts, Uniform(3)), (*([1.0] * directions), 0.1))
    assert PeakCounter(mesh).count(law.density(mesh.points)) == directions


def test_uniform_and_ripples_are_no_clusters() -> None:
    mesh = icosphere(3)
    counter = PeakCounter(mesh)
    n = mesh.n_vertices
    assert counter.count(np.ones(n)) == 0
    ripples = 1.0 + 0.3 * np.random.default_rng(0).uniform(-1.0, 1.0, n)
    assert counter.count(ripples) <= 1  # at most the whole landscape, never its bumps
    tall = ripples.copy()
    tall[[5, 100]] = 50.0
    assert counter.count(tall) == 2


def test_two_bumps_that_merge_are_counted_once() -> None:
    mesh = circle(400)
    counter = PeakCounter(mesh)
    for angle, number in ((1.5, 2), (0.2, 1)):
        ends = [(np.cos(a), np.sin(a)) for a in (0.0, angle)]
        law = Mixture(tuple(VonMisesFisher(m, 30.0) for m in ends), (0.5, 0.5))
        assert counter.count(law.density(mesh.points)) == number


def test_low_maxima_and_empty_regions() -> None:
    mesh = zonal_interval(101, 3)
    theta = mesh.points[:, 0]
    rho = 40.0 * np.exp(-50.0 * theta**2) + 1e-6 * np.exp(-50.0 * (theta - np.pi) ** 2)
    assert PeakCounter(mesh).count(rho) == 1  # the second is far below the uniform density
    assert PeakCounter(mesh).count(np.where(theta < 0.5, 10.0, 0.0)) == 1


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.35, 0.65), (0.2, 0.5, 0.3)])
def test_the_heaviest_cluster_has_its_mass(shares: tuple[float, ...]) -> None:
    """Of peaks far from each other; the highest one need not be the heaviest."""
    mesh = icosphere(4)
    means = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))[: len(shares)]
    sharp = (30.0, 60.0, 25.0)
    parts = [VonMisesFisher(m, k) for m, k in zip(means, sharp, strict=False)]
    rho = Mixture(tuple(parts), shares).density(mesh.points)
    mass = rho * mesh.manifold.shares(mesh.points, mesh.cells).mean() * mesh.cells.shape[0]
    mass /= mass.sum()
    counter = PeakCounter(mesh)
    assert counter.count(rho) == len(shares)
    assert counter.largest(rho, mass) == pytest.approx(max(shares), abs=5e-3)


def test_bumps_that_do_not_stand_out_belong_to_the_cluster_that_they_are_in() -> None:
    """On the circle: two tall hills, one with a low shoulder; the valleys are the borders."""
    mesh = circle(720)
    phi = np.arctan2(mesh.points[:, 1], mesh.points[:, 0])
    rho = 5.0 * np.exp(-8.0 * phi**2) + 2.6 * np.exp(-40.0 * (phi - 0.6) ** 2)  # the shoulder
    rho += 4.0 * np.exp(-8.0 * (np.abs(phi) - np.pi) ** 2)
    counter = PeakCounter(mesh)
    assert counter.count(rho) == 2
    assert np.interp(0.6, np.sort(phi), rho[np.argsort(phi)]) > 1.3 * np.interp(
        0.4, np.sort(phi), rho[np.argsort(phi)]
    )  # a maximum
    angle = np.sort(phi)
    along = rho[np.argsort(phi)]
    right = angle[(angle > 1.0) & (angle < 2.5)][np.argmin(along[(angle > 1.0) & (angle < 2.5)])]
    left = angle[(angle < -0.5) & (angle > -2.5)][np.argmin(along[(angle < -0.5) & (angle > -2.5)])]
    inside = (phi > left) & (phi < right)
    assert counter.largest(rho, rho / rho.sum()) == pytest.approx(
        rho[inside].sum() / rho.sum(), abs=1e-3
    )
    # A third maximum below the uniform density is none, however far it stands out: it belongs to
    # the hill across its higher saddle, here the other one (1.2 % of the mass).
    low = rho + 0.6 * np.exp(-200.0 * (phi - 1.9) ** 2)
    assert counter.count(low) == 2
    inside = (phi > left) & (phi < 1.65)
    assert counter.largest(low, low / low.sum()) == pytest.approx(
        low[inside].sum() / low.sum(), abs=1e-3
    )


def test_without_a_cluster_there_is_no_heaviest_one() -> None:
    mesh = icosphere(3)
    n = mesh.n_vertices
    assert PeakCounter(mesh).largest(np.ones(n), np.full(n, 1.0 / n)) == 0.0
