"""Characteristics under normalisation schemes: SciPy, exact results, invariants, restart."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ranks import on_ranks
from scipy.integrate import solve_ivp

from meanfield.analysis.columns.view import CharacteristicView
from meanfield.case import Lagrangian
from meanfield.case.normalisation import (
    Mix,
    Ngpt,
    Normalisation,
    Peri,
    Plain,
    Post,
    Pre,
    Rates,
    Sandwich,
    Sqrt,
)
from meanfield.dynamics.lagrangian import LagrangianSolver, SchemedSolver
from meanfield.dynamics.lagrangian.sheet import log_spread, sheet_rates, straightened
from meanfield.errors import InputError
from meanfield.geometry.laws import Mixture, Uniform, VonMisesFisher, standard_density
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array, random_rotation
from meanfield.interaction.anyfield import Output
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction

_TIGHT = Lagrangian(rtol=1e-11, atol=1e-13)
_SCHEMES: dict[str, Normalisation] = {
    "pre": Pre(length=1.5),
    "mix": Mix(switch=0.3, length=0.8),
    "peri": Peri(length=0.7),
    "ngpt": Ngpt(alpha=0.6),
    "sqrt": Sqrt(),
    "sandwich": Sandwich(),
}
_LAW = Mixture((VonMisesFisher((1.0, 0.3), 3.0), VonMisesFisher((-1.0, 1.0), 2.0)), (0.7, 0.3))
_MATRICES = np.random.default_rng(7).normal(size=(2, 2, 3, 3))


def _make(
    scheme: Normalisation, mesh: Mesh, attention: AnyInteraction | None = None, **more: Any
) -> SchemedSolver:
    d = mesh.d
    density = standard_density().density if d == 3 else _LAW.density
    model = Attention("sa", 2.0, d, mesh.geometry) if attention is None else attention
    more = {"options": _TIGHT, **more}
    return SchemedSolver(model, mesh, more.pop("density", density), scheme, **more)


def _run(solver: LagrangianSolver, end: float) -> Any:
    while solver.t < end:
        solver.advance(end)
    return solver


def _tokens(
    scheme: Normalisation, solver: SchemedSolver, end: float, *, softmax: bool = True,
    value: int = 1, labels: Array | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """The same masses by SciPy: attention of e^{2 <x, y>} over all pairs, and r.

    Many by the compiled sums of ``outputs``. ``labels`` are further directions, without mass and as
    long as the first one.
    """
    x, m, r = solver.positions(), solver.mass, solver.lengths()
    if labels is not None:
        x, m = np.concatenate([x, labels]), np.append(m, np.zeros(len(labels)))
        r = np.append(r, np.full(len(labels), r[0]))
    n, d = x.shape

    def rates(t: float, y: Array) -> Array:
        theta, r = y[: n * d].reshape(n, d), y[n * d :]
        theta = theta / np.linalg.norm(theta, axis=1, keepdims=True)
        if n > 1000:
            out = solver.interaction.outputs(theta, m)
        else:
            e = m * np.exp(2.0 * (theta @ theta.T))
            out = value * (e @ theta) / (e.sum(axis=1, keepdims=True) if softmax else 1.0)
        along = np.sum(theta * out, axis=1)
        found = scheme.rates(along, np.linalg.norm(out, axis=1), r, t)
        moved = found.factor[:, None] * (out - along[:, None] * theta)
        return np.concatenate([moved.ravel(), found.growth])

    y = np.concatenate([x.ravel(), r])
    times = [0.0, end]
    switch = scheme.next_jump(0.0)
    times[1:1] = [switch] if switch < end else []
    for begin, stop in itertools.pairwise(times):
        last = np.nextafter(stop, 0.0)
        y = solve_ivp(
            lambda t, y, last=last: rates(min(t, last), y),
            (begin, stop), y, method="DOP853", rtol=1e-12, atol=1e-13,
        ).y[:, -1]  # fmt: skip
    return y[: n * d].reshape(n, d), y[n * d :]


# ------------------------------------------------------------------ accuracy


@pytest.mark.parametrize("name", _SCHEMES)
@pytest.mark.parametrize(
    "mesh", [circle(96), pytest.param(icosphere(2), marks=pytest.mark.slow)], ids=["S1", "S2"]
)
def test_positions_and_lengths_of_all_masses_by_scipy(name: str, mesh: Mesh) -> None:
    """One quadrature, so to tolerances; with transforms, whatever the number of points."""
    scheme = _SCHEMES[name]
    attention = Attention("sa", 2.0, mesh.d, mesh.geometry, method="harmonics")
    solver = _make(scheme, mesh, attention)
    x, r = _tokens(scheme, solver, 0.8)
    _run(solver, 0.8)
    np.testing.assert_allclose(solver.positions(), x, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(solver.lengths(), r, rtol=1e-9)
    assert np.max(np.abs(x - mesh.points)) > 0.1


def test_heads_by_direct_sums() -> None:
    """Two heads with matrices: post by this way as without, pre with the lengths of a check."""
    heads = tuple(HeadMatrices(a, v) for a, v in _MATRICES)
    model, mesh = Composite(heads, "sa", 3, "sphere"), icosphere(2)
    options = Lagrangian(rtol=1e-9, atol=1e-11)
    law = standard_density().density
    plain = _run(LagrangianSolver(model, mesh, law, options=options), 0.3)
    found = _run(_make(Post(), mesh, model, options=options), 0.3)
    np.testing.assert_allclose(found.positions(), plain.positions(), rtol=0.0, atol=1e-7)
    np.testing.assert_allclose(found.log_density(), plain.log_density(), rtol=0.0, atol=1e-6)
    pre = _make(Pre(length=3.0), mesh, model, options=options)
    x, dt = pre.positions(), 1e-4
    along = np.einsum("ni,ni->n", x, model.outputs(x, pre.mass))
    pre.advance(dt)
    np.testing.assert_allclose((pre.lengths() - 3.0) / dt, along, rtol=0.0, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pre", "peri"])
def test_four_thousand_masses(name: str) -> None:
    """Issue 12: pre and peri against more than 4 000 tokens, to 1e-8."""
    scheme = _SCHEMES[name]
    solver = _make(scheme, circle(4096))
    x, r = _tokens(scheme, solver, 0.5)
    _run(solver, 0.5)
    np.testing.assert_allclose(solver.positions(), x, rtol=0.0, atol=1e-8)
    np.testing.assert_allclose(solver.lengths(), r, rtol=1e-8)


@pytest.mark.parametrize("value", [1, -1])
def test_usa_and_repulsion(value: int) -> None:
    scheme = Pre(length=2.0)
    solver = _make(scheme, circle(64), Attention("usa", 2.0, 2, "circle", value))
    x, r = _tokens(scheme, solver, 0.2, softmax=False, value=value)
    _run(solver, 0.2)
    np.testing.assert_allclose(solver.positions(), x, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(solver.lengths(), r, rtol=1e-9)
    assert np.all((solver.lengths() - 2.0) * value > 0.0)


def test_sqrt_is_a_change_of_time() -> None:
    """t' = 2 (sqrt(1 + t) - 1): without a scheme until then, to all digits, log rho too."""
    mesh, end = icosphere(3), 1.25
    schemed = _run(_make(Sqrt(), mesh), end)
    model = Attention("sa", 2.0, 3, "sphere")
    plain = LagrangianSolver(model, mesh, standard_density().density, options=_TIGHT)
    _run(plain, 2.0 * (np.sqrt(1.0 + end) - 1.0))
    np.testing.assert_allclose(schemed.positions(), plain.positions(), rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(schemed.log_density(), plain.log_density(), rtol=0.0, atol=1e-8)


def test_post_by_this_way_is_what_there_is_without() -> None:
    mesh = icosphere(3)
    model = Attention("sa", 2.0, 3, "sphere")
    plain = LagrangianSolver(model, mesh, standard_density().density, options=_TIGHT)
    _run(plain, 1.0)
    found = _run(_make(Post(), mesh), 1.0)
    np.testing.assert_allclose(found.positions(), plain.positions(), rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(found.log_density(), plain.log_density(), rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("name", _SCHEMES)
@pytest.mark.parametrize(
    "mesh", [circle(96), pytest.param(icosphere(2), marks=pytest.mark.slow)], ids=["S1", "S2"]
)
def test_density_by_the_jacobian_of_the_flow(name: str, mesh: Mesh) -> None:
    """Labels without mass at both sides of some vertices follow the masses, by SciPy."""
    scheme, h, d = _SCHEMES[name], 1e-4, mesh.d
    some = np.arange(0, mesh.n_vertices, 5)
    near = mesh.points[some]
    along = np.linalg.svd(near[:, None, :])[2][:, 1:, :].transpose(1, 0, 2)
    sides = [np.cos(h) * near + s * np.sin(h) * w for w in along for s in (1.0, -1.0)]
    solver = _make(scheme, mesh)
    first = solver.log_density()
    x, _ = _tokens(scheme, solver, 0.8, labels=np.concatenate(sides))
    ends = x[mesh.n_vertices :].reshape(d - 1, 2, len(some), d)
    moved = (ends[:, 0] - ends[:, 1]).transpose(1, 0, 2) / (2.0 * np.sin(h))
    frames = np.concatenate([x[some][:, None, :], moved], axis=1)
    known = first[some] - np.log(np.abs(np.linalg.det(frames)))
    found = _run(solver, 0.8).log_density()
    np.testing.assert_allclose(found[some], known, rtol=0.0, atol=1e-6)
    assert np.max(np.abs(found - first)) > 0.3


class _Faster:
    """theta' = r X, r' = 0."""

    def rates(self, along: Array, size: Array, r: Array, t: float) -> Rates:
        return Rates(r, np.zeros_like(r))


def test_density_beyond_a_fold() -> None:
    """phi = phi_0 + r t with r = 1 + sin(phi_0)/2: rho = rho_0/|1 + t cos(phi_0)/2|, also t > 2."""
    angle, dt, steps = np.linspace(0.0, 6.2, 41), 0.02, 150
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    r = 1.0 + 0.5 * np.sin(angle)
    y = np.column_stack([x, np.log(r)])
    slope = 0.5 * np.cos(angle) / r
    raw = np.column_stack([-np.sin(angle), np.cos(angle), slope])[:, None, :]
    tangents, log_rho = straightened(x, raw).tangents, np.zeros(len(x))
    np.testing.assert_allclose(np.linalg.norm(tangents, axis=2), 1.0, rtol=1e-14)

    def rates(y: Array, tangents: Array) -> tuple[Array, Array]:
        x = y[:, :2] / np.linalg.norm(y[:, :2], axis=1, keepdims=True)
        along = np.column_stack([-x[:, 1], x[:, 0]])
        out = Output(along, -np.einsum("ni,nj->nij", x, along))
        return sheet_rates(_Faster(), out, x, y[:, 2], tangents, 0.0)

    for _ in range(steps):
        k1 = rates(y, tangents)
        k2 = rates(y + 0.5 * dt * k1[0], tangents + 0.5 * dt * k1[1])
        k3 = rates(y + 0.5 * dt * k2[0], tangents + 0.5 * dt * k2[1])
        k4 = rates(y + dt * k3[0], tangents + dt * k3[1])
        moved, new = (
            old + dt / 6.0 * (a + 2.0 * b + 2.0 * c + e)
            for old, a, b, c, e in zip((y, tangents), k1, k2, k3, k4, strict=True)
        )
        moved[:, :2] /= np.linalg.norm(moved[:, :2], axis=1, keepdims=True)
        log_rho += log_spread(y[:, :2], tangents) - log_spread(moved[:, :2], new)
        y, tangents = moved, straightened(moved[:, :2], new).tangents
    spread = 1.0 + 0.5 * dt * steps * np.cos(angle)
    assert np.any(spread < -0.1)
    np.testing.assert_allclose(log_rho, -np.log(np.abs(spread)), rtol=0.0, atol=1e-5)


def test_nothing_is_for_others() -> None:
    """In one line each."""
    with pytest.raises(InputError, match="characteristics do not have"):
        _make(Plain(), circle(32))
    with pytest.raises(InputError, match=r"^scheme: found a gain"):
        _make(Sandwich(gain=2.0), circle(61))
    law = Uniform(4)
    with pytest.raises(InputError, match=r"outputs before their projection .* 'zonal'"):
        _make(Pre(), zonal_interval(65, 4), density=law.density)


# ------------------------------------------------------------------ invariants


@pytest.mark.parametrize("name", _SCHEMES)
@pytest.mark.parametrize("mesh", [icosphere(3), circle(64)], ids=["S2", "S1"])
def test_uniform_density_rests(name: str, mesh: Mesh) -> None:
    scheme = _SCHEMES[name]
    solver = _make(scheme, mesh, density=Uniform(mesh.d).density)
    x = solver.positions()
    _run(solver, 1.0)
    np.testing.assert_allclose(solver.positions(), x, rtol=0.0, atol=1e-10)
    assert np.max(np.abs(solver.log_density())) < 1e-9
    if name == "pre" and mesh.d == 3:  # r' = coth(beta) - 1/beta
        grown = 1.5 + 1.0 / np.tanh(2.0) - 0.5
        np.testing.assert_allclose(solver.lengths(), grown, rtol=1e-9)
    if name == "peri":
        np.testing.assert_allclose(solver.lengths(), 1.7, rtol=1e-9)


@pytest.mark.parametrize("name", ["pre", "peri"])
def test_mass_and_energy(name: str) -> None:
    """Masses stay to the last bit, and E grows: 1/s > 0."""
    solver = _make(_SCHEMES[name], icosphere(3), options=Lagrangian())
    masses, energy = solver.mass.copy(), solver.field().energy_excess()
    while solver.t < 1.5:
        solver.advance(1.5)
        now = solver.field().energy_excess()
        assert now >= energy - 1e-12 * abs(now)
        energy = now
    np.testing.assert_array_equal(solver.mass, masses)
    assert solver.energy_violations == 0 and solver.points == solver.n
    h, told = 1e-3, CharacteristicView(solver).dissipation
    _run(solver, 1.5 + h)
    after = solver.field().energy_excess()
    ends = CharacteristicView(solver).dissipation
    assert after - energy == pytest.approx(0.5 * h * (told + ends), rel=1e-5)
    paces = solver.paces()
    speed, x = solver.field().velocity(solver.positions()), solver.velocity()
    np.testing.assert_allclose(x, paces[:, None] * speed, rtol=1e-9, atol=1e-12)


def test_rotation_equivariance() -> None:
    turn = random_rotation(3, np.random.default_rng(5))
    law, mesh = standard_density(), icosphere(3)
    turned = replace(mesh, points=mesh.points @ turn.T)
    one = _run(_make(Peri(), mesh), 0.8)
    other = _run(_make(Peri(), turned, density=lambda x: law.density(x @ turn)), 0.8)
    np.testing.assert_allclose(other.positions(), one.positions() @ turn.T, atol=1e-8)
    np.testing.assert_allclose(other.log_density(), one.log_density(), atol=1e-7)
    np.testing.assert_allclose(other.lengths(), one.lengths(), rtol=1e-8)


def test_what_collapses_becomes_one_without_lengths_only() -> None:
    """Lengths of what meets differ; log rho goes on in both cases."""
    law = VonMisesFisher((0.3, 1.0), 8.0)
    for scheme, points in ((Sandwich(), 1), (Pre(), 64)):
        options = Lagrangian(rtol=1e-6, atol=1e-8)
        solver = _make(scheme, circle(64), options=options, density=law.density)
        _run(solver, 30.0)
        assert solver.points == points
        assert np.all(np.isfinite(solver.log_density()))


@pytest.mark.parametrize("size", [2, 3])
def test_ranks(size: int) -> None:
    mesh = circle(61)
    one = _run(_make(Peri(), mesh), 0.6)

    def several(comm: Any) -> tuple[Array, Array, Array]:
        solver = _run(_make(Peri(), mesh, comm=comm), 0.6)
        return solver.positions(), solver.lengths(), solver.log_density()

    for found in on_ranks(size, several):
        assert not isinstance(found, Exception), found
        for values, known in zip(
            found, (one.positions(), one.lengths(), one.log_density()), strict=True
        ):
            np.testing.assert_allclose(values, known, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("name", ["mix", "peri", "ngpt"])
def test_restart(name: str) -> None:
    """Steps after it are those of one long run."""
    whole, first, again = (_make(_SCHEMES[name], circle(61), options=Lagrangian()) for _ in "123")
    for solver in (whole, first):
        for _ in range(4):
            solver.advance(2.0)
    again.restore(first.state())
    for solver in (whole, again):
        _run(solver, 2.0)
    assert again.step == whole.step
    np.testing.assert_array_equal(again.positions(), whole.positions())
    np.testing.assert_array_equal(again.lengths(), whole.lengths())
    np.testing.assert_allclose(again.log_density(), whole.log_density(), rtol=0.0, atol=1e-13)
