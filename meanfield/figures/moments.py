"""Which times of a file a figure shows: those asked for, or those at which something happens.

Knows nothing of what is drawn.
"""

from __future__ import annotations

import numpy as np

from meanfield.errors import InputError
from meanfield.figures.options import asked
from meanfield.figures.reading import energy_at
from meanfield.figures.style import telling_steps
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder

__all__ = ["eventful_steps", "merges", "nearest_steps", "steps_to_show"]


def steps_to_show(run: RunFolder, times: Array, count: int = 4) -> list[int]:
    """Which of the times (k,) to show, increasing: the nearest to those asked for, or ``count``.

    Raises:
        InputError: a time is asked for before the first or after the last.
    """
    wanted = asked().times
    if wanted is not None:
        return nearest_steps(times, wanted)
    energy = energy_at(run, times)
    found = merges(*_clusters(run)) if run.series_path.is_file() else np.zeros(0)
    return eventful_steps(times, energy, found, count)


def _clusters(run: RunFolder) -> tuple[Array, Array]:
    series = run.read_series()
    return series["t"], series.get("clusters", np.full(len(series["t"]), np.nan))


def nearest_steps(times: Array, wanted: tuple[float, ...]) -> list[int]:
    """The steps whose times are nearest to those wanted, each once, increasing.

    Raises:
        InputError: a time before the first or after the last.
    """
    slack = 1e-9 * max(abs(float(times[-1])), 1e-300)
    for t in wanted:
        if not times[0] - slack <= t <= times[-1] + slack:
            raise InputError(
                f"plot.times: expected a time from {float(times[0]):g} to {float(times[-1]):g}, "
                f"found {t:g}"
            )
    return sorted({int(np.argmin(np.abs(times - t))) for t in wanted})


def merges(t: Array, clusters: Array) -> Array:
    """Times, increasing, at which the number of clusters falls for good.

    Each is that of the first row at which there are fewer than at all times before some earlier
    one: a number that falls and comes back is noise.

    Args:
        t: (rows,) increasing.
        clusters: (rows,) numbers; nan: not known.
    """
    known = np.isfinite(clusters)
    t, clusters = t[known], clusters[known]
    ahead = np.maximum.accumulate(clusters[::-1])[::-1]  # the most that are still to come
    return np.asarray(t[1:][np.diff(ahead) < 0.0])


def eventful_steps(times: Array, energy: Array | None, found: Array, count: int = 4) -> list[int]:
    """``count`` steps, increasing: first, last, right before and after merges, and others between.

    Merges have ``count - 3`` steps at most, the last ones first. The others are taken one by one,
    each where the energy is farthest from those taken; without an energy, the time.

    Args:
        times: of the steps, (k,), increasing.
        energy: at them, (k,), or None.
        found: times of merges, see :func:`merges`.
        count: how many, two or more.
    """
    last = len(times) - 1
    chosen = {0, last}
    room = count - 3
    for t in found[::-1]:
        after = int(np.searchsorted(times, t * (1.0 - 1e-12)))
        for step in (after, after - 1):
            if 0 <= step <= last and step not in chosen and room > 0:
                chosen.add(step)
                room -= 1
    if last < count:
        return list(range(last + 1))
    way = _way(times, energy)
    if len(chosen) == 2:
        return telling_steps(times, way, count)
    while len(chosen) < count:
        far = np.min(np.abs(way[:, None] - way[sorted(chosen)]), axis=1)
        far[sorted(chosen)] = -1.0
        chosen.add(int(np.argmax(far)))
    return sorted(chosen)


def _way(times: Array, energy: Array | None) -> Array:
    """From 0 to 1, increasing: how much of all changes of the energy, or of the time, is past."""
    passed = (times - times[0]) / (times[-1] - times[0])
    if energy is None:
        return np.asarray(passed)
    moved = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(energy)))])
    if moved[-1] <= 1e-9 * np.abs(energy).max():
        return np.asarray(passed)
    return np.asarray(moved / moved[-1])
