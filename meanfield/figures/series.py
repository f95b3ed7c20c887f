"""Figure of the series of a run: energy (if there is one), order and clusters against time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.analysis.staircase import plateaus
from meanfield.errors import InputError
from meanfield.figures.reading import parameters_of, time_scale, title_of
from meanfield.figures.style import CLUSTER_COLOURS, FAINT, INK, drawing, headline, save
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder

__all__ = ["has_series", "label_energy", "mark_plateaus", "plot_series"]

_PLATEAU = CLUSTER_COLOURS[4]


def has_series(run: RunFolder) -> bool:
    """Whether there is a series with a row."""
    return run.series_path.is_file() and len(run.read_series()["t"]) > 0


def plot_series(run: RunFolder) -> Path:
    """Draw ``figures/energy.png``: energy, length of the mean, number of clusters against time.

    Plateaus of the energy (``analysis.staircase``) are underlaid, where one is between the first
    and the last.

    The energy of attention is E e^{-|beta|} with E = (1/2 beta) iint e^{beta <x,y>} dmu dmu, which
    *increases* along the flow for V = +I, that of kernels E = 1/2 iint W dmu dmu; a dotted line
    marks its value for all mass at one point where the curve comes within a factor of two. Of a
    model without energy there are the other two.

    Returns:
        The file made.

    Raises:
        InputError: if the folder has no series or the series no rows.
    """
    series = run.read_series()
    t = series["t"]
    if not len(t):
        raise InputError(f"{run.series_path} has no rows: the run did not get to its first output")
    with drawing():
        energy = series.get("energy_scaled")
        heights = (1.25, 0.8) if energy is None else (1.25, 1.25, 0.8)
        figure = Figure(figsize=(5.4, 1.1 + 1.12 * sum(heights)), layout="constrained")
        axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        marker = "o" if len(t) == 1 else None
        *first, order, clusters = axes

        if energy is not None:
            first[0].plot(t, energy, color=INK, marker=marker)
            label_energy(first[0], run, energy)
            mark_plateaus(first[0], t, energy)
        order.plot(t, series["mean_norm"], color=INK, marker=marker)
        order.set_ylabel(r"order  $|m|=|\int x\,\mathrm{d}\mu|$")
        order.set_ylim(-0.03, 1.03)

        count = series["clusters"]
        clusters.step(t, count, where="post", color=INK, marker=marker)
        clusters.set_ylabel("clusters")
        clusters.set_ylim(-0.3, float(np.nanmax(count, initial=1.0)) + 0.6)
        clusters.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        clusters.set_xlabel("time  $t$")
        clusters.margins(x=0.015)
        time_scale(clusters, run, t)
        figure.align_ylabels(axes)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("energy.png"))


def mark_plateaus(ax: Axes, t: Array, energy: Array) -> None:
    """Underlay the plateaus of an energy against time, where there are three or more."""
    found = plateaus(t, energy)
    if len(found) < 3:
        return
    heights, begins, ends = ([getattr(p, n) for p in found] for n in ("height", "begin", "end"))
    ax.hlines(heights, begins, ends, color=_PLATEAU, linewidth=4.0, alpha=0.6, zorder=0.5)


def label_energy(ax: Axes, run: RunFolder, values: Array) -> None:
    """Name the axis of the energy, and mark its value for all mass at one point if it is near."""
    told = run.read_energy()
    scaled, top = "|beta|" in str(told.get("label")), told.get("dirac")
    ax.set_ylabel(r"energy  $E\,e^{-|\beta|}$" if scaled else "energy  $E$")
    if isinstance(top, float) and top > 0.0 and np.nanmax(values, initial=0.0) > 0.5 * top:
        ax.axhline(top, color=FAINT, linewidth=0.8, linestyle=":")
        ax.annotate(
            "all mass at one point",
            (0.0, top),
            xycoords=("axes fraction", "data"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            color=FAINT,
            fontsize=7,
        )
