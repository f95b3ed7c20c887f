"""Zonal kernels: coefficients, derivatives, sums over pairs, signs, and what they are refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import reference
from kernels import EVERY, ONE_OF_EACH, ROUGH, SMOOTH, waves
from scipy import integrate, special

from meanfield.errors import InputError
from meanfield.geometry.laws import VonMisesFisher
from meanfield.geometry.manifolds import Latitudes
from meanfield.geometry.sphere import Array, harmonic_dimension, uniform_points
from meanfield.interaction import pairs
from meanfield.interaction.attention import Attention
from meanfield.interaction.expansion import Expansion
from meanfield.interaction.funkhecke import project
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import (
    KERNELS,
    BoundedConfidence,
    Exponential,
    FunctionKernel,
    Gaussian,
    Log,
    MaierSaupe,
    Onsager,
    Power,
    Riesz,
    Series,
)
from meanfield.interaction.measure import Measure


def test_every_kind_of_kernel_is_among_those_tried() -> None:
    assert {kernel.type for kernel in EVERY.values()} == set(KERNELS)
    assert {name: kernel.type for name, kernel in ONE_OF_EACH.items()} == {n: n for n in KERNELS}


# ------------------------------------------------------------------ coefficients


@pytest.mark.parametrize("d", [2, 3, 4, 8])
@pytest.mark.parametrize(
    "name", [n for n in EVERY if EVERY[n].type not in ("gaussian", "bounded-confidence")]
)
def test_closed_forms_are_projections(name: str, d: int) -> None:
    kernel = EVERY[name]
    levels = 48 if not (isinstance(kernel, Riesz) and d == 2) else 120
    found = project(lambda t, u: kernel.w(t, u, d), 24, d, levels=levels)
    if name == "hat":
        found = project(lambda t, u: kernel.w(t, u, d), 24, d, (math.cos(1.0),))
    wanted = kernel.lam(24, d)
    assert np.max(np.abs(found - wanted)) < 2e-14 * np.max(np.abs(wanted))


@pytest.mark.parametrize("d", [2, 3, 5])
def test_projections_against_adaptive_quadrature(d: int) -> None:
    # SciPy's, of a kernel that has no closed form, with Gegenbauer polynomials of SciPy's.
    kernel = BoundedConfidence(c=0.4, width=0.05)
    norm = math.gamma(0.5 * d) / (math.gamma(0.5 * (d - 1)) * math.sqrt(math.pi))
    lam = kernel.lam(9, d)

    def polynomial(l: int, t: float) -> float:
        if d == 2:
            return float(special.eval_chebyt(l, t))
        return float(
            special.eval_gegenbauer(l, 0.5 * d - 1.0, t)
            / special.eval_gegenbauer(l, 0.5 * d - 1.0, 1.0)
        )

    for l in (0, 1, 2, 5, 9):

        def integrand(theta: float, l: int = l) -> float:
            t = math.cos(theta)
            w = kernel.w(np.array([t]), np.array([1.0 - t]), d)[0]
            return float(norm * math.sin(theta) ** (d - 2) * w * polynomial(l, t))

        value = integrate.quad(integrand, 0.0, math.pi, points=[math.acos(0.4)], epsabs=1e-13)[0]
        assert lam[l] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_derivatives_are_those_of_the_kernel(name: str) -> None:
    kernel, d, h = EVERY[name], 3, 1e-5
    t = np.array([-0.83, -0.31, 0.02, 0.37, 0.71, 0.93])
    unit = kernel.unit

    def w(t: Array) -> Array:
        return kernel.w(t, 1.0 - t, d)

    slope = (8 * (w(t + h) - w(t - h)) - (w(t + 2 * h) - w(t - 2 * h))) / (12 * h * unit)
    found = kernel.dw(t, 1.0 - t, d)
    np.testing.assert_allclose(found, slope, rtol=1e-7, atol=1e-8 * np.max(np.abs(found)))

    def dw(t: Array) -> Array:
        return kernel.dw(t, 1.0 - t, d)

    bend = (8 * (dw(t + h) - dw(t - h)) - (dw(t + 2 * h) - dw(t - 2 * h))) / (12 * h)
    found = kernel.ddw(t, 1.0 - t, d)
    np.testing.assert_allclose(found, bend, rtol=1e-4, atol=1e-5 * np.max(np.abs(found) + 1))


def test_sums_of_the_series_are_the_kernel() -> None:
    # At d = 5, where dimensions of harmonics count.
    kernel, d = BoundedConfidence(c=-0.2, width=0.3), 5
    expansion = Expansion(kernel, d)
    degree = expansion.degree(1e-12)
    assert degree is not None
    series = Series(coefficients=tuple(expansion.coefficients(degree)))
    t = np.linspace(-1.0, 1.0, 41)
    np.testing.assert_allclose(
        series.w(t, 1.0 - t, d), kernel.w(t, 1.0 - t, d), rtol=0.0, atol=1e-11
    )
    b = expansion.coefficients(degree) * harmonic_dimension(degree, d)
    same = Series(legendre=tuple(b))
    np.testing.assert_allclose(same.lam(degree, d), series.lam(degree, d), rtol=1e-14)


# ------------------------------------------------------------------ where a series ends


@pytest.mark.parametrize("name", SMOOTH)
def test_series_of_smooth_kernels_end(name: str) -> None:
    expansion = Expansion(SMOOTH[name], 3)
    if name == "gaussian-log":
        return  # a kink at the antipode, of e^{-5}
    degree = expansion.degree(1e-12)
    assert degree is not None and degree < 90
    assert expansion.tail(degree) < 1e-12


@pytest.mark.parametrize("name", ROUGH)
def test_series_of_others_are_cut_and_their_tails_told(name: str) -> None:
    expansion = Expansion(ROUGH[name], 3)
    assert expansion.degree(1e-12) is None
    cut = expansion.truncation(1e-12, 60)
    assert cut is not None and (cut.degree, cut.exact) == (60, False)
    # The tail by brute force.
    lam, dimension = ROUGH[name].lam(6000, 3), harmonic_dimension(6000, 3)
    tail = math.sqrt(float(np.sum((dimension * lam**2)[61:])))
    assert cut.tail == pytest.approx(tail, rel=0.05)


def test_tails_of_the_design_table() -> None:
    # L2 tails of Onsager's kernel and of the logarithm, L = 64 (d = 3).
    for kernel, tail in ((Onsager(), 1.2e-4), (Log(), 7.7e-3)):
        assert Expansion(kernel, 3).tail(64) == pytest.approx(tail, rel=0.05)
    assert math.isinf(Expansion(Riesz(s=1.2), 3).tail(64))  # W is not square integrable


def test_signs_decide_what_is_proved() -> None:
    wanted = {
        "exponential": "positive", "power-3": "positive", "power-8": "negative",
        "maier-saupe": "positive", "gaussian": "positive", "series": "mixed",
        "bounded-confidence": "mixed", "onsager": "positive", "log": "negative",
        "riesz": "positive", "linear-log": "positive",
    }  # fmt: skip
    for name, sign in wanted.items():
        assert Interaction(EVERY[name], 3).convexity == sign, name
    for beta, value, sign in ((4.0, 1, "positive"), (4.0, -1, "negative"), (-4.0, 1, "mixed"),
                              (0.0, 1, "positive"), (0.0, -1, "negative")):  # fmt: skip
        for model in ("sa", "usa"):
            assert Attention(model, beta, 3, value=value).convexity == sign  # type: ignore[arg-type]


# ------------------------------------------------------------------ fields


def cloud(geometry: str, d: int, n: int = 40) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    m = rng.random(n)
    if geometry == "zonal":
        return rng.uniform(0.1, 3.0, (n, 1)), m / m.sum()
    return uniform_points(n, d, rng), m / m.sum()


@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2), ("zonal", 3)])
@pytest.mark.parametrize("name", [n for n in SMOOTH if n != "gaussian-log"])
def test_direct_sums_agree_with_harmonics(name: str, geometry: str, d: int) -> None:
    y, m = cloud(geometry, d)
    x, _ = cloud(geometry, d, 29)
    one = Interaction(SMOOTH[name], d, geometry, accuracy=1e-14, method="harmonics")
    two = one.direct()
    a, b = (model.field(Measure(y, m)) for model in (one, two))
    assert one.harmonics is not None and two.harmonics is None
    for here, there in zip(
        (a.potential(x), a.velocity(x), a.divergence(x), a.exponent(x)[1]),
        (b.potential(x), b.velocity(x), b.divergence(x), b.exponent(x)[1]),
        strict=True,
    ):
        assert np.max(np.abs(here - there)) < 1e-9 * max(1e-3, float(np.max(np.abs(there))))
    assert a.energy() == pytest.approx(b.energy(), rel=1e-10)
    assert a.ascent() == pytest.approx(b.ascent(), rel=1e-9)


@pytest.mark.parametrize("name", [n for n in EVERY if n != "hat"])
def test_rings_are_circles_of_points(name: str) -> None:
    kernel = EVERY[name]
    theta, m = np.array([[0.7], [1.9], [2.6]]), np.array([0.5, 0.2, 0.3])
    at = np.array([[0.3], [1.2], [2.2]])
    turns = 4000
    phi = 2.0 * np.pi * (np.arange(turns) + 0.5) / turns
    ring = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    y = np.concatenate(
        [np.column_stack([math.sin(c) * ring, np.full(turns, math.cos(c))]) for c in theta[:, 0]]
    )
    zonal = Interaction(kernel, 3, "zonal", method="direct").field(Measure(theta, m))
    full = Interaction(kernel, 3).field(Measure(y, np.repeat(m, turns) / turns))
    x = Latitudes(3).embed(at)
    along = np.stack([np.cos(at[:, 0]), np.zeros(3), -np.sin(at[:, 0])], axis=1)
    velocity = np.sum(full.velocity(x) * along, axis=1)
    np.testing.assert_allclose(zonal.velocity(at)[:, 0], velocity, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(zonal.potential(at), full.potential(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [2, 3, 6])
@pytest.mark.parametrize(
    "name", [n for n in EVERY if n not in ("function", "hat", "gaussian-kink", "gaussian-log")]
)
def test_the_table_gives_the_force(name: str, d: int) -> None:
    kernel = EVERY[name]
    rng = np.random.default_rng(11)
    x = uniform_points(90, d, rng)
    x[:3] = x[3:6] + 1e-6 * rng.normal(size=(3, d))  # neighbours
    x[:3] /= np.linalg.norm(x[:3], axis=1, keepdims=True)
    x[6], x[7] = x[8], -x[9]  # equal tokens, and opposite ones
    m = rng.random(90)
    assert pairs._table_of(kernel, d) is not None
    fast = pairs._table_pull(kernel, x, x, m, d)
    slow = pairs._blocked_sums(kernel, x, x, m, d, 1, False)[1]
    assert slow is not None
    project_ = x * np.sum(x * (fast - slow), axis=1, keepdims=True)
    assert np.max(np.abs(fast - slow - project_)) < 1e-10 * np.max(np.abs(slow))


def test_functions_in_python_are_kernels_like_the_named_ones() -> None:
    named = {
        "t": (FunctionKernel(function=lambda t: np.exp(2.0 * t)), Exponential(beta=2.0)),
        "angle": (
            FunctionKernel(function=lambda a: np.exp(-0.5 * (a / 0.4) ** 2), argument="angle"),
            Gaussian(width=0.4),
        ),
        "singular": (
            FunctionKernel(
                function=lambda a: -np.log(2.0 * np.sin(0.5 * np.maximum(a, 1e-300))),
                argument="angle",
            ),
            Log(),
        ),
    }
    y, m = cloud("sphere", 3, 25)
    for function, kernel in named.values():
        scale = math.exp(kernel.log_scale)
        wanted = kernel.lam(20, 3) * scale
        np.testing.assert_allclose(function.lam(20, 3), wanted, rtol=0, atol=2e-14 * wanted.max())
        a, b = (Interaction(k, 3).field(Measure(y, m)) for k in (function, kernel))
        size = float(np.max(np.abs(b.velocity(y))))
        assert np.max(np.abs(a.velocity(y) - b.velocity(y))) < 1e-7 * size


def test_self_terms_of_singular_kernels_are_left_out() -> None:
    x, m = cloud("sphere", 3, 12)
    model = Interaction(Log(strength=-1.0), 3)
    apart = np.linalg.norm(x[:, None] - x[None], axis=2) + np.eye(12)
    energy = 0.5 * float(m @ np.log(apart) @ m)
    assert model.leaves_out_self
    assert model.field(Measure(x, m)).energy() == pytest.approx(energy, rel=1e-13)
    # Equal points do not push each other; what is finite at t = 1 counts itself.
    two = np.repeat(np.eye(3)[:1], 2, axis=0)
    assert np.array_equal(
        model.field(Measure(two, np.full(2, 0.5))).velocity(two), np.zeros((2, 3))
    )
    one = Interaction(MaierSaupe(), 3).field(Measure(two[:1], np.ones(1)))
    assert one.energy() == pytest.approx(0.5, rel=1e-13)


def test_attention_is_the_exponential_kernel() -> None:
    y, m = cloud("sphere", 3)
    for beta in (4.0, -2.0):
        forms = {
            "sa": Exponential(beta=beta, strength=1.0 / beta, link="log"),
            "usa": Exponential(beta=beta, strength=1.0 / beta),
        }
        for model, kernel in forms.items():
            for value in (1, -1):
                term = kernel if value == 1 else kernel.replaced({"strength": -kernel.strength})
                a = Attention(model, beta, 3, "sphere", value).field(Measure(y, m))  # type: ignore[arg-type]
                b = Interaction(term, 3, "sphere").field(Measure(y, m))
                np.testing.assert_allclose(a.potential(y), b.potential(y), rtol=1e-13)
                np.testing.assert_allclose(a.divergence(y), b.divergence(y), rtol=1e-12)
                assert a.ascent() == pytest.approx(b.ascent(), rel=1e-13)


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize("model", ["sa", "usa"])
@pytest.mark.parametrize("beta", [0.0, 4.0, -3.0])
def test_rates_of_attention_are_the_exact_ones(model: str, beta: float, value: int) -> None:
    rates = Attention(model, beta, 5, value=value).uniform_rates(30)  # type: ignore[arg-type]
    wanted = reference.growth_rates(model, beta, 5, 30, 0.0, value)  # type: ignore[arg-type]
    np.testing.assert_allclose(rates, wanted, rtol=1e-10, atol=1e-300)


def test_two_point_energy_and_dirac_energy() -> None:
    # E = 1/2 iint strength W dmu dmu, E of the uniform measure strength lam_0/2.
    for name in ("power-3", "gaussian", "power-8", "exponential"):
        kernel = SMOOTH[name]
        model = Interaction(kernel, 3)
        x = np.eye(3)[:1]
        field = model.field(Measure(x, np.ones(1)))
        top = kernel.strength * float(kernel.w(np.ones(1), np.zeros(1), 3)[0]) / 2
        assert field.energy(scaled=True) == pytest.approx(top, rel=1e-12)
        assert model.dirac_energy == pytest.approx(top, rel=1e-12)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Power(k=0), ["model.interaction.k", "from 1 to 64", "found 0"]),
        (lambda: Power(k=2.5), ["model.interaction.k", "whole number", "2.5"]),  # type: ignore[arg-type]
        (lambda: Onsager(s=0.0), ["model.interaction.s", "above 0", "found 0"]),
        (lambda: Gaussian(width=0.001), ["model.interaction.width", "0.005", "0.001"]),
        (lambda: BoundedConfidence(c=1.5), ["model.interaction.c", "-1 to 1", "1.5"]),
        (lambda: MaierSaupe(link="logg"), ["model.interaction.link", "did you mean 'log'"]),  # type: ignore[arg-type]
        (lambda: MaierSaupe(strength=math.nan), ["model.interaction.strength", "finite"]),
        (lambda: Series(), ["coefficients", "legendre", "none of them"]),
        (lambda: Series(coefficients=(1.0, 2.0), legendre=(1.0, 2.0)), ["found both"]),
        (lambda: Series(legendre=(1.0, "a")), ["model.interaction.legendre[1]", "'a'"]),  # type: ignore[arg-type]
        (lambda: Series(legendre=(1.0,)), ["2 to 1001", "found 1"]),
        (lambda: FunctionKernel(), ["model.interaction.path", "nothing"]),
        (lambda: FunctionKernel(function=np.exp, breaks=0.3), ["breaks", "found 0.3"]),  # type: ignore[arg-type]
        (lambda: FunctionKernel(function=lambda t: t[:-1]), ["function", "shape (2,)"]),
        (lambda: FunctionKernel(function=lambda t: t * np.nan), ["function", "found nan"]),
        (lambda: FunctionKernel(function=lambda t: t[9]), ["function", "raised IndexError"]),
        (lambda: Interaction(Riesz(s=2.5), 3), ["model.interaction.s", "d - 1 = 2", "2.5"]),
        (lambda: Interaction(MaierSaupe(), 1), ["d = 1"]),
        (lambda: Interaction(Power(k=3, link="log"), 3), ["link", "power is not positive"]),
        (lambda: Interaction(Exponential(beta=900.0), 3).refuse_overflow(), ["beta = 900"]),
        (lambda: MaierSaupe().replaced({"strenth": 2.0}), ["'strenth'", "'strength'?"]),
    ],
)
def test_refusals(make: object, words: list[str]) -> None:
    assert callable(make)
    with pytest.raises(InputError) as caught:
        make()
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_a_kernel_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import numpy as np\ndef pull(t):\n    return np.exp(2 * t)\n", "utf-8")
    kernel = FunctionKernel(path=path, call="pull")
    np.testing.assert_allclose(
        kernel.lam(8, 3), Exponential(beta=2.0).lam(8, 3) * math.exp(2.0), rtol=1e-9
    )
    assert kernel.table() == {
        "type": "function", "strength": 1.0, "link": "identity", "argument": "t", "breaks": [],
        "path": str(path), "call": "pull",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"model\.interaction.*pulll"):
        FunctionKernel(path=path, call="pulll")


def test_densities_are_cut_at_what_a_mesh_resolves() -> None:
    law = VonMisesFisher((0.0, 0.0, 1.0), 4.0)
    x, m = cloud("sphere", 3, 900)
    m = law.density(x) / np.sum(law.density(x))
    for name in ROUGH:
        model = Interaction(ROUGH[name], 3, "sphere")
        assert model.harmonics is None  # without a mesh: direct sums
        cut = model.on_mesh(900)
        assert cut.harmonics is not None and cut.harmonics.degree == 18
        share = cut.field(Measure(x, m)).tail_share()
        assert (1e-12 if name == "gaussian-kink" else 1e-6) < share < 0.2
    assert Interaction(MaierSaupe(), 3, "sphere").field(Measure(x, m)).tail_share() == 0.0


def test_kernels_are_equal_where_their_numbers_are() -> None:
    # Expansions are kept by kernel: two functions must not be taken for one.
    assert FunctionKernel(function=waves) == FunctionKernel(function=waves)
    assert FunctionKernel(function=waves) != FunctionKernel(function=np.sin)
    assert hash(Power(k=2)) == hash(Power(k=2)) and Power(k=2) != Power(k=3)
    assert MaierSaupe() != MaierSaupe(strength=2.0)


@pytest.mark.parametrize("d", [200, 5000])
def test_projections_in_high_dimension(d: int) -> None:
    kernel = FunctionKernel(function=np.exp)
    wanted = Exponential(beta=1.0).lam(4, d) * math.e
    np.testing.assert_allclose(kernel.lam(4, d), wanted, rtol=1e-10, atol=1e-14)
    assert kernel.lam(0, d)[0] == pytest.approx(wanted[0], rel=1e-13)


def test_functions_of_many_kinds() -> None:
    # Without a hash; infinite at t = 1 (which t alone cannot resolve).
    polynomial = FunctionKernel(function=np.polynomial.Polynomial([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(
        Expansion(polynomial, 3).coefficients(4), MaierSaupe().lam(4, 3), rtol=0, atol=1e-15
    )
    assert Interaction(polynomial, 3, "sphere").convexity == "positive"
    with pytest.raises(InputError, match='argument = "angle"'):
        FunctionKernel(function=lambda t: 1.0 / (t - t)).lam(3, 3)
    rounded = FunctionKernel(function=lambda t: -0.5 * np.log(2.0 - 2.0 * t))
    np.testing.assert_allclose(rounded.lam(8, 3), Log().lam(8, 3), rtol=0, atol=1e-7)


def test_energies_without_an_interaction() -> None:
    # beta = 0 of the kernel e^{beta t} is a constant: E = strength/2 everywhere.
    model = Interaction(Exponential(beta=0.0, strength=2.0), 3)
    x = np.eye(3)
    field = model.field(Measure(x, np.full(3, 1.0 / 3.0)))
    assert field.energy() == model.dirac_energy == 1.0
    assert model.pair_energy(Measure(x, np.full(3, 1.0 / 3.0)), 3) == pytest.approx(1.0)
    assert np.array_equal(field.velocity(x), np.zeros((3, 3)))
