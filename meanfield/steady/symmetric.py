"""Branches of stationary states with the symmetry of a solid, a prism or a polygon.

Owns where they begin; they are followed as all branches are, see ``branch``.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from meanfield.steady.branch import (
    STEP,
    UNIFORM_POINTS,
    Report,
    first_equation,
    follow,
    numbered,
    silent,
    uniform_branch,
)
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import Branch, Diagram
from meanfield.steady.equation import Equation
from meanfield.steady.symmetry import Symmetry

__all__ = ["find_symmetric_branches"]

_FIRST_MODES = 12  # harmonics of a symmetry whose branches are looked for


def _critical_in(curve: Curve, points: int = UNIFORM_POINTS) -> tuple[tuple[float, int], ...]:
    """Where a harmonic that has the symmetry of a curve loses its stability at the uniform state.

    Only of degrees of which there is but one: its direction is that of the branch. Ascending; each
    with the place of the harmonic among the unknowns.
    """
    samples = np.linspace(curve.low, curve.high, points)
    degrees = curve.grid.degrees[1:]
    single = [k for k, l in enumerate(degrees) if np.count_nonzero(degrees == l) == 1]
    values = np.array([np.diagonal(curve.jacobian(curve.uniform(float(p)))) for p in samples])

    def slope(p: float, k: int) -> float:
        return float(curve.jacobian(curve.uniform(p))[k, k])

    found = []
    for k in single[:_FIRST_MODES]:
        for i in np.flatnonzero(values[:-1, k] * values[1:, k] < 0.0):
            p = optimize.brentq(slope, samples[i], samples[i + 1], (k,), xtol=1e-15, rtol=1e-14)
            found.append((float(p), k))
    return tuple(sorted(found))


def find_symmetric_branches(
    equation: Equation,
    parameter: str,
    start: float,
    end: float,
    symmetry: Symmetry,
    step: float = STEP,
    report: Report | None = None,
) -> Diagram:
    """Follow the branches of stationary states with a symmetry other than axial.

    From each value of the parameter at which one of its harmonics loses its stability at the
    uniform state, both ways along that harmonic where these are not the same up to a rotation (a
    transcritical point).

    Args:
        equation, parameter, start, end, step, report: as for ``find_branches``.
        symmetry: of the states.

    Returns:
        The diagram; the uniform branch first. Its critical values are those of the symmetry.

    Raises:
        InputError: an interval that is empty or not positive (kappa).
        BrokenInvariantError: a state could not be found or resolved.
    """
    first, report = first_equation(equation, parameter, (start, end)), report or silent
    interval, forward = (start, end), math.copysign(1.0, end - start)
    curve = Curve(first, parameter, interval, symmetry)
    critical = sorted(_critical_in(curve), key=lambda found: forward * found[0])
    degrees = tuple((p, int(curve.grid.degrees[k + 1])) for p, k in critical)
    branches = [uniform_branch(curve, degrees, report)]
    for p, k in critical:
        if _meets(branches, p, k, abs(end - start)):
            continue
        for sign in (1.0, -1.0)[: 2 if _differ(curve, k) else 1]:
            curve = Curve(first, parameter, interval, symmetry)
            along = curve.uniform(0.0)
            along[k] = sign / math.sqrt(curve.metric[k])
            name = numbered(symmetry.noun, branches)
            branches.append(follow(curve, name, curve.uniform(p), along, step, report))
    values = tuple(sorted(p for p, _ in critical))
    return Diagram(first, parameter, interval, tuple(branches), values, symmetry)


def _differ(curve: Curve, k: int) -> bool:
    """Whether states along a harmonic and against it are different: its third moment is not 0."""
    f = curve.grid.functions[0][k + 1]
    third, size = (float(curve.grid.weights @ power) for power in (f**3, np.abs(f) ** 3))
    return abs(third) > 1e-6 * size


def _meets(branches: list[Branch], p: float, k: int, width: float) -> bool:
    """Whether one of the branches has ended at the uniform state at p, along harmonic k."""
    for found in branches[1:]:
        last = found.events[-1] if found.events else None
        if last is None or last.kind != "uniform" or len(found.table) < 3:
            continue
        along = int(np.argmax(np.abs(found.moments[-2, 1:])))
        if abs(last.parameter - p) < 1e-6 * width and along == k:
            return True
    return False
