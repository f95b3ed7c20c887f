"""Potentials of units, of functions, of values at points: fields, what is left out, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.mesh import circle, icosphere, write_mesh, zonal_interval
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite import Composite
from meanfield.interaction.drifts import Drift
from meanfield.interaction.drifts.given import GivenPotential


def directions(count: int, d: int, seed: int = 0) -> Array:
    x = np.random.default_rng(seed).normal(size=(count, d))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def check_field(drift: Drift, U: Callable[[Array], Array], d: int, near: float) -> None:
    """-grad U and -Laplace U by differences along great circles."""
    x, h = directions(40, d), 1e-3
    assert drift.is_gradient
    assert drift.potential(x) == pytest.approx(-U(x), rel=near, abs=near)
    along = tangent_project(x, drift.vector(x))
    laplacian = np.zeros(len(x))
    for k in range(d - 1):  # a frame: Householder's columns
        u = x.copy()
        u[:, -1] += np.where(x[:, -1] >= 0.0, 1.0, -1.0)
        e = np.eye(d)[k] - (2.0 * u[:, k] / np.sum(u * u, axis=1))[:, None] * u
        ends = [U(math.cos(s * h) * x + math.sin(s * h) * e) for s in (-2, -1, 0, 1, 2)]
        slope = (ends[0] - 8.0 * ends[1] + 8.0 * ends[3] - ends[4]) / (12.0 * h)
        assert np.sum(along * e, axis=1) == pytest.approx(-slope, abs=max(1e-8, near))
        bend = -ends[0] + 16.0 * ends[1] - 30.0 * ends[2] + 16.0 * ends[3] - ends[4]
        laplacian += bend / (12.0 * h * h)
    assert drift.divergence(x) == pytest.approx(-laplacian, abs=max(1e-6, 100.0 * near))
    assert np.max(np.linalg.norm(along, axis=1)) <= drift.size
    trace, inner = drift.bend(x)
    normal = np.sum(drift.vector(x) * x, axis=1)
    assert trace - inner - (d - 1) * normal == pytest.approx(drift.divergence(x), abs=1e-12)


def smooth(x: Array) -> Array:
    return np.asarray(np.sin(2.0 * x[:, 0] + x[:, -1]) + x[:, -1] ** 3)


def smooth_slope(x: Array) -> Array:
    out = np.zeros_like(x)
    c = np.cos(2.0 * x[:, 0] + x[:, -1])
    out[:, 0], out[:, -1] = 2.0 * c, c + 3.0 * x[:, -1] ** 2
    return out


def zonal(x: Array) -> Array:
    return np.asarray(np.exp(1.5 * x[:, -1]) + 0.3 * x[:, -1])


@pytest.mark.parametrize("function", ["square", "softplus"])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_units(function: str, d: int) -> None:
    a, w, c = directions(3, d, 4) * 1.7, np.array([1.0, -0.5, 2.0]), np.array([0.1, 0.2, -0.3])
    made = mf.UnitsPotential(
        directions=tuple(map(tuple, a)), weights=tuple(w), shifts=tuple(c), strength=1.5,
        function=function,  # type: ignore[arg-type]
    )  # fmt: skip
    phi = np.square if function == "square" else lambda t: np.log1p(np.exp(t))
    check_field(made.on(d), lambda x: -0.75 * np.asarray(phi(x @ a.T + c) @ w), d, 1e-9)


@pytest.mark.parametrize("s", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_charge(s: float, d: int) -> None:
    a, core, strength = directions(1, d, 2)[0], 0.4, -0.7
    drift = mf.ChargePotential(
        at=tuple(3.0 * a), exponent=s, core=core, strength=strength
    ).on(d)  # fmt: skip
    inner = 1.0 - math.cos(core)

    def U(x: Array) -> Array:
        u = 1.0 - x @ a
        v = np.maximum(u, inner)
        f = -0.5 * np.log(2.0 * v) if s == 0.0 else (2.0 * v) ** (-0.5 * s)
        slope = -0.5 / v if s == 0.0 else -s * (2.0 * v) ** (-0.5 * s - 1.0)
        return np.asarray(strength * (f + slope * (u - v)))

    check_field(drift, U, d, 1e-7)
    assert drift.rate < 12.0 * (s + 1.0) ** 2 / core ** (2.0 + s)
    x = directions(2000, d)
    v = np.linalg.norm(tangent_project(x, drift.vector(x)), axis=1)
    assert 0.0 < v.max() <= drift.size


def test_charge_on_the_sphere_is_an_even_disc() -> None:
    """d = 3, log: at its place the mean over the core; outside, whatever the core, the same."""
    core = 0.1
    x = np.array([[0.0, 0.0, 1.0]])
    drift = mf.ChargePotential(at=(0.0, 0.0, 1.0), core=core).on(3)
    v = 2.0 * (1.0 - math.cos(core))  # |x - y|^2 at the rim; even in it
    assert drift.potential(x)[0] == pytest.approx(0.5 * (math.log(v) - 1.0), rel=1e-12)
    # Its mean over the sphere, less what the disc lacks within: 1/4 of the share v/4 of the sphere.
    mean = 0.5 * (math.log(4.0) - 1.0) + 0.25 * 0.25 * v
    assert drift.mean_potential() == pytest.approx(mean, abs=1e-8)
    out = directions(200, 3)
    out = out[out[:, 2] < math.cos(core)]
    other = mf.ChargePotential(at=(0.0, 0.0, 1.0), core=1e-3).on(3)
    assert drift.potential(out) == pytest.approx(other.potential(out), abs=1e-14)
    assert drift.divergence(out) == pytest.approx(-0.5, abs=1e-9)  # the background of Gauss's law


def test_units_of_the_squared_relu_are_the_cap() -> None:
    a = (0.6, 0.0, 0.8)
    one = mf.UnitsPotential(directions=(a,), weights=(2.0,)).on(3)
    other = mf.CapPotential(axis=a, strength=2.0).on(3)
    x = directions(50, 3)
    for name in ("potential", "vector", "divergence"):
        assert getattr(one, name)(x) == pytest.approx(getattr(other, name)(x), abs=1e-14)
    assert one.mean_potential() == pytest.approx(other.mean_potential(), rel=1e-12)


@pytest.mark.parametrize("d", [2, 3, 4, 6])
def test_a_function_with_its_gradient(d: int) -> None:
    made = mf.FunctionPotential(function=smooth, slope=smooth_slope, strength=-0.5).on(d)
    assert isinstance(made, GivenPotential)
    check_field(made, lambda x: -0.5 * smooth(x), d, 1e-9)


@pytest.mark.parametrize("d", [2, 3])
def test_a_function_by_its_harmonics(d: int) -> None:
    made = mf.FunctionPotential(function=smooth, strength=2.0).on(d)
    check_field(made, lambda x: 2.0 * smooth(x), d, 1e-9)
    exact = mf.FunctionPotential(function=smooth, slope=smooth_slope, strength=2.0).on(d)
    x = directions(30, d)
    assert tangent_project(x, made.vector(x)) == pytest.approx(
        tangent_project(x, exact.vector(x)), abs=1e-10
    )
    assert made.mean_potential() == pytest.approx(exact.mean_potential(), abs=1e-12)


@pytest.mark.parametrize("d", [4, 7])
def test_a_zonal_function_in_any_dimension(d: int) -> None:
    made = mf.FunctionPotential(function=zonal).on(d)
    check_field(made, zonal, d, 1e-9)
    made.refuse_tilted()
    poles = np.zeros((2, d))
    poles[0, -1], poles[1, -1] = 1.0, -1.0
    assert np.all(made.vector(poles) == 0.0)


def test_on_a_zonal_geometry() -> None:
    """The same velocities on latitudes as in space."""
    for potential in (
        mf.FunctionPotential(function=zonal),
        mf.UnitsPotential(directions=((0.0, 0.0, 1.3),), weights=(2.0,), function="softplus"),
    ):
        drift = potential.on(3)
        theta = np.linspace(0.2, 3.0, 12)[:, None]
        on = Composite((), "sa", 3, "zonal", drifts=(drift,))
        found = on.field(mf.Measure.equal(theta)).velocity_and_divergence(theta)
        x = np.column_stack([np.sin(theta), np.zeros(12), np.cos(theta)])
        along = np.column_stack([np.cos(theta), np.zeros(12), -np.sin(theta)])
        assert found[0][:, 0] == pytest.approx(np.sum(drift.vector(x) * along, axis=1), abs=1e-12)
        assert found[1] == pytest.approx(drift.divergence(x), abs=1e-10)
    with pytest.raises(InputError, match="symmetric about the last axis"):
        Composite((), "sa", 3, "zonal", drifts=(mf.FunctionPotential(function=smooth).on(3),))
    with pytest.raises(InputError, match="symmetric about the last axis"):
        given = mf.FunctionPotential(function=smooth, slope=smooth_slope).on(3)
        Composite((), "sa", 3, "zonal", drifts=(given,))


def cubic(x: Array) -> Array:
    """A polynomial of degree three."""
    return np.asarray(x[:, 0] * x[:, 1] + 0.4 * x[:, 1] ** 3 - 0.2 * x[:, -1])


def test_values_of_few_degrees_are_fitted_exactly(tmp_path: Path) -> None:
    for d, mesh in ((3, icosphere(2)), (2, circle(40))):
        path = tmp_path / f"u{d}.vtu"
        write_mesh(path, mesh, fields={"U": cubic(mesh.points)})
        made = mf.MeshPotential(path=path, strength=1.5).on(d)
        check_field(made, lambda x: 1.5 * cubic(x), d, 1e-9)
        rows = np.column_stack([mesh.points, cubic(mesh.points)])
        np.save(tmp_path / "u.npy", rows)
        np.savetxt(tmp_path / "u.csv", rows, delimiter=",", fmt="%.17g", header="x,y,z,u",
                   comments="")  # fmt: skip
        for name in ("u.npy", "u.csv"):
            again = mf.MeshPotential(path=tmp_path / name, strength=1.5).on(d)
            x = directions(20, d)
            assert again.vector(x) == pytest.approx(made.vector(x), abs=1e-10)


def test_values_on_latitudes(tmp_path: Path) -> None:
    mesh = zonal_interval(81, 5)
    heights = np.cos(mesh.points[:, 0])
    path = tmp_path / "u.vtu"
    write_mesh(path, mesh, fields={"well": heights**3 - heights})
    made = mf.MeshPotential(path=path, array="well").on(5)
    check_field(made, lambda x: x[:, -1] ** 3 - x[:, -1], 5, 1e-9)


def test_what_harmonics_leave_out_is_told(tmp_path: Path) -> None:
    def kinked(x: Array) -> Array:
        return np.asarray(-(np.maximum(x[:, 2], 0.0) ** 2))

    mesh = icosphere(3)
    path = tmp_path / "u.vtu"
    write_mesh(path, mesh, fields={"U": kinked(mesh.points)})
    exact = mf.CapPotential(axis=(0.0, 0.0, 1.0), strength=2.0).on(3)
    x = directions(200, 3)
    for potential, near in (
        (mf.FunctionPotential(function=kinked), 2e-2),
        (mf.MeshPotential(path=path), 2e-1),
    ):
        with pytest.warns(MeanfieldWarning, match=r"leave .* of it out"):
            made = potential.on(3)
        wrong = made.vector(x) - tangent_project(x, exact.vector(x))
        assert math.sqrt(np.mean(np.sum(wrong**2, axis=1))) < near


def kinds(tmp_path: Path) -> dict[str, tuple[Callable[[], object], str]]:
    path = tmp_path / "u.vtu"
    write_mesh(path, icosphere(1), fields={"U": np.ones(42)})
    np.save(tmp_path / "two.npy", np.ones((5, 2)))
    np.save(tmp_path / "off.npy", np.ones((5, 4)))
    (tmp_path / "words.csv").write_text("a,b\nc,d\n")
    function, mesh = mf.FunctionPotential, mf.MeshPotential
    a = ((0.0, 0.0, 1.0),)
    return {
        "another gradient": (
            lambda: function(function=smooth, slope=lambda x: 1.01 * smooth_slope(x)).on(3),
            r"model\.potential\.gradient: found a slope of",
        ),
        "its shape": (
            lambda: function(function=smooth, slope=smooth).on(3),
            r"gradient: found a result of shape \(32,\)",
        ),
        "no values": (
            lambda: function(function=lambda x: x).on(3), r"function: found a result of shape",
        ),
        "not finite": (
            lambda: function(function=lambda x: np.log(x[:, 0])).on(3), "not finite",
        ),
        "d = 4": (
            lambda: function(function=smooth).on(4),
            r"model\.potential\.gradient: found none in d = 4",
        ),
        "nothing": (lambda: function(), r"path: expected the name of a Python file"),
        "no array": (lambda: mesh(path=path, array="V").on(3), r"array: found no point data 'V'"),
        "another dimension": (lambda: mesh(path=path).on(4), r"model\.potential\.path: found"),
        "columns": (
            lambda: mesh(path=tmp_path / "two.npy").on(3), r"shape \(5, 2\).*expected \(n, 4\)",
        ),
        "no unit vectors": (lambda: mesh(path=tmp_path / "off.npy").on(3), "length"),
        "no numbers": (lambda: mesh(path=tmp_path / "words.csv").on(3), "no table of numbers"),
        "weights": (
            lambda: mf.UnitsPotential(directions=a, weights=(1.0, 2.0)).on(3),
            r"model\.potential\.weights: expected 1 numbers, one for each direction, found 2",
        ),
        "phi": (
            lambda: mf.UnitsPotential(directions=a, weights=(1.0,), function="squared_relu"),  # type: ignore[arg-type]
            r"function.*squared-relu",
        ),
    }  # fmt: skip


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    for name, (call, said) in kinds(tmp_path).items():
        with pytest.raises(InputError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value), name
