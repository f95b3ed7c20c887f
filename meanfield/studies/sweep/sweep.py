"""A sweep from its beginning to its end: what is missing is done, and put together.

Owns the order of things, and how it goes on after an interruption.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from meanfield.arguments import PathLike, checked_arguments
from meanfield.case import GivenCase
from meanfield.errors import MeanfieldWarning
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import SweepTable
from meanfield.runs.progress import Counted
from meanfield.signals import Stopped, act_on, ending
from meanfield.software import utc_now
from meanfield.studies.processes import Submits, by_executor, in_processes
from meanfield.studies.sweep.axes import Vary
from meanfield.studies.sweep.blocks import Block, kept_count
from meanfield.studies.sweep.gather import Failure, gathered
from meanfield.studies.sweep.kernel import KernelTask
from meanfield.studies.sweep.plan import Piece, Plan, SweepOptions, make_plan
from meanfield.studies.sweep.record import open_folder, record_runs

__all__ = ["SweepResult", "sweep", "work"]

_MOST_TOLD = 20  # failures in the record, each with its reason


@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep leaves behind.

    Attributes:
        table: statistics at all points.
        failures: realisations that have failed, in order.
        folder: where the files are.

    Example:
        >>> found = mf.sweep('zoom.toml', {'model.beta': [1, 4]}, 'map', seeds=64)  # doctest: +SKIP
        >>> found.table.half  # doctest: +SKIP
    """

    table: SweepTable
    failures: Sequence[Failure]
    folder: Path


@checked_arguments
def sweep(
    case: GivenCase,
    vary: Vary,
    folder: PathLike,
    *,
    seeds: int = 1,
    executor: Submits | None = None,
    overwrite: bool = False,
    resume: bool = False,
    options: SweepOptions | None = None,
) -> SweepResult:
    """Run a case at each point of a product of axes, with several seeds each.

    Realisation k of a point is ``run`` of its case with the seed ``case.seed + k``: all points have
    the same random numbers. Tokens that the kernel of ensembles can do go to it, in blocks; other
    cases to ``run``, each with a folder of its own. What comes out hangs on no number of processes
    or threads, nor on whether the sweep was interrupted. A realisation that fails is recorded, and
    harms no other.

    Args:
        case: what to run: a case, the path of its file, or its table.
        vary: values by key, as {"model.beta": [1.0, 4.0]}; keys that change together are a tuple:
            {("geometry.d", "solver.number"): [(2, 32), (8, 64)]}. All combinations are run.
        folder: for the results.
        seeds: realisations at each point.
        executor: does all the work, if given: anything with the ``submit`` of
            ``concurrent.futures``, such as Dask's ``client.get_executor()``; processes of other
            machines must see ``folder``.
        overwrite: replace what is in the folder.
        resume: go on with the sweep in the folder; what is finished is kept, what has failed is
            tried again (runs, and blocks of which all has), and more seeds may be asked for,
            nothing else.
        options: how.

    Raises:
        InputError: what cannot be run, before anything is written; it names the point.
        KeyboardInterrupt: Ctrl-C; it can be resumed. SIGTERM, SIGHUP and SIGQUIT end the process.

    Example:
        >>> case = mf.Case(
        ...     geometry=mf.Unmeshed(d=3),
        ...     model=mf.Model(attention='sa', beta=1.0),
        ...     initial=mf.Uniform(3),
        ...     solver=mf.Particles(number=8),
        ...     time=mf.Time(end=1.0),
        ... )
        >>> found = mf.sweep(case, {'model.beta': [1, 4]}, 'map', seeds=4)  # doctest: +SKIP
        >>> found.table.columns['mean_norm'].mean.shape  # doctest: +SKIP
    """
    plan = make_plan(case, vary, seeds, options or SweepOptions())
    if resume:
        RunFolder.open(folder)
    else:
        RunFolder.check(folder, overwrite)
    try:
        with RunFolder.claimed(folder, "sweep"):
            return _sweep(plan, Path(folder), executor, overwrite, resume)
    except Stopped as stop:
        act_on(stop.number)  # which ends the process, as it would have without this sweep
        raise


def _sweep(
    plan: Plan, path: Path, executor: Submits | None, overwrite: bool, resume: bool
) -> SweepResult:
    folder = open_folder(path, plan, overwrite, resume)
    pieces = plan.pieces(folder.path.resolve())
    if plan.options.announce is not None:
        plan.options.announce()
    try:
        with ending():  # so that no process of its own stays behind
            _work_all(pieces, folder, plan, executor)
    except BaseException as error:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
        folder.write_run({**folder.read_run(), "ended": utc_now(), "stop_reason": reason})
        raise
    finally:
        record_runs(folder)
    table, failures = gathered(plan, folder.path)
    table.write(folder)
    told = [[one.point, one.seed, one.reason] for one in failures[:_MOST_TOLD]]
    end = {"ended": utc_now(), "stop_reason": "end", "failed": len(failures), "failures": told}
    folder.write_run({**folder.read_run(), **end})
    _warn(failures)
    if plan.points[0].case.output.figures:
        _draw(folder)
    return SweepResult(table, failures, folder.path)


def work(piece: Piece) -> Block:
    """Do a piece of work, in whatever process."""
    return piece.task.run()


def _work_all(
    pieces: Sequence[Piece], folder: RunFolder, plan: Plan, executor: Submits | None
) -> None:
    """Do all pieces that are not done; each that is done stays so."""
    progress, jobs = plan.options.progress, plan.options.jobs
    left = [piece for piece in pieces if kept_count(folder.path / piece.name) < piece.count]
    total = sum(piece.count for piece in pieces)
    done = total - sum(piece.count for piece in left)
    with Counted(progress, total, done, "run") as shown:

        def finished(piece: Piece, block: Block) -> None:
            block.write(folder.path / piece.name)
            shown.update(piece.count)

        if executor is not None:
            by_executor(executor, work, left, finished)
            return
        others = []
        for piece in left:
            if jobs == 1 or isinstance(piece.task, KernelTask):
                finished(piece, work(piece))
            else:
                others.append(piece)
        if others:
            in_processes(work, others, jobs, finished)


def _warn(failures: Sequence[Failure]) -> None:
    if not failures:
        return
    first = failures[0]
    kinds = Counter(failure.reason for failure in failures)
    most, count = kinds.most_common(1)[0]
    warnings.warn(
        f"{len(failures)} realisations have failed, the first at {first.point}, seed {first.seed}; "
        f"{count} of them: {most}",
        MeanfieldWarning,
        stacklevel=3,
    )


def _draw(folder: RunFolder) -> None:
    from meanfield.figures import make_figures

    try:
        make_figures(folder)
    except Exception as error:  # a picture that fails must not lose the sweep
        text = f"the figures could not be drawn: {error}"
        warnings.warn(text, MeanfieldWarning, stacklevel=1)
