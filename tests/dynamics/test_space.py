"""What DOLFINx assembles against closed forms; order of vertices; balanced weights; the sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse, special
from scipy.spatial import SphericalVoronoi

from meanfield.dynamics.balance import balance_weights
from meanfield.dynamics.limiters import limiter
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.sweep import collect, emit
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.mesh import Mesh, delaunay_weights, icosphere
from meanfield.geometry.sphere import geodesic_distance, log_area

Make = Callable[..., Any]

SPACES = [
    ("sphere", 2, 3),
    ("sphere", 4, 3),
    ("unstructured", 500, 3),
    ("circle", 100, 2),
    ("zonal", 60, 3),
    ("zonal", 60, 8),
    ("zonal", 61, 2),
]
spaces = pytest.mark.parametrize("which", SPACES, ids=lambda w: f"{w[0]}{w[1]}-{w[2]}")


def _measure(mesh: Mesh) -> tuple[float, int]:
    """Exact total measure in the units of ``delaunay_weights``, dimension of the sphere's mesh."""
    if mesh.geometry == "zonal":
        d = mesh.d
        return (np.exp(log_area(d) - log_area(d - 1)) if d > 2 else np.pi), 1
    return np.exp(log_area(mesh.d)), mesh.d - 1


def _edge_matrix(space: P1Space) -> np.ndarray:
    """c_ij of a space in the original vertex order, dense."""
    stars, n = space.stars, space.n_owned
    rows = np.broadcast_to(np.arange(n), stars.neighbour.shape)
    c = sparse.coo_array(
        (stars.coefficient.ravel(), (rows.ravel(), stars.neighbour.ravel())), shape=(n, n)
    ).toarray()
    out = np.empty_like(c)
    out[np.ix_(space.original, space.original)] = c
    return out


# ------------------------------------------------------------------ assembly


@spaces
def test_weights_are_the_closed_forms(which: Any, make_mesh: Make, make_space: Make) -> None:
    space = make_space(*which)
    _, _, w = delaunay_weights(make_mesh(*which))
    found = space.gather(space.weights)
    # The forms are integrated by quadrature of finite degree: sin^{d-2} is no polynomial.
    np.testing.assert_allclose(found, w / w.sum(), rtol=1e-12)
    assert abs(np.sum(space.weights) - 1.0) < 1e-14


@spaces
def test_assembled_edges_are_cotangent_weights(
    which: Any, make_mesh: Make, make_space: Make
) -> None:
    mesh, space = make_mesh(*which), make_space(*which)
    edges, c, w = delaunay_weights(mesh)
    exact, dimension = _measure(mesh)
    # Inscribed cells stretched to the sphere: a stiffness scales like length^(dimension - 2).
    expected = np.zeros((mesh.n_vertices, mesh.n_vertices))
    scaled = c * (exact / w.sum()) ** ((dimension - 2) / dimension) / exact
    expected[edges[:, 0], edges[:, 1]] = expected[edges[:, 1], edges[:, 0]] = scaled
    found = _edge_matrix(space)
    assert np.max(np.abs(found - expected)) < 1e-12 * scaled.max()
    assert np.array_equal(found > 1e-9 * scaled.max(), expected > 1e-9 * scaled.max())


@pytest.mark.parametrize("which", [("sphere", 4, 3), ("unstructured", 2000, 3)])
def test_weights_are_voronoi_cells(which: Any, make_space: Make) -> None:
    # Flat cells against spherical ones: equal up to O(h^2).
    space = make_space(*which)
    voronoi = SphericalVoronoi(space.points)
    areas = voronoi.calculate_areas() / (4.0 * np.pi)
    h2 = 4.0 * np.pi / space.n_global
    np.testing.assert_allclose(space.weights, areas, rtol=h2)


