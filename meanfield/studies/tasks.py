"""The work of a comparison: the density, and clouds, each of which a process of its own may make.

Owns what is run, measured and kept, and the pool of processes. Knows nothing of what is made of it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from meanfield.analysis.quadrature import density_measure
from meanfield.analysis.wasserstein import quantise, wasserstein
from meanfield.case import Case, Time, Unmeshed
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws.tabulated import density_law
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import StoredDensity, cloud_file
from meanfield.results.folder import RunFolder
from meanfield.runs.simulation import run
from meanfield.runs.tracks import token_solver
from meanfield.signals import ignored
from meanfield.studies.settings import NO_FILES, Settings
from meanfield.surroundings import is_terminal
from meanfield.whole import save_arrays

__all__ = ["Task", "run_density", "run_tasks"]

_FEWEST, _MOST = 2_000, 10_000  # points that stand for the density in a distance


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
    kept: dict[str, list[Any]] = {"rho": [], "energy": [], "weights": []}

    def keep(solver: Any) -> None:
        rho, weights = solver.space.gather(solver.rho), solver.space.gather(solver.weights)
        kept["rho"].append(rho)
        kept["weights"].append(weights)
        kept["energy"].append(solver.field().energy(scaled=True))

    end = settings.times[-1] or 1e-9 * settings.case.time.end
    case = replace(
        settings.case,
        time=Time(end=end, outputs=settings.times, series_every=settings.case.time.series_every),
        output=NO_FILES,
    )
    result = run(case, progress=progress, observers=[keep], announce=announce)
    if result.stop_reason == "interrupted":
        raise KeyboardInterrupt
    if result.stop_reason != "end":
        raise BrokenInvariantError(
            f"the density stopped early: {result.stop_reason.removeprefix('broken invariant: ')}"
        )
    folder.write_run({**folder.read_run(), "warnings": result.warnings})
    count = len(settings.times)
    StoredDensity(
        case.geometry.build_mesh(),
        np.array(settings.times),
        np.array(kept["rho"][:count]),
        np.array(kept["energy"][:count]),
        kept["weights"][0],
    ).write(folder)


def _points(density: StoredDensity, k: int, n: int) -> tuple[Measure, float]:
    """Points that stand for the density when n particles are compared, and their error."""
    measure, error = density_measure(density.mesh, density.rho[k])
    size = min(max(4 * n, _FEWEST), _MOST)
    if density.mesh.manifold.latitudes or len(measure.weights) <= size:
        return measure, error
    fewer, moved = quantise(measure, size)
    return fewer, error + moved


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
        density = StoredDensity.read(Path(self.folder))
        on = density.mesh.manifold
        out: dict[str, list[Any]] = {f"w{p}": [] for p in settings.exponents}
        if settings.exponents:
            out["quadrature"] = []
        energies, tokens = [], []
        for k, (t, x) in enumerate(self._clouds(density)):
            if settings.exponents:
                reference, error = _points(density, k, self.n)
                sample = Measure.equal(on.coordinates(x))
                for p in settings.exponents:
                    out[f"w{p}"].append(wasserstein(sample, reference, p).distance)
                out["quadrature"].append(error)
            if self.kind == "particles":
                energies.append(_pair_energy(settings.particle_case, x, t))
                tokens.append(x)
        values = {name: np.array(column) for name, column in out.items()}
        if self.kind == "particles":
            values |= {"energy": np.array(energies), "x": np.array(tokens)}
        save_arrays(self.path, **values)

    def _clouds(self, density: StoredDensity) -> Iterator[tuple[float, Array]]:
        times = self.settings.times
        if self.kind == "floor":
            rng = np.random.default_rng(self.seed(1))
            for k, t in enumerate(times):
                yield t, density_law(density.mesh, density.rho[k]).sample(self.n, rng)
            return
        case = self.settings.token_case(self.n)
        solver = token_solver(case, self.n, "iid", self.seed(0))
        assert isinstance(solver, ParticleSolver)
        for t in times:
            while solver.t < t:
                solver.advance(t)
            yield t, solver.x


def _pair_energy(case: Case, x: Array, t: float) -> float:
    """Scaled E over pairs of different particles: at t = 0 its mean is E of the law."""
    return case.model.on(Unmeshed(case.geometry.d)).pair_energy(Measure.equal(x), len(x), t)


def _run_task(task: Task) -> None:
    task.run()


@contextmanager
def _one_thread_each(jobs: int) -> Iterator[None]:
    """Processes share the cores, so that each of them keeps to one."""
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MEANFIELD_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    if jobs > 1:
        os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_tasks(tasks: Sequence[Task], jobs: int, progress: bool | None) -> None:
    """Do all tasks that are not done; those that are stay done, whatever happens later."""
    show = progress if progress is not None else is_terminal(sys.stderr)
    # The largest first: the last ones to finish are then short.
    left = sorted((task for task in tasks if not task.path.is_file()), key=lambda task: -task.n)
    done = len(tasks) - len(left)
    with tqdm(
        total=len(tasks), initial=done, unit="cloud", disable=not show, file=sys.stderr
    ) as bar:
        if jobs == 1:
            for task in left:
                task.run()
                bar.update()
        else:
            _in_processes(left, jobs, bar.update)


def _in_processes(tasks: Sequence[Task], jobs: int, tick: Callable[[], object]) -> None:
    try:
        pickle.dumps(tasks[:1])
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"jobs: found {jobs}, but the case holds what other processes cannot be given "
            f"({error}): expected 1, or functions that come from a file"
        ) from None
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with _one_thread_each(jobs), ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            # Ctrl-C goes to all processes; only this one answers it.
            with ignored(signal.SIGINT):
                waiting = {pool.submit(_run_task, task) for task in tasks}
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    tick()
        except BaseException as error:
            # Not waited for: a cloud may take minutes, and files are written in one move.
            pool.shutdown(wait=False, cancel_futures=True)
            _end(set(multiprocessing.active_children()) - others)
            if isinstance(error, BrokenProcessPool):
                raise InputError(
                    f"one of {jobs} processes ended too early, most likely for want of memory (or "
                    "for want of `if __name__ == '__main__':` in a script): go on with resume, and "
                    "with fewer jobs"
                ) from None
            raise


def _end(processes: set[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=2.0)
        if process.is_alive():  # libraries may catch what should end them
            process.kill()
