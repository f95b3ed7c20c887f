"""The equiangular time of the points of a sweep, where it is known, and where it is not."""

from __future__ import annotations

import math

import pytest

import meanfield as mf
from meanfield.analysis import exact
from meanfield.studies.sweeptheory import theory_of


def case(**changes: object) -> mf.Case:
    raw: dict[str, object] = {
        "geometry": {"type": "unmeshed", "d": 64},
        "model": {"attention": "sa", "beta": 1.0},
        "initial": {"type": "uniform"},
        "solver": {"type": "particles", "number": 32},
        "time": {"end": 1.0},
    }
    for key, value in changes.items():
        raw[key] = {**raw[key], **value} if key != "initial" else value  # type: ignore[dict-item]
    return mf.Case.from_dict(raw)


def test_known_times() -> None:
    found = theory_of([case(), case(model={"beta": 3.0})], 1e-3)
    assert found == [pytest.approx(5.27028, abs=5e-6), pytest.approx(5.89761, abs=5e-6)]


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize("beta", [-1.0, 0.0, 4.0])
def test_time_is_that_of_the_solution(kind: str, beta: float) -> None:
    (time,) = theory_of([case(model={"attention": kind, "beta": beta})], 0.01)
    assert time is not None
    gamma = exact.equiangular_solution(time, 0.0, kind, beta, 32)  # type: ignore[arg-type]
    assert float(gamma) == pytest.approx(0.99, abs=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"geometry": {"d": 31}},
        {"model": {"value": -1}},
        {"model": {"kappa": 0.1}},
        {"model": {"attention": "linear"}},
        {"model": {"beta": {"times": [0.0, 1.0], "values": [1.0, 2.0]}}},
        {"model": {"drift": {"matrix": "identity"}}},
        {"model": {"beta": 1500.0}},  # later than any number
        {"initial": {"type": "von-mises-fisher", "mean": "e_d", "concentration": 1.0}},
        {"solver": {"exclude_self": True}},
        {"solver": {"number": 1}},
        {"solver": {"type": "layers", "layers": 4}},
    ],
    ids=str,
)
def test_no_time_where_the_formula_does_not_hold(changes: dict[str, object]) -> None:
    assert theory_of([case(), case(**changes)], 1e-3)[1] is None


def test_as_many_dimensions_as_tokens_are_enough() -> None:
    (time,) = theory_of([case(geometry={"d": 32})], 1e-3)
    assert time is not None and math.isfinite(time)
