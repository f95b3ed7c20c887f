"""Densities by position, in slices: against plain sums, SciPy, and what masks cannot change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield.case.solvers import Lagrangian
from meanfield.collective import Alone
from meanfield.dynamics.lagrangian import LagrangianSolver, SlicedSolver
from meanfield.errors import InputError
from meanfield.geometry.laws import ByPosition, Law, law_at
from meanfield.geometry.mesh import Mesh, circle, icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import SelfAttention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.masks import Alibi, Causal, GivenMask, Mask, Window
from meanfield.interaction.measure import Measure
from meanfield.interaction.sliced import Sliced

M, V = 5, 14
GIVEN = np.random.default_rng(5).random((M, M)) * (1.0 - np.eye(M, k=2))
MASKS: dict[str, Mask] = {
    "causal": Causal(),
    "alibi": Alibi(3.0),
    "both ways": Alibi(3.0, causal=False),
    "matrix": GivenMask(GIVEN),
}


def heads(d: int) -> tuple[HeadMatrices, ...]:
    rng = np.random.default_rng(1)
    return tuple(HeadMatrices(rng.normal(size=(d, d)), rng.normal(size=(d, d))) for _ in range(2))


def points(n: int, d: int) -> Array:
    x = np.random.default_rng(0).normal(size=(n, d))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def plain_sums(
    all_heads: tuple[HeadMatrices, ...], x: Array, m: Array, factors: Array, over: Array | None
) -> Array:
    """Velocities of tokens with factors (n, n); ``over``: what usa divides by."""
    out = np.zeros_like(x)
    for head in all_heads:
        weights = m * factors * np.exp(x @ head.A.T @ x.T)
        below = weights.sum(axis=1) if over is None else over
        out += (weights @ x @ head.V.T) / below[:, None]
    return np.asarray(out - np.sum(x * out, axis=1, keepdims=True) * x)


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("d", [2, 3])
def test_the_field_is_that_of_plain_sums(d: int, name: str, kind: str) -> None:
    slices = MASKS[name].slices(M)
    factors, seen = (np.kron(part, np.ones((V, V))) for part in slices)
    m = np.random.default_rng(2).random(M * V)
    m /= m.sum()
    x, drift = points(M * V, d), np.random.default_rng(3).normal(size=(d, d))
    geometry = {2: "circle", 3: "sphere"}[d]
    over = seen @ m if kind == "usa" else None
    expected = plain_sums(heads(d), x, m, factors, over)
    added = x @ drift.T
    expected += added - np.sum(x * added, axis=1, keepdims=True) * x
    for method in ("harmonics", "direct"):
        whole = Composite(heads(d), kind, d, geometry, method, 1e-12, (LinearDrift(drift),))
        field = Sliced(whole, slices, kind == "sa").field(Measure(x, m))
        v, divergence = field.velocity_and_divergence(x)
        np.testing.assert_allclose(v, expected, rtol=0.0, atol=1e-9 * np.abs(expected).max())
        np.testing.assert_allclose(field.own_velocity(), v, rtol=0.0, atol=1e-11)
        for a, one in enumerate(field.slices):
            block = slice(a * V, (a + 1) * V)
            alone = one.divergence(x[block])
            np.testing.assert_allclose(divergence[block], alone, rtol=1e-9, atol=1e-9)
        assert field.mass == pytest.approx(1.0)


def test_a_mask_in_slices_is_its_mean_over_positions() -> None:
    """By quadrature: f(s_a, s), s_a the middle of slice a, averaged over slice b."""
    fine = 4000
    s = (np.arange(M * fine) + 0.5) / (M * fine)
    for mask in (Causal(), Alibi(3.0), Alibi(3.0, causal=False), Alibi(0.0)):
        factors, seen = mask.slices(M)
        slope = mask.slope if isinstance(mask, Alibi) else 0.0
        causal = not isinstance(mask, Alibi) or mask.causal
        for a in range(M):
            there = (s < (a + 0.5) / M) if causal else np.ones(s.size, dtype=bool)
            f = np.exp(-slope * np.abs((a + 0.5) / M - s)) * there
            np.testing.assert_allclose(factors[a], f.reshape(M, -1).mean(axis=1), atol=1e-6)
            np.testing.assert_allclose(seen[a], there.reshape(M, -1).mean(axis=1), atol=1e-12)
    steep = Alibi(1e6).slices(M)
    assert np.all(np.diag(steep.factors) > 0.0) and np.all(np.isfinite(steep.factors))


def test_masks_without_a_length_in_s_are_refused() -> None:
    with pytest.raises(InputError, match="window of 3 found for a density by position"):
        Window(3).slices(M)
    with pytest.raises(InputError, match="a 5 x 5 matrix found for 4 slices"):
        GivenMask(GIVEN).slices(4)
    whole = Composite(heads(2), "sa", 2, "circle")
    with pytest.raises(InputError, match="slice 0 sees nothing"):
        Sliced(whole, Causal().slices(M)._replace(factors=np.tri(M, k=-1)), True)
    with pytest.raises(InputError, match="as many in each of 5 slices"):
        Sliced(whole, Causal().slices(M), True).field(Measure.equal(points(7, 2)))


# ------------------------------------------------------------------ paths

COARSE = pytest.mark.filterwarnings("ignore:a mesh of .* resolves harmonics")

FIRST = mf.VonMisesFisher((1.0, 0.0), 1.0)
BY_POSITION = ByPosition(FIRST, mf.VonMisesFisher((-0.6, 0.8), 3.0))


def attention(beta: float = 4.0, kind: str = "sa", d: int = 2) -> AnyInteraction:
    geometry = {2: "circle", 3: "sphere"}[d]
    return Interaction(SelfAttention(kind, beta), d, geometry)  # type: ignore[arg-type]


def solver(
    law: Law, mesh: Mesh, number: int, mask: Mask, whole: AnyInteraction, rtol: float = 1e-9
) -> SlicedSolver:
    model = Sliced(whole, mask.slices(number), True)
    laws = [law_at(law, (a + 0.5) / number).density for a in range(number)]
    return SlicedSolver(model, mesh, laws, options=Lagrangian(rtol=rtol, atol=1e-11))


def run(one: LagrangianSolver, end: float) -> None:
    while one.t < end:
        one.advance(end)


@COARSE
def test_slices_are_weighted_tokens() -> None:
    """The same ordinary equations by SciPy, with the factors of a block mask."""
    number, mask = 4, Alibi(2.0)
    made = solver(BY_POSITION, circle(16), number, mask, attention())
    x, m = made.positions(), made.mass
    factors = np.kron(mask.slices(number).factors, np.ones((16, 16)))
    head = (HeadMatrices(4.0 * np.eye(2), np.eye(2)),)

    def rates(t: float, y: Array) -> Array:
        return plain_sums(head, y.reshape(-1, 2), m, factors, None).ravel()

    known = solve_ivp(rates, (0.0, 1.0), x.ravel(), "DOP853", rtol=1e-11, atol=1e-12)
    run(made, 1.0)
    np.testing.assert_allclose(made.positions().ravel(), known.y[:, -1], rtol=0.0, atol=1e-8)
    assert np.abs(made.positions() - x).max() > 0.3


@pytest.mark.parametrize("mask", [Causal(), Alibi(2.0)])
@COARSE
@pytest.mark.parametrize("mesh", [circle(48), icosphere(2)])
def test_of_a_law_without_positions_every_slice_is_attention_without_a_mask(
    mesh: Mesh, mask: Mask
) -> None:
    d = mesh.d
    law = FIRST if d == 2 else mf.VonMisesFisher((0.0, 0.6, 0.8), 2.0)
    made = solver(law, mesh, 3, mask, attention(d=d))
    plain = LagrangianSolver(
        attention(d=d), mesh, law.density, options=Lagrangian(rtol=1e-9, atol=1e-11, merge=False)
    )
    for one in (made, plain):
        run(one, 0.7)
    for x, log_rho in zip(
        made.of_slices(made.positions()), made.of_slices(made.log_density()), strict=True
    ):
        np.testing.assert_allclose(x, plain.positions(), rtol=0.0, atol=2e-9)
        np.testing.assert_allclose(log_rho, plain.log_density(), rtol=0.0, atol=2e-8)
    assert made.mass.sum() == pytest.approx(1.0, abs=1e-14)


def test_the_first_slice_moves_without_a_mask_and_notices_nothing_behind_it() -> None:
    """What s -> 0 sees is mu(0, .) itself: no token that sees itself alone."""
    made = solver(BY_POSITION, circle(48), 4, Causal(), attention())
    alone = BY_POSITION.at(0.125).density
    plain = LagrangianSolver(attention(), circle(48), alone, options=made.options)
    other = ByPosition(BY_POSITION.at(0.5), mf.Uniform(2))
    later = [*(BY_POSITION.at((a + 0.5) / 4).density for a in range(2)),
             *(other.at(s).density for s in (0.7, 0.9))]  # fmt: skip
    model = Sliced(attention(), Causal().slices(4), True)
    changed = SlicedSolver(model, circle(48), later, options=made.options)
    for one in (made, plain, changed):
        run(one, 1.0)
    found, same = (one.of_slices(one.positions()) for one in (made, changed))
    np.testing.assert_allclose(found[0], plain.positions(), rtol=0.0, atol=2e-9)
    np.testing.assert_allclose(same[:2], found[:2], rtol=0.0, atol=2e-9)
    assert np.abs(same[3] - found[3]).max() > 1e-2


def means(number: int, end: float, mask: Mask, vertices: int = 24) -> Array:
    """int x dmu of the whole."""
    made = solver(BY_POSITION, circle(vertices), number, mask, attention(2.0), 1e-7)
    run(made, end)
    return np.asarray(made.mass @ made.positions())


def fall(of: Callable[[int], Array], numbers: list[int], finest: int, last: float) -> None:
    known = of(finest)
    errors = [np.linalg.norm(of(number) - known) for number in numbers]
    rates = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    # M^-2 log M: rates below 2 that rise.
    assert np.all(rates > 1.4) and np.all(np.diff(rates) > 0.0), (errors, rates)
    assert errors[-1] < last, errors


@COARSE
def test_errors_fall_with_the_number_of_slices() -> None:
    fall(lambda number: means(number, 1.0, Causal()), [2, 4, 8], 32, 5e-3)


@pytest.mark.slow
@COARSE
@pytest.mark.parametrize("mask", [Causal(), Alibi(4.0)])
def test_up_to_32_slices(mask: Mask) -> None:
    fall(lambda number: means(number, 2.0, mask), [4, 8, 16, 32], 128, 1.5e-3)


@COARSE
def test_a_state_goes_on() -> None:
    one, two, three = (
        solver(BY_POSITION, circle(24), 4, Causal(), attention(), 1e-7) for _ in range(3)
    )
    run(one, 0.5)
    two.restore(one.state())
    for made in (one, two):
        run(made, 1.0)
    np.testing.assert_array_equal(two.positions(), one.positions())
    np.testing.assert_allclose(two.log_density(), one.log_density(), rtol=0.0, atol=1e-14)
    run(three, 1.0)
    np.testing.assert_allclose(three.positions(), one.positions(), rtol=0.0, atol=1e-6)


class Two(Alone):
    size = 2


def test_what_slices_do_not_have_is_refused() -> None:
    model, laws = Sliced(attention(), Causal().slices(2), True), [FIRST.density] * 2
    with pytest.raises(InputError, match="2 processes found, one expected"):
        SlicedSolver(model, circle(48), laws, comm=Two())
    made = SlicedSolver(model, circle(48), laws)
    assert made.interaction.energy_kind is None and "not mutual" in made.interaction.why_no_energy
    with pytest.raises(InputError, match="an order has no energy"):
        made.field().along_edges(made.interaction.locate(circle(48).points))
