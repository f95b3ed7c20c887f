"""How many harmonics the root of a density takes: the functions of its linearised equation do.

w = sqrt(d rho/d Phi) decays by degree as the density does, or more slowly: with fast diffusion,
w = rho^{1-m/2} has a tail that the moments of rho, which T resolves, do not see.
"""

from __future__ import annotations

import warnings

import numpy as np

from meanfield.errors import MeanfieldWarning
from meanfield.steady.equation import MomentMap, Point

__all__ = ["needed_degree"]

# Of the mean of w, its last degrees: eigenvalues are wrong by about the square of it.
_CUT = 1e-5  # a warning is due
_ROUND_OFF = 1e-10  # of harmonics of some hundred degrees, and more
_LAST = 4  # degrees: of an even state every other one is none


def needed_degree(moment_map: MomentMap, point: Point, most: int, floor: float) -> int:
    """Degree beyond which w has no harmonics, at most ``most``; warns where it has.

    Args:
        moment_map, point: a state without edges, or one whose kinks no degree resolves.
        most: degree.
        floor: of the mean of w: harmonics of w that matter.
    """
    enough = max(floor, _ROUND_OFF)
    grid, degree = moment_map.grid, moment_map.grid.size // 2
    while True:
        size = max(grid.size, 2 * degree)
        if size > grid.size:
            fine = MomentMap(moment_map.equation, grid.resized(grid.degree, size))
            point = fine.at(point.moments)
        probe = grid.resized(degree, size)
        root = np.abs(probe.analyse(np.sqrt(point.weight)))
        root /= root[0]
        tail = float(np.max(root[probe.degrees > degree - _LAST]))
        if tail <= enough or degree >= most or moment_map.has_kinks(point):
            break
        degree = min(2 * degree, most)
    found = int(probe.degrees[np.flatnonzero(root > max(floor, 2.0 * tail))].max())
    if tail > enough:
        found = degree
    beyond = tail if found <= most else float(np.max(root[probe.degrees >= most]))
    if beyond > _CUT and not moment_map.has_kinks(point):
        warnings.warn(
            f"the root of the density has harmonics beyond degree {most}: eigenvalues are less "
            "certain than they look",
            MeanfieldWarning,
            stacklevel=4,
        )
    return min(found, most)
