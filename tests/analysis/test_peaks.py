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
