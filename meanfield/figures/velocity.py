"""Figure of the velocity of a density: arrows on a map of S^2, or speeds over the angle.

Knows nothing of what makes it move.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from meanfield.figures.density import at_rest, has_density
from meanfield.figures.maps import Maps, panels
from meanfield.figures.moments import steps_to_show
from meanfield.figures.options import asked
from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import (
    FAINT,
    angle_axis,
    angle_label,
    angle_profile,
    drawing,
    footnote,
    headline,
    number,
    save,
    shades,
)
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries
from meanfield.results.outputs import known_fields
from meanfield.scenes.views import spread_points

__all__ = ["has_velocity", "plot_velocity"]

_ARROWS = 320  # on the whole sphere
_NEAR = 0.15  # radians from a place of an arrow to the vertex that has it
_LENGTH = 0.24  # of the longest arrow, where the map keeps lengths


def has_velocity(run: RunFolder) -> bool:
    """Whether there are fields with a density, a velocity and a step."""
    return has_density(run) and "velocity" in known_fields(run).names


def plot_velocity(run: RunFolder) -> Path:
    """Draw ``figures/velocity.png``: the velocity at up to four times.

    On S^2: arrows on a map over the speed, of all panels in one scale; their lengths are as the
    square roots of the speeds. Circle and zonal: speed along the angle.

    Returns:
        The file made.
    """
    fields = known_fields(run)
    steps = steps_to_show(run, fields.times)
    with drawing():
        if fields.manifold.dimension == 2:
            figure = _draw_maps(fields, steps)
        else:
            figure = _draw_curves(fields, steps)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("velocity.png"))


def _draw_maps(fields: FieldSeries, steps: Sequence[int]) -> Figure:
    even, moved = spread_points(_ARROWS), []
    for k in steps:
        there = fields.at(k)
        away, nearest = cKDTree(there.points).query(even)
        # Where a mesh has left, its velocity is not known.
        nearest = np.unique(nearest[away < _NEAR])
        moved.append((there.points[nearest], there.read("velocity", k)[nearest]))
    _, masses = at_rest(fields, steps)
    shown = Maps.of(fields.points, masses.mean(axis=0))
    fastest = max(float(np.linalg.norm(v, axis=1).max()) for _, v in moved)
    figure, axes = panels(len(steps), bar=False)
    for ax, (at, v), k in zip(axes, moved, steps, strict=True):
        _draw_arrows(ax, shown, at, v, fastest)
        shown.finish(ax, float(fields.times[k]), FAINT)
    slow = "dark" if asked().style == "dark" else "light"
    footnote(
        figure, shown.note(), rf"colours: speed, from 0 ({slow}) to ${number(fastest)}$",
        "lengths as the square roots of speeds",
        "arrows only where points that move are near" if fields.moving else "",
    )  # fmt: skip
    return figure


def _draw_arrows(ax: Axes, shown: Maps, at: Array, v: Array, fastest: float) -> None:
    """Arrows from points along the images of their velocities on the map."""
    speed = np.linalg.norm(v, axis=1)
    kept = speed > 1e-4 * fastest
    if not np.any(kept):
        return
    start, step = at[kept], 1e-4 * v[kept] / speed[kept, None]
    here = shown.on.places(start, shown.frame)
    way = (shown.on.places(start + step, shown.frame) - here) / 1e-4
    long = np.linalg.norm(way, axis=1)
    whole = long < 20.0  # not across the border
    arrow = way * (_LENGTH * np.sqrt(speed[kept] / fastest))[:, None]
    ax.quiver(
        here[whole, 0], here[whole, 1], arrow[whole, 0], arrow[whole, 1], speed[kept][whole],
        cmap=_cmap(), norm=Normalize(0.0, fastest), angles="xy", scale_units="xy", scale=1.0,
        width=0.005, headwidth=3.6, headlength=4.0, headaxislength=3.6, zorder=2,
    )  # fmt: skip


def _cmap() -> Colormap:
    """What was asked for, else colours that are told from the page."""
    named = asked().cmap
    if named or asked().style == "dark":
        return matplotlib.colormaps[named or "viridis"]
    return ListedColormap(matplotlib.colormaps["viridis_r"](np.linspace(0.2, 1.0, 256)))


def _draw_curves(fields: FieldSeries, steps: Sequence[int]) -> Figure:
    """Speed along the angle: positive where it grows."""
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    ax = figure.subplots()
    ax.axhline(0.0, color=FAINT, linewidth=0.7, linestyle=":")
    for k, shade in zip(steps, shades(len(steps)), strict=True):
        there = fields.at(k)
        speed = _along(there, there.read("velocity", k))
        angle, values = angle_profile(fields.manifold, there.mesh.points, speed[None])
        label = f"$t = {number(float(fields.times[k]))}$"
        ax.plot(angle, values[0], color=shade, label=label)
    angle_axis(ax, "x", fields.manifold)
    ax.set_xlabel(angle_label(fields.manifold))
    ax.set_ylabel("angular velocity")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _along(there: FieldSeries, v: Array) -> Array:
    """The component of vectors (n, 3) along the growing angle, (n,)."""
    angles = there.manifold.angles(there.mesh.points)
    if there.manifold.closed:
        tangent = np.stack([-np.sin(angles), np.cos(angles), np.zeros_like(angles)], axis=1)
    else:  # shown as points of a half circle: the way from pole to pole
        order = np.argsort(angles)
        way = np.empty_like(there.points)
        way[order] = np.gradient(there.points[order], axis=0)
        tangent = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-300)
    return np.sum(tangent * v, axis=1)
