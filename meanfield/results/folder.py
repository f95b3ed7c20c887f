"""The folder of one run: where its files are, what may be overwritten, the log.

Owns the names of the files. Writes what it is given on the rank that calls it (rank 0); knows
nothing of cases, solvers or MPI, of what is in the record (``manifest``) and in the series.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from meanfield.arguments import checked_arguments
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import save_checkpoint
from meanfield.results.lock import LOCK_FILE, locked
from meanfield.results.manifest import RUN_FILE, Manifest
from meanfield.results.pairtable import PAIRS_FILE
from meanfield.results.series import SAME, Changed, SeriesWriter, read_series
from meanfield.software import utc_now
from meanfield.whole import moved, write_text

__all__ = ["RunFolder", "listed"]

CASE_FILE = "case.toml"
SERIES_FILE = "series.csv"
CLUSTERS_FILE = "clusters.csv"
LOG_FILE = "run.log"
CHECKPOINT_FILE = "checkpoint.npz"
PREVIOUS_FILE = "checkpoint.previous.npz"
FIGURES_DIR = "figures"

# The first line of a case.toml that a run wrote: without it the file may be the user's own.
CASE_MARK = "# Resolved case, written by meanfield"


_NOTHING = {LOCK_FILE, f"{CASE_FILE}.tmp"}


class _HasToml(Protocol):
    def to_toml(self) -> str: ...


def listed(record: Mapping[str, object], name: str) -> list[object]:
    """The list of this name in what ``read_run`` has read; none is as good as an empty one."""
    value = record.get(name)
    return value if isinstance(value, list) else []


class RunFolder:
    """One run on disk. Make it with ``create`` (a new run) or ``open`` (an existing one).

    Example:
        >>> float(mf.RunFolder.open('results/clustering').read_series()['t'][-1])
        4.0
    """

    @checked_arguments
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._manifest = Manifest(self.path)

    # ---- where things are --------------------------------------------------------------------

    @property
    def case_path(self) -> Path:
        """The resolved case."""
        return self.path / CASE_FILE

    @property
    def run_path(self) -> Path:
        """Versions, times, why it stopped."""
        return self._manifest.path

    @property
    def series_path(self) -> Path:
        """The numbers against time."""
        return self.path / SERIES_FILE

    @property
    def pairs_path(self) -> Path:
        """Inner products of pairs against time."""
        return self.path / PAIRS_FILE

    @property
    def clusters_path(self) -> Path:
        """The clusters against time."""
        return self.path / CLUSTERS_FILE

    @property
    def fields_path(self) -> Path:
        """The fields for ParaView."""
        return self._data_file("fields")

    @property
    def particles_path(self) -> Path:
        """The tokens for ParaView."""
        return self._data_file("particles")

    def data_paths(self) -> list[Path]:
        """The files there are that grow from output to output."""
        paths = (self.series_path, self.pairs_path, self.fields_path, self.particles_path)
        made = self.files()
        return [path for path in paths if path.name in made and path.is_file()]

    def _data_file(self, stem: str) -> Path:
        """The file there is, in whatever format; where none is, the name of the usual one."""
        usual = f"{stem}.vtkhdf"
        made = sorted(n for n in self.files() - {usual} if n.startswith(f"{stem}."))
        # By the record: a user may have put anything beside it, fields.csv or a folder.
        return next((self.path / n for n in made if (self.path / n).is_file()), self.path / usual)

    @property
    def log_path(self) -> Path:
        """What happened, with time stamps."""
        return self.path / LOG_FILE

    @property
    def checkpoint_path(self) -> Path:
        """The state to resume from."""
        return self.path / CHECKPOINT_FILE

    @property
    def checkpoint_paths(self) -> tuple[Path, Path]:
        """The state to resume from, and the one before it."""
        return self.checkpoint_path, self.path / PREVIOUS_FILE

    def save_checkpoint(self, keep: bool = True, /, **values: object) -> None:
        """Write the state to resume from; ``keep``: what was it stays as the one before it."""
        path, previous = (self.file(path.name) for path in self.checkpoint_paths)
        save_checkpoint(path, previous if keep else None, **values)

    def take_checkpoint(self, path: Path) -> None:
        """Make this one the state to resume from: what is in its place is of no use."""
        if path != self.checkpoint_path:
            moved(path, self.checkpoint_path)

    @property
    def figures_dir(self) -> Path:
        """The folder of the pictures (made by who draws them)."""
        return self.path / FIGURES_DIR

    # ---- making and opening ------------------------------------------------------------------

    @staticmethod
    @checked_arguments
    def check(path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Refuse what ``create`` would refuse, without touching anything.

        Raises:
            InputError: the path is a file; or a folder with content and no ``overwrite``; or with
                ``overwrite``, a folder that no run, or a later version, made.
        """
        path = Path(path)
        _refuse_place(path)
        if RunFolder.is_empty(path):
            return
        Manifest(path).refuse_later()
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

    @staticmethod
    def is_empty(path: str | os.PathLike[str]) -> bool:
        """Whether nothing is in a folder, or nothing is there.

        The lock of a writer is nothing, and so is what one left that was killed right at its start.
        """
        path = Path(path)
        return not path.exists() or {p.name for p in path.iterdir()} <= _NOTHING

    @staticmethod
    @contextmanager
    def claimed(path: str | os.PathLike[str], what: str, elsewhere: str = "") -> Iterator[None]:
        """Let nobody else write in a folder while this lasts; for who reads it that is no matter.

        To be entered before anything is read there of which what is written depends. The folder is
        made if need be.

        Args:
            path: the folder.
            what: who is writing, as others are told: "run".
            elsewhere: what the option -o takes, where what is written may go elsewhere: "FILE".

        Raises:
            InputError: somebody else is writing there, or nobody can.
        """
        _refuse_place(Path(path))
        instead = elsewhere and f"write elsewhere with -o {elsewhere}"
        with locked(Path(path), what, instead):
            yield

    @classmethod
    @checked_arguments
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
            if not cls.is_empty(path):
                folder._manifest.delete(folder.case_path)
        except OSError as error:
            raise InputError(f"cannot make the run folder {path}: {error.strerror}") from None
        return folder

    @classmethod
    @checked_arguments
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            InputError: it is no run folder (says what is missing), or one of a later version.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"there is no folder {path}")
        if not path.is_dir():
            raise InputError(f"{path} is a file, expected the folder of a run")
        missing = [name for name in (CASE_FILE, RUN_FILE) if not (path / name).is_file()]
        if missing:
            raise InputError(f"{path} is no run folder: {' and '.join(missing)} missing")
        Manifest(path).refuse_later()
        return cls(path)

    # ---- what was made in it -----------------------------------------------------------------

    def add(self, *names: str) -> None:
        """Record files that are about to be made here: overwriting deletes what is recorded.

        Names are relative, with "/"; their folders are made. The record is in run.json, so that
        this comes after the first ``write_run``, or is kept for it.
        """
        self._manifest.add(*names)

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
        return self._manifest.files()

    # ---- writing and reading -----------------------------------------------------------------

    def write_case(self, case: _HasToml) -> None:
        """Write the resolved case; what it names in this folder goes with the folder."""
        begin, here = 'file = "', f"{self.path.absolute()}{os.sep}"
        text = case.to_toml().replace(begin + here, begin)
        write_text(self.file(CASE_FILE), f"{CASE_MARK}\n{text}")

    def write_run(self, data: Mapping[str, object]) -> None:
        """Write run.json in one move: a reader sees the old file or the new one.

        What is recorded of the files goes with it.
        """
        self._manifest.write(data)

    def read_run(self) -> dict[str, object]:
        """Read run.json, without the record of the files, which ``files`` gives.

        Raises:
            InputError: it is missing or not what a run writes.
        """
        return self._manifest.read()

    @property
    def kind(self) -> str:
        """Which verb made the folder: "compare", "stationary", "branch"; "" for a run."""
        try:
            return str(self.read_run().get("kind", ""))
        except InputError:
            return ""

    def read_energy(self) -> dict[str, object]:
        """How the scaled energy is written ("label"), and its value at one Dirac, or None.

        From run.json; folders of earlier versions, which do not tell them, are of attention. Of a
        model without energy, as where nothing can be read, the label is E.
        """
        nothing: dict[str, object] = {"label": "E", "dirac": None}
        try:
            told = self.read_run()
            if "energy" in told:
                known = told["energy"]
                return known if isinstance(known, dict) else nothing
            table = tomllib.loads(self.case_path.read_text(encoding="utf-8")).get("model", {})
        except (InputError, OSError, tomllib.TOMLDecodeError):
            return nothing
        # Not at the top: it takes a second, and who only looks at a folder need not wait.
        from meanfield.interaction.attention import attention_energy

        return attention_energy(table)

    def series(
        self,
        columns: Iterable[str],
        resume_at: float | None = None,
        changed: Changed = SAME,
    ) -> SeriesWriter:
        """Open the series for writing; see ``SeriesWriter``."""
        self.add(SERIES_FILE)
        return SeriesWriter(self.series_path, columns, resume_at, changed)

    def read_series(self) -> dict[str, Array]:
        """Read the series: one array (rows,) for each column; half a last row is left out.

        Raises:
            InputError: there is no series, or it is damaged.
        """
        if not self.series_path.is_file():
            raise InputError(f"{self.path} has no {SERIES_FILE}")
        return read_series(self.series_path)

    def log(self, line: str) -> None:
        """Append a line, with the time, to run.log."""
        with open(self.file(LOG_FILE), "a", encoding="utf-8") as file:
            file.write(f"{utc_now()}  {line}\n")


def _refuse_place(path: Path) -> None:
    """Refuse where there can be no folder to write in, without touching anything."""
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


def _made_by_run(path: Path) -> bool:
    """Say whether a run made this folder: by its own marks, not by file names alone."""
    with suppress(InputError):
        if "meanfield" in Manifest(path).read():
            return True
    try:
        with open(path / CASE_FILE, encoding="utf-8") as file:
            return file.readline().startswith(CASE_MARK)
    except (OSError, ValueError):
        return False
