"""The density of a run of Gaussians at any point, live and from its folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from cases import plain, run

import meanfield as mf
from meanfield.dynamics.gaussianpoints import cloud, frame, from_cloud, rule
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import TokenSeries
from meanfield.results.outputs import outputs_in


def narrow(mean: list[float], concentration: float, weight: float) -> dict[str, object]:
    law = {"type": "von-mises-fisher", "mean": mean, "concentration": concentration}
    return {**law, "weight": weight}


two = plain.but(
    {
        "geometry.type": "unmeshed",
        "geometry.d": 3,
        "model.beta": 9.0,
        "model.kappa": 1e-3,
        "initial.type": "mixture",
        "initial.components": [
            narrow([-0.4, 0.0, 0.9], 300.0, 0.6),
            narrow([0.4, 0.1, 0.9], 200.0, 0.4),
        ],
        "solver.type": "gaussians",
        "output.figures": False,
        "output.precision": "float64",
    },
    time={"end": 1.0, "outputs": {"every": 0.5}},
)
on_circle = [narrow([-0.4, 0.9], 300.0, 0.6), narrow([0.4, 0.9], 200.0, 0.4)]


def quadrature(d: int) -> tuple[Array, Array]:
    """Points and weights of the uniform probability; on S^2 finest at the poles."""
    around = np.linspace(0.0, 2.0 * math.pi, 800, endpoint=False)
    if d == 2:
        return np.stack([np.cos(around), np.sin(around)], axis=1), np.full(800, 1.0 / 800)
    height, share = np.polynomial.legendre.leggauss(400)
    flat = np.sqrt(1.0 - height**2)
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    x = np.concatenate(
        [flat[:, None, None] * ring, np.broadcast_to(height[:, None, None], (400, 800, 1))], axis=2
    )
    return x.reshape(-1, 3), np.repeat(0.5 * share / 800, 800)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("format_", ["vtkhdf", "pvd"])
def test_mass_is_one_and_moments_are_those_of_the_series(
    d: int, format_: str, tmp_path: Path
) -> None:
    """At all output times; what is loaded is what the live result gives."""
    law = {} if d == 3 else {"geometry.d": 2, "initial.components": on_circle}
    live = run(two({**law, "output.format": format_}), tmp_path / "run")
    loaded = mf.load(tmp_path / "run")
    stored = outputs_in(RunFolder(tmp_path / "run"), "test")
    assert isinstance(stored, TokenSeries)
    mass = stored.read("mass")
    x, share = quadrature(d)
    assert list(loaded.times) == [0.0, 0.5, 1.0]
    for k, t in enumerate(loaded.times):
        rho = live.at(x, t)
        np.testing.assert_array_equal(loaded.at(x, t), rho)
        assert share @ rho == pytest.approx(1.0, abs=1e-6)
        mean = [live.series[f"mean_{i + 1}"][k] for i in range(d)]
        np.testing.assert_allclose((share * rho) @ x, mean, atol=1e-6)
        second = (x * (share * rho)[:, None]).T @ x
        points = loaded.tokens(t)
        np.testing.assert_allclose(second, (points * mass[:, None]).T @ points, atol=1e-6)
        inside = rho > 0.0
        entropy = (share * rho)[inside] @ np.log(rho[inside])
        assert live.series["entropy"][k] == pytest.approx(entropy, abs=1e-3)
    np.testing.assert_array_equal(loaded.at(x[:5]), loaded.at(x[:5], 1.0))


@pytest.mark.parametrize("d", [2, 3])
def test_it_is_the_density_of_the_implicit_solver(d: int) -> None:
    """One cluster, kappa = 0.003: to a per cent within two widths (measured: 0.4 %)."""
    axis = [0.0] * (d - 1) + [1.0]
    law = {"type": "von-mises-fisher", "mean": axis, "concentration": 200.0}
    start = plain.but({"model.beta": 9.0, "model.kappa": 3e-3, "time.end": 1.0}, initial=law)
    on = {"geometry.type": "unmeshed", "geometry.d": d, "solver.type": "gaussians"}
    mesh = {"geometry.type": "circle", "geometry.vertices": 2000}
    if d == 3:
        mesh = {"geometry.type": "zonal", "geometry.vertices": 1000, "geometry.d": 3}
    gaussians = run(start(on))
    implicit = run(start({**mesh, "solver.type": "implicit"}))
    angle = np.linspace(0.0, 0.1, 21)  # two widths
    x = np.zeros((21, d))
    x[:, 0], x[:, -1] = np.sin(angle), np.cos(angle)
    expected = implicit.at(x)
    assert expected[0] > 4.0 * expected[-1] > 1.0
    np.testing.assert_allclose(gaussians.at(x), expected, rtol=0.01)


@pytest.mark.parametrize("points", [5, 3])
def test_points_tell_their_gaussians(points: int) -> None:
    """To round-off, by both rules. Points on the rim do not tell u; the others are enough."""
    n = np.eye(3)[:2]
    factors = np.array([0.3, 0.02])[:, None, None] * np.stack([frame(axis) for axis in n])
    z, share = rule(points, 2)
    x, height = cloud(n, factors, z)
    assert points == 3 or height.min() < 1e-5
    weights = np.outer([0.3, 0.7], share).reshape(-1)
    found = from_cloud(x.reshape(-1, 3), weights)
    for values, exact in zip(found, ([0.3, 0.7], n, factors), strict=True):
        np.testing.assert_allclose(values, exact, atol=1e-14)
    with pytest.raises(mf.InputError, match="weights found that are those of no Gaussians"):
        from_cloud(x.reshape(-1, 3), np.sort(weights))


def test_of_the_last_state_in_four_dimensions_without_a_folder() -> None:
    """At a centre, alone: |S^3| (2 pi s)^{-3/2}."""
    law = {"type": "von-mises-fisher", "mean": [0.0, 0.0, 0.0, 1.0], "concentration": 300.0}
    result = run(two({"geometry.d": 4, "time.end": 0.1}, initial=law))
    s = result.series["variance_max"][-1]
    peak, beyond = result.at([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, -1.0]])
    assert peak == pytest.approx(2.0 * math.pi**2 * (2.0 * math.pi * s) ** -1.5, rel=1e-9)
    assert beyond == 0.0


def test_what_is_refused(tmp_path: Path) -> None:
    result = run(two(), tmp_path / "run")
    with pytest.raises(mf.InputError, match=r"t = 0\.7 found, the time of an output expected: 0.5"):
        result.at([[0.0, 0.0, 1.0]], 0.7)
    with pytest.raises(mf.InputError, match="point 0 has length 2"):
        result.at([[0.0, 0.0, 2.0]])
    with pytest.raises(mf.InputError, match="unit vectors"):
        result.at([[0.0, 1.0]])


def test_a_file_in_single_precision_is_enough_unless_gaussians_are_very_narrow(
    tmp_path: Path,
) -> None:
    x = [[0.0, 0.0, 1.0], [0.3, 0.0, math.sqrt(0.91)]]
    exact = run(two()).at(x)
    run(two({"output.precision": "float32"}), tmp_path / "run")
    np.testing.assert_allclose(mf.load(tmp_path / "run").at(x), exact, rtol=1e-4)
    law = {"type": "von-mises-fisher", "mean": [0.6, 0.0, 0.8], "concentration": 1e12}
    thin = two({"output.precision": "float32", "model.kappa": 1e-12, "time.end": 0.5}, initial=law)
    run(thin, tmp_path / "thin")
    with pytest.raises(mf.InputError, match=r"output\.precision = 'float64'"):
        mf.load(tmp_path / "thin").at(x)


@pytest.mark.parametrize("d", [2, 3])
def test_a_picture_of_the_density(d: int) -> None:
    """A curve whose maximum is that of the density, or a map of it."""
    law = {} if d == 3 else {"geometry.d": 2, "initial.components": on_circle}
    result = run(two({**law, "time.end": 0.1}))
    ax = result.plot("density")
    assert ax.get_title() == "$t = 0.1$"
    if d == 2:
        peak = result.at(quadrature(2)[0]).max()
        assert ax.lines[-1].get_ydata().max() == pytest.approx(peak, rel=0.01)
    else:
        values = np.asarray(ax.collections[0].get_array())
        assert values.shape == (180, 360) and values.max() > 2.0 > values.min()


def test_no_picture_of_the_density_in_four_dimensions_and_of_what_its_nodes_do_not_see() -> None:
    law = {"type": "von-mises-fisher", "mean": [0.0, 0.0, 0.0, 1.0], "concentration": 300.0}
    result = run(two({"geometry.d": 4, "time.end": 0.1}, initial=law))
    with pytest.raises(mf.InputError, match=r"of Gaussians in d = 4, expected d = 2 or 3"):
        result.plot("density")
    thin = {"type": "von-mises-fisher", "mean": [0.6, 0.0, 0.8], "concentration": 1e6}
    result = run(two({"model.kappa": 1e-6, "time.end": 0.1}, initial=thin))
    with pytest.raises(mf.InputError, match=r"too narrow for the 40,962 nodes"):
        result.plot("density")
