"""Heads in stationary states and branches: against short forms, sums over pairs, runs in time."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import meanfield as mf
from meanfield import cli
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.space import P1Space
from meanfield.errors import InputError
from meanfield.geometry.laws import Uniform, VonMisesFisher
from meanfield.geometry.manifolds import CircleGrid, SphereGrid, ZonalGrid, manifold
from meanfield.geometry.mesh import zonal_interval
from meanfield.interaction.attention import SelfAttention
from meanfield.interaction.composite import KINDS, Composite, HeadMatrices
from meanfield.interaction.composite.between import SphereForm, on_circle, on_latitudes
from meanfield.interaction.composite.gibbs import GibbsHeads
from meanfield.interaction.external import External
from meanfield.interaction.gibbssum import GibbsSum
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import MaierSaupe, Power
from meanfield.steady.branch import find_aligned, find_branches
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import EVEN
from meanfield.steady.equation import Equation, MomentMap, with_parameter
from meanfield.steady.newton import find_stationary
from meanfield.steady.spectrum import arnoldi_spectrum, spectrum, zonal_spectrum
from meanfield.steady.state import StationaryState
from meanfield.steady.symmetry import NONE
from meanfield.steady.verbs import BranchResult

Array = NDArray[np.float64]


def diagonal(*entries: float) -> Array:
    return np.diag(np.array(entries))


def turned(a: Array, seed: int) -> tuple[Array, Array]:
    """R A R^T and R, a random rotation."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=a.shape))
    q[:, 0] *= np.linalg.det(q)
    return q @ a @ q.T, q


def heads(kind: str, *pairs: tuple[Array, float], bias: float | None = None) -> GibbsHeads:
    """Heads A with V = c A, each with its beta = 1 as a number."""
    made = KINDS[kind]() if bias is None else KINDS[kind](bias=bias)  # type: ignore[call-arg]
    d = len(pairs[0][0])
    numbers = {f"heads[{k}].beta": ((k,), 1.0) for k in range(len(pairs))}
    return GibbsHeads(tuple(HeadMatrices(a, c * a) for a, c in pairs), made, d, numbers)


def along(d: int, concentration: float = 2.0) -> VonMisesFisher:
    return VonMisesFisher(tuple(np.eye(d)[-1]), concentration)


def kernel(kind: str, t: Array, bias: float) -> Array:
    if kind == "linear":
        return np.asarray(0.5 * t * t)
    return np.asarray(np.logaddexp(0.0, t + bias) if kind == "sigmoid" else np.exp(t))


# ------------------------------------------------------------------ the same in other words

SHORT = [
    ("usa", 2.0, 0.3, 3, "zonal"), ("sa", 4.0, 0.1, 3, "zonal"), ("sa", 4.0, 0.1, 2, "circle"),
    ("usa", 1.0, 0.2, 3, "sphere"), ("sa", 4.0, 0.05, 4, "zonal"), ("sa", 9.0, 0.02, 2, "zonal"),
    ("sa", 9.0, 0.02, 2, "circle"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "beta", "kappa", "d", "geometry"), SHORT)
def test_one_head_of_the_identity_is_the_short_form(
    kind: Any, beta: float, kappa: float, d: int, geometry: str
) -> None:
    short = find_stationary(Equation(SelfAttention(kind, beta), kappa, d), along(d), geometry)
    one = heads(kind, (beta * np.eye(d), 1.0 / beta))
    found = find_stationary(Equation(one, kappa, d), along(d), geometry)
    n = min(short.moments.size, found.moments.size)
    assert np.abs(short.moments[:n] - found.moments[:n]).max() < 1e-13
    assert found.residual < 1e-14 and found.mean_norm > 0.5
    assert found.energy == pytest.approx(short.energy, rel=1e-13)
    assert found.energy_excess == pytest.approx(short.energy_excess, rel=1e-12)
    same = pytest.approx(short.free_energy_excess, abs=1e-13, nan_ok=True)
    assert found.free_energy_excess == same
    ours, theirs = spectrum(found), spectrum(short)
    assert ours.leading == pytest.approx(theirs.leading, rel=1e-9)
    assert ours.rotation_error < 1e-8


