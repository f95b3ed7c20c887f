"""Special points of a curve between two of its solutions: located by a root search along it.

Each trial is a solution, so that folds, zeros of the free energy and of the leading eigenvalue are
known to round-off, not to the step. A second curve that crosses this one makes the derivative by
unknowns and arclength singular; its determinant changes its sign there, and not at folds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from meanfield.errors import BrokenInvariantError
from meanfield.geometry.sphere import Array
from meanfield.steady.crossing import settled_crossing
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import COLUMNS
from meanfield.steady.modes import NEUTRAL

__all__ = [
    "SMALL",
    "Junction",
    "Junctions",
    "Special",
    "Step",
    "located",
    "special_points",
]

SMALL = 1e-4
"""Amplitude below which a state is next to the uniform branch."""
_LEVEL = 1e-7  # of the tangent: its part along the parameter that is round-off
_UPRIGHT = 1e-11  # the same, at one end of a step, of which the other may be level
_ROUND_OFF = 1e-14  # of energies
_SAME = 1e-4  # of solutions, which are known to the root of round-off where branches cross
_CRITICAL = 1e-5  # of an eigenvalue, against a rate of one: the one that crosses zero


@dataclass(frozen=True)
class Step:
    """A step along a curve.

    Attributes:
        x, new: solutions at its beginning and its end.
        tangent, following: unit tangents there.
        size: its arclength.
    """

    x: Array
    tangent: Array
    size: float
    new: Array
    following: Array

    def is_level(self, curve: Curve) -> bool:
        """Whether the parameter stays as it is along the whole step, to round-off."""
        ends = (self.tangent[-1], self.following[-1])
        return max(abs(float(end)) for end in ends) < _LEVEL * curve.width


@dataclass(frozen=True)
class Special:
    """A special point between two others.

    Attributes:
        x: the solution.
        row: what a table says of it.
        kind: as in ``diagram.Event``.
    """

    x: Array
    row: Array
    kind: str


@dataclass
class Junction:
    """Where another branch of the same symmetry crosses one.

    Attributes:
        branch: the one that was followed.
        x, tangent: the solution, and the unit tangent of the branch next to it.
        degree, size: of the grid.
        met: whether the other branch has been followed through it.
    """

    branch: str
    x: Array
    tangent: Array
    degree: int
    size: int
    met: bool = False


class Junctions:
    """Where branches of one symmetry cross, and which have been followed from there.

    Attributes:
        wanted: whether they are looked for.
        found: in the order in which they were.
    """

    def __init__(self, wanted: bool = False) -> None:
        self.wanted = wanted
        self.found: list[Junction] = []
        self._parents: dict[str, str] = {}

    def leave(self, name: str, parent: str) -> None:
        """Say that a branch begins on another one."""
        self._parents[name] = parent

    def parent_of(self, name: str) -> str:
        """The branch on which one begins, or ""."""
        return self._parents.get(name, "")

    def pass_by(self, name: str, curve: Curve, x: Array, tangent: Array) -> str:
        """Note a crossing on a branch.

        A branch that itself begins at a crossing ends at one that is known: what goes on there is
        its mirror image, or a branch that has been followed.

        Returns:
            The other branch if this one ends there, or "".
        """
        for other in self.found:
            if _same(other.x, x, curve.width):
                other.met = True
                return other.branch if self.parent_of(name) else ""
        self.found.append(Junction(name, x, tangent, curve.degree, curve.grid.size))
        return ""


def _same(x: Array, y: Array, width: float) -> bool:
    """Whether two solutions, of different degrees perhaps, are the same up to a reflection."""
    n = min(x.size, y.size) - 1
    rest = max(np.abs(x[n:-1]).max(initial=0.0), np.abs(y[n:-1]).max(initial=0.0))
    apart = max(float(np.abs(np.abs(x[:n]) - np.abs(y[:n])).max()), float(rest))
    return max(apart, abs(float(x[-1] - y[-1])) / width) < _SAME


class _SingularError(Exception):
    """No solution next to a point where branches cross."""


class _NoSignError(Exception):
    """Values whose signs were those of round-off."""


def located(curve: Curve, step: Step, test: Callable[[Array], float]) -> tuple[Array, float]:
    """The solution along a step where ``test`` vanishes, and its arclength from the beginning.

    Raises:
        BrokenInvariantError: no solution was found between the ends.
    """
    solutions: dict[float, Array] = {}
    values: dict[float, float] = {}

    def value(part: float) -> float:
        found = (
            (step.x, 0) if part == 0.0 else curve.correct(step.x, step.tangent, part * step.size)
        )
        if found is None:
            raise _SingularError
        solutions[part] = found[0]
        values[part] = test(found[0])
        return values[part]

    try:
        if value(0.0) * value(1.0) > 0.0:
            raise _NoSignError
        root = float(optimize.brentq(value, 0.0, 1.0, xtol=1e-14, rtol=1e-14))
        value(root)
    except _SingularError:
        if len(values) < 3:
            raise BrokenInvariantError(
                f"{curve.parameter} = {step.x[-1]:g}: a special point of the branch was not located"
            ) from None
        # Branches cross there, where no direction is the only one: the nearest solution found.
        root = min(values, key=lambda part: abs(values[part]))
    return solutions[root], root * step.size


def _changes_sign(one: float, other: float, floor: float) -> bool:
    """Whether two numbers differ in sign, by more than round-off."""
    return one * other < 0.0 and min(abs(one), abs(other)) > floor


def special_points(
    curve: Curve, step: Step, rows: tuple[Array, Array], crossings: bool
) -> list[Special]:
    """What happens along a step, in the order along the curve.

    Where the parameter does not change the signs of folds and of the leading eigenvalue, which is
    zero all along, are those of round-off: none is looked for.

    Args:
        rows: of its ends.
        crossings: whether curves that cross this one are looked for, too.
    """
    apart = min(curve.amplitude(step.x), curve.amplitude(step.new)) > SMALL
    if not (apart or not curve.equation.is_free) or step.is_level(curve):
        return []
    leading, excess = COLUMNS.index("leading"), COLUMNS.index("free_energy_excess")
    tangent, (before, row) = step.tangent, rows
    tests: list[tuple[str, Callable[[Array], float]]] = []
    ends = (float(tangent[-1]), float(step.following[-1]))
    if turns := _changes_sign(*ends, _UPRIGHT * curve.width):
        tests.append(("fold", lambda y: float(curve.tangent(y, tangent)[-1])))
    if crossings and curve.crossing(step.x, tangent) * curve.crossing(step.new, tangent) < 0.0:
        tests.append(("secondary", lambda y: curve.crossing(y, tangent)))
    if _changes_sign(before[leading], row[leading], NEUTRAL) and not turns:
        tests.append(("branch point", lambda y: curve.spectrum(y).leading))
    falls = curve.equation.interaction.energy_kind == "gradient"
    sizes = [abs(r[COLUMNS.index("energy")]) + abs(r[COLUMNS.index("entropy")]) for r in rows]
    equal = _changes_sign(before[excess], row[excess], _ROUND_OFF * max(sizes))
    if falls and curve.equation.is_free and equal:
        tests.append(("equal free energy", lambda y: curve.state(y).free_energy_excess))
    found: list[tuple[float, Special]] = []
    for kind, test in tests:
        if kind == "branch point" and any(
            other.kind == "secondary" and abs(other.row[leading]) < _CRITICAL for _, other in found
        ):
            continue  # the eigenvalue that crosses zero is that of the other branch
        try:
            at, where = located(curve, step, test)
        except _NoSignError:
            continue
        row = curve.row(at)
        own = kind == "branch point" and row[-1] == curve.symmetry.own_order
        if kind == "secondary" or own:
            at = settled_crossing(curve, at)
            row = curve.row(at)
        found.append((where, Special(at, row, kind)))
    found.sort(key=lambda entry: entry[0])
    return [special for _, special in found]