@pytest.mark.parametrize("d", [2, 3, 8, 30])
def test_zonal_laplacian_is_consistent_at_every_vertex(d: int, make_space: Make) -> None:
    # Of cos theta, -(d - 1) cos theta; at the poles, too, where P1 with lumped masses is wrong by
    # a quarter (d = 3) at any h.
    errors = []
    for n in (100, 200):
        space = make_space("zonal", n, d)
        f, stars = np.cos(space.points[:, 0]), space.stars
        laplacian = np.sum(stars.coefficient * (f[stars.neighbour] - f), axis=0) / space.weights
        errors.append(np.max(np.abs(laplacian + (d - 1) * f)) / (d - 1))
    assert errors[1] < 3e-3
    assert errors[0] / errors[1] > 3.5


@pytest.mark.parametrize(
    ("kind", "sizes", "d"),
    [("sphere", (3, 4), 3), ("circle", (64, 128), 2), ("zonal", (64, 128), 8)],
)
def test_edge_coefficients_are_a_second_order_laplacian(
    kind: str, sizes: tuple[int, int], d: int, make_space: Make
) -> None:
    # sum_ij c_ij (f_i - f_j)^2/2 = int |grad f|^2 dsigma = l (l + d - 2) int f^2, f harmonic.
    errors = []
    for size in sizes:
        space = make_space(kind, size, d)
        f = np.cos(space.points[:, 0]) if kind == "zonal" else space.points[:, -1]
        stars = space.stars
        jump = f[stars.neighbour] - f[: space.n_owned]
        dirichlet = 0.5 * np.sum(stars.coefficient * jump**2)
        errors.append(abs(dirichlet - (d - 1) / d))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


# ------------------------------------------------------------------ order of vertices


@spaces
def test_gather_and_scatter_know_the_original_order(
    which: Any, make_mesh: Make, make_space: Make
) -> None:
    mesh, space = make_mesh(*which), make_space(*which)
    np.testing.assert_allclose(space.gather(space.points), mesh.points, atol=1e-15)
    values = np.random.default_rng(0).random(mesh.n_vertices)
    owned = space.scatter(values)
    np.testing.assert_array_equal(owned, values[space.original])
    np.testing.assert_array_equal(space.gather(owned), values)
    assert sorted(space.original.tolist()) == list(range(mesh.n_vertices))


# ------------------------------------------------------------------ stars


@spaces
def test_reverse_slots_pair_up(which: Any, make_space: Make) -> None:
    space = make_space(*which)
    stars, n = space.stars, space.n_owned
    slots = stars.neighbour.size
    vertex = np.tile(np.arange(n), (stars.neighbour.shape[0], 1))
    padding = stars.neighbour == vertex
    assert np.all(stars.coefficient[padding] == 0.0)
    assert np.all(stars.reverse[padding] == slots)
    back = stars.reverse[~padding]
    assert np.array_equal(stars.neighbour.ravel()[back], vertex[~padding])
    assert np.array_equal(vertex.ravel()[back], stars.neighbour[~padding])
    assert np.array_equal(stars.reverse.ravel()[back], np.flatnonzero(~padding.ravel()))
    # c_ij = c_ji up to the order in which cells were added.
    np.testing.assert_allclose(
        stars.coefficient.ravel()[back], stars.coefficient[~padding],
        rtol=1e-12, atol=1e-13 * stars.coefficient.max(),
    )  # fmt: skip
    assert stars.halo_slot.size == stars.halo_vertex.size == 0


@spaces
def test_edge_tangents_point_along_geodesics(which: Any, make_space: Make) -> None:
    space = make_space(*which)
    stars, x = space.stars, space.points
    vertex = np.tile(np.arange(space.n_owned), (stars.neighbour.shape[0], 1))
    edge = stars.neighbour != vertex
    length = np.hypot(stars.tangent[:, 0], stars.tangent[:, 1])[edge]
    i, j = vertex[edge], stars.neighbour[edge]
    exact = np.abs(x[i, 0] - x[j, 0]) if which[0] == "zonal" else geodesic_distance(x[i], x[j])
    np.testing.assert_allclose(length, exact, rtol=1e-6)
    # gram is the inverse of sum t t^T (in one dimension of its first entry).
    t = stars.tangent.astype(np.float64)
    a, b, c = (np.sum(t[:, p] * t[:, q], axis=0) for p, q in ((0, 0), (0, 1), (1, 1)))
    ga, gb, gc = stars.gram
    np.testing.assert_allclose(ga * a + gb * b, 1.0, rtol=1e-5)
    if which[0] in ("sphere", "unstructured"):
        np.testing.assert_allclose(gb * b + gc * c, 1.0, rtol=1e-5)
        np.testing.assert_allclose(ga * b + gb * c, 0.0, atol=1e-5)


