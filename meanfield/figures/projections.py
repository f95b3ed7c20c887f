"""Maps of the sphere S^2: where a point is on the map, and which point a place of the map shows.

A map is drawn round its middle: a frame (rows: what points right, up and to the viewer in the
middle) turns unit vectors first. Longitudes and latitudes are those of the frame. Knows no figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["MAPS", "SphereMap", "best_frame", "frame_with_up"]

_Pair = tuple[Array, Array]
_BORDER = 1e-9  # within this angle of the border a point is on it


@dataclass(frozen=True)
class SphereMap:
    """A map of the whole sphere.

    Attributes:
        name: of it, for people.
        half: half of its width and half of its height.
        forward: longitude and latitude to x and y.
        inverse: x and y inside to longitude and latitude.
        oval: whether its border is an ellipse, else a rectangle.
    """

    name: str
    half: tuple[float, float]
    forward: Callable[[Array, Array], _Pair]
    inverse: Callable[[Array, Array], _Pair]
    oval: bool = True

    def places(self, points: Array, frame: Array) -> Array:
        """Where unit vectors (n, 3) are, (n, 2)."""
        local = points @ frame.T
        longitude = np.arctan2(local[:, 0], local[:, 2])
        latitude = np.arcsin(np.clip(local[:, 1], -1.0, 1.0))
        return np.stack(self.forward(longitude, latitude), axis=1)

    def pixels(self, width: int, frame: Array) -> tuple[Array, Array]:
        """Unit vectors behind the pixels of an image of this width.

        Returns:
            Vectors (rows, width, 3), lines from below; outside of the map those of its border. And
            which pixels are inside, (rows, width).
        """
        a, b = self.half
        rows = round(width * b / a)
        x = ((np.arange(width) + 0.5) * 2.0 / width - 1.0) * a
        y = ((np.arange(rows) + 0.5) * 2.0 / rows - 1.0) * b
        x, y = np.meshgrid(x, y)
        inside = np.ones(x.shape, dtype=bool)
        if self.oval:
            r = np.hypot(x / a, y / b)
            inside = r < 1.0
            shrink = np.where(inside, 1.0, (1.0 - 1e-9) / np.maximum(r, 1e-300))
            x, y = x * shrink, y * shrink
        longitude, latitude = self.inverse(x, y)
        cos = np.cos(latitude)
        local = np.stack(
            [cos * np.sin(longitude), np.sin(latitude), cos * np.cos(longitude)], axis=-1
        )
        return local @ frame, inside

    def line(self, points: Array, frame: Array) -> Array:
        """A line through unit vectors (n, 3), (n, 2): NaN where it leaves at the border."""
        xy = self.places(points, frame)
        local = points @ frame.T
        longitude = np.arctan2(local[:, 0], local[:, 2])
        jumps = np.flatnonzero(np.abs(np.diff(longitude)) > math.pi) + 1
        return np.insert(xy, jumps, np.nan, axis=0)

    def border(self) -> Array:
        """The border, (n, 2), closed."""
        a, b = self.half
        if not self.oval:
            return np.array([[-a, -b], [a, -b], [a, b], [-a, b], [-a, -b]])
        s = np.linspace(0.0, 2.0 * math.pi, 361)
        return np.stack([a * np.cos(s), b * np.sin(s)], axis=1)

    def graticule(self, step: float = 30.0) -> Iterator[Array]:
        """Parallels and meridians of the map's own longitudes and latitudes, (n, 2) each."""
        across = np.radians(np.linspace(-180.0, 180.0, 181))
        upward = np.radians(np.linspace(-90.0, 90.0, 91))
        for latitude in np.radians(np.arange(-90.0 + step, 90.0, step)):
            yield np.stack(self.forward(across, np.full_like(across, latitude)), axis=1)
        for longitude in np.radians(np.arange(-180.0 + 2 * step, 180.0, 2 * step)):
            yield np.stack(self.forward(np.full_like(upward, longitude), upward), axis=1)


def _hammer(longitude: Array, latitude: Array) -> _Pair:
    cos = np.cos(latitude)
    z = np.sqrt(np.maximum(1.0 + cos * np.cos(0.5 * longitude), 1e-300))
    return 2.0 * math.sqrt(2.0) * cos * np.sin(0.5 * longitude) / z, (
        math.sqrt(2.0) * np.sin(latitude) / z
    )


