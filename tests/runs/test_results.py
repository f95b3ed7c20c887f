"""What a run leaves behind, from memory, from its folder, and from another process: the same."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import pyvista
from cases import CIRCLE, ZONAL, Recipe, few_tokens, original, run, same_series, small
from matplotlib.figure import Figure
from processes import Job, python

import meanfield as mf
from meanfield.geometry.mesh import delaunay_weights
from meanfield.geometry.sphere import Array
from meanfield.results.formats import INNER_PRODUCT_EDGES

Start = Callable[..., Job]

double = small.but(output__precision="float64")
moving = double.but({"solver.type": "lagrangian"})
DENSITIES: dict[str, Recipe] = {
    "sphere": double.but({"geometry.level": 2}),
    "circle": double.but(CIRCLE),
    "zonal": double.but(ZONAL),
    "characteristics": moving.but({"geometry.level": 2}),
    "on a circle": moving.but(CIRCLE),
    "on latitudes": moving.but({**ZONAL, "geometry.vertices": 60}),
    "on a fixed mesh": moving.but({"geometry.level": 2, "output.mesh": "fixed"}),
    "slices": moving.but({"geometry.level": 2, "model.mask": "causal", "solver.slices": 3}),
}
TOKENS: dict[str, Recipe] = {
    "on S^2": few_tokens,
    "on S^1": few_tokens.but({"geometry.d": 2, "initial.type": "uniform"}),
    "on S^4": few_tokens.but({"geometry.d": 5, "initial.type": "uniform"}),
    "layers": few_tokens.but(solver={"type": "layers", "number": 20, "layers": 4}),
}


def of(case: mf.Case, folder: Path) -> tuple[mf.Result, ...]:
    """From its process, from its folder, and from another process."""
    result = run(case, folder)
    return result, mf.load(folder), pickle.loads(pickle.dumps(result))


@pytest.mark.filterwarnings("ignore::meanfield.MeanfieldWarning")
@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_is_the_same_wherever_it_is_asked_for(name: str, tmp_path: Path) -> None:
    case = DENSITIES[name]()
    results, alone = of(case, tmp_path / "run"), run(case)
    x = case.geometry.manifold.embed(case.geometry.manifold.checked(
        case.geometry.build_mesh().points[:3]))  # fmt: skip
    first = results[0]
    for result in results:
        same_series(result.series, first.series, 0.0)
        assert list(result.times) == list(case.output_times())
        assert (result.t, result.steps, result.stop_reason) == (1.0, first.steps, "end")
        assert result.warnings == first.warnings and result.folder == tmp_path / "run"
        assert result.case == case
        for t in (0.3, None):
            rho = result.fields.density(t)
            np.testing.assert_array_equal(rho, first.fields.density(t))
            np.testing.assert_allclose(result.at(x, t), first.at(x, t), rtol=1e-12)
            mesh = result.fields.mesh(t)
            assert rho.shape == (mesh.n_vertices,)
            assert result.fields.velocity(t).shape == (mesh.n_vertices, 3)
            assert np.sum(result.fields.masses(t)) == pytest.approx(1.0, abs=1e-12)
    # Without a folder the last state is what the folder has.
    assert list(alone.times) == [1.0]
    np.testing.assert_allclose(alone.fields.density(), first.fields.density(), rtol=1e-12)
    np.testing.assert_allclose(alone.fields.masses(1.0), first.fields.masses(1.0), rtol=1e-12)
    np.testing.assert_allclose(alone.fields.velocity(), first.fields.velocity(), atol=1e-12)
    np.testing.assert_allclose(alone.at(x), first.at(x), rtol=1e-12)
    grid, own = results[1].to_pyvista(), alone.to_pyvista()
    for shown in (grid, own):
        assert {"rho", "log10_rho", "mass", "velocity"} <= set(shown.point_data.keys())
        np.testing.assert_allclose(shown.points, grid.points, atol=1e-12)
    np.testing.assert_array_equal(grid["rho"], first.fields.density())


def test_between_vertices_log_rho_is_linear(tmp_path: Path) -> None:
    (_, result, _) = of(double(CIRCLE), tmp_path / "run")
    mesh, rho = result.fields.mesh(0.3), result.fields.density(0.3)
    np.testing.assert_allclose(result.at(mesh.points, 0.3), rho, rtol=1e-12)
    ends = mesh.points[mesh.cells]
    middle = ends.sum(axis=1) / np.linalg.norm(ends.sum(axis=1), axis=1)[:, None]
    between = np.sqrt(rho[mesh.cells[:, 0]] * rho[mesh.cells[:, 1]])
    np.testing.assert_allclose(result.at(middle, 0.3), between, rtol=1e-12)
    weights = delaunay_weights(mesh)[2]
    np.testing.assert_allclose(
        result.fields.masses(0.3), weights * rho / (weights @ rho), rtol=1e-12
    )


def test_characteristics_tell_it_at_any_time(tmp_path: Path) -> None:
    first, loaded, elsewhere = of(moving(geometry__level=2), tmp_path / "run")
    known = mf.DensityInTime(tmp_path / "run").density_at(np.eye(3), 0.37)
    for result in (first, loaded, elsewhere):
        np.testing.assert_array_equal(result.at(np.eye(3), 0.37), known)


def test_slices_are_told_together(tmp_path: Path) -> None:
    with pytest.warns(mf.MeanfieldWarning):
        first, loaded, _ = of(DENSITIES["slices"](), tmp_path / "run")
    position = loaded.fields.read("position")
    assert list(np.unique(position)) == pytest.approx([1 / 6, 0.5, 5 / 6])
    rule = mf.icosphere(4)
    weights = delaunay_weights(rule)[2]
    rho = first.at(rule.points)
    assert weights @ rho / weights.sum() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_are_the_same_wherever_they_are_asked_for(name: str, tmp_path: Path) -> None:
    case = TOKENS[name]()
    results, alone = of(case, tmp_path / "run"), run(case)
    x = results[0].solver.x
    for result in (*results, alone):
        np.testing.assert_allclose(result.tokens(), x, rtol=0.0, atol=1e-15)
        assert np.linalg.norm(result.tokens(2.0), axis=1) == pytest.approx(1.0)
        grid, shown = result.to_pyvista(), x[:, :3]  # the file has the first axes
        np.testing.assert_allclose(grid.points[:, : shown.shape[1]], shown, rtol=0.0, atol=1e-15)
        assert {"id", "mass", "cluster", "velocity"} <= set(grid.point_data.keys())
        assert isinstance(grid, pyvista.PolyData) and list(grid.field_data["TimeValue"]) == [2.0]
    assert list(results[1].times) == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert results[1].tokens(0.5).shape == x.shape


@pytest.mark.parametrize(
    "name", ["sphere", "circle", "zonal", "characteristics", "on S^2", "on S^4"]
)
def test_clusters_are_those_that_the_series_counts(name: str, tmp_path: Path) -> None:
    recipe = (DENSITIES | TOKENS)[name]
    results, alone = of(recipe(), tmp_path / "run"), run(recipe())
    for result in (*results, alone):
        table, d = result.clusters(), result.case.geometry.d
        assert len(table) == result.series["clusters"][-1] > 0 and table.t == result.t
        assert table.centre.shape == (len(table), d)
        for part in ("centre", "mass", "spread"):
            other = getattr(results[0].clusters(), part)
            np.testing.assert_allclose(getattr(table, part), other, atol=1e-7)
    (loaded,) = results[1:2]
    kept = mf.load(tmp_path / "run").clusters(0.5 if name in TOKENS else 0.3)
    assert len(kept.member) == len(loaded.to_pyvista().points)
    # What is one cluster at both times has one number.
    assert set(loaded.clusters().number) & set(kept.number)


# ------------------------------------------------------------------ what is not there


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, mf.Result]:
    """A density and tokens that are loaded, and both without a folder."""
    place = tmp_path_factory.mktemp("runs")
    density, tokens = small(geometry__level=2), few_tokens()
    for name, case in (("density", density), ("tokens", tokens)):
        run(case, place / name)
    return {
        "density": mf.load(place / "density"),
        "tokens": mf.load(place / "tokens"),
        "no folder": run(density),
        "elsewhere": pickle.loads(pickle.dumps(run(density))),
    }


@pytest.mark.parametrize(
    ("name", "ask", "message"),
    [
        ("density", lambda r: r.at(np.eye(3), 0.4), r"^t = 0.4 found.* expected: 0.3 or 0.45$"),
        ("density", lambda r: r.fields.density(0.31), "expected: 0.3 or 0.45$"),
        ("density", lambda r: r.fields.density(2.0), "expected: 0.45 or 1$"),
        ("density", lambda r: r.fields.read("roh"), r"did you mean 'rho'\?"),
        ("density", lambda r: r.at(2.0 * np.eye(3)), "point 0 has length 2, 1 expected"),
        ("density", lambda r: r.at("here"), r"expected \(n, 3\) unit vectors"),
        (
            "density",
            lambda r: r.at(np.eye(3), "now"),
            "^t: found the text 'now', expected a number",
        ),
        ("density", lambda r: r.tokens(), "^tokens: found a run of a density"),
        ("density", lambda r: r.plot("enrgy"), r"^plot: .*\(did you mean 'energy'\?\)"),
        ("density", lambda r: r.plot("tokens"), "^plot: what = 'tokens' found, expected density"),
        ("density", lambda r: r.plot(t=0.4), "expected: 0.3 or 0.45$"),
        ("density", lambda r: r.plot(ax=5), "^ax: found 5, expected axes of matplotlib"),
        ("tokens", lambda r: r.at(np.eye(3)), "^at: found a run that follows 50 points"),
        ("tokens", lambda r: r.fields, "^fields: found a run that follows 50 points"),
        ("tokens", lambda r: r.tokens(0.7), "expected: 0.5 or 1$"),
        ("tokens", lambda r: r.clusters(0.7), "expected: 0.5 or 1$"),
        ("no folder", lambda r: r.at(np.eye(3), 0.3), "^t = 0.3 found.* expected: 1$"),
        ("elsewhere", lambda r: r.at(np.eye(3)), "^at: this run has no folder, and its solver"),
        ("elsewhere", lambda r: r.times, "^times: this run has no folder"),
    ],
)
def test_one_line_says_what_is_missing(
    runs: dict[str, mf.Result], name: str, ask: Callable[[mf.Result], Any], message: str
) -> None:
    with pytest.raises(mf.InputError, match=message) as told:
        ask(runs[name])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["rho", "log10_rho", "velocity"])
def test_fields_of_one_name(name: str, tmp_path: Path) -> None:
    result = run(double(CIRCLE, output__fields=[name]), tmp_path / "run")
    grid, whole = result.to_pyvista(0.3), run(double(CIRCLE), tmp_path / "whole")
    if name == "velocity":
        assert set(grid.point_data.keys()) == {"velocity"}
        with pytest.raises(mf.InputError, match="no density among the fields of"):
            result.at(np.eye(2))
        return
    assert set(grid.point_data.keys()) == {"rho", "log10_rho", "mass"}
    for part in ("rho", "log10_rho", "mass"):
        np.testing.assert_allclose(grid[part], whole.to_pyvista(0.3)[part], rtol=1e-9, atol=1e-12)
    with pytest.raises(mf.InputError, match="no field 'velocity'"):
        result.fields.velocity()


def test_masses_are_those_of_the_solver() -> None:
    result = run(double())
    solver = result.solver
    np.testing.assert_allclose(
        result.fields.masses(), original(result, solver.weights * solver.rho), rtol=1e-9
    )


def test_times_are_the_same_to_a_billionth(runs: dict[str, mf.Result]) -> None:
    fields = runs["density"].fields
    np.testing.assert_array_equal(fields.density(0.3 * (1.0 + 5e-10)), fields.density(0.3))
    with pytest.raises(mf.InputError, match=r"expected: 0.3 or 0.45$"):
        fields.density(0.3 * (1.0 + 5e-9))


def test_the_solver_stays_in_its_process(runs: dict[str, mf.Result]) -> None:
    for name in ("density", "elsewhere"):
        with pytest.raises(AttributeError, match="stays in its process") as told:
            _ = runs[name].solver
        assert "\n" not in str(told.value)
    assert runs["no folder"].solver.t == 1.0


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(mf.InputError, match="there is no folder"):
        mf.load(tmp_path / "nothing")
    run(few_tokens(), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    (tmp_path / "run" / "run.json").write_text(json.dumps(record | {"kind": "sweep"}), "utf-8")
    with pytest.raises(mf.InputError, match="is the folder of 'sweep', that of a run expected"):
        mf.load(tmp_path / "run")


# ------------------------------------------------------------------ folders that are not finished


def test_a_run_that_goes_on_is_looked_at(tmp_path: Path) -> None:
    """As it stands between two outputs, and as it stands when it was killed there."""
    seen: list[mf.Result] = []

    def look(solver: Any) -> None:
        if solver.step == 12:
            shutil.copytree(tmp_path / "run", tmp_path / "killed")
            seen.append(mf.load(tmp_path / "run"))

    run(small(), tmp_path / "run", observers=[mf.Watch(look, mf.EverySteps(1))])
    with open(tmp_path / "killed" / "series.csv", "a", encoding="utf-8") as file:
        file.write("0.123,0.4")  # half a row
    ended = mf.load(tmp_path / "run")
    for result in (*seen, mf.load(tmp_path / "killed")):
        assert result.stop_reason == "not ended" and result.steps == 12
        assert 0.0 < result.t == result.series["t"][-1] < 1.0
        if result.folder == tmp_path / "killed":
            assert list(result.times) == [t for t in (0.0, 0.3, 0.45) if t <= result.t]
            last = result.times[-1]
            np.testing.assert_array_equal(result.fields.density(), ended.fields.density(last))
        assert "not ended" in repr(result)


def test_folders_of_before_formats_were_told(tmp_path: Path) -> None:
    earlier = Path(__file__).parents[1] / "data" / "folders_of_format_0.tar.gz"
    with tarfile.open(earlier) as archive:
        archive.extractall(tmp_path, filter="data")
    density, tokens = mf.load(tmp_path / "density"), mf.load(tmp_path / "tokens")
    assert density.t == tokens.t == 0.5 and density.times[-1] == tokens.times[-1] == 0.5
    np.testing.assert_allclose(
        density.at(density.fields.mesh().points), density.fields.density(), rtol=1e-6
    )
    assert tokens.tokens().shape == (12, tokens.case.geometry.d)
    assert "12" in repr(tokens)


# ------------------------------------------------------------------ in words, tables and pictures


def test_in_a_few_words(runs: dict[str, mf.Result]) -> None:
    text = repr(runs["density"])
    assert text.startswith("Result of 'Small'\n") and 6 <= len(text.splitlines()) <= 9
    for word in ("sphere, level = 2", "beta = 4", "eulerian", "end, at t = 1 after", "warnings"):
        assert word in text
    assert "kappa = 0" in text  # what is 0 is not nothing
    energy = runs["density"].series["energy_scaled"]
    assert f"{energy[0]:.6g} at first, {energy[-1]:.6g} at last" in text
    assert repr(runs["elsewhere"]).splitlines()[:-1] == text.splitlines()[:-1]
    shown = mf.load(runs["tokens"].folder or "")
    html = shown._repr_html_()
    assert html.startswith("<table><tr><th>title</th><td>A few tokens</td></tr>")
    assert html.count("<tr>") == len(repr(shown).splitlines())


def test_a_title_is_text(tmp_path: Path) -> None:
    result = run(few_tokens(title="a < b & <script>", time__end=0.1))
    assert "a &lt; b &amp; &lt;script&gt;" in result._repr_html_()


def test_a_table_of_pandas(runs: dict[str, mf.Result], monkeypatch: pytest.MonkeyPatch) -> None:
    series = runs["density"].series
    table = series.to_pandas()
    assert list(table.columns) == list(series)
    np.testing.assert_array_equal(table["energy"].to_numpy(), series["energy"])
    assert isinstance(series, dict) and repr(series).startswith(f"Series of {len(table)} rows: t, ")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(mf.InputError, match=r"pip install pandas$"):
        series.to_pandas()


@pytest.mark.parametrize("which", ["density", "tokens"])
def test_without_pyvista_a_line_says_so(
    which: str, runs: dict[str, mf.Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(mf.InputError, match=r"pyvista is not installed.* pip install pyvista"):
        runs[which].to_pyvista()


def test_pictures_show_what_there_is(runs: dict[str, mf.Result]) -> None:
    density = runs["density"]
    settings = dict(matplotlib.rcParams)
    ax = density.plot(t=0.3)
    (mesh,) = ax.collections
    values = np.asarray(mesh.get_array()).reshape(180, 360)
    # The pixel at longitude (j + 1/2) degrees - 180 and height z.
    i, j = 40, 200
    z, longitude = (i + 0.5) / 90.0 - 1.0, np.radians(j + 0.5 - 180.0)
    flat = np.sqrt(1.0 - z * z)
    x = np.array([[flat * np.cos(longitude), flat * np.sin(longitude), z]])
    assert values[i, j] == pytest.approx(np.log10(density.at(x, 0.3)[0]), abs=1e-9)
    column = density.plot("energy", t=0.3)
    np.testing.assert_array_equal(column.lines[0].get_ydata(), density.series["energy"])
    dots = runs["tokens"].plot().collections[0].get_offsets()
    x = runs["tokens"].tokens()
    np.testing.assert_allclose(dots[:, 1], x[:, 2], atol=1e-12)
    np.testing.assert_allclose(dots[:, 0], np.arctan2(x[:, 1], x[:, 0]), atol=1e-12)
    assert dict(matplotlib.rcParams) == settings


def test_clusters_that_have_collapsed_are_ringed() -> None:
    result = run(small(time={"end": 8.0}, solver__type="lagrangian"))
    table, ax = result.clusters(), result.plot()
    narrow = table.spread < 0.1
    assert len(ax.lines) == np.count_nonzero(narrow) >= 2
    for line, centre in zip(ax.lines, table.centre[narrow], strict=True):
        ((x,), (y,)) = line.get_data()
        assert (x, y) == pytest.approx((np.arctan2(centre[1], centre[0]), centre[2]))
    assert [text.get_text()[:2] for text in ax.texts] == [
        f"{100 * m:.0f}" for m in table.mass[narrow]
    ]


def test_pictures_on_axes_of_a_user(runs: dict[str, mf.Result]) -> None:
    figure = Figure()
    plain, projected = figure.add_subplot(121), figure.add_subplot(122, projection="hammer")
    assert runs["density"].plot(ax=plain) is plain
    assert runs["density"].plot(ax=projected) is projected
    assert runs["tokens"].plot(ax=projected) is projected
    figure.canvas.draw()


def curve(ax: Any) -> tuple[Array, Array]:
    return tuple(ax.lines[-1].get_data())


@pytest.mark.parametrize("name", ["circle", "on latitudes"])
def test_curves_over_the_angle(name: str, tmp_path: Path) -> None:
    result = run(DENSITIES[name](), tmp_path / "run")
    angle, rho = curve(result.plot())
    on = result.fields.manifold
    own = np.interp(on.angles(result.fields.mesh().points), angle, rho)
    np.testing.assert_allclose(own, result.fields.density(), rtol=1e-6)


def test_inner_products_of_many_dimensions() -> None:
    ax = run(few_tokens({"geometry.d": 5, "initial.type": "uniform"})).plot()
    values, edges, _ = ax.patches[0].get_data()
    np.testing.assert_array_equal(edges, INNER_PRODUCT_EDGES)
    assert values @ np.diff(edges) == pytest.approx(1.0)


def test_no_pyplot_where_there_was_none(
    runs: dict[str, mf.Result], start: Start, tmp_path: Path
) -> None:
    code = (
        "import sys, meanfield as mf; "
        f"result = mf.load({str(runs['density'].folder)!r}); "
        "ax = result.plot(); assert 'matplotlib.pyplot' not in sys.modules; "
        "ax.figure.savefig('here.png'); import matplotlib.pyplot as plt; "
        "ax = result.plot('energy'); assert plt.gcf() is ax.figure and len(plt.get_fignums()) == 1"
    )
    done = start(*python("-c", code), cwd=tmp_path, DISPLAY="", MPLBACKEND="Agg").finish()
    assert done.code == 0, done.said
    assert (tmp_path / "here.png").stat().st_size > 10_000
