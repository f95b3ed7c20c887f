"""Pictures of stationary states and of bifurcation diagrams.

Reads arrays, tables and marks, as ``steady`` writes them; knows nothing of how they were found.
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
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import PARAMETER_NAMES
from meanfield.results import globe
from meanfield.results.figures import (
    CLUSTER_COLOURS,
    FAINT,
    INK,
    STYLE,
    angle_axis,
    angle_label,
    angle_profile,
    footnote,
    headline,
    save,
)

__all__ = ["draw_diagram", "draw_profile", "draw_sphere"]

_NEUTRAL = 1e-6
_EVEN = 1e-7  # |c_l| below which it vanishes
_NAMES = {"kappa": (r"noise $\kappa$", r"\kappa"), **PARAMETER_NAMES}


def draw_profile(
    path: Path, on: Manifold, points: Array, log_rho: Array, title: str, note: str
) -> Path:
    """Density against the angle, on a circle or from pole to pole.

    Args:
        path: where to write.
        on: the one-dimensional geometry.
        points: vertices in its coordinates, (n, gdim).
        log_rho: log density w.r.t. the uniform one, (n,).
        title, note: above and below.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        headline(figure, title)
        ax = figure.subplots()
        angle, values = angle_profile(on, points, log_rho[None] / math.log(10.0))
        angle_axis(ax, "x", on)
        ax.set_xlabel(angle_label(on))
        ax.axhline(1.0, color=FAINT, linewidth=0.7, linestyle=":")
        low, high = max(float(values.min()), -6.0), float(values.max())
        pad = 0.06 * max(high - low, 1.0)
        ax.plot(angle, 10.0 ** np.maximum(values[0], low - 1.0), color=INK)
        ax.set_yscale("log")
        ax.set_ylim(10.0 ** (low - pad), 10.0 ** (high + pad))
        ax.set_ylabel("density relative to uniform")
        footnote(figure, note)
        return save(figure, path)


def draw_sphere(
    path: Path, points: Array, cells: NDArray[np.int64], log_rho: Array, title: str, note: str
) -> Path:
    """Density on S^2 from two sides; ``points`` (n, 3), ``cells`` (m, 3), ``log_rho`` (n,)."""
    with matplotlib.rc_context(STYLE):
        values = np.maximum(log_rho, -690.0)[None] / math.log(10.0)
        weights = globe.vertex_weights(points, cells)
        masses = weights * 10.0**values
        masses /= masses.sum(axis=1, keepdims=True)
        toward = globe.view_direction(points, masses)
        low, high = globe.colour_range(values, weights, masses)
        norm = Normalize(low, high)
        centres = globe.gathered(points, masses[0])
        tight = ConstrainedLayoutEngine(compress=True, w_pad=0.03, h_pad=0.03)
        figure = Figure(figsize=(5.0, 2.9), layout=tight)
        headline(figure, title)
        axes = figure.subplots(1, 2, squeeze=False)
        for ax, (side, view) in zip(axes[0], (("front", toward), ("back", -toward)), strict=True):
            frame = globe.frame_towards(view)
            image = globe.hemisphere_images(points, np.maximum(values, low - 0.5), frame)[0]
            globe.draw_density(ax, image, norm, frame, centres)
            globe.label_view(ax, side, view)
        globe.colour_bar(figure, axes, norm, values)
        footnote(figure, note, globe.RING_NOTE if len(centres) else "")
        return save(figure, path)


