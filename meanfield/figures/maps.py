"""Maps of the whole sphere S^2: panels of densities at several times, with what is gathered marked.

Owns how a map looks: colours of emptiness, border, graticule, rings with masses. ``projections``
has where things are. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.patches
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree

from meanfield.figures import globe
from meanfield.figures.options import asked
from meanfield.figures.projections import MAPS, SphereMap, best_frame, frame_with_up
from meanfield.figures.style import density_colours, number, percent
from meanfield.figures.style import points as letters
from meanfield.geometry.sphere import Array, geodesic_distance
from meanfield.scenes.views import RING_RADIUS, spread_points
from meanfield.scenes.views import gathered as ringed_in
from meanfield.scenes.views import ring as ring_round

__all__ = ["Gathered", "Maps", "colour_bar", "gathered", "interpolated", "panels"]

_PIXELS = 720  # of the width of a panel: twice as many as are shown, so that edges are smooth
_NARROW = 0.02  # radians: what is gathered in less is a dot of no more than a pixel
_MANY = 100_000  # vertices from which on the nearest one is within a pixel
_EXTEND = {"": "neither", "min": "min", "max": "max", "minmax": "both"}


def interpolated(points: Array, values: Array, at: Array) -> Array:
    """Fields (k, n) on vertices (n, 3) of the sphere, at unit vectors (q, 3): (k, q).

    Linear on the Delaunay triangles of stereographic images, from either pole for the half about
    the other one: that projection keeps circles, so these are the triangles of a Delaunay mesh.
    """
    if len(points) > _MANY:
        return np.asarray(values[:, cKDTree(points).query(at)[1]])
    result = np.empty((len(values), len(at)))
    for sign in (1.0, -1.0):
        # Some way beyond the equator, so that the triangles cover the half; all of a coarse mesh.
        near = sign * points[:, 2] > (-0.4 if len(points) > 500 else -0.97)
        plane = points[near, :2] / (1.0 + sign * points[near, 2:])
        here = sign * at[:, 2] >= 0.0
        wanted = at[here, :2] / (1.0 + sign * at[here, 2:])
        result[:, here] = LinearNDInterpolator(plane, values[:, near].T)(wanted).T
    return result


def panels(count: int, *, bar: bool) -> tuple[Figure, list[Axes]]:
    """A figure with as many panels for maps, in rows; ``bar``: with room for a scale of colours."""
    columns = count if count < 3 else 2 if count == 4 else 3
    rows = math.ceil(count / columns)
    width = {1: 5.0, 2: 3.8}.get(count, 2.5)
    figure = globe.globes(
        width * columns + (0.95 if bar else 0.15), 0.54 * width * rows + 0.66 * letters(1.0)
    )
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count]


def colour_bar(
    figure: Figure, axes: Sequence[Axes], norm: Normalize, label: str, ends: str
) -> None:
    """Put the scale of colours beside panels; ``ends``: "", "min", "max" or "minmax" go on."""
    log = label.startswith(r"$\log")
    bar = figure.colorbar(
        ScalarMappable(norm, density_colours(lowest=log)), ax=list(axes), extend=_EXTEND[ends],
        shrink=0.82, aspect=24, pad=0.015,
    )  # fmt: skip
    bar.set_label(label)
    bar.outline.set_linewidth(0.5)
    bar.locator = MaxNLocator(6, steps=[1, 2, 5, 10])
    bar.update_ticks()


@dataclass(frozen=True)
class Maps:
    """One map for all panels of a figure.

    Attributes:
        on: the map.
        frame: rows: right, up and to the viewer in its middle.
    """

    on: SphereMap
    frame: Array

    @classmethod
    def of(cls, directions: Array, masses: Array) -> Maps:
        """As asked for: by default Hammer's, with the mass (n,) at unit vectors (n, 3) inside."""
        wanted = asked().projection or "equal-area"
        on = MAPS["equal-area" if wanted == "globe" else wanted]
        if asked().camera is not None:
            toward = np.asarray(asked().camera)
            return cls(on, frame_with_up(toward, np.array([0.0, 0.0, 1.0])))
        if not on.oval:  # latitude over longitude are those of the coordinate axes
            return cls(on, np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
        spread = spread_points(500)
        place = cKDTree(spread).query(directions)[1]
        return cls(on, best_frame(spread, np.bincount(place, masses, minlength=len(spread))))

    def note(self) -> str:
        """What the reader must know of the map."""
        middle = ", ".join(f"{c:.2f}".replace("-", "\N{MINUS SIGN}") for c in self.frame[2] + 0.0)
        return f"{self.on.name}{' (equal areas)' if self.on.oval else ''}, middle ({middle})"

    def pixels(self, coarse: int = 1) -> Array:
        """Unit vectors (rows, pixels, 3) behind the pixels of an image, ``coarse`` times fewer."""
        return self.on.pixels(_PIXELS // coarse, self.frame)[0]

    def draw_image(self, ax: Axes, image: Array, norm: Normalize, colours: Colormap) -> None:
        """Draw an image of values at :meth:`pixels`, within the border."""
        a, b = self.on.half
        shown = ax.imshow(
            image, extent=(-a, a, -b, b), origin="lower", cmap=colours, norm=norm,
            interpolation="hanning", interpolation_stage="rgba",
        )  # fmt: skip
        outline = matplotlib.patches.Polygon(self.on.border(), transform=ax.transData)
        shown.set_clip_path(outline)

    def finish(self, ax: Axes, t: float, lines: str) -> None:
        """Graticule in a colour, border, and the time above."""
        net = list(self.on.graticule())
        ax.add_collection(LineCollection(net, colors=lines, linewidths=0.4, alpha=0.3, zorder=1.5))
        border = self.on.border()
        ax.plot(border[:, 0], border[:, 1], color="0.45", linewidth=0.6, zorder=4)
        a, b = self.on.half
        ax.set_xlim(-1.02 * a, 1.02 * a)
        ax.set_ylim(-1.03 * b, 1.03 * b)
        ax.set_aspect("equal")
        ax.set_axis_off()
        ax.set_title(f"$t = {number(t)}$", pad=3)

    def draw_rings(self, ax: Axes, gathered: Sequence[Gathered], dots: Colormap) -> None:
        """Rings round what is gathered, each with its part of the mass beside it.

        A narrow cluster has a dot in the last colour of its map, since it may be in no pixel.
        """
        dark = [withStroke(linewidth=2.0, foreground="black", alpha=0.6)]
        ink, halo = ("white", "black") if asked().style == "dark" else ("black", "white")
        light = [withStroke(linewidth=1.6, foreground=halo, alpha=0.85)]
        taken = [tuple(self.on.places(one.centre[None], self.frame)[0]) for one in gathered]
        for one in gathered:
            ring = self.on.line(ring_round(one.centre).T, self.frame)
            ax.plot(ring[:, 0], ring[:, 1], color="white", linewidth=0.9, zorder=3,
                path_effects=dark)  # fmt: skip
            x, y = self.on.places(one.centre[None], self.frame)[0]
            if one.spread < _NARROW:
                ax.plot([x], [y], "o", markersize=2.2, color=dots(one.peak), zorder=3.5,
                    markeredgecolor="black", markeredgewidth=0.3)  # fmt: skip
            place = _free((x, y), taken, self.on.half)
            if place is not None:
                taken.append(place)
                ax.text(
                    *place, percent(one.mass), fontsize=letters(7.0), color=ink, ha="center",
                    va="center", zorder=5, path_effects=light,
                )  # fmt: skip


def _free(
    at: tuple[float, float], taken: Sequence[tuple[float, ...]], half: tuple[float, float]
) -> tuple[float, float] | None:
    """The nearest place beside a point for a few letters that hits none of the others."""
    wide, high = (0.27 * half[0] * letters(1.0), 0.2 * half[1] * letters(1.0))
    steps = ((0.8, 0.0), (-0.8, 0.0), (0.0, 1.25), (0.0, -1.25), (0.8, 1.0), (-0.8, 1.0),
             (0.8, -1.0), (-0.8, -1.0))  # fmt: skip
    for dx, dy in steps:
        x, y = at[0] + dx * wide, at[1] + dy * high
        inside = math.hypot((abs(x) + 0.4 * wide) / half[0], (abs(y) + 0.4 * high) / half[1]) < 1.0
        clear = all(abs(x - u) > 0.75 * wide or abs(y - v) > high for u, v in taken)
        if inside and clear:
            return x, y
    return None


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
