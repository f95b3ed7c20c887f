"""The table of clusters against laws and groups whose masses and widths are known."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from scipy.integrate import quad

from meanfield.analysis.clustertable import (
    ClusterTable,
    clusters_of_density,
    clusters_of_moved_density,
    clusters_of_tokens,
)
from meanfield.analysis.peaks import PeakCounter, moved_clusters
from meanfield.dynamics.clusters import cluster_labels
from meanfield.errors import InputError
from meanfield.geometry.laws import Mixture, Uniform, VonMisesFisher
from meanfield.geometry.mesh import Mesh, circle, delaunay_weights, icosphere, zonal_interval

RNG = np.random.default_rng(5)


def vmf_spread(concentration: float, d: int) -> float:
    """Root of the mean squared angle to the mean, by quadrature."""

    def integral(power: int) -> float:
        def f(angle: float) -> float:
            weight = math.exp(concentration * (math.cos(angle) - 1.0))
            return angle**power * weight * math.sin(angle) ** (d - 2)

        return float(quad(f, 0.0, math.pi, epsabs=0.0, epsrel=1e-10, limit=200)[0])

    return math.sqrt(integral(2) / integral(0))


@pytest.mark.parametrize(("mesh", "error"), [(icosphere(5), 2e-3), (circle(2000), 1e-4)])
def test_a_mixture_has_the_masses_centres_and_spreads_of_its_parts(
    mesh: Mesh, error: float
) -> None:
    d, sharp, shares = mesh.d, (60.0, 150.0), (0.4, 0.6)
    means = np.eye(d)[:2] * [[-1.0], [1.0]]
    parts = [VonMisesFisher(tuple(m), k) for m, k in zip(means, sharp, strict=True)]
    table = clusters_of_density(mesh, Mixture(tuple(parts), shares).density(mesh.points), 1.5)
    assert (table.t, len(table)) == (1.5, 2)
    assert table.mass == pytest.approx([0.6, 0.4], abs=error)
    assert np.abs(table.centre - means[::-1]).max() < error
    expected = [vmf_spread(k, d) for k in (150.0, 60.0)]
    assert table.spread == pytest.approx(expected, rel=error)
    assert np.all(table.ring == 0.0) and table.number.tolist() == [1, 2]
    assert np.sum(table.mass) == pytest.approx(1.0, abs=1e-14)  # each vertex is in a basin


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_a_density_has_as_many_rows_as_its_column_counts(count: int) -> None:
    mesh = icosphere(4)
    means = RNG.normal(size=(count, 3))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    parts = [VonMisesFisher(tuple(m), 40.0) for m in means]
    rho = Mixture((*parts, Uniform(3)), (*([1.0] * count), 0.2)).density(mesh.points)
    rho *= 1.0 + 0.2 * RNG.uniform(-1.0, 1.0, len(rho))  # bumps that do not stand out
    counter = PeakCounter(mesh)
    table = clusters_of_density(mesh, rho, counter=counter)
    assert len(table) == counter.count(rho)
    assert len(np.unique(table.member)) == max(len(table), 1)
    mass = delaunay_weights(mesh)[2] * rho
    assert table.mass.max(initial=0.0) == pytest.approx(
        counter.largest(rho, mass / mass.sum()), abs=1e-14
    )


def test_the_table_turns_with_the_density() -> None:
    mesh = icosphere(4)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    law = Mixture((VonMisesFisher((0.0, 0.0, 1.0), 30.0), VonMisesFisher((1.0, 0.0, 0.0), 90.0)),
                  (0.3, 0.7))  # fmt: skip
    rho = law.density(mesh.points)
    one = clusters_of_density(mesh, rho)
    other = clusters_of_density(Mesh("sphere", 3, mesh.points @ turn.T, mesh.cells), rho)
    assert other.centre == pytest.approx(one.centre @ turn.T, abs=1e-12)
    assert other.mass == pytest.approx(one.mass, rel=1e-12)
    assert other.spread == pytest.approx(one.spread, rel=1e-10)
    assert np.array_equal(one.member, other.member)


def zonal_masses(mesh: Mesh, rho: np.ndarray) -> np.ndarray:
    mass = delaunay_weights(mesh)[2] * rho
    return np.asarray(mass / mass.sum())


@pytest.mark.parametrize("d", [3, 5])
def test_zonal_peaks_are_at_poles_or_rings_about_the_nearer_one(d: int) -> None:
    mesh = zonal_interval(2001, d)
    theta = mesh.points[:, 0]
    bumps = [np.exp(-300.0 * (theta - at) ** 2) for at in (0.0, 1.0, 2.0, math.pi)]
    rho = 40.0 * bumps[0] + 10.0 * bumps[1] + 30.0 * bumps[2] + 50.0 * bumps[3] + 1e-12
    table = clusters_of_density(mesh, rho)
    assert len(table) == PeakCounter(mesh).count(rho) == 4
    at = np.where(table.centre[:, -1] > 0.0, table.ring, math.pi - table.ring)
    order = np.argsort(at)
    borders = [-0.1, 0.5, 1.5, 2.6, 4.0]
    mass = zonal_masses(mesh, rho)
    for row, low, high in zip(order, borders[:-1], borders[1:], strict=True):
        inside = (theta > low) & (theta < high)
        assert table.mass[row] == pytest.approx(mass[inside].sum(), abs=1e-9)
        mean = np.average(theta[inside], weights=mass[inside])
        mean = {-0.1: 0.0, 2.6: math.pi}.get(low, mean)
        assert at[row] == pytest.approx(mean, abs=1e-9)
        square = np.average((theta[inside] - mean) ** 2, weights=mass[inside])
        assert table.spread[row] == pytest.approx(math.sqrt(square), rel=1e-6)
    assert np.count_nonzero(table.ring) == 2
    assert np.array_equal(np.abs(table.centre), np.tile(np.eye(d)[-1], (4, 1)))


def test_a_zonal_cluster_is_a_ring_once_its_hole_is_half_empty() -> None:
    mesh = zonal_interval(801, 3)
    theta = mesh.points[:, 0]
    for hole, is_ring in ((0.8, False), (0.3, True)):
        rho = 30.0 * np.exp(-30.0 * theta**2) * (1.0 + 600.0 * theta**2)
        rho = np.where(theta < theta[np.argmax(rho)], np.maximum(rho, hole * rho.max()), rho)
        table = clusters_of_density(mesh, rho)
        assert len(table) == 1 and (table.ring[0] > 0.0) == is_ring


def test_two_tight_groups_of_tokens() -> None:
    """Each on a small circle about its centre: the spread is the angle to it, exactly."""
    d, angles, sizes = 6, (1e-6, 0.02), (30, 50)
    turn = np.linalg.qr(RNG.normal(size=(d, d)))[0]
    groups = []
    for k, (angle, size) in enumerate(zip(angles, sizes, strict=True)):
        phi = 2.0 * np.pi * np.arange(size) / size
        around = np.cos(phi)[:, None] * np.eye(d)[2] + np.sin(phi)[:, None] * np.eye(d)[3]
        groups.append(math.cos(angle) * np.eye(d)[k] + math.sin(angle) * around)
    x = np.concatenate(groups) @ turn.T
    masses = np.concatenate([np.full(30, 0.7 / 30), np.full(50, 0.3 / 50)])
    order = RNG.permutation(80)
    table = clusters_of_tokens(x[order], masses[order], cluster_labels(x[order], 0.1), 2.0)
    assert table.mass == pytest.approx([0.7, 0.3], abs=1e-14)
    assert table.centre == pytest.approx(turn.T[:2], abs=1e-14)
    assert table.spread[0] == pytest.approx(1e-6, rel=1e-8)
    assert table.spread[1] == pytest.approx(0.02, rel=1e-10)
    assert np.array_equal(table.member, np.where(order < 30, 0, 1))


def test_small_groups_are_no_clusters_and_a_circle_has_a_centre() -> None:
    x = np.eye(3)[[0, 1, 1]]
    table = clusters_of_tokens(x, np.array([0.009, 0.5, 0.491]), np.array([1, 0, 0]))
    assert len(table) == 1 and table.member.tolist() == [-1, 0, 0]
    assert table.mass[0] == 0.991
    hundred = np.full(100, 0.01)
    assert len(clusters_of_tokens(np.tile(x[:1], (100, 1)), hundred, np.arange(100))) == 100
    phi = np.pi * np.arange(8) / 4.0
    ring = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    found = clusters_of_tokens(ring, np.full(8, 1.0), np.zeros(8, dtype=int))
    assert found.centre[0] == pytest.approx(ring[0])  # the mean has no direction
    angles = np.minimum(phi, 2.0 * np.pi - phi)
    assert found.spread[0] == pytest.approx(math.sqrt(np.mean(angles**2)), rel=1e-7)


@pytest.mark.parametrize("shrink", [0.5, 1e-5])
def test_a_density_that_moves_has_the_masses_of_its_points(shrink: float) -> None:
    """Half a circle contracts to one point, the rest to another; masses are exact."""
    mesh = circle(400)
    phi = np.arctan2(mesh.points[:, 1], mesh.points[:, 0])
    phi0 = phi + 0.003
    north = np.abs(phi0) < 0.5 * np.pi
    weight = np.where(north, 3.0, 1.0)
    mass = weight / weight.sum()
    to = np.where(north, 0.0, np.sign(phi0) * np.pi)
    moved = to + shrink * (phi0 - to)
    points = np.stack([np.cos(moved), np.sin(moved)], axis=1)
    now = Mesh("circle", 2, points, mesh.cells)
    log_rho = np.log(np.where(north, 1.5, 0.5) / shrink) + 1e-3 * np.cos(phi0 - to)
    near = 1e-3 * 2.0 * np.pi / 400
    table = clusters_of_moved_density(now, log_rho, mass, near)
    assert len(table) == moved_clusters(now, log_rho, mass, near)
    assert table.mass[0] == pytest.approx(mass[north].sum(), abs=1e-14)
    assert np.array_equal(table.member == 0, north)
    rest = np.sqrt(np.average((moved - to)[north] ** 2, weights=mass[north]))
    assert table.spread[0] == pytest.approx(rest, rel=1e-3)


def test_a_moved_mesh_that_has_not_moved_has_the_same_clusters() -> None:
    mesh = icosphere(4)
    law = Mixture(tuple(VonMisesFisher(tuple(m), k) for m, k in zip(np.eye(3), (20.0, 40.0, 30.0),
                  strict=True)), (0.5, 0.2, 0.3))  # fmt: skip
    rho = law.density(mesh.points)
    mass = delaunay_weights(mesh)[2] * rho
    one = clusters_of_density(mesh, rho)
    other = clusters_of_moved_density(mesh, np.log(rho), mass, 1e-6)
    assert np.array_equal(one.member, other.member)
    assert other.mass == pytest.approx(one.mass, abs=1e-14)
    assert other.centre == pytest.approx(one.centre, abs=1e-14)


def test_as_a_frame_of_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    table = clusters_of_tokens(np.eye(2), np.array([0.25, 0.75]), np.array([0, 1]), 3.0)
    frame = table.to_pandas()
    assert list(frame.columns) == ["t", "cluster", "mass", "spread", "ring", "x1", "x2"]
    assert frame["mass"].tolist() == [0.75, 0.25] and frame["cluster"].tolist() == [1, 2]
    assert frame["x2"].tolist() == [1.0, 0.0] and set(frame["t"]) == {3.0}
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        table.to_pandas()


def test_in_words() -> None:
    table = clusters_of_tokens(np.eye(7), np.arange(1.0, 8.0) / 28.0, np.arange(7), 3.0)
    first, one, *_, last = repr(table).splitlines()
    assert first == "7 clusters at t = 3" and last == "  and 2 more"
    assert one == "  1: mass 0.25, spread 0, at (0.000, 0.000, 0.000, 0.000, ...)"
    assert table._repr_html_().count("<tr>") == 8 and "<th>x7</th>" in table._repr_html_()
    nothing = clusters_of_tokens(np.eye(200), np.full(200, 0.005), np.arange(200))
    assert repr(nothing) == "0 clusters at t = 0"


def test_what_is_no_state_is_refused() -> None:
    x, masses, labels = np.eye(3), np.full(3, 1.0 / 3.0), np.arange(3)
    for given, what in (
        ((2.0 * x, masses, labels), "tokens"),
        ((x, masses[:2], labels), r"masses of shape \(2,\)"),
        ((x, -masses, labels), "masses"),
        ((x, masses, labels[:1]), r"labels of shape \(1,\)"),
        ((x, masses, labels - 1), "labels"),
        ((x, masses, 0.5 * labels), "labels"),
    ):
        with pytest.raises(InputError, match=what):
            clusters_of_tokens(*given)
    mesh = icosphere(1)
    for rho in (np.ones(3), np.full(42, np.nan), -np.ones(42)):
        with pytest.raises(InputError, match="rho"):
            clusters_of_density(mesh, rho)
    with pytest.raises(InputError, match="mass of shape"):
        clusters_of_moved_density(mesh, np.zeros(42), np.ones(3), 1e-3)
    assert len(ClusterTable(0.0, x[:0], masses[:0], masses[:0], masses[:0], labels[:0])) == 0
