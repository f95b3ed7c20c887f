"""The sphere S^2 in two orthographic views: where to look from, and what is drawn in a view.

Owns the geometry of the pictures of densities and of tokens on the sphere. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from meanfield.geometry.sphere import Array
from meanfield.scenes.views import (
    RING_MASS,
    RING_RADIUS,
    colour_range,
    frame_towards,
    gathered,
    gathered_tokens,
    graticule,
    ring,
    spread_points,
    vertex_weights,
    view_direction,
)

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
    for line in _graticule(frame):
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
    for line in _graticule(frame):
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


def _graticule(frame: Array) -> list[Array]:
    return [visible(frame @ line.T) for line in graticule()]


def visible(local: Array) -> Array:
    return np.where(local[2] > 0.0, local[:2], np.nan)
