"""The work of a comparison: the density or many particles, and clouds, made in any process.

Owns what is run, measured and kept. Knows nothing of what is made of it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.analysis.twosample import kernel_distance
from meanfield.case import Case, Time
from meanfield.dynamics.lagrangian import SlicedSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.parts import Division, advance_together, pair_energy
from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.mesh import delaunay_weights
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import (
    Reference,
    StoredCloud,
    StoredDensity,
    cloud_file,
    read_reference,
)
from meanfield.results.folder import RunFolder
from meanfield.runs.progress import Counted
from meanfield.runs.result import Result
from meanfield.runs.simulation import run
from meanfield.runs.tracks import token_solver
from meanfield.studies.moments import linear_moments
from meanfield.studies.positions import KeptSlices
from meanfield.studies.processes import in_processes
from meanfield.studies.references import cloud_of, samples_of
from meanfield.studies.resolution import coarser
from meanfield.studies.settings import KERNELS, NO_FILES, Settings
from meanfield.studies.transport import transport
from meanfield.whole import save_arrays

__all__ = ["Task", "run_coarse_density", "run_density", "run_reference", "run_tasks"]

_TESTED = 5_000  # points of each side in the energy of a kernel: a second or two


def run_density(
    settings: Settings,
    folder: RunFolder,
    progress: bool | None,
    announce: Callable[[], None] | None,
) -> None:
    """Run the density and keep it at the times of the comparison, unless that is done already."""
    if StoredDensity.is_in(folder):
        if announce is not None:
            announce()
        return
    stored, result = _run(settings, settings.case, progress, announce)
    if stored is None:
        raise BrokenInvariantError(
            f"the density stopped early: {result.stop_reason.removeprefix('broken invariant: ')}"
        )
    folder.write_run({**folder.read_run(), "warnings": result.warnings})
    stored.write(folder)
    Counted.tell(progress, f"density done, {sum(result.timings.values()):.0f} s")


def run_coarse_density(settings: Settings, folder: RunFolder, progress: bool | None) -> None:
    """Run the density by which the error of the other one is known (``resolution.coarser``).

    Unless that is done already, or cannot be: the mesh is that of a file, or is too coarse.
    """
    case = coarser(settings.case)
    if case is None or StoredDensity.is_in(folder, coarse=True):
        return
    with warnings.catch_warnings():
        # What a coarse mesh does not resolve is no news, and what it cannot do is no harm.
        warnings.simplefilter("ignore", MeanfieldWarning)
        try:
            stored, result = _run(settings, case, progress, None)
        except InputError:
            return
    if stored is not None:
        stored.write(folder, coarse=True)
        seconds = sum(result.timings.values())
        Counted.tell(progress, f"density that tells the error of the other done, {seconds:.0f} s")


def _run(
    settings: Settings,
    case: Case,
    progress: bool | None,
    announce: Callable[[], None] | None,
) -> tuple[StoredDensity | None, Result]:
    """Run a density; gives it at the times of the comparison, None if it has not reached the end.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    kept: dict[str, list[Any]] = {"rho": [], "energy": [], "weights": []}
    mesh, slices = case.geometry.build_mesh(), KeptSlices()

    def keep(solver: Any) -> None:
        if isinstance(solver, SlicedSolver):
            kept["rho"].append(slices.keep(solver, mesh))
            area = delaunay_weights(mesh)[2]
            kept["weights"].append(area / area.sum())
            return
        rho, weights = solver.space.gather(solver.rho), solver.space.gather(solver.weights)
        kept["rho"].append(rho)
        kept["weights"].append(weights)
        if solver.interaction.energy_kind is not None:
            kept["energy"].append(solver.energy(scaled=True))

    end = settings.times[-1] or 1e-9 * case.time.end
    case = replace(
        case,
        time=Time(end=end, outputs=settings.times, series_every=case.time.series_every),
        output=NO_FILES,
    )
    result = run(case, progress=progress, observers=[keep], announce=announce)
    if result.stop_reason == "interrupted":
        raise KeyboardInterrupt
    if result.stop_reason != "end":
        return None, result
    count = len(settings.times)
    stored = StoredDensity(
        mesh,
        np.array(settings.times),
        np.array(kept["rho"][:count]),
        np.array(kept["energy"][:count]) if kept["energy"] else None,
        kept["weights"][0],
        slices.stored(count),
    )
    return stored, result


def run_reference(
    settings: Settings,
    folder: RunFolder,
    progress: bool | None,
    announce: Callable[[], None] | None,
) -> None:
    """Run the particles that others are compared with, unless that is done already."""
    if announce is not None:
        announce()
    if StoredCloud.is_in(folder):
        return
    n = settings.reference
    assert n is not None
    task = Task(settings, "reference", n, 0, str(folder.path))
    begun = time.monotonic()
    cloud_of(settings.token_case(n, other=False), n, settings.times, task.seed(2)).write(folder)
    Counted.tell(progress, f"reference of {n:,} tokens done, {time.monotonic() - begun:.0f} s")


