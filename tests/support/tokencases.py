"""Kinds of runs of a few tokens, and when two of them are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import FILES

from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.formats import read_tokens_file

ANY: dict[str, object] = {"geometry.d": 8, "initial.type": "uniform"}
LAYERS: dict[str, object] = {"solver.type": "layers", "solver.number": 50, "solver.layers": 10}

KINDS: dict[str, dict[str, object]] = {
    "circle": {"geometry.d": 2, "initial.type": "uniform"},
    "sphere": {},
    "d = 8": ANY,
    "many": {"solver.number": 600, "time.end": 1.0},  # harmonic transforms, not direct sums
    "usa": {"model.attention": "usa", "model.beta": 2.0},
    "repulsive": {"model.value": -1},
    "noise": {"model.kappa": 0.05},
    "noise, d = 8": {**ANY, "model.kappa": 0.05},
    "layers": LAYERS,
    "layers, d = 8": {**ANY, **LAYERS},
}
"""Changes of ``few_tokens``: on S^1, on S^2, where there is no harmonics; noise; layers."""

each_kind = pytest.mark.parametrize("kind", KINDS)

TOKEN_FILES = FILES - {"fields.vtkhdf"} | {"particles.vtkhdf"}
"""What a run of tokens leaves, but for pictures."""


def same_run(one: Path, two: Path) -> None:
    """Two folders hold the same numbers, to the last bit."""
    states = [load_checkpoint(folder / "checkpoint.npz") for folder in (one, two)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)
    assert (one / "series.csv").read_bytes() == (two / "series.csv").read_bytes()
    left, right = (read_tokens_file(folder / "particles.vtkhdf") for folder in (one, two))
    np.testing.assert_array_equal(left.times, right.times)
    for k in range(len(left.times)):
        np.testing.assert_array_equal(left.points(k), right.points(k))
        np.testing.assert_array_equal(left.coordinates(k), right.coordinates(k))
        for name in ("cluster", "velocity"):
            np.testing.assert_array_equal(left.read(name, k), right.read(name, k))
        if left.d > 3:
            np.testing.assert_array_equal(left.inner_products(k), right.inner_products(k))
