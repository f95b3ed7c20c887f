"""Times: medians or least of some calls, on the machine that is named below the page."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from origin import reference_seconds

import meanfield as mf
from meanfield.collective import Alone
from meanfield.dynamics.lagrangian import characteristics
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.direct import pair_sums
from meanfield.interaction.measure import Measure

from .solving import attention, explicit, shipped, space, until
from .table import Table, Values

table = Table("speed", ("", "measured", "note"))


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _least(call: Callable[[], object], repeats: int = 5) -> float:
    call()
    return min(_seconds(call) for _ in range(repeats))


@table.row(
    "`clustering.toml`, level 5, to $t = 14$, with files, without pictures: seconds, steps",
    "{:.1f} s, {:.0f}", rough=True,
)  # fmt: skip
def clustering() -> Values:
    case = shipped("clustering", output__figures=False)
    with tempfile.TemporaryDirectory() as folder:
        mf.run(shipped("clustering", output__figures=False, time__end=1.0), progress=False)
        begun = time.perf_counter()
        result = mf.run(case, Path(folder) / "run", progress=False)
        return time.perf_counter() - begun, float(result.steps)


@table.row(
    "explicit, standard density, level 6, to $t = 1$ and $t = 4$: seconds, steps",
    "{:.1f} s, {:.0f}; {:.1f} s, {:.0f}", rough=True,
)  # fmt: skip
def standard() -> Values:
    on = space("sphere", 6)
    solver = explicit(on, attention("sa", 4.0, on), mf.standard_density())
    solver.advance(1e-3)
    begun = time.perf_counter()
    found: list[float] = []
    for t in (1.0, 4.0):
        until(solver, t)
        found += [time.perf_counter() - begun, float(solver.step)]
    return tuple(found)


@table.row("an explicit step at levels 5, 6, 7: milliseconds", "{:.1f}, {:.1f}, {:.0f}", rough=True)
def steps() -> Values:
    found = []
    for level in (5, 6, 7):
        on = space("sphere", level)
        solver = explicit(on, attention("sa", 4.0, on), mf.standard_density())
        for _ in range(5):
            solver.advance(1e3)
        found.append(1e3 * min(_seconds(lambda s=solver: s.advance(1e3)) for _ in range(10)))  # type: ignore[misc]
    return tuple(found)


def _field(level: int) -> Values:
    """Milliseconds by transforms; by a direct sum over this; nanoseconds a pair of that sum."""
    x = icosphere(level).points
    m = np.random.default_rng(0).dirichlet(np.ones(len(x)))
    pulls = Attention("sa", 4.0, 3, "sphere")
    assert pulls.harmonics is not None
    at = pulls.harmonics.locate(x)
    fast, ratios, slow = [], [], []
    pulls.field(Measure(at, m)).velocity(at)
    pair_sums(x[:100], x[:100], m[:100], 4.0)
    for _ in range(3 if level > 5 else 5):
        slow.append(_seconds(lambda: pair_sums(x, x, m, 4.0)))
        fast.append(min(_seconds(lambda: pulls.field(Measure(at, m)).velocity(at))
                        for _ in range(3)))  # fmt: skip
        ratios.append(slow[-1] / fast[-1])
    return 1e3 * min(fast), float(np.median(ratios)), 1e9 * min(slow) / len(x) ** 2


PAIRS = "{:.1f} ms, {:.0f} times, {:.1f} ns a pair"


@table.row(
    "$Z$ and velocity of 10 242 nodes by transforms; a direct sum (blocked, vectorised, all cores) "
    "in the same run takes", PAIRS, rough=True,
)  # fmt: skip
def field_5() -> Values:
    return _field(5)


@table.row("the same, 40 962 nodes", PAIRS, rough=True)
def field_6() -> Values:
    return _field(6)


@table.row(
    "characteristics, standard density to $t = 4$, default start, levels 4, 5, 6: seconds",
    "{:.2f}, {:.2f}, {:.1f}", rough=True,
)  # fmt: skip
def moving() -> Values:
    found = []
    for level in (4, 5, 6):
        mesh = icosphere(level)
        pulls, law = attention("sa", 4.0, mesh), mf.standard_density()

        def run(mesh=mesh, pulls=pulls, law=law) -> object:  # type: ignore[no-untyped-def]
            options = mf.Lagrangian()
            solver = characteristics(pulls, mesh, law.density, 4.0, options=options, comm=Alone())
            return until(solver, 4.0)

        found.append(_least(run, 2))
    return tuple(found)


@table.row(
    "10 000 and 100 000 tokens on $S^2$, `sa`, $\\beta = 9$, to $t = 5$: seconds",
    "{:.1f}, {:.1f}", rough=True,
)  # fmt: skip
def tokens() -> Values:
    from meanfield.dynamics.particles import ParticleSolver

    found = []
    for n in (10_000, 100_000):
        x = uniform_points(n, 3, np.random.default_rng(0))
        solver = ParticleSolver(Attention("sa", 9.0, 3, "sphere"), x)
        found.append(_seconds(lambda s=solver: until(s, 5.0)))  # type: ignore[misc]
    return tuple(found)


@table.row(
    "how busy the machine was: the fixed loop of the benchmarks, milliseconds; load (1 minute)",
    "{:.0f}, {:.1f}", source="45, 0 when it is quiet", rough=True,
)  # fmt: skip
def busy() -> Values:
    return 1e3 * reference_seconds(), os.getloadavg()[0]


@table.row("largest resident memory of all of this: GB", "{:.2f}", rough=True)
def memory() -> Values:
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,)
