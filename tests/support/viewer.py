"""A file as ParaView reads it, and what it may see of one whose writer was killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import Job, python

__all__ = ["Viewer", "each_end", "end_a_writer", "file_of", "whole_steps"]

each_end = pytest.mark.parametrize("how", ["exit", "kill"])


class Viewer:
    """Steps of a VTKHDF file by VTK's reader, in any order; skips where there is no PyVista."""

    def __init__(self, path: Path) -> None:
        self._reader = pytest.importorskip("pyvista").get_reader(str(path))
        self._reader.reader.UpdateInformation()

    def __len__(self) -> int:
        return int(self._reader.reader.GetNumberOfSteps())

    def step(self, k: int) -> Any:
        self._reader.reader.SetStep(k)
        self._reader.reader.Modified()
        return self._reader.read()


def file_of(path: Path) -> Path:
    """The file that becomes this one with its first step."""
    return path if path.exists() else path.with_name(f"{path.name}.tmp")


def end_a_writer(start: Callable[..., Job], program: str, path: Path, how: str) -> None:
    """Start a program that writes step after step, and end it in the midst of one.

    It is told the path and ``how``: by ``exit`` it ends itself within the sixth step; otherwise
    it is killed after it has told of the fifth.
    """
    job = start(*python("-c", program, str(path), how))
    if how == "kill":
        job.kill_after(5)
    assert job.finish().code != 0


def whole_steps(path: Path, times: Sequence[float], how: str) -> Viewer:
    """All steps that were finished are there, 0.5 apart, for our reader and for VTK's."""
    count = len(times)
    assert count == 5 if how == "exit" else count >= 5
    np.testing.assert_array_equal(times, 0.5 * np.arange(count))
    viewer = Viewer(path)
    # A kill may fall between the number of steps, which comes first, and the last of their times.
    assert count <= len(viewer) <= count + (how == "kill")
    return viewer
