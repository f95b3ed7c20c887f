"""Checkpoints: everything a run needs to go on, in one ``.npz`` file that is whole or absent.

Owns what marks a checkpoint and how a damaged one is recognised. Does not know what
is in it: the solver's state has the names (arrays in the original vertex order of the mesh, so
that a run can go on with any number of processes) and the folder chooses the place.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import InputError
from meanfield.whole import save_arrays

__all__ = ["load_checkpoint", "save_checkpoint"]

_MARK = "meanfield_checkpoint"
"""Name of the entry that tells our files from other ``.npz`` files: the version, then the names
of all other entries (a damaged directory of the archive may hide some)."""

_VERSION = "1"


def save_checkpoint(path: str | Path, kept: Path | None = None, /, **values: object) -> None:
    """Write named arrays, numbers and strings so that ``path`` is never half a checkpoint.

    A run killed at any moment leaves the new one, or the one before under one of the two names.

    Args:
        path: the file to make or to replace, usually ``checkpoint.npz`` in the run folder.
        kept: where the one that is replaced stays; None: nowhere.
        **values: arrays of any shape (kept bit for bit), int, float, bool or str.

    Raises:
        TypeError: if a value is neither (it could not be read back without pickle).
    """
    path = Path(path)
    arrays: dict[str, np.ndarray[Any, Any]] = {_MARK: np.array([_VERSION, *values])}
    for name, value in values.items():
        array = np.asarray(value)
        if name == _MARK or array.dtype.kind not in "biufcU":
            raise TypeError(
                f"checkpoint entry '{name}' is {type(value).__name__} (dtype {array.dtype}); "
                "expected an array of numbers, a number or a string"
            )
        arrays[name] = array
    save_arrays(path, kept, **arrays)


def load_checkpoint(path: str | Path) -> dict[str, object]:
    """Read what :func:`save_checkpoint` wrote.

    Returns:
        The values by name: arrays as they were, numbers and strings as Python scalars.

    Raises:
        InputError: if the file is missing, truncated, damaged (every entry has a CRC-32, which
            is checked) or no checkpoint of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}: the run cannot be resumed, start it again")
    try:
        # All checksums before any parsing: what NumPy makes of damaged headers is anyone's guess.
        with zipfile.ZipFile(path) as archive:
            if (bad := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"checksum of {bad} is wrong")
        with np.load(path, allow_pickle=False) as data:
            values = {name: data[name] for name in data.files}
        mark = [str(entry) for entry in np.atleast_1d(values.pop(_MARK, np.zeros(0)))]
        if mark[:1] == [_VERSION] and mark[1:] != list(values):
            raise ValueError(f"found the entries {list(values)}, expected {mark[1:]}")
    # What the zip reader raises on damage; RuntimeError is an entry that claims to be encrypted
    # or compressed by an unknown method.
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, RuntimeError, struct.error) as error:
        raise InputError(
            f"the checkpoint {path} is truncated or damaged ({error}): expected a file written "
            "by meanfield; start the run again, or resume from a copy"
        ) from error
    if mark[:1] != [_VERSION]:
        raise InputError(
            f"{path} is no meanfield checkpoint of version {_VERSION}: found "
            f"{f'version {mark[0]}' if mark else 'no mark of this package'}; "
            "resume with the meanfield version that wrote it"
        )
    return {name: a.item() if a.ndim == 0 else a for name, a in values.items()}
