"""What there is to see on the sphere S^2, and where to look from: the geometry of its pictures.

Owns viewpoints, the lines and rings on the sphere, and the range of colours. Knows no files, and
nothing of how pictures are drawn.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
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

    Around the vertex that holds most: if there is enough within the radius of a ring, its centre
    counts, and the mass within two radii is spent. Then the next vertex, and so on.
    """
    tree = cKDTree(points)
    left = mass.copy()
    centres: list[Array] = []
    for _ in range(3 * math.ceil(1.0 / RING_MASS)):
        top = points[np.argmax(left)]
        inside = tree.query_ball_point(top, 2.0 * math.sin(0.5 * RING_RADIUS))
        if left[inside].sum() > RING_MASS:
            centre = left[inside] @ points[inside]
            centres.append(centre / np.linalg.norm(centre))
        left[tree.query_ball_point(top, 2.0 * math.sin(RING_RADIUS))] = 0.0
    return np.reshape(centres, (-1, 3))


def gathered_tokens(points: Array, masses: Array) -> Array:
    """As :func:`gathered`, for tokens (n, 3) of any number with masses (n,)."""
    # Tokens have no density of their own to look for peaks in: gather them to places a quarter of
    # a ring apart, each where its own tokens are.
    places = spread_points(20_000)
    where = cKDTree(places).query(points)[1]
    mass = np.bincount(where, masses, minlength=len(places))
    sums = np.stack([np.bincount(where, masses * c, minlength=len(places)) for c in points.T], 1)
    held = np.linalg.norm(sums, axis=1) > 0.0
    return gathered(normalize(sums[held]), mass[held])


def ring(centre: Array) -> Array:
    """Points (3, p) at the angle of the ring radius around a unit vector."""
    right, up, toward = frame_towards(centre)
    s = np.linspace(0.0, 2.0 * np.pi, 61)
    around = np.outer(right, np.cos(s)) + np.outer(up, np.sin(s))
    return np.asarray(math.cos(RING_RADIUS) * toward[:, None] + math.sin(RING_RADIUS) * around)


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
