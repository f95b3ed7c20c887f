"""Wasserstein distances against closed forms, each other and their own bounds."""

from __future__ import annotations

import math
import warnings

import numpy as np
import ot
import pytest

from meanfield.analysis.coupling import levels
from meanfield.analysis.coupling.costs import cost_matrix
from meanfield.analysis.quadrature import density_measure, sample_density
from meanfield.analysis.wasserstein import (
    Effort,
    WassersteinResult,
    checked_measure,
    colatitudes,
    memory_needed,
    quantise,
    wasserstein,
)
from meanfield.analysis.wasserstein_1d import circle_cost
from meanfield.errors import InputError
from meanfield.geometry.laws import VonMisesFisher, standard_density
from meanfield.geometry.laws.tabulated import density_law
from meanfield.geometry.manifolds import manifold
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import (
    Array,
    geodesic_distance,
    normalize,
    random_rotation,
    uniform_points,
)
from meanfield.interaction.measure import Measure

cloud = Measure.equal

ALL = ("exact", "columns")


def on_circle(angle: Array | list[float]) -> Array:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def some_weights(n: int, rng: np.random.Generator) -> Array:
    w = rng.random(n) ** 3
    return w / w.sum()


def tight(n: int, width: float, centre: list[float], rng: np.random.Generator) -> Array:
    return normalize(np.array(centre) + width * rng.standard_normal((n, len(centre))))


# ---------------------------------------------------------------------------------------------
# Closed forms


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("method", ["auto", *ALL])
@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, math.pi - 1e-9, math.pi])
def test_two_diracs(p: int, method: str, d: int, angle: float) -> None:
    x = np.eye(d)[:1]
    y = math.cos(angle) * np.eye(d)[:1] + math.sin(angle) * np.eye(d)[1:2]
    result = wasserstein(cloud(x), cloud(y), p, method)
    assert result.distance == pytest.approx(angle, abs=2e-15)
    assert result.lower is not None and result.upper is not None
    assert result.lower <= result.distance <= result.upper


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("method", ["circle", *ALL])
def test_diracs_of_unequal_mass(p: int, method: str) -> None:
    """Mass 1 - a of one Dirac stays, a goes over the angle: a^{1/p} angle."""
    x = on_circle([0.2, 1.4])
    a = Measure(x, np.array([1.0, 0.0]))
    b = Measure(x, np.array([0.7, 0.3]))
    assert wasserstein(a, b, p, method).distance == pytest.approx(0.3 ** (1 / p) * 1.2, rel=1e-14)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("method", ["circle", *ALL])
def test_turned_copy_on_circle(p: int, method: str) -> None:
    """All mass in an arc, turned by alpha: everything moves by alpha."""
    rng = np.random.default_rng(1)
    angle, w = rng.uniform(0.0, 1.5, 60), some_weights(60, rng)
    a, b = Measure(on_circle(angle + 2.9), w), Measure(on_circle(angle + 2.9 + 0.31), w)
    assert wasserstein(a, b, p, method).distance == pytest.approx(0.31, rel=1e-12)


@pytest.mark.parametrize("n", [3, 16])
def test_regular_polygons(n: int) -> None:
    """Turned by half a step every vertex moves by pi/n; the way round does not matter."""
    angle = 2.0 * math.pi * np.arange(n) / n
    for p in (1, 2):
        result = wasserstein(cloud(on_circle(angle)), cloud(on_circle(angle + math.pi / n)), p)
        assert result.method == "circle"
        assert result.distance == pytest.approx(math.pi / n, rel=1e-13)


