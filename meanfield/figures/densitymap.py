"""Figures of a density on maps of S^2, logarithmic or linear; on circles and zonal, linear curves.

All of the mass is seen at once, and where it has gathered in a dot, rings tell how much it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from meanfield.analysis.evaluate import log_density_at
from meanfield.figures.density import at_rest, has_density
from meanfield.figures.maps import Maps, colour_bar, interpolated, panels
from meanfield.figures.marks import gathered, grey_note, ring_note
from meanfield.figures.moments import steps_to_show
from meanfield.figures.options import asked, limits_of
from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import (
    angle_axis,
    angle_label,
    angle_profile,
    density_colours,
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
from meanfield.scenes.views import colour_range, vertex_weights

__all__ = ["has_map", "plot_linear", "plot_log_map"]

_PANELS = 6
_BRIGHT = 1.0  # log10 of the highest density on linear maps and axes: beginnings are to be seen
_COARSE = 3  # times fewer pixels of a mesh that moves: finding their cells takes long


def has_map(run: RunFolder) -> bool:
    """Whether there is a density on S^2."""
    return has_density(run) and known_fields(run).manifold.dimension == 2


def plot_log_map(run: RunFolder) -> Path:
    """Draw ``figures/density-map.png``: log10 of a density on S^2 (uniform = 1), on a map.

    Up to six times: those of :func:`moments.eventful_steps`. Grey: emptier than the colours tell.

    Returns:
        The file made.
    """
    return _plot_map(run, logarithmic=True)


def plot_linear(run: RunFolder) -> Path:
    """Draw ``figures/density-linear.png``: the density itself, on a map or over the angle.

    Returns:
        The file made.
    """
    if has_map(run):
        return _plot_map(run, logarithmic=False)
    fields = known_fields(run)
    with drawing():
        figure = _draw_curves(fields, steps_to_show(run, fields.times))
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("density-linear.png"))


def _plot_map(run: RunFolder, *, logarithmic: bool) -> Path:
    fields = known_fields(run)
    steps = steps_to_show(run, fields.times, _PANELS)
    values, masses = at_rest(fields, steps)
    weights = vertex_weights(fields.points, fields.cells)
    given = limits_of(float(values.min()), float(values.max()))
    low, high = given or colour_range(values, weights, masses)
    if not logarithmic and asked().limits is None:
        high = min(high, _BRIGHT)
    least, most = bool(values.min() < low), bool(values.max() > high)
    with drawing():
        norm = Normalize(low, high) if logarithmic else Normalize(0.0, 10.0**high)
        colours, shown = (
            density_colours(lowest=logarithmic),
            Maps.of(fields.points, masses.mean(axis=0)),
        )
        figure, axes = panels(len(steps), bar=True)
        at = shown.pixels(_COARSE if fields.moving else 1)
        images = _images(fields, steps, at, low - 0.5)
        ringed = False
        for ax, image, k in zip(axes, images, steps, strict=True):
            shown.draw_image(ax, image if logarithmic else 10.0**image, norm, colours)
            there = fields.at(k)
            mass = there.read("mass", k) if fields.moving else masses[steps.index(k)]
            row = (there.log10_density(k) - low) / (high - low)
            found = gathered(there.points, mass, row)
            shown.draw_rings(ax, found, colours)
            shown.finish(ax, float(fields.times[k]), "white")
            ringed = ringed or bool(found)
        grey = grey_note(float(values.min()), low) if logarithmic else ""
        footnote(figure, shown.note(), ring_note(ringed), grey)
        label = f"density (uniform: {'0' if logarithmic else '1'})"
        ends = ("min" if least and logarithmic else "") + ("max" if most else "")
        log = r"$\log_{10}$ " if logarithmic else ""
        colour_bar(figure, axes, norm, log + label, ends)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure(f"density-{'map' if logarithmic else 'linear'}.png"))


def _images(fields: FieldSeries, steps: Sequence[int], at: Array, lowest: float) -> Array:
    """log10 of the density at unit vectors (rows, columns, 3), (k, rows, columns)."""
    flat = at.reshape(-1, 3)
    if fields.moving:
        rows = []
        for k in steps:
            there = fields.at(k)
            log_rho = math.log(10.0) * there.log10_density(k)
            found = log_density_at(there.mesh, log_rho, there.read("mass", k), flat)
            rows.append(np.maximum(found / math.log(10.0), lowest))
        values = np.stack(rows)
    else:
        # Voids are cut before they are interpolated: between 1 and 1e-300 all of an edge is void.
        values = np.stack([fields.log10_density(k) for k in steps])
        values = interpolated(fields.points, np.maximum(values, lowest), flat)
    return values.reshape(len(steps), *at.shape[:2])


def _draw_curves(fields: FieldSeries, steps: list[int]) -> Figure:
    """Density against the angle on the circle or theta, from 0 on."""
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    ax = figure.subplots()
    highest = -math.inf
    for k, shade in zip(steps, shades(len(steps)), strict=True):
        there = fields.at(k)
        row = 10.0 ** np.clip(there.log10_density(k), -300.0, 300.0)
        angle, values = angle_profile(fields.manifold, there.mesh.points, row[None])
        ax.plot(angle, values[0], color=shade, label=f"$t = {number(float(fields.times[k]))}$")
        highest = max(highest, math.log10(float(row.max())))
    angle_axis(ax, "x", fields.manifold)
    ax.set_xlabel(angle_label(fields.manifold))
    limits = limits_of(-math.inf, highest)
    top = limits[1] if limits else min(highest, _BRIGHT)
    ax.set_ylim(0.0, (1.0 if limits else 1.05) * 10.0**top)
    footnote(figure, f"cut at ${number(10.0**top)}$" if highest > top else "")
    ax.set_ylabel("density relative to uniform")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
