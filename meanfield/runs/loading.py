"""The result of a run from its folder."""

from __future__ import annotations

from pathlib import Path

from meanfield.arguments import PathLike, checked_arguments
from meanfield.errors import InputError
from meanfield.results.folder import RunFolder, listed
from meanfield.results.series import Series
from meanfield.runs.result import Result

__all__ = ["load"]

_NOT_ENDED = "not ended"
"""Why a run stopped that is still running, or was killed."""


@checked_arguments
def load(folder: PathLike) -> Result:
    """What ``run`` has returned, from the folder of the run, without its solver.

    Also of a run that is still running, or was killed, and of folders of earlier versions: what is
    there. ``t``, ``steps``, ``stop_reason``, ``series``, ``timings`` and ``warnings`` are those of
    this moment and stay so; ``times``, ``fields``, ``tokens``, ``clusters`` and pictures are read
    when they are asked for. Of a run that goes on, load again to have all of one moment.

    Args:
        folder: of a run.

    Raises:
        InputError: it is no folder of a run: that of a comparison, a sweep, a branch, or of a later
            version.

    Example:
        >>> import meanfield as mf
        >>> bool(mf.load("results/clustering").fields.density(t=2.0).min() > 0.0)
        True
    """
    run = RunFolder.open(folder)
    record = run.read_run()
    if kind := record.get("kind"):
        raise InputError(f"{folder} is the folder of '{kind}', that of a run expected")
    series = Series(run.read_series()) if run.series_path.is_file() else Series()
    reason, timings = record.get("stop_reason"), record.get("timings")
    last = {name: column[-1] for name, column in series.items() if len(column)}
    t, steps = last.get("t", 0.0), last.get("step", 0.0)
    if reason is not None:  # else these are of the part before
        t, steps = (record.get(name, value) for name, value in (("t", t), ("steps", steps)))
    return Result(
        t=float(t),
        steps=int(steps),
        stop_reason=_NOT_ENDED if reason is None else str(reason),
        series=series,
        folder=Path(folder),
        timings=dict(timings) if isinstance(timings, dict) else {},
        warnings=[str(text) for text in listed(record, "warnings")],
    )
