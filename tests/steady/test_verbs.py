"""The verbs `stationary` and `branch`: what they print, write, refuse, keep when interrupted."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from parameters import slow_but
from PIL import Image
from processes import ROOT

import meanfield as mf
from meanfield import cli
from meanfield.analysis import exact
from meanfield.geometry.manifolds import S2, Latitudes
from meanfield.results.folder import RunFolder
from meanfield.steady import start, verbs
from meanfield.steady.newton import find_stationary
from meanfield.steady.problem import Problem

CASES = ROOT / "scripts" / "cases"
HYSTERESIS = str(CASES / "hysteresis.toml")


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_stationary_prints_and_writes_a_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "state"
    profile = reference.STATIONARY_PROFILES[0]
    words = [str(CASES / "clustering.toml"), "--set", "model.kappa=0.1", "--set",
             "geometry.level=3", "-o", str(folder)]  # fmt: skip
    assert cli.main(["stationary", *words]) == 0
    shown = capsys.readouterr().out
    assert "c_1 = |m|    0.82316327" in shown and "not uniform, symmetric about (" in shown
    assert "linearly stable" in shown and "Newton steps" in shown
    assert "F - F_uniform" not in shown  # sa has no free energy
    (numbers,) = rows(folder / "stationary.csv")
    assert float(numbers["c_1"]) == pytest.approx(profile.moments[0], abs=1e-9)
    assert float(numbers["c_2"]) == pytest.approx(profile.moments[1], abs=1e-9)
    assert float(numbers["energy"]) == pytest.approx(profile.energy, abs=1e-8)
    assert "free_energy" not in numbers and "free_energy_excess" not in numbers
    assert float(numbers["residual"]) < 1e-13 and numbers["stable"] == "1"
    leading = max(float(row["real"]) for row in rows(folder / "eigenvalues.csv"))
    assert leading == float(numbers["leading"]) < 0.0
    with np.load(folder / "state.npz") as data:
        rho = np.exp(data["log_rho"])
        assert data["weights"] @ rho == pytest.approx(1.0, abs=1e-13)
        mean = (data["weights"] * rho) @ data["points"]
    assert np.linalg.norm(mean) == pytest.approx(profile.moments[0], abs=1e-9)
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert run["kind"] == "stationary" and run["stop_reason"] == "done" and run["meanfield"]
    with Image.open(folder / "figures" / "density.png") as picture:
        assert np.asarray(picture).std() > 5.0
    # Told and drawn again from the folder.
    (folder / "figures" / "density.png").unlink()
    assert cli.main(["plot", str(folder)]) == 0 and (folder / "figures" / "density.png").is_file()
    assert cli.main(["info", str(folder)]) == 0
    assert "linearly stable" in capsys.readouterr().out
    # Not replaced unasked.
    assert cli.main(["stationary", *words]) == 2
    assert cli.main(["stationary", *words, "--overwrite"]) == 0


@pytest.mark.parametrize("case", slow_but([1], ["clustering", "circle", "zonal8"]))
def test_the_density_can_be_an_initial_law(case: str, tmp_path: Path) -> None:
    path = CASES / f"{case}.toml"
    problem = Problem.from_toml(path, {"model.kappa": 0.05})
    state = verbs.stationary(problem, tmp_path / "state", progress=False).state
    changes = {
        "initial.type": "file",
        "initial.path": str(tmp_path / "state" / "density.vtu"),
        "initial.array": "rho",
    }
    law = mf.Case.from_toml(path, changes).initial
    difference = np.abs(law.density(state.grid.unit_vectors) - np.exp(state.log_rho))
    assert state.grid.weights @ difference < 5e-3  # linear on the mesh
    # A state found from it is the same.
    again = Problem.from_toml(path, {"model.kappa": 0.05, **changes})
    other = find_stationary(again.equation(), again.initial, again.manifold.name)
    assert other.mean_norm == pytest.approx(state.mean_norm, abs=1e-12)


def test_uniform_and_unstable_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "initial.type=uniform", "--set", "model.kappa=1.0"]
    assert cli.main(["stationary", HYSTERESIS, *words, "-o", str(tmp_path / "u")]) == 0
    shown = capsys.readouterr().out
    assert re.search("^state +uniform$", shown, re.M)
    rate = exact.growth_rate("usa", 4.0, 3, 1, 1.0)
    assert f"UNSTABLE: perturbations grow like e^({rate:.4g} t)" in shown
    (numbers,) = rows(tmp_path / "u" / "stationary.csv")
    assert float(numbers["leading"]) == pytest.approx(rate, abs=1e-9)
    assert numbers["stable"] == "0" and numbers["uniform"] == "1"


def test_branch_writes_the_diagram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "b"
    words = ["--parameter", "kappa", "--from", "1", "--to", "1.8", "-o", str(folder),
             "--set", "geometry.type=sphere", "--set", "geometry.level=2"]  # fmt: skip
    assert cli.main(["branch", HYSTERESIS, *words]) == 0
    shown = capsys.readouterr().out
    assert "the state on the sphere is symmetric about (0, 0, 1): continued in that sym" in shown
    assert "changes its stability at kappa = 1.2803596" in shown
    assert "first order" in shown and "between 1.28036 and 1.61741" in shown
    table = rows(folder / "branch.csv")
    assert list(table[0])[:3] == ["branch", "kappa", "mean_norm"]
    assert {row["branch"] for row in table} == {"uniform", "clustered"}
    events = {row["kind"]: row for row in rows(folder / "events.csv")}
    wanted = reference.FIRST_ORDER_USA
    assert float(events["critical"]["parameter"]) == pytest.approx(wanted.kappa_c, abs=1e-6)
    assert float(events["fold"]["parameter"]) == pytest.approx(wanted.end_of_hysteresis, abs=1e-6)
    # The fold is a row of the table, and no point of the branch lies beyond it.
    clustered = [row for row in table if row["branch"] == "clustered"]
    assert max(float(row["kappa"]) for row in clustered) == pytest.approx(
        float(events["fold"]["parameter"]), abs=1e-13
    )
    assert {row["stable"] for row in clustered} == {"0", "1"}
    with Image.open(folder / "figures" / "branch.png") as picture:
        assert np.asarray(picture).std() > 5.0
    (folder / "figures" / "branch.png").unlink()
    assert cli.main(["plot", str(folder)]) == 0 and (folder / "figures" / "branch.png").is_file()
    assert cli.main(["info", str(folder)]) == 0 and "hysteresis" in capsys.readouterr().out
    # A folder of an earlier version, which called the excess by the name of F, looks the same.
    picture = (folder / "figures" / "branch.png").read_bytes()
    with np.load(folder / "branch.npz") as data:
        arrays = dict(data)
    arrays["columns"] = np.char.replace(arrays["columns"], "free_energy_excess", "free_energy")
    np.savez(folder / "branch.npz", **arrays)
    text = (folder / "events.csv").read_text("utf-8")
    assert "free_energy_excess" in text
    (folder / "events.csv").write_text(text.replace("free_energy_excess", "free_energy"), "utf-8")
    assert cli.main(["plot", str(folder)]) == 0
    assert (folder / "figures" / "branch.png").read_bytes() == picture


@pytest.mark.parametrize(("interval", "text"), [
    ((0.02, 0.12), "continuous: stable states branch off"),
    pytest.param((0.11, 0.12), "no state but the uniform one", marks=pytest.mark.slow),
    pytest.param((0.02, 0.05), "none on the interval", marks=pytest.mark.slow),
])  # fmt: skip
def test_the_kind_of_transition_is_told(
    interval: tuple[float, float], text: str, tmp_path: Path
) -> None:
    problem = Problem.from_toml(CASES / "zonal8.toml")
    result = verbs.branch(problem, "kappa", *interval, tmp_path / "b", progress=False)
    assert dict(result.rows())["transition"].startswith(text)


@pytest.mark.slow
def test_a_fold_beyond_the_interval_is_not_called_continuous(tmp_path: Path) -> None:
    problem = Problem.from_toml(HYSTERESIS)
    result = verbs.branch(problem, "kappa", 1.2, 1.5, tmp_path / "b", progress=False)
    assert len(result.diagram.branches) == 3 and not result.diagram.events("fold")
    assert dict(result.rows())["transition"].startswith("first order: unstable states branch off")


def test_interrupted_branch_keeps_its_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "b"
    follow = start.find_branches

    def impatient(*args: Any, report: Callable[..., None], **options: Any) -> Any:
        count = 0

        def stop(name: str, row: Any) -> None:
            nonlocal count
            report(name, row)
            count += name != "uniform"
            if count == 5:
                raise KeyboardInterrupt

        return follow(*args, report=stop, **options)

    monkeypatch.setattr(start, "find_branches", impatient)
    words = ["--parameter", "kappa", "--from", "1", "--to", "1.8", "-o", str(folder)]
    assert cli.main(["branch", HYSTERESIS, *words]) == 130
    assert "the points so far are in" in capsys.readouterr().err
    kept = [row for row in rows(folder / "branch.csv") if row["branch"] == "clustered"]
    assert len(kept) == 5 and float(kept[0]["mean_norm"]) > 0.9
    assert RunFolder.open(folder).read_run()["stop_reason"] == "interrupted"
    assert cli.main(["plot", str(folder)]) == 2
    monkeypatch.setattr(start, "find_branches", follow)
    assert cli.main(["branch", HYSTERESIS, *words, "--overwrite"]) == 0


def test_a_branch_that_stops_short_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meanfield.steady.follow._MAX_POINTS", 10)
    problem = Problem.from_toml(HYSTERESIS)
    result = verbs.branch(problem, "kappa", 1.0, 1.8, tmp_path / "b", progress=False)
    assert ("warning", "clustered was not followed to its end: 10 points") in result.rows()
    assert "10 points" in RunFolder.open(tmp_path / "b").read_run()["warnings"][0]


@pytest.mark.parametrize(("words", "text"), [
    (["stationary", "clustering.toml"], "model.kappa: found 0, expected noise"),
    (["stationary", "clustring.toml"], "did you mean 'clustering.toml'"),
    (["stationary", "clustering.toml", "--set", "model.kapa=1"], "did you mean 'model.kappa'"),
    (["stationary", "clustering.toml", "--set", "model.kappa=-1"], "from 0 to 1e+06, found -1"),
    (["branch", "clustering.toml", "--parameter", "kapa", "--from", "1", "--to", "2"],
     "did you mean 'kappa'"),
    (["branch", "clustering.toml", "--parameter", "kappa", "--from", "0", "--to", "2"],
     "positive numbers expected"),
    (["branch", "clustering.toml", "--parameter", "kappa", "--from", "1", "--to", "1"],
     "two different numbers expected"),
    (["branch", "clustering.toml", "--parameter", "beta", "--from", "1", "--to", "2"],
     "model.kappa: found 0"),
    (["branch", "layers.toml", "--parameter", "kappa", "--from", ".1", "--to", ".2",
      "--set", "initial.type=cap", "--set", "initial.centre=e_1", "--set", "initial.angle=1"],
     "a law symmetric about e_d expected"),
    (["branch", "clustering.toml", "--parameter", "kappa", "--from", "1", "--too", "2"], "--to"),
])  # fmt: skip
def test_refusals_are_one_line_and_write_nothing(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words[1] = str(CASES / words[1])
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_solver_that_is_no_table_is_left_alone(tmp_path: Path) -> None:
    # Neither used nor checked.
    text = (CASES / "clustering.toml").read_text("utf-8")  # without one
    path = tmp_path / "case.toml"
    path.write_text(f"solver = 5\n{text}", "utf-8")
    problem = Problem.from_toml(path, {"model.kappa": 0.1})
    assert "solver" not in problem.table
    assert problem.model.kappa == 0.1


def test_a_case_of_any_solver_will_do() -> None:
    # The same problem from finite elements, tokens without a mesh, and a case made in Python.
    density = Problem.from_toml(CASES / "clustering.toml", {"model.kappa": 0.1})
    tokens = Problem.from_toml(CASES / "noisy.toml")
    case = Problem.from_case(mf.Case.from_toml(CASES / "noisy.toml"))
    assert density.equation() == tokens.equation() == case.equation()
    assert density.manifold == tokens.manifold == case.manifold == S2(3)
    assert case.table["model"] == tokens.table["model"] and "[solver]" in case.to_toml()
    # In many dimensions without a mesh: axially symmetric.
    many = Problem.from_toml(CASES / "layers.toml", {"model.kappa": 0.001})
    assert many.manifold == Latitudes(128) and many.mesh().d == 128


def test_another_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for options in ([], ["--overwrite"]):
        words = ["stationary", HYSTERESIS, "-o", str(tmp_path / "mine"), *options]
        assert cli.main(words) == 2
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("verb", ["stationary", "branch"])
def test_help_has_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"meanfield {verb} hysteresis.toml" in shown and "exit codes" in shown
