"""Files that VTK reads, in a process of its own: see ``vtkchild``."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from meanfield.geometry.meshread import vtkchild
from meanfield.geometry.meshread.raw import Raw, UnreadableError, joined, one_line
from meanfield.geometry.meshread.vtkcells import blocks

__all__ = ["extensions", "read"]

_PATIENCE, _SPEED = 60.0, 1e6
"""Seconds, and bytes a second: VTK reads some damaged files for ever."""


def extensions() -> list[str]:
    """The endings of names that it knows."""
    return list(vtkchild.READERS)


def read(path: Path) -> Raw:
    """Read a file.

    Raises:
        UnreadableError: what VTK said, or that it came to a violent end.
    """
    # -P: the modules beside the script must not stand in the way of those that VTK imports.
    command = [sys.executable, "-P", vtkchild.__file__, path.suffix.lower(), str(path.resolve())]
    patience = _PATIENCE + path.stat().st_size / _SPEED
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableError(f"found no end in {patience:.0f} s") from error
    except OSError as error:
        raise UnreadableError(f"does not start: {error.strerror or error}") from error
    if done.returncode < 0:
        raise UnreadableError(f"broke down (signal {-done.returncode})")
    if done.returncode:
        raise UnreadableError(_reason(done.stderr.decode(errors="replace")))
    try:
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise UnreadableError(one_line([f"gave no data: {error}"])) from error
    points = found["points"].astype(np.float64)
    cells = blocks(found["types"], found["offsets"], found["connectivity"])
    data = {
        name.removeprefix("data:"): values
        for name, values in found.items()
        if name.startswith("data:") and len(values) == len(points)
    }
    if path.suffix.lower() in (".obj", ".stl"):
        # VTK makes a copy of a point of an OBJ file for each of its normals.
        return joined(Raw(points, cells, declared=False))
    return Raw(points, cells, data)


def _reason(said: str) -> str:
    """The first thing that went wrong, without colours and the place in VTK's source."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()]
    if any(line.startswith("Traceback") for line in lines):
        return one_line(lines[-1:])
    errors = [line.split("): ", 1)[1] for line in lines if re.search(r"\(0x\w+\): ", line)]
    return one_line(errors[:1] or lines) or "failed"
