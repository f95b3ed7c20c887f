"""Files of meshes as other programs write them, and those of runs: all give the mesh they hold."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import meshio
import numpy as np
import pytest
import pyvista
import vtk
from processes import ROOT

from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import law_from_spec, law_to_spec
from meanfield.geometry.laws.tabulated import TabulatedDensity, TabulatedProfile
from meanfield.geometry.mesh import (
    Mesh,
    circle,
    hull_cells,
    icosphere,
    read_mesh,
    unstructured_sphere,
    write_mesh,
    zonal_interval,
)
from meanfield.results.formats.vtkhdf.fields import FieldWriter

SPHERE = unstructured_sphere(60, 2)
POINTS, CELLS = SPHERE.points, SPHERE.cells
N, M = len(POINTS), len(CELLS)


def read(path: Path) -> tuple[Mesh, list[str]]:
    notices: list[str] = []
    return read_mesh(path, notices.append), [note.split(": ", 1)[1] for note in notices]


def cell_sets(cells: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(sorted(map(int, cell))) for cell in cells}


def is_sphere(path: Path, tolerance: float) -> list[str]:
    """The file gives the mesh above, whatever the numbers of its vertices; its notices."""
    mesh, notices = read(path)
    distance = np.linalg.norm(mesh.points[:, None] - POINTS[None], axis=2)
    assert mesh.n_vertices == N and distance.min(axis=1).max() <= tolerance
    number = distance.argmin(axis=1)
    assert len(set(number)) == N
    assert cell_sets(number[mesh.cells]) == cell_sets(CELLS)
    return notices


# -- text that others write -------------------------------------------------------------------


def rows(head: str, numbers: np.ndarray, tail: str = "") -> str:
    return "".join(f"{head}{' '.join(map(repr, row))}{tail}\n" for row in numbers.tolist())


def obj(corner: Callable[[int, int], str], vertex_tail: str = "", more: str = "") -> str:
    text = "# made\nmtllib a.mtl\no s\n" + rows("v ", POINTS, vertex_tail)
    text += "".join(f"vt {k / 70} 0.5\n" for k in range(71)) + "vn 0 0 1\n" * M + "s off\n"
    for k, cell in enumerate(CELLS):
        text += "f " + " ".join(corner(int(i), k) for i in cell) + "\n"
    return text + more


def off(head: str, point: str = "", face: str = "") -> str:
    return head.replace("@", f"{N} {M} 0") + rows("", POINTS, point) + rows("3 ", CELLS, face)


def ply(faces: str, face: str = "3 {0} {1} {2}", *, vertex: str = "", end: str = "") -> str:
    names, values = vertex.split("|") if vertex else ("", "")
    header, elements = end.split("|") if end else ("", "")
    coordinates = "".join(f"property double {x}\n" for x in "xyz")
    return (
        f"ply\nformat ascii 1.0\nelement vertex {N}\n{coordinates}{names}element face {M}\n{faces}"
        f"{header}end_header\n{rows('', POINTS, values)}"
        + "".join(face.format(*cell) + "\n" for cell in CELLS.tolist())
        + elements
    )


def stl() -> str:
    text = "solid a\n"
    for cell in CELLS:
        corners = "".join("  vertex {:.9e} {:.9e} {:.9e}\n".format(*POINTS[i]) for i in cell)
        text += f"facet normal 0 0 0\n outer loop\n{corners} endloop\nendfacet\n"
    return text + "endsolid a\n"


LIST = "property list uchar int vertex_indices\n"
TEXTS: dict[str, tuple[str, float]] = {
    # VTK reads OBJ, PLY and STL in single precision: what meshio takes is exact
    "names.obj": (obj(lambda i, k: f"{i + 1}/{i + 1}/{k + 1}"), 1e-7),
    "normals.obj": (obj(lambda i, k: f"{i + 1}//{k + 1}"), 1e-7),
    "seams.obj": (obj(lambda i, k: f"{i + 1}/{(i + k) % 71 + 1}"), 1e-7),
    "relative.obj": (obj(lambda i, k: f"{i - N}"), 1e-7),
    "relative_all.obj": (obj(lambda i, k: f"{i - N}/{-1 - i % 7}/{-1 - k % 9}"), 1e-7),
    "colours.obj": (obj(lambda i, k: f"{i + 1}", " 0.1 0.2 0.3"), 1e-7),
    "weights.obj": (obj(lambda i, k: f"{i + 1}", " 1.0"), 1e-7),
    "lines.obj": (obj(lambda i, k: f"{i + 1}", more="l 1 2 3\np 1\n"), 1e-7),
    "windows.obj": (obj(lambda i, k: f"{i + 1}/1").replace("\n", "\r\n"), 1e-7),
    "plain.off": (off("OFF\n@\n"), 0.0),
    "counts.off": (off("OFF @\n"), 0.0),
    "comments.off": (off("# made\nOFF # so\n\n# counts\n@\n\n"), 0.0),
    "colours.off": (off("OFF\n@\n", face=" 255 0 0"), 0.0),
    "all_colours.off": (off("COFF\n@\n", " 255 0 0 255", " 0.1 0.2 0.3"), 0.0),
    "normals.off": (off("NOFF\n@\n", " 0 0 1"), 0.0),
    "windows.off": (off("OFF\n@\n").replace("\n", "\r\n"), 0.0),
    "index.ply": (ply("property list uchar int vertex_index\n"), 1e-7),
    "unsigned.ply": (ply("property list uint8 uint32 vertex_indices\n"), 1e-7),
    "texture.ply": (
        ply(
            LIST + "property list uchar float texcoord\n",
            "3 {0} {1} {2} 6 0.{0} 0 1 0.{1} 0 1",
        ),
        1e-7,
    ),
    "edges.ply": (
        ply(LIST, end="element edge 1\nproperty int vertex1\nproperty int vertex2\n|0 1\n"),
        1e-7,
    ),
    "colours.ply": (
        ply(LIST, vertex="property uchar red\nproperty uchar green\n| 1 2"),
        1e-7,
    ),
    "flags.ply": (ply("property uchar flags\n" + LIST, "0 3 {0} {1} {2}"), 1e-7),
    "lower.stl": (stl(), 1e-7),
    "upper.stl": (stl().upper(), 1e-7),
    "blank.stl": (stl().replace("endfacet\n", "endfacet\n\n"), 1e-7),
    "nameless.stl": (stl().replace("solid a", "solid"), 1e-7),
    "two_solids.stl": (stl().replace("endfacet\n", "endfacet\nendsolid a\nsolid b\n", 1), 1e-7),
}


@pytest.mark.parametrize("name", TEXTS)
def test_dialects_of_text(tmp_path: Path, name: str) -> None:
    text, tolerance = TEXTS[name]
    (tmp_path / name).write_text(text, newline="")
    notices = is_sphere(tmp_path / name, tolerance)
    assert all("projected the vertices to the unit sphere" in note for note in notices)


# -- VTK's own --------------------------------------------------------------------------------

POLY = pyvista.PolyData(POINTS, np.column_stack([np.full(M, 3), CELLS]).ravel())
POLY.point_data["rho"] = POINTS[:, 0] + 2.0


def written(writer: type, data: object, path: Path, **options: object) -> Path:
    made = writer()
    made.SetInputData(data)
    made.SetFileName(str(path))
    for name, value in options.items():
        getattr(made, name)(*([] if value is None else [value]))
    assert made.Write() == 1
    return path


@pytest.mark.parametrize("kind", ["vtu", "vtp"])
@pytest.mark.parametrize(
    "options",
    [
        {"SetEncodeAppendedData": 0, "SetCompressorTypeToNone": None},
        {"SetEncodeAppendedData": 0, "SetCompressorTypeToLZ4": None},
        {"SetEncodeAppendedData": 1, "SetCompressorTypeToZLib": None},
        {"SetDataModeToBinary": None, "SetCompressorTypeToLZMA": None},
    ],
)
def test_files_of_vtk(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    writer, data = {
        "vtu": (vtk.vtkXMLUnstructuredGridWriter, POLY.cast_to_unstructured_grid()),
        "vtp": (vtk.vtkXMLPolyDataWriter, POLY),
    }[kind]
    path = written(writer, data, tmp_path / f"a.{kind}", **options)
    assert is_sphere(path, 0.0) == []
    rho = law_from_spec({"type": "file", "path": str(path), "array": "rho"}, 3).density(POINTS)
    np.testing.assert_allclose(rho / rho[0], (POINTS[:, 0] + 2.0) / (POINTS[0, 0] + 2.0))


@pytest.mark.parametrize("version", [42, 51])
@pytest.mark.parametrize("mode", ["SetFileTypeToASCII", "SetFileTypeToBinary"])
def test_legacy_files_of_vtk(tmp_path: Path, version: int, mode: str) -> None:
    options = {"SetFileVersion": version, mode: None}
    grid = POLY.cast_to_unstructured_grid()
    grid.point_data.active_normals = POINTS.copy()
    is_sphere(written(vtk.vtkPolyDataWriter, POLY, tmp_path / "a.vtk", **options), 1e-10)
    is_sphere(written(vtk.vtkUnstructuredGridWriter, grid, tmp_path / "b.vtk", **options), 1e-10)


def test_strips_and_vtkhdf_of_other_programs(tmp_path: Path) -> None:
    strips = POLY.strip()
    assert strips.n_strips
    strips.save(tmp_path / "strips.vtp")
    assert is_sphere(tmp_path / "strips.vtp", 0.0) == []
    writer = getattr(vtk, "vtkHDFWriter", None)
    if writer is None:
        return  # this VTK reads, but does not write them
    for name, data in (("a", POLY), ("b", POLY.cast_to_unstructured_grid())):
        path = written(writer, data, tmp_path / f"{name}.vtkhdf")
        assert is_sphere(path, 0.0) == []
        assert law_from_spec({"type": "file", "path": str(path), "array": "rho"}, 3).d == 3


# -- gmsh's -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dialects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sphere as gmsh 4.13 has written it; 27 vertices, 50 triangles."""
    folder = tmp_path_factory.mktemp("gmsh")
    with tarfile.open(ROOT / "tests/data/gmsh_dialects.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_dialects_of_gmsh(dialects: Path) -> None:
    files = sorted(dialects.glob("*.msh"))
    assert len(files) == 11
    same, notices = read(dialects / "plain_4.0_ascii.msh")
    assert (same.n_vertices, same.n_cells) == (27, 50) and "hull" in notices[-1]
    for path in files:
        mesh, _ = read(path)
        distance = np.linalg.norm(mesh.points[:, None] - same.points[None], axis=2)
        number = distance.argmin(axis=1)
        assert distance.min(axis=1).max() < 1e-12 and len(set(number)) == 27, path
        assert cell_sets(number[mesh.cells]) == cell_sets(same.cells), path


def test_what_is_given_twice_or_filled_in(dialects: Path) -> None:
    notices = read(dialects / "twogroups_2.2_ascii.msh")[1]
    assert notices[0] == "dropped 50 of 100 triangles that are given again"
    notices = read(dialects / "volume_4.1_ascii.msh")[1]
    assert notices[0] == "took the boundary of 50 tetra cells as the surface"
    assert not any("turned" in note for note in notices)


NODES = "$ParametricNodes\n42\n{}$EndParametricNodes\n"


def test_values_at_parametric_nodes(tmp_path: Path) -> None:
    """gmsh numbers nodes as it likes; the values name them."""
    mesh = icosphere(1)
    name = 7 + 3 * np.arange(42)[::-1]
    text = "$MeshFormat\n2.2 0 8\n$EndMeshFormat\n" + NODES.format(
        "".join(
            f"{k} {x!r} {y!r} {z!r} 2 1 0.5 0.25\n"
            for k, (x, y, z) in zip(name, mesh.points.tolist(), strict=True)
        )
    )
    text += f"$Elements\n{mesh.n_cells}\n" + "".join(
        f"{k + 1} 2 2 0 1 {name[a]} {name[b]} {name[c]}\n" for k, (a, b, c) in enumerate(mesh.cells)
    )
    text += '$EndElements\n$NodeData\n1\n"rho"\n1\n0.0\n3\n0\n1\n42\n' + "".join(
        f"{k} {2.0 + x!r}\n" for k, x in zip(name, mesh.points[:, 0].tolist(), strict=True)
    )
    (tmp_path / "a.msh").write_text(text + "$EndNodeData\n")
    law = law_from_spec({"type": "file", "path": str(tmp_path / "a.msh"), "array": "rho"}, 3)
    exact = TabulatedDensity(mesh.points, mesh.cells, 2.0 + mesh.points[:, 0])
    np.testing.assert_allclose(law.density(mesh.points), exact.density(mesh.points), rtol=1e-12)


# -- redundant is not wrong -------------------------------------------------------------------


def grid_of(path: Path, **cells: object) -> Path:
    points = cells.pop("points")
    blocks = [(kind, np.asarray(data, dtype=np.int32)) for kind, data in cells.items()]
    meshio.Mesh(np.asarray(points, dtype=float), blocks).write(path)
    return path


def test_volumes_give_their_boundary(tmp_path: Path) -> None:
    centre = np.concatenate([POINTS, [[0.0, 0.0, 0.0]]])
    tetra = np.column_stack([CELLS[:, ::-1], np.full(M, N)])
    for name, faces in (("a", CELLS), ("b", CELLS[:7]), ("c", CELLS[:0])):
        path = grid_of(tmp_path / f"{name}.vtu", points=centre, tetra=tetra, triangle=faces)
        assert is_sphere(path, 0.0)[0] == f"took the boundary of {M} tetra cells as the surface"


def test_quads_and_polygons_are_split(tmp_path: Path) -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / np.sqrt(3)
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    for extension in (".vtu", ".vtk", ".obj"):
        mesh, notices = read(grid_of(tmp_path / f"a{extension}", points=corners, quad=quads))
        assert (mesh.n_vertices, mesh.n_cells) == (8, 12)
        assert notices[0] == "split 6 quad cells into triangles"
    text = rows("", corners) + rows("4 ", np.array(quads))
    (tmp_path / "a.off").write_text(f"OFF 8 6 0\n{text}")
    assert read(tmp_path / "a.off")[0].n_cells == 12
    dodecahedron = pyvista.PlatonicSolid("dodecahedron")
    pyvista.PolyData(dodecahedron.points.astype(float), dodecahedron.faces).save(tmp_path / "d.vtp")
    mesh, notices = read(tmp_path / "d.vtp")
    assert (mesh.n_vertices, mesh.n_cells) == (20, 36)
    assert notices[0] == "split 12 polygon cells into triangles"


def test_a_latitude_longitude_grid_with_a_seam(tmp_path: Path) -> None:
    """As matplotlib and others make it: copies at poles and seam, quads that end in a point."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 9), np.linspace(0, 2 * np.pi, 17), indexing="ij")
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    number = np.arange(9 * 17).reshape(9, 17)
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1)
    path = grid_of(tmp_path / "a.vtu", points=points.reshape(3, -1).T, quad=quads.reshape(-1, 4))
    mesh, notices = read(path)
    assert (mesh.n_vertices, mesh.n_cells) == (2 + 7 * 16, 2 * 16 * 7)
    assert any("corners coincide" in note for note in notices)


def test_points_alone_give_their_hull(tmp_path: Path) -> None:
    path = grid_of(tmp_path / "a.vtu", points=3.0 * POINTS + 1.0, vertex=np.arange(N)[:, None])
    notices = is_sphere(path, 1e-14)
    assert notices[-1] == f"there are points only: joined the {N} vertices as their convex hull"
    (tmp_path / "b.off").write_text(f"OFF {N} 0 0\n" + rows("", POINTS))
    is_sphere(tmp_path / "b.off", 0.0)
    # An OBJ file that has lost its end looks like that.
    (tmp_path / "c.obj").write_text(rows("v ", POINTS))
    with pytest.raises(InputError, match=rf"no cells and {N} points: write the cells"):
        read_mesh(tmp_path / "c.obj")


# -- few digits -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["%g", "%.6f", "%.5e"])
@pytest.mark.parametrize(
    ("radius", "centre"),
    [
        (1.0, (0, 0, 0)),
        (25.0, (0, 0, 0)),
        (0.7, (1, 2, 3)),
        (40.0, (100.0, 0, -7)),
        (6371.0, (0,) * 3),
    ],
)
def test_six_digits_are_projected(
    tmp_path: Path, form: str, radius: float, centre: tuple[float, ...]
) -> None:
    x = radius * POINTS + np.array(centre)
    lines = "".join(" ".join(form % c for c in row) + "\n" for row in x)
    (tmp_path / "a.off").write_text(f"OFF {N} {M} 0\n{lines}{rows('3 ', CELLS)}")
    notices = is_sphere(tmp_path / "a.off", 4e-6 * (1.0 + np.linalg.norm(centre) / radius))
    assert len(notices) == 1
    # Ten times as far off as six digits explain
    far = x + (x - centre) * (5e-4 * (np.arange(N) == 7))[:, None]
    lines = "".join(" ".join(form % c for c in row) + "\n" for row in far)
    (tmp_path / "b.off").write_text(f"OFF {N} {M} 0\n{lines}{rows('3 ', CELLS)}")
    with pytest.raises(InputError, match=r"vertex 7 at .* off by \+0\.000(4|5).*--project"):
        read_mesh(tmp_path / "b.off")
    mesh = read_mesh(tmp_path / "b.off", lambda _: None, project=True)
    np.testing.assert_allclose(mesh.points, POINTS, atol=1e-4)


def test_few_or_whole_numbers_do_not_excuse(tmp_path: Path) -> None:
    octahedron = "1 0 0\n-1 0 0\n0 1 0\n0 -1 0\n0 0 1\n0 0 {}\n"
    faces = "".join(f"3 {a} {b} {c}\n" for a in (0, 1) for b in (2, 3) for c in (4, 5))
    for last in ("-1.1", "-1.01", "-2", "-1.002"):
        (tmp_path / "a.off").write_text("OFF 6 8 12\n" + octahedron.format(last) + faces)
        with pytest.raises(InputError, match="do not lie on a sphere"):
            read_mesh(tmp_path / "a.off")


# -- what is no sphere ------------------------------------------------------------------------


def test_two_spheres_that_share_their_poles(tmp_path: Path) -> None:
    """Closed, in one piece, Euler number 2: a density on it would be a wrong one."""
    poles = np.vstack([np.eye(3)[2], -np.eye(3)[2]])
    ball = unstructured_sphere(80, 3)
    one = np.concatenate([poles, ball.points])
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    cells = hull_cells(one)
    other = np.where(cells > 1, cells + 80, cells)
    both = np.concatenate([one, ball.points @ turn.T])
    path = grid_of(tmp_path / "a.vtu", points=both, triangle=np.concatenate([cells, other]))
    with pytest.raises(InputError, match=r"vertex 0 make 2 rings around it .*\(2 such vertices\)"):
        read_mesh(path)


def test_a_sphere_that_is_covered_twice_from_pole_to_pole(tmp_path: Path) -> None:
    """Each ring around a pole goes twice around it: only the solid angle tells."""
    m, levels = 8, 5
    phi = 4.0 * np.pi * np.arange(2 * m) / (2 * m)
    theta = np.pi * np.arange(1, levels + 1) / (levels + 1)
    tilt = 1e-3 * (np.arange(2 * m) >= m)  # the layers have their own vertices
    points = [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]
    for t in theta:
        points += [[np.sin(t) * np.cos(p + e), np.sin(t) * np.sin(p + e), np.cos(t)]
                   for p, e in zip(phi, tilt, strict=True)]  # fmt: skip
    ring = 2 + np.arange(levels * 2 * m).reshape(levels, 2 * m)
    follows = np.roll(ring, -1, axis=1)
    cells = [[0, a, b] for a, b in zip(ring[0], follows[0], strict=True)]
    cells += [[1, b, a] for a, b in zip(ring[-1], follows[-1], strict=True)]
    for k in range(levels - 1):
        for a, b, c, d in zip(ring[k], follows[k], ring[k + 1], follows[k + 1], strict=True):
            cells += [[a, c, b], [b, c, d]]
    with pytest.raises(InputError, match="cover the sphere 2 times, expected once"):
        read_mesh(grid_of(tmp_path / "a.vtu", points=points, triangle=cells))


# -- files that nobody can read ---------------------------------------------------------------


def test_every_reader_is_heard(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text("ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\n")
    with pytest.raises(
        InputError, match=r"a\.ply cannot be read \(meshio: .*; VTK: .*\); check"
    ) as e:
        read_mesh(tmp_path / "a.ply")
    assert "\n" not in str(e.value) and "\x1b" not in str(e.value)


def test_a_reader_that_breaks_down_is_no_end(tmp_path: Path) -> None:
    """VTK 9 crashes on a binary PLY file without its end."""
    POLY.save(tmp_path / "a.ply")
    whole = (tmp_path / "a.ply").read_bytes()
    for size in (400, 900, len(whole) - 50):
        (tmp_path / "a.ply").write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"a\.ply"):
            read_mesh(tmp_path / "a.ply", lambda _: None)


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.off")
    with pytest.raises(InputError, match="is no file with a beginning and an end"):
        read_mesh(tmp_path / "a.off")


def test_damaged_files_of_the_own_readers(dialects: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for path in sorted(dialects.glob("*.msh")):
        data = path.read_bytes()
        for k in range(12):
            damaged = bytearray(data)
            for at in rng.integers(0, len(data), 3):
                damaged[at] = rng.integers(256)
            if k % 3 == 0:
                damaged = damaged[: rng.integers(20, len(data))]
            (tmp_path / "a.msh").write_bytes(damaged)
            try:
                read_mesh(tmp_path / "a.msh", lambda _: None)
            except InputError as error:
                assert "\n" not in str(error)


def test_trimesh_if_it_is_there(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    trimesh.Trimesh(POINTS, CELLS, process=False).export(tmp_path / "a.glb")
    is_sphere(tmp_path / "a.glb", 1e-7)


# -- fields of a run --------------------------------------------------------------------------


def fields(path: Path, mesh: Mesh, moving: bool = False) -> Path:
    """rho = 2 + t x_1 at t = 0, 0.5, 1; a mesh that moves is turned by t/2 at each of them."""
    writer = FieldWriter(path, mesh, names={"rho": 1}, moving=moving, precision="float64")
    for t in (0.0, 0.5, 1.0):
        now = Mesh(mesh.geometry, mesh.d, mesh.points @ turned(t).T, mesh.cells) if moving else mesh
        writer.write(t, {"rho": 2.0 + t * now.embedded()[:, 0]}, now if moving else None)
    writer.close()
    return path


def turned(t: float) -> np.ndarray:
    c, s = np.cos(0.5 * t), np.sin(0.5 * t)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    "mesh", [icosphere(2), circle(24), zonal_interval(17, 6)], ids=["sphere", "circle", "zonal"]
)
def test_fields_of_a_run_are_a_mesh_and_a_law(tmp_path: Path, mesh: Mesh) -> None:
    path = fields(tmp_path / "fields.vtkhdf", mesh)
    again, notices = read(path)
    assert (again.geometry, again.d, notices) == (mesh.geometry, mesh.d, [])
    np.testing.assert_allclose(again.points, mesh.points, rtol=0.0, atol=1e-15)
    np.testing.assert_array_equal(again.cells, mesh.cells)

    spec: dict[str, object] = {"type": "file", "path": str(path), "array": "rho"}
    x = mesh.embedded()
    for t, table in ((1.0, spec), (0.5, {**spec, "time": 0.5}), (0.0, {**spec, "time": 0})):
        law = law_from_spec(table, mesh.d)
        density = law.density(x)
        np.testing.assert_allclose(density / density[0], (2 + t * x[:, 0]) / (2 + t * x[0, 0]))
        assert law_to_spec(law) == table
    with pytest.raises(InputError, match=r"initial\.time: found 0\.7, expected one of the 3 times"):
        law_from_spec({**spec, "time": 0.7}, mesh.d)
    with pytest.raises(InputError, match=r"initial\.time: found True, expected a number"):
        law_from_spec({**spec, "time": True}, mesh.d)


def test_a_law_goes_to_a_finer_mesh(tmp_path: Path) -> None:
    path = fields(tmp_path / "fields.vtkhdf", icosphere(2))
    law = law_from_spec({"type": "file", "path": str(path), "array": "rho"}, 3)
    x = icosphere(4).points
    np.testing.assert_allclose(law.density(x), 1.0 + 0.5 * x[:, 0], rtol=0.02)


def test_a_mesh_that_moves_is_the_one_of_the_step(tmp_path: Path) -> None:
    path = fields(tmp_path / "fields.vtkhdf", icosphere(2), moving=True)
    np.testing.assert_allclose(
        read(path)[0].points, icosphere(2).points @ turned(1.0).T, atol=1e-14
    )
    law = law_from_spec({"type": "file", "path": str(path), "array": "rho", "time": 0.5}, 3)
    assert isinstance(law, TabulatedDensity)
    np.testing.assert_allclose(law.points, icosphere(2).points @ turned(0.5).T, atol=1e-14)
    rho = 2.0 + 0.5 * law.points[:, 0]
    np.testing.assert_allclose(law.values / law.values[0], rho / rho[0])


def test_angles_that_move_are_read_from_their_places(tmp_path: Path) -> None:
    """They are stored in single precision beside them."""
    path = tmp_path / "fields.vtkhdf"
    mesh = zonal_interval(9, 4)
    writer = FieldWriter(path, mesh, names={"rho": 1}, moving=True)
    near = mesh.points.copy()
    near[4] = near[3] + 1e-9  # equal in single precision
    writer.write(0.0, {"rho": np.ones(9)}, Mesh("zonal", 4, near, mesh.cells))
    writer.close()
    np.testing.assert_allclose(read(path)[0].points, near, rtol=0.0, atol=1e-15)
    law = law_from_spec({"type": "file", "path": str(path), "array": "rho"}, 4)
    assert isinstance(law, TabulatedProfile) and len(law.theta) == 9


def test_a_time_of_files_without_times(tmp_path: Path) -> None:
    write_mesh(tmp_path / "a.vtu", SPHERE, fields={"rho": np.ones(N)})
    spec = {"type": "file", "path": str(tmp_path / "a.vtu"), "array": "rho", "time": 1.0}
    with pytest.raises(InputError, match=r"initial\.time: found 1, but .*a\.vtu holds no times"):
        law_from_spec(spec, 3)


def test_values_follow_their_vertices(tmp_path: Path) -> None:
    """Through copies of vertices, another centre, and what no triangle uses."""
    soup = np.concatenate([[[9.0, 9.0, 9.0]], 2.0 * POINTS[CELLS].reshape(-1, 3) + 1.0])
    cells = 1 + np.arange(3 * M).reshape(-1, 3)
    rho = np.concatenate([[-1.0], 2.0 + POINTS[CELLS].reshape(-1, 3)[:, 1]])
    data = pyvista.PolyData(soup, np.column_stack([np.full(M, 3), cells]).ravel())
    data.point_data["rho"] = rho
    data.save(tmp_path / "a.vtp")
    spec = {"type": "file", "path": str(tmp_path / "a.vtp"), "array": "rho"}
    with pytest.warns(MeanfieldWarning, match="merged"):
        law = law_from_spec(spec, 3)
    exact = TabulatedDensity(POINTS, CELLS, 2.0 + POINTS[:, 1])
    np.testing.assert_allclose(law.density(POINTS), exact.density(POINTS), rtol=1e-9)
    data.point_data["rho"][5] += 0.1
    data.save(tmp_path / "a.vtp")
    with pytest.raises(InputError, match=r"initial\.path: \d+ points of .* coincide with"):
        law_from_spec(spec, 3)
