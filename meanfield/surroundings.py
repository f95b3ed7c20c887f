"""What a process finds around it: variables that libraries read, launchers that started it.

Libraries look at variables when they are loaded or first used, and some fail at values that others
take. Here is what they are spared. Knows nothing of the rest of the package, and loads nothing.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

__all__ = [
    "THREADS",
    "hidden",
    "is_terminal",
    "keep_kernels",
    "launched",
    "launched_by",
    "launched_rank",
    "number_of",
    "private_folder",
    "unreadable_threads",
]

THREADS = ("MEANFIELD_NUM_THREADS", "OMP_NUM_THREADS", "DUCC0_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables that hold numbers of threads."""

# How many processes were started, by who starts them: Open MPI; MPICH, Intel MPI, PMI-2; a job
# step of Slurm. Not SLURM_NTASKS, which is what a job has room for: a shell in it has it as well.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")
_STARTED = ("PMIX_RANK", "PMI_RANK")  # set for each process by a launcher that may tell no number


def number_of(*names: str, least: int = 0) -> int | None:
    """The first of these variables that is a whole number, ``least`` or more; None: none is."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if value.isascii() and value.isdigit() and int(value[:9]) >= least:
            return int(value[:9])
    return None


def launched() -> int | None:
    """How many processes a launcher says it has started; 1: none did. None: it does not say."""
    known = [number for name in _SIZES if (number := number_of(name, least=1)) is not None]
    if not known and any(name in os.environ for name in _STARTED):
        return None
    return max(known, default=1)


def launched_by() -> str:
    """The variables that tell how many processes there are, and what they say."""
    names = [name for name in (*_SIZES, *_STARTED) if name in os.environ]
    return ", ".join(f"{name} = {os.environ[name]}" for name in names)


def launched_rank() -> int | None:
    """The number of this process among those; None: it was not told."""
    return number_of(*_RANKS)


# ------------------------------------------------------------------ variables


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at a stream; a daemon has none, or one that is closed."""
    return stream is not None and not stream.closed and stream.isatty()


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Without these variables, for libraries that look at them while they are loaded."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def unreadable_threads() -> list[str]:
    """Those of ``THREADS`` that hold something else than one number above 0.

    OpenMP takes a list, one number for each level of nesting, which others cannot read.
    """
    return [name for name in THREADS if name in os.environ and number_of(name, least=1) is None]


# ------------------------------------------------------------------ compiled kernels


def keep_kernels() -> None:
    """Let numba keep what it compiles in a temporary folder, where it finds no other.

    It fails at the first function otherwise: where the package and the home folder are not to be
    written, as in a container. Also, a number of threads that it cannot take is left out. Before
    numba is loaded.
    """
    if "numba" in sys.modules:
        return
    if "NUMBA_NUM_THREADS" in unreadable_threads():
        del os.environ["NUMBA_NUM_THREADS"]
    given = os.environ.get("NUMBA_CACHE_DIR")
    if not any(map(_writable, [*([Path(given)] if given else []), *_own_places()])):
        os.environ["NUMBA_CACHE_DIR"] = private_folder()


def _own_places() -> Iterator[Path]:
    """Where numba keeps kernels by itself: beside the package, in the folder of the user."""
    yield Path(__file__).parent / "__pycache__"
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        yield (Path(cache) if cache else Path("~/.cache").expanduser()) / "numba"
    except RuntimeError:  # a user without a home
        return


def _writable(path: Path) -> bool:
    """Whether a folder can be written, or made."""
    path = path.absolute()
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def private_folder() -> str:
    """A folder for this user alone: what is loaded from it is run."""
    path = Path(tempfile.gettempdir()) / f"meanfield-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if own and not found.st_mode & 0o022 and _writable(path):
            return str(path)
    except OSError:
        pass
    other = tempfile.mkdtemp(prefix="meanfield-")
    atexit.register(shutil.rmtree, other, ignore_errors=True)
    return other
