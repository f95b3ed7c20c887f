"""Attention of a density by position: mu(s, x), s in (0, 1] the place in the sequence, in M slices.

    X_a = X[nu_a],   nu_a = sum_b w_ab mu_b / Z_a,   Z_a = sum_b w_ab mu_b(S)

of slice a, w_ab the factors of a mask (``masks.Slices``) and X[nu] the field of attention without
one (arXiv 2605.09213). That is sa; usa: Z_a is the mass that
slice a sees, as for tokens (``masked``). It is the limit of tokens i at s = i/n, n to infinity; a
token's own term, 1/n, is gone. So for s to 0 nothing is left of a first token that sees itself
alone: what is seen is mu(0, .), all of it, and the first slice moves as attention without a mask
does. Where the initial law does not depend on s, nothing of sa does at any time: the means of equal
measures are equal.

Where mu is smooth in s, errors fall like M^-2 log M: half of its own slice is what a slice sees of
it, taken as constant there, and this is more of the little that the first ones see.

The measure has M blocks of points, as many in each. By transforms: moments of each block, combined
by the (M, M) factors, synthesised at the points of the block that they move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.masks import Slices
from meanfield.interaction.measure import Measure, plain
from meanfield.interaction.onesided import OneSided, OneSidedField

__all__ = ["Sliced"]


class SlicedField(OneSidedField):
    """What slices do to each other, known at points in as many blocks as there are slices."""

    def __init__(self, model: Sliced, measure: Measure, moments: Array | None, t: float) -> None:
        super().__init__(measure, moments, t, None)
        self.interaction = model

    @cached_property
    def mass(self) -> float:
        """Total mass."""
        return float(np.sum(self.measure.weights))

    @cached_property
    def slices(self) -> tuple[AnyField, ...]:
        """The field of each slice."""
        model, m = self.interaction, self.measure.weights
        shares = model.shares(m.reshape(model.number, -1).sum(axis=1))
        everything = plain(self.measure.points)
        moments: list[Array] | list[None] = [None] * model.number
        if self.moments is not None:
            moments = list(shares @ self.moments.reshape(model.number, -1))
        found = []
        for of, share in zip(moments, shares, strict=True):
            seen = Measure(everything, m * np.repeat(share, len(m) // model.number))
            found.append(model.whole.field_of_moments(of, seen, self.t, None))
        return tuple(found)

    def _each(self, points: Array | Located) -> Iterator[tuple[AnyField, Array | Located]]:
        return zip(self.slices, self.interaction.blocks(points), strict=True)

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """X of points (n, gdim) in blocks, those of slice 0 first.

        Raises:
            InputError: as many points are not in equal blocks.
        """
        return np.concatenate([of.velocity(x, scaled, seen) for of, x in self._each(points)])

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        """X (n, gdim) and its divergence in x, (n,), of points as for ``velocity``."""
        both = [of.velocity_and_divergence(x, scaled, seen) for of, x in self._each(points)]
        v, divergence = zip(*both, strict=True)
        return np.concatenate(v), np.concatenate(divergence)


@checked_fields
@dataclass(frozen=True, eq=False)
class Sliced(OneSided):
    """Attention by position in M slices; a measure is M blocks of as many points.

    Attributes:
        whole: attention without a mask, and what stands beside it.
        mask: who sees whom.
        normalised: sa; else usa, over the mass that a slice sees.

    Raises:
        InputError: factors of another shape, or a slice that sees nothing.
    """

    whole: AnyInteraction
    mask: Slices
    normalised: bool

    def __post_init__(self) -> None:
        shape = np.shape(self.mask.factors)
        if len(shape) != 2 or shape[0] != shape[1] or np.shape(self.mask.seen) != shape:
            raise InputError(
                f"mask: factors of shape {shape} and parts of shape {np.shape(self.mask.seen)} "
                "found, two square matrices of the same size expected"
            )
        blind = np.flatnonzero(~np.any(self.mask.factors > 0.0, axis=1))
        if blind.size:
            raise InputError(f"mask: slice {blind[0]} sees nothing, expected that each sees one")

    @property
    def behind(self) -> AnyInteraction:
        """The same without a mask."""
        return self.whole

    @property
    def number(self) -> int:
        """M."""
        return len(self.mask.factors)

    def shares(self, masses: Array) -> Array:
        """(M, M) what nu_a is of the measures of the slices, which have masses (M,)."""
        over = (self.mask.factors if self.normalised else self.mask.seen) @ masses
        return np.asarray(self.mask.factors / over[:, None])

    def blocks(self, points: Array | Located) -> list[Array | Located]:
        """Points (n, gdim) of each slice.

        Raises:
            InputError: a number of them that is no multiple of M.
        """
        n = len(plain(points))
        if n % self.number:
            raise InputError(f"{n} points found, as many in each of {self.number} slices expected")
        own = np.split(np.arange(n), self.number)
        if isinstance(points, Located):
            return [Located(points.points[k], points.angles[k]) for k in own]
        return [points[k] for k in own]

    # ---- points and transforms -------------------------------------------------------------------

    @property
    def compiled_sums(self) -> bool:
        """Not taken for few points: these are those of all slices."""
        return False

    def with_dark(self, dark: float) -> Self:
        return replace(self, whole=self.whole.with_dark(dark))

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """The same for so many vertices in all slices."""
        return replace(self, whole=self.whole.on_mesh(vertices // self.number, accuracy))

    def by(self, method: str) -> Self:
        return replace(self, whole=self.whole.by(method))

    def quiet(self, rtol: float) -> Self:
        return replace(self, whole=self.whole.quiet(rtol))

    # ---- time ------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        return self.whole.moves

    @property
    def piecewise(self) -> bool:
        return self.whole.piecewise

    def at(self, t: float) -> AnyInteraction:
        now = self.whole.at(t)
        return self if now is self.whole else replace(self, whole=now)

    def next_jump(self, t: float) -> float:
        return self.whole.next_jump(t)

    # ---- fields ----------------------------------------------------------------------------------

    def moments_of(self, measure: Measure, t: float, comm: Communicator | None) -> Array:
        """Those of each slice, one after the other."""
        each = self.blocks(measure.points)
        m = measure.weights.reshape(self.number, -1)
        own = (Measure(x, of) for x, of in zip(each, m, strict=True))
        return np.concatenate([self.whole.moments_of(one, t, None) for one in own])

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> SlicedField:
        if comm is not None and comm.size > 1:
            raise InputError(f"{comm.size} ranks found, a density by position is on one of them")
        return SlicedField(self, measure, moments, t)

    # ---- what is known about it ------------------------------------------------------------------

    def describe(self) -> str:
        return f"{self.whole.describe()}; {self.number} slices of positions"

    @property
    def columns(self) -> Mapping[str, object]:
        return {**self.whole.columns, "slices": self.number}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {}
