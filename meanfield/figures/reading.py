"""What figures of a run read beside their own file: title and output times of its case, its energy.

Knows nothing of what is drawn.
"""

from __future__ import annotations

import tomllib

import numpy as np
from matplotlib.axes import Axes

from meanfield.case.titles import resolved_title
from meanfield.errors import InputError
from meanfield.figures.style import is_geometric, logarithmic_time
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder

__all__ = [
    "case_table",
    "energy_at",
    "is_finished",
    "parameters_of",
    "time_scale",
    "title_of",
]


def is_finished(run: RunFolder, kind: str) -> bool:
    """Whether the folder is that of a stationary state or branch, which of the two ``kind`` says.

    Raises:
        InputError: it is, but not finished.
    """
    if run.kind != kind:
        return False
    if run.read_run().get("stop_reason") != "done":
        raise InputError(f"{run.path} holds no finished stationary state or branch to draw")
    return True


def case_table(run: RunFolder) -> dict[str, object]:
    """The case as plain data, not validated: only titles, guide lines and scales hang on it."""
    try:
        return tomllib.loads(run.case_path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def title_of(run: RunFolder) -> str:
    """The title of the case with the values that it names, or ""."""
    told = _told(run).get("title")
    if isinstance(told, str):
        return told
    table = case_table(run)  # of an earlier version, or one that was stopped before it told
    title = str(table.get("title", ""))
    try:
        return resolved_title(title, table)
    except InputError:
        return title


def parameters_of(run: RunFolder) -> str:
    """Words for the parameters in effect: "sa, beta = 4, V = +I, kappa = 0, S^2, ..."; or ""."""
    told = _told(run).get("parameters")
    return told if isinstance(told, str) else ""


def _told(run: RunFolder) -> dict[str, object]:
    try:
        return run.read_run()
    except InputError:
        return {}


def energy_at(run: RunFolder, times: Array) -> Array | None:
    """Energy (scaled) at the given times, from the series; None without one, or without energy."""
    if not run.series_path.is_file():
        return None
    series = run.read_series()
    energy = series.get("energy_scaled")
    if energy is None or not len(energy) or not np.all(np.isfinite(energy)):
        return None
    return np.interp(times, series["t"], energy)


def time_scale(ax: Axes, run: RunFolder, t: Array) -> None:
    """Make the time axis logarithmic if the outputs of the case are."""
    time = case_table(run).get("time")
    outputs = time.get("outputs") if isinstance(time, dict) else None
    first = None
    if isinstance(outputs, dict) and isinstance(outputs.get("geometric"), dict):
        first = outputs["geometric"].get("first")
    elif isinstance(outputs, list) and is_geometric(outputs):
        first = min(time for time in outputs if time > 0.0)
    if isinstance(first, int | float) and 0.0 < 10.0 * first < t[-1]:
        logarithmic_time(ax, float(first), float(t[-1]))
