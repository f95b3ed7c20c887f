"""One run with everything on, looked at by many tests."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

from cases import run, small

import meanfield as mf
from meanfield.geometry.mesh import Mesh


class Finished:
    """What a run has left, and what an observer has seen of it after each step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case = small(output__figures=True)
        self.steps: list[tuple[float, int, float]] = []
        self.times: list[float] = []
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as self.warned:
            warnings.simplefilter("always")
            self.result = run(
                self.case,
                folder,
                observers=[mf.Watch(self.look, mf.EverySteps(1))],
            )
        self.seconds = time.perf_counter() - start
        self.mesh: Mesh = self.case.geometry.build_mesh()

    def look(self, solver: Any) -> None:
        self.steps.append((solver.t, solver.step, solver.dt))
        self.times.append(time.perf_counter())
