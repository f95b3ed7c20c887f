"""Renyi centres: by their definition, of any dimension, and those of the case."""

from __future__ import annotations

import numpy as np
import pytest
from processes import ROOT

import meanfield as mf
from meanfield.analysis.centres import renyi_centres
from meanfield.case.centres import centre_distance
from meanfield.dynamics.tokens import initial_tokens
from meanfield.errors import InputError

PATH = ROOT / "scripts" / "cases" / "centres.toml"


@pytest.mark.parametrize(("d", "distance"), [(2, 0.5), (3, 0.3), (8, 1.4)])
def test_definition(d: int, distance: float) -> None:
    x = mf.Uniform(d).sample(150, np.random.default_rng(d))
    angles = np.arccos(np.clip(x @ x.T, -1.0, 1.0))
    expected: list[int] = []
    for i in range(150):
        if all(angles[i, j] > distance for j in expected):
            expected.append(i)
    assert renyi_centres(x, distance).tolist() == expected
    assert 5 < len(expected) < 150


def test_on_a_line_of_angles() -> None:
    phi = np.array([0.0, 0.4, 0.7, -0.45, -0.9, 1.3, 3.1, -3.0])
    x = np.column_stack([np.cos(phi), np.sin(phi)])
    assert renyi_centres(x, 0.5).tolist() == [0, 2, 4, 5, 6]  # -3.0 is near 3.1
    assert renyi_centres(x, 4.0).tolist() == [0]
    assert renyi_centres(x, 1e-9).tolist() == list(range(8))


def test_refusals() -> None:
    with pytest.raises(InputError, match="distance: found 0"):
        renyi_centres(np.eye(2), 0.0)
    with pytest.raises(InputError, match="tokens"):
        renyi_centres(2.0 * np.eye(2), 0.5)


def test_nine_centres_of_the_case() -> None:
    case = mf.Case.from_toml(PATH)
    x = initial_tokens(case.initial, 200, case.seed)
    assert centre_distance(case) == 0.5
    assert len(renyi_centres(x, 0.5)) == 9


@pytest.mark.parametrize(
    "change",
    [{"model.mask": {"type": "window", "width": 3}}, {"model.value": -1}, {"model.beta": 0.0},
     {"model.kappa": 0.1}],
    ids=str,
)  # fmt: skip
def test_no_distance_of_other_models(change: dict[str, object]) -> None:
    assert centre_distance(mf.Case.from_toml(PATH, change)) is None
