"""One layer on equiangular tokens: the closed form, a layer written out, and the limit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from meanfield.analysis.onelayer import layer_cosine, transition_cosine
from meanfield.dynamics.equiangular import equiangular_tokens
from meanfield.errors import InputError


@pytest.mark.parametrize(("gamma", "cosine"), [(1.5, 0.977942), (2.0, 0.800280)])
def test_known_values(gamma: float, cosine: float) -> None:
    found = float(layer_cosine(0.5, gamma * np.log(1000), 1000))
    assert found == pytest.approx(cosine, abs=5e-7)


@pytest.mark.parametrize(("alpha", "step"), [(0.0, 1.0), (1.0, 0.3), (0.5, -0.4)])
@pytest.mark.parametrize("beta", [-3.0, 0.0, 2.0, 40.0])
@pytest.mark.parametrize("rho", [-0.1, 0.0, 0.4, 0.99])
def test_a_layer_written_out(alpha: float, step: float, beta: float, rho: float) -> None:
    x = equiangular_tokens(9, 9, rho, np.random.default_rng(1))
    weights = np.exp(beta * (x @ x.T - 1.0))
    y = alpha * x + step * weights @ x / weights.sum(axis=1, keepdims=True)
    gram = y @ y.T
    cosines = gram[0, 1:] / gram[0, 0]
    np.testing.assert_allclose(cosines, float(layer_cosine(rho, beta, 9, alpha, step)), atol=1e-11)


def test_the_transition() -> None:
    """At n = 1e8 within 2 % of the limit, 25 % away from gamma (1 - rho) = 1; its value on it."""
    n = 10**8
    for rho in (0.2, 0.5, 0.8):
        for reach in (0.5, 0.75, 1.25, 1.5):
            gamma = reach / (1.0 - rho)
            found = float(layer_cosine(rho, gamma * np.log(n), n))
            assert found == pytest.approx(float(transition_cosine(rho, gamma)), abs=0.02)
        gamma = 1.0 / (1.0 - rho)
        found = float(layer_cosine(rho, gamma * np.log(n), n))
        assert found == pytest.approx(4.0 * rho / (1.0 + 3.0 * rho), abs=1e-6)
    np.testing.assert_allclose(transition_cosine(0.5, np.array([1.0, 2.0, 3.0])), [1.0, 0.8, 0.5])


def test_extremes_are_no_surprise() -> None:
    np.testing.assert_allclose(layer_cosine(0.5, np.array([0.0, 4000.0]), 10), [1.0, 0.5])
    assert np.isnan(float(layer_cosine(-1 / 9, 0.0, 10)))  # all outputs are zero
    with pytest.raises(InputError, match="expected 2 or more"):
        layer_cosine(0.5, 1.0, 1)
    with pytest.raises(InputError, match=r"-0\.111111 to 1"):
        layer_cosine(-0.2, 1.0, 10)


def test_outputs_that_cancel_have_no_direction() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(float(layer_cosine(1.0, 3.0, 5, 1.0, -1.0)))
        assert float(layer_cosine(0.5, -1e4, 5)) == pytest.approx(float(layer_cosine(0.5, -1e3, 5)))
