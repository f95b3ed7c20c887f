"""``meanfield examples``, and the line of ``meanfield run`` that leads there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from processes import ROOT

from meanfield import cli
from meanfield.shipped import shipped_cases, shipped_examples


def test_all_are_listed_with_titles(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["examples"]) == 0
    text = capsys.readouterr().out
    for one in (*shipped_cases(), *shipped_examples()):
        assert f"  {one.name} " in text and one.title[:60] in text
    assert "arXiv 2312.10794" in text and "cpu-minutes" in text
    assert cli.main(["examples", "--scripts"]) == 0
    assert "cases, for" not in capsys.readouterr().out
    assert cli.main(["examples", "--cases"]) == 0
    assert "examples, for" not in capsys.readouterr().out


def test_lines_are_no_longer_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert cli.main(["examples"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


def test_copies_are_whole_and_nothing_is_overwritten(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["examples", "stack", "clustering.py", "--to", "a/b"]) == 0
    names = ["clustering.py", "stack.npz", "stack.toml"]
    assert sorted(path.name for path in (inside / "a/b").iterdir()) == names
    for name, folder in zip(names, ("examples", "cases", "cases"), strict=True):
        shipped = ROOT / "scripts" / folder / name
        assert (inside / "a/b" / name).read_bytes() == shipped.read_bytes()
    assert "copied a/b/stack.npz" in capsys.readouterr().out

    # One that is there: none is copied.
    assert cli.main(["examples", "circle", "stack", "--to", "a/b"]) == 2
    assert "a/b/stack.toml exists, and is not overwritten" in capsys.readouterr().err
    assert sorted(path.name for path in (inside / "a/b").iterdir()) == names

    assert cli.main(["examples", "clustering"]) == 0
    assert {path.name for path in inside.iterdir()} == {"a", "clustering.py", "clustering.toml"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["clustring"], "'clustring' found, the name of a case or an example"),
        (["clustring"], "(did you mean 'clustering'?)"),
        (["stack.py"], "expected"),
        (["zonal8", "--scripts"], "'zonal8' found"),
        (["circle", "--to", "file"], "file is a file, a folder expected"),
        (["--to", "x"], "names of what to copy expected"),
        (["circle", "--cases", "--scripts"], "not allowed with"),
    ],
)
def test_what_is_refused(
    words: list[str], said: str, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inside / "file").touch()
    assert cli.main(["examples", *words]) == 2
    shown = capsys.readouterr().err
    assert said in shown and shown.count("\n") == 1
    assert [path.name for path in inside.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "given", ["clustering", "clustering.toml", "scripts/cases/clustering.toml"]
)
def test_a_case_that_is_not_here_but_shipped(
    given: str, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", given]) == 2
    shown = capsys.readouterr().err
    assert f"there is no case file {given}; it is shipped" in shown
    assert "`meanfield examples clustering.toml` copies it" in shown
    (inside / "clusterin.toml").touch()
    assert cli.main(["run", "clusterinx.toml"]) == 2
    assert "did you mean 'clusterin.toml'?" in capsys.readouterr().err


def test_a_wheel_has_them_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pyproject's force-include places them."""
    from meanfield import shipped

    for name in ("cases", "examples"):
        shutil.copytree(ROOT / "scripts" / name, tmp_path / name)
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "__init__.py"))
    assert {one.path.parent for one in shipped.shipped_cases()} == {tmp_path / "cases"}
    assert {one.path.parent for one in shipped.shipped_examples()} == {tmp_path / "examples"}
