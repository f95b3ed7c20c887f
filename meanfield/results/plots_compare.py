"""Figures of a comparison: distances of particles to a density against n and t, both side by side.

Owns how a comparison is shown. Takes plain numbers and arrays and writes a file; knows neither how
distances are estimated nor how runs are stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from numpy.typing import NDArray

from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results import globe
from meanfield.results.figures import (
    CLUSTER_COLOURS,
    CLUSTER_MASS,
    FAINT,
    INK,
    STYLE,
    angle_axis,
    angle_label,
    angle_profile,
    cluster_colours,
    footnote,
    headline,
    is_geometric,
    logarithmic_time,
    number,
    percent,
    save,
    shades,
    telling_steps,
)

__all__ = ["plot_distance_against_n", "plot_distance_against_t", "plot_side_by_side"]

Rows = Sequence[Mapping[str, float]]

_PANELS = 4  # times in a figure against n
_BELOW = 0.8  # of the floor: where the slope is drawn
_BINS = 60  # of a histogram of angles


# -- against n ------------------------------------------------------------------------------------


def plot_distance_against_n(
    path: str | Path,
    rows: Rows,
    *,
    d: int = 3,
    times: Sequence[float] | None = None,
    title: str = "",
) -> Path:
    """Draw W_p of n particles to the density against n, with the sampling floor.

    One panel for each time, one row for each of W2 and W1 that the rows have. The slope drawn is
    that of n independent samples: n^{-1/2} for d = 2, (log n / n)^{1/2} for d = 3 (Ajtai, Komlos
    and Tusnady) and n^{-1/(d-1)} above, somewhat below the floor.

    Args:
        path: the file to make.
        rows: one for each n and t with ``n``, ``t`` and, for w2 or w1 or both, ``w2``, ``w2_low``,
            ``w2_high`` and the same three with ``floor_w2``; further keys are ignored.
        d: ambient dimension.
        times: which to show; None: up to four, the first and the last included.
        title: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: if the rows lack a key, or none is at one of the times.
    """
    names = _distances(rows)
    chosen = _times_shown(rows, times)
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(max(1.75 * len(chosen) + 1.0, 3.4), 2.1 * len(names) + 0.75),
            layout="constrained",
        )
        axes = figure.subplots(len(names), len(chosen), sharex=True, sharey="row", squeeze=False)
        for name, line in zip(names, axes, strict=True):
            for ax, t in zip(line, chosen, strict=True):
                _against_n(ax, _table(rows, name, t=t), d)
            line[0].set_ylabel(_symbol(name))
        for ax, t in zip(axes[0], chosen, strict=True):
            ax.set_title(f"$t = {number(t)}$")
        for ax in axes[-1]:
            ax.set_xlabel("particles  $n$")
        handles = [
            Line2D([], [], color=INK, marker="o", markersize=3.5, label="particles"),
            Line2D([], [], color=FAINT, linestyle="--", label="sampling floor"),
        ]
        if len({row["n"] for row in rows}) > 1:
            line = Line2D([], [], color="0.3", linestyle=":", linewidth=1.0, label=_rate_label(d))
            handles.append(line)
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        headline(figure, title)
        return save(figure, Path(path))


def _against_n(ax: Axes, table: dict[str, Array], d: int) -> None:
    n = table["n"]
    _curve(ax, n, table, "floor", FAINT, dashed=True)
    if len(n) > 1:
        # Somewhat below the floor, where it can be seen.
        fine = np.geomspace(n[0], n[-1], 50)
        slope = _BELOW * table["floor"][0] * _rate(fine, d) / _rate(n[:1], d)
        ax.plot(fine, slope, color="0.3", linestyle=":", linewidth=1.0)
    ax.errorbar(
        n,
        table["value"],
        yerr=_bars(table, "value"),
        color=INK,
        marker="o",
        markersize=3.5,
        linewidth=1.1,
        elinewidth=0.9,
        capsize=2.0,
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(n[0] / 1.35, n[-1] * 1.35)
    if len(n) <= 4:
        ax.xaxis.set_major_locator(FixedLocator([float(v) for v in n]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0f}"))
    _distance_axis(ax)


def _rate(n: Array, d: int) -> Array:
    if d == 3:
        return np.asarray(np.sqrt(np.log(n) / n))
    return np.asarray(n ** (-0.5 if d == 2 else -1.0 / (d - 1)))


def _rate_label(d: int) -> str:
    if d == 3:
        return r"$\propto (\log n\,/\,n)^{1/2}$"
    return r"$\propto n^{-1/2}$" if d == 2 else rf"$\propto n^{{-1/{d - 1}}}$"


# -- against t ------------------------------------------------------------------------------------


def plot_distance_against_t(path: str | Path, rows: Rows, *, title: str = "") -> Path:
    """Draw W_p against t for each n, with the sampling floor; below, the ratio of the two.

    Args:
        path: the file to make.
        rows: one for each n and t as for :func:`plot_distance_against_n`, with ``ratio_w2``,
            ``ratio_w2_low`` and ``ratio_w2_high`` besides. W2 and W1 have a column each.
        title: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: if the rows lack a key.
    """
    names = _distances(rows)
    numbers = sorted({row["n"] for row in rows})
    times = sorted({row["t"] for row in rows})
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * len(names) + 1.5, 4.2), layout="constrained")
        axes = figure.subplots(2, len(names), sharex=True, squeeze=False, height_ratios=(1.6, 1.0))
        for name, (upper, lower) in zip(names, axes.T, strict=True):
            highest = 1.0
            for n, colour in zip(numbers, shades(len(numbers)), strict=True):
                table = _table(rows, name, n=n)
                t = table["t"]
                _curve(upper, t, table, "floor", colour, dashed=True, band=False)
                _curve(upper, t, table, "value", colour)
                _curve(lower, t, table, "ratio", colour)
                highest = max(highest, float(np.nanmax(table["ratio"], initial=1.0)))
            upper.set_yscale("log")
            _distance_axis(upper)
            upper.set_ylabel(_symbol(name))
            lower.axhline(1.0, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
            lower.set_ylabel("ratio to floor")
            if highest > 6.0:
                lower.set_yscale("log")
                _distance_axis(lower)
            else:
                lower.yaxis.set_major_locator(MaxNLocator(5))
            lower.set_xlabel("time  $t$")
            if is_geometric(times):
                first = min(time for time in times if time > 0.0)
                logarithmic_time(lower, first, times[-1])
            lower.margins(x=0.02)
        figure.align_ylabels(axes)
        handles = [
            Line2D([], [], color=colour, marker="o", markersize=3.0, label=f"$n = {n:.0f}$")
            for n, colour in zip(numbers, shades(len(numbers)), strict=True)
        ]
        handles.append(Line2D([], [], color=FAINT, linestyle="--", linewidth=1.0, label="floor"))
        axes[0, -1].legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        headline(figure, title)
        return save(figure, Path(path))


# -- the numbers ----------------------------------------------------------------------------------


def _distances(rows: Rows) -> list[str]:
    """Which of W2 and W1 there are."""
    names = [name for name in ("w2", "w1") if rows and name in rows[0]]
    if not names:
        raise ValueError("no rows, or rows with neither 'w2' nor 'w1'")
    return names


def _symbol(name: str) -> str:
    return f"$W_{name[1]}$ to the density"


def _times_shown(rows: Rows, times: Sequence[float] | None) -> list[float]:
    available = np.array(sorted({row["t"] for row in rows}))
    if times is None:
        way = np.arange(len(available), dtype=np.float64)
        return [float(available[k]) for k in telling_steps(available, way, _PANELS)]
    unknown = [t for t in times if t not in available]
    if unknown or not len(times):
        raise ValueError(f"no rows at t = {unknown}, only at {available.tolist()}")
    return list(times)


def _table(
    rows: Rows, name: str, *, t: float | None = None, n: float | None = None
) -> dict[str, Array]:
    """The rows at one time (by n) or one n (by time) as columns.

    Columns ``value``, ``floor`` and, with ``n``, ``ratio``, each also with _low and _high.
    """
    these = sorted(
        (row for row in rows if t in (None, row["t"]) and n in (None, row["n"])),
        key=lambda row: (row["n"], row["t"]),
    )
    keys = {"n": "n", "t": "t"}
    for column, key in (("value", name), ("floor", f"floor_{name}"), ("ratio", f"ratio_{name}")):
        if column != "ratio" or n is not None:
            keys |= {column + end: key + end for end in ("", "_low", "_high")}
    lacking = sorted(set(keys.values()) - set(these[0]))
    if lacking:
        raise ValueError(f"rows lack {', '.join(lacking)}")
    return {
        column: np.array([row[key] for row in these], dtype=np.float64)
        for column, key in keys.items()
    }


def _bars(table: dict[str, Array], name: str) -> Array:
    """Lengths of the bars below and above, (2, k)."""
    below = table[name] - table[f"{name}_low"]
    return np.maximum(np.stack([below, table[f"{name}_high"] - table[name]]), 0.0)


def _curve(
    ax: Axes,
    x: Array,
    table: dict[str, Array],
    name: str,
    colour: Any,
    *,
    dashed: bool = False,
    band: bool = True,
) -> None:
    """Draw a column and, as a band, its intervals."""
    y, low, high = table[name], table[f"{name}_low"], table[f"{name}_high"]
    if len(x) == 1:
        ax.errorbar(
            x, y, yerr=_bars(table, name), color=colour, elinewidth=0.9,
            marker="_" if dashed else "o", markersize=7.0 if dashed else 3.0,
        )  # fmt: skip
        return
    if dashed:
        ax.plot(x, y, color=colour, linestyle="--", linewidth=1.0)
    else:
        ax.plot(x, y, color=colour, marker="o" if len(x) < 30 else None, markersize=3.0)
    if band:
        ax.fill_between(x, low, high, color=colour, alpha=0.17, linewidth=0.0)


def _distance_axis(ax: Axes) -> None:
    """Label a logarithmic axis with plain numbers, also where it has less than a decade."""
    low, high = ax.get_ylim()
    subs: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, 7.0)
    if high > 6.0 * low:
        subs = (1.0, 2.0, 5.0) if high < 100.0 * low else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


# -- side by side ---------------------------------------------------------------------------------


def plot_side_by_side(
    path: str | Path,
    mesh: Mesh,
    times: Sequence[float],
    densities: Sequence[Array] | Array,
    clouds: Sequence[Array] | Array,
    *,
    clusters: Sequence[NDArray[np.int64]] | None = None,
    title: str = "",
) -> Path:
    """Draw a density and particles at the same times in the same view.

    On the sphere: the density above the particles, seen from where most of both is; the other side
    below if more than a tenth of the mass is there at the last time. Circle and zonal: the density
    as a curve over a histogram of the particles.

    Args:
        path: the file to make.
        mesh: of the density.
        times: of the columns; of more than five, five are shown.
        densities: at each time (vertices,), with respect to the uniform measure.
        clouds: at each time (n, d) unit vectors of equal mass.
        clusters: at each time (n,) integers, for colours (sphere only).
        title: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: if there are not as many densities and clouds as times.
    """
    if not len(times) or not len(times) == len(densities) == len(clouds):
        raise ValueError(
            f"{len(times)} times, {len(densities)} densities and {len(clouds)} clouds: expected "
            "equal numbers, at least one"
        )
    shown = telling_steps(np.asarray(times), np.arange(len(times), dtype=np.float64), 5)
    moments = [float(times[k]) for k in shown]
    rho = np.stack([np.asarray(densities[k], dtype=np.float64) for k in shown])
    tokens = [np.asarray(clouds[k], dtype=np.float64) for k in shown]
    with matplotlib.rc_context(STYLE):
        if mesh.manifold.dimension == 2:
            labels = None if clusters is None else [np.asarray(clusters[k]) for k in shown]
            figure = _globes_side_by_side(mesh, moments, rho, tokens, labels)
        else:
            figure = _profiles_side_by_side(mesh, moments, rho, tokens)
        headline(figure, title)
        return save(figure, Path(path))


def _globes_side_by_side(
    mesh: Mesh,
    times: list[float],
    rho: Array,
    tokens: list[Array],
    labels: list[NDArray[np.int64]] | None,
) -> Figure:
    values = np.log10(np.maximum(rho, 1e-300))
    weights = globe.vertex_weights(mesh.points, mesh.cells)
    masses = weights * rho
    masses /= masses.sum(axis=1, keepdims=True)
    equal = [np.full(len(x), 1.0 / len(x)) for x in tokens]
    if labels is None:
        # All in one colour, the first.
        colours: list[NDArray[np.int64]] = [np.zeros(len(x), dtype=np.int64) for x in tokens]
    else:
        colours = cluster_colours(labels, equal[0])
    front = globe.view_direction(mesh.points, masses)
    low, high = globe.colour_range(values, weights, masses)
    norm = Normalize(low, high)
    behind = float(masses[-1][mesh.points @ front < 0.0].sum())
    sides = [front, -front] if behind > 0.1 else [front]
    tight = ConstrainedLayoutEngine(compress=True, w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    height = 3.05 * len(sides) + 0.55
    figure = Figure(figsize=(1.55 * len(times) + 1.25, height), layout=tight)
    axes = figure.subplots(2 * len(sides), len(times), squeeze=False)
    peaks = [globe.gathered(mesh.points, mass) for mass in masses]
    gathered = [globe.gathered_tokens(x, mass) for x, mass in zip(tokens, equal, strict=True)]
    for toward, upper, lower in zip(sides, axes[::2], axes[1::2], strict=True):
        frame = globe.frame_towards(toward)
        images = globe.hemisphere_images(mesh.points, np.maximum(values, low - 0.5), frame)
        for k, image in enumerate(images):
            globe.draw_density(upper[k], image, norm, frame, peaks[k])
            globe.draw_tokens(lower[k], tokens[k], equal[k], colours[k], frame, gathered[k])
        globe.label_view(upper[0], "density", toward)
        globe.label_row(lower[0], f"{len(tokens[0])} particles,\nsame view")
    for ax, t in zip(axes[0], times, strict=True):
        ax.set_title(f"$t = {number(t)}$", pad=3)
    notes = [globe.tokens_note(len(tokens[0]))]
    if labels is not None and any(np.any(colour >= 0) for colour in colours):
        notes.append(f"colours: clusters of more than {percent(CLUSTER_MASS)} of the mass")
    if any(len(centres) for centres in (*peaks, *gathered)):
        notes.append(globe.RING_NOTE)
    footnote(figure, *notes)
    globe.colour_bar(figure, axes, norm, values)
    return figure


def _profiles_side_by_side(
    mesh: Mesh, times: list[float], rho: Array, tokens: list[Array]
) -> Figure:
    """Mass per radian: the density as a curve, the particles as bars."""
    on = mesh.manifold
    angles = [on.angles(on.coordinates(x)) for x in tokens]
    angle, curves = angle_profile(on, mesh.points, rho * on.uniform_per_radian(mesh.points))
    low = on.span[0]
    edges = np.linspace(low, math.pi, _BINS + 1)
    figure = Figure(figsize=(1.75 * len(times) + 0.8, 2.5), layout="constrained")
    axes = figure.subplots(1, len(times), sharey=True, squeeze=False)[0]
    least, most = math.inf, float(curves.max())
    for ax, t, curve, x in zip(axes, times, curves, angles, strict=True):
        bars = np.histogram(x, edges)[0] / (len(x) * np.diff(edges))
        least = min(least, 1.0 / (len(x) * (edges[1] - edges[0])))
        most = max(most, float(bars.max()))
        ax.stairs(bars, edges, fill=True, color=CLUSTER_COLOURS[5], alpha=0.6, linewidth=0.0)
        ax.plot(angle, curve, color=INK, linewidth=1.1)
        angle_axis(ax, "x", on)
        ax.set_title(f"$t = {number(t)}$")
    axes[0].set_yscale("log")
    # Half a particle in a bin: below, bars have nothing to say.
    axes[0].set_ylim(0.5 * least, 1.5 * most)
    _distance_axis(axes[0])
    axes[0].set_ylabel("mass per radian")
    figure.supxlabel(angle_label(on), fontsize=8.5)
    handles = [
        Line2D([], [], color=INK, linewidth=1.1, label="density"),
        Line2D(
            [], [], color=CLUSTER_COLOURS[5], alpha=0.6, linewidth=5.0,
            label=f"{len(tokens[0])} particles",
        ),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return figure
