"""The sphere S^2 in two orthographic views: where to look from, and what is drawn in a view.

Owns the geometry of the pictures of densities and of tokens on the sphere. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree

from meanfield.figures.style import CLUSTER_COLOURS, CLUSTER_MASS, percent
from meanfield.geometry.sphere import Array, normalize

__all__ = [
    "RING_MASS",
    "RING_RADIUS",
    "Densities",
    "colour_range",
    "draw_tokens",
    "frame_towards",
    "gathered",
    "gathered_tokens",
    "globes",
    "hemisphere_images",
    "label_row",
    "label_view",
    "ring",
    "ring_note",
    "spread_points",
    "token_notes",
    "vertex_weights",
    "view_direction",
]

# Perceptually uniform with rising lightness: readable in grey, too. 128 steps look as smooth as 256
# and take a third less space.
_COLOURS = matplotlib.colormaps["magma"].resampled(128)
# What is ringed on the sphere: a cluster narrower than the mesh is a dot of a few pixels.
RING_RADIUS = 0.1
RING_MASS = 0.05

_SHOWN = 20_000  # tokens in a panel: more are neither told apart nor worth the time

# -- drawing --------------------------------------------------------------------------------------


def globes(width: float, height: float) -> Figure:
    """A figure for rows of views, close to each other."""
    tight = ConstrainedLayoutEngine(compress=True, w_pad=0.03, h_pad=0.03)
    return Figure(figsize=(width, height), layout=tight)


@dataclass(frozen=True)
class Densities:
    """Densities on one mesh, each in a panel: with the same colours, and seen from the same side.

    Attributes:
        points: vertices, (n, 3).
        values: log10 of each density, (k, n).
        front: unit vector towards the viewer of the front side.
        norm: range of the colours.
        rings: for each density the centres of its rings, (c, 3).
    """

    points: Array
    values: Array
    front: Array
    norm: Normalize
    rings: list[Array]

    @classmethod
    def of(cls, points: Array, cells: NDArray[np.int64], values: Array, masses: Array) -> Densities:
        """Choose viewpoint, colours and rings; ``masses`` (k, n) at the vertices, rows sum to 1."""
        norm = Normalize(*colour_range(values, vertex_weights(points, cells), masses))
        rings = [gathered(points, mass) for mass in masses]
        return cls(points, values, view_direction(points, masses), norm, rings)

    def draw(self, axes: Sequence[Axes] | NDArray[Any], toward: Array) -> None:
        """Draw the view from one side, each density in one of the axes."""
        frame = frame_towards(toward)
        # Voids are cut before they are interpolated: between 1 and 1e-300 all of an edge is void.
        values = np.maximum(self.values, self.norm.vmin - 0.5)
        images = hemisphere_images(self.points, values, frame)
        for ax, image, centres in zip(axes, images, self.rings, strict=True):
            _draw_density(ax, image, self.norm, frame, centres)

    def colour_bar(self, figure: Figure, axes: NDArray[Any]) -> None:
        """Put the scale of the densities beside their panels."""
        extend = ("min" if self.values.min() < self.norm.vmin else "") + (
            "max" if self.values.max() > self.norm.vmax else ""
        )
        bar = figure.colorbar(
            ScalarMappable(self.norm, _COLOURS),
            ax=axes,
            extend={"": "neither", "min": "min", "max": "max", "minmax": "both"}[extend],
            shrink=0.82,
            aspect=24,
            pad=0.015,
        )
        bar.set_label(r"$\log_{10}$ density relative to uniform")
        bar.outline.set_linewidth(0.5)
        bar.locator = MaxNLocator(6, steps=[1, 2, 5, 10])
        bar.update_ticks()


def _draw_density(ax: Axes, image: Array, norm: Normalize, frame: Array, centres: Array) -> None:
    """Draw one view: its image (see :func:`hemisphere_images`), and rings."""
    shown = ax.imshow(
        image,
        extent=(-1.0, 1.0, -1.0, 1.0),
        origin="lower",
        cmap=_COLOURS,
        norm=norm,
        interpolation="bilinear",
        interpolation_stage="data",
    )
    shown.set_clip_path(Circle((0.0, 0.0), 1.0, transform=ax.transData))
    for line in graticule(frame):
        ax.plot(line[0], line[1], color="white", linewidth=0.4, alpha=0.28)
    _finish_disc(ax, frame, centres, "white")


def draw_tokens(
    ax: Axes,
    points: Array,
    masses: Array,
    colours: NDArray[np.int64],
    frame: Array,
    centres: Array,
) -> None:
    """Draw one view of tokens, those on the far side left out.

    Args:
        points: (n, 3) unit vectors, of which 20 000 are drawn.
        masses: (n,), sum 1.
        colours: for each, (n,): which of ``CLUSTER_COLOURS``, -1: grey.
        frame: see :func:`frame_towards`.
        centres: of the rings, (c, 3), see :func:`gathered_tokens`.
    """
    ax.add_patch(Circle((0.0, 0.0), 1.0, facecolor="0.975", edgecolor="none", zorder=0))
    for line in graticule(frame):
        ax.plot(line[0], line[1], color="0.45", linewidth=0.4, alpha=0.35, zorder=1)
    n = len(points)
    chosen: NDArray[np.int64] = np.arange(n)
    if n > _SHOWN:
        chosen = np.random.default_rng(0).permutation(n)[:_SHOWN]
    local = points[chosen] @ frame.T
    front = local[:, 2] > 0.0
    # Bigger and less transparent where there are few: about the same ink, but neither blots nor
    # dots smaller than a pixel.
    size = min(max(3000.0 / len(chosen), 0.45), 9.0)
    alpha = min(max(18.0 / math.sqrt(len(chosen)), 0.3), 0.85)
    for colour in range(-1, len(CLUSTER_COLOURS)):  # grey below the others
        these = front & (colours[chosen] == colour)
        if np.any(these):
            ax.scatter(
                local[these, 0],
                local[these, 1],
                s=size,
                c="0.5" if colour < 0 else CLUSTER_COLOURS[colour],
                alpha=alpha,
                linewidths=0.0,
                zorder=2,
            )
    for centre in centres:
        # What is gathered in less than a pixel shows its colour by that of the ring's inside.
        inside = (points @ centre > math.cos(RING_RADIUS)) & (colours >= 0)
        line = visible(frame @ ring(centre))
        if np.any(inside) and np.any(np.isfinite(line)):
            colour = int(np.argmax(np.bincount(colours[inside], masses[inside])))
            seen = line[:, np.isfinite(line[0])]
            ax.fill(*seen, color=CLUSTER_COLOURS[colour], alpha=0.35, linewidth=0.0, zorder=1)
    _finish_disc(ax, frame, centres, "0.15")


def _finish_disc(ax: Axes, frame: Array, centres: Array, colour: str) -> None:
    for centre in centres:
        line = visible(frame @ ring(centre))
        ax.plot(line[0], line[1], color=colour, linewidth=0.7, alpha=0.9, zorder=3)
    ax.add_patch(Circle((0.0, 0.0), 1.0, fill=False, edgecolor="0.35", linewidth=0.6, zorder=4))
    ax.set_xlim(-1.03, 1.03)
    ax.set_ylim(-1.03, 1.03)
    ax.set_aspect("equal")
    ax.set_axis_off()


def label_view(ax: Axes, side: str, toward: Array) -> None:
    """Write left of a row of views what it shows and where it is seen from."""
    where = ", ".join(f"{c:.2f}".replace("-", "\N{MINUS SIGN}") for c in toward + 0.0)
    label_row(ax, f"{side}, seen from\n({where})")


def label_row(ax: Axes, text: str) -> None:
    """Write upwards left of a row of views."""
    ax.text(
        -1.1, 0.0, text, rotation=90, ha="right", va="center", multialignment="center",
        fontsize=7.5,
    )  # fmt: skip


def ring_note(rings: Sequence[Array]) -> str:
    """What the reader of panels with these rings must know; empty if there is none."""
    words = f"rings: more than {percent(RING_MASS)} of the mass within {RING_RADIUS} rad"
    return words if any(len(centres) for centres in rings) else ""


def token_notes(n: int, colours: Sequence[NDArray[np.int64]]) -> tuple[str, str]:
    """What the reader of panels of ``n`` tokens in these colours must know; empty if nothing."""
    coloured = any(np.any(colour >= 0) for colour in colours)
    return (
        f"{_SHOWN} of {n} tokens drawn" if n > _SHOWN else "",
        f"colours: clusters of more than {percent(CLUSTER_MASS)} of the mass" if coloured else "",
    )


# -- where to look from and what is there ---------------------------------------------------------


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


def hemisphere_images(points: Array, values: Array, frame: Array, pixels: int = 300) -> Array:
    """Orthographic images (k, pixels, pixels) of fields ``values`` (k, n) on vertices (n, 3).

    Interpolated linearly on the Delaunay triangles of the stereographic images of the vertices.
    That projection keeps circles, so these are the triangles of a Delaunay mesh of the sphere; it
    has no fold at the rim, where the triangles of the orthographic view turn over. A mesh as fine
    as the pixels (level 7) needs no interpolation: the nearest vertex is within a pixel.
    """
    centres = (np.arange(pixels) + 0.5) * (2.0 / pixels) - 1.0
    x, y = np.meshgrid(centres, centres)
    # Pixels outside take the value at the rim: no dark fringe when the image is smoothed.
    r = np.hypot(x, y)
    inside = np.minimum(r, 0.9999) / r
    x, y = x * inside, y * inside
    z = np.sqrt(1.0 - x**2 - y**2)

    local = points @ frame.T
    if len(points) > 100_000:
        return np.asarray(values[:, cKDTree(local).query(np.stack([x, y, z], axis=-1))[1]])
    # Some way round the rim, so that the triangles cover the whole disc; all of a coarse mesh.
    near = local[:, 2] > (-0.4 if len(points) > 500 else -0.97)
    plane = local[near, :2] / (1.0 + local[near, 2:])
    interpolate = LinearNDInterpolator(plane, values[:, near].T)
    return np.moveaxis(interpolate(x / (1.0 + z), y / (1.0 + z)), -1, 0)


def graticule(frame: Array, step: float = 30.0) -> Iterator[Array]:
    """Parallels and meridians of the third coordinate axis, (2, p) each, NaN where hidden."""
    s = np.radians(np.linspace(0.0, 360.0, 181))
    for latitude in np.radians(np.arange(-90.0 + step, 90.0, step)):
        circle = np.stack(
            [
                np.cos(latitude) * np.cos(s),
                np.cos(latitude) * np.sin(s),
                np.full_like(s, np.sin(latitude)),
            ]
        )
        yield visible(frame @ circle)
    for longitude in np.arange(0.0, 180.0, step):
        angle = math.radians(longitude)
        circle = np.stack([math.cos(angle) * np.sin(s), math.sin(angle) * np.sin(s), np.cos(s)])
        if longitude % 90.0:  # only four of them reach the pole, where the others would crowd
            circle[:, np.abs(circle[2]) > math.cos(math.radians(step)) + 1e-9] = np.nan
        yield visible(frame @ circle)


def visible(local: Array) -> Array:
    return np.where(local[2] > 0.0, local[:2], np.nan)


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
