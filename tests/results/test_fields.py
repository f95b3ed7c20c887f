"""Field files: what VTK reads is what was written; killed, resumed and refused writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from processes import Job
from viewer import Viewer, each_end, end_a_writer, file_of, whole_steps

from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.results.formats import LOG10_FLOOR, read_fields
from meanfield.results.formats.vtkhdf.fields import FieldWriter

NAMES = {"rho": 1, "log10_rho": 1, "velocity": 3}
MESHES = {"sphere": icosphere(2), "circle": circle(30), "zonal": zonal_interval(17, 8)}


def smooth(mesh: Mesh, t: float) -> dict[str, Array]:
    """A density that gathers at one place and its gradient, in the mesh's own coordinates."""
    if mesh.geometry == "zonal":
        theta = mesh.points[:, 0]
        rho = np.exp(t * np.cos(theta))
        velocity = -np.sin(theta)[:, None]
    else:
        to = np.array([0.48, 0.6, 0.64])[: mesh.gdim]
        rho = np.exp(t * (mesh.points @ to))
        velocity = (1.0 + t) * tangent_project(mesh.points, np.broadcast_to(to, mesh.points.shape))
    return {"rho": rho, "log10_rho": np.log10(rho), "velocity": velocity}


def write_series(
    path: Path, mesh: Mesh, times: list[float], resume_at: float | None = None, **options: str
) -> None:
    with FieldWriter(path, mesh, names=NAMES, resume_at=resume_at, **options) as writer:  # type: ignore[arg-type]
        for t in times:
            writer.write(t, smooth(mesh, t))


# -- what others read ---------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize("geometry", list(MESHES))
def test_pyvista_reads_every_step(
    tmp_path: Path, geometry: str, precision: str, compression: str
) -> None:
    pyvista = pytest.importorskip("pyvista")
    mesh = MESHES[geometry]
    path = tmp_path / "fields.vtkhdf"
    times = [0.0, 0.1, 1.0, 2.5]
    write_series(path, mesh, times, precision=precision, compression=compression)

    reader = pyvista.get_reader(str(path)).reader
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == len(times)
    information = reader.GetOutputInformation(0)
    key = type(reader.GetExecutive()).TIME_STEPS()
    assert information.Get(key) == tuple(times)
    for k in (2, 0, 3, 1):  # out of order: steps are read independently
        reader.SetStep(k)
        reader.Modified()
        reader.Update()
        grid = pyvista.wrap(reader.GetOutput())
        expected = smooth(mesh, times[k])
        x = mesh.points
        if geometry == "circle":
            points = np.column_stack([x, np.zeros(len(x))])
            velocity = np.column_stack([expected["velocity"], np.zeros(len(x))])
        elif geometry == "zonal":
            theta = x[:, 0]
            zero = np.zeros_like(theta)
            points = np.column_stack([np.sin(theta), zero, np.cos(theta)])
            speed = expected["velocity"][:, 0]
            velocity = np.column_stack([speed * np.cos(theta), zero, -speed * np.sin(theta)])
            np.testing.assert_array_equal(grid["theta"], theta)
        else:
            points, velocity = x, expected["velocity"]
        np.testing.assert_array_equal(grid.points, points)
        corners = mesh.cells.shape[1]
        np.testing.assert_array_equal(grid.cells.reshape(-1, corners + 1)[:, 1:], mesh.cells)
        assert set(grid.celltypes) == {5 if corners == 3 else 3}
        for name, values in (
            ("rho", expected["rho"]),
            ("log10_rho", expected["log10_rho"]),
            ("velocity", velocity),
        ):
            assert grid[name].dtype == precision
            np.testing.assert_array_equal(grid[name], values.astype(precision))


def test_static_data_is_stored_once_and_read_at_every_step(tmp_path: Path) -> None:
    mesh = MESHES["sphere"]
    weight = np.linspace(0.0, 1.0, mesh.n_vertices)
    path = tmp_path / "fields.vtkhdf"
    static = {"weight": weight, "normal": mesh.points}
    with FieldWriter(path, mesh, names={"rho": 1}, static=static) as writer:
        for t in (0.0, 1.0, 2.0):
            writer.write(t, {"rho": smooth(mesh, t)["rho"]})
    viewer = Viewer(path)
    for k in (2, 0, 1):
        grid = viewer.step(k)
        np.testing.assert_array_equal(grid["weight"], weight)
        np.testing.assert_array_equal(grid["normal"], mesh.points)
    with h5py.File(path) as file:
        assert file["VTKHDF/PointData/weight"].shape == (mesh.n_vertices,)
        assert file["VTKHDF/PointData/rho"].shape == (3 * mesh.n_vertices,)
    back = read_fields(path)
    assert set(back.static) == {"weight", "normal"}
    np.testing.assert_array_equal(back.read("normal"), mesh.points)


