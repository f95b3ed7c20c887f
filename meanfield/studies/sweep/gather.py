"""From blocks to the table of a sweep: statistics over realisations at each point.

Realisations are taken in the order of their seeds, whoever made them and when.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.sweeptable import QUANTILES, Statistics, SweepTable
from meanfield.studies.sweep.blocks import Block, joined
from meanfield.studies.sweep.plan import Plan, Point
from meanfield.studies.sweepcurves import curves_of, scheme_times
from meanfield.studies.sweeptheory import cosines_of, theory_of

__all__ = ["Failure", "gathered", "half_time"]

_PAIR = "inner_product"
_CURVES = 10  # points of which curves are told


@dataclass(frozen=True)
class Failure:
    """A realisation that has failed.

    Attributes:
        point: in words.
        seed: of it.
        reason: why.
    """

    point: str
    seed: int
    reason: str


def gathered(plan: Plan, folder: Path) -> tuple[SweepTable, list[Failure]]:
    """The table, by the files of blocks that there are, and what has failed.

    Raises:
        InputError: there are none.
    """
    files = plan.block_files()
    found: list[_Reduced | None] = []
    failures: list[Failure] = []
    for point in plan.points:
        paths = [folder / name for name in files[point.index] if (folder / name).is_file()]
        if not paths:
            found.append(None)
            continue
        block = joined([Block.read(path) for path in paths], len(plan.times))
        failures += _failures(point, block)
        found.append(_reduced(block, plan.options.delta))
    if not any(found):
        raise InputError(f"{folder} has no finished realisations, expected some")
    return _table(plan, found), failures


def _failures(point: Point, block: Block) -> list[Failure]:
    seeds = enumerate(block.reasons, point.case.seed)
    return [Failure(point.words, seed, reason) for seed, reason in seeds if reason]


@dataclass(frozen=True, eq=False)
class _Reduced:
    """Statistics at one point: by column (7, k), mean, error, five quantiles; P (k,)."""

    finished: int
    failed: int
    columns: Mapping[str, Array]
    probability: Array | None


def _reduced(block: Block, delta: float) -> _Reduced:
    good = np.array([not reason for reason in block.reasons])
    columns = {name: _statistics(values[good]) for name, values in block.columns.items()}
    probability = None
    if _PAIR in block.columns and good.any():
        pair = block.columns[_PAIR][good].astype(np.float64)
        near = np.where(np.isnan(pair), np.nan, pair >= 1.0 - delta)
        probability = np.mean(near, axis=0)
    return _Reduced(len(good), int(np.count_nonzero(~good)), columns, probability)


def _statistics(values: Array) -> Array:
    """Mean, standard error and quantiles (7, k) over the rows; nan where there are none.

    Of what is not finite at some time in a realisation, nothing is told at that time.
    """
    values = values.astype(np.float64)
    count = len(values)
    out = np.full((2 + len(QUANTILES), values.shape[1]), np.nan)
    known = np.all(np.isfinite(values), axis=0) if count else np.zeros(values.shape[1], bool)
    some = values[:, known]
    if not some.size:
        return out
    out[0, known] = np.mean(some, axis=0)
    if count > 1:
        out[1, known] = np.std(some, axis=0, ddof=1) / math.sqrt(count)
    out[2:, known] = np.quantile(some, QUANTILES, axis=0)
    return out


def _table(plan: Plan, found: list[_Reduced | None]) -> SweepTable:
    number, outputs = len(plan.points), len(plan.times)
    names = list(dict.fromkeys(name for one in found if one for name in one.columns))
    columns = {}
    for name in names:
        values = np.full((number, 2 + len(QUANTILES), outputs), np.nan)
        for i, one in enumerate(found):
            if one is not None and name in one.columns:
                values[i] = one.columns[name]
        columns[name] = Statistics(values[:, 0], values[:, 1], values[:, 2:])
    times = np.array(plan.times)
    probability = np.full((number, outputs), np.nan)
    half = np.full((number, 2), np.nan)
    for i, one in enumerate(found):
        if one is not None and one.probability is not None:
            probability[i] = one.probability
            half[i] = half_time(times, one.probability, one.finished - one.failed)
    return SweepTable(
        axes=plan.axes,
        times=times,
        realisations=plan.seeds,
        finished=np.array([one.finished if one else 0 for one in found], dtype=np.int64),
        failed=np.array([one.failed if one else 0 for one in found], dtype=np.int64),
        columns=columns,
        delta=plan.options.delta,
        probability=probability,
        half=half[:, 0],
        half_error=half[:, 1],
        about=_about(plan),
    )


def half_time(times: Array, probability: Array, count: int) -> tuple[float, float]:
    """First time at which a probability is 1/2, and its standard error; nan: never.

    Linear between output times. The error is that of a fraction of ``count`` realisations, over
    the slope of P where it is within two such errors of 1/2.
    """
    reached = np.flatnonzero(probability >= 0.5)
    if not len(reached):
        return math.nan, math.nan
    k = int(reached[0])
    if k == 0:
        return float(times[0]), math.nan
    rise = probability[k] - probability[k - 1]
    if not rise > 0.0:  # the value before is not known
        return math.nan, math.nan
    at = times[k - 1] + (0.5 - probability[k - 1]) / rise * (times[k] - times[k - 1])
    # The slope where P is within two errors of 1/2: that of one interval is a matter of luck.
    error = 0.5 / math.sqrt(count)
    before = np.flatnonzero(probability[:k] <= 0.5 - 2.0 * error)
    after = np.flatnonzero(probability[k:] >= 0.5 + 2.0 * error)
    first = int(before[-1]) if len(before) else 0
    last = k + int(after[0]) if len(after) else len(times) - 1
    slope = (probability[last] - probability[first]) / (times[last] - times[first])
    return float(at), error / float(slope) if slope > 0.0 else math.nan


def _about(plan: Plan) -> dict[str, object]:
    """What else is told of a sweep: its title, the model at the first point, the case."""
    case = plan.points[0].case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        words = case.model.on(case.geometry).describe()
    cases, delta = [point.case for point in plan.points], plan.options.delta
    pairs = zip(theory_of(cases, delta), scheme_times(cases, delta), strict=True)
    theory = [plain if plain is not None else scheme for plain, scheme in pairs]
    told: dict[str, object] = {
        "title": plan.title, "model": words, "seed": case.seed, "theory": theory
    }  # fmt: skip
    ends = cosines_of(cases)
    if any(end is not None for end in ends):
        told["theory_end"] = ends
    return {**told, "curves": curves_of(cases)} if len(cases) <= _CURVES else told
