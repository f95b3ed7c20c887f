"""Branches of axially symmetric stationary states in one parameter: pseudo-arclength continuation.

A branch is a curve of solutions (c, p) of c = T(c; p), c_l = int P_l dmu the moments and p the
parameter. It is followed by its arclength, so that it goes around folds. The length of a step is
measured in the kernel's norm of c and in the parameter over the width of its interval. Folds, zeros
of the free energy and of the leading eigenvalue (branch points) between two points are located by
a root search along the curve, each trial being a solution: to round-off, not to the step.

Knows nothing of cases, files and pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from meanfield.analysis.linearised import Spectrum, zonal_spectrum
from meanfield.analysis.stationary import (
    LAST_SHARE,
    MOST_DEGREE,
    Equation,
    MomentMap,
    Point,
    StationaryState,
    find_stationary,
    newton,
    resolved,
    warn_of_the_end,
    with_parameter,
)
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws import Law
from meanfield.geometry.manifolds import ZonalGrid
from meanfield.geometry.sphere import Array, harmonic_dimension

__all__ = ["COLUMNS", "Branch", "Diagram", "Event", "branch", "critical_values"]

COLUMNS = ("parameter", "c_1", "c_2", "energy", "entropy", "free_energy", "leading", "order")
"""Columns of ``Branch.table``; energy is E, free_energy F relative to the uniform state."""

_STEP, _FIRST_STEP, _SMALLEST_STEP = 0.03, 0.01, 1e-7
_MAX_POINTS = 3000
_MAX_SIZE = 4096
_SMALL = 1e-4  # amplitude below which a state is next to the uniform branch
_UNIFORM_POINTS = 41


@dataclass(frozen=True)
class Event:
    """A special point of a branch.

    Attributes:
        kind: "fold" (the parameter turns back), "equal free energy" (with the uniform state, where
            a free energy decides: usa, kernels),
            "branch point" (an eigenvalue crosses zero: a branch leaves, of azimuthal order
            ``order``), "uniform" (the branch joins the uniform one), "end".
        parameter, mean_norm, free_energy: where.
        order: azimuthal order of the crossing eigenvalue, 0 else.
        c_2: int P_2 dmu there, the order parameter of even states.
    """

    kind: str
    parameter: float
    mean_norm: float
    free_energy: float
    order: int = 0
    c_2: float = 0.0


@dataclass(frozen=True)
class Branch:
    """A curve of stationary states.

    Attributes:
        name: "uniform", "clustered", "clustered 2", ...
        table: (points, len(COLUMNS)) in the order along the curve. ``leading``: largest real part
            of an eigenvalue of the linearisation (rotations left out), ``order`` its azimuthal
            order.
        moments: (points, L + 1) averages c_l = int P_l dmu.
        events: special points, in the order along the curve.
        stopped: why the curve ends.
    """

    name: str
    table: Array
    moments: Array
    events: tuple[Event, ...]
    stopped: str

    def column(self, name: str) -> Array:
        """One column of the table, (points,)."""
        return np.asarray(self.table[:, COLUMNS.index(name)])

    @property
    def stable(self) -> Array:
        """(points,) whether all eigenvalues but rotations have negative real parts."""
        return np.asarray(self.column("leading") < -1e-9)


@dataclass(frozen=True)
class Diagram:
    """A bifurcation diagram.

    Attributes:
        equation: the equation at the start of the interval.
        parameter: "kappa", or a number of the interaction.
        interval: from, to.
        branches: the uniform one first.
        critical: values of the parameter in the interval where the uniform state changes its
            stability, from the computed spectrum.
    """

    equation: Equation
    parameter: str
    interval: tuple[float, float]
    branches: tuple[Branch, ...]
    critical: tuple[float, ...]

    def events(self, kind: str) -> tuple[Event, ...]:
        """All special points of a kind, branch by branch."""
        return tuple(e for b in self.branches for e in b.events if e.kind == kind)


Report = Callable[[str, Array], None]
"""Called with the name of the branch and the row of each new point."""


class _Curve:
    """Solutions (c, p) of c = T(c; p) on one grid, which is refined when the peak narrows."""

    def __init__(self, equation: Equation, parameter: str, interval: tuple[float, float]) -> None:
        self.equation = equation
        self.parameter = parameter
        self.width = abs(interval[1] - interval[0])
        ends = [with_parameter(equation, parameter, value) for value in interval]
        self.ends = ends
        self.at_limit = False  # whether the last point tried was out of the parameter's range
        degree = max(end.first_degree for end in ends)
        self._set_grid(degree, 2 * degree + 32)

    def _set_grid(self, degree: int, size: int) -> None:
        self.degree, d = degree, self.equation.d
        self.grid = ZonalGrid(degree, size, d)
        self.scale = 1.0 / np.sqrt(harmonic_dimension(degree, d))
        longest = max(self.ends, key=lambda end: end.degree or 0)
        part = np.abs(longest.interaction.multipliers(degree))[1:] / self.scale[1:] ** 2
        self.metric = np.concatenate([part / max(part.max(), 1e-300), [1.0 / self.width**2]])

    def map(self, p: float) -> MomentMap:
        return MomentMap(with_parameter(self.equation, self.parameter, p), self.grid)

    def moments(self, x: Array) -> Array:
        return np.concatenate([[1.0], x[:-1]]) / self.scale

    def unknowns(self, moments: Array, p: float) -> Array:
        """x = (c_1, ..., c_L, p) of orthonormal moments."""
        c = np.zeros(self.degree)
        n = min(moments.size - 1, self.degree)
        c[:n] = moments[1 : n + 1] * self.scale[1 : n + 1]
        return np.concatenate([c, [p]])

    def point(self, x: Array) -> Point:
        return self.map(x[-1]).at(self.moments(x))

    def defect(self, x: Array) -> Array:
        """c - T(c; p)."""
        return np.asarray(x[:-1] - (self.point(x).image * self.scale)[1:])

    def jacobian(self, x: Array) -> Array:
        """(L, L + 1): derivatives of the defect by c and by p."""
        moment_map = self.map(x[-1])
        by_c = moment_map.jacobian(moment_map.at(self.moments(x)))[1:, 1:]
        by_c = np.eye(self.degree) - by_c * self.scale[1:, None] / self.scale[None, 1:]
        # Central differences: 1e-9 is enough for the direction, and Newton needs no more.
        h = 1e-5 * max(abs(x[-1]), 1e-2 * self.width)
        found: list[tuple[float, Array]] = []
        for sign in (1.0, -1.0, 0.0):
            if len(found) == 2:
                break
            try:
                found.append((sign * h, self.defect(np.concatenate([x[:-1], [x[-1] + sign * h]]))))
            except InputError:  # out of the range of the parameter: one-sided
                continue
        (a, one), (b, two) = found
        return np.column_stack([by_c, (one - two) / (a - b)])

    def length(self, x: Array) -> float:
        return math.sqrt(float(np.sum(self.metric * x * x)))

    def tangent(self, x: Array, along: Array) -> Array:
        """Unit tangent at a solution, in the direction of ``along``."""
        matrix = np.vstack([self.jacobian(x), self.metric * along])
        right = np.zeros(self.degree + 1)
        right[-1] = 1.0
        t = linalg.solve(matrix, right)
        return np.asarray(t / self.length(t))

    def correct(self, x: Array, tangent: Array, step: float) -> tuple[Array, int] | None:
        """The solution at arclength ``step`` from x along the tangent; None: no convergence."""
        y = x + step * tangent
        for count in range(1, 13):
            if self.parameter == "kappa" and y[-1] <= 0.0:
                return None
            along = float(np.sum(self.metric * tangent * (y - x))) - step
            try:
                right = -np.concatenate([self.defect(y), [along]])
                matrix = np.vstack([self.jacobian(y), self.metric * tangent])
                change = linalg.solve(matrix, right)
            except linalg.LinAlgError:
                return None
            except InputError:  # a parameter out of its range
                self.at_limit = True
                return None
            y = y + change
            size = self.length(change)
            if not math.isfinite(size) or size > 10.0 * max(step, 1e-3):
                return None
            if size < 1e-12:
                return y, count
        return (y, 12) if size < 1e-10 else None

    def dominant(self, x: Array) -> int:
        """Index of the moment that is largest in the kernel's norm."""
        return int(np.argmax(np.abs(x[:-1]) * np.sqrt(self.metric[:-1])))

    def meeting(self, x: Array, y: Array) -> Array:
        """Where the branch through x and y meets the uniform state: its derivative is singular.

        At the uniform state the derivative of the defect is diagonal, and that of the branch's
        largest moment vanishes.
        """
        index = self.dominant(x)

        def slope(p: float) -> float:
            uniform = np.concatenate([np.zeros(self.degree), [p]])
            return float(self.jacobian(uniform)[index, index])

        p = optimize.newton(slope, y[-1], tol=1e-14 * self.width, x1=y[-1] + 1e-3 * self.width)
        return np.concatenate([np.zeros(self.degree), [p]])

    def padded(self, x: Array) -> Array:
        """x with zeros for the moments of degrees that have been added since."""
        return np.concatenate([x[:-1], np.zeros(self.degree + 1 - x.size), x[-1:]])

    def refine(self, x: Array) -> bool:
        """Double the grid, or the degree, if it does not resolve x; whether it was changed.

        After it, points are to be ``padded``.
        """
        moment_map = self.map(x[-1])
        moments = self.moments(x)
        if resolved(moment_map, moment_map.at(moments)):
            if self.degree >= MOST_DEGREE or moment_map.last_share(moments) <= LAST_SHARE:
                warn_of_the_end(moment_map, moments)
                return False
            self._set_grid(2 * self.degree, max(self.grid.size, 4 * self.degree + 32))
            return True
        if 2 * self.grid.size > _MAX_SIZE:
            raise BrokenInvariantError(
                f"{self.parameter} = {x[-1]:g}: the peak is too narrow for {_MAX_SIZE} nodes; "
                "choose a smaller interval"
            )
        self.grid = self.grid.resized(self.degree, 2 * self.grid.size)
        return True

    def spectrum(self, x: Array) -> Spectrum:
        return zonal_spectrum(self.map(x[-1]), self.point(x), count=3)

    def state(self, x: Array) -> StationaryState:
        moment_map, point = self.map(x[-1]), self.point(x)
        return StationaryState(
            moment_map.equation, self.grid, point.moments, point.log_rho,
            moment_map.residual(point), (0, 0),
        )  # fmt: skip

    def row(self, x: Array) -> Array:
        """One row of the table."""
        state, spectrum = self.state(x), self.spectrum(x)
        return np.array(
            [
                x[-1],
                x[0],
                x[1] if self.degree > 1 else state.c2,
                state.energy,
                state.entropy,
                state.free_energy,
                spectrum.leading,
                spectrum.leading_mode.order,
            ]
        )


