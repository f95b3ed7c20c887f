"""Files that are whole or absent: written beside their place, brought to the disk, then renamed.

Owns the only renaming in the package, and the names of files that are not finished yet. Knows
nothing of what is in a file, nor of what a folder holds.
"""

from __future__ import annotations

import csv
import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "bring_to_disk",
    "finished_name",
    "moved",
    "naming",
    "save_arrays",
    "whole_file",
    "write_table",
    "write_text",
]


def bring_to_disk(*paths: Path) -> None:
    """Have what was written to files, and which names a folder has, survive a power failure."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        except OSError as error:
            # Some network file systems know no such thing for a folder.
            if not (error.errno == errno.EINVAL and path.is_dir()):
                raise
        finally:
            os.close(file)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have what the system refuses within name this file, if it names none."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def whole_file(path: Path, *, shared: bool = False, kept: Path | None = None) -> Iterator[Path]:
    """Give the name under which to write a file that takes the place of ``path`` at the end.

    Killed at any moment, this leaves the file that was there before, or the new one. After an
    error the old one stays and nothing is left beside it.

    Args:
        path: the file to make or to replace.
        shared: other processes may be writing the same file. Each then has a name of its own;
            without it, what a killed process left is taken away by the next one.
        kept: the name under which the file that is replaced stays, in the same folder.
    """
    own = f".{os.getpid()}" if shared else ""
    part = path.with_name(f"{path.name}{own}.tmp")
    try:
        with naming(path):
            yield part
            bring_to_disk(part)
            if kept is not None and path.exists():
                os.replace(path, kept)
            os.replace(part, path)
            bring_to_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)


def moved(path: Path, to: Path) -> None:
    """Give a file another name in its folder; what had that name is gone."""
    with naming(path):
        os.replace(path, to)
        bring_to_disk(to.parent)


def finished_name(name: str) -> str | None:
    """Name of the file that an unfinished one was to become; None for the name of another file."""
    found = re.fullmatch(r"(.+?)(\.\d+)?\.tmp", name)
    return found and found[1]


def write_text(path: Path, text: str, *, shared: bool = False) -> None:
    """Write a text as UTF-8; ``shared`` as for ``whole_file``."""
    with whole_file(path, shared=shared) as part:
        part.write_text(text, encoding="utf-8")


def write_table(
    path: Path, header: Iterable[str], rows: Iterable[Iterable[object]], digits: int = 17
) -> None:
    """Write a table as CSV, its floating-point numbers with so many digits (17: exactly)."""
    with whole_file(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow([f"{v:.{digits}g}" if isinstance(v, float) else v for v in row])


def save_arrays(path: Path, kept: Path | None = None, /, **arrays: ArrayLike) -> None:
    """Write arrays by their names as ``.npz``, none of them by pickle; ``kept`` as above."""
    with whole_file(path, kept=kept) as part, open(part, "wb") as file:
        np.savez(file, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})
