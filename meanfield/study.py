"""Studies made of many runs: do particles agree with the density?

Owns the cross-check: one density, clouds of n particles from the same law in several replicas, and
at each time their Wasserstein distance held against the sampling floor, with a verdict. The pieces
are in ``analysis`` (distances, statistics), ``runs`` and ``results``
(files, figures); here is only the order of things, and how it goes on after an interruption.
"""

from __future__ import annotations

import json
import multiprocessing
import numbers as abstract
import os
import pickle
import signal
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from meanfield.analysis.crosscheck import (
    Interval,
    difference,
    mean_with_interval,
    rate_fit,
    ratio_interval,
    two_sample_test,
)
from meanfield.analysis.quadrature import density_law, density_measure
from meanfield.analysis.wasserstein import cloud, quantise, wasserstein
from meanfield.case import Case, FixedMesh, Layers, Output, Particles, Time, Unmeshed
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import (
    StoredDensity,
    cloud_file,
    comparison_record,
    read_arrays,
    write_csv,
    write_rows,
)
from meanfield.results.folder import RunFolder, listed, utc_now
from meanfield.runs.simulation import run
from meanfield.runs.tracks import token_solver
from meanfield.signals import as_interrupt, ignored
from meanfield.software import load_dolfinx, load_mpi, provenance
from meanfield.whole import save_arrays

__all__ = ["Comparison", "compare", "draw", "summary"]

