"""The list of files: each file that verbs leave is in it, and what it says is printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import CIRCLE, plain, small_tokens
from processes import needs_dolfinx

import meanfield as mf
from meanfield import cli
from meanfield.results.filelist import FILES, GROUPS, kind_of

# Small enough: none of these is looked at but for the names of its files.
on_circle = plain.but(CIRCLE, time__end=0.5, time__outputs=[0.25])
tokens = small_tokens.but(
    {"geometry.d": 2, "initial.type": "uniform"},
    solver__number=20, time__end=0.5, time__outputs=[0.25],
)  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("form", ["vtkhdf", "pvd"])
def test_files_of_a_run(form: str, tmp_path: Path) -> None:
    changes = {"solver": {"type": "lagrangian"}, "geometry": {"type": "circle", "vertices": 40}}
    case = plain(
        {**changes, "initial": {"type": "fourier", "cos": [0.2]}},
        time__end=0.5, output__pairs=4, output__format=form,
    )  # fmt: skip
    folder = tmp_path / "run"
    mf.run(case, folder, progress=False)
    mf.export(folder, "csv")
    mf.export(folder, "pvd")
    assert cli.main(["paraview", str(folder)]) == 0
    made = names(folder)
    assert f"fields.{form}" in made and "pairs.csv" in made
    assert [name for name in made if kind_of(name, "run", "made") is None] == []


def test_files_of_studies(tmp_path: Path) -> None:
    case = tmp_path / "case.toml"
    text = cli_template("kernel").replace("level = 4", "level = 2")
    case.write_text(text, encoding="utf-8")
    folders = {name: str(tmp_path / name) for name in ("stationary", "branch")}
    assert cli.main(["stationary", str(case), "-o", folders["stationary"]]) == 0
    words = ["--parameter", "kappa", "--from", "0.16", "--to", "0.2"]
    assert cli.main(["branch", str(case), *words, "-o", folders["branch"]]) == 0
    for name, folder in folders.items():
        assert [made for made in names(Path(folder)) if kind_of(made, name) is None] == [], name


def listed(group: str) -> set[str]:
    return {one.name for one in FILES if one.group == group}


def known(folder: str, *groups: str) -> set[str]:
    """The kinds of all files of a folder, each of which must be in the list."""
    kinds = {name: kind_of(name, *groups) for name in names(Path(folder))}
    assert [name for name, kind in kinds.items() if kind is None] == [], folder
    return {kind.name for kind in kinds.values() if kind is not None}


def do(*words: str) -> None:
    assert cli.main(list(words)) == 0, words


def told_of(*folders: str) -> None:
    for folder in folders:
        do("report", folder)
        do("plot", folder)


@pytest.mark.slow
@needs_dolfinx
def test_files_of_sweeps_and_of_a_study_of_convergence(inside: Path) -> None:
    """All that is listed of these is left by one of them, too."""
    on_circle.write(inside / "circle.toml")
    tokens.write(inside / "tokens.toml")
    vary = ("--vary", "model.beta=1,2", "--no-progress")
    do("sweep", "tokens.toml", *vary, "--seeds", "3", "--keep", "states", "-o", "ensemble")
    do("sweep", "circle.toml", *vary, "-o", "runs")
    do("converge", "circle.toml", "--vertices", "40", "60", "80", "--no-progress", "-o", "study")
    told_of("ensemble", "runs", "study")
    assert known("ensemble", "sweep") | known("runs", "sweep") >= listed("sweep")
    assert known("study", "converge") >= listed("converge") | {"report.html", "figures/*"}


@needs_dolfinx
def test_files_of_comparisons(inside: Path) -> None:
    on_circle.write(inside / "circle.toml")
    tokens.write(inside / "tokens.toml")
    few = ("--replicas", "2", "--times", "0.25", "--no-progress")
    do("compare", "circle.toml", "--particles", "20", *few, "-o", "density")
    clouds = ("--particles", "10", "--reference", "200", *few)
    do("compare", "tokens.toml", *clouds, "-o", "clouds")
    told_of("density", "clouds")
    assert known("density", "compare") | known("clouds", "compare") >= listed("compare")


@pytest.mark.slow
@needs_dolfinx
def test_files_of_runs_that_are_filmed_and_of_pairs(inside: Path) -> None:
    """A pair of runs leaves a table, and no record."""
    mf.run(on_circle(), "run", progress=False)
    mf.run(tokens(), "tokens", progress=False)
    do("film", "run", "--frames", "2", "--size", "320x180")
    told_of("run", "tokens")
    assert known("run", "run") >= {"figures/*", "report.html"}
    assert "particles.vtkhdf" in known("tokens", "run")
    angle = np.linspace(0.0, 6.0, 40)
    np.save(inside / "mine.npy", np.column_stack([np.cos(angle), np.sin(angle)]))
    for k, pair in enumerate([("run", "tokens"), ("run", "run"), ("tokens", "tokens")]):
        do("compare", *pair, "-o", f"pair{k}")
        assert names(Path(f"pair{k}")) == ["differences.csv"]
    do("compare", "run", "mine.npy", "-o", "points")
    assert known("points", "pair") | known("pair0", "pair") == listed("pair")


def cli_template(name: str) -> str:
    from meanfield.case.templates import template

    return template(name)


def test_help_files_says_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", "files"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {one.name}  (" in text for one in FILES)
    assert all(f"{words}:" in text for words in GROUPS.values())
    assert max(map(len, text.splitlines())) <= 100


def test_help_without_a_word_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help"]) == 0
    text = capsys.readouterr().out
    for word in ("geometry", "maier-saupe", "lagrangian", "energy_scaled", "meanfield help files"):
        assert word in text
    assert cli.main(["help", "filess"]) == 2
    assert "did you mean 'files'?" in capsys.readouterr().err
