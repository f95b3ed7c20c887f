"""Densities on a mesh, which stays or moves with the flow: their field files and their outcome."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping

import numpy as np

from meanfield.analysis.clusterwidth import resolution_of
from meanfield.analysis.columns import CharacteristicView, DensityView, View
from meanfield.analysis.pairlaw import PairLaw, law_of_power
from meanfield.analysis.peaks import PeakCounter
from meanfield.case import Case, Eulerian, Implicit
from meanfield.dynamics.density import DensitySolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import Estimate, LagrangianSolver
from meanfield.geometry.mesh import Mesh, edge_range
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldFile, FieldSeries
from meanfield.results.inmemory import fields_in_memory
from meanfield.runs.tracks.base import Track
from meanfield.runs.tracks.pairs import degree_for

__all__ = ["LOG_MOST", "DensityTrack", "LagrangianTrack"]

_NORMALISATION = "densities are relative to the uniform probability (uniform = 1)"
LOG_MOST = {"float32": 87.0, "float64": 690.0}
"""Log of the largest density that is written."""
_SHARE = 1e-6  # of the last quarter of a series in a potential, from which its end is told
_FAR = 2.0  # quotient of the mass that a density implies, and 1, from which it is told
_LATER = "4 to 11"  # errors of the mean after a later end than a chart was laid for, over its own
_UNRESOLVED = 0.1  # share of all mass in one vertex from which a cluster is narrower than the mesh


class _MeshTrack(Track):
    """A P1 density, whatever its mesh does."""

    solver: DensitySolver | LagrangianSolver
    moving: bool
    _may_be_unknown: tuple[str, ...] = ()  # fields that may be nan
    _file: FieldFile | None

    def __init__(
        self, case: Case, solver: DensitySolver | LagrangianSolver, mesh: Mesh | None
    ) -> None:
        super().__init__(case, solver)
        self.mesh = mesh
        self._share = 0.0  # largest share of the last degrees of a series that is cut

    def _pair_law(self, bins: int) -> Callable[[], PairLaw]:
        degree = self._pair_degree(bins)
        d = self.solver.interaction.d
        return lambda: law_of_power(self.view().power_to(degree), d, bins)

    @abstractmethod
    def _pair_degree(self, bins: int) -> int:
        """Degree up to which the power tells inner products of pairs. Collective."""

    def note(self) -> None:
        super().note()
        self._note_share()

    def _note_share(self) -> None:
        """Note how much the last degrees of a series carry. Collective."""
        self._share = max(self._share, self.solver.field().tail_share())

    @property
    def _written_mesh(self) -> Mesh | None:
        """The initial one of the file."""
        return self.mesh

    @property
    def _names(self) -> tuple[str, ...]:
        """Names of the fields in the file."""
        return self.case.output.fields

    def open(self, folder: RunFolder, resume_at: float | None) -> None:
        super().open(folder, resume_at)
        if not self._names:
            return
        mesh, output = self._written_mesh, self.case.output
        assert mesh is not None
        self._file = self.format.fields(
            folder.file(f"fields.{output.format}"),
            mesh,
            names={name: 3 if name == "velocity" else 1 for name in self._names},
            precision=output.precision,
            compression=output.compression,
            moving=self.moving,
            resume_at=resume_at,
        )

    def gathered(self) -> Callable[[], None]:
        t, gathered = self.solver.t, self._gathered()

        def write() -> None:
            if self._file is not None and t > self._file.last_time:
                values, mesh = gathered()
                here = {name: values[name] for name in self._names}
                self._file.write(t, here, mesh, self._may_be_unknown)

        return write

    def in_memory(self) -> FieldSeries | None:
        gathered = self._gathered()
        if self.comm.rank > 0:
            return None
        values, moved = gathered()
        mesh = self._written_mesh if moved is None else moved
        assert mesh is not None
        return fields_in_memory(self.solver.t, values, mesh)

    @abstractmethod
    def _gathered(self) -> Callable[[], tuple[Mapping[str, Array], Mesh | None]]:
        """Gather; gives what makes the fields of it, and where the mesh is if it moves."""

    def initial_notes(self) -> list[str]:
        error, notes = self.solver.initial_mass_error, super().initial_notes()
        if abs(error) <= 0.01:
            return notes
        return [
            *notes,
            f"{self._placed} the initial law a mass of {1 + error:.4g}, normalised to 1: this "
            "law is hardly resolved",
        ]

    @property
    def _placed(self) -> str:
        """What gives a mass, with its verb."""
        return "the mesh gives"

    def about(self) -> dict[str, object]:
        assert self.mesh is not None
        least, most = edge_range(self.mesh)
        counts = {"vertices": self.mesh.n_vertices, "cells": self.mesh.n_cells}
        mesh = {**counts, "h_min": least, "h_max": most}
        return {
            **super().about(),
            "mesh": mesh,
            "normalisation": _NORMALISATION,
            "balanced_degree": self.solver.balanced_degree,
        }

    def outcome(self) -> tuple[dict[str, object], list[str]]:
        solver, notes = self.solver, []
        record: dict[str, object] = {"dark_points": solver.dark_points}
        if solver.interaction.energy_kind is not None:
            violations = int(self._earlier("energy_violations")) + solver.energy_violations
            largest = max(self._earlier("largest_energy_violation"), solver.energy_violation)
            record |= {"energy_violations": violations, "largest_energy_violation": largest}
        if solver.energy_violations:
            notes.append(
                f"E moved the wrong way in {solver.energy_violations} of {solver.step} steps, by "
                f"up to {solver.energy_violation:.1e} of its value"
            )
        cut = solver.interaction.truncation
        if cut is not None and not cut.exact:
            share = max(self._share, self._earlier("series_share"))
            record["series_share"] = share
            notes += _series_notes(solver.interaction, share)
        return record, notes

    def _earlier(self, name: str) -> float:
        """A number that run.json has recorded before a resumption; 0 if it has not."""
        value = self.before.get(name, 0.0)
        return float(value) if isinstance(value, int | float) else 0.0


class DensityTrack(_MeshTrack):
    """A P1 density on a mesh that stays."""

    solver: DensitySolver
    moving = False

    def __init__(self, case: Case, solver: DensitySolver, mesh: Mesh | None) -> None:
        self._counter = PeakCounter(mesh) if mesh is not None else None
        self._unresolved_from: float | None = None
        super().__init__(case, solver, mesh)

    def view(self) -> View:
        return DensityView(self.solver, self._counter)

    def _pair_degree(self, bins: int) -> int:
        space = self.solver.space
        return degree_for(bins, space.manifold.dimension, space.n_global)

    def note(self) -> None:
        super().note()
        if self.solver.fullest() > _UNRESOLVED and self._unresolved_from is None:
            self._unresolved_from = self.solver.t

    def _gathered(self) -> Callable[[], tuple[Mapping[str, Array], Mesh | None]]:
        space = self.solver.space
        rho = space.gather(self.solver.rho)
        velocity = space.gather(self.solver.velocity()) if "velocity" in self._names else None

        def fields() -> tuple[Mapping[str, Array], Mesh | None]:
            assert rho is not None
            with np.errstate(divide="ignore"):
                values = {"rho": rho, "log10_rho": np.log10(rho)}
            return values | ({} if velocity is None else {"velocity": velocity}), None

        return fields

    def about(self) -> dict[str, object]:
        tail: dict[str, object] = {}
        if self.solver.tail > 0.0:
            tail = {"tail": {"closed_beyond": self._cut_at, "kappa_2": self.solver.tail}}
        elif why := self._left_open:
            tail = {"tail": {"left_open": why}}
        return {**super().about(), **tail, "sweep_threads": self.solver.threads}

    @property
    def _left_open(self) -> str:
        """Why a tail is not closed that should be; "" where there is none."""
        options = self.case.solver
        wanted = isinstance(options, Eulerian | Implicit) and options.tail != "cut"
        return self.solver.interaction.open_tail if wanted else ""

    @property
    def _cut_at(self) -> int:
        """Degree at which a series is cut whose tail is closed."""
        cut = self.solver.interaction.truncation
        assert cut is not None
        return cut.degree

    def initial_notes(self) -> list[str]:
        notes, tail = super().initial_notes(), self.solver.tail
        resolution = resolution_of(self.case)
        if resolution is not None and resolution.note:
            notes.append(resolution.note)
        if tail > 0.0:
            notes.append(
                f"tail closed beyond degree {self._cut_at}: what the mesh does not resolve of the "
                f"interaction acts as a local repulsion, {tail:.3g} rho^2/2 in the energy "
                '(solver.tail = "cut": not at all)'
            )
        elif why := self._left_open:
            notes.append(
                f"what the mesh does not resolve of a repulsion is left out, as {why}: without "
                "noise nothing determines the density there"
            )
        return notes

    def remember(self, before: Mapping[str, object]) -> None:
        super().remember(before)
        known = before.get("unresolved_from")
        self._unresolved_from = known if isinstance(known, int | float) else None

    def outcome(self) -> tuple[dict[str, object], list[str]]:
        solver = self.solver
        record, notes = super().outcome()
        if self._unresolved_from is not None:
            notes.append(
                f"from t = {self._unresolved_from:.4g} on, one vertex holds more than "
                f"{_UNRESOLVED:.0%} of all mass: clusters are narrower than the mesh there, and "
                "their further motion is not resolved"
            )
        record["unresolved_from"] = self._unresolved_from
        if isinstance(solver, ImplicitSolver):
            record |= {"largest_linear_residual": solver.residual, "linear_solves": solver.solves}
        steps = {"rejected_steps": solver.rejected + solver.refused}
        steps["rejected_for_energy"] = solver.refused
        record |= {name: number + int(self._earlier(name)) for name, number in steps.items()}
        return record, notes


class LagrangianTrack(_MeshTrack):
    """A P1 density on a mesh that moves with the flow."""

    solver: LagrangianSolver
    moving = True
    _folded_from: tuple[float, float] | None = None  # time, and the mass that rho implied
    _written_on = "moved mesh"
    _estimate: Estimate | None = None  # of errors, at the end

    def view(self) -> View:
        return CharacteristicView(self.solver)

    def implied_mass(self) -> float:
        """Integral of the P1 density over the moved mesh."""
        return CharacteristicView(self.solver).implied_mass

    def _pair_degree(self, bins: int) -> int:
        return degree_for(bins, self.solver.manifold.dimension)

    def note(self) -> None:
        super().note()
        if self._folded_from is None:
            implied = self.implied_mass()
            if not 1.0 / _FAR < implied < _FAR:
                self._folded_from = (self.solver.t, implied)

    def remember(self, before: Mapping[str, object]) -> None:
        super().remember(before)
        if "rho_unresolved_from" in before:
            known = (self._earlier(f"rho_{name}") for name in ("unresolved_from", "implied_mass"))
            self._folded_from = next(known), next(known)

    @property
    def _placed(self) -> str:
        origin = self.solver.origin
        if origin.kind == "mesh":
            return super()._placed
        rule = "cells" if origin.kind == "cells" else "a rule"
        return f"the points ({rule} at t = {origin.time:.4g}) give"

    @property
    def _names(self) -> tuple[str, ...]:
        fields = self.case.output.fields
        return (*fields, "mass", "length") if self.solver.has_lengths else (*fields, "mass")

    def _gathered(self) -> Callable[[], tuple[Mapping[str, Array], Mesh | None]]:
        solver = self.solver
        velocity = solver.velocity() if "velocity" in self._names else None
        mesh, log_rho, mass = solver.moved_mesh(), solver.log_density(), solver.mass
        lengths = solver.lengths() if solver.has_lengths else None

        def fields() -> tuple[Mapping[str, Array], Mesh | None]:
            # A collapsed cluster has a density beyond all numbers; log10_rho goes on.
            rho = np.exp(np.minimum(log_rho, LOG_MOST[self.case.output.precision]))
            values = {"rho": rho, "log10_rho": log_rho / math.log(10.0), "mass": mass}
            if velocity is not None:
                values["velocity"] = mesh.manifold.settled_velocity(mesh.points, velocity)
            if lengths is not None:
                values["length"] = lengths
            return values, mesh

        return fields

    def about(self) -> dict[str, object]:
        most = math.exp(LOG_MOST[self.case.output.precision])
        origin = self.solver.origin
        placed: dict[str, object] = {"start": origin.kind, "points": self.solver.n}
        if origin.kind != "mesh":
            placed["chart_time"] = origin.time
        placed["collapsed_edge"] = CharacteristicView(self.solver).near
        return {**super().about(), "largest_rho_written": most, **placed}

    def restored(self) -> list[str]:
        origin, end, notes = self.solver.origin, self.case.time.end, super().restored()
        if origin.kind == "mesh":
            return notes
        if self.moving and self.mesh is not None:
            self.mesh = self.solver.reference
        if end > origin.end:
            notes.append(
                f"the points were laid for time.end = {origin.end:g}: at {end:g} the mean is "
                f"{_LATER} times less accurate than that of a new run, whose points are laid for it"
            )
        return notes

    def conclude(self) -> None:
        origin = self.solver.origin
        if origin.error is not None and origin.kind != "mesh":
            self._estimate = origin.error()

    def outcome(self) -> tuple[dict[str, object], list[str]]:
        solver = self.solver
        record, notes = super().outcome()
        record |= {
            "rejected_steps": solver.rejected,
            "different_points": solver.points,
            "merge_error": solver.merge_error,
        }
        if self._estimate is not None:
            record["estimated_error"] = dict(self._estimate.errors)
            if self._estimate.why:
                notes.append(f"no estimate of the error by the points: {self._estimate.why}")
        elif "estimated_error" in self.before:
            record["estimated_error"] = None  # that was of an earlier end
        if self._folded_from is not None:
            t, implied = self._folded_from
            record |= {"rho_unresolved_from": t, "rho_implied_mass": implied}
            notes.append(
                f"from t = {t:.4g} on, the {self._written_on} does not resolve the density: its "
                f"integral was {implied:.3g} and not 1. rho is that at the vertices, no more; "
                "masses, moments and energies are not made of it"
            )
        return record, notes


def _series_notes(interaction: AnyInteraction, share: float) -> list[str]:
    """Warning of a series that is cut where it still matters."""
    cut = interaction.truncation
    if cut is None or cut.exact or share <= _SHARE:
        return []
    return [
        f"the series of the interaction ({interaction.describe()}) is cut at degree {cut.degree}, "
        f"which the mesh resolves: its last quarter carried up to {share:.1e} of the potential; a "
        "finer mesh carries more"
    ]
