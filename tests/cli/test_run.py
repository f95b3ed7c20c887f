"""``meanfield run`` and what it tells; the solver is not run here."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakeruns import Calls, FakeResult, error_line

from meanfield import cli, software
from meanfield.case import Case
from meanfield.errors import BrokenInvariantError
from meanfield.signals import Stopped


def test_run_hands_over_and_sums_up(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake_run(FakeResult(warnings=["mind this"]))
    assert cli.main(["run", "small.toml", "--set", "model.beta=9", "--no-progress"]) == 0
    (call,) = calls
    assert call["case"] == Case.from_toml("small.toml", ["model.beta=9"])
    assert call["folder"] == Path("results/small")
    assert (call["overwrite"], call["resume"], call["progress"]) == (False, False, False)
    out = capsys.readouterr().out
    for words in (
        "Small",
        "42 vertices",
        "sa, beta = 9, V = +I",
        r"stopped   end, at t = 12",
        r"steps     4,321 in 31.0 s",
        r"E         44.9911 (E e^-|beta| = 0.82)",
        r"|m|       0.53125",
        r"clusters  3",
        r"warning   mind this",
        r"picture   results/small/figures/density.png",
        r"series    results/small/series.csv",
        r"ParaView  results/small/fields.vtkhdf",
    ):
        assert words in out, words


def test_run_options(here: Path, calls: Calls) -> None:
    assert cli.main(["run", "small.toml", "-o", "out"]) == 0
    assert cli.main(["run", "small.toml", "-o", "out"]) == 2, "it exists now"
    assert cli.main(["run", "small.toml", "-o", "out", "--overwrite"]) == 0
    assert cli.main(["run", "small.toml", "-o", "out", "--resume"]) == 0
    assert [(c["overwrite"], c["resume"], c["progress"]) for c in calls] == [
        (False, False, None),
        (True, False, None),
        (False, True, None),
    ]
    assert {str(c["folder"]) for c in calls} == {"out"}


def test_resume_from_the_folder_alone(
    here: Path, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "small.toml", "--set", "model.beta=9"]) == 0
    assert cli.main(["run", "results/small", "--resume", "--set", "time.end=20"]) == 0
    assert calls[1]["folder"] == Path("results/small") and calls[1]["resume"]
    assert calls[1]["case"].model.beta == 9.0 and calls[1]["case"].time.end == 20.0
    capsys.readouterr()
    assert cli.main(["run", "results/small"]) == 2
    assert "add --resume" in error_line(capsys)


def test_resume_of_another_problem_is_refused(
    here: Path, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "small.toml"]) == 0
    capsys.readouterr()
    assert cli.main(["run", "small.toml", "--resume", "--set", "model.beta=5"]) == 2
    assert "differs from the one that was begun in model.beta" in error_line(capsys)
    Path("results/small/checkpoint.npz").unlink()
    assert cli.main(["run", "small.toml", "--resume"]) == 2
    assert "no checkpoint" in error_line(capsys)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (FakeResult(stop_reason="stationary"), 0, "stopped   stationary"),
        (FakeResult(stop_reason="wall limit"), 0, "meanfield run results/small --resume"),
        (
            FakeResult(stop_reason="interrupted", signal=signal.SIGINT),
            130,
            "meanfield run results/small --resume",
        ),
        (
            FakeResult(stop_reason="interrupted", signal=signal.SIGUSR1),
            128 + signal.SIGUSR1,
            "meanfield run results/small --resume",
        ),
        (KeyboardInterrupt(), 130, "interrupted: at t = 12 the run can be resumed with"),
        (Stopped(signal.SIGTERM), 143, "interrupted: at t = 12 the run can be resumed with"),
        (
            OSError(errno.ENOSPC, "No space left on device", "series.csv"),
            4,
            "error: No space left on device: series.csv: at t = 12 the run can be resumed with",
        ),
        (FakeResult(stop_reason="broken invariant: NaN"), 3, "broken invariant: NaN"),
        (BrokenInvariantError("mass is 1.1"), 3, "broken invariant: mass is 1.1"),
    ],
)
def test_exit_codes(
    here: Path,
    fake_run: Callable[..., Calls],
    capsys: pytest.CaptureFixture[str],
    outcome: FakeResult | BaseException,
    code: int,
    words: str,
) -> None:
    fake_run(outcome)
    assert cli.main(["run", "small.toml"]) == code
    out, err = capsys.readouterr()
    assert words in (err if code else out)


def test_interrupted_before_the_first_checkpoint(
    here: Path,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["meanfield.runs.simulation"], "run", stop)
    assert cli.main(["run", "small.toml"]) == 130
    assert "nothing to resume from" in capsys.readouterr().err


def test_the_resume_command_is_quoted_for_the_shell(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run(KeyboardInterrupt())
    assert cli.main(["run", "small.toml", "-o", "my results"]) == 130
    assert "meanfield run 'my results' --resume" in capsys.readouterr().err


def test_dry_run_shows_everything_and_writes_nothing(
    here: Path, no_run: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.rglob("*"))
    assert cli.main(["run", "small.toml", "--set", "time.outputs.every=4", "--dry-run"]) == 0
    out = capsys.readouterr().out
    for words in (
        "results/small (new)",
        "42 vertices",
        "4, from t = 0 to 12",
        "rho, log10_rho, velocity: 3.4 kB",
        "dolfinx  0.9.0",
        "  cfl = 0.9",
        "nothing was run or written",
    ):
        assert words in out, words
    resolved = out.split("resolved case:\n\n")[1].split("\nnothing was")[0]
    (here / "resolved.toml").write_text(resolved)
    assert Case.from_toml(here / "resolved.toml") == Case.from_toml(
        here / "small.toml", ["time.outputs.every=4"]
    )
    (here / "resolved.toml").unlink()
    assert sorted(here.rglob("*")) == before


def test_dry_run_tells_what_would_be_refused(
    here: Path,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["run", "small.toml"]) == 0
    monkeypatch.setattr(software, "dolfinx_version", lambda: None)
    capsys.readouterr()
    assert cli.main(["run", "small.toml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "REFUSED: the folder results/small already holds a run" in out
    assert "REFUSED: DOLFINx was not found" in out
    assert cli.main(["run", "small.toml", "--dry-run", "--overwrite"]) == 0
    assert "(will be overwritten)" in capsys.readouterr().out
    assert cli.main(["run", "small.toml", "--dry-run", "--resume"]) == 0
    assert "(will be resumed)" in capsys.readouterr().out
    assert cli.main(["run", "small.toml", "--dry-run", "--set", "model.beta=x"]) == 2
