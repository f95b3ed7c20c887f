"""The record of a run, run.json, and in it of the files that were made: what may be deleted.

Owns that file. Knows nothing of what else is said in it, and of what the files are.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from meanfield.errors import InputError
from meanfield.results.lock import LOCK_FILE
from meanfield.whole import finished_name, write_text

__all__ = ["FORMAT", "RUN_FILE", "Manifest", "plain"]

RUN_FILE = "run.json"
FORMAT = 1
"""Version of a folder: what its files are called and how they are read; 0: before it was told.

It grows by one when what is written can no longer be read by the versions before: CONTRIBUTING.md.
"""

# What versions without a record of their files made, by any verb; most pictures they have told.
_EARLIER = (
    "case.toml", RUN_FILE, "series.csv", "run.log", "checkpoint.npz", "fields.vtkhdf",
    "particles.vtkhdf",
    "density.npz", "density-coarse.npz", "compare.csv", "rates.csv",
    "tasks/particles-n*-r*.npz", "tasks/floor-n*-r*.npz",
    "stationary.csv", "eigenvalues.csv", "state.npz", "density.vtu",
    "branch.csv", "events.csv", "branch.npz",
    "figures/energy.png", "figures/density.png",
)  # fmt: skip


class Manifest:
    """The record of one folder; a folder without one has what earlier versions made.

    Args:
        folder: it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._new: set[str] = set()  # what this object has recorded

    @property
    def path(self) -> Path:
        """The file."""
        return self._folder / RUN_FILE

    def add(self, *names: str) -> None:
        """Record files that are about to be made, see ``RunFolder.add``."""
        if self._new.issuperset(names):
            return
        self._new.update(names)
        for place in {(self._folder / name).parent for name in names}:
            place.mkdir(parents=True, exist_ok=True)
        if self.path.is_file() and not self.files().issuperset(names):
            with suppress(InputError):  # a damaged record is told by who needs it
                self.write(self.read())

    def files(self) -> set[str]:
        """Names of what was made here, as recorded; where nothing is, what earlier versions made.

        A file in the record may not be there (yet).

        Raises:
            InputError: a later version made them.
        """
        run = self._tolerant()
        self._refuse_later(run)
        listed, told = run.get("files"), run.get("figures")
        if isinstance(listed, list):
            names = {name for name in listed if isinstance(name, str)}
            return names | {step for name in names for step in self._steps_of(name)}
        pictures = told if isinstance(told, list) else []
        patterns = [name + ending for name in _EARLIER for ending in ("", ".tmp")]
        found = (file for pattern in patterns for file in self._folder.glob(pattern))
        return {
            *(file.relative_to(self._folder).as_posix() for file in found),
            *(f"figures/{Path(name).name}" for name in pictures if isinstance(name, str)),
        }

    def _steps_of(self, name: str) -> Iterator[str]:
        """Files of the steps of a list of them (.pvd): there are many, which nobody records."""
        path = PurePosixPath(name)
        if path.suffix == ".pvd" and self._holds(name):
            for file in (self._folder / path.with_suffix("")).glob(f"{path.stem}_*.vtu"):
                if re.fullmatch(r"_\d{6,}\.vtu", file.name.removeprefix(path.stem)):
                    yield (path.with_suffix("") / file.name).as_posix()

    def delete(self, *marks: Path) -> None:
        """Delete what was made here, and what was being made when its writer was killed.

        ``marks``: besides this file, what tells that a run made the folder.
        """
        markers = {self.path, *marks}
        made = {self._folder / name for name in self.files() if self._holds(name)} | markers
        places = {
            place for path in made for place in path.parents if place.is_relative_to(self._folder)
        }
        unfinished = {
            file
            for place in places
            if place.is_dir()
            for file in place.iterdir()
            if (name := finished_name(file.name)) and place / name in made
        }
        for path in unfinished | made - markers:
            if path.is_file() or path.is_symlink():
                path.unlink()
        for place in sorted(places - {self._folder}, reverse=True):  # the inner ones first
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        # The markers go last: if deleting stops half-way, the rest is still known as a run's. And
        # beside what is a user's one stays, until the next writer replaces it.
        known, others = self._tolerant(), set(self._folder.iterdir()) - markers
        if "meanfield" in known and {path.name for path in others} - {LOCK_FILE}:
            self._write({"meanfield": known["meanfield"]}, {RUN_FILE})
            markers.remove(self.path)
        for path in sorted(markers):
            path.unlink(missing_ok=True)

    def _holds(self, name: str) -> bool:
        """Say whether a recorded name leads to a place in the folder: the record is but a text."""
        relative = PurePosixPath(name)
        between = [self._folder / place for place in relative.parents if place.parts]
        out = relative.is_absolute() or ".." in relative.parts or not relative.parts
        return not out and not any(place.is_symlink() for place in between)

    def write(self, data: Mapping[str, object]) -> None:
        """Write run.json in one move: a reader sees the old file or the new one.

        What is recorded of the files goes with it.
        """
        self._new.add(RUN_FILE)
        self._write(data, self._new | (self.files() if self.path.is_file() else set()))

    def _write(self, data: Mapping[str, object], files: set[str]) -> None:
        data = {**data, "format": FORMAT, "files": sorted(files)}
        text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(self.path, text + "\n")

    def read(self) -> dict[str, object]:
        """Read run.json, without the record of the files, which ``files`` gives.

        Raises:
            InputError: it is missing, not what a run writes, or of a later version.
        """
        data = self._read()
        self._refuse_later(data)
        data.pop("files", None)
        data.pop("format", None)
        return data

    def refuse_later(self) -> None:
        """Refuse a folder that a later version made; a damaged record, or none, is not one.

        Raises:
            InputError: says which version is needed.
        """
        self._refuse_later(self._tolerant())

    def _refuse_later(self, run: Mapping[str, object]) -> None:
        found, by = run.get("format", 0), run.get("meanfield")
        if by is not None and not (isinstance(found, int) and found <= FORMAT):
            raise InputError(
                f"{self._folder} has format {found}, this version reads up to {FORMAT}: use "
                f"meanfield {by}, or another folder"
            )

    def _tolerant(self) -> dict[str, object]:
        """What run.json says, if anything."""
        try:
            return self._read()
        except InputError:
            return {}

    def _read(self) -> dict[str, object]:
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{self._folder} is no run folder: {RUN_FILE} missing") from None
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {self.path}: {error}") from None
        if not isinstance(data, dict):
            raise InputError(f"{self.path}: expected a JSON object")
        return data


def plain(value: object) -> object:
    """Turn NumPy values, paths and tuples into JSON; NaN and infinity become texts."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value
