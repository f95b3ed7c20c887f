"""What a run of each kind measures, writes and needs to go on: densities and tokens.

One time loop (``simulation``) serves all solvers; a *track* stands between them. Owns which solver
a case asks for, the columns of its series, its field file and the form of its checkpoint; knows
nothing of when any of this is due.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from meanfield.analysis.diagnostics import (
    PeakCounter,
    characteristic_diagnostics,
    density_diagnostics,
    diagnostic_names,
    token_diagnostic_names,
    token_diagnostics,
)
from meanfield.case import Case, Density, Implicit, Lagrangian, Layers, Particles, Tokens
from meanfield.collective import everywhere, on_root
from meanfield.dynamics.clusters import cluster_labels
from meanfield.dynamics.eulerian import EulerianSolver, EulerianState
from meanfield.dynamics.implicit import ImplicitSolver, ImplicitState
from meanfield.dynamics.lagrangian import LagrangianSolver, LagrangianState
from meanfield.dynamics.layers import LayerSolver, LayerState
from meanfield.dynamics.particles import ParticleSolver, ParticleState
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.tokens import initial_tokens
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.mesh import Mesh, inspect_mesh
from meanfield.interaction.interaction import Interaction
from meanfield.results.fields import FieldWriter
from meanfield.results.folder import RunFolder
from meanfield.results.tokens import TokenWriter
from meanfield.software import load_dolfinx

__all__ = [
    "DensityTrack",
    "LagrangianTrack",
    "TokenTrack",
    "Track",
    "make_interaction",
    "make_track",
    "token_solver",
]

_NORMALISATION = "densities are relative to the uniform probability (uniform = 1)"
_LOG_MOST = {"float32": 87.0, "float64": 690.0}  # log of the largest density that is written
_SHARE = 1e-6  # of the last quarter of a series in a potential, from which its end is told
_UNRESOLVED = 0.1  # share of all mass in one vertex from which a cluster is narrower than the mesh


class Track(ABC):
    """A solver with what is measured and written of it. Methods are collective unless said.

    Attributes:
        solver: with ``t``, ``step``, ``dt``, ``advance``, ``timings``, ``state`` and ``restore``.
        comm: the communicator of the solver.
        columns: names in a row of the series.
        before: what run.json has recorded before a resumption.
        share: largest share of the last degrees of a series that is cut (``Field.tail_share``).
    """

    solver: Any
    comm: Any
    columns: tuple[str, ...]
    before: Mapping[str, Any] = MappingProxyType({})
    share: float = 0.0

    @abstractmethod
    def row(self) -> dict[str, float]:
        """The diagnostics of the current state.

        Raises:
            BrokenInvariantError: one is not finite. On every rank.
        """

    @abstractmethod
    def check(self) -> None:
        """The solver checks its own steps; this is for what came between them.

        Raises:
            BrokenInvariantError: on every rank.
        """

    @abstractmethod
    def speed(self) -> float:
        """Root mean square speed over the mass."""

    @abstractmethod
    def snapshot(self) -> Any:
        """What ``write`` needs, on rank 0."""

    @abstractmethod
    def open(self, folder: RunFolder, resume_at: float | None) -> None:
        """Open the field file. Rank 0 only."""

    @abstractmethod
    def write(self, t: float, snapshot: Any) -> None:
        """Write one time to the field file. Rank 0 only."""

    @abstractmethod
    def close(self) -> None:
        """Close the field file. Rank 0 only."""

    @abstractmethod
    def saved_state(self, saved: dict[str, Any]) -> Any:
        """The solver's state from what a checkpoint holds. Rank 0 only.

        Raises:
            InputError: the checkpoint is of another run.
        """

    def initial_notes(self) -> list[str]:
        """What should be known about the initial state. Not collective."""
        return []

    def about(self) -> dict[str, Any]:
        """For run.json, at the start. Rank 0 only."""
        interaction = self.solver.interaction
        dirac = interaction.dirac_energy
        return {
            "interaction": interaction.describe(),
            "convexity": interaction.convexity,
            "energy": {
                "label": interaction.energy_label,
                "dirac": dirac if math.isfinite(dirac) else None,
            },
            "harmonic_degree": interaction.harmonics.degree if interaction.harmonics else None,
            **_series_record(interaction),
            "accuracy": interaction.epsilon,
        }

    def outcome(self) -> tuple[dict[str, Any], list[str]]:
        """For run.json, at the end, and warnings. Not collective."""
        return {}, []

    def remember(self, before: dict[str, Any]) -> None:
        """Take over what run.json has recorded before a resumption. Rank 0 only."""
        self.before = before

    def _see_series(self) -> None:
        """Note how much the end of the series matters now. Collective."""
        self.share = max(self.share, self.solver.field().tail_share())

    def _series_outcome(self) -> tuple[dict[str, Any], list[str]]:
        """For run.json and the warnings: what the end of the series has meant."""
        cut = self.solver.interaction.truncation
        if cut is None or cut.exact:
            return {}, []
        share = max(self.share, float(self.before.get("series_share", 0.0)))
        return {"series_share": share}, _series_notes(self.solver.interaction, share)


# ------------------------------------------------------------------ densities


def _mass_notes(error: float) -> list[str]:
    """What to say of nodal weights that integrate the initial law to 1 + ``error``."""
    if abs(error) <= 0.01:
        return []
    return [
        f"the mesh gives the initial law a mass of {1 + error:.4g}, normalised to 1: it hardly "
        "resolves this law"
    ]


def _energy_notes(solver: EulerianSolver | ImplicitSolver | LagrangianSolver) -> list[str]:
    if not solver.energy_violations:
        return []
    return [
        f"E moved the wrong way in {solver.energy_violations} of {solver.step} steps, by up to "
        f"{solver.energy_violation:.1e} of its value"
    ]


def _energy_record(
    solver: EulerianSolver | ImplicitSolver | LagrangianSolver, before: Mapping[str, Any]
) -> dict[str, Any]:
    """Steps in the wrong direction, those before a resumption included."""
    many, largest = "energy_violations", "largest_energy_violation"
    return {
        many: before.get(many, 0) + solver.energy_violations,
        largest: max(before.get(largest, 0.0), solver.energy_violation),
    }


def _mesh_record(mesh: Mesh) -> dict[str, Any]:
    report = inspect_mesh(mesh)
    return {name: getattr(report, name) for name in ("vertices", "cells", "h_min", "h_max")}


class DensityTrack(Track):
    """A P1 density on a mesh."""

    def __init__(
        self, case: Case, solver: EulerianSolver | ImplicitSolver, mesh: Mesh | None
    ) -> None:
        self.case, self.solver, self.mesh = case, solver, mesh
        space = solver.space
        self.comm = space.comm
        self.columns = (
            "t",
            "step",
            "dt",
            *diagnostic_names(space.manifold.moments, solver.kappa > 0.0),
        )
        self._counter = PeakCounter(mesh) if mesh is not None else None
        self._fields: FieldWriter | None = None
        self._unresolved_from: float | None = None

    def row(self) -> dict[str, float]:
        solver = self.solver
        row = {"t": solver.t, "step": float(solver.step), "dt": solver.dt}
        row |= density_diagnostics(solver, self._counter)
        self._see_series()
        # E itself may be beyond all floats, and only rank 0 counts clusters.
        _refuse_non_finite(row, {"energy", "free_energy", "clusters"})
        (fullest,) = solver.space.max(float(np.max(solver.weights * solver.rho, initial=0.0)))
        if fullest > _UNRESOLVED and self._unresolved_from is None:
            self._unresolved_from = solver.t
        return row

    def check(self) -> None:
        solver = self.solver
        (bad,) = solver.space.sum(
            float(np.count_nonzero(~(np.isfinite(solver.rho) & (solver.rho >= 0.0))))
        )
        if bad:
            raise BrokenInvariantError(
                f"density negative or not finite at {int(bad)} vertices at t = {solver.t:.6g}"
            )

    def speed(self) -> float:
        return self.solver.speed()

    def snapshot(self) -> Any:
        space = self.solver.space
        rho, velocity = space.gather(self.solver.rho), None
        if "velocity" in self.case.output.fields:
            velocity = space.gather(self.solver.velocity())
        return rho, velocity

    def open(self, folder: RunFolder, resume_at: float | None) -> None:
        output = self.case.output
        if not output.fields:
            return
        assert self.mesh is not None
        self._fields = FieldWriter(
            folder.fields_path,
            self.mesh,
            names={name: 3 if name == "velocity" else 1 for name in output.fields},
            precision=output.precision,
            compression=output.compression,
            resume_at=resume_at,
        )

    def write(self, t: float, snapshot: Any) -> None:
        if self._fields is None or t <= self._fields.last_time:
            return
        rho, velocity = snapshot
        with np.errstate(divide="ignore"):
            values = {"rho": rho, "log10_rho": np.log10(rho), "velocity": velocity}
        self._fields.write(t, {name: values[name] for name in self.case.output.fields})

    def close(self) -> None:
        if self._fields is not None:
            self._fields.close()

    def saved_state(self, saved: dict[str, Any]) -> EulerianState | ImplicitState:
        if "rho" not in saved or saved["rho"].size != self.solver.space.n_global:
            size = saved["rho"].size if "rho" in saved else "no"
            raise InputError(
                f"a checkpoint of {size} vertices found, {self.solver.space.n_global} expected: "
                "the mesh file has changed"
            )
        implicit = isinstance(self.solver, ImplicitSolver)
        kind: type[EulerianState | ImplicitState] = ImplicitState if implicit else EulerianState
        return kind(**_fields_of(kind, saved))

    def initial_notes(self) -> list[str]:
        return _mass_notes(self.solver.initial_mass_error)

    def about(self) -> dict[str, Any]:
        assert self.mesh is not None
        return {
            **super().about(),
            "sweep_threads": self.solver.threads,
            "mesh": _mesh_record(self.mesh),
            "normalisation": _NORMALISATION,
            "balanced_degree": self.solver.balanced_degree,
        }

    def remember(self, before: dict[str, Any]) -> None:
        super().remember(before)
        self._unresolved_from = before.get("unresolved_from")

    def outcome(self) -> tuple[dict[str, Any], list[str]]:
        solver = self.solver
        series, notes = self._series_outcome()
        notes = _energy_notes(solver) + notes
        if self._unresolved_from is not None:
            notes.append(
                f"from t = {self._unresolved_from:.4g} on, one vertex holds more than "
                f"{_UNRESOLVED:.0%} of all mass: clusters are narrower than the mesh there, and "
                "their further motion is not resolved"
            )
        record = {
            **_energy_record(solver, self.before),
            "unresolved_from": self._unresolved_from,
            "dark_points": solver.dark_points,
            **series,
        }
        if isinstance(solver, ImplicitSolver):
            record["rejected_steps"] = solver.rejected + solver.refused
            record["largest_linear_residual"] = solver.residual
            record["linear_solves"] = solver.solves
        return record, notes


class LagrangianTrack(Track):
    """A P1 density on a mesh that moves with the flow."""

    def __init__(self, case: Case, solver: LagrangianSolver, mesh: Mesh | None) -> None:
        self.case, self.solver, self.mesh, self.comm = case, solver, mesh, solver.comm
        names = diagnostic_names(solver.manifold.moments)
        self.columns = ("t", "step", "dt", *names, "points")
        self._fields: FieldWriter | None = None

    def row(self) -> dict[str, float]:
        solver = self.solver
        row = {"t": solver.t, "step": float(solver.step), "dt": solver.dt}
        row |= characteristic_diagnostics(solver)
        self._see_series()
        # A density of collapsed clusters alone is beyond all numbers, everywhere.
        _refuse_non_finite(row, {"energy", "rho_min", "rho_max"})
        return row

    def check(self) -> None:
        solver = self.solver
        x, log_rho = solver.positions(), solver.log_density()
        if not np.all(np.isfinite(x)) or np.any(np.isnan(log_rho) | (log_rho == np.inf)):
            raise BrokenInvariantError(f"vertices or log rho not finite at t = {solver.t:.6g}")

    def speed(self) -> float:
        return self.solver.speed()

    def snapshot(self) -> Any:
        solver = self.solver
        velocity = solver.velocity() if "velocity" in self.case.output.fields else None
        return solver.moved_mesh(), solver.log_density(), velocity, solver.mass

    def open(self, folder: RunFolder, resume_at: float | None) -> None:
        output = self.case.output
        assert self.mesh is not None
        names = {name: 3 if name == "velocity" else 1 for name in output.fields}
        self._fields = FieldWriter(
            folder.fields_path,
            self.mesh,
            names=names | {"mass": 1},
            precision=output.precision,
            compression=output.compression,
            moving=True,
            resume_at=resume_at,
        )

    def write(self, t: float, snapshot: Any) -> None:
        if self._fields is None or t <= self._fields.last_time:
            return
        mesh, log_rho, velocity, mass = snapshot
        # A collapsed cluster has a density beyond all numbers; log10_rho goes on.
        most = _LOG_MOST[self.case.output.precision]
        values = {"rho": np.exp(np.minimum(log_rho, most)), "log10_rho": log_rho / math.log(10.0)}
        values |= {"velocity": velocity, "mass": mass}
        if velocity is not None:
            values["velocity"] = mesh.manifold.settled_velocity(mesh.points, velocity)
        names = (*self.case.output.fields, "mass")
        self._fields.write(t, {name: values[name] for name in names}, mesh)

    def close(self) -> None:
        if self._fields is not None:
            self._fields.close()

    def saved_state(self, saved: dict[str, Any]) -> LagrangianState:
        return LagrangianState(**_fields_of(LagrangianState, saved))

    def initial_notes(self) -> list[str]:
        return _mass_notes(self.solver.initial_mass_error)

    def about(self) -> dict[str, Any]:
        assert self.mesh is not None
        return {
            **super().about(),
            "mesh": _mesh_record(self.mesh),
            "normalisation": _NORMALISATION,
            "balanced_degree": self.solver.balanced_degree,
            "largest_rho_written": math.exp(_LOG_MOST[self.case.output.precision]),
        }

    def outcome(self) -> tuple[dict[str, Any], list[str]]:
        solver = self.solver
        series, notes = self._series_outcome()
        notes = _energy_notes(solver) + notes
        record: dict[str, Any] = {
            **_energy_record(solver, self.before),
            **series,
            "dark_points": solver.dark_points,
            "rejected_steps": solver.rejected,
            "different_points": solver.points,
            "merge_error": solver.merge_error,
        }
        if solver.inserted:
            record |= {"inserted_vertices": solver.inserted, "insert_error": solver.insert_error}
        if solver.refined_until is not None:
            t, why = solver.refined_until
            notes.append(f"from t = {t:.4g} on, no vertices could be inserted: {why}")
        return record, notes


# ------------------------------------------------------------------ tokens


class TokenTrack(Track):
    """Tokens, in continuous time or layer by layer. One process; threads share the work."""

    def __init__(self, case: Case, solver: ParticleSolver | LayerSolver, comm: Any) -> None:
        assert isinstance(case.solver, Tokens)
        self.case, self.solver, self.comm = case, solver, comm
        self.angle = case.solver.cluster_angle
        self.columns = ("t", "step", "dt", *token_diagnostic_names(solver.d))
        self._writer: TokenWriter | None = None
        self._labels: tuple[float, Any] = (math.nan, None)

    def _clusters(self) -> Any:
        if self._labels[0] != self.solver.t:
            self._labels = (self.solver.t, cluster_labels(self.solver.x, self.angle))
        return self._labels[1]

    def row(self) -> dict[str, float]:
        solver = self.solver
        row = {"t": solver.t, "step": float(solver.step), "dt": solver.dt}
        row |= token_diagnostics(solver, self._clusters())
        _refuse_non_finite(row, {"energy"})
        return row

    def check(self) -> None:
        if not np.all(np.isfinite(self.solver.x)):
            raise BrokenInvariantError(f"tokens not finite at t = {self.solver.t:.6g}")

    def speed(self) -> float:
        return self.solver.speed()

    def snapshot(self) -> Any:
        return self.solver.x.copy(), self._clusters(), self.solver.velocity()

    def open(self, folder: RunFolder, resume_at: float | None) -> None:
        output = self.case.output
        self._writer = TokenWriter(
            folder.particles_path,
            self.solver.d,
            self.solver.n,
            masses=self.solver.weights,
            precision=output.precision,
            compression=output.compression,
            resume_at=resume_at,
        )

    def write(self, t: float, snapshot: Any) -> None:
        if self._writer is not None and t > self._writer.last_time:
            self._writer.write(t, *snapshot)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def saved_state(self, saved: dict[str, Any]) -> ParticleState | LayerState:
        kind = LayerState if isinstance(self.solver, LayerSolver) else ParticleState
        return kind(**_fields_of(kind, saved))

    def about(self) -> dict[str, Any]:
        return {**super().about(), "tokens": self.solver.n, "cluster_angle": self.angle}

    def outcome(self) -> tuple[dict[str, Any], list[str]]:
        solver = self.solver
        if isinstance(solver, LayerSolver):
            return {}, []
        return {"rejected_steps": solver.rejected, "different_points": solver.points}, []


# ------------------------------------------------------------------ which one


def make_interaction(case: Case) -> Interaction:
    """The interaction of a case, as its solver takes it."""
    solver = case.solver
    return case.model.on(
        case.geometry,
        method=solver.interaction if isinstance(solver, Tokens) else "auto",
    )


def token_solver(
    case: Case, number: int | None, kind: str, seed: int
) -> ParticleSolver | LayerSolver:
    """Tokens of a case's law, and the solver that moves them.

    Args:
        case: its solver may be of any kind: for a density, the defaults of ``Particles`` are taken.
        number, kind, seed: as for ``dynamics.tokens.initial_tokens``.
    """
    x = initial_tokens(case.initial, number, seed, kind)
    interaction, solver = make_interaction(case), case.solver
    if isinstance(solver, Layers):
        return LayerSolver(interaction, x, layer_step=1.0 / solver.layers)
    options = solver if isinstance(solver, Particles) else None
    return ParticleSolver(interaction, x, options=options, kappa=case.model.kappa, seed=seed)


def make_track(case: Case, comm: Any) -> Track:
    """Build everything that a case asks for. Collective.

    Raises:
        InputError: on every rank, if the case cannot be run.
    """
    if isinstance(case.solver, Density):
        return _density_track(case, case.solver, comm)
    if comm.size > 1:
        raise InputError(
            f"{comm.size} processes found, one expected: tokens use the threads of one process"
        )
    kind = str(case.solver.tokens)
    return TokenTrack(case, token_solver(case, case.solver.number, kind, case.seed), comm)


def _density_track(case: Case, options: Density, comm: Any) -> Track:
    mesh: Mesh | None = on_root(comm, case.geometry.build_mesh, share=False)
    if isinstance(options, Lagrangian):
        law, model = case.initial.density, make_interaction(case)
        moving = LagrangianSolver(model, mesh, law, options=options, comm=comm)
        return LagrangianTrack(case, moving, mesh)
    load_dolfinx()
    space = P1Space(mesh, comm)
    rho = everywhere(
        comm,
        lambda: case.initial.density(space.manifold.embed(space.points[: space.n_owned])),
    )
    interaction = make_interaction(case)
    if isinstance(options, Implicit):
        implicit = ImplicitSolver(space, interaction, rho, case.model.kappa, options)
        return DensityTrack(case, implicit, mesh)
    return DensityTrack(case, EulerianSolver(space, interaction, rho, options), mesh)


def _fields_of(kind: Any, saved: dict[str, Any]) -> dict[str, Any]:
    """What a state of this kind needs from a checkpoint."""
    names = [f.name for f in fields(kind)]
    if set(names) - saved.keys():
        raise InputError("the checkpoint is of another kind of run: start again with overwrite")
    return {name: saved[name] for name in names}


def _series_record(interaction: Interaction) -> dict[str, Any]:
    """For run.json, what is left out of the interaction, where something is."""
    record: dict[str, Any] = {}
    cut = interaction.truncation
    if cut is not None and not cut.exact:
        tail = cut.tail if math.isfinite(cut.tail) else None
        record["truncation"] = {"degree": cut.degree, "tail_l2": tail}
    if interaction.leaves_out_self and interaction.harmonics is None:
        record["self_term"] = "left out: the kernel is infinite at t = 1"
    return record


def _series_notes(interaction: Interaction, share: float) -> list[str]:
    """Warning of a series that is cut where it still matters."""
    cut = interaction.truncation
    if cut is None or cut.exact or share <= _SHARE:
        return []
    return [
        f"the series of the interaction ({interaction.describe()}) is cut at degree {cut.degree}, "
        f"which the mesh resolves: its last quarter carried up to {share:.1e} of the potential; a "
        "finer mesh carries more"
    ]


def _refuse_non_finite(row: dict[str, float], but: set[str]) -> None:
    bad = sorted(name for name in row.keys() - but if not math.isfinite(row[name]))
    if bad:
        raise BrokenInvariantError(f"{', '.join(bad)} not finite at t = {row['t']:.6g}")
