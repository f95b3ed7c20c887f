"""What a run shows while it goes: rows, a bar on a terminal, or nothing."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cases import run, small
from processes import HANG

import meanfield as mf
from meanfield.runs.progress import Counted


def test_rows_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(small(), progress=None)
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert shown.out == ""
    assert [float(line.split()[2]) for line in lines] == list(small().output_times())
    assert lines[-1].split() == [
        *("t", "=", "1", "step", str(result.steps), "dt", "=", f"{result.solver.dt:.3g}"),
        *("E", "e^-|beta|", "=", f"{result.series['energy_scaled'][-1]:.8g}"),
        *("|m|", "=", f"{result.series['mean_norm'][-1]:.6g}"),
        *("max", "rho", "=", f"{result.series['rho_max'][-1]:.4g}", "clusters", "3"),
    ]


def test_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(small(output__figures=True), tmp_path / "run", progress=False)
    assert tuple(capfd.readouterr()) == ("", "")


def in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, action: Callable[[], object], columns: int = 120
) -> str:
    """What appears on a terminal that standard error is connected to."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(master, 4096):
                parts.append(part)
        except OSError:  # the other end was closed: that is how a terminal ends
            pass

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        action()
    reader.join(HANG)
    os.close(master)
    return b"".join(parts).decode("utf-8")


@pytest.mark.parametrize(
    ("columns", "numbers"), [(60, 1), (80, 2), (120, 3)], ids=["narrow", "usual", "wide"]
)
def test_on_a_narrow_terminal_numbers_are_whole_beside_a_bar(
    columns: int, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = in_a_terminal(monkeypatch, lambda: run(small(), progress=True), columns)
    bar = [line for line in shown.splitlines() if line.startswith("100% |")][-1]
    assert len(bar) < columns and bar.endswith("]")
    assert len(bar.split("|")[1]) >= 6
    beside = bar[bar.index("[") + 1 : -1].split(", ")[1:]
    assert [text.split(" = ")[0] for text in beside] == ["dt", "E e^-|beta|", "max rho"][:numbers]


def test_tasks_that_are_told_by_name_have_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    with Counted(None, 60, 0, "cloud") as shown:
        for k in range(60):
            shown.update(name=f"cloud {k}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"cloud {k}" for k in range(60)]
    assert lines[-1].startswith("cloud 59: 60 of 60 clouds done, ")
    with Counted(None, 1_000, 0, "cloud") as shown:
        for k in range(1_000):
            shown.update(name=f"cloud {k}")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20 and lines[-1].startswith("1,000 of 1,000 clouds done, ")
    Counted.tell(None, "density done")
    Counted.tell(False, "silent")
    assert capsys.readouterr().err == "density done\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    nap = mf.Watch(lambda solver: time.sleep(0.12), mf.EverySteps(3))  # the bar is lazy
    shown = in_a_terminal(monkeypatch, lambda: run(small(), progress=None, observers=[nap]))
    frames = [frame for frame in shown.split("\r") if "%" in frame]
    assert len(frames) > 3
    assert "step " not in shown  # no rows
    last = frames[-1]
    assert last.startswith("100%") and "t = 1/1" in last
    for part in ("dt = ", "E e^-|beta| = ", "max rho = "):
        assert part in last
    percent = [int(frame.split("%")[0]) for frame in frames]
    assert percent == sorted(percent)
    assert in_a_terminal(monkeypatch, lambda: run(small(), progress=False)) == ""


def test_a_bar_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run(small(), progress=True)
    shown = capsys.readouterr().err
    assert "100%" in shown and "t = 1/1" in shown
