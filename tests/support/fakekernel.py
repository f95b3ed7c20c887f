"""A kernel of ensembles for tests: slow, exact, by the solver of tokens itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from meanfield.case import Case, Particles, batched
from meanfield.dynamics import ensembles
from meanfield.dynamics.ensembles.outcome import IntArray, Noise, Outcome, Watch
from meanfield.dynamics.ensembles.run import StartingTokens
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.batched.model import BatchedModel


def batched_model(case: Case) -> BatchedModel:
    """Attention of tokens; refuses others."""
    model, solver = case.model, case.solver
    if not isinstance(solver, Particles) or model.heads or solver.number is None:
        raise InputError("heads: not for this kernel")
    return BatchedModel(solver.number, case.geometry.d, model.attention == "sa", float(model.beta))


class FakeKernel:
    """Does what ``run_ensemble`` does; ``sizes`` are the batches that it was given.

    Realisations with the seeds in ``failing`` fail. ``stop_after``: batches, then Ctrl-C.
    """

    def __init__(self, failing: Sequence[int] = (), stop_after: int | None = None) -> None:
        self.failing, self.stop_after = failing, stop_after
        self.sizes: list[int] = []

    def run_ensemble(
        self, model: BatchedModel, tokens: StartingTokens, watch: Watch, *, noise: Noise,
        seeds: IntArray, tolerance: float | None,
    ) -> Outcome:  # fmt: skip
        if self.stop_after is not None and len(self.sizes) == self.stop_after:
            raise KeyboardInterrupt
        self.sizes.append(len(seeds))
        grams = np.array([self._grams(model, x, watch) for x in tokens.x])
        off = ~np.eye(model.n, dtype=bool)
        failed = np.isin(seeds, self.failing).astype(np.int64)
        pair = grams[:, :, 0, 1].copy()
        pair[failed > 0] = np.nan
        pairs = grams[:, :, off]
        return Outcome(
            columns={
                "inner_product": pair,
                "mean_inner_product": pairs.mean(axis=-1),
                "close": (pairs >= 1.0 - watch.delta).mean(axis=-1),
                "mean_norm": np.sqrt(grams.mean(axis=(2, 3))),
            },
            snapshots={"clusters": np.ones((len(seeds), len(watch.snapshots)))},
            histogram=np.zeros((len(seeds), len(watch.snapshots), 0), np.int64),
            states=grams[:, watch.snapshots] if watch.states else None,
            calls=np.ones(len(seeds), np.int64),
            failed=failed,
        )

    @staticmethod
    def _grams(model: BatchedModel, x: Array, watch: Watch) -> Array:
        kind = "sa" if model.normalised else "usa"
        solver = ParticleSolver(Attention(kind, model.beta, model.d), x)
        out = []
        for t in watch.times:
            while solver.t < t:
                solver.advance(float(t))
            out.append(solver.x @ solver.x.T)
        return np.array(out)


def install(monkeypatch: pytest.MonkeyPatch, kernel: FakeKernel) -> None:
    """Put it in the place of the kernel."""
    monkeypatch.setattr(batched, "batched_model", batched_model)
    monkeypatch.setattr(ensembles, "run_ensemble", kernel.run_ensemble)
