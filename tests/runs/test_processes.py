"""Runs in processes that other Python starts: by any way of starting them, or a refusal."""

from __future__ import annotations

import copy
import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import about, few_tokens, run
from processes import Job, python

import meanfield as mf

POOL = """
import multiprocessing, sys
import meanfield as mf

def main():
    how, before = sys.argv[1], sys.argv[2] == "before"
    case = mf.Case.from_toml("few.toml")
    if before:
        mf.run(case, progress=False)
    with multiprocessing.get_context(how).Pool(2) as pool:
        results = pool.map(mf.run, [case, case])
    print(*(result.series["energy"][-1] for result in results))

if __name__ == "__main__":
    main()
"""


def test_results_go_to_other_processes_without_their_solver(tmp_path: Path) -> None:
    result = run(few_tokens(), tmp_path / "run")
    for back in (pickle.loads(pickle.dumps(result)), copy.copy(result)):
        assert (back.t, back.steps, back.stop_reason) == (result.t, result.steps, "end")
        assert (back.folder, back.warnings) == (result.folder, result.warnings)
        for name, values in result.series.items():
            np.testing.assert_array_equal(back.series[name], values)
        with pytest.raises(AttributeError, match="stays in its process"):
            _ = back.solver
    assert result.solver.n == 50


@pytest.mark.parametrize(("how", "before"), [("fork", ""), ("fork", "before"), ("spawn", "before")])
def test_pools(tmp_path: Path, start: Callable[..., Job], how: str, before: str) -> None:
    few_tokens.write(tmp_path / "few.toml", time__end=1.0)
    (tmp_path / "pool.py").write_text(POOL, "utf-8")
    ended = start(*python("pool.py", how, before or "-"), cwd=tmp_path).finish()
    if (how, before) == ("fork", "before"):
        # At once, and with the remedy: it would hang.
        assert ended.code == 1, ended.said
        assert "InputError" in ended.err and 'get_context("spawn")' in ended.err
        return
    assert ended.code == 0, ended.said
    one, two = ended.out.split()
    assert one == two


LATE = """
import os, signal, sys
import meanfield as mf

class Late(mf.Observer):
    def handle(self, view):
        if sys.argv[1] == "last step" and view.t == 1.0:
            os.kill(os.getpid(), signal.SIGTERM)

    def finalise(self, view, reason):
        if sys.argv[1] == "at the end":
            os.kill(os.getpid(), signal.SIGTERM)

mf.run("few.toml", "out", observers=[Late()], progress=False)
print("still here")
"""


@pytest.mark.parametrize("when", ["last step", "at the end"])
def test_a_signal_that_comes_too_late_ends_the_script(
    tmp_path: Path, start: Callable[..., Job], when: str
) -> None:
    few_tokens.write(tmp_path / "few.toml", time__end=1.0)
    (tmp_path / "script.py").write_text(LATE, "utf-8")
    ended = start(*python("script.py", when), cwd=tmp_path).finish()
    assert ended.code == -signal.SIGTERM and "still here" not in ended.out
    assert about(tmp_path / "out")["stop_reason"] == "end"


def test_a_process_without_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    for progress in (None, True):
        assert mf.run(few_tokens(time__end=1.0), progress=progress).stop_reason == "end"


def test_what_fails_before_the_first_step_is_told_in_the_folder(tmp_path: Path) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(few_tokens(), tmp_path / "run", announce=fails)
    assert about(tmp_path / "run")["stop_reason"] == "failed: ZeroDivisionError"
    assert not (tmp_path / "run" / "particles.vtkhdf.tmp").exists()
