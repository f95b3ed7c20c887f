"""The cases of the phase diagram do what their files say: half times, and clusters that wait."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from processes import ROOT

import meanfield as mf
from meanfield.geometry.sphere import Array
from meanfield.studies.sweeptheory import theory_of

DELTA = 1e-3


def close_pairs(
    name: str, changes: dict[str, object], seeds: int, folder: Path
) -> tuple[mf.Case, Array, Array]:
    """The case; times (k,) and the part of pairs with <x_i, x_j> >= 1 - DELTA, (seeds, k)."""
    path = ROOT / "scripts" / "cases" / f"{name}.toml"
    changes = {"output.figures": False, **changes}
    rows = []
    for seed in range(seeds):
        parts: dict[float, float] = {}

        def look(solver: mf.Solver, parts: dict[float, float] = parts) -> None:
            gram = solver.x @ solver.x.T  # type: ignore[attr-defined]
            upper = gram[np.triu_indices(len(gram), 1)]
            parts[solver.t] = float(np.mean(upper >= 1.0 - DELTA))

        case = mf.Case.from_toml(path, {**changes, "seed": seed})
        mf.run(case, folder / f"{name}-{seed}", observers=[look], progress=False)
        rows.append(list(parts.values()))
    return case, np.array(list(parts)), np.array(rows)


@pytest.mark.parametrize(
    ("beta", "time"), [(1.0, 5.27028), pytest.param(3.0, 5.89761, marks=pytest.mark.slow)]
)
def test_orthogonal_tokens_meet_at_the_equiangular_time(
    beta: float, time: float, tmp_path: Path
) -> None:
    changes: dict[str, object] = {
        "geometry.d": 1024, "model.beta": beta, "time.end": time + 0.3,
        "time.outputs": np.linspace(time - 0.3, time + 0.3, 31).tolist(),
    }  # fmt: skip
    seeds = 6
    case, t, parts = close_pairs("phase_diagram", changes, seeds, tmp_path)
    half = [float(np.interp(0.5, row, t)) for row in parts]
    error = float(np.std(half, ddof=1)) / math.sqrt(seeds)
    (known,) = theory_of([case], DELTA)
    assert known == pytest.approx(time, abs=5e-6)
    assert np.mean(half) == pytest.approx(time, abs=3.0 * error)
    assert error < 0.005 * time


def test_clusters_on_the_circle_wait(tmp_path: Path) -> None:
    changes: dict[str, object] = {"time.outputs.every": 1.0}
    _, t, parts = close_pairs("phase_zoom", changes, 8, tmp_path)
    at = dict(zip(t.tolist(), parts.mean(axis=0).tolist(), strict=True))
    assert at[2.0] < 0.1
    # A plateau: what is left to come takes far longer than what was.
    assert 0.25 < at[8.0] < at[15.0] < 0.45
    assert at[15.0] - at[8.0] < 0.25 * (at[8.0] - at[2.0])