def test_tangents_differentiate_smooth_functions(make_space: Make) -> None:
    # The least-squares gradient along every edge: exact to second order for x . a.
    worst = []
    for level in (3, 4):
        space = make_space("sphere", level)
        stars, f = space.stars, space.points @ np.array([0.3, -0.5, 0.8])
        jump = f[stars.neighbour] - f
        g0 = np.sum(stars.tangent[:, 0] * jump, axis=0)
        g1 = np.sum(stars.tangent[:, 1] * jump, axis=0)
        a, b, c = stars.gram
        along = (a * g0 + b * g1) * stars.tangent[:, 0] + (b * g0 + c * g1) * stars.tangent[:, 1]
        # Derivative of <x, a> along the edge: (y - x)_tangential . a
        worst.append(np.max(np.abs(along - jump) / np.hypot(*stars.tangent.swapaxes(0, 1)).max()))
    assert worst[1] < 0.6 * worst[0] < 0.05


# ------------------------------------------------------------------ balanced weights


def _random_harmonic(kind: str, degree: int, space: P1Space, rng: np.random.Generator) -> Any:
    """A harmonic of this degree with maximum one at the vertices, by scipy."""
    x = space.points[: space.n_owned]
    if kind == "circle":
        return np.cos(degree * np.arctan2(x[:, 1], x[:, 0]) + rng.uniform(0.0, 2.0 * np.pi))
    if kind == "zonal":
        t, a = np.cos(x[:, 0]), 0.5 * space.d - 1.0
        if space.d == 2:
            return special.eval_chebyt(degree, t)
        return special.eval_gegenbauer(degree, a, t) / special.eval_gegenbauer(degree, a, 1.0)
    axis = rng.standard_normal(3)
    return special.eval_legendre(degree, np.clip(x @ axis / np.linalg.norm(axis), -1.0, 1.0))


@spaces
def test_balanced_weights_integrate_harmonics(which: Any, make_space: Make) -> None:
    kind, _, d = which
    space = make_space(*which)
    w, degree, error = balance_weights(
        space.manifold, space.points, space.weights, space.n_global, 20, lambda a: a
    )
    rng = np.random.default_rng(1)
    assert np.all(w > 0.0)
    assert degree >= 2
    assert error < 1e-13
    assert abs(np.sum(w) - 1.0) < 1e-14
    for l in range(1, degree + 1):
        y = _random_harmonic(kind, l, space, rng)
        assert abs(w @ y) < 1e-13, l
    if kind != "circle" and d > 2:  # equally spaced: equal weights are exact already
        lumped = max(
            abs(space.weights @ _random_harmonic(kind, l, space, rng)) for l in range(1, 21)
        )
        assert lumped > 1e-8  # so there is something to correct
    # A smooth correction of second order: the edge coefficients know nothing of it.
    assert np.max(np.abs(w / space.weights - 1.0)) < 0.05


def test_the_balanced_degree_stays_smooth(make_space: Make) -> None:
    # Balancing all that the mesh carries (30 here) would change single weights by 5 %.
    space = make_space("sphere", 4)
    for needed, reached in ((4, 4), (20, 7)):
        w, degree, _ = balance_weights(
            space.manifold, space.points, space.weights, space.n_global, needed, lambda a: a
        )
        assert degree == reached
        assert np.max(np.abs(w / space.weights - 1.0)) < 5e-3


def test_a_mesh_too_coarse_for_the_kernel_is_a_warning(make_solver: Make, make_space: Make) -> None:
    space = make_space("sphere", 1)
    with pytest.warns(MeanfieldWarning, match="finer mesh"):
        make_solver(space, "sa", 100.0, np.ones(space.n_owned))


