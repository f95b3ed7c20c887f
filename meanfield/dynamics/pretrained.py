"""The layers of a pretrained transformer as they are: hidden states, of which directions are told.

A layer is applied when its unit of time is over: at time t the tokens are those after floor(t)
layers, where a t that is a whole number to round-off counts as one. Lengths are part of the state;
what others see are directions, on the sphere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.dynamics.solver import State
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.pretrained import Transformer

__all__ = ["TransformerSolver", "TransformerState"]

_ROUND_OFF = 4.0 * float(np.finfo(np.float64).eps)  # of sums of output times, such as 3 (1/3)


def _over(t: float) -> int:
    """Layers that are over at a time."""
    return math.floor(t * (1.0 + _ROUND_OFF))


@dataclass(frozen=True, eq=False)
class TransformerState(State):
    """All that a restart needs.

    Attributes:
        hidden: (n, d) hidden states.
    """

    hidden: Array


class TransformerSolver(TokenSolver):
    """Send tokens through the layers of a transformer.

    Args:
        interaction: the model whose field is told beside; geometry "any".
        x0: (n, d) hidden states before the first layer, in the order of the tokens.
        transformer: the layers.
        t: initial time.

    Attributes:
        hidden: (n, d) hidden states, of any length.
        All others are those of ``TokenSolver``.

    Raises:
        InputError: another dimension, or a token without a direction.
    """

    state_kind = TransformerState
    ends_at_jumps = False

    @checked_arguments
    def __init__(
        self, interaction: AnyInteraction, x0: Array, *, transformer: Transformer, t: float = 0.0
    ) -> None:
        found = real_array(x0, "tokens", f"(n, {transformer.d}) numbers")
        if found.ndim != 2 or found.shape[1] != transformer.d or not len(found):
            raise InputError(
                f"tokens: an array of shape {found.shape} found, (n, {transformer.d}) expected"
            )
        if interaction.d != transformer.d:
            raise InputError(
                f"interaction: one of d = {interaction.d} found, {transformer.d} expected"
            )
        super().__init__(interaction, found.shape, None, t)
        self.transformer = transformer
        self._set(np.array(found))
        try:
            self.check()
        except BrokenInvariantError as error:
            raise InputError(f"tokens: {error}") from None

    def _set(self, hidden: Array) -> None:
        self.hidden = hidden
        self._ahead: Array | None = None
        largest = np.max(np.abs(hidden), axis=1, keepdims=True)  # so that squares are doubles
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = hidden / largest
            self._x: Array = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)

    @property
    def x(self) -> Array:
        """(n, d) directions of the hidden states."""
        return self._x

    @property
    def lengths(self) -> Array:
        """(n,) lengths of the hidden states."""
        return np.asarray(np.linalg.norm(self.hidden, axis=1))

    def _next(self) -> Array:
        """Hidden states after the layer that is being waited for."""
        if self._ahead is None:
            with self._timed("field"):
                self._ahead = self.transformer.after(self.hidden, _over(self.t))
        return self._ahead

    def velocity(self) -> Array:
        """How the layer that follows changes directions, to first order: P (x' - x)/|x|, (n, d)."""
        change = (self._next() - self.hidden) / self.lengths[:, None]
        return tangent_project(self._x, change)

    def state(self) -> TransformerState:
        """Everything that a restart needs."""
        return TransformerState(self.t, self.step, self.dt, self.hidden.copy())

    def _restore(self, state: State | None) -> None:
        assert isinstance(state, TransformerState)
        self._set(state.hidden.copy())

    def _refuse_state(self, state: State) -> None:
        assert isinstance(state, TransformerState)
        if state.hidden.shape != self.hidden.shape:
            raise InputError(
                f"a state of shape {state.hidden.shape} found, {self.hidden.shape} expected"
            )

    def _take(self, t_end: float) -> float:
        """Wait until ``t_end``, or apply the layer whose time is over before."""
        if _over(t_end) > _over(self.t):
            self._set(self._next())
            self.check()
        return self._after(0.0, t_end) - self.t

    def _after(self, dt: float, t_end: float) -> float:
        """The end of a layer is a whole number."""
        return min(t_end, _over(self.t) + 1.0)

    def check(self) -> None:
        """Refuse hidden states that have no direction."""
        if not np.all(np.isfinite(self._x)):
            raise BrokenInvariantError(f"a token without a direction at t = {self.t:.6g}")
