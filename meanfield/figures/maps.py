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
from matplotlib.ticker import MaxNLocator
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree

from meanfield.figures import globe
from meanfield.figures.marks import Gathered, Mark, draw_marks
from meanfield.figures.options import asked
from meanfield.figures.projections import MAPS, SphereMap, best_frame, frame_with_up
from meanfield.figures.style import density_colours, number
from meanfield.figures.style import points as letters
from meanfield.geometry.sphere import Array
from meanfield.scenes.views import ring as ring_round
from meanfield.scenes.views import spread_points

__all__ = ["Maps", "colour_bar", "interpolated", "panels"]

_PIXELS = 720  # of the width of a panel: twice as many as are shown, so that edges are smooth
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
        """Rings round what is gathered, with per cents: see ``marks.draw_marks``."""
        marks = []
        for one in gathered:
            x, y = self.on.places(one.centre[None], self.frame)[0]
            line = self.on.line(ring_round(one.centre).T, self.frame)
            marks.append(Mark(one, line, (float(x), float(y))))
        a, b = self.on.half
        draw_marks(ax, marks, dots, (a, b), (0.27 * a * letters(1.0), 0.2 * b * letters(1.0)))
