"""Renyi centres: tokens that come first in their neighbourhood (arXiv 2411.04990)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array

__all__ = ["renyi_centres"]


@checked_arguments
def renyi_centres(x: Array, distance: float) -> NDArray[np.int64]:
    """Tokens, in their order, from which all centres before them are farther than a distance.

    As cars park in Renyi's problem: the first token is a centre, and each further one that has
    room.

    Args:
        x: (n, d) tokens in their order, unit vectors.
        distance: along great circles, 0 < distance.

    Returns:
        Their places among the tokens, ascending.

    Raises:
        InputError: what are no tokens, or no distance.
    """
    if not 0.0 < distance < math.inf:
        raise InputError(f"distance: found {distance:g}, expected a finite number above 0")
    x = unit_vectors(x, np.shape(x)[-1] if np.ndim(x) == 2 else 2, "tokens")
    room = np.ones(len(x), dtype=bool)
    found = []
    for i in range(len(x)):
        if room[i]:
            found.append(i)
            # The chord is exact for small angles, too.
            chord = np.linalg.norm(x - x[i], axis=1)
            room &= 2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0)) > distance
    return np.array(found, dtype=np.int64)
