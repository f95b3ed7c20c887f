"""Stationary states against closed forms, reference values and what they must satisfy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference

from meanfield.analysis import exact
from meanfield.errors import InputError
from meanfield.geometry.laws import Cap, Fourier, Gegenbauer, Mixture, Uniform, VonMisesFisher
from meanfield.geometry.manifolds import CircleGrid, SphereGrid, ZonalGrid
from meanfield.geometry.polynomials import zonal_functions
from meanfield.interaction.attention import Attention, SelfAttention
from meanfield.interaction.measure import Measure
from meanfield.steady.equation import Equation, MomentMap
from meanfield.steady.newton import find_stationary
from meanfield.steady.state import StationaryState


def bump(d: int, concentration: float = 2.0) -> VonMisesFisher:
    """A law with one cluster at e_d."""
    return VonMisesFisher(tuple(np.eye(d)[-1]), concentration)


OBLIQUE = {2: VonMisesFisher((1.0, 0.5), 2.0), 3: VonMisesFisher((1.0, 0.5, 0.3), 2.0)}


# ------------------------------------------------------------------ grids


@pytest.mark.parametrize(
    ("d", "order"), [(2, 0), (2, 1), *((d, m) for d in (3, 8, 60) for m in (0, 1, 2, 5))]
)
def test_zonal_functions_are_orthonormal_eigenfunctions(d: int, order: int) -> None:
    grid = ZonalGrid(20, 40, d)
    t, w = grid.cosines, grid.weights
    f, df = zonal_functions(d, order, 20, t)
    l = np.arange(order, 21)
    assert np.abs((f * w) @ f.T - np.eye(l.size)).max() < 1e-12
    stiffness = (df * w) @ df.T + order * (order + d - 3) * ((f * w / (1 - t * t)) @ f.T)
    assert np.abs(stiffness - np.diag(l * (l + d - 2))).max() < 1e-10 * 20 * (18 + d)


@pytest.mark.parametrize("grid", [SphereGrid(12, 30), CircleGrid(12, 30), ZonalGrid(12, 30, 5)])
def test_grid_transforms_are_inverse_and_adjoint(grid: SphereGrid) -> None:
    rng = np.random.default_rng(0)
    c = rng.normal(size=grid.degrees.size)
    assert np.abs(grid.analyse(grid.synthesise(c)) - c).max() < 1e-12
    laplacian = grid.degrees * (grid.degrees + grid.d - 2) * c
    assert np.abs(grid.analyse_gradient(grid.gradient(c)) - laplacian).max() < 1e-9
    assert grid.weights.sum() == pytest.approx(1.0, abs=1e-14)


def test_generators_turn_the_sphere() -> None:
    grid = SphereGrid(4, 12)
    # <x, a> under the rotation about e: <e x x, a>.
    a = np.array([0.3, -0.2, 0.9])
    c = grid.analyse(grid.points @ a)
    turned = grid.generators(grid.gradient(c))
    for k, axis in enumerate(np.eye(3)):
        assert np.abs(turned[k] - np.cross(axis, grid.points) @ a).max() < 1e-13


# ------------------------------------------------------------------ profiles


@pytest.mark.parametrize("profile", reference.STATIONARY_PROFILES, ids=str)
@pytest.mark.parametrize("full", [False, True], ids=["zonal", "full"])
def test_reference_profiles(profile: reference.StationaryProfile, full: bool) -> None:
    d = profile.d
    geometry = {2: "circle", 3: "sphere"}[d] if full else "zonal"
    equation = Equation(SelfAttention(profile.model, profile.beta), profile.kappa, d)
    state = find_stationary(equation, OBLIQUE[d] if full else bump(d), geometry)
    assert state.mean_norm == pytest.approx(profile.moments[0], abs=1e-9)
    assert state.c2 == pytest.approx(profile.moments[1], abs=1e-9)
    assert state.energy == pytest.approx(profile.energy, abs=1e-8)
    assert state.residual < 1e-13
    assert state.is_axially_symmetric and not state.is_uniform
    if full:
        wanted = np.array(OBLIQUE[d].mean) / np.linalg.norm(OBLIQUE[d].mean)
        assert state.axis @ wanted == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("d", [2, 3, 8, 100])
def test_without_beta_it_is_a_von_mises_fisher_law(d: int) -> None:
    kappa = 0.4 / d
    state = find_stationary(Equation(SelfAttention("sa", 0.0), kappa, d), bump(d), "zonal")
    m = exact.noisy_linear_mean(kappa, d)
    assert state.mean_norm == pytest.approx(m, abs=1e-12)
    law = bump(d, m / kappa)
    theta = np.linspace(0.0, np.pi, 50)
    x = np.zeros((50, d))
    x[:, 0], x[:, -1] = np.sin(theta), np.cos(theta)
    assert np.abs(np.log(state.density(theta[:, None])) - law.log_density(x)).max() < 1e-9


@pytest.mark.parametrize("model", ["sa", "usa"])
def test_it_satisfies_the_equation_pointwise(model: str) -> None:
    # log rho - xi/kappa is constant, xi from the attention code and not from the moments here.
    equation = Equation(SelfAttention(model, 4.0), 0.1 if model == "sa" else 1.4, 3)
    state = find_stationary(equation, OBLIQUE[3], "sphere")
    grid = state.grid
    rho = np.exp(state.log_rho)
    field = Attention(model, 4.0, 3, "any").field(Measure(grid.points, grid.weights * rho))
    constant = state.log_rho[::29] - field.potential(grid.points[::29]) / equation.kappa
    assert np.ptp(constant) < 1e-10


@pytest.mark.parametrize(("model", "beta", "kappa"), [
    ("sa", 4.0, 1e-3), ("usa", 1.0, 1e-4), ("sa", 50.0, 1e-4), ("sa", 400.0, 1e-4),
])  # fmt: skip
def test_narrow_peaks_are_resolved(model: str, beta: float, kappa: float) -> None:
    equation = Equation(SelfAttention(model, beta), kappa, 3)
    state = find_stationary(equation, bump(3), "zonal")
    assert state.residual < 2e-12
    # A narrow Gaussian: the tangent variance per direction is kappa over the slope of the drift,
    # 1/(1 + ...) for sa, e^beta for usa; c_1 = 1 - variance to leading order.
    slope = 1.0 if model == "sa" else math.exp(beta)
    variance = 1.0 - state.mean_norm
    assert variance == pytest.approx(kappa / slope, rel=0.1)
    grid = state.grid
    assert grid.weights @ np.exp(state.log_rho) == pytest.approx(1.0, abs=1e-12)


def test_too_narrow_a_peak_is_refused() -> None:
    with pytest.raises(InputError, match="narrower"):
        find_stationary(Equation(SelfAttention("sa", 4.0), 1e-9, 3), bump(3), "zonal")


def test_noise_is_needed() -> None:
    with pytest.raises(InputError, match="kappa > 0 expected"):
        Equation(SelfAttention("sa", 4.0), 0.0, 3)
    with pytest.raises(InputError, match="did you mean 'sa'"):
        Equation(SelfAttention("saa", 4.0), 0.1, 3)  # type: ignore[arg-type]


# ------------------------------------------------------------------ which state


def test_the_law_chooses_the_state() -> None:
    equation = Equation(SelfAttention("usa", 4.0), 1.4, 3)
    assert find_stationary(equation, Uniform(3), "zonal").is_uniform
    assert find_stationary(equation, bump(3, 0.1), "zonal").is_uniform
    clustered = find_stationary(equation, bump(3, 5.0), "zonal")
    assert clustered.mean_norm == pytest.approx(0.922759, abs=1e-6)
    # An even law stays even: two clusters at the poles, which is another state.
    two = find_stationary(
        Equation(SelfAttention("usa", 4.0), 0.5, 3), Gegenbauer(3, (0.0, 0.5)), "zonal"
    )
    assert two.mean_norm < 1e-14 and two.c2 > 0.8
    south = find_stationary(equation, VonMisesFisher((0.0, 0.0, -1.0), 5.0), "zonal")
    assert south.moments[1] == pytest.approx(-clustered.moments[1], abs=1e-12)


@pytest.mark.parametrize("geometry", ["zonal", "circle", "sphere"])
def test_a_small_disturbance_leaves_an_unstable_state(geometry: str) -> None:
    d = 2 if geometry == "circle" else 3
    equation = Equation(SelfAttention("sa", 4.0), 0.1, d)
    law = Mixture((bump(d, 1.0), Uniform(d)), (1e-3, 1.0 - 1e-3))
    state = find_stationary(equation, law, geometry)
    assert state.mean_norm > 0.8
    assert find_stationary(equation, Uniform(d), geometry).is_uniform


def test_free_energy_falls_along_the_iteration() -> None:
    equation = Equation(SelfAttention("usa", 4.0), 1.4, 3)
    grid = ZonalGrid(equation.degree, 96, 3)
    moment_map = MomentMap(equation, grid)
    moments = grid.analyse(bump(3, 2.0).density(grid.unit_vectors))
    values = []
    for _ in range(30):
        point = moment_map.at(moments)
        moments = point.image
        state = StationaryState(equation, grid, moments, point.log_rho, 0.0, (0, 0))
        values.append(state.free_energy_excess)
    assert np.all(np.diff(values) < 0.0)


@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("law", [bump(3, 3.0), Gegenbauer(3, (0.2, 0.3))], ids=["bump", "two"])
def test_repulsion_has_only_the_uniform_state(model: str, law: VonMisesFisher | Gegenbauer) -> None:
    for beta in (1.0, 4.0):
        state = find_stationary(Equation(SelfAttention(model, beta, -1), 0.05, 3), law, "zonal")
        assert state.is_uniform and state.residual < 1e-14


def test_symmetry_is_found_from_any_law() -> None:
    lopsided = Mixture(
        (Cap((1.0, 0.0, 0.0), 0.4), Cap((0.0, 1.0, 0.0), 0.3), Cap((0.0, 0.0, 1.0), 0.5)),
        (0.5, 0.2, 0.3),
    )
    found = find_stationary(Equation(SelfAttention("sa", 4.0), 0.1, 3), lopsided, "sphere")
    assert found.is_axially_symmetric and found.mean_norm == pytest.approx(0.8231632710, abs=1e-9)
    zonal = find_stationary(Equation(SelfAttention("sa", 4.0), 0.1, 3), bump(3), "zonal")
    moments = found.zonal_moments()
    assert np.abs(moments - zonal.moments[: moments.size])[:12].max() < 1e-11
    # Three clusters on the circle: even about the axis of its mean, if it has one.
    law = Fourier((0.0, 0.0, 0.5), (0.0, 0.0, 0.3))
    three = find_stationary(Equation(SelfAttention("sa", 9.0), 0.02, 2), law, "circle")
    assert three.residual < 1e-13
    lobes = np.flatnonzero(np.diff(np.sign(np.diff(three.log_rho))) < 0).size
    assert (three.mean_norm < 1e-9) == (lobes == 3)
