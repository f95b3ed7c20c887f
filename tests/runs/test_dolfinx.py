"""Meshes and densities of DOLFINx, in and out, and meshes from memory."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from cases import same_series
from processes import Job, needs_dolfinx, needs_launcher, ranks

import meanfield as mf
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.results.folder import RunFolder
from meanfield.software import load_dolfinx, load_mpi

pytestmark = needs_dolfinx
PROGRAM = Path(__file__).with_name("dolfinx_program.py")


def shuffled(mesh: Mesh, seed: int = 0) -> Mesh:
    """The same in another order of vertices and cells, turned about the origin."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((mesh.gdim, mesh.gdim)))
    turn *= np.sign(np.linalg.det(turn))
    order, place = rng.permutation(mesh.n_vertices), np.empty(mesh.n_vertices, dtype=np.int64)
    place[order] = np.arange(mesh.n_vertices)
    cells = place[mesh.cells][rng.permutation(mesh.n_cells)]
    return Mesh(mesh.geometry, mesh.d, mesh.points[order] @ turn.T, cells)


MESHES = {"sphere": shuffled(icosphere(2)), "circle": shuffled(circle(48))}


def case_on(geometry: object, initial: object, end: float = 0.2) -> mf.Case:
    return mf.Case(
        geometry=geometry,  # type: ignore[arg-type]
        model=mf.Model(attention="sa", beta=1.0),
        initial=initial,  # type: ignore[arg-type]
        time=mf.Time(end=end, outputs=tuple(t for t in (0.2, 0.4) if t < end)),
        output=mf.Output(figures=False, precision="float64"),
    )


def area_of(mesh: Mesh) -> float:
    """Of the flat cells."""
    ends = mesh.points[mesh.cells]
    if mesh.gdim == 2:
        return float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum())
    normal = np.cross(ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 0])
    return float(0.5 * np.linalg.norm(normal, axis=1).sum())


@needs_launcher
@pytest.mark.mpi
@pytest.mark.parametrize("name", MESHES)
def test_any_number_of_ranks(tmp_path: Path, name: str) -> None:
    mesh = MESHES[name]
    rho = 1.0 + 0.5 * mesh.points[:, -1] + 0.3 * mesh.points[:, 0]
    np.savez(tmp_path / "mesh.npz", points=mesh.points, cells=mesh.cells, rho=rho)
    found = {}
    for number in (1, 2, 3):
        job = Job(ranks(number, str(PROGRAM), str(tmp_path)))
        ended = job.finish()
        assert ended.code == 0, ended.said
        with np.load(tmp_path / f"found-{number}.npz") as data:
            found[number] = dict(data)
    same = np.sort(mesh.cells, axis=1)
    for number, one in found.items():
        for points, cells in (("points", "cells"), ("points_out", "cells_out")):
            np.testing.assert_allclose(one[points], mesh.points, rtol=0.0, atol=1e-15)
            np.testing.assert_array_equal(np.sort(one[cells], axis=1), same)
        np.testing.assert_allclose(one["values"], np.exp(mesh.points[:, -1]), rtol=1e-14)
        # The density at t = 0 is what was given, but for a factor.
        ratio = one["first"] / rho
        assert np.ptp(ratio) < 1e-14 * ratio[0]
        np.testing.assert_allclose(one["rho"], found[1]["rho"], rtol=1e-10)
        area = area_of(mesh)
        assert abs(float(one["integral"]) / area - 1.0) < 3e-3, number
    series = [RunFolder.open(tmp_path / f"out-{n}").read_series() for n in (1, 2, 3)]
    same_series(series[0], series[1], 1e-10)
    same_series(series[0], series[2], 1e-10)


