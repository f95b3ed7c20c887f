"""What there is to see on the sphere S^2, and where to look from: the geometry of its pictures.

Owns viewpoints, the lines and rings on the sphere, and the range of colours. Knows no files, and
nothing of how pictures are drawn.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from meanfield.geometry.sphere import Array, normalize

__all__ = [
    "CLUSTER_COLOURS",
    "RING_MASS",
    "RING_RADIUS",
    "colour_range",
    "frame_towards",
    "gathered",
    "gathered_tokens",
    "graticule",
    "narrow",
    "ring",
    "spread_points",
    "vertex_weights",
    "view_direction",
]

CLUSTER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito: told apart with any colour vision. Without black (text), grey (the rest) and
yellow (too light on white)."""

# What is ringed on the sphere: a cluster narrower than the mesh is a dot of a few pixels.
RING_RADIUS = 0.1
RING_MASS = 0.05
# Peaks are those of the mass within this radius, what is nearer counting more: with it two equal
# ones that are farther apart than the radius of a ring have less mass between them than at each.
_PEAK_RADIUS = RING_RADIUS / math.sqrt(2.0)
_VALLEY = 0.9  # of the lower of two peaks: what lies between them, if they are two
_BOX = 0.02  # radians
_NARROW = 0.02  # radians: what is gathered in less is a dot


