"""The staircase of an energy: plateaus and steps of known series, and of clusters that merge."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield import cli
from meanfield.analysis.staircase import Plateau, plateaus
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

METASTABLE = Path(__file__).parents[2] / "scripts" / "cases" / "metastable.toml"


def _steps(t: Array, at: list[float], heights: list[float]) -> Array:
    """From one height to the next, each within a fifth of a decade."""
    energy = np.full(len(t), heights[0])
    for place, size in zip(at, np.diff(heights), strict=True):
        x = np.log10(np.maximum(t, 1e-300) / place) / 0.1
        energy += size / (1.0 + np.exp(-np.clip(x, -300.0, 300.0)))
    return energy


def test_steps_of_a_known_staircase_are_found() -> None:
    t = np.concatenate([[0.0], np.geomspace(0.01, 1e8, 801)])
    at, heights = [1.0, 1e3, 2e5], [0.1, 0.5, 0.6, 2.0]
    found = plateaus(t, _steps(t, at, heights))
    assert [p.height for p in found] == pytest.approx(heights, abs=0.01)
    assert found[0].begin == t[1] and found[-1].end == t[-1]
    # A logistic step is within 1 % of the range of its heights log(100 size/range - 1)/10 decades
    # away from its middle; the two ends of a plateau share that 1 %.
    for k, place in enumerate(at):
        reach = 0.1 * math.log(100.0 * (heights[k + 1] - heights[k]) / 1.9 - 1.0)
        for distance in (place / found[k].end, found[k + 1].begin / place):
            assert reach - 0.03 < math.log10(distance) < reach + 0.15
    # Of an energy that falls, and in any unit.
    for factor in (-1.0, 1e-200):
        other = plateaus(t, factor * _steps(t, at, heights))
        assert [(p.begin, p.end) for p in other] == [(p.begin, p.end) for p in found]


def test_what_is_short_or_small_is_no_step() -> None:
    t = np.geomspace(1.0, 1e4, 2001)
    # A halt by a factor of two in time is none; by four it is.
    for factor, number in ((2.0, 2), (8.0, 3)):
        energy = np.interp(
            np.log(t), np.log([10.0, 15.0, 15.0 * factor, 23.0 * factor]), [0, 1, 1, 2]
        )
        assert len(plateaus(t, energy)) == number
        assert len(plateaus(t, energy, least=1.5)) == 3
    # A step of 1.5 % of the range is within what is one plateau; one of 4 % is a step.
    for small, number in ((0.015, 2), (0.04, 3)):
        assert len(plateaus(t, _steps(t, [10.0, 1e3], [0.0, 1.0 - small, 1.0]))) == number
    # A straight line in log t has none, and what never changes is one.
    assert plateaus(t, np.log(t)) == ()
    assert plateaus(t, np.full(len(t), 0.3)) == (Plateau(1.0, 1e4, pytest.approx(0.3)),)  # type: ignore[arg-type]


def test_few_rows_and_rows_that_are_no_numbers() -> None:
    for some in ([], [0.0], [0.0, 1.0]):
        assert plateaus(np.array(some), np.array(some)) == ()
    t = np.geomspace(1.0, 1e4, 101)
    energy = _steps(t, [100.0], [0.0, 1.0])
    expected = plateaus(np.delete(t, 7), np.delete(energy, 7))
    energy[7] = math.nan
    assert plateaus(t, energy) == expected


def test_what_is_no_series_is_refused() -> None:
    t = np.geomspace(1.0, 10.0, 5)
    with pytest.raises(InputError, match=r"^t of shape \(5,\) and energy of shape \(4,\) found"):
        plateaus(t, t[:4])
    for flat, least in ((0.0, 2.0), (1.0, 2.0), (0.1, 1.0)):
        with pytest.raises(InputError, match=r"0 < flat < 1 and least > 1 expected"):
            plateaus(t, t, flat, least)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:from t =")
def test_clusters_on_the_circle_are_a_staircase(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three equal clusters, 2/3 and 1/3, one: of Diracs far apart E is sum m_i^2/(2 beta)."""
    changes = {"geometry.vertices": 60, "time.end": 1e9, "output.figures": False}
    case = mf.Case.from_toml(METASTABLE, changes)
    series = mf.run(case, tmp_path / "run", progress=False).series
    found = plateaus(series["t"], series["energy_scaled"])
    assert len(found) == 4
    _, three, two, one = found
    assert three.height == pytest.approx(1.0 / 54.0, rel=1e-3)
    assert two.height == pytest.approx(5.0 / 9.0 / 18.0, rel=2e-2)
    assert one.height == pytest.approx(1.0 / 18.0, rel=1e-6)
    assert three.begin < 6.0 and 1e4 < three.end < 1e6 and two.end > 1e7
    assert cli.main(["info", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "3 steps between 4 plateaus of the scaled energy" in said
    assert f"0.0555556 from t = {one.begin:.4g} to 1e+09" in said


def test_round_off_is_no_structure() -> None:
    t = np.geomspace(1.0, 1e6, 200)
    energy = 2.0 + 4e-16 * np.random.default_rng(0).integers(-3, 4, len(t))
    (one,) = plateaus(t, energy)
    assert one.height == pytest.approx(2.0) and one.end == pytest.approx(1e6)
