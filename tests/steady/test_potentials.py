"""Potentials in stationary states and branches, against closed forms and runs in time."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, special

import meanfield as mf
from meanfield.case import Unmeshed
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.space import P1Space
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import Gegenbauer, Uniform, VonMisesFisher
from meanfield.geometry.mesh import zonal_interval
from meanfield.interaction.attention import SelfAttention
from meanfield.interaction.composite import Composite
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.external import External
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import MaierSaupe, Power
from meanfield.interaction.together import Together
from meanfield.steady.branch import find_branches
from meanfield.steady.equation import Equation, MomentMap, with_parameter
from meanfield.steady.newton import find_stationary, newton
from meanfield.steady.spectrum import arnoldi_spectrum, spectrum
from meanfield.steady.state import StationaryState

IDLE = Power(k=1, strength=0.0)


def langevin(k: float) -> float:
    return 1.0 / math.tanh(k) - 1.0 / k


def field(h: float, axis: tuple[float, ...] = (0.0, 0.0, 1.0)) -> External:
    """U = -h <axis, x>."""
    return External(len(axis), (), mf.LinearPotential(field=axis, strength=h))


def magnet(h: float, kappa: float, axis: tuple[float, ...] = (0.0, 0.0, 1.0)) -> Equation:
    """W = t in a field."""
    return Equation(Power(k=1), kappa, len(axis), field(h, axis))


@pytest.mark.parametrize(
    ("h", "kappa", "m"), [(0.1, 0.3, 0.58109724043929), (0.05, 0.4, 0.21342484768587)]
)
def test_magnet(h: float, kappa: float, m: float) -> None:
    """m = A((m + h)/kappa), F of it, zonal and on the sphere along any axis; the same spectrum."""
    zonal = find_stationary(magnet(h, kappa), Uniform(3))
    k = (m + h) / kappa
    assert zonal.mean_norm == pytest.approx(m, abs=1e-12)
    assert m == pytest.approx(langevin(k), abs=1e-13)
    assert zonal.residual < 1e-14 and not zonal.is_uniform
    # F = min over m: -kappa log int e^{(m + h) t / kappa} + m^2/2.
    free = -kappa * math.log(math.sinh(k) / k) + 0.5 * m * m
    assert zonal.free_energy_excess == pytest.approx(free, abs=1e-13)
    assert zonal.energy == pytest.approx(0.5 * m * m + h * m, abs=1e-13)
    t = np.linspace(-1.0, 1.0, 9)
    rho = zonal.density(np.arccos(t)[:, None])
    assert rho == pytest.approx(np.exp(k * t) * k / math.sinh(k), rel=1e-12)
    axis = (0.48, -0.6, 0.64)
    tilted = find_stationary(magnet(h, kappa, axis), Uniform(3), "sphere")
    assert tilted.mean == pytest.approx(m * np.array(axis), abs=1e-12)
    x = np.array([axis, (1.0, 0.0, 0.0)])
    expected = np.exp(k * (x @ axis)) * k / math.sinh(k)
    assert tilted.density(x) == pytest.approx(expected, rel=1e-11)
    ones, all_of = spectrum(zonal), spectrum(tilted)
    # Tilts come in pairs, and no rotation is free.
    first = ones.modes[1].eigenvalues[0].real
    assert first == ones.leading < 0.0 and ones.is_stable
    leading = all_of.modes[0].eigenvalues.real
    expected = [first, first, ones.modes[0].eigenvalues[0].real]
    assert leading[:3] == pytest.approx(expected, abs=1e-8)
    assert math.isnan(ones.rotation_error) and math.isnan(all_of.rotation_error)


def test_a_sphere_about_the_axis_keeps_one_rotation() -> None:
    """W = t in an easy plane, U = .3 z^2: the mean lies in it, where it may turn about e_3."""
    plane = External(3, (LinearDrift(np.diag([0.0, 0.0, -0.6])),))
    equation = Equation(Power(k=1), 0.2, 3, plane)
    state = find_stationary(equation, VonMisesFisher((1.0, 0.5, 0.0), 6.0), "sphere")
    assert state.mean_norm > 0.5 and abs(state.mean[2]) < 1e-12
    assert not state.is_axially_symmetric
    found = arnoldi_spectrum(state)
    assert found.modes[0].rotations.size == 1 and found.rotation_error < 1e-8
    turns = MomentMap(equation, state.grid).free_turns
    assert turns.shape == (1, 3) and np.abs(turns[0]) == pytest.approx([0.0, 0.0, 1.0], abs=1e-7)


def test_magnet_on_the_circle() -> None:
    """m = I_1/I_0((m + h)/kappa); the modes of the circle are those of zonal d = 2."""
    h, kappa = 0.2, 0.4
    m = optimize.brentq(
        lambda m: m - special.i1((m + h) / kappa) / special.i0((m + h) / kappa), 0.1, 1.0,
        xtol=1e-15,
    )  # fmt: skip
    states = {
        "circle": find_stationary(magnet(h, kappa, (0.6, 0.8)), Uniform(2), "circle"),
        "zonal": find_stationary(magnet(h, kappa, (0.0, 1.0)), Uniform(2)),
    }
    for state in states.values():
        assert state.mean_norm == pytest.approx(m, abs=1e-12)
        assert state.is_axially_symmetric
    ones = np.concatenate([mode.eigenvalues.real for mode in spectrum(states["zonal"]).modes])
    found = spectrum(states["circle"]).modes[0].eigenvalues.real
    assert found[:4] == pytest.approx(np.sort(ones)[::-1][:4], abs=1e-9)


@pytest.mark.parametrize("geometry", ["zonal", "sphere"])
def test_potentials_alone(geometry: str) -> None:
    """Gibbs' measures: of U = -h t and of a squared ReLU, which has a kink in its bend."""
    gibbs = find_stationary(Equation(IDLE, 1.0, 3, field(5.0)), Uniform(3), geometry)
    assert gibbs.mean_norm == pytest.approx(langevin(5.0), abs=1e-13)
    assert gibbs.mean_norm == pytest.approx(0.8000908040, abs=5e-11)
    relu = mf.UnitsPotential(directions=((0.0, 0.0, 1.0),), weights=(2.0,))
    equation = Equation(IDLE, 0.2, 3, External(3, (), relu))

    def weight(t: float, power: int) -> float:
        return t**power * math.exp(5.0 * max(t, 0.0) ** 2)

    sums = [
        sum(integrate.quad(weight, a, a + 1.0, args=(p,), epsabs=1e-14)[0] for a in (-1.0, 0.0))
        for p in (1, 0)
    ]
    assert sums[0] / sums[1] == pytest.approx(0.7836887665, abs=5e-11)
    if geometry == "zonal":
        state = find_stationary(equation, Uniform(3), geometry)
    else:  # its largest grid has fewer nodes
        with pytest.warns(MeanfieldWarning, match="a potential with kinks"):
            state = find_stationary(equation, Uniform(3), geometry)
    near = 1e-10 if geometry == "zonal" else 1e-9
    assert state.mean_norm == pytest.approx(sums[0] / sums[1], abs=near)


