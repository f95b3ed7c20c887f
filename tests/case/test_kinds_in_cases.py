"""[model] attention by its kind: what a case gives to solvers, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import small, small_tokens

import meanfield as mf
from meanfield.interaction.composite import Composite
from meanfield.interaction.measure import Measure

X = np.random.default_rng(0).normal(size=(20, 3))
X /= np.linalg.norm(X, axis=1, keepdims=True)
MU = Measure.equal(X)


def velocity(**model: object) -> np.ndarray:
    made = mf.Model(**model).on(mf.Sphere(level=2))  # type: ignore[arg-type]
    assert isinstance(made, Composite)
    return made.field(MU).velocity(X)


SHORT: dict[str, dict[str, object]] = {
    "linear": {"beta": 2.0},
    "hardmax": {},
    "l2": {"beta": 3.0},
    "sigmoid": {"beta": 3.0, "bias": -2.0},
    "sinkhorn": {"beta": 3.0, "tolerance": 1e-11},
}


@pytest.mark.parametrize("kind", SHORT)
def test_the_short_form_is_one_head(kind: str) -> None:
    more = SHORT[kind]
    beta = {name: value for name, value in more.items() if name == "beta"}
    rest = {name: value for name, value in more.items() if name != "beta"}
    head = mf.Head(**beta, Q="identity", V=-np.eye(3))  # type: ignore[arg-type]
    long = velocity(attention=kind, heads=[head], **rest)
    assert np.max(np.abs(velocity(attention=kind, value=-1, **more) - long)) <= 1e-12
    assert np.max(np.abs(long)) > 1e-3 or kind == "hardmax"


@pytest.mark.parametrize("kind", SHORT)
def test_a_case_of_a_kind_is_written_and_read(kind: str) -> None:
    case = small(model={"attention": kind, **SHORT[kind]})
    again = mf.Case.from_dict(case.to_dict())
    assert again == case and again.model.attention == kind
    assert kind in case.model.describe()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"attention": "hardmax", "beta": 4.0}, "beta: found 4 together with hardmax attention"),
        (
            {"attention": "hardmax", "heads": [{"beta": 2.0}]},
            "heads[0].beta: found 2 together with hardmax attention",
        ),
        ({"attention": "linear"}, "model.beta is missing"),
        (
            {"attention": "sa", "beta": 1.0, "bias": 2.0},
            'model.bias: found 2, which only attention = "sigmoid" has; expected none',
        ),
        ({"attention": "l2", "heads": [{"A": np.eye(3)}]}, "A: found with l2 attention"),
        ({"attention": "linear", "heads": [{"Q": "identity"}]}, "heads[0].beta is missing"),
        ({"attention": "lineal", "beta": 1.0}, "found 'lineal' (did you mean 'linear'?)"),
    ],
)
def test_what_a_kind_does_not_have_is_refused(model: dict[str, object], words: str) -> None:
    with pytest.raises(mf.InputError, match=re.escape(words)):
        small(model=model)


def test_stationary_states_need_an_energy() -> None:
    case = small(model={"attention": "linear", "beta": 1.0})
    assert case.model.gibbs(3).is_linear
    with pytest.raises(mf.InputError, match=r"model\.attention: found what is no zonal kernel"):
        _ = case.model.term
    for kind in ("sinkhorn", "l2"):
        other = small(model={"attention": kind, "beta": 1.0})
        with pytest.raises(mf.InputError, match=rf"model\.attention: {kind}"):
            other.model.gibbs(3)


def test_another_attention_by_an_override_leaves_beta_out() -> None:
    assert small({"model.attention": "hardmax"}).model.beta is None
    assert small_tokens({"model.attention": "linear"}).model.beta == 4.0
