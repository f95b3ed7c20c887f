"""Strengths nu(|m|): fields, energies, steady states against their scalar equation, cases."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from cases import small
from convergence import rates
from ranks import on_ranks
from scipy.optimize import brentq
from scipy.special import ive

import meanfield as mf
from meanfield.collective import Communicator, own_share
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import KERNELS
from meanfield.interaction.measure import Measure
from meanfield.interaction.strength import FunctionStrength, PowerStrength
from meanfield.interaction.strong import Strong
from meanfield.interaction.together import Together

X = np.random.default_rng(0).normal(size=(30, 3)) + np.array([0.0, 0.3, 0.6])
X /= np.linalg.norm(X, axis=1, keepdims=True)
M = np.random.default_rng(1).uniform(size=30)
M /= M.sum()
ORDER = float(np.linalg.norm(M @ X))


def aligned(d: int, geometry: str, method: str = "auto") -> Interaction:
    """W = t."""
    return Interaction(KERNELS["power"](k=1), d, geometry, method)  # type: ignore[call-arg]


BASES: dict[str, AnyInteraction] = {
    "t": aligned(3, "sphere"),
    "t direct": aligned(3, "sphere", "direct"),
    "sa": Attention("sa", 4.0, 3, "sphere"),
    "heads": Composite((HeadMatrices(np.diag([2.0, 1.0, 0.5]), np.eye(3)),), "sa", 3, "sphere"),
    "sinkhorn": Composite((HeadMatrices(2.0 * np.eye(3), np.eye(3)),), "sinkhorn", 3, "sphere"),
}


@pytest.mark.parametrize("name", BASES)
def test_velocity_and_divergence_are_multiplied(name: str) -> None:
    base = BASES[name]
    made = Strong(base, PowerStrength(exponent=2.0, factor=3.0))
    mu = Measure(X, M)
    one, other = base.field(mu), made.field(mu)
    nu = 3.0 * ORDER**2
    wrong = 1e-7 if name == "sinkhorn" else 1e-12  # to the tolerance of its scalings
    for a, b in zip(one.velocity_and_divergence(X), other.velocity_and_divergence(X), strict=True):
        assert b == pytest.approx(nu * a, rel=wrong, abs=wrong)
    assert other.velocity(X) == pytest.approx(nu * one.velocity(X), rel=wrong, abs=wrong)
    edges = [field.along_edges(base.locate(X)) for field in (one, other)]
    assert edges[1] == pytest.approx(nu * edges[0], rel=wrong, abs=wrong)


@pytest.mark.parametrize("name", ["t", "t direct", "sa", "sinkhorn"])
def test_the_energy_increases_as_it_says(name: str) -> None:
    made = Strong(BASES[name], PowerStrength(exponent=1.5))
    linear = name.startswith("t")
    assert made.is_linear == linear
    assert made.energy_kind == ("gradient" if linear else "monotone")
    v, h, values = made.field(Measure(X, M)).velocity(X), 1e-4, []
    for step in (h, -h):
        y = X + step * v
        values.append(
            made.field(Measure(y / np.linalg.norm(y, axis=1)[:, None], M)).energy(scaled=True)
        )
    rate = float(M @ made.field(Measure(X, M)).dissipation_density(X))
    assert rate > 0.0
    assert (values[0] - values[1]) / (2.0 * h) == pytest.approx(rate, rel=1e-6)
    if linear:  # Phi(s) = int nu(r) r dr
        exact = ORDER**3.5 / 3.5
        assert made.field(Measure(X, M)).energy() == pytest.approx(exact, rel=1e-9)


def test_the_same_on_two_ranks() -> None:
    for method in ("auto", "direct"):
        made = Strong(aligned(3, "sphere", method), PowerStrength())
        whole = made.field(Measure(X, M)).velocity(X)

        def one(comm: Communicator, made: Strong = made) -> Array:
            own = own_share(comm, 30)
            return made.field(Measure(X[own], M[own]), comm=comm).velocity(X[own])

        parts = [part for part in on_ranks(2, one) if not isinstance(part, Exception)]
        assert np.concatenate(parts) == pytest.approx(whole, abs=1e-12)


# ------------------------------------------------------------------ steady states

FOLDS = {2: 0.243834675624, 3: 0.151092258645}


def order_of(k: float, d: int) -> float:
    """A_d(k), the mean of a von Mises-Fisher law."""
    return float(ive(0.5 * d, k) / ive(0.5 * d - 1.0, k))


def test_folds_of_the_scalar_equation() -> None:
    """nu = |m|, W = t: kappa = A_d(k)^2/k is largest at the fold."""
    for d, fold in FOLDS.items():
        k = np.linspace(0.5, 8.0, 400001)
        assert np.max(ive(0.5 * d, k) ** 2 / ive(0.5 * d - 1.0, k) ** 2 / k) == pytest.approx(
            fold, abs=1e-11
        )


@pytest.mark.parametrize(("d", "geometry"), [(2, "circle"), (3, "sphere"), (3, "zonal")])
def test_below_the_fold_the_steady_order_is_that_of_the_scalar_equation(
    d: int, geometry: str
) -> None:
    kappa = 0.85 * FOLDS[d]
    meshes = {"circle": circle(128), "sphere": icosphere(3), "zonal": zonal_interval(129, 3)}
    space = P1Space(meshes[geometry])
    made = Strong(aligned(d, geometry), PowerStrength())
    top = brentq(lambda k: order_of(k, d) ** 2 / k - kappa, 3.0, 60.0)
    x = meshes[geometry].manifold.embed(space.points[: space.n_owned])
    solver = ImplicitSolver(space, made, np.exp(6.0 * x[:, -1]), kappa)
    values = [solver.free_energy_excess()]
    while solver.t < 200.0:
        solver.advance(200.0)
        values.append(solver.free_energy_excess())
    mean = float(np.dot(solver.weights * solver.rho, x[:, -1]))
    assert mean == pytest.approx(order_of(top, d), abs=4e-3)
    assert np.max(np.diff(values)) <= 1e-12
    far = ImplicitSolver(space, made, np.exp(6.0 * x[:, -1]), 1.1 * FOLDS[d])
    while far.t < 200.0:
        far.advance(200.0)
    assert float(np.dot(far.weights * far.rho, x[:, -1])) <= 1e-3


def test_explicit_steps_and_characteristics_agree() -> None:
    made = Strong(Attention("sa", 4.0, 3, "sphere"), PowerStrength(exponent=2.0))

    def start(x: Array) -> Array:
        return np.asarray(np.exp(2.0 * x[:, 2]))

    space = P1Space(icosphere(4))
    solver = EulerianSolver(space, made, start(space.points[: space.n_owned]))
    moving = LagrangianSolver(made, icosphere(4), start)
    for one in (solver, moving):
        while one.t < 1.0:
            one.advance(1.0)
    exact = moving.mass @ moving.positions()[:, 2]
    mean = float(np.dot(solver.weights * solver.rho, space.points[: space.n_owned, 2]))
    assert mean == pytest.approx(exact, abs=3e-3) and exact > 0.55


# ------------------------------------------------------------------ cases


def test_a_case_with_a_strength(tmp_path: Path) -> None:
    case = small(model__strength={"type": "power", "exponent": 2.0})
    assert mf.Case.from_dict(case.to_dict()) == case
    assert "strength |m|^2" in case.model.describe()
    with pytest.raises(mf.InputError, match=r"model\.strength: found one, which makes the exp"):
        _ = case.model.term
    (tmp_path / "nu.py").write_text("def nu(s):\n    return 1.0 + s\n")
    table = {"type": "function", "path": "nu.py", "call": "nu"}
    by_file = small(base=tmp_path, model__strength=table)
    made = by_file.model.on(by_file.geometry)
    assert isinstance(made, Strong) and made.strength.at(0.5) == 1.5


def test_another_strength_takes_the_place_of_the_first() -> None:
    one = small.but(model__strength={"type": "power", "exponent": 2.0})
    assert one({"model.strength.exponent": 3.0}).model.strength == PowerStrength(exponent=3.0)
    with pytest.raises(mf.InputError, match=r"model\.strength\.path: expected the name"):
        one({"model.strength.type": "function"})


@pytest.mark.parametrize(
    ("strength", "words"),
    [
        ({"type": "powr"}, "found 'powr' (did you mean 'power'?)"),
        ({"type": "power", "exponent": -1.0}, "model.strength.exponent: expected"),
        ({"type": "function"}, "model.strength.path: expected the name of a Python file"),
    ],
)
def test_strengths_that_are_none(strength: dict[str, object], words: str) -> None:
    with pytest.raises(mf.InputError, match=re.escape(words)):
        small(model__strength=strength)


def test_a_strength_below_zero_is_refused() -> None:
    with pytest.raises(mf.InputError, match=r"expected nu >= 0 for 0 <= \|m\| <= 1, found -"):
        FunctionStrength(function=lambda s: 0.5 - s)
    assert FunctionStrength(function=lambda s: math.pi + 0.0 * s).at(0.2) == math.pi


def test_only_a_zonal_kernel_has_an_energy_of_the_order() -> None:
    """Drifts alone have a potential that is linear in x as well, but no E that |m| decides."""
    drift = mf.LinearPotential(field=(0.0, 0.0, 1.0)).on(3)
    one = Strong(Composite((), "sa", 3, drifts=(drift,)), PowerStrength())
    assert one.energy_kind == "monotone"
    field = one.field(Measure(X, M))
    v, h = field.velocity(X), 1e-5
    ends = []
    for sign in (1.0, -1.0):
        y = X + sign * h * v
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        ends.append(one.field(Measure(y, M)).ascent())
    rate = float(M @ field.own_dissipation_density())
    assert (ends[0] - ends[1]) / (2.0 * h) == pytest.approx(rate, rel=1e-7)


# ------------------------------------------------------------------ beside what is not multiplied


def magnet(geometry: str, h: float, strength: PowerStrength, d: int = 3) -> Together:
    """W = t times nu, U = -h t."""
    axis = (*(0.0 for _ in range(d - 1)), h)
    field = mf.LinearPotential(field=axis).on(d)
    return Together((
        Strong(aligned(d, geometry), strength), Composite((), "sa", d, geometry, drifts=(field,)),
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["t", "t direct", "sa", "sinkhorn"])
def test_only_the_pull_is_multiplied(name: str) -> None:
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.5], [0.0, -0.5, 0.0]])
    rest = Composite((), "sa", 3, "sphere", drifts=(LinearDrift(turn),))
    both = Together((Strong(BASES[name], PowerStrength(exponent=2.0, factor=3.0)), rest))
    mu = Measure(X, M)
    found = both.field(mu).velocity_and_divergence(X)
    one, two = (part.field(mu).velocity_and_divergence(X) for part in (BASES[name], rest))
    for a, b, c in zip(found, one, two, strict=True):
        assert a == pytest.approx(3.0 * ORDER**2 * b + c, abs=1e-11)
    assert both.energy_kind is None
    assert "gradient" in both.why_no_energy or "strength" in both.why_no_energy


def test_what_repels_is_implicit_only_if_all_of_it_does() -> None:
    """Unless the potential is linear in x; moments of mixed signs are no parts of nu(|m|) times."""
    nu = PowerStrength(exponent=1.0)
    for numbers, count in (([0, 1, -1], 0), ([0, -1, -1], 8), ([0, -1], 3), ([0, 1], 0)):
        base = Interaction(KERNELS["series"](coefficients=numbers), 3, "sphere")  # type: ignore[call-arg]
        made = Strong(base, nu)
        assert np.count_nonzero(made.repels) == count and made.repels.size == made.metric.size
        assert np.count_nonzero(base.repels) == (count or 5 * (len(numbers) - 2))


def test_energy_beside_a_potential() -> None:
    """-Phi(|m|) + int U: its rate along the flow, and the known case where nu is constant."""
    made, mu, h = magnet("sphere", 0.3, PowerStrength(exponent=1.5)), Measure(X, M), 1e-5
    field = made.field(mu)
    assert made.energy_kind == "gradient" and made.convexity == "positive"
    exact = ORDER**3.5 / 3.5 + 0.3 * float(M @ X[:, 2])
    assert field.energy() == pytest.approx(exact, rel=1e-9)
    v, values = field.velocity(X), []
    for step in (h, -h):
        y = X + step * v
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        values.append(made.field(Measure(y, M)).ascent())
    rate = float(M @ field.dissipation_density(X))
    assert rate > 0.05
    assert (values[0] - values[1]) / (2.0 * h) == pytest.approx(rate, rel=1e-7)
    constant = magnet("sphere", 0.3, PowerStrength(exponent=0.0)).field(mu)
    plain = Together((aligned(3, "sphere"), made.parts[1])).field(mu)
    assert constant.energy() == pytest.approx(plain.energy(), rel=1e-13)
    assert constant.velocity(X) == pytest.approx(plain.velocity(X), abs=1e-14)


@pytest.mark.parametrize(
    ("geometry", "d", "exponent", "kappa", "last"),
    [
        ("zonal", 3, 1.0, 0.13, 1e-4), ("zonal", 3, 2.0, 0.09, 1e-4), ("zonal", 5, 1.0, 0.08, 1e-4),
        ("sphere", 3, 1.0, 0.13, 1e-4), ("sphere", 3, 2.0, 0.09, 1e-4),
    ],
)  # fmt: skip
def test_steady_order_in_a_field_is_that_of_the_scalar_equation(
    geometry: str, d: int, exponent: float, kappa: float, last: float
) -> None:
    """|m| = A_d((nu(|m|)|m| + h)/kappa); F never rises."""
    h = 0.02

    def excess(m: float) -> float:
        return order_of((m ** (1.0 + exponent) + h) / kappa, d) - m

    m = brentq(excess, 0.25 + 0.25 * exponent, 0.99)
    strength = PowerStrength(exponent=exponent)

    def error(level: int) -> float:
        on = geometry == "zonal"
        space = P1Space(zonal_interval(40 * 2**level, d) if on else icosphere(level))
        x = space.manifold.embed(space.points[: space.n_owned])
        start = np.exp(6.0 * x[:, -1])
        solver = ImplicitSolver(space, magnet(geometry, h, strength, d), start, kappa)
        values = [solver.free_energy_excess()]
        while solver.t < 300.0:
            solver.advance(300.0)
            values.append(solver.free_energy_excess())
        assert np.max(np.diff(values)) <= 1e-12 and solver.energy_violations == 0
        return abs(float(solver.weights * solver.rho @ x[:, -1]) - m)

    levels = (1, 2, 3) if geometry == "zonal" else (2, 3, 4)
    rates(error, levels).check(1.8, 2.5, last)


def test_a_case_with_a_strength_beside_a_potential_and_a_drift(tmp_path: Path) -> None:
    more = {
        "model.strength": {"type": "power", "exponent": 2.0},
        "model.potential": {"type": "linear", "field": [0.0, 0.0, 0.3]},
        "model.drift": {"matrix": {"times": [0.0, 1.0], "values": [np.eye(3), -np.eye(3)]}},
    }
    case = small(more)
    assert mf.Case.from_dict(case.to_dict()) == case
    assert case.model.describe().endswith("strength |m|^2, linear drift in time, potential")
    made, alone = case.model.on(case.geometry), small().model.on(case.geometry)
    drifts = (LinearDrift(np.diag([1.0, 1.0, 1.0])), mf.LinearPotential(field=(0, 0, 0.3)).on(3))
    rest = Composite((), "sa", 3, "sphere", drifts=drifts)
    mu = Measure(X, M)
    wanted = ORDER**2 * alone.field(mu).velocity(X) + rest.field(mu).velocity(X)
    assert made.field(mu).velocity(X) == pytest.approx(wanted, abs=1e-12)
    assert made.next_jump(0.0) == 1.0
    words = r"strength: found beside model\.potential alone, which it does not multiply"
    with pytest.raises(mf.InputError, match=words):
        mf.Model(strength=PowerStrength(), potential=mf.LinearPotential(field=(0, 0, 1.0)))