@pytest.mark.parametrize("geometry", list(MESHES))
def test_read_fields_gives_back_mesh_times_and_values(tmp_path: Path, geometry: str) -> None:
    mesh = MESHES[geometry]
    path = tmp_path / "fields.vtkhdf"
    times = [0.0, 1.0 / 3.0, 2.0]
    write_series(path, mesh, times, precision="float64")
    back = read_fields(path)
    assert back.times.tolist() == times
    assert back.names == NAMES
    assert (back.mesh.geometry, back.mesh.d) == (mesh.geometry, mesh.d)
    np.testing.assert_array_equal(back.mesh.points, mesh.points)
    np.testing.assert_array_equal(back.mesh.cells, mesh.cells)
    for k, t in enumerate(times):
        np.testing.assert_array_equal(back.read("rho", k), smooth(mesh, t)["rho"])
    np.testing.assert_array_equal(back.read("rho", -1), back.read("rho", 2))
    assert back.read("velocity", 1).shape == (mesh.n_vertices, 3)
    # Tangent to the sphere, as the velocity of every geometry must be after embedding.
    assert np.abs(np.sum(back.read("velocity", 1) * back.points, axis=1)).max() < 1e-14
    with pytest.raises(IndexError, match="step 3 of"):
        back.read("rho", 3)
    with pytest.raises(InputError, match="did you mean 'velocity'"):
        back.read("velocities", 0)


def test_size_of_a_typical_run(tmp_path: Path) -> None:
    """20 steps of level 5, 5 components, smooth data: compressed well below plain doubles."""
    mesh = icosphere(5)
    sizes = {}
    for precision, compression in (("float32", "gzip"), ("float64", "none")):
        path = tmp_path / f"{precision}.vtkhdf"
        times = list(np.linspace(0.0, 8.0, 20))
        write_series(path, mesh, times, precision=precision, compression=compression)
        sizes[precision] = path.stat().st_size
    assert sizes["float64"] > 20 * 5 * 8 * mesh.n_vertices
    # 23 bits of a float's mantissa are noise to gzip: 3.5 MB of 4.1 is what is lossless.
    assert sizes["float32"] < 3.7e6


# -- refused values -------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["rho", "velocity"])
def test_non_finite_values_are_refused_and_leave_the_file_as_it_was(
    tmp_path: Path, name: str, bad: float
) -> None:
    mesh = MESHES["sphere"]
    path = tmp_path / "fields.vtkhdf"
    with FieldWriter(path, mesh, names=NAMES) as writer:
        writer.write(0.0, smooth(mesh, 0.0))
        values = smooth(mesh, 1.0)
        values[name][5] = bad
        with pytest.raises(
            BrokenInvariantError, match=rf"'{name}' at t = 1 .* 1 of 162 .*vertex 5"
        ):
            writer.write(1.0, values)
        assert writer.steps == 1
        writer.write(1.0, smooth(mesh, 1.0))
    back = read_fields(path)
    assert back.times.tolist() == [0.0, 1.0]
    assert np.isfinite(back.read("velocity", 1)).all()


def test_zero_density_has_a_floor_in_log10_rho_but_nan_has_none(tmp_path: Path) -> None:
    mesh = MESHES["circle"]
    path = tmp_path / "fields.vtkhdf"
    values = smooth(mesh, 0.0)
    values["rho"][3] = 0.0
    with np.errstate(divide="ignore"):
        values["log10_rho"] = np.log10(values["rho"])
    with FieldWriter(path, mesh, names=NAMES) as writer:
        writer.write(0.0, values)
        for bad in (np.nan, np.inf):
            values["log10_rho"][4] = bad
            with pytest.raises(BrokenInvariantError, match="log10_rho"):
                writer.write(1.0, values)
    stored = read_fields(path).read("log10_rho", 0)
    assert stored[3] == LOG10_FLOOR
    np.testing.assert_allclose(np.delete(stored, 3), 0.0, atol=1e-7)


