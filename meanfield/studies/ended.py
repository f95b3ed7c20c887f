"""Runs of a study, each in a folder of its own: those that have ended are not run again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from meanfield.case import Case, FixedMesh
from meanfield.collective import Alone, Communicator
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.runs.observers import Observer
from meanfield.runs.simulation import run
from meanfield.software import load_dolfinx, load_mpi

__all__ = ["GOOD", "STATIONARY", "alone", "ended_before", "record_files", "run_in", "undrawn"]

STATIONARY = "stationary"
GOOD = ("end", STATIONARY)
"""Why a run stops that is as it should be."""
_STOPPED = (None, "interrupted", "wall limit")
"""Why a run stops that can be gone on with; None: it was killed."""


def undrawn(case: Case) -> Case:
    """The case without figures, as a study runs it."""
    return replace(case, output=replace(case.output, figures=False))


def ended_before(case: Case, folder: str | Path) -> tuple[str | None, Mapping[str, Array]]:
    """Why the run in the folder has ended, and its series; None: it has not, or is another."""
    with suppress(InputError, OSError):
        there = RunFolder.open(folder)
        stop = there.read_run().get("stop_reason")
        if stop in GOOD and _is_of(case, there):
            return str(stop), there.read_series()
    return None, {}


def _is_of(case: Case, there: RunFolder) -> bool:
    return there.case_path.read_text(encoding="utf-8").partition("\n")[2] == case.to_toml()


def _begun(case: Case, folder: Path) -> bool:
    """Whether the run in the folder was stopped or killed, and has left a checkpoint."""
    with suppress(InputError, OSError):
        there = RunFolder.open(folder)
        stopped = there.read_run().get("stop_reason") in _STOPPED
        return stopped and _is_of(case, there) and any(p.is_file() for p in there.checkpoint_paths)
    return False


def run_in(
    case: Case,
    folder: str | Path,
    observers: Sequence[Observer] = (),
    go_on: bool = False,
) -> tuple[str, Mapping[str, Array]]:
    """Run a case in this process: why it has ended, and its series.

    Its warnings are in its own record, where the study finds them.

    Args:
        case: what to run.
        folder: for it; what is there is replaced.
        observers: as for ``run``.
        go_on: from the checkpoint of the same case, if one is there that can be gone on from.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    place, comm = Path(folder), alone(isinstance(case.solver, FixedMesh))
    result = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeanfieldWarning)
        if go_on and _begun(case, place):
            with suppress(InputError):  # no checkpoint that is whole: from the beginning then
                result = run(
                    case, place, resume=True, progress=False, observers=observers, comm=comm
                )
        if result is None:
            result = run(
                case, place, overwrite=True, progress=False, observers=observers, comm=comm
            )
    if result.stop_reason == "interrupted":
        raise KeyboardInterrupt
    return result.stop_reason, result.series


def alone(meshed: bool) -> Communicator:
    """This process: others of an MPI pool do other runs. ``meshed``: by DOLFINx."""
    try:
        mpi = load_mpi()
    except ImportError:
        return Alone()
    if meshed and mpi.COMM_WORLD.size > 1:
        load_dolfinx(alone=True)
    own: Communicator = mpi.COMM_SELF
    return own


def record_files(folder: RunFolder, below: str) -> None:
    """Record the files of runs in folders that match ``below``, such as "points/*/*".

    They are deleted with the others when the study is overwritten.
    """
    names: list[str] = []
    for place in sorted(folder.path.glob(below)):
        with suppress(InputError):
            inside = place.relative_to(folder.path).as_posix()
            names += [f"{inside}/{name}" for name in sorted(RunFolder.open(place).files())]
    folder.add(*names)
