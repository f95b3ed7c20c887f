"""Eigenvalues of the linearised equation: closed forms, rotations, two ways, and the dynamics."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from meanfield.errors import MeanfieldWarning
from meanfield.geometry.laws import Gegenbauer, Mixture, Uniform, VonMisesFisher
from meanfield.geometry.manifolds import ZonalGrid
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import SelfAttention
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary
from meanfield.steady.spectrum import arnoldi_spectrum, spectrum


def bump(d: int, concentration: float = 2.0) -> VonMisesFisher:
    return VonMisesFisher(tuple(np.eye(d)[-1]), concentration)


def clustered(profile: reference.StationaryProfile) -> Equation:
    return Equation(SelfAttention(profile.model, profile.beta), profile.kappa, profile.d)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("beta", [0.0, 4.0, -2.0, 9.0])
@pytest.mark.parametrize("value", [1, -1])
def test_uniform_state_grows_at_the_known_rates(
    model: str, d: int, beta: float, value: int
) -> None:
    found = spectrum(
        find_stationary(Equation(SelfAttention(model, beta, value), 0.05, d), Uniform(d), "zonal")
    )
    rates = reference.growth_rates(model, beta, d, 60, 0.05, value)
    assert len(found.modes) == (2 if d == 2 else 3)
    for mode in found.modes:
        wanted = np.sort(rates[max(mode.order, 1) :])[::-1][: mode.eigenvalues.size]
        assert np.abs(mode.eigenvalues - wanted).max() < 1e-11 * max(1.0, np.abs(wanted).max())
        assert mode.rotations.size == 0


@pytest.mark.parametrize("geometry", ["circle", "sphere"])
def test_uniform_state_on_the_full_geometry(geometry: str) -> None:
    d = 2 if geometry == "circle" else 3
    state = find_stationary(Equation(SelfAttention("sa", 4.0), 0.1, d), Uniform(d), geometry)
    way = arnoldi_spectrum if geometry == "sphere" else spectrum
    found = way(state, 6).modes[0].eigenvalues
    rates = reference.growth_rates("sa", 4.0, d, 30, 0.1)
    copies = [2 if d == 2 else 2 * l + 1 for l in range(31)]
    wanted = np.sort(np.repeat(rates[1:], copies[1:]))[::-1][:6]
    assert np.abs(found - wanted).max() < 1e-9


@pytest.mark.parametrize("profile", reference.STATIONARY_PROFILES, ids=str)
def test_clusters_are_stable_and_rotations_neutral(profile: reference.StationaryProfile) -> None:
    state = find_stationary(clustered(profile), bump(profile.d), "zonal")
    found = spectrum(state)
    assert found.is_stable
    first = found.modes[1]
    assert first.order == 1 and first.rotations.size == 1
    assert first.rotations[0] < 1e-10  # h = d mu/d theta: m = 1
    if profile.model == "usa":
        assert all(np.all(mode.eigenvalues.imag == 0.0) for mode in found.modes)


@pytest.mark.parametrize("profile", reference.STATIONARY_PROFILES, ids=str)
def test_full_geometry_agrees_with_azimuthal_orders(profile: reference.StationaryProfile) -> None:
    d = profile.d
    oblique = VonMisesFisher((1.0, 0.5, 0.3)[:d], 2.0)
    geometry = "circle" if d == 2 else "sphere"
    state = find_stationary(clustered(profile), oblique, geometry)
    full = (spectrum if d == 2 else arnoldi_spectrum)(state, 5)
    zonal = spectrum(find_stationary(clustered(profile), bump(d), "zonal"))
    parts = [np.repeat(m.eigenvalues.real, 1 if d == 2 or m.order == 0 else 2) for m in zonal.modes]
    wanted = np.sort(np.concatenate(parts))[::-1][:5]
    assert np.abs(full.modes[0].eigenvalues.real - wanted).max() < 1e-7
    assert full.modes[0].rotations.size == d - 1 and full.rotation_error < 1e-7
    # What is asked for by default: orders about the axis of the state, wherever it points.
    assert spectrum(state).leading == pytest.approx(zonal.leading, abs=1e-9)


def test_two_clusters_are_unstable_towards_merging() -> None:
    # An even state that attracts even laws: what destroys it is odd, or of another order.
    state = find_stationary(
        Equation(SelfAttention("sa", 4.0), 0.05, 3), Gegenbauer(3, (0.0, 0.9)), "zonal"
    )
    assert state.mean_norm < 1e-12 and not state.is_uniform
    found = spectrum(state)
    assert not found.is_stable and found.leading > 1e-3
    assert found.leading_mode.order == 1  # the two clusters turn towards each other
    assert found.rotation_error < 1e-10


def test_a_belt_breaks_up_at_an_order_of_its_own() -> None:
    state = find_stationary(
        Equation(SelfAttention("sa", 9.0), 0.02, 3), Gegenbauer(3, (0.0, -0.9)), "zonal"
    )
    assert state.c2 == pytest.approx(-0.461264, abs=1e-6)
    found = spectrum(state)
    assert [mode.order for mode in found.modes] == [0, 1, 2, 3, 4, 5, 6]
    assert found.leading_mode.order == 3
    assert found.leading == pytest.approx(0.41595813, abs=1e-8)


@pytest.mark.slow
def test_a_belt_on_the_full_sphere() -> None:
    equation, law = Equation(SelfAttention("sa", 9.0), 0.02, 3), Gegenbauer(3, (0.0, -0.9))
    zonal = spectrum(find_stationary(equation, law, "zonal"))
    full = arnoldi_spectrum(find_stationary(equation, law, "sphere"), 8).modes[0].eigenvalues
    tops = [mode.eigenvalues[0].real for mode in zonal.modes]
    wanted = np.sort(np.repeat(tops, [1, *[2] * (len(tops) - 1)]))[::-1][:8]
    assert np.abs(full.real - wanted).max() < 1e-7


@pytest.mark.slow
def test_four_clusters_are_found_and_nearly_stable() -> None:
    # No axis of symmetry: the whole sphere is needed. Merging takes times ~ e^{beta(1 + 1/3)}.
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)
    law = Mixture(tuple(VonMisesFisher(tuple(x), 20.0) for x in corners), (0.25,) * 4)
    state = find_stationary(Equation(SelfAttention("sa", 9.0), 0.01, 3), law, "sphere")
    assert state.residual < 1e-13 and state.mean_norm < 1e-12
    assert not state.is_axially_symmetric
    found = spectrum(state, 8).modes[0]
    # The symmetry of the tetrahedron has a pair, a triple, and the triple of exchanged masses.
    assert np.abs(np.diff(found.eigenvalues.real[:2])).max() < 1e-9
    assert np.abs(np.diff(found.eigenvalues.real[2:5])).max() < 1e-9
    assert 1e-4 < found.eigenvalues[0].real < 1e-3
    assert np.all(found.rotations < 1e-9)


def test_sa_where_the_partition_function_spans_many_decades() -> None:
    # Z falls to e^{-100} of its maximum; harmonics would lose it at 1e-16, and with it the drift
    # that brings back what strays there: they give -0.0122 (zonal) and -0.0138 (circle).
    equation = Equation(SelfAttention("sa", 50.0), 0.01, 2)
    zonal = spectrum(find_stationary(equation, bump(2, 4.0), "zonal"))
    full = spectrum(find_stationary(equation, VonMisesFisher((1.0, 0.5), 4.0), "circle"))
    assert zonal.leading == pytest.approx(full.leading, rel=1e-6)
    assert zonal.leading == pytest.approx(-0.056580, abs=1e-5)
    assert zonal.rotation_error < 1e-9


@pytest.mark.parametrize("d", [2, 3, 8])
def test_the_kernel_itself_and_its_harmonics_agree(d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    state = find_stationary(Equation(SelfAttention("sa", 4.0), 0.15 / d, d), bump(d), "zonal")
    harmonics = spectrum(state)
    monkeypatch.setattr("meanfield.steady.spectrum._DARK", 1.0)
    direct = spectrum(state)
    for one, two in zip(harmonics.modes, direct.modes, strict=True):
        assert np.abs(one.eigenvalues[:4] - two.eigenvalues[:4]).max() < 1e-8


@pytest.mark.parametrize(("model", "beta", "kappa"), [("sa", 4.0, 0.1), ("usa", 1.0, 0.3)])
def test_disturbances_decay_in_time_at_the_leading_rate(
    model: str, beta: float, kappa: float
) -> None:
    # Method of lines in zonal harmonics for the nonlinear equation, another discretisation:
    # d a_k/dt = int rho <X, grad Y_k> - kappa l(l+1) a_k, X = grad xi.
    equation = Equation(SelfAttention(model, beta), kappa, 3)
    state = find_stationary(equation, bump(3), "zonal")
    grid = ZonalGrid(60, 160, 3)
    rho = state.density(grid.points)
    pull = equation.interaction.multipliers(60)
    diffusion = kappa * grid.degrees * (grid.degrees + 1)

    def rate(a: Array) -> Array:
        _, slope = equation.exponent(grid.synthesise(pull * a))
        velocity = kappa * slope * grid.gradient(pull * a)
        drift = grid.analyse_gradient(grid.synthesise(a) * velocity)
        return drift - diffusion * a

    steady = grid.analyse(rho)
    assert np.abs(rate(steady)).max() < 1e-9
    a = steady + 1e-4 * np.eye(61)[1]
    dt, distances = 2e-3, []
    for step in range(6001):
        if step in (4500, 6000):
            distances.append(abs(a[1] - steady[1]))
        k1 = rate(a)
        k2 = rate(a + 0.5 * dt * k1)
        k3 = rate(a + 0.5 * dt * k2)
        a = a + dt * (k1 + 2.0 * k2 + 2.0 * k3 + rate(a + dt * k3)) / 6.0
    measured = np.log(distances[1] / distances[0]) / (1500 * dt)
    assert measured == pytest.approx(spectrum(state).modes[0].eigenvalues[0].real, rel=2e-3)


@pytest.mark.parametrize(
    ("m", "kappa", "leading"),
    [(0.5, 0.15, -1.05013437), (0.5, 0.1, -1.15813825), (1.0, 0.01, None)],
)
def test_the_root_of_the_density_is_resolved(m: float, kappa: float, leading: float | None) -> None:
    """It decays more slowly than the density (m = 1/2: rho^{3/4}, a tail), which nodes resolve.

    Degrees of 200 to 500 give ``leading``; rotations have 0.
    """
    state = find_stationary(Equation(SelfAttention("usa", 1.0), kappa, 3, m=m), bump(3))
    found = spectrum(state)
    assert found.rotation_error < 1e-11
    if leading is not None:
        assert found.leading == pytest.approx(leading, abs=1e-8)


def test_a_root_that_no_degree_resolves_is_told() -> None:
    state = find_stationary(Equation(SelfAttention("usa", 1.0), 0.03, 3, m=0.5), bump(3))
    with pytest.warns(MeanfieldWarning, match="harmonics beyond degree 500"):
        found = spectrum(state, 2)
    assert 1e-10 < found.rotation_error < 1e-7  # before any warning was due: 2e-7 at kappa = 0.15


@pytest.mark.slow
def test_the_root_of_the_density_is_resolved_on_the_sphere() -> None:
    """By Arnoldi iteration, as in zonal geometry."""
    equation = Equation(SelfAttention("usa", 1.0), 0.28, 3, m=0.5)
    zonal = spectrum(find_stationary(equation, bump(3)))
    found = arnoldi_spectrum(find_stationary(equation, bump(3), "sphere"), 3)
    assert found.leading == pytest.approx(zonal.leading, abs=1e-9)
    assert found.rotation_error < 1e-9
