"""The folder of one run: its files, the series, the log, and where the numbers came from.

Owns the names of the files, the record of what was made and what may be overwritten. Writes what
it is given on the rank that calls it (rank 0); knows nothing of cases, solvers or MPI.
"""

from __future__ import annotations

import datetime
import json
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.whole import finished_name, write_text

__all__ = [
    "RunFolder",
    "SeriesWriter",
    "listed",
    "utc_now",
]

CASE_FILE = "case.toml"
RUN_FILE = "run.json"
SERIES_FILE = "series.csv"
LOG_FILE = "run.log"
CHECKPOINT_FILE = "checkpoint.npz"
FIGURES_DIR = "figures"

# The first line of a case.toml that a run wrote: without it the file may be the user's own.
CASE_MARK = "# Resolved case, written by meanfield"


# What versions without a record of their files made, by any verb; most pictures they have told.
_EARLIER = (
    CASE_FILE, RUN_FILE, SERIES_FILE, LOG_FILE, CHECKPOINT_FILE, "fields.vtkhdf",
    "particles.vtkhdf",
    "density.npz", "compare.csv", "rates.csv", "tasks/particles-n*-r*.npz", "tasks/floor-n*-r*.npz",
    "stationary.csv", "eigenvalues.csv", "state.npz", "density.vtu",
    "branch.csv", "events.csv", "branch.npz",
    "figures/energy.png", "figures/density.png",
)  # fmt: skip


class _HasToml(Protocol):
    def to_toml(self) -> str: ...


def listed(record: Mapping[str, object], name: str) -> list[object]:
    """The list of this name in what ``read_run`` has read; none is as good as an empty one."""
    value = record.get(name)
    return value if isinstance(value, list) else []


def utc_now() -> str:
    """Give the time now in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    """Turn NumPy values, paths and tuples into JSON; NaN and infinity become texts."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


# --------------------------------------------------------------------------------------------
# The series


def _complete_lines(path: Path) -> list[str]:
    """Lines of a text file that end in a line break: a killed run may leave half a row."""
    return [line[:-1] for line in path.read_text("utf-8").splitlines(True) if line.endswith("\n")]


def _refuse_header(path: Path, header: str, columns: Sequence[str]) -> None:
    """Refuse to go on with a series of other columns.

    Raises:
        InputError: names what differs.
    """
    found = header.split(",")
    if found == list(columns):
        return
    more, less = ([n for n in a if n not in b] for a, b in ((found, columns), (columns, found)))
    differ = [f"also '{name}'" for name in more] + [f"no '{name}'" for name in less]
    raise InputError(
        f"{path} has other columns than this run writes ({', '.join(differ) or 'another order'}): "
        "resume with the observers and the version that it was begun with, or start again with "
        "--overwrite"
    )


