"""Figure of a sweep: how numbers of its realisations are spread, against time.

Knows nothing of what the numbers are but their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from meanfield.figures.reading import parameters_of
from meanfield.figures.style import (
    INK,
    drawing,
    footnote,
    headline,
    is_geometric,
    logarithmic_time,
    save,
)
from meanfield.figures.sweepreading import (
    MOST,
    column_label,
    counts,
    cuts,
    even,
    long_axis,
    point_label,
    sweep_title,
)
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import Statistics, SweepTable, has_sweep

__all__ = ["has_bands", "plot_bands"]

_FIRST = (
    "inner_product", "close", "free_energy", "energy_scaled", "energy", "mean_norm", "clusters"
)  # fmt: skip
_OWN_SCALE = ("energy", "energy_scaled", "free_energy")  # differ from point to point
_ROWS = 3
_SPARSE = 12  # outputs of which each has a mark


def has_bands(run: RunFolder) -> bool:
    """Whether there is a sweep with a column that is known at two times."""
    return has_sweep(run) and bool(_chosen(SweepTable.read(run.path)))


def _chosen(table: SweepTable) -> list[str]:
    """The columns shown: those that say most, if they are there, else the first ones."""
    known = [
        name
        for name, column in table.columns.items()
        if np.isfinite(column.mean).any(axis=0).sum() > 1
    ]
    told = [name for name in _FIRST if name in known]
    if "energy_scaled" in told and "energy" in told:
        told.remove("energy")
    return (told or known)[:_ROWS]


def _points(table: SweepTable) -> list[int]:
    """At most six points: all, or those along the longest axis with the others at their last."""
    along = long_axis(table, 2)
    if len(table.finished) <= MOST or along is None:
        return even(len(table.finished))
    last = cuts(table, along)[-1].points
    return [int(last[k]) for k in even(len(last))]


def plot_bands(run: RunFolder) -> Path:
    """Draw ``figures/sweep_bands.png``: up to three columns (rows) at up to six points, against t.

    Median, 25 to 75 % and 5 to 95 % of the realisations; of a sweep that has no quantiles mean and
    standard error. Points are told in the titles: places along the longest axis.

    Returns:
        The file made.
    """
    table = SweepTable.read(run.path)
    names, points = _chosen(table), _points(table)
    values = table.points()
    with drawing():
        size = (max(1.0 + 1.55 * len(points), 4.6), 1.2 + 1.45 * len(names))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(names), len(points), sharex=True, squeeze=False)
        banded = False
        for row, name in zip(axes, names, strict=True):
            for ax, point in zip(row, points, strict=True):
                banded |= _panel(ax, table.times, table.columns[name], point)
            row[0].set_ylabel(column_label(name))
            if name not in _OWN_SCALE:
                _share(row)
            else:
                for ax in row:
                    ax.yaxis.set_major_locator(MaxNLocator(4))
            if name == "clusters":
                row[0].yaxis.set_major_locator(MaxNLocator(4, integer=True))
        for ax, point in zip(axes[0], points, strict=True):
            ax.set_title(point_label(values[point]))
        for ax in axes[-1]:
            _time(ax, table.times, 3 if len(points) > 2 else 6)
        figure.align_ylabels(axes[:, 0])
        told = "median, 25 to 75 % and 5 to 95 % of the realisations" if banded else "mean ± error"
        shown = len(points) < len(values)
        part = f"{len(points)} of {len(values)} points" if shown else ""
        single = table.realisations == 1
        footnote(figure, "" if single else told, counts(table), part)
        headline(figure, sweep_title(run, table), parameters_of(run))
        return save(figure, run.figure("sweep_bands.png"))


def _share(row: Iterable[Axes]) -> None:
    """Give the panels of a row one height, told at the first one."""
    first, *others = row
    for ax in others:
        ax.sharey(first)
        ax.tick_params(labelleft=False)
    first.autoscale_view()


def _time(ax: Axes, times: Array, ticks: int) -> None:
    ax.set_xlabel("time  $t$")
    if is_geometric(times):
        logarithmic_time(ax, float(times[times > 0.0][0]), float(times[-1]))
        ax.set_xlim(times[0], times[-1])
        told = [t for t in ax.get_xticks() if t > 0.0]
        ax.xaxis.set_major_locator(FixedLocator(told[:: -(-len(told) // ticks)]))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))


def _panel(ax: Axes, times: Array, column: Statistics, point: int) -> bool:
    """Draw one column of one point; gives whether there were quantiles."""
    known = np.isfinite(column.mean[point])
    t, mean, error = times[known], column.mean[point, known], column.error[point, known]
    levels = column.quantiles[point][:, known]
    marker = "." if len(t) <= _SPARSE else None
    ax.margins(x=0.02)
    if np.isfinite(levels).any():
        ax.fill_between(t, levels[0], levels[4], color=INK, alpha=0.15, linewidth=0.0)
        ax.fill_between(t, levels[1], levels[3], color=INK, alpha=0.3, linewidth=0.0)
        ax.plot(t, levels[2], color=INK, marker=marker)
        return True
    ax.fill_between(t, mean - error, mean + error, color=INK, alpha=0.25, linewidth=0.0)
    ax.plot(t, mean, color=INK, marker=marker)
    return False
