"""Charts on S^1 and in zonal geometry, of any interaction and law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.analysis.exact import growth_rate, poisson_mean_length, poisson_radius
from meanfield.case import Lagrangian
from meanfield.collective import Alone
from meanfield.dynamics.lagrangian import LagrangianSolver, characteristics
from meanfield.errors import InputError
from meanfield.geometry.laws import Law, PoissonKernel, VonMisesFisher
from meanfield.geometry.laws.modes import Fourier, Gegenbauer
from meanfield.geometry.mesh import circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.contract import AnyInteraction

MODES = Fourier((0.1, 0.0, 0.2), (0.05,))


def started(
    interaction: AnyInteraction, law: Law, number: int, end: float, **options: Any
) -> LagrangianSolver:
    d = interaction.d
    mesh = circle(number) if interaction.geometry == "circle" else zonal_interval(number, d)
    chosen = Lagrangian(**options)
    return characteristics(interaction, mesh, law.density, end, options=chosen, comm=Alone())


def run(solver: LagrangianSolver, end: float) -> LagrangianSolver:
    while solver.t < end:
        solver.advance(end)
    return solver


def moments(solver: LagrangianSolver, degree: int = 6) -> Array:
    """P_l or (cos, sin) of l phi in the mean."""
    harmonics = solver.manifold.harmonics(degree)
    points = solver.manifold.settle(solver.positions())
    norms = np.sqrt(harmonics.moments(points[:1] * 0.0 + _axis(solver), np.ones(1)) ** 2)
    found = harmonics.moments(points, solver.mass)
    return found / (norms if solver.manifold.latitudes else np.sqrt(2.0))


def _axis(solver: LagrangianSolver) -> Array:
    return np.zeros(1) if solver.manifold.latitudes else np.array([1.0, 0.0])


def model(kind: str, beta: float, d: int = 2, value: int = 1) -> Attention:
    return Attention(kind, beta, d, "circle" if d == 2 else "zonal", value)  # type: ignore[arg-type]


# ------------------------------------------------------------------ exact results


@pytest.mark.parametrize("d", [2, 3, 5, 8])
def test_the_conformal_flow_keeps_its_family(d: int) -> None:
    """beta = 0: |mean| of a Poisson kernel, whose radius is known."""
    law = PoissonKernel((0.0,) * (d - 1) + (0.3,))
    solver = run(started(model("sa", 0.0, d), law, 120, 3.0), 3.0)
    mean = float(
        np.linalg.norm(solver.manifold.moments_of(solver.moved_mesh().points).T @ solver.mass)
    )
    exact = float(poisson_mean_length(poisson_radius(3.0, 0.3, d), d))
    assert mean == pytest.approx(exact, abs=2e-7)
    assert solver.mass.sum() == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize(
    ("kind", "t", "first", "second", "energy"),
    [
        ("sa", 3.0, 0.2820061307, 0.3815375338, 1.30071079),
        ("usa", 0.4, 0.2928286207, 0.4448088643, 1.62620087),
    ],
)
def test_symmetric_trajectories(
    kind: str, t: float, first: float, second: float, energy: float
) -> None:
    solver = run(started(model(kind, 4.0, 3), Gegenbauer(3, (0.3, 0.25)), 60, t), t)
    np.testing.assert_allclose(moments(solver)[1:3], [first, second], atol=2e-8)
    assert solver.energy() == pytest.approx(energy, abs=2e-7)


def test_a_trajectory_on_the_circle() -> None:
    law = Fourier((0.1, 0.0, 0.2))
    solver = run(started(model("sa", 4.0), law, 100, 2.0), 2.0)
    found = moments(solver, 3)[1::2]
    np.testing.assert_allclose(found, [0.0761058497, -0.0080259310, 0.3578231082], atol=1e-7)
    assert solver.energy() == pytest.approx(1.53449016, abs=1e-7)


@pytest.mark.parametrize("d", [2, 3])
def test_small_perturbations_grow_at_their_rate(d: int) -> None:
    """A chart laid when they are large imprints nothing on what was there before."""
    law = Fourier((0.0, 1e-7)) if d == 2 else Gegenbauer(3, (0.0, 1e-7))
    solver = started(model("sa", 4.0, d), law, 200, 20.0)
    before = moments(solver)
    grown = moments(run(solver, 5.0))
    index = 3 if d == 2 else 2
    rate = np.log(grown[index] / before[index]) / 5.0
    assert rate == pytest.approx(growth_rate("sa", 4.0, d, 2), abs=1e-5)


@pytest.mark.parametrize("d", [2, 3])
def test_the_uniform_state_stays(d: int) -> None:
    law = Fourier() if d == 2 else Gegenbauer(3, ())
    solver = run(started(model("sa", 4.0, d), law, 200, 5.0), 5.0)
    assert np.max(np.abs(moments(solver)[1:])) < 1e-11
    assert solver.step < 60


# ------------------------------------------------------------------ against the mesh


@pytest.mark.slow
@pytest.mark.parametrize(("d", "t", "gain"), [(2, 8.0, 30.0), (3, 8.0, 30.0), (5, 8.0, 20.0)])
def test_torn_apart_a_chart_is_better_than_the_mesh(d: int, t: float, gain: float) -> None:
    law = MODES if d == 2 else Gegenbauer(d, (0.3, 0.25))
    interaction = model("sa", 4.0, d)
    exact = moments(run(started(interaction, law, 2000, t), t))
    wrong = {
        start: np.max(
            np.abs(moments(run(started(interaction, law, 300, t, start=start), t)) - exact)
        )
        for start in ("auto", "mesh")
    }
    assert gain * wrong["auto"] < wrong["mesh"]


TABLES: dict[str, dict[str, object]] = {
    "repulsion": {"attention": "sa", "beta": 4.0, "value": -1},
    "usa, steep": {"attention": "usa", "beta": 9.0, "value": -1},
    "negative beta": {"attention": "sa", "beta": -3.0},
    "gaussian": {"interaction": {"type": "gaussian", "width": 0.35}},
    "log": {"interaction": {"type": "log", "strength": -1.0}},
    "drift": {"attention": "sa", "beta": 4.0, "drift": {"matrix": [[0.3, -0.5], [0.5, -0.3]]}},
    "jump": {
        "attention": "sa",
        "beta": {"times": [0.0, 0.3], "values": [1.0, 4.0], "interpolate": "step"},
    },
    "head": {
        "attention": "sa",
        "heads": [{"beta": 4.0, "Q": [[0.8, -0.6], [0.6, 0.8]], "V": [[0.8, 0.6], [-0.6, 0.8]]}],
    },
}


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x == "drift" else x for x in TABLES]
)
def test_any_interaction_goes_where_the_mesh_goes(name: str) -> None:
    """While the flow is smooth both are spectral; far from their starts they are the same."""
    end = 0.05 if name.startswith("usa") else 1.0
    case = mf.Case.from_dict(
        {
            "title": name,
            "geometry": {"type": "circle", "vertices": 300},
            "model": TABLES[name],
            "initial": {"type": "fourier", "cos": [0.1, 0.0, 0.2], "sin": [0.05]},
            "time": {"end": end, "outputs": {"every": end}},
        }
    )
    interaction = case.model.on(case.geometry)
    solvers = [
        run(started(interaction, MODES, 300, end, start=start), end) for start in ("chart", "mesh")
    ]
    assert len(solvers[0].history) > 1
    np.testing.assert_allclose(moments(solvers[0]), moments(solvers[1]), atol=2e-7)


def test_a_tolerance_that_is_given_decides_on_steps() -> None:
    law, steps = MODES, {}
    for start in ("auto", "mesh"):
        for key in ("rtol", "accuracy"):
            for size in (1e-3, 1e-11):
                found = run(started(model("sa", 4.0), law, 100, 2.0, start=start, **{key: size}), 2)
                steps[start, key, size] = found.step
    for start, key in {which[:2] for which in steps}:
        assert 1.5 * steps[start, key, 1e-3] < steps[start, key, 1e-11]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rtol": 1e-6, "control": "moments"}, "rtol: found 1e-06 with control"),
        ({"accuracy": 1e-6, "control": "positions"}, "accuracy: found 1e-06 with control"),
        ({"accuracy": 1e-6, "rtol": 1e-6}, "rtol: found 1e-06 with accuracy"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        Lagrangian(**options)
    assert "\n" not in str(refused.value)


ON_THE_SPHERE: dict[str, dict[str, object]] = {
    "repulsion": {"attention": "sa", "beta": 4.0, "value": -1},
    "usa": {"attention": "usa", "beta": 1.0},
    "gaussian": {"interaction": {"type": "gaussian", "width": 0.5}},
    "drift": {
        "attention": "sa",
        "beta": 4.0,
        "drift": {"matrix": [[0.3, -0.5, 0.0], [0.5, -0.3, 0.2], [0.0, 0.1, 0.0]]},
    },
    "ramp": {"attention": "sa", "beta": {"times": [0.0, 0.6], "values": [1.0, 4.0]}},
    "head": {
        "attention": "sa",
        "heads": [
            {
                "beta": 3.0,
                "Q": [[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]],
                "V": [[0.8, 0.0, 0.6], [0.0, 1.0, 0.0], [-0.6, 0.0, 0.8]],
            }
        ],
    },
}


@pytest.mark.parametrize("name", ON_THE_SPHERE)
def test_any_interaction_on_the_sphere_goes_where_a_finer_mesh_goes(name: str) -> None:
    """Mean and E, 716 nodes of a chart against 2 562 vertices."""
    end = 0.6
    case = mf.Case.from_dict(
        {
            "title": name,
            "geometry": {"type": "sphere", "level": 3},
            "model": ON_THE_SPHERE[name],
            "initial": {"type": "von-mises-fisher", "mean": [0.3, -0.2, 0.9], "concentration": 2.0},
            "time": {"end": end, "outputs": {"every": end}},
        }
    )
    interaction, law = case.model.on(case.geometry), VonMisesFisher((0.3, -0.2, 0.9), 2.0)
    found = []
    for start, level in (("chart", 3), ("mesh", 4)):
        options = Lagrangian(start=start)
        solver = characteristics(
            interaction, icosphere(level), law.density, end, options=options, comm=Alone()
        )
        run(solver, end)
        energy = [solver.energy()] if solver.interaction.energy_kind is not None else []
        found.append(np.append(solver.mass @ solver.positions(), energy))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_few_points_keep_their_moments() -> None:
    """Direct sums of few points would end the history: they begin when points have merged."""
    solver = run(started(model("sa", 9.0), MODES, 100, 2.0), 2.0)
    assert solver.points == solver.n
    assert solver.history.times[-1] == 2.0
    assert solver.precise.harmonics is not None


# ------------------------------------------------------------------ poles, laws, refusals


def test_poles_are_points_without_mass() -> None:
    solver = run(started(model("sa", 4.0, 8), Gegenbauer(8, (0.3, 0.25)), 60, 4.0), 4.0)
    mesh = solver.moved_mesh()
    theta = np.sort(mesh.points[:, 0])
    assert theta[0] == 0.0
    assert theta[-1] == np.pi
    pole = int(np.argmin(mesh.points[:, 0]))
    assert solver.mass[pole] == 0.0
    assert solver.log_density()[pole] == np.max(solver.log_density())
    assert mesh.cells.shape == (solver.n - 1, 2)
    fine = run(
        started(model("sa", 4.0, 8), Gegenbauer(8, (0.3, 0.25)), 400, 4.0, start="mesh"), 4.0
    )
    assert solver.log_density()[pole] == pytest.approx(np.max(fine.log_density()), abs=1e-4)


def test_a_narrow_law_is_found_by_its_nodes() -> None:
    law = VonMisesFisher((0.0, 0.0, 1.0), 1000.0)
    chart, mesh = (
        started(model("sa", 4.0, 3), law, 100, 2.0, start=start) for start in ("auto", "mesh")
    )
    assert abs(chart.initial_mass_error) < 1e-3 * abs(mesh.initial_mass_error)


def test_a_law_between_nodes_starts_where_more_of_it_is_seen() -> None:
    law = mf.Cap((1.0, 0.3), 1.0)
    auto, mesh = (
        started(model("sa", 4.0), law, 100, 2.0, start=start) for start in ("auto", "mesh")
    )
    assert abs(auto.initial_mass_error) <= abs(mesh.initial_mass_error)


@pytest.mark.slow
def test_cells_on_curves() -> None:
    interaction, law = model("sa", 4.0, 3), Gegenbauer(3, (0.3, 0.25))
    exact = moments(run(started(interaction, law, 2000, 6.0), 6.0))
    cells = moments(run(started(interaction, law, 256, 6.0, start="cells"), 6.0))
    np.testing.assert_allclose(cells, exact, atol=1e-6)


def test_an_external_field_has_no_chart() -> None:
    drift = mf.Model(drift=mf.Drift(matrix=((1.0, 0.0), (0.0, -1.0))))
    interaction = drift.on(mf.Circle(vertices=40))
    assert len(started(interaction, MODES, 40, 1.0).history) == 0
    with pytest.raises(InputError, match=r'solver\.start: found "chart"'):
        started(interaction, MODES, 40, 1.0, start="chart")
