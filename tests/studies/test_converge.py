"""``converge``: errors and orders of runs at rising resolution, from Python and as a verb."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakeruns import error_line

import meanfield as mf
from meanfield import cli
from meanfield.geometry.mesh import delaunay_weights
from meanfield.results.convergence import ConvergenceTable
from meanfield.runs.pointwise import DensityInTime
from meanfield.studies.converge import convergence_plan
from meanfield.studies.resolution import at_resolution

ACCURATE = mf.Eulerian(stepper="ssprk3", cfl=0.5, field="stages")


def case_on(geometry: Any, **parts: Any) -> mf.Case:
    d = geometry.d
    axis = np.array([0.5, -0.3, 0.7])[:d] if not isinstance(geometry, mf.Zonal) else np.eye(d)[-1]
    given: dict[str, Any] = {
        "title": "conformal",
        "geometry": geometry,
        "model": mf.Model(attention="sa", beta=0.0),
        "initial": mf.PoissonKernel(tuple((0.3 * axis / np.linalg.norm(axis)).tolist())),
        "time": mf.Time(end=1.0, outputs=mf.Every(0.5)),
        "solver": ACCURATE,
    }
    return mf.Case(**(given | parts))


@pytest.fixture(scope="module")
def on_the_circle(tmp_path_factory: pytest.TempPathFactory) -> mf.Convergence:
    folder = tmp_path_factory.mktemp("study") / "circle"
    return mf.converge(case_on(mf.Circle(40)), folder, [32, 64, 128, 256], progress=False)


# ------------------------------------------------------------------ errors and orders


def test_orders_of_the_density_solver_are_two(on_the_circle: mf.Convergence) -> None:
    table = on_the_circle.table
    assert (table.key, table.against) == ("vertices", "vertices = 256")
    assert table.resolutions.tolist() == [32, 64, 128] and table.times.tolist() == [0.5, 1.0]
    assert 1.75 < table.fitted("l1").value < 2.25
    for name in ("mean", "energy", "l1"):
        assert np.all(np.diff(table.errors[name][:, -1]) < 0.0)
        assert np.all(table.orders(name) > 1.6)
    # Its own error, by the fit, is a quarter of the difference that it makes, nearly.
    own = table.fitted("l1").error(table.reference_edge)
    assert own == pytest.approx(table.errors["l1"][-1, -1] / 3.0, rel=0.4)


def test_numbers_of_the_table_are_those_of_the_runs(on_the_circle: mf.Convergence) -> None:
    runs = on_the_circle.folder / "runs"
    fine = mf.RunFolder.open(runs / "vertices-256")
    for i, n in enumerate((32, 64, 128)):
        run = mf.RunFolder.open(runs / f"vertices-{n}")
        one, two = run.read_series(), fine.read_series()
        for k, t in enumerate((0.5, 1.0)):
            rows = [int(np.flatnonzero(s["t"] == t)[0]) for s in (one, two)]
            mean = [one[f"mean_{c}"][rows[0]] - two[f"mean_{c}"][rows[1]] for c in "12"]
            energy = one["energy_scaled"][rows[0]] - two["energy_scaled"][rows[1]]
            errors = on_the_circle.table.errors
            assert errors["mean"][i, k] == pytest.approx(np.hypot(*mean), rel=1e-12)
            assert errors["energy"][i, k] == pytest.approx(abs(energy), rel=1e-12)
        fields, reference = (mf.read_fields(f.fields_path) for f in (run, fine))
        mesh = fields.at(2).mesh
        weights = delaunay_weights(mesh)[2]
        finer = reference.at(2).mesh.points
        nearest = np.argmin(np.linalg.norm(mesh.points[:, None] - finer[None], axis=2), axis=1)
        gap = np.abs(fields.read("rho", 2) - reference.read("rho", 2)[nearest])
        expected = float(weights @ gap / weights.sum())
        assert on_the_circle.table.errors["l1"][i, 1] == pytest.approx(expected, rel=1e-9)


def test_the_files_are_the_table(on_the_circle: mf.Convergence) -> None:
    table, folder = on_the_circle.table, on_the_circle.folder
    back = ConvergenceTable.read(folder)
    for name, errors in table.errors.items():
        np.testing.assert_array_equal(back.errors[name], errors)
    assert back.fitted("l1") == table.fitted("l1")
    assert (back.key, back.against, back.times.tolist()) == ("vertices", "vertices = 256", [0.5, 1])
    written = np.genfromtxt(folder / "converge.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(written["l1_order"][4:], table.orders("l1"))
    record = mf.RunFolder.open(folder).read_run()
    assert record["kind"] == "converge" and record["stop_reason"] == "end"
    assert record["convergence"]["order"]["l1"] == table.fitted("l1").value  # type: ignore[index]
    assert (folder / "figures" / "convergence.png").stat().st_size > 10_000


def test_against_characteristics_on_latitudes(tmp_path: Path) -> None:
    # A solver of another kind, whose error is far smaller: no error of a reference in the orders.
    case = case_on(mf.Zonal(d=3, vertices=9))
    found = mf.converge(case, tmp_path / "z", [33, 65, 129], against="characteristics",
        progress=False).table  # fmt: skip
    assert found.against == "characteristics, vertices = 129" and found.reference_edge == 0.0
    assert 1.7 < found.fitted("energy").value < 2.4
    # They know the density at any point: so much that its error is that of the mesh.
    assert np.all(found.errors["l1"] > 0.0) and 1.6 < found.fitted("l1").value < 2.4
    for name in ("mean", "l1"):
        assert 0.0 < found.reference_error[name] < 0.1 * found.errors[name][-1, -1]


def test_l1_is_told_only_where_characteristics_know_the_density(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = property(lambda _: 0.6, lambda *_: None)
    monkeypatch.setattr(DensityInTime, "end", known, raising=False)
    case = case_on(mf.Zonal(d=3, vertices=9), time=mf.Time(end=1.0, outputs=mf.Every(0.5)))
    found = mf.converge(case, tmp_path / "z", [17, 33], against="characteristics",
        progress=False).table  # fmt: skip
    assert np.isfinite(found.errors["l1"]).tolist() == [[True, False]] * 2
    assert "l1" not in found.reference_error and "mean" in found.reference_error


def test_warnings_of_the_runs_are_those_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Clusters of width 0.1: edges of 0.2 and 0.1 are too long, each in a warning of its own.
    noise = mf.Model(attention="sa", beta=1.0, kappa=0.01)
    case = case_on(mf.Circle(32), model=noise, solver=mf.Implicit(), time=mf.Time(end=0.02))
    with pytest.warns(mf.MeanfieldWarning, match=r"^vertices = 32: edges of 0\.2 "):
        found = mf.converge(case, tmp_path / "out", [32, 64, 256], progress=False)
    assert [text.partition(": edges of ")[0] for text in found.warnings] == [
        "vertices = 32",
        "vertices = 64",
    ]
    assert mf.RunFolder.open(found.folder).read_run()["warnings"] == [*found.warnings]
    capsys.readouterr()
    (tmp_path / "small.toml").write_text(case.to_toml())
    monkeypatch.chdir(tmp_path)
    words = ["--vertices", "32", "64", "256", "-o", "out", "--resume", "--no-progress"]
    assert cli.main(["converge", "small.toml", *words]) == 0
    assert f"warning: {found.warnings[1]}\n" in capsys.readouterr().err


def test_on_the_sphere_also_graded(tmp_path: Path) -> None:
    geometry = mf.Sphere(5, factor=2.0, centre=(0.5, -0.3, 0.7))
    found = mf.converge(case_on(geometry), tmp_path / "s", [2, 3, 4], progress=False)
    assert np.all(found.table.orders("l1") > 1.5)
    assert found.table.edges[0] == pytest.approx(mf.Sphere(2).edge / 2.0)
    text = (found.folder / "runs" / "level-3" / "case.toml").read_text()
    assert "level = 3" in text and "factor = 2.0" in text and "figures = false" in text


def test_steps_of_the_implicit_solver_go_with_the_edges() -> None:
    case = case_on(mf.Circle(100), solver=mf.Implicit(rtol=1e-4, dt=0.02))
    finer, coarser = at_resolution(case, 200).solver, at_resolution(case, 50).solver
    assert isinstance(finer, mf.Implicit) and isinstance(coarser, mf.Implicit)
    assert finer.dt == pytest.approx(0.01) and finer.rtol == pytest.approx(1e-4 / 8.0)
    assert coarser.dt == pytest.approx(0.04) and coarser.rtol == pytest.approx(8e-4)
    assert at_resolution(case, 100) == case


# ------------------------------------------------------------------ as a verb


def words_of(path: Path, *more: str) -> list[str]:
    return ["converge", str(path), "--vertices", "16", "32", "64", "-o", "out", *more]


def test_the_verb_and_what_it_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text(case_on(mf.Circle(20)).to_toml())
    assert cli.main(words_of(path, "--dry-run")) == 0
    assert "vertices-64" in capsys.readouterr().out and not (tmp_path / "out").exists()
    assert cli.main(words_of(path, "--no-progress")) == 0
    out = capsys.readouterr().out
    table = ConvergenceTable.read(tmp_path / "out")
    assert f"{table.errors['mean'][1, -1]:.3e}" in out and f"{table.orders('l1')[0]:.2f}" in out
    assert "fitted" in out and f"{table.fitted('l1').value:.2f}" in out
    before = {n: (tmp_path / f"out/runs/vertices-{n}/run.json").stat() for n in (16, 32, 64)}

    assert cli.main(words_of(path)) == 2
    assert "already holds a run" in error_line(capsys)
    assert cli.main(words_of(path, "--resume", "--set", "model.beta=1")) == 2
    assert "found other values of the case" in error_line(capsys)
    more = [w if w != "64" else "128" for w in words_of(path, "--resume", "--no-progress")]
    assert cli.main(more) == 0
    assert ConvergenceTable.read(tmp_path / "out").against == "vertices = 128"
    for n in (16, 32):  # ended before: not run again
        after = (tmp_path / f"out/runs/vertices-{n}/run.json").stat()
        assert after.st_mtime_ns == before[n].st_mtime_ns
    assert cli.main(words_of(path, "--overwrite", "--no-progress")) == 0
    assert not (tmp_path / "out/runs/vertices-128/run.json").exists()
    assert cli.main(["plot", "out"]) == 0
    capsys.readouterr()
    assert cli.main(["info", "out"]) == 0
    told = capsys.readouterr().out
    assert "16, 32 against vertices = 64" in told
    assert f"{table.errors['mean'][0, -1]:.2e}" in told and "t     " not in told


def test_a_run_that_was_interrupted_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    case, sizes = case_on(mf.Circle(20)), [16, 32, 64]
    whole = mf.converge(case, tmp_path / "out", sizes, progress=False).table
    name, folder = "runs/vertices-32", tmp_path / "out" / "runs" / "vertices-32"

    def interrupt(solver: Any) -> None:
        if solver.t == 0.5:
            signal.raise_signal(signal.SIGINT)

    one = convergence_plan(case, sizes).cases[name]
    begun = mf.run(one, folder, overwrite=True, progress=False, observers=[interrupt])
    assert begun.stop_reason == "interrupted" and begun.t < 1.0
    before = mf.RunFolder.open(folder).read_run()
    again = mf.converge(case, tmp_path / "out", sizes, resume=True, progress=False).table
    after = mf.RunFolder.open(folder).read_run()
    assert after["stop_reason"] == "end" and after["started"] == before["started"]
    assert "resumed at t = 0.5" in (folder / "run.log").read_text()
    np.testing.assert_allclose(again.errors["l1"], whole.errors["l1"], rtol=1e-6)
    # Without a checkpoint that is whole it begins again.
    mf.run(one, folder, overwrite=True, progress=False, observers=[interrupt])
    for path in mf.RunFolder.open(folder).checkpoint_paths:
        path.write_bytes(b"torn")
    again = mf.converge(case, tmp_path / "out", sizes, resume=True, progress=False).table
    np.testing.assert_allclose(again.errors["l1"], whole.errors["l1"], rtol=1e-12)


def test_runs_do_not_end_where_they_are_at_rest(tmp_path: Path) -> None:
    # As soon as they begin, by this bound: no output time after 0 would be left.
    case = case_on(mf.Circle(20), time=mf.Time(end=0.2, outputs=mf.Every(0.1), stationary=1e3))
    assert mf.run(case, progress=False).stop_reason == "stationary"
    found = mf.converge(case, tmp_path / "out", [16, 32, 64], progress=False).table
    assert found.times.tolist() == [0.1, 0.2] and np.all(found.errors["l1"] > 0.0)


@pytest.mark.parametrize(
    ("case", "asked", "against", "said"),
    [
        (case_on(mf.Circle(20)), [16, 32], "finest", "expected 3 or more"),
        (case_on(mf.Circle(20)), [16, 64, 32], "finest", "each finer than the one before"),
        (case_on(mf.Circle(20)), [2, 16, 32], "finest", "vertices"),
        (case_on(mf.Sphere(2)), [1, 2, 99], "finest", "would not fit into memory"),
        (case_on(mf.Circle(20)), [16, 32, 64], "fines", "against: found 'fines'"),
        (
            case_on(mf.Circle(20), model=mf.Model(attention="sa", beta=1.0, kappa=0.1),
                solver=mf.Implicit()),
            [16, 32, 64], "characteristics", "kappa = 0 only",
        ),
        (case_on(mf.Circle(20), solver=mf.Lagrangian()), [16, 32], "characteristics", "are these"),
        (
            case_on(mf.Sphere(2), solver=mf.Particles(number=10)),
            [1, 2, 3], "finest", "expected a density on a mesh",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_run(
    case: mf.Case, asked: list[int], against: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(mf.InputError, match=said):
        mf.converge(case, tmp_path / "none", asked, against=against)
    assert not (tmp_path / "none").exists()


def test_a_mesh_file_has_no_key_and_the_other_option_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["mesh", "make", "circle", "--vertices", "20", "c.vtu"]) == 0
    case = case_on(mf.MeshFile(tmp_path / "c.vtu"))
    with pytest.raises(mf.InputError, match="of which no key tells the resolution"):
        convergence_plan(case, [1, 2, 3])
    (tmp_path / "small.toml").write_text(case_on(mf.Circle(20)).to_toml())
    capsys.readouterr()
    assert cli.main(["converge", "small.toml", "--levels", "2", "3", "4"]) == 2
    assert "--levels: found for geometry.type = 'circle', expected --vertices" in error_line(capsys)
