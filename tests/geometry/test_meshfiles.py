"""Reading, checking, repairing and writing of meshes; the files in meshes/."""

from __future__ import annotations

import importlib.util
import struct
import sys
import warnings
from pathlib import Path
from types import ModuleType

import meshio
import numpy as np
import pytest
from processes import ROOT

from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.mesh import (
    WRITABLE,
    Mesh,
    circle,
    delaunay_weights,
    icosphere,
    inspect_mesh,
    read_mesh,
    unstructured_sphere,
    write_mesh,
    zonal_interval,
)


def silent(text: str) -> None:
    raise AssertionError(f"unexpected notice: {text}")


def put(path: Path, points: object, **cells: object) -> Path:
    """Write a raw file with meshio; keyword = cell type."""
    blocks = [(kind, np.asarray(data, dtype=np.int32)) for kind, data in cells.items()]
    meshio.Mesh(np.asarray(points, dtype=float), blocks).write(path)
    return path


def read(path: Path) -> tuple[Mesh, list[str]]:
    notices: list[str] = []
    return read_mesh(path, notices.append), notices


def cell_sets(mesh: Mesh) -> set[tuple[int, ...]]:
    return {tuple(sorted(map(int, cell))) for cell in mesh.cells}


def outward(mesh: Mesh) -> bool:
    return bool(np.linalg.det(mesh.points[mesh.cells]).min() > 0.0)


# -- round trips ------------------------------------------------------------------------------

MESHES = {
    "sphere": unstructured_sphere(60, 2),
    "circle": circle(11),
    "zonal": zonal_interval(13, 6),
}


@pytest.mark.parametrize(
    ("geometry", "extension"),
    [(kind, extension) for extension, kinds in WRITABLE.items() for kind in kinds],
)
def test_round_trip(tmp_path: Path, geometry: str, extension: str) -> None:
    mesh = MESHES[geometry]
    path = tmp_path / f"mesh{extension}"
    write_mesh(path, mesh)
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "one file, nothing left behind"
    again = read_mesh(path, silent)
    assert (again.geometry, again.d) == (mesh.geometry, mesh.d)
    if extension == ".stl":  # stores triangles, not vertices: the same up to numbering
        order = np.lexsort(mesh.points.T)
        np.testing.assert_array_equal(again.points[np.lexsort(again.points.T)], mesh.points[order])
        new = np.empty(len(order), dtype=np.int64)
        new[order] = np.lexsort(again.points.T)
        assert cell_sets(again) == cell_sets(Mesh("sphere", 3, mesh.points, new[mesh.cells]))
    else:
        np.testing.assert_array_equal(again.points, mesh.points)
        np.testing.assert_array_equal(again.cells, mesh.cells)


@pytest.mark.parametrize("geometry", MESHES)
def test_fields_go_along(tmp_path: Path, geometry: str) -> None:
    mesh, path = MESHES[geometry], tmp_path / "mesh.vtu"
    values = np.linspace(1.0, 2.0, mesh.n_vertices)
    write_mesh(path, mesh, fields={"rho": values})
    np.testing.assert_array_equal(meshio.read(path).point_data["rho"], values)
    np.testing.assert_array_equal(read_mesh(path, silent).points, mesh.points)


def test_upper_case_extension(tmp_path: Path) -> None:
    write_mesh(tmp_path / "a.vtu", icosphere(1))
    (tmp_path / "a.vtu").rename(tmp_path / "A.VTU")
    np.testing.assert_array_equal(read_mesh(tmp_path / "A.VTU", silent).points, icosphere(1).points)


