"""Figure of branches of stationary states: a bifurcation diagram.

Knows nothing of how they were found.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from meanfield.case import Model, Unmeshed
from meanfield.figures.reading import case_table, is_finished, parameters_of
from meanfield.figures.style import CLUSTER_COLOURS, FAINT, drawing, headline, save
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import PARAMETER_NAMES
from meanfield.options import made_from
from meanfield.results.folder import RunFolder

__all__ = ["has_branch", "plot_branch"]

_EXCESS = "free_energy_excess"
_EVENT_NUMBERS = ("parameter", "mean_norm", _EXCESS, "c_2")

_NEUTRAL = 1e-6
_EVEN = 1e-7  # |c_l| below which it vanishes
_NAMES = {"kappa": (r"noise $\kappa$", r"\kappa"), **PARAMETER_NAMES}


Branches = Sequence[tuple[str, Mapping[str, Array]]]
Events = Sequence[Mapping[str, object]]


def has_branch(run: RunFolder) -> bool:
    """Whether there are branches.

    Raises:
        InputError: there will be, but they are not finished.
    """
    return is_finished(run, "branch")


def plot_branch(run: RunFolder) -> Path:
    """Draw ``figures/branch.png``: order and free energy or, without one, leading eigenvalue.

    The order parameter is |m|, or c_2 (or another c_l, see run.json) where no state has a mean.
    """
    about = run.read_run()
    degree = int(str(about.get("order_degree", 2)))
    with np.load(run.path / "branch.npz") as data:
        columns = [_now(str(name)) for name in data["columns"]]
        branches = [
            (str(name), dict(zip(columns, data[f"table_{k}"].T, strict=True)))
            for k, name in enumerate(data["names"])
        ]
    with open(run.path / "events.csv", encoding="utf-8", newline="") as file:
        rows = [{_now(k, degree): v for k, v in row.items()} for row in csv.DictReader(file)]
    events = [{**row, **{k: float(row.get(k, "nan")) for k in _EVENT_NUMBERS}} for row in rows]
    with drawing():
        figure = _draw_diagram(
            str(about["parameter"]), branches, events, _falls(run, about), degree
        )
        headline(figure, str(about["title"]), parameters_of(run))
        return save(figure, run.figure("branch.png"))


def _now(name: str, degree: int = 2) -> str:
    """What a column is called here; earlier folders have the excess under the name of F."""
    return {"free_energy": _EXCESS, f"c_{degree}": "c_2"}.get(name, name)


def _falls(run: RunFolder, about: Mapping[str, object]) -> bool:
    """Whether there is a free energy that falls (usa, kernels; not sa)."""
    if not (kind := about.get("energy_kind")):
        # A folder of an earlier version; they had no kernels, whose energy may hang on d.
        table = case_table(run).get("model")
        kind = (
            made_from(Model, table).on(Unmeshed(3)).energy_kind if isinstance(table, dict) else ""
        )
    return kind == "gradient"


def _draw_diagram(
    parameter: str, branches: Branches, events: Events, falls: bool, degree: int
) -> Figure:
    second = _EXCESS if falls else "leading"
    even = max(float(np.abs(table["c_1"]).max()) for _, table in branches) < _EVEN
    if even and max(float(np.abs(table["c_2"]).max()) for _, table in branches) < _EVEN:
        even = False  # the uniform state alone
    figure = Figure(figsize=(7.2, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    handles = []
    first = 1 if branches[0][0] == "uniform" else 0
    for k, (name, table) in enumerate(branches):
        colour = CLUSTER_COLOURS[max(k - first, 0) % len(CLUSTER_COLOURS)]
        colour = "0.35" if name == "uniform" else colour
        p, stable = table["parameter"], _stable_segments(table["leading"])
        order = table["c_2"] if even else np.abs(table["c_1"])
        _curve(left, p, order, stable, colour)
        _curve(right, p, table[second], stable, colour)
        handles.append(Line2D([], [], color=colour, label=name))
    handles += [
        Line2D([], [], color="0.2", label="stable"),
        Line2D([], [], color="0.2", linestyle=(0, (3, 2)), label="unstable"),
    ]
    handles += _mark(left, right, parameter, events, "c_2" if even else "mean_norm", second)
    for ax in (left, right):
        ax.set_xlabel(_NAMES[parameter][0] if parameter in _NAMES else parameter)
        ax.margins(x=0.02)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    left.set_ylabel(f"order parameter ${f'c_{{{degree}}}' if even else '|m|'}$")
    low = min(float(table["c_2"].min()) for _, table in branches) if even else 0.0
    left.set_ylim(min(low, 0.0) - 0.03, 1.03)
    if second == _EXCESS:
        right.set_ylabel(r"free energy $F - F_{\mathrm{uniform}}$")
        _bound_free_energy(right, branches, events)
    else:
        right.set_ylabel("leading eigenvalue (growth rate)")
        right.axhline(0.0, color=FAINT, linewidth=0.7, linestyle=":")
    right.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


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
    events: Events,
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
        "secondary": ("v", CLUSTER_COLOURS[3], "crossing"),
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
            height = event[_EXCESS] if second == _EXCESS else 0.0
            right.plot([event["parameter"]], [height], **options)
        if shown:
            told = dict.fromkeys(f"{event['parameter']:.6g}" for event in shown)
            values = ", ".join(told)  # where two branches meet, once
            entries.append(
                Line2D([], [], linestyle="none", marker=marker, markersize=5.0,
                       markerfacecolor=face, markeredgecolor="0.15", label=f"{word} = {values}"
                       if kind == "critical" else f"{word}: {values}")
            )  # fmt: skip
    return entries


def _bound_free_energy(
    ax: Axes,
    branches: Branches,
    events: Events,
) -> None:
    """Show what happens near the fold: far from it F falls much deeper than it rises."""
    highest = max(float(table[_EXCESS].max()) for _, table in branches)
    lowest = min(float(table[_EXCESS].min()) for _, table in branches)
    rises = highest > 1e-6 * (highest - lowest)  # not by round-off
    uniform = any(name == "uniform" for name, _ in branches)
    if uniform and any(event["kind"] == "fold" for event in events) and rises:
        lowest = max(lowest, -4.0 * highest)
    pad = 0.06 * max(highest - lowest, 1e-12)
    ax.set_ylim(lowest - pad, highest + pad)
