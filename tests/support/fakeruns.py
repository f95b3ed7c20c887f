"""What stands in for a run where only the command line is tested."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Calls = list[dict[str, Any]]
"""What the simulation was called with."""


@dataclasses.dataclass
class FakeResult:
    stop_reason: str = "end"
    t: float = 12.0
    steps: int = 4321
    series: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {
            "t": np.array([0.0, 12.0]),
            "energy": np.array([1.0, 44.9911]),
            "energy_scaled": np.array([0.1, 0.82]),
            "mean_norm": np.array([0.0, 0.53125]),
            "clusters": np.array([0, 3]),
        }
    )
    folder: Path | None = None
    timings: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"set-up": 1.0, "field": 30.0}
    )
    warnings: list[str] = dataclasses.field(default_factory=list)
    signal: int = 0


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed must be one line on stderr, of the one form."""
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"meanfield: error: [^\n]+\n", err), err
    return err
