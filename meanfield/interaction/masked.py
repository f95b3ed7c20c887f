"""Attention of tokens in an order: each sees some of the others (masks), at positions (RoPE).

    X_i = sum_h P_{x_i} V_h sum_j m_j f_ij e^{s_ij} x_j / Z_i,   Z_i = sum_j m_j f_ij e^{s_ij}

That is sa; usa: over the mass of the tokens that token i sees, in the place of Z_i. s_ij is
<A_h x_i, x_j>, or <R_i beta Q x_i, R_j K x_j> with rotary positions. The measure does not tell
where in the order a token stands: so a field is that of the rows of a measure, in their order, and
known at these alone.
There is no energy: the pull of j on i is not that of i on j, as rows see different tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn, Self

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite import Composite, Moving
from meanfield.interaction.contract import AnyInteraction, DarkPoints
from meanfield.interaction.maskedsums import masked_sums
from meanfield.interaction.masks import Mask, Seen
from meanfield.interaction.measure import Measure, plain
from meanfield.interaction.onesided import OneSided, OneSidedField
from meanfield.interaction.rotary import RotaryHead

__all__ = ["Masked"]

_KINDS = ("sa", "usa")


class MaskedField(OneSidedField):
    """What tokens in their order do to each other: known at these tokens alone."""

    def __init__(self, model: Masked, measure: Measure, t: float) -> None:
        super().__init__(measure, None, t, None)
        self.interaction = model

    def own_velocity(self, scaled: bool = False) -> Array:
        model, factor = self.interaction, 1.0
        x = plain(self.measure.points)
        now = model.heads_at(self.t)
        velocity = np.zeros(x.shape)
        if now.acting:
            m, unit = self.measure.weights, model.factor_log if scaled else 0.0
            velocity += tangent_project(x, _heads(model, now, x, m, unit, whole=False))
        if now.drifts:
            if scaled:
                factor = math.exp(-model.factor_log)
            alone = replace(now, heads=(), least=0.0, weighted=None)
            velocity += factor * alone.field(self.measure, self.t).velocity(self.measure.points)
        return velocity

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """At the tokens themselves, in their order.

        Raises:
            InputError: other points.
        """
        mine = plain(self.measure.points)
        if plain(points) is not mine and not np.array_equal(plain(points), mine):
            _refuse("points: others than the tokens found")
        return self.own_velocity(scaled)

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        _refuse("a divergence asked for")


def _heads(model: Masked, now: Composite, x: Array, m: Array, unit: float, whole: bool) -> Array:
    """What the heads give tokens (n, d), times e^{-unit} where it is not divided by Z.

    Args:
        model, now: with its mask and positions; its heads at a time.
        x, m: tokens, masses.
        unit: see above.
        whole: with what is along x where V is a multiple of the identity, so that P V x = 0.
    """
    seen = model.seen(len(x))
    mass = None if now.normalised else _seen_mass(seen, m)
    flow = np.zeros(x.shape)
    for k in now.acting:
        head = now.heads[k]
        if model.rotary:
            queries, keys = model.rotary[k].turned(x)
        else:
            queries, keys = x @ head.A.T, x
        log_scale, z, pull = masked_sums(queries, keys, x, m, seen)
        over = _inverse(z) if mass is None else np.exp(log_scale - unit) * _inverse(mass)
        # V y of y = (y - x) + x, so that the pull of what is far keeps its digits.
        rest = head.V if whole else head.V - np.trace(head.V) / head.d * np.eye(head.d)
        flow += over[:, None] * (pull @ head.V.T + z[:, None] * (x @ rest.T))
    return flow


def _refuse(found: str) -> NoReturn:
    raise InputError(
        f"{found}, but masks and positions are of tokens in an order: their field is known at "
        "these tokens alone; expected particles or layers"
    )


def _inverse(z: Array) -> Array:
    """1/Z, 0 where what a token sees has no mass: it stays where it is."""
    return np.divide(1.0, z, out=np.zeros_like(z), where=z > 0.0)


def _seen_mass(seen: Seen, m: Array) -> Array:
    """(n,) mass of the tokens that each token sees."""
    if seen.log_factors.size:
        return np.asarray(np.isfinite(seen.log_factors) @ m)
    ends = np.stack([seen.first, seen.stop], axis=1).ravel()
    return np.asarray(np.add.reduceat(np.append(m, 0.0), ends)[::2])


@checked_fields
@dataclass(frozen=True, eq=False)
class Masked(OneSided):
    """Heads and drifts, where each token sees some of the tokens, in their order.

    Attributes:
        whole: heads of "sa" or "usa", and drifts, without a mask.
        mask: who sees whom; None: all see all.
        rotary: queries and keys of each head with their positions; (): scores are those of A.

    Raises:
        InputError: another kind of attention, harmonics, or rotary positions of other heads.

    Example:
        >>> whole = mf.Model(attention='sa', heads=(mf.Head(beta=4.0),)).on(mf.Unmeshed(d=3))
        >>> mf.Masked(whole, mf.Causal()).describe()
        'sa, 1 head, |A| = 4; causal'
    """

    whole: Composite | Moving
    mask: Mask | None = None
    rotary: tuple[RotaryHead, ...] = ()

    def __post_init__(self) -> None:
        if self.whole.method == "harmonics":
            raise InputError(
                "method: harmonics found with a mask or positions, which are of pairs of tokens: "
                "'direct' or 'auto' expected"
            )
        if self.whole.exclude_self:
            raise InputError("exclude_self: found with a mask or positions, expected one of them")
        if self.whole.manifold.latitudes:
            _refuse("the zonal geometry found")
        object.__setattr__(self, "whole", self.whole.by("direct"))
        name = self.heads_at(0.0).kind.name
        if self.whole.heads and name not in _KINDS:
            raise InputError(
                f"mask: found with {name} attention, expected sa or usa: their weights are factors"
            )
        if not self.rotary:
            return
        if isinstance(self.whole, Moving) or len(self.rotary) != len(self.whole.heads):
            raise InputError(
                f"rotary: {len(self.rotary)} found for {len(self.whole.heads)} heads, expected one "
                "for each, none of them in time"
            )
        for k, head in enumerate(self.rotary):
            if head.queries.shape[1] != self.whole.d:
                raise InputError(
                    f"rotary[{k}]: {head.queries.shape[1]} columns found, {self.whole.d} expected"
                )

    @property
    def behind(self) -> AnyInteraction:
        """The same without a mask."""
        return self.whole

    def heads_at(self, t: float) -> Composite:
        """Heads and drifts at a time, without a mask."""
        return self.whole if isinstance(self.whole, Composite) else self.whole.at(t)

    @cached_property
    def _known(self) -> dict[int, Seen]:
        return {}

    def seen(self, n: int) -> Seen:
        """Who of n tokens sees whom."""
        if n not in self._known:
            self._known.clear()
            self._known[n] = (
                Seen.within(np.zeros(n, dtype=np.int64), np.full(n, n))
                if self.mask is None
                else self.mask.seen(n)
            )
        return self._known[n]

    def outputs(self, x: Array, weights: Array, t: float = 0.0, beside: bool = True) -> Array:
        now = self.heads_at(t)
        out = np.zeros(x.shape)
        if now.acting:
            out += _heads(self, now, x, weights, 0.0, whole=True)
        for drift in now.drifts if beside else ():
            out += drift.vector(x)
        return out

    def refuse_number(self, n: int) -> None:
        if self.mask is not None:
            self.mask.refuse_number(n)

    @property
    def one_point_each(self) -> bool:
        """Equal tokens see different ones: none may be joined to another."""
        return True

    # ---- points and transforms -------------------------------------------------------------------

    def with_dark(self, dark: float) -> Self:
        return self

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """Refused.

        Raises:
            InputError: always; a density has no order.
        """
        _refuse("a mesh found")

    def by(self, method: str) -> Self:
        if method == "harmonics":
            raise InputError(
                "method: harmonics found with a mask or positions, which are of pairs of tokens: "
                "'direct' or 'auto' expected"
            )
        return self

    def quiet(self, rtol: float) -> Self:
        return self

    # ---- time ------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        return self.whole.moves

    @property
    def piecewise(self) -> bool:
        return self.whole.piecewise

    def at(self, t: float) -> AnyInteraction:
        now = self.heads_at(t)
        return self if now is self.whole else replace(self, whole=now)

    def next_jump(self, t: float) -> float:
        return self.whole.next_jump(t)

    # ---- fields ----------------------------------------------------------------------------------

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> MaskedField:
        if comm is not None and comm.size > 1:
            raise InputError(f"{comm.size} ranks found, tokens in an order are on one of them")
        self.refuse_number(len(measure.weights))
        return MaskedField(self, measure, t)

    # ---- what is known about it ------------------------------------------------------------------

    def describe(self) -> str:
        words = [self.whole.describe()]
        words += [] if self.mask is None else [self.mask.describe()]
        return "; ".join([*words, "rotary positions"] if self.rotary else words)

    @property
    def columns(self) -> Mapping[str, object]:
        mask = "none" if self.mask is None else self.mask.describe()
        positions = {"positions": "rotary"} if self.rotary else {}
        return {**self.whole.columns, "mask": mask, **positions}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {}
