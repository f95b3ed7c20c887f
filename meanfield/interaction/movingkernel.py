"""Kernels whose numbers depend on time: at each time an ``Interaction``, with the same transforms.

What does not depend on time is asked of the one with the sharpest kernel of some times (of a
table: of all), to whose degree all are carried: located points, moments and checkpoints are valid
at any time. A kernel that comes to be sharper is cut there, with a warning.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from meanfield.arguments import checked_arguments, checked_fields
from meanfield.collective import Communicator
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.interaction.behind import Behind
from meanfield.interaction.contract import EnergyKind
from meanfield.interaction.expansion import Convexity
from meanfield.interaction.field import Field
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.intime import (
    InTime,
    TableInTime,
    instants_of,
    is_piecewise,
    next_jump_of,
)
from meanfield.interaction.kernels.base import Kernel
from meanfield.interaction.measure import Measure
from meanfield.interaction.zonal import Term

__all__ = ["MovingKernel"]

_KEPT = 4  # of which what was made is kept: the stages of a step
_MANY = 100  # times of a table that are all looked at


@checked_fields
@dataclass(frozen=True, eq=False)
class MovingKernel(Behind):
    """A zonal kernel with numbers that depend on time. There is no energy.

    Attributes:
        kernel: with the numbers that stay.
        numbers: the others, by name.
        All others are those of ``Interaction``.

    Raises:
        InputError: a number that the kernel does not have, or out of its range at a time that is
            looked at: some, of a table all.

    Example:
        >>> beta = mf.WaveInTime(np.array(4.0), np.array(1.0), 2.0)
        >>> mf.MovingKernel(mf.Exponential(beta=4.0), {'beta': beta}, d=3).describe()
        'exponential, strength = 1, beta in time'
    """

    kernel: Kernel
    numbers: Mapping[str, InTime]
    d: int
    geometry: str = "any"
    method: str = "auto"
    accuracy: float | None = None
    dark: float = 1e3
    most: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.numbers.items():
            if value.shape != ():
                raise InputError(f"{name}: values of shape {value.shape} found, numbers expected")
        for t in self._instants:
            self._term(t)
        _ = self.behind

    @property
    def open_tail(self) -> str:
        found = any(one.local_tail > 0.0 for one in self._samples)
        return "its numbers depend on time" if found else ""

    # ---- time ------------------------------------------------------------------------------------

    @cached_property
    def _instants(self) -> list[float]:
        """Times that show what values there are; a function need not be known at all of them."""
        values = self.numbers.values()
        tables = [value.times for value in values if isinstance(value, TableInTime)]
        few = [times for times in tables if times.size <= _MANY]
        found = []
        for t in np.unique(np.concatenate([instants_of(values), *few])):
            with contextlib.suppress(InputError):
                for value in values:
                    value.at(float(t))
                found.append(float(t))
        return found

    def _term(self, t: float) -> Kernel:
        return self.kernel.replaced({n: float(v.at(t)) for n, v in self.numbers.items()})

    def _plain(self, term: Kernel) -> Interaction:
        return Interaction(
            term, self.d, self.geometry, self.method, self.accuracy, self.dark, self.most
        )

    @cached_property
    def _samples(self) -> tuple[Interaction, ...]:
        return tuple(self._plain(self._term(t)) for t in self._instants)

    @cached_property
    def behind(self) -> Interaction:
        """The sharpest of the samples, with transforms that do for all."""
        sharpest = max(self._samples, key=lambda one: one.sharpness)
        cuts = [one.truncation for one in self._samples]
        if any(cut is None for cut in cuts):
            return sharpest.direct() if sharpest.truncation is not None else sharpest
        least = max(cut.degree for cut in cuts if cut is not None)
        finest = min(one.epsilon for one in self._samples)
        return replace(sharpest, accuracy=finest, carried=least)

    @cached_property
    def _told(self) -> list[float]:
        """The time that a warning has named."""
        return []

    def _like(self, term: Term) -> Interaction:
        """One with another kernel and the transforms of all."""
        found = replace(self.behind, term=term)
        vars(found)["harmonics"] = self.behind.harmonics  # equal ones, made once
        return found

    @cached_property
    def _made(self) -> dict[Kernel, Interaction]:
        return {}

    @property
    def moves(self) -> bool:
        return True

    @property
    def piecewise(self) -> bool:
        return all(is_piecewise(value) for value in self.numbers.values())

    def next_jump(self, t: float) -> float:
        return next_jump_of(self.numbers.values(), t)

    def at(self, t: float) -> Interaction:
        """The one at a time: the same object for the same numbers, if it was asked lately.

        Warns once if the transforms, which are those of the samples, do not carry it.
        """
        term = self._term(t)
        found = self._made.pop(term, None)
        if found is None:
            found = self._like(term)
            self._tell_cut(found, t)
        self._made[term] = found
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return found

    def _tell_cut(self, found: Interaction, t: float) -> None:
        """What a mesh resolves, where the samples themselves are cut, is told by others."""
        cut, known = found.truncation, self.behind.truncation
        if self._told or cut is None or cut.exact or known is None or not known.exact:
            return
        if cut.tail > found.epsilon:
            self._told.append(t)
            warnings.warn(
                f"{self.describe()}: sharper at t = {t:g} than at the times that were looked at; "
                f"harmonics up to degree {cut.degree} leave {cut.tail:.1e} of it out (in L^2)",
                MeanfieldWarning,
                stacklevel=3,
            )

    def field_of_moments(
        self, moments: np.ndarray | None, measure: Measure, t: float, comm: Communicator | None
    ) -> Field:
        """The field at a time of known moments."""
        return self.at(t).field_of_moments(moments, measure, t, comm)

    def pair_energy(self, measure: Measure, n: float, t: float = 0.0) -> float:
        """That of the one at a time."""
        return self.at(t).pair_energy(measure, n, t)

    # ---- points and transforms -------------------------------------------------------------------

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """The same, its series cut at what a mesh of so many vertices resolves."""
        found = self._samples[0].on_mesh(vertices, accuracy)
        return replace(self, most=found.most, accuracy=found.accuracy)

    @checked_arguments
    def by(self, method: str) -> Self:
        """The same by "harmonics" or "direct" sums; "auto" leaves it as it is."""
        return self if method == "auto" else replace(self, method=method)

    def quiet(self, rtol: float) -> Self:
        """The same with the noise of a velocity, at any point, not far above ``rtol``."""
        found = [one.quiet(rtol) for one in self._samples]
        given = [one.accuracy for one in found if one.accuracy is not None]
        if not given:
            return self
        return replace(self, accuracy=min(given), dark=max(one.dark for one in found))

    # ---- what is known about it ------------------------------------------------------------------

    @property
    def has_potential(self) -> bool:
        return True

    @property
    def has_gradient(self) -> bool:
        return True

    @property
    def energy_kind(self) -> EnergyKind | None:
        return None

    @property
    def why_no_energy(self) -> str:
        return "its parameters change in time"

    @cached_property
    def _acting(self) -> tuple[Interaction, ...]:
        """The samples that move something, with the transforms of all."""
        acting = [one for one in self._samples if one.gain != 0.0] or self._samples
        return tuple(self._like(one.term) for one in acting)

    @cached_property
    def convexity(self) -> Convexity:
        """That of the samples, if they agree."""
        signs = {one.convexity for one in self._acting}
        return signs.pop() if len(signs) == 1 else "mixed"

    @cached_property
    def repels(self) -> Array:
        """Those that do in a sample and attract in none; mixed under a logarithm: none."""
        if self.kernel.link != "identity" and self.convexity != "negative":
            return np.zeros(self.metric.size, dtype=bool)
        signs = np.array([one.signs for one in self._acting])
        return np.any(signs < 0, axis=0) & np.all(signs <= 0, axis=0)

    @property
    def dirac_energy(self) -> float:
        return math.nan

    def excluding_self(self) -> Self | Interaction:
        """The same: without a division by Z own terms move nothing.

        Raises:
            InputError: the log link.
        """
        if self.kernel.link != "identity":
            self.behind.excluding_self()
        return self

    def fastest_rate(self, degree: int) -> float:
        """The largest at a few times: see ``Interaction.fastest_rate``."""
        return max(one.fastest_rate(degree) for one in self._samples)

    @property
    def sharpens(self) -> bool:
        """Whether clusters narrow without end, for what is as usual in time."""
        return 2 * sum(one.sharpens for one in self._samples) >= len(self._samples)

    def refuse_overflow(self, highest: float = 600.0) -> None:
        for one in self._samples:
            one.refuse_overflow(highest)

    def describe(self) -> str:
        """A few words."""
        fixed = [f"{k} = {v:g}" for k, v in self.kernel.parameters.items() if k not in self.numbers]
        words = [self.kernel.type, *fixed, *(f"{name} in time" for name in self.numbers)]
        return ", ".join([*words, "log link"] if self.kernel.link == "log" else words)

    @property
    def columns(self) -> Mapping[str, object]:
        """What names it in a table."""
        return {n: v for n, v in self.behind.columns.items() if n not in self.numbers}

    @property
    def parameters(self) -> Mapping[str, float]:
        """The numbers that a branch or a sweep may vary: none."""
        return {}
