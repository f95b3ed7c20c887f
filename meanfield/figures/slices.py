"""Figure of a density by position: its slices, over the angle or as views of the sphere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from meanfield.analysis.evaluate import log_density_at
from meanfield.figures import globe
from meanfield.figures.moments import steps_to_show
from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import (
    angle_axis,
    angle_label,
    drawing,
    footnote,
    headline,
    number,
    save,
)
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, read_fields

__all__ = ["has_slices", "is_sliced", "plot_slices"]

_CELLS = 90  # of half a circle
_LOWEST = -1.0  # log10 of the densities that are told apart
_SHOWN = 3  # slices of the sphere


def is_sliced(fields: FieldSeries) -> bool:
    """Whether fields are those of slices of positions."""
    return "position" in fields.names


def has_slices(run: RunFolder) -> bool:
    """Whether there are slices with a density and a step."""
    if not run.fields_path.is_file():
        return False
    fields = read_fields(run.fields_path)
    return is_sliced(fields) and len(fields.times) > 0 and fields.density_name is not None


def plot_slices(run: RunFolder) -> Path:
    """Draw ``figures/slices.png``: the density of each slice (uniform = 1) at up to four times.

    Circle: log10 of it over the angle and the position s. Sphere: the front view of the first, the
    middle and the last slice.

    Returns:
        The file made.
    """
    fields = read_fields(run.fields_path)
    steps = steps_to_show(run, fields.times)
    with drawing():
        if fields.manifold.dimension == 2:
            figure = _draw_spheres(fields, steps)
        else:
            figure = _draw_maps(fields, steps)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("slices.png"))


def _slices_at(fields: FieldSeries, k: int) -> list[tuple[float, Mesh, Array, Array]]:
    """At a step: position, mesh, log rho and masses (sum one) of each slice."""
    there = fields.at(k)
    place, log_rho = there.read("position", k), math.log(10.0) * there.log10_density(k)
    mesh, mass, found = there.mesh, there.read("mass", k), []
    number_of = np.full(mesh.n_vertices, -1)
    for s in np.unique(place):
        own = np.flatnonzero(place == s)
        number_of[own] = np.arange(own.size)
        cells = number_of[mesh.cells[place[mesh.cells[:, 0]] == s]]
        one = Mesh(mesh.geometry, mesh.d, mesh.points[own], cells)
        found.append((float(s), one, log_rho[own], mass[own] / mass[own].sum()))
    return found


def _draw_maps(fields: FieldSeries, steps: Sequence[int]) -> Figure:
    """Circle: a map over the angle and s for each step."""
    figure = Figure(figsize=(1.9 * len(steps) + 1.2, 2.9), layout="constrained")
    axes = figure.subplots(1, len(steps), squeeze=False, sharey=True)[0]
    rows = [_rows_of(fields, k) for k in steps]
    top = min(max(float(max(row.max() for row in rows)), 0.1), 3.0)
    for ax, k, row in zip(axes, steps, rows, strict=True):
        image = ax.imshow(
            np.maximum(row, _LOWEST), extent=(-math.pi, math.pi, 0.0, 1.0), origin="lower",
            aspect="auto", cmap="magma", vmin=_LOWEST, vmax=top, interpolation="nearest",
        )  # fmt: skip
        ax.set_title(f"$t = {number(float(fields.times[k]))}$", pad=3)
        _label(ax, fields)
    axes[0].set_ylabel("position $s$ in the sequence")
    bar = figure.colorbar(image, ax=list(axes), extend="min", aspect=24, pad=0.015)
    bar.set_label(r"$\log_{10}$ density relative to uniform")
    return figure


def _label(ax: Axes, fields: FieldSeries) -> None:
    angle_axis(ax, "x", fields.manifold)
    ax.set_xlabel(angle_label(fields.manifold))


def _rows_of(fields: FieldSeries, k: int) -> Array:
    """log10 of the density of each slice (M, 2 _CELLS), in the middle of cells of the angle."""
    on, count = fields.manifold, 2 * _CELLS
    middle = -math.pi + (np.arange(count) + 0.5) * (math.pi / _CELLS)
    points = np.stack([np.cos(middle), np.sin(middle)], axis=1)
    rows = []
    for _, mesh, log_rho, mass in _slices_at(fields, k):
        row = log_density_at(mesh, log_rho, mass, points)
        # Vertices gather where the density is, and between two cells there may be all of it.
        cell = np.floor((on.angles(mesh.points) + math.pi) * (_CELLS / math.pi)).astype(int)
        np.maximum.at(row, np.clip(cell, 0, count - 1), log_rho)
        rows.append(row / math.log(10.0))
    return np.array(rows)


def _draw_spheres(fields: FieldSeries, steps: Sequence[int]) -> Figure:
    """Sphere: rows are slices, columns times, all from one side."""
    slices = [_slices_at(fields, k) for k in steps]
    last = len(slices[0]) - 1
    chosen = sorted({round(last * part / (_SHOWN - 1)) for part in range(_SHOWN)})
    reference = _slices_at(fields, 0)[0][1]
    tree, values, masses = cKDTree(reference.points), [], []
    for a in chosen:
        for at_step in slices:
            _, mesh, log_rho, mass = at_step[a]
            row = log_density_at(mesh, log_rho, mass, reference.points)
            values.append(row / math.log(10.0))
            place = tree.query(mesh.points)[1]
            masses.append(np.bincount(place, mass, minlength=reference.n_vertices))
    shown = globe.Densities.of(
        reference.points, reference.cells, np.stack(values), np.stack(masses)
    )
    figure = globe.globes(1.55 * len(steps) + 1.25, 1.7 * len(chosen) + 0.3)
    axes = figure.subplots(len(chosen), len(steps), squeeze=False)
    with globe.painter(shown.norm) as by:
        shown.draw(by, axes.ravel(), shown.front)
    for a, row in zip(chosen, axes, strict=True):
        row[0].text(
            -0.08, 0.5, f"$s = {number(slices[0][a][0])}$", transform=row[0].transAxes,
            rotation=90, ha="center", va="center",
        )  # fmt: skip
    for ax, k in zip(axes[0], steps, strict=True):
        ax.set_title(f"$t = {number(float(fields.times[k]))}$", pad=3)
    footnote(figure, *shown.notes(), globe.painter_note())
    shown.colour_bar(figure, axes)
    return figure
