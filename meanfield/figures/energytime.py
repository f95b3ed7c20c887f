"""Figure of the energy against the logarithm of the time, with the rate at which it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.series import label_energy, mark_plateaus
from meanfield.figures.style import INK, drawing, footnote, headline, logarithmic_time, save
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder

__all__ = ["has_energy", "plot_energy"]

_DECADES = 14.0  # of the rate


def has_energy(run: RunFolder) -> bool:
    """Whether there is an energy at three times."""
    if not run.series_path.is_file():
        return False
    series = run.read_series()
    return "energy_scaled" in series and len(series["t"]) > 2


def plot_energy(run: RunFolder) -> Path:
    """Draw ``figures/energy-log.png``: energy and its rate of change over log t.

    Left of the first time that a row has, the axis is linear down to 0. The rate is the column
    ``dissipation``, scaled as the energy; where a series has none, the slope between rows.

    Returns:
        The file made.
    """
    series = run.read_series()
    t, energy = series["t"], series["energy_scaled"]
    with drawing():
        figure = Figure(figsize=(5.4, 4.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(t, energy, color=INK)
        label_energy(upper, run, energy)
        mark_plateaus(upper, t, energy)
        rate, words = _rate(series)
        positive = rate > 0.0
        lower.plot(t[positive], rate[positive], color=INK)
        lower.set_yscale("log")
        if np.any(positive):
            top = float(rate[positive].max())
            lower.set_ylim(max(0.5 * float(rate[positive].min()), top * 10.0**-_DECADES), 2.0 * top)
        lower.set_ylabel(r"rate  $|\mathrm{d}E/\mathrm{d}t|$")
        lower.set_xlabel("time  $t$")
        first, last = _first(t), float(t[-1])
        if last > 10.0 * first:
            logarithmic_time(lower, first, last)
        lower.set_xlim(0.0, last)
        figure.align_ylabels([upper, lower])
        footnote(figure, words)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("energy-log.png"))


def _first(t: Array) -> float:
    """Where the logarithmic part of the axis begins: a power of ten near the first times."""
    later = float(t[t > 0.0].min(initial=float(t[-1])))
    return max(10.0 ** np.ceil(np.log10(later)), 1e-6 * float(t[-1]))


def _rate(series: dict[str, Array]) -> tuple[Array, str]:
    rate = series.get("dissipation")
    if rate is not None and np.any(rate > 0.0):
        return rate, "rate: the dissipation of the flow, scaled as the energy"
    slope = np.abs(np.gradient(series["energy_scaled"], series["t"]))
    return slope, "rate: slope of the energy between rows of the series"