APART = """
import numpy as np
import meanfield as mf
from meanfield.software import load_mpi

mpi = load_mpi()
rank = mpi.COMM_WORLD.rank
case = mf.Case(
    geometry=mf.Circle(vertices=20), model=mf.Model(attention="sa", beta=1.0),
    initial=mf.Fourier(cos=(0.1 + 0.5 * rank,)), time=mf.Time(end=0.1),
)
result = mf.run(case, progress=False, comm=mpi.COMM_SELF)
rho = mf.density_to_dolfinx(result)
assert rho.function_space.mesh.comm.size == 1
assert abs(rho.x.array.max() - result.solver.rho.max()) < 1e-12
for run in (result, result.solver):
    try:
        mf.density_to_dolfinx(run, comm=mpi.COMM_WORLD)
    except mf.InputError as error:
        assert "comm: found one of 2 ranks, expected that of the run" in str(error), error
    else:
        raise AssertionError
"""


@needs_launcher
@pytest.mark.mpi
def test_each_rank_has_the_density_of_its_own_run(tmp_path: Path) -> None:
    (tmp_path / "apart.py").write_text(APART, "utf-8")
    ended = Job(ranks(2, "apart.py"), cwd=tmp_path).finish()
    assert ended.code == 0, ended.said


@pytest.mark.filterwarnings("ignore::meanfield.MeanfieldWarning")
def test_densities_by_position_are_refused(tmp_path: Path) -> None:
    case = case_on(mf.Sphere(level=1), mf.standard_density()).to_dict()
    case["solver"] = {"type": "lagrangian", "slices": 2, "start": "mesh"}
    case["model"] = {"attention": "sa", "beta": 1.0, "mask": {"type": "causal"}}
    result = mf.run(mf.Case.from_dict(case), tmp_path / "run", progress=False)
    for run in (result, result.solver, tmp_path / "run"):
        with pytest.raises(mf.InputError, match=r"densities by position, .* one density expected"):
            mf.density_to_dolfinx(run)


def test_flat_cells_have_less_area_than_the_sphere() -> None:
    load_dolfinx()
    import ufl
    from dolfinx import fem

    measured = {}
    for level in (2, 3):
        result = mf.run(case_on(mf.Sphere(level=level), mf.Uniform(3)), progress=False)
        rho = mf.density_to_dolfinx(result)
        np.testing.assert_allclose(rho.x.array, 1.0, rtol=1e-12)  # uniform = 1
        integral = fem.assemble_scalar(fem.form(rho * ufl.dx))
        assert integral == pytest.approx(area_of(icosphere(level)), rel=1e-12)
        measured[level] = 1.0 - integral / (4.0 * math.pi)
    assert 3.8 < measured[2] / measured[3] < 4.2  # O(h^2)
    assert measured[3] == pytest.approx(4.765e-3, rel=1e-3)
    result = mf.run(case_on(mf.Circle(vertices=30), mf.Uniform(2)), progress=False)
    integral = fem.assemble_scalar(fem.form(mf.density_to_dolfinx(result) * ufl.dx))
    assert integral == pytest.approx(60.0 * math.sin(math.pi / 30.0), rel=1e-12)


def test_a_mesh_from_memory_is_that_of_its_file(tmp_path: Path) -> None:
    mesh = MESHES["sphere"]
    law = mf.standard_density()
    case = case_on(mesh, law)
    assert isinstance(case.geometry, mf.MeshFile)
    np.testing.assert_allclose(case.geometry.build_mesh().points, mesh.points, atol=1e-15)
    np.testing.assert_array_equal(
        np.sort(case.geometry.build_mesh().cells, axis=1), np.sort(mesh.cells, axis=1)
    )
    whole = mf.run(case_on(mesh, law, 0.4), tmp_path / "whole", progress=False)
    mf.run(case, tmp_path / "half", progress=False)
    # The folder has all that is needed, wherever it is, and under its own name.
    text = (tmp_path / "half" / "case.toml").read_text("utf-8")
    assert 'file = "mesh.vtu"' in text
    shutil.move(tmp_path / "half", tmp_path / "moved")
    path = tmp_path / "moved" / "case.toml"
    later = mf.Case.from_toml(path, {"time.end": 0.4}, recorded=True)
    rest = mf.run(later, tmp_path / "moved", resume=True, progress=False)
    np.testing.assert_allclose(rest.series["energy"][-1], whole.series["energy"][-1], rtol=1e-9)
    assert rest.t == 0.4
    # As does the case from memory.
    more = mf.run(case_on(mesh, law, 0.5), tmp_path / "moved", resume=True, progress=False)
    assert more.t == 0.5
    assert "mesh.vtu" in RunFolder.open(tmp_path / "moved").files()
    with pytest.raises(mf.InputError, match="cannot resume"):
        other = case_on(shuffled(icosphere(2), 5), law, 0.6)
        mf.run(other, tmp_path / "moved", resume=True, progress=False)


