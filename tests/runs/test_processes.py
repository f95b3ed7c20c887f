"""Runs in processes that other Python starts: by any way of starting them, or a refusal."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import few_tokens, run
from processes import Job, python

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
