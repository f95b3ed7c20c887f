"""One output of a run, or a column of its series, on axes of whoever looks at it.

Knows neither run folders nor live runs: it takes what was read. The looks of given axes are left to
who has made them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from meanfield.analysis.clustertable import ClusterTable
from meanfield.checks import as_found
from meanfield.errors import InputError, suggest
from meanfield.figures.style import (
    CLUSTER_COLOURS,
    CLUSTER_MASS,
    FAINT,
    INK,
    angle_axis,
    angle_label,
    angle_profile,
    cluster_colours,
    drawing,
    number,
    percent,
    plain_decades,
)
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.sphere import Array
from meanfield.results.clusters import ClusterReader
from meanfield.results.formats import INNER_PRODUCT_EDGES, FieldSeries, TokenSeries
from meanfield.results.outputs import OutputFields, slices_at, step_at

__all__ = ["draw"]

_SIZE = (5.4, 3.3)  # inches
_LONGITUDES, _HEIGHTS = 360, 180  # pixels of a map
_FINE = 720  # angles of a curve on half a circle
_BINS = 72  # of angles
_DECADES = (-1.0, 3.0)  # log10 of the densities that are told apart
_EMPTY = "0.8"  # grey: emptier than the colours tell
_NARROW = 0.1  # radians, of the spread of a cluster
_RING = CLUSTER_COLOURS[0]
_DENSITY = "density relative to uniform"


def draw(
    outputs: FieldSeries | TokenSeries | None,
    series: Mapping[str, Array],
    what: str | None,
    t: float | None,
    ax: object,
    near: float | None = None,
) -> Axes:
    """Draw one output, or a column of a series, on given axes (None: of a new figure).

    Args:
        outputs: densities or tokens; None: not needed for a column.
        series: columns by name.
        what: "density", "tokens" or the name of a column; None: whatever ``outputs`` is.
        t: an output time (None: the last); of a column, a time to mark.
        ax: axes of matplotlib, or None.
        near: length up to which an edge of a mesh that moves has collapsed, see ``ClusterReader``.

    Raises:
        InputError: there is nothing of this name, no such output, or these are no axes.
    """
    if outputs is None:
        assert what is not None
        with _axes_of(ax) as axes:
            _column_on(axes, series, what, t)
        return axes
    own = "density" if isinstance(outputs, FieldSeries) else "tokens"
    if what not in (own, None):
        valid = (own, *series)
        raise InputError(
            f"plot: what = '{what}' found, expected {', '.join(valid)}{suggest(str(what), valid)}"
        )
    step_at(outputs.times, t)  # before there is a figure
    with _axes_of(ax) as axes:
        if isinstance(outputs, FieldSeries):
            _density_on(axes, OutputFields(outputs), t, near)
        else:
            _tokens_on(axes, outputs, t)
    return axes


@contextmanager
def _axes_of(ax: object) -> Iterator[Axes]:
    """The axes to draw on within: given ones, or those of a new figure in the style of the package.

    Where pyplot is there, or in a notebook, it shows the new figure; else nobody does.

    Raises:
        InputError: they are something else.
    """
    if isinstance(ax, Axes):
        yield ax
        return
    if ax is not None:
        raise InputError(f"ax: found {as_found(ax)}, expected axes of matplotlib, or None")
    looks = {"figsize": _SIZE, "layout": "constrained", "facecolor": "white"}
    if "matplotlib.pyplot" in sys.modules or "ipykernel" in sys.modules:
        from matplotlib import pyplot

        # Outside of the style: a notebook sets what shows its figures when the first one is made.
        figure = pyplot.figure(**looks)
    else:
        figure = Figure(**looks)
        FigureCanvasAgg(figure)
    with drawing():
        yield figure.subplots()


def _column_on(ax: Axes, series: Mapping[str, Array], name: str, t: float | None) -> None:
    """A column of a series against time; ``t``: a time to mark."""
    times = series["t"]
    ax.plot(times, series[name], color=INK, marker="o" if len(times) == 1 else None)
    if t is not None:
        ax.axvline(t, color=FAINT, linewidth=0.8, linestyle=":")
    ax.set_xlabel("time  $t$")
    ax.set_ylabel(name)


def _density_on(ax: Axes, fields: OutputFields, t: float | None, near: float | None) -> None:
    """The density at an output time: a curve over the angle, or a map of the sphere."""
    k = fields.step(t)
    shown = float(fields.times[k])
    if fields.manifold.dimension == 2:
        _map_density(ax, fields, shown)
        if not fields.sliced:
            _ring_clusters(ax, ClusterReader(fields.series, near).at(k))
    else:
        _draw_profile(ax, fields, shown)
    ax.set_title(f"$t = {number(shown)}$")


def _tokens_on(ax: Axes, tokens: TokenSeries, t: float | None) -> None:
    """Tokens at an output time: a map (d = 3), or distributions of angles or inner products."""
    k = step_at(tokens.times, t)
    masses = tokens.read("mass")
    masses = masses / masses.sum()
    if tokens.d == 3:
        _map_tokens(ax, tokens, k, masses)
    elif tokens.d == 2:
        points = tokens.points(k)
        angles = np.arctan2(points[:, 1], points[:, 0])
        edges = np.linspace(-math.pi, math.pi, _BINS + 1)
        parts = np.histogram(angles, edges, weights=masses)[0]
        ax.stairs(parts * _BINS, edges, color=INK, fill=True, alpha=0.6)
        angle_axis(ax, "x", of_vectors(2))
        ax.set_xlabel("angle")
        ax.set_ylabel("tokens relative to uniform")
    else:
        density = tokens.inner_products(k) / np.diff(INNER_PRODUCT_EDGES)
        ax.stairs(density, INNER_PRODUCT_EDGES, baseline=None, color=INK)
        ax.set_yscale("log", nonpositive="clip")
        ax.set_xlim(-1.0, 1.02)
        ax.set_xlabel(
            rf"inner product $\langle x_i, x_j\rangle$  ($d = {tokens.d}$, $n = {tokens.n}$)"
        )
        ax.set_ylabel("density of pairs")
    ax.set_title(f"$t = {number(float(tokens.times[k]))}$")


# -- one dimension --------------------------------------------------------------------------------


def _draw_profile(ax: Axes, fields: OutputFields, t: float) -> None:
    """rho over the angle, logarithmic; of slices, all positions together."""
    on = fields.manifold
    places = on.evenly(_FINE)
    values = np.log10(np.maximum(fields.at(places, t), 1e-300))
    if not fields.sliced:
        # A collapsed cluster is a line at one angle, whatever the cells beside it hold.
        own = fields.mesh(t).points
        places = np.concatenate([places, own])
        values = np.concatenate([values, fields.log_density(t) / math.log(10.0)])
    values = np.clip(values, -30.0, 30.0)
    angle, (row,) = angle_profile(on, places, values[None])
    ax.axhline(1.0, color=FAINT, linewidth=0.7, linestyle=":")
    ax.plot(angle, 10.0**row, color=INK)
    ax.set_yscale("log")
    low, high = max(float(row.min()), _DECADES[0]), min(float(row.max()), 12.0)
    pad = 0.04 * max(high - low, 1.0)
    ax.set_ylim(10.0 ** (low - pad), 10.0 ** (high + pad))
    if high - low < 2.0:
        plain_decades(ax)
    angle_axis(ax, "x", on)
    ax.set_xlabel(angle_label(on))
    ax.set_ylabel(_DENSITY)


# -- maps of the sphere ---------------------------------------------------------------------------


def _map_density(ax: Axes, fields: OutputFields, t: float) -> None:
    """log10 of rho; pixels are of equal area, or those of the projection that the axes have."""
    edges = np.linspace(-math.pi, math.pi, _LONGITUDES + 1)
    sides = np.linspace(-1.0, 1.0, _HEIGHTS + 1)
    if not _is_plain(ax):
        sides = np.sin(0.5 * math.pi * sides)
    longitude, z = np.meshgrid(0.5 * (edges[1:] + edges[:-1]), 0.5 * (sides[1:] + sides[:-1]))
    flat = np.sqrt(1.0 - z * z)
    points = np.stack([flat * np.cos(longitude), flat * np.sin(longitude), z], axis=-1)
    rho = fields.at(points.reshape(-1, 3), t).reshape(z.shape)
    values = np.log10(np.maximum(rho, 1e-300))
    own, at_own = _vertices(fields, t)
    column = np.searchsorted(edges, np.arctan2(own[:, 1], own[:, 0]), side="right") - 1
    line = np.searchsorted(sides, own[:, 2], side="right") - 1
    # Vertices gather where the density is, and between two pixels there may be all of it.
    pixel = np.clip(line, 0, _HEIGHTS - 1), np.clip(column, 0, _LONGITUDES - 1)
    np.maximum.at(values, pixel, at_own)
    top = min(max(float(np.nanmax(values)), 0.1), _DECADES[1])
    low = max(min(float(np.nanmin(values)), -0.1), _DECADES[0])
    rows = sides if _is_plain(ax) else np.arcsin(sides)
    colours = matplotlib.colormaps["magma"].with_extremes(under=_EMPTY)
    image = ax.pcolormesh(
        edges, rows, values, cmap=colours, vmin=low, vmax=top, rasterized=True, shading="flat"
    )
    bar = ax.figure.colorbar(image, ax=ax, extend="both", aspect=24, pad=0.02)
    bar.set_label(rf"$\log_{{10}}$ {_DENSITY}")
    _label_map(ax)


def _ring_clusters(ax: Axes, clusters: ClusterTable) -> None:
    """Rings, with parts of the mass, round clusters that are hardly seen otherwise."""
    narrow = (clusters.spread < _NARROW) & (clusters.mass > CLUSTER_MASS)
    for centre, mass in zip(clusters.centre[narrow], clusters.mass[narrow], strict=True):
        height = float(np.clip(centre[2], -1.0, 1.0))
        place = (math.atan2(centre[1], centre[0]), height if _is_plain(ax) else math.asin(height))
        ax.plot(*place, "o", markersize=9.0, markerfacecolor="none", markeredgecolor=_RING)
        ax.annotate(
            percent(float(mass)), place, xytext=(7, 4), textcoords="offset points", color=_RING
        )


def _vertices(fields: OutputFields, t: float) -> tuple[Array, Array]:
    """Vertices of a mesh and log10 rho there; none of a density by position."""
    if fields.sliced:
        mesh = next(iter(slices_at(fields.series, fields.step(t))))[2]
        return mesh.points[:0], np.zeros(0)
    return fields.mesh(t).points, fields.log_density(t) / math.log(10.0)


def _map_tokens(ax: Axes, tokens: TokenSeries, k: int, masses: Array) -> None:
    """A dot for each token, with the colour of its cluster, which it has at the end, too."""
    x = tokens.points(k)
    (colours, _) = cluster_colours([tokens.read("cluster", j) for j in (k, -1)], masses)
    height = np.clip(x[:, 2], -1.0, 1.0)
    along = height if _is_plain(ax) else np.arcsin(height)
    area = np.clip(150.0 * masses * math.sqrt(tokens.n), 4.0, 60.0)
    ax.scatter(
        np.arctan2(x[:, 1], x[:, 0]), along, s=area, c=_shades(colours), linewidths=0.0, alpha=0.8
    )
    _label_map(ax)


def _shades(colours: NDArray[np.int64]) -> list[str]:
    return ["0.6" if c < 0 else CLUSTER_COLOURS[c] for c in map(int, colours)]


def _is_plain(ax: Axes) -> bool:
    """Whether the axes have no projection of their own."""
    return bool(ax.name == "rectilinear")


def _label_map(ax: Axes) -> None:
    if not _is_plain(ax):
        return
    angle_axis(ax, "x", of_vectors(2))
    ax.set_ylim(-1.0, 1.0)
    ax.set_xlabel(r"longitude")
    ax.set_ylabel(r"$x_3$  (equal areas)")
