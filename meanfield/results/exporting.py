"""Exporting a run: which of its times and fields, where to, what may be replaced.

What is written is a matter of ``exports``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from meanfield.arguments import PathLike, checked_arguments
from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.results.exports import Data, exporter_named
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, TokenSeries, read_fields, read_tokens_file
from meanfield.results.manifest import RUN_FILE

__all__ = ["EXPORT_DIR", "Result", "export"]

EXPORT_DIR = "export"
"""Folder of what is exported, in that of the run."""

_SAME = 1e-9  # relative difference of times that are the same


@runtime_checkable
class Result(Protocol):
    """What a run gives back, of which only the folder counts here."""

    @property
    def folder(self) -> Path | None:
        """The run folder."""


@checked_arguments
def export(
    run: PathLike | Result,
    to: str,
    output: PathLike | None = None,
    *,
    times: Sequence[float] | None = None,
    fields: Sequence[str] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the fields or tokens of a run in a form that other programs read.

    Args:
        run: the folder of a run, or a result with one.
        to: "pvd" (ParaView, pyvista), "xdmf" (ParaView, meshio), "npz" (NumPy), "csv".
        output: the folder for the files; None: ``export`` in that of the run.
        times: output times; None: all.
        fields: names of fields; None: all.
        overwrite: replace files that are there.

    Returns:
        The files made: for each of fields and tokens the one to open comes first.

    Raises:
        InputError: no such folder, form, time or field; a file is there already, or somebody else
            is writing there.

    Example:
        >>> import meanfield as mf
        >>> mf.export("results/clustering", "npz", times=[0.0, 4.0])[0].name
        'fields.npz'
    """
    exporter = exporter_named(to)
    place = run.folder if isinstance(run, Result) else run
    if place is None:
        raise InputError("run: found a result without a folder, expected one of a run with one")
    folder = RunFolder.open(place)
    sources = _sources(folder)
    chosen = [_chosen(folder, source, times, fields) for source in sources]
    out = folder.path / EXPORT_DIR if output is None else Path(output)
    _check_place(out)
    names = [name for data in chosen for name in exporter.files(data)]
    inside = out.resolve().is_relative_to(folder.path.resolve())
    with ExitStack() as claims:
        if inside:
            claims.enter_context(RunFolder.claimed(folder.path, "export", "FOLDER"))
        _refuse_existing(out, names, overwrite)
        claims.enter_context(RunFolder.claimed(out, "export", "FOLDER"))
        if inside:
            below = out.resolve().relative_to(folder.path.resolve())
            folder.add(*((below / name).as_posix() for name in _recorded(names)))
        for data in chosen:
            exporter.write(data, out)
    return [out / name for name in names]


def _recorded(names: Sequence[str]) -> list[str]:
    """Names for the record: the files of the steps go with their list."""
    return [name for name in names if not name.endswith(".vtu")]


def _check_place(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, expected a folder for what is exported")
    if (out / RUN_FILE).exists():
        raise InputError(
            f"{out} holds a run, whose own files are called alike: expected another folder, such "
            f"as {out / EXPORT_DIR}"
        )


def _refuse_existing(out: Path, names: Sequence[str], overwrite: bool) -> None:
    there = next((out / name for name in names if (out / name).exists()), None)
    if there is not None and (not overwrite or there.is_dir()):
        raise InputError(f"{there} is there already: add --overwrite (overwrite=True), or give "
                         "another folder")  # fmt: skip


def _sources(folder: RunFolder) -> list[FieldSeries | TokenSeries]:
    found: list[FieldSeries | TokenSeries] = []
    if folder.fields_path.is_file():
        found.append(read_fields(folder.fields_path))
    if folder.particles_path.is_file():
        found.append(read_tokens_file(folder.particles_path))
    if not found:
        raise InputError(
            f"{folder.path} has neither fields ({folder.fields_path.name}) nor tokens "
            f"({folder.particles_path.name}): the folder of a run expected"
        )
    return found


def _chosen(
    folder: RunFolder,
    source: FieldSeries | TokenSeries,
    times: Sequence[float] | None,
    fields: Sequence[str] | None,
) -> Data:
    if not len(source.times):
        raise InputError(f"{source.path} has no steps: the run did not get to its first output")
    steps = set(range(len(source.times)))
    if times is not None:
        steps = {_step(source.path, source.times, t) for t in times}
        if not steps:
            raise InputError("times: the list is empty, expected output times of the run")
    known = (*source.names, *source.static)
    names = known
    if fields is not None:
        for name in fields:
            if name not in known:
                raise InputError(
                    f"fields: found '{name}', which is not in {source.path}; expected of "
                    f"{', '.join(known)}{suggest(name, known)}"
                )
        if not fields:
            raise InputError(f"fields: the list is empty, expected of {', '.join(known)}")
        # Where points are, and which: without these nothing can be read back.
        kept = set(source.static) | set(fields)
        if isinstance(source, FieldSeries):
            kept |= set(source.manifold.beside_space(source.mesh.points))
        names = tuple(name for name in known if name in kept)
    return Data(source, tuple(sorted(steps)), names, _title(folder))


def _step(path: Path, times: Array, t: float) -> int:
    k = int(np.argmin(np.abs(times - t)))
    if not abs(times[k] - t) <= _SAME * max(1.0, abs(t)):
        raise InputError(
            f"times: found {t:g}, expected of the {len(times)} output times of {path} from "
            f"{times[0]:g} to {times[-1]:g} (the nearest: {times[k]:g})"
        )
    return k


def _title(folder: RunFolder) -> str:
    try:
        table = tomllib.loads(folder.case_path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        table = {}
    return str(table.get("title") or folder.path.name)
