"""Trees, searches and levels against brute force, the dense program and a law of known distance."""

from __future__ import annotations

import itertools
import math

import numba
import numpy as np
import pytest

from meanfield.analysis.coupling import levels, search
from meanfield.analysis.coupling.costs import cost_matrix
from meanfield.analysis.coupling.lift import blocks, lifted
from meanfield.analysis.coupling.tree import CENTRE, HALF, MODEL, SLOPE, WIDTH, Tree
from meanfield.analysis.wasserstein import Effort, WassersteinResult, checked_measure, wasserstein
from meanfield.analysis.wasserstein_1d import Coupling
from meanfield.geometry.laws import VonMisesFisher
from meanfield.geometry.sphere import Array, normalize, random_rotation, uniform_points
from meanfield.interaction.measure import Measure

UNIFORM_AGAINST_VMF = 0.9837408392
"""W_2 of the uniform law and von Mises-Fisher's for kappa = 4 on S^2 (Richardson, 1e-6)."""


def lattice(n: int, turn: float = 0.0) -> Array:
    """Fibonacci's points."""
    k = np.arange(n) + 0.5
    z, angle = 1.0 - 2.0 * k / n, math.pi * (1.0 + math.sqrt(5.0)) * k + turn
    r = np.sqrt(1.0 - z * z)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)


def weighted(x: Array, axis: tuple[float, ...], kappa: float) -> Measure:
    w = np.exp(kappa * (x @ normalize(np.array(axis)) - 1.0))
    return Measure(x, w / w.sum())


def nodes(n: int) -> tuple[Measure, Measure]:
    """Equal weights on a lattice, and those of von Mises-Fisher's density on another one."""
    y = np.ascontiguousarray(lattice(n, 0.7)[:, [2, 0, 1]])
    return Measure.equal(lattice(n)), weighted(y, (1.0, 2.0, 3.0), 4.0)


def pairs_of(kind: str, n: int) -> tuple[Measure, Measure]:
    rng = np.random.default_rng(1)
    if kind == "clouds":
        cloud = VonMisesFisher((0, 0, 1), 4.0).sample(n, rng)
        return Measure.equal(uniform_points(n, 3, rng)), Measure.equal(cloud)
    if kind == "nodes":
        return nodes(n)
    return weighted(lattice(n), (0, 0, 1), 8.0), weighted(
        np.ascontiguousarray(lattice(n, 0.7)[:, [2, 0, 1]]), (0.0, 0.035, 1.0), 8.0
    )


# --------------------------------------------------------------------------- trees and searches


def potentials(y: Array, rng: np.random.Generator) -> dict[str, Array]:
    far = np.linalg.norm(y - y[0], axis=1)
    return {
        "random": rng.standard_normal(len(y)),
        "constant": np.full(len(y), 0.3),
        "kinked": np.abs(y[:, 0]) - np.minimum(0.4, far) + (y[:, 1] > 0.2),
        "smooth": far**2,
    }


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [2, 3, 4])
def test_boxes_are_bounded_from_below(p: int, d: int) -> None:
    """For all boxes, from everywhere: at the centre, in the box, opposite to it and in between."""
    rng = np.random.default_rng(2)
    close = normalize(np.eye(d)[0] + 1e-3 * rng.standard_normal((60, d)))
    y = np.concatenate([uniform_points(150, d, rng), close])
    tree = Tree.of(y)
    for name, v in potentials(y, rng).items():
        ordered = tree.fit(v)
        centre = tree.nodes[:, CENTRE : CENTRE + WIDTH]
        near = [sign * row[:d] for row in centre for sign in (1.0, -1.0) if np.any(row)]
        x = np.concatenate([uniform_points(200, d, rng), normalize(np.array(near)), y, -y])
        wide = np.hstack([x, np.zeros((len(x), WIDTH - d))])
        excess = cost_matrix(wide, tree.points, p) - ordered
        distance = np.linalg.norm(wide[:, None] - centre, axis=2)
        assert distance.min() < 1e-2 and distance.max() > 1.999
        for k in range(len(tree.low)):
            least = excess[:, tree.low[k] : tree.high[k]].min(axis=1)
            bound = [search._bound(wide, i, tree.nodes, k, p) for i in range(len(x))]
            assert np.all(np.array(bound) <= least), (name, k)


@pytest.mark.parametrize("p", [1, 2])
def test_bounds_of_boxes_are_of_second_order(p: int) -> None:
    """Where c - v is flat, boxes of half the size have a quarter of the error."""
    x = np.array([[0.0, 0.0, 1.0, 0.0]])
    errors = []
    for n in (2_000, 8_000, 32_000):
        tree = Tree.of(lattice(n))
        ordered = tree.fit(cost_matrix(x[:, :3], lattice(n), p)[0])
        excess = cost_matrix(x, tree.points, p)[0] - ordered
        found = []
        for k in np.flatnonzero((tree.left < 0) & (np.abs(tree.nodes[:, CENTRE + 2]) < 0.8)):
            least = excess[tree.low[k] : tree.high[k]].min()
            found.append(least - search._bound(x, 0, tree.nodes, k, p))
        errors.append(np.mean(found))
    assert 3.0 < errors[0] / errors[1] < 5.0 and 3.0 < errors[1] / errors[2] < 5.0


