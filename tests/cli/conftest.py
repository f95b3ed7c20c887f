"""A folder with a small case, and a simulation that runs nothing.

What loads numba is imported when first asked for (../conftest.py).
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakeruns import Calls, FakeResult

from meanfield import software
from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.case import Case


@pytest.fixture
def here(inside: Path) -> Path:
    """A working folder with the case small.toml in it."""
    from cases import plain

    plain.write(inside / "small.toml", geometry__level=1, initial__type="uniform", time__end=12.0)
    return inside


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Calls]]:
    """Put a simulation in place that leaves the files of a run and ends as it is told."""

    def install(result: FakeResult | BaseException | None = None) -> Calls:
        from meanfield.results.folder import RunFolder

        calls: Calls = []

        def run(case: Case, path: Path, **options: Any) -> FakeResult:
            calls.append({"case": case, "folder": path, **options})
            folder = (
                RunFolder.open(path)
                if options["resume"]
                else RunFolder.create(path, options["overwrite"])
            )
            folder.write_case(case)
            outcome = FakeResult() if result is None else result
            if not isinstance(outcome, InputError):
                options["announce"]()
            reason = getattr(outcome, "stop_reason", "interrupted")
            folder.write_run(
                {
                    "meanfield": "0.1.0",
                    "dolfinx": "0.9.0",
                    "python": "3.13.5",
                    "ranks": 2,
                    "threads": "1",
                    "stop_reason": reason,
                    "t": 12.0,
                    "steps": 4321,
                    "started": "2026-01-01T00:00:00+00:00",
                    "timings": {"set-up": 1.0, "field": 3.0},
                    "warnings": ["energy fell by 1e-12"],
                    "mesh": {"vertices": 42, "h_min": 0.5},
                }
            )
            with folder.series(["t", "mass", "energy", "mean_norm", "clusters"]) as series:
                series.write(
                    {"t": 12, "mass": 1, "energy": 44.9911, "mean_norm": 0.5, "clusters": 3}
                )
            folder.save_checkpoint(t=12.0)
            folder.fields_path.write_bytes(b"fields")
            folder.figures_dir.mkdir(exist_ok=True)
            (folder.figures_dir / "density.png").write_bytes(b"picture")
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        fake = types.ModuleType("meanfield.runs.simulation")
        fake.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "meanfield.runs.simulation", fake)
        monkeypatch.setattr("meanfield.runs.simulation", fake, raising=False)
        monkeypatch.setattr(software, "dolfinx_version", lambda: "0.9.0")
        return calls

    yield install


@pytest.fixture
def calls(fake_run: Callable[..., Calls]) -> Calls:
    """Put a simulation in place that ends well; this is what it was called with."""
    return fake_run()


@pytest.fixture
def no_run(calls: Calls) -> Iterator[None]:
    """Fail if the simulation is reached."""
    yield
    assert calls == []