def test_derivatives_of_the_moment_map() -> None:
    for kernel in (MaierSaupe(), SelfAttention("sa", 3.0)):
        equation = Equation(kernel, 0.3, 3, field(0.4))  # type: ignore[arg-type]  # both are
        state = find_stationary(equation, VonMisesFisher((0.0, 0.0, 1.0), 2.0))
        moment_map = MomentMap(equation, state.grid)
        point = moment_map.at(state.moments)
        change = np.zeros_like(state.moments)
        change[1] = 0.3
        change[2:4] = -0.2
        h = 1e-5
        ends = [moment_map.at(state.moments + s * h * change).image for s in (1.0, -1.0)]
        difference = (ends[0] - ends[1]) / (2.0 * h)
        assert moment_map.derivative(point, change) == pytest.approx(difference, abs=1e-8)
        again, steps = newton(moment_map, state.moments + 1e-3 * change)
        assert again.moments == pytest.approx(state.moments, abs=1e-12) and steps <= 5


def test_a_symmetric_drift_is_a_potential() -> None:
    """P_x(M x), M = 2 a e e^T: U = -a <e, x>^2; and a skew one is refused."""
    a, kappa = 0.4, 0.3
    drift = LinearDrift(np.diag([0.0, 0.0, 2.0 * a]))
    state = find_stationary(Equation(IDLE, kappa, 3, External(3, (drift,))), Uniform(3))
    values = [
        integrate.quad(lambda t, p=p: t**p * math.exp(a * t * t / kappa), 0.0, 1.0)[0]
        for p in (0, 2)
    ]
    assert state.c2 == pytest.approx(0.5 * (3.0 * values[1] / values[0] - 1.0), abs=1e-12)
    assert state.mean_norm < 1e-14
    with pytest.raises(InputError, match="a gradient expected"):
        External(3, (LinearDrift(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0.0]])),))


