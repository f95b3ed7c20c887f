"""Secondary bifurcations: branches that leave a branch other than the uniform one.

Where a branch is crossed by another of the same symmetry, that one is followed both ways from the
crossing, along the kernel of the derivative (Keller's method of switching); one way where the other
is its mirror image. Branches that break the symmetry are not among these curves.
"""

from __future__ import annotations

import warnings

import numpy as np

from meanfield.errors import MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.steady.crossing import other_direction
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import Branch
from meanfield.steady.follow import Report, follow
from meanfield.steady.special import Junction, Junctions

__all__ = ["secondary_branches"]

_MOST = 12  # branches: each may be left by others
_PROBE = 0.01  # arclength from a crossing at which its two ways are compared
_MIRRORED = 1e-7


def secondary_branches(
    like: Curve, junctions: Junctions, step: float, report: Report
) -> list[Branch]:
    """Follow the branches that leave others at crossings, and those that leave them.

    Args:
        like: a curve with the equation, parameter, interval and symmetry of all branches.
        junctions: crossings on branches that have been followed; gets those that are found.
        step, report: as for ``branch.find_branches``.

    Returns:
        The branches, "secondary 1", ..., at most 12. What is not followed is warned of.
    """
    branches: list[Branch] = []
    for junction in junctions.found:  # grows
        for sign in (1.0, -1.0):
            if junction.met:
                break
            if len(branches) == _MOST:
                _warn(like, junction, f"{_MOST} secondary branches have been followed")
                return branches
            curve = like.again()
            curve.regrid(junction.degree, junction.size)
            x, tangent = curve.padded(junction.x), curve.padded(junction.tangent)
            along = other_direction(curve, x, tangent / curve.length(tangent))
            if along is None:
                _warn(like, junction, "it is not one other branch that crosses")
                break
            if sign < 0.0 and _is_mirrored(curve, x, along):
                break
            name = f"secondary {len(branches) + 1}"
            junctions.leave(name, junction.branch)
            branches.append(follow(curve, name, x, sign * along, step, report, junctions))
    return branches


def _warn(curve: Curve, junction: Junction, why: str) -> None:
    warnings.warn(
        f"what leaves {junction.branch} at {curve.parameter} = {junction.x[-1]:.9g} is located, "
        f"and not followed: {why}",
        MeanfieldWarning,
        stacklevel=3,
    )


def _is_mirrored(curve: Curve, x: Array, along: Array) -> bool:
    """Whether the two ways from a crossing are the same up to a reflection."""
    one, two = (curve.correct(x, sign * along, _PROBE) for sign in (1.0, -1.0))
    if one is None or two is None:
        return False
    return bool(np.abs(np.abs(one[0]) - np.abs(two[0])).max() < _MIRRORED)
