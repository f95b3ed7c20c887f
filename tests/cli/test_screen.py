"""What a terminal shows: colour and lines to its width; and that nothing else gets either."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cases import few_tokens

from meanfield import cli
from meanfield.cli import screen
from meanfield.studies.grid import Grid, plain_lines

ESCAPE = re.compile(r"\x1b\[[\d;]*m")
ROWS = [
    ("title", "a title of many words that does not fit into one line of a narrow terminal"),
    ("warning", "something about it should be known, and it is told in more than one line"),
    ("picture", "results/a-folder-with-a-long-name/figures/density-of-the-last-time.png"),
]
GRID = Grid(
    ("t", "n", "W2", "verdict"),
    (("0", "250", "0.0123", "none"), ("12.5", "1000", "-", "ok")),
    (6, 6, 9, 0),
    (0, 1, 1, 2),
    open_end=True,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(command: list[str], **environment: str) -> str:
    """What a program writes to a terminal."""
    ours, its = pty.openpty()
    job = subprocess.Popen(
        [sys.executable, "-m", "meanfield", *command],
        stdin=subprocess.DEVNULL, stdout=its, stderr=its, env={**os.environ, **environment},
    )  # fmt: skip
    os.close(its)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    job.wait()
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("variables", "terminal", "laid", "colour"),
    [
        ({}, True, True, True),
        ({}, False, False, False),
        ({"TERM": "dumb"}, True, False, False),
        ({"NO_COLOR": "1"}, True, True, False),
        ({"NO_COLOR": ""}, True, True, True),
        ({"FORCE_COLOR": "1"}, False, True, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, True, False),
        ({"FORCE_COLOR": ""}, False, False, False),
    ],
)
def test_who_gets_colour(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    terminal: bool,
    laid: bool,
    colour: bool,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = Terminal() if terminal else io.StringIO()
    assert (screen.laid_out(stream), screen.coloured(stream)) == (laid, colour)
    told = screen.pairs(ROWS, stream) + screen.grids([GRID], stream)
    assert bool(ESCAPE.search(told)) == colour


@pytest.mark.parametrize("width", [60, 30])
def test_names_and_texts_fit(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    plain = ESCAPE.sub("", screen.pairs(ROWS, Terminal()))
    lines = plain.splitlines()
    path = ROWS[2][1]
    assert [line for line in lines if len(line) > width and path not in line] == []
    assert path in plain  # whole: it is copied
    assert " ".join(plain.split()) == " ".join(" ".join(f"{n} {t}" for n, t in ROWS).split())
    if width == 60:
        assert all(line.startswith("         ") for line in lines if line[:1] == " ")


def test_a_table_that_is_too_wide_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    plain = ESCAPE.sub("", screen.grids([GRID, "A text."], Terminal()))
    assert plain.splitlines()[0].split() == ["t", "n", "W2", "verdict"]
    assert plain.endswith("\nA text.")
    monkeypatch.setenv("COLUMNS", "23")
    turned = ESCAPE.sub("", screen.grids([GRID], Terminal())).splitlines()
    assert [line.split() for line in turned] == [
        ["t", "0", "12.5"], ["n", "250", "1000"], ["W2", "0.0123", "-"], ["verdict", "none", "ok"],
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "20")
    halves = ESCAPE.sub("", screen.grids([GRID], Terminal())).split("\n\n")
    assert len(halves) == 2 and halves[1].splitlines()[0].split() == ["t", "12.5"]


def test_files_have_the_table_as_it_was() -> None:
    assert plain_lines([GRID, "note"]) == [
        "     t      n        W2  verdict",
        "     0    250    0.0123  none",
        "  12.5   1000         -  ok",
        "note",
    ]
    two = Grid(("beta", "done"), (("1", "8"), ("4.5", "10")))
    assert two.lines() == ["beta  done", "   1     8", " 4.5    10"]


def test_help_is_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from meanfield.case.helptext import help_on

    lines = help_on("lagrangian")
    for width in (60, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        plain = ESCAPE.sub("", screen.texts(lines, Terminal()))
        assert plain.split() == " ".join(lines).split()
        assert max(map(len, plain.splitlines())) <= min(width, 100)
    assert plain.splitlines() == [line.rstrip() for line in lines]  # wide: as it was


def test_only_the_word_of_a_complaint_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    told = screen.marked("error: no file error: x", Terminal())
    assert told == "\x1b[31merror\x1b[0m: no file error: x"
    assert screen.marked("warning: odd", Terminal()) == "\x1b[33mwarning\x1b[0m: odd"
    assert screen.marked("interrupted", Terminal()) == "interrupted"
    assert screen.marked("error: x", io.StringIO()) == "error: x"
    assert screen.marked("error: x", None) == "error: x"


def test_a_run_in_a_narrow_terminal(tmp_path: Path) -> None:
    few_tokens.write(tmp_path / "few.toml", time__end=1.0, time__outputs=[0.5])
    folder = str(tmp_path / "out")
    assert cli.main(["run", str(tmp_path / "few.toml"), "-o", folder, "--no-progress"]) == 0
    told = shown(["info", folder], COLUMNS="60")
    assert "\x1b[" in told
    lines = ESCAPE.sub("", told).splitlines()
    assert [line for line in lines if len(line) > 60 and folder not in line] == []
    assert any(re.match(r"stopped +end$", line) for line in lines)
    refused = shown(["info", str(tmp_path / "nowhere")])
    assert refused.count("\n") == 1 and refused.startswith("meanfield: \x1b[31merror\x1b[0m: ")
    helped = shown(["--help"], COLUMNS="60")
    words = shown(["help"], COLUMNS="60")
    for text in (helped, words):
        assert max(map(len, ESCAPE.sub("", text).splitlines())) <= 60 and "\x1b[1m" in text


def test_rich_is_for_terminals(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom meanfield import cli\ncli.main(['--help'])\ncli.main(['help', 'rtol'])\n"
        "cli.main(['info', 'nowhere'])\nassert 'rich' not in sys.modules, 'rich'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