def test_too_large_for_float32_names_the_remedy(tmp_path: Path) -> None:
    mesh = MESHES["circle"]
    values = smooth(mesh, 0.0)
    values["velocity"] *= 1e40
    with FieldWriter(tmp_path / "a.vtkhdf", mesh, names=NAMES) as writer:
        with pytest.raises(BrokenInvariantError, match=r'output\.precision = "float64"'):
            writer.write(0.0, values)
    with FieldWriter(tmp_path / "b.vtkhdf", mesh, names=NAMES, precision="float64") as writer:
        writer.write(0.0, values)
    stored = read_fields(tmp_path / "b.vtkhdf").read("velocity", 0)
    np.testing.assert_array_equal(stored[:, :2], values["velocity"])


def test_misuse_is_refused(tmp_path: Path) -> None:
    mesh = MESHES["sphere"]
    with pytest.raises(InputError, match=r"output\.precision = 'float23'.*did you mean 'float32'"):
        FieldWriter(tmp_path / "a", mesh, names=NAMES, precision="float23")
    with pytest.raises(InputError, match=r"output\.compression = 'zip'"):
        FieldWriter(tmp_path / "a", mesh, names=NAMES, compression="zip")
    with pytest.raises(InputError, match="2 components"):
        FieldWriter(tmp_path / "a", mesh, names={"rho": 2})
    assert not (tmp_path / "a").exists()
    with FieldWriter(tmp_path / "a", mesh, names=NAMES) as writer:
        writer.write(1.0, smooth(mesh, 1.0))
        with pytest.raises(ValueError, match=r"above 1\.0"):
            writer.write(1.0, smooth(mesh, 1.0))
        with pytest.raises(ValueError, match=r"\['rho'\] given"):
            writer.write(2.0, {"rho": smooth(mesh, 2.0)["rho"]})
        with pytest.raises(ValueError, match=r"'rho' has shape \(7,\)"):
            writer.write(2.0, smooth(mesh, 2.0) | {"rho": np.ones(7)})
    assert read_fields(tmp_path / "a").times.tolist() == [1.0]


# -- killed and resumed runs ----------------------------------------------------------------------

_WRITER = """
import os, sys
import numpy as np
from meanfield.geometry.mesh import icosphere
from meanfield.results.formats.vtkhdf.fields import FieldWriter
mesh = icosphere(3)
writer = FieldWriter(sys.argv[1], mesh, names={"rho": 1, "velocity": 3})
k = 0
while True:
    if sys.argv[2] == "exit" and k == 5:
        data = writer._file["VTKHDF/PointData/rho"]  # a step begun, not finished
        data.resize(6 * mesh.n_vertices, axis=0)
        data[-mesh.n_vertices:] = 99.0
        os._exit(1)
    writer.write(0.5 * k, {"rho": np.full(mesh.n_vertices, k), "velocity": k * mesh.points})
    print(k, flush=True)
    k += 1
"""


@each_end
def test_a_killed_writer_leaves_a_file_that_is_read_and_resumed(
    tmp_path: Path, start: Callable[..., Job], how: str
) -> None:
    path = tmp_path / "fields.vtkhdf"
    end_a_writer(start, _WRITER, path, how)

    back = read_fields(path)
    viewer = whole_steps(path, back.times, how)
    for k in range(len(back.times)):
        assert set(back.read("rho", k)) == {k}
        np.testing.assert_array_equal(
            back.read("velocity", k), (k * back.mesh.points).astype(np.float32)
        )
    assert set(viewer.step(4)["rho"]) == {4}

    mesh = back.mesh
    names = {"rho": 1, "velocity": 3}
    with FieldWriter(path, mesh, names=names, resume_at=1.7) as writer:
        assert (writer.steps, writer.last_time) == (4, 1.5)
        writer.write(1.8, {"rho": np.full(mesh.n_vertices, 7.0), "velocity": mesh.points})
    again = read_fields(path)
    assert again.times.tolist() == [0.0, 0.5, 1.0, 1.5, 1.8]
    assert [again.read("rho", k)[3] for k in range(5)] == [0, 1, 2, 3, 7]


