"""How far apart are two measures: clouds of tokens, or densities, of files and of runs.

W_p with what is known of it, and the energies of two kernels with p-values by permutations
(``analysis.twosample``). A density of latitudes stands for an axially symmetric law: W_p is then
that of colatitudes, which for tokens is that of the cloud averaged about the axis; kernels see
whole vectors, draws of that law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.analysis.twosample import STATISTICS, TwoSample, two_sample
from meanfield.analysis.wasserstein import Effort, WassersteinResult, colatitudes, wasserstein
from meanfield.arguments import Count, checked_arguments
from meanfield.errors import InputError, suggest
from meanfield.interaction.measure import Measure
from meanfield.studies.sides import Side, common_dimension, read_side

__all__ = ["Distance", "distance"]

_MOST = 5_000  # points of each side in a test: some seconds for 999 permutations
_MANY = 20_000  # points: W_p is known to 5e-5 beyond
_EFFORTS = Effort(), Effort(rtol=1e-4)


@dataclass(frozen=True)
class Distance:
    """How far apart two measures are.

    Attributes:
        first, second: what they are, in words.
        transport: W_p of the weighted points, with its bounds.
        low, high: bounds of W_p between what is meant: points of a density are not the density.
        latitudes: whether W_p is that of colatitudes.
        points: how many of each side are in the tests; (0, 0): there are none.
        tests: one for each statistic; empty where points of unequal masses are no draws.
    """

    first: str
    second: str
    transport: WassersteinResult
    low: float
    high: float
    latitudes: bool
    points: tuple[int, int]
    tests: tuple[TwoSample, ...]


@checked_arguments
def distance(
    first: str | Path,
    second: str | Path,
    *,
    time: float | None = None,
    p: int = 2,
    tests: Sequence[str] = STATISTICS,
    d: int | None = None,
    permutations: int = 999,
    seed: Count = 0,
) -> Distance:
    """Measure how far apart two files of tokens, or two runs, are.

    Args:
        first, second: a file of tokens, or the folder of a run.
        time: output time of runs; None: the last of each. In d > 3 the tokens of a run are known at
            the times of its checkpoints only, the last one among them.
        p: of W_p, 1 or 2.
        tests: "energy", "mmd", both or none.
        d: dimension, where neither side tells it; 3 by default.
        permutations: of the tests.
        seed: of draws and permutations.

    Raises:
        InputError: what cannot be read or held against each other.
    """
    unknown = [name for name in tests if name not in STATISTICS]
    if unknown:
        raise InputError(
            f"test '{unknown[0]}' found, one of {', '.join(STATISTICS)} expected"
            f"{suggest(unknown[0], STATISTICS)}"
        )
    if d is not None and d < 2:
        raise InputError(f"d = {d} found, at least 2 expected")
    if time is not None and not math.isfinite(time):
        raise InputError(f"time {time:g} found, a finite number expected")
    d = common_dimension(first, second, d)
    one, two = (read_side(path, d, time) for path in (first, second))
    latitudes = one.on.latitudes or two.on.latitudes
    x, y = (colatitudes(s.measure) if latitudes else s.measure for s in (one, two))
    effort = _EFFORTS[max(len(x.weights), len(y.weights)) > _MANY]
    found = wasserstein(x, y, p, effort=effort)
    low, high = found.interval(one.error, two.error)
    made, points = _tested(one, two, tests, permutations, seed)
    return Distance(one.words, two.words, found, low, high, latitudes, points, made)


def _tested(
    one: Side, two: Side, tests: Sequence[str], permutations: int, seed: int
) -> tuple[tuple[TwoSample, ...], tuple[int, int]]:
    """Tests of tokens with tokens, or with as many draws of a density."""
    if not tests or any(side.tokens and not side.equal for side in (one, two)):
        return (), (0, 0)
    sizes = [len(side.measure.weights) for side in (one, two) if side.tokens]
    n = min(_MOST, max(sizes, default=_MOST))
    rng = np.random.default_rng(seed)
    x, y = (Measure.equal(side.draws(n, rng)) for side in (one, two))
    made = tuple(two_sample(x, y, t, permutations=permutations, seed=seed) for t in tests)
    return made, (len(x.weights), len(y.weights))
