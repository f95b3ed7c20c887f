"""Runs from Python, as the README and the package describe them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import FILES
from processes import ROOT

import meanfield as mf


def test_ten_lines_of_python() -> None:
    case = mf.Case(
        title="ten lines",
        geometry=mf.Sphere(level=3),
        model=mf.Model(attention="sa", beta=4.0),
        initial=mf.standard_density(),
        time=mf.Time(end=1.0, outputs=mf.Every(0.25)),
    )
    result = mf.run(case, progress=False)
    t, energy = result.series["t"], result.series["energy"]
    assert result.stop_reason == "end" and result.t == t[-1] == 1.0 and t[0] == 0.0
    assert np.all(np.diff(energy) > 0)
    assert result.folder is None
    assert result.solver.rho.min() >= 0


def python_blocks() -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
    )


def test_readme_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = python_blocks()[0]
    lines = [line for line in block.splitlines() if line.strip()]
    assert 8 <= len(lines) <= 14  # about ten, as promised
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    (result,) = (value for value in names.values() if isinstance(value, mf.Result))
    assert result.stop_reason == "end"
    assert np.all(np.diff(result.series["energy"]) > 0)
    assert capsys.readouterr().out.startswith("end")
    assert result.folder is not None
    assert {path.name for path in result.folder.iterdir()} == FILES | {"figures"}


def test_other_readme_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = []
    for block in python_blocks():  # in their order: one takes what the first has run
        names: dict[str, Any] = {}
        exec(compile(block, "README.md", "exec"), names)
        for name in ("velocity", "energy"):
            if name in names:
                assert np.all(np.isfinite(names[name]))
        seen += [name for name in ("OneCluster", "found", "rho", "velocity") if name in names]
        if "mf.sweep(" in block:
            assert 5.0 < names["found"].table.half[0] < 6.0
        if "mf.compare(" in block:
            assert names["found"].ratio > 2.0 and "differs" in names["found"].verdict
        if "OneCluster" in names:
            assert names["result"].stop_reason == "one cluster" and 0.0 < names["result"].t < 20.0
            assert 0.5 < names["result"].series["height"][-1] < 0.71
    assert sorted(seen) == ["OneCluster", "found", "found", "rho", "velocity"]


def test_the_doctest_of_the_package_builds_its_case() -> None:
    source = "\n".join(
        line.strip()[4:]
        for line in str(mf.__doc__).splitlines()
        if line.strip()[:3] in (">>>", "...")
    )
    names: dict[str, Any] = {}
    exec(source, names)
    assert names["result"].stop_reason == "end"
