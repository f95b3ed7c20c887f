"""From where a run goes on: the newest checkpoint that is whole, and is of the same case.

Owns what a checkpoint tells beside the state of the solver. Reads only: a run that cannot go on
leaves its folder as it was. On rank 0 only.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from meanfield.case import Case
from meanfield.errors import InputError
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.folder import RunFolder, listed
from meanfield.results.formats import read_fields, read_tokens_file
from meanfield.results.manifest import plain
from meanfield.results.series import whole_rows

__all__ = ["ENTRY", "Restart", "before", "find_restart", "identity", "told"]

ENTRY = "record"
"""Name of the entry of a checkpoint with what it tells beside the state, as JSON."""


@dataclass(frozen=True)
class Restart:
    """What a run goes on from.

    Attributes:
        path: of the checkpoint.
        values: of the state.
        record: what the checkpoint tells beside it; {} if an earlier version wrote it.
        notes: why it is not the newest one, if so.
    """

    path: Path
    values: Mapping[str, object]
    record: Mapping[str, object]
    notes: tuple[str, ...] = ()


def identity(case: Case) -> dict[str, object]:
    """What a checkpoint tells of its case."""
    return {"case": case.to_toml(), "digests": case.file_digests()}


def told(identity: Mapping[str, object], **counted: object) -> str:
    """What a checkpoint tells beside the state, for its entry.

    Args:
        identity: of the case.
        **counted: what is in the folder, and what else the next part of the run needs to know.
    """
    return json.dumps(plain({**identity, **counted}))


def find_restart(case: Case, folder: RunFolder) -> Restart:
    """Find from where the run in a folder can go on.

    Args:
        case: as it is to be run.
        folder: of the run.

    Raises:
        InputError: the case is another one, or there is no whole checkpoint which the series and
            the fields reach.
    """
    paths = [path for path in folder.checkpoint_paths if path.is_file()]
    if not paths:
        raise InputError(
            f"{folder.path} has no checkpoint to resume from: start again with --overwrite"
        )
    wrong: list[str] = []
    for path in paths:
        try:
            values = load_checkpoint(path)
        except InputError as error:
            wrong.append(str(error))
            continue
        text = values.pop(ENTRY, "{}")
        record = json.loads(text) if isinstance(text, str) else {}
        refuse_other_case(case, folder, record)
        missing = _missing(folder, record, float(str(values.get("t", 0.0))))
        if missing:
            wrong.append(f"{path} counts {missing}")
            continue
        notes = tuple(f"{why}; went on from {path}" for why in wrong)
        return Restart(path, values, record, notes)
    raise InputError(f"cannot resume {folder.path}: {'; '.join(wrong)}")


def refuse_other_case(case: Case, folder: RunFolder, record: Mapping[str, object]) -> None:
    """Refuse to go on with another problem than the one that was begun.

    Raises:
        InputError: names what differs.
    """
    changed: list[str] = []
    text, before = record.get("case"), record.get("digests")
    if isinstance(text, str) and isinstance(before, dict):
        now, table = case.file_digests(), tomllib.loads(text)
        for key, digest in before.items():
            if now.get(key) == digest and not key.startswith("initial."):
                # The same, under whatever name.
                _put(table, key, _at(case.to_dict(), key))
            elif key in now and now[key] != digest:
                changed.append(f"the content of {key}")
        old = Case.from_dict(table, recorded=True)
    else:
        old = Case.from_toml(folder.case_path, recorded=True)
    changed += case.resume_conflicts(old)
    if changed:
        raise InputError(
            f"cannot resume {folder.path}: the case differs from the one that was begun in "
            f"{', '.join(changed)}; only the title, [time], output.figures and "
            "output.checkpoint_minutes may change"
        )


def _at(table: Mapping[str, object], key: str) -> object:
    value: object = table
    for name in key.split("."):
        value = _inside(value, name)
    return value


def _inside(value: object, name: str) -> object:
    """What a table, or a list at a place, holds."""
    if isinstance(value, list):
        return value[int(name)]
    assert isinstance(value, Mapping)
    return value[name]


def _put(table: dict[str, object], key: str, value: object) -> None:
    *names, last = key.split(".")
    inner = _at(table, ".".join(names)) if names else table
    assert isinstance(inner, dict)
    inner[last] = value


def _missing(folder: RunFolder, record: Mapping[str, object], t: float) -> str:
    """What the checkpoint counts that is not there, in words."""
    rows, last = record.get("rows"), record.get("fields")
    if isinstance(rows, int) and (found := whole_rows(folder.series_path, t)) < rows:
        return f"{rows} rows up to t = {t:g}, found {found} in {folder.series_path}"
    if isinstance(last, int | float) and (why := _lacks(folder, float(last))):
        return f"fields up to t = {last:g}, {why}"
    return ""


def _lacks(folder: RunFolder, last: float) -> str:
    """Why the field file does not reach a time."""
    path, tokens = folder.fields_path, folder.particles_path
    of_tokens = tokens.name in folder.files()  # a file of the user's may have such a name
    try:
        times = (read_tokens_file(tokens) if of_tokens else read_fields(path)).times
    except InputError as error:
        return f"but {error}"
    return "" if len(times) and times[-1] >= last else "which the field file does not reach"


def before(folder: RunFolder, restart: Restart) -> dict[str, object]:
    """What the parts of the run before this one have recorded.

    In run.json if they came to an end, in the checkpoint if they were killed.
    """
    found = folder.read_run()
    outcome, notes = restart.record.get("outcome"), restart.record.get("warnings")
    if isinstance(outcome, dict):
        found |= outcome
    if isinstance(notes, list):
        found["warnings"] = list(dict.fromkeys([*listed(found, "warnings"), *notes]))
    return found
