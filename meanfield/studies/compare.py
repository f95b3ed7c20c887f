"""Do particles agree with the density? One, or many particles, against clouds from the same law.

Owns the order of things: settings, the density, the clouds, what comes out; and how it goes on
after an interruption. The pieces are in the modules beside it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from meanfield.arguments import checked_arguments
from meanfield.case import Case, FixedMesh
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.results.folder import RunFolder
from meanfield.results.formats import format_named
from meanfield.signals import Stopped, act_on, ending
from meanfield.software import load_dolfinx, load_mpi, utc_now
from meanfield.studies.evaluate import Comparison, evaluate
from meanfield.studies.numbers import checked_integer
from meanfield.studies.report import write
from meanfield.studies.settings import Clouds, Settings, as_begun, open_folder, settle
from meanfield.studies.suitable import unused
from meanfield.studies.tasks import Task, run_coarse_density, run_density, run_reference, run_tasks

__all__ = ["compare"]


@checked_arguments
def compare(
    case: Case,
    clouds: Clouds,
    folder: str | Path,
    *,
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
    moments in units of their Monte-Carlo error; and the p-value of a test that the clouds have, on
    average and for n to infinity, the density's moments of degree 1 to 4 (``analysis.verdict``),
    nan where there is no verdict. Of a model without energy, E is not. Columns: ``Comparison``.

    Both distances are to the same points that stand for the density (4 n of them, 2 000 to 10 000,
    and about n for more than 20 000 particles), so that what this costs in accuracy (``quadrature``
    in the table) is in both. Differences and moments are extrapolated to n to infinity by parts of
    the clouds, in which particles interact with those of their half, quarter or eighth only, and,
    with schemes of second order, to h = 0 by a density at half the resolution. What is left of its
    error is allowed for, so that p may be larger than uniform; of laws with jumps, for which no
    scheme is of second order, it is not all. On a mesh of a file the error is unknown and not
    allowed for.

    Args:
        case: density to run: eulerian or implicit solver, any geometry; or one by position
            (lagrangian, with a mask), which tokens under the same mask are compared with: its
            samples are drawn in the order of tokens, each from the slice of its place; or tokens in
            any d (``Particles``), of which ``clouds.reference`` stand for the limit: distances are
            then to some of these (as many as above), floors those of others in each replica, also
            of the energy distance and MMD. For p twice their own sampling error is allowed for; in
            d > 3 moments are those of degree 1 and 2.
        clouds: the particles, and when and how to compare.
        folder, jobs: for the results; processes, of one core each.
        overwrite, progress, announce: as for ``simulation.run``.
        resume: go on in the folder; more numbers and other replicas may be asked for, nothing else.

    Raises:
        InputError: what cannot be compared, before anything is written.
        KeyboardInterrupt: Ctrl-C; it can be resumed. SIGTERM, SIGHUP and SIGQUIT end the process.

    >>> mf.compare(case, mf.Clouds([250, 1000], 8), "results/compare")  # doctest: +SKIP
    """
    settings = settle(case, as_begun(clouds, folder) if resume else clouds)
    jobs = checked_integer("jobs", jobs, 1, 10_000, "each takes a core")
    _check_software(settings)
    _check_alone()
    try:
        with RunFolder.claimed(folder, "compare"):
            return _compare(settings, Path(folder), jobs, overwrite, resume, progress, announce)
    except Stopped as stop:
        act_on(stop.number)  # which ends the process, as it would have without this comparison
        raise


def _check_software(settings: Settings) -> None:
    """Refuse what some library is missing for."""
    if isinstance(settings.case.solver, FixedMesh):
        load_dolfinx()
    for one in (settings.case, settings.particle_case):
        format_named(one.output.format)


def _compare(
    settings: Settings,
    path: Path,
    jobs: int,
    overwrite: bool,
    resume: bool,
    progress: bool | None,
    announce: Callable[[], None] | None,
) -> Comparison:
    for text in unused(settings.case, settings.particle_case):
        warnings.warn(text, MeanfieldWarning, stacklevel=1)
    run_folder = open_folder(path, settings, overwrite, resume)
    tasks = [
        Task(settings, kind, n, r, str(run_folder.path))
        for n in settings.numbers
        for r in range(settings.replicas)
        for kind in settings.kinds
    ]
    try:
        with ending():  # so that no process of its own stays behind
            run_folder.add(*(task.name for task in tasks))
            if settings.reference is None:
                run_density(settings, run_folder, progress, announce)
                run_coarse_density(settings, run_folder, progress)
            else:
                run_reference(settings, run_folder, progress, announce)
            run_tasks(tasks, jobs, progress)
    except BaseException as error:
        run_folder.write_run(
            {**run_folder.read_run(), "ended": utc_now(), "stop_reason": _reason(error)}
        )
        raise
    found = evaluate(settings, run_folder.path)
    write(found, run_folder, settings.case.output.figures)
    return found


def _check_alone() -> None:
    try:
        ranks = load_mpi().COMM_WORLD.size
    except ImportError:
        return
    if ranks > 1:
        raise InputError(
            f"{ranks} MPI processes found, one expected: a comparison starts its "
            "own, as many as jobs says"
        )


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"failed: {type(error).__name__}: {error}".rstrip(": ")
