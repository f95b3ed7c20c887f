"""Layers tend to the flow of their scheme at first order, with gains, layer norm and laws of
lengths: two codes that share none of their steps."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.geometry.sphere import Array

SCHEMES: dict[str, dict[str, object]] = {
    "gain": {"type": "post", "gain": [1.5, 0.5, 1.0, 2.0]},
    "layer norm": {"type": "post", "centre": True},
    "pre, gain": {"type": "pre", "gain": [1.5, 0.5, 1.0, 2.0], "length": 2.0},
    "peri, layer norm": {"type": "peri", "centre": True, "gain": 1.3},
    "pre, lengths": {"type": "pre", "length": {"type": "lognormal", "sigma": 0.5}},
    "sandwich, gain": {"type": "sandwich", "gain": 2.0},
}


def _table(solver: dict[str, object], scheme: dict[str, object]) -> dict[str, object]:
    return {
        "geometry": {"type": "unmeshed", "d": 4},
        "model": {"attention": "sa", "beta": 2.0, "normalisation": scheme},
        "initial": {"type": "uniform"},
        "solver": {"number": 12, **solver},
        "time": {"end": 1.0},
    }


def _end(solver: dict[str, object], scheme: dict[str, object]) -> Array:
    found: Array = mf.run(mf.Case.from_dict(_table(solver, scheme)), progress=False).solver.x
    return found


@pytest.mark.filterwarnings("ignore::meanfield.MeanfieldWarning")
@pytest.mark.parametrize("name", SCHEMES)
def test_layers_tend_to_the_flow(name: str) -> None:
    flow = _end({"type": "particles", "rtol": 1e-9}, SCHEMES[name])
    errors = [
        np.abs(_end({"type": "layers", "layers": count}, SCHEMES[name]) - flow).max()
        for count in (50, 100)
    ]
    assert errors[1] < 5e-3 and 1.9 < errors[0] / errors[1] < 2.15


@pytest.mark.parametrize("kind", ["particles", "layers", "common"])
def test_noise_does_not_stay_centred(kind: str) -> None:
    common = kind == "common"
    solver: dict[str, object] = {"type": "particles", "common_noise": 0.1}
    if not common:
        solver = {"type": kind, **({"layers": 10} if kind == "layers" else {})}
    table = _table(solver, {"type": "post", "centre": True})
    model = table["model"]
    assert isinstance(model, dict)
    model["kappa"] = 0.0 if common else 0.1
    with pytest.raises(mf.InputError, match=r"stay orthogonal to \(1"):
        mf.Case.from_dict(table)
