"""Do causal tokens agree with a density by position? Distances against the sampling floor.

The density is that of vertices which have moved, with their masses: a measure as it stands. Knows
nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from meanfield.analysis.wasserstein import quantise, wasserstein
from meanfield.arguments import Count, checked_arguments
from meanfield.case import Case, Lagrangian, Particles, Time, Unmeshed
from meanfield.dynamics.lagrangian import SlicedSolver
from meanfield.dynamics.solver import Solver
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.runs.simulation import run
from meanfield.runs.tracks import token_solver
from meanfield.studies.settings import NO_FILES, checked_integer

__all__ = ["Agreement", "sliced_against_tokens"]

_FEWEST, _MOST = 2_000, 10_000  # points that stand for the density on a sphere


@dataclass(frozen=True)
class Agreement:
    """How far clouds of tokens are from the density, at one time, for one number of them.

    Attributes:
        t, n: time, number of tokens.
        w2: mean W_2 (radians) of the clouds to the density of the whole.
        floor: the same of as many independent draws of the density, each from the slice of its
            place in the order; at time 0 tokens are nothing else.
        replicas: number of clouds.
    """

    t: float
    n: int
    w2: float
    floor: float
    replicas: int

    @property
    def ratio(self) -> float:
        """1 as long as tokens are as good as draws."""
        return self.w2 / self.floor


@checked_arguments
def sliced_against_tokens(
    case: Case,
    numbers: Sequence[int],
    replicas: Count = 4,
    times: Sequence[float] | None = None,
    progress: bool | None = None,
) -> list[Agreement]:
    """Run a density by position and clouds of tokens of the same case, and compare them.

    Tokens are drawn in their order from the law of the case, i at the place (i - 1/2)/n, and see
    those that the mask lets them see. The first few tokens, whose own terms count, are what the
    density does not have: their part of the distance falls with n, and grows with time.

    Args:
        case: of characteristics with a mask, on S^1 or S^2.
        numbers: of tokens.
        replicas: clouds of each number.
        times: when to compare; left out: at the end.
        progress: as for ``run``.

    Returns:
        One for each time and number.

    Raises:
        InputError: another case, or times after its end.
    """
    if not isinstance(case.solver, Lagrangian) or case.solver.slices is None:
        raise InputError(
            f"case: a case of '{case.solver.type}' found, expected 'lagrangian' with model.mask"
        )
    wanted = tuple(sorted({float(t) for t in ((case.time.end,) if times is None else times)}))
    if not wanted or not 0.0 <= wanted[0] <= wanted[-1] <= case.time.end:
        raise InputError(f"times: {wanted} found, 0 to time.end = {case.time.end:g} expected")
    counts = [checked_integer("numbers", n, 2, 100_000, "each takes a cloud") for n in numbers]
    replicas = checked_integer("replicas", replicas, 1, 10_000, "clouds of each number")
    densities = _densities(case, wanted, progress)
    found = []
    for n in counts:
        w2: Array = np.zeros((2, replicas, len(wanted)))
        for r in range(replicas):
            cloud_seed, seed = np.random.SeedSequence(case.seed, spawn_key=(n, r)).spawn(2)
            rng = np.random.default_rng(seed)
            cloud = token_solver(
                _token_case(case, n), n, "iid", int(cloud_seed.generate_state(1, np.uint64)[0])
            )
            for k, (t, density) in enumerate(zip(wanted, densities, strict=True)):
                while cloud.t < t:
                    cloud.advance(t)
                reference = density.points(n)
                for row, x in zip(w2, (cloud.x, density.draws(n, rng)), strict=True):
                    row[r, k] = wasserstein(Measure.equal(x), reference, 2).distance
        mean = w2.mean(axis=1)
        found += [
            Agreement(t, n, float(mean[0, k]), float(mean[1, k]), replicas)
            for k, t in enumerate(wanted)
        ]
    return sorted(found, key=lambda one: (one.t, one.n))


@dataclass(frozen=True)
class _Slices:
    """Vertices (M, V, d) of all slices at a time, and their masses (M, V)."""

    x: Array
    mass: Array

    def points(self, n: int) -> Measure:
        """Points that stand for the whole when n tokens are compared."""
        whole = Measure(self.x.reshape(-1, self.x.shape[2]), self.mass.ravel())
        size = min(max(4 * n, _FEWEST), _MOST)
        if self.x.shape[2] == 2 or self.mass.size <= size:
            return whole
        return quantise(whole, size)[0]

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """Independent draws, in the order of their places, (n, d)."""
        number = len(self.mass)
        out = np.empty((n, self.x.shape[2]))
        slice_of = np.minimum(np.floor((np.arange(n) + 0.5) / n * number), number - 1)
        for a in range(number):
            mine = slice_of == a
            weights = self.mass[a] / math.fsum(self.mass[a])
            out[mine] = self.x[a, rng.choice(len(weights), size=int(mine.sum()), p=weights)]
        return out


def _densities(case: Case, times: tuple[float, ...], progress: bool | None) -> list[_Slices]:
    kept: list[_Slices] = []

    def keep(solver: Solver) -> None:
        assert isinstance(solver, SlicedSolver)
        by = solver.of_slices
        kept.append(_Slices(by(solver.positions()).copy(), by(solver.mass).copy()))

    end = times[-1] or 1e-9 * case.time.end
    shorter = Time(end=end, outputs=times, series_every=case.time.series_every)
    result = run(replace(case, time=shorter, output=NO_FILES), progress=progress, observers=[keep])
    if result.stop_reason != "end":
        raise BrokenInvariantError(f"the density stopped early: {result.stop_reason}")
    at = [0.0, *(t for t in times if t > 0.0)]  # the state at 0 is always among them
    return [kept[at.index(t)] for t in times]


def _token_case(case: Case, n: int) -> Case:
    return replace(
        case, geometry=Unmeshed(case.geometry.d), solver=Particles(number=n), output=NO_FILES
    )
