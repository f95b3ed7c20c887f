"""Views of the sphere drawn by matplotlib alone, for machines where no OpenGL renders.

An orthographic image of a density, interpolated on the plane of the view; lines and tokens on top
of it, those on the far side left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Circle
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree

from meanfield.geometry.sphere import Array
from meanfield.scenes.stage import shown_tokens
from meanfield.scenes.views import CLUSTER_COLOURS, frame_towards, graticule, ring

__all__ = ["ByHand", "hemisphere_images", "visible"]


class ByHand:
    """Draws views into axes; see ``globe.Painter``."""

    def __init__(self, norm: Normalize | None, colours: Colormap) -> None:
        self._norm, self._colours = norm, colours

    def densities(
        self,
        axes: Sequence[Axes],
        surface: tuple[Array, NDArray[np.int64]],
        values: Array,
        toward: Array,
    ) -> None:
        """See ``globe.Painter``."""
        frame = frame_towards(toward)
        images = hemisphere_images(surface[0], values, frame)
        for ax, image in zip(axes, images, strict=True):
            shown = ax.imshow(
                image,
                extent=(-1.0, 1.0, -1.0, 1.0),
                origin="lower",
                cmap=self._colours,
                norm=self._norm,
                interpolation="bilinear",
                interpolation_stage="data",
            )
            shown.set_clip_path(Circle((0.0, 0.0), 1.0, transform=ax.transData))
            for line in _graticule(frame):
                ax.plot(line[0], line[1], color="white", linewidth=0.4, alpha=0.28)

    def tokens(
        self,
        ax: Axes,
        points: Array,
        colours: NDArray[np.int64],
        toward: Array,
        rings: tuple[Array, NDArray[np.int64]],
    ) -> None:
        """See ``globe.Painter``."""
        frame = frame_towards(toward)
        ax.add_patch(Circle((0.0, 0.0), 1.0, facecolor="0.975", edgecolor="none", zorder=0))
        for line in _graticule(frame):
            ax.plot(line[0], line[1], color="0.45", linewidth=0.4, alpha=0.35, zorder=1)
        chosen = shown_tokens(len(points))
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
        for centre, colour in zip(*rings, strict=True):
            line = visible(frame @ ring(centre))
            if colour >= 0 and np.any(np.isfinite(line)):
                seen = line[:, np.isfinite(line[0])]
                ax.fill(*seen, color=CLUSTER_COLOURS[colour], alpha=0.35, linewidth=0.0, zorder=1)
        for centre in rings[0]:
            line = visible(frame @ ring(centre))
            ax.plot(line[0], line[1], color="0.15", linewidth=0.7, alpha=0.9, zorder=3)


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
