"""What comes out of the clouds: distances and differences with their intervals, and a verdict.

Reads the files of a comparison; knows nothing of how they were made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.analysis.crosscheck import (
    Interval,
    difference,
    mean_with_interval,
    rate_fit,
    ratio_interval,
    two_sample_test,
)
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import StoredDensity, cloud_file, read_arrays
from meanfield.studies.settings import Settings

__all__ = ["Comparison", "evaluate"]


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found.

    Attributes:
        rows: one for each time and number of particles, see ``compare.csv``.
        rates: for each time the exponent of the distance in n, with its interval; None with one n
            (and no times at all without distances).
        folder: where everything is.
    """

    rows: list[dict[str, float]]
    rates: dict[float, Interval | None]
    folder: Path


def evaluate(settings: Settings, path: Path) -> Comparison:
    """Evaluate the clouds in a folder."""
    density = StoredDensity.read(path)
    on, d = density.mesh.manifold, density.mesh.d
    rows: list[dict[str, float]] = []
    distances: dict[float, list[Array]] = {t: [] for t in settings.times}
    for n in settings.numbers:
        found = {
            kind: [read_arrays(path / cloud_file(kind, n, r)) for r in range(settings.replicas)]
            for kind in settings.kinds
        }
        clouds = [one["x"] for one in found["particles"]]
        start = [_as_compared(x[0], on) for x in clouds]
        for k, t in enumerate(settings.times):
            row: dict[str, float] = {"t": t, "n": float(n), "replicas": float(settings.replicas)}
            for p in settings.exponents:
                ours, floor = (
                    np.array([one[f"w{p}"][k] for one in found[kind]])
                    for kind in ("particles", "floor")
                )
                row |= _named(f"w{p}", mean_with_interval(ours))
                row |= _named(f"floor_w{p}", mean_with_interval(floor))
                row |= _named(f"ratio_w{p}", ratio_interval(ours, floor))
                if p == settings.exponents[0]:
                    distances[t].append(ours)
            if settings.exponents:
                row["quadrature"] = float(found["particles"][0]["quadrature"][k])
            energy = np.array([one["energy"][k] for one in found["particles"]])
            row["z_energy"] = float(difference(energy, density.energy[k]).z)
            row |= _moment_differences([x[k] for x in clouds], density.masses(k), on)
            initial = (start, density.masses(0)) if t > 0.0 else None
            now = [_as_compared(x[k], on) for x in clouds]
            verdict = two_sample_test(now, density.masses(k), initial, d=d)
            row["p_value"] = verdict.p_value
            row["moment_distance"] = verdict.distance
            row["moment_resolution"] = verdict.resolution
            rows.append(row)
    rates = {
        t: rate_fit(settings.numbers, [list(v) for v in values])
        if len(settings.numbers) > 1
        else None
        for t, values in distances.items()
        if settings.exponents
    }
    rows.sort(key=lambda row: (row["t"], row["n"]))
    return Comparison(rows, rates, path)


def _as_compared(x: Array, on: Manifold) -> Measure:
    """A cloud in the coordinates of the density."""
    return Measure.equal(on.coordinates(x))


def _named(name: str, interval: Interval) -> dict[str, float]:
    values = (interval.value, interval.low, interval.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _moment_differences(clouds: list[Array], density: Measure, on: Manifold) -> dict[str, float]:
    """The largest |z| among the coordinates of the mean, and among the second moments."""
    points = np.asarray(density.points)
    y = on.moments_of(points)
    x = np.array([c[:, -on.moments :] for c in clouds])
    upper = np.triu_indices(y.shape[1])
    m = density.weights
    mean = difference(x.mean(axis=1), m @ y)
    second = difference(
        np.einsum("rni,rnj->rij", x, x)[:, upper[0], upper[1]] / x.shape[1],
        ((y * m[:, None]).T @ y)[upper],
    )
    return {
        "z_mean": float(np.max(np.abs(mean.z))),
        "z_second": float(np.max(np.abs(second.z))),
    }
