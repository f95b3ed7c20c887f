"""State scripts for ParaView: their numbers, what they name, where they find the data."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from written import TIMES, Tokens, density, folder_of_fields, folder_of_tokens

import meanfield as mf
from meanfield.cli.command import main
from meanfield.figures import globe
from meanfield.figures.style import CLUSTER_COLOURS
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.paraview import STATE_FILE, write_state
from meanfield.results.formats import LOG10_FLOOR

MESHES: dict[str, Callable[[], Mesh]] = {
    "sphere": lambda: icosphere(2),
    "circle": lambda: circle(40),
    "zonal": lambda: zonal_interval(17, 8),
}


def tables(path: Path) -> dict[str, Any]:
    """What the script assigns at its top; it must be Python."""
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("WRITTEN_IN", "CAMERA", "DENSITY", "TOKENS")
    }


def test_limits_are_those_of_the_figures_over_all_times(tmp_path: Path) -> None:
    mesh = icosphere(2)
    run = folder_of_fields(tmp_path / "run", mesh)
    made = write_state(run.path)
    assert made == run.path / STATE_FILE and STATE_FILE in run.files()
    weights = globe.vertex_weights(mesh.points, mesh.cells)
    rho = np.stack([density(mesh, t)["rho"] for t in TIMES])
    masses = rho * weights / (rho @ weights)[:, None]
    log_rho = np.log10(np.maximum(rho, 1e-300))
    found = tables(made)
    assert found["DENSITY"]["limits"] == globe.colour_range(log_rho, weights, masses)
    assert found["DENSITY"]["times"] == list(TIMES) and found["TOKENS"] is None
    front = globe.view_direction(mesh.points, masses)
    np.testing.assert_allclose(found["CAMERA"]["toward"], front, atol=1e-6)
    speeds = [np.linalg.norm(density(mesh, t)["velocity"], axis=1).max() for t in TIMES]
    assert found["DENSITY"]["velocity"] == pytest.approx(0.35 / max(speeds))
    with h5py.File(run.fields_path) as file:
        assert file["meanfield"].attrs["log10_rho_floor"] == LOG10_FLOOR
        assert file["VTKHDF/PointData/log10_rho"][0] == LOG10_FLOOR


@pytest.mark.parametrize("geometry", ["circle", "zonal"])
def test_a_curve_is_lifted_out_of_its_plane(tmp_path: Path, geometry: str) -> None:
    run = folder_of_fields(tmp_path / "run", MESHES[geometry]())
    found = tables(write_state(run.path))
    height, (low, high) = found["DENSITY"]["height"], found["DENSITY"]["limits"]
    normal = [0, 0, 1] if geometry == "circle" else [0, 1, 0]
    np.testing.assert_allclose(height["normal"], normal, atol=1e-6)
    assert low == -2.0 and height["scale"] == pytest.approx(0.9 / (high - low), rel=1e-5)
    assert np.dot(found["CAMERA"]["toward"], normal) == pytest.approx(np.sin(0.6), abs=1e-5)


def test_rho_alone_will_do_and_no_velocity_is_no_arrow(tmp_path: Path) -> None:
    mesh = icosphere(1)
    both = folder_of_fields(tmp_path / "both", mesh)
    alone = folder_of_fields(tmp_path / "alone", mesh, names=("rho",))
    first, second = (tables(write_state(run.path))["DENSITY"] for run in (both, alone))
    assert second["from_rho"] and not first["from_rho"]
    assert first["limits"] == second["limits"] and second["velocity"] is None


def test_a_mesh_that_moves(tmp_path: Path) -> None:
    run = folder_of_fields(tmp_path / "run", icosphere(2), moves=True)
    found = tables(write_state(run.path))
    low, high = found["DENSITY"]["limits"]
    assert -2.0 <= low < high <= 4.0


@pytest.mark.parametrize("d", [2, 3, 8])
def test_a_cluster_keeps_its_colour(tmp_path: Path, d: int) -> None:
    tokens = Tokens(60, d)
    run = folder_of_tokens(tmp_path / "run", tokens)
    found = tables(write_state(run.path))["TOKENS"]
    even = tokens.masses[::2].sum()
    heavy, light = (0, 1) if even > 0.5 else (1, 0)
    labels = [round(10 * t) for t in TIMES]
    assert found["tables"] == [{label + heavy: 0, label + light: 1} for label in labels]
    parts = sorted((even, 1.0 - even), reverse=True)
    texts = [["-1", "others"], *([str(k), f"{100 * part:.0f} %"] for k, part in enumerate(parts))]
    assert found["annotations"] == texts
    np.testing.assert_allclose(found["colours"][1:], [to_rgb(c) for c in CLUSTER_COLOURS[:2]],
                               atol=1e-6)  # fmt: skip
    assert (found["circle"], found["inside"], found["many"]) == (d == 2, d > 3, False)


def test_data_are_found_from_the_script(tmp_path: Path) -> None:
    first = folder_of_fields(tmp_path / "a" / "first", icosphere(1))
    second = folder_of_tokens(tmp_path / "b" / "second", Tokens(30, 3))
    (tmp_path / "states").mkdir()
    script = tmp_path / "states" / "both.py"
    assert write_state(first.path, script, tokens=second.path) == script
    found = tables(script)
    assert found["DENSITY"]["file"] == "../a/first/fields.vtkhdf"
    assert found["TOKENS"]["file"] == "../b/second/particles.vtkhdf"
    assert str(tmp_path) not in script.read_text().replace(found["WRITTEN_IN"], "")
    assert script.name not in first.files() | second.files()
    with pytest.raises(mf.InputError, match=r"both\.py is there already: add --overwrite"):
        write_state(first.path, script)
    write_state(first.path, script, overwrite=True)
    assert tables(script)["TOKENS"] is None
    write_state(first.path), write_state(first.path)  # its own one, as often as one likes


def test_the_script_calls_what_it_has(tmp_path: Path) -> None:
    """Every name in it is its own, Python's or one of ``paraview.simple`` that are known here."""
    run = folder_of_fields(tmp_path / "run", circle(20))
    path = write_state(run.path)
    tree = ast.parse(path.read_text("utf-8"))
    calls = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
    used = {called.id for called in calls if isinstance(called, ast.Name)}
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    simple = {
        "AnnotateTime", "Calculator", "ColorBy", "Ellipse", "ExtractSurface",
        "GetActiveViewOrCreate", "GetAnimationScene", "GetColorTransferFunction", "GetScalarBar",
        "Glyph", "Hide", "OpenDataFile", "ProgrammableFilter", "RenameSource", "Render",
        "SaveScreenshot", "Show", "Sphere", "TriangleStrips", "Tube", "WarpByScalar",
    }  # fmt: skip
    assert simple <= used
    assert used - own - simple == {"float", "globals", "int", "max", "zip"}


