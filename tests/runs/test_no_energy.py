"""Runs of models that have no energy: nothing is said of one, and all else is as ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import about, few_tokens, run, small

import meanfield as mf
from meanfield import cli
from meanfield.studies.rundiff import compare_runs

KINDS = {
    "eulerian": small,
    "implicit": small.but(solver={"type": "implicit"}, model__kappa=0.1, model__attention="usa"),
    "lagrangian": small.but(solver={"type": "lagrangian"}),
    "particles": few_tokens,
}
GONE = {"energy", "energy_scaled", "free_energy", "dissipation", "energy_residual"}
NOTE = "no energy for this model: none is known that its flow increases"


@pytest.fixture
def changes() -> dict[str, object]:
    return {"time.end": 0.2, "time.outputs": [0.1], "output.figures": True}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:no energy for this model")
def test_a_run_without_energy_says_so_once(
    kind: str, tmp_path: Path, changes: dict[str, object], no_energy: None
) -> None:
    result = run(KINDS[kind](changes), tmp_path / "run")
    assert result.stop_reason == "end" and not GONE & set(result.series)
    assert [text for text in result.warnings if "energy" in text] == [NOTE]
    record = about(tmp_path / "run")
    assert record["warnings"].count(NOTE) == 1
    assert record["energy"] is None and record["convexity"] is None
    assert not {"energy_violations", "largest_energy_violation"} & set(record)
    log = (tmp_path / "run" / "run.log").read_text("utf-8")
    assert "mass - 1 =" in log and " E " not in log
    pictures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    drawn = {"particles.png"} if kind == "particles" else {"density.png", "density-map.png"}
    assert pictures == {"energy.png", *drawn}


@pytest.mark.parametrize("kind", ["eulerian", "particles"])
@pytest.mark.filterwarnings("ignore:no energy for this model")
def test_a_run_without_energy_is_resumed_told_and_drawn(
    kind: str,
    tmp_path: Path,
    changes: dict[str, object],
    no_energy: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = str(tmp_path / "run")
    whole = run(KINDS[kind](changes, time__end=0.4, time__outputs=[0.1, 0.2]))
    run(KINDS[kind](changes), tmp_path / "run")
    assert cli.main(["run", folder, "--resume", "--set", "time.end=0.4"]) == 0
    said = capsys.readouterr()
    assert "|m| = " in said.err
    assert not any(mark in said.out + said.err for mark in (" E ", "\nE ", "e^-"))
    assert about(tmp_path / "run")["warnings"].count(NOTE) == 1
    series = mf.RunFolder(folder).read_series()
    for name, values in whole.series.items():
        np.testing.assert_allclose(series[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
    for verb in ("info", "plot"):
        assert cli.main([verb, folder]) == 0
    said = capsys.readouterr()
    assert NOTE in said.out and "\nE " not in said.out and "energy.png" in said.out


@pytest.mark.filterwarnings("ignore:no energy for this model")
def test_a_progress_bar_without_energy(no_energy: None, capsys: pytest.CaptureFixture[str]) -> None:
    mf.run(small(time__end=0.2, time__outputs=[0.1]), progress=True)
    shown = capsys.readouterr().err
    assert "max rho =" in shown and "E =" not in shown


def test_runs_with_and_without_energy_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from meanfield.interaction.interaction import Interaction

    case = small(time__end=0.2, time__outputs=[0.1])
    run(case, tmp_path / "with")
    monkeypatch.setattr(Interaction, "energy_kind", None)
    with pytest.warns(mf.MeanfieldWarning, match="no energy for this model"):
        run(case, tmp_path / "without")
    one, two = str(tmp_path / "with"), str(tmp_path / "without")
    for pair in ((one, two), (two, one), (two, two)):
        rows = compare_runs(*pair, distances=False)
        assert len(rows) == 3 and all(np.isnan(row.energy) for row in rows)
        assert all(row.l1 == row.mean == 0.0 for row in rows)
    assert cli.main(["compare", two, one, "--no-distances", "-o", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    assert "nan" not in table and table.count(" - ") >= 3
    assert (tmp_path / "out" / "differences.csv").read_text("utf-8").count("nan") >= 3
