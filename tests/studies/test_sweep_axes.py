"""Ranges of a sweep: what they mean, and what is refused by one line."""

from __future__ import annotations

import re

import numpy as np
import pytest

import meanfield as mf
from meanfield.studies.sweep.axes import as_vary, axes_of, parse_axes, parse_range


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.beta=.1:.5:5", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("model.beta=log:.5:50:3", [0.5, 5.0, 50.0]),
        ("geometry.d=log:2:128:3", [2, 16, 128]),
        ("geometry.d=2:8:3", [2, 5, 8]),
        ("geometry.d=2:3:3", [2.0, 2.5, 3.0]),
        ("geometry.d=2,8,32", [2, 8, 32]),
        ("solver.type=eulerian, lagrangian", ["eulerian", "lagrangian"]),
        ("model.beta=.5", [0.5]),
        ("time.outputs=[0, 1],[0, 2]", [[0, 1], [0, 2]]),
        ("title='a,b',c", ["a,b", "c"]),
    ],
)
def test_a_range_has_these_values(text: str, values: list[object]) -> None:
    key, found = parse_range(text)
    assert key == text.partition("=")[0]
    assert found == values
    assert [type(v) for v in found] == [type(v) for v in values]


def test_zipped_ranges_are_one_axis() -> None:
    axes = parse_axes(
        [(False, "model.beta=1,2"), (True, "model.kappa=.1,.2"), (False, "geometry.d=2,3,4")]
    )
    assert [axis.keys for axis in axes] == [("model.beta", "model.kappa"), ("geometry.d",)]
    assert axes[0].values == ((1, 0.1), (2, 0.2))
    assert axes_of(as_vary(axes)) == axes


def test_arrays_of_numpy_are_plain_numbers() -> None:
    (axis,) = axes_of({"geometry.d": np.array([2, 3])})
    assert axis.values == ((2,), (3,))
    assert type(axis.values[0][0]) is int


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([(False, "model.beta")], "expected KEY=A:B:N"),
        ([(False, "model.beta=1:2:1")], "found 1 values, expected 2 to"),
        ([(False, "model.beta=1:b:3")], "expected two numbers"),
        ([(False, "model.beta=lag:1:2:3")], "found the scale 'lag', expected linear or log"),
        ([(False, "model.beta=log:0:2:3")], "above 0 on a log scale"),
        ([(False, "model.beta=[1,2")], "--vary .*not valid TOML"),
        ([(True, "model.beta=1,2")], "--zip .*no --vary before it"),
        ([(False, "model.beta=1,2"), (True, "geometry.d=2,3,4")], "found 3 values, expected 2"),
        ([(False, "model.beta=1,2"), (False, "model.beta=3")], "model.beta: found twice"),
        ([(False, "seed=1,2")], "expected --seeds N"),
    ],
)
def test_what_is_no_range_is_refused(words: list[tuple[bool, str]], message: str) -> None:
    with pytest.raises(mf.InputError, match=message) as refused:
        parse_axes(words)
    assert "\n" not in str(refused.value)


def test_what_is_no_list_of_values_is_refused() -> None:
    with pytest.raises(mf.InputError, match=re.escape("vary['model.beta']")):
        axes_of({"model.beta": "12"})
    with pytest.raises(mf.InputError, match="expected 2 values"):
        axes_of({("model.beta", "geometry.d"): [(1, 2), (3,)]})