# ------------------------------------------------------------------ clouds and floors


@dataclass(frozen=True)
class Task:
    """A cloud: what it is of and where it goes."""

    settings: Settings
    kind: str
    n: int
    replica: int
    folder: str

    @property
    def name(self) -> str:
        """Of its file, in the folder."""
        return cloud_file(self.kind, self.n, self.replica)

    @property
    def words(self) -> str:
        """What it is, for people."""
        cloud = "cloud" if self.kind == "particles" else "floor"
        return f"{cloud} n = {self.n}, replica {self.replica + 1} of {self.settings.replicas}"

    @property
    def path(self) -> Path:
        """Of its file."""
        return Path(self.folder) / self.name

    def seed(self, purpose: int) -> int:
        """A seed of its own for each purpose, independent of everything else that is drawn."""
        key = (purpose, self.n, self.replica)
        sequence = np.random.SeedSequence(self.settings.case.seed, spawn_key=key)
        return int(sequence.generate_state(1, np.uint64)[0])

    def run(self) -> None:
        """Make the clouds, measure them, and keep what was measured."""
        settings = self.settings
        reference = read_reference(Path(self.folder))
        on = reference.manifold
        out: dict[str, list[Any]] = {}
        states = self._samples(reference) if self.kind == "floor" else self._clouds(on)
        for k, (x, about) in enumerate(states):
            if settings.exponents:
                found = transport(x, reference, k, settings.exponents)
                for p in settings.exponents:
                    about |= {f"w{p}": found.upper[p], f"least_w{p}": found.lower[p]}
                about |= {"quadrature": found.error, "measured": found.measured}
                if settings.reference is not None:
                    about |= _kernels(Measure.equal(x), found.points)
            for name, value in about.items():
                out.setdefault(name, []).append(value)
        save_arrays(self.path, **{name: np.array(values) for name, values in out.items()})

    @property
    def is_done(self) -> bool:
        """Whether its file is there, with all that is in it (an earlier version had no parts)."""
        if self.kind == "floor" or not self.path.is_file():
            return self.path.is_file()
        with np.load(self.path) as data:
            return "low" in data

    def _samples(self, reference: Reference) -> Iterator[tuple[Array, dict[str, object]]]:
        rng = np.random.default_rng(self.seed(1))
        for k in range(len(reference.times)):
            yield samples_of(reference, k, self.n, self.replica, rng), {}

    def _clouds(self, on: Manifold) -> Iterator[tuple[Array, dict[str, object]]]:
        """The particles at each time, and what is measured of them and of parts of the cloud."""
        case = self.settings.token_case(self.n)
        cloud = token_solver(case, self.n, "iid", self.seed(0))
        assert isinstance(cloud, ParticleSolver)
        divisions = Division.all_of(cloud)
        for t in self.settings.times:
            advance_together(cloud, divisions, t)
            linear = [linear_moments(Measure.equal(on.coordinates(x)), on)
                      for x in (cloud.x, *(some.x for some in divisions))]  # fmt: skip
            about: dict[str, object] = {"x": cloud.x}
            if cloud.interaction.energy_kind is not None:
                about["energy"] = [pair_energy(cloud), *(some.pair_energy() for some in divisions)]
            yield (
                cloud.x,
                about | {name: [one[name] for one in linear] for name in ("low", "mean", "second")},
            )


def _kernels(sample: Measure, points: Measure) -> dict[str, object]:
    """Distances by kernels, of the first points of both: all are draws."""
    x, y = (Measure.equal(np.asarray(one.points)[:_TESTED]) for one in (sample, points))
    return {name: kernel_distance(x, y, kernel) for name, kernel in KERNELS.items()}


def _run_task(task: Task) -> None:
    task.run()


def run_tasks(tasks: Sequence[Task], jobs: int, progress: bool | None) -> None:
    """Do all tasks that are not done; those that are stay done, whatever happens later."""
    # The largest first: the last ones to finish are then short.
    left = sorted((task for task in tasks if not task.is_done), key=lambda task: -task.n)
    if earlier := sum(task.path.is_file() for task in left):
        text = f"{earlier} clouds of an earlier version are made again, with parts of them"
        warnings.warn(text, MeanfieldWarning, stacklevel=1)
    done = len(tasks) - len(left)
    with Counted(progress, len(tasks), done, "cloud") as shown:
        if jobs == 1:
            for task in left:
                task.run()
                shown.update(name=task.words)
        else:
            in_processes(_run_task, left, jobs, lambda task, _: shown.update(name=task.words))