def test_the_same_critical_noise_and_fold_as_the_short_form() -> None:
    beta = 4.0
    one = GibbsHeads(
        (HeadMatrices(beta * np.eye(3), np.eye(3)),), KINDS["usa"](), 3, {"beta": ((0,), beta)}
    )
    found, short = (
        find_branches(Equation(term, 1.0, 3), "kappa", 1.0, 1.8, along(3, 3.0))
        for term in (one, SelfAttention("usa", beta))
    )
    assert found.critical == pytest.approx(short.critical, rel=1e-12)
    for kind in ("fold", "equal free energy"):
        (ours,), (theirs,) = found.events(kind), short.events(kind)
        assert ours.parameter == pytest.approx(theirs.parameter, rel=1e-9)
    # In beta: V stays, and A is beta I.
    ours, theirs = (with_parameter(Equation(term, 0.2, 3), "beta", 1.5)
                    for term in (one, SelfAttention("usa", beta)))  # fmt: skip
    apart = find_stationary(ours, along(3)).mean_norm - find_stationary(theirs, along(3)).mean_norm
    assert abs(apart) < 1e-13


def test_half_heads_add_up_and_matrices_turn_states() -> None:
    a = diagonal(2.0, 1.0, -0.5)
    whole = find_stationary(Equation(heads("usa", (a, 0.5)), 0.2, 3), along(3), "sphere")
    halves = heads("usa", (a, 0.2), (a, 0.3))
    other = find_stationary(Equation(halves, 0.2, 3), along(3), "sphere")
    assert np.abs(whole.moments - other.moments).max() < 1e-13
    assert halves.energy_kind == "gradient"
    b, q = turned(a, 3)
    law = VonMisesFisher(tuple(q @ np.array([0.6, 0.8, 0.0])), 2.0)
    spun = find_stationary(Equation(heads("usa", (b, 0.5)), 0.2, 3), law, "sphere")
    plain = find_stationary(
        Equation(heads("usa", (a, 0.5)), 0.2, 3), VonMisesFisher((0.6, 0.8, 0.0), 2.0), "sphere"
    )
    assert spun.mean == pytest.approx(q @ plain.mean, abs=1e-12)
    x = np.random.default_rng(0).normal(size=(50, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert spun.density(x @ q.T) == pytest.approx(plain.density(x), rel=1e-10)
    assert spun.energy == pytest.approx(plain.energy, rel=1e-12)


# ------------------------------------------------------------------ T, by sums over pairs


@pytest.mark.parametrize("kind", ["usa", "linear", "sigmoid"])
def test_between_harmonics_as_by_sums_over_pairs(kind: str) -> None:
    bias = 0.4 if kind == "sigmoid" else 0.0
    form = heads(kind, (np.eye(2), 1.0), bias=bias if kind == "sigmoid" else None)

    def summed(a: Array, grid: CircleGrid | SphereGrid) -> Array:
        x, w = grid.unit_vectors, grid.weights
        log = np.linalg.norm(a, 2) if kind == "usa" else 0.0
        pairs = kernel(kind, x @ a @ x.T, bias) * np.exp(-log)
        rows = np.array([grid.analyse(row) for row in (w[:, None] * pairs.T).T * 1.0])
        assert rows.shape[0] == x.shape[0]
        columns = [grid.analyse(pairs @ (w * grid.synthesise(one)))
                   for one in np.eye(grid.degrees.size)]  # fmt: skip
        return np.stack(columns, axis=1)

    a, _ = turned(diagonal(1.3, -0.6), 1)
    circle = CircleGrid(8, 96)
    head = HeadMatrices(a, a)
    exact = summed(a, circle)
    # The series goes on beyond degree 8: those entries are of the first eight.
    found = on_circle(head, partial(form.series, head), 40)[:17, :17]
    assert np.abs(found - exact).max() < 1e-14
    three = heads(kind, (np.eye(3), 1.0), bias=bias if kind == "sigmoid" else None)
    b, _ = turned(diagonal(1.2, 0.7, -0.5), 2)
    sphere, head = SphereGrid(5, 40), HeadMatrices(b, b)
    exact = summed(b, sphere)
    on = SphereForm(head, partial(three.series, head), 30)
    for k in (0, 1, 6, 20):
        one = np.zeros(31**2)
        one[np.flatnonzero(SphereGrid(30, 32).degrees <= 5)[k]] = 1.0
        image = on.applied(one, 30)[SphereGrid(30, 32).degrees <= 5]
        assert np.abs(image - exact[:, k]).max() < 1e-13


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_latitudes_of_a_multiple_of_the_identity(order: int) -> None:
    for d, a in ((2, 1.5), (3, 2.0), (3, -2.0), (5, -1.0)):
        if d == 2 and order > 1:
            continue
        one = heads("usa", (a * np.eye(d), 1.0 / a))
        head = one.heads[0]
        found = on_latitudes(head, partial(one.series, head), 12, order)
        exact = one.pull(ZonalGrid(30, 64, d), order)(np.ones(31 - order)) * np.exp(0.0)
        wanted = exact[: 13 - order] / one.heads[0].gradient_factor  # type: ignore[operator]
        given = np.diagonal(found).copy()
        if order == 0:
            wanted[0] = given[0]
        assert np.abs(np.diag(given) - found).max() < 1e-14
        assert given == pytest.approx(wanted, abs=1e-14)


# ------------------------------------------------------------------ states

D2, D3 = diagonal(1.5, 0.7), diagonal(2.0, 1.0, -0.5)
STATES: list[tuple[str, list[tuple[Array, float]], float, str, float]] = [
    ("usa", [(D2, 1.0)], 0.3, "circle", 0.0),
    ("sa", [(3.0 * turned(D2, 5)[0], 1 / 3)], 0.1, "circle", 0.0),
    ("sigmoid", [(D2, 1.0)], 0.05, "circle", -0.3),
    ("usa", [(turned(D3, 4)[0], 0.5), (diagonal(0.0, 1.0, 1.0), 0.3)], 0.2, "sphere", 0.0),
    ("sa", [(D3, 0.5)], 0.1, "sphere", 0.0),
    ("linear", [(D3, 1.0)], 0.1, "sphere", 0.0),
    ("sigmoid", [(D3, 1.0)], 0.05, "sphere", 0.3),
    ("sa", [(diagonal(2.0, 2.0, 3.0), 0.4)], 0.1, "zonal", 0.0),
    ("usa", [(diagonal(-1.0, -1.0, 2.0), 0.4), (diagonal(0.5, 0.5, -1.0), 0.4)], 0.1, "zonal", 0.0),
]


@pytest.mark.parametrize(("kind", "pairs", "kappa", "geometry", "bias"), STATES)
def test_states_solve_the_equation_by_sums_over_pairs(
    kind: str, pairs: list[tuple[Array, float]], kappa: float, geometry: str, bias: float
) -> None:
    """mu ~ exp(xi/kappa), and the energies, on a grid of its own."""
    d = len(pairs[0][0])
    term = heads(kind, *pairs, bias=bias if kind == "sigmoid" else None)
    law = along(d) if geometry == "zonal" else VonMisesFisher((0.6, 0.8, 0.0)[:d], 2.0)
    state = find_stationary(Equation(term, kappa, d), law, geometry)
    assert state.residual < 1e-13 and not state.is_uniform
    full = manifold("circle" if d == 2 else "sphere", d).grid(24, 80 if d == 2 else 40)
    x, w = full.unit_vectors, full.weights
    rho = state.density(x if geometry != "zonal" else np.arccos(x[:, 2:]))
    assert w @ rho == pytest.approx(1.0, abs=1e-11)
    z = [kernel(kind, x @ a @ x.T, bias) for a, _ in pairs]
    masses = w * rho
    factors = [c for _, c in pairs]

    def energy(m: Array) -> float:
        return sum(0.5 * c * float(m @ one @ m) for c, one in zip(factors, z, strict=True))

    if kind == "sa":
        xi = factors[0] * np.log(z[0] @ masses)
        assert math.isnan(state.free_energy_excess)
    else:
        xi = np.sum([c * (one @ masses) for c, one in zip(factors, z, strict=True)], axis=0)
    image = np.exp((xi - xi.max()) / kappa)
    image /= w @ image
    assert np.abs(image - rho).max() < 1e-11 * rho.max()
    assert state.energy == pytest.approx(energy(masses), abs=1e-10)
    assert state.energy_excess == pytest.approx(energy(masses) - energy(w), abs=1e-10)
    if kind != "sa":
        free = kappa * float(masses @ np.log(rho)) - energy(masses) + energy(w)
        assert state.free_energy_excess == pytest.approx(free, abs=1e-10)


def test_parity_and_rotations() -> None:
    """An even law stays even; a rotation that leaves D as it is leaves an eigenvalue 0."""
    flat = Equation(heads("usa", (diagonal(1.0, 1.0, 0.3), 1.0)), 0.15, 3)
    even = find_stationary(flat, Uniform(3), "sphere")
    assert not even.is_uniform and even.mean_norm < 1e-14 and abs(even.c2) > 0.01
    assert not flat.is_free and even.is_axially_symmetric
    tilted = find_stationary(flat, VonMisesFisher((0.6, 0.8, 0.0), 2.0), "sphere")
    assert abs(tilted.mean[2]) < 1e-13 and tilted.mean_norm > 0.3
    found = spectrum(tilted)
    assert found.is_stable and found.rotation_error < 1e-8
    assert MomentMap(flat, tilted.grid).free_turns.shape == (1, 3)
    tied = Equation(heads("usa", (D3, 0.5)), 0.2, 3)
    assert MomentMap(tied, tilted.grid).free_turns.shape == (0, 3)
    # A reflection has the uniform state, and turns about its axis.
    mirror = Equation(heads("usa", (diagonal(1.0, 1.0, -1.0), 1.0)), 0.5, 3)
    assert mirror.is_free and find_stationary(mirror, Uniform(3), "sphere").is_uniform
    assert find_stationary(mirror, Uniform(3)).energy_excess == 0.0


def test_a_kernel_and_a_potential_beside_heads() -> None:
    a, kappa = diagonal(0.5, 0.5, 1.5), 0.25
    term = GibbsSum(
        Interaction(MaierSaupe(strength=0.7), 3, accuracy=1e-14), heads("usa", (a, 0.4))
    )
    beside = External(3, (), mf.LinearPotential(field=(0.0, 0.0, 0.2)))
    zonal = find_stationary(Equation(term, kappa, 3, beside), along(3))
    sphere = find_stationary(Equation(term, kappa, 3, beside), along(3), "sphere")
    assert zonal.mean_norm == pytest.approx(sphere.mean_norm, abs=1e-13)
    assert zonal.free_energy_excess == pytest.approx(sphere.free_energy_excess, abs=1e-12)
    full = SphereGrid(24, 40)
    x, w = full.unit_vectors, full.weights
    masses = w * sphere.density(x)
    t = x @ x.T
    exact = MaierSaupe(strength=0.7).w(t, 1.0 - t, 3)
    xi = (0.4 * np.exp(x @ a @ x.T) + 0.7 * exact) @ masses + 0.2 * x[:, 2]
    image = w * np.exp((xi - xi.max()) / kappa)
    assert image / image.sum() == pytest.approx(masses, abs=1e-13)
    for name in ("strength", "heads[0].beta"):
        assert name in term.parameters
        assert with_parameter(Equation(term, kappa, 3), name, 1.1).term.parameters[name] == 1.1
    with pytest.raises(InputError, match="divided by its Z, found beside others"):
        GibbsSum(Interaction(Power(k=1), 3), heads("sa", (a, 0.4)))


# ------------------------------------------------------------------ stability


@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_eigenvalues_by_differences_of_the_flow(kind: str) -> None:
    """Of d_t rho = kappa rho'' - (rho xi')' at nodes of S^1, by Fourier and central differences."""
    a, c = 1.5 * turned(diagonal(1.5, 0.4), 2)[0], 0.6
    kappa = 0.25 if kind == "sa" else 1.0
    state = find_stationary(Equation(heads(kind, (a, c)), kappa, 2), along(2), "circle")
    n = 96
    grid = CircleGrid(n // 2 - 1, n)
    x = grid.unit_vectors
    z = np.exp(x @ a @ x.T) / n
    k = np.fft.fftfreq(n, 1.0 / n)
    k[n // 2] = 0.0

    def slope(values: Array) -> Array:
        return np.asarray(np.fft.ifft(1j * k * np.fft.fft(values)).real)

    def flow(rho: Array) -> Array:
        xi = c * (np.log(z @ rho) if kind == "sa" else z @ rho)
        return kappa * slope(slope(rho)) - slope(rho * slope(xi))

    rho, h = state.density(x), 1e-5
    assert np.abs(flow(rho)).max() < 1e-9
    jacobian = np.stack([(flow(rho + h * e) - flow(rho - h * e)) / (2.0 * h) for e in np.eye(n)], 1)
    # Mass, and the mode that slopes do not see, are no changes.
    values = np.sort(np.linalg.eigvals(jacobian).real)[::-1]
    values = values[np.abs(values) > 1e-7]
    found = spectrum(state, 3).modes[0].eigenvalues.real
    assert found == pytest.approx(values[:3], rel=1e-6)


def test_zonal_and_spherical_eigenvalues_are_the_same() -> None:
    a = diagonal(0.5, 0.5, 1.5)
    for kind in ("sa", "usa"):
        equation = Equation(heads(kind, (a, 0.6)), 0.15, 3)
        zonal = find_stationary(equation, along(3))
        moment_map = MomentMap(equation, zonal.grid)
        by_order = zonal_spectrum(moment_map, zonal.point, 3).modes
        every = sorted(
            (v.real for m in by_order for v in np.repeat(m.eigenvalues, 2 if m.order else 1)),
            reverse=True,
        )
        sphere = find_stationary(equation, along(3), "sphere")
        found = arnoldi_spectrum(sphere, 3).modes[0].eigenvalues.real
        assert found == pytest.approx(every[:3], rel=1e-7)


def test_eigenvalues_where_z_is_dark() -> None:
    """Of a head that is far from round: Z spans e^-24, and sums over pairs tell it."""
    equation = Equation(heads("sa", (diagonal(4.0, 12.0), 0.1)), 0.03, 2)
    zonal, circle = (find_stationary(equation, along(2), on) for on in ("zonal", "circle"))
    slope = np.abs(zonal.point.slope)
    assert slope.max() > 1e7 * slope.min()
    by_order = zonal_spectrum(MomentMap(equation, zonal.grid), zonal.point, 3).modes
    every = sorted((v for mode in by_order for v in mode.eigenvalues.real), reverse=True)
    found = spectrum(circle).modes[0].eigenvalues.real
    assert found[:3] == pytest.approx(every[:3], rel=1e-6)


def test_runs_come_to_rest_at_the_state() -> None:
    """One sa head: order h^2, with the implicit solver on latitudes."""
    a, c, kappa = diagonal(1.0, 1.0, 2.0), 0.8, 0.3
    term = heads("sa", (a, c))
    state = find_stationary(Equation(term, kappa, 3), along(3))
    errors = []
    for vertices in (41, 81):
        space = P1Space(zonal_interval(vertices - 1, 3))
        model = Composite(term.heads, "sa", 3, "zonal")
        theta = space.points[: space.n_owned]
        solver = ImplicitSolver(space, model, state.density(theta), kappa, mf.Implicit(dt=0.5))
        while solver.t < 30.0:
            solver.advance(30.0)
        mean = float(solver.weights * solver.rho @ np.cos(theta[:, 0]))
        errors.append(abs(mean - state.mean_norm))
    assert errors[0] < 2e-3 and errors[0] / errors[1] > 3.5


# ------------------------------------------------------------------ branches


def test_linear_attention_is_maier_saupe() -> None:
    """A = V = I is W = t^2/2: kappa_c = 1/15 and the fold are half of those of t^2."""
    linear = Equation(heads("linear", (np.eye(3), 1.0)), 0.06, 3)
    found = find_branches(linear, "kappa", 0.06, 0.08, along(3))
    assert found.critical == pytest.approx((1.0 / 15.0,), rel=1e-12)
    other = find_branches(Equation(MaierSaupe(), 0.12, 3), "kappa", 0.12, 0.16, along(3))
    assert found.events("fold")[0].parameter * 2.0 == pytest.approx(
        other.events("fold")[0].parameter, rel=1e-10
    )
    assert found.events("fold")[0].parameter == pytest.approx(0.14856 / 2.0, abs=1e-5)


PAIR = heads("usa", (diagonal(0.6, 0.6, 1.2), 1.0), (diagonal(0.5, 0.5, -1.0), 0.5))


@pytest.mark.parametrize(
    ("parameter", "interval"), [("kappa", (0.3, 0.4)), ("heads[0].beta", (0.8, 0.6))]
)
def test_aligned_states_branch_off_the_even_ones(
    parameter: str, interval: tuple[float, float]
) -> None:
    first = with_parameter(Equation(PAIR, 0.3, 3), parameter, interval[0])
    found = find_branches(first, parameter, *interval, along(3))
    aligned, even = found.branches
    assert found.uniform is None and aligned.stopped == EVEN and aligned.name == "aligned"
    (met,), (there,) = ([e for e in b.events if e.kind == "branch point"] for b in found.branches)
    assert met.parameter == pytest.approx(there.parameter, rel=1e-9) and met.mean_norm < 1e-12
    assert np.all(even.column("c_1") == 0.0) and np.all(aligned.stable[:-1])
    p, beyond = even.column("parameter"), np.sign(interval[1] - interval[0])
    apart = np.abs(p - there.parameter) > 1e-9
    assert np.array_equal(even.stable[apart], ((p - there.parameter) * beyond > 0.0)[apart])
    for value, sign in (
        (there.parameter - 1e-4 * beyond, 1.0),
        (there.parameter + 1e-4 * beyond, -1.0),
    ):
        state = find_stationary(with_parameter(first, parameter, value), Uniform(3))
        assert np.sign(spectrum(state).leading) == sign


def test_how_aligned_states_leave_the_even_ones_is_told_by_their_own_perturbations() -> None:
    """m = 2, no edges: the equation is linear, and any |m| up to where edges begin is at rest.

    An azimuthal order of 1, which leaves the symmetry, has the leading eigenvalue.
    """
    interval = (0.26, 0.5)
    found = find_branches(Equation(PAIR, 0.3, 3, m=2.0), "kappa", *interval, along(3))
    aligned, even = found.branches
    assert aligned.stopped == EVEN and even.name == "even"
    (met,) = (e for e in aligned.events if e.mean_norm < 1e-12)
    assert met.kind == "branch point" and met.order == 0
    assert aligned.table[-1, -1] == 1.0 and aligned.column("leading")[-2] > 0.07
    assert abs(aligned.beside) < 1e-12
    words = dict(BranchResult(found, "", Path()).rows())["transition"]
    assert words.startswith("degenerate: aligned states branch off the even states at kappa = 0.26")
    assert float(words.split("|m| up to ")[1].split()[0]) > 0.5


@pytest.mark.parametrize("seed", range(8))
def test_even_states_on_the_circle_tell_the_larger_second_moment(seed: int) -> None:
    """c_2 has no sign of its own: it is that of aligned states where they meet the even ones."""
    a, q = turned(diagonal(1.0 - math.sqrt(0.2), 1.0 + math.sqrt(0.2)), seed)
    equation = Equation(heads("usa", (a, 1.0)), 1.0345, 2)
    even = find_stationary(equation, Uniform(2), "circle")
    assert even.mean_norm < 1e-13 and abs(even.axis @ q[:, 1]) == pytest.approx(1.0, abs=1e-9)
    law = VonMisesFisher(tuple(q[:, 1]), 2.0)
    aligned = find_stationary(equation, law, "circle")
    assert 1e-3 < aligned.mean_norm < 0.05
    assert even.c2 == pytest.approx(aligned.c2, abs=1e-3) and even.c2 > 0.1


def test_a_branch_without_symmetry_on_the_circle() -> None:
    """Of a matrix that is turned: as that of the other one about its axis."""
    a = diagonal(0.6, 1.4)
    b, q = turned(a, 8)
    plain = find_branches(Equation(heads("sa", (a, 0.7)), 0.2, 2), "kappa", 0.2, 0.3, along(2))
    law = VonMisesFisher(tuple(q @ np.array([0.0, 1.0])), 2.0)
    tilted = Equation(heads("sa", (b, 0.7)), 0.2, 2)
    spun = find_aligned(Curve(tilted, "kappa", (0.2, 0.3), NONE), law)
    for found in (plain.branches[0], spun.branches[0]):
        p, m = found.column("parameter"), np.abs(found.column("c_1"))
        assert len(p) > 5 and found.stopped in ("the end of the interval", EVEN)
        k = len(p) // 2
        equation = Equation(heads("sa", (a, 0.7)), float(p[k]), 2)
        assert m[k] == pytest.approx(find_stationary(equation, along(2)).mean_norm, abs=1e-11)
    assert spun.branches[0].column("leading")[0] == pytest.approx(
        plain.branches[0].column("leading")[0], rel=1e-8
    )


# ------------------------------------------------------------------ cases

CASE: dict[str, Any] = {
    "geometry": {"type": "zonal", "d": 3, "vertices": 41},
    "model": {"attention": "usa", "kappa": 0.3, "heads": [
        {"A": np.diag([0.6, 0.6, 1.2]).tolist(), "V": np.diag([0.6, 0.6, 1.2]).tolist()},
    ]},
    "initial": {"type": "von-mises-fisher", "mean": [0.0, 0.0, 1.0], "concentration": 2.0},
    "solver": {"type": "implicit"},
    "time": {"end": 1.0},
}  # fmt: skip


def changed(**model: object) -> dict[str, Any]:
    return {**CASE, "model": {**CASE["model"], **model}}


def head(q: Array, v: Array | None = None, beta: float = 1.0) -> dict[str, object]:
    return {"beta": beta, "Q": q.tolist(), "V": (q if v is None else v).tolist()}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"attention": "sa", "heads": [head(np.eye(3)), head(np.eye(3))]}, "softmax heads that are"),
    ({"heads": [head(np.array([[1.0, 1, 0], [-1, 1, 0], [0, 0, 1]]))]}, "not symmetric"),
    ({"heads": [head(np.eye(3), diagonal(1.0, 1.0, 2.0))]}, "no multiple of A"),
    (
        {"attention": "sinkhorn", "heads": [head(np.eye(3), np.eye(3), 2.0)]},
        "no function of something linear in the measure",
    ),
    ({"attention": "l2"}, "l2 attention"),
    ({"attention": "hardmax", "heads": [{"Q": np.eye(3).tolist()}]}, "hardmax attention"),
    (
        {"strength": {"type": "power", "exponent": 1.0}, "heads": [], "beta": 1.0},
        r"model\.strength: found",
    ),
]


@pytest.mark.parametrize(("model", "words"), REFUSED)
def test_what_has_no_energy_is_refused_with_the_reason(
    model: dict[str, Any], words: str, tmp_path: Path
) -> None:
    for ask in (
        lambda: mf.stationary(changed(**model), tmp_path / "a", progress=False),
        lambda: mf.branch(changed(**model), "kappa", 0.1, 0.2, tmp_path / "a", progress=False),
    ):
        with pytest.raises(InputError, match=words) as caught:
            ask()
        assert "\n" not in str(caught.value) and str(caught.value).startswith("model.")
    assert not (tmp_path / "a").exists()


def test_numbers_that_a_branch_may_vary() -> None:
    two = [{"beta": 1.0}, {"beta": 1.0, "V": "identity"}]
    model = mf.Model(**{**CASE["model"], "heads": two})
    known = ("kappa", "heads[0].beta", "heads[1].beta", "heads.beta", "diffusion.exponent")
    assert model.parameters == known
    both = model.replaced("heads.beta", 2.0)
    assert [one.beta for one in both.heads] == [2.0, 2.0]
    one = model.replaced("heads[1].beta", 3.0)
    assert [one.beta for one in one.heads] == [1.0, 3.0] and "heads.beta" not in one.parameters
    assert mf.Model(**CASE["model"]).parameters == ("kappa", "diffusion.exponent")
    known = ("kappa", "beta", "diffusion.exponent")
    assert mf.Model(attention="sigmoid", beta=2.0).parameters == known
    assert mf.Model(attention="sigmoid", beta=2.0).replaced("beta", 1.0).beta == 1.0
    # With and without a case the same numbers.
    equation = Equation(model.gibbs(3), 0.3, 3)
    assert tuple(equation.parameters) == model.parameters
    varied = with_parameter(equation, "heads.beta", 2.0).term
    assert isinstance(varied, GibbsHeads) and set(varied.parameters.values()) == {2.0}
    made = both.gibbs(3)
    assert isinstance(made, GibbsHeads)
    assert np.array_equal(varied.heads[0].A, made.heads[0].A)
    assert "heads.beta" not in with_parameter(equation, "heads[1].beta", 3.0).parameters


def test_heads_cannot_be_varied_to_nothing(tmp_path: Path) -> None:
    two = [{"beta": 1.0}, {"beta": 1.0, "V": "identity"}]
    for ends in ((1.0, 0.0), (0.0, 1.0)):
        with pytest.raises(
            InputError, match=r"heads\[0\]\.beta from . to . found: 0 cannot be an end"
        ):
            mf.branch(changed(heads=two), "heads[0].beta", *ends, tmp_path / "a", progress=False)


def test_where_z_is_lost_the_reason_is_not_a_narrow_state() -> None:
    """A = diag(1, 1, 60), V = A/20: Z spans more than 1e14; a state that is narrow says so."""
    a = diagonal(1.0, 1.0, 60.0)
    with pytest.raises(InputError, match="Z spans more digits than doubles have"):
        find_stationary(Equation(heads("sa", (a, 0.05)), 0.2, 3), along(3, 3.0))


def test_the_verbs(tmp_path: Path) -> None:
    found = mf.stationary(CASE, tmp_path / "a", progress=False)
    assert isinstance(found.state, StationaryState) and found.state.residual < 1e-13
    assert dict(found.rows())["F - F_uniform"].startswith("-")
    done = mf.branch(CASE, "kappa", 0.45, 0.6, tmp_path / "b", progress=False)
    words = dict(done.rows())
    assert words["uniform"] == "no state under these heads" and done.warnings == []
    assert words["transition"].startswith("continuous: aligned states branch off the even states")
    assert (tmp_path / "b" / "figures" / "branch.png").exists()
    for solid in ("octahedral", "none"):
        with pytest.raises(InputError, match=rf"symmetry: found {solid}"):
            problem = mf.Problem.of(CASE).with_symmetry(solid)
            mf.branch(problem, "kappa", 0.3, 0.5, tmp_path / "c", progress=False)


def test_the_circle_tells_what_else_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    b = turned(diagonal(0.6, 1.4), 8)[0].tolist()
    Path("case.toml").write_text(
        f"""
[geometry]
type = "circle"
vertices = 80
[model]
attention = "usa"
kappa = 0.3
heads = [{{ A = {b}, V = {b} }}]
[initial]
type = "von-mises-fisher"
mean = [0.6, 0.8]
concentration = 1.0
[time]
end = 1.0
""",
        encoding="utf-8",
    )
    asked = ["branch", "case.toml", "--parameter", "kappa", "--from", "0.3", "--to", "0.35"]
    assert cli.main(asked) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--symmetry none" in err
    assert cli.main([*asked, "--symmetry", "none", "--no-progress"]) == 0
    assert "aligned" in capsys.readouterr().out
