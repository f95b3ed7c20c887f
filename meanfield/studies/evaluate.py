"""What comes out of the clouds: distances and differences with their intervals, and a verdict.

Reads the files of a comparison; knows nothing of how they were made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from meanfield.analysis.crosscheck import (
    Interval,
    difference,
    mean_with_interval,
    rate_fit,
    ratio_interval,
)
from meanfield.analysis.verdict import DEGREE, Verdict, extrapolated, moment_test
from meanfield.dynamics.parts import DIVISIONS
from meanfield.geometry.sphere import Array
from meanfield.results.comparison import StoredCloud, StoredDensity, cloud_file, read_arrays
from meanfield.studies.moments import linear_moments
from meanfield.studies.resolution import order_of
from meanfield.studies.settings import Settings

__all__ = ["HIDDEN", "Comparison", "evaluate", "is_hidden"]

_SAFETY = 1.3  # errors of first order are up to this times what they are found to be
_SIGMAS = 2.0  # standard errors of a reference of particles that are allowed for
_TOLD = 0.05  # largest part of a W_p that bounds differ by, for a ratio
_CANCELLED = 0.25  # part of the largest error that those of other degrees have at least


HIDDEN = 3.0
"""Times the resolution, of what is allowed for a reference of particles, beyond which there is no
verdict: it would say yes to nearly everything."""


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found.

    Attributes:
        rows: one for each time ``t`` and number ``n`` of particles, as in ``compare.csv``:
            ``w2``, ``floor_w2``, ``ratio_w2`` with ``_low`` and ``_high`` (also of ``w1``),
            ``quadrature`` (nan: the reference is a cloud, and ``energy_distance`` and ``mmd`` have
            the same nine columns; a ratio is nan where a distance is 0); ``measured`` and
            ``floor_measured``, the particles and samples that W_p is of; ``gap``, the largest part
            of a W_p that its bounds differ by (``w2`` is the upper one); ``z_energy`` (nan: the
            model has no energy), ``z_mean``, ``z_second`` (the largest |z|); ``p_value`` (nan: no
            verdict, also where ``moment_allowance`` for a reference of particles is over three
            times ``moment_resolution``: N < 0.44 n R or so), and what it rests on: sizes
            ``moment_distance``, ``moment_resolution``, ``moment_allowance`` (what errors of the
            reference may hide), ``moment_bias``, ``moment_band`` and the ``moment_share`` of
            ``analysis.verdict.Verdict``, and ``density_error``, the largest error of the density's
            moments of one degree (nan: unknown), or what is allowed for of the reference's.
        rates: for each time the exponent of the distance in n, with its interval; None with one n
            (and no times at all without distances).
        folder: where everything is.
        degree: of the moments in the verdict.
        reference: number of particles that stand for the limit; None: a density does.
    """

    rows: list[dict[str, float]]
    rates: dict[float, Interval | None]
    folder: Path
    degree: int = DEGREE
    reference: int | None = None


def evaluate(settings: Settings, path: Path) -> Comparison:
    """Evaluate the clouds in a folder."""
    density: _Reference | _Cloud
    if settings.reference is None:
        density = _Reference.read(path, order_of(settings.case))
    else:
        density = _Cloud(StoredCloud.read(path))
    rows: list[dict[str, float]] = []
    distances: dict[float, list[Array]] = {t: [] for t in settings.times}
    for n in settings.numbers:
        clouds = _Clouds.read(settings, path, n)
        for k, t in enumerate(settings.times):
            row: dict[str, float] = {"t": t, "n": float(n), "replicas": float(settings.replicas)}
            if settings.exponents:
                row |= _distances(clouds, settings, n, k)
                distances[t].append(clouds.of(settings.distances[0], k))
            rows.append(row | _agreement(clouds, density, k, n, t))
    rates = {
        t: rate_fit(settings.numbers, [list(v) for v in values])
        if len(settings.numbers) > 1
        else None
        for t, values in distances.items()
        if settings.exponents
    }
    rows.sort(key=lambda row: (row["t"], row["n"]))
    degree = int(density.at(0)[0]["degree"].max())
    return Comparison(rows, rates, path, degree, settings.reference)


