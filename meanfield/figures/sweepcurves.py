"""Figure of a sweep over words, such as schemes of normalisation: cosines against time, together.

Knows nothing of what the words mean.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meanfield.figures.reading import parameters_of
from meanfield.figures.style import (
    CLUSTER_COLOURS,
    drawing,
    footnote,
    headline,
    is_geometric,
    logarithmic_time,
    save,
)
from meanfield.figures.sweepreading import (
    column_label,
    counts,
    point_label,
    positions,
    sweep_title,
)
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import SweepTable, has_sweep

__all__ = ["has_curves", "plot_curves"]

_COLUMN = "mean_inner_product"
_MOST = 10  # curves that can be told apart
_DASHES = (0, (3, 2))


def has_curves(run: RunFolder) -> bool:
    """Whether there is a sweep of tokens over words, of few points."""
    if not has_sweep(run):
        return False
    table = SweepTable.read(run.path)
    words = any(positions(axis) is None for axis in table.axes)
    if not words or not 2 <= len(table.finished) <= _MOST or _COLUMN not in table.columns:
        return False
    return bool(np.isfinite(table.columns[_COLUMN].mean).any(axis=0).sum() > 1)


def plot_curves(run: RunFolder) -> Path:
    """Draw ``figures/sweep_curves.png``: the mean cosine of all pairs against time, at each point.

    Bands: two standard errors. Dashed: the curve of equiangular tokens, where it is known (see
    ``studies.sweepcurves``).

    Returns:
        The file made.
    """
    table = SweepTable.read(run.path)
    column, theory = table.columns[_COLUMN], _theory(table)
    with drawing():
        figure = Figure(figsize=(6.6, 3.6), layout="constrained")
        ax = figure.subplots()
        for i, (point, colour) in enumerate(zip(table.points(), _colours(), strict=False)):
            known = np.isfinite(column.mean[i])
            t, mean = table.times[known], column.mean[i, known]
            error = 2.0 * np.nan_to_num(column.error[i, known])
            ax.fill_between(t, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0.0)
            ax.plot(t, mean, color=colour, label=point_label(point))
            ax.plot(table.times, theory[i], color="black", linestyle=_DASHES, linewidth=0.9)
        _scales(ax, table.times)
        ax.set_ylabel(column_label(_COLUMN))
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        dashed = "dashed: equiangular tokens" if np.isfinite(theory).any() else ""
        bands = "" if table.realisations == 1 else "bands: two standard errors"
        footnote(figure, counts(table), bands, dashed)
        headline(figure, sweep_title(run, table), parameters_of(run))
        return save(figure, run.figure("sweep_curves.png"))


def _colours() -> list[object]:
    more = matplotlib.colormaps["tab20b"].colors
    return [*CLUSTER_COLOURS, *more[::5]]


def _scales(ax: Axes, times: Array) -> None:
    ax.set_xlabel("time  $t$")
    if is_geometric(times):
        logarithmic_time(ax, float(times[times > 0.0][0]), float(times[-1]))
    ax.set_xlim(times[0], times[-1])
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -1.02), min(max(high, 0.1), 1.02))


def _theory(table: SweepTable) -> Array:
    """(points, k) cosines of equiangular tokens; nan where they are not known."""
    told = table.about.get("curves")
    out = np.full((len(table.finished), len(table.times)), math.nan)
    if isinstance(told, list) and len(told) == len(out):
        for i, curve in enumerate(told):
            if isinstance(curve, list) and len(curve) == len(table.times):
                out[i] = curve
    return out
