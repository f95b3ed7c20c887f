"""Stationary states with nonlinear diffusion: edges, fast tails, their stability."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, optimize, special

import meanfield as mf
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.space import P1Space
from meanfield.errors import InputError
from meanfield.geometry.laws import Gegenbauer, Mixture, Uniform, VonMisesFisher
from meanfield.geometry.manifolds import ZonalGrid
from meanfield.geometry.mesh import zonal_interval
from meanfield.interaction.composite import KINDS, HeadMatrices
from meanfield.interaction.composite.gibbs import GibbsHeads
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.external import External
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import MaierSaupe, Power
from meanfield.steady.branch import find_branches
from meanfield.steady.equation import Equation, MomentMap
from meanfield.steady.newton import find_stationary
from meanfield.steady.spectrum import spectrum
from meanfield.steady.state import StationaryState

PULL = Power(k=1)


def aligned(kappa: float, m: float, d: int = 3) -> StationaryState:
    """The state of W = <x, y> with a mean."""
    axis = (0.0,) * (d - 1) + (1.0,)
    return find_stationary(Equation(PULL, kappa, d, m=m), VonMisesFisher(axis, 1.0))


@pytest.mark.parametrize("kappa", [0.25, 0.2, 0.1, 0.05])
def test_cap_of_a_porous_medium(kappa: float) -> None:
    """m = 2: rho is affine in t above its edge s, (1 - s)^2 (2 + s) = 12 kappa."""
    s = optimize.brentq(lambda s: (1.0 - s) ** 2 * (2.0 + s) - 12.0 * kappa, -1.0, 1.0, xtol=1e-15)
    state = aligned(kappa, 2.0)
    assert state.mean_norm == pytest.approx((2.0 + s) / 3.0, abs=1e-14)
    assert state.residual < 1e-14
    point = state.point
    assert point.parts is not None
    assert point.parts.ends == pytest.approx(np.array([[0.0, math.acos(s)]]), abs=1e-13)
    t = np.linspace(-1.0, 1.0, 41)
    rho = state.density(np.arccos(t)[:, None])
    assert rho == pytest.approx(4.0 / (1.0 - s) ** 2 * np.maximum(t - s, 0.0), abs=1e-13)
    assert np.all(rho[t < s] == 0.0)
    # H of (rho^2 - rho)/2 in closed form.
    assert state.entropy == pytest.approx(4.0 / (3.0 * (1.0 - s)) - 0.5, abs=1e-14)
    energy = 0.5 * ((2.0 + s) / 3.0) ** 2
    assert state.free_energy_excess == pytest.approx(kappa * state.entropy - energy, abs=1e-14)


def test_where_all_affine_densities_are_stationary() -> None:
    """m = 2, kappa = 1/3: rho = 1 + 3 |m| t for |m| <= 1/3."""
    moment_map = MomentMap(Equation(PULL, 1.0 / 3.0, 3, m=2.0), ZonalGrid(1, 34, 3))
    for mean in (0.0, 0.1, 0.3, 0.333, 1.0 / 3.0):
        point = moment_map.at(np.array([1.0, math.sqrt(3.0) * mean]))
        assert moment_map.residual(point) < 2e-15
        expected = 1.0 + 3.0 * mean * np.cos(point.grid.points[:, 0])
        assert point.rho == pytest.approx(expected, abs=1e-14)


def by_quadrature(m: float, kappa: float) -> float:
    """|m| of W = t, d = 3: the density is the power 1/(m - 1) of max(t - s, 0), or of s - t."""
    p = 1.0 / (m - 1.0)

    def moment(k: int, s: float) -> float:
        if m > 1.0:  # of the whole power at the edge: exact

            def term(j: int) -> float:
                high, low = 1.0 - s, max(-1.0 - s, 0.0)
                return float((high ** (p + j + 1) - low ** (p + j + 1)) / (p + j + 1))

            return 0.5 * (term(0) if k == 0 else term(1) + s * term(0))
        return 0.5 * float(integrate.quad(lambda t: t**k * (s - t) ** p, -1, 1, epsabs=0,
                                          epsrel=1e-13, limit=400)[0])  # fmt: skip

    def wrong(s: float) -> float:
        # rho = (|m - 1| mean/kappa)^p |t - s|^p has mass 1 and this mean.
        mean = moment(1, s) / moment(0, s)
        return (abs(m - 1.0) * mean / kappa) ** p * moment(0, s) - 1.0

    low, high = (-8.0, 0.999) if m > 1.0 else (1.0 + 1e-3, 50.0)
    s = optimize.brentq(wrong, low, high, xtol=1e-15)
    return moment(1, s) / moment(0, s)


@pytest.mark.parametrize(
    ("m", "kappa"), [(3.0, 0.2), (3.0, 0.05), (1.5, 0.2), (2.5, 0.1), (6.0, 0.2), (0.5, 0.25),
                     (0.7, 0.2), (1.01, 0.2)],
)  # fmt: skip
def test_by_another_quadrature(m: float, kappa: float) -> None:
    if m == 1.01:  # next to linear: |m| is smooth in the exponent
        around = [aligned(kappa, 1.0 + h).mean_norm for h in (-0.01, 0.0, 0.01)]
        assert around[0] + around[2] - 2.0 * around[1] == pytest.approx(0.0, abs=1e-4)
        assert abs(around[2] - around[0]) < 2e-3
        return
    assert aligned(kappa, m).mean_norm == pytest.approx(by_quadrature(m, kappa), abs=2e-12)


@pytest.mark.parametrize(
    ("kappa", "mean"),
    [(0.3, 0.3806483813674), (0.25, 0.5909142686083), (0.2, 0.7319862617251)],
)
def test_fast_diffusion(kappa: float, mean: float) -> None:
    assert aligned(kappa, 0.5).mean_norm == pytest.approx(mean, abs=1e-13)


def test_beside_a_field() -> None:
    """W = t, U = -h t, m = 2: rho = 1 + (|m| + h)/kappa t while positive, |m| = h/(3 kappa - 1)."""
    h, kappa = 0.02, 0.4
    external = External(3, (), mf.LinearPotential(field=(0.0, 0.0, 1.0), strength=h))
    state = find_stationary(Equation(PULL, kappa, 3, external, 2.0), Uniform(3))
    assert state.mean_norm == pytest.approx(h / (3.0 * kappa - 1.0), abs=1e-14)
    # With an edge: |m| = (2 + s)/3 and (|m| + h)/kappa = 4/(1 - s)^2.
    s = optimize.brentq(
        lambda s: ((2.0 + s) / 3.0 + h) * (1.0 - s) ** 2 - 4.0 * 0.2, -1.0, 0.9, xtol=1e-15
    )
    edged = find_stationary(Equation(PULL, 0.2, 3, external, 2.0), Uniform(3))
    assert edged.mean_norm == pytest.approx((2.0 + s) / 3.0, abs=1e-14)


def test_on_the_circle() -> None:
    """S^1, any axis: the zonal state of d = 2, and the same eigenvalues."""
    zonal = aligned(0.2, 3.0, d=2)
    law = VonMisesFisher((0.6, -0.8), 1.0)
    circle = find_stationary(Equation(PULL, 0.2, 2, m=3.0), law, "circle")
    assert circle.mean == pytest.approx(zonal.mean_norm * np.array([0.6, -0.8]), abs=1e-13)
    assert circle.entropy == pytest.approx(zonal.entropy, abs=1e-13)
    ones = np.concatenate([mode.eigenvalues.real for mode in spectrum(zonal).modes])
    found = spectrum(circle)
    expected = np.sort(ones)[::-1][:4]
    assert found.modes[0].eigenvalues.real[:4] == pytest.approx(expected, abs=1e-9)
    assert found.rotation_error < 1e-10


def test_several_parts() -> None:
    """W = P_2, m = 3: two caps about both poles, of equal mass; a belt for its negative."""
    caps = find_stationary(Equation(MaierSaupe(), 0.02, 3, m=3.0), Gegenbauer(3, (0.0, 1.0)))
    parts = caps.point.parts
    assert parts is not None and parts.ends.shape == (2, 2)
    assert parts.ends[0, 1] == pytest.approx(math.pi - parts.ends[1, 0], abs=1e-13)
    assert caps.mean_norm < 1e-14 and caps.residual < 1e-14
    found = spectrum(caps)
    assert found.is_stable and found.rotation_error < 1e-9
    belt = find_stationary(Equation(MaierSaupe(), 0.02, 3, m=3.0), Gegenbauer(3, (0.0, -0.9)))
    parts = belt.point.parts
    assert parts is not None and parts.ends.shape == (1, 2) and np.all(parts.edges)
    assert not spectrum(belt).is_stable  # it may close up to one axis


@pytest.mark.parametrize(
    ("m", "leading"), [(0.5, -0.5024458), (1.0, -0.6206654), (2.0, -1.1878901)]
)
def test_axial_eigenvalue(m: float, leading: float) -> None:
    """W = t, kappa = .2: m <= 1 by finite elements (extrapolated); m = 2 see also the flow."""
    found = spectrum(aligned(0.2, m))
    assert found.modes[0].eigenvalues[0].real == pytest.approx(leading, abs=2e-7)
    assert found.rotation_error < 1e-9 and found.is_stable


def test_spectrum_at_the_uniform_state_is_the_same_for_every_exponent() -> None:
    for m in (0.5, 2.0, 3.0):
        state = find_stationary(Equation(PULL, 0.2, 3, m=m), Uniform(3))
        assert state.is_uniform and state.entropy == 0.0
        modes = spectrum(state).modes
        assert modes[0].eigenvalues[0].real == pytest.approx(2.0 * (1.0 / 3.0 - 0.2), abs=1e-12)


def test_refused() -> None:
    with pytest.raises(InputError, match="exponent = -1 found"):
        Equation(PULL, 0.2, 3, m=-1.0)


@pytest.mark.parametrize(
    ("m", "cells", "error"),
    [(2.0, 400, 4e-3), pytest.param(3.0, 800, 0.06, marks=pytest.mark.slow)],
)
def test_runs_come_to_rest_at_the_rate_of_the_free_boundary(
    m: float, cells: int, error: float
) -> None:
    """The leading axial eigenvalue is what the implicit solver decays by, its edge moving.

    (m = 3, 1 600 cells: 1.1e-3.)
    """
    kappa = 0.2
    state = aligned(kappa, m)
    rate = abs(spectrum(state).modes[0].eigenvalues[0].real)
    space = P1Space(zonal_interval(cells, 3))
    theta = space.points[: space.n_owned]
    rho = aligned(0.85 * kappa, m).density(theta)  # another edge
    diffusion, steps = Diffusion(kappa, m), mf.Implicit(dt=0.02 / rate)
    solver = ImplicitSolver(space, Interaction(PULL, 3, "zonal"), rho, diffusion, steps)
    found = []
    for end in (3.0, 4.0, 16.0):
        while solver.t < end / rate:
            solver.advance(end / rate)
        found.append(float(solver.weights * solver.rho @ np.cos(theta[:, 0])))
    away = np.abs(np.array(found[:2]) - found[-1])
    assert found[-1] == pytest.approx(state.mean_norm, abs=1e-4)
    assert math.log(away[1] / away[0]) == pytest.approx(-1.0, rel=error)


def test_on_the_sphere_about_any_axis() -> None:
    """The zonal state about the axis of the law; nodes of the sphere do not keep to its edge."""
    zonal, axis = aligned(0.2, 2.0), np.array([0.48, 0.36, 0.8])
    law = VonMisesFisher(tuple(axis), 1.0)
    state = find_stationary(Equation(PULL, 0.2, 3, m=2.0), law, "sphere")
    assert state.mean == pytest.approx(zonal.mean_norm * axis, abs=1e-13)
    assert state.c2 == pytest.approx(zonal.c2, abs=1e-13)
    assert state.free_energy_excess == pytest.approx(zonal.free_energy_excess, abs=1e-13)
    assert state.is_axially_symmetric and state.axis == pytest.approx(axis, abs=1e-12)
    x = np.array([axis, -axis, [0.8, -0.6, 0.0]])
    expected = zonal.density(np.arccos(np.clip(x @ axis, -1.0, 1.0))[:, None])
    assert state.density(x) == pytest.approx(expected, abs=1e-12)
    leading = spectrum(zonal).leading
    assert spectrum(state).leading == pytest.approx(leading, abs=1e-10)


def test_on_the_sphere_from_a_law_without_an_axis() -> None:
    """Where the law has none, the state has: that to which its iteration comes near."""
    law = Mixture(
        (VonMisesFisher((1.0, 0.0, 0.0), 3.0), VonMisesFisher((0.0, 0.6, 0.8), 8.0)), (1.0, 2.0)
    )
    equation = Equation(MaierSaupe(), 0.05, 3, m=2.0)
    state = find_stationary(equation, law, "sphere")
    zonal = find_stationary(equation, Gegenbauer(3, (0.0, 1.0)))
    assert state.residual < 1e-13 and state.is_axially_symmetric
    assert state.c2 == pytest.approx(zonal.c2, abs=1e-12)


@pytest.mark.parametrize("m", [1.5, 2.0])
def test_edges_where_the_potential_is_lost_in_round_off(m: float) -> None:
    """sa, A = diag(1, 1, 20) with V = -A/20: steps towards c end at 1e-11. By sums over pairs."""
    a = np.diag([1.0, 1.0, 20.0])
    term = GibbsHeads((HeadMatrices(a, -0.05 * a),), KINDS["sa"](), 3, {})
    state = find_stationary(Equation(term, 0.2, 3, m=m), VonMisesFisher((0.0, 0.0, 1.0), 3.0))
    parts = state.point.parts
    assert parts is not None and parts.edges.all() and state.residual < 1e-10
    ((low, high),) = parts.ends
    nodes, weights = np.polynomial.legendre.leggauss(400)
    half, turn = 0.5 * (high - low), 0.25 * math.pi * (nodes + 1.0)
    # In a root of the distance to either edge: next to them rho is a power of it.
    theta = 0.5 * (low + high) - half * np.cos(2.0 * turn)
    w = weights * 0.5 * math.pi * half * np.sin(2.0 * turn) * 0.5 * np.sin(theta)
    rho = state.density(theta[:, None])
    assert w @ rho == pytest.approx(1.0, abs=1e-9)
    t, s = np.cos(theta), np.sin(theta)
    side = np.outer(s, s)
    z = special.ive(0, side) * np.exp(20.0 * np.outer(t, t) + side - 20.0) @ (w * rho)
    left = 0.2 * rho ** (m - 1.0) / (m - 1.0) + 0.05 * np.log(z)
    inside = rho > 1e-4
    assert np.ptp(left[inside]) < 1e-9 and np.ptp(np.log(z)) > 5.0


# ------------------------------------------------------------------ branches


def test_fold_of_exponent_three() -> None:
    """rho ~ sqrt(t - s) on a cap: kappa = 2 |m| ((1 - |m|)/.4)^3/9 has its maximum at |m| = 1/4."""
    found = find_branches(
        Equation(PULL, 0.2, 3, m=3.0), "kappa", 0.34, 0.38, VonMisesFisher((0.0, 0.0, 1.0), 1.0)
    )
    (one,) = found.others
    (fold,) = found.events("fold")
    assert fold.parameter == pytest.approx(375.0 / 1024.0, abs=1e-12)
    assert fold.mean_norm == pytest.approx(0.25, abs=1e-6)
    (equal,) = found.events("equal free energy")
    assert equal.parameter == pytest.approx(0.353853643, abs=1e-8)
    kappa, c = one.column("parameter"), one.column("c_1")
    capped = c > 0.2
    assert kappa[capped] == pytest.approx(
        2.0 / 9.0 * c[capped] * ((1.0 - c[capped]) / 0.4) ** 3, abs=1e-12
    )
    assert one.stopped == "the end of the interval"
    upper = c > 0.26
    assert np.all(one.stable[upper]) and not np.any(one.stable[c < 0.24])


def test_upright_part_of_exponent_two() -> None:
    """At kappa = 1/3 all |m| <= 1/3 are at rest: the branch goes down there, and folds nowhere."""
    found = find_branches(
        Equation(PULL, 0.2, 3, m=2.0), "kappa", 0.31, 0.36, VonMisesFisher((0.0, 0.0, 1.0), 1.0)
    )
    (one,) = found.others
    c, kappa = one.column("c_1"), one.column("parameter")
    upright = c < 1.0 / 3.0
    assert upright.sum() > 5
    assert kappa[upright] == pytest.approx(1.0 / 3.0, abs=1e-12)
    assert np.abs(one.column("free_energy_excess")[upright]).max() < 1e-14
    assert np.abs(one.column("leading")[upright]).max() < 1e-9
    s = 3.0 * c[~upright] - 2.0
    assert kappa[~upright] == pytest.approx((1.0 - s) ** 2 * (2.0 + s) / 12.0, abs=1e-12)
    assert {event.kind for event in one.events} <= {"uniform", "equal free energy"}
    assert one.stopped == "the uniform state"


def test_branch_in_the_exponent() -> None:
    """Through m = 1, where nothing happens."""
    found = find_branches(
        Equation(PULL, 0.2, 3), "diffusion.exponent", 2.0, 0.5, VonMisesFisher((0.0, 0.0, 1.0), 1.0)
    )
    (one,) = found.others
    assert one.column("c_1")[0] == pytest.approx(0.621954051432, abs=1e-12)
    assert one.column("c_1")[-1] == pytest.approx(0.7319862617251, abs=1e-12)
    assert one.stopped == "the end of the interval" and found.critical == ()


# ------------------------------------------------------------------ as a user


def test_verbs(tmp_path: Path) -> None:
    """The case of the package: both verbs, and what they say."""
    case = Path(__file__).parents[2] / "scripts/cases/porous_medium.toml"
    found = mf.stationary(case, tmp_path / "state", progress=False)
    assert found.state.mean_norm == pytest.approx(0.6219540514, abs=1e-10)
    rows = dict(found.rows())
    assert rows["verdict"].startswith("linearly stable")
    with np.load(tmp_path / "state" / "state.npz") as arrays:
        assert np.any(np.isneginf(arrays["log_rho"]))
    assert (tmp_path / "state" / "figures" / "density.png").exists()
    along = mf.branch(case, "kappa", 0.32, 0.35, tmp_path / "branch", progress=False)
    assert along.warnings == []
    assert "degenerate: at kappa = 0.333333 all |m| up to 0.33" in dict(along.rows())["transition"]
    with pytest.raises(InputError, match="exponent"):
        mf.branch(case, "diffusion.exponent", 2.0, -1.0, tmp_path / "bad", progress=False)
    assert not (tmp_path / "bad").exists()
