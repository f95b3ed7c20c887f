"""Graded meshes: where vertices go, what the map keeps, and a cluster on one."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.analysis import exact
from meanfield.geometry.laws import PoissonKernel
from meanfield.geometry.mesh import (
    Mesh,
    circle,
    graded,
    icosphere,
    inspect_mesh,
    mesh_edges,
    zonal_interval,
)
from meanfield.geometry.sphere import Array, geodesic_distance

CENTRE = np.array([0.5, -0.3, 0.7])


def angles(mesh: Mesh, centre: Array) -> Array:
    return geodesic_distance(mesh.embedded(), centre / np.linalg.norm(centre))


@pytest.mark.parametrize("factor", [3.0, 0.2, 1000.0])
@pytest.mark.parametrize(
    ("mesh", "centre"),
    [
        (icosphere(3), CENTRE),
        (circle(50), np.array([-0.6, 0.1])),
        (zonal_interval(41, d=5), np.eye(5)[-1]),
    ],
    ids=["sphere", "circle", "zonal"],
)
def test_half_angles_have_their_tangents_divided(mesh: Mesh, centre: Array, factor: float) -> None:
    made = graded(mesh, factor, None if mesh.geometry == "zonal" else centre)
    before, after = angles(mesh, centre), angles(made, centre)
    expected = 2.0 * np.arctan2(np.sin(before / 2.0), factor * np.cos(before / 2.0))
    np.testing.assert_allclose(after, expected, atol=2e-14)
    assert np.array_equal(made.cells, mesh.cells)
    axis = centre / np.linalg.norm(centre)
    across = [x - np.outer(x @ axis, axis) for x in (mesh.embedded(), made.embedded())]
    sizes = [np.linalg.norm(a, axis=1) for a in across]
    inner = np.sum(across[0] * across[1], axis=1)  # on the same great circle, the same side
    np.testing.assert_allclose(inner, sizes[0] * sizes[1], atol=1e-14)


def test_factors_compose_and_have_an_inverse() -> None:
    mesh = icosphere(2)
    twice = graded(graded(mesh, 2.0, CENTRE), 1.5, CENTRE)
    np.testing.assert_allclose(twice.points, graded(mesh, 3.0, CENTRE).points, atol=1e-15)
    back = graded(graded(mesh, 5.0, CENTRE), 0.2, CENTRE)
    np.testing.assert_allclose(back.points, mesh.points, atol=1e-15)
    other = graded(mesh, 0.2, -CENTRE)  # finer at -c is coarser at c
    np.testing.assert_allclose(other.points, graded(mesh, 5.0, CENTRE).points, atol=1e-15)


@pytest.mark.parametrize("factor", [2.0, 5.0, 30.0])
def test_circles_stay_circles_so_that_the_mesh_stays_delaunay(factor: float) -> None:
    plain, made = inspect_mesh(icosphere(4)), inspect_mesh(graded(icosphere(4), factor, CENTRE))
    assert made.smallest_weight > 0.02 and made.max_valence == plain.max_valence
    assert made.h_min == pytest.approx(plain.h_min / factor, rel=0.2)
    assert made.h_max == pytest.approx(plain.h_max * factor, rel=0.2) or factor > 5.0


def test_poles_of_latitudes_stay() -> None:
    made = graded(zonal_interval(33, d=8), 7.0)
    assert made.points[0, 0] == 0.0 and made.points[-1, 0] == np.pi
    assert np.all(np.diff(made.points[:, 0]) > 0.0)
    assert made.points[1, 0] == pytest.approx(math.pi / 32.0 / 7.0, rel=1e-3)


def test_a_geometry_of_a_case_is_graded() -> None:
    geometry = mf.Sphere(3, factor=4.0, centre=(0.0, 2.0, 0.0))
    made = geometry.build_mesh()
    assert np.array_equal(made.points, graded(icosphere(3), 4.0, [0.0, 1.0, 0.0]).points)
    lengths = geodesic_distance(*made.points[mesh_edges(made).T])
    assert lengths.min() == pytest.approx(geometry.edge, rel=0.15)
    half = geometry.coarser()
    assert half is not None and (half.factor, half.level) == (4.0, 2)  # type: ignore[union-attr]
    zonal = mf.Zonal(d=3, vertices=20, factor=0.5).build_mesh()
    assert np.diff(zonal.points[:, 0])[0] > np.diff(zonal.points[:, 0])[-1]
    assert "graded by 4" in geometry.words() and "graded" not in mf.Sphere(3).words()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: mf.Sphere(3, centre=(1, 0, 0)), "centre: found without a factor"),
        (lambda: mf.Sphere(3, factor=3.0, centre=(1, 0)), "expected 3 numbers"),
        (lambda: mf.Sphere(3, factor=3.0, centre=(0, 0, 0)), "not all 0"),
        (lambda: mf.Circle(30, factor=0.0), "factor"),
        (lambda: graded(icosphere(1), 0.0), r"factor: found 0, expected a number from 0\.001"),
        (lambda: graded(icosphere(1), 2.0, [1.0, 0.0]), r"centre: found shape \(2,\)"),
        (lambda: graded(zonal_interval(9), 2.0, [0.0, 0.0, 1.0]), "centre: .* expected none"),
    ],
)
def test_what_is_no_factor_and_no_centre(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(mf.InputError, match=said):
        make()


def run_on(geometry: object, end: float) -> tuple[float, float]:
    """L1 error and relative error of the peak of the conformal flow, |w(0)| = .2, at its end."""
    axis = CENTRE / np.linalg.norm(CENTRE)
    case = mf.Case(
        title="conformal",
        geometry=geometry,  # type: ignore[arg-type]
        model=mf.Model(attention="sa", beta=0.0),
        initial=PoissonKernel(tuple((0.2 * axis).tolist())),
        time=mf.Time(end=end),
        solver=mf.Eulerian(),
    )
    result = mf.run(case, progress=False)
    solver, r = result.solver, float(exact.poisson_radius(end, 0.2, 3))
    space = solver.space  # type: ignore[attr-defined]
    law = PoissonKernel(tuple((r * axis).tolist()))
    rho, weights = solver.rho, solver.weights  # type: ignore[attr-defined]
    peak = float(law.density(axis[None])[0])
    l1 = float(weights @ np.abs(rho - law.density(space.points[: len(rho)])))
    return l1, float(rho.max()) / peak - 1.0


def test_one_cluster_is_told_ten_times_better_by_the_same_vertices() -> None:
    # accuracy.md C3 at level 4, t = 4 (peak 561): s = 1: 1.0e-1, -30 %; s = 3: 1.0e-2, -3 %.
    plain, plain_peak = run_on(mf.Sphere(4), 4.0)
    fine, peak = run_on(mf.Sphere(4, factor=3.0, centre=tuple(CENTRE)), 4.0)
    assert plain > 0.08 and plain_peak < -0.2
    assert fine < 1.1e-2 and abs(peak) < 0.05
    assert fine < plain / 8.0


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_nothing_moves_at_the_uniform_state_of_a_graded_mesh(factor: float) -> None:
    case = mf.Case(
        title="rest",
        geometry=mf.Sphere(3, factor=factor),
        model=mf.Model(attention="sa", beta=4.0),
        initial=mf.Uniform(3),
        time=mf.Time(end=1.0),
        solver=mf.Eulerian(),
    )
    rho = mf.run(case, progress=False).solver.rho  # type: ignore[attr-defined]
    assert np.abs(rho - 1.0).max() < 1e-9
