"""Stationary states, folds and critical values of kernels against closed forms and references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from kernels import ONE_OF_EACH
from scipy import integrate, optimize, special

from meanfield.errors import InputError
from meanfield.geometry.laws import Gegenbauer, VonMisesFisher
from meanfield.interaction.kernels import (
    Exponential,
    Gaussian,
    Kernel,
    MaierSaupe,
    Onsager,
    Power,
    Series,
)
from meanfield.steady.branch import critical_values, find_branches
from meanfield.steady.equation import Equation, with_parameter
from meanfield.steady.newton import find_stationary
from meanfield.steady.spectrum import spectrum


def prolate(d: int) -> Gegenbauer:
    """An even law about the axis."""
    return Gegenbauer(d, (0.0, 0.5))


FOLDS = [
    (MaierSaupe(), 3, (0.1, 0.16), 2.0 / 15.0, 0.1485555999225, 0.323596876907),
    (MaierSaupe(), 4, (0.07, 0.12), 1.0 / 12.0, 0.1090932789788, 0.423173906179),
    (Onsager(), 3, (0.09, 0.12), math.pi / 32.0, 0.112655994942, 0.413815943),
]


@pytest.mark.parametrize(("kernel", "d", "interval", "critical", "fold", "order"), FOLDS)
def test_nematic_folds(
    kernel: Kernel,
    d: int,
    interval: tuple[float, float],
    critical: float,
    fold: float,
    order: float,
) -> None:
    found = find_branches(Equation(kernel, interval[0], d), "kappa", *interval, prolate(d))
    assert found.critical == pytest.approx((critical,), abs=1e-9)
    (event,) = found.events("fold")
    assert event.parameter == pytest.approx(fold, abs=1e-9)
    (equal,) = found.events("equal free energy")
    assert critical < equal.parameter < fold
    clustered = found.branches[1]
    at = int(np.argmin(np.abs(clustered.column("parameter") - event.parameter)))
    assert clustered.column("c_2")[at] == pytest.approx(order, abs=1e-8)
    # Transcritical: the branch joins the uniform one at the critical value, unstable next to it.
    assert clustered.stopped == "the uniform state"
    assert clustered.column("leading")[-2] > 0.0 > clustered.column("leading")[0]


def test_the_series_of_onsager_is_taken_as_far_as_it_matters() -> None:
    state = find_stationary(Equation(Onsager(), 0.105, 3), prolate(3), "zonal")
    assert state.residual < 1e-13 and state.mean_norm < 1e-14
    # Self-consistency with the kernel itself, by quadrature over theta' and phi.
    theta, w = np.polynomial.legendre.leggauss(80)
    theta, w = 0.5 * math.pi * (theta + 1.0), 0.25 * math.pi * w
    rho = state.density(theta[:, None])
    assert float(np.sum(w * np.sin(theta) * rho)) == pytest.approx(1.0, abs=1e-12)

    def potential(at: float) -> float:
        def inner(y: float) -> float:
            def sine(phi: float) -> float:
                c = math.cos(at) * math.cos(y) + math.sin(at) * math.sin(y) * math.cos(phi)
                return -math.sqrt(max(1.0 - c * c, 0.0))

            mean = integrate.quad(sine, 0.0, math.pi, epsabs=1e-9)[0] / math.pi
            return float(state.density(np.array([[y]]))[0] * mean * 0.5 * math.sin(y))

        return float(integrate.quad(inner, 0.0, math.pi, points=[at, math.pi - at], epsabs=1e-8)[0])

    here = [0.4, 1.3]
    xi = [potential(at) for at in here]
    log_rho = np.log(state.density(np.array(here)[:, None]))
    assert (xi[1] - xi[0]) / 0.105 == pytest.approx(log_rho[1] - log_rho[0], abs=1e-6)


def test_the_normalised_linear_kernel() -> None:
    # W = 1 + t, xi = log(W * mu): mu ~ (1 + m t)^{1/kappa}, here (1 + m t)^4.
    equation = Equation(Series(legendre=(1.0, 1.0), link="log"), 0.25, 3)
    state = find_stationary(equation, Gegenbauer(3, (0.5,)), "zonal")
    m = math.sqrt((-6.0 + math.sqrt(36.0 + 20.0 / 3.0)) / 2.0)
    assert state.mean_norm == pytest.approx(m, abs=1e-12)
    t = np.linspace(-0.9, 0.9, 7)
    rho = state.density(np.arccos(t)[:, None])
    np.testing.assert_allclose(rho / rho[3], (1.0 + m * t) ** 4, rtol=1e-10)
    assert spectrum(state).leading == pytest.approx(-0.376315152, abs=1e-8)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_the_linear_kernel_has_von_mises_fisher_states(d: int) -> None:
    # W = s t: |m| = A_d(s |m|/kappa).
    s, kappa = 2.0, 0.3
    state = find_stationary(Equation(Power(k=1, strength=s), kappa, d), Gegenbauer(d, (0.4,)))

    def defect(m: float) -> float:
        k = s * m / kappa
        return float(special.ive(0.5 * d, k) / special.ive(0.5 * d - 1.0, k)) - m

    m = float(optimize.brentq(defect, 0.1, 1.0, xtol=1e-14))
    assert state.mean_norm == pytest.approx(m, abs=1e-12)
    assert state.energy == pytest.approx(0.5 * s * m * m, abs=1e-12)


KERNELS = [kernel for name, kernel in ONE_OF_EACH.items() if name not in ("log", "riesz")]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.type)
@pytest.mark.parametrize("d", [2, 3, 4])
def test_eigenvalues_at_the_uniform_state(kernel: Kernel, d: int) -> None:
    # l(l + d - 2)(lam_l - kappa), multiplied out for every degree.
    kappa = 0.05
    equation = Equation(kernel, kappa, d)
    uniform = find_stationary(equation, Gegenbauer(d, (0.0,)), "zonal")
    scale = math.exp(kernel.log_scale)
    l = np.arange(1, 13)
    rates = l * (l + d - 2) * (scale * kernel.lam(12, d)[1:] - kappa)
    values = spectrum(uniform, count=6).modes[0].eigenvalues.real
    np.testing.assert_allclose(values, np.sort(rates)[::-1][:6], atol=1e-9 * scale)


def test_critical_values_in_a_number_of_the_kernel() -> None:
    # Uniform loses its stability where lam_1(beta) = kappa.
    equation = Equation(Exponential(beta=1.0), 0.5, 3)
    found = critical_values(equation, "beta", (0.5, 3.0))

    def lam(beta: float) -> float:
        return float(special.spherical_in(1, beta)) - 0.5

    assert found[0][0] == pytest.approx(optimize.brentq(lam, 0.5, 3.0), abs=1e-10)
    strength = critical_values(Equation(MaierSaupe(), 0.2, 3), "strength", (1.0, 2.0))
    assert strength[0][0] == pytest.approx(0.2 / (2.0 / 15.0), abs=1e-10)


def test_branches_in_any_number_of_the_kernel() -> None:
    # Scaling: kappa and strength enter by their ratio alone.
    found = find_branches(Equation(MaierSaupe(), 0.2, 3), "strength", 1.8, 1.2, prolate(3))
    (fold,) = found.events("fold")
    assert fold.parameter == pytest.approx(0.2 / 0.1485555999225, abs=1e-8)
    with pytest.raises(InputError, match=r"'strenght' found.*did you mean 'strength'"):
        with_parameter(Equation(MaierSaupe(), 0.2, 3), "strenght", 1.0)
    with pytest.raises(InputError, match="'beta' found, 'kappa', 'strength' or"):
        with_parameter(Equation(Power(k=2), 0.2, 3), "beta", 1.0)


@pytest.mark.slow
def test_a_branch_in_the_width() -> None:
    width = find_branches(
        Equation(Gaussian(width=0.5), 0.05, 3), "width", 0.45, 0.55,
        VonMisesFisher((0.0, 0.0, 1.0), 9.0),
    )  # fmt: skip
    state = find_stationary(
        Equation(Gaussian(width=0.5), 0.05, 3), VonMisesFisher((0.0, 0.0, 1.0), 9.0)
    )
    clustered = width.branches[1]
    p, m = clustered.column("parameter"), np.abs(clustered.column("c_1"))
    assert np.interp(0.5, p, m) == pytest.approx(state.mean_norm, abs=1e-3)


@pytest.mark.parametrize("geometry", ["circle", "sphere"])
def test_states_on_the_whole_manifold_are_the_zonal_ones(geometry: str) -> None:
    d = 2 if geometry == "circle" else 3
    kernel = Gaussian(width=0.6)
    equation = Equation(kernel, 0.08, d)
    tilted = VonMisesFisher((0.6, 0.8) if d == 2 else (0.0, 0.6, 0.8), 5.0)
    full = find_stationary(equation, tilted, geometry)
    zonal = find_stationary(equation, VonMisesFisher((0.0,) * (d - 1) + (1.0,), 5.0), "zonal")
    assert full.mean_norm == pytest.approx(zonal.mean_norm, abs=1e-10)
    assert full.free_energy_excess == pytest.approx(zonal.free_energy_excess, abs=1e-10)
    assert spectrum(full).leading == pytest.approx(spectrum(zonal).leading, abs=1e-6)
