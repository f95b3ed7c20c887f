"""Transformer layers: steps of the tokens, each followed by layer normalisation.

    x_i <- N( x_i + h X[mu_n](x_i) ),      N(y) = y/|y|,  h = 1/L

L layers are the unit of time. (arXiv 2312.10794, section 2 and the authors' simulations, which add
the attention output A before its projection: as A = X + a x with a = <x, A>, that layer is this one
with the step h/(1 + h a) of each token; the two agree to O(h^2) in a layer.) As layers are built,
with weights of their own, outputs as they are, and other normalisations: see ``Block``.

Where parameters depend on time a layer has those at its begin: in steps of 1/L they are weights
that each layer has of its own. Noise is a Brownian motion of the directions after each layer, of
the time kappa h.

The model that the flow of ``particles`` is the limit of as L -> infinity, with an error of O(1/L).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.case.normalisation import Post
from meanfield.dynamics.blocks import Block, Sum
from meanfield.dynamics.movingdiffusion import AnyDiffusion, diffusion_of
from meanfield.dynamics.noise import LENGTHS, start_generator, step_generator
from meanfield.dynamics.solver import State
from meanfield.dynamics.tokensolver import (
    TokenSolver,
    TokenState,
    check_noise,
    refuse_with_noise,
    tokens_for,
)
from meanfield.dynamics.vanishing import refuse_vanishing, sizes
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction
from meanfield.interaction.intime import InTime
from meanfield.interaction.measure import Measure

__all__ = ["LayerSolver", "LayerState", "layers"]

_WHOLE = 1e-9  # of a layer: how near an output time counts as the end of a layer
_NEAR = 1e-6  # the same where layers have weights of their own, beside what their time is


@dataclass(frozen=True, eq=False)
class LayerState(TokenState):
    """All that a restart needs.

    Attributes:
        length: (n,) lengths of the tokens.
        seed: of the noise.
    """

    length: Array
    seed: int

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Self:
        """The state from its ``values``; earlier ones had no lengths and no noise.

        Raises:
            InputError: one is missing.
        """
        x = values.get("x")
        earlier = {} if x is None else {"length": np.ones(len(np.asarray(x))), "seed": 0}
        return super().from_values({**earlier, **values})


class LayerSolver(TokenSolver):
    """Send tokens through layers.

    Args:
        interaction: the model; geometry "sphere", "circle" or "any".
        x0: (n, d) unit vectors.
        weights: (n,) masses >= 0, scaled to sum 1; None: equal ones.
        layer_step: time h = 1/L that a layer stands for, > 0.
        block: what a layer is; None: x <- N(x + h X).
        kappa: diffusion, the noise is sqrt(2 kappa) dB on the sphere; also in time.
        seed: of the noise, 0 <= seed < 2^64.
        t: initial time.

    Attributes:
        t, step, dt: time, number of layers done, size of the last one.
        All others are those of ``TokenSolver``.

    Raises:
        InputError: parameters or tokens that cannot be used.
    """

    state_kind = LayerState
    ends_at_jumps = False

    @checked_arguments
    def __init__(
        self,
        interaction: AnyInteraction,
        x0: Array,
        weights: Array | None = None,
        *,
        layer_step: float,
        block: Block | None = None,
        kappa: AnyDiffusion | InTime | float = 0.0,
        seed: int = 0,
        t: float = 0.0,
    ) -> None:
        self._x: Array = tokens_for(interaction, x0)
        if not 0.0 < layer_step < math.inf:
            raise InputError(f"a layer step of {layer_step:g} found, a finite number > 0 expected")
        self.block = Block(whole=False) if block is None else block
        diffusion = diffusion_of(kappa)
        check_noise(diffusion, seed)
        refuse_with_noise(diffusion.acts, self.block.scheme)
        super().__init__(interaction, self._x.shape, weights, t, diffusion)
        self.layer_step, self.seed = float(layer_step), int(seed)
        self._sublayers = self.block.sublayers or (interaction,)
        scheme = self.block.scheme
        self._r: Array = scheme.first_lengths(self.n, start_generator(self.seed, LENGTHS))
        plain = isinstance(scheme, Post) and self.block.residual == 1.0 and self.block.step is None
        self.follows_field = plain
        own = self.block.step is not None or self.block.residual != 1.0 or self.block.sublayers
        self._has_parts = not (own or self.block.whole or diffusion.largest > 0.0)
        self.timings["noise"] = 0.0
        if self.block.whole and any(part.excludes_self for part in self._sublayers):
            raise InputError(
                "outputs as they are found of an interaction that leaves own terms out, which are "
                "sums over all tokens: expected tangential outputs"
            )
        if self.block.whole and not interaction.manifold.whole:
            raise InputError(
                f"outputs as they are found on {interaction.manifold.symbol}, which they leave: "
                "the whole sphere expected, or tangential outputs"
            )
        step = self.block.step
        self.block.sums(self.layer_step if step is None else step, t)  # refused here, not later

    @property
    def x(self) -> Array:
        """(n, d) tokens, unit vectors."""
        return self._x

    @property
    def lengths(self) -> Array | None:
        return self._r if self.block.scheme.has_length else None

    @property
    def has_energy(self) -> bool:
        return super().has_energy and not self.block.scheme.sees_length

    def field(self) -> AnyField:
        """The field of the current tokens in the layer that begins."""
        return self.interaction.field(self.measure(), self._begin(self.interaction))

    def _begin(self, one: AnyInteraction | AnyDiffusion) -> float:
        """The time, as its parameters take it: times k/L of sums 1/L + 1/L + ... are equal."""
        jump = one.next_jump(self.t)
        return jump if jump - self.t <= _WHOLE * self.layer_step else self.t

    def velocity(self) -> Array:
        """How fast directions move for alpha = 1, gamma = 1/L and many layers, (n, d).

        X at the tokens, with the factor of the normalisation.
        """
        scheme = self.block.scheme
        if isinstance(scheme, Post):
            return self.field().own_velocity()
        found = np.zeros(self.x.shape)
        for part in self._sublayers:
            a = self._output(part)
            along, size = np.einsum("ij,ij->i", self.x, a), np.linalg.norm(a, axis=1)
            size = np.where(size > 0.0, size, 1.0)
            found += scheme.rates(along, size, self._r, self.t).factor[:, None] * a
        return self.interaction.manifold.tangential(self.x, found)

    def _seen(self) -> Array:
        """Tokens as outputs are of them, (n, d)."""
        return self._r[:, None] * self.x if self.block.scheme.sees_length else self.x

    def _output(self, part: AnyInteraction) -> Array:
        """What a sublayer gives the current tokens, (n, d)."""
        begin = self._begin(part)
        if self.block.whole:
            return part.outputs(self._seen(), self.weights, begin)
        return part.field(Measure(part.locate(self.x), self.weights), begin).own_velocity()

    def state(self) -> LayerState:
        """Everything that a restart needs."""
        return LayerState(
            self.t, self.step, self.dt, self.x.copy(), self._r.copy(), self.seed, **self._carried()
        )

    def _restore(self, state: State | None) -> None:
        assert isinstance(state, LayerState)
        self._x, self._r, self.seed = state.x.copy(), state.length.copy(), state.seed

    def _take(self, t_end: float) -> float:
        """Apply one layer, a shorter one if ``t_end`` comes before its end."""
        remaining, h = t_end - self.t, self.layer_step
        step = self.block.step
        # A layer that has no parts has no sliver beside it, either, of the round-off of t.
        dt = remaining if remaining <= h * (1.0 + (_WHOLE if self._has_parts else _NEAR)) else h
        if dt < (1.0 - _NEAR) * h and not self._has_parts:
            raise InputError(
                f"a time {t_end:g} within a layer found, of which two parts are another network "
                f"than it is: ends of layers expected, multiples of {h:g}"
            )
        sums = self.block.sums(dt if step is None else step, self.t)
        before = self._x, self._r
        try:
            for part, one in zip(self._sublayers, sums, strict=True):
                self._apply(part, one, dt)
        except BaseException:
            self._x, self._r = before
            raise
        self._shake(dt)
        return dt

    def _apply(self, part: AnyInteraction, one: Sum, dt: float) -> None:
        """Apply one sublayer."""
        with self._timed("field"):
            a = self._output(part)
        if one.unit:
            size = sizes(a)
            refuse_vanishing(
                self.block.scheme, part, self._seen(), self.weights, size, self._begin(part)
            )
            a = a / size[:, None]
        own = one.own * self._r[:, None] if one.long else one.own
        y = own * self._x + one.of * a
        x = self.interaction.manifold.retracted(y)
        if x is None:
            raise BrokenInvariantError(
                f"a layer of step {dt:g} led to no direction at t = {self.t:.6g}, of tokens "
                f"{self._r.min():.3g} to {self._r.max():.3g} long and outputs up to "
                f"{np.max(np.abs(a)):.3g}; expected an earlier end or a smaller step"
            )
        self._x = x
        if one.long:
            self._r = np.sqrt(np.einsum("ij,ij->i", y, y))

    def _shake(self, dt: float) -> None:
        """The noise of a layer: of its number and the seed alone."""
        kappa = self.diffusion_in_time.at(self._begin(self.diffusion_in_time)).kappa
        if kappa > 0.0:
            with self._timed("noise"):
                rng = step_generator(self.seed, self.step)
                self._x = self.interaction.manifold.brownian(self._x, kappa * dt, rng)


@checked_arguments
def layers(
    interaction: AnyInteraction,
    x0: Array,
    depth: int,
    *,
    weights: Array | None = None,
    horizon: float = 1.0,
    block: Block | None = None,
) -> Array:
    """Tokens after each of ``depth`` layers that together last ``horizon``.

    Args:
        interaction, x0, weights, block: as for ``LayerSolver``.
        depth: number of layers, >= 1.
        horizon: their time.

    Returns:
        (depth + 1, n, d): directions at the input and the output of every layer.

    Raises:
        InputError: fewer than one layer, or what ``LayerSolver`` refuses.

    Example:
        >>> attention = mf.Attention('sa', beta=4.0, d=3)
        >>> x = mf.Uniform(3).sample(100, np.random.default_rng(0))
        >>> mf.layers(attention, x, 10).shape
        (11, 100, 3)
    """
    if depth < 1:
        raise InputError(f"{depth} layers found, at least 1 expected")
    solver = LayerSolver(interaction, x0, weights, layer_step=horizon / depth, block=block)
    out = np.empty((depth + 1, *solver.x.shape))
    out[0] = solver.x
    for k in range(depth):
        # Counted, not accumulated: the last layer is as long as the others.
        solver.advance(horizon if k == depth - 1 else horizon * (k + 1) / depth)
        out[k + 1] = solver.x
    return out
