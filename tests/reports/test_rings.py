"""Rings of a report, and from where its scenes are seen first."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from pages import Read, decoded

import meanfield as mf
from meanfield.reports.rings import Rings, front


def rings_round(*centres: tuple[float, float, float]) -> Rings:
    unit = np.array([np.array(c) / np.linalg.norm(c) for c in centres])
    return Rings(unit, np.linspace(0.6, 0.3, len(unit)), np.zeros(len(unit), dtype=bool))


@pytest.mark.parametrize(
    "centres",
    [
        [(0, 0, 1)],
        [(1, 0, 0), (0, 1, 0)],
        [(1, 0, 0), (-0.5, 0.87, 0)],
        [(1, 0, 0), (-0.7, 0.7, 0)],
        [(1, 0, 0), (-1, 0, 0)],
        [(0, 0, 1), (0, 0, -1)],
        [(0, 0, 1), (0.99, 0, 0.1), (-0.28, 0.92, -0.28)],
    ],
)
def test_the_heaviest_ring_is_seen_first(centres: list[tuple[float, float, float]]) -> None:
    rings = rings_round(*centres)
    toward = front(np.eye(3), np.full((1, 3), 1.0 / 3.0), rings)
    assert np.linalg.norm(toward) == pytest.approx(1.0)
    assert rings.centres[0] @ toward > 0.5


def test_rings_and_masses_of_a_mesh_that_moves_are_its_own(tmp_path: Path) -> None:
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    from cases import run, small

    clusters = [(0.6, (0.3, 0.2, 0.93)), (0.4, (0.93, 0.0, -0.37))]
    bumps = [
        {"weight": w, "type": "von-mises-fisher", "mean": list(mean), "concentration": 30.0}
        for w, mean in clusters
    ]
    case = small({
        "model": {"attention": "sa", "beta": 9.0}, "solver": {"type": "lagrangian"},
        "initial": {"type": "mixture", "components": bumps}, "time.end": 5.0,
    })  # fmt: skip
    run(case, tmp_path / "run")
    (scene,) = Read(mf.report(tmp_path / "run")).data["scenes"]
    table = mf.load(tmp_path / "run").clusters()
    centres = decoded(scene["rings"][-1]).reshape(-1, 3)
    np.testing.assert_allclose(centres, table.centre, atol=2e-3)
    np.testing.assert_allclose(decoded(scene["ringed"][-1]), table.mass, atol=2e-3)
    np.testing.assert_array_equal(scene["dots"][-1], scene["rings"][-1])  # both have collapsed
    assert not len(decoded(scene["dots"][0]))
    eye = np.array([scene["eye"][axis] for axis in "xyz"])
    assert centres[0] @ eye > 0.5 * math.sqrt(eye @ eye)
