"""Figure of a study of convergence: errors against edges, with the orders that fit them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import (
    CLUSTER_COLOURS,
    FAINT,
    drawing,
    footnote,
    headline,
    number,
    save,
    shades,
)
from meanfield.results.convergence import QUANTITIES, ConvergenceTable, has_convergence
from meanfield.results.folder import RunFolder

__all__ = ["has_convergence", "plot_convergence"]

_LOOKS = {
    "mean": ("mean", "o", CLUSTER_COLOURS[0]),
    "energy": ("energy (scaled)", "s", CLUSTER_COLOURS[1]),
    "l1": ("density, $L^1$", "^", CLUSTER_COLOURS[2]),
}


def plot_convergence(run: RunFolder) -> Path:
    """Draw ``figures/convergence.png``: errors at the last time, and those of the mean in time.

    Left, logarithmic: errors of mean, energy and density against the edges, with the fitted laws
    dotted, and lines of orders 1 and 2 to compare with. Right, where there are three output times
    or more: the error of the mean against time, a curve for each resolution.

    Returns:
        The file made.
    """
    table = ConvergenceTable.read(run.path)
    both = len(table.times) > 2
    with drawing():
        figure = Figure(figsize=(7.6 if both else 4.6, 3.5), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, 2 if both else 1))
        _against_edges(axes[0], table)
        if both:
            _against_time(axes[1], table)
        dotted = "dotted: the order that fits"
        if table.reference_edge > 0.0:
            dotted += ", the error of the reference allowed for"
        footnote(figure, f"against {table.against}", dotted)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("convergence.png"))


def _against_edges(ax: Axes, table: ConvergenceTable) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    lowest, at = np.inf, table.edges
    for name in QUANTITIES:
        label, marker, colour = _LOOKS[name]
        errors = table.errors[name][:, -1]
        good = errors > 0.0
        if not np.any(good):
            continue
        lowest = min(lowest, float(errors[good].min()))
        fit = table.fitted(name)
        if np.isfinite(fit.value):
            label += f": order {fit.value:.2f}"
            edges = np.geomspace(at.min(), at.max(), 60)
            law = fit.factor * (edges**fit.value - table.reference_edge**fit.value)
            ax.plot(edges, law, color=colour, linestyle=":", linewidth=1.0)
        ax.plot(at[good], errors[good], marker, color=colour, markersize=4.0, label=label)
    if np.isfinite(lowest):
        _slopes(ax, at, lowest)
        ax.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0))
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.35)  # room for the legend
    ax.xaxis.set_major_locator(FixedLocator(list(at)))
    names = {
        float(h): f"{h:.2g}\n{table.key} {n}" for h, n in zip(at, table.resolutions, strict=True)
    }
    ax.xaxis.set_major_formatter(FuncFormatter(lambda h, _: names.get(float(h), "")))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("edge of the mesh (radians)")
    ax.set_ylabel(f"error at $t = {number(float(table.times[-1]))}$")


def _slopes(ax: Axes, edges: np.ndarray, lowest: float) -> None:
    """Lines of orders 1 and 2 below all errors, from the shortest edge."""
    ends = np.array([edges.min(), edges.max()])
    for order in (1, 2):
        line = 0.4 * lowest * (ends / ends[0]) ** order
        ax.plot(ends, line, color=FAINT, linewidth=0.8, linestyle=(0, (4, 2)))
        ax.annotate(f"{order}", (ends[1], line[1]), xytext=(3, 0), textcoords="offset points",
            fontsize=7, color=FAINT, va="center")  # fmt: skip


def _against_time(ax: Axes, table: ConvergenceTable) -> None:
    ax.set_yscale("log")
    colours = shades(len(table.resolutions))
    for i, resolution in enumerate(table.resolutions):
        errors = np.where(table.errors["mean"][i] > 0.0, table.errors["mean"][i], np.nan)
        ax.plot(table.times, errors, color=colours[i], label=f"{table.key} {resolution}")
    ax.set_xlabel("$t$")
    ax.set_ylabel("error of the mean")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
