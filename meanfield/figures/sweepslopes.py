"""Figure of a sweep: a number of each point against a parameter, and the power law it follows.

Owns the fit of a slope. Knows nothing of what the number is but its name.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from scipy.special import stdtrit

from meanfield.figures.reading import parameters_of
from meanfield.figures.style import (
    CLUSTER_COLOURS,
    drawing,
    footnote,
    headline,
    plain_decades,
    save,
)
from meanfield.figures.sweepreading import (
    column_label,
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

__all__ = ["Slope", "fitted_slope", "has_slopes", "plot_slopes"]

_LEAST = 3  # places on an axis
_FIRST = ("free_energy", "energy_scaled", "energy", "mean_norm")


class Slope(NamedTuple):
    """y = exp(intercept) x^value; ``half_width``: of the 95 % confidence interval of the value."""

    value: float
    half_width: float
    intercept: float


class _Number(NamedTuple):
    label: str
    values: Array  # (points,)
    errors: Array
    theory: Array


def has_slopes(run: RunFolder) -> bool:
    """Whether there is a sweep with a number at three or more numbers on an axis."""
    if not has_sweep(run):
        return False
    table = SweepTable.read(run.path)
    shown = _shown(table)
    return long_axis(table, _LEAST) is not None and np.isfinite(shown.values).sum() >= _LEAST


def _shown(table: SweepTable) -> _Number:
    """The time at P = 1/2 where two points have one, else the last mean of an energy or another."""
    none = np.full(len(table.finished), math.nan)
    if np.isfinite(table.half).sum() > 1:
        theory = told_numbers(table, "theory")
        return _Number("time at $P = 1/2$", table.half, table.half_error, theory)
    names = [name for name in _FIRST if name in table.columns] or list(table.columns)
    if not names:
        return _Number("", none, none, none)
    column = table.columns[names[0]]
    label = f"{column_label(names[0])} at the end"
    return _Number(label, column.mean[:, -1], column.error[:, -1], none)


def fitted_slope(x: Array, y: Array, errors: Array) -> Slope | None:
    """Power law through numbers > 0 by least squares of log y on log x.

    Weighted by the errors where each has one above 0. The confidence interval is that of Student's
    t with m - 2 degrees of freedom, from the residuals: it tells of departures from a power law,
    too.

    Args:
        x: (m,) > 0.
        y: (m,) > 0.
        errors: standard errors of y, (m,).

    Returns:
        None for fewer than three numbers.
    """
    if len(x) < 3:
        return None
    u, v = np.log(x), np.log(y)
    known = bool(np.all(np.isfinite(errors) & (errors > 0.0)))
    weights = (y / errors) ** 2 if known else np.ones(len(x))
    weights = weights / np.sum(weights)
    mean_u, mean_v = np.sum(weights * u), np.sum(weights * v)
    spread = np.sum(weights * (u - mean_u) ** 2)
    slope = np.sum(weights * (u - mean_u) * (v - mean_v)) / spread
    intercept = mean_v - slope * mean_u
    residual = np.sum(weights * (v - intercept - slope * u) ** 2)
    error = math.sqrt(residual / ((len(x) - 2) * spread))
    quantile = float(stdtrit(len(x) - 2, 0.975))
    return Slope(float(slope), quantile * error, float(intercept))


def plot_slopes(run: RunFolder) -> Path:
    """Draw ``figures/sweep_slopes.png``: a number of each point against the longest axis.

    The time at P = 1/2, else the last mean of the energy, with two standard errors; at most six
    curves for places of the other axes. Both axes are logarithmic where all is positive; then the
    legend has slopes with their 95 % confidence intervals. Dashed: the time of orthogonal tokens.

    Returns:
        The file made.
    """
    table = SweepTable.read(run.path)
    along = long_axis(table, _LEAST)
    assert along is not None
    shown, lines = _shown(table), cuts(table, along)
    used = np.concatenate([cut.points for cut in lines])
    values = shown.values[used][np.isfinite(shown.values[used])]
    logarithmic = bool(np.all(values > 0.0) and lines[0].x[0] > 0.0)
    with drawing():
        figure = Figure(figsize=(6.6, 3.4), layout="constrained")
        ax = figure.subplots()
        if logarithmic:
            ax.set_xscale("log")
            ax.set_yscale("log")
        for cut, colour in zip(lines, CLUSTER_COLOURS, strict=False):
            known = np.isfinite(shown.values[cut.points])
            at = cut.points[known]
            _curve(ax, cut.x[known], shown.values[at], shown.errors[at], (colour, cut.label))
        limits = ax.get_ylim()
        for cut, colour in zip(lines, CLUSTER_COLOURS, strict=False):
            theory = shown.theory[cut.points]
            ax.plot(cut.x, theory, color=colour, linestyle=(0, (3, 2)), linewidth=0.9, zorder=1)
        ax.set_ylim(limits)  # what is beyond the numbers found is left out
        ax.set_xlabel(parameter_label(table.axes[along]))
        ax.set_ylabel(shown.label)
        _scales(ax, logarithmic)
        if ax.get_legend_handles_labels()[1]:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        slopes = "dotted: power laws, with 95 % confidence" if logarithmic else ""
        dashed = "dashed: orthogonal tokens" if np.isfinite(shown.theory[used]).any() else ""
        footnote(figure, counts(table), "bars: two standard errors", slopes, dashed)
        headline(figure, sweep_title(run, table), parameters_of(run))
        return save(figure, run.figure("sweep_slopes.png"))


def _curve(ax: Axes, x: Array, y: Array, errors: Array, look: tuple[str, str]) -> None:
    colour, label = look
    logarithmic = ax.get_yscale() == "log"
    fit = fitted_slope(x, y, errors) if logarithmic else None
    if fit is not None:
        ends = np.array([x[0], x[-1]])
        law = np.exp(fit.intercept) * ends**fit.value
        ax.plot(ends, law, color=colour, linestyle=":", linewidth=1.0)
        label = f"{label}: {_told(fit)}" if label else _told(fit)
    bars = np.where(np.isfinite(errors), 2.0 * errors, 0.0)
    if logarithmic:
        bars = np.stack([np.minimum(bars, 0.9 * y), bars])
    ax.errorbar(
        x, y, bars, color=colour, marker="o", markersize=3.0, linestyle="none",
        elinewidth=0.8, label=label or None,
    )  # fmt: skip


def _told(fit: Slope) -> str:
    """The slope, to two digits of its confidence."""
    width = fit.half_width
    if not (math.isfinite(width) and width > 0.0):
        return f"slope {fit.value:.4g}".replace("-", "−")
    digits = min(max(1 - math.floor(math.log10(width)), 0), 4)
    return f"slope {fit.value:.{digits}f} ± {width:.{digits}f}".replace("-", "−")


def _scales(ax: Axes, logarithmic: bool) -> None:
    if not logarithmic:
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        return
    plain_decades(ax)
    low, high = ax.get_xlim()
    subs: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
    if high > 10.0 * low:
        subs = (1.0, 2.0, 5.0) if high < 100.0 * low else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