class SeriesWriter:
    """Append rows of numbers to a CSV file, flushed row by row, exact to the last bit.

    Args:
        path: the file.
        columns: names; the first one is the time ``t``.
        resume_at: go on with an existing file: rows later than this time are cut off (a row at
            exactly this time stays, so do not write it again). None: start a new file.

    Raises:
        InputError: the file to go on with has other columns.
    """

    def __init__(
        self, path: str | os.PathLike[str], columns: Iterable[str], resume_at: float | None = None
    ) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        if not self.columns or self.columns[0] != "t":
            raise ValueError(f"expected columns that start with 't', found {self.columns}")
        kept: list[str] = []
        if resume_at is not None and self.path.exists():
            header, *rows = _complete_lines(self.path) or [""]
            _refuse_header(self.path, header, self.columns)
            kept = [row for row in rows if float(row.split(",", 1)[0]) <= resume_at]
        write_text(self.path, "".join(f"{line}\n" for line in [",".join(self.columns), *kept]))
        self._file = open(self.path, "a", encoding="utf-8")

    def write(self, row: Mapping[str, float]) -> None:
        """Append one row.

        Raises:
            ValueError: a column is missing or unknown.
        """
        if set(row) != set(self.columns):
            missing = sorted(set(self.columns) - set(row))
            unknown = sorted(set(row) - set(self.columns))
            raise ValueError(f"a row of the series lacks {missing} and has unknown {unknown}")
        self._file.write(",".join(f"{row[name]:.17g}" for name in self.columns) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> SeriesWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


# --------------------------------------------------------------------------------------------
# The folder


class RunFolder:
    """One run on disk. Make it with ``create`` (a new run) or ``open`` (an existing one)."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._files: set[str] = set()  # what this object has recorded

    # ---- where things are --------------------------------------------------------------------

    @property
    def case_path(self) -> Path:
        """The resolved case."""
        return self.path / CASE_FILE

    @property
    def run_path(self) -> Path:
        """Versions, times, why it stopped."""
        return self.path / RUN_FILE

    @property
    def series_path(self) -> Path:
        """The numbers against time."""
        return self.path / SERIES_FILE

    @property
    def fields_path(self) -> Path:
        """The fields for ParaView."""
        return self._data_file("fields")

    @property
    def particles_path(self) -> Path:
        """The tokens for ParaView."""
        return self._data_file("particles")

    def _data_file(self, stem: str) -> Path:
        """The file there is, in whatever format; where none is, the name of the usual one."""
        found = sorted(p for p in self.path.glob(f"{stem}.*") if finished_name(p.name) is None)
        return found[0] if found else self.path / f"{stem}.vtkhdf"

    @property
    def log_path(self) -> Path:
        """What happened, with time stamps."""
        return self.path / LOG_FILE

    @property
    def checkpoint_path(self) -> Path:
        """The state to resume from."""
        return self.path / CHECKPOINT_FILE

    @property
    def figures_dir(self) -> Path:
        """The folder of the pictures (made by who draws them)."""
        return self.path / FIGURES_DIR

    # ---- making and opening ------------------------------------------------------------------

    @staticmethod
    def check(path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Refuse what ``create`` would refuse, without touching anything.

        Raises:
            InputError: the path is a file; or a folder with content and no ``overwrite``; or with
                ``overwrite``, a folder that no run made.
        """
        path = Path(path)
        for parent in path.parents:
            if parent.exists():
                if not parent.is_dir():
                    raise InputError(f"{parent} is a file, expected a folder for the run {path}")
                if not path.exists() and not os.access(parent, os.W_OK):
                    raise InputError(f"the folder {parent} is not writable: give another one")
                break
        if not path.exists():
            if path.is_symlink():
                raise InputError(f"{path} is a link that leads nowhere: remove it")
            return
        if not path.is_dir():
            raise InputError(f"{path} is a file, expected a folder for the run: give another name")
        if not os.access(path, os.W_OK):
            raise InputError(f"the folder {path} is not writable: give another one")
        if not any(path.iterdir()):
            return
        ours = _made_by_run(path)
        if overwrite and not ours:
            raise InputError(
                f"the folder {path} is not empty and no run made it (no {RUN_FILE} or "
                f"{CASE_FILE} of a run inside): it is left alone, give another folder"
            )
        if not overwrite:
            what = "already holds a run" if ours else "is not empty and no run made it"
            do = "add --overwrite, or give another folder" if ours else "give another folder"
            raise InputError(f"the folder {path} {what}: {do}")

    @classmethod
    def create(cls, path: str | os.PathLike[str], overwrite: bool = False) -> RunFolder:
        """Make the folder of a new run.

        With ``overwrite`` the files that were made here are deleted, whichever verb made them, and
        nothing else.

        Raises:
            InputError: as ``check``, or the folder cannot be made.
        """
        cls.check(path, overwrite)
        folder = cls(path)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            if any(folder.path.iterdir()):
                folder._delete_files()
        except OSError as error:
            raise InputError(f"cannot make the run folder {path}: {error.strerror}") from None
        return folder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            InputError: it is no run folder; says what is missing.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"there is no folder {path}")
        if not path.is_dir():
            raise InputError(f"{path} is a file, expected the folder of a run")
        missing = [name for name in (CASE_FILE, RUN_FILE) if not (path / name).is_file()]
        if missing:
            raise InputError(f"{path} is no run folder: {' and '.join(missing)} missing")
        return cls(path)

    # ---- what was made in it -----------------------------------------------------------------

    def add(self, *names: str) -> None:
        """Record files that are about to be made here: overwriting deletes what is recorded.

        Names are relative, with "/"; their folders are made. The record is in run.json, so that
        this comes after the first ``write_run``, or is kept for it.
        """
        if self._files.issuperset(names):
            return
        self._files.update(names)
        for place in {(self.path / name).parent for name in names}:
            place.mkdir(parents=True, exist_ok=True)
        if self.run_path.is_file() and not self.files().issuperset(names):
            with suppress(InputError):  # a damaged record is told by who needs it
                self.write_run(self.read_run())

    def file(self, name: str) -> Path:
        """Path of a file that is about to be made here, which is recorded."""
        self.add(name)
        return self.path / name

    def figure(self, name: str) -> Path:
        """Path of a picture that is about to be made, which is recorded."""
        return self.file(f"{FIGURES_DIR}/{name}")

    def files(self) -> set[str]:
        """Names of what was made here, as recorded; where nothing is, what earlier versions made.

        A file in the record may not be there (yet).
        """
        try:
            run = self._read()
        except InputError:
            run = {}
        listed, told = run.get("files"), run.get("figures")
        if isinstance(listed, list):
            return {name for name in listed if isinstance(name, str)}
        pictures = told if isinstance(told, list) else []
        patterns = [name + ending for name in _EARLIER for ending in ("", ".tmp")]
        return {
            *(f.relative_to(self.path).as_posix() for p in patterns for f in self.path.glob(p)),
            *(f"{FIGURES_DIR}/{Path(name).name}" for name in pictures if isinstance(name, str)),
        }

    def _delete_files(self) -> None:
        """Delete what was made here, and what was being made when its writer was killed."""
        markers = {self.case_path, self.run_path}
        made = {self.path / name for name in self.files() if self._holds(name)} | markers
        places = {
            place for path in made for place in path.parents if place.is_relative_to(self.path)
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
        for place in sorted(places - {self.path}, reverse=True):  # the inner ones first
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        # The markers go last: if deleting stops half-way, the rest is still known as a run's.
        for path in sorted(markers):
            path.unlink(missing_ok=True)

    def _holds(self, name: str) -> bool:
        """Say whether a recorded name leads to a place in the folder: the record is but a text."""
        relative = PurePosixPath(name)
        between = [self.path / place for place in relative.parents if place.parts]
        out = relative.is_absolute() or ".." in relative.parts or not relative.parts
        return not out and not any(place.is_symlink() for place in between)

    # ---- writing and reading -----------------------------------------------------------------

    def write_case(self, case: _HasToml) -> None:
        """Write the resolved case."""
        write_text(self.file(CASE_FILE), f"{CASE_MARK}\n{case.to_toml()}")

    def write_run(self, data: Mapping[str, object]) -> None:
        """Write run.json in one move: a reader sees the old file or the new one.

        What is recorded of the files goes with it.
        """
        self._files.add(RUN_FILE)
        files = self._files | (self.files() if self.run_path.is_file() else set())
        data = {**data, "files": sorted(files)}
        text = json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(self.run_path, text + "\n", shared=True)  # `plot` may draw while a run goes on

    def read_run(self) -> dict[str, object]:
        """Read run.json, without the record of the files, which ``files`` gives.

        Raises:
            InputError: it is missing or not what a run writes.
        """
        data = self._read()
        data.pop("files", None)
        return data

    def _read(self) -> dict[str, object]:
        try:
            data = json.loads(self.run_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{self.path} is no run folder: {RUN_FILE} missing") from None
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {self.run_path}: {error}") from None
        if not isinstance(data, dict):
            raise InputError(f"{self.run_path}: expected a JSON object")
        return data

    @property
    def kind(self) -> str:
        """Which verb made the folder: "compare", "stationary", "branch"; "" for a run."""
        try:
            return str(self.read_run().get("kind", ""))
        except InputError:
            return ""

    def read_energy(self) -> dict[str, object]:
        """How the scaled energy is written ("label"), and its value at one Dirac, or None.

        From run.json; folders of earlier versions, which do not tell them, are of attention.
        """
        try:
            known = self.read_run().get("energy")
            if isinstance(known, dict):
                return known
            table = tomllib.loads(self.case_path.read_text(encoding="utf-8")).get("model", {})
        except (InputError, OSError, tomllib.TOMLDecodeError):
            return {"label": "E", "dirac": None}
        # Not at the top: it takes a second, and who only looks at a folder need not wait.
        from meanfield.interaction.attention import attention_energy

        return attention_energy(table)

    def series(self, columns: Iterable[str], resume_at: float | None = None) -> SeriesWriter:
        """Open the series for writing; see ``SeriesWriter``."""
        self.add(SERIES_FILE)
        return SeriesWriter(self.series_path, columns, resume_at)

    def check_columns(self, columns: Sequence[str]) -> None:
        """Refuse to go on with a series of other columns, before anything is written.

        Raises:
            InputError: it has other ones.
        """
        if self.series_path.is_file():
            header, *_ = _complete_lines(self.series_path) or [",".join(columns)]
            _refuse_header(self.series_path, header, columns)

    def read_series(self) -> dict[str, Array]:
        """Read the series: one array (rows,) for each column; half a last row is left out.

        Raises:
            InputError: there is no series, or it is damaged.
        """
        if not self.series_path.is_file():
            raise InputError(f"{self.path} has no {SERIES_FILE}")
        header, *rows = _complete_lines(self.series_path) or [""]
        columns = header.split(",")
        try:
            table = np.array([[float(v) for v in row.split(",")] for row in rows])
            table = table.reshape(len(rows), len(columns))
        except ValueError as error:
            raise InputError(f"{self.series_path} is damaged: {error}") from None
        return {name: np.ascontiguousarray(table[:, k]) for k, name in enumerate(columns)}

    def log(self, line: str) -> None:
        """Append a line, with the time, to run.log."""
        with open(self.file(LOG_FILE), "a", encoding="utf-8") as file:
            file.write(f"{utc_now()}  {line}\n")


def _made_by_run(path: Path) -> bool:
    """Say whether a run made this folder: by its own marks, not by file names alone."""
    try:
        run = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
        if isinstance(run, dict) and "meanfield" in run:
            return True
    except (OSError, ValueError):
        pass
    try:
        with open(path / CASE_FILE, encoding="utf-8") as file:
            return file.readline().startswith(CASE_MARK)
    except (OSError, ValueError):
        return False