def vertex_weights(points: Array, cells: NDArray[np.int64]) -> Array:
    """A third of the areas of the triangles around each vertex, as parts of the whole, (n,)."""
    a, b, c = (points[cells[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    weights = np.bincount(cells.ravel(), np.repeat(area, 3), minlength=len(points))
    return np.asarray(weights / weights.sum())


def view_direction(points: Array, masses: Array) -> Array:
    """Unit vector towards the viewer of the front side: the one that shows the mass best.

    Args:
        points: vertices, (n, 3).
        masses: mass at the vertices in each panel, (k, n), rows sum to 1.

    Best is where least mass lies near the rim, which both views show foreshortened: mass at x
    counts min(2 |<x, v>|, 1) for the direction v, and a little more on the front side. Equal
    panels (the uniform density) leave the choice to a slight preference for an oblique view.
    """
    directions = spread_points(2000)
    # Mass gathered to as many places: the cost does not depend on the mesh.
    place = cKDTree(directions).query(points)[1]
    mass = np.bincount(place, masses.sum(axis=0), minlength=len(directions)) / len(masses)
    cosines = directions @ directions.T
    score = np.minimum(2.0 * np.abs(cosines), 1.0) @ mass
    score += 0.3 * (cosines @ mass) + 0.02 * (directions @ normalize(np.array([1.0, -1.0, 0.7])))
    return np.asarray(directions[np.argmax(score)])


def spread_points(n: int) -> Array:
    """Evenly spread unit vectors (n, 3): the golden spiral."""
    k = np.arange(n) + 0.5
    z = 1.0 - 2.0 * k / n
    angle = k * math.pi * (3.0 - math.sqrt(5.0))
    r = np.sqrt(1.0 - z**2)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)


def frame_towards(toward: Array) -> Array:
    """Rows: right, up, towards the viewer; the third coordinate axis points up where it can."""
    up = np.array([0.0, 0.0, 1.0])
    if abs(toward[2]) > 0.98:
        up = np.array([0.0, 1.0, 0.0])
    up = up - (up @ toward) * toward
    up /= np.linalg.norm(up)
    return np.stack([np.cross(up, toward), up, toward])


def graticule(step: float = 30.0) -> list[Array]:
    """Parallels and meridians of the third coordinate axis, (p, 3) each."""
    s = np.radians(np.linspace(0.0, 360.0, 181))
    lines = []
    for latitude in np.radians(np.arange(-90.0 + step, 90.0, step)):
        level, radius = np.full_like(s, math.sin(latitude)), math.cos(latitude)
        lines.append(np.stack([radius * np.cos(s), radius * np.sin(s), level], axis=1))
    for longitude in np.arange(0.0, 180.0, step):
        angle = math.radians(longitude)
        line = np.stack([math.cos(angle) * np.sin(s), math.sin(angle) * np.sin(s), np.cos(s)], 1)
        if not longitude % 90.0:
            lines.append(line)
            continue
        # Only four of them reach the pole, where the others would crowd.
        kept = np.abs(line[:, 2]) <= math.cos(math.radians(step)) + 1e-9
        ends = np.flatnonzero(np.diff(kept.astype(int))) + 1
        parts = zip(np.split(line, ends), np.split(kept, ends), strict=True)
        lines += [part for part, inside in parts if inside[0]]
    return lines


def gathered(points: Array, mass: Array) -> Array:
    """Centres (c, 3) of the places that hold much mass, which may be too small to be seen.

    A place is a peak of the mass smoothed over less than a ring, and its centre that of the mass
    around the peak: neither hangs on the sizes of cells. It counts if enough is within a ring, less
    what the rings of higher peaks hold, and if it is not the flank of one of them. Two points that
    are a little farther apart than the radius of a ring are two places.

    Args:
        points: unit vectors, (n, 3): vertices or tokens.
        mass: of each, (n,), sum 1.
    """
    boxes = _boxes()
    smooth = boxes.smoother @ np.bincount(boxes.of(points), mass, minlength=len(boxes.centres))
    # Where a ring holds enough, a fifth of it at least is within reach of the peak.
    high = np.flatnonzero(smooth > 0.1 * RING_MASS)
    highest = high[np.argsort(-smooth[high], kind="stable")]
    left, lower = mass.copy(), np.zeros(len(smooth), dtype=bool)
    centres: list[Array] = []
    for box in highest:
        if lower[box]:
            continue
        start = boxes.centres[box]
        around = boxes.around(start)
        lower[around] = True
        if smooth[box] < smooth[around].max():
            continue
        centre = _centre_near(start, points, mass)
        if any(_is_flank(centre, other, boxes, smooth) for other in centres):
            continue
        inside = points @ centre > math.cos(RING_RADIUS)
        if left[inside].sum() > RING_MASS:
            centres.append(centre)
            left[inside] = 0.0
    return np.reshape(centres, (-1, 3))


def gathered_tokens(points: Array, masses: Array) -> Array:
    """As :func:`gathered`, for tokens (n, 3) of any number with masses (n,)."""
    return gathered(points, masses)


def narrow(points: Array, mass: Array, centres: Array) -> NDArray[np.bool_]:
    """Which of these centres (c, 3) of rings hold their mass in less than a pixel or two, (c,)."""
    found = np.zeros(len(centres), dtype=bool)
    for k, centre in enumerate(centres):
        inside = points @ centre > math.cos(RING_RADIUS)
        # The square of a small angle is that of its chord.
        squares = np.sum((points[inside] - centre) ** 2, axis=1)
        found[k] = mass[inside] @ squares < _NARROW**2 * mass[inside].sum()
    return found


def _is_flank(centre: Array, higher: Array, boxes: _Boxes, smooth: Array) -> bool:
    """Whether a peak is in the ring of a higher one, or no valley is between them."""
    cosine = float(centre @ higher)
    if cosine > math.cos(RING_RADIUS):
        return True
    if cosine < math.cos(3.0 * RING_RADIUS):
        return False
    part = np.linspace(0.0, 1.0, 13)[:, None]
    between = smooth[boxes.of(normalize((1.0 - part) * centre + part * higher))]
    return bool(between.min() > _VALLEY * between[0])


def _centre_near(start: Array, points: Array, mass: Array) -> Array:
    """The centre of the mass around it, (3,), which is a peak (mean shift)."""
    near = points @ start > math.cos(2.0 * RING_RADIUS)
    points, mass = points[near], mass[near]
    centre = start
    for _ in range(20):
        inside = points @ centre > math.cos(_PEAK_RADIUS)
        moved = mass[inside] @ points[inside]
        length = float(np.linalg.norm(moved))
        if length == 0.0:
            break
        before, centre = centre, moved / length
        if np.linalg.norm(centre - before) < 1e-4:
            break
    return centre


@dataclass(frozen=True)
class _Boxes:
    """Small parts of the sphere, in rows of equal latitudes: which holds a point is soon found.

    Attributes:
        centres: unit vectors, (b, 3).
        first: the number of the first box of each row, and of all, (r + 1,).
        smoother: (b, b); the mass around each box, what is nearer counting more.
        tree: of the centres.
    """

    centres: Array
    first: NDArray[np.int64]
    smoother: csr_array
    tree: cKDTree

    def of(self, points: Array) -> NDArray[np.int64]:
        """Numbers of the boxes that hold these points (n, 3), (n,)."""
        rows = len(self.first) - 1
        colatitude = np.arccos(np.clip(points[:, 2], -1.0, 1.0))
        row = np.minimum((colatitude * (rows / math.pi)).astype(np.int64), rows - 1)
        count = self.first[row + 1] - self.first[row]
        turn = (np.arctan2(points[:, 1], points[:, 0]) / (2.0 * math.pi)) % 1.0
        return np.asarray(self.first[row] + np.minimum((turn * count).astype(np.int64), count - 1))

    def around(self, place: Array) -> list[int]:
        """Boxes that are not a place of their own beside one there."""
        found: list[int] = self.tree.query_ball_point(place, RING_RADIUS - _BOX)
        return found


@functools.cache
def _boxes() -> _Boxes:
    rows = round(math.pi / _BOX)
    middle = (np.arange(rows) + 0.5) * (math.pi / rows)
    counts = np.maximum(np.round(2.0 * math.pi * np.sin(middle) / _BOX).astype(np.int64), 1)
    first = np.concatenate([[0], np.cumsum(counts)])
    colatitude = np.repeat(middle, counts)
    angle = 2.0 * math.pi * (np.arange(first[-1]) - np.repeat(first[:-1], counts) + 0.5)
    angle /= np.repeat(counts, counts)
    r = np.sin(colatitude)
    centres = np.stack([r * np.cos(angle), r * np.sin(angle), np.cos(colatitude)], axis=1)
    tree = cKDTree(centres)
    pairs = tree.query_pairs(_PEAK_RADIUS, output_type="ndarray")
    a, b = np.concatenate([pairs, pairs[:, ::-1], np.arange(len(centres))[:, None] * [1, 1]]).T
    squares = np.sum((centres[a] - centres[b]) ** 2, axis=1)
    shape = (len(centres), len(centres))
    smoother = csr_array((1.0 - squares / _PEAK_RADIUS**2, (a, b)), shape=shape)
    return _Boxes(centres, first, smoother, tree)


def ring(centre: Array, angle: float = RING_RADIUS) -> Array:
    """Points (3, p) at an angle, that of the rings, around a unit vector."""
    right, up, toward = frame_towards(centre)
    s = np.linspace(0.0, 2.0 * np.pi, 61)
    around = np.outer(right, np.cos(s)) + np.outer(up, np.sin(s))
    return np.asarray(math.cos(angle) * toward[:, None] + math.sin(angle) * around)


def colour_range(values: Array, weights: Array, masses: Array) -> tuple[float, float]:
    """Range of log10 density for the colours of all panels, rounded to halves.

    Robust against the two things that concentration makes: voids as empty as one likes (cut at
    the emptiest percent of the area, and never below 1 % of the uniform density) and peaks of a
    few vertices (cut where a tenth of the mass of the most concentrated panel lies above).
    """
    low, high = math.inf, -math.inf
    for row, mass in zip(values, masses, strict=True):
        order = np.argsort(row)
        area_below, mass_below = np.cumsum(weights[order]), np.cumsum(mass[order])
        low = min(low, float(row[order[np.searchsorted(area_below, 0.01)]]))
        high = max(high, float(row[order[np.searchsorted(mass_below, 0.9)]]))
    low = max(math.floor(2.0 * low) / 2.0, -2.0)
    return low, max(math.ceil(2.0 * high) / 2.0, low + 0.5)
