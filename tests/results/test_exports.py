"""Exports: each form is read back by a reader of its own kind, and nothing else is touched."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import h5py
import meshio
import numpy as np
import pytest
from written import TIMES, Tokens, folder_of_fields, folder_of_tokens, moved

import meanfield as mf
from meanfield.cli.command import main
from meanfield.geometry.mesh import circle, icosphere, zonal_interval
from meanfield.results.exports import EXPORTS
from meanfield.results.exports import csv as csv_module
from meanfield.results.formats import read_fields, read_tokens_file

MESHES = {"sphere": icosphere(1), "circle": circle(20), "zonal": zonal_interval(17, 8)}

each_mesh = pytest.mark.parametrize("geometry", list(MESHES))
each_form = pytest.mark.parametrize("to", list(EXPORTS))
if_moving = pytest.mark.parametrize("moves", [False, True])


@each_mesh
@if_moving
def test_pvd_is_a_field_file_again(tmp_path: Path, geometry: str, moves: bool) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES[geometry], moves=moves)
    made = mf.export(run.path, "pvd")
    assert made[0] == run.path / "export" / "fields.pvd" and len(made) == 4
    one, two = read_fields(run.fields_path), read_fields(made[0])
    assert one.times.tolist() == two.times.tolist() and one.names == two.names
    for k in range(3):
        np.testing.assert_array_equal(one.at(k).mesh.points, two.at(k).mesh.points)
        np.testing.assert_array_equal(one.at(k).cells, two.at(k).cells)
        for name in one.all_names:
            np.testing.assert_array_equal(one.read(name, k), two.read(name, k))


@each_mesh
def test_meshio_reads_the_series_of_xdmf(tmp_path: Path, geometry: str) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES[geometry])
    back = read_fields(run.fields_path)
    path = mf.export(run.path, "xdmf")[0]
    with meshio.xdmf.TimeSeriesReader(path) as reader:
        points, cells = reader.read_points_cells()
        np.testing.assert_array_equal(points, back.points)
        np.testing.assert_array_equal(cells[0].data, back.cells)
        assert reader.num_steps == 3
        for k in range(3):
            t, data, _ = reader.read_data(k)
            assert t == TIMES[k] and set(data) == set(back.all_names)
            for name, values in data.items():
                np.testing.assert_array_equal(values, back.read(name, k))
    with h5py.File(path.with_suffix(".h5")) as file:
        assert set(file) == {"points", "cells", *back.static, *(f"step_{k:06d}" for k in range(3))}


def arrays_of(path: Path) -> list[tuple[float, dict[str, Any]]]:
    """Time and arrays of each step of an XDMF file, by the letter of its format."""
    steps = []
    with h5py.File(path.with_suffix(".h5")) as file:
        for grid in ElementTree.parse(path).getroot().iter("Grid"):
            if grid.get("GridType") != "Uniform":
                continue
            found = {}
            for part in grid:
                item = part.find("DataItem")
                if item is not None:
                    name, _, place = str(item.text).partition(":")
                    assert name == f"{path.stem}.h5"
                    values = file[place][()]
                    shape = tuple(map(int, item.attrib["Dimensions"].split()))
                    assert values.shape == shape
                    assert values.dtype.itemsize == int(item.attrib["Precision"])
                    found[part.get("Name") or part.tag] = values
            time = grid.find("Time")
            assert time is not None
            steps.append((float(time.attrib["Value"]), found))
    return steps


@each_mesh
def test_xdmf_of_a_mesh_that_moves(tmp_path: Path, geometry: str) -> None:
    mesh = MESHES[geometry]
    run = folder_of_fields(tmp_path / "run", mesh, moves=True)
    steps = arrays_of(mf.export(run.path, "xdmf")[0])
    assert [t for t, _ in steps] == list(TIMES)
    back = read_fields(run.fields_path)
    for k, (_, found) in enumerate(steps):
        there = moved(mesh, k)
        np.testing.assert_array_equal(found["Geometry"], there.manifold.in_space(there.points))
        np.testing.assert_array_equal(found["Topology"], there.cells)
        np.testing.assert_array_equal(found["velocity"], back.read("velocity", k))


@pytest.mark.parametrize("d", [2, 3, 8])
def test_tokens(tmp_path: Path, d: int) -> None:
    run = folder_of_tokens(tmp_path / "run", Tokens(15, d))
    back = read_tokens_file(run.particles_path)
    made = {to: mf.export(run.path, to)[0] for to in EXPORTS}
    assert {path.stem for path in made.values()} == {"particles"}
    steps, again = arrays_of(made["xdmf"]), read_tokens_file(made["pvd"])
    rows = np.genfromtxt(made["csv"], delimiter=",", names=True)
    with np.load(made["npz"]) as arrays:
        assert "points (3, 15, 3): places in three dimensions" in str(arrays["README"])
        for k in range(3):
            these = rows[rows["t"] == TIMES[k]]
            np.testing.assert_array_equal(steps[k][1]["Geometry"], back.points(k))
            np.testing.assert_array_equal(arrays["points"][k], back.points(k))
            np.testing.assert_array_equal(again.points(k), back.points(k))
            np.testing.assert_array_equal(these["y"], back.points(k)[:, 1])
            np.testing.assert_array_equal(these["velocity_z"], back.read("velocity", k)[:, 2])
            for name in (*back.names, *back.static):
                values = back.read(name, k)
                np.testing.assert_array_equal(steps[k][1][name], values)
                np.testing.assert_array_equal(again.read(name, k), values)
                found = arrays[name] if name in back.static else arrays[name][k]
                np.testing.assert_array_equal(found, values)
            if d > 3:
                np.testing.assert_array_equal(again.inner_products(k), back.inner_products(k))


@each_mesh
@if_moving
def test_arrays_and_what_they_are(tmp_path: Path, geometry: str, moves: bool) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES[geometry], moves=moves)
    back = read_fields(run.fields_path)
    with np.load(mf.export(run.path, "npz")[0]) as arrays:
        words = str(arrays["README"]).splitlines()
        assert words[0] == "A known run: fields of meanfield at 3 times"
        assert any(line.startswith("rho (3, ") and "uniform = 1" in line for line in words)
        assert any("-300 where it is zero" in line for line in words)
        np.testing.assert_array_equal(arrays["times"], TIMES)
        for k in range(3):
            points = arrays["points"][k] if moves else arrays["points"]
            # The last step has a cell less.
            cells = arrays[f"cells_{k:06d}"] if moves else arrays["cells"]
            np.testing.assert_array_equal(points, back.at(k).points)
            np.testing.assert_array_equal(cells, back.at(k).cells)
            for name in back.names:
                np.testing.assert_array_equal(arrays[name][k], back.read(name, k))
        for name in back.static:
            np.testing.assert_array_equal(arrays[name], back.read(name))


@each_mesh
@pytest.mark.parametrize("large", [False, True])
def test_rows(tmp_path: Path, geometry: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES[geometry])
    back = read_fields(run.fields_path)
    n = len(back.points)
    monkeypatch.setattr(csv_module, "LARGEST", 3 * n - large)
    made = mf.export(run.path, "csv", fields=["velocity", "rho"])
    usual = [f"fields_{k:06d}.csv" for k in range(3)] if large else ["fields.csv"]
    assert [path.name for path in made] == usual
    rows = [row for path in made for row in csv.DictReader(path.open())]
    names = ["t", "vertex", "x", "y", "z", "rho", "velocity_x", "velocity_y", "velocity_z"]
    assert list(rows[0]) == [*names, *back.static]
    found = np.array([[float(row[name]) for name in names] for row in rows]).reshape(3, n, 9)
    for k in range(3):
        np.testing.assert_array_equal(found[k, :, 0], TIMES[k])
        np.testing.assert_array_equal(found[k, :, 1], np.arange(n))
        np.testing.assert_array_equal(found[k, :, 2:5], back.points)
        np.testing.assert_array_equal(found[k, :, 5], back.read("rho", k))
        np.testing.assert_array_equal(found[k, :, 6:], back.read("velocity", k))


@each_form
def test_some_times_and_fields(tmp_path: Path, to: str) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES["zonal"])
    out = tmp_path / "elsewhere"
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    result = SimpleNamespace(folder=run.path)
    made = mf.export(result, to, out, times=[2.0, 0.5 + 1e-12, 2], fields=["rho"])  # type: ignore[arg-type]
    assert {p for p in out.rglob("*") if p.is_file() and p.suffix != ".lock"} == set(made)
    assert before == {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    if to == "pvd":
        back = read_fields(made[0])
        assert (back.times.tolist(), back.all_names) == ([0.5, 2.0], ("rho", "theta"))
        assert back.mesh.geometry == "zonal"
    elif to == "xdmf":
        assert [t for t, _ in arrays_of(made[0])] == [0.5, 2.0]
    elif to == "npz":
        assert {"rho", "theta"} < set(np.load(made[0])) and "velocity" not in np.load(made[0])
    else:
        assert made[0].read_text().startswith("t,vertex,x,y,z,rho,theta\n")


@each_form
def test_files_that_are_there(tmp_path: Path, to: str) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES["circle"])
    made = mf.export(run.path, to)
    (run.path / "export" / "mine.csv").write_text("mine")
    before = {p: p.read_bytes() for p in made}
    with pytest.raises(mf.InputError, match=r"is there already: add --overwrite"):
        mf.export(run.path, to, times=[0.5])
    assert before == {p: p.read_bytes() for p in made}
    mf.export(run.path, to, times=[0.5], overwrite=True)
    assert made[0].exists() and made[0].read_bytes() != before[made[0]]
    assert len(list((run.path / "export").rglob("*.vtu"))) == (to == "pvd")
    assert run.fields_path.name == "fields.vtkhdf"  # those of the export are no field files
    mf.RunFolder.create(run.path, overwrite=True)
    left = [p.name for p in run.path.rglob("*") if p.is_file() and not p.name.startswith(".")]
    assert sorted(left) == ["mine.csv", "run.json"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "form": ({"to": "xmdf"}, r"^to: found 'xmdf', expected one of pvd, .*did you mean 'xdmf'"),
    "time": ({"times": [0.4]}, r"^times: found 0\.4, .* \(the nearest: 0\.5\)"),
    "nan": ({"times": [float("nan")]}, r"^times\[0\]: found nan"),
    "no time": ({"times": []}, "^times: the list is empty"),
    "field": ({"fields": ["rh"]}, "^fields: found 'rh', .*did you mean 'rho'"),
    "no field": ({"fields": []}, "^fields: the list is empty"),
    "text": ({"fields": "rho"}, "^fields: found the text 'rho', expected a list"),
    "run": ({"run": "nowhere"}, "there is no folder nowhere"),
    "no folder": ({"run": SimpleNamespace(folder=None)}, "found a result without a folder"),
    "file": ({"output": "file"}, "file is a file, expected a folder"),
    "a run": ({"output": "run"}, "holds a run, whose own files are called alike"),
}


@pytest.mark.parametrize("which", BAD)
def test_what_is_refused(tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    folder_of_fields(tmp_path / "run", MESHES["circle"])
    before = sorted(tmp_path.rglob("*"))
    given, words = BAD[which]
    with pytest.raises(mf.InputError, match=words):
        mf.export(**{"run": "run", "to": "npz", **given})
    assert sorted(tmp_path.rglob("*")) == before


def test_a_writer_at_a_time(tmp_path: Path) -> None:
    import threading

    run = folder_of_fields(tmp_path / "run", MESHES["circle"])
    said: list[str] = []

    def second() -> None:
        try:
            mf.export(run.path, "npz")
        except mf.InputError as error:
            said.append(str(error))

    with mf.RunFolder.claimed(run.path, "run"):
        other = threading.Thread(target=second)
        other.start()
        other.join()
    assert len(said) == 1 and "run" in said[0]
    assert not (run.path / "export").exists()


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES["sphere"])
    out = tmp_path / "out"
    words = ["export", str(run.path), "--to", "pvd", "-o", str(out), "--times", "0", "2"]
    assert main([*words, "--fields", "rho"]) == 0
    assert capsys.readouterr().out.strip() == str(out / "fields.pvd")
    assert read_fields(out / "fields.pvd").times.tolist() == [0.0, 2.0]
    assert main(words) == 2 and "is there already" in capsys.readouterr().err
    assert main(["export", str(run.path), "--to", "vtk"]) == 2
    assert "invalid choice: 'vtk'" in capsys.readouterr().err
