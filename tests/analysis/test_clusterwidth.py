"""The width that noise gives clusters, and what is told of a mesh that does not carry it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.analysis.clusterwidth import (
    Resolution,
    resolution_of,
    settled_width,
    variance_error,
)
from meanfield.geometry.meshfiles import write_mesh
from meanfield.interaction.dirac import dirac_contraction

GEOMETRIES = {
    "sphere": mf.Sphere(3),
    "circle": mf.Circle(60),
    "zonal": mf.Zonal(d=5, vertices=60),
}


def noisy(kappa: float, geometry: Any = None, **options: Any) -> mf.Case:
    geometry = geometry or mf.Sphere(3)
    parts: dict[str, Any] = {
        "title": "noisy",
        "geometry": geometry,
        "model": mf.Model(attention="sa", beta=9.0, kappa=kappa),
        "initial": mf.Uniform(geometry.d),
        "time": mf.Time(end=0.01),
        "solver": mf.Implicit(),
    }
    return mf.Case(**(parts | options))


# ------------------------------------------------------------------ what a point mass does


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    ("model", "rate"),
    [
        (mf.Model(attention="sa", beta=9.0), 1.0),
        (mf.Model(attention="sa", beta=-2.0), 1.0),
        (mf.Model(attention="usa", beta=3.0), math.exp(3.0)),
        (mf.Model(attention="usa", beta=3.0, value=-1), -math.exp(3.0)),
        (mf.Model(interaction=mf.MaierSaupe()), 2.0),  # W = <x, y>^2
        (mf.Model(interaction=mf.Power(k=3)), 3.0),
        (mf.Model(interaction=mf.Gaussian(width=0.3)), 1.0 / 0.09),
    ],
)
def test_rate_at_which_a_point_mass_pulls(geometry: str, model: mf.Model, rate: float) -> None:
    # W(<x, y>) pulls by W'(1) sin theta near y = x; sa is divided by Z = e^beta there.
    found = dirac_contraction(model.on(GEOMETRIES[geometry]))
    assert found == pytest.approx(rate, rel=1e-9)


def test_rate_of_a_head_is_that_of_the_axis_that_pulls_most() -> None:
    head = mf.Head(beta=2.0, V=np.diag([1.0, 3.0, 2.0]).tolist())
    model = mf.Model(attention="sa", heads=[head])
    # X(y) = P_y V x of a mass at x = e_2: V x = 3 e_2.
    assert dirac_contraction(model.on(mf.Sphere(3))) == pytest.approx(3.0, rel=1e-9)


@pytest.mark.parametrize("kernel", [mf.Log(), mf.Riesz(s=0.5), mf.Onsager()])
@pytest.mark.parametrize("geometry", ["sphere", "zonal"])
def test_singular_kernels_have_no_such_rate(kernel: Any, geometry: str) -> None:
    interaction = mf.Model(interaction=kernel).on(GEOMETRIES[geometry])
    assert math.isnan(dirac_contraction(interaction))
    assert settled_width(interaction, 1e-3) is None


# ------------------------------------------------------------------ width


@pytest.mark.parametrize(("attention", "beta"), [("sa", 9.0), ("usa", 3.0)])
def test_a_cluster_at_rest_has_that_width(attention: str, beta: float) -> None:
    rate = 1.0 if attention == "sa" else math.exp(beta)
    case = noisy(
        0.05**2 * rate,
        mf.Zonal(d=3, vertices=400),
        model=mf.Model(attention=attention, beta=beta, kappa=0.05**2 * rate),
        initial=mf.VonMisesFisher((0.0, 0.0, 1.0), 100.0),
        time=mf.Time(end=8.0 / rate),
    )
    found = resolution_of(case)
    assert found is not None and found.width == pytest.approx(0.05, rel=1e-9) and found.resolved
    solver: Any = mf.run(case, progress=False).solver
    variance = float((solver.weights * solver.rho) @ solver.space.points[:, 0] ** 2)
    # In two directions; the next order is sigma^2 times beta and the like.
    assert math.sqrt(variance / 2.0) == pytest.approx(found.width, rel=0.03)


def test_there_is_no_width_where_no_cluster_forms() -> None:
    sa = mf.Model(attention="sa", beta=1.0).on(mf.Sphere(3))
    assert settled_width(sa, 0.0) is None
    assert settled_width(sa, 0.2) == pytest.approx(math.sqrt(0.2), rel=1e-9)
    assert settled_width(sa, 0.4) is None  # the uniform state is stable: kappa > 1/3 about
    assert settled_width(sa, 2.0) is None  # wider than a radian
    away = mf.Model(attention="usa", beta=1.0, value=-1).on(mf.Sphere(3))
    assert settled_width(away, 1e-3) is None


@pytest.mark.parametrize(
    "case",
    [
        noisy(0.0),
        noisy(0.01, solver=mf.Particles(number=10)),
        noisy(0.01, model=mf.Model(attention="sa", beta=9.0, kappa=0.01,
            diffusion=mf.Diffusion(exponent=2.0))),
        noisy(0.0, solver=mf.Lagrangian()),
    ],
)  # fmt: skip
def test_nothing_is_told_of_other_cases(case: mf.Case) -> None:
    assert resolution_of(case) is None


# ------------------------------------------------------------------ what is told


@pytest.mark.parametrize(
    ("geometry", "kappa", "enough"),
    [
        (mf.Sphere(4), 0.005, "geometry.level = 5"),  # edges of sigma
        (mf.Sphere(4), 0.001, "geometry.level = 7"),
        (mf.Circle(100), 0.0025, "geometry.vertices = 252"),
        (mf.Zonal(d=3, vertices=50), 0.0025, "geometry.vertices = 127"),
        (mf.Circle(300), 0.0025, ""),
    ],
)
def test_the_mesh_that_would_do(geometry: Any, kappa: float, enough: str) -> None:
    found = resolution_of(noisy(kappa, geometry))
    assert found is not None
    assert found.resolved == (not enough) == (not found.note)
    if enough:
        assert found.enough == enough and f"; {enough} has edges" in found.note
        key, _, value = enough.removeprefix("geometry.").partition(" = ")
        better = type(geometry)(**{**({"d": 3} if key == "vertices" and geometry.d == 3 else {}),
                                   key: int(value)})  # fmt: skip
        assert better.edge <= 0.5 * math.sqrt(kappa) * (1.0 + 1e-9)


@pytest.mark.parametrize(
    ("times", "values", "end", "kappa"),
    [
        ([0.0, 1.0], [0.02, 0.005], 2.0, 0.005),
        ([0.0, 1.0], [0.02, 0.005], 0.5, 0.02),  # later ones are not of the run
        ([0.0, 1.0], [0.005, 0.0], 2.0, 0.005),  # noise that ends
        ([1.0, 3.0], [0.01, 0.02], 2.0, 0.01),
        ([0.0, 1.0], [0.0, 0.0], 2.0, None),
    ],
)
def test_the_last_kappa_of_a_table_in_steps(
    times: Any, values: Any, end: float, kappa: float | None
) -> None:
    table: Any = {"times": times, "values": values}
    stepped = noisy(0.0, mf.Sphere(2)).to_dict()
    stepped["model"]["kappa"] = table
    stepped["time"] = {"end": end}
    found = resolution_of(mf.Case.from_dict(stepped))
    if kappa is None:
        assert found is None
        return
    plain = resolution_of(noisy(kappa, mf.Sphere(2)))
    assert found == plain and found is not None and found.note
    stepped["model"]["kappa"] = {**table, "interpolate": "linear"}
    assert resolution_of(mf.Case.from_dict(stepped)) is None


def test_size_of_the_error_that_is_told() -> None:
    # sigma = sqrt(.005), edges 1.1/2^4.
    found = resolution_of(noisy(0.005, mf.Sphere(4)))
    assert found is not None and "wrong by up to about 1.6%;" in found.note
    assert "their width depends on the mesh" in Resolution(0.01, 0.03, "", 0.03).note
    assert "more than 0.035 = sigma/2" in found.words
    circle = resolution_of(noisy(0.005, mf.Circle(100)))
    assert circle is not None and "wrong by less than 0.1%, times" in circle.note


PLACE = (0.7415072, 0.53854712, -0.40017126)  # of eight on S^2 that with the most


@pytest.mark.parametrize(
    ("geometry", "mean", "least"),
    [
        (mf.Sphere(4), PLACE, 0.8),
        (mf.Circle(71), (1.0, 0.0), 0.5),  # edges of 1.25 sigma
        (mf.Circle(59), (1.0, 0.0), 0.5),  # of 1.5
        (mf.Zonal(d=2, vertices=31), (0.0, 1.0), 0.5),  # of 1.5
        (mf.Zonal(d=3, vertices=90), (0.0, 0.0, 1.0), 0.8),
        (mf.Zonal(d=5, vertices=45), (0.0, 0.0, 0.0, 0.0, 1.0), 0.8),
    ],
)
def test_the_variance_is_wrong_by_what_is_told(geometry: Any, mean: Any, least: float) -> None:
    kappa, d = 0.005, geometry.d
    case = noisy(kappa, geometry, initial=mf.VonMisesFisher(mean, 20.0), time=mf.Time(end=12.0))
    found = resolution_of(case)
    assert found is not None
    solver: Any = mf.run(case, progress=False).solver
    mass = solver.weights * solver.rho
    x = solver.space.manifold.embed(solver.space.points[: solver.space.n_owned])
    axis = np.eye(d)[-1] if solver.space.manifold.latitudes else mass @ x
    along = x @ axis / np.linalg.norm(axis)
    variance = (1.0 - mass @ along**2) / (d - 1)
    # Of `stationary`; kappa/(1 - beta kappa) up to 7e-4.
    exact = {2: 0.00523375164, 3: 0.00523312929, 5: 0.00523187616}[d]
    wrong = abs(variance / exact - 1.0)
    assert least * found.error < wrong < 1.2 * found.error


def test_no_size_is_told_where_none_is_known(tmp_path: Any) -> None:
    assert math.isnan(variance_error(mf.Sphere(4), 1.8))
    path = tmp_path / "sphere.vtu"
    write_mesh(path, mf.Sphere(3).build_mesh())
    assert math.isnan(variance_error(mf.MeshFile(str(path)), 0.7))
    assert variance_error(mf.Circle(100), 1.0) < 1e-6  # measured: 1e-7


def there(k: float = 9.0, sign: float = 1.0) -> mf.VonMisesFisher:
    return mf.VonMisesFisher((0.0, 0.0, sign), k)


@pytest.mark.parametrize(
    ("law", "factor", "resolved"),
    [
        (there(), 2.0, True),
        (there(sign=-1.0), 0.5, True),
        (mf.Mixture((there(), mf.Cap((0.0, 0.0, 2.0), 0.3)), (1.0, 2.0)), 2.0, True),
        (mf.PoissonKernel((0.0, 0.0, 0.4)), 2.0, True),
        (there(), 0.5, False),
        (there(0.0), 2.0, False),
        (mf.Mixture((there(), there(sign=-1.0)), (1.0, 1.0)), 2.0, False),
        (mf.VonMisesFisher((0.0, 0.1, 1.0), 9.0), 2.0, False),
        (mf.Uniform(3), 2.0, False),
    ],
)
def test_a_graded_mesh_resolves_one_cluster_at_its_centre(
    law: Any, factor: float, resolved: bool
) -> None:
    # Level 4 has edges of sigma: half of that where it is finest, twice that at the antipode.
    found = resolution_of(noisy(0.005, mf.Sphere(4, factor=factor), initial=law))
    assert found is not None and found.resolved == resolved == (not found.note)
    assert "edges 0.035 where the mesh is finest, elsewhere up to 0.14: " in found.words
    if not resolved:
        assert "edges of up to 0.14" in found.note
        assert "geometry.level = 5 without a factor has edges of sigma/2" in found.note


def test_a_run_warns_and_says_so_in_its_first_lines(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from meanfield import cli

    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(noisy(0.02, mf.Sphere(2)).to_toml())
    assert cli.main(["run", "small.toml", "--no-progress", "-o", "a"]) == 0
    out, err = capsys.readouterr()
    assert "clusters at rest have the width sigma = 0.14 (by kappa), edges 0.28" in out
    assert err.count("geometry.level = 4 has edges of sigma/2 or less") == 1
    assert cli.main(["info", "a"]) == 0
    assert "geometry.level = 4" in capsys.readouterr().out
    # None of a case without noise, nor where the mesh is fine enough.
    quiet = ["--no-progress", "--set", "model.kappa=0", "--set", "solver.type=eulerian"]
    assert cli.main(["run", "small.toml", *quiet, "--dry-run"]) == 0
    assert "sigma" not in "".join(capsys.readouterr())
    fine = ["--set", "model.kappa=0.05", "--set", "geometry.level=4"]
    assert cli.main(["run", "small.toml", *fine, "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert "resolved  clusters" in out and "at most sigma/2" in out and not err
