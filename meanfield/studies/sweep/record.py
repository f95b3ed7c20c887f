"""The folder of a sweep: what it was asked for, and whether what is asked now goes on with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from meanfield.errors import InputError
from meanfield.results.folder import RunFolder
from meanfield.results.manifest import plain
from meanfield.software import provenance, utc_now
from meanfield.studies.ended import record_files
from meanfield.studies.sweep.plan import Plan
from meanfield.studies.sweep.runs import RUNS

__all__ = ["KIND", "open_folder", "record_runs"]

KIND = "sweep"
_SAME = ("base", "axes", "block", "delta", "keep", "ways", "digests")
_IN_WORDS = {"base": "the case", "axes": "what is varied", "ways": "what goes to the kernel"}


def open_folder(path: Path, plan: Plan, overwrite: bool, resume: bool) -> RunFolder:
    """Make the folder, or go on with the one that is there.

    Raises:
        InputError: it holds something else, or a sweep of something else.
    """
    asked = _asked(plan)
    if overwrite and RunFolder(path).kind == KIND:
        record_runs(RunFolder.open(path))  # of a sweep that was killed
    if resume:
        folder = RunFolder.open(path)
        before = folder.read_run()
        _refuse_other(path, before, asked)
        record = {**before, **asked, "stop_reason": None, "ended": None}
    else:
        folder = RunFolder.create(path, overwrite)
        record = {**provenance(), **asked, "started": utc_now(), "stop_reason": None}
    folder.write_run({**record, "title": plan.title, "parameters": plan.parameters()})
    folder.write_case(plan.points[0].case)
    folder.add(*(name for names in plan.block_files() for name in names))
    return folder


def _asked(plan: Plan) -> dict[str, object]:
    """As it is recorded: as JSON gives it back."""
    told: object = json.loads(
        json.dumps(
            plain(
                {
                    "kind": KIND,
                    "base": dict(plan.base),
                    "axes": [[axis.keys, axis.values] for axis in plan.axes],
                    "seeds": plan.seeds,
                    "block": plan.options.block,
                    "delta": plan.options.delta,
                    "keep": plan.options.keep,
                    "ways": "".join("r" if p.model is None else "k" for p in plan.points),
                    "digests": _digests(plan),
                }
            ),
            default=str,
        )
    )
    assert isinstance(told, dict)
    return told


def _digests(plan: Plan) -> list[Mapping[str, str]]:
    """Of the files that cases name; of all points where these may differ."""
    texts = any(isinstance(v, str) for axis in plan.axes for values in axis.values for v in values)
    points = plan.points if texts else plan.points[:1]
    return [point.case.file_digests(law=True) for point in points]


def record_runs(folder: RunFolder) -> None:
    """Record the files of runs: they are deleted with the others when the sweep is overwritten."""
    record_files(folder, f"{RUNS}/*/*")


def _refuse_other(path: Path, before: Mapping[str, object], asked: Mapping[str, object]) -> None:
    if before.get("kind") != KIND:
        raise InputError(
            f"{path} holds a {before.get('kind') or 'run'}, expected a sweep to go on with"
        )
    other = [_IN_WORDS.get(name, name) for name in _SAME if before.get(name) != asked[name]]
    if other:
        raise InputError(
            f"{path} holds another sweep: found other values of {', '.join(other)}; only more "
            "seeds may be asked for, anything else in another folder"
        )
    seeds, kept = asked["seeds"], before.get("seeds")
    assert isinstance(seeds, int)
    if isinstance(kept, int) and seeds < kept:
        raise InputError(f"seeds: found {seeds}, expected {kept} or more, as {path} has")
