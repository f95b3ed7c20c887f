"""``mf.compare``: by what it is given, one of three comparisons."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from meanfield.case import Case
from meanfield.case.tokensolvers import TOKEN_FILES
from meanfield.checks import as_found
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.runs.result import Result
from meanfield.studies.compare import compare as compare_clouds
from meanfield.studies.evaluate import Comparison
from meanfield.studies.points import PointsComparison, compare_points, tokens_for
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
    t: float | None = None,
    distances: bool = True,
    draws: int = 16,
    seed: int = 0,
) -> RunsComparison: ...
@overload
def compare(
    density: Run,
    points: str | Path,
    t: float | None = None,
    weights: Weights = None,
    *,
    time: float | None = None,
    draws: int = 16,
    seed: int = 0,
) -> PointsComparison | RunsComparison: ...
@overload
def compare(
    density: Run,
    points: Numbers,
    t: float | None = None,
    weights: Weights = None,
    *,
    time: float | None = None,
    draws: int = 16,
    seed: int = 0,
) -> PointsComparison: ...
def compare(*given: object, **options: object) -> Compared:
    """Do tokens agree with a density? How far apart are two runs?

    ``compare(case, clouds, folder, ...)`` runs a density and clouds of particles from the same law,
    with replicas: see ``studies.compare.compare``.

    ``compare(density, points, t, weights=None)`` holds a cloud of one's own, an array or a file of
    tokens, against the density of a run, a ``Result`` or its folder: W_2 with its sampling floor, a
    test of moments, a verdict, as a ``PointsComparison``. The floor and p are those of independent
    draws, which tokens that have interacted are not: see ``studies.points.compare_points``.

    ``compare(first, second)`` holds two runs against each other at the output times that both have:
    two densities, tokens and a density in either order, or two runs of tokens, as a
    ``RunsComparison``: see ``studies.runpairs.compare_pair``. ``t`` and ``time`` are the same.

    Raises:
        InputError: what cannot be compared, or arguments of another comparison.

    Example:
        >>> x = mf.Uniform(3).sample(100, np.random.default_rng(0))
        >>> found = mf.compare("results/clustering", x, t=2.0)
        >>> found.w2 > 2.0 * found.floor.value and found.p_value < 0.01
        True
        >>> mf.compare("results/particles", "results/clustering")  # doctest: +SKIP
    """
    first, second, *rest = [*given, None, None][: max(len(given), 2)]
    first = first if given else _taken(options, "case", "density", "first")
    second = second if len(given) > 1 else _taken(options, "clouds", "points", "second")
    if second is None and not isinstance(first, Case):
        raise InputError(
            f"compare: found {as_found(first)} alone, expected a second argument: points, or a "
            "run, beside a run; Clouds and a folder beside a case"
        )
    if not isinstance(first, Case) and not isinstance(second, Clouds):
        first, second, options = _with_file(first, second, options, len(rest) > 1)
    chosen = _chosen(first, second)
    if chosen is not compare_clouds:
        rest, options = _timed(chosen, rest, options)
    _refuse_unknown(chosen, (first, second, *rest), options)
    return chosen(first, second, *rest, **options)


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


def _is_file(one: object) -> bool:
    return (
        isinstance(one, str | Path)
        and Path(one).suffix.lower() in TOKEN_FILES
        and not Path(one).is_dir()
    )


def _with_file(
    first: object, second: object, options: dict[str, object], weighted: bool
) -> tuple[object, object, dict[str, object]]:
    """A file of tokens by what it holds, after the run; weights that are given count."""
    if _is_file(first) and _is_file(second):
        raise InputError(
            f"compare: two files of tokens found, {first} and {second}, the run of a density "
            "expected beside one; mf.distance holds tokens against tokens"
        )
    if _is_file(first):
        first, second = second, first
    if not isinstance(first, Result | str | Path) or not isinstance(second, str | Path):
        return first, second, options
    if not _is_file(second):
        return first, second, options
    x, weights = tokens_for(first, second)
    return first, x, options if weighted else {"weights": weights} | options


def _timed(
    chosen: Callable[..., Compared], rest: list[object], options: dict[str, object]
) -> tuple[list[object], dict[str, object]]:
    """The time by the name that it has there."""
    name, other = ("time", "t") if chosen is compare_pair else ("t", "time")
    if name in options and other in options:
        raise InputError("compare: t and time found, which are the same: one of them expected")
    options = {name if key == other else key: value for key, value in options.items()}
    if chosen is compare_pair and len(rest) == 1 and name not in options:
        return [], {**options, name: rest[0]}
    return rest, options


def _refuse_unknown(
    chosen: Callable[..., Compared], given: Sequence[object], options: dict[str, object]
) -> None:
    known = inspect.signature(chosen)
    try:
        known.bind(*given, **options)
    except TypeError as error:
        raise InputError(
            f"compare: {error}; expected compare({', '.join(known.parameters)})"
        ) from None


def _taken(options: dict[str, object], *names: str) -> object:
    """The argument by one of its names, which is taken out."""
    return next((options.pop(name) for name in names if name in options), None)