def _distances(clouds: _Clouds, settings: Settings, n: int, k: int) -> dict[str, float]:
    """All distances of clouds of n and their floors, with what is known of them."""
    row: dict[str, float] = {}
    known, counts = _known(clouds, settings, n, k)
    alike = counts[0] == counts[1] and known <= _TOLD
    for name in settings.distances:
        for floor in (False, True):
            values = clouds.of(name, k, floor=floor)
            interval = mean_with_interval(values)
            if clouds.has(f"least_{name}"):
                least = mean_with_interval(clouds.of(f"least_{name}", k, floor=floor))
                interval = replace(interval, low=min(interval.low, least.low))
            row |= _named(f"floor_{name}" if floor else name, interval)
        ours, floors = clouds.of(name, k), clouds.of(name, k, floor=True)
        row |= _named(f"ratio_{name}", _ratio(ours, floors, alike))
    row["quadrature"] = float(clouds.of("quadrature", k)[0])
    return row | {"measured": counts[0], "floor_measured": counts[1], "gap": known}


def _known(
    clouds: _Clouds, settings: Settings, n: int, k: int
) -> tuple[float, tuple[float, float]]:
    """The largest part of a W_p by which its bounds differ, and how many particles and samples
    were measured (clouds of earlier versions: all of them, and exactly)."""
    if not clouds.has("measured"):
        return 0.0, (float(n), float(n))
    gaps = [0.0]
    for p in settings.exponents:
        for floor in (False, True):
            upper = clouds.of(f"w{p}", k, floor=floor)
            least = clouds.of(f"least_w{p}", k, floor=floor)
            gaps.append(float(np.max((upper - least) / np.maximum(upper, 1e-300))))
    counts = [float(clouds.of("measured", k, floor=floor).min()) for floor in (False, True)]
    return max(gaps), (counts[0], counts[1])


def _ratio(ours: Array, floor: Array, alike: bool) -> Interval:
    """Ratio with its interval; nan where distances are not alike, or vanish (tokens have met)."""
    if not alike or min(ours.min(), floor.min()) <= 0.0:
        return Interval(math.nan, math.nan, math.nan)
    return ratio_interval(ours, floor)


@dataclass(frozen=True)
class _Clouds:
    """What was measured of all clouds of one number of particles, and of as many samples."""

    particles: list[dict[str, Array]]
    samples: list[dict[str, Array]]

    @classmethod
    def read(cls, settings: Settings, path: Path, n: int) -> _Clouds:
        found: dict[str, list[dict[str, Array]]] = {"particles": [], "floor": []}
        for kind in settings.kinds:
            found[kind] = [
                read_arrays(path / cloud_file(kind, n, r), without=["x"])
                for r in range(settings.replicas)
            ]
        return cls(found["particles"], found["floor"])

    def of(self, name: str, k: int, *, floor: bool = False) -> Array:
        """A quantity at the k-th time, (replicas, ...)."""
        return np.array([one[name][k] for one in (self.samples if floor else self.particles)])

    def has(self, name: str) -> bool:
        """Whether all clouds and samples have a quantity: those of earlier versions lack some."""
        return all(name in one for one in (*self.particles, *self.samples))

    def levels(self, name: str, k: int) -> Array:
        """One that clouds and their divisions have, (levels, replicas, ...)."""
        return np.moveaxis(self.of(name, k), 1, 0)


@dataclass(frozen=True)
class _Reference:
    """The density, and the one by which its error is known, where it could be had."""

    fine: StoredDensity
    coarse: StoredDensity | None
    order: int
    _known: dict[int, tuple[dict[str, Array], dict[str, Array]]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, order: int) -> _Reference:
        try:
            coarse = StoredDensity.read(path, coarse=True)
        except FileNotFoundError:
            coarse = None
        return cls(StoredDensity.read(path), coarse, order)

    def at(self, k: int) -> tuple[dict[str, Array], dict[str, Array]]:
        """Moments and energy (if any) at the k-th time, and what was found of their errors.

        Extrapolated to h = 0 if the order is 2: the errors are those of before. Of order 1 the
        moments stay as they are, since other errors may count as much. Without another density
        nothing is known of errors: nan.
        """
        if k not in self._known:
            self._known[k] = self._found(k)
        return self._known[k]

    def _found(self, k: int) -> tuple[dict[str, Array], dict[str, Array]]:
        def of(one: StoredDensity) -> dict[str, Array]:
            about = linear_moments(one.masses(k), one.mesh.manifold)
            return about if one.energy is None else about | {"energy": np.array(one.energy[k])}

        fine = of(self.fine)
        if self.coarse is None:
            return fine, {name: np.full(np.shape(value), np.nan) for name, value in fine.items()}
        second = self.order == 2
        parts = 3.0 if second else 1.0
        step = {name: (fine[name] - value) / parts for name, value in of(self.coarse).items()}
        return {name: value + step[name] if second else value for name, value in fine.items()}, step

    def sampled(self, n: int, replicas: int) -> float:
        """Variance of the reference over that of the mean of clouds of n: a density has none."""
        return 0.0

    def error(self, step: Array, degree: Array, spread: Array, n: int) -> Array:
        """Of each moment: what is allowed for, given what ``at`` has found of them. nan: unknown.

        By degree, so that it is the same for rotated states. Where two errors have cancelled it may
        look too small: it is a part of the largest one at least.
        """
        size = np.array([float(np.linalg.norm(step[degree == l])) for l in degree])
        size = np.maximum(size, _CANCELLED * size.max())
        return size if self.order == 2 else _SAFETY * size


