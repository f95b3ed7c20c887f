"""How far apart are two measures: clouds of tokens, or densities, of files and of runs.

W_p with what is known of it, and the energies of two kernels with p-values by permutations
(``analysis.twosample``). A density of latitudes stands for an axially symmetric law: W_p is then
that of colatitudes, which for tokens is that of the cloud averaged about the axis; kernels see
whole vectors, draws of that law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.analysis.twosample import STATISTICS, TwoSample, two_sample
from meanfield.analysis.wasserstein import Effort, WassersteinResult, colatitudes, wasserstein
from meanfield.arguments import Count, checked_arguments
from meanfield.errors import InputError, suggest
from meanfield.interaction.measure import Measure
from meanfield.studies.numbers import EXACT, FAST, MANY
from meanfield.studies.sides import Side, read_sides

__all__ = ["Distance", "distance", "distance_between", "expected_seconds"]

_MOST = 5_000  # points of each side in a test: some seconds for 999 permutations
_EFFORTS = Effort(), Effort(rtol=1e-4)  # beyond MANY points W_p is known to 5e-5
_PAIRS = 1.0, 10.0  # seconds for 1e4 against 1e4 points, in d <= 4 and beyond
_BRACKETED = 25.0  # seconds for 1e6 points


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
        time: output time of runs; None: the last of each. Two files have none. Tokens in d > 3 of a
            run with output.coordinates = false are known at the times of its checkpoints only.
        p: of W_p, 1 or 2.
        tests: "energy", "mmd", both or none.
        d: dimension, where neither side tells it; 3 by default.
        permutations: of the tests.
        seed: of draws and permutations.

    Raises:
        InputError: what cannot be read or held against each other; more than 20 000 points in
            d > 4. Of more than 100 000 on S^2 and S^3 W_p is bounded ("bracket").

    Example:
        >>> mf.distance('first.npy', 'second.npy').transport.distance < 3.2
        True
    """
    _check_tests(tests)
    one, two = read_sides(first, second, d, time)
    return distance_between(one, two, p=p, tests=tests, permutations=permutations, seed=seed)


@checked_arguments
def distance_between(
    one: Side,
    two: Side,
    *,
    p: int = 2,
    tests: Sequence[str] = STATISTICS,
    permutations: int = 999,
    seed: Count = 0,
) -> Distance:
    """Measure how far apart two sides are; the arguments are those of ``distance``.

    Raises:
        InputError: more than 20 000 points in d > 4.
    """
    _check_tests(tests)
    expected_seconds(one, two)  # refuses what takes too long
    latitudes = _of_latitudes(one, two)
    x, y = (colatitudes(s.measure) if latitudes else s.measure for s in (one, two))
    n = max(len(x.weights), len(y.weights))
    method = "bracket" if n > EXACT and not _on_a_line(one, two) else "auto"
    found = wasserstein(x, y, p, method, effort=_EFFORTS[n > MANY])
    low, high = found.interval(one.error, two.error)
    made, points = _tested(one, two, tests, permutations, seed)
    return Distance(one.words, two.words, found, low, high, latitudes, points, made)


def expected_seconds(one: Side, two: Side) -> float:
    """What W_p of two sides takes on two cores, roughly.

    Raises:
        InputError: more than 20 000 points in d > 4, where a search is over all pairs.
    """
    n, m = (len(side.measure.weights) for side in (one, two))
    if _on_a_line(one, two):
        return 0.0
    d = one.on.d
    if d > FAST and max(n, m) > MANY:
        raise InputError(
            f"{max(n, m)} points in d = {d} found, up to {MANY} expected in d > {FAST}, where "
            "every search is over all pairs: give a part of the tokens, which has W_p of fewer"
        )
    if max(n, m) > EXACT:
        return _BRACKETED * max(n, m) / 1e6
    return _PAIRS[d > FAST] * n * m / 1e8


def _of_latitudes(one: Side, two: Side) -> bool:
    return one.on.latitudes or two.on.latitudes


def _on_a_line(one: Side, two: Side) -> bool:
    """Whether W_p is one of sorted points: on S^1 and of colatitudes."""
    return one.on.d == 2 or _of_latitudes(one, two)


def _check_tests(tests: Sequence[str]) -> None:
    unknown = [name for name in tests if name not in STATISTICS]
    if unknown:
        raise InputError(
            f"test '{unknown[0]}' found, one of {', '.join(STATISTICS)} expected"
            f"{suggest(unknown[0], STATISTICS)}"
        )


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
