"""Branches of axially symmetric stationary states in one parameter: pseudo-arclength continuation.

A branch is followed along its ``curve`` by arclength, so that it goes around folds. Folds, zeros
of the free energy and of the leading eigenvalue (branch points) between two points are located by
a root search along the curve, each trial being a solution: to round-off, not to the step.

Owns where branches begin, the steps along them and where they end. Knows nothing of cases, files
and pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize

from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws import Law
from meanfield.geometry.sphere import Array
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import COLUMNS, Branch, Diagram, Event
from meanfield.steady.equation import Equation, with_parameter
from meanfield.steady.newton import find_stationary, newton
from meanfield.steady.symmetry import AXIAL

__all__ = [
    "STEP",
    "UNIFORM_POINTS",
    "Report",
    "critical_values",
    "find_branches",
    "first_equation",
    "follow",
    "numbered",
    "silent",
    "uniform_branch",
]

STEP, _FIRST_STEP, _SMALLEST_STEP = 0.03, 0.01, 1e-7
_MAX_POINTS = 3000
_SMALL = 1e-4  # amplitude below which a state is next to the uniform branch
UNIFORM_POINTS = 41
_END = "the end of the interval"

Report = Callable[[str, Array], None]
"""Called with the name of the branch and the row of each new point."""


def critical_values(
    equation: Equation, parameter: str, interval: tuple[float, float], points: int = UNIFORM_POINTS
) -> tuple[tuple[float, int], ...]:
    """Where the uniform state changes its stability, from the computed spectrum.

    Args:
        equation: the other parameters.
        parameter: "kappa", or a number of the interaction.
        interval: ends of the parameter's interval, in any order.
        points: samples of the leading eigenvalue; between two of different sign a root is found.

    Returns:
        Values, ascending, each with the degree of the critical harmonic.
    """
    curve = Curve(equation, parameter, interval)

    def leading(p: float) -> float:
        return curve.spectrum(curve.uniform(p)).leading

    samples = np.linspace(min(interval), max(interval), points)
    values = [leading(float(p)) for p in samples]
    found = []
    for k in range(points - 1):
        if values[k] * values[k + 1] >= 0.0 and values[k] != 0.0:
            continue
        p = float(samples[k])
        if values[k] != 0.0:
            p = float(optimize.brentq(leading, samples[k], samples[k + 1], xtol=1e-15, rtol=1e-14))
        mode = curve.spectrum(curve.uniform(p)).modes[0]
        found.append((p, int(np.argmax(np.abs(mode.vector)))))
    return tuple(found)


def numbered(noun: str, branches: list[Branch]) -> str:
    """The name of the next branch."""
    return noun if len(branches) == 1 else f"{noun} {len(branches)}"


def silent(name: str, row: Array) -> None:
    """Report nothing."""


def first_equation(equation: Equation, parameter: str, interval: tuple[float, float]) -> Equation:
    """The equation at the start of an interval, whose ends are checked."""
    start, end = interval
    if start == end or not (math.isfinite(start) and math.isfinite(end)):
        raise InputError(
            f"{parameter} from {start:g} to {end:g} found, two different ends expected"
        )
    with_parameter(equation, parameter, end)
    return with_parameter(equation, parameter, start)


def find_branches(
    equation: Equation,
    parameter: str,
    start: float,
    end: float,
    law: Law | Array,
    step: float = STEP,
    report: Report | None = None,
) -> Diagram:
    """Follow the branches of axially symmetric stationary states over an interval of a parameter.

    The uniform state is a state for every parameter; where it changes its stability is found from
    its computed spectrum. The other branch starts at the state to which ``law`` leads at ``start``
    or, if that is uniform, at the first such critical value, along its critical mode. It is
    followed around folds until it leaves the interval or joins the uniform branch. Beside a
    potential no state is uniform, and the branch of the state at ``start`` is all.

    Args:
        equation: the other parameters; that of ``parameter`` is not used.
        parameter: "kappa", or a number of the interaction ("beta"; "strength", ... of kernels) or
            of the potential ("potential.strength", ...).
        start, end: the interval, in the order in which it is followed.
        law: a law symmetric about e_d, or zonal moments, see ``find_stationary``.
        step: largest arclength of a step (0.03: about 100 points for a hysteresis loop).
        report: called with each new point.

    Returns:
        The diagram; the uniform branch first.

    Raises:
        InputError: an interval that is empty or not positive (kappa).
        BrokenInvariantError: a state could not be found or resolved.
    """
    first, interval = first_equation(equation, parameter, (start, end)), (start, end)
    report = report or silent
    if first.external is not None:
        return _beside_potential(first, parameter, interval, law, step, report)
    critical = critical_values(equation, parameter, interval)
    branches = [uniform_branch(Curve(first, parameter, interval), critical, report)]
    state = find_stationary(first, law, "zonal")
    forward = math.copysign(1.0, end - start)
    if not state.is_uniform:
        curve = Curve(first, parameter, interval)
        x = _settle(curve, curve.unknowns(state.moments, start))
        branches.append(follow(curve, AXIAL.noun, x, curve.uniform(forward), step, report))
    met = [e.parameter for b in branches[1:] for e in b.events if e.kind == "uniform"]
    for p, degree in sorted(critical, key=lambda found: forward * found[0]):
        if any(abs(p - other) < 1e-6 * abs(end - start) for other in met):
            continue
        curve = Curve(first, parameter, interval)
        along = curve.uniform(0.0)
        along[degree - 1] = 1.0 / math.sqrt(curve.metric[degree - 1])
        name = numbered(AXIAL.noun, branches)
        branches.append(follow(curve, name, curve.uniform(p), along, step, report))
        met += [e.parameter for e in branches[-1].events if e.kind == "uniform"]
    values = tuple(sorted(p for p, _ in critical))
    return Diagram(first, parameter, interval, tuple(branches), values, AXIAL)


def _beside_potential(
    first: Equation,
    parameter: str,
    interval: tuple[float, float],
    law: Law | Array,
    step: float,
    report: Report,
) -> Diagram:
    """The one branch that is followed where no state is uniform: from that at the start."""
    curve = Curve(first, parameter, interval)
    state = find_stationary(first, law, "zonal")
    x = _settle(curve, curve.unknowns(state.moments, interval[0]))
    along = curve.uniform(math.copysign(1.0, interval[1] - interval[0]))
    found = follow(curve, "aligned", x, along, step, report)
    return Diagram(first, parameter, interval, (found,), ())


def _settle(curve: Curve, x: Array) -> Array:
    """Solve again on the curve's grid, which has another degree than the state's."""
    while True:
        point, _ = newton(curve.map(x[-1]), curve.moments(x))
        x = curve.unknowns(point.moments, x[-1])
        if not curve.refine(x):
            return x
        x = curve.padded(x)


def uniform_branch(curve: Curve, critical: tuple[tuple[float, int], ...], report: Report) -> Branch:
    """The uniform state over the interval, with its critical values among the points."""
    values = np.linspace(curve.low, curve.high, UNIFORM_POINTS)
    values = np.unique(np.concatenate([values, [p for p, _ in critical]]))
    if curve.backwards:
        values = values[::-1]
    rows = []
    for p in values:
        rows.append(curve.row(curve.uniform(p)))
        report("uniform", rows[-1])
    excess = float(rows[0][COLUMNS.index("free_energy_excess")])  # 0, or nan
    events = tuple(Event("branch point", p, 0.0, excess) for p, _ in critical)
    moments = np.zeros((len(rows), curve.size + 1))
    moments[:, 0] = 1.0
    return Branch("uniform", np.array(rows), moments, events, _END)


class _Walk:
    """What has been found of a branch: solutions, their rows in the table, and special points."""

    def __init__(self, curve: Curve, name: str, report: Report) -> None:
        self.curve, self.name, self.report = curve, name, report
        self.points: list[Array] = []
        self.rows: list[Array] = []
        self.events: list[Event] = []

    def add(self, x: Array, row: Array | None = None, kind: str = "") -> None:
        """Add a solution and, if it is special, what it is."""
        self.points.append(x)
        self.rows.append(self.curve.row(x) if row is None else row)
        self.report(self.name, self.rows[-1])
        if kind:
            self.mark(kind)

    def mark(self, kind: str) -> None:
        """Say that the last point is special."""
        at = {name: float(self.rows[-1][k]) for k, name in enumerate(COLUMNS)}
        if abs(at["parameter"]) < 1e-12 * self.curve.width:  # round-off
            at["parameter"] = 0.0
        numbers = (
            at["parameter"],
            abs(at["c_1"]),
            at["free_energy_excess"],
            int(at["order"]),
            at["c_2"],
        )
        self.events.append(Event(kind, *numbers))

    def ended(self, why: str) -> Branch:
        """The branch."""
        c = np.array([self.curve.padded(x) for x in self.points])[:, :-1]
        moments = np.column_stack([np.ones(len(c)), c])
        return Branch(self.name, np.array(self.rows), moments, tuple(self.events), why)


def follow(
    curve: Curve, name: str, x: Array, along: Array, largest: float, report: Report
) -> Branch:
    """Follow one branch from a solution (or from a branch point on the uniform state)."""
    walk = _Walk(curve, name, report)
    free = curve.equation.external is None  # else no state is uniform
    at_uniform = free and curve.amplitude(x) < _SMALL
    walk.add(x, kind="uniform" if at_uniform else "")
    tangent = along if at_uniform else curve.tangent(x, along)
    if not at_uniform and tangent[-1] * along[-1] < 0.0:
        tangent = -tangent
    step = min(_FIRST_STEP, largest)
    while len(walk.points) < _MAX_POINTS:
        found = curve.correct(x, tangent, step)
        following = tangent if found is None else curve.tangent(found[0], tangent)
        cosine = float(np.sum(curve.metric * following * tangent))
        if found is None or (cosine < 0.97 and not (at_uniform and step < 2e-3)):
            step *= 0.5
            if step >= _SMALLEST_STEP:
                continue
            if curve.at_limit:
                walk.mark("end")
                return walk.ended(_END)
            return walk.ended("the steps became too small")
        curve.at_limit = False
        new, count = found
        if curve.refine(new):
            x, tangent = curve.padded(x), curve.padded(tangent)
            tangent /= curve.length(tangent)
            continue
        past = curve.outside(new)
        if free and not past and not at_uniform and _joins(curve, x, new):
            walk.add(curve.meeting(x, new), kind="uniform")
            return walk.ended("the uniform state")
        if past:
            border = curve.low if new[-1] < curve.low else curve.high
            new, step = _locate(curve, x, tangent, step, _beyond(border))
        row = curve.row(new)
        for between in _between(curve, x, tangent, step, new, walk.rows[-1], row):
            walk.add(*between)
        walk.add(new, row, "end" if past else "")
        if past:
            return walk.ended(_END)
        x, tangent, at_uniform = new, following, False
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
    return bool(crosses or near < min(_SMALL, curve.amplitude(x)))


class _SingularError(Exception):
    """No solution next to a point where branches cross."""


class _NoSignError(Exception):
    """Values whose signs were those of round-off."""


def _locate(
    curve: Curve, x: Array, tangent: Array, step: float, test: Callable[[Array], float]
) -> tuple[Array, float]:
    """The solution between x and that at arclength ``step`` where ``test`` vanishes; its step."""
    solutions: dict[float, Array] = {}
    values: dict[float, float] = {}

    def value(part: float) -> float:
        found = curve.correct(x, tangent, part * step) if part > 0.0 else (x, 0)
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
                f"{curve.parameter} = {x[-1]:g}: a special point of the branch was not located"
            ) from None
        # Branches cross there, where no direction is the only one: the nearest solution found.
        root = min(values, key=lambda part: abs(values[part]))
    return solutions[root], root * step


def _between(
    curve: Curve, x: Array, tangent: Array, step: float, new: Array, before: Array, row: Array
) -> list[tuple[Array, Array, str]]:
    """What happens between two neighbouring points: solutions, rows and kinds along the curve."""
    tests: list[tuple[str, Callable[[Array], float]]] = []
    leading, excess = COLUMNS.index("leading"), COLUMNS.index("free_energy_excess")
    apart = min(curve.amplitude(x), curve.amplitude(new)) > _SMALL  # from the uniform state
    if apart or curve.equation.external is not None:
        if tangent[-1] * curve.tangent(new, tangent)[-1] < 0.0:
            tests.append(("fold", lambda y: float(curve.tangent(y, tangent)[-1])))
        elif before[leading] * row[leading] < 0.0:
            tests.append(("branch point", lambda y: curve.spectrum(y).leading))
        falls = curve.equation.interaction.energy_kind == "gradient"
        if falls and curve.equation.external is None and before[excess] * row[excess] < 0.0:
            tests.append(("equal free energy", lambda y: curve.state(y).free_energy_excess))
    found = []
    for kind, test in tests:
        try:
            at, where = _locate(curve, x, tangent, step, test)
        except _NoSignError:
            continue
        found.append((where, at, curve.row(at), kind))
    found.sort(key=lambda entry: entry[0])
    return [(at, there, kind) for _, at, there, kind in found]
