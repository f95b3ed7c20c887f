"""Figures that are drawn on wish show what is in the files: exact results where there are some."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from drawnruns import MESHES, make_run
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from meanfield.figures import PlotOptions, plot
from meanfield.figures.innerproducts import shares
from meanfield.figures.spectrum import density_power, token_power
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.results.formats import INNER_PRODUCT_EDGES, read_fields, read_tokens_file
from meanfield.results.formats.vtkhdf.fields import FieldWriter
from meanfield.results.formats.vtkhdf.tokens import TokenWriter


def _along_axis(mesh: Mesh, t: float) -> Array:
    """1 + a <x, e_d>: moments of degrees 0 and 1 only."""
    return 1.0 + 0.6 * mesh.embedded()[:, -1]


@pytest.mark.parametrize("mesh", [icosphere(4), circle(200), zonal_interval(200, 5)])
def test_power_of_a_density_of_degree_one(tmp_path: Path, mesh: Mesh) -> None:
    """a <x, e> = (a / sqrt(d)) Y_1: its power is a^2 / d."""
    run = make_run(tmp_path / "run", mesh, rho=_along_axis, times=(0.0,))
    fields = read_fields(run.fields_path)
    power = density_power(fields, 0, fields.manifold.harmonics(6, 1e-12))
    assert power[0] == pytest.approx(1.0, abs=1e-6)
    assert power[1] == pytest.approx(0.36 / mesh.d, rel=3e-3)
    assert power[2:].max() < 1e-5


def _tokens(path: Path, steps: list[Array]) -> None:
    n, d = steps[0].shape
    with TokenWriter(path, d, n, masses=np.full(n, 1.0 / n)) as writer:
        for t, x in enumerate(steps):
            writer.write(float(t), x, np.zeros(n, dtype=np.int64), np.zeros_like(x))


def test_power_and_pairs_of_tokens(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    opposite = np.tile([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], (500, 1))
    _tokens(tmp_path / "particles.vtkhdf", [uniform_points(1000, 3, rng), opposite])
    tokens = read_tokens_file(tmp_path / "particles.vtkhdf")
    harmonics = of_vectors(3).harmonics(4, 1e-12)
    np.testing.assert_allclose(token_power(tokens, 1, harmonics), [1, 0, 5, 0, 9], atol=1e-5)
    even = token_power(tokens, 0, harmonics)
    assert (even[1:] < 5e-2).all()
    part = shares(tokens, 1)
    assert part[0] == pytest.approx(500 * 500 / (1000 * 999 / 2))
    assert part[0] + part[-1] == pytest.approx(1.0)
    flat = shares(tokens, 0) / np.diff(INNER_PRODUCT_EDGES)  # uniform on [-1, 1] for d = 3
    assert flat.mean() == pytest.approx(0.5) and flat.std() < 0.03


def _with_velocity(path: Path, mesh: Mesh, speed: float) -> Path:
    run = make_run(path, None)
    x = mesh.embedded()
    if mesh.geometry == "sphere":  # a rotation about the third axis
        v = speed * np.stack([-x[:, 1], x[:, 0], np.zeros(len(x))], axis=1)
    else:
        v = speed * np.stack([-x[:, 1], x[:, 0]], axis=1)
    names = {"log10_rho": 1, "velocity": 3}
    with FieldWriter(run.fields_path, mesh, names=names) as writer:
        writer.write(0.0, {"log10_rho": np.zeros(len(x)), "velocity": v})
    return run.path


def test_velocity_along_the_circle_is_that_of_the_angle(
    tmp_path: Path, figures: list[Figure]
) -> None:
    plot(_with_velocity(tmp_path / "run", circle(100), -0.7), "velocity")
    curve = figures[0].axes[0].lines[-1]
    np.testing.assert_allclose(curve.get_ydata(), -0.7, rtol=1e-6)


def test_arrows_of_a_rotation_follow_the_parallels(tmp_path: Path, figures: list[Figure]) -> None:
    options = PlotOptions(projection="flat")
    plot(_with_velocity(tmp_path / "run", icosphere(4), 0.5), "velocity", options)
    arrows = next(part for part in figures[0].axes[0].collections if isinstance(part, Quiver))
    u, v, xy = np.asarray(arrows.U), np.asarray(arrows.V), np.asarray(arrows.get_offsets())
    assert len(u) > 200 and (u > 0.0).all()
    assert np.abs(v).max() < 1e-3 * u.max()
    speeds = np.asarray(arrows.get_array())
    np.testing.assert_allclose(speeds, 0.5 * np.cos(xy[:, 1]), atol=1e-6)


@pytest.mark.parametrize("geometry", ["circle", "zonal"])
def test_spacetime_shows_the_density_at_its_angle(
    tmp_path: Path, geometry: str, figures: list[Figure]
) -> None:
    run = make_run(tmp_path / "run", MESHES[geometry])
    plot(run.path, "spacetime", PlotOptions(limits=(-1.0, 2.0)))
    (image,) = figures[0].axes[0].collections
    values = np.asarray(image.get_array()).reshape(-1, 9)
    assert image.get_clim() == (-1.0, 2.0)
    fields = read_fields(run.fields_path)
    angles = fields.manifold.angles(fields.mesh.points)
    low, high = fields.manifold.span
    for k in (0, 8):
        row = fields.read("log10_rho", k)
        cell = int((angles[np.argmax(row)] - low) / (high - low) * len(values) * (1 - 1e-12))
        assert np.argmax(values[:, k]) == pytest.approx(cell, abs=1)
        assert values[:, k].max() == pytest.approx(row.max(), abs=0.02)


def test_the_last_merges_are_told(tmp_path: Path, figures: list[Figure]) -> None:
    run = make_run(tmp_path / "run", None)  # 3 clusters, 2 from t = 5 on, 1 from 10 on
    plot(run.path, "clusters")
    assert "$t = $ $5$, $10$" in figures[0].get_supxlabel()
    plot(run.path, "energy")
    energy, rate = figures[1].axes
    assert len(energy.lines[0].get_xdata()) == 61
    # No dissipation in this series: the slope of 0.1 / (1 + e^(6 - t)), 0.025 in the middle.
    assert max(rate.lines[0].get_ydata()) == pytest.approx(0.025, rel=0.01)
    assert math.isclose(rate.get_xlim()[1], 12.0)
