"""One realisation by ``run``, with a folder of its own.

What is known of it is its series at the output times; of tokens also <x_1, x_2> and how many pairs
are close, which an observer adds to it.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.analysis.columns import Column, View
from meanfield.case import Case, FixedMesh, Tokens
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.errors import MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.runs.observers import Observer
from meanfield.runs.tracks import make_track
from meanfield.studies.ended import GOOD, STATIONARY, alone, ended_before, run_in, undrawn
from meanfield.studies.sweep.blocks import Block, in_words

__all__ = ["RUNS", "RunTask", "begun_seconds", "run_folder_name"]

_LEFT_OUT = ("t", "step")  # no statistics are made of these
_ROWS = 512  # tokens whose pairs are looked at together


_SHOWN = 2.0  # seconds for which a run is begun to see how long it takes

RUNS = "points"


def run_folder_name(point: int, number: int) -> str:
    """Name in the folder of a sweep of the folder of a run."""
    return f"{RUNS}/{point:05d}/seed-{number}"


@dataclass(frozen=True)
class RunTask:
    """One realisation.

    Attributes:
        case: with the seed of this realisation.
        folder: for the run; one that ended there is not run again.
        delta: of pairs that are close.
    """

    case: Case
    folder: str
    delta: float

    def run(self) -> Block:
        """Run it.

        Raises:
            KeyboardInterrupt: it was interrupted.
        """
        times = self.case.output_times()
        case = undrawn(self.case)
        stop, series = ended_before(case, self.folder)
        if stop is None:
            try:
                stop, series = self._run(case)
            except OSError:
                raise  # a full disk is no failure of this realisation
            except Exception as error:  # it harms no other realisation, whatever it is
                stop = in_words(error)
        reason = "" if stop in GOOD else stop
        columns = {
            name: _at(times, series["t"], values, stop == STATIONARY)[None]
            for name, values in series.items()
            if name not in _LEFT_OUT
        }
        return Block(columns, [reason])

    def _run(self, case: Case) -> tuple[str, Mapping[str, Array]]:
        watching = [_Pairs(self.delta)] if isinstance(case.solver, Tokens) else []
        return run_in(case, self.folder, watching)


def begun_seconds(case: Case) -> float:
    """Seconds that a run takes, by its first steps: as if all time went by as in these.

    Nothing is written. Steps that grow make it shorter, steps that shrink longer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeanfieldWarning)
        begun = time.perf_counter()
        solver = make_track(case, alone(isinstance(case.solver, FixedMesh))).solver
        solver.advance(case.time.end)  # with what has to be compiled
        first, steps_from = solver.t, time.perf_counter()
        while solver.t < case.time.end and time.perf_counter() - begun < _SHOWN:
            solver.advance(case.time.end)
        now = time.perf_counter()
    if solver.t > first:
        return (now - steps_from) * case.time.end / (solver.t - first)
    return (now - begun) * case.time.end / solver.t


def _at(times: Sequence[float], t: Array, values: Array, stays: bool) -> Array:
    """A column of a series at output times; after its end nan, or what it was if it ``stays``."""
    out = np.full(len(times), np.nan)
    if stays:
        out[np.asarray(times) > t[-1]] = values[-1]
    for k, when in enumerate(times):
        near = int(np.argmin(np.abs(t - when)))
        if math.isclose(t[near], when, rel_tol=1e-9, abs_tol=1e-12):
            out[k] = values[near]
    return out


class _Pairs(Observer):
    """Adds <x_1, x_2>, the mean of all and the part of pairs that are close to the series."""

    def __init__(self, delta: float) -> None:
        def close(view: View) -> float:
            return _close(_tokens(view), delta)

        self.columns = (
            Column("inner_product", "1", "<x_1, x_2> of the first two tokens", _first_two),
            Column("mean_inner_product", "1", "Mean of <x_i, x_j> over all pairs", _mean_product),
            Column("close", "1", f"Part of all pairs with <x_i, x_j> >= 1 - {delta:g}", close),
        )


def _tokens(view: View) -> Array:
    """(n, d)."""
    assert isinstance(view.solver, TokenSolver)
    return view.solver.x


def _first_two(view: View) -> float:
    x = _tokens(view)
    return float(x[0] @ x[1]) if len(x) > 1 else 1.0


def _mean_product(view: View) -> float:
    x = _tokens(view)
    n, total = len(x), x.sum(axis=0)
    return float((total @ total - n) / (n * (n - 1))) if n > 1 else 1.0


def _close(x: Array, delta: float) -> float:
    n = len(x)
    if n < 2:
        return 1.0
    count = sum(
        int(np.count_nonzero(x[k : k + _ROWS] @ x.T >= 1.0 - delta)) for k in range(0, n, _ROWS)
    )
    return (count - n) / (n * (n - 1))