def test_write_refuses(tmp_path: Path) -> None:
    mesh = icosphere(0)
    path = tmp_path / "a.vtu"
    write_mesh(path, mesh)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_mesh(path, icosphere(1))
    assert path.read_bytes() == before
    write_mesh(path, icosphere(1), overwrite=True)
    assert read_mesh(path, silent).n_vertices == 42
    with pytest.raises(InputError, match=r"extension '\.vtx' \(did you mean '\.vt[ku]'\?\)"):
        write_mesh(tmp_path / "a.vtx", mesh)
    with pytest.raises(InputError, match=r"extension ''; expected one of \.vtu"):
        write_mesh(tmp_path / "a", mesh)
    for extension in (".stl", ".obj", ".ply"):
        for other in (circle(5), zonal_interval(5, 3)):
            with pytest.raises(InputError, match=r"made of lines; choose one of \.vtu"):
                write_mesh(tmp_path / f"b{extension}", other)
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        write_mesh(tmp_path / "nowhere" / "a.vtu", mesh)
    (tmp_path / "folder.vtu").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write_mesh(tmp_path / "folder.vtu", mesh, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.vtu", "folder.vtu"]


# -- files that cannot be read ----------------------------------------------------------------


def test_missing_file_names_a_near_one(tmp_path: Path) -> None:
    write_mesh(tmp_path / "sphere.vtu", icosphere(0))
    with pytest.raises(InputError, match=r"does not exist \(did you mean 'sphere.vtu'\?\)"):
        read_mesh(tmp_path / "spere.vtu")
    with pytest.raises(InputError, match=r"does not exist$"):
        read_mesh(tmp_path / "no" / "a.vtu")


def test_folder_unknown_extension_and_empty_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: give the mesh file in it"):
        read_mesh(tmp_path)
    (tmp_path / "a.vtx").write_text("x")
    with pytest.raises(InputError, match=r"'\.vtx' \(did you mean '\.vt[ku]'\?\); expected one of"):
        read_mesh(tmp_path / "a.vtx")
    for extension in WRITABLE:
        path = tmp_path / f"empty{extension}"
        path.write_text("")
        with pytest.raises(InputError, match="is empty"):
            read_mesh(path)


@pytest.mark.parametrize("extension", [*WRITABLE, ".mesh", ".inp", ".med"])
@pytest.mark.parametrize(
    "content", [b"this is no mesh\n", b"\x00\xff\x13\x37" * 40, b"<a><b/></a>", b"1 2 3\n4 5 6\n"]
)
def test_garbage_is_an_input_error(
    tmp_path: Path, extension: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"garbage{extension}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"garbage{extension}"):
        read_mesh(path)
    assert capfd.readouterr() == ("", ""), "meshio must not print"


@pytest.mark.parametrize("extension", WRITABLE)
def test_truncated_files_never_pass(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"cut{extension}"
    write_mesh(path, icosphere(2))
    whole = path.read_bytes()
    for fraction in (0.2, 0.6, 0.95):
        path.write_bytes(whole[: int(fraction * len(whole))])
        with pytest.raises(InputError, match="cut"):
            read_mesh(path, lambda _: None)


def test_xdmf_without_its_h5_file(tmp_path: Path) -> None:
    path = put(tmp_path / "a.xdmf", icosphere(0).points, triangle=icosphere(0).cells)
    assert read(path)[0].n_vertices == 12
    (tmp_path / "a.h5").unlink()
    with pytest.raises(InputError, match=r"a\.xdmf cannot be read.*a\.h5"):
        read_mesh(path)


# -- files that are no sphere -----------------------------------------------------------------


def test_cells_that_are_no_triangles(tmp_path: Path) -> None:
    mesh = icosphere(1)
    with pytest.raises(InputError, match="triangle6: write a mesh of order one"):
        read_mesh(put(tmp_path / "c.vtu", mesh.points, triangle6=[[0, 1, 2, 3, 4, 5]]))
    (tmp_path / "e.obj").write_text("v 1 0 0\nv 0 1 0\nv 0 0 1\n")
    with pytest.raises(InputError, match="found no cells and 3 points"):
        read_mesh(tmp_path / "e.obj")


def test_vertex_off_the_sphere_is_named(tmp_path: Path) -> None:
    mesh = icosphere(2)
    points = 3.0 * mesh.points + [1.0, 2.0, 3.0]
    points[77] = [1.0, 2.0, 3.0] + 3.0 * 1.01 * mesh.points[77]
    with pytest.raises(
        InputError,
        match=r"vertex 77 at .* off by \+0\.01 of the radius \(fitted centre \(1, 2, 3\), radius 3"
        r"\); 1 of 162 vertices are off by more than 1e-06",
    ):
        read_mesh(put(tmp_path / "a.vtu", points, triangle=mesh.cells))
    ellipsoid = mesh.points * [1.0, 1.0, 1.001]
    with pytest.raises(InputError, match="do not lie on a sphere: vertex"):
        read_mesh(put(tmp_path / "b.vtu", ellipsoid, triangle=mesh.cells))


def test_the_tolerance_is_one_in_a_million(tmp_path: Path) -> None:
    mesh = unstructured_sphere(300, 8)
    for size, fits in ((8e-7, True), (1.3e-6, False)):
        points = mesh.points.copy()
        points[5] *= 1.0 + size
        path = put(tmp_path / f"a{fits}.vtu", 7.0 * points + 5.0, triangle=mesh.cells)
        if fits:
            again, notices = read(path)
            assert len(notices) == 1 and "7.9e-07 of the radius" in notices[0]
            np.testing.assert_allclose(again.points, mesh.points, atol=1e-7)
        else:
            with pytest.raises(InputError, match=r"vertex 5 at .* off by \+1.3e-06"):
                read(path)


def test_number_of_a_vertex_counts_unused_ones(tmp_path: Path) -> None:
    """Messages use the numbers of the file, although the unused vertex 0 is dropped first."""
    mesh = icosphere(2)
    points = np.concatenate([[[0.0, 0.0, 0.0]], mesh.points])
    points[41] *= 1.5
    with pytest.raises(InputError, match="vertex 41 at"):
        read_mesh(put(tmp_path / "a.vtu", points, triangle=mesh.cells + 1), lambda _: None)


def test_not_finite_and_damaged_numbers(tmp_path: Path) -> None:
    mesh = icosphere(1)
    points = mesh.points.copy()
    points[7, 1] = np.nan
    with pytest.raises(InputError, match="vertex 7 is not finite"):
        read_mesh(put(tmp_path / "a.vtu", points, triangle=mesh.cells))
    cells = mesh.cells.copy()
    cells[0, 0] = 99
    with pytest.raises(InputError, match="cells name vertices 0 to 99, but there are 42 points"):
        read_mesh(put(tmp_path / "b.vtu", mesh.points, triangle=cells))


def test_holes_and_branches(tmp_path: Path) -> None:
    mesh = icosphere(1)
    with pytest.raises(InputError, match=r"not closed: the edge of vertices \d+ and \d+ belongs to "
                       r"1 triangle\(s\) instead of 2 \(3 such\): fill the holes"):  # fmt: skip
        read_mesh(put(tmp_path / "a.vtu", mesh.points, triangle=mesh.cells[1:]))
    points = np.concatenate([mesh.points, [[0.0, 0.6, 0.8]]])
    fin = np.concatenate([mesh.cells, [[*mesh.cells[0, :2], 42]]])
    with pytest.raises(InputError, match=r"of vertices \d+ and \d+ belongs to [13] triangle"):
        read_mesh(put(tmp_path / "b.vtu", points, triangle=fin))


def test_two_pieces_and_handles(tmp_path: Path) -> None:
    a, b = unstructured_sphere(40, 1), unstructured_sphere(30, 2)
    points = np.concatenate([a.points, b.points])
    both = np.concatenate([a.cells, b.cells + 40])
    with pytest.raises(InputError, match=r"2 piece\(s\) and Euler characteristic 4 = 70 vert"):
        read_mesh(put(tmp_path / "a.vtu", points, triangle=both))
    # a tube of triangles between triangle s of a and triangle t of b: one piece, still no handle
    # ... and a second tube makes the handle
    cells = both
    for s, t in ((0, 0), (20, 20)):
        p, q = a.cells[s], (b.cells + 40)[t]
        gone = [set(map(int, p)), set(map(int, q))]
        cells = np.array([cell for cell in cells if set(map(int, cell)) not in gone])
        tube = [(p[k], p[k - 1], q[k]) for k in range(3)]
        tube += [(q[k], q[k - 1], p[k - 1]) for k in range(3)]
        cells = np.concatenate([cells, np.array(tube)])
    with pytest.raises(InputError, match=r"1 piece\(s\) and Euler characteristic 0"):
        read_mesh(put(tmp_path / "b.vtu", points, triangle=cells))


def test_triangles_without_area_are_dropped(tmp_path: Path) -> None:
    mesh = icosphere(1)
    cells = np.concatenate([mesh.cells, [[3, 3, 4]]])
    again, notices = read(put(tmp_path / "a.vtu", mesh.points, triangle=cells))
    assert notices == ["a.vtu: dropped 1 of 81 triangles whose corners coincide"]
    np.testing.assert_array_equal(again.cells, mesh.cells)
    # the pole of a latitude-longitude mesh: distinct numbers, one place
    points = np.concatenate([mesh.points, mesh.points[3:4]])
    cells = np.concatenate([mesh.cells, [[3, 42, 4]]])
    again, notices = read(put(tmp_path / "b.vtu", points, triangle=cells))
    assert len(notices) == 2 and "whose corners coincide" in notices[1]
    np.testing.assert_array_equal(again.cells, mesh.cells)
    with pytest.raises(InputError, match="all triangles are degenerate"):
        read_mesh(put(tmp_path / "c.vtu", mesh.points, triangle=[[3, 3, 4]]), lambda _: None)


def test_a_cap_does_not_pass(tmp_path: Path) -> None:
    """A closed lens of vertices on one side: both covers lie on the sphere, nothing is inside."""
    sphere = unstructured_sphere(200, 4)
    cap = np.all(sphere.points[sphere.cells][:, :, 2] > 0.3, axis=1)
    lid = sphere.cells[cap]
    rim = lid[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    alone = [k for k, e in enumerate(rim) if not np.any(np.all(rim == e[::-1], axis=1))]
    top = int(np.argmax(np.where(np.isin(np.arange(200), rim[alone]), sphere.points[:, 2], -1)))
    floor = [(j, i, top) for i, j in rim[alone] if top not in (i, j)]
    with pytest.raises(InputError, match="one side of the sphere"):
        read_mesh(
            put(tmp_path / "a.vtu", sphere.points, triangle=np.concatenate([lid, floor])),
            lambda _: None,
        )


# -- what is repaired -------------------------------------------------------------------------


def test_recentred_and_rescaled(tmp_path: Path) -> None:
    mesh = unstructured_sphere(200, 6)
    path = put(tmp_path / "earth.vtu", 6371.0 * mesh.points + [100.0, -2e4, 5e3],
               triangle=mesh.cells)  # fmt: skip
    again, notices = read(path)
    assert len(notices) == 1
    assert (
        "earth.vtu: recentred from (100, -20000, 5000) and rescaled from radius 6371"
        in (notices[0])
    )
    np.testing.assert_allclose(again.points, mesh.points, atol=1e-13)
    assert np.abs(np.linalg.norm(again.points, axis=1) - 1.0).max() <= 4e-16
    np.testing.assert_array_equal(again.cells, mesh.cells)


def test_without_a_callback_a_notice_is_a_warning(tmp_path: Path) -> None:
    path = put(tmp_path / "a.vtu", 2.0 * icosphere(1).points, triangle=icosphere(1).cells)
    with pytest.warns(MeanfieldWarning, match=r"a\.vtu: recentred from .* radius 2 "):
        read_mesh(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_mesh(path, lambda _: None)


def test_single_precision_is_projected_about_the_origin(tmp_path: Path) -> None:
    mesh = icosphere(3)
    path = tmp_path / "a.stl"
    meshio.Mesh(mesh.points, [("triangle", mesh.cells)]).write(path, binary=True)
    again, notices = read(path)
    assert len(notices) == 1 and "projected the vertices to the unit sphere" in notices[0]
    assert again.n_vertices == 642 and again.n_cells == 1280
    distance = np.linalg.norm(again.points[:, None] - mesh.points[None], axis=2)
    assert distance.min(axis=1).max() < 1e-7
    assert np.abs(np.linalg.norm(again.points, axis=1) - 1.0).max() <= 4e-16


def test_duplicate_vertices_are_merged_in_order(tmp_path: Path) -> None:
    mesh = icosphere(1)
    soup = mesh.points[mesh.cells].reshape(-1, 3)  # every triangle with its own corners
    path = put(tmp_path / "a.vtu", soup, triangle=np.arange(240).reshape(-1, 3))
    again, notices = read(path)
    assert notices == ["a.vtu: merged 240 vertices into 42: the others coincide with them"]
    first = np.unique(mesh.cells.ravel(), return_index=True)[1]
    np.testing.assert_array_equal(again.points, soup[np.sort(first)])
    np.testing.assert_array_equal(again.points[again.cells], mesh.points[mesh.cells])


def test_unused_vertices_are_dropped(tmp_path: Path) -> None:
    mesh = icosphere(1)
    points = np.insert(mesh.points, 5, [0.0, 0.0, 0.0], axis=0)
    cells = np.where(mesh.cells >= 5, mesh.cells + 1, mesh.cells)
    again, notices = read(put(tmp_path / "a.vtu", points, triangle=cells))
    assert notices == ["a.vtu: dropped 1 point(s) that no cell uses"]
    np.testing.assert_array_equal(again.points, mesh.points)
    np.testing.assert_array_equal(again.cells, mesh.cells)


def test_orientation_is_repaired(tmp_path: Path) -> None:
    mesh = unstructured_sphere(150, 7)
    cells = mesh.cells.copy()
    turned = np.random.default_rng(0).random(len(cells)) < 0.3
    cells[turned] = cells[turned][:, [1, 0, 2]]
    again, notices = read(put(tmp_path / "a.vtu", mesh.points, triangle=cells))
    assert notices == [f"a.vtu: turned {turned.sum()} of 296 triangles outward"]
    assert outward(again) and cell_sets(again) == cell_sets(mesh)
    again, notices = read(put(tmp_path / "b.vtu", mesh.points, triangle=mesh.cells[:, ::-1]))
    assert notices == ["b.vtu: turned 296 of 296 triangles outward"] and outward(again)


def test_flipped_edge_is_rebuilt(tmp_path: Path) -> None:
    mesh = icosphere(3)
    cells = mesh.cells.copy()
    a, b, c = cells[0]
    other = next(k for k, cell in enumerate(cells) if k and {b, c} <= set(cell))
    (e,) = set(cells[other]) - {b, c}
    cells[0], cells[other] = (a, b, e), (a, e, c)
    assert delaunay_weights(Mesh("sphere", 3, mesh.points, cells))[1].min() < 0.0
    again, notices = read(put(tmp_path / "a.vtu", mesh.points, triangle=cells))
    assert len(notices) == 1
    assert "1 edges are not Delaunay (smallest cotangent weight -0." in notices[0]
    assert "rebuilt as the convex hull of the same 642 vertices" in notices[0]
    np.testing.assert_array_equal(again.points, mesh.points)
    assert cell_sets(again) == cell_sets(mesh) and outward(again)
    assert delaunay_weights(again)[1].min() > 0.0


def test_folded_triangles_are_rebuilt(tmp_path: Path) -> None:
    """Two vertices exchanged: still closed, one piece and Euler 2, but folded over."""
    mesh = unstructured_sphere(150, 7)
    points = mesh.points.copy()
    points[[3, 90]] = points[[90, 3]]
    again, notices = read(put(tmp_path / "a.vtu", points, triangle=mesh.cells))
    assert len(notices) == 1 and "fold over each other: connectivity rebuilt" in notices[0]
    np.testing.assert_array_equal(again.points, points)
    exchange = np.arange(150)
    exchange[[3, 90]] = [90, 3]
    assert cell_sets(again) == cell_sets(Mesh("sphere", 3, points, exchange[mesh.cells]))


def test_several_repairs_at_once(tmp_path: Path) -> None:
    mesh = icosphere(2)
    soup = (10.0 * mesh.points + 1.0)[mesh.cells].reshape(-1, 3)
    cells = np.arange(960).reshape(-1, 3)
    cells[::2] = cells[::2, ::-1]
    points = np.concatenate([soup, [[1.0, 1.0, 1.0]]])
    again, notices = read(put(tmp_path / "a.vtu", points, triangle=cells))
    said = " | ".join(notices)
    for word in ("dropped 1", "recentred", "merged 960 vertices into 162", "turned 160 of 320"):
        assert word in said
    assert inspect_mesh(again).smallest_weight > 0.3 and outward(again)


# -- circles and zonal meshes -----------------------------------------------------------------


def ring_file(path: Path, angle: np.ndarray, lines: np.ndarray, z: float = 0.0) -> Path:
    points = np.stack([np.cos(angle), np.sin(angle), np.full(len(angle), z)], axis=1)
    return put(path, points, line=lines)


def test_circle_is_recentred_turned_and_reordered(tmp_path: Path) -> None:
    n = 20
    angle = 2.0 * np.pi * np.arange(n) / n
    ring = np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=1)
    points = np.column_stack([4.0 * np.cos(angle) + 1.0, 4.0 * np.sin(angle) - 2.0, 0.0 * angle])
    again, notices = read(put(tmp_path / "a.vtu", points + np.array([0, 0, 5.0]), line=ring))
    assert len(notices) == 1 and "recentred from (1, -2) and rescaled from radius 4" in notices[0]
    np.testing.assert_allclose(again.points, circle(n).points, atol=1e-14)

    again, notices = read(ring_file(tmp_path / "b.vtu", angle, ring[:, ::-1]))
    assert notices == ["b.vtu: turned 20 of 20 lines counterclockwise"]
    np.testing.assert_array_equal(again.cells, ring)

    zigzag = np.random.default_rng(1).permutation(n)
    again, notices = read(ring_file(tmp_path / "c.vtu", angle[zigzag], ring))
    assert len(notices) == 1 and "back and forth: joined the 20 vertices" in notices[0]
    h = np.linalg.norm(again.points[again.cells[:, 0]] - again.points[again.cells[:, 1]], axis=1)
    np.testing.assert_allclose(h, 2.0 * np.sin(np.pi / n))
    assert np.array_equal(np.sort(again.cells[:, 0]), np.arange(n))


def test_circle_refusals(tmp_path: Path) -> None:
    n = 12
    angle = 2.0 * np.pi * np.arange(n) / n
    ring = np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=1)
    with pytest.raises(InputError, match=r"the vertex 0 belongs to 1 line\(s\) .*\(2 such\): fill"):
        read_mesh(ring_file(tmp_path / "a.vtu", angle, ring[:-1]))
    with pytest.raises(InputError, match=r"belongs to 3 line\(s\).*remove lines that overlap"):
        read_mesh(ring_file(tmp_path / "b.vtu", angle, np.concatenate([ring, [[0, 6]]])))
    two = np.concatenate([ring[:5], [[5, 0]], ring[6:11], [[11, 6]]])
    with pytest.raises(InputError, match=r"one closed loop .* found 2 loop\(s\)"):
        read_mesh(ring_file(tmp_path / "c.vtu", angle, two))
    with pytest.raises(InputError, match="one side of the circle"):
        read_mesh(ring_file(tmp_path / "d.vtu", angle / 3.0, ring), lambda _: None)
    again, notices = read(
        ring_file(tmp_path / "e.vtu", angle, np.concatenate([ring, [[4, 4], [1, 0]]]))
    )
    assert again.n_cells == 12
    assert [note.split(" of ")[0] for note in notices] == ["e.vtu: dropped 1"] * 2
    tilted = np.column_stack([np.cos(angle), np.zeros(n), np.sin(angle)])
    with pytest.raises(InputError, match="only in a plane z = const"):
        read_mesh(put(tmp_path / "f.vtu", tilted, line=ring))
    ellipse = np.column_stack([np.cos(angle), 1.01 * np.sin(angle), 0.0 * angle])
    with pytest.raises(InputError, match="do not lie on a circle: vertex"):
        read_mesh(put(tmp_path / "g.vtu", ellipse, line=ring))


def test_zonal_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.vtu"
    write_mesh(path, zonal_interval(7, 5))
    raw = meshio.read(path)
    theta = raw.point_data["theta"]
    np.testing.assert_array_equal(theta, zonal_interval(7, 5).points[:, 0])
    assert set(raw.point_data["ambient_dimension"]) == {5.0}
    wanted = np.stack([np.sin(theta), 0.0 * theta, np.cos(theta)], axis=1)
    np.testing.assert_allclose(raw.points, wanted, atol=1e-15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": [0.0, 1.0, 2.0, 3.0]}, "start at 0 and end at pi"),
        ({"theta": [0.0, 2.0, 1.0, np.pi]}, "rise strictly"),
        ({"ambient_dimension": [3.0, 3.0, 4.0, 3.0]}, "one integer for all points"),
        ({"ambient_dimension": [2.5] * 4}, "one integer for all points"),
        ({"lines": [[0, 1], [1, 3], [2, 3]]}, "join each angle theta to the next"),
    ],
)
def test_zonal_refusals(tmp_path: Path, change: dict[str, list[float]], message: str) -> None:
    theta = np.linspace(0.0, np.pi, 4)
    data = {"theta": theta, "ambient_dimension": np.full(4, 3.0)}
    data |= {name: np.array(value) for name, value in change.items() if name != "lines"}
    lines = np.array(change.get("lines", [[0, 1], [1, 2], [2, 3]]), dtype=np.int32)
    points = np.stack([np.sin(theta), 0.0 * theta, np.cos(theta)], axis=1)
    meshio.Mesh(points, [("line", lines)], point_data=data).write(tmp_path / "a.vtu")
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / "a.vtu")


# -- other people's dialects ------------------------------------------------------------------


def test_binary_stl_written_byte_by_byte(tmp_path: Path) -> None:
    mesh = icosphere(1)
    triangles = b"".join(
        struct.pack("<12fH", 0, 0, 0, *map(float, mesh.points[cell].ravel()), 0)
        for cell in mesh.cells
    )
    (tmp_path / "a.stl").write_bytes(
        b"solid but binary".ljust(80) + struct.pack("<I", 80) + triangles
    )
    again = read(tmp_path / "a.stl")[0]
    assert again.n_vertices == 42 and outward(again)


def test_gmsh_2_ascii_with_lines_points_and_an_unused_centre(tmp_path: Path) -> None:
    mesh = icosphere(0)
    nodes = [(0.0, 0.0, 0.0), *mesh.points.tolist()]
    text = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$Nodes", "13"]
    text += [f"{k + 1} {x!r} {y!r} {z!r}" for k, (x, y, z) in enumerate(nodes)]
    elements = ["15 2 0 1 2", "1 2 0 1 2 3"]
    elements += [f"2 2 0 1 {a + 2} {b + 2} {c + 2}" for a, b, c in mesh.cells]
    text += ["$EndNodes", "$Elements", str(len(elements))]
    text += [f"{k + 1} {line}" for k, line in enumerate(elements)] + ["$EndElements", ""]
    (tmp_path / "a.msh").write_text("\n".join(text))
    again, notices = read(tmp_path / "a.msh")
    assert notices == ["a.msh: dropped 1 point(s) that no cell uses"]
    np.testing.assert_array_equal(again.points, mesh.points)
    np.testing.assert_array_equal(again.cells, mesh.cells)


# -- the files in meshes/ ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def make_meshes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_meshes", ROOT / "scripts/make_meshes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_shipped_files_are_what_the_code_makes(make_meshes: ModuleType) -> None:
    made = make_meshes.generated()
    shipped = {p.name for p in (ROOT / "meshes").iterdir()} - {"README.md"}
    assert shipped == {*made, make_meshes.GMSH_FILE}
    for name, mesh in made.items():
        again = read_mesh(ROOT / "meshes" / name, silent)
        assert again.geometry == mesh.geometry
        # sin, cos and norms may differ in the last bit between libraries
        np.testing.assert_allclose(again.points, mesh.points, rtol=0.0, atol=4e-16)
        np.testing.assert_array_equal(again.cells, mesh.cells)
    assert sum(p.stat().st_size for p in (ROOT / "meshes").iterdir()) < 1_500_000


def test_shipped_gmsh_sphere() -> None:
    mesh, notices = read(ROOT / "meshes" / "gmsh_sphere.msh")
    assert len(notices) == 1 and "3 edges are not Delaunay" in notices[0]
    report = inspect_mesh(mesh)
    assert (report.vertices, report.cells) == (1578, 3152)
    assert report.smallest_weight > 0.0 and outward(mesh)
    assert report.quality_min is not None and report.quality_min > 0.5
    raw = meshio.read(ROOT / "meshes" / "gmsh_sphere.msh")
    assert np.abs(np.linalg.norm(raw.points, axis=1) - 1.0).max() < 1e-12


def test_make_meshes_script(
    make_meshes: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gmsh", None)  # as if it were not installed
    assert make_meshes.main(["--output", str(tmp_path / "new")]) == 2
    said = capsys.readouterr()
    assert "icosphere_4.vtu: 2562 vertices" in said.out
    assert "gmsh_sphere.msh is left out: gmsh cannot be imported" in said.err
    assert {p.name for p in (tmp_path / "new").iterdir()} == set(make_meshes.generated())
    assert make_meshes.main(["--output", str(tmp_path / "new")]) == 2
    assert "exists already" in capsys.readouterr().err