def draw_diagram(
    path: Path,
    parameter: str,
    branches: Sequence[tuple[str, Mapping[str, Array]]],
    events: Sequence[Mapping[str, object]],
    falls: bool,
    title: str,
) -> Path:
    """Bifurcation diagram: order and the free energy or, without one, the leading eigenvalue.

    The order parameter is |m|, or c_2 where all states are even.

    Args:
        path: where to write.
        parameter: name of what is varied.
        branches: name and columns of each branch.
        events: special points, with kind, parameter, mean_norm, free_energy, c_2.
        falls: whether there is a free energy that falls (usa, kernels; not sa).
        title: above.
    """
    second = "free_energy" if falls else "leading"
    even = max(float(np.abs(table["c_1"]).max()) for _, table in branches) < _EVEN
    if even and max(float(np.abs(table["c_2"]).max()) for _, table in branches) < _EVEN:
        even = False  # the uniform state alone
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        headline(figure, title)
        left, right = figure.subplots(1, 2)
        colours: dict[str, str] = {}
        for name, table in branches:
            colours[name] = "0.35" if name == "uniform" else CLUSTER_COLOURS[
                max(len(colours) - 1, 0) % len(CLUSTER_COLOURS)
            ]  # fmt: skip
            p, stable = table["parameter"], _stable_segments(table["leading"])
            order = table["c_2"] if even else np.abs(table["c_1"])
            _curve(left, p, order, stable, colours[name])
            _curve(right, p, table[second], stable, colours[name])
        handles = [Line2D([], [], color=colours[name], label=name) for name, _ in branches]
        handles += [
            Line2D([], [], color="0.2", label="stable"),
            Line2D([], [], color="0.2", linestyle=(0, (3, 2)), label="unstable"),
        ]
        handles += _mark(left, right, parameter, events, "c_2" if even else "mean_norm", second)
        for ax in (left, right):
            ax.set_xlabel(_NAMES[parameter][0] if parameter in _NAMES else parameter)
            ax.margins(x=0.02)
            ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        left.set_ylabel(r"order parameter $c_2$" if even else r"order parameter $|m|$")
        low = min(float(table["c_2"].min()) for _, table in branches) if even else 0.0
        left.set_ylim(min(low, 0.0) - 0.03, 1.03)
        if second == "free_energy":
            right.set_ylabel(r"free energy $F - F_{\mathrm{uniform}}$")
            _bound_free_energy(right, branches, events)
        else:
            right.set_ylabel("leading eigenvalue (growth rate)")
            right.axhline(0.0, color=FAINT, linewidth=0.7, linestyle=":")
        right.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return save(figure, path)


def _stable_segments(leading: Array) -> NDArray[np.bool_]:
    """For each of the pieces between neighbouring points whether it is stable, (n - 1,)."""
    pairs = np.stack([leading[:-1], leading[1:]])
    return np.asarray((pairs.max(axis=0) < _NEUTRAL) & (pairs.min(axis=0) < -_NEUTRAL))


def _curve(ax: Axes, x: Array, y: Array, stable: NDArray[np.bool_], colour: str) -> None:
    start = 0
    for k in range(1, len(stable) + 1):
        if k == len(stable) or stable[k] != stable[start]:
            style: Any = "-" if stable[start] else (0, (3, 2))
            ax.plot(x[start : k + 1], y[start : k + 1], color=colour, linestyle=style)
            start = k


def _mark(
    left: Axes,
    right: Axes,
    parameter: str,
    events: Sequence[Mapping[str, object]],
    first: str,
    second: str,
) -> list[Line2D]:
    """Mark special points in both panels; gives the entries of the legend."""
    letter = _NAMES[parameter][1] if parameter in _NAMES else rf"\mathrm{{{parameter}}}"
    signs = {
        "critical": ("o", "white", rf"${letter}_c$"),
        "fold": ("s", CLUSTER_COLOURS[1], "fold"),
        "equal free energy": ("D", CLUSTER_COLOURS[2], "equal $F$"),
        "branch point": ("^", CLUSTER_COLOURS[3], "branch point"),
    }
    entries = []
    for kind, (marker, face, word) in signs.items():
        shown = [event for event in events if event["kind"] == kind]
        for event in shown:
            options: dict[str, object] = {
                "marker": marker, "markersize": 5.0, "markerfacecolor": face,
                "markeredgecolor": "0.15", "markeredgewidth": 0.8, "linestyle": "none", "zorder": 5,
            }  # fmt: skip
            left.plot([event["parameter"]], [event[first]], **options)
            height = event["free_energy"] if second == "free_energy" else 0.0
            right.plot([event["parameter"]], [height], **options)
        if shown:
            values = ", ".join(f"{event['parameter']:.6g}" for event in shown)
            entries.append(
                Line2D([], [], linestyle="none", marker=marker, markersize=5.0,
                       markerfacecolor=face, markeredgecolor="0.15", label=f"{word} = {values}"
                       if kind == "critical" else f"{word}: {values}")
            )  # fmt: skip
    return entries


def _bound_free_energy(
    ax: Axes,
    branches: Sequence[tuple[str, Mapping[str, Array]]],
    events: Sequence[Mapping[str, object]],
) -> None:
    """Show what happens near the fold: far from it F falls much deeper than it rises."""
    highest = max(float(table["free_energy"].max()) for _, table in branches)
    lowest = min(float(table["free_energy"].min()) for _, table in branches)
    rises = highest > 1e-6 * (highest - lowest)  # not by round-off
    if any(event["kind"] == "fold" for event in events) and rises:
        lowest = max(lowest, -4.0 * highest)
    pad = 0.06 * max(highest - lowest, 1e-12)
    ax.set_ylim(lowest - pad, highest + pad)
