"""The steps along a branch of stationary states: pseudo-arclength continuation.

A branch is followed along its ``curve`` by arclength, so that it goes around folds. What is special
between two points is located by ``special``. Where the parameter does not change along a branch
(the logarithmic gas at its critical noise) it is vertical: its states narrow without end, and it is
followed as far as a short series resolves them.

Knows nothing of where branches begin.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.steady.curve import Curve, UnresolvedEdgesError
from meanfield.steady.diagram import (
    COLUMNS,
    CROSSING,
    END,
    EVEN,
    UNIFORM_STATE,
    VERTICAL,
    Branch,
    Event,
)
from meanfield.steady.special import SMALL, Junctions, Step, located, special_points

__all__ = ["STEP", "Report", "follow", "silent"]

STEP, _FIRST_STEP, _SMALLEST_STEP = 0.03, 0.01, 1e-7
_MAX_POINTS = 3000
_VERTICAL_DEGREE, _VERTICAL_SIZE = 128, 1024  # of the grids on which a vertical branch ends
_VERTICAL_STEPS = 5
_APART = 1e-2  # |m| from which signs of what vanishes at even states are more than round-off
_NARROWING = "all along it, while its states narrow without end"

Report = Callable[[str, Array], None]
"""Called with the name of the branch and the row of each new point."""


def silent(name: str, row: Array) -> None:
    """Report nothing."""


class _Walk:
    """What has been found of a branch: solutions, their rows in the table, and special points."""

    def __init__(self, curve: Curve, name: str, report: Report, junctions: Junctions) -> None:
        self.curve, self.name, self.report, self.junctions = curve, name, report, junctions
        self.points: list[Array] = []
        self.rows: list[Array] = []
        self.events: list[Event] = []
        self.level, self.beside = True, math.nan

    def add(self, x: Array, row: Array | None = None, kind: str = "") -> None:
        """Add a solution and, if it is special, what it is."""
        self.points.append(x)
        self.rows.append(self.curve.row(x) if row is None else row)
        self.report(self.name, self.rows[-1])
        if kind:
            self.mark(kind)

    def reach(self, step: Step, fresh: bool) -> str:
        """Add the end of a step, or where the branch ends on it, and what is special along it.

        ``fresh``: it is the first from a branch point, whose other branch is no special one.

        Returns:
            Why the branch ends, or "".
        """
        curve, new = self.curve, step.new
        past = curve.outside(new)
        free = curve.equation.is_free
        if free and not past and not fresh and _joins(curve, step.x, new):
            self.add(curve.meeting(step.x, new), kind="uniform")
            return UNIFORM_STATE
        if not (free or past or fresh) and curve.crosses_even(step.x, new):
            self._meet_even(new)
            return EVEN
        if past:
            border = curve.low if new[-1] < curve.low else curve.high
            new, size = located(curve, step, _beyond(border))
            step = Step(step.x, step.tangent, size, new, curve.tangent(new, step.tangent))
        self.level = self.level and step.is_level(curve)
        row = curve.row(new)
        rows, wanted = (self.rows[-1], row), self.junctions.wanted
        for special in special_points(curve, step, rows, wanted) if not fresh else ():
            self.add(special.x, special.row, special.kind)
            if special.kind == "secondary":
                met = self.junctions.pass_by(self.name, curve, special.x, step.tangent)
                if met:
                    return f"{CROSSING} {met}"
        self.add(new, row, "end" if past else "")
        return END if past else ""

    def _meet_even(self, new: Array) -> None:
        """Add where the branch meets the even states before a solution, and what is next to it."""
        far = [x for x, row in zip(self.points, self.rows, strict=True) if abs(row[1]) > _APART]
        self.beside = self.curve.own_leading(far[-1] if far else self.points[-1])
        self.add(self.curve.even_meeting(new))
        self.mark("branch point", own=True)

    def mark(self, kind: str, own: bool = False) -> None:
        """Say that the last point is special; ``own``: what branches there has the symmetry."""
        at = {name: float(self.rows[-1][k]) for k, name in enumerate(COLUMNS)}
        if abs(at["parameter"]) < 1e-12 * self.curve.width:  # round-off
            at["parameter"] = 0.0
        numbers = (
            at["parameter"],
            abs(at["c_1"]),
            at["free_energy_excess"],
            0 if own or kind == "secondary" else int(at["order"]),
            at["c_2"],
        )
        self.events.append(Event(kind, *numbers))

    @property
    def is_vertical(self) -> bool:
        """Whether the parameter has not changed along all of several steps."""
        return self.level and len(self.points) > _VERTICAL_STEPS

    @property
    def narrows(self) -> bool:
        """Whether it is vertical, and its states are narrower than a short series resolves."""
        grid = self.curve.grid
        return self.is_vertical and (grid.degree > _VERTICAL_DEGREE or grid.size > _VERTICAL_SIZE)

    def ended(self, why: str) -> Branch:
        """The branch."""
        c = np.array([self.curve.padded(x) for x in self.points])[:, :-1]
        moments = np.column_stack([np.ones(len(c)), c])
        return Branch(
            self.name, np.array(self.rows), moments, tuple(self.events), why,
            self.junctions.parent_of(self.name), self.is_vertical, self.beside,
        )  # fmt: skip

    def stuck(self, ahead: Array) -> Branch:
        """The branch where no step can be made; ``ahead``: of its last point."""
        if self.curve.at_limit:
            self.mark("end")
            return self.ended(END)
        return self.ended(self.curve.edges(ahead) or "the steps became too small")


def follow(
    curve: Curve,
    name: str,
    x: Array,
    along: Array,
    largest: float,
    report: Report,
    junctions: Junctions | None = None,
) -> Branch:
    """Follow one branch from a solution, or from a branch point along the new direction.

    Args:
        curve: what it is part of.
        name: of the branch.
        x: the solution; a branch point on the uniform state or of the parent in ``junctions``.
        along: the direction; at a branch point a unit tangent.
        largest: arclength of a step.
        report: called with each new point.
        junctions: where curves of the same symmetry cross; without it none is looked for.

    Returns:
        The branch; one whose edges (m > 1) the symmetry does not resolve ends there.
    """
    junctions = Junctions() if junctions is None else junctions
    walk = _Walk(curve, name, report, junctions)
    free = curve.equation.is_free  # else no state is uniform
    at_uniform = free and curve.amplitude(x) < SMALL
    fresh = at_uniform or bool(junctions.parent_of(name))
    walk.add(x, kind="uniform" if at_uniform else "")
    tangent = along if fresh else curve.tangent(x, along)
    if not fresh and tangent[-1] * along[-1] < 0.0:
        tangent = -tangent
    step = min(_FIRST_STEP, largest)
    while len(walk.points) < _MAX_POINTS:
        found = curve.correct(x, tangent, step)
        following = tangent if found is None else curve.tangent(found[0], tangent)
        cosine = float(np.sum(curve.metric * following * tangent))
        if found is None or (cosine < 0.97 and not (fresh and step < 2e-3)):
            step *= 0.5
            if step >= _SMALLEST_STEP:
                continue
            return walk.stuck(x + _FIRST_STEP * tangent)
        curve.at_limit = False
        new, count = found
        try:
            refined = curve.refine(new)
        except UnresolvedEdgesError as error:
            return walk.ended(str(error))
        if refined:
            if walk.narrows:
                return walk.ended(VERTICAL + f": {curve.parameter} = {x[-1]:.9g} {_NARROWING}")
            x, tangent = curve.padded(x), curve.padded(tangent)
            tangent /= curve.length(tangent)
            continue
        if why := walk.reach(Step(x, tangent, step, new, following), fresh):
            return walk.ended(why)
        x, tangent, fresh = new, following, False
        if count <= 4 and cosine > 0.995:
            step = min(1.4 * step, largest)
    return walk.ended(f"{_MAX_POINTS} points")


def _beyond(border: float) -> Callable[[Array], float]:
    return lambda x: float(x[-1]) - border


def _joins(curve: Curve, x: Array, y: Array) -> bool:
    """Whether the branch reaches the uniform one between two points: all moments vanish."""
    index = curve.dominant(x)
    near = curve.amplitude(y)
    crosses = x[index] * y[index] <= 0.0 and curve.amplitude(x) < 0.2
    return bool(crosses or near < min(SMALL, curve.amplitude(x)))