# ------------------------------------------------------------------ the sweep against plain NumPy


def _sweep(
    space: P1Space, w: Any, rho: Any, xi: Any, dt: float, limited: bool, before: Any = None
) -> tuple[Any, ...]:
    stars, n = space.stars, space.n_owned
    flux = np.full(stars.neighbour.size + 1, np.nan)
    flux[-1] = 0.0
    outflow, rate = np.empty(n), np.empty(n)
    log_rho = np.log(np.maximum(rho, 1e-300))
    before, after = np.zeros(n) if before is None else before, np.empty(n)
    emit(
        stars.neighbour, stars.coefficient, stars.tangent, stars.gram, w, rho, log_rho, xi,
        np.empty((0, n)), dt, limited, limiter("log-muscl").address, before, after, flux, outflow,
        rate,
    )  # fmt: skip
    if limited:
        curvature = np.mean(log_rho[stars.neighbour] - log_rho, axis=0)
        if np.all(np.abs(log_rho) < 10.0):
            np.testing.assert_allclose(after, curvature, rtol=1e-10, atol=1e-13)
    new = np.empty(n)
    collect(stars.reverse, w, rho, flux, outflow, np.empty(0), dt, 0.0, rho, new)
    return flux, outflow, rate, new


@spaces
@pytest.mark.parametrize("limited", [False, True])
def test_sweep_is_antisymmetric_and_conserves_mass(
    which: Any, limited: bool, make_space: Make
) -> None:
    space = make_space(*which)
    rng = np.random.default_rng(2)
    n, w = space.n_owned, space.weights
    rho, xi = np.exp(rng.standard_normal(n)), rng.standard_normal(n)
    _, _, rate, _ = _sweep(space, w, rho, xi, 0.0, limited)
    dt = 0.9 / rate.max()
    flux, outflow, _, new = _sweep(space, w, rho, xi, dt, limited)
    out = flux[:-1].reshape(space.stars.neighbour.shape)
    there = flux[space.stars.reverse]
    # Every flux is emitted by one end only and collected by the other as the same number.
    assert np.all((out == 0.0) | (there == 0.0))
    assert np.sort(out[out > 0.0]).tobytes() == np.sort(there[there > 0.0]).tobytes()
    np.testing.assert_allclose(outflow, out.sum(axis=0), rtol=1e-14)
    expected = rho + dt * (there.sum(axis=0) - outflow) / w
    np.testing.assert_allclose(new, expected, rtol=1e-11, atol=1e-14)
    assert abs(w @ new - w @ rho) < 1e-14 * (w @ rho)
    assert np.all(new > -1e-15)


@spaces
def test_sweep_is_upwinding(which: Any, make_space: Make) -> None:
    space = make_space(*which)
    rng = np.random.default_rng(3)
    n, w, stars = space.n_owned, space.weights, space.stars
    rho, xi = np.exp(rng.standard_normal(n)), rng.standard_normal(n)
    flux, _, rate, _ = _sweep(space, w, rho, xi, 0.0, limited=False)
    up = stars.coefficient * np.maximum(xi[stars.neighbour] - xi, 0.0)
    np.testing.assert_allclose(flux[:-1].reshape(up.shape), up * rho, rtol=1e-13)
    np.testing.assert_allclose(rate, up.sum(axis=0) / w, rtol=1e-13)