@dataclass(frozen=True)
class _Cloud:
    """A reference of many particles, whose moments have a sampling error of their own."""

    cloud: StoredCloud
    _known: dict[int, dict[str, Array]] = field(default_factory=dict)

    def at(self, k: int) -> tuple[dict[str, Array], dict[str, Array]]:
        """Moments and energy (if any) at the k-th time; of their errors, see ``error``."""
        if k not in self._known:
            about = linear_moments(self.cloud.masses(k), self.cloud.manifold)
            if self.cloud.energy is not None:
                about |= {"energy": np.array(self.cloud.energy[k])}
            self._known[k] = about
        return self._known[k], self._known[k]

    def sampled(self, n: int, replicas: int) -> float:
        """Variance of the reference over that of the mean of clouds of n."""
        return replicas * n / self.cloud.x.shape[1]

    def error(self, step: Array, degree: Array, spread: Array, n: int) -> Array:
        """Of each moment, by degree: clouds of n fluctuate (N / n)^(1/2) times as much."""
        size = np.array([math.sqrt(float(np.mean(spread[degree == l]))) for l in degree])
        return _SIGMAS * math.sqrt(n / self.cloud.x.shape[1]) * size


def _agreement(
    clouds: _Clouds, density: _Reference | _Cloud, k: int, n: int, t: float
) -> dict[str, float]:
    """Differences in units of their Monte-Carlo error, and the verdict with what it rests on."""
    there, step = density.at(k)
    degree = there["degree"].round().astype(int)
    row = {"z_energy": math.nan}
    for name in ("energy", "mean", "second"):
        if name not in there:
            continue
        limits = extrapolated(clouds.levels(name, k))
        z = difference(limits, there[name]).z / math.sqrt(1.0 + density.sampled(n, len(limits)))
        row[f"z_{name}"] = float(z) if name == "energy" else float(np.max(np.abs(z)))
    levels = clouds.levels("low", k) - there["low"]
    initial = clouds.levels("low", 0)[0] - density.at(0)[0]["low"] if t > 0.0 else None
    spread = _spread(extrapolated(levels), initial, degree)
    error = density.error(step["low"], degree, spread, n)
    verdict = moment_test(levels, degree, initial, allowance=np.nan_to_num(error))
    # Without parts nothing is known of the bias of such small clouds.
    row["p_value"] = verdict.p_value if len(levels) > len(DIVISIONS) else math.nan
    row["moment_allowance"] = _size(error, verdict)
    row["moment_distance"] = verdict.distance
    row["moment_resolution"] = verdict.resolution
    if isinstance(density, _Cloud) and is_hidden(row):
        row["p_value"] = math.nan
    row["moment_bias"], row["moment_band"] = verdict.bias, verdict.band
    row["moment_share"] = verdict.share
    row["density_error"] = float(np.max(error))
    return row


def is_hidden(row: Mapping[str, float]) -> bool:
    """Whether what is allowed for would hide nearly all differences."""
    return row["moment_allowance"] > HIDDEN * row["moment_resolution"]


def _size(error: Array, verdict: Verdict) -> float:
    """Size of what is allowed for, as those of the verdict; nan: unknown."""
    spread = np.maximum(verdict.spread, 1e-15)[verdict.degrees - 1]
    return float(np.linalg.norm(error / (verdict.degrees * spread)))


def _spread(limits: Array, initial: Array | None, degree: Array) -> Array:
    """Variance of each moment between clouds, without what they have carried along, as in p."""
    z = limits - limits.mean(axis=0)
    if initial is not None:
        start = initial - initial.mean(axis=0)
        for l in np.unique(degree):
            at = degree == l
            square = float(np.sum(start[:, at] ** 2))
            if square > 0.0:
                z[:, at] -= float(np.sum(z[:, at] * start[:, at])) / square * start[:, at]
    return np.asarray(np.sum(z**2, axis=0) / (len(z) - 1))


def _named(name: str, interval: Interval) -> dict[str, float]:
    values = (interval.value, interval.low, interval.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
