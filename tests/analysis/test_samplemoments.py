"""A test of moments for independent draws: its p-values, and what it sees."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import meanfield as mf
from meanfield.analysis.quadrature import density_measure, sample_density
from meanfield.analysis.samplemoments import MomentLaw
from meanfield.geometry.mesh import Mesh, circle, delaunay_weights, icosphere, zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure


@pytest.fixture(autouse=True)
def fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """p-values in steps of 1/500: as valid, and twice as fast."""
    monkeypatch.setattr("meanfield.analysis.samplemoments._SAMPLES", 499)


MESHES = {"sphere": icosphere(3), "circle": circle(128), "zonal": zonal_interval(65, 5)}


def density(mesh: Mesh, beta: float = 3.0) -> Array:
    axis = np.zeros(mesh.d)
    axis[-1] = 1.0
    return mf.VonMisesFisher(axis.tolist(), beta).density(mesh.embedded())


def law_of(mesh: Mesh, rho: Array, other: bool = False) -> MomentLaw:
    area = delaunay_weights(mesh)[2]
    masses = Measure(mesh.points, area * rho / (area @ rho)) if other else None
    return MomentLaw.of(density_measure(mesh, rho, refine=4)[0], mesh.manifold, masses)


def p_values(law: MomentLaw, mesh: Mesh, rho: Array, w: Array, number: int = 100) -> Array:
    rng = np.random.default_rng(0)
    draws = (sample_density(mesh, rho, len(w), rng) for _ in range(number))
    return np.array([law.test(law.on.coordinates(x), w).p_value for x in draws])


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("weighted", [False, True])
def test_p_is_uniform_for_draws(name: str, weighted: bool) -> None:
    mesh = MESHES[name]
    rho = density(mesh)
    w = np.random.default_rng(7).exponential(size=200) if weighted else np.ones(200)
    p = p_values(law_of(mesh, rho), mesh, rho, w / w.sum())
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert 0.0 < np.mean(p <= 0.05) <= 0.12


@pytest.mark.parametrize("name", MESHES)
def test_a_wrong_law_is_told(name: str) -> None:
    mesh = MESHES[name]
    law = law_of(mesh, density(mesh))
    p = p_values(law, mesh, density(mesh, 4.0), np.full(1_000, 1e-3), number=40)
    assert np.mean(p <= 0.05) > 0.8


def test_the_uniform_law_has_moments_of_unit_covariance() -> None:
    """T of one point is |Y(x)|^2 = 24 on S^2, whatever the point (addition theorem)."""
    mesh = icosphere(4)
    law = law_of(mesh, np.ones(mesh.n_vertices))
    assert len(law.whitening) == 24 and law.kurtosis == pytest.approx(576.0, rel=1e-2)
    np.testing.assert_allclose(law.mean, 0.0, atol=1e-3)
    found = law.test(np.array([[0.0, 0.6, 0.8]]), np.ones(1))
    assert found.statistic == pytest.approx(24.0, rel=1e-2) and found.few
    pole = law.test(np.tile([0.0, 0.0, 1.0], (100, 1)), np.full(100, 0.01))
    assert pole.statistic == pytest.approx(2400.0, rel=1e-2)
    assert pole.p_value < 1e-100 and not pole.few


def test_what_the_mesh_is_wrong_by_is_allowed_for() -> None:
    """Masses at the vertices of a coarse mesh: a million of them are no draws of what is linear
    between, but no disagreement; a shift that hides most differences is told."""
    mesh = icosphere(1)
    rho = density(mesh, 2.0)
    area = delaunay_weights(mesh)[2]
    x = mesh.points[np.random.default_rng(0).choice(mesh.n_vertices, 1_000_000,
                                                    p=area * rho / (area @ rho))]  # fmt: skip
    w = np.full(len(x), 1.0 / len(x))
    assert law_of(mesh, rho).test(x, w).p_value < 1e-6
    allowed = law_of(mesh, rho, other=True).test(x, w)
    assert allowed.p_value > 0.05 and allowed.hidden and allowed.shift > 100.0
    assert not law_of(mesh, rho, other=True).test(x[:100], np.full(100, 0.01)).hidden
    # As much as chance makes, and T of nothing is likely.
    n = int(3.0 * allowed.freedom / allowed.shift * len(x))
    assert law_of(mesh, rho, other=True).test(x[:n], np.full(n, 1.0 / n)).hidden


def test_few_points_have_no_verdict() -> None:
    mesh = icosphere(3)
    rho = density(mesh)
    x = sample_density(mesh, rho, 40, np.random.default_rng(1))
    law = law_of(mesh, rho)
    assert not law.test(x, np.full(40, 1.0 / 40)).few
    few = law.test(x[:12], np.full(12, 1.0 / 12))
    assert few.few and few.freedom > 12
    uneven = np.full(40, 1e-3)
    uneven[0] = 1.0 - 39e-3  # one point, nearly
    assert law.test(x, uneven).few


def test_narrow_clusters_are_sampled() -> None:
    """T of narrow clusters has heavy tails: p is uniform for a few hundred points all the same."""
    mesh = icosphere(4)
    rho = density(mesh, 30.0)
    law = law_of(mesh, rho)
    assert law.kurtosis > 3.0 * len(law.whitening) * (len(law.whitening) + 2)
    p = p_values(law, mesh, rho, np.full(100, 0.01), number=100)
    assert stats.kstest(p, "uniform").pvalue > 0.01
