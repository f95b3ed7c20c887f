"""Clouds of tokens against their density; Wasserstein distances with known values."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.analysis.wasserstein import wasserstein
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.measure import Measure

from .solving import shipped
from .table import Table, Values

table = Table("compare")


def _lattice(n: int) -> Array:
    """Fibonacci's, (n, 3)."""
    k = np.arange(n) + 0.5
    z, phi = 1.0 - 2.0 * k / n, np.pi * (1.0 + 5.0**0.5) * k
    s = np.sqrt(1.0 - z * z)
    return np.stack([s * np.cos(phi), s * np.sin(phi), z], axis=1)


def _uniform_and_bump(n: int) -> tuple[Measure, Measure]:
    """The uniform law, and von Mises-Fisher of concentration 4, on nodes."""
    x = _lattice(n)
    m = np.exp(4.0 * (x[:, 2] - 1.0))
    return Measure.equal(x), Measure(x, m / m.sum())


@table.row(
    "$W_2$ on $S^2$ of the uniform law and von Mises-Fisher ($\\kappa = 4$), by 1 000 and 4 000 "
    "nodes of a lattice", "{:.5f}, {:.5f}", known=(0.9837408392,) * 2,
    within=(3e-3, 7e-4), source="of the laws themselves: monotone in the colatitude", quick=True,
)  # fmt: skip
def distance() -> Values:
    return tuple(wasserstein(*_uniform_and_bump(n), p=2).distance for n in (1000, 4000))


@table.row(
    "$W_2$ of two clouds of 4 000 uniform points, relative gap of its bounds on $W_2^2$; seconds",
    "{:.5f}, {:.0e}; {:.1f} s", source="certified by bounds from below and above",
)  # fmt: skip
def clouds() -> Values:
    rng = np.random.default_rng(0)
    pair = [Measure.equal(uniform_points(4000, 3, rng)) for _ in range(2)]
    begun = time.perf_counter()
    found = wasserstein(*pair, p=2)
    gap = 1.0 - (found.lower / found.upper) ** 2
    return found.distance, gap, time.perf_counter() - begun


def _compared(times: tuple[float, ...], **changes: object) -> list[dict[str, float]]:
    """Rows of compare of clustering.toml with 8 clouds of each number, as in its guide page."""
    with tempfile.TemporaryDirectory() as folder:
        case = shipped("clustering", **changes)
        clouds = mf.Clouds([250, 1000], 8, times=times)
        return mf.compare(case, clouds, Path(folder) / "out", progress=False).rows


RATIOS = "{:.3f}, {:.3f}; {:.3f}, {:.3f}; {:.2f}, {:.2f}"


@table.row(
    "`clustering.toml` on level 4, 8 clouds of 250, of 1 000 tokens, $t = 1$: $W_2$; "
    "sampling floors; p of the moment test", RATIOS, source="the floor; p is uniform if they agree",
)  # fmt: skip
def clustering() -> Values:
    rows = [row for row in _compared((1.0,), geometry__level=4) if row["t"] == 1.0]
    names = ("w2", "floor_w2", "p_value")
    return tuple(float(row[name]) for name in names for row in rows)
