"""``meanfield sweep`` as a user types it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cases import few_tokens
from processes import Job, needs_launcher, python, ranks

from meanfield.cli.command import main
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import SweepTable

Start = Callable[..., Job]
VARY = ("--vary", "model.beta=1,4", "--kernel", "never")


@pytest.fixture
def tokens(inside: Path) -> Path:
    """A working folder with the case tokens.toml in it."""
    few_tokens.write(inside / "tokens.toml", {"solver.number": 8, "time.end": 1.0})
    return inside


def test_a_sweep_is_told_and_leaves_its_files(
    tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "tokens.toml", *VARY, "--seeds", "2", "--no-progress"]) == 0
    said = capsys.readouterr().out
    assert "results/tokens-sweep/sweep.csv" in said and "t(P=1/2)" in said
    assert SweepTable.read(tokens / "results/tokens-sweep").shape == (2,)
    assert main(["info", "results/tokens-sweep"]) == 0
    said = capsys.readouterr().out
    assert "model.beta: 2 values" in said and "4 realisations at 2 points" in said
    assert main(["plot", "results/tokens-sweep"]) == 0


def test_a_dry_run_of_what_is_finished(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "tokens.toml", *VARY, "--no-progress"]
    assert main([*words, "--seeds", "2"]) == 0
    assert main([*words, "--seeds", "2", "--resume", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "gone on with" in said and "nothing is left to do" in said
    assert main([*words, "--seeds", "3", "--resume", "--dry-run"]) == 0
    assert re.search(r"runs +2\n", capsys.readouterr().out)


def test_a_dry_run_writes_nothing(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "tokens.toml", *VARY, "--zip", "model.kappa=0,.1", "--seeds", "4"]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "2 points, 4 realisations each" in said and "1 0, 4 0.1 (2)" in said
    assert "2 points: kernel = never" in said
    seconds = re.search(r"runs: about ([0-9.e+-]+) s, by their first steps", said)
    assert seconds is not None and float(seconds[1]) > 0.0
    assert not (tokens / "results").exists()


def test_off_a_terminal_rows_tell_how_far_it_is(
    tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "tokens.toml", *VARY, "--seeds", "30"]) == 0
    rows = [line for line in capsys.readouterr().err.splitlines() if "runs done" in line]
    assert 15 <= len(rows) <= 21
    assert rows[-1].startswith("60 of 60 runs done") and "to go" not in rows[-1]
    assert all("s to go" in row for row in rows[:-1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--vary", "model.betta=1,2"), "did you mean 'model.beta'?"),
        (("--zip", "model.beta=1,2"), "no --vary before it"),
        (("--vary", "model.beta=1:2"), "expected KEY=A:B:N"),
        (("--vary", "model.beta=1,2", "--seeds", "0"), "seeds: found 0"),
        (("--vary", "model.beta=1,2", "--resume"), "there is no folder"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: tuple[str, ...], message: str, tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "tokens.toml", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tokens / "results").exists()


def test_where_all_have_failed_is_told(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tokens / "long.csv").write_text("2,0,0\n0,2,0\n", "utf-8")  # no unit vectors
    words = ("--set", "solver.tokens=long.csv", "--set", "solver.number=2")
    assert main(["sweep", "tokens.toml", *VARY, *words]) == 3
    said = capsys.readouterr()
    assert "warning: 2 realisations have failed, the first at model.beta = 1" in said.err
    assert "all realisations have failed" in said.err
    assert SweepTable.read(tokens / "results/tokens-sweep").failed.tolist() == [1, 1]
    assert main(["info", "results/tokens-sweep"]) == 0
    assert "model.beta = 4, seed 3: " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_is_done_stays_done(number: signal.Signals, tokens: Path, start: Start) -> None:
    words = ("-m", "meanfield", "sweep", "tokens.toml", *VARY, "--seeds", "40")
    job = start(*python(*words, "-o", "killed"), cwd=tokens)
    blocks = tokens / "killed" / "blocks"
    job.wait_until(lambda: len(list(blocks.glob("*.npz"))) >= 3, "three blocks")
    job.send(number)
    ended = job.finish()
    assert ended.code == (130 if number == signal.SIGINT else -signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in blocks.glob("*.npz")}
    assert 3 <= len(kept) < 80
    again = start(*python(*words, "-o", "killed", "--resume"), cwd=tokens).finish()
    assert again.code == 0, again.err
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    whole = start(*python(*words, "-o", "whole"), cwd=tokens).finish()
    assert whole.code == 0, whole.err
    one, two = (tokens / name / "sweep.csv" for name in ("killed", "whole"))
    assert one.read_bytes() == two.read_bytes()
    assert RunFolder.open(tokens / "killed").read_run()["stop_reason"] == "end"


@pytest.mark.slow
@needs_launcher
def test_processes_of_mpi_do_the_same(tokens: Path, start: Start) -> None:
    words = ("-m", "meanfield", "sweep", "tokens.toml", *VARY, "--seeds", "2")
    pool = start(*ranks(3, "-m", "mpi4py.futures", *words, "-o", "pool"), cwd=tokens).finish()
    assert pool.code == 0, pool.said
    assert start(*python(*words, "-o", "alone"), cwd=tokens).finish().code == 0
    one, two = (tokens / name / "sweep.csv" for name in ("pool", "alone"))
    assert one.read_bytes() == two.read_bytes()
    wrong = start(*ranks(2, *words, "-o", "wrong"), cwd=tokens).finish()
    assert "python -m mpi4py.futures" in wrong.said and not (tokens / "wrong").exists()
