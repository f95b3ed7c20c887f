"""The case of one layer: its output's cosine is that of the closed form, in its sweep, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import ROOT

import meanfield as mf
from meanfield.analysis.onelayer import layer_cosine
from meanfield.studies.sweeptheory import cosines_of

PATH = ROOT / "scripts" / "cases" / "one_layer.toml"
SMALL: dict[str, object] = {"solver.number": 50, "geometry.d": 50, "output.figures": False}


def cosines(changes: dict[str, object]) -> np.ndarray:
    """Of all pairs, after the layer."""
    result = mf.run(mf.Case.from_toml(PATH, changes), progress=False)
    gram = result.solver.x @ result.solver.x.T  # type: ignore[attr-defined]
    return np.asarray(gram[np.triu_indices(len(gram), 1)])


@pytest.mark.parametrize("gamma", [0.5, 1.5, 3.0])
def test_small(gamma: float) -> None:
    changes = {**SMALL, "model.beta.factor": gamma}
    expected = float(layer_cosine(0.5, gamma * np.log(50), 50))
    np.testing.assert_allclose(cosines(changes), expected, atol=1e-12)
    assert cosines_of([mf.Case.from_toml(PATH, changes)]) == [pytest.approx(expected, abs=1e-14)]


def test_residual_and_step() -> None:
    changes = {**SMALL, "solver.residual": 0.7, "solver.step": 0.4, "model.value": -1}
    expected = float(layer_cosine(0.5, 1.5 * np.log(50), 50, 0.7, -0.4))
    np.testing.assert_allclose(cosines(changes), expected, atol=1e-12)
    assert cosines_of([mf.Case.from_toml(PATH, changes)]) == [pytest.approx(expected, abs=1e-14)]


@pytest.mark.parametrize(
    "changes",
    [{"solver.layers": 2}, {"solver.tokens": "iid", "solver.cosine": None},
     {"model.mask": "causal"}, {"model.attention": "usa"},
     {"solver.output": "projected", "solver.step": None, "solver.residual": 1.0}],
    ids=str,
)  # fmt: skip
def test_no_cosine_of_other_layers(changes: dict[str, Any]) -> None:
    table = mf.Case.from_toml(PATH, SMALL).to_dict()
    for key, value in changes.items():
        section, _, name = key.partition(".")
        part: Any = table[section]
        part.pop(name, None)
        if value is not None:
            part[name] = value
    assert cosines_of([mf.Case.from_dict(table)]) == [None]


@pytest.mark.slow
@pytest.mark.parametrize(("gamma", "cosine"), [(1.5, 0.977942), (2.0, 0.800280)])
def test_the_case(gamma: float, cosine: float) -> None:
    found = cosines({"model.beta.factor": gamma, "output.figures": False})
    np.testing.assert_allclose(found, cosine, atol=5e-7)


@pytest.mark.slow
def test_its_sweep(tmp_path: Path) -> None:
    options = mf.SweepOptions(progress=False, changes={"solver.number": 12, "geometry.d": 12})
    vary: dict[Any, Any] = {
        "model.beta.factor": [0.5, 1.0, 2.0, 4.0], "solver.cosine": [0.1, 0.4, 0.6, 0.9],
    }  # fmt: skip
    table = mf.sweep(PATH, vary, tmp_path / "sweep", options=options).table
    known = np.array(table.about["theory_end"])
    assert np.ptp(known) > 0.8
    np.testing.assert_allclose(table.columns["inner_product"].mean[:, -1], known, atol=1e-6)
    assert (tmp_path / "sweep" / "figures" / "sweep_plane.png").is_file()
