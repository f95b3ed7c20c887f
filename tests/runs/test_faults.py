"""Whatever happens at whatever write: a run goes on, and gives what it would have given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cases import about, few_tokens
from processes import Job, python

import meanfield as mf

PROGRAM = str(Path(__file__).with_name("faults.py"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tokens", "characteristics"])
@pytest.mark.parametrize("fault", ["kill", "refuse", "size"])
def test_no_moment_is_a_bad_one(
    tmp_path: Path, start: Callable[..., Job], kind: str, fault: str
) -> None:
    """Killed, refused by a full disk, or by a limit of the size: at every seventh write."""
    ended = start(*python(PROGRAM, kind, fault, str(tmp_path), "7"), cwd=tmp_path).finish()
    assert ended.code == 0, ended.said
    assert int(ended.out.split()[-1]) >= 5  # so many were tried


@pytest.mark.slow
def test_two_writers_at_once(tmp_path: Path, start: Callable[..., Job]) -> None:
    few_tokens.write(tmp_path / "few.toml")
    words = ("-m", "meanfield", "run", "few.toml", "-o", "out", "--overwrite")
    jobs = [start(*python(*words), cwd=tmp_path) for _ in range(3)]
    ended = [job.finish() for job in jobs]
    codes = sorted(one.code for one in ended)
    assert codes[0] == 0 and set(codes) <= {0, 2}, [one.said for one in ended]
    for one in ended:
        assert one.code == 0 or "is writing in the folder out" in one.err
    assert about(tmp_path / "out")["stop_reason"] == "end"
    assert mf.RunFolder(tmp_path / "out").read_series()["t"][-1] == 2.0