def _from_hammer(x: Array, y: Array) -> _Pair:
    z = np.sqrt(np.maximum(1.0 - (0.25 * x) ** 2 - (0.5 * y) ** 2, 0.0))
    longitude = 2.0 * np.arctan2(z * x, 2.0 * (2.0 * z**2 - 1.0))
    return longitude, np.arcsin(np.clip(z * y, -1.0, 1.0))


def _mollweide(longitude: Array, latitude: Array) -> _Pair:
    """Newton's method for 2 a + sin 2a = pi sin(latitude), which converges slowly at the poles."""
    wanted = math.pi * np.sin(latitude)
    a = np.asarray(latitude, dtype=np.float64).copy()
    for _ in range(60):
        slope = np.maximum(2.0 + 2.0 * np.cos(2.0 * a), 1e-12)
        a = np.clip(a - (2.0 * a + np.sin(2.0 * a) - wanted) / slope, -0.5 * math.pi, 0.5 * math.pi)
    return 2.0 * math.sqrt(2.0) / math.pi * longitude * np.cos(a), math.sqrt(2.0) * np.sin(a)


def _from_mollweide(x: Array, y: Array) -> _Pair:
    a = np.arcsin(np.clip(y / math.sqrt(2.0), -1.0, 1.0))
    latitude = np.arcsin(np.clip((2.0 * a + np.sin(2.0 * a)) / math.pi, -1.0, 1.0))
    cos = np.maximum(np.cos(a), 1e-12)
    longitude = np.clip(math.pi * x / (2.0 * math.sqrt(2.0) * cos), -math.pi, math.pi)
    return longitude, latitude


def _same(longitude: Array, latitude: Array) -> _Pair:
    return longitude, latitude


_OVAL = (2.0 * math.sqrt(2.0), math.sqrt(2.0))
MAPS = {
    "equal-area": SphereMap("Hammer's map", _OVAL, _hammer, _from_hammer),
    "mollweide": SphereMap("Mollweide's map", _OVAL, _mollweide, _from_mollweide),
    "flat": SphereMap("flat map", (math.pi, 0.5 * math.pi), _same, _same, oval=False),
}
"""By the names of ``options.Projection``; on the first two equal areas are equal."""


def best_frame(directions: Array, masses: Array) -> Array:
    """The frame (3, 3) of a map that has the mass around its middle and away from its border.

    The third coordinate axis points up where that is as good, or nearly.

    Args:
        directions: unit vectors, (n, 3).
        masses: at them, (n,), sum 1.
    """
    k = np.arange(250) + 0.5
    z = 1.0 - 2.0 * k / len(k)
    around = k * math.pi * (3.0 - math.sqrt(5.0))
    r = np.sqrt(1.0 - z**2)
    middles = np.stack([r * np.cos(around), r * np.sin(around), z], axis=1)
    best, found = -math.inf, np.eye(3)
    for middle in middles:
        upright = frame_with_up(middle, np.array([0.0, 0.0, 1.0]))
        for turn in np.radians(np.arange(0.0, 180.0, 22.5)):
            c, s = math.cos(turn), math.sin(turn)
            frame = np.stack([c * upright[0] + s * upright[1], c * upright[1] - s * upright[0],
                              upright[2]])  # fmt: skip
            score = _centred(directions @ frame.T) @ masses + 0.04 * frame[1, 2]
            score += 0.02 * (middle @ np.array([0.62, -0.62, 0.48]))
            if score > best:
                best, found = float(score), frame
    return found


def _centred(local: Array) -> Array:
    """From 1 in the middle of a map to 0 at its border."""
    half = np.cos(0.5 * np.arctan2(local[:, 0], local[:, 2]))
    inner = 1.0 - np.sqrt(np.maximum(1.0 - local[:, 1] ** 2, 0.0)) * half
    return np.asarray(1.0 - inner**2)


def frame_with_up(toward: Array, up: Array) -> Array:
    """The frame whose third row is ``toward``, with ``up`` upwards where it can be."""
    toward = np.asarray(toward, dtype=np.float64) / np.linalg.norm(toward)
    if abs(float(toward @ up)) > 0.98:
        up = np.roll(up, 1)
    up = up - (up @ toward) * toward
    up /= np.linalg.norm(up)
    return np.stack([np.cross(up, toward), up, toward])
