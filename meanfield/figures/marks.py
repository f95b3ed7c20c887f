"""Marks of what has gathered on the sphere S^2: rings, dots and per cents, on maps and on globes.

Knows neither where on a panel a point of the sphere is, nor files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.patheffects import withStroke

from meanfield.figures.options import asked
from meanfield.figures.style import percent
from meanfield.figures.style import points as letters
from meanfield.geometry.sphere import Array, geodesic_distance
from meanfield.scenes.views import RING_MASS, RING_RADIUS
from meanfield.scenes.views import gathered as ringed_in

__all__ = ["Gathered", "Mark", "draw_marks", "gathered", "grey_note", "ring_note"]

_NARROW = 0.02  # radians: what is gathered in less is a dot of no more than a pixel


@dataclass(frozen=True)
class Gathered:
    """What lies within a ring.

    Attributes:
        centre: unit vector, (3,).
        mass: of all mass.
        spread: root of the mean squared angle to the centre, radians.
        peak: where in the range of colours its highest value is, 0 to 1 and above.
    """

    centre: Array
    mass: float
    spread: float
    peak: float


def gathered(points: Array, mass: Array, shades: Array) -> list[Gathered]:
    """What is ringed (see ``views.gathered``) of a mass (n,) at unit vectors (n, 3).

    Args:
        points, mass: of the vertices.
        shades: values at them in the range of colours, (n,).
    """
    result = []
    for centre in ringed_in(points, mass):
        inside = points @ centre > math.cos(RING_RADIUS)
        angles = geodesic_distance(points[inside], centre)
        part = float(mass[inside].sum())
        spread = math.sqrt(float(mass[inside] @ angles**2) / part)
        result.append(Gathered(centre, part, spread, float(np.clip(shades[inside].max(), 0, 1))))
    return result


@dataclass(frozen=True)
class Mark:
    """Where on a panel the marks of what has gathered are.

    Attributes:
        of: what has gathered.
        line: the ring, (p, 2); nan: not seen.
        at: its centre; None: not seen.
    """

    of: Gathered
    line: Array
    at: tuple[float, float] | None


def draw_marks(
    ax: Axes,
    marks: Sequence[Mark],
    dots: Colormap,
    half: tuple[float, float],
    room: tuple[float, float],
) -> None:
    """Draw rings round what is gathered, each with its part of the mass beside it.

    A narrow cluster has a dot in the last colour of its map, since it may be in no pixel.

    Args:
        ax: where.
        marks: of the panel.
        dots: colours of densities.
        half: half axes of the oval in which per cents stay.
        room: width and height that one takes.
    """
    dark = [withStroke(linewidth=2.0, foreground="black", alpha=0.6)]
    ink, halo = ("white", "black") if asked().style == "dark" else ("black", "white")
    light = [withStroke(linewidth=1.6, foreground=halo, alpha=0.85)]
    taken = [mark.at for mark in marks if mark.at is not None]
    for mark in marks:
        ax.plot(mark.line[:, 0], mark.line[:, 1], color="white", linewidth=0.9, zorder=3,
            path_effects=dark)  # fmt: skip
        if mark.at is None:
            continue
        if mark.of.spread < _NARROW:
            ax.plot(*([c] for c in mark.at), "o", markersize=2.2, color=dots(mark.of.peak),
                zorder=3.5, markeredgecolor="black", markeredgewidth=0.3)  # fmt: skip
        place = _free(mark.at, taken, half, room)
        if place is not None:
            taken.append(place)
            ax.text(
                *place, percent(mark.of.mass), fontsize=letters(7.0), color=ink, ha="center",
                va="center", zorder=5, path_effects=light,
            )  # fmt: skip


def _free(
    at: tuple[float, float],
    taken: Sequence[tuple[float, float]],
    half: tuple[float, float],
    room: tuple[float, float],
) -> tuple[float, float] | None:
    """The nearest place beside a point for a few letters that hits none of the others."""
    wide, high = room
    steps = ((0.8, 0.0), (-0.8, 0.0), (0.0, 1.25), (0.0, -1.25), (0.8, 1.0), (-0.8, 1.0),
             (0.8, -1.0), (-0.8, -1.0))  # fmt: skip
    for dx, dy in steps:
        x, y = at[0] + dx * wide, at[1] + dy * high
        inside = math.hypot((abs(x) + 0.4 * wide) / half[0], (abs(y) + 0.4 * high) / half[1]) < 1.0
        clear = all(abs(x - u) > 0.75 * wide or abs(y - v) > high for u, v in taken)
        if inside and clear:
            return x, y
    return None


def ring_note(ringed: bool) -> str:
    """What the reader of panels with rings must know; empty if there is none."""
    words = f"rings: more than {percent(RING_MASS)} of the mass within {RING_RADIUS} rad"
    return words if ringed else ""


def grey_note(lowest: float, low: float) -> str:
    """What grey is on panels whose colours begin at ``low``; empty if nothing is below.

    ``lowest``: log10 of the lowest density.
    """
    return f"grey: density below $10^{{{low:g}}}$" if lowest < low else ""
