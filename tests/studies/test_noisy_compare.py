"""Noisy tokens and the noisy density have the same law: two discretisations of one equation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import plain
from processes import needs_dolfinx

import meanfield as mf
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds

pytestmark = needs_dolfinx

circle = plain.but(
    {"geometry.type": "circle", "geometry.vertices": 200, "model.kappa": 0.1},
    initial={"type": "von-mises-fisher", "mean": [1.0, 0.5], "concentration": 1.0},
    solver__type="implicit",
    time={"end": 3.0, "outputs": [0.5, 3.0]},
)
sphere = circle.but(
    {"geometry.type": "sphere", "geometry.level": 4, "initial.type": "standard"},
    model={"attention": "usa", "beta": 1.0, "kappa": 0.3},
)


@pytest.mark.slow
@pytest.mark.parametrize("case", [circle(), sphere()], ids=["d=2", "d=3"])
def test_noisy_tokens_agree_with_the_noisy_density(case: mf.Case, tmp_path: Path) -> None:
    found = compare(case, Clouds([1000], 16, exponents=()), tmp_path / "out", progress=False)
    assert [row["t"] for row in found.rows] == [0.0, 0.5, 3.0]
    for row in found.rows:
        # Seeds are fixed: either these draws are likely under the density, or they are not.
        assert row["p_value"] > 0.01, row
        assert abs(row["z_energy"]) < 3.5 and row["z_mean"] < 3.5, row


@pytest.mark.slow
def test_another_noise_is_told_apart(tmp_path: Path) -> None:
    other = circle(model__kappa=0.12)
    found = compare(
        circle(), Clouds([1000], 16, other, exponents=()), tmp_path / "out", progress=False
    )
    assert found.rows[0]["p_value"] > 0.01  # the same law at the start
    assert found.rows[-1]["p_value"] < 1e-3


@pytest.mark.slow
def test_distance_of_noisy_tokens_is_that_of_samples(tmp_path: Path) -> None:
    """Noise makes tokens independent of each other again: the ratio to the floor stays 1."""
    case = circle(model={"attention": "usa", "beta": 1.0, "kappa": 0.6})
    found = compare(case, Clouds([300], 12, times=[2.0]), tmp_path / "out", progress=False)
    row = found.rows[-1]
    assert row["t"] == 2.0
    assert row["ratio_w2_low"] < 1.1 and row["ratio_w2_high"] > 0.9
    assert np.isfinite(row["w2"]) and row["w2"] < 0.2