def test_models_are_above_the_potential() -> None:
    rng = np.random.default_rng(3)
    y = uniform_points(500, 3, rng)
    tree = Tree.of(y)
    assert np.array_equal(np.sort(tree.order), np.arange(500))
    for v in potentials(y, rng).values():
        ordered = tree.fit(v)
        for low, high, row in zip(tree.low, tree.high, tree.nodes, strict=True):
            from_centre = tree.points[low:high] - row[CENTRE:HALF]
            assert np.all(np.abs(from_centre) <= row[HALF:SLOPE])
            above = row[MODEL] + from_centre @ row[SLOPE:MODEL] - ordered[low:high]
            assert -1e-14 < above.min() < 1e-14
    # A linear potential is known to where the ridge leaves it.
    tree.fit(y @ np.array([0.3, -0.2, 0.9]))
    assert np.allclose(tree.nodes[0, SLOPE:MODEL], [0.3, -0.2, 0.9, 0.0], rtol=0.01, atol=0.005)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [2, 3, 4, 6])
def test_search_is_brute_force(p: int, d: int) -> None:
    rng = np.random.default_rng(4)
    y = uniform_points(700, d, rng)
    x = np.concatenate([uniform_points(150, d, rng), y[:50], -y[:50], np.eye(d)])
    costs = cost_matrix(x, y, p)
    for v in potentials(y, rng).values():
        known = np.sort(costs - v, axis=1)[:, :5]
        value, index = search.smallest(search.Points(x), search.Points(y), v, p, 5)
        np.testing.assert_allclose(value, known, rtol=0, atol=1e-14)
        rows = np.arange(len(x))[:, None]
        np.testing.assert_allclose(costs[rows, index] - v[index], value, rtol=0, atol=1e-14)
        assert all(len(set(row)) == 5 for row in index)
        # Below limits only: nothing else is found, and nothing of this is missed.
        limits = known[:, 2].copy()
        some, at = search.smallest(search.Points(x), search.Points(y), v, p, 5, limits)
        for i in range(len(x)):
            below = value[i][value[i] < limits[i]]
            assert np.array_equal(some[i][at[i] >= 0], below)


def test_search_does_not_depend_on_threads() -> None:
    rng = np.random.default_rng(5)
    x, y = uniform_points(2000, 3, rng), uniform_points(3000, 3, rng)
    v = 0.1 * rng.standard_normal(3000)
    before = numba.get_num_threads()
    found = []
    try:
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            found.append(search.smallest(search.Points(x), search.Points(y), v, 2, 4))
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert np.array_equal(one, two)


# ------------------------------------------------------------------------------------- levels


