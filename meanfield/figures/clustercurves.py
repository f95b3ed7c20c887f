"""Figure of the clusters of a run through time: how many there are, and the mass of the largest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.figures.moments import merges
from meanfield.figures.reading import parameters_of, time_scale, title_of
from meanfield.figures.style import FAINT, INK, drawing, footnote, headline, number, save
from meanfield.results.folder import RunFolder

__all__ = ["has_clusters", "plot_clusters"]

_TOLD = 3  # merges whose times are written


def has_clusters(run: RunFolder) -> bool:
    """Whether the series has numbers of clusters, at two times."""
    if not run.series_path.is_file():
        return False
    series = run.read_series()
    return len(series["t"]) > 1 and bool(np.any(np.isfinite(series.get("clusters", np.nan))))


def plot_clusters(run: RunFolder) -> Path:
    """Draw ``figures/clusters.png``: number of clusters and mass of the largest, against time.

    Dotted: when the number falls for good (``moments.merges``), of which the last ones are told.

    Returns:
        The file made.
    """
    series = run.read_series()
    t, count = series["t"], series["clusters"]
    largest = series.get("largest_cluster")
    with drawing():
        both = largest is not None and bool(np.any(np.isfinite(largest)))
        figure = Figure(figsize=(5.4, 3.9 if both else 2.5), layout="constrained")
        axes = np.atleast_1d(figure.subplots(2 if both else 1, 1, sharex=True))
        axes[0].step(t, count, where="post", color=INK)
        axes[0].set_ylabel("clusters")
        most = float(np.nanmax(count))
        if most > 30.0:
            axes[0].set_yscale("log")
            axes[0].set_ylim(0.8, 1.5 * most)
        else:
            axes[0].set_ylim(0.0, most + 0.6)
            axes[0].yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if both:
            axes[1].plot(t, largest, color=INK)
            axes[1].set_ylabel("mass of the largest")
            axes[1].set_ylim(-0.03, 1.03)
        last = merges(t, count)[-_TOLD:]
        for ax in axes:
            for when in last:
                ax.axvline(when, color=FAINT, linewidth=0.8, linestyle=":", zorder=0.5)
        axes[-1].set_xlabel("time  $t$")
        axes[-1].set_xlim(t[0], t[-1])
        time_scale(axes[-1], run, t)
        figure.align_ylabels(list(axes))
        told = ", ".join(f"${number(float(when))}$" for when in last)
        footnote(figure, f"dotted: the number falls for good at $t = $ {told}" if told else "")
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("clusters.png"))