def test_whatever_is_on_disk_between_flushes_is_a_valid_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill may come after any flush: VTK crashes if Values is longer than NSteps says."""
    pytest.importorskip("pyvista")
    mesh = MESHES["zonal"]
    path, copy = tmp_path / "fields.vtkhdf", tmp_path / "copy.vtkhdf"
    flush = h5py.File.flush
    seen = []

    def checked(file: h5py.File) -> None:
        flush(file)
        copy.write_bytes(file_of(path).read_bytes())
        with h5py.File(copy, "r") as other:
            steps = other["VTKHDF/Steps"]
            count, times = int(steps.attrs["NSteps"]), steps["Values"][:]
            assert len(times) <= count
            for name in ("NumberOfParts", "PointOffsets", "CellOffsets"):
                assert len(steps[name]) >= count
            for name, offsets in steps["PointDataOffsets"].items():
                assert len(offsets) >= count
                data = other["VTKHDF/PointData"][name]
                assert all(offset + mesh.n_vertices <= len(data) for offset in offsets[:count])
        seen.append((count, len(times)))
        back = read_fields(copy)
        assert back.times.tolist() == [0.0, 0.5, 1.0, 1.5][: len(times)]
        for k, t in enumerate(back.times):
            expected = smooth(mesh, t)["rho"].astype(np.float32)
            np.testing.assert_array_equal(back.read("rho", k), expected)
        if count > 1:  # VTK takes a single step for no series at all
            viewer = Viewer(copy)
            assert len(viewer) == count
            assert np.isfinite(viewer.step(count - 1)["rho"]).all()

    monkeypatch.setattr(h5py.File, "flush", checked)
    write_series(path, mesh, [0.0, 0.5, 1.0, 1.5])
    write_series(path, mesh, [1.0, 1.5], resume_at=0.5)
    assert {count - times for count, times in seen} >= {0, 1}  # the states in between did occur
    assert seen[-1] == (4, 4)


def test_a_reader_may_have_the_file_open_while_it_grows(tmp_path: Path) -> None:
    mesh = MESHES["sphere"]
    path = tmp_path / "fields.vtkhdf"
    with FieldWriter(path, mesh, names=NAMES) as writer:
        assert not path.exists()  # until it can be read
        for k in range(3):
            writer.write(float(k), smooth(mesh, k))
            with h5py.File(path, "r", locking=False):  # stays open during the next line
                back = read_fields(path)
                assert len(back.times) == k + 1
                expected = smooth(mesh, k)["rho"].astype(np.float32)
                np.testing.assert_array_equal(back.read("rho", k), expected)


@pytest.mark.parametrize("geometry", list(MESHES))
def test_resumed_series_equals_the_uninterrupted_one(tmp_path: Path, geometry: str) -> None:
    mesh = MESHES[geometry]
    whole, parts = tmp_path / "whole.vtkhdf", tmp_path / "parts.vtkhdf"
    write_series(whole, mesh, [0.0, 0.5, 1.0, 1.5, 2.0])
    write_series(parts, mesh, [0.0, 0.5, 1.0, 1.25, 1.3])  # went beyond its checkpoint at 1.0
    write_series(parts, mesh, [1.5, 2.0], resume_at=1.0)
    a, b = read_fields(whole), read_fields(parts)
    np.testing.assert_array_equal(a.times, b.times)
    for name in NAMES:
        for k in range(5):
            np.testing.assert_array_equal(a.read(name, k), b.read(name, k))
    np.testing.assert_array_equal(Viewer(parts).step(3)["rho"], a.read("rho", 3).astype(np.float32))


def test_resuming_before_everything_starts_over(tmp_path: Path) -> None:
    mesh = MESHES["circle"]
    path = tmp_path / "fields.vtkhdf"
    write_series(path, mesh, [1.0, 2.0])
    write_series(path, mesh, [0.5], resume_at=0.0)
    assert read_fields(path).times.tolist() == [0.5]


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    mesh = MESHES["sphere"]
    path = tmp_path / "fields.vtkhdf"
    with pytest.raises(InputError, match="no field file"):
        FieldWriter(path, mesh, names=NAMES, resume_at=1.0)
    write_series(path, mesh, [0.0, 1.0])
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"found sphere \(d = 3\) with 162 vertices.*with 642"):
        FieldWriter(path, icosphere(3), names=NAMES, resume_at=1.0)
    with pytest.raises(InputError, match="found the fields"):
        FieldWriter(path, mesh, names={"rho": 1}, resume_at=1.0)
    with pytest.raises(InputError, match="is float32, expected float64"):
        FieldWriter(path, mesh, names=NAMES, precision="float64", resume_at=1.0)
    assert path.read_bytes() == before


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fields.vtkhdf"
    with pytest.raises(InputError, match="no field file"):
        read_fields(path)
    path.write_text("not HDF5")
    with pytest.raises(InputError, match="damaged or was written by another program"):
        read_fields(path)
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(3)
    with pytest.raises(InputError, match="damaged or was written by another program"):
        read_fields(path)
    write_series(path, MESHES["sphere"], [0.0, 1.0])
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="damaged or was written by another program"):
        FieldWriter(path, MESHES["sphere"], names=NAMES, resume_at=1.0)
