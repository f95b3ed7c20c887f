"""Outputs of attention before they are projected, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.case import Model, Unmeshed
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.measure import Measure
from meanfield.options import made_from

_RNG = np.random.default_rng(5)
_Q, _K, _V = _RNG.normal(size=(3, 2, 4, 4)) / 2.0
_ONSAGER = {"type": "onsager"}
_HEADS = [{"beta": 1.5, "Q": _Q[h], "K": _K[h], "V": _V[h]} for h in range(2)]


def _model(d: int, **keys: object) -> AnyInteraction:
    table = {name: value for name, value in keys.items() if value is not None}
    return made_from(Model, table).on(Unmeshed(d=d))


def _reference(x: Array, m: Array, normalised: bool, seen: Array | None = None) -> Array:
    out = np.zeros_like(x)
    for h in range(2):
        e = m * np.exp(1.5 * (x @ _Q[h].T) @ (x @ _K[h].T).T)
        e = e if seen is None else e * seen
        over = e.sum(axis=1) if normalised else np.ones(len(x))
        if seen is not None and not normalised:
            over = seen @ m
        out += (e @ x @ _V[h].T) / over[:, None]
    return out


@pytest.mark.parametrize("attention", ["sa", "usa"])
@pytest.mark.parametrize("mask", [None, "causal"])
def test_heads(attention: str, mask: str | None) -> None:
    x = _RNG.normal(size=(30, 4)) * 0.8
    m = _RNG.dirichlet(np.ones(30))
    model = _model(4, attention=attention, heads=_HEADS, mask=mask)
    seen = None if mask is None else np.tril(np.ones((30, 30)))
    want = _reference(x, m, attention == "sa", seen)
    np.testing.assert_allclose(model.outputs(x, m), want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("attention", ["sa", "usa"])
@pytest.mark.parametrize("value", [1, -1])
def test_short_form_and_its_projection(attention: str, value: int) -> None:
    x = _RNG.normal(size=(40, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    m = _RNG.dirichlet(np.ones(40))
    model = _model(3, attention=attention, beta=2.5, value=value)
    a = model.outputs(x, m)
    e = m * np.exp(2.5 * x @ x.T)
    want = value * (e @ x) / (e.sum(axis=1, keepdims=True) if attention == "sa" else 1.0)
    np.testing.assert_allclose(a, want, rtol=1e-12)
    velocity = model.field(Measure(x, m)).own_velocity()
    np.testing.assert_allclose(tangent_project(x, a), velocity, rtol=1e-9, atol=1e-11)


def test_drifts_are_added_or_not() -> None:
    x, m = _RNG.normal(size=(20, 4)), np.full(20, 0.05)
    w = _RNG.normal(size=(4, 4))
    model = _model(4, attention="sa", heads=_HEADS, drift={"matrix": w})
    alone, both = (model.outputs(x, m, beside=beside) for beside in (False, True))
    np.testing.assert_allclose(both - alone, x @ w.T, rtol=1e-10, atol=1e-12)


def test_other_kinds_have_none() -> None:
    x, m = _RNG.normal(size=(20, 4)), np.full(20, 0.05)
    for model in (_model(3, attention="linear", beta=1.0), _model(3, interaction=_ONSAGER)):
        with pytest.raises(InputError, match="outputs before their projection"):
            model.outputs(x[:, :3], m)
