"""Heads and drifts that depend on time: at each time a ``Composite``, all with the same transforms.

What does not depend on time is asked of one composite without heads that counts with the largest
|A| of all times: coordinates of points, degrees of moments, units. So located points, moments and
checkpoints are valid at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from meanfield.arguments import checked_arguments, checked_fields
from meanfield.checks import as_found
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.composite.field import CompositeField
from meanfield.interaction.composite.interaction import Composite
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.model import LARGEST_NORM
from meanfield.interaction.composite.movingparts import Last, MovingDrift, MovingHead
from meanfield.interaction.composite.series import HeadSeries
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import Drift
from meanfield.interaction.intime import InTime, instants_of, is_piecewise, next_jump_of
from meanfield.interaction.measure import Measure
from meanfield.interaction.onesided import WithoutEnergy

__all__ = ["Moving", "MovingDrift", "MovingHead"]

_ROUND_OFF = 1e-8  # relative: that |A| at some time may be above its bound


@checked_fields
@dataclass(frozen=True, eq=False)
class Moving(WithoutEnergy):
    """A sum of heads and of drifts that depend on time, on one geometry.

    There is no energy. Along edges all is told by velocities, as what is a gradient at one time
    need not be one at another.

    Attributes:
        heads: ``MovingHead``, or ``HeadMatrices`` of one that does not depend on time.
        drifts: ``MovingDrift`` or ``Drift``, likewise.
        All others are those of ``Composite``.

    Raises:
        InputError: matrices of another size, or too large.

    Example:
        >>> head = mf.Head(beta=1.0, K=mf.WaveInTime(np.eye(3), np.eye(3), 2.0))
        >>> mf.Model(attention='sa', heads=(head,)).on(mf.Unmeshed(d=3)).describe()
        'sa, 1 head, |A| <= 2; in time'
    """

    heads: tuple[HeadMatrices | MovingHead, ...]
    model: object
    d: int
    geometry: str = "any"
    method: str = "auto"
    accuracy: float | None = None
    drifts: tuple[Drift | MovingDrift, ...] = ()
    dark: float = 1e3
    exclude_self: bool = False

    def __post_init__(self) -> None:
        for k, head in enumerate(self.heads):
            if not isinstance(head, HeadMatrices | MovingHead):
                raise InputError(
                    f"heads[{k}]: found {as_found(head)}, expected HeadMatrices(A, V) or "
                    "MovingHead(A, V)"
                )
            if head.d != self.d:
                raise InputError(
                    f"heads[{k}]: {head.d} x {head.d} matrices found, {self.d} x {self.d} expected"
                )
            if _largest(head) > LARGEST_NORM:
                raise InputError(
                    f"heads[{k}]: |A| up to {_largest(head):.6g} found, at most {LARGEST_NORM:g} "
                    "expected"
                )
        for k, drift in enumerate(self.drifts):
            if not isinstance(drift, Drift | MovingDrift):
                raise InputError(
                    f"drifts[{k}]: found {as_found(drift)}, expected a drift or MovingDrift(...)"
                )
            if drift.d != self.d:
                raise InputError(
                    f"drifts[{k}]: one of dimension {drift.d} found, {self.d} expected"
                )
        self.at(0.0)  # what it refuses

    # ------------------------------------------------------------------ time

    @cached_property
    def _last(self) -> Last[Composite]:
        return Last()

    @cached_property
    def behind(self) -> Composite:
        """What it is at all times: without heads, and with the largest |A|."""
        largest = max([_largest(head) for head in self.heads], default=0.0)
        found = Composite(
            (), self.model, self.d, self.geometry, self.method, self.accuracy, (), self.dark,
            (1.0 + _ROUND_OFF) * largest, gradients=False, exclude_self=self.exclude_self,
        )  # fmt: skip
        weighted = tuple(
            isinstance(head, MovingHead) or found.kind.weighs(head) for head in self.heads
        )
        return replace(found, weighted=weighted, lasting=self.piecewise)

    @cached_property
    def _fixed_series(self) -> Mapping[HeadMatrices, HeadSeries]:
        """Series of the heads that do not depend on time."""
        fixed = tuple(head for head in self.heads if isinstance(head, HeadMatrices))
        if self.truncation is None:
            return {}
        return dict(zip(fixed, replace(self.behind, heads=fixed).series, strict=True))

    @cached_property
    def _parts(self) -> tuple[InTime, ...]:
        """All values that depend on time."""
        moving = (p for p in (*self.heads, *self.drifts) if isinstance(p, MovingHead | MovingDrift))
        return tuple(v for part in moving for v in part.parts if isinstance(v, InTime))

    @property
    def moves(self) -> bool:
        """Whether it depends on time."""
        return bool(self._parts)

    @property
    def piecewise(self) -> bool:
        """Whether nothing changes between its jumps."""
        return all(is_piecewise(part) for part in self._parts)

    def next_jump(self, t: float) -> float:
        """The first time after ``t`` at which it jumps, or has a kink."""
        return next_jump_of(self._parts, t)

    def at(self, t: float) -> Composite:
        """The one at a time: the same object for the same values, if it was asked lately."""
        heads = tuple(h.at(t) if isinstance(h, MovingHead) else h for h in self.heads)
        drifts = tuple(x.at(t) if isinstance(x, MovingDrift) else x for x in self.drifts)

        def make() -> Composite:
            found = replace(self.behind, heads=heads, drifts=drifts)
            return found.sharing(self.behind, self._fixed_series)

        return self._last.of((*heads, *drifts), make)

    def further_moments(
        self, own: Array, measure: Measure, t: float, comm: Communicator | None
    ) -> Array:
        """Those of the one at a time."""
        return self.at(t).further_moments(own, measure, t, comm)

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> CompositeField:
        """The field at a time of known moments."""
        return self.at(t).field_of_moments(moments, measure, t, comm)

    def outputs(self, x: Array, weights: Array, t: float = 0.0, beside: bool = True) -> Array:
        return self.at(t).outputs(x, weights, t, beside)

    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        """That of the one at a time, where it has one."""
        return self.at(t).pair_energy(measure, n, t)

    # ------------------------------------------------------------------ points and transforms

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """The same, with another ``accuracy`` if one is given: the series ends by itself."""
        return self if accuracy is None else replace(self, accuracy=accuracy)

    @checked_arguments
    def by(self, method: str) -> Self:
        """The same by "harmonics" or "direct" sums; "auto" leaves it as it is."""
        return self if method == "auto" else replace(self, method=method)

    def quiet(self, rtol: float) -> Self:
        """The same with the noise of a velocity, at any point, not far above ``rtol``."""
        accuracy = self.behind.quiet(rtol).accuracy
        return self if accuracy == self.accuracy else replace(self, accuracy=accuracy)

    # ------------------------------------------------------------------ what is known about it

    @property
    def is_external(self) -> bool:
        """Whether there are drifts alone."""
        return all(_strongest(head) == 0.0 for head in self.heads)

    @property
    def why_no_energy(self) -> str:
        return "its parameters change in time"

    def excluding_self(self) -> AnyInteraction:
        """The same with sums over all other tokens.

        Raises:
            InputError: a kind of attention that has none.
        """
        if self.heads and not self.behind.kind.excludes_self:
            return super().excluding_self()
        return replace(self, exclude_self=True) if self.heads else self

    @cached_property
    def _samples(self) -> tuple[Composite, ...]:
        """The composites at a few times, of those at which they are known; t = 0 is one."""
        found = [self.at(0.0)]
        for t in instants_of(self._parts):
            with contextlib.suppress(InputError):  # a function need not be known at all times
                found.append(self.at(float(t)))
        return tuple(found)

    def fastest_rate(self, degree: int) -> float:
        """The largest at a few times: see ``Composite.fastest_rate``."""
        return max(one.fastest_rate(degree) for one in self._samples)

    @property
    def sharpens(self) -> bool:
        """Whether clusters narrow without end, for what is as usual in time."""
        return 2 * sum(one.sharpens for one in self._samples) >= len(self._samples)

    def describe(self) -> str:
        """A few words."""
        words = []
        if self.heads:
            count = "1 head" if len(self.heads) == 1 else f"{len(self.heads)} heads"
            kind = self.behind.kind.describe()
            words.append(f"{kind}, {count}, |A| <= {self.behind.size:.4g}")
        words += [drift.describe() for drift in self.at(0.0).drifts]
        return "; ".join([*words, "in time"])

    @property
    def columns(self) -> Mapping[str, object]:
        """What names it in a table."""
        return {**self.behind.columns, "heads": len(self.heads)}

    @property
    def parameters(self) -> Mapping[str, float]:
        """The numbers that a branch or a sweep may vary: none."""
        return {}


def _largest(head: HeadMatrices | MovingHead) -> float:
    return head.size if isinstance(head, HeadMatrices) else head.largest


def _strongest(head: HeadMatrices | MovingHead) -> float:
    return head.strength if isinstance(head, HeadMatrices) else head.strongest
