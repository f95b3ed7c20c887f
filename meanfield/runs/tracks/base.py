"""What a run of each kind measures, writes and needs to go on.

One time loop serves all solvers; a *track* stands between them. Knows nothing of when any of this
is due.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType

from meanfield.analysis.columns import Column, View, columns_of
from meanfield.analysis.pairlaw import PairLaw
from meanfield.case import Case
from meanfield.collective import Communicator
from meanfield.dynamics.solver import Solver
from meanfield.interaction.contract import AnyInteraction
from meanfield.results.folder import RunFolder
from meanfield.results.formats import (
    FieldFile,
    FieldSeries,
    Format,
    TokenFile,
    TokenSeries,
    format_named,
)
from meanfield.runs.tracks.pairs import PairRecord

__all__ = ["Track"]


class Track(ABC):
    """A solver with what is measured and written of it. Methods are collective unless said.

    Args:
        case: what is run.
        solver: with the initial state.

    Attributes:
        columns: of the series.
        before: what run.json has recorded before a resumption.
    """

    before: Mapping[str, object] = MappingProxyType({})

    def __init__(self, case: Case, solver: Solver) -> None:
        self.case, self.solver = case, solver
        self._file: FieldFile | TokenFile | None = None
        self.columns: tuple[Column, ...] = columns_of(self.view())
        bins = case.output.pairs
        self._pairs = PairRecord(bins, self._pair_law(bins)) if bins else None

    @property
    def comm(self) -> Communicator:
        """The ranks of the solver."""
        return self.solver.comm

    @property
    def format(self) -> Format:
        """Of the field file."""
        return format_named(self.case.output.format)

    @abstractmethod
    def view(self) -> View:
        """The current state, as columns see it."""

    @abstractmethod
    def _pair_law(self, bins: int) -> Callable[[], PairLaw]:
        """What gives the law of inner products of the current state; collective."""

    def note(self) -> None:
        """Note what the outcome, and pairs.csv, have to tell of the state; called at each row."""
        if self._pairs is not None:
            self._pairs.note(self.solver.t)

    def open(self, folder: RunFolder, resume_at: float | None) -> None:
        """Open the field file, and that of pairs. Rank 0 only."""
        if self._pairs is not None:
            self._pairs.open(folder.file(folder.pairs_path.name), resume_at)

    @abstractmethod
    def gathered(self) -> Callable[[], None]:
        """Gather what the field file needs of this state; gives what writes it on rank 0."""

    @abstractmethod
    def in_memory(self) -> FieldSeries | TokenSeries | None:
        """This state as the field file would hold it, in double precision; None on other ranks."""

    @property
    def written_until(self) -> float | None:
        """Time of the last step in the field file; None without one. Rank 0 only."""
        last = -math.inf if self._file is None else self._file.last_time
        return last if math.isfinite(last) else None

    def close(self) -> None:
        """Close these files. Rank 0 only."""
        if self._file is not None:
            self._file.close()
        if self._pairs is not None:
            self._pairs.close()

    def initial_notes(self) -> list[str]:
        """What should be known about the initial state. Not collective."""
        interaction = self.solver.interaction
        if interaction.energy_kind is None:
            return [f"no energy for this model: {interaction.why_no_energy}"]
        if interaction.has_double_energy:
            return []
        return [
            "energies of this interaction are no doubles: the series has them scaled, "
            f"energy_scaled = {interaction.energy_label}"
        ]

    def restored(self) -> list[str]:
        """Look at the state that the solver has been given; tells what should be known about it.

        Not collective.
        """
        return []

    def about(self) -> dict[str, object]:
        """For run.json, at the start. Rank 0 only."""
        interaction = self.solver.interaction
        return {
            "interaction": interaction.describe(),
            "convexity": interaction.convexity,
            "energy": _energy_record(interaction),
            "harmonic_degree": interaction.harmonics.degree if interaction.harmonics else None,
            **_series_record(interaction),
            "accuracy": interaction.epsilon,
        }

    def conclude(self) -> None:  # noqa: B027  (most have nothing to add)
        """Find what the outcome tells of the end alone: called there once, before ``outcome``."""

    def outcome(self) -> tuple[dict[str, object], list[str]]:
        """For run.json, at the end, and warnings. Not collective."""
        return {}, []

    def remember(self, before: Mapping[str, object]) -> None:
        """Take over what run.json has recorded before a resumption. Rank 0 only."""
        self.before = before


def _energy_record(interaction: AnyInteraction) -> dict[str, object] | None:
    """For run.json, how the scaled energy is written, and what it is at one Dirac; None: no such.

    (At one Dirac it may be infinite, or another at each point.)
    """
    if interaction.energy_kind is None:
        return None
    dirac = interaction.dirac_energy
    label = interaction.energy_label
    return {"label": label, "dirac": dirac if math.isfinite(dirac) else None}


def _series_record(interaction: AnyInteraction) -> dict[str, object]:
    """For run.json, what is left out of the interaction, where something is."""
    record: dict[str, object] = {}
    cut = interaction.truncation
    if cut is not None and not cut.exact:
        tail = cut.tail if math.isfinite(cut.tail) else None
        record["truncation"] = {"degree": cut.degree, "tail_l2": tail}
    if interaction.leaves_out_self and interaction.harmonics is None:
        why = "as asked for" if interaction.excludes_self else "the kernel is infinite at t = 1"
        record["self_term"] = f"left out: {why}"
    return record
