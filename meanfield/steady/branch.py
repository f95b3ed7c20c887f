"""Branches of axially symmetric stationary states in one parameter: pseudo-arclength continuation.

Each is followed by ``follow``, and those that leave it by ``secondary``.

Owns where branches begin. Knows nothing of cases, files and pictures.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from meanfield.errors import InputError
from meanfield.geometry.laws import Law
from meanfield.geometry.sphere import Array
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import COLUMNS, END, EVEN, Branch, Diagram, Event
from meanfield.steady.equation import Equation, with_parameter
from meanfield.steady.follow import STEP, Report, follow, silent
from meanfield.steady.newton import find_stationary, newton
from meanfield.steady.secondary import secondary_branches
from meanfield.steady.special import Junctions
from meanfield.steady.spectrum import Spectrum
from meanfield.steady.symmetry import AXIAL

__all__ = [
    "UNIFORM_POINTS",
    "critical_values",
    "find_aligned",
    "find_branches",
    "first_equation",
    "numbered",
    "uniform_branch",
]

UNIFORM_POINTS = 41


def critical_values(
    equation: Equation, parameter: str, interval: tuple[float, float], points: int = UNIFORM_POINTS
) -> tuple[tuple[float, int], ...]:
    """Where the uniform state changes its stability, from the computed spectrum.

    Beside matrices: its stability against perturbations that are symmetric about the axis.

    Args:
        equation: the other parameters.
        parameter: "kappa", or a number of the interaction.
        interval: ends of the parameter's interval, in any order.
        points: samples of the leading eigenvalue; between two of different sign a root is found.

    Returns:
        Values, ascending, each with the degree of the critical harmonic.
    """
    curve = Curve(equation, parameter, interval)
    among = None if curve.equation.is_isotropic else 1  # of those about the axis

    def leading(p: float) -> float:
        modes = curve.spectrum(curve.uniform(p)).modes
        return Spectrum(modes[:among]).leading

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
    secondary: bool = False,
) -> Diagram:
    """Follow the branches of axially symmetric stationary states over an interval of a parameter.

    The uniform state is a state for every parameter; where it changes its stability is found from
    its computed spectrum. The other branch starts at the state to which ``law`` leads at ``start``
    or, if that is uniform, at the first such critical value, along its critical mode. It is
    followed around folds until it leaves the interval or joins the uniform branch. Where no state
    is uniform, beside a potential or matrices, see ``find_aligned``.

    Args:
        equation: the other parameters; that of ``parameter`` is not used.
        parameter: "kappa", or a number of the interaction or of the potential.
        start, end: the interval, in the order in which it is followed.
        law: a law symmetric about e_d, or zonal moments, see ``find_stationary``.
        step: largest arclength of a step (0.03: about 100 points for a hysteresis loop).
        report: called with each new point.
        secondary: whether to follow branches that leave these, too, see ``secondary``.

    Returns:
        The diagram; the uniform branch first.

    Raises:
        InputError: an interval that is empty or not positive (kappa).
        BrokenInvariantError: a state could not be found or resolved.
    """
    first, interval = first_equation(equation, parameter, (start, end)), (start, end)
    report, junctions = report or silent, Junctions(secondary)
    if not first.is_free:
        return find_aligned(Curve(first, parameter, interval), law, step, report, secondary)
    critical = critical_values(equation, parameter, interval)
    branches = [uniform_branch(Curve(first, parameter, interval), critical, report)]
    state = find_stationary(first, law, "zonal")
    forward = math.copysign(1.0, end - start)
    if not state.is_uniform:
        curve = Curve(first, parameter, interval)
        x = _settle(curve, curve.unknowns(state.moments, start))
        branches.append(
            follow(curve, AXIAL.noun, x, curve.uniform(forward), step, report, junctions)
        )
    met = [e.parameter for b in branches[1:] for e in b.events if e.kind == "uniform"]
    for p, degree in sorted(critical, key=lambda found: forward * found[0]):
        if any(abs(p - other) < 1e-6 * abs(end - start) for other in met):
            continue
        curve = Curve(first, parameter, interval)
        along = curve.uniform(0.0)
        along[degree - 1] = 1.0 / math.sqrt(curve.metric[degree - 1])
        name = numbered(AXIAL.noun, branches)
        branches.append(follow(curve, name, curve.uniform(p), along, step, report, junctions))
        met += [e.parameter for e in branches[-1].events if e.kind == "uniform"]
    branches += secondary_branches(Curve(first, parameter, interval), junctions, step, report)
    return Diagram(first, parameter, interval, tuple(branches), tuple(p for p, _ in critical))


def find_aligned(
    curve: Curve,
    law: Law | Array,
    step: float = STEP,
    report: Report | None = None,
    secondary: bool = False,
) -> Diagram:
    """Follow branches where no state is uniform: that of the state to which ``law`` leads.

    And that of the even states, if it meets them.

    Args:
        curve: at the start of its interval; its symmetry is axial or, on S^1, none.
        law, step, report, secondary: as for ``find_branches``.

    Raises:
        BrokenInvariantError: a state could not be found or resolved.
    """
    report, junctions = report or silent, Junctions(secondary)
    (start, end), on = curve.interval, curve.grid.manifold.name
    state = find_stationary(curve.equation, law, on)
    x = _settle(curve, curve.unknowns(state.moments, start))
    along = curve.uniform(math.copysign(1.0, end - start))
    branches = [follow(curve, "aligned", x, along, step, report, junctions)]
    if branches[0].stopped == EVEN:
        odd = state.grid.degrees % 2 == 1
        curve = curve.again()
        even = find_stationary(curve.equation, np.where(odd, 0.0, state.moments), on)
        x = _settle(curve, curve.unknowns(even.moments, start))
        curve.even = True
        along = curve.uniform(math.copysign(1.0, end - start))
        branches.append(follow(curve, "even", x, along, step, report, junctions))
    branches += secondary_branches(curve.again(), junctions, step, report)
    of, name, symmetry = curve.equation, curve.parameter, curve.symmetry
    return Diagram(of, name, (start, end), tuple(branches), (), symmetry)


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
    return Branch("uniform", np.array(rows), moments, events, END)
