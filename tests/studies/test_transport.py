"""Distances of more particles than an exact one takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from comparisons import compared, quick
from processes import needs_dolfinx

import meanfield as mf
from meanfield.analysis.wasserstein import wasserstein
from meanfield.geometry.laws.tabulated import density_law
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import StoredDensity
from meanfield.studies import transport as module
from meanfield.studies.references import points_for
from meanfield.studies.report import summary
from meanfield.studies.transport import transport

pytestmark = needs_dolfinx

EXACT = 600


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 600 particles were many."""
    monkeypatch.setattr(module, "EXACT", EXACT)
    monkeypatch.setattr(module, "_PROBE", 200)


def standard() -> StoredDensity:
    mesh = mf.icosphere(4)
    rho = mf.standard_density().density(mesh.points)
    return StoredDensity(mesh, np.zeros(1), rho[None], None, np.full(len(rho), 1 / len(rho)))


def near(density: StoredDensity, n: int) -> Array:
    return density_law(density.mesh, density.rho[0]).sample(n, np.random.default_rng(5))


@pytest.mark.usefixtures("few")
def test_of_near_ones_a_part_is_measured() -> None:
    density = standard()
    x = near(density, 1_500)
    found = transport(x, density, 0, (2, 1))
    points, error = points_for(density, 0, EXACT)
    part = x[np.floor(np.arange(EXACT) * 2.5).astype(int)]
    for p in (1, 2):
        known = wasserstein(Measure.equal(part), points, p).distance
        assert found.upper[p] == pytest.approx(known, rel=1e-9)
        assert found.lower[p] == pytest.approx(known, rel=1e-5)
    assert (found.measured, found.error) == (EXACT, error)
    whole = transport(part, density, 0, (2,))
    assert whole.measured == EXACT and whole.upper[2] == found.upper[2]


@pytest.mark.usefixtures("few")
def test_the_part_is_of_the_whole_of_an_ordered_cloud() -> None:
    """Those of a density by position are in the order of positions: the first ones are alike."""
    density = standard()
    x = near(density, 6_000)
    found, ordered = (
        transport(y, density, 0, (2,)).upper[2] for y in (x, x[np.argsort(x @ [0.6, 0.0, 0.8])])
    )
    assert 0.6 * found < ordered < 1.4 * found


@pytest.mark.usefixtures("few")
def test_of_far_ones_all_are_bracketed() -> None:
    density = standard()
    x = mf.VonMisesFisher((0.0, 0.0, -1.0), 20.0).sample(1_500, np.random.default_rng(6))
    found = transport(x, density, 0, (2,))
    points, _ = points_for(density, 0, 1_500)
    known = wasserstein(Measure.equal(x), points, 2, "columns").distance
    assert found.measured == 1_500
    assert found.lower[2] - 1e-9 <= known <= found.upper[2] + 1e-9
    assert found.upper[2] - found.lower[2] < 0.02 * known


def test_on_the_circle_all_are_measured() -> None:
    mesh = mf.Circle(64).build_mesh()
    density = StoredDensity(mesh, np.zeros(1), np.ones((1, 64)), None, np.full(64, 1 / 64))
    turns = 2.0 * np.pi * np.random.default_rng(7).random(150_000)
    x = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    found = transport(x, density, 0, (1,))
    assert found.measured == 150_000 and 0.0 < found.upper[1] < 0.05


@pytest.mark.usefixtures("few")
def test_a_table_tells_what_was_measured(tmp_path: Path) -> None:
    found = quick(compared(), tmp_path / "n", numbers=(700,), exponents=(2,))
    for row in found.rows:
        assert (row["measured"], row["floor_measured"]) == (EXACT, EXACT)
        assert 0.0 <= row["gap"] < 1e-3 and 0.5 < row["ratio_w2"] < 2.0
    text = " ".join(" ".join(summary(found)).split())
    assert "W and floor of more than 600 particles are those of 600 of them" in text


@pytest.mark.usefixtures("few")
def test_no_ratio_of_unlike_distances(tmp_path: Path) -> None:
    start = {"type": "von-mises-fisher", "mean": [0.0, 0.0, -1.0], "concentration": 20.0}
    far = compared(initial=start)
    found = quick(compared(), tmp_path / "f", numbers=(700,), exponents=(2,), particle_case=far)
    for row in found.rows:
        assert (row["measured"], row["floor_measured"]) == (700, EXACT)
        assert np.isnan(row["ratio_w2"]) and row["w2_low"] < row["w2"] < row["w2_high"]
    assert "ratio nan: W is bounded for all" in " ".join(" ".join(summary(found)).split())
