"""Columns: one object each, for every kind of state, by one view; the values of known states."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.analysis.columns import (
    COLUMNS,
    CharacteristicView,
    Column,
    DensityView,
    Family,
    TokenView,
    columns_of,
    explained,
    row_of,
)
from meanfield.analysis.peaks import PeakCounter
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws import VonMisesFisher
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.composite import Composite, HeadMatrices

LAW = VonMisesFisher((0.0, 0.0, 1.0), 3.0)
MEAN = 1.0 / math.tanh(3.0) - 1.0 / 3.0  # of the coordinate along the axis
SHORT = {"t", "step", "dt", "mass", "energy", "energy_scaled", "mean_norm", "clusters"}
BALANCE = {"dissipation", "energy_residual"}


def attention(kind: str = "sa") -> mf.Interaction:
    return mf.Attention(kind, 2.0, 3, "sphere")


def density_view(kappa: float = 0.0, kind: str = "sa") -> DensityView:
    from meanfield.dynamics.implicit import ImplicitSolver
    from meanfield.dynamics.space import P1Space

    mesh = icosphere(4)
    space = P1Space(mesh)
    rho = LAW.density(space.points[: space.n_owned])
    return DensityView(ImplicitSolver(space, attention(kind), rho, kappa), PeakCounter(mesh))


def characteristic_view() -> CharacteristicView:
    from meanfield.dynamics.lagrangian import LagrangianSolver

    return CharacteristicView(LagrangianSolver(attention(), icosphere(4), LAW.density))


def token_view(d: int = 3, n: int = 400, kappa: float = 0.0) -> TokenView:
    from meanfield.dynamics.clusters import cluster_labels
    from meanfield.dynamics.particles import ParticleSolver

    x = np.random.default_rng(3).normal(size=(n, d))
    x[:, -1] += 1.0
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    on = "sphere" if d == 3 else "any"
    solver = ParticleSolver(mf.Attention("sa", 2.0, d, on), x, kappa=kappa)
    return TokenView(solver, lambda: cluster_labels(x, 0.1))


def test_one_list_of_columns_serves_every_kind_of_state() -> None:
    names = {
        kind: [column.name for column in columns_of(view)]
        for kind, view in (
            ("density", density_view()),
            ("noisy", density_view(0.1)),
            ("noisy usa", density_view(0.1, "usa")),
            ("characteristics", characteristic_view()),
            ("tokens", token_view()),
            ("noisy tokens", token_view(kappa=0.1)),
            ("many dimensions", token_view(12)),
        )
    }
    order = [entry.name for entry in COLUMNS]
    for found in names.values():
        assert set(found) >= SHORT and len(found) == len(set(found))
        places = [order.index(n if n in order else n.rpartition("_")[0]) for n in found]
        assert places == sorted(places)  # the order of the table is that of the list
    moments = [f"{name}_{k}" for name in ("mean", "m2") for k in (1, 2, 3)]
    power = [f"power_{k}" for k in range(9)]
    shared = SHORT | {*moments, *power}
    assert set(names["density"]) == shared | {"rho_min", "rho_max", "entropy"} | BALANCE | {
        "largest_cluster"
    }
    # sa with noise has no functional that is known to fall.
    assert set(names["noisy"]) == set(names["density"]) - BALANCE
    assert set(names["noisy usa"]) == set(names["density"]) | {"free_energy"}
    assert set(names["characteristics"]) == set(names["density"]) - {"largest_cluster"} | {"points"}
    tokens = {"largest_cluster", "rank", "effective_dimension"}
    assert set(names["tokens"]) == shared | BALANCE | tokens
    assert set(names["noisy tokens"]) == set(names["tokens"]) - BALANCE
    long = {f"{name}_{k}" for name in ("mean", "m2") for k in range(1, 9)}
    assert set(names["many dimensions"]) == SHORT | BALANCE | long | tokens


def test_the_two_views_of_one_density_see_the_same_numbers() -> None:
    fixed, moved = density_view(), characteristic_view()
    row = row_of(columns_of(fixed), fixed)
    other = row_of(columns_of(moved), moved)
    assert math.isnan(row.pop("energy_residual"))  # there is no row before
    assert row.pop("largest_cluster") == pytest.approx(1.0, abs=1e-13)  # all of it, around one peak
    for name in row.keys() - {"dt", "rho_min", "rho_max"}:
        assert other[name] == pytest.approx(row[name], rel=2e-3, abs=1e-5), name
    assert row["mass"] == pytest.approx(1.0, abs=1e-13)
    assert row["mean_3"] == pytest.approx(MEAN, rel=1e-3)
    assert row["mean_norm"] == pytest.approx(MEAN, rel=1e-3)
    assert row["power_1"] == pytest.approx(3.0 * MEAN**2, rel=2e-3)
    assert row["m2_1"] + row["m2_2"] + row["m2_3"] == pytest.approx(1.0, abs=1e-12)
    c = 3.0 / math.sinh(3.0)
    assert row["rho_max"] == pytest.approx(c * math.exp(3.0), rel=1e-2)
    assert row["entropy"] == pytest.approx(math.log(c) + 3.0 * MEAN, rel=1e-3)
    assert (row["clusters"], other["points"]) == (1.0, 2562.0)


def test_the_free_energy_is_entropy_less_energy() -> None:
    view = density_view(0.1, "usa")
    row = row_of(columns_of(view), view)
    assert row["free_energy"] == pytest.approx(0.1 * row["entropy"] - row["energy"], rel=1e-14)


def test_a_column_knows_whether_it_may_be_infinite_or_missing() -> None:
    view = token_view()
    fine = Column("fine", "1", "", lambda v: math.inf, may_be_infinite=True)
    bad = Column("bad", "1", "", lambda v: -math.inf)
    none = Column("none", "1", "", lambda v: math.nan, may_be_infinite=True)
    assert row_of([fine], view) == {"fine": math.inf}
    missing = Column("missing", "1", "", lambda v: v.mass * math.nan, may_be_missing=True)
    with pytest.raises(BrokenInvariantError, match=r"^bad, none not finite at t = 0$"):
        row_of([fine, none, bad, missing], view)
    assert math.isnan(row_of([missing], view)["missing"])
    high = Column("high", "1", "", lambda v: math.inf, may_be_missing=True)
    with pytest.raises(BrokenInvariantError, match=r"^high not finite"):
        row_of([high], view)
    single = [entry for entry in COLUMNS if isinstance(entry, Column)]
    infinite = {entry.name for entry in single if entry.may_be_infinite}
    assert infinite == {"jacobian_norm", "lyapunov"}
    missing_ones = {entry.name for entry in single if entry.may_be_missing}
    assert missing_ones == {"energy_residual", "lyapunov"}


@pytest.mark.parametrize("value", [1, -1])
@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize("beta", [0.0, 4.0, -3.0])
def test_the_dissipation_is_what_the_energy_changes_by(kind: str, beta: float, value: int) -> None:
    from meanfield.dynamics.particles import ParticleSolver

    view = token_view(n=60)
    x = view.solver.x

    def at(points: Array) -> TokenView:
        model = mf.Attention(kind, beta, 3, "sphere", value=value)
        return TokenView(ParticleSolver(model, points), lambda: np.zeros(60, dtype=int))

    def energy(s: float) -> float:
        moved = x + s * here.solver.velocity()
        return at(moved / np.linalg.norm(moved, axis=1, keepdims=True)).field.energy(scaled=True)

    here, h = at(x), 1e-4
    rate = (energy(h) - energy(-h)) / (2.0 * h)
    assert here.dissipation > 0.0
    assert value * rate == pytest.approx(here.dissipation, rel=1e-6)


def test_the_dissipation_of_attention_that_no_double_holds_is_a_number() -> None:
    from meanfield.dynamics.particles import ParticleSolver

    x = token_view(n=20).solver.x
    solver = ParticleSolver(mf.Attention("sa", 2000.0, 3), x)
    view = TokenView(solver, lambda: np.arange(20))
    assert "double energy" not in view.offers
    # What holds a token holds it with e^0, what pulls it with far less.
    assert 0.0 <= view.dissipation < 1e-3
    exact = float(np.mean(np.sum(solver.velocity() ** 2, axis=1))) / 20
    assert view.dissipation == pytest.approx(exact, rel=0.5, abs=1e-300)


def test_a_model_without_energy_has_no_column_of_it(no_energy: None) -> None:
    without = {"energy", "energy_scaled", "free_energy"} | BALANCE
    for view in (density_view(), density_view(0.1, "usa"), characteristic_view(), token_view()):
        names = {column.name for column in columns_of(view)}
        assert not names & without and {"mass", "mean_norm", "clusters"} <= names


def test_heads_have_the_columns_of_the_energy_that_they_have() -> None:
    from meanfield.dynamics.particles import ParticleSolver

    x, a = token_view(n=20).solver.x, np.diag([2.0, 1.0, -1.0])
    one = HeadMatrices(a, a)
    for heads, kind, has in (
        ((one,), "sa", True), ((one, one), "usa", True), ((one, one), "sa", False),
        ((HeadMatrices(a, np.eye(3)),), "usa", False),
    ):  # fmt: skip
        solver = ParticleSolver(Composite(heads, kind, 3, "sphere"), x)
        view = TokenView(solver, lambda: np.arange(20))
        row = row_of(columns_of(view), view)
        assert ({"energy", "energy_scaled", *BALANCE} <= set(row)) is has
        assert not has or row["dissipation"] > 0.0
        assert has or not any("energy" in name or name == "dissipation" for name in row)


def test_a_view_has_the_columns_whose_needs_it_offers() -> None:
    view = token_view()
    assert Column("a", "1", "", lambda v: 0.0, frozenset({"groups"})).of(view)
    assert not Column("a", "1", "", lambda v: 0.0, frozenset({"density"})).of(view)
    family = Family("b", "1", "", lambda v: np.arange(3.0), lambda v: 3, first=5)
    assert [column.name for column in family.of(view)] == ["b_5", "b_6", "b_7"]
    assert row_of(family.of(view), view) == {"b_5": 0.0, "b_6": 1.0, "b_7": 2.0}


def test_every_column_is_explained() -> None:
    everything = "\n".join(explained("columns"))
    for entry in COLUMNS:
        assert entry.name in everything and len(entry.meaning) > 4
        (head, *lines) = explained(entry.name if isinstance(entry, Column) else f"{entry.name}_1")
        assert head.startswith(entry.name) and lines
    with pytest.raises(InputError, match=r"'rho_mux' found, a column .*did you mean 'rho_max'"):
        explained("rho_mux")


@pytest.mark.parametrize("n", [3, 12, 40])
def test_second_moments_of_few_tokens_are_those_of_all_coordinates(n: int) -> None:
    from meanfield.dynamics.particles import ParticleSolver

    d, rng = 20, np.random.default_rng(3)
    x, weights = uniform_points(n, d, rng), rng.uniform(0.1, 1.0, n)
    solver = ParticleSolver(mf.Attention("sa", 2.0, d), x, weights / weights.sum())
    found = TokenView(solver, lambda: np.zeros(n, dtype=np.int64)).second
    known = np.linalg.eigvalsh((x * solver.weights[:, None]).T @ x)[-8:]
    np.testing.assert_allclose(found, known, atol=1e-14)


def test_rank_and_effective_dimension_of_known_tokens() -> None:
    """Two opposite tokens, an orthonormal frame, one of unequal masses; more or fewer than d."""
    from meanfield.dynamics.particles import ParticleSolver

    def told(x: Array, weights: Array | None = None) -> tuple[float, float]:
        solver = ParticleSolver(mf.Attention("sa", 1.0, x.shape[1], "any"), x, weights)
        view = TokenView(solver, lambda: np.zeros(len(x), dtype=np.int64))
        row = row_of(columns_of(view), view)
        return row["rank"], row["effective_dimension"]

    e = np.eye(6)
    assert told(np.stack([e[0], -e[0]])) == (1.0, pytest.approx(1.0, abs=1e-14))
    assert told(e) == (6.0, pytest.approx(6.0, rel=1e-13))
    assert told(e[:4]) == (4.0, pytest.approx(4.0, rel=1e-13))  # by the Gram matrix
    assert told(np.concatenate([e, -e])) == (6.0, pytest.approx(6.0, rel=1e-13))
    masses = np.array([0.5, 0.25, 0.25])
    assert told(e[:3], masses) == (3.0, pytest.approx(1.0 / np.sum(masses**2), rel=1e-13))
    # Singular values 1 and s: one counts above 1e-3 of the other, and not below.
    for angle, rank in ((4.1e-3, 2.0), (1.9e-3, 1.0)):  # s = tan(angle/2)
        pair = np.array([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
        assert told(pair)[0] == rank
    many = np.random.default_rng(0).normal(size=(50, 2000))
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    s = np.linalg.svd(many, compute_uv=False)
    assert told(many) == (50.0, pytest.approx(np.sum(s**2) ** 2 / np.sum(s**4), rel=1e-12))
