"""The readers in turn, the errors of all of them, and what is said before any of them is asked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from meanfield.errors import InputError, suggest
from meanfield.geometry.meshread import bymeshio, bytrimesh, byvtk, msh, off, stl, vtkhdf
from meanfield.geometry.meshread.raw import Raw, UnreadableError

__all__ = ["read_by_turns"]

T = TypeVar("T")


class _Reader(Protocol):
    """A module that reads files."""

    def extensions(self) -> list[str]: ...
    def read(self, path: Path) -> Raw: ...


_READERS: dict[str, _Reader] = {
    "meshio": bymeshio,
    "h5py": vtkhdf,
    "meanfield (OFF)": off,
    "meanfield (gmsh)": msh,
    "VTK": byvtk,
    "meanfield (STL)": stl,
    "trimesh": bytrimesh,
}
_STRICT = (".vtu", ".vtp", ".xdmf", ".vtkhdf")
"""Formats that name each of their parts: who can read such a file at all reads it right."""

_USUAL = (".vtu", ".vtk", ".msh", ".xdmf", ".stl", ".obj", ".ply", ".off", ".vtp", ".vtkhdf")


def read_by_turns(
    path: Path, use: Callable[[Raw, Callable[[str], None]], T], time: float | None = None
) -> tuple[T, list[str]]:
    """Let readers try a file until ``use`` takes what one of them gives.

    What a reader makes of a dialect that it does not know is often refused only when it is used, so
    this does not end the turns. A file with nothing but points is what it is if no reader finds
    more.

    Args:
        path: the file.
        use: makes what is wanted, or raises InputError; it is given a function for its notices.
        time: of files that hold several times, which one; None: the last.

    Returns:
        What ``use`` has made, and its notices.

    Raises:
        InputError: if there is no such file; what each reader said, if none can read it; else what
            ``use`` said first.
    """
    said: list[str] = []
    refused: list[InputError] = []
    for raw in _readings(path, time, said):
        notes: list[str] = []
        try:
            return use(raw, notes.append), notes
        except InputError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    raise InputError(
        f"{path} cannot be read ({'; '.join(said)}); check that the file is complete and that its "
        "extension names its format"
    )


def _readings(path: Path, time: float | None, said: list[str]) -> Iterator[Raw]:
    """What the readers give, those with points only last; what the others say goes to ``said``."""
    bare: list[Raw] = []
    found = False
    for name, read in _readers(path, time):
        try:
            raw = read()
        except UnreadableError as error:
            said.append(f"{name}: {error}")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        else:
            if not len(raw.points):
                said.append(f"{name}: found nothing in it")
            elif raw.is_bare:
                bare.append(raw)
            else:
                found = True
                yield raw
            if path.suffix.lower() in _STRICT and len(raw.points):
                break
    if not found:
        yield from bare


def _readers(path: Path, time: float | None) -> Iterator[tuple[str, Callable[[], Raw]]]:
    """Who can try the file, by name."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the mesh file in it")
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"mesh file {path} does not exist{suggest(path.name, near)}")
    if not path.is_file():
        raise InputError(f"{path} is no file with a beginning and an end, expected a mesh file")
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    able = [name for name, reader in _READERS.items() if suffix in reader.extensions()]
    if not able:
        every = {extension for reader in _READERS.values() for extension in reader.extensions()}
        raise InputError(
            f"{path}: no mesh format has the extension {suffix!r}{suggest(suffix, every)}; "
            f"expected one of {', '.join(_USUAL)}, or another one that meshio reads"
        )
    if len(start) < 1024 and not start.strip():  # a binary header may begin with blanks
        raise InputError(f"{path} is empty: expected a {suffix} mesh file")
    if time is not None and "h5py" not in able:
        raise InputError(f"time: found {time:g}, but {path} holds no times; leave it out")
    for name in able:
        if name == "h5py":
            yield name, functools.partial(vtkhdf.read, path, time)
        else:
            yield name, functools.partial(_READERS[name].read, path)
