"""The study scripts do what their first lines say."""

from __future__ import annotations

import csv
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from processes import ROOT

import meanfield as mf

STUDIES = ROOT / "scripts" / "studies"

pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_explicit_runs_converge_to_characteristics_at_second_order(tmp_path: Path) -> None:
    study = load("convergence")
    levels = [2, 3, 4]
    found = study.study(tmp_path, levels, 5, [1.0], distances=False)
    errors = [found[level][-1].l1 for level in levels]
    assert errors[-1] < 4e-3 and study.order(levels[1:], errors[1:]) > 1.8
    assert study.order(levels, [row[-1].mean for row in found.values()]) > 1.8
    lines = study.table(found)
    assert lines[0] == "| t | error in | level 2 | level 3 | level 4 | order |"
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["l1", "mean"]


@pytest.mark.slow
def test_metastability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Characteristics and tokens agree on both merging times; a fixed mesh pins clusters."""
    study = load("metastability")
    monkeypatch.setattr(sys, "argv", ["metastability", "-o", str(tmp_path), "--wall", "30"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)
        study.main()
    with open(tmp_path / "metastability.csv", newline="", encoding="utf-8") as file:
        rows = {row["solver"]: row for row in csv.DictReader(file)}
    for key, close in (("to two", 0.01), ("to one", 0.05)):
        one, two = (float(rows[name][key]) for name in ("characteristics", "2000 tokens"))
        assert one == pytest.approx(two, rel=close)
    assert rows["implicit"]["to two"] == "nan" and float(rows["implicit"]["reached"]) == 1e9
    assert rows["explicit"]["stopped"] == "wall limit"
    assert (tmp_path / "metastability.png").stat().st_size > 20_000


@pytest.mark.slow
def test_fluctuations_of_heads_in_time_average_out() -> None:
    """Like 1/H if each has a path of its own (20 tokens, 8 seeds); not at all if all have one."""
    study = load("heads_in_time")
    numbers = [1, 10, 100]
    found = study.distances(numbers, 400, 8, 20, 20.0, 10, 0.05, common=False)
    slope, error = study.slope_of(numbers, found)
    assert slope == pytest.approx(-1.0, abs=0.2) and error < 0.1
    one, many = study.distances([1, 10], 400, 3, 20, 20.0, 10, 0.05, common=True).mean(axis=1)
    assert many == pytest.approx(one, rel=1e-6) and many > 5.0 * found[1].mean()