@pytest.mark.parametrize("method", ALL)
def test_equal_points_are_assigned(method: str) -> None:
    """n equal masses moved a little are matched with themselves, in any order."""
    rng = np.random.default_rng(2)
    x = icosphere(2).points
    y = normalize(x + 0.02 * rng.standard_normal(x.shape))
    angle = geodesic_distance(x, y)
    order = rng.permutation(len(x))
    for p in (1, 2):
        result = wasserstein(cloud(x), cloud(y[order]), p, method, plan=True)
        assert result.distance == pytest.approx(float(np.mean(angle**p)) ** (1 / p), rel=1e-12)
        assert result.plan is not None
        plan = result.plan.toarray()
        assert np.array_equal(plan.argmax(axis=1), np.argsort(order))
        np.testing.assert_allclose(plan.sum(axis=1), 1 / len(x), rtol=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_colatitudes_are_the_distance_of_axially_symmetric_measures(p: int) -> None:
    """Circles of latitude as 16 longitudes each: the full linear program gives the same number."""
    rng = np.random.default_rng(3)
    longitude = 2.0 * math.pi * np.arange(16) / 16

    def ring(theta: Array, w: Array) -> Measure:
        t, f = (g.ravel() for g in np.meshgrid(theta, longitude, indexing="ij"))
        x = np.stack([np.sin(t) * np.cos(f), np.sin(t) * np.sin(f), np.cos(t)], axis=1)
        return Measure(x, np.repeat(w / 16, 16))

    ta, tb = rng.uniform(0.0, math.pi, 25), rng.uniform(0.0, math.pi, 31)
    wa, wb = some_weights(25, rng), some_weights(31, rng)
    a, b = ring(ta, wa), ring(tb, wb)
    line = wasserstein(colatitudes(a), colatitudes(b), p)
    assert line.method == "meridian"
    assert wasserstein(a, b, p, "exact").distance == pytest.approx(line.distance, rel=1e-9)
    known = ot.emd2_1d(ta, tb, wa, wb, metric="minkowski", p=p) ** (1 / p)
    assert line.distance == pytest.approx(known, rel=1e-12)


def test_costs_are_angles_to_round_off() -> None:
    rng = np.random.default_rng(4)
    x = np.concatenate([uniform_points(50, 3, rng), np.eye(3)])
    y = np.concatenate([normalize(x + 1e-9 * rng.standard_normal(x.shape)), -x, x])
    known = geodesic_distance(x[:, None], y)
    np.testing.assert_allclose(cost_matrix(x, y, 1), known, rtol=4e-15, atol=1e-15)
    np.testing.assert_allclose(cost_matrix(x, y, 2), known**2, rtol=1e-14, atol=1e-30)


# ---------------------------------------------------------------------------------------------
# Properties


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("p", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_is_a_metric(method: str, p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_COARSE", 20)
    rng = np.random.default_rng(5)
    a, b, c = (Measure(uniform_points(n, 3, rng), some_weights(n, rng)) for n in (70, 90, 110))

    def distance(u: Measure, v: Measure) -> float:
        return wasserstein(u, v, p, method, effort=Effort(rtol=1e-9)).distance

    assert distance(a, a) < 1e-7
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-9)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    turn = random_rotation(3, rng)
    turned = [Measure(m.points @ turn.T, m.weights) for m in (a, b)]
    assert distance(*turned) == pytest.approx(distance(a, b), rel=1e-9)


def test_first_and_second_distance_are_ordered() -> None:
    rng = np.random.default_rng(6)
    a, b = cloud(uniform_points(80, 3, rng)), cloud(VonMisesFisher((0, 0, 1), 3.0).sample(90, rng))
    w1, w2 = (wasserstein(a, b, p).distance for p in (1, 2))
    assert w1 < w2 < math.sqrt(math.pi * w1)


# ---------------------------------------------------------------------------------------------
# One dimension


@pytest.mark.parametrize("kind", ["weights", "equal", "ties", "arcs"])
@pytest.mark.parametrize("p", [1, 2])
def test_circle_agrees_with_linear_program(kind: str, p: int) -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        n, m = rng.integers(1, 14, 2)
        x, y = rng.random(n), rng.random(m)
        a, b = some_weights(n, rng), some_weights(m, rng)
        if kind == "equal":
            a, b = np.full(n, 1 / n), np.full(m, 1 / m)
        elif kind == "ties":
            x, y = rng.integers(0, 4, n) / 4, rng.integers(0, 4, m) / 4
        elif kind == "arcs":
            x, y = 0.01 * x, 0.5 + 0.01 * y
        arc = np.abs(x[:, None] - y)
        arc = np.minimum(arc, 1.0 - arc)
        found = circle_cost(x, a, y, b, p)
        assert found.cost == pytest.approx(ot.emd2(a, b, arc**p), abs=1e-13)
        assert found.cost - 1e-14 <= found.lower <= found.cost
        source, target, mass = found.coupling
        np.testing.assert_allclose(np.bincount(source, mass, n), a, atol=1e-15)
        np.testing.assert_allclose(np.bincount(target, mass, m), b, atol=1e-15)
        assert float(mass @ arc[source, target] ** p) == pytest.approx(found.cost, abs=1e-13)


def test_circle_agrees_with_exact_on_the_circle() -> None:
    rng = np.random.default_rng(8)
    a = Measure(on_circle(rng.normal(0.0, 1.0, 300)), some_weights(300, rng))
    b = Measure(on_circle(rng.normal(2.0, 1.5, 400)), some_weights(400, rng))
    for p in (1, 2):
        circle_result, exact = wasserstein(a, b, p, "circle"), wasserstein(a, b, p, "exact")
        assert circle_result.distance == pytest.approx(exact.distance, abs=1e-10)


def test_a_case_that_pot_gets_wrong() -> None:
    """`ot.wasserstein_circle` (0.9.7) says 0.92 for p = 2; nothing is farther apart than 1/4."""
    x = np.array([0.34005827, 0.85397005, 0.27664982, 0.26243931, 0.04209922, 0.63491175])
    y = np.array([0.70652466, 0.19298706, 0.12518056, 0.23671369])
    a = np.array([7.73372533e-1, 1.97849821e-3, 1.45053768e-1, 3.54871091e-4, 7.90723785e-2])
    a = np.append(a, 1.67951320e-4)
    b = np.array([0.55632793, 0.29931215, 0.13676204, 0.00759788])
    a, b = a / a.sum(), b / b.sum()
    arc = np.abs(x[:, None] - y)
    arc = np.minimum(arc, 1.0 - arc)
    assert circle_cost(x, a, y, b, 2).cost == pytest.approx(ot.emd2(a, b, arc**2), abs=1e-14)


# ---------------------------------------------------------------------------------------------
# Column generation


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("kind", ["uniform", "d = 8", "weights", "clusters", "duplicates", "dirac"])
def test_columns_agree_with_exact(kind: str, p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_COARSE", 60)
    rng = np.random.default_rng(9)
    d = 8 if kind == "d = 8" else 3
    a, b = cloud(uniform_points(400, d, rng)), cloud(uniform_points(500, d, rng))
    if kind == "weights":
        b = Measure(b.points, 10.0 ** (-20.0 * rng.random(500)))
        b = Measure(b.points, b.weights / b.weights.sum())
    elif kind == "clusters":
        a, b = (
            cloud(
                np.concatenate(
                    [tight(k, 1e-3, [0, 0, 1], rng), tight(400 - k, 1e-3, [1, 0, 0], rng)]
                )
            )
            for k in (190, 210)
        )
    elif kind == "duplicates":
        a = cloud(np.repeat(uniform_points(40, 3, rng), 10, axis=0))
    elif kind == "dirac":
        a = cloud(np.tile([0.0, 0.6, 0.8], (400, 1)))
    exact = wasserstein(a, b, p, "exact")
    columns = wasserstein(a, b, p, "columns", plan=True)
    assert exact.lower is not None and columns.lower is not None and columns.plan is not None
    assert exact.distance - exact.lower < 1e-8 * exact.distance
    assert columns.lower <= exact.distance * (1 + 1e-12)
    assert columns.distance >= exact.distance * (1 - 1e-12)
    assert columns.distance - columns.lower < 1e-6 * columns.distance
    np.testing.assert_allclose(columns.plan.sum(axis=1).A1, a.weights, rtol=1e-6, atol=1e-14)
    np.testing.assert_allclose(columns.plan.sum(axis=0).A1, b.weights, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("p", [1, 2])
def test_tiny_clouds_keep_their_digits(method: str, p: int) -> None:
    """Clouds of size 1e-8 are as far apart as their flat, magnified pictures."""
    rng = np.random.default_rng(10)
    u, v = rng.standard_normal((2, 150, 2))
    flat = ot.emd2([], [], np.linalg.norm(u[:, None] - v, axis=2) ** p) ** (1 / p)
    a, b = (cloud(normalize(np.c_[1e-8 * w, np.ones(150)])) for w in (u, v))
    result = wasserstein(a, b, p, method)
    assert result.distance == pytest.approx(1e-8 * flat, rel=1e-6)
    assert result.lower == pytest.approx(result.distance, rel=1e-5)


def test_auto_leaves_the_dense_program_to_few_points() -> None:
    rng = np.random.default_rng(11)
    a, b = cloud(uniform_points(2001, 3, rng)), cloud(uniform_points(2001, 3, rng))
    assert wasserstein(a, cloud(b.points[:50])).method == "exact"
    result = wasserstein(a, b)
    assert result.method == "columns"
    assert result.distance == pytest.approx(wasserstein(a, b, method="exact").distance, rel=1e-6)


# ---------------------------------------------------------------------------------------------
# What is refused, cleaned and warned of


def test_weights_without_mass_are_dropped_and_the_plan_keeps_the_numbering() -> None:
    rng = np.random.default_rng(14)
    x = uniform_points(30, 3, rng)
    w = some_weights(30, rng)
    w[::3] = 0.0
    w /= w.sum()
    some = w > 0.0
    full = wasserstein(Measure(x, w), cloud(x), plan=True)
    few = wasserstein(Measure(x[some], w[some]), cloud(x))
    assert full.distance == few.distance
    assert full.plan is not None and full.plan.shape == (30, 30)
    np.testing.assert_allclose(full.plan.sum(axis=1).A1, w, atol=1e-15)


def test_points_are_projected_and_weights_normalised() -> None:
    rng = np.random.default_rng(15)
    x, y = uniform_points(30, 3, rng), uniform_points(40, 3, rng)
    known = wasserstein(cloud(x), cloud(y)).distance
    bent = Measure(x * (1.0 + 5e-7 * rng.uniform(-1, 1, (30, 1))), np.full(30, (1 + 5e-7) / 30))
    assert wasserstein(bent, cloud(y)).distance == pytest.approx(known, rel=1e-12)


def test_weights_have_the_sum_one_to_the_last_bit_in_any_order() -> None:
    rng = np.random.default_rng(16)
    for n in [1, 2, 3, 7, 250, 4000, 100_003, *rng.integers(1, 3000, 50)]:
        for w in (some_weights(n, rng), np.full(n, 1.0 / n)):
            _, found, kept = checked_measure(Measure(uniform_points(n, 3, rng), w))
            for again in (found, found[::-1], rng.permutation(found)):
                assert again.sum() == 1.0 and np.cumsum(again)[-1] == 1.0
            np.testing.assert_allclose(found, w[kept] / w.sum(), rtol=0, atol=2.0**-52)
            assert np.delete(w, kept).sum() < 1e-16 * n


def two_points() -> Measure:
    return cloud(np.eye(3)[:2])


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (Measure(np.zeros((0, 3)), np.zeros(0)), "no points found"),
        (Measure(np.eye(3), np.ones(3)), "weights with the sum 3 found, 1 expected"),
        (Measure(np.eye(3), np.full(3, 0.33)), "weights with the sum 0.99 found"),
        (Measure(np.eye(3), np.array([1.5, -0.5, 0.0])), r"weight 1 is -0\.5 .*>= 0 expected"),
        (Measure(np.eye(3), np.array([0.5, np.nan, 0.5])), "weight 1 is nan .1 like it."),
        (cloud(np.array([[1.0, 0, 0], [np.nan, 0, 0]])), "point 1 is .nan"),
        (cloud(np.array([[1.0, 0, 0], [np.inf, 0, 0]])), "gone wrong"),
        (cloud(np.array([[1.0, 0, 0], [0, 1.00001, 0]])), r"point 1 has length 1\.00001"),
        (cloud(np.eye(4)), "4 and 3 coordinates found"),
        (cloud(np.ones((2, 1))), "1 and 3 coordinates found, .* colatitudes"),
        (cloud(np.full((2, 1), 4.0)), "colatitudes 4 to 4 found, 0 to pi"),
        (Measure(np.eye(3), np.ones(2) / 2), "one for each of 3"),
        (Measure(np.ones(3), np.ones(3) / 3), r"shape \(3,\) found, \(n, d\)"),
    ],
)
def test_measures_that_are_none(measure: Measure, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wasserstein(measure, two_points())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 3}, "p = 3 found, 1 or 2"),
        ({"method": "sinkhorn"}, "one of auto, exact, columns"),
        ({"method": "exakt"}, "did you mean 'exact'"),
        ({"method": "circle"}, r"needs points in R\^2, points in R\^3 found"),
        ({"method": "meridian"}, "needs colatitudes"),
        ({"method": "sliced"}, "'sliced' is gone: 'bracket' takes less time"),
        ({"method": "bracket", "effort": Effort(blocks=0)}, "blocks = 0 found, at least 1"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wasserstein(two_points(), two_points(), **options)  # type: ignore[arg-type]


def test_memory_is_refused_before_it_is_taken() -> None:
    """80 GB of costs would not fit: the refusal names the need and the ways out."""
    n = 100_000
    x = uniform_points(n, 3, np.random.default_rng(17))
    assert memory_needed(n, n) > 4e11
    with pytest.raises(InputError, match=r"needs 408\.0 GB, the limit is 4\.0: use 'columns'") as e:
        wasserstein(cloud(x), cloud(x), method="exact")
    for way in ("bracket", "quantise", "subsample", "memory_limit"):
        assert way in str(e.value)
    few = cloud(x[:100])
    with pytest.raises(InputError, match=r"limit is 0\.0"):
        wasserstein(few, few, method="exact", effort=Effort(memory_limit=1e5))


@pytest.mark.parametrize("method", ALL)
def test_warnings_of_pot_are_errors(method: str) -> None:
    rng = np.random.default_rng(18)
    a, b = cloud(uniform_points(50, 3, rng)), cloud(uniform_points(60, 3, rng))
    with pytest.raises(RuntimeError, match=r"POT found no optimal coupling .* max_iterations"):
        wasserstein(a, b, method=method, effort=Effort(max_iterations=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wasserstein(a, b, method=method)


# ---------------------------------------------------------------------------------------------
# Densities as points, and fewer points: the bounds are bounds


def test_interval_is_the_triangle_inequality() -> None:
    result = WassersteinResult(0.3, 2, "columns", 0.29, 0.3)
    assert result.interval(0.05, 0.01) == pytest.approx((0.23, 0.36))
    assert result.interval(0.5)[0] == 0.0


@pytest.mark.parametrize("size", [1, 20, 300])
def test_quantising_costs_no_more_than_it_says(size: int) -> None:
    rng = np.random.default_rng(19)
    a = Measure(VonMisesFisher((0, 0, 1), 2.0).sample(500, rng), some_weights(500, rng))
    b = cloud(uniform_points(300, 3, rng))
    for p in (1, 2):
        few, bound = quantise(a, size, p)
        assert len(few.weights) <= size
        assert few.weights.sum() == pytest.approx(1.0, abs=1e-14)
        moved = wasserstein(a, few, p).distance
        assert 0.8 * bound < moved <= bound * (1 + 1e-12)
        low, high = wasserstein(few, b, p).interval(bound)
        assert low <= wasserstein(a, b, p).distance <= high
    same, bound = quantise(a, 500)
    assert bound < 1e-15 and len(same.weights) == 500


def bumpy(mesh: Mesh) -> Array:
    """Some positive density that no cell sees as constant."""
    x = mesh.embedded()
    return np.exp(2.0 * x[:, -1]) * (1.2 + np.sin(3.0 * x[:, 0]))


@pytest.mark.parametrize(
    "mesh",
    [
        icosphere(1),
        pytest.param(icosphere(2), marks=pytest.mark.slow),
        circle(9),
        circle(60),
        zonal_interval(9, 3),
        zonal_interval(20, 7),
    ],
    ids=lambda m: f"{m.geometry}-{m.d}-{m.n_vertices}",
)
@pytest.mark.parametrize("refine", [1, 2])
def test_density_is_as_near_to_its_points_as_stated(mesh: Mesh, refine: int) -> None:
    rho = bumpy(mesh)
    coarse, bound = density_measure(mesh, rho, refine)
    cuts = {42: 8, 162: 3}.get(mesh.n_vertices, 40) * refine
    fine, rest = density_measure(mesh, rho, cuts if mesh.geometry == "sphere" else 40)
    assert coarse.weights.sum() == pytest.approx(1.0, abs=1e-13)
    distance = wasserstein(coarse, fine, 2).distance
    assert distance <= bound + rest
    assert distance >= 0.7 * bound - rest  # and not much nearer: the bound is worth something
    assert wasserstein(coarse, fine, 1).distance <= bound + rest
    mean = [(m.weights[:, None] * np.cos(m.points)).sum(axis=0) for m in (coarse, fine)]
    assert np.abs(mean[0] - mean[1]).max() < bound


def test_bound_of_a_uniform_circle() -> None:
    """Arcs of length 2 pi / n gathered in their middles: root mean square 2 pi / (n sqrt(12))."""
    for n in (10, 200):
        mesh = circle(n)
        points, bound = density_measure(mesh, np.ones(n))
        arc = 2.0 * math.pi / n / math.sqrt(12.0)
        assert arc < bound < arc * (1.0 + 3.0 / n)  # bounded from above, by the flat cell
        np.testing.assert_allclose(points.weights, 1.0 / n, rtol=1e-12)


def test_more_points_where_there_is_more_mass() -> None:
    mesh = icosphere(3)
    rho = VonMisesFisher((0, 0, 1), 30.0).density(mesh.points)
    plain, bound = density_measure(mesh, rho)
    fine, better = density_measure(mesh, rho, points=5000)
    assert len(plain.weights) == mesh.n_cells and 5000 < len(fine.weights) < 8000
    assert better < 0.4 * bound
    even, evenly = density_measure(mesh, rho, refine=2)
    assert len(even.weights) == 4 * mesh.n_cells and better < evenly < 0.6 * bound


def test_density_points_are_those_of_the_law() -> None:
    """Low moments of the points converge to those of many samples of the same law."""
    rng = np.random.default_rng(20)
    for mesh in (icosphere(2), circle(12), zonal_interval(12, 5)):
        law = density_law(mesh, bumpy(mesh))
        points, _ = density_measure(mesh, bumpy(mesh), 8)
        sample = cloud(sample_density(mesh, bumpy(mesh), 200_000, rng))
        assert sample.points.shape == (200_000, mesh.d) and law.d == mesh.d  # type: ignore[union-attr]
        if mesh.geometry == "zonal":
            sample = colatitudes(sample)
        harmonics = manifold(mesh.geometry, mesh.d).harmonics(3)
        gap = harmonics.moments(points.points, points.weights) - harmonics.moments(
            sample.points, sample.weights
        )
        assert np.abs(gap).max() < 5.0 * 2.0 / math.sqrt(200_000)  # |Y_k| <= 2 or so


def test_densities_that_are_none() -> None:
    mesh = icosphere(1)
    with pytest.raises(InputError, match="one number for each of 42"):
        density_measure(mesh, np.ones(3))
    with pytest.raises(InputError, match="a density, >= 0"):
        density_measure(mesh, np.linspace(-1, 1, 42))
    with pytest.raises(InputError, match="refine = 0 found"):
        density_measure(mesh, np.ones(42), 0)


# ---------------------------------------------------------------------------------------------
# Size


@pytest.mark.slow
def test_four_thousand_particles_against_a_fine_density() -> None:
    """The cross-check's usual comparison: both ways agree, bounds close, an interval for all."""
    rng = np.random.default_rng(21)
    mesh = icosphere(5)
    rho = standard_density().density(mesh.points)
    particles = cloud(sample_density(mesh, rho, 4000, rng))
    nodal = np.bincount(mesh.cells.ravel(), np.repeat(rho[mesh.cells].sum(axis=1), 3), len(rho))
    reference = Measure(mesh.points, nodal / nodal.sum())
    result = wasserstein(particles, reference)
    assert result.method == "columns" and result.lower is not None
    assert result.distance - result.lower < 1e-6 * result.distance
    exact = wasserstein(particles, reference, method="exact")
    assert result.distance == pytest.approx(exact.distance, rel=1e-6)
    few, moved = quantise(reference, 2500)
    low, high = wasserstein(particles, few).interval(moved)
    assert low <= exact.distance <= high
