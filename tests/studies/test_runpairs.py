"""Two runs of any kind against each other: from Python, by the verb, and what is refused."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from cases import CIRCLE, plain, run, small_tokens

import meanfield as mf
from meanfield import cli
from meanfield.studies.points import PointsComparison, compare_points
from meanfield.studies.rundiff import RunDifference, compare_runs
from meanfield.studies.runpairs import TokensDifference

times = {"time.end": 0.5, "time.outputs": [0.25], "output.figures": False,
         "output.precision": "float64"}  # fmt: skip
density = plain.but({"solver.type": "lagrangian", "geometry.level": 3, **times})
tokens = small_tokens.but({**times, "solver.number": 400, "solver.tokens": "iid", "seed": 4})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A density, tokens of the same law, others of it, tokens of another law and model."""
    folder = tmp_path_factory.mktemp("pairs")
    run(density(), folder / "density")
    run(tokens(), folder / "tokens")
    run(tokens(seed=9, solver__number=300), folder / "again")
    run(tokens(model__beta=12.0, initial={"type": "uniform"}), folder / "other")
    run(plain.but(CIRCLE)({"solver.type": "lagrangian", **times}), folder / "circle")
    run(tokens(time__outputs=[], time__end=0.1), folder / "short")
    return folder


def test_tokens_of_one_law_agree_with_its_density(runs: Path) -> None:
    found = mf.compare(runs / "tokens", runs / "density", draws=6)
    assert found.kind == "tokens and density" and found.label == "E e^-|beta|"
    rows = [row for row in found.rows if isinstance(row, PointsComparison)]
    assert [row.t for row in rows] == [0.0, 0.25, 0.5] and [row.n for row in rows] == [400] * 3
    # At first they are draws; later fluctuations have grown, of which the test knows nothing.
    assert rows[0].p_value > 0.05 and rows[0].verdict.startswith("agrees")
    assert abs(rows[0].energy) < 4.0 * rows[0].energy_spread
    assert all(0.7 < row.ratio < 1.4 for row in rows)
    assert found.lines()[-1].startswith("p and floor are those of independent draws; tokens")
    # In the other order, and as points of a file.
    turned = mf.compare(str(runs / "density"), str(runs / "tokens"), time=0.5, draws=6)
    (last,) = turned.table()
    assert last == pytest.approx(rows[-1].row(), nan_ok=True)
    x = mf.run(tokens(), progress=False).solver.x  # type: ignore[attr-defined]
    alone = compare_points(runs / "density", x, 0.5, draws=6)
    assert alone.row() == pytest.approx(rows[-1].row(), rel=1e-6, nan_ok=True)
    assert list(found.to_pandas()["t"]) == [0.0, 0.25, 0.5]
    assert "agrees" in repr(found).splitlines()[2]


def test_tokens_of_another_law_differ(runs: Path) -> None:
    found = mf.compare(runs / "other", runs / "density", time=0.25, draws=4)
    (row,) = found.rows
    assert isinstance(row, PointsComparison) and row.verdict.startswith("differs: W2 is ")
    assert row.ratio > 2.0


def test_two_runs_of_tokens(runs: Path) -> None:
    same = mf.compare(runs / "tokens", runs / "tokens", time=0.5, draws=2)
    (row,) = same.rows
    assert isinstance(row, TokensDifference)
    assert row.w2 < 1e-6 and row.energy == 0.0 and row.p_value == row.p_mmd == 1.0
    again = mf.compare(runs / "tokens", runs / "again", draws=4)
    assert again.kind == "tokens"
    for row in again.rows:
        assert isinstance(row, TokensDifference) and (row.n, row.m) == (400, 300)
        assert 0.7 < row.ratio < 1.5 and min(row.p_value, row.p_mmd) > 0.01
        assert row.w2 == pytest.approx(row.ratio * row.floor)
    other = mf.compare(runs / "tokens", runs / "other", time=0.25, draws=4)
    (row,) = other.rows
    assert isinstance(row, TokensDifference)
    assert row.p_value == row.p_mmd == 0.005 and row.ratio > 1.5
    assert len(other.lines()) == 2 and "mmd" in other.lines()[0]


def test_two_densities_are_those_of_before(runs: Path) -> None:
    found = mf.compare(runs / "density", runs / "density", distances=False)
    known = compare_runs(runs / "density", runs / "density", distances=False)
    assert found.kind == "densities" and len(found.rows) == len(known) == 3
    for row, one in zip(found.rows, known, strict=True):
        assert isinstance(row, RunDifference) and (row.t, row.l1) == (one.t, one.l1)
        assert math.isnan(row.w2) and row.energy == 0.0
    (last,) = mf.compare(runs / "density", runs / "density", distances=False, time=0.5).rows
    assert last.t == 0.5


def test_results_stand_for_their_folders(runs: Path, tmp_path: Path) -> None:
    result = mf.run(tokens(), tmp_path / "r", progress=False)
    found = mf.compare(result, runs / "tokens", time=0.5, draws=2)
    (row,) = found.rows
    assert isinstance(row, TokensDifference) and row.w2 < 1e-6
    bare = mf.run(tokens(), progress=False)
    with pytest.raises(mf.InputError, match="second: found a run without a folder"):
        mf.compare(runs / "density", bare)


def test_from_the_command_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", str(runs / "tokens"), str(runs / "density"), "--draws", "2"]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "verdict" in out and "differences.csv" in out
    with open(tmp_path / "out" / "differences.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["t"]) for row in rows] == [0.0, 0.25, 0.5]
    known = mf.compare(runs / "tokens", runs / "density", draws=2).table()
    np.testing.assert_allclose([float(r["w2"]) for r in rows], [r["w2"] for r in known])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tokens", "circle"], "is in d = 2"),
        (["short", "density", "--time", "0.1"], "time 0.1 found, one of the 1 output times"),
        (["tokens", "density", "--time", "0.3"], "(the nearest: 0.25)"),
        (["tokens", "density", "--draws", "1"], "draws = 1 found, 2 to 10000 expected"),
        (["tokens", "empty"], "empty is no run folder: case.toml and run.json missing"),
    ],
)
def test_refused_in_one_line(
    words: list[str], message: str, runs: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(runs)
    Path("empty").mkdir(exist_ok=True)
    assert cli.main(["compare", *words]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