def test_even_states_stay_even_in_an_even_potential_alone() -> None:
    well = mf.HarmonicPotential(axis=(0.0, 0.0, 1.0), coefficients=(0.0, 0.3))
    even = Equation(Power(k=1), 0.1, 3, External(3, (), well))
    state = find_stationary(even, Gegenbauer(3, (0.0, 0.5)))
    assert state.mean_norm == 0.0 or state.mean_norm < 1e-14
    assert spectrum(state).leading > 0.0  # W = t orders along e
    odd = Equation(
        Power(k=1), 0.1, 3, External(3, (LinearDrift(np.eye(3)),), field(1e-3).potential)
    )
    assert find_stationary(odd, Gegenbauer(3, (0.0, 0.5))).mean_norm > 0.8


RATES = [
    (Power(k=1), 0.3, 0.1),
    (SelfAttention("usa", 1.0), 0.4, 0.3),
    (SelfAttention("sa", 2.0), 0.3, 0.2),
    (SelfAttention("sa", 2.0, -1), 0.3, 0.2),
]


@pytest.mark.parametrize(("term", "kappa", "h"), RATES)
def test_runs_come_to_rest_at_the_state_at_its_rate(term: Any, kappa: float, h: float) -> None:
    """The leading axial eigenvalue is what a small change of the state decays by in time."""
    equation = Equation(term, kappa, 3, field(h))
    state = find_stationary(equation, VonMisesFisher((0.0, 0.0, 1.0), 1.0))
    rate = spectrum(state).modes[0].eigenvalues[0].real
    space = P1Space(zonal_interval(160, 3))
    model = Together((
        Interaction(term, 3, "zonal"),
        Composite((), "sa", 3, "zonal", drifts=(field(h).potential.on(3),)),  # type: ignore[union-attr]
    ))  # fmt: skip
    theta = space.points[: space.n_owned]
    rho = state.density(theta) * (1.0 + 0.05 * np.cos(theta[:, 0]))
    solver = ImplicitSolver(space, model, rho, kappa, mf.Implicit(dt=0.1 / abs(rate)))

    def mean() -> float:
        return float(solver.weights * solver.rho @ np.cos(theta[:, 0]))

    found = []
    for end in (*(np.array([1.5, 2.0, 2.5]) / abs(rate)), 14.0 / abs(rate)):
        while solver.t < end:
            solver.advance(float(end))
        found.append(mean())
    assert found[-1] == pytest.approx(state.mean_norm, abs=1e-4)
    away = np.abs(np.array(found[:3]) - found[-1])
    # Per half a unit of 1/rate.
    assert 2.0 * np.log(away[1:] / away[:-1]) == pytest.approx([-1.0, -1.0], rel=2e-2)


def test_branch_in_kappa_and_in_the_kernel() -> None:
    """Every point solves m = A((s m + h)/kappa); no state is uniform, and none is critical."""
    start = magnet(0.05, 0.2)
    for parameter, interval in (("kappa", (0.2, 0.6)), ("strength", (0.5, 2.0))):
        first = with_parameter(start, parameter, interval[0])
        found = find_branches(first, parameter, *interval, Uniform(3))
        assert found.uniform is None and found.critical == () and len(found.others) == 1
        (branch,) = found.branches
        assert branch.stopped == "the end of the interval" and len(branch.table) > 20
        assert np.all(branch.stable)
        p, m = branch.column("parameter"), branch.column("c_1")
        for value, mean in zip(p, m, strict=True):
            kappa, s = (value, 1.0) if parameter == "kappa" else (0.2, value)
            assert mean == pytest.approx(langevin((s * mean + 0.05) / kappa), abs=1e-12)


def test_hysteresis_in_the_field() -> None:
    """kappa = .25: h = kappa A^-1(m) - m turns back where its slope vanishes, at +-h."""
    found = find_branches(
        magnet(0.1, 0.25), "potential.strength", 0.1, -0.1, VonMisesFisher((0.0, 0.0, 1.0), 4.0)
    )

    def slope(k: float) -> float:  # dh/dk of h = kappa k - A(k)
        return 0.25 - (1.0 / k**2 - 1.0 / math.sinh(k) ** 2)

    k = optimize.brentq(slope, 0.5, 3.0, xtol=1e-15)
    spinodal = 0.25 * k - langevin(k)
    folds = [event.parameter for event in found.events("fold")]
    assert folds == pytest.approx([spinodal, -spinodal], abs=1e-10)
    # Without a field it may be turned: the tilt is neutral there.
    points = found.events("branch point")
    assert [e.order for e in points] == [1, 1]
    assert [e.parameter for e in points] == pytest.approx([0.0, 0.0], abs=1e-9)
    (branch,) = found.branches
    assert branch.column("c_1")[0] > 0.0 > branch.column("c_1")[-1]


CASE: dict[str, Any] = {
    "geometry": {"type": "sphere", "level": 2},
    "model": {
        "kappa": 0.3,
        "interaction": {"type": "power", "k": 1},
        "potential": {"type": "linear", "field": [0.0, 0.0, 0.1]},
    },
    "initial": {"type": "uniform"},
    "solver": {"type": "implicit"},
    "time": {"end": 1.0},
}


