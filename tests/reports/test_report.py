"""A report on folders: what is on it, where it goes, what is refused."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import about, contents
from pages import Read, decoded

import meanfield as mf
from meanfield import cli
from meanfield.geometry.mesh import icosphere
from meanfield.reports.words import with_signs
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_fields, read_tokens_file

pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")


def scene_of(path: Path) -> dict[str, Any]:
    (scene,) = Read(path).data["scenes"]
    return dict(scene)


# ------------------------------------------------------------------ what is on it


def test_a_page_is_whole_by_itself(runs: Path) -> None:
    path = mf.report([runs / "sphere", runs / "tokens", runs / "circle", runs / "zonal"])
    assert path == runs / "sphere" / "report.html"
    read = Read(path)
    assert len(read.ids) == len(set(read.ids)) > 20
    for address in read.addresses:
        assert address.startswith(("data:", "#")), address[:80]
    assert {f"#{name}" for name in read.ids} >= {a for a in read.addresses if a.startswith("#")}
    labelled = [given for given in read.named("input") if given["type"] == "range"]
    assert len(labelled) == len(read.data["scenes"]) == 4 and all(g["aria-label"] for g in labelled)
    assert all(given.get("alt") for given in read.named("img"))
    assert len(read.texts["caption"]) == len(read.named("table")) > 8
    assert read.texts["h1"] == ["4 folders"] and len(read.texts["h2"]) == 4
    for one in [*read.data["scenes"], *read.data["charts"]]:
        assert one["id"] in read.ids


def test_a_title_is_a_text(runs: Path) -> None:
    read = Read(mf.report(runs / "sphere"))
    title = "Three <script>alert(1)</script> bumps & more"
    assert read.texts["title"] == read.texts["h1"] == [title]
    scripts = [given.get("type") for given in read.named("script")]
    assert scripts == ["application/json", None, None]
    given = Read(mf.report(runs / "sphere", title="</title><img src=x>", overwrite=True))
    assert given.texts["h1"] == ["</title><img src=x>"]


def test_what_a_run_was_and_kept(runs: Path) -> None:
    read, record = Read(mf.report(runs / "sphere")), about(runs / "sphere")
    series = RunFolder.open(runs / "sphere").read_series()
    assert read.row("stopped") == "end"
    effect = "parameters" if "parameters" in record else "interaction"
    assert read.row(effect) == with_signs(record[effect])
    assert "β = 4" in read.row(effect)
    assert read.row("|m|") == f"{series['mean_norm'][-1]:.6g}"
    assert read.row("least density").endswith("(positive at all times)")
    error = float(np.abs(series["mass"] - 1.0).max())
    assert float(f"{error:.3g}") == pytest.approx(_number(read.row("largest error of the mass")))
    assert (runs / "sphere" / "case.toml").read_text("utf-8") in read.texts["pre"][0]
    assert read.row("numpy") == record["numpy"]
    assert str(record["platform"]) not in "".join(read.texts["table"])


def _number(text: str) -> float:
    mantissa, _, exponent = text.replace("−", "-").partition(" × 10")
    plain = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    return float(mantissa) * 10.0 ** float(exponent.translate(plain) or 0)


def test_curves_are_those_of_the_series(runs: Path) -> None:
    charts = Read(mf.report(runs / "sphere")).data["charts"]
    series = RunFolder.open(runs / "sphere").read_series()
    shown = {chart["title"]: chart["lines"] for chart in charts}
    (line,) = shown["Length of the mean |m|"]
    np.testing.assert_array_equal(decoded(line["x"]), series["t"])
    np.testing.assert_array_equal(decoded(line["y"]), series["mean_norm"])
    least, largest = shown["Least and largest density (uniform = 1)"]
    np.testing.assert_array_equal(decoded(largest["y"]), series["rho_max"])
    assert (least["name"], largest["name"]) == ("least", "largest")


def test_the_density_of_a_sphere_at_all_times(runs: Path) -> None:
    scene = scene_of(mf.report(runs / "sphere"))
    fields = read_fields(runs / "sphere" / "fields.vtkhdf")
    assert scene["labels"] == ["t = 0", "t = 0.3", "t = 0.45", "t = 1"]
    np.testing.assert_array_equal(decoded(scene["cells"]), fields.cells.ravel())
    np.testing.assert_array_equal(decoded(scene["points"]), np.float32(fields.points).ravel())
    low, high = scene["limits"]
    for k in range(4):
        expected = np.float32(np.maximum(fields.read("log10_rho", k), low))
        np.testing.assert_array_equal(decoded(scene["frames"][k]), expected)
    assert low < 0.0 < high and all(low <= tick <= high for tick in scene["ticks"])


def test_times_are_chosen_and_told(runs: Path) -> None:
    path = mf.report(runs / "sphere", frames=3)
    assert scene_of(path)["labels"] == ["t = 0", "t = 0.45", "t = 1"]
    assert any("3 of 4 times" in text for text in Read(path).texts["p"])


def test_tokens_in_space_with_their_clusters(runs: Path) -> None:
    scene = scene_of(mf.report(runs / "tokens"))
    tokens = read_tokens_file(runs / "tokens" / "particles.vtkhdf")
    assert len(scene["frames"]) == len(tokens.times) == 5
    for k in range(5):
        points = decoded(scene["frames"][k])
        np.testing.assert_array_equal(points, np.float32(tokens.points(k)).ravel())
    shown, cluster = decoded(scene["colours"][-1]), tokens.read("cluster", -1)
    _, sizes = np.unique(cluster, return_counts=True)
    assert len(np.unique(shown[shown >= 0])) == np.sum(sizes > 0.05 * tokens.n)
    for colour in np.unique(shown[shown >= 0]):
        assert len(np.unique(cluster[shown == colour])) == 1


def test_a_circle_is_a_closed_curve_whatever_its_mesh_does(runs: Path) -> None:
    scene = scene_of(mf.report(runs / "circle"))
    points = decoded(scene["points"]).reshape(-1, 2)
    np.testing.assert_array_equal(points[0], points[-1])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, rtol=1e-6)
    turned = np.diff(np.unwrap(np.arctan2(points[:, 1], points[:, 0])))
    assert np.all(turned > 0.0) and turned.sum() == pytest.approx(2.0 * math.pi, rel=1e-6)
    values = decoded(scene["frames"][0])
    # The law of the first time, at places of the curve and not of the mesh.
    angle = np.arctan2(points[:, 1], points[:, 0])
    law = 1.0 + 0.1 * np.cos(angle) + 0.2 * np.cos(3.0 * angle)
    np.testing.assert_allclose(10.0**values, law, rtol=5e-3)


def test_latitudes_are_a_surface_of_revolution(runs: Path) -> None:
    scene = scene_of(mf.report(runs / "zonal"))
    fields = read_fields(runs / "zonal" / "fields.vtkhdf")
    points, pick = decoded(scene["points"]).reshape(-1, 3), decoded(scene["pick"])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, rtol=1e-6)
    theta = np.sort(fields.mesh.points[:, 0])
    np.testing.assert_allclose(np.arccos(np.clip(points[:, 2], -1, 1)), theta[pick], atol=1e-3)
    corners = points[decoded(scene["cells"]).reshape(-1, 3)]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * np.linalg.norm(normals, axis=1)
    assert area.sum() == pytest.approx(4.0 * math.pi, rel=5e-3)
    outward = np.einsum("ij,ij->i", normals, corners.mean(axis=1))
    assert np.all(outward[area > 1e-6] > 0.0)


def test_a_fine_mesh_is_thinned(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from meanfield.reports import densities

    monkeypatch.setattr(densities, "LEVEL", 2)
    monkeypatch.setattr(densities, "_MOST", 162)
    path = mf.report(runs / "sphere")
    scene, fields = scene_of(path), read_fields(runs / "sphere" / "fields.vtkhdf")
    coarse = icosphere(2)
    np.testing.assert_array_equal(decoded(scene["points"]), np.float32(coarse.points).ravel())
    # The vertices of a level are the first ones of the next.
    expected = np.maximum(fields.read("log10_rho", -1)[:162], scene["limits"][0])
    np.testing.assert_array_equal(decoded(scene["frames"][-1]), np.float32(expected))
    assert any("162 vertices of 642" in text for text in Read(path).texts["p"])


def test_of_a_comparison_so_many_times_as_are_asked_for(tmp_path: Path) -> None:
    from meanfield.reports.densities import frames_of
    from meanfield.results.comparison import StoredDensity

    folder = RunFolder.create(tmp_path / "compared")
    folder.write_run({"meanfield": "0.1.0", "kind": "compare"})
    mesh = icosphere(1)
    weights = np.full(mesh.n_vertices, 1.0 / mesh.n_vertices)
    rho = np.ones((9, mesh.n_vertices))
    StoredDensity(mesh, np.arange(9.0), rho, np.arange(9.0), weights).write(folder)
    frames = frames_of(folder, 3)
    assert frames is not None and len(frames.labels) == len(frames.values) == 3
    assert frames.notes == ("3 of 9 times, those at which most happens",)


def test_points_of_gaussians_are_no_tokens(runs: Path) -> None:
    path = runs / "tokens" / "case.toml"
    path.write_text(path.read_text("utf-8").replace('"particles"', '"gaussians"'), "utf-8")
    read = Read(mf.report(runs / "tokens"))
    assert "Gaussians in space" in read.texts["h3"] and "Tokens in space" not in read.texts["h3"]
    assert read.row("points of the Gaussians") == "50"


def test_of_a_result(runs: Path) -> None:
    result = mf.load(runs / "tokens")
    assert mf.report(result) == runs / "tokens" / "report.html"
    mf.report([result, runs / "circle"], overwrite=True)


def test_no_scene(runs: Path) -> None:
    read = Read(mf.report(runs / "sphere", scene=False))
    assert not read.data["scenes"] and len(read.data["charts"]) == 5


def test_pictures_are_drawn_elsewhere_where_there_are_none(runs: Path) -> None:
    before = contents(runs / "tokens")
    path = mf.report(runs / "tokens", runs.parent / "out" / "tokens.html")
    assert contents(runs / "tokens") == before
    alts = [given["alt"] for given in Read(path).named("img")]
    assert "Tokens at several times" in alts and len(alts) >= 2


def test_pictures_of_all_kinds(runs: Path) -> None:
    folder = RunFolder.open(runs / "sphere")
    folder.figure("own.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', "utf-8")
    folder.figure("own2.pdf").write_bytes(b"%PDF-1.4")
    folder.figure("density.png").unlink()  # killed while it drew
    read = Read(mf.report(runs / "sphere"))
    shown = {str(g["alt"]): str(g["src"]) for g in read.named("img")}
    assert shown["Own"].startswith("data:image/svg+xml;base64,")
    assert "Maps of the density at several times" in shown
    assert any("figures/own2.pdf" in text for text in read.texts["p"])


def test_clusters_at_the_last_time_and_at_all(runs: Path) -> None:
    rows = "\n".join(f"{t},{c},{0.5 / c},{0.1 * t},0,0.6,-0.8" for t in (0.0, 1.0) for c in (1, 2))
    text = f"t,cluster,mass,spread,ring,x1,x2\n{rows}\n1.0,3"  # and half a row
    (runs / "sphere" / "clusters.csv").write_text(text, "utf-8")
    read = Read(mf.report(runs / "sphere"))
    assert "Clusters at the last time" in read.texts["caption"]
    last = ["110.50.10(0.6, −0.8)", "120.250.10(0.6, −0.8)"]  # t, cluster, mass, spread, ring
    assert "".join(last) in read.texts["tbody"]
    assert "clusters.csv, at all times (4 rows)" in read.texts["summary"]
    assert any("tclustermassspreadringcentre" in text for text in read.texts["thead"])


def test_of_many_clusters_the_heaviest_are_shown(runs: Path) -> None:
    rows = "\n".join(f"1.0,{c},{0.001 * c},0,0,0.6,-0.8" for c in range(1, 41))
    (runs / "sphere" / "clusters.csv").write_text(f"t,cluster,mass,spread,ring,x1,x2\n{rows}\n")
    read = Read(mf.report(runs / "sphere"))
    shown = [text for text in read.texts["tbody"] if text.startswith("1400.04")]
    assert len(shown) == 2
    counts = [text.count("(0.6, −0.8)") for text in read.texts["tbody"]]
    assert sorted(n for n in counts if n) == [16, 40]
    assert "16 of 40, the heaviest." in read.texts["p"]
    assert "clusters.csv, all of it (40 rows)" in read.texts["summary"]


def test_long_tables_are_opened_on_wish(runs: Path) -> None:
    rows = "\n".join(f"{k},0.5" for k in range(40))
    (runs / "sphere" / "branch.csv").write_text(f"kappa,<b>\n{rows}\n", "utf-8")
    read = Read(mf.report(runs / "sphere"))
    assert "branch.csv, all of it (40 rows)" in read.texts["summary"]
    assert any(text == "kappa<b>" for text in read.texts["thead"]) and "b" not in read.texts
    lengths = [text.count("0.5") for text in read.texts["tbody"]]
    assert 16 in lengths and 40 in lengths


# ------------------------------------------------------------------ runs without an end


def test_a_run_that_was_killed(runs: Path) -> None:
    folder = RunFolder.open(runs / "tokens")
    record = folder.read_run()
    folder.write_run({**record, "stop_reason": None})
    folder.series_path.write_bytes(folder.series_path.read_bytes()[:-20])
    read = Read(mf.report(runs / "tokens"))
    assert any("still running, or was killed" in text for text in read.texts["p"])
    assert len(read.data["scenes"]) == 1 and read.data["charts"]


def test_a_run_that_has_hardly_begun(tmp_path: Path) -> None:
    from cases import plain

    folder = RunFolder.create(tmp_path / "run")
    folder.write_case(plain())
    folder.write_run({"meanfield": "0.1.0"})
    folder.series(["t", "mass"]).close()
    read = Read(mf.report(folder.path))
    assert read.row("stopped").startswith("not finished") and not read.data


def test_a_damaged_file_is_told_and_left_out(runs: Path) -> None:
    (runs / "sphere" / "fields.vtkhdf").write_bytes(b"no HDF5")
    read = Read(mf.report(runs / "sphere"))
    assert any(text.startswith("Left out:") for text in read.texts["p"])
    assert read.data["charts"]


# ------------------------------------------------------------------ where it goes


def test_it_is_recorded_in_its_folder_and_goes_with_it(runs: Path) -> None:
    path = mf.report(runs / "sphere")
    assert "report.html" in RunFolder.open(runs / "sphere").files()
    RunFolder.create(runs / "sphere", overwrite=True)
    assert not path.exists()


def test_no_file_is_replaced_unasked(runs: Path) -> None:
    path = mf.report(runs / "tokens")
    before = path.read_bytes()
    with pytest.raises(mf.InputError, match=r"report\.html exists already"):
        mf.report(runs / "tokens")
    assert path.read_bytes() == before
    mf.report(runs / "tokens", title="another", overwrite=True)
    assert Read(path).texts["h1"] == ["another"]
    path.write_text("<p>my own page</p>", "utf-8")
    with pytest.raises(mf.InputError, match="no report of meanfield: it is left alone"):
        mf.report(runs / "tokens", overwrite=True)
    assert path.read_text("utf-8") == "<p>my own page</p>"


def test_it_waits_for_nobody_who_writes_in_the_folder(runs: Path) -> None:
    import threading

    from meanfield.paraview import write_state

    entered, leave = threading.Event(), threading.Event()

    def write() -> None:
        with RunFolder.claimed(runs / "tokens", "run"):
            entered.set()
            leave.wait(60)

    other = threading.Thread(target=write)
    other.start()
    try:
        assert entered.wait(60)
        for refused, where in (
            (lambda: mf.report(runs / "tokens"), "FILE"),
            (lambda: write_state(runs / "tokens"), "FILE"),
            (lambda: mf.export(runs / "tokens", "npz"), "FOLDER"),
        ):
            said = f"is writing in the folder .*, or write elsewhere with -o {where}$"
            with pytest.raises(mf.InputError, match=said):
                refused()
        assert mf.report(runs / "tokens", runs / "beside.html").is_file()
    finally:
        leave.set()
        other.join()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda at: mf.report([]), "folders: none found"),
        (lambda at: mf.report([at / "tokens", at / "tokens"]), "given twice"),
        (lambda at: mf.report(at / "nowhere"), "there is no folder"),
        (lambda at: mf.report(at / "tokens", at / "report.pdf"), "ending '.pdf', expected .html"),
        (lambda at: mf.report(at / "tokens", at), "expected .html"),
        (lambda at: mf.report(at / "tokens", frames=1), "frames: 1 found, 2 or more expected"),
        (lambda at: mf.report(at / "tokens", title=3), "title: found"),
    ],
)
def test_what_is_refused(made: Path, ask: Callable[[Path], object], said: str) -> None:
    with pytest.raises(mf.InputError, match=said):
        ask(made)


def test_without_plotly_the_extra_is_named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plotly", "plotly.offline"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(mf.InputError, match=r"pip install plotly$"):
        mf.report(runs / "tokens")
    assert not (runs / "tokens" / "report.html").exists()


def test_the_verb(runs: Path, inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(runs / "tokens"), str(runs / "circle"), "-o", "both.html", "--title", "Both"]
    assert cli.main(["report", *words, "--no-scene"]) == 0
    assert capsys.readouterr().out.startswith("both.html  ")
    read = Read(inside / "both.html")
    assert read.texts["h1"] == ["Both"] and not read.data["scenes"]
    lines = read.data["charts"][0]["lines"]
    assert [line["name"] for line in lines] == ["tokens", "circle"]
    assert cli.main(["report", *words]) == 2
    assert "exists already" in capsys.readouterr().err
    assert cli.main(["report", *words, "--overwrite", "--frames", "2"]) == 0
    assert len(Read(inside / "both.html").data["scenes"]) == 2
