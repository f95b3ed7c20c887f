"""Figure of a sweep of tokens over two parameters: when two of them are close, and how at the end.

Knows nothing of how the numbers came about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from meanfield.figures.reading import parameters_of
from meanfield.figures.style import drawing, footnote, headline, is_geometric, number, save
from meanfield.figures.sweepreading import (
    column_label,
    counts,
    parameter_label,
    point_label,
    positions,
    sweep_title,
    told_numbers,
)
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import SweepTable, has_sweep

__all__ = ["has_plane", "plot_plane"]

_LEAST = 4  # places on each axis that make a plane
_PAIR, _HALF = "inner_product", "half"
_UNKNOWN, _THEORY, _FOUND = "0.85", "#E69F00", "white"
_LEVELS = (0.25, 0.5, 0.75, 0.9, 0.99)


@dataclass(frozen=True, eq=False)
class _Plane:
    """Numbers over two axes, the others at their last place.

    Attributes:
        x, y: places, ascending.
        points: in the table, (len(y), len(x)).
        labels: of both axes.
        held: the values of the others, in words.
    """

    x: Array
    y: Array
    points: Array
    labels: tuple[str, str]
    held: str


def has_plane(run: RunFolder) -> bool:
    """Whether there is a sweep of tokens with two axes of four or more numbers."""
    if not has_sweep(run):
        return False
    table = SweepTable.read(run.path)
    return len(_axes(table)) == 2 and _shown(table) is not None


def _axes(table: SweepTable) -> list[int]:
    """The first two axes with enough numbers."""
    places = [positions(axis) for axis in table.axes]
    return [k for k, x in enumerate(places) if x is not None and len(x) >= _LEAST][:2]


def _shown(table: SweepTable) -> str | None:
    """What tells most: the half time where half of the points have one, else the end."""
    half = table.half[np.isfinite(table.half)]
    if len(table.times) > 2 and 2 * len(half) >= len(table.half) and np.ptp(half) > 0.0:
        return _HALF
    if _PAIR in table.columns:
        end = table.columns[_PAIR].mean[:, -1]
        if np.isfinite(end).any() and np.nanmax(end) - np.nanmin(end) > 0.01:
            return _PAIR
    return None


def _plane(table: SweepTable) -> _Plane:
    across, along = _axes(table)
    grid = np.moveaxis(np.arange(len(table.finished)).reshape(table.shape), [along, across], [0, 1])
    points = grid.reshape(*grid.shape[:2], -1)[:, :, -1]
    x, y = positions(table.axes[across]), positions(table.axes[along])
    assert x is not None and y is not None
    points = points[np.argsort(y)][:, np.argsort(x)]
    values = table.points()[points[0, 0]]
    others = [a for k, a in enumerate(table.axes) if k not in (across, along)]
    held = point_label({key: values[key] for axis in others for key in axis.keys})
    labels = (parameter_label(table.axes[across]), parameter_label(table.axes[along]))
    return _Plane(np.sort(x), np.sort(y), points, labels, held)


def plot_plane(run: RunFolder) -> Path:
    """Draw ``figures/sweep_plane.png``: numbers over two axes of the sweep, by colour.

    The time at P(<x_1, x_2> >= 1 - delta) = 1/2; where few points have one, the mean of <x_1, x_2>
    at the end, with its contours (white) and those that theory tells, where it does (dashed). Grey:
    not known, or never.

    Returns:
        The file made.
    """
    table = SweepTable.read(run.path)
    plane, notes = _plane(table), [counts(table)]
    with drawing():
        figure = Figure(figsize=(5.2, 3.8), layout="constrained")
        ax = figure.subplots()
        if _shown(table) == _HALF:
            words = rf"time at $P(\langle x_1, x_2\rangle \geq 1 - {number(table.delta)}) = 1/2$"
            _coloured(ax, plane, table.half[plane.points], words, log=True)
            beforehand = told_numbers(table, "theory")[plane.points]
            levels = _steps(table.half[plane.points])
            _contours(ax, plane, table.half[plane.points], _FOUND, "-", levels)
            if _contours(ax, plane, beforehand, _THEORY, "--", levels):
                notes.append("dashed: theory, at 1, 2, 5, 10, ...")
        else:
            end = table.columns[_PAIR].mean[:, -1][plane.points]
            theory = told_numbers(table, "theory_end")[plane.points]
            words = f"{column_label(_PAIR)} at $t = {number(float(table.times[-1]))}$"
            _coloured(ax, plane, end, words, log=False)
            if _contours(ax, plane, end, _FOUND, "-"):
                notes.append(f"contours: {', '.join(f'{v:g}' for v in _LEVELS)}")
            if _contours(ax, plane, theory, _THEORY, "--"):
                notes.append("dashed: theory")
        footnote(figure, *notes, plane.held)
        headline(figure, sweep_title(run, table), parameters_of(run))
        return save(figure, run.figure("sweep_plane.png"))


def _coloured(ax: Axes, plane: _Plane, values: Array, words: str, log: bool) -> None:
    geometric = [is_geometric(x, 2.0) for x in (plane.x, plane.y)]
    colours = matplotlib.colormaps["viridis"].with_extremes(bad=_UNKNOWN)
    positive = values[np.isfinite(values) & (values > 0.0)]
    log = log and len(positive) > 0 and bool(np.max(positive) > 4.0 * np.min(positive))
    norm = LogNorm() if log else Normalize()
    edges = [_edges(x, g) for x, g in zip((plane.x, plane.y), geometric, strict=True)]
    bad = ~(values > 0.0) if log else ~np.isfinite(values)
    mesh = ax.pcolormesh(*edges, np.ma.masked_where(bad, values), norm=norm, cmap=colours)
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.set_label(words)
    bar.outline.set_visible(False)
    if log:
        low, high = float(np.min(positive)), float(np.max(positive))
        marks = [m * 10.0**k for k in range(-12, 13) for m in (1.0, 2.0, 5.0)]
        bar.set_ticks([m for m in marks if low <= m <= high])
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    for axis, set_scale, x, g in (
        (ax.xaxis, ax.set_xscale, plane.x, geometric[0]),
        (ax.yaxis, ax.set_yscale, plane.y, geometric[1]),
    ):
        if g:
            set_scale("log")
            axis.set_ticks([float(v) for v in x[:: max(1, -(-len(x) // 6))]])
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_xlabel(plane.labels[0])
    ax.set_ylabel(plane.labels[1])


def _edges(x: Array, geometric: bool) -> Array:
    """Borders of cells about ascending places, (m + 1,)."""
    y = np.log(x) if geometric else x
    middle = 0.5 * (y[1:] + y[:-1])
    edges = np.concatenate([[2.0 * y[0] - middle[0]], middle, [2.0 * y[-1] - middle[-1]]])
    return np.asarray(np.exp(edges) if geometric else edges)


def _steps(values: Array) -> tuple[float, ...]:
    """Times 1, 2, 5, 10, ... within the range of values."""
    known = values[np.isfinite(values) & (values > 0.0)]
    if not len(known):
        return ()
    decades = range(math.floor(math.log10(known.min())), math.ceil(math.log10(known.max())) + 1)
    return tuple(step * 10.0**k for k in decades for step in (1.0, 2.0, 5.0))


def _contours(
    ax: Axes, plane: _Plane, values: Array, colour: str, style: str,
    wanted: Sequence[float] = _LEVELS,
) -> bool:  # fmt: skip
    """Whether there are some."""
    known = values[np.isfinite(values)]
    levels = [v for v in wanted if len(known) and np.min(known) < v < np.max(known)]
    if levels:
        ax.contour(
            plane.x, plane.y, np.ma.masked_invalid(values), levels, colors=colour,
            linestyles=style, linewidths=1.3,
        )  # fmt: skip
    return bool(levels)