MAX_PARTICLES = 20_000  # an exact distance takes minutes beyond
MAX_UNMEASURED = 1_000_000  # without distances: all clouds of one n are in memory at the end
_NO_FILES = Output(precision="float64", figures=False)  # what float32 could not hold is welcome
_FEWEST, _MOST = 2_000, 10_000  # points that stand for the density in a distance


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found.

    Attributes:
        rows: one for each time and number of particles, see ``compare.csv``.
        rates: for each time the exponent of the distance in n, with its interval; None with one n
            (and no times at all without distances).
        folder: where everything is.
    """

    rows: list[dict[str, float]]
    rates: dict[float, Interval | None]
    folder: Path


def compare(
    case: Case,
    numbers: Sequence[int],
    replicas: int,
    folder: str | Path,
    *,
    particle_case: Case | None = None,
    times: Sequence[float] | None = None,
    exponents: Sequence[int] = (2,),
    jobs: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    announce: Callable[[], None] | None = None,
) -> Comparison:
    """Run a density and clouds of particles from the same law, and compare them.

    At each time and for each n: the Wasserstein distance W_p of a cloud to the density, its mean
    and 95 % interval over replicas; the *sampling floor*, which is the same distance for n
    independent samples of the density; their ratio, 1 as long as particles are as good as samples;
    differences of E (without the pairs of a particle with itself), of the mean and of the second
    moments in units of their Monte-Carlo error; and the p-value of a test that the clouds have the
    density's low moments (``analysis.crosscheck``). Both distances are to the same points that
    stand for the density (4 n of them, 2 000 to 10 000), so that what this costs in accuracy
    (``quadrature`` in the table) is in both.

    Args:
        case: density to run: eulerian or implicit solver, any geometry.
        numbers: numbers of particles, at most 20 000 (1 000 000 without distances).
        replicas: clouds for each n, at least 2 (6 for a verdict by sign flips).
        folder: for the results.
        particle_case: model for the particles, if it is to differ (a test of power): a density's
            case, or one of ``Particles`` for their tolerances or noise. The number and the origin
            of its tokens are not used: clouds are independent draws from its law.
        times: when to compare; by default at five output times, start and end included.
        exponents: p of W_p: 1, 2 or both; none of them leaves the distances out, which are by far
            the slowest part, so that energies, moments and the verdict remain.
        jobs: processes; each takes one core.
        overwrite, progress, announce: as for ``simulation.run``.
        resume: go on with the comparison in the folder. What is finished is kept; more numbers of
            particles and other replicas may be asked for, nothing else.

    Raises:
        InputError: what cannot be compared, before anything is written.
        KeyboardInterrupt: Ctrl-C (or SIGTERM); it can be resumed.
    """
    measured = _checked_exponents(exponents)
    settings = _Settings(
        case,
        particle_case or case,
        _checked_numbers(numbers, bool(measured)),
        _checked_integer("replicas", replicas, 2, 10_000, "6 for a full verdict"),
        _chosen_times(case, times),
        measured,
    )
    _check_cases(settings)
    jobs = _checked_integer("jobs", jobs, 1, 10_000, "each takes a core")
    load_dolfinx()
    _check_alone()
    run_folder = _open_folder(Path(folder), settings, overwrite, resume)
    tasks = [
        _Task(settings, kind, n, r, str(run_folder.path))
        for n in settings.numbers
        for r in range(settings.replicas)
        for kind in (("particles", "floor") if measured else ("particles",))
    ]
    try:
        # So that no process of its own stays behind.
        with as_interrupt(signal.SIGTERM):
            run_folder.add(*(task.name for task in tasks))
            _density(settings, run_folder, progress, announce)
            _work([task for task in tasks if not task.path.is_file()], len(tasks), jobs, progress)
    except BaseException as error:
        run_folder.write_run(
            {**run_folder.read_run(), "ended": utc_now(), "stop_reason": _reason(error)}
        )
        raise
    rows, rates = _evaluate(settings, run_folder.path)
    _write(settings, run_folder, rows, rates)
    return Comparison(rows, rates, run_folder.path)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"failed: {type(error).__name__}: {error}".rstrip(": ")


# ------------------------------------------------------------------ what is asked


@dataclass(frozen=True)
class _Settings:
    case: Case
    particle_case: Case
    numbers: tuple[int, ...]
    replicas: int
    times: tuple[float, ...]
    exponents: tuple[int, ...]

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "compare",
            "numbers": list(self.numbers),
            "replicas": self.replicas,
            "times": list(self.times),
            "exponents": list(self.exponents),
            "particle_case": self.particle_case.to_toml(),
        }


def _chosen_times(case: Case, times: Sequence[float] | None) -> tuple[float, ...]:
    available = case.output_times()
    if times is None:
        picked = np.unique(np.round(np.linspace(0, len(available) - 1, 5)).astype(int))
        return tuple(available[k] for k in picked)
    for t in times:
        if not 0.0 <= t <= case.time.end:
            raise InputError(f"time {t:g} found, 0 to time.end = {case.time.end:g} expected")
    return tuple(sorted({0.0, *map(float, times)}))


def _checked_integer(name: str, value: Any, low: int, high: int, why: str) -> int:
    whole = isinstance(value, abstract.Integral) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise InputError(f"{name} = {value} found, {low} to {high} expected ({why})")
    return int(value)


def _checked_numbers(numbers: Sequence[int], measured: bool) -> tuple[int, ...]:
    if not len(numbers):
        raise InputError("no number of particles found, at least one expected, as in 250 1000 4000")
    most = MAX_PARTICLES if measured else MAX_UNMEASURED
    why = "exact distances of more take too long" if measured else "clouds are kept in memory"
    name = "number of particles"
    return tuple(sorted({_checked_integer(name, n, 2, most, why) for n in numbers}))


def _checked_exponents(exponents: Sequence[int]) -> tuple[int, ...]:
    if not set(exponents) <= {1, 2}:
        raise InputError(f"exponents {tuple(exponents)} found, 1, 2 or both expected")
    return tuple(sorted(set(exponents), reverse=True))


def _check_cases(settings: _Settings) -> None:
    case, other = settings.case, settings.particle_case
    if not isinstance(case.solver, FixedMesh):
        raise InputError(
            f"solver.type: '{case.solver.type}' found, a comparison needs a density on a mesh "
            "that stays: 'eulerian' or 'implicit'"
        )
    if isinstance(other.solver, Layers):
        raise InputError(
            "solver.type: 'layers' found for the particles, which follow the flow: expected "
            "'particles' (or 'eulerian', for particles with default options)"
        )
    if other.geometry.d != case.geometry.d:
        raise InputError(
            f"particles in d = {other.geometry.d} found, those of the density in "
            f"d = {case.geometry.d} expected"
        )
    _token_case(other, 2)  # what it refuses is refused before the density is run


def _check_alone() -> None:
    ranks = load_mpi().COMM_WORLD.size
    if ranks > 1:
        raise InputError(
            f"{ranks} MPI processes found, one expected: a comparison starts its "
            "own, as many as jobs says"
        )


def _open_folder(path: Path, settings: _Settings, overwrite: bool, resume: bool) -> RunFolder:
    before: dict[str, object] = {}
    about = {**provenance(), **settings.describe()}
    if resume:
        folder = RunFolder.open(path)
        before = comparison_record(folder)
        _check_same(folder, before, settings)
        about["resumed"] = [*listed(before, "resumed"), utc_now()]
    else:
        if (path / "run.json").is_file():
            comparison_record(RunFolder(path))
        folder = RunFolder.create(path, overwrite)
    folder.write_case(settings.case)
    about |= {"started": before.get("started", utc_now()), "ended": None, "stop_reason": None}
    folder.write_run({**before, **about})
    return folder


def _check_same(folder: RunFolder, before: dict[str, Any], settings: _Settings) -> None:
    """Refuse to mix the clouds of different problems."""
    wanted = json.loads(json.dumps(settings.describe()))
    changed = [k for k in ("times", "exponents") if before.get(k) != wanted[k]]
    changed += settings.case.resume_conflicts(Case.from_toml(folder.case_path))
    if _of_particles(before.get("particle_case", "")) != _of_particles(wanted["particle_case"]):
        changed.append("the case of the particles")
    if changed:
        raise InputError(
            f"cannot go on with {folder.path}, which was begun with other values of "
            f"{', '.join(changed)}: only numbers of particles and replicas may change"
        )


def _of_particles(text: str) -> dict[str, Any]:
    """What of a case the clouds depend on, with all defaults: an earlier version had fewer keys."""
    table = tomllib.loads(text)
    with suppress(InputError):  # a law made in Python is only described
        table = Case.from_dict(table).to_dict()
    return {name: table.get(name) for name in ("geometry", "model", "initial", "solver")}


# ------------------------------------------------------------------ the density


def _density(
    settings: _Settings,
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
        output=_NO_FILES,
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
class _Task:
    settings: _Settings
    kind: str
    n: int
    replica: int
    folder: str

    @property
    def name(self) -> str:
        return cloud_file(self.kind, self.n, self.replica)

    @property
    def path(self) -> Path:
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
                sample = _as_compared(x, on)
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
        case = _token_case(self.settings.particle_case, self.n)
        solver = token_solver(case, self.n, "iid", self.seed(0))
        assert isinstance(solver, ParticleSolver)
        for t in times:
            while solver.t < t:
                solver.advance(t)
            yield t, solver.x


def _token_case(case: Case, n: int) -> Case:
    """The case for n tokens, which live on the whole sphere."""
    options = case.solver if isinstance(case.solver, Particles) else Particles(number=n)
    return replace(
        case,
        geometry=Unmeshed(case.geometry.d),
        solver=replace(options, number=n, tokens="iid"),
        output=_NO_FILES,
    )


def _pair_energy(case: Case, x: Array, t: float) -> float:
    """Scaled E over pairs of different particles: at t = 0 its mean is E of the law."""
    return case.model.on(Unmeshed(case.geometry.d)).pair_energy(cloud(x), len(x), t)


def _run_task(task: _Task) -> None:
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


def _work(tasks: list[_Task], total: int, jobs: int, progress: bool | None) -> None:
    """Do all tasks; those that are done stay done, whatever happens later."""
    show = progress if progress is not None else sys.stderr.isatty()
    done = total - len(tasks)
    # The largest first: the last ones to finish are then short.
    tasks = sorted(tasks, key=lambda task: -task.n)
    with tqdm(total=total, initial=done, unit="cloud", disable=not show, file=sys.stderr) as bar:
        tick: Callable[[], Any] = lambda: bar.update(1)  # noqa: E731
        if jobs == 1:
            for task in tasks:
                task.run()
                tick()
            return
        _in_processes(tasks, jobs, tick)


def _in_processes(tasks: list[_Task], jobs: int, tick: Callable[[], Any]) -> None:
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


# ------------------------------------------------------------------ what comes out


def _evaluate(
    settings: _Settings, path: Path
) -> tuple[list[dict[str, float]], dict[float, Interval | None]]:
    density = StoredDensity.read(path)
    on, d = density.mesh.manifold, density.mesh.d
    rows: list[dict[str, float]] = []
    distances: dict[float, list[Array]] = {t: [] for t in settings.times}
    for n in settings.numbers:
        found = {
            kind: [
                read_arrays(_Task(settings, kind, n, r, str(path)).path)
                for r in range(settings.replicas)
            ]
            for kind in (("particles", "floor") if settings.exponents else ("particles",))
        }
        clouds = [one["x"] for one in found["particles"]]
        start = [_as_compared(x[0], on) for x in clouds]
        for k, t in enumerate(settings.times):
            row: dict[str, float] = {"t": t, "n": float(n), "replicas": float(settings.replicas)}
            for p in settings.exponents:
                ours, floor = (
                    np.array([one[f"w{p}"][k] for one in found[kind]])
                    for kind in ("particles", "floor")
                )
                row |= _named(f"w{p}", mean_with_interval(ours))
                row |= _named(f"floor_w{p}", mean_with_interval(floor))
                row |= _named(f"ratio_w{p}", ratio_interval(ours, floor))
                if p == settings.exponents[0]:
                    distances[t].append(ours)
            if settings.exponents:
                row["quadrature"] = float(found["particles"][0]["quadrature"][k])
            energy = np.array([one["energy"][k] for one in found["particles"]])
            row["z_energy"] = float(difference(energy, density.energy[k]).z)
            row |= _moment_differences([x[k] for x in clouds], density.masses(k), on)
            initial = (start, density.masses(0)) if t > 0.0 else None
            now = [_as_compared(x[k], on) for x in clouds]
            verdict = two_sample_test(now, density.masses(k), initial, d=d)
            row["p_value"] = verdict.p_value
            row["moment_distance"] = verdict.distance
            row["moment_resolution"] = verdict.resolution
            rows.append(row)
    rates = {
        t: rate_fit(settings.numbers, [list(v) for v in values])
        if len(settings.numbers) > 1
        else None
        for t, values in distances.items()
        if settings.exponents
    }
    rows.sort(key=lambda row: (row["t"], row["n"]))
    return rows, rates


def _as_compared(x: Array, on: Manifold) -> Measure:
    """A cloud in the coordinates of the density."""
    return cloud(on.coordinates(x))


def _named(name: str, interval: Interval) -> dict[str, float]:
    values = (interval.value, interval.low, interval.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _moment_differences(clouds: list[Array], density: Measure, on: Manifold) -> dict[str, float]:
    """The largest |z| among the coordinates of the mean, and among the second moments."""
    points = np.asarray(density.points)
    y = on.moments_of(points)
    x = np.array([c[:, -on.moments :] for c in clouds])
    upper = np.triu_indices(y.shape[1])
    m = density.weights
    mean = difference(x.mean(axis=1), m @ y)
    second = difference(
        np.einsum("rni,rnj->rij", x, x)[:, upper[0], upper[1]] / x.shape[1],
        ((y * m[:, None]).T @ y)[upper],
    )
    return {
        "z_mean": float(np.max(np.abs(mean.z))),
        "z_second": float(np.max(np.abs(second.z))),
    }


def _write(
    settings: _Settings,
    folder: RunFolder,
    rows: list[dict[str, float]],
    rates: dict[float, Interval | None],
) -> None:
    write_rows(folder, rows)
    fits = [(t, r.value, r.low, r.high) for t, r in rates.items() if r is not None]
    write_csv(folder, "rates.csv", ("t", "exponent", "low", "high"), fits)
    end = {"ended": utc_now(), "stop_reason": "end"}
    folder.write_run({**folder.read_run(), **end})
    if settings.case.output.figures:
        try:
            draw(folder.path)
        except Exception as error:  # a picture that fails must not lose the comparison
            text = f"the figures could not be drawn: {error}"
            warnings.warn(text, MeanfieldWarning, stacklevel=1)


def draw(path: str | Path) -> list[Path]:
    """Draw the figures of a finished comparison (again) from its folder. Needs no DOLFINx.

    Raises:
        InputError: there is no finished comparison in the folder.
    """
    from meanfield.figures import make_figures

    folder = RunFolder.open(path)
    about = comparison_record(folder)
    made = make_figures(folder)
    folder.write_run({**about, "figures": [figure.name for figure in made]})
    return made


def summary(comparison: Comparison) -> list[str]:
    """Lines for the terminal: a table, the rates, and what the columns mean."""
    rows = comparison.rows
    names = [p for p in (2, 1) if f"w{p}" in rows[0]]
    head = f"{'t':>8} {'n':>7}"
    for p in names:
        head += f"  {f'W{p}':>8} {'95 % interval':>18}  {'floor':>8}"
        head += f"  {'ratio':>6} {'95 % int.':>12}"
    lines = [head + f"  {'z(E)':>6} {'z(m)':>6} {'z(m2)':>6}  {'p':>7}"]
    for row in rows:
        line = f"{row['t']:8.4g} {int(row['n']):7d}"
        for p in names:
            line += (
                f"  {row[f'w{p}']:8.5f} [{row[f'w{p}_low']:7.5f}, {row[f'w{p}_high']:7.5f}]"
                f"  {row[f'floor_w{p}']:8.5f}  {row[f'ratio_w{p}']:6.3f} "
                f"[{row[f'ratio_w{p}_low']:4.2f}, {row[f'ratio_w{p}_high']:4.2f}]"
            )
        z = (f"{row[f'z_{name}']:6.1f}" for name in ("energy", "mean", "second"))
        lines.append(f"{line}  {' '.join(z)}  {row['p_value']:7.4f}")
    for t, rate in comparison.rates.items():
        if rate is not None:
            lines.append(
                f"t = {t:g}: W{names[0]} ~ n^{rate.value:.3f}, 95 % interval [{rate.low:.3f}, "
                f"{rate.high:.3f}]"
            )
    if names:
        lines.append("floor: the distance of n independent samples; ratio: W over floor")
    lines += [
        "z: of E, of the mean and of the second moments (the largest), in Monte-Carlo errors",
        "p: of clouds and density having the same low moments; small if they differ",
    ]
    return lines
