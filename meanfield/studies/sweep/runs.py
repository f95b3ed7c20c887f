"""One realisation by ``run``, with a folder of its own.

What is known of it is its series at the output times; of tokens also <x_1, x_2> and how many pairs
are close, which an observer adds to it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from meanfield.analysis.columns import Column, View
from meanfield.case import Case, FixedMesh, Tokens
from meanfield.collective import Alone, Communicator
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.runs.observers import Observer
from meanfield.runs.simulation import run
from meanfield.software import load_dolfinx, load_mpi
from meanfield.studies.sweep.blocks import Block

__all__ = ["RunTask", "run_folder_name"]

_LEFT_OUT = ("t", "step")  # no statistics are made of these
_ROWS = 512  # tokens whose pairs are looked at together


def run_folder_name(point: int, number: int, several: bool) -> str:
    """Name in the folder of a sweep of the folder of a run."""
    return f"points/{point:05d}" + (f"/seed-{number}" if several else "")


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
        reason, before = "", self._ended_before()
        series: Mapping[str, Array] = before or {}
        if before is None:
            try:
                series, reason = self._run()
            except (InputError, BrokenInvariantError) as error:
                reason = str(error)
        columns = {
            name: _at(times, series["t"], values)[None]
            for name, values in series.items()
            if name not in _LEFT_OUT
        }
        return Block(columns, [reason])

    def _ended_before(self) -> dict[str, Array] | None:
        """The series of the run in the folder, if there is one that came to its end."""
        try:
            folder = RunFolder.open(self.folder)
            ended = folder.read_run().get("stop_reason") in ("end", "stationary")
            return folder.read_series() if ended else None
        except InputError:
            return None

    def _run(self) -> tuple[Mapping[str, Array], str]:
        case = replace(self.case, output=replace(self.case.output, figures=False))
        watching = [_Pairs(self.delta)] if isinstance(case.solver, Tokens) else []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MeanfieldWarning)  # they are in the record of the run
            result = run(
                case,
                Path(self.folder),
                overwrite=True,
                progress=False,
                observers=watching,
                comm=_alone(isinstance(case.solver, FixedMesh)),
            )
        if result.stop_reason == "interrupted":
            raise KeyboardInterrupt
        good = result.stop_reason in ("end", "stationary")
        return result.series, "" if good else result.stop_reason


def _alone(meshed: bool) -> Communicator:
    """This process: others of an MPI pool do other runs. ``meshed``: by DOLFINx."""
    try:
        mpi = load_mpi()
    except ImportError:
        return Alone()
    if meshed and mpi.COMM_WORLD.size > 1:
        load_dolfinx(alone=True)
    own: Communicator = mpi.COMM_SELF
    return own


def _at(times: Sequence[float], t: Array, values: Array) -> Array:
    """A column of a series at output times; nan after its end.

    What is stationary from some time on stays as it is: a run that ended there has that value.
    """
    out = np.full(len(times), np.nan)
    for k, when in enumerate(times):
        near = int(np.argmin(np.abs(t - when)))
        if math.isclose(t[near], when, rel_tol=1e-9, abs_tol=1e-12):
            out[k] = values[near]
    return out


class _Pairs(Observer):
    """Adds <x_1, x_2> and the part of all pairs that are close to the series."""

    def __init__(self, delta: float) -> None:
        def close(view: View) -> float:
            return _close(_tokens(view), delta)

        self.columns = (
            Column("inner_product", "1", "<x_1, x_2> of the first two tokens", _first_two),
            Column("close", "1", f"Part of all pairs with <x_i, x_j> >= 1 - {delta:g}", close),
        )


def _tokens(view: View) -> Array:
    """(n, d)."""
    assert isinstance(view.solver, TokenSolver)
    return view.solver.x


def _first_two(view: View) -> float:
    x = _tokens(view)
    return float(x[0] @ x[1]) if len(x) > 1 else 1.0


def _close(x: Array, delta: float) -> float:
    n = len(x)
    if n < 2:
        return 1.0
    count = sum(
        int(np.count_nonzero(x[k : k + _ROWS] @ x.T >= 1.0 - delta)) for k in range(0, n, _ROWS)
    )
    return (count - n) / (n * (n - 1))
