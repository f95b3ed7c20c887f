"""Which times of a file a figure shows: those asked for, or those at which something happens.

Knows nothing of what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.sparse.csgraph import connected_components

from meanfield.analysis.clustertable import ClusterTable
from meanfield.errors import InputError
from meanfield.figures.options import asked
from meanfield.figures.reading import energy_at
from meanfield.figures.style import telling_steps
from meanfield.geometry.sphere import Array
from meanfield.results.clusters import ClusterReader
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_fields, read_tokens_file
from meanfield.scenes.views import RING_MASS, RING_RADIUS

__all__ = ["eventful_steps", "merges", "nearest_steps", "seen_apart", "steps_to_show"]

_BRIEF = 0.05  # of the time until then: a number of clusters that lasts less is a flicker
_SLIGHT = 0.01  # of the range of the energy: what changes it less is not seen
_BACK = 20  # steps before a merge that are looked at


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
    seen = _seen(run, times) if found.size else None
    return eventful_steps(times, energy, found, count, seen)


def _seen(run: RunFolder, times: Array) -> Callable[[int], int] | None:
    """How many clusters a picture of a step shows; None where they cannot be told."""
    tokens = run.particles_path.is_file()
    near = run.read_run().get("collapsed_edge")
    try:
        series = read_tokens_file(run.particles_path) if tokens else read_fields(run.fields_path)
        reader = ClusterReader(series, float(near) if isinstance(near, int | float) else None)
        reader.at(0)
    except InputError:
        return None
    if not np.array_equal(series.times, times):
        return None
    return cache(lambda k: seen_apart(reader.at(k)))


def seen_apart(clusters: ClusterTable) -> int:
    """How many clusters are seen: those that would be ringed, of near ones only one."""
    held = clusters.mass > RING_MASS
    centre, ring = clusters.centre[held], clusters.ring[held]
    angle = np.arccos(np.clip(centre @ centre.T, -1.0, 1.0))
    angle = np.maximum(angle, np.abs(ring[:, None] - ring))
    return int(connected_components(angle < 2.0 * RING_RADIUS)[0]) if len(ring) else 0


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
    one: a number that falls and comes back is noise, and so is one that has lasted for less than
    a twentieth of the time until its end.

    Args:
        t: (rows,) increasing.
        clusters: (rows,) numbers; nan: not known.
    """
    known = np.isfinite(clusters)
    t, clusters = t[known], _lasting(t[known], clusters[known])
    ahead = np.maximum.accumulate(clusters[::-1])[::-1]  # the most that are still to come
    return np.asarray(t[1:][np.diff(ahead) < 0.0])


def _lasting(t: Array, clusters: Array) -> Array:
    """The numbers with those before in place of what lasts too short; the last one may go on."""
    starts = np.flatnonzero(np.diff(clusters, prepend=np.nan) != 0.0)
    result = clusters.copy()
    for first, end in pairwise(starts[1:]):
        if t[end] - t[first] < _BRIEF * (t[end] - t[0]):
            result[first:end] = result[first - 1]
    return result


def eventful_steps(
    times: Array,
    energy: Array | None,
    found: Array,
    count: int = 4,
    seen: Callable[[int], int] | None = None,
) -> list[int]:
    """``count`` steps, increasing: first, last, right before and after merges, and others between.

    Merges have ``count - 3`` steps at most, the last ones first; those that hardly change the
    energy have none. The others are taken one by one, each where the energy is farthest from those
    taken; without an energy, the time.

    Args:
        times: of the steps, (k,), increasing.
        energy: at them, (k,), or None.
        found: times of merges, see :func:`merges`.
        count: how many, two or more.
        seen: how many clusters the picture of a step shows: that before a merge is the last one
            which shows more than that after it.
    """
    last = len(times) - 1
    chosen = {0, last}
    room = count - 3
    for t in found[::-1]:
        after = int(np.searchsorted(times, t * (1.0 - 1e-12)))
        if not 0 < after <= last:
            continue
        before = _before(after, seen)
        if energy is not None and abs(energy[after] - energy[before]) < _SLIGHT * np.ptp(energy):
            continue
        for step in (after, before):
            if step not in chosen and room > 0:
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


def _before(after: int, seen: Callable[[int], int] | None) -> int:
    """The step to show before a merge."""
    if seen is not None:
        for step in range(after - 1, max(after - 1 - _BACK, -1), -1):
            if seen(step) > seen(after):
                return step
    return after - 1


def _way(times: Array, energy: Array | None) -> Array:
    """From 0 to 1, increasing: how much of all changes of the energy, or of the time, is past."""
    passed = (times - times[0]) / (times[-1] - times[0])
    if energy is None:
        return np.asarray(passed)
    moved = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(energy)))])
    if moved[-1] <= 1e-9 * np.abs(energy).max():
        return np.asarray(passed)
    return np.asarray(moved / moved[-1])
