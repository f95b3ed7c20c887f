"""Tokens, in continuous time or layer by layer. One process; threads share the work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.analysis.columns import TokenView, View
from meanfield.analysis.pairlaw import PairLaw, TokenPairs
from meanfield.case import TOKEN_KINDS, Case, Gaussians, Tokens
from meanfield.case.normalisation import Normalisation
from meanfield.dynamics.clusters import cluster_labels
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.tokenfiles import read_tokens
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.errors import InputError
from meanfield.geometry.mesh import IntArray
from meanfield.results.folder import RunFolder
from meanfield.results.formats import TokenFile, TokenSeries
from meanfield.results.inmemory import tokens_in_memory
from meanfield.runs.tracks.base import Track

__all__ = ["TokenTrack"]

_SAME = 1e-9  # difference of coordinates below which tokens of a file are as they were


class TokenTrack(Track):
    """Tokens with their clusters."""

    solver: TokenSolver
    _file: TokenFile | None
    _counter: TokenPairs | None = None

    def __init__(self, case: Case, solver: TokenSolver) -> None:
        assert isinstance(case.solver, Tokens | Gaussians)
        self.angle = case.solver.cluster_angle
        self._labels: tuple[float, IntArray] | None = None  # and their time
        super().__init__(case, solver)

    def _clusters(self) -> IntArray:
        if self._labels is None or self._labels[0] != self.solver.t:
            self._labels = (self.solver.t, cluster_labels(self.solver.x, self.angle))
        return self._labels[1]

    def view(self) -> View:
        return TokenView(self.solver, self._clusters)

    def _pair_law(self, bins: int) -> Callable[[], PairLaw]:
        try:
            self._counter = counter = TokenPairs(self.solver.weights, bins, self.case.seed)
        except InputError as error:
            raise InputError(f"output.pairs: {error}") from None
        return lambda: counter.law(self.solver.x)

    def open(self, folder: RunFolder, resume_at: float | None) -> None:
        super().open(folder, resume_at)
        output = self.case.output
        has_lengths = self.solver.lengths is not None
        open_file = self.format.tokens_with_lengths if has_lengths else self.format.tokens
        self._file = open_file(
            folder.file(f"particles.{output.format}"),
            self.solver.d,
            self.solver.n,
            masses=self.solver.weights,
            precision=output.precision,
            compression=output.compression,
            resume_at=resume_at,
            coordinates=output.coordinates,
        )

    def gathered(self) -> Callable[[], None]:
        solver = self.solver
        t, x, labels, velocity = solver.t, solver.x.copy(), self._clusters(), solver.velocity()
        lengths = solver.lengths

        def write() -> None:
            if self._file is not None and t > self._file.last_time:
                self._file.write(t, x, labels, velocity, lengths)

        return write

    def in_memory(self) -> TokenSeries:
        solver, velocity = self.solver, self.solver.velocity()
        return tokens_in_memory(
            solver.t, solver.x.copy(), solver.weights, self._clusters(), velocity, solver.lengths
        )

    def initial_notes(self) -> list[str]:
        notes, tangents = super().initial_notes(), self.solver.tangents
        if self.solver.interaction.energy_kind is not None and not self.solver.has_energy:
            notes = ["no energy for this model: attention is that of tokens as long as they are"]
        notes = [*notes, *self._centred_notes()]
        if tangents is None or tangents.exact:
            return notes
        return [
            *notes,
            f"jacobian_norm and lyapunov are of {len(tangents.vectors)} random directions: at most "
            "what they are of all",
        ]

    def _centred_notes(self) -> list[str]:
        """That tokens of a file are not those of the file."""
        scheme, options = self.case.model.normalisation, self.case.solver
        assert isinstance(options, Tokens)
        centred = isinstance(scheme, Normalisation) and scheme.centre
        if not centred or options.tokens in TOKEN_KINDS:
            return []
        path, solver = str(options.tokens), self.solver
        given = read_tokens(path, solver.d, options.number, options.normalise).x
        change = float(np.abs(given - solver.x).max())
        if change <= _SAME:
            return []
        return [
            f"tokens of {path} begin at their projections to the hyperplane that is orthogonal to "
            f"(1, ..., 1), which differ by up to {change:.3g}: model.normalisation.centre = true"
        ]

    def about(self) -> dict[str, object]:
        about = {**super().about(), "tokens": self.solver.n, "cluster_angle": self.angle}
        tangents = self.solver.tangents
        if tangents is not None:
            about["tangents"] = {"number": len(tangents.vectors), "exact": tangents.exact}
        if self._counter is not None:
            about["pairs"] = {"number": self._counter.number, "sampled": self._counter.sampled}
        return about if self.solver.has_energy else {**about, "energy": None}

    def outcome(self) -> tuple[dict[str, object], list[str]]:
        solver = self.solver
        if not isinstance(solver, ParticleSolver):
            return {}, []
        return {"rejected_steps": solver.rejected, "different_points": solver.points}, []
