"""``mf.compare``: by what it is given, one of three comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from meanfield.case import Case
from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.runs.result import Result
from meanfield.studies.compare import compare as compare_clouds
from meanfield.studies.evaluate import Comparison
from meanfield.studies.points import PointsComparison, compare_points
from meanfield.studies.runpairs import RunsComparison, compare_pair
from meanfield.studies.settings import Clouds

__all__ = ["compare"]


class _AsArray(Protocol):
    """What numpy makes an array of, such as a tensor."""

    def __array__(self) -> NDArray[np.generic]: ...


Numbers = Array | NDArray[np.generic] | Sequence[Sequence[float]] | _AsArray
Weights = Array | NDArray[np.generic] | Sequence[float] | _AsArray | None
Compared = Comparison | PointsComparison | RunsComparison
Run = Result | str | Path


@overload
def compare(
    case: Case,
    clouds: Clouds,
    folder: str | Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    announce: Callable[[], None] | None = None,
) -> Comparison: ...
@overload
def compare(
    first: Run,
    second: Run,
    *,
    time: float | None = None,
    distances: bool = True,
    draws: int = 16,
    seed: int = 0,
) -> RunsComparison: ...
@overload
def compare(
    density: Run,
    points: Numbers,
    t: float | None = None,
    weights: Weights = None,
    *,
    draws: int = 16,
    seed: int = 0,
) -> PointsComparison: ...
def compare(*given: object, **options: object) -> Compared:
    """Do tokens agree with a density? How far apart are two runs?

    ``compare(case, clouds, folder, ...)`` runs a density and clouds of particles from the same law,
    with replicas: see ``studies.compare.compare``.

    ``compare(density, points, t, weights=None)`` holds a cloud of one's own against the density of
    a run, a ``Result`` or its folder: W_2 with its sampling floor, a test of moments, a verdict, as
    a ``PointsComparison``. The floor and p are those of independent draws, which tokens that have
    interacted are not: see ``studies.points.compare_points``.

    ``compare(first, second)`` holds two runs against each other at the output times that both have:
    two densities, tokens and a density in either order, or two runs of tokens, as a
    ``RunsComparison``: see ``studies.runpairs.compare_pair``.

    Example:
        >>> result = mf.run("clustering.toml", "results/clustering")  # doctest: +SKIP
        >>> found = mf.compare(result, x, t=2.0)  # doctest: +SKIP
        >>> found.w2, found.floor.value, found.p_value, found.verdict  # doctest: +SKIP
        >>> mf.compare("results/particles", "results/clustering")  # doctest: +SKIP
    """
    first = given[0] if given else _one_of(options, "case", "density", "first")
    second = given[1] if len(given) > 1 else _one_of(options, "clouds", "points", "second")
    return _chosen(first, second)(*given, **options)


def _chosen(first: object, second: object) -> Callable[..., Compared]:
    """Which of the three is meant."""
    if isinstance(first, Case) or isinstance(second, Clouds):
        return compare_clouds
    if not isinstance(first, Result | str | Path):
        raise InputError(
            f"compare: found {as_found(first)}, expected a case with Clouds, or what run has "
            "returned, or the folder of a run"
        )
    return compare_pair if isinstance(second, Result | str | Path) else compare_points


def _one_of(options: dict[str, object], *names: str) -> object:
    return next((options[name] for name in names if name in options), None)