BAD = {
    "no run": (lambda run: (run.path / "nowhere",), "there is no folder"),
    "a folder": (lambda run: (run.path, run.path.parent), "is a folder, expected a file"),
    "no .py": (
        lambda run: (run.path, run.path.parent / "x.txt"),
        "expected a name that ends",
    ),
    "hides": (lambda run: (run.path, run.path.parent / "paraview.py"), "own module of that name"),
    "no place": (lambda run: (run.path, run.path / "x" / "y.py"), "there is no folder"),
    "type": (lambda run: (5,), "folder: found 5, expected a path"),
}


@pytest.mark.parametrize("which", BAD)
def test_what_is_refused(tmp_path: Path, which: str) -> None:
    run = folder_of_fields(tmp_path / "run", icosphere(0))
    before = sorted(tmp_path.rglob("*"))
    given, words = BAD[which]
    with pytest.raises(mf.InputError, match=words):
        write_state(*given(run))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_with_nothing_to_show(tmp_path: Path) -> None:
    run = folder_of_fields(tmp_path / "run", icosphere(0), names=("velocity",))
    with pytest.raises(mf.InputError, match="has no density, only velocity"):
        write_state(run.path)
    run.fields_path.unlink()
    with pytest.raises(mf.InputError, match=r"neither a density .* nor tokens"):
        write_state(run.path)
    tokens = folder_of_tokens(tmp_path / "tokens", Tokens(20, 3))
    with pytest.raises(mf.InputError, match="has no density, beside which"):
        write_state(run.path, tokens=tokens.path)


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder_of_fields(tmp_path / "run", icosphere(1))
    assert main(["paraview", str(run.path)]) == 0
    assert capsys.readouterr().out.strip() == str(run.path / STATE_FILE)
    assert main(["paraview", str(run.path), "--tokens", str(run.path)]) == 2
    assert "has no tokens" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pvbatch") is None, reason="no ParaView here")
@pytest.mark.parametrize("geometry", MESHES)
def test_paraview_draws_it(tmp_path: Path, geometry: str) -> None:
    from PIL import Image

    run = folder_of_fields(tmp_path / "run", MESHES[geometry]())
    folder_of_tokens(tmp_path / "tokens", Tokens(50, 3))
    beside = ["--tokens", str(tmp_path / "tokens")] if geometry == "sphere" else []
    assert main(["paraview", str(run.path), *beside]) == 0
    start = ["xvfb-run", "-a"] if shutil.which("xvfb-run") else []
    picture = tmp_path / "picture.png"
    command = [*start, "pvbatch", str(run.path / STATE_FILE), "--screenshot", str(picture)]
    done = subprocess.run(
        [*command, "--time", "0.5", "--size", "300", "240"], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert not re.search("Error|Traceback", done.stderr), done.stderr
    image = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    assert image.shape == (300 * 240, 3)
    assert len(np.unique(image, axis=0)) > 500  # colours, on white
    assert np.mean(np.all(image == 255, axis=1)) > 0.2


def test_tokens_of_another_sphere_are_not_beside_a_density(tmp_path: Path) -> None:
    sphere = folder_of_fields(tmp_path / "sphere", icosphere(0))
    for d in (2, 8):
        tokens = folder_of_tokens(tmp_path / str(d), Tokens(20, d))
        with pytest.raises(mf.InputError, match=f"tokens in d = {d} found, d = 3 expected"):
            write_state(sphere.path, tokens=tokens.path)
    zonal = folder_of_fields(tmp_path / "zonal", zonal_interval(17, 8))
    with pytest.raises(mf.InputError, match="tokens found for a density on latitudes"):
        write_state(zonal.path, tokens=tmp_path / "8")
