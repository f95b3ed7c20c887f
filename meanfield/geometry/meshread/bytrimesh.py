"""Files that trimesh reads, where it is installed: it is no dependency."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np

from meanfield.geometry.meshread.bymeshio import quiet
from meanfield.geometry.meshread.raw import Raw, UnreadableError, one_line

__all__ = ["extensions", "read"]


def extensions() -> list[str]:
    """The endings of names that it knows; none where it is not installed."""
    if importlib.util.find_spec("trimesh") is None:
        return []
    import trimesh

    return [f".{name}" for name in trimesh.available_formats()]


def read(path: Path) -> Raw:
    """Read a file.

    Raises:
        UnreadableError: for whatever trimesh raises.
        OSError: if the file cannot be opened.
    """
    import trimesh

    try:
        with quiet(io.StringIO()):
            found = trimesh.load(path, force="mesh", process=False)
        points = np.array(found.vertices, dtype=np.float64)
        cells = np.array(found.faces, dtype=np.int64)
    except Exception as error:
        raise UnreadableError(one_line([f"{type(error).__name__}: {error}"])) from error
    return Raw(points, (("triangle", cells),), declared=False)
