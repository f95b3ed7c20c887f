"""Blocks of realisations by the kernel of ensembles.

Knows which cases it takes (``case.batched`` says so) and where tokens start. Realisation k is what
a run of the case with the seed ``case.seed + k`` is: it has the same tokens at t = 0.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from meanfield.case import TOKEN_KINDS, Case, Particles, Tokens, batched
from meanfield.dynamics import ensembles
from meanfield.dynamics.ensembles import FAILURES, Noise, Outcome, StartingTokens, Watch
from meanfield.dynamics.tokens import tokens_of_block
from meanfield.errors import InputError
from meanfield.geometry.laws import Law, law_to_spec
from meanfield.interaction.batched.model import BatchedModel
from meanfield.studies.sweep.blocks import Block, in_words, joined

__all__ = ["KernelTask", "seconds_each", "suited"]

_MOST_BYTES = 1 << 27  # of initial tokens that are in memory at a time
_SNAPSHOTS = 16  # output times, at most, at which energies and clusters are counted
_TRIED = 8  # realisations that are timed for an estimate


def suited(case: Case) -> tuple[BatchedModel | None, str]:
    """The model as the kernel takes it; or None, and why it does not."""
    if not isinstance(case.solver, Tokens):
        return None, f"solver.type = {case.solver.type}: no tokens"
    if case.solver.tokens not in TOKEN_KINDS:
        return None, "solver.tokens: they come from a file"
    try:
        return batched.batched_model(case), ""
    except InputError as error:
        return None, str(error)


@dataclass(frozen=True, eq=False)
class KernelTask:
    """Realisations of a case: ``count`` of them, the first one has the seed ``first``."""

    case: Case
    model: BatchedModel
    first: int
    count: int
    delta: float
    states: bool

    def run(self) -> Block:
        """Do all of them."""
        most = max(1, _MOST_BYTES // (8 * self.model.n * self.model.d))
        parts = [
            self._part(self.first + k, min(most, self.count - k))
            for k in range(0, self.count, most)
        ]
        return joined(parts, len(self.case.output_times()))

    def _part(self, first: int, count: int) -> Block:
        try:
            return self._computed(first, count)
        except OSError:
            raise
        except Exception as error:  # it harms no other block, whatever it is
            return Block({}, [in_words(error)] * count)

    def _computed(self, first: int, count: int) -> Block:
        watch = _watch(self.case, self.delta, self.states)
        seeds = first + np.arange(count, dtype=np.int64)
        outcome = ensembles.run_ensemble(
            self.model, _tokens(self.case, first, count), watch, noise=_noise(self.case),
            seeds=seeds, tolerance=_tolerance(self.case),
        )  # fmt: skip
        return _as_block(outcome, watch)


def _noise(case: Case) -> Noise:
    solver, kappa = case.solver, case.model.kappa
    assert isinstance(solver, Particles) and isinstance(kappa, float)
    return Noise(kappa, solver.common_noise, solver.common_seed, solver.dt)


def _tolerance(case: Case) -> float | None:
    """That of the case where it is tighter than usual: the kernel's is for inner products to 1e-4.

    With noise, steps do not follow an error.
    """
    assert isinstance(case.solver, Particles)
    rtol = case.solver.rtol
    return max(rtol, 1e-12) if rtol < Particles().rtol and not _noise(case).acts else None


def _watch(case: Case, delta: float, states: bool) -> Watch:
    assert isinstance(case.solver, Tokens)
    times = np.array(case.output_times())
    places = np.linspace(0, len(times) - 1, min(len(times), _SNAPSHOTS))
    return Watch(
        times=times,
        snapshots=np.unique(np.round(places).astype(np.int64)),
        delta=delta,
        cluster_angle=case.solver.cluster_angle,
        states=states,
    )


def _as_block(outcome: Outcome, watch: Watch) -> Block:
    """Numbers in float32, as the kernel's own state is; what is counted at snapshots is nan
    between them."""
    columns = {name: v.astype(np.float32) for name, v in outcome.columns.items()}
    for name, values in outcome.snapshots.items():
        counted = np.full((len(outcome.failed), len(watch.times)), np.nan, np.float32)
        counted[:, watch.snapshots] = values
        columns[name] = counted
    reasons = [FAILURES[k] for k in outcome.failed]
    return Block(columns, reasons, outcome.states, watch.snapshots)


def _tokens(case: Case, first: int, count: int) -> StartingTokens:
    """Initial tokens (count, n, d): drawn once for all points that have the same law and n."""
    solver = case.solver
    assert isinstance(solver, Tokens) and solver.number is not None
    start = _Start(case.initial, solver.number, str(solver.tokens), solver.cosine)
    return _drawn(start, first, count)


@dataclass(frozen=True, eq=False)
class _Start:
    """A law and how tokens are taken from it; two are equal where their tables are."""

    law: Law
    n: int
    kind: str
    cosine: float | None

    def _key(self) -> tuple[str, int, int, str, float | None]:
        try:
            told = repr(law_to_spec(self.law))
        except InputError:  # made in Python
            told = f"object {id(self.law)}"
        return told, self.law.d, self.n, self.kind, self.cosine

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Start) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@lru_cache(maxsize=1)
def _drawn(start: _Start, first: int, count: int) -> StartingTokens:
    seeds = range(first, first + count)
    return StartingTokens(tokens_of_block(start.law, start.n, seeds, start.kind, start.cosine))


def seconds_each(tasks: Sequence[KernelTask]) -> float:
    """Seconds a realisation takes on average, by a few of three tasks that are timed."""
    if not tasks:
        return 0.0
    chosen = [tasks[k] for k in sorted({0, len(tasks) // 2, len(tasks) - 1})]
    spent = []
    for task in chosen:
        few = KernelTask(task.case, task.model, task.first, _TRIED, task.delta, False)
        few.run()  # which compiles, if need be
        begun = time.perf_counter()
        few.run()
        spent.append((time.perf_counter() - begun) / _TRIED)
    return float(np.mean(spent))
