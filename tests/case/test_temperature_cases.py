"""The case of beta = gamma log n: tokens meet when theory says, later for more of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import ROOT
from scipy.integrate import quad

import meanfield as mf

CASES = ROOT / "scripts" / "cases"


def meeting(n: int, beta: float) -> float:
    """When n orthogonal tokens have inner products 1 - 1e-3, by their equation written out."""

    def slowness(c: float) -> float:
        weights = np.exp(beta * (1.0 - c)) + n - 1.0
        return float(weights / (2.0 * (1.0 - c) * (1.0 + (n - 1.0) * c)))

    return float(quad(slowness, 0.0, 1.0 - 1e-3, epsrel=1e-11, limit=400)[0])


def test_temperature(tmp_path: Path) -> None:
    """Half times over n and gamma are within 5 % of orthogonal tokens' (d = 512, n to 32)."""
    numbers, factors = [8, 16, 24, 32], [0.5, 1.0, 1.25, 1.5]
    vary: dict[Any, Any] = {"solver.number": numbers, "model.beta.factor": factors}
    options = mf.SweepOptions(
        progress=False, kernel="always",
        changes={"geometry.d": 512, "time.end": 12.0, "time.outputs": {"every": 0.05}},
    )  # fmt: skip
    case = CASES / "temperature.toml"
    result = mf.sweep(case, vary, tmp_path / "sweep", seeds=12, options=options)
    half = result.table.half.reshape(4, 4)
    theory = np.array(result.table.about["theory"]).reshape(4, 4)
    np.testing.assert_allclose(half, theory, rtol=0.05)
    for (i, n), (k, gamma) in itertools.product(enumerate(numbers), enumerate(factors)):
        assert theory[i, k] == pytest.approx(meeting(n, gamma * np.log(n)), rel=1e-8)
    assert theory[3, 3] == pytest.approx(10.40259, abs=5e-5)  # n = 32, gamma = 1.5
    assert np.all(np.diff(half, axis=0) > 0.0) and np.all(np.diff(half, axis=1) > 0.0)
    assert (tmp_path / "sweep" / "figures" / "sweep_plane.png").is_file()
