"""The examples of docs/howto/observer.md, and what that page claims."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import ROOT, needs_dolfinx

import meanfield as mf

PAGE = ROOT / "docs" / "howto" / "observer.md"


def example(number: int) -> dict[str, Any]:
    """Names that an example leaves behind."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    exec(compile(blocks[number], str(PAGE), "exec"), names)
    return names


def test_a_run_ends_when_clusters_have_merged() -> None:
    names = example(0)
    result = names["result"]
    assert result.stop_reason == "merged" and 1.0 <= result.t < 100.0
    assert result.series["clusters"][-1] == 1 and result.series["mean_norm"][-1] ** 2 > 0.98
    # Another law, whose mean is in the south: a failure, which is no exception.
    case = mf.Case.from_dict(
        {**names["case"].to_dict(), "initial": mf_law((0.0, 0.0, -1.0)), "time": {"end": 5.0}}
    )
    failed = mf.run(case, observers=[names["Merged"]()], progress=False)
    assert failed.stop_reason == "broken invariant: the mean has gone to the south"


def mf_law(mean: tuple[float, ...]) -> dict[str, object]:
    return {"type": "von-mises-fisher", "mean": list(mean), "concentration": 4.0}


@needs_dolfinx
def test_a_column_of_ones_own() -> None:
    latitude = example(1)["result"].series["latitude"]
    assert len(latitude) == 2  # start and end
    np.testing.assert_allclose(latitude, 45.0, atol=0.5)


@needs_dolfinx
def test_arrays_are_saved_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = example(2)
    with np.load(tmp_path / "frames.npz") as saved:
        assert set(saved["t"]) >= {0.0, 0.25, 0.5, 0.75, 1.0}
        assert saved["rho"].shape == (len(saved["t"]), 162)
        assert str(saved["reason"]) == "end"
    # After a failure, too.
    frames = names["Frames"](tmp_path / "failed.npz")

    def fail(solver: Any) -> None:
        if solver.t > 0.0:
            raise mf.BrokenInvariantError("enough")

    result = mf.run(names["case"], observers=[frames, fail], progress=False)
    assert result.stop_reason == "broken invariant: enough"
    with np.load(tmp_path / "failed.npz") as saved:
        assert str(saved["reason"]) == "broken invariant: enough" and saved["t"][0] == 0.0
