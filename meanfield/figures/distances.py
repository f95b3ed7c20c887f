"""Figures of a comparison: distances of particles to a density, against n and against t.

Owns how distances are shown; knows nothing of how they are estimated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
)

from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import (
    FAINT,
    INK,
    drawing,
    headline,
    is_geometric,
    logarithmic_time,
    number,
    plain_decades,
    save,
    shades,
    telling_steps,
)
from meanfield.geometry.sphere import Array
from meanfield.results.comparison import has_comparison, read_reference, read_rows
from meanfield.results.folder import RunFolder

__all__ = [
    "draw_against_n",
    "draw_against_t",
    "has_distances",
    "has_numbers",
    "plot_against_n",
    "plot_against_t",
]

Rows = Sequence[Mapping[str, float]]

_PANELS = 4  # times in a figure against n
_BELOW = 0.8  # of the floor: where the slope is drawn


def has_distances(run: RunFolder) -> bool:
    """Whether there is a comparison with distances.

    Raises:
        InputError: there is one that is not finished.
    """
    return has_comparison(run) and bool(_columns(read_rows(run)))


def has_numbers(run: RunFolder) -> bool:
    """Whether these are distances of several numbers of particles; raises likewise."""
    return has_distances(run) and len({row["n"] for row in read_rows(run)}) > 1


def plot_against_t(run: RunFolder) -> Path:
    """Draw ``figures/distance-against-t.png``."""
    path = run.figure("distance-against-t.png")
    return draw_against_t(path, read_rows(run), title=title_of(run), parameters=parameters_of(run))


def plot_against_n(run: RunFolder) -> Path:
    """Draw ``figures/distance-against-n.png``."""
    path, d = run.figure("distance-against-n.png"), read_reference(run.path).manifold.d
    return draw_against_n(
        path, read_rows(run), d=d, title=title_of(run), parameters=parameters_of(run)
    )


# -- against n ------------------------------------------------------------------------------------


def draw_against_n(
    path: str | Path,
    rows: Rows,
    *,
    d: int = 3,
    times: Sequence[float] | None = None,
    title: str = "",
    parameters: str = "",
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
        title, parameters: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: if the rows lack a key, or none is at one of the times.
    """
    names = _distances(rows)
    chosen = _times_shown(rows, times)
    with drawing():
        figure = Figure(
            figsize=(max(1.75 * len(chosen) + 1.0, 3.4), 2.1 * len(names) + 0.75),
            layout="constrained",
        )
        axes = figure.subplots(len(names), len(chosen), sharex=True, sharey="row", squeeze=False)
        for name, line in zip(names, axes, strict=True):
            for ax, t in zip(line, chosen, strict=True):
                _against_n(ax, _table(rows, name, t=t), d)
            line[0].set_ylabel(_symbol(name, rows))
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
        headline(figure, title, parameters)
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
    plain_decades(ax)


def _rate(n: Array, d: int) -> Array:
    if d == 3:
        return np.asarray(np.sqrt(np.log(n) / n))
    return np.asarray(n ** (-0.5 if d == 2 else -1.0 / (d - 1)))


def _rate_label(d: int) -> str:
    if d == 3:
        return r"$\propto (\log n\,/\,n)^{1/2}$"
    return r"$\propto n^{-1/2}$" if d == 2 else rf"$\propto n^{{-1/{d - 1}}}$"


# -- against t ------------------------------------------------------------------------------------


def draw_against_t(path: str | Path, rows: Rows, *, title: str = "", parameters: str = "") -> Path:
    """Draw W_p against t for each n, with the sampling floor; below, the ratio of the two.

    Args:
        path: the file to make.
        rows: one for each n and t as for :func:`draw_against_n`, with ``ratio_w2``,
            ``ratio_w2_low`` and ``ratio_w2_high`` besides. W2 and W1 have a column each.
        title, parameters: above the figure.

    Returns:
        ``path``.

    Raises:
        ValueError: if the rows lack a key.
    """
    names = _distances(rows)
    numbers = sorted({row["n"] for row in rows})
    times = sorted({row["t"] for row in rows})
    with drawing():
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
            plain_decades(upper)
            upper.set_ylabel(_symbol(name, rows))
            lower.axhline(1.0, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
            lower.set_ylabel("ratio to floor")
            if highest > 6.0:
                lower.set_yscale("log")
                plain_decades(lower)
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
        headline(figure, title, parameters)
        return save(figure, Path(path))


# -- the numbers ----------------------------------------------------------------------------------


def _columns(rows: Rows) -> list[str]:
    """Which of W2 and W1 there are."""
    return [name for name in ("w2", "w1") if rows and name in rows[0]]


def _distances(rows: Rows) -> list[str]:
    names = _columns(rows)
    if not names:
        raise ValueError("no rows, or rows with neither 'w2' nor 'w1'")
    return names


def _symbol(name: str, rows: Rows) -> str:
    # Clouds are compared with a cloud where there are distances by kernels, too.
    return f"$W_{name[1]}$ to the {'reference' if 'mmd' in rows[0] else 'density'}"


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
