"""How fast a case converges: it is run at rising resolution, and held against the finest.

Owns what is run, in which folders, and how it goes on after an interruption.
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from meanfield.arguments import PathLike, checked_arguments
from meanfield.case import Case, FixedMesh, GivenCase, Lagrangian, Tokens, as_case
from meanfield.case.titles import resolved_title, values_in_words
from meanfield.case.words import parameters_in_words
from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
from meanfield.results.convergence import QUANTITIES, ConvergenceTable
from meanfield.results.folder import RunFolder, listed
from meanfield.results.formats import format_named
from meanfield.results.manifest import plain
from meanfield.runs.pointwise import DensityInTime
from meanfield.runs.progress import Counted
from meanfield.signals import Stopped, act_on, ending
from meanfield.software import load_dolfinx, load_mpi, provenance, utc_now
from meanfield.studies.ended import GOOD, ended_before, record_files, run_in, undrawn
from meanfield.studies.resolution import at_resolution
from meanfield.studies.rundiff import RunDifference, compare_runs

__all__ = ["Against", "Convergence", "ConvergencePlan", "converge", "convergence_plan"]

KIND = "converge"
RUNS = "runs"
Against = Literal["finest", "characteristics"]
_AGAINST: tuple[Against, ...] = ("finest", "characteristics")
_REFERENCE, _COARSE = "characteristics", "characteristics-coarse"
_SAME = {"base": "the case", "against": "against"}


@dataclass(frozen=True)
class ConvergencePlan:
    """What is run.

    Attributes:
        case: as it was given.
        key: of [geometry], which tells the resolution.
        cases: by the name of their folder, in the order of running.
        errors: names of those whose errors are told, and their resolutions, rising.
        reference: name of what they are held against.
        check: name of what tells the error of the reference; "": the fit does.
        against: see ``converge``.
    """

    case: Case
    key: str
    cases: Mapping[str, Case]
    errors: Mapping[str, int]
    reference: str
    check: str
    against: Against

    @property
    def title(self) -> str:
        """That of the case, with all resolutions where it names one."""
        changed = {f"geometry.{self.key}": values_in_words(list(self.errors.values()))}
        return resolved_title(self.case.title, self.case.to_dict(), changed)

    def told(self) -> dict[str, object]:
        """Title and what is in effect of all runs, for run.json."""
        return {
            "title": self.title,
            "parameters": parameters_in_words(self.case, without=[self.key]),
        }

    @property
    def words(self) -> str:
        """What the reference is."""
        if self.check:
            level = getattr(self.cases[self.reference].geometry, self.key)
            return f"characteristics, {self.key} = {level}"
        return f"{self.key} = {getattr(self.cases[self.reference].geometry, self.key)}"


@dataclass(frozen=True, eq=False)
class Convergence:
    """What a study of convergence leaves behind.

    Attributes:
        table: errors and orders.
        folder: where the files are.
        warnings: of the runs, each once, after those that it is of: "level = 3, 4: ...".

    Example:
        >>> found = mf.converge('clustering.toml', 'results/converge', [3, 4, 5])  # doctest: +SKIP
        >>> found.table.fitted('l1').value  # doctest: +SKIP
    """

    table: ConvergenceTable
    folder: Path
    warnings: tuple[str, ...] = ()


def convergence_plan(
    case: GivenCase, resolutions: Sequence[int], against: Against = "finest"
) -> ConvergencePlan:
    """What ``converge`` would run.

    Raises:
        InputError: what cannot be run.
    """
    whole = as_case(case)
    if against not in _AGAINST:
        raise InputError(f"against: found '{against}', expected {' or '.join(map(repr, _AGAINST))}")
    if isinstance(whole.solver, Tokens):
        raise InputError(
            f"solver.type: found '{whole.solver.type}', expected a density on a mesh: of tokens "
            "`meanfield compare` tells how they converge with their number"
        )
    if against != "finest" and not isinstance(whole.solver, FixedMesh):
        raise InputError(
            f"against: found 'characteristics' for solver.type = '{whole.solver.type}', which are "
            "these: expected 'finest'"
        )
    asked = _checked(resolutions, 3 if against == "finest" else 2)
    key = whole.geometry.resolution
    made = {f"{RUNS}/{key}-{n}": _told(at_resolution(whole, n)) for n in asked}
    errors = dict(zip(made, asked, strict=True))
    reference, check = list(made)[-1], ""
    if against == "finest":
        errors.pop(reference)
    else:
        finest = made[reference]
        coarse = finest.geometry.coarser()
        if coarse is None:
            raise InputError(f"{key}: found {asked[-1]}, expected a finer one for characteristics")
        reference, check = f"{RUNS}/{_REFERENCE}", f"{RUNS}/{_COARSE}"
        made[reference] = replace(finest, solver=Lagrangian(pointwise=True))
        made[check] = replace(made[reference], geometry=coarse)
    return ConvergencePlan(whole, key, made, errors, reference, check, against)


def _checked(resolutions: Sequence[int], least: int) -> list[int]:
    found = [int(n) for n in resolutions]
    if len(found) < least or any(b <= a for a, b in itertools.pairwise(found)):
        raise InputError(
            f"resolutions: found {found}, expected {least} or more, each finer than the one before"
        )
    return found


def _told(case: Case) -> Case:
    """With what is needed of the density, in full, up to the end."""
    fields = tuple(dict.fromkeys(("rho", "log10_rho", *case.output.fields)))
    output = replace(case.output, fields=fields, precision="float64")
    # Each would be at rest at another time, and the output times after it be of no other run.
    return undrawn(replace(case, output=output, time=replace(case.time, stationary=None)))


@checked_arguments
def converge(
    case: GivenCase,
    folder: PathLike,
    resolutions: Sequence[int],
    *,
    against: Against = "finest",
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    announce: Callable[[], None] | None = None,
) -> Convergence:
    """Run a density at rising resolution; tell its errors and the order of convergence.

    At each output time: the length of the difference of the means, that of the scaled energies (if
    there is one), and the L1 distance of the densities at the vertices of the coarser mesh. Orders
    are ratios of logarithms from one resolution to the next, and one fitted to all, which allows
    for the error of the reference. Steps of the implicit solver go with the edges.

    Args:
        case: what to run: a case, the path of its file, or its table.
        folder: for the results; each run has a folder of its own in it.
        resolutions: rising: levels of a sphere, numbers of vertices of a circle or of latitudes.
        against: the finest of them, or "characteristics" at the finest (kappa = 0), with half of
            their resolution to tell their own error; L1 is nan where they do not know the density.
        overwrite, progress, announce: as for ``run``.
        resume: keep the runs in the folder that have ended, and go on with one that was
            interrupted; other resolutions may be asked for.

    Raises:
        InputError: what cannot be run, before anything is written.
        BrokenInvariantError: a run has broken an invariant.
        KeyboardInterrupt: Ctrl-C; it can be resumed. SIGTERM, SIGHUP and SIGQUIT end the process.

    Example:
        >>> found = mf.converge('clustering.toml', 'results/converge', [3, 4, 5])  # doctest: +SKIP
    """
    plan = convergence_plan(case, resolutions, against)
    if any(isinstance(one.solver, FixedMesh) for one in plan.cases.values()):
        load_dolfinx()
    for one in plan.cases.values():
        format_named(one.output.format)  # may want a library that is missing
    _check_alone()
    if resume:
        RunFolder.open(folder)
    else:
        RunFolder.check(folder, overwrite)
    try:
        with RunFolder.claimed(folder, KIND):
            return _converge(plan, Path(folder), (overwrite, resume), progress, announce)
    except Stopped as stop:
        act_on(stop.number)  # which ends the process, as it would have without this study
        raise


def _converge(
    plan: ConvergencePlan,
    path: Path,
    again: tuple[bool, bool],
    progress: bool | None,
    announce: Callable[[], None] | None,
) -> Convergence:
    folder = _open_folder(path, plan, *again)
    if announce is not None:
        announce()
    try:
        with ending():
            _run_all(plan, folder, progress)
            table = _table(plan, folder.path)
    except BaseException as error:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
        _close(folder, reason, _warnings(plan, folder.path))
        raise
    finally:
        record_files(folder, f"{RUNS}/*")
    table.write(folder)
    notes = _warnings(plan, folder.path)
    _close(folder, "end", notes)
    for text in notes:
        warnings.warn(text, MeanfieldWarning, stacklevel=1)
    if plan.case.output.figures:
        _draw(folder)
    return Convergence(table, folder.path, tuple(notes))


def _close(folder: RunFolder, reason: str, notes: Sequence[str]) -> None:
    end = {"ended": utc_now(), "stop_reason": reason, "warnings": list(notes)}
    folder.write_run({**folder.read_run(), **end})


def _warnings(plan: ConvergencePlan, path: Path) -> list[str]:
    """The warnings of all runs, each once, after the resolutions that it is of."""
    found: dict[str, list[str]] = {}
    for name in plan.cases:
        with suppress(InputError, OSError):  # not begun
            for text in listed(RunFolder.open(path / name).read_run(), "warnings"):
                found.setdefault(str(text), []).append(name.removeprefix(f"{RUNS}/"))
    told = []
    for text, names in found.items():
        of_key = [n.removeprefix(f"{plan.key}-") for n in names if n.startswith(f"{plan.key}-")]
        words = [f"{plan.key} = {', '.join(of_key)}"] if of_key else []
        words += [n for n in names if not n.startswith(f"{plan.key}-")]
        told.append(f"{', '.join(words)}: {text}")
    return told


def _open_folder(path: Path, plan: ConvergencePlan, overwrite: bool, resume: bool) -> RunFolder:
    """Make the folder, or go on with the one that is there."""
    asked = {
        "kind": KIND,
        "base": plan.case.to_toml(),
        "against": plan.against,
        "resolutions": [getattr(one.geometry, plan.key) for one in plan.cases.values()],
        "energy": {"label": plan.case.model.on(plan.case.geometry).energy_label},
    }
    asked = dict(json.loads(json.dumps(plain(asked))))
    if overwrite and RunFolder(path).kind == KIND:
        record_files(RunFolder.open(path), f"{RUNS}/*")  # of one that was killed
    if not resume:
        folder = RunFolder.create(path, overwrite)
        record = {**provenance(), **asked, "started": utc_now(), "stop_reason": None}
    else:
        folder = RunFolder.open(path)
        before = folder.read_run()
        if before.get("kind") != KIND:
            raise InputError(
                f"{path} holds a {before.get('kind') or 'run'}, expected a converge to go on with"
            )
        other = [words for name, words in _SAME.items() if before.get(name) != asked[name]]
        if other:
            raise InputError(
                f"{path} holds another converge: found other values of {', '.join(other)}; only "
                "other resolutions may be asked for, anything else in another folder"
            )
        record = {**before, **asked, "stop_reason": None, "ended": None}
    folder.write_run({**record, **plan.told()})
    folder.write_case(plan.case)
    return folder


def _run_all(plan: ConvergencePlan, folder: RunFolder, progress: bool | None) -> None:
    """Run what has not ended, the coarsest first."""
    left = {
        name: case
        for name, case in plan.cases.items()
        if ended_before(case, folder.path / name)[0] is None
    }
    with Counted(progress, len(plan.cases), len(plan.cases) - len(left), "run") as shown:
        for name, case in left.items():
            stop, _ = run_in(case, folder.path / name, go_on=True)
            if stop.startswith("broken invariant"):
                raise BrokenInvariantError(f"{folder.path / name}: {stop}")
            if stop not in GOOD:
                raise InputError(f"{folder.path / name} has stopped ({stop}), an end expected")
            shown.update()


def _table(plan: ConvergencePlan, path: Path) -> ConvergenceTable:
    """Errors of all runs at the times after 0 that all have."""
    found = {name: _differences(plan, path, name) for name in plan.errors}
    times = sorted(set.intersection(*(set(rows) for rows in found.values())))
    if not times:
        raise InputError(f"{path}: the runs have no output time after 0 in common")
    geometries = [plan.cases[name].geometry for name in plan.errors]
    errors = {
        name: np.array([[_errors(rows[t])[name] for t in times] for rows in found.values()])
        for name in QUANTITIES
    }
    known: Mapping[str, float] = {}
    if plan.check:
        errors["l1"][:, np.array(times) > _told_until(path / plan.reference)] = np.nan
        last = _differences(plan, path, plan.check)
        known = _errors(last[max(last)])
        if max(last) > _told_until(path / plan.check) or np.isnan(errors["l1"][0, -1]):
            del known["l1"]
    return ConvergenceTable(
        key=plan.key,
        against=plan.words,
        resolutions=np.array(list(plan.errors.values())),
        vertices=np.array([geometry.vertex_count for geometry in geometries]),
        edges=np.array([geometry.edge for geometry in geometries]),
        times=np.array(times),
        errors=errors,
        reference_edge=0.0 if plan.check else plan.cases[plan.reference].geometry.edge,
        reference_error=known,
    )


def _differences(plan: ConvergencePlan, path: Path, name: str) -> dict[float, RunDifference]:
    """From a run to the reference, by time; not at 0, where it is that of the first law."""
    rows = compare_runs(path / name, path / plan.reference, distances=False)
    return {row.t: row for row in rows if row.t > 0.0}


def _told_until(path: Path) -> float:
    """The last time at which a run of characteristics tells the density at any point."""
    try:
        return DensityInTime(path).end
    except InputError:
        return -math.inf


def _errors(row: RunDifference) -> dict[str, float]:
    return {"mean": row.mean, "energy": abs(row.energy), "l1": row.l1}


def _check_alone() -> None:
    try:
        ranks = load_mpi().COMM_WORLD.size
    except ImportError:
        return
    if ranks > 1:
        raise InputError(f"{ranks} MPI processes found, one expected: runs are done one by one")


def _draw(folder: RunFolder) -> None:
    from meanfield.figures import make_figures

    try:
        make_figures(folder)
    except Exception as error:  # a picture that fails must not lose the numbers
        text = f"the figures could not be drawn: {error}"
        warnings.warn(text, MeanfieldWarning, stacklevel=1)