def critical_values(
    equation: Equation, parameter: str, interval: tuple[float, float], points: int = _UNIFORM_POINTS
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
    curve = _Curve(equation, parameter, interval)

    def leading(p: float) -> float:
        return curve.spectrum(np.concatenate([np.zeros(curve.degree), [p]])).leading

    samples = np.linspace(min(interval), max(interval), points)
    values = [leading(float(p)) for p in samples]
    found = []
    for k in range(points - 1):
        if values[k] * values[k + 1] >= 0.0 and values[k] != 0.0:
            continue
        p = float(samples[k])
        if values[k] != 0.0:
            p = float(optimize.brentq(leading, samples[k], samples[k + 1], xtol=1e-15, rtol=1e-14))
        mode = curve.spectrum(np.concatenate([np.zeros(curve.degree), [p]])).modes[0]
        found.append((p, int(np.argmax(np.abs(mode.vector)))))
    return tuple(found)


def branch(
    equation: Equation,
    parameter: str,
    start: float,
    end: float,
    law: Law | Array,
    step: float = _STEP,
    report: Report | None = None,
) -> Diagram:
    """Follow the branches of stationary states over an interval of a parameter.

    The uniform state is a state for every parameter; where it changes its stability is found from
    its computed spectrum. The other branch starts at the state to which ``law`` leads at ``start``
    or, if that is uniform, at the first such critical value, along its critical mode. It is
    followed around folds until it leaves the interval or joins the uniform branch.

    Args:
        equation: the other parameters; that of ``parameter`` is not used.
        parameter: "kappa", or a number of the interaction ("beta"; "strength", ... of kernels).
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
    if start == end or not (math.isfinite(start) and math.isfinite(end)):
        raise InputError(
            f"{parameter} from {start:g} to {end:g} found, two different ends expected"
        )
    with_parameter(equation, parameter, end)
    first = with_parameter(equation, parameter, start)
    interval = (start, end)
    report = report or (lambda name, row: None)
    critical = critical_values(equation, parameter, interval)
    branches = [_uniform_branch(first, parameter, interval, critical, report)]
    state = find_stationary(first, law, "zonal")
    curve = _Curve(first, parameter, interval)
    forward = math.copysign(1.0, end - start)
    if not state.is_uniform:
        x = _settle(curve, curve.unknowns(state.moments, start))
        along = np.zeros(curve.degree + 1)
        along[-1] = forward
        branches.append(_follow(curve, "clustered", x, along, interval, step, report))
    met = [e.parameter for b in branches[1:] for e in b.events if e.kind == "uniform"]
    for p, degree in sorted(critical, key=lambda found: forward * found[0]):
        if any(abs(p - other) < 1e-6 * curve.width for other in met):
            continue
        curve = _Curve(first, parameter, interval)
        along = np.zeros(curve.degree + 1)
        along[degree - 1] = 1.0 / math.sqrt(curve.metric[degree - 1])
        x = np.concatenate([np.zeros(curve.degree), [p]])
        name = "clustered" if len(branches) == 1 else f"clustered {len(branches)}"
        branches.append(_follow(curve, name, x, along, interval, step, report))
        met += [e.parameter for e in branches[-1].events if e.kind == "uniform"]
    return Diagram(
        first, parameter, interval, tuple(branches), tuple(sorted(p for p, _ in critical))
    )


def _settle(curve: _Curve, x: Array) -> Array:
    """Solve again on the curve's grid, which has another degree than the state's."""
    while True:
        point, _ = newton(curve.map(x[-1]), curve.moments(x))
        x = curve.unknowns(point.moments, x[-1])
        if not curve.refine(x):
            return x
        x = curve.padded(x)


def _uniform_branch(
    equation: Equation,
    parameter: str,
    interval: tuple[float, float],
    critical: tuple[tuple[float, int], ...],
    report: Report,
) -> Branch:
    curve = _Curve(equation, parameter, interval)
    values = np.linspace(*interval, _UNIFORM_POINTS)
    values = np.unique(np.concatenate([values, [p for p, _ in critical]]))
    if interval[0] > interval[1]:
        values = values[::-1]
    rows = []
    for p in values:
        rows.append(curve.row(np.concatenate([np.zeros(curve.degree), [p]])))
        report("uniform", rows[-1])
    events = tuple(Event("branch point", p, 0.0, 0.0) for p, _ in critical)
    moments = np.zeros((len(rows), curve.degree + 1))
    moments[:, 0] = 1.0
    return Branch("uniform", np.array(rows), moments, events, "the end of the interval")


def _follow(
    curve: _Curve,
    name: str,
    x: Array,
    along: Array,
    interval: tuple[float, float],
    largest: float,
    report: Report,
) -> Branch:
    """Follow one branch from a solution (or from a branch point on the uniform state)."""
    low, high = sorted(interval)
    points, rows = [x], [curve.row(x)]
    report(name, rows[0])
    events: list[Event] = []
    at_uniform = _amplitude(curve, x) < _SMALL
    if at_uniform:
        events.append(_event("uniform", rows[0]))
    tangent = along if at_uniform else curve.tangent(x, along)
    if not at_uniform and tangent[-1] * along[-1] < 0.0:
        tangent = -tangent
    step = min(_FIRST_STEP, largest)
    stopped = f"{_MAX_POINTS} points"  # unless something better comes up
    while len(points) < _MAX_POINTS:
        found = curve.correct(x, tangent, step)
        following = None
        if found is not None:
            following = curve.tangent(found[0], tangent)
            cosine = float(np.sum(curve.metric * following * tangent))
        if (
            found is None
            or following is None
            or (cosine < 0.97 and not (at_uniform and step < 2e-3))
        ):
            step *= 0.5
            if step < _SMALLEST_STEP:
                stopped = "the steps became too small"
                if curve.at_limit:
                    stopped = "the end of the interval"
                    events.append(_event("end", rows[-1]))
                break
            continue
        curve.at_limit = False
        new, count = found
        if curve.refine(new):
            x, tangent = curve.padded(x), curve.padded(tangent)
            tangent /= curve.length(tangent)
            continue
        past = new[-1] < low - 1e-12 * curve.width or new[-1] > high + 1e-12 * curve.width
        if not past and not at_uniform and _joins(curve, x, new):
            x = curve.meeting(x, new)
            points.append(x)
            rows.append(curve.row(x))
            report(name, rows[-1])
            events.append(_event("uniform", rows[-1]))
            stopped = "the uniform state"
            break
        if past:
            new, step = _locate(curve, x, tangent, step, _beyond(low if new[-1] < low else high))
        row = curve.row(new)
        for at, there, event in _between(curve, x, tangent, step, new, rows[-1], row):
            points.append(at)
            rows.append(there)
            events.append(event)
            report(name, there)
        points.append(new)
        rows.append(row)
        report(name, row)
        if past:
            events.append(_event("end", row))
            stopped = "the end of the interval"
            break
        x, tangent, at_uniform = new, following, False
        if count <= 4 and cosine > 0.995:
            step = min(1.4 * step, largest)
    c = np.array([curve.padded(at) for at in points])[:, :-1]
    moments = np.column_stack([np.ones(len(c)), c])
    return Branch(name, np.array(rows), moments, tuple(events), stopped)


def _amplitude(curve: _Curve, x: Array) -> float:
    return float(np.max(np.abs(x[:-1]) * np.sqrt(curve.metric[:-1])))


def _beyond(border: float) -> Callable[[Array], float]:
    return lambda x: float(x[-1]) - border


def _joins(curve: _Curve, x: Array, y: Array) -> bool:
    """Whether the branch reaches the uniform one between two points: all moments vanish."""
    index = curve.dominant(x)
    near = _amplitude(curve, y)
    crosses = x[index] * y[index] <= 0.0 and _amplitude(curve, x) < 0.2
    return bool(crosses or near < min(_SMALL, _amplitude(curve, x)))


class _SingularError(Exception):
    """No solution next to a point where branches cross."""


def _locate(
    curve: _Curve, x: Array, tangent: Array, step: float, test: Callable[[Array], float]
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
    curve: _Curve, x: Array, tangent: Array, step: float, new: Array, before: Array, row: Array
) -> list[tuple[Array, Array, Event]]:
    """What happens between two neighbouring points: solutions, rows and events along the curve."""
    tests: list[tuple[str, Callable[[Array], float]]] = []
    leading, free_energy = COLUMNS.index("leading"), COLUMNS.index("free_energy")
    if min(_amplitude(curve, x), _amplitude(curve, new)) > _SMALL:
        if tangent[-1] * curve.tangent(new, tangent)[-1] < 0.0:
            tests.append(("fold", lambda y: float(curve.tangent(y, tangent)[-1])))
        elif before[leading] * row[leading] < 0.0:
            tests.append(("branch point", lambda y: curve.spectrum(y).leading))
        falls = curve.equation.interaction.energy_kind == "gradient"
        if falls and before[free_energy] * row[free_energy] < 0.0:
            tests.append(("equal free energy", lambda y: curve.state(y).free_energy))
    found = []
    for kind, test in tests:
        at, where = _locate(curve, x, tangent, step, test)
        found.append((where, at, curve.row(at), kind))
    found.sort(key=lambda entry: entry[0])
    return [(at, there, _event(kind, there)) for _, at, there, kind in found]


def _event(kind: str, row: Array) -> Event:
    at = {name: float(row[COLUMNS.index(name)]) for name in COLUMNS}
    return Event(
        kind, at["parameter"], abs(at["c_1"]), at["free_energy"], int(at["order"]), at["c_2"]
    )