def test_blocks_keep_the_mass_and_lifting_the_marginals() -> None:
    rng = np.random.default_rng(6)
    points, a, _ = checked_measure(Measure.equal(uniform_points(1000, 3, rng)))
    b = rng.dirichlet(np.full(700, 0.1))
    x, order = search.Points.in_order(points)
    assert np.array_equal(x.points[:, :3], points[order])
    centres, mass = blocks(x.points, a, 32)
    assert mass.sum() == 1.0 and np.allclose(np.linalg.norm(centres, axis=1), 1.0)
    # Blocks are boxes of the tree, all of them: none has points on both sides of a cut.
    assert x.tree is not None
    edges = np.concatenate([[0], np.cumsum(np.rint(1000 * mass))]).astype(int)
    ranges = set(zip(x.tree.low, x.tree.high, strict=True))
    assert all((low, high) in ranges for low, high in itertools.pairwise(edges))
    y = np.ones((700, 3)) / math.sqrt(3.0)
    coarse_b = blocks(y, b, 16)[1]
    i, j = (part.ravel() for part in np.indices((32, 16)))
    plan = lifted(Coupling(i, j, np.outer(mass, coarse_b).ravel()), a, b)
    np.testing.assert_allclose(np.bincount(plan.source, plan.mass, 1000), a, atol=1e-15)
    np.testing.assert_allclose(np.bincount(plan.target, plan.mass, 700), b, atol=1e-15)
    # Antipodes have no mean direction: a point of theirs stands for them.
    pole = np.array([[0.0, 0, 1], [0, 0, -1]])
    assert np.array_equal(blocks(pole, np.full(2, 0.5), 1)[0], pole[:1])


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("kind", ["clouds", "nodes", "near"])
@pytest.mark.parametrize(
    "n", [400, pytest.param(2500, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_bounds_hold_the_dense_optimum(
    n: int, kind: str, p: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if n == 400:
        monkeypatch.setattr(levels, "_COARSE", 50)
    a, b = pairs_of(kind, n)
    exact = wasserstein(a, b, p, "exact")
    slack = 1e-12
    columns = wasserstein(a, b, p, "columns", effort=Effort(rtol=1e-5))
    assert columns.lower - slack <= exact.distance <= columns.upper + slack
    assert columns.upper**p - columns.lower**p <= 1e-5 * columns.upper**p
    widths = []
    for count in (n // 8, n // 2, n):
        rough = wasserstein(a, b, p, "bracket", effort=Effort(blocks=count), plan=True)
        assert rough.lower - slack <= exact.distance <= rough.upper + slack
        assert rough.plan is not None
        np.testing.assert_allclose(rough.plan.sum(axis=0).A1, b.weights, atol=1e-14)
        np.testing.assert_allclose(rough.plan.sum(axis=1).A1, a.weights, atol=1e-14)
        widths.append(rough.upper**p - rough.lower**p)
    assert widths[2] < widths[1] < widths[0]
    if p == 2:
        assert widths[0] < 25.0 / (n // 16) and widths[1] < 25.0 / (n // 4)


def test_bracket_is_symmetric_and_turns() -> None:
    rng = np.random.default_rng(7)
    a, b = pairs_of("clouds", 1000)
    a = Measure.equal(a.points[:600])
    one, two = (wasserstein(*m, 2, "bracket", effort=Effort(blocks=100)) for m in ((a, b), (b, a)))
    assert (one.lower, one.upper) == pytest.approx((two.lower, two.upper), rel=1e-12)
    turn = random_rotation(3, rng)
    far = wasserstein(*(Measure(m.points @ turn.T, m.weights) for m in (a, b)), 2, "columns")
    assert one.lower < far.lower and far.upper < one.upper


@pytest.mark.parametrize("p", [1, 2])
def test_a_measure_is_at_no_distance_from_itself(p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_COARSE", 100)
    a = weighted(lattice(900), (0, 0, 1), 6.0)
    found = wasserstein(a, a, p, "columns")
    assert found.upper**p < 1e-10 and found.lower >= 0.0


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("kind", ["one point", "twelve decades"])
def test_weights_far_from_equal(kind: str, p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_COARSE", 60)
    rng = np.random.default_rng(8)
    a = Measure.equal(uniform_points(500, 3, rng))
    if kind == "one point":
        w = np.full(600, 0.1 / 599)
        w[17] = 0.9
    else:
        w = 10.0 ** rng.uniform(-12.0, 0.0, 600)
    b = Measure(uniform_points(600, 3, rng), w / w.sum())
    exact, found = (wasserstein(a, b, p, method, plan=True) for method in ("exact", "columns"))
    assert found.lower * (1 - 1e-12) <= exact.distance <= found.upper * (1 + 1e-12)
    assert found.upper - found.lower < 1e-6 * found.upper
    assert found.plan is not None
    np.testing.assert_allclose(found.plan.sum(axis=0).A1, b.weights, rtol=1e-9, atol=1e-15)


def test_four_dimensions_by_the_tree_are_those_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levels, "_COARSE", 60)
    rng = np.random.default_rng(9)
    x, y = uniform_points(500, 4, rng), normalize(uniform_points(600, 4, rng) + 0.5)
    flat = [Measure.equal(points) for points in (x, y)]
    wide = [Measure.equal(np.hstack([points, np.zeros((len(points), 2))])) for points in (x, y)]
    found: list[WassersteinResult] = [wasserstein(*m, 2, "columns") for m in (flat, wide)]
    assert found[0].distance == pytest.approx(found[1].distance, rel=1e-6)


@pytest.mark.slow
def test_uniform_against_von_mises_fisher() -> None:
    """W of lattices is the exact one + 2.52 / n; extrapolated it is that to a few 1e-6."""
    n = (5_000, 20_000)
    w = [wasserstein(*nodes(k), 2, "columns").distance for k in n]
    for k, found in zip(n, w, strict=True):
        assert found - UNIFORM_AGAINST_VMF == pytest.approx(2.52 / k, rel=0.02)
    limit = (n[1] * w[1] - n[0] * w[0]) / (n[1] - n[0])
    assert limit == pytest.approx(UNIFORM_AGAINST_VMF, abs=2e-6)


@pytest.mark.slow
def test_bracket_of_many_points() -> None:
    """1e5 against 3e4 nodes by 4096 blocks: true bounds, some 10 / 4096 apart."""
    a, b = Measure.equal(lattice(100_000)), nodes(30_000)[1]
    found = wasserstein(a, b, 2, "bracket", effort=Effort(blocks=4_096))
    # Of the laws, up to half the spacing of the nodes.
    assert found.lower - 3e-4 < UNIFORM_AGAINST_VMF < found.upper
    assert found.upper**2 - found.lower**2 < 15.0 / 4_096
