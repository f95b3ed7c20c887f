"""Branches of stationary states: critical noise, hysteresis, continuous transitions."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from parameters import slow_but
from scipy import optimize

from meanfield.analysis import exact
from meanfield.errors import InputError
from meanfield.geometry.laws import Gegenbauer, Uniform, VonMisesFisher
from meanfield.geometry.manifolds import ZonalGrid
from meanfield.interaction.attention import SelfAttention
from meanfield.steady.branch import critical_values, find_branches
from meanfield.steady.diagram import COLUMNS, Diagram
from meanfield.steady.equation import Equation, MomentMap
from meanfield.steady.newton import find_stationary


def bump(d: int, concentration: float = 3.0) -> VonMisesFisher:
    return VonMisesFisher(tuple(np.eye(d)[-1]), concentration)


@pytest.fixture(scope="module")
def hysteresis() -> Diagram:
    return find_branches(Equation(SelfAttention("usa", 4.0), 1.0, 3), "kappa", 1.0, 1.8, bump(3))


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize(("d", "beta"), [(2, 0.0), (2, 4.0), (3, 1.0), (3, 9.0), (8, 4.0)])
def test_critical_noise_from_the_spectrum(model: str, d: int, beta: float) -> None:
    wanted = exact.critical_noise(model, beta, d)
    found = critical_values(
        Equation(SelfAttention(model, beta), wanted, d), "kappa", (0.6 * wanted, 1.7 * wanted), 7
    )
    assert len(found) == 1 and found[0][1] == 1
    assert found[0][0] == pytest.approx(wanted, rel=1e-10)


def test_hysteresis(hysteresis: Diagram) -> None:
    wanted = reference.FIRST_ORDER_USA
    assert hysteresis.critical == pytest.approx((wanted.kappa_c,), abs=1e-6)
    (fold,) = hysteresis.events("fold")
    assert fold.parameter == pytest.approx(wanted.end_of_hysteresis, abs=1e-6)
    assert fold.mean_norm == pytest.approx(wanted.mean_length, abs=1e-2)
    (equal,) = hysteresis.events("equal free energy")
    assert equal.parameter == pytest.approx(wanted.equal_free_energy, abs=1e-4)
    assert abs(equal.free_energy_excess) < 1e-12
    (uniform,) = hysteresis.events("uniform")
    assert uniform.parameter == pytest.approx(hysteresis.critical[0], abs=1e-9)


def test_stability_changes_at_the_fold_and_at_the_critical_noise(hysteresis: Diagram) -> None:
    flat, clustered = hysteresis.branches
    assert np.array_equal(flat.stable, flat.column("parameter") > hysteresis.critical[0] + 1e-12)
    m, (fold,) = clustered.column("c_1"), hysteresis.events("fold")
    away = np.abs(m - fold.mean_norm) > 1e-6
    assert np.array_equal(clustered.stable[away], m[away] > fold.mean_norm)
    # Only the free energy of the stable part falls below that of the uniform state.
    assert np.all(clustered.column("free_energy_excess")[~clustered.stable] >= -1e-12)


def test_points_of_a_branch_are_stationary_states(hysteresis: Diagram) -> None:
    clustered = hysteresis.branches[1]
    middle = np.flatnonzero(clustered.column("c_1") > 0.8)[[3, -3]]
    for k in middle:
        row = dict(zip(COLUMNS, clustered.table[k], strict=True))
        state = find_stationary(
            Equation(SelfAttention("usa", 4.0), row["parameter"], 3), bump(3, 9.0)
        )
        assert state.mean_norm == pytest.approx(row["c_1"], abs=1e-10)
        assert state.free_energy_excess == pytest.approx(row["free_energy_excess"], abs=1e-9)


def test_free_energy_changes_by_the_entropy(hysteresis: Diagram) -> None:
    # dF/dkappa = H along a branch of critical points: the trapezoidal rule, second order.
    clustered = hysteresis.branches[1]
    p, f, h = (clustered.column(name) for name in ("parameter", "free_energy_excess", "entropy"))
    integral = np.cumsum(0.5 * (h[1:] + h[:-1]) * np.diff(p))
    assert np.abs(f[1:] - f[0] - integral).max() < 2e-3 * np.ptp(f)


@pytest.mark.parametrize("direction", slow_but([0], [(1.8, 1.0), (1.4, 1.8)]))
def test_the_same_fold_from_other_starts(
    hysteresis: Diagram, direction: tuple[float, float]
) -> None:
    found = find_branches(Equation(SelfAttention("usa", 4.0), 1.0, 3), "kappa", *direction, bump(3))
    (fold,), (same,) = hysteresis.events("fold"), found.events("fold")
    assert same.parameter == pytest.approx(fold.parameter, abs=1e-10)
    (equal,), (again,) = (d.events("equal free energy") for d in (hysteresis, found))
    assert again.parameter == pytest.approx(equal.parameter, abs=1e-10)


@pytest.mark.slow
def test_hysteresis_in_beta() -> None:
    found = find_branches(Equation(SelfAttention("usa", 4.0), 1.4, 3), "beta", 2.0, 5.0, bump(3))
    (critical,) = found.critical
    assert exact.critical_noise("usa", critical, 3) == pytest.approx(1.4, abs=1e-9)
    (fold,) = found.events("fold")
    # The same fold, met in kappa.
    other = find_branches(
        Equation(SelfAttention("usa", fold.parameter), 1.0, 3), "kappa", 1.2, 1.6, bump(3)
    )
    assert other.events("fold")[0].parameter == pytest.approx(1.4, abs=1e-8)


@pytest.mark.parametrize("d", slow_but([1], [2, 3, 8]))
def test_sa_is_continuous(d: int) -> None:
    beta = 4.0
    critical = exact.critical_noise("sa", beta, d)
    equation = Equation(SelfAttention("sa", beta), critical, d)
    found = find_branches(equation, "kappa", 0.5 * critical, 1.2 * critical, bump(d))
    assert not found.events("fold")
    clustered = found.branches[1]
    assert clustered.stopped == "the uniform state"
    assert np.all(clustered.stable[:-1])
    # |m| ~ sqrt(kappa_c - kappa): m^2 is linear in kappa at the end, to the next order.
    p, m = clustered.column("parameter"), clustered.column("c_1")
    near = (m > 1e-3) & (m < 0.12)
    assert np.count_nonzero(near) >= 2
    slope = m[near] ** 2 / (critical - p[near])
    assert np.ptp(slope) < 0.05 * slope.mean()


@pytest.mark.slow
def test_threshold_of_first_order() -> None:
    threshold = exact.first_order_threshold(3)
    assert threshold == pytest.approx(1.81615453, abs=1e-8)
    for shift, folds in ((-2e-3, 0), (2e-3, 1)):
        beta = threshold + shift
        critical = exact.critical_noise("usa", beta, 3)
        equation, ends = Equation(SelfAttention("usa", beta), critical, 3), (1.02, 0.98)
        found = find_branches(
            equation, "kappa", *(end * critical for end in ends), Uniform(3), step=5e-3
        )
        assert len(found.branches) == 2
        assert len(found.events("fold")) == folds


def test_threshold_from_the_curvature_of_the_branch() -> None:
    # kappa = kappa_c (1 + b m^2 + O(m^4)) on the branch: b changes its sign at beta*.
    def bend(beta: float) -> float:
        critical = exact.critical_noise("usa", beta, 3)
        one, two = ((_kappa_at(beta, m) / critical - 1.0) / m**2 for m in (0.01, 0.02))
        return (4.0 * one - two) / 3.0

    found = optimize.brentq(bend, 1.7, 1.9, xtol=1e-9)
    assert found == pytest.approx(exact.first_order_threshold(3), abs=1e-6)


def _kappa_at(beta: float, m: float) -> float:
    """kappa of the state with the mean length m: the other moments settle at fixed m."""

    def excess(kappa: float) -> float:
        equation = Equation(SelfAttention("usa", beta), kappa, 3)
        moment_map = MomentMap(equation, ZonalGrid(equation.degree, 64, 3))
        moments = np.zeros(moment_map.scale.size)
        moments[:2] = 1.0, m / moment_map.scale[1]
        for _ in range(60):
            image = moment_map.at(moments).image
            moments[2:] = image[2:]
        return float(image[1] * moment_map.scale[1] / m - 1.0)

    critical = exact.critical_noise("usa", beta, 3)
    return float(optimize.brentq(excess, 0.99 * critical, 1.01 * critical, xtol=1e-15, rtol=1e-14))


def test_two_clusters_join_the_uniform_state_where_degree_two_does() -> None:
    # The branch of even states crosses the uniform one where r_2 = 0, after a fold: a
    # transcritical branch point, as c_2 and -c_2 are different states.
    drive = exact.growth_rate("usa", 4.0, 3, 2) / 6.0
    found = find_branches(Equation(SelfAttention("usa", 4.0), 0.5, 3), "kappa", 0.6, 1.5 * drive,
                   Gegenbauer(3, (0.0, 0.8)))  # fmt: skip
    even = found.branches[1]
    ends = [e.parameter for e in even.events if e.kind == "uniform"]
    assert ends == pytest.approx([drive], abs=1e-8)
    assert len(found.events("fold")) == 1
    assert np.abs(even.column("c_1")).max() < 1e-8
    assert not np.any(even.stable)  # one of the two clusters swallows the other, or they turn


def test_repulsion_has_no_branch() -> None:
    found = find_branches(
        Equation(SelfAttention("usa", 4.0, -1), 0.1, 3), "kappa", 0.1, 0.5, bump(3)
    )
    assert len(found.branches) == 1 and not found.critical
    assert np.all(found.branches[0].stable)


def test_bad_intervals_are_refused() -> None:
    equation = Equation(SelfAttention("usa", 4.0), 1.0, 3)
    with pytest.raises(InputError, match="two different ends"):
        find_branches(equation, "kappa", 1.0, 1.0, bump(3))
    with pytest.raises(InputError, match="kappa > 0"):
        find_branches(equation, "kappa", 1.0, -1.0, bump(3))
    with pytest.raises(InputError, match="did you mean 'kappa'"):
        find_branches(equation, "kapa", 1.0, 2.0, bump(3))
