"""Figure of the inner products of pairs through time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from meanfield.errors import InputError
from meanfield.figures.moments import steps_to_show
from meanfield.figures.reading import parameters_of, time_scale, title_of
from meanfield.figures.style import (
    drawing,
    footnote,
    headline,
    number,
    save,
    shades,
)
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.pairtable import PairTable

__all__ = ["has_pairs", "plot_pairs"]

_MOST_COLUMNS = 1000  # of the map: more are no pixels
_DECADES = 4.0  # of the colours
_DENSE = "viridis"


def has_pairs(run: RunFolder) -> bool:
    """Whether there are inner products of pairs, at a time."""
    return run.pairs_path.is_file() and len(PairTable.read(run.pairs_path).t) > 0


def plot_pairs(run: RunFolder) -> Path:
    """Draw ``figures/pairs.png``: how inner products of pairs are distributed, through time.

    Left: time across, inner product up, colours of their density (logarithmic, four decades below
    the largest). Right: the density at up to four times (those of :func:`plot_density`).

    Returns:
        The file made.

    Raises:
        InputError: there are none.
    """
    table = PairTable.read(run.pairs_path)
    if not len(table.t):
        raise InputError(f"{run.pairs_path} has no rows: the run did not get to its first output")
    with drawing():
        density = table.shares / np.diff(table.edges)
        steps = steps_to_show(run, table.t)
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        if len(table.t) > 1:
            over_time, beside = figure.subplots(1, 2, sharey=True, width_ratios=(1.6, 1.0))
            _draw_map(over_time, table, density, run)
        else:
            beside = over_time = figure.subplots()
        _draw_steps(beside, table, density, steps)
        over_time.set_ylabel(r"inner product  $\langle x, y\rangle$")
        over_time.set_ylim(-1.0, 1.0)
        blur = float(table.blur.max())
        footnote(figure, f"density smoothed by up to {blur:.2g} rad first" if blur else "")
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("pairs.png"))


def _draw_map(ax: Axes, table: PairTable, density: Array, run: RunFolder) -> None:
    t = table.t
    kept = np.unique(np.linspace(0, len(t) - 1, _MOST_COLUMNS).round().astype(np.int64))
    t, density = t[kept], density[kept]
    ends = np.concatenate([t[:1], 0.5 * (t[1:] + t[:-1]), t[-1:]])
    top = float(density.max())
    low = top * 10.0**-_DECADES
    norm = LogNorm(low, top)
    shown = np.maximum(density, low).T
    colours = ax.pcolormesh(ends, table.edges, shown, norm=norm, cmap=_DENSE, rasterized=True)
    ax.set_xlabel("time  $t$")
    time_scale(ax, run, t)
    ax.set_xlim(t[0], t[-1])
    bar = ax.figure.colorbar(colours, ax=ax, pad=0.02, extend="min")
    bar.set_label("density of pairs")


def _draw_steps(ax: Axes, table: PairTable, density: Array, steps: Sequence[int]) -> None:
    for k, shade in zip(steps, shades(len(steps)), strict=True):
        label = f"$t = {number(float(table.t[k]))}$"
        ax.stairs(
            density[k], table.edges, baseline=None, orientation="horizontal", color=shade,
            linewidth=1.2, label=label,
        )  # fmt: skip
    found = density[list(steps)]
    ax.set_xscale("log")
    ax.set_xlim(max(0.5 * found[found > 0.0].min(), 1e-4 * found.max()), 2.0 * found.max())
    ax.set_xlabel("density of pairs")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
