"""Tokens in an order, and densities by position."""

from __future__ import annotations

from typing import Any

import numpy as np

import meanfield as mf
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.masked import Masked
from meanfield.interaction.masks import Alibi, Causal, Window
from meanfield.interaction.measure import Measure

from .solving import shipped
from .table import Table, Values

table = Table("order")


@table.row(
    "masks `causal`, `window` of 3, `alibi`, 40 tokens, $\\beta = 3$, $d = 5$: velocities, largest "
    "difference", "{:.0e}, {:.0e}, {:.0e}", source="sums written out", quick=True, rough=True,
)  # fmt: skip
def masks() -> Values:
    x = uniform_points(40, 5, np.random.default_rng(0))
    i = np.arange(40)
    behind = i[:, None] - i
    factors = {
        "causal": behind >= 0, "window": np.abs(behind) <= 3,
        "alibi": np.where(behind >= 0, np.exp(-(2.0 / 40) * behind), 0.0),
    }  # fmt: skip
    found = []
    for mask, factor in zip((Causal(), Window(3), Alibi(2.0)), factors.values(), strict=True):
        weights = np.exp(3.0 * x @ x.T) * factor
        pull = (weights / weights.sum(axis=1, keepdims=True)) @ x
        exact = pull - np.sum(pull * x, axis=1, keepdims=True) * x
        one = Composite((HeadMatrices(3.0 * np.eye(5), np.eye(5)),), "sa", 5)
        made = Masked(one, mask)
        found.append(float(np.max(np.abs(made.field(Measure.equal(x)).velocity(x) - exact))))
    return tuple(found)


def _mean(slices: int, **changes: Any) -> Array:
    case = shipped(
        "sliced", solver__slices=slices, geometry__vertices=128, model__beta=2.0, time__end=1.0,
        **{"time__outputs.every": 1.0, "output.figures": False, **changes},
    )  # fmt: skip
    series = mf.run(case, progress=False).series
    return np.array([series["mean_1"][-1], series["mean_2"][-1]])


@table.row(
    "density by position (`sliced.toml`, $\\beta = 2$, $t = 1$), $M = 4, 8, 16, 32$ slices: error "
    "of the mean", "{:.4f}, {:.4f}, {:.4f}, {:.5f}",
    source="256 slices; $M^{-2}\\log M$ is expected",
)  # fmt: skip
def slices() -> Values:
    exact = _mean(256)
    return tuple(float(np.linalg.norm(_mean(m) - exact)) for m in (4, 8, 16, 32))
