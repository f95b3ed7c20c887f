"""What every format keeps: written, read back, resumed, damaged; and what VTK reads of a list."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from cases import few_tokens, run, small
from written import TIMES, Tokens, density, folder_of_fields, folder_of_tokens, moved

import meanfield as mf
from meanfield.case.output import FormatName
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.results.formats import (
    LOG10_FLOOR,
    FieldFile,
    format_named,
    read_fields,
    read_tokens_file,
)

MESHES = {"sphere": icosphere(1), "circle": circle(30), "zonal": zonal_interval(17, 8)}
NAMES = {"rho": 1, "log10_rho": 1, "velocity": 3}

each_format = pytest.mark.parametrize("name", get_args(FormatName))
each_mesh = pytest.mark.parametrize("geometry", list(MESHES))


def fields_file(
    name: str, path: Path, mesh: Mesh, resume_at: float | None = None, **options: str
) -> FieldFile:
    stored = {"precision": "float64", "compression": "gzip"} | options
    return format_named(name).fields(
        path, mesh, names=NAMES, moving=False, resume_at=resume_at, **stored
    )  # fmt: skip


# -- fields ------------------------------------------------------------------------------


@each_format
@each_mesh
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_fields_are_read_as_they_were_written(
    tmp_path: Path, name: str, geometry: str, precision: str, compression: str
) -> None:
    mesh, path = MESHES[geometry], tmp_path / f"fields.{name}"
    file = fields_file(name, path, mesh, precision=precision, compression=compression)
    for t in TIMES:
        file.write(t, density(mesh, t))
    file.close()
    back = read_fields(path)
    assert back.times.tolist() == list(TIMES) and back.names == NAMES and not back.moving
    assert (back.geometry, back.d) == (mesh.geometry, mesh.d)
    np.testing.assert_array_equal(back.mesh.points, mesh.points)
    np.testing.assert_array_equal(back.mesh.cells, mesh.cells)
    for k, t in enumerate(TIMES):
        given = density(mesh, t)
        given["log10_rho"] = np.maximum(given["log10_rho"], LOG10_FLOOR)
        given["velocity"] = mesh.manifold.vectors_in_space(mesh.points, given["velocity"])
        for field, values in given.items():
            np.testing.assert_array_equal(back.read(field, k), values.astype(precision))
    with pytest.raises(mf.InputError, match=r"no field 'rh' .*did you mean 'rho'"):
        back.read("rh")
    with pytest.raises(IndexError):
        back.read("rho", 3)


@each_format
@each_mesh
def test_a_mesh_that_moves(tmp_path: Path, name: str, geometry: str) -> None:
    mesh = MESHES[geometry]
    back = read_fields(folder_of_fields(tmp_path / "run", mesh, name, moves=True).fields_path)
    assert back.path.name == f"fields.{name}" and back.moving
    for k in range(len(TIMES)):
        there = back.at(k).mesh
        np.testing.assert_array_equal(there.points, moved(mesh, k).points)
        np.testing.assert_array_equal(there.cells, moved(mesh, k).cells)
        assert back.read("mass", k).shape == (mesh.n_vertices,)


@each_format
def test_what_is_not_finite_is_not_written(tmp_path: Path, name: str) -> None:
    mesh, path = MESHES["sphere"], tmp_path / f"fields.{name}"
    file = fields_file(name, path, mesh)
    file.write(0.0, density(mesh, 0.0))
    bad = density(mesh, 1.0)
    bad["rho"][3] = np.nan
    with pytest.raises(BrokenInvariantError, match="'rho' at t = 1 is not finite"):
        file.write(1.0, bad)
    with pytest.raises(ValueError, match=r"time 0\.0 of a step"):
        file.write(0.0, density(mesh, 0.0))
    with pytest.raises(ValueError, match="expected"):
        file.write(1.0, {"rho": bad["rho"]})
    file.close()
    assert read_fields(path).times.tolist() == [0.0]


@each_format
def test_resumed_is_as_uninterrupted(tmp_path: Path, name: str) -> None:
    mesh = MESHES["zonal"]
    paths = tmp_path / "one" / f"fields.{name}", tmp_path / "two" / f"fields.{name}"
    for path, steps in zip(paths, ((0.0, 1.0, 2.0, 3.0), (0.0, 1.0, 1.5)), strict=True):
        path.parent.mkdir()
        file = fields_file(name, path, mesh)
        for t in steps:
            file.write(t, density(mesh, t))
        file.close()
    file = fields_file(name, paths[1], mesh, resume_at=1.0 + 1e-14)
    assert file.last_time == 1.0
    for t in (2.0, 3.0):
        file.write(t, density(mesh, t))
    file.close()
    one, two = map(read_fields, paths)
    assert one.times.tolist() == two.times.tolist()
    for k in range(4):
        for field in NAMES:
            np.testing.assert_array_equal(one.read(field, k), two.read(field, k))
    again = fields_file(name, paths[1], mesh, resume_at=-1.0)
    assert again.last_time == -np.inf
    again.write(7.0, density(mesh, 1.0))
    again.close()
    assert read_fields(paths[1]).times.tolist() == [7.0]


@each_format
def test_another_run_is_not_gone_on_with(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"fields.{name}"
    file = fields_file(name, path, MESHES["sphere"])
    file.write(0.0, density(MESHES["sphere"], 0.0))
    file.close()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(mf.InputError, match="must hold the run's own"):
        fields_file(name, path, MESHES["circle"], resume_at=0.0)
    turned = dataclasses.replace(MESHES["sphere"], points=MESHES["sphere"].points[:, [1, 2, 0]])
    with pytest.raises(mf.InputError, match="in the same places"):
        fields_file(name, path, turned, resume_at=0.0)
    with pytest.raises(mf.InputError, match=r"resume with the output\.precision of the run"):
        fields_file(name, path, MESHES["sphere"], resume_at=0.0, precision="float32")
    with pytest.raises(mf.InputError, match=r"no field file at"):
        fields_file(name, tmp_path / f"other.{name}", MESHES["sphere"], resume_at=0.0)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


@each_format
@pytest.mark.parametrize("content", [b"", b"<VTKFile>", b"<VTKFile/>", b"\x89HDF nothing"])
def test_what_no_run_wrote(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / f"fields.{name}"
    path.write_bytes(content)
    for read in (read_fields, read_tokens_file):
        with pytest.raises(mf.InputError, match="damaged or was written by another program"):
            read(path)
    path.unlink()
    with pytest.raises(mf.InputError, match=r"^no field file at"):
        read_fields(path)


# -- tokens ------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize(("n", "d"), [(1, 3), (20, 2), (30, 3), (30, 8)])
def test_tokens_are_read_as_they_were_written(tmp_path: Path, name: str, n: int, d: int) -> None:
    tokens = Tokens(n, d)
    run = folder_of_tokens(tmp_path / "run", tokens, name)
    usual = folder_of_tokens(tmp_path / "usual", tokens)
    back, same = (read_tokens_file(folder.particles_path) for folder in (run, usual))
    assert (back.n, back.d, back.times.tolist()) == (n, d, list(TIMES))
    assert (back.frame is None) == (d <= 3)
    np.testing.assert_array_equal(back.read("mass"), tokens.masses)
    np.testing.assert_array_equal(back.read("id"), np.arange(n))
    for k, t in enumerate(TIMES):
        x, labels, _ = tokens.at(t)
        np.testing.assert_array_equal(back.points(k)[:, : min(d, 3)], x[:, :3])
        np.testing.assert_array_equal(back.read("cluster", k), labels)
        np.testing.assert_array_equal(back.read("velocity", k), same.read("velocity", k))
        if d > 3:
            np.testing.assert_array_equal(back.inner_products(k), same.inner_products(k))
    with pytest.raises(mf.InputError, match="cannot be read as a field file"):
        read_fields(run.particles_path)


@each_format
def test_tokens_are_gone_on_with(tmp_path: Path, name: str) -> None:
    tokens = Tokens(20, 8)
    path = folder_of_tokens(tmp_path / "run", tokens, name).particles_path

    def opened(masses: np.ndarray) -> object:
        return format_named(name).tokens(
            path, 8, 20, masses=masses, precision="float64", compression="gzip", resume_at=0.5
        )  # type: ignore[call-arg, unused-ignore]

    with pytest.raises(mf.InputError, match="found other masses"):
        opened(np.full(20, 0.05))
    assert read_tokens_file(path).times.tolist() == list(TIMES)
    file = opened(tokens.masses)
    file.write(3.0, *tokens.at(3.0))  # type: ignore[attr-defined]
    back = read_tokens_file(path)
    assert back.times.tolist() == [0.0, 0.5, 3.0]
    np.testing.assert_array_equal(back.read("cluster", 2), tokens.at(3.0)[1])


# -- what VTK reads of a list --------------------------------------------------------------------


@each_mesh
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_pyvista_gives_all_times(tmp_path: Path, geometry: str, compression: str) -> None:
    pyvista = pytest.importorskip("pyvista")
    mesh, path = MESHES[geometry], tmp_path / "fields.pvd"
    file = fields_file("pvd", path, mesh, compression=compression)
    for t in TIMES:
        file.write(t, density(mesh, t))
    reader, back = pyvista.get_reader(str(path)), read_fields(path)
    assert reader.time_values == list(TIMES)
    for k in (2, 0, 1):
        reader.set_active_time_point(k)
        grid = reader.read()[0]
        np.testing.assert_array_equal(grid.points, back.points)
        corners = mesh.cells.shape[1]
        np.testing.assert_array_equal(grid.cells.reshape(-1, corners + 1)[:, 1:], mesh.cells)
        assert grid.field_data["TimeValue"][0] == TIMES[k]
        for field in back.all_names:
            np.testing.assert_array_equal(grid[field], back.read(field, k))


def test_pyvista_reads_tokens_in_many_dimensions(tmp_path: Path) -> None:
    pyvista = pytest.importorskip("pyvista")
    run = folder_of_tokens(tmp_path / "run", Tokens(20, 8), "pvd")
    reader, back = pyvista.get_reader(str(run.particles_path)), read_tokens_file(run.particles_path)
    reader.set_active_time_point(2)
    grid = reader.read()[0]
    assert set(grid.celltypes) == {1}
    np.testing.assert_array_equal(grid.points, back.points(2))
    np.testing.assert_array_equal(grid["coordinates"], Tokens(20, 8).at(2.0)[0])


def test_the_list_has_whole_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full while the list is written: the step is not there, and can be tried again."""
    from meanfield.results.formats.pvd import collection

    mesh, path = MESHES["circle"], tmp_path / "fields.pvd"
    file = fields_file("pvd", path, mesh)
    file.write(0.0, density(mesh, 0.0))
    with monkeypatch.context() as patch:

        def full(*given: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(collection, "write_collection", full)
        with pytest.raises(OSError, match="No space"):
            file.write(1.0, density(mesh, 1.0))
    assert [p.name for p in (tmp_path / "fields").iterdir()] == ["fields_000000.vtu"]
    assert read_fields(path).times.tolist() == [0.0]
    file.write(1.0, density(mesh, 1.0))
    assert read_fields(path).times.tolist() == [0.0, 1.0]


def test_overwriting_deletes_the_files_of_the_steps_and_no_other(tmp_path: Path) -> None:
    folder = folder_of_fields(tmp_path / "run", MESHES["circle"], "pvd")
    mine = folder.path / "fields" / "fields_mine.vtu"
    mine.write_text("mine")
    assert {f"fields/fields_{k:06d}.vtu" for k in range(3)} < folder.files()
    mf.RunFolder.create(folder.path, overwrite=True)
    assert list((folder.path / "fields").iterdir()) == [mine]
    assert not folder.fields_path.exists() and not (folder.path / "fields.pvd").exists()


# -- runs ------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["density", "tokens"])
def test_a_run_that_is_gone_on_with(tmp_path: Path, what: str) -> None:
    make = small if what == "density" else few_tokens
    changes = {"output.format": "pvd", "output.figures": False, "time.outputs": {"every": 0.25}}
    whole, half = tmp_path / "whole", tmp_path / "half"
    run(make({**changes, "time.end": 1.0}), whole)
    run(make({**changes, "time.end": 0.5}), half)
    run(make({**changes, "time.end": 1.0}), half, resume=True)
    name = "fields.pvd" if what == "density" else "particles.pvd"
    read = read_fields if what == "density" else read_tokens_file
    one, two = read(whole / name), read(half / name)
    assert one.times.tolist() == two.times.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    np.testing.assert_array_equal(one.read("velocity", 4), two.read("velocity", 4))
    assert mf.RunFolder.open(half).data_paths()[-1].name == name