def test_a_zonal_mesh_from_memory() -> None:
    mesh = zonal_interval(20, d=5)
    case = case_on(mesh, mf.Uniform(5))
    assert case.geometry.d == 5 and case.geometry.vertex_count == 20
    rho = mf.density_to_dolfinx(mf.run(case, progress=False))
    np.testing.assert_allclose(rho.x.array, 1.0, rtol=1e-10)
    assert rho.function_space.mesh.geometry.dim == 1


def test_the_density_of_characteristics_is_on_the_mesh_that_has_moved(tmp_path: Path) -> None:
    case = case_on(mf.Sphere(level=2), mf.standard_density(), 0.5)
    case = mf.Case.from_dict({**case.to_dict(), "solver": {"type": "lagrangian", "start": "mesh"}})
    result = mf.run(case, tmp_path / "run", progress=False)
    by_solver = mf.density_from_dolfinx(mf.density_to_dolfinx(result))
    by_folder = mf.density_from_dolfinx(mf.density_to_dolfinx(tmp_path / "run"))
    np.testing.assert_allclose(by_solver[0].points, by_folder[0].points, atol=1e-12)
    np.testing.assert_allclose(by_solver[1], by_folder[1], rtol=1e-10)
    at_first = mf.density_from_dolfinx(mf.density_to_dolfinx(result, 0.0))[0]
    assert np.abs(at_first.points - by_folder[0].points).max() > 0.01


def test_what_is_no_density_or_mesh_is_refused(tmp_path: Path) -> None:
    load_dolfinx()
    from dolfinx import fem
    from dolfinx.mesh import create_unit_square

    comm = load_mpi().COMM_WORLD
    flat = create_unit_square(comm, 2, 2)
    with pytest.raises(mf.InputError, match="found 'triangle' cells in dimension 2"):
        mf.mesh_from_dolfinx(flat)
    sphere = mf.density_to_dolfinx(
        mf.run(case_on(mf.Sphere(level=1), mf.Uniform(3)), progress=False)
    )
    domain = sphere.function_space.mesh
    for element in (("Lagrange", 2), ("DG", 1), ("Lagrange", 1, (3,))):
        function = fem.Function(fem.functionspace(domain, element))
        with pytest.raises(mf.InputError, match="expected scalar P1"):
            mf.density_from_dolfinx(function)
    domain.geometry.x[:] *= 2.0
    with pytest.raises(mf.InputError, match="at distance 2 from the origin"):
        mf.mesh_from_dolfinx(domain)
    with pytest.raises(mf.InputError, match=r"^geometry\.mesh: found .*mesh_from_dolfinx"):
        case_on(domain, mf.Uniform(3))
    with pytest.raises(mf.InputError, match=r"initial: .*meanfield.density_from_dolfinx"):
        case_on(mf.Sphere(level=1), sphere)

    result = mf.run(case_on(mf.Sphere(level=1), mf.Uniform(3)), tmp_path / "run", progress=False)
    with pytest.raises(mf.InputError, match=r"t = 0\.11 found, the time of an output expected: 0 "):
        mf.density_to_dolfinx(result, 0.11)
    alone = mf.run(case_on(mf.Sphere(level=1), mf.Uniform(3)), progress=False)
    with pytest.raises(mf.InputError, match="this run has no folder"):
        mf.density_to_dolfinx(alone, 0.11)
    tokens = mf.Case(
        geometry=mf.Unmeshed(d=3),
        model=mf.Model(attention="sa", beta=1.0),
        initial=mf.Uniform(3),
        solver=mf.Particles(number=4),
        time=mf.Time(end=0.1),
    )
    with pytest.raises(mf.InputError, match="expected that of a density on a mesh"):
        mf.density_to_dolfinx(mf.run(tokens, progress=False))
