"""Transformer layers: explicit Euler steps of the tokens, each followed by layer normalisation.

    x_i <- N( x_i + h X[mu_n](x_i) ),      N(y) = y/|y|,  h = 1/L

L layers are the unit of time. (arXiv 2312.10794, section 2 and the authors' simulations, which add
the attention output A before its projection: as A = X + a x with a = <x, A>, that layer is this one
with the step h/(1 + h a) of each token; the two agree to O(h^2) in a layer.)

Where parameters depend on time a layer has those at its begin: in steps of 1/L they are weights
that each layer has of its own.

The model that the flow of ``particles`` is the limit of as L -> infinity, with an error of O(1/L).
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.dynamics.solver import State
from meanfield.dynamics.tokensolver import TokenSolver, TokenState, tokens_for
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction

__all__ = ["LayerSolver", "layers"]

_WHOLE = 1e-9  # of a layer: how near an output time counts as the end of a layer


class LayerSolver(TokenSolver):
    """Send tokens through layers.

    Args:
        interaction: the model; geometry "sphere", "circle" or "any".
        x0: (n, d) unit vectors.
        weights: (n,) masses >= 0, scaled to sum 1; None: equal ones.
        layer_step: time h = 1/L that a layer stands for, > 0.
        t: initial time.

    Attributes:
        t, step, dt: time, number of layers done, size of the last one.
        All others are those of ``TokenSolver``.

    Raises:
        InputError: parameters or tokens that cannot be used.
    """

    state_kind = TokenState
    ends_at_jumps = False

    @checked_arguments
    def __init__(
        self,
        interaction: AnyInteraction,
        x0: Array,
        weights: Array | None = None,
        *,
        layer_step: float,
        t: float = 0.0,
    ) -> None:
        self._x: Array = tokens_for(interaction, x0)
        if not 0.0 < layer_step < math.inf:
            raise InputError(f"a layer step of {layer_step:g} found, a finite number > 0 expected")
        super().__init__(interaction, self._x.shape, weights, t)
        self.layer_step = float(layer_step)

    @property
    def x(self) -> Array:
        """(n, d) tokens, unit vectors."""
        return self._x

    def field(self) -> AnyField:
        """The field of the current tokens in the layer that begins."""
        return self.interaction.field(self.measure(), self._begin)

    @property
    def _begin(self) -> float:
        """The time, as its parameters take it: times k/L of sums 1/L + 1/L + ... are equal."""
        jump = self.interaction.next_jump(self.t)
        return jump if jump - self.t <= _WHOLE * self.layer_step else self.t

    def velocity(self) -> Array:
        """X at the tokens, (n, d)."""
        return self.field().own_velocity()

    def state(self) -> TokenState:
        """Everything that a restart needs."""
        return TokenState(self.t, self.step, self.dt, self.x.copy())

    def _restore(self, state: State | None) -> None:
        assert isinstance(state, TokenState)
        self._x = state.x.copy()

    def _take(self, t_end: float) -> float:
        """Apply one layer, a shorter one if ``t_end`` comes before its end."""
        remaining = t_end - self.t
        dt = remaining if remaining <= self.layer_step * (1.0 + _WHOLE) else self.layer_step
        with self._timed("field"):
            velocity = self.velocity()
        y = self.interaction.manifold.retracted(self.x + dt * velocity)
        if y is None:
            raise BrokenInvariantError(
                f"a layer of step {dt:g} led to no direction at t = {self.t:.6g}"
            )
        self._x = y
        return dt


def layers(
    interaction: AnyInteraction,
    x0: Array,
    depth: int,
    *,
    weights: Array | None = None,
    horizon: float = 1.0,
) -> Array:
    """Tokens after each of ``depth`` layers that together last ``horizon``.

    Returns:
        (depth + 1, n, d): the input and the output of every layer.

    Raises:
        InputError: fewer than one layer, or what ``LayerSolver`` refuses.
    """
    if depth < 1:
        raise InputError(f"{depth} layers found, at least 1 expected")
    solver = LayerSolver(interaction, x0, weights, layer_step=horizon / depth)
    out = np.empty((depth + 1, *solver.x.shape))
    out[0] = solver.x
    for k in range(depth):
        # Counted, not accumulated: the last layer is as long as the others.
        solver.advance(horizon if k == depth - 1 else horizon * (k + 1) / depth)
        out[k + 1] = solver.x
    return out
