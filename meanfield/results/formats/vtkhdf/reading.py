"""Reading temporal VTKHDF files: opening them, the times of their steps, rows of their data sets.

Owns what a file that cannot be read is told as. Knows neither meshes nor tokens; the skeleton of
the files is made by ``temporal``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

__all__ = ["FORMAT", "damaged", "open_file", "read_rows", "read_times", "system_errors"]

FORMAT = 1
"""Version of the ``/meanfield`` group."""


def open_file(path: Path, mode: str, kind: str) -> h5py.File:
    """Open an existing file.

    Raises:
        InputError: if it is missing or no HDF5 file.
    """
    if not path.is_file():
        raise InputError(f"no {kind} at {path}")
    try:
        # Unlocked, so that viewer and run can have it open at the same time.
        return h5py.File(path, mode, locking=False)
    except OSError as error:
        raise damaged(path, kind, error) from error


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Raise what the system refuses within as the OSError that it is, naming the file.

    HDF5 tells it in a text, and h5py by errors of several classes.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        found = re.search(r"errno = (\d+)", str(error))
        if not found:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def damaged(path: Path, kind: str, error: Exception) -> InputError:
    """Make the error to raise when a file is not what a run writes."""
    return InputError(
        f"{path} cannot be read as a {kind} of meanfield ({error}): it is damaged or was "
        "written by another program"
    )


def read_times(file: h5py.File, path: Path) -> Array:
    """Times of the steps, (k,).

    Raises:
        InputError: if the file was written by a later version.
        KeyError, OSError: if it is damaged.
    """
    own = file["meanfield"]
    if int(own.attrs["format"]) != FORMAT:
        raise InputError(
            f"{path} has format {own.attrs['format']}, this version reads {FORMAT}: "
            "use the meanfield version that wrote it"
        )
    steps = file["VTKHDF/Steps"]
    # One of the two may be a step ahead in the file of a running or killed run.
    return np.asarray(steps["Values"][: int(steps.attrs["NSteps"])], dtype=np.float64)


def read_rows(path: Path, kind: str, name: str, start: int, stop: int) -> NDArray[Any]:
    """Rows of a data set below ``/VTKHDF`` (or from the root, with a slash).

    Raises:
        InputError: if they cannot be read.
    """
    with open_file(path, "r", kind) as file:
        try:
            return np.asarray(file["VTKHDF"][name][start:stop])
        except (KeyError, OSError) as error:
            raise damaged(path, kind, error) from error
