"""Tokens on one process, whoever moves them: what they are, and their measure.

Knows tokens, an interaction and the state; nothing of meshes, files, cases or observers.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import TypedDict

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.case.normalisation import Normalisation
from meanfield.collective import Alone
from meanfield.dynamics.movingdiffusion import AnyDiffusion
from meanfield.dynamics.solver import Solver, State
from meanfield.dynamics.tangents import Tangents
from meanfield.dynamics.tokens import checked_weights
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction
from meanfield.interaction.measure import Measure

__all__ = [
    "Carried",
    "TokenSolver",
    "TokenState",
    "check_noise",
    "refuse_with_noise",
    "tokens_for",
]


@dataclass(frozen=True, eq=False)
class TokenState(State):
    """All that a restart needs.

    Attributes:
        x: (n, d) tokens.
        tangents: (k, n, d) directions that are carried along (``dynamics.tangents``), none: k = 0.
        growth: log of the factor that they are divided by.
    """

    x: Array
    tangents: Array = field(default_factory=lambda: np.zeros((0, 0, 0)), kw_only=True)
    growth: float = field(default=0.0, kw_only=True)


class Carried(TypedDict):
    """What a state has beside the tokens."""

    tangents: Array
    growth: float


class TokenSolver(Solver):
    """Tokens on one process; subclasses move them.

    Args:
        interaction: the model; geometry "sphere", "circle" or "any".
        shape: number of tokens, dimension.
        weights: (n,) masses >= 0, scaled to sum 1; None: equal ones.
        t: initial time.
        diffusion: what their noise makes of a law; None: there is none.

    Attributes:
        n, d: number of tokens, dimension.
        weights: (n,) masses, sum one.
        tangents: directions that are carried along; None: there are none.
        All others are those of ``Solver``.
    """

    tangents: Tangents | None = None
    follows_field: bool = True
    """Whether tokens move as the field of the interaction says, so that its rates are theirs."""

    def __init__(
        self, interaction: AnyInteraction, shape: tuple[int, int], weights: Array | None, t: float,
        diffusion: AnyDiffusion | None = None,
    ) -> None:  # fmt: skip
        super().__init__(interaction, Alone(), t, diffusion=diffusion)
        self.n, self.d = shape
        self.weights = checked_weights(weights, self.n)

    @property
    @abstractmethod
    def x(self) -> Array:
        """(n, d) tokens, unit vectors."""

    @property
    def lengths(self) -> Array | None:
        """(n,) lengths of the tokens, whose directions ``x`` are; None: they have none."""
        return None

    rescales: bool = False
    """Whether ``rescaled`` knows what undoes the growth of tokens."""

    def rescaled(self) -> Array | None:
        """(n, d) tokens whose growth is undone, where they grow and it is known; else None."""
        return None

    @property
    def has_energy(self) -> bool:
        """Whether there is an energy that the flow increases."""
        return self.interaction.energy_kind is not None

    @abstractmethod
    def velocity(self) -> Array:
        """X at the tokens, (n, d)."""

    def measure(self) -> Measure:
        """The empirical measure of the tokens."""
        return Measure(self.interaction.locate(self.x), self.weights)

    def field(self) -> AnyField:
        """The field of the current tokens."""
        return self.interaction.field(self.measure(), self.t)

    def _flow(self) -> tuple[Array, Array]:
        return self.velocity(), self.weights

    # ------------------------------------------------------------------ tangents

    @checked_arguments
    def carry(self, most: int, seed: int = 0) -> None:
        """Carry tangents along from here on, see ``dynamics.tangents``: two steps more for each.

        Args:
            most: number of directions; n (d - 1) or more: all.
            seed: of random ones.

        Raises:
            InputError: there can be none.
        """
        if self.diffusion_in_time.largest > 0.0:
            raise InputError(
                f"tangents = {most} found with noise of each token (kappa > 0), which is another "
                "for twins: expected kappa = 0, or common_noise"
            )
        if self.lengths is not None:
            raise InputError(
                f"tangents = {most} found with tokens that have lengths, which would be directions "
                "of their own: expected a normalisation without lengths, or no tangents"
            )
        on, width = self.interaction.manifold, self.interaction.width
        self.tangents = Tangents(self.x, most, on, seed, width)

    def _carried(self) -> Carried:
        carried = self.tangents
        if carried is None:
            return {"tangents": np.zeros((0, 0, 0)), "growth": 0.0}
        return {"tangents": carried.vectors.copy(), "growth": carried.scale}

    def advance(self, t_end: float) -> float:
        """As ``Solver``, and the tangents with it."""
        if self.tangents is None:
            return super().advance(t_end)
        before = self.state()
        assert isinstance(before, TokenState)
        dt = super().advance(t_end)
        after = self.state()
        assert isinstance(after, TokenState)
        try:
            self.tangents.follow(
                before.x, after.x, lambda x: self._again(replace(before, x=x), after.t)
            )
        except BrokenInvariantError:
            self.restore(before)
            raise
        super().restore(after)
        return dt

    def _again(self, state: TokenState, t: float) -> Array:
        """Where the step from a state to time ``t`` leads."""
        super().restore(state)
        super().advance(t)
        return self.x

    def restore(self, state: State | None) -> None:
        """As ``Solver``, with the tangents."""
        super().restore(state)
        if self.tangents is not None:
            assert isinstance(state, TokenState)
            self.tangents.restore(state.tangents, state.growth)

    def check(self) -> None:
        """Refuse tokens that are none; see ``Solver``."""
        if not np.all(np.isfinite(self.x)):
            raise BrokenInvariantError(f"tokens not finite at t = {self.t:.6g}")

    def _refuse_state(self, state: State) -> None:
        assert isinstance(state, TokenState)
        shape = state.x.shape
        if shape != (self.n, self.d):
            raise InputError(
                f"a state of {shape[0]} tokens in dimension {shape[1]} found, {self.n} in "
                f"dimension {self.d} expected"
            )


def tokens_for(interaction: AnyInteraction, x0: Array) -> Array:
    """Tokens (n, d) that can have this model, of unit length.

    Raises:
        InputError: the zonal geometry, velocities that are no doubles, or what are no tokens.
    """
    if interaction.manifold.latitudes:
        raise InputError(
            "the zonal geometry found for tokens, whose points are whole circles of latitude; "
            "geometry 'any' with the same d expected"
        )
    interaction.refuse_overflow()
    x = unit_vectors(x0, interaction.d, "tokens")
    if not len(x):
        raise InputError(f"tokens: an array of shape {x.shape} found, at least one row expected")
    interaction.refuse_number(len(x))
    return interaction.manifold.onto(x)


def check_noise(diffusion: AnyDiffusion, seed: int) -> None:
    """Refuse what is no noise of tokens.

    Raises:
        InputError: an exponent of the diffusion, or a seed out of range.
    """
    if diffusion.acts and diffusion.exponent != 1.0:
        raise InputError(
            f"exponent = {diffusion.exponent:g} found, 1 expected: the noise of tokens is linear "
            "diffusion"
        )
    if not 0 <= seed < 2**64:
        raise InputError(f"seed = {seed} found, 0 <= seed < 2^64 expected")


def refuse_with_noise(noisy: bool, scheme: Normalisation) -> None:
    """Refuse noise where tokens have lengths.

    Raises:
        InputError: there is both.
    """
    if noisy and scheme.has_length:
        raise InputError(
            f"normalisation '{scheme.type}' with noise found, which would change lengths, too, and "
            "none says how; expected kappa = 0 and common_noise = 0, or a scheme without lengths"
        )
