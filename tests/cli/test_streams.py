"""Nobody who reads, closed streams, other encodings: the work is done all the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cases import about, few_tokens
from parameters import slow_but
from processes import Job

from meanfield import cli

# In a shell, as only there a standard stream can be closed from the start.
WAYS = {
    "a pipe whose reader has ended": ("{run} | true", 0),
    "both in such a pipe": ("{run} 2>&1 | true", 0),
    "no streams at all": ("{run} <&- >&- 2>&-", 0),
    "a full disk": ("{run} > /dev/full", 4),
}


@pytest.mark.parametrize("way", slow_but([1, 2, 3], list(WAYS)))
def test_the_run_does_not_hang_on_its_reader(
    tmp_path: Path, start: Callable[..., Job], way: str
) -> None:
    few_tokens.write(tmp_path / "few.toml", time__end=1.0, time__outputs=[0.5])
    command, code = WAYS[way]
    line = command.format(run=f"{sys.executable} -m meanfield run few.toml -o out")
    ended = start("bash", "-o", "pipefail", "-c", line, cwd=tmp_path).finish()
    assert ended.code == code, ended.said
    assert "Traceback" not in ended.said and "Exception ignored" not in ended.said
    assert about(tmp_path / "out")["stop_reason"] == "end"
    if code:
        assert ended.lines("error")[-1].endswith("standard output: No space left on device")
    # Nothing that was printed has gone into a file with the number of a closed stream.
    assert (tmp_path / "out" / "series.csv").read_text("utf-8").startswith("t,step,")


@pytest.mark.parametrize("encoding", ["ascii", "ascii:surrogateescape"])
def test_output_that_cannot_be_encoded(
    tmp_path: Path, start: Callable[..., Job], encoding: str
) -> None:
    few_tokens.write(tmp_path / "few.toml", time__end=1.0, title="Grüße β")
    words = ("-m", "meanfield", "run", "few.toml", "-o", "out")
    job = start(sys.executable, *words, cwd=tmp_path, PYTHONIOENCODING=encoding)
    ended = job.finish()
    assert ended.code == 0, ended.said
    assert "Gr??e ?" in ended.out
    assert 'title = "Grüße β"' in (tmp_path / "out" / "case.toml").read_text("utf-8")


def test_the_streams_are_as_before_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    assert cli.main(["help", "solver.rtol"]) == 0
    assert (sys.stdout, sys.stderr) == before
    assert "rtol" in capsys.readouterr().out
    assert all(os.fstat(number) for number in (0, 1, 2))
