"""Branches of stationary states with the symmetry of a solid, a prism or a polygon.

Owns where they begin; they are followed as all branches are, see ``branch``.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from meanfield.geometry.sphere import Array
from meanfield.steady.branch import (
    UNIFORM_POINTS,
    first_equation,
    numbered,
    uniform_branch,
)
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import Branch, Diagram
from meanfield.steady.directions import directions
from meanfield.steady.equation import Equation
from meanfield.steady.follow import STEP, Report, follow, silent
from meanfield.steady.secondary import secondary_branches
from meanfield.steady.special import Junctions
from meanfield.steady.symmetry import Symmetry

__all__ = ["find_symmetric_branches"]

_ALONG = 0.9  # cosine between directions that are the same
_FIRST_DEGREES = 12  # of harmonics of a symmetry whose branches are looked for


def _critical_in(curve: Curve, points: int = UNIFORM_POINTS) -> tuple[tuple[float, int], ...]:
    """Where harmonics that have the symmetry of a curve lose their stability at the uniform state.

    Ascending; each with their degree.
    """
    samples = np.linspace(curve.low, curve.high, points)
    degrees, first = np.unique(curve.grid.degrees[1:], return_index=True)
    values = np.array([np.diagonal(curve.jacobian(curve.uniform(float(p)))) for p in samples])

    def slope(p: float, k: int) -> float:
        return float(curve.jacobian(curve.uniform(p))[k, k])

    found = []
    for l, k in zip(degrees[:_FIRST_DEGREES], first[:_FIRST_DEGREES], strict=True):
        for i in np.flatnonzero(values[:-1, k] * values[1:, k] < 0.0):
            p = optimize.brentq(slope, samples[i], samples[i + 1], (k,), xtol=1e-15, rtol=1e-14)
            found.append((float(p), int(l)))
    return tuple(sorted(found))


def find_symmetric_branches(
    equation: Equation,
    parameter: str,
    start: float,
    end: float,
    symmetry: Symmetry,
    step: float = STEP,
    report: Report | None = None,
    secondary: bool = False,
) -> Diagram:
    """Follow the branches of stationary states with a symmetry other than axial.

    From each value of the parameter at which its harmonics of a degree lose their stability at the
    uniform state, along each of their ``directions``: both ways where these are not the same up to
    a rotation (a transcritical point). Axial states are left to ``find_branches``.

    Args:
        equation, parameter, start, end, step, report, secondary: as for ``find_branches``.
        symmetry: of the states.

    Returns:
        The diagram; the uniform branch first. Its critical values are those of the symmetry.

    Raises:
        InputError: an interval that is empty or not positive (kappa).
        BrokenInvariantError: a state could not be found or resolved.
    """
    first, report = first_equation(equation, parameter, (start, end)), report or silent
    junctions = Junctions(secondary)
    interval, forward = (start, end), math.copysign(1.0, end - start)
    curve = Curve(first, parameter, interval, symmetry)
    critical = sorted(_critical_in(curve), key=lambda found: forward * found[0])
    branches = [uniform_branch(curve, tuple(critical), report)]
    for p, degree in critical:
        places = np.flatnonzero(curve.grid.degrees == degree)
        ways = directions(curve.grid, places)
        for v in ways:
            along = curve.uniform(0.0)
            along[places - 1] = v
            along /= curve.length(along)
            both = any(float(v @ other) < -_ALONG for other in ways)
            if _meets(branches, p, along, both, abs(end - start)):
                continue
            name = numbered(symmetry.noun, branches)
            there = curve.again()
            branches.append(
                follow(there, name, there.uniform(p), along, step, report, junctions)
            )  # fmt: skip
    branches += secondary_branches(curve, junctions, step, report)
    values = tuple(sorted(p for p, _ in critical))
    return Diagram(first, parameter, interval, tuple(branches), values, symmetry)


def _meets(branches: list[Branch], p: float, along: Array, both: bool, width: float) -> bool:
    """Whether one of the branches has ended at the uniform state at p, from a direction.

    ``both``: whether the opposite direction is that of other states.
    """
    for found in branches[1:]:
        last = found.events[-1] if found.events else None
        if last is None or last.kind != "uniform" or len(found.table) < 3:
            continue
        n = min(along.size, found.moments.shape[1]) - 1
        near, wanted = found.moments[-2, 1 : n + 1], along[:n]
        cosine = float(near @ wanted) / float(np.linalg.norm(near) * np.linalg.norm(wanted))
        if abs(last.parameter - p) < 1e-6 * width and (cosine if both else abs(cosine)) > _ALONG:
            return True
    return False
