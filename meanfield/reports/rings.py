"""Rings round the places that hold much mass, and where to look from.

Owns what is told of a ring. Knows nothing of files and of HTML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanfield.geometry.sphere import Array
from meanfield.scenes import views

__all__ = ["NO_RINGS", "Rings", "front", "rings_at", "rings_of"]

_NARROW = 0.02
"""Spread, in radians, up to which a cluster is less than is seen of a sphere on a page."""
_SEEN = 0.64
"""Cosine of the angle to the viewer up to which a ring is well in front."""
_TILT, _MOST_TILT, _RIM = math.radians(40.0), math.radians(56.0), math.radians(68.0)
"""From the heaviest ring; as much as that, where the next one is then still before the rim."""


@dataclass(frozen=True)
class Rings:
    """The rings at one time, the heaviest first.

    Attributes:
        centres: unit vectors, (c, 3).
        masses: inside of each, (c,), of one.
        narrow: whether what is inside is too small to be seen, (c,).
    """

    centres: Array
    masses: Array
    narrow: NDArray[np.bool_]


NO_RINGS = Rings(np.empty((0, 3)), np.empty(0), np.empty(0, dtype=bool))


def rings_of(points: Array, masses: Array) -> Rings:
    """Those round vertices (n, 3) with masses (n,), sum one."""
    return rings_at(views.gathered(points, masses), points, masses)


def rings_at(centres: Array, points: Array, masses: Array) -> Rings:
    """What is inside of rings with these centres (c, 3), of points (n, 3) with masses (n,)."""
    if not len(centres):
        return NO_RINGS
    held, narrow = np.empty(len(centres)), np.zeros(len(centres), dtype=bool)
    inside = cKDTree(points).query_ball_point(centres, 2.0 * math.sin(0.5 * views.RING_RADIUS))
    for k, (centre, near) in enumerate(zip(centres, inside, strict=True)):
        mass = masses[near]
        held[k] = mass.sum()
        spread = math.sqrt(mass @ ((points[near] - centre) ** 2).sum(axis=1) / held[k])
        narrow[k] = len(near) > 2 and spread < _NARROW  # a single vertex stands for its cells
    order = np.argsort(-held, kind="stable")
    return Rings(centres[order], held[order], narrow[order])


def front(points: Array, masses: Array, rings: Rings) -> Array:
    """From where most is seen, as a unit vector.

    From the middle of all rings, if each is well in front then; else before the heaviest one,
    tilted towards the next. Without rings, as the pictures choose for masses (k, n).
    """
    centres = rings.centres
    if not len(centres):
        return views.view_direction(points, masses)
    middle = centres.sum(axis=0)
    length = float(np.linalg.norm(middle))
    if length > 0.1 and float((centres @ middle).min()) > _SEEN * length:
        return np.asarray(middle / length)
    first = centres[0]
    aside = centres[1] - (centres[1] @ first) * first
    if np.linalg.norm(aside) < 1e-6:  # on the other side: any way is as good
        aside = views.frame_towards(first)[0]
    aside /= np.linalg.norm(aside)
    between = math.acos(float(np.clip(first @ centres[1], -1.0, 1.0)))
    tilt = min(_TILT, 0.5 * between)
    if _TILT < between - _RIM < _MOST_TILT:
        tilt = between - _RIM
    return np.asarray(math.cos(tilt) * first + math.sin(tilt) * aside)
