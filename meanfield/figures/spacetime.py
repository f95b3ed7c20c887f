"""Figure of a density or tokens on the circle, or of a zonal density, through all of the time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.figures.density import (
    fine_profile,
    has_density,
)
from meanfield.figures.marks import grey_note
from meanfield.figures.options import limits_of
from meanfield.figures.reading import parameters_of, time_scale, title_of
from meanfield.figures.style import (
    angle_axis,
    angle_label,
    angle_profile,
    density_colours,
    drawing,
    footnote,
    headline,
    save,
)
from meanfield.geometry.manifolds import Manifold, of_vectors
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import TokenSeries, read_tokens_file
from meanfield.results.outputs import known_fields

__all__ = ["has_spacetime", "plot_spacetime"]

_MOST = 400  # times read
_ANGLES = 360
_BINS = 120
_LIMITS = (-2.0, 4.0)  # of the colours, unless the density spans less


def has_spacetime(run: RunFolder) -> bool:
    """Whether there is a density on the circle or a zonal one, or tokens on it, at two times."""
    if has_density(run):
        fields = known_fields(run)
        return fields.manifold.dimension == 1 and len(fields.times) > 1
    if not run.particles_path.is_file():
        return False
    tokens = read_tokens_file(run.particles_path)
    return tokens.d == 2 and len(tokens.times) > 1


def plot_spacetime(run: RunFolder) -> Path:
    """Draw ``figures/spacetime.png``: time across, angle up, colours of log10 of the density.

    The density of tokens is that of a histogram of their angles.

    Returns:
        The file made.
    """
    if has_density(run):
        t, angles, values, on = _density(run)
        note = ""
    else:
        tokens, on = read_tokens_file(run.particles_path), of_vectors(2)
        t, angles, values = _histograms(tokens)
        note = f"{tokens.n} tokens in {_BINS} bins of the angle"
    with drawing():
        figure = Figure(figsize=(6.2, 3.5), layout="constrained")
        ax = figure.subplots()
        low, high = limits_of(float(values.min()), float(values.max())) or _range(values)
        ends = np.concatenate([t[:1], 0.5 * (t[1:] + t[:-1]), t[-1:]])
        shown = ax.pcolormesh(
            ends, angles, values.T, cmap=density_colours(), vmin=low, vmax=high, rasterized=True
        )
        angle_axis(ax, "y", on)
        ax.set_ylabel(angle_label(on))
        ax.set_xlabel("time  $t$")
        ax.set_xlim(t[0], t[-1])
        time_scale(ax, run, t)
        below, above = bool(values.min() < low), bool(values.max() > high)
        ends_of = {(True, True): "both", (True, False): "min", (False, True): "max"}
        bar = figure.colorbar(
            shown, ax=ax, extend=ends_of.get((below, above), "neither"), pad=0.02, aspect=24
        )
        bar.locator = MaxNLocator(6, steps=[1, 2, 5, 10])
        bar.update_ticks()
        bar.set_label(r"$\log_{10}$ density relative to uniform")
        footnote(figure, note, grey_note(float(values.min()), low))
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("spacetime.png"))


def _range(values: Array) -> tuple[float, float]:
    """Of the colours, in halves: of what is there, within bounds that tell enough."""
    low = max(math.floor(2.0 * float(values.min())) / 2.0, _LIMITS[0])
    high = min(math.ceil(2.0 * float(values.max())) / 2.0, _LIMITS[1])
    return low, max(high, low + 0.5)


def _chosen(count: int) -> Array:
    return np.unique(np.linspace(0, count - 1, _MOST).round().astype(np.int64))


def _density(run: RunFolder) -> tuple[Array, Array, Array, Manifold]:
    """Times (k,), edges of angles (m + 1,), log10 of the density (k, m), geometry."""
    fields = known_fields(run)
    on = fields.manifold
    edges = np.linspace(*on.span, _ANGLES + 1)
    middles, rows = 0.5 * (edges[1:] + edges[:-1]), []
    steps = _chosen(len(fields.times))
    for k in map(int, steps):
        there = fields.at(k)
        points, row = there.mesh.points, there.log10_density(k)
        if fields.moving:
            points, row = fine_profile(there, row, there.read("mass", k))
        angle, profile = angle_profile(on, points, row[None])
        at = np.interp(middles, angle, profile[0])
        # Vertices gather where the density is, and between two middles there may be all of it.
        cell = np.clip(np.searchsorted(edges, angle) - 1, 0, _ANGLES - 1)
        inside = (angle >= edges[0]) & (angle <= edges[-1])
        np.maximum.at(at, cell[inside], profile[0][inside])
        rows.append(at)
    return fields.times[steps], edges, np.array(rows), on


def _histograms(tokens: TokenSeries) -> tuple[Array, Array, Array]:
    edges = np.linspace(-math.pi, math.pi, _BINS + 1)
    masses, rows = tokens.read("mass"), []
    steps = _chosen(len(tokens.times))
    for k in map(int, steps):
        x = tokens.points(k)
        part = np.histogram(np.arctan2(x[:, 1], x[:, 0]), edges, weights=masses)[0]
        rows.append(np.log10(np.maximum(part / masses.sum() * _BINS, 1e-300)))
    return tokens.times[steps], edges, np.array(rows)
