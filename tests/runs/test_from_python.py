"""Runs from Python, as the package describes them; the README's is run by tests/docs/."""

from __future__ import annotations

from typing import Any

import numpy as np

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


def test_the_doctest_of_the_package_builds_its_case() -> None:
    source = "\n".join(
        line.strip()[4:]
        for line in str(mf.__doc__).splitlines()
        if line.strip()[:3] in (">>>", "...")
    )
    names: dict[str, Any] = {}
    exec(source, names)
    assert names["result"].stop_reason == "end"
