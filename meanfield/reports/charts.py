"""Curves against time, of the series of one run or of several.

Owns which columns are shown and how. Knows nothing of HTML but its elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.reports.facts import energy_label
from meanfield.reports.page import Html, Page, element, encoded, joined
from meanfield.results.folder import RunFolder

__all__ = ["charts", "charts_of_several"]

_POINTS = 1_500  # of a curve: more than a screen has pixels for it
_SHOWN: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Energy", "energy", ("energy_scaled", "free_energy_scaled")),
    ("Length of the mean |m|", "mean", ("mean_norm",)),
    ("Clusters", "clusters", ("clusters",)),
    ("Entropy ∫ ρ log ρ", "entropy", ("entropy",)),
    ("Least and largest density (uniform = 1)", "extremes", ("rho_min", "rho_max")),
)
_NAMES = {"rho_min": "least", "rho_max": "largest", "free_energy_scaled": "free energy"}
_LOGARITHMIC, _STEPS = {"extremes"}, {"clusters"}


def charts(page: Page, run: RunFolder) -> Html:
    """The curves of a run; nothing, if it has no series."""
    series = _series(run)
    if len(series.get("t", ())) < 2:
        return Html()
    label = energy_label(run)
    made = []
    group = page.name("curves")
    for title, kind, columns in _SHOWN:
        lines = [
            (_NAMES.get(name, name), series["t"], series[name])
            for name in columns
            if name in series and np.isfinite(series[name]).any()
        ]
        if kind == "energy":
            title = f"Energy {label}"
        made.append(_chart(page, group, title, kind, lines))
    return _group(made, group)


def charts_of_several(page: Page, runs: Sequence[tuple[str, RunFolder]]) -> Html:
    """Curves of several runs in one picture, named."""
    read = [(name, _series(run)) for name, run in runs]
    read = [(name, series) for name, series in read if len(series.get("t", ())) > 1]
    if len(read) < 2:
        return Html()
    group = page.name("curves")
    labels = {energy_label(run) for _, run in runs}
    made = []
    for title, kind, columns in _SHOWN[:3]:
        name = columns[0]
        lines = [
            (label, series["t"], series[name])
            for label, series in read
            if name in series and np.isfinite(series[name]).any()
        ]
        if kind == "energy":
            title = f"Energy {labels.pop()}" if len(labels) == 1 else "Energy, scaled"
        made.append(_chart(page, group, title, kind, lines))
    return _group(made, group)


def _series(run: RunFolder) -> Mapping[str, Array]:
    return run.read_series() if run.series_path.is_file() else {}


def _chart(
    page: Page,
    group: str,
    title: str,
    kind: str,
    lines: Sequence[tuple[str, Array, Array]],
) -> Html:
    if not lines:
        return Html()
    name = page.name("chart")
    drawn = []
    for label, t, values in lines:
        good = np.isfinite(values)
        if kind in _LOGARITHMIC:
            good &= values > 0.0
        keep = np.flatnonzero(good)
        some = np.linspace(0, len(keep) - 1, min(len(keep), _POINTS)).round().astype(np.int64)
        keep = keep[some] if len(keep) else keep
        drawn.append({"name": label, "x": encoded(t[keep], "f8"), "y": encoded(values[keep], "f8")})
    page.add_chart({
        "id": name, "group": group, "title": title, "xlabel": "t", "lines": drawn,
        "log": kind in _LOGARITHMIC, "steps": kind in _STEPS,
        "dtick": max(1, round(max(float(np.nanmax(values)) for *_, values in lines) / 6)),
    })  # fmt: skip
    last = "; ".join(f"{label}: {values[-1]:.4g} at the end" for label, _, values in lines)
    about = f"{title} against time. {last}"
    return element("div", id=name, class_="chart", role="img", aria_label=about)


def _group(made: Sequence[Html], group: str) -> Html:
    """Curves side by side, and the switch of their time axes."""
    box = element("input", type="checkbox", id=f"{group}-log", class_="log-time", data_group=group)
    return joined(
        [
            element("div", element("label", box, " logarithmic time"), class_="controls"),
            element("div", *made, class_="charts"),
        ]
    )
