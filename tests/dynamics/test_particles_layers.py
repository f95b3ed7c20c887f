"""Layers: what one does, convergence to the flow, the interface of a solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from convergence import rates

from meanfield.case import Particles
from meanfield.dynamics.layers import LayerSolver, layers
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.tokens import initial_tokens
from meanfield.errors import InputError
from meanfield.geometry.laws import standard_density
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.attention import Attention


def _output(x: Array, weights: Array, beta: float, model: str) -> Array:
    """The attention output before any projection."""
    kernel = np.exp(beta * x @ x.T) * weights
    return (kernel / kernel.sum(axis=1, keepdims=True) if model == "sa" else kernel) @ x


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize(("model", "h"), [("sa", 0.1), ("usa", 0.01)])
def test_a_layer_is_an_euler_step_and_a_normalisation(model: Any, h: float, value: int) -> None:
    rng = np.random.default_rng(0)
    x, weights = uniform_points(30, 5, rng), rng.dirichlet(np.ones(30))
    solver = LayerSolver(Attention(model, 3.0, 5, value=value), x, weights, layer_step=h)
    assert solver.advance(1.0) == h and solver.t == h and solver.step == 1
    full = value * _output(x, weights, 3.0, model)
    along = np.sum(full * x, axis=1, keepdims=True)
    y = x + h * (full - along * x)
    np.testing.assert_allclose(solver.x, y / np.linalg.norm(y, axis=1, keepdims=True), atol=1e-13)
    # The layer without the projection (the authors' simulation) is this one at another step.
    z = x + h * full
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    same = x + h / (1.0 + h * along) * (full - along * x)
    np.testing.assert_allclose(z, same / np.linalg.norm(same, axis=1, keepdims=True), atol=1e-13)
    assert np.max(np.abs(z - solver.x)) < 10.0 * h**2 * np.max(np.abs(full)) ** 2


@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("any", 8)])
def test_layers_converge_to_the_flow_at_first_order(geometry: str, d: int) -> None:
    x0 = uniform_points(100, d, np.random.default_rng(d))
    attention = Attention("sa", 4.0, d, geometry)
    flow = ParticleSolver(attention, x0, options=Particles(rtol=1e-9, atol=1e-12))
    while flow.t < 3.0:
        flow.advance(3.0)

    def error(depth: int) -> float:
        tokens = layers(attention, x0, depth, horizon=3.0)
        assert tokens.shape == (depth + 1, 100, d)
        np.testing.assert_allclose(tokens[0], x0, rtol=0, atol=1e-15)
        return float(np.max(np.linalg.norm(tokens[-1] - flow.x, axis=1)))

    rates(error, (30, 60, 120)).check(0.85, 1.2, 0.05, each=True)


def test_landing_restart_and_refusals() -> None:
    attention = Attention("sa", 4.0, 3, "sphere")
    x0 = initial_tokens(standard_density(), 50, 0)
    solver = LayerSolver(attention, x0, layer_step=0.1)
    for end in (0.1, 0.3, 1.0):
        while solver.t < end:
            solver.advance(end)
        assert solver.t == end
    assert solver.step == 10  # no slivers by round-off
    state = solver.state()
    assert solver.advance(1.04) == pytest.approx(0.04)
    again = LayerSolver(attention, x0, layer_step=0.1)
    again.restore(state)
    again.advance(1.04)
    np.testing.assert_array_equal(again.x, solver.x)
    assert (again.t, again.step, again.dt) == (solver.t, solver.step, solver.dt)
    np.testing.assert_array_equal(solver.velocity(), solver.field().velocity(solver.x))
    assert solver.measure().weights.sum() == pytest.approx(1.0)
    with pytest.raises(InputError, match=r"after t = 1\.04"):
        solver.advance(1.0)
    with pytest.raises(InputError, match="layer step of 0"):
        LayerSolver(attention, x0, layer_step=0.0)
    with pytest.raises(InputError, match="0 layers"):
        layers(attention, x0, 0)
    with pytest.raises(InputError, match="expected"):
        again.restore(LayerSolver(attention, x0[1:], layer_step=0.1).state())
