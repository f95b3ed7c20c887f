"""What the Eulerian scheme promises for any data: mass, positivity, rest, energy, restart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from builders import MESHES, ROUGH, mesh_name, meshes, rough
from parameters import slow_but

from meanfield.case import Eulerian
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws import Cap, Mixture, Uniform, VonMisesFisher, standard_density
from meanfield.geometry.mesh import Mesh

Make = Callable[..., Any]

SCHEMES = [
    Eulerian(scheme=limiter, stepper=stepper, field=field)  # type: ignore[arg-type]
    for limiter in ("log-muscl", "upwind")
    for stepper in ("euler", "ssprk2", "ssprk3")
    for field in ("extrapolated", "stages")
    if (stepper, field) != ("euler", "extrapolated")  # one stage: nothing to extrapolate
]


def scheme_name(s: Eulerian) -> str:
    return f"{s.scheme}-{s.stepper}-{s.field}"


def bump(d: int) -> Mixture:
    """A smooth zonal law."""
    return Mixture((VonMisesFisher((0.0,) * (d - 1) + (1.0,), 5.0), Uniform(d)), (0.5, 0.5))


# Whether a mesh resolves the kernel is no matter of positivity.
pytestmark = pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")


def steps(solver: EulerianSolver, t_end: float, at_most: int = 10**6) -> Iterator[float]:
    """Step to ``t_end``, yielding each step size."""
    for _ in range(at_most):
        if solver.t >= t_end:
            return
        yield solver.advance(t_end)


def run(solver: EulerianSolver, t_end: float) -> EulerianSolver:
    for _ in steps(solver, t_end):
        pass
    return solver


def mass(solver: EulerianSolver) -> float:
    return math.fsum(solver.weights * solver.rho)


# ------------------------------------------------------------------ mass and positivity


@pytest.mark.parametrize("model", ["sa", "usa"])
@meshes
def test_mass_is_kept(which: Any, model: str, make_space: Make, make_solver: Make) -> None:
    space = make_space(*which)
    law = bump(space.d)
    solver = make_solver(space, model, 4.0, law)
    worst = 0.0
    for _ in steps(solver, 6.0 if model == "sa" else 0.6):
        worst = max(worst, abs(mass(solver) - 1.0))
    assert solver.step > 20
    assert worst < 1e-13


@pytest.mark.slow
def test_mass_is_kept_over_thousands_of_steps(make_space: Make, make_solver: Make) -> None:
    solver = make_solver(make_space("sphere", 5), "sa", 9.0, standard_density())
    run(solver, 40.0)
    assert solver.step > 1000
    assert abs(mass(solver) - 1.0) < 1e-13


@pytest.mark.parametrize("scheme", slow_but([1, 4, 6], SCHEMES), ids=scheme_name)
@pytest.mark.parametrize("name", slow_but([0, 2, 3], ROUGH))
def test_rough_densities_stay_positive(
    name: str, scheme: Eulerian, make_space: Make, make_solver: Make
) -> None:
    for which in (("sphere", 3, 3), ("circle", 120, 2)):
        space = make_space(*which)
        for value in (1, -1):
            solver = make_solver(space, "sa", 4.0, rough(name, space), scheme, value)
            for _ in steps(solver, 3.0, 30):
                assert np.all(solver.rho >= 0.0)  # false for NaN, too
                assert abs(mass(solver) - 1.0) < 1e-13


@pytest.mark.parametrize("name", slow_but([1, 2, 4], ROUGH))
@pytest.mark.parametrize("beta", slow_but([0, 3], [-3.0, 0.0, 4.0, 12.0]))
@meshes
def test_rough_densities_stay_positive_for_any_beta(
    which: Any, beta: float, name: str, make_space: Make, make_solver: Make
) -> None:
    space = make_space(*which)
    for model in ("sa", "usa"):
        for value in (1, -1):
            solver = make_solver(space, model, beta, rough(name, space), None, value)
            for _ in steps(solver, 2.0 if model == "sa" else 0.2, 25):
                assert np.all(solver.rho >= 0.0)
                assert abs(mass(solver) - 1.0) < 1e-13


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("beta", [-3.0, 0.0, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_step_of_any_positive_density(
    seed: int, beta: float, model: str, make_space: Make, make_solver: Make
) -> None:
    rng = np.random.default_rng(seed)
    for which in MESHES:
        space = make_space(*which)
        spread = rng.choice([0.1, 3.0, 30.0, 200.0])  # up to e^{+-600}: the range of a double
        rho = np.exp(np.clip(spread * rng.standard_normal(space.n_owned), -690.0, 690.0))
        scheme = SCHEMES[rng.integers(len(SCHEMES))]
        solver = make_solver(space, model, beta, rho, scheme, int(rng.choice([-1, 1])))
        for _ in steps(solver, 1.0, 3):
            assert np.all(solver.rho >= 0.0), (which, spread, scheme)
            assert abs(mass(solver) - 1.0) < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cap", "peak"])
@pytest.mark.parametrize("stepper", ["ssprk2", "ssprk3"])
def test_tails_drained_to_nothing(
    stepper: str, name: str, make_space: Make, make_solver: Make
) -> None:
    # sa, beta = 30: the tails fall through the subnormal numbers to zero.
    space = make_space("unstructured", 1000)
    field = "extrapolated" if stepper == "ssprk2" else "stages"
    scheme = Eulerian(stepper=stepper, field=field)  # type: ignore[arg-type]
    solver = make_solver(space, "sa", 30.0, rough(name, space), scheme)
    run(solver, 2.0)
    assert solver.rho.min() < 1e-300
    assert np.all(solver.rho >= 0.0)
    assert abs(mass(solver) - 1.0) < 1e-13
    assert solver.energy_violations == 0


# ------------------------------------------------------------------ fronts


@pytest.mark.parametrize("limiter", ["log-muscl", "upwind"])
@meshes
def test_a_hot_vertex_spreads_when_repelled(
    which: Any, limiter: str, make_space: Make, make_solver: Make
) -> None:
    space = make_space(*which)
    solver = make_solver(space, "sa", 4.0, rough("hot", space), Eulerian(scheme=limiter), -1)
    run(solver, 3.0)
    occupied = space.weights[solver.rho > 1e-3].sum()
    assert occupied > 0.2
    assert np.all(solver.rho >= 0.0)


@meshes
def test_a_dirac_rests_where_it_attracts(which: Any, make_space: Make, make_solver: Make) -> None:
    # E is maximal exactly at Diracs: nothing may leak from the vertex. (Zonal: at the pole; mass
    # elsewhere is a whole circle of latitude.)
    space = make_space(*which)
    x = space.manifold.embed(space.points[: space.n_owned])
    rho = np.eye(space.n_owned)[np.argmax(x[:, -1])]
    solver = make_solver(space, "sa", 4.0, rho)
    run(solver, 2.0)
    np.testing.assert_array_equal(solver.rho[rho == 0.0], 0.0)
    # Its energy is e^beta/(2 beta), but for what the mesh cannot tell from the uniform measure.
    assert solver.field().energy(scaled=True) == pytest.approx(1.0 / 8.0, rel=1e-3)


@pytest.mark.parametrize("limiter", ["log-muscl", "upwind"])
def test_two_hot_vertices_meet(limiter: str, make_space: Make, make_solver: Make) -> None:
    space = make_space("sphere", 4)
    solver = make_solver(space, "usa", 1.0, rough("two", space), Eulerian(scheme=limiter))
    before = solver.field().energy()
    run(solver, 4.0)
    # Two half Diracs an angle of 1 apart: E rises towards that of one Dirac, e/2.
    assert before == pytest.approx(0.25 * (math.e + math.exp(math.cos(1.0))), rel=2e-2)
    assert solver.field().energy() > 0.5 * math.e * 0.98


def _quantiles(solver: EulerianSolver, levels: list[float]) -> np.ndarray:
    """Angles from the axis within which these parts of the mass lie."""
    space = solver.space
    x = space.manifold.embed(space.points[: space.n_owned])
    theta = np.arccos(np.clip(x[:, -1], -1.0, 1.0))
    order = np.argsort(theta)
    cumulated = np.cumsum((solver.weights * solver.rho)[order])
    return theta[order][np.searchsorted(cumulated, levels)]


@pytest.mark.parametrize(
    ("value", "t_end", "edge"),
    [(1, 0.7, 0.435), (-1, 1.0, 1.10)],
    ids=["shrinking", "spreading"],
)
@pytest.mark.parametrize("kind", ["sphere", "zonal"])
def test_the_edge_of_a_cap_moves_as_it_should(
    kind: str, value: int, t_end: float, edge: float, make_space: Make, make_solver: Make
) -> None:
    # ``edge``: where 99.5 % of the mass are on 3200 zonal vertices (and 99.9 % within .01). With
    # shorter and shorter steps the outermost vertex on this sphere is 2.9 h away.
    space = make_space(kind, 4 if kind == "sphere" else 400)
    solver = make_solver(space, "sa", 4.0, Cap((0.0, 0.0, 1.0), 0.7), None, value)
    h = 0.07 if kind == "sphere" else np.pi / 399
    run(solver, t_end)
    inner, outer = _quantiles(solver, [0.97, 0.999])
    assert inner < edge + h
    # A front that spreads is one cell wider than with an edge density below that of the plateau,
    # which heaps up mass behind it (2.4 and 3.3 cells).
    assert edge - 2.0 * h < outer < edge + 3.5 * h


@pytest.mark.parametrize("name", ["cap", "holes", "lognormal"])
@pytest.mark.parametrize("beta", [-3.0, 4.0])
def test_the_numbering_of_vertices_does_not_matter(
    beta: float, name: str, make_mesh: Make, make_space: Make, make_solver: Make
) -> None:
    # Other sums, other round-off; none of it may decide where the limiter sends mass (vertices
    # drained to 0 or to 1e-17 of what they held are the trap).
    mesh, space = make_mesh("sphere", 3), make_space("sphere", 3)
    from mpi4py import MPI

    new = np.random.default_rng(8).permutation(mesh.n_vertices)  # new number of each vertex
    points = np.empty_like(mesh.points)
    points[new] = mesh.points
    other = P1Space(Mesh("sphere", 3, points, new[mesh.cells]), MPI.COMM_SELF)
    rho = rough(name, space)
    original = space.gather(rho)
    assert original is not None
    renumbered = np.empty_like(original)
    renumbered[new] = original
    one = run(make_solver(space, "sa", beta, rho), 2.0)
    two = run(make_solver(other, "sa", beta, other.scatter(renumbered)), 2.0)
    assert two.step == one.step
    assert two.field().energy() == pytest.approx(one.field().energy(), rel=1e-10)
    a, b = one.space.gather(one.rho), other.gather(two.rho)
    assert a is not None and b is not None
    # Single vertices feel the accuracy of the transforms, 1e-11, many times over.
    np.testing.assert_allclose(b[new], a, rtol=1e-5, atol=1e-8)


# ------------------------------------------------------------------ equilibrium


UNIFORM = [
    ("sphere", 3, 3), ("sphere", 4, 3), ("unstructured", 1000, 3), ("circle", 128, 2),
    ("zonal", 64, 8), ("zonal", 128, 8),
]  # fmt: skip


@pytest.mark.parametrize("which", UNIFORM, ids=mesh_name)
@pytest.mark.parametrize("value", [1, -1])
def test_uniform_state_is_stationary(
    which: Any, value: int, make_space: Make, make_solver: Make
) -> None:
    space = make_space(*which)
    solver = make_solver(space, "sa", 4.0, np.ones(space.n_owned), None, value)
    run(solver, 1.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-12
    run(solver, 20.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-9
    assert solver.energy_violations == 0


@pytest.mark.parametrize("which", UNIFORM, ids=mesh_name)
def test_uniform_state_of_usa_is_stationary(
    which: Any, make_space: Make, make_solver: Make
) -> None:
    # Round-off grows like e^{4.5 t} on S^2, e^{7.5 t} on S^1 (beta = 4): by up to 1e6 over 2.
    space = make_space(*which)
    solver = make_solver(space, "usa", 4.0, np.ones(space.n_owned))
    run(solver, 1.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-12
    run(solver, 2.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-9


def test_uniform_state_at_large_beta(make_space: Make, make_solver: Make) -> None:
    # usa, beta = 9, d = 2: rate 770; stationary only because no force at all acts on it.
    space = make_space("circle", 256)
    solver = make_solver(space, "usa", 9.0, np.ones(space.n_owned))
    run(solver, 0.02)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-9
    solver = make_solver(make_space("sphere", 4), "sa", 16.0, np.ones(2562))
    run(solver, 5.0)
    assert np.max(np.abs(solver.rho - 1.0)) < 1e-9


# ------------------------------------------------------------------ energy


def energies(solver: EulerianSolver, t_end: float, at_most: int = 10**6) -> np.ndarray:
    """Relative changes of E in each step (of E - E_uniform: no cancellation)."""
    values = [solver.field().energy_excess()]
    for _ in steps(solver, t_end, at_most):
        values.append(solver.field().energy_excess())
    solver.advance(solver.t + 1e-9)  # the solver looks at the start of a step
    return np.diff(values) / abs(solver.field().energy(scaled=True))


@pytest.mark.parametrize("scheme", slow_but([0, 1, 4, 6], SCHEMES), ids=scheme_name)
@pytest.mark.parametrize("model", ["sa", "usa"])
def test_energy_never_decreases(
    model: str, scheme: Eulerian, make_space: Make, make_solver: Make
) -> None:
    solver = make_solver(make_space("sphere", 3), model, 4.0, standard_density(), scheme)
    changes = energies(solver, 8.0 if model == "sa" else 1.0)
    assert changes.min() > -1e-13
    assert changes.max() > 1e-3
    assert (solver.energy_violations, solver.energy_violation) == (0, 0.0)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("name", slow_but([1, 2, 5], ROUGH))
@meshes
def test_energy_of_rough_data_never_decreases(
    which: Any, name: str, model: str, make_space: Make, make_solver: Make
) -> None:
    space = make_space(*which)
    solver = make_solver(space, model, 4.0, rough(name, space))
    changes = energies(solver, 4.0 if model == "sa" else 0.4, 80)
    assert changes.min() > -1e-13
    assert solver.energy_violations == 0


@pytest.mark.parametrize("name", [*ROUGH, "smooth"])
@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("limiter", ["log-muscl", "upwind"])
def test_energy_never_increases_when_repelled(
    limiter: str, model: str, name: str, make_space: Make, make_solver: Make
) -> None:
    space = make_space("sphere", 3)
    rho: Any = standard_density() if name == "smooth" else rough(name, space)
    solver = make_solver(space, model, 4.0, rho, Eulerian(scheme=limiter), -1)
    changes = energies(solver, 5.0 if model == "sa" else 0.5, 80)
    assert changes.max() < 1e-13
    assert solver.energy_violations == 0


@pytest.mark.parametrize("beta", [0.0, 1.0, 30.0])
def test_energy_of_other_betas(beta: float, make_space: Make, make_solver: Make) -> None:
    for name in ("lognormal", "cap"):
        space = make_space("sphere", 3)
        solver = make_solver(space, "sa", beta, rough(name, space))
        assert energies(solver, 3.0, 150).min() > -1e-13
        assert solver.energy_violations == 0


def test_a_wrong_energy_is_noticed(make_space: Make, make_solver: Make) -> None:
    # Put a state of higher energy in the past: the next step must look like a loss.
    solver = make_solver(make_space("sphere", 2), "sa", 4.0, standard_density())
    run(solver, 0.5)
    assert solver.energy_violations == 0
    solver.rho = np.ones_like(solver.rho)
    solver._field = None
    solver._energy.see(solver.field())
    assert solver.energy_violations == 1
    assert solver.energy_violation > 1e-3


# ------------------------------------------------------------------ refusals and landing


@pytest.mark.parametrize("bad", [-1e-3, math.nan, math.inf])
def test_bad_densities_are_refused(bad: float, make_space: Make, make_solver: Make) -> None:
    space = make_space("sphere", 1)
    rho = np.ones(space.n_owned)
    rho[5] = bad
    with pytest.raises(InputError, match="at 1 vertices found"):
        make_solver(space, "sa", 1.0, rho)


def test_a_density_that_is_nowhere_is_refused(make_space: Make, make_solver: Make) -> None:
    with pytest.raises(InputError, match="vanishes at every vertex"):
        make_solver(make_space("sphere", 1), "sa", 1.0, np.zeros(42))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "muscl"}, "did you mean 'log-muscl'"),
        ({"stepper": "rk4"}, '"ssprk2"'),
        ({"field": "stage"}, "did you mean 'stages'"),
        ({"cfl": 0.0}, "above 0 and at most 1, found 0"),
        ({"cfl": 1.5}, "above 0 and at most 1, found 1.5"),
    ],
)
def test_schemes_that_do_not_exist(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Eulerian(**options)


def test_density_is_normalised(make_space: Make, make_solver: Make) -> None:
    space = make_space("sphere", 2)
    solver = make_solver(space, "sa", 1.0, 3.0 * np.ones(space.n_owned))
    # Masses are compared with that of the uniform density, the sum of all weights.
    assert mass(solver) == pytest.approx(math.fsum(solver.weights), abs=1e-15)
    assert math.fsum(solver.weights) == pytest.approx(1.0, abs=1e-14)
    assert solver.initial_mass_error == pytest.approx(2.0)


def test_steps_land_on_the_end(make_space: Make, make_solver: Make) -> None:
    solver = make_solver(make_space("sphere", 3), "sa", 4.0, standard_density())
    for t_end in (0.1, 0.1 + 1e-12, 1.0 / 3.0, 2.0):
        sizes = list(steps(solver, t_end))
        assert solver.t == t_end
        assert min(sizes) > 0.0
    # Cut in equal parts, never a tiny rest.
    sizes = list(steps(solver, 3.0))
    assert sizes[-1] > 0.4 * max(sizes)


def test_a_broken_state_is_not_taken(make_space: Make, make_solver: Make) -> None:
    solver = make_solver(
        make_space("sphere", 2), "sa", 1.0, standard_density(), Eulerian(stepper="euler")
    )
    run(solver, 0.2)
    t, step, rho = solver.t, solver.step, solver.rho.copy()
    good = solver._sweep.euler
    solver._sweep.euler = lambda rho, *rest: np.where(
        np.arange(rho.size) == 3, np.nan, good(rho, *rest)
    )
    with pytest.raises(BrokenInvariantError, match="NaN at 1 vertices"):
        solver.advance(1.0)
    assert (solver.t, solver.step) == (t, step)
    np.testing.assert_array_equal(solver.rho, rho)
    solver._sweep.euler = lambda rho, *rest: 1.001 * good(rho, *rest)
    with pytest.raises(BrokenInvariantError, match=r"mass is off by 1\.0e-03"):
        solver.advance(1.0)
    np.testing.assert_array_equal(solver.rho, rho)
    solver._sweep.euler = good
    run(solver, 1.0)
    assert abs(mass(solver) - 1.0) < 1e-13


# ------------------------------------------------------------------ restart


RESTARTS = [
    ("sphere", 3, 3, Eulerian()),
    ("sphere", 4, 3, Eulerian(cfl=0.3)),
    ("sphere", 3, 3, Eulerian(stepper="ssprk3", field="stages")),
    ("sphere", 3, 3, Eulerian(scheme="upwind", stepper="euler")),
    ("circle", 100, 2, Eulerian()),
    ("zonal", 60, 8, Eulerian()),
]


@pytest.mark.parametrize(
    ("kind", "size", "d", "scheme"),
    RESTARTS,
    ids=lambda v: scheme_name(v) if isinstance(v, Eulerian) else str(v),
)
@pytest.mark.parametrize("before", [1, 2, 3, 6, 20])
def test_restart(
    before: int,
    kind: str,
    size: int,
    d: int,
    scheme: Eulerian,
    make_space: Make,
    make_solver: Make,
) -> None:
    # before + 2 steps = before + restart + 2; a far end, so that rounding to it hides nothing.
    space = make_space(kind, size, d)
    law = bump(space.d)
    one = make_solver(space, "sa", 4.0, law, scheme)
    for _ in steps(one, 1e3, before):
        pass
    state = one.state()
    two = make_solver(space, "sa", 4.0, np.ones(space.n_owned), scheme)
    two.restore(state)
    assert (two.t, two.step) == (one.t, one.step)
    np.testing.assert_array_equal(two.rho, one.rho)
    for _ in range(4):
        assert two.advance(1e3) == pytest.approx(one.advance(1e3), rel=1e-13)
        assert two.t == pytest.approx(one.t, rel=1e-13)
        np.testing.assert_allclose(two.rho, one.rho, rtol=1e-11, atol=1e-300)
    assert two.step == before + 4
    assert two.field().energy() == pytest.approx(one.field().energy(), rel=1e-13)


def test_a_state_is_a_snapshot(make_space: Make, make_solver: Make) -> None:
    solver = make_solver(make_space("sphere", 3), "sa", 4.0, standard_density())
    run(solver, 0.5)
    state = solver.state()
    rho, history = state.rho.copy(), state.history.copy()
    run(solver, 1.0)
    np.testing.assert_array_equal(state.rho, rho)
    np.testing.assert_array_equal(state.history, history)
    assert state.t == 0.5
