"""Generators, closed-form weights and the report of meanfield.geometry.mesh."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from convergence import rates
from scipy.special import beta as beta_function
from scipy.special import betainc

from meanfield.errors import InputError
from meanfield.geometry.mesh import (
    Mesh,
    circle,
    delaunay_weights,
    hull_cells,
    icosphere,
    icosphere_hierarchy,
    inspect_mesh,
    mesh_edges,
    unstructured_sphere,
    zonal_interval,
)
from meanfield.geometry.sphere import log_area, normalize, random_rotation


def volumes(mesh: Mesh) -> np.ndarray:
    return np.linalg.det(mesh.points[mesh.cells])


# -- the Mesh value ---------------------------------------------------------------------------


def test_mesh_refuses_what_does_not_fit() -> None:
    points, cells = icosphere(0).points, icosphere(0).cells
    with pytest.raises(InputError, match=r"unknown geometry 'spher' \(did you mean 'sphere'\?\)"):
        Mesh("spher", 3, points, cells)
    with pytest.raises(InputError, match="d = 3, found d = 4"):
        Mesh("sphere", 4, points, cells)
    with pytest.raises(InputError, match=r"shape \(number, 2\), found \(12, 3\)"):
        Mesh("circle", 2, points, cells)
    with pytest.raises(InputError, match="0 to 12, but the mesh has vertices 0 to 11"):
        Mesh("sphere", 3, points, np.where(cells == 11, 12, cells))


@pytest.mark.parametrize("d", [2, 3, 8])
def test_embedded_zonal_points_are_the_meridian(d: int) -> None:
    mesh = zonal_interval(9, d)
    x = mesh.embedded()
    assert x.shape == (9, d)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=1e-15)
    np.testing.assert_allclose(np.arctan2(x[:, 0], x[:, -1]), mesh.points[:, 0], atol=1e-15)
    assert np.all(x[:, 1:-1] == 0.0)
    assert mesh.gdim == 1 and mesh.points[0, 0] == 0.0 and mesh.points[-1, 0] == np.pi


def test_embedded_sphere_and_circle_are_the_points() -> None:
    for mesh in (icosphere(1), circle(5)):
        assert mesh.embedded() is mesh.points


# -- generators -------------------------------------------------------------------------------


@pytest.mark.parametrize("level", range(6))
def test_icosphere_counts_and_shape(level: int) -> None:
    mesh = icosphere(level)
    edges = mesh_edges(mesh)
    assert mesh.n_vertices == 10 * 4**level + 2
    assert mesh.n_cells == 20 * 4**level
    assert mesh.n_vertices - len(edges) + mesh.n_cells == 2
    assert len(np.unique(mesh.cells)) == mesh.n_vertices
    assert np.abs(np.linalg.norm(mesh.points, axis=1) - 1.0).max() <= 4e-16
    assert volumes(mesh).min() > 0.0, "counterclockwise seen from outside"
    # closed and consistently oriented: every directed edge once, and its reverse once
    directed = mesh.cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    key = directed[:, 0] * mesh.n_vertices + directed[:, 1]
    back = directed[:, 1] * mesh.n_vertices + directed[:, 0]
    assert len(np.unique(key)) == len(key) and np.array_equal(np.sort(key), np.sort(back))
    valence = np.bincount(edges.ravel())
    assert np.sum(valence == 5) == 12 and np.sum(valence == 6) == mesh.n_vertices - 12


def test_icosphere_is_nested_with_projected_midpoints() -> None:
    meshes = icosphere_hierarchy(4)
    for coarse, fine in itertools.pairwise(meshes):
        assert np.array_equal(fine.points[: coarse.n_vertices], coarse.points)
        edges = mesh_edges(coarse)
        middle = normalize(coarse.points[edges[:, 0]] + coarse.points[edges[:, 1]])
        new = fine.points[coarse.n_vertices :]
        assert len(new) == len(edges)
        # the same set of points, whatever the order: compare along a direction in general position
        direction = np.array([0.7312, 0.3917, 0.5561])
        order, wanted = np.argsort(new @ direction), np.argsort(middle @ direction)
        np.testing.assert_allclose(new[order], middle[wanted], atol=1e-15)
    assert np.array_equal(meshes[-1].cells, icosphere(4).cells)


def test_icosphere_is_delaunay() -> None:
    for level in range(7):
        weights = delaunay_weights(icosphere(level))[1]
        assert weights.min() > 0.32, "measured: tends to 0.3249"


def test_icosphere_equals_its_convex_hull() -> None:
    mesh = icosphere(3)

    def sets(cells: np.ndarray) -> set[tuple[int, ...]]:
        return {tuple(sorted(map(int, cell))) for cell in cells}

    assert sets(hull_cells(mesh.points)) == sets(mesh.cells)


def test_icosphere_area_error_is_of_second_order() -> None:
    reports = [inspect_mesh(icosphere(level)) for level in range(2, 7)]
    errors = np.array([-report.area_error for report in reports])
    sizes = np.array([report.h_max for report in reports])
    orders = np.log(errors[1:] / errors[:-1]) / np.log(sizes[1:] / sizes[:-1])
    assert np.all(np.abs(orders - 2.0) < 0.05), orders
    assert errors[-1] == pytest.approx(7.48e-5, rel=1e-2)


def test_icosphere_level_7() -> None:
    mesh = icosphere(7)
    assert mesh.n_vertices == 163842 and mesh.n_cells == 327680
    assert np.abs(np.linalg.norm(mesh.points, axis=1) - 1.0).max() <= 4e-16
    assert volumes(mesh).min() > 0.0


@pytest.mark.parametrize(
    ("level", "message"),
    [(-1, "from 0 to 11, found -1"), (12, "167772162 vertices"),
     (2.0, r"level: found 2\.0, expected a whole"),
     (True, "found true .*, expected a whole"), ("3", "found the text '3', expected a whole")],
)  # fmt: skip
def test_icosphere_refuses(level: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        icosphere(level)  # type: ignore[arg-type]


def test_circle() -> None:
    mesh = circle(7)
    assert (mesh.geometry, mesh.d, mesh.n_vertices, mesh.n_cells) == ("circle", 2, 7, 7)
    angle = np.arctan2(mesh.points[:, 1], mesh.points[:, 0]) % (2 * np.pi)
    np.testing.assert_allclose(angle, 2 * np.pi * np.arange(7) / 7, atol=1e-15)
    a, b = mesh.points[mesh.cells[:, 0]], mesh.points[mesh.cells[:, 1]]
    assert np.all(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0.0), "counterclockwise"
    with pytest.raises(InputError, match=">= 3, found 2"):
        circle(2)


def test_zonal_interval_with_angles_of_ones_own() -> None:
    theta = np.pi * np.linspace(0.0, 1.0, 12) ** 2
    mesh = zonal_interval(d=5, theta=theta)
    np.testing.assert_array_equal(mesh.points[:, 0], theta)
    assert np.array_equal(mesh.cells[:, 1], mesh.cells[:, 0] + 1)


def test_zonal_interval_refuses() -> None:
    for arguments, message in [
        ({"n": 10, "d": 1}, "integer d >= 2, found 1"),
        ({"n": 2, "d": 3}, ">= 3, found 2"),
        ({"d": 3}, "number of vertices n, or the angles"),
        ({"n": 4, "d": 3, "theta": [0.0, 1.0, np.pi]}, "list of 4 angles"),
        ({"d": 3, "theta": [0.0, 2.0, 1.0, np.pi]}, "rise strictly"),
        ({"d": 3, "theta": [0.0, np.nan, np.pi]}, "rise strictly"),
        ({"d": 3, "theta": [0.1, 1.0, np.pi]}, "start at 0 and end at pi"),
    ]:
        with pytest.raises(InputError, match=message):
            zonal_interval(**arguments)  # type: ignore[arg-type]


def test_unstructured_sphere_is_irregular_delaunay_and_repeatable() -> None:
    mesh = unstructured_sphere(500, seed=3)
    assert np.array_equal(mesh.points, unstructured_sphere(500, seed=3).points)
    assert not np.array_equal(mesh.points, unstructured_sphere(500, seed=4).points)
    report = inspect_mesh(mesh)
    assert report.edges == 3 * 500 - 6 and report.cells == 2 * 500 - 4
    assert report.smallest_weight > 0.0 and volumes(mesh).min() > 0.0
    assert report.quality_min is not None and report.quality_min > 0.4
    valence = np.bincount(mesh_edges(mesh).ravel())
    assert set(np.unique(valence)) >= {5, 6, 7}, "irregular on purpose"


def test_hull_cells_refuses() -> None:
    points = icosphere(1).points
    with pytest.raises(InputError, match="some vertices coincide"):
        hull_cells(np.concatenate([points, points[:1]]))
    with pytest.raises(InputError, match="one side of the sphere"):
        hull_cells(points[points[:, 2] > 0.2])
    with pytest.raises(InputError, match="no convex hull"):
        hull_cells(points[:3])


def test_hull_cells_where_many_vertices_share_a_circle() -> None:
    """Latitude-longitude vertices: four on a circle everywhere, 40 around each pole."""
    theta, phi = np.meshgrid(
        np.linspace(0, np.pi, 21)[1:-1], 2 * np.pi * np.arange(40) / 40, indexing="ij"
    )
    ring = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    points = np.concatenate([[[0, 0, 1.0]], ring.reshape(-1, 3), [[0, 0, -1.0]]])
    mesh = Mesh("sphere", 3, points, hull_cells(points))
    report = inspect_mesh(mesh)
    assert abs(report.smallest_weight) < 1e-12 and volumes(mesh).min() > 0.0
    assert report.max_valence == 40 and report.cells == 2 * len(points) - 4


# -- weights ----------------------------------------------------------------------------------


def stiffness_by_gradients(mesh: Mesh) -> np.ndarray:
    """K_ij = sum over triangles of area grad phi_i . grad phi_j, from the hat functions' gradients.

    The gradient of the hat of corner k is (height vector of that corner) / height^2: another road
    than cotangents.
    """
    stiffness = np.zeros((mesh.n_vertices, mesh.n_vertices))
    for cell in mesh.cells:
        x = mesh.points[cell]
        gradients = []
        for k in range(3):
            base = x[(k + 2) % 3] - x[(k + 1) % 3]
            rise = x[k] - x[(k + 1) % 3]
            height = rise - (rise @ base) / (base @ base) * base
            gradients.append(height / (height @ height))
        area = 0.5 * np.linalg.norm(np.cross(x[1] - x[0], x[2] - x[0]))
        stiffness[np.ix_(cell, cell)] += area * np.array(gradients) @ np.array(gradients).T
    return stiffness


@pytest.mark.parametrize("make", [lambda: icosphere(2), lambda: unstructured_sphere(150, 1)])
def test_cotangent_weights_are_the_stiffness_matrix(make) -> None:  # type: ignore[no-untyped-def]
    mesh = make()
    edges, c, w = delaunay_weights(mesh)
    stiffness = stiffness_by_gradients(mesh)
    np.testing.assert_allclose(c, -stiffness[edges[:, 0], edges[:, 1]], rtol=1e-11, atol=1e-13)
    assert np.count_nonzero(np.abs(np.triu(stiffness, 1)) > 1e-13) <= len(edges)
    assert np.all(edges[:, 0] < edges[:, 1])
    key = edges[:, 0] * mesh.n_vertices + edges[:, 1]
    assert np.all(np.diff(key) > 0), "sorted, each once"
    assert w.sum() == pytest.approx(inspect_mesh(mesh).area, rel=1e-14)


def apply_laplacian(mesh: Mesh, values: np.ndarray) -> np.ndarray:
    """sum_j c_ij (f_j - f_i)."""
    edges, c, _ = delaunay_weights(mesh)
    flux = c[:, None] * (values[edges[:, 1]] - values[edges[:, 0]])
    out = np.zeros_like(values)
    np.add.at(out, edges[:, 0], flux)
    np.add.at(out, edges[:, 1], -flux)
    return out


@pytest.mark.parametrize("seed", [0, 1])
def test_coordinate_functions_have_energy_twice_the_area(seed: int) -> None:
    """On any closed triangulation: |grad of x|^2 + of y + of z = 2 on each flat triangle."""
    mesh = unstructured_sphere(400, seed)
    edges, c, w = delaunay_weights(mesh)
    jump = mesh.points[edges[:, 1]] - mesh.points[edges[:, 0]]
    assert np.sum(c[:, None] * jump**2) == pytest.approx(2.0 * w.sum(), rel=1e-13)
    assert np.abs(apply_laplacian(mesh, np.ones((400, 1)))).max() == 0.0


def test_mean_curvature_identity_converges() -> None:
    """sum_j c_ij (x_j - x_i) -> -2 w_i x_i, since the coordinates are harmonics of degree one.

    The weak form against a smooth function converges with order two. At each vertex, the length
    along x_i is exact: the Voronoi area is sum_j c_ij |x_j - x_i|^2 / 4.
    """

    def error(level: int) -> float:
        mesh = icosphere(level)
        w = delaunay_weights(mesh)[2]
        test = np.exp(mesh.points @ np.array([0.3, -0.5, 0.8]))
        defect = test @ (apply_laplacian(mesh, mesh.points) + 2.0 * w[:, None] * mesh.points)
        inward = -np.sum(apply_laplacian(mesh, mesh.points) * mesh.points, axis=1)
        np.testing.assert_allclose(inward, 2.0 * w, rtol=1e-11)
        # the vector itself points inward along x_i
        cosine = np.sum(normalize(apply_laplacian(mesh, mesh.points)) * mesh.points, axis=1)
        assert cosine.max() < -0.999
        return float(np.linalg.norm(defect))

    rates(error, (3, 4, 5)).check(1.9, 2.1, 1e-4, each=True)


def test_weights_do_not_depend_on_rotation() -> None:
    mesh = unstructured_sphere(300, 5)
    turned = Mesh(
        "sphere", 3, mesh.points @ random_rotation(3, np.random.default_rng(0)).T, mesh.cells
    )
    for a, b in zip(delaunay_weights(mesh), delaunay_weights(turned), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_circle_weights() -> None:
    angle = np.sort(np.random.default_rng(2).uniform(0.0, 2.0 * np.pi, 9))
    index = np.arange(9)
    mesh = Mesh(
        "circle",
        2,
        np.stack([np.cos(angle), np.sin(angle)], axis=1),
        np.stack([index, (index + 1) % 9], axis=1),
    )
    edges, c, w = delaunay_weights(mesh)
    h = 2.0 * np.sin(np.diff(np.append(angle, angle[0] + 2.0 * np.pi)) / 2.0)  # chords
    wanted = {tuple(sorted((k, (k + 1) % 9))): 1.0 / h[k] for k in range(9)}
    assert [tuple(edge) for edge in edges.tolist()] == sorted(wanted)
    np.testing.assert_allclose(c, [wanted[tuple(edge)] for edge in edges.tolist()], rtol=1e-13)
    np.testing.assert_allclose(w, (h + np.roll(h, 1)) / 2.0, rtol=1e-13)


def zonal_masses(theta: np.ndarray, d: int) -> np.ndarray:
    """int sin^{d-2} over each interval, by the incomplete beta function (from the nearer pole)."""
    a = (d - 1) / 2.0

    def from_north(t: np.ndarray) -> np.ndarray:
        # sin^2 as argument keeps all digits at the pole; valid up to pi/2
        return 0.5 * beta_function(a, 0.5) * betainc(a, 0.5, np.sin(t) ** 2)

    half = np.pi / 2.0
    north = from_north(np.minimum(theta, half))
    south = from_north(np.pi - np.maximum(theta, half))
    return np.diff(north) - np.diff(south)


@pytest.mark.parametrize("d", [2, 3, 4, 5, 8, 17, 64])
@pytest.mark.parametrize("graded", [False, True])
def test_zonal_weights_against_closed_forms(d: int, graded: bool) -> None:
    theta = np.linspace(0.0, np.pi, 40)
    if graded:
        theta = np.pi * np.sin(theta / 2.0) ** 2
    mesh = zonal_interval(d=d, theta=theta)
    edges, c, w = delaunay_weights(mesh)
    t = mesh.points[:, 0]
    h, middle = np.diff(t), 0.5 * (t[1:] + t[:-1])
    assert np.array_equal(edges, mesh.cells)
    np.testing.assert_allclose(c, np.sin(middle) ** (d - 2) / h, rtol=1e-13)
    # The cells of the vertices end at the middles of the intervals.
    mass = zonal_masses(np.concatenate([[0.0], middle, [np.pi]]), d)
    np.testing.assert_allclose(w, mass, rtol=1e-10, atol=1e-15 * mass.max())
    assert w[0] == pytest.approx(mass[0], rel=1e-11)  # relative at the pole
    assert w.sum() == pytest.approx(np.exp(log_area(d) - log_area(d - 1)), rel=1e-13)


@pytest.mark.parametrize("d", [2, 3, 8])
def test_zonal_divergence_is_right_at_the_poles(d: int) -> None:
    """X = grad cos theta has divergence -(d-1) cos theta: second order, poles too.

    The exact P1 integrals would give d/2 instead of d - 1 there.
    """
    errors = []
    for n in (101, 201):
        mesh = zonal_interval(n, d)
        edges, c, w = delaunay_weights(mesh)
        x = np.cos(mesh.points[:, 0])
        flux = c * (x[edges[:, 1]] - x[edges[:, 0]])
        divergence = np.zeros(n)
        np.add.at(divergence, edges[:, 0], flux)
        np.add.at(divergence, edges[:, 1], -flux)
        errors.append(np.abs(divergence / w + (d - 1) * x))
    assert errors[0][0] < 0.2 * d**2 / 100**2 * np.pi**2
    assert np.max(errors[0]) / np.max(errors[1]) > 3.5


def test_zonal_weights_that_underflow_are_refused() -> None:
    assert delaunay_weights(zonal_interval(200, 100))[2].min() > 0.0
    with pytest.raises(InputError, match="underflows at the poles"):
        delaunay_weights(zonal_interval(200, 400))


# -- report -----------------------------------------------------------------------------------


def test_report_of_the_icosahedron() -> None:
    report = inspect_mesh(icosphere(0))
    edge = 4.0 / np.sqrt(10.0 + 2.0 * np.sqrt(5.0))
    assert (report.vertices, report.edges, report.cells) == (12, 30, 20)
    assert report.h_min == pytest.approx(edge) and report.h_max == pytest.approx(edge)
    assert report.area == pytest.approx(5.0 * np.sqrt(3.0) * edge**2)
    assert report.area_error == pytest.approx(report.area / (4.0 * np.pi) - 1.0)
    assert report.quality_min == pytest.approx(1.0) and report.quality_mean == pytest.approx(1.0)
    assert report.min_angle == pytest.approx(60.0)
    assert report.smallest_weight == pytest.approx(1.0 / np.sqrt(3.0))
    assert report.max_valence == 5


def test_report_of_a_right_triangle_mesh() -> None:
    """The octahedron: equilateral faces; moved, a known worst angle."""
    points = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]])
    report = inspect_mesh(Mesh("sphere", 3, points, hull_cells(points)))
    assert (report.vertices, report.edges, report.cells) == (6, 12, 8)
    assert report.area == pytest.approx(8.0 * np.sqrt(3.0) / 2.0)
    # turn the equator's first vertex towards the second: face (0, 1, 4) gets sharper
    points[0] = [np.cos(0.5), np.sin(0.5), 0.0]
    report = inspect_mesh(Mesh("sphere", 3, points, hull_cells(points)))
    a = 2.0 * np.sin((np.pi / 2.0 - 0.5) / 2.0)  # short side; the two others are sqrt(2)
    assert report.min_angle == pytest.approx(np.degrees(2.0 * np.arcsin(a / 2.0 / np.sqrt(2.0))))
    area = 0.5 * a * np.sqrt(2.0 - a**2 / 4.0)
    s = (a + 2.0 * np.sqrt(2.0)) / 2.0
    assert report.quality_min == pytest.approx(2.0 * (area / s) / (2.0 * a / (4.0 * area)))


@pytest.mark.parametrize("d", [2, 3, 8, 30])
def test_report_of_zonal_meshes_measures_the_sphere(d: int) -> None:
    report = inspect_mesh(zonal_interval(50, d))
    assert report.area == pytest.approx(np.exp(log_area(d)), rel=1e-12)
    assert abs(report.area_error) < 1e-12
    assert report.quality_min is None and report.min_angle is None
    assert report.max_valence == 2


def test_report_of_the_circle() -> None:
    report = inspect_mesh(circle(100))
    assert report.area == pytest.approx(200.0 * np.sin(np.pi / 100.0))
    assert report.area_error == pytest.approx(np.sinc(1.0 / 100.0) - 1.0)


def test_report_lines_are_short_and_tell_delaunay() -> None:
    mesh = icosphere(2)
    lines = inspect_mesh(mesh).lines()
    assert "vertices           162" in lines and "edges              480" in lines
    assert any("(Delaunay)" in line for line in lines)
    assert max(map(len, lines)) < 80
    flipped = inspect_mesh(Mesh("sphere", 3, mesh.points, flip_edge(mesh)))
    assert flipped.smallest_weight < 0.0
    assert any("(NOT Delaunay)" in line for line in flipped.lines())
    assert not any("quality" in line for line in inspect_mesh(circle(9)).lines())


def flip_edge(mesh: Mesh) -> np.ndarray:
    """Cells with the edge opposite corner 0 of triangle 0 flipped."""
    cells = mesh.cells.copy()
    a, b, c = cells[0]
    other = next(k for k, cell in enumerate(cells) if k and {int(b), int(c)} <= set(map(int, cell)))
    (e,) = set(map(int, cells[other])) - {int(b), int(c)}
    cells[0], cells[other] = (a, b, e), (a, e, c)
    return cells
