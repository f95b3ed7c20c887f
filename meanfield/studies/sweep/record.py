"""The folder of a sweep: what it was asked for, and whether what is asked now goes on with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from meanfield.errors import InputError
from meanfield.results.folder import RunFolder
from meanfield.results.manifest import plain
from meanfield.software import provenance, utc_now
from meanfield.studies.sweep.plan import Plan

__all__ = ["KIND", "open_folder"]

KIND = "sweep"
_SAME = ("base", "axes", "block", "delta", "keep", "ways", "digests")
_IN_WORDS = {"base": "the case", "axes": "what is varied", "ways": "what goes to the kernel"}


def open_folder(path: Path, plan: Plan, overwrite: bool, resume: bool) -> RunFolder:
    """Make the folder, or go on with the one that is there.

    Raises:
        InputError: it holds something else, or a sweep of something else.
    """
    asked = _asked(plan)
    if resume:
        folder = RunFolder.open(path)
        before = folder.read_run()
        _refuse_other(path, before, asked)
        record = {**before, **asked, "stop_reason": None, "ended": None}
    else:
        folder = RunFolder.create(path, overwrite)
        record = {**provenance(), **asked, "started": utc_now(), "stop_reason": None}
    folder.write_run(record)
    folder.write_case(plan.points[0].case)
    folder.add(*(name for names in plan.block_files() for name in names))
    return folder


def _asked(plan: Plan) -> dict[str, object]:
    """As it is recorded: as JSON gives it back."""
    case = plan.points[0].case
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
                    "digests": case.file_digests(law=True),
                }
            ),
            default=str,
        )
    )
    assert isinstance(told, dict)
    return told


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
