"""Narrow Gaussians: what is exact, what orders say, and what finer references do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.case.gaussians import clusters_of
from meanfield.case.terms import kappa_in_time
from meanfield.dynamics.gaussians import GaussianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.laws import Cap, Mixture, Uniform, VonMisesFisher
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

TIGHT = mf.Gaussians(rtol=1e-11, atol=1e-13)


def sa(beta: float = 9.0, d: int = 3) -> AnyInteraction:
    return mf.Model(attention="sa", beta=beta).on(mf.Unmeshed(d=d))


def linear(d: int = 3) -> AnyInteraction:
    """W = <x, y>: X = P_x m, m the mean."""
    return mf.Model(interaction={"type": "power", "k": 1}).on(mf.Unmeshed(d=d))  # type: ignore[arg-type]


def three(d: int = 3, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    x = np.eye(d)[-1] + 0.35 * rng.standard_normal((3, d))
    return np.asarray(x / np.linalg.norm(x, axis=1)[:, None])


def at(solver: GaussianSolver, t: float) -> GaussianSolver:
    while solver.t < t:
        solver.advance(t)
    return solver


def second(solver: GaussianSolver) -> Array:
    x = solver.x
    return np.asarray((x * solver.weights[:, None]).T @ x)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_points_have_the_moments_of_the_law(d: int) -> None:
    """Mean directions, and second moments of a von Mises-Fisher law: (1 - E <x, n>^2)/(d - 1)."""
    law = VonMisesFisher(tuple(three(d)[0]), 80.0)
    centres, variances, masses = clusters_of(law)
    solver = GaussianSolver(sa(d=d), centres, variances, masses, kappa=1e-3)
    x, w = solver.x, solver.weights
    assert len(w) == (5 if d < 4 else 3) ** (d - 1) and abs(w.sum() - 1.0) < 1e-15
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=1e-15)
    angle = np.linspace(0.0, math.pi, 100_001)
    density = np.exp(80.0 * (np.cos(angle) - 1.0)) * np.sin(angle) ** (d - 2)
    exact = np.trapezoid(density * np.sin(angle) ** 2) / np.trapezoid(density) / (d - 1)
    n = np.array(law.mean)
    away = np.eye(d) - np.outer(n, n)
    np.testing.assert_allclose(away @ second(solver) @ away, exact * away, atol=3e-7)
    np.testing.assert_allclose(away @ (w @ x), 0.0, atol=1e-15)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_without_field_second_moments_are_those_of_brownian_motion(d: int) -> None:
    """d/dt E x x^T = 2 kappa (1 - d x x^T): the variance goes to 1/d, at the rate 2 d kappa."""
    s, kappa = 0.01, 0.01
    drifting = mf.Model(drift=mf.Drift(matrix=np.zeros((d, d)).tolist())).on(mf.Unmeshed(d=d))
    free = at(
        GaussianSolver(drifting, np.eye(d)[:1], np.array([s]), options=TIGHT, kappa=kappa), 1.0
    )
    exact = 1.0 / d + (s - 1.0 / d) * math.exp(-2.0 * d * kappa)
    np.testing.assert_allclose(free.variances, exact, rtol=1e-9)


@pytest.mark.parametrize("d", [2, 3])
def test_at_rest_a_cluster_of_the_linear_kernel_is_kappa_wide(d: int) -> None:
    """The law at rest is von Mises-Fisher with k = A(k)/kappa: its variance A(k)/k is kappa.

    Gaussians have that in the limit of narrow ones, the error of one order more than kappa.
    """
    errors = []
    for kappa in (0.01, 0.005, 0.0025):
        start = np.array([kappa])
        solver = at(
            GaussianSolver(linear(d), np.eye(d)[:1], start, options=TIGHT, kappa=kappa), 30.0
        )
        errors.append(float(abs(solver.variances.max() / kappa - 1.0)))
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] > 3.6 and errors[1] / errors[2] > 3.6


def test_two_clusters_on_the_circle_merge_as_a_fine_mesh_says() -> None:
    """Second moments across; implicit, extrapolated from 2 000 and 4 000 vertices (to 3e-4)."""
    a = 0.4
    centres = np.array([[-math.sin(a), math.cos(a)], [math.sin(a), math.cos(a)]])
    law = Mixture([VonMisesFisher(tuple(n), 300.0) for n in centres], [0.6, 0.4])
    solver = GaussianSolver(sa(d=2), *clusters_of(law), kappa=3e-3)
    found = [
        float(np.linalg.eigvalsh(second(at(solver, t)))[0]) for t in (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
    ]
    reference = [0.127701, 0.104266, 0.049223, 0.014057, 0.004923, 0.003126]
    np.testing.assert_allclose(found, reference, rtol=6e-3)
    np.testing.assert_allclose(found[0], reference[0], rtol=4e-4)
    np.testing.assert_allclose(found[-1], reference[-1], rtol=4e-4)


@pytest.mark.parametrize(
    ("d", "exact"), [(2, [0.0320300, 0.0264787, 0.0248608]), (3, [0.0318344, 0.0264449, 0.0248294])]
)
def test_one_cluster_is_as_wide_as_a_mesh_says(d: int, exact: list[float]) -> None:
    """sa, beta = 9, kappa = .02; implicit, 1 000 vertices on S^1 and 600 latitudes.

    Three points of a direction make .7 % to .9 % of it. What is curved is odd in u: of three
    points, as lines are.
    """
    clusters = clusters_of(VonMisesFisher(tuple(np.eye(d)[-1]), 20.0))
    solver = GaussianSolver(sa(d=d), *clusters, kappa=0.02)
    curved = [float(solver.nonaffine()[0])]
    for t, variance in zip((1.0, 2.0, 3.0), exact, strict=True):
        assert np.linalg.eigvalsh(second(at(solver, t)))[0] == pytest.approx(variance, rel=2.5e-3)
        curved.append(float(solver.nonaffine()[0]))
    assert 0.03 < curved[0] < 0.07 and curved == sorted(curved, reverse=True)
    assert curved[0] ** 2 > 2.5e-3 / 6.0


def test_nonaffine_sees_odd_curves_in_high_dimensions_too() -> None:
    """By points beside those of the solver, which are three in a direction."""
    four = np.eye(4)
    curved = []
    for variance in (0.02, 0.01):
        solver = GaussianSolver(linear(4), four[:1], np.array([variance]), kappa=0.02)
        curved.append(float(solver.nonaffine()[0]))
    assert curved[0] > 0.01 and 1.6 < curved[0] / curved[1] < 4.2


def test_a_cluster_that_widens_is_told_and_ends_with_its_own_words() -> None:
    solver = GaussianSolver(sa(), np.eye(3)[:1], np.array([0.045]), kappa=0.2)
    assert solver.wide_from is None
    with pytest.raises(mf.BrokenInvariantError, match=r"Gaussian of variances 0\.16.*expected 'im"):
        at(solver, 5.0)
    assert solver.wide_from is not None and 0.0 < solver.wide_from < solver.t
    np.testing.assert_allclose(solver.variances.sum(), 1.0 / 3.0, rtol=1e-6)


def test_gaussians_of_no_width_are_tokens() -> None:
    x, masses = three(), np.array([0.5, 0.3, 0.2])
    narrow = GaussianSolver(sa(), x, np.full(3, 1e-12), masses, options=TIGHT, kappa=1e-12)
    options = mf.Particles(rtol=1e-11, atol=1e-13, merge=False)
    tokens = ParticleSolver(sa(), x, masses, options=options)
    at(narrow, 2.0)
    while tokens.t < 2.0:
        tokens.advance(2.0)
    np.testing.assert_allclose(narrow.centres, tokens.x, atol=1e-9)


def test_overlapping_gaussians_are_as_good_as_one() -> None:
    """The equation is linear in the law, for a given field: nothing has to be merged."""
    x = three()
    kw: dict[str, Any] = {"options": TIGHT, "kappa": 2e-3}
    s = np.array([3e-3, 4e-3, 5e-3])
    whole = GaussianSolver(sa(), x, s, np.array([0.5, 0.3, 0.2]), **kw)
    index = [0, 1, 0, 2, 1]
    parts = GaussianSolver(sa(), x[index], s[index], np.array([0.4, 0.1, 0.1, 0.2, 0.2]), **kw)
    assert abs(whole.entropy() - parts.entropy()) < 1e-12
    at(whole, 3.0)
    at(parts, 3.0)
    np.testing.assert_allclose(parts.centres, whole.centres[index], atol=1e-10)
    np.testing.assert_allclose(parts.variances, whole.variances[index], rtol=1e-8)
    assert abs(whole.entropy() - parts.entropy()) < 1e-8


def test_a_rotation_of_the_start_is_one_of_the_end() -> None:
    x, s, m = three(), np.array([3e-3, 4e-3, 5e-3]), np.array([0.5, 0.3, 0.2])
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    one = at(GaussianSolver(sa(), x, s, m, options=TIGHT, kappa=2e-3), 2.0)
    other = at(GaussianSolver(sa(), x @ turn.T, s, m, options=TIGHT, kappa=2e-3), 2.0)
    # The points of a rule turn with its axes only: sixth moments, of the order of s^3.
    np.testing.assert_allclose(other.centres, one.centres @ turn.T, atol=2e-5)
    np.testing.assert_allclose(other.variances, one.variances, rtol=2e-3)
    assert abs(other.entropy() - one.entropy()) < 1e-3


def test_entropy_is_the_integral_of_the_sum() -> None:
    """On the circle by a fine grid, of clusters that overlap, and of some that do not."""
    grid = np.linspace(-math.pi, math.pi, 100_000, endpoint=False)
    for gap in (0.1, 1.0):
        angles, s, m = np.array([0.0, gap]), np.array([2e-3, 4e-3]), np.array([0.7, 0.3])
        x = np.column_stack([np.sin(angles), np.cos(angles)])
        rho = np.zeros_like(grid)
        for angle, variance, mass in zip(angles, s, m, strict=True):
            u, along = np.sin(grid - angle), np.cos(grid - angle)
            bell = np.exp(-0.5 * u * u / variance) / math.sqrt(2.0 * math.pi * variance)
            rho += mass * bell * np.maximum(along, 0.0) * 2.0 * math.pi
        some = rho[rho > 0.0]
        exact = np.sum(some * np.log(some)) / len(grid)
        assert abs(np.mean(rho) - 1.0) < 1e-12
        found = GaussianSolver(sa(d=2), x, s, m, kappa=1e-3).entropy()
        assert abs(found - exact) < (2e-3 if gap == 0.1 else 1e-6)


def test_covariances_stay_positive_and_tangent() -> None:
    solver = GaussianSolver(sa(), three(), np.array([1e-6, 1e-2, 3e-3]), kappa=1e-4)
    for t in (0.1, 1.0, 4.0):
        at(solver, t)
        along = np.einsum("ki,kij->kj", solver.centres, solver.factors)
        np.testing.assert_allclose(along, 0.0, atol=1e-15)
        assert solver.variances.min() > 0.0
        assert abs(solver.weights.sum() - 1.0) < 1e-15


def test_a_state_goes_on_to_the_same_bits() -> None:
    start = (three(), np.array([3e-3, 4e-3, 5e-3]))
    whole = GaussianSolver(sa(), *start, kappa=1e-3)
    other = GaussianSolver(sa(), *start, kappa=1e-3)
    at(whole, 1.0)
    other.restore(whole.state())
    at(whole, 2.0)
    at(other, 2.0)
    np.testing.assert_array_equal(whole.x, other.x)
    assert whole.step == other.step


def test_kappa_in_time_acts_when_it_does() -> None:
    """Noise that ends. Between narrow Gaussians sa is X = -u/(1 + beta C), exactly in the plane.

    With kappa a width kappa/(1 - beta kappa) is at rest; without, log C + beta C falls by 2 t. The
    sphere is bent: both are so to first order in C.
    """
    widths, falls = [], []
    for kappa in (4e-3, 1e-3):
        table: Any = {"times": [0.0, 10.0], "values": [kappa, 0.0], "interpolate": "step"}
        noise = kappa_in_time(mf.Model(attention="sa", beta=9.0, kappa=table).kappa)
        start = np.array([kappa])
        solver = GaussianSolver(sa(), np.eye(3)[:1], start, options=TIGHT, kappa=noise)
        before = at(solver, 10.0).variances.max()
        after = at(solver, 11.0).variances.max()
        widths.append(abs(before / kappa * (1.0 - 9.0 * kappa) - 1.0))
        falls.append(abs(math.log(before / after) + 9.0 * (before - after) - 2.0))
    assert widths[0] < 1e-3 and widths[0] > 3.5 * widths[1]
    assert falls[1] < 3e-3 and falls[0] > 3.5 * falls[1]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("law", "found"),
    [
        (Uniform(3), "uniform"),
        (Cap((0.0, 0.0, 1.0), 0.3), "cap"),
        (Mixture([VonMisesFisher((0.0, 0.0, 1.0), 300.0), Uniform(3)], [0.9, 0.1]), "uniform"),
        (VonMisesFisher((0.0, 0.0, 1.0), 5.0), "concentration = 5, too wide .* 20 or more"),
    ],
)
def test_laws_that_are_not_of_narrow_clusters(law: Any, found: str) -> None:
    with pytest.raises(mf.InputError, match=rf"^initial: found .*{found}"):
        clusters_of(law)


def test_mixtures_within_mixtures() -> None:
    one = VonMisesFisher((0.0, 0.0, 2.0), 300.0)
    inner = Mixture([one, VonMisesFisher((1.0, 0.0, 0.0), 200.0)], [1.0, 3.0])
    nothing = VonMisesFisher((0.0, 1.0, 0.0), 1.0)
    found = clusters_of(Mixture([inner, one, nothing], [1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found.masses, [0.125, 0.375, 0.5])
    np.testing.assert_allclose(found.centres, [[0, 0, 1], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(found.variances, [1 / 300, 1 / 200, 1 / 300], rtol=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kappa": 0.0}, "kappa = 0 found"),
        ({"variances": np.array([1e-3])}, r"variances of shape \(1,\) found, one for each of 3"),
        ({"variances": np.array([1e-3, 0.0, 1e-3])}, "0 < variance <= 0.05 expected"),
        ({"variances": np.array([1e-3, 0.2, 1e-3])}, "0 < variance <= 0.05 expected"),
        ({"weights": np.array([1.0, 1.0])}, "weights of shape"),
        ({"centres": np.ones((3, 2))}, "tokens"),
    ],
)
def test_bad_gaussians(changes: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"centres": three(), "variances": np.full(3, 1e-3), "kappa": 1e-3}
    with pytest.raises(mf.InputError, match=message):
        GaussianSolver(sa(), **{**good, **changes})


def test_singular_kernels_and_high_dimensions() -> None:
    log = mf.Model(interaction={"type": "log"}).on(mf.Unmeshed(d=3))  # type: ignore[arg-type]
    with pytest.raises(mf.InputError, match="singular where points meet"):
        GaussianSolver(log, three(), np.full(3, 1e-3), kappa=1e-3)
    with pytest.raises(mf.InputError, match="d = 7 found for Gaussians"):
        GaussianSolver(sa(d=7), three(7), np.full(3, 1e-3), kappa=1e-3)
    solver = GaussianSolver(sa(), three(), np.full(3, 1e-3), kappa=1e-3)
    with pytest.raises(mf.InputError, match="tangents = 2 found with Gaussians"):
        solver.carry(2)