def test_the_verbs(tmp_path: Path) -> None:
    found = mf.stationary(CASE, tmp_path / "state", progress=False)
    assert found.state.mean_norm == pytest.approx(0.58109724043929, abs=1e-12)
    with open(tmp_path / "state" / "stationary.csv", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["c_1"]) == found.state.mean_norm and row["potential.strength"] == "1"
    assert float(row["free_energy_excess"]) == found.state.free_energy_excess
    diagram = mf.branch(
        CASE, "potential.strength", 1.0, 2.0, tmp_path / "branch", progress=False
    ).diagram
    (branch,) = diagram.branches
    for value, mean in zip(branch.column("parameter"), branch.column("c_1"), strict=True):
        assert mean == pytest.approx(langevin((mean + 0.1 * value) / 0.3), abs=1e-12)
    assert (tmp_path / "branch" / "figures" / "branch.png").exists()


def changed(**model: object) -> dict[str, Any]:
    return {**CASE, "model": {**CASE["model"], **model}}


SKEW = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_what_has_no_stationary_density(tmp_path: Path) -> None:
    skew = changed(drift={"matrix": SKEW})
    with pytest.raises(InputError, match=r"model\.drift: found one that is no gradient"):
        mf.stationary(skew, tmp_path / "a", progress=False)
    heads = changed(attention="sa", heads=[{"beta": 1.0}])
    with pytest.raises(InputError, match=r"model\.heads: sa, 1 head.* found beside others"):
        mf.stationary(heads, tmp_path / "a", progress=False)
    sideways = changed(potential={"type": "linear", "field": [0.1, 0.0, 0.0]})
    assert mf.stationary(sideways, tmp_path / "b", progress=False).state.mean[0] > 0.5
    with pytest.raises(InputError, match="symmetric about the last axis"):
        mf.branch(sideways, "kappa", 0.2, 0.3, tmp_path / "a", progress=False)
    tilted = {
        **CASE,
        "initial": {"type": "von-mises-fisher", "mean": [1, 0, 0], "concentration": 2.0},
    }
    with pytest.raises(InputError, match="initial: beside a potential a branch is followed in"):
        mf.branch(tilted, "kappa", 0.2, 0.3, tmp_path / "a", progress=False)
    with pytest.raises(InputError, match=r"did you mean 'potential\.strength'"):
        mf.branch(CASE, "potential.streng", 0.2, 0.3, tmp_path / "a", progress=False)
    assert not (tmp_path / "a").exists()


def test_parameters_of_a_model() -> None:
    bumps = mf.BumpPotential(centres=((0.0, 0.0, 1.0),), concentration=3.0)
    model = mf.Model(attention="sa", beta=2.0, potential=bumps, kappa=0.1)
    assert model.parameters == (
        "kappa",
        "beta",
        "potential.strength",
        "potential.concentration",
        "diffusion.exponent",
    )
    assert model.replaced("potential.concentration", 5.0).potential.concentration == 5.0  # type: ignore[union-attr]
    assert model.replaced("beta", 3.0).beta == 3.0
    assert mf.Model(potential=bumps).parameters == (
        "kappa", "potential.strength", "potential.concentration", "diffusion.exponent"
    )  # fmt: skip
    with pytest.raises(InputError, match=r"potential\.concentration|concentration"):
        model.replaced("potential.concentration", -1.0)
    external = model.external(3)
    assert external is not None
    assert external.replaced({"potential.strength": 2.0}).mean == pytest.approx(2 * external.mean)
    assert isinstance(find_stationary(Equation(model.term, 0.1, 3, external), Uniform(3)),
                      StationaryState)  # fmt: skip
    assert model.on(Unmeshed(3)).energy_kind is None


def test_no_energy_of_softmax_beside_a_potential() -> None:
    beside = External(3, (), mf.LinearPotential(field=(0.0, 0.0, 0.5)))
    for model, there in (("sa", False), ("usa", True)):
        state = find_stationary(Equation(SelfAttention(model, 2.0), 0.5, 3, beside), Uniform(3))
        assert state.has_energy is there
        assert (
            math.isnan(state.energy) is not there and math.isnan(state.energy_excess) is not there
        )


def test_the_time_of_a_file_is_no_parameter(tmp_path: Path) -> None:
    np.save(tmp_path / "u.npy", np.column_stack([np.eye(3), np.ones(3)]))
    found = mf.MeshPotential(path=tmp_path / "u.npy", time=1.0)
    assert set(found.parameters) == {"strength"}
