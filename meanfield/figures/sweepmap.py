"""Figure of a sweep of tokens: where in time and along a parameter two of them are close.

Knows nothing of how the probability came about.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.figures.reading import parameters_of
from meanfield.figures.style import (
    drawing,
    footnote,
    headline,
    is_geometric,
    logarithmic_time,
    number,
    plain_decades,
    save,
)
from meanfield.figures.sweepreading import (
    Cut,
    counts,
    cuts,
    long_axis,
    parameter_label,
    sweep_title,
    told_numbers,
)
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import SweepTable, has_sweep

__all__ = ["has_map", "plot_map"]

_LEAST = 5  # places on an axis that make a map
_COLUMNS = 3
_HALF, _THEORY, _UNKNOWN = "white", "#E69F00", "0.85"


def has_map(run: RunFolder) -> bool:
    """Whether there is a sweep of tokens with five or more numbers on an axis."""
    return has_sweep(run) and _is_map(SweepTable.read(run.path))


def _is_map(table: SweepTable) -> bool:
    known = np.isfinite(table.probability).any()
    return long_axis(table, _LEAST) is not None and len(table.times) > 1 and bool(known)


def plot_map(run: RunFolder) -> Path:
    """Draw ``figures/sweep_map.png``: P(<x_1, x_2> >= 1 - delta) over time and the longest axis.

    A panel for each place of the other axes, at most six. White: the times at P = 1/2. Dashed: the
    time of orthogonal tokens, where it is known (see ``studies.sweeptheory``). Grey: not known.

    Returns:
        The file made.
    """
    table = SweepTable.read(run.path)
    along = long_axis(table, _LEAST)
    assert along is not None
    shown = cuts(table, along)
    columns = 2 if len(shown) == 4 else min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    width, height = (2.3, 1.9) if columns > 1 else (3.6, 2.6)
    size = (1.9 + width * columns, 1.1 + height * rows)
    with drawing():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        theory = told_numbers(table, "theory")
        for ax, cut in zip(axes, shown, strict=False):
            mesh = _panel(ax, table, cut, theory)
        for ax in axes[len(shown) :]:
            ax.set_visible(False)
        _label(list(axes[: len(shown)]), columns, parameter_label(table.axes[along]))
        bar = figure.colorbar(mesh, ax=axes.tolist(), shrink=0.9, aspect=25, pad=0.02)
        bar.set_label(rf"$P(\langle x_1, x_2\rangle \geq 1 - {number(table.delta)})$")
        bar.outline.set_visible(False)
        total = len(table.finished) // len(shown[0].x)
        part = f"{len(shown)} of {total} panels" if total > len(shown) else ""
        footnote(figure, counts(table), *_legend(table, theory), part)
        headline(figure, sweep_title(run, table), parameters_of(run))
        return save(figure, run.figure("sweep_map.png"))


def _edges(x: Array, geometric: bool) -> Array:
    """Borders of cells about ascending places, (m + 1,): half way, of logarithms if geometric."""
    y = np.log(x) if geometric else x
    middle = 0.5 * (y[1:] + y[:-1])
    edges = np.concatenate([[2.0 * y[0] - middle[0]], middle, [2.0 * y[-1] - middle[-1]]])
    return np.asarray(np.exp(edges) if geometric else edges)


def _panel(ax: Axes, table: SweepTable, cut: Cut, theory: Array) -> QuadMesh:
    times = _edges(table.times, False)
    times[0], times[-1] = table.times[0], table.times[-1]
    geometric = is_geometric(cut.x, 2.0)
    heights = _edges(cut.x, geometric)
    colours = matplotlib.colormaps["viridis"].with_extremes(bad=_UNKNOWN)
    shown = np.ma.masked_invalid(table.probability[cut.points])
    mesh = ax.pcolormesh(times, heights, shown, vmin=0.0, vmax=1.0, cmap=colours)
    ax.plot(table.half[cut.points], cut.x, color=_HALF, linewidth=1.3)
    ax.plot(theory[cut.points], cut.x, color=_THEORY, linestyle=(0, (3, 2)), linewidth=1.5)
    if geometric:
        ax.set_yscale("log")
        plain_decades(ax)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if is_geometric(table.times):
        logarithmic_time(ax, float(table.times[table.times > 0.0][0]), float(table.times[-1]))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.set_xlim(times[0], times[-1])
    ax.set_ylim(heights[0], heights[-1])
    ax.set_title(cut.label)
    return mesh


def _label(axes: list[Axes], columns: int, parameter: str) -> None:
    for k, ax in enumerate(axes):
        if k % columns == 0:
            ax.set_ylabel(parameter)
        if k + columns >= len(axes):
            ax.set_xlabel("time  $t$")
            ax.tick_params(labelbottom=True)


def _legend(table: SweepTable, theory: Array) -> list[str]:
    """What the lines are, as far as there are any."""
    half = "white: $P = 1/2$" if np.isfinite(table.half).any() else ""
    dashed = "dashed: orthogonal tokens (equiangular)" if np.isfinite(theory).any() else ""
    return [half, dashed]
