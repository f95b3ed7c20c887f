"""Causal tokens against their density by position."""

from __future__ import annotations

import pytest

import meanfield as mf
from meanfield.analysis.wasserstein import wasserstein
from meanfield.errors import InputError
from meanfield.studies.positions import sliced_against_tokens

TABLE: dict[str, dict[str, object]] = {
    "geometry": {"type": "circle", "vertices": 128},
    "model": {"attention": "sa", "beta": 2.0, "mask": "causal"},
    "initial": {
        "type": "by-position",
        "first": {"type": "von-mises-fisher", "mean": [1, 0], "concentration": 2.0},
        "last": {"type": "von-mises-fisher", "mean": [-0.3, 1.0], "concentration": 2.0},
    },
    "solver": {"type": "lagrangian", "slices": 8, "rtol": 1e-5},
    "time": {"end": 1.0},
}


def case(**sections: dict[str, object]) -> mf.Case:
    return mf.Case.from_dict({**TABLE, **sections})


def test_causal_tokens_come_near_the_density_as_draws_of_it_do() -> None:
    found = sliced_against_tokens(case(), [60, 480], 6, [0.0, 0.5], progress=False)
    assert [(one.t, one.n) for one in found] == [(0.0, 60), (0.0, 480), (0.5, 60), (0.5, 480)]
    start, later = found[:2], found[2:]
    for one in start:  # draws of the law, both
        assert 0.7 < one.ratio < 1.4
    for few, many in (start, later):
        assert many.floor < 0.5 * few.floor and many.w2 < 0.6 * few.w2
    assert later[1].ratio < 1.8


def test_causal_tokens_are_nearer_to_it_than_to_the_density_without_a_mask() -> None:
    """That the mask matters, where the law changes along the sequence."""
    without = {**TABLE, "model": {"attention": "sa", "beta": 2.0}, "solver": "lagrangian"}
    measures = []
    for made in (case(), mf.Case.from_dict(without)):
        ended = mf.run(made, progress=False).solver
        measures.append(mf.Measure(ended.positions(), ended.mass))
    tokens = case(solver={"type": "particles", "number": 1500, "rtol": 1e-4})
    x = mf.Measure.equal(mf.run(tokens, progress=False).solver.x)
    near, far = (wasserstein(x, measure, 2).distance for measure in measures)
    assert near < 0.6 * far


def test_on_the_sphere() -> None:
    first = {"type": "von-mises-fisher", "mean": [1, 0, 0], "concentration": 2.0}
    made = case(
        geometry={"type": "sphere", "level": 3},
        initial={"type": "by-position", "first": first, "last": {"type": "uniform"}},
        solver={"type": "lagrangian", "slices": 4, "rtol": 1e-4},
    )
    (one,) = sliced_against_tokens(made, [300], 2, [0.3], progress=False)
    assert 0.6 < one.ratio < 1.6 and 0.01 < one.floor < 0.5


def test_refused() -> None:
    plain = case(model={"attention": "sa", "beta": 2.0}, solver={"type": "lagrangian"})
    with pytest.raises(InputError, match=r"expected 'lagrangian' with model\.mask"):
        sliced_against_tokens(plain, [10])
    with pytest.raises(InputError, match=r"0 to time\.end = 1 expected"):
        sliced_against_tokens(case(), [10], times=[2.0])
    with pytest.raises(InputError, match="numbers = 1 found"):
        sliced_against_tokens(case(), [1])
