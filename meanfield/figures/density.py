"""Figure of the density of a run, at a few times: views of the sphere, or curves over the angle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from meanfield.analysis.evaluate import log_density_at
from meanfield.errors import InputError
from meanfield.figures import globe
from meanfield.figures.moments import steps_to_show
from meanfield.figures.options import limits_of
from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.slices import is_sliced
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
from meanfield.scenes.views import vertex_weights

__all__ = [
    "at_rest",
    "fine_profile",
    "has_density",
    "plot_density",
]


def has_density(run: RunFolder) -> bool:
    """Whether there are fields with a density and a step; slices have a figure of their own."""
    if not run.fields_path.is_file():
        return False
    fields = known_fields(run)
    return len(fields.times) > 0 and fields.density_name is not None and not is_sliced(fields)


def plot_density(run: RunFolder) -> Path:
    """Draw ``figures/density.png``: the density (uniform = 1) at up to four output times.

    Shown are the first and the last time and the two between them at which the energy is nearest
    to one and two thirds of its way (without an energy, of the time's). On the sphere: log10 of the
    density in two opposite orthographic views, chosen to show the mass; circle: against the angle;
    zonal: against theta.

    Returns:
        The file made.

    Raises:
        InputError: if the folder has no fields, no step, or neither ``rho`` nor ``log10_rho``.
    """
    fields = known_fields(run)
    if not len(fields.times):
        raise InputError(f"{fields.path} has no steps: the run did not get to its first output")
    if fields.density_name is None:
        raise InputError(
            f"{fields.path} has no density, only {', '.join(fields.all_names)}: expected 'rho' or "
            "'log10_rho' in output.fields"
        )
    steps = steps_to_show(run, fields.times)
    times = [float(fields.times[k]) for k in steps]
    with drawing():
        if fields.manifold.dimension == 2:
            shown = globe.Densities.of(
                fields.points, fields.cells, *at_rest(fields, steps), _held(fields, steps)
            )
            figure = _draw_sphere(shown, times)
        else:
            figure = _draw_profile(fields, steps)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("density.png"))


def at_rest(fields: FieldSeries, steps: Sequence[int]) -> tuple[Array, Array]:
    """log10 of the density at the vertices of the first step, and the masses there, (k, n) each.

    Of a mesh that moves: the P1 density where it is then, and the masses where the nearest of
    these vertices is.
    """
    weights = vertex_weights(fields.points, fields.cells)
    if not fields.moving:
        values = np.stack([fields.log10_density(k) for k in steps])
        masses = weights * 10.0 ** np.clip(values, -300.0, 300.0)
    else:
        tree, rows, held = cKDTree(fields.points), [], []
        for k in steps:
            there = fields.at(k)
            log_rho = math.log(10.0) * there.log10_density(k)
            mass = there.read("mass", k)
            found = log_density_at(there.mesh, log_rho, mass, fields.points)
            rows.append(found / math.log(10.0))
            place = tree.query(there.points)[1]
            held.append(np.bincount(place, mass, minlength=len(fields.points)))
        values, masses = np.stack(rows), np.stack(held)
    return values, masses / masses.sum(axis=1, keepdims=True)


def _held(fields: FieldSeries, steps: Sequence[int]) -> list[tuple[Array, Array]] | None:
    """Vertices of a mesh that moves, and their masses (sum 1), at steps; None: it stays."""
    if not fields.moving:
        return None
    states = (fields.at(k) for k in steps)
    held = [(there.points, there.read("mass", k)) for there, k in zip(states, steps, strict=True)]
    return [(points, mass / mass.sum()) for points, mass in held]


def _draw_sphere(shown: globe.Densities, times: Sequence[float]) -> Figure:
    """Rows: the two hemispheres; columns: times."""
    figure = globe.globes(1.55 * len(times) + 1.25, 3.6)
    axes = figure.subplots(2, len(times), squeeze=False)
    sides = ("front", "back"), (shown.front, -shown.front)
    with globe.painter(shown.norm) as by:
        for row, side, toward in zip(axes, *sides, strict=True):
            shown.draw(by, row, toward)
            globe.label_view(row[0], side, toward)
    for ax, t in zip(axes[0], times, strict=True):
        ax.set_title(f"$t = {number(t)}$", pad=3)
    footnote(figure, *shown.notes(), globe.painter_note())
    shown.colour_bar(figure, axes)
    return figure


def _draw_profile(fields: FieldSeries, steps: Sequence[int]) -> Figure:
    """Density against the angle on the circle or theta, logarithmic."""
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    ax = figure.subplots()
    angle_axis(ax, "x", fields.manifold)
    ax.set_xlabel(angle_label(fields.manifold))
    ax.axhline(1.0, color=FAINT, linewidth=0.7, linestyle=":")
    lowest, high = math.inf, -math.inf
    for k, shade in zip(steps, shades(len(steps)), strict=True):
        there = fields.at(k)
        points, row = there.mesh.points, there.log10_density(k)
        if fields.moving:
            points, row = fine_profile(there, row, there.read("mass", k))
        row = np.clip(row, -30.0, 30.0)  # a collapsed cluster is beyond all scales
        angle, values = angle_profile(fields.manifold, points, row[None])
        t = float(fields.times[k])
        ax.plot(angle, 10.0 ** values[0], color=shade, label=f"$t = {number(t)}$")
        lowest, high = min(lowest, float(row.min())), max(high, float(row.max()))
    ax.set_yscale("log")
    # Voids fall below any bound: two decades under the uniform density tell enough.
    low, top = limits_of(lowest, high) or (max(lowest, -2.0), min(high, 12.0))
    footnote(figure, f"cut at $10^{{{top:g}}}$" if high > top else "")
    high = top
    pad = 0.04 * max(high - low, 1.0)
    ax.set_ylim(10.0 ** (low - pad), 10.0 ** (high + pad))
    ax.set_ylabel("density relative to uniform")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def fine_profile(fields: FieldSeries, log10_rho: Array, mass: Array) -> tuple[Array, Array]:
    """A density on a mesh that has moved, at its vertices and evenly between them.

    Vertices gather where the density is; between clusters there may be none.
    """
    even = fields.manifold.evenly(720)
    mesh = fields.mesh
    nodes, inverse = np.unique(np.concatenate([mesh.points, even]), axis=0, return_inverse=True)
    values = log_density_at(mesh, math.log(10.0) * log10_rho, mass, nodes) / math.log(10.0)
    # A collapsed cluster is a line at one angle, whatever the cells beside it hold.
    np.maximum.at(values, inverse.reshape(-1)[: mesh.n_vertices], log10_rho)
    return nodes, values
