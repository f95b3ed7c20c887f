"""``meanfield mesh``: meshes made, converted and inspected."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fakeruns import error_line

from meanfield import cli
from meanfield.geometry.mesh import Mesh, icosphere, read_mesh, write_mesh


def test_mesh_make_inspect_convert(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mesh", "make", "sphere", "--level", "2", "ball.vtu"]) == 0
    assert "162 vertices, 320 cells" in capsys.readouterr().out
    assert cli.main(["mesh", "make", "sphere", "--level", "1", "ball.vtu"]) == 2
    assert "exists already" in error_line(capsys)
    assert cli.main(["mesh", "inspect", "ball.vtu"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"vertices +162\n", out) and "Delaunay" in out and "area" in out
    assert cli.main(["mesh", "convert", "ball.vtu", "ball.msh"]) == 0
    assert np.array_equal(read_mesh("ball.msh").points, read_mesh("ball.vtu").points)
    assert cli.main(["mesh", "make", "sphere", "--level", "1", "ball.vtu", "--overwrite"]) == 0
    assert len(read_mesh("ball.vtu").points) == 42


@pytest.mark.parametrize(
    ("words", "geometry", "d", "count"),
    [
        (["circle", "--vertices", "20"], "circle", 2, 20),
        (["zonal", "--d", "8", "--vertices", "15"], "zonal", 8, 15),
        (["unstructured", "--vertices", "100", "--seed", "1"], "sphere", 3, 100),
    ],
)
def test_mesh_make_of_each_kind(
    here: Path, words: list[str], geometry: str, d: int, count: int
) -> None:
    assert cli.main(["mesh", "make", *words, "made.vtu"]) == 0
    mesh = read_mesh("made.vtu")
    assert (mesh.geometry, mesh.d, len(mesh.points)) == (geometry, d, count)


def test_repairs_are_told_as_notices(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["mesh", "make", "sphere", "--level", "1", "ball.obj"])
    text = (here / "ball.obj").read_text()
    scaled = re.sub(
        r"^v (\S+) (\S+) (\S+)",
        lambda m: "v " + " ".join(repr(2.0 * float(x)) for x in m.groups()),
        text,
        flags=re.MULTILINE,
    )
    (here / "big.obj").write_text(scaled)
    capsys.readouterr()
    assert cli.main(["mesh", "inspect", "big.obj"]) == 0
    out, err = capsys.readouterr()
    assert re.match(r"meanfield: notice: big\.obj: .*radius 2", err), err
    assert "42" in out


def test_warnings_of_the_package_are_one_line(
    here: Path, no_run: None, capsys: pytest.CaptureFixture[str]
) -> None:
    test_repairs_are_told_as_notices(here, capsys)
    word = 'geometry={type="file", file="big.obj"}'
    assert cli.main(["run", "small.toml", "--set", word, "--dry-run"]) == 0
    err = capsys.readouterr().err
    assert re.fullmatch(r"meanfield: warning: big\.obj: [^\n]+\n", err), err


def test_what_is_far_from_a_sphere_is_projected_when_asked_to(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sphere = icosphere(2)
    egg = Mesh("sphere", 3, sphere.points * [1.0, 1.0, 1.05], sphere.cells)
    write_mesh("egg.vtu", egg)
    assert cli.main(["mesh", "convert", "egg.vtu", "ball.vtu"]) == 2
    assert "mesh convert --project" in error_line(capsys)
    assert not (here / "ball.vtu").exists()
    assert cli.main(["mesh", "convert", "--project", "egg.vtu", "ball.vtu"]) == 0
    assert "largest deviation 0.03" in capsys.readouterr().err
    mesh = read_mesh("ball.vtu")
    np.testing.assert_allclose(np.linalg.norm(mesh.points, axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(mesh.points, sphere.points, atol=0.03)


@pytest.mark.parametrize(
    ("words", "geometry", "d", "plain"),
    [
        (["--level", "2", "--centre", "0", "0", "2"], "sphere", 3, icosphere(2).points),
        (["--vertices", "16"], "circle", 2, None),
        (["--vertices", "16", "--d", "5"], "zonal", 5, None),
    ],
)
def test_mesh_graded(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    geometry: str,
    d: int,
    plain: np.ndarray | None,
) -> None:
    assert cli.main(["mesh", "graded", "--factor", "3", *words, "-o", "fine.vtu"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"fine\.vtu: \d+ vertices, edges from 0\.\d+ to \d\.\d", said)
    made = read_mesh("fine.vtu")
    assert (made.geometry, made.d) == (geometry, d)
    if plain is not None:
        c = plain[:, 2]
        np.testing.assert_allclose(
            made.points[:, 2], (9.0 * (1.0 + c) - (1.0 - c)) / (9.0 * (1.0 + c) + 1.0 - c)
        )
    assert cli.main(["mesh", "graded", "--factor", "3", *words, "-o", "fine.vtu"]) == 2
    assert "exists already" in error_line(capsys)
    assert cli.main(["mesh", "graded", "--factor", "3", "--level", "2", "--d", "5", "-o", "a"]) == 2
    assert "--d: found with --level" in error_line(capsys)
