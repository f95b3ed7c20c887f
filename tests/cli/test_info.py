"""``meanfield info`` and ``meanfield plot``: what a run folder holds."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
from fakeruns import Calls

from meanfield import cli
from meanfield.case import Case
from meanfield.figures.options import PlotOptions
from meanfield.results.folder import RunFolder


def test_info(here: Path, calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["run", "small.toml"])
    capsys.readouterr()
    assert cli.main(["info", "results/small"]) == 0
    out = capsys.readouterr().out
    for words in (
        "Small",
        "type = sphere, level = 1",
        "attention = sa, beta = 4.0",
        "stopped   end",
        "12 of 12, 4321 steps",
        "vertices = 42",
        "E         44.9911",
        "|m|       0.5",
        "clusters  3",
        "mass      1",
        "4.00 s",
        "set-up 1.00 s (25%), field 3.00 s (75%)",
        "dolfinx 0.9.0",
        "ranks     2, threads 1",
        "energy fell by 1e-12",
    ):
        assert words in out, words
    for name in ("case.toml", "run.json", "series.csv", "fields.vtkhdf", "figures/density.png"):
        assert re.search(rf"{re.escape(name)} +[\d.]+ (bytes|kB)$", out, re.MULTILINE), name


def test_info_of_a_run_that_was_killed_early(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.create("run")
    folder.write_case(Case.from_toml("small.toml"))
    folder.write_run({"meanfield": "0.1.0"})
    folder.series(["t", "mass"]).close()
    assert cli.main(["info", "run"]) == 0
    out = capsys.readouterr().out
    assert "still running, or was killed" in out and "unknown of 12" in out


def test_plot_draws_and_names_the_pictures(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.create("run")
    folder.write_case(Case.from_toml("small.toml"))
    folder.write_run({"meanfield": "0.1.0"})
    figures = types.ModuleType("meanfield.figures")
    given: list[tuple[Path, PlotOptions]] = []

    def draw(path: Path, wanted: PlotOptions) -> list[Path]:
        given.append((path, wanted))
        return [Path("a.png"), Path("b.png")]

    figures.PlotOptions = PlotOptions  # type: ignore[attr-defined]
    figures.make_figures = draw  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "meanfield.figures", figures)
    monkeypatch.setattr("meanfield.figures", figures, raising=False)
    assert cli.main(["plot", "run"]) == 0
    assert given == [(Path("run"), PlotOptions())]
    assert capsys.readouterr().out.split() == ["a.png", "b.png"]
    words = "plot run --times 1 2.5 --what energy --limits -2 3 --camera 0 0 1 --format pdf svg"
    assert cli.main([*words.split(), "--size", "4", "3", "--style", "talk", "-o", "out"]) == 0
    assert given[1][1] == PlotOptions(
        times=(1, 2.5), what=("energy",), limits=(-2, 3), camera=(0, 0, 1), format=("pdf", "svg"),
        size=(4, 3), style="talk", output="out",
    )  # fmt: skip
    assert cli.main(["plot", "run", "--style", "tlak"]) == 2
    assert "found 'tlak' (did you mean 'talk'?)" in capsys.readouterr().err
