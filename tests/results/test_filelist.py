"""The list of files: each file that verbs leave is in it, and what it says is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import plain

import meanfield as mf
from meanfield import cli
from meanfield.results.filelist import FILES, GROUPS, kind_of


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