@spaces
def test_limited_sweep_against_its_formula(which: Any, make_space: Make) -> None:
    # rho_i e^{p/2} with p as in the docstrings of meanfield.dynamics.limiters, typed in NumPy.
    space = make_space(*which)
    rng = np.random.default_rng(4)
    n, w, stars = space.n_owned, space.weights, space.stars
    rho = np.exp(2.0 * rng.standard_normal(n))
    xi = rng.standard_normal(n)
    before = (0.05 + 0.3 * rng.random(n)) * (1.0 - 2.0 * (space.points[:n, 0] > 0.4))
    flux, _, _, _ = _sweep(space, w, rho, xi, 0.0, limited=True, before=before)
    log = np.log(rho)
    forward = log[stars.neighbour] - log
    t0, t1 = stars.tangent[:, 0].astype(float), stars.tangent[:, 1].astype(float)
    g0, g1 = np.sum(t0 * forward, axis=0), np.sum(t1 * forward, axis=0)
    a, b, c = stars.gram
    backward = 2.0 * ((a * g0 + b * g1) * t0 + (b * g0 + c * g1) * t1) - forward
    low, high = np.minimum(forward.min(axis=0), 0.0), np.maximum(forward.max(axis=0), 0.0)
    inside = np.clip(backward, -high, -low)
    limited = np.sign(forward) * np.minimum.reduce(
        [2.0 * np.abs(inside), np.abs(0.7 * forward + 0.3 * inside), 2.0 * np.abs(forward)]
    )
    limited = np.where(forward * inside > 0.0, limited, 0.0)
    star = np.concatenate([before[stars.neighbour], before[None]])
    small, large = np.abs(star).min(axis=0), np.abs(star).max(axis=0)
    room = np.minimum(2.0 * np.clip(np.minimum(small, 6.0 * small - large), 0.0, None), 1.0)
    room[(star.min(axis=0) < 0.0) & (star.max(axis=0) > 0.0)] = 0.0
    assert np.any(room == 0.0) and np.any(room > 0.1)
    p = 0.7 * forward + 0.3 * backward
    assert np.any(np.abs(p - limited) < room) and np.any(np.abs(p - limited) > room)
    p = limited + np.clip(p - limited, -room, room)
    up = stars.coefficient * np.maximum(xi[stars.neighbour] - xi, 0.0)
    expected = up * rho * np.exp(0.5 * p)
    np.testing.assert_allclose(flux[:-1].reshape(up.shape), expected, rtol=1e-7)


@pytest.mark.parametrize("limited", [False, True])
def test_a_step_beyond_the_limit_empties_but_never_overdraws(
    limited: bool, make_space: Make
) -> None:
    space = make_space("sphere", 3)
    rng = np.random.default_rng(5)
    n, w = space.n_owned, space.weights
    rho, xi = np.exp(3.0 * rng.standard_normal(n)), rng.standard_normal(n)
    rho[rng.integers(0, n, 50)] = 0.0
    _, _, rate, _ = _sweep(space, w, rho, xi, 0.0, limited)
    _, outflow, _, new = _sweep(space, w, rho, xi, 100.0 / rate.max(), limited)
    assert np.all(new >= 0.0)
    assert np.all(outflow * 100.0 / rate.max() <= w * rho * (1.0 + 1e-14))
    assert w @ new == pytest.approx(w @ rho, rel=1e-14)


# ------------------------------------------------------------------ refusals


def test_a_mesh_that_is_not_delaunay_is_refused() -> None:
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    from mpi4py import MPI

    mesh = icosphere(2)
    cells = mesh.cells.copy()
    # Flip the edge between two triangles: the new one has the larger opposite angles.
    a, b, c = cells[0]
    other = next(k for k in range(1, len(cells)) if {a, b} <= set(cells[k].tolist()))
    d = next(v for v in cells[other] if v not in (a, b))
    cells[0], cells[other] = (a, d, c), (d, b, c)
    with pytest.raises(InputError, match="not Delaunay"):
        P1Space(Mesh("sphere", 3, mesh.points, cells), MPI.COMM_SELF)


def test_attention_of_another_geometry_is_refused(make_space: Make) -> None:
    from meanfield.dynamics.eulerian import EulerianSolver
    from meanfield.interaction.attention import Attention

    space = make_space("sphere", 1)
    with pytest.raises(InputError, match=r"'circle' \(d = 2\) found, the space's 'sphere'"):
        EulerianSolver(space, Attention("sa", 1.0, 2, "circle"), np.ones(space.n_owned))


def test_values_with_ghosts_are_written_where_they_are_wanted(make_space: Make) -> None:
    space = make_space("circle", 30, 2)
    owned, out = np.arange(float(space.n_owned)), np.full(space.n_local, -1.0)
    assert space.with_ghosts(owned, out) is out
    np.testing.assert_array_equal(out[: space.n_owned], owned)
