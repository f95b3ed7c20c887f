"""The help of all verbs, at the widths of terminals."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from processes import ROOT

from meanfield import cli
from meanfield.figures import FIGURES


def helps(capsys: pytest.CaptureFixture[str], *words: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The help of a verb and of all that may follow it."""
    assert cli.main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    yield words, text
    listed = re.search(r"^(?:verbs|tasks|kinds):\n(.*?)\n(?:\n|\Z)", text, re.M | re.S)
    for word in re.findall(r"^    (\w[\w-]*)", listed[1], re.M) if listed else ():
        yield from helps(capsys, *words, word)


def commands(text: str) -> list[str]:
    whole = re.sub(r" \\\n +", " ", text)
    found = re.findall(r"^  ((?:meanfield|mpi\w+|pvbatch) .*?)(?:  .*)?$", whole, re.M)
    return [" ".join(one.split()) for one in found]


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_longer_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    wide = dict(helps(capsys))
    assert len(wide) > 25
    monkeypatch.setenv("COLUMNS", str(width))
    for words, text in helps(capsys):
        assert [line for line in text.splitlines() if len(line) > width] == [], words
        # Examples are still whole: what is broken goes on after a backslash.
        assert commands(text) == commands(wide[words]), words
        assert ("examples:" in text) == ("examples:" in wide[words])


def test_paragraphs_are_filled_and_tables_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert cli.main(["distance", "--help"]) == 0
    text = capsys.readouterr().out
    assert "\n  W_p      the Wasserstein distance" in text
    assert "\n           radians) with bounds" in text
    assert "\n  meanfield distance first.npy second.npy\n      # two files of tokens\n" in text
    paragraph = text.partition("W_p of 10 000")[2].partition("\n\n")[0].splitlines()
    assert all(len(line) > 45 for line in paragraph[1:-1])


def test_examples_show_what_a_run_is_good_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out.partition("examples:")[2]
    for verb in ("film", "export", "paraview", "report", "doctor"):
        assert f"meanfield {verb}" in text


def test_the_readme_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for words, _ in helps(capsys):
        if len(words) == 1:
            assert re.search(rf"\bmeanfield {words[0]}\b", readme), words[0]


def test_all_figures_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """By the help, and by the table of the page."""
    assert cli.main(["plot", "--help"]) == 0
    listed = capsys.readouterr().out.split("figures of a run:")[1].split("examples:")[0]
    page = (ROOT / "docs/guide/pictures.md").read_text("utf-8")
    rows = page.split("## Which pictures")[1].split("\n## ")[0].splitlines()
    told = [re.findall(r"`([a-z-]+)`", row.split("|")[1]) for row in rows if row.startswith("| `")]
    names = {one.name for one in FIGURES}
    assert {name for row in told for name in row} - {"--what"} == names
    assert names <= set(re.split(r"[\s;:]+", listed))
