"""What is taken for a measure, and for points: what is none is refused before it is used."""

from __future__ import annotations

import numpy as np
import pytest
from ranks import on_ranks

import meanfield as mf
from meanfield.collective import Communicator
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array, uniform_points

X = uniform_points(20, 3, np.random.default_rng(1))
W = np.full(20, 0.05)
DIRECT = mf.Attention("sa", 3.0, 3)
FAST = mf.Attention("usa", 3.0, 3, "sphere")
ZONAL = mf.Attention("sa", 3.0, 3, "zonal")
BOUNDED = mf.Interaction(mf.BoundedConfidence(c=0.5), 3)
ALL = [DIRECT, FAST, BOUNDED]


def with_entry(values: Array, value: float) -> Array:
    changed = values.copy()
    changed.flat[7] = value
    return changed


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (mf.Measure(X[:, :2], W), r"measure: points of shape \(20, 2\) found, \(n, 3\)"),
        (mf.Measure(X[:, 0], W), r"points of shape \(20,\) found"),
        (mf.Measure(X, W[:19]), r"weights of shape \(19,\) found, one for each of 20"),
        (mf.Measure(X, W[:, None]), r"weights of shape \(20, 1\) found"),
        (mf.Measure(X, np.ones(20)), r"sum 20 found, 1 expected .*Measure\.equal\(points\)"),
        (mf.Measure(X, np.zeros(20)), "sum 0 found, 1 expected"),
        (mf.Measure(X, with_entry(W, -0.05)), r"weight 7 is -0\.05 .1 like it., >= 0 expected"),
        (mf.Measure(X, with_entry(W, np.nan)), "weight 7 is nan"),
        (mf.Measure(with_entry(X, np.inf), W), "point 2 is .*inf.* finite"),
        (mf.Measure(2.0 * X, W), "has length 2, 1 expected .*divide points by their length"),
        (mf.Measure(X + 0j, W), "array of complex128, expected .* unit vectors"),
        (mf.Measure(X.astype(str), W), "unit vectors"),
        (mf.Measure(X.astype(object), W), "array of object"),
        (mf.Measure([[1.0, 0.0, 0.0], [1.0]], W), "found a list, expected"),
        (mf.Measure(X, "equal"), "the text 'equal'"),
        (mf.Measure(X, W, W[:3]), r"quadrature weights of shape \(3,\)"),
        (mf.Measure(X[:0], W[:0]), "no points found"),
        ((X, W), "found a list, expected Measure"),
        (X, "expected Measure"),
        (None, "found nothing, expected Measure"),
    ],
)
def test_measures_that_are_none(model: mf.Interaction, measure: mf.Measure, message: str) -> None:
    with pytest.raises(mf.InputError, match=f"^measure.*{message}|^{message}"):
        model.field(measure)


@pytest.mark.parametrize("model", ALL)
def test_points_of_a_field_that_are_none(model: mf.Interaction) -> None:
    field = model.field(mf.Measure.equal(X))
    asked = (field.velocity, field.potential, field.divergence, field.log_partition, field.exponent)
    for ask in asked:
        for wrong in (X[:, :2], X[0], 2.0 * X, with_entry(X, np.nan), "x", X + 0j, None):
            with pytest.raises(mf.InputError, match=r"^points"):
                ask(wrong)  # type: ignore[arg-type]
    with pytest.raises(mf.InputError, match="two tokens or more"):
        model.pair_energy(mf.Measure.equal(X), 1)


def test_angles_are_angles() -> None:
    with pytest.raises(mf.InputError, match=r"\(n, 1\) angles"):
        ZONAL.field(mf.Measure.equal(X))
    with pytest.raises(mf.InputError, match=r"colatitudes 0 to 3\.2 found, 0 to pi"):
        ZONAL.field(mf.Measure.equal(np.array([[0.0], [3.2]])))
    field = ZONAL.field(mf.Measure.equal(np.array([[0.0], [np.pi + 1e-9]])))
    with pytest.raises(mf.InputError, match="angles"):
        field.velocity(np.array([0.1, 0.2]))


@pytest.mark.parametrize("model", ALL)
def test_points_a_little_off_the_sphere_are_moved_onto_it(model: mf.Interaction) -> None:
    # Transforms saw directions, sums over pairs the vectors: both the same points now.
    bent = X * (1.0 + 9e-7 * np.cos(np.arange(20.0)))[:, None]
    straight, off = (model.field(mf.Measure(x, W)) for x in (X, bent))
    assert off.energy() == pytest.approx(straight.energy(), rel=1e-13)
    np.testing.assert_allclose(off.velocity(bent), straight.velocity(X), rtol=1e-9, atol=1e-12)


def test_equal_masses() -> None:
    measure = mf.Measure.equal(X.tolist())  # type: ignore[arg-type]
    np.testing.assert_array_equal(measure.points, X)
    np.testing.assert_array_equal(measure.weights, W)
    for wrong in (X[:0], X[0], "x", None):
        with pytest.raises(mf.InputError, match=r"^points"):
            mf.Measure.equal(wrong)  # type: ignore[arg-type]


def test_known_points_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (DIRECT, FAST):
        at = model.locate(X)
        expected = model.field(mf.Measure(X, W)).velocity(X)
        kind = type(model.manifold)
        with monkeypatch.context() as patch:
            patch.setattr(kind, "checked", lambda *_: pytest.fail("checked"))
            found = model.field(mf.Measure(at, W)).velocity(at)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        with pytest.raises(mf.InputError, match="one for each of 20"):
            model.field(mf.Measure(at, W[:19]))


def test_steps_of_solvers_do_not_check(monkeypatch: pytest.MonkeyPatch) -> None:
    from meanfield.dynamics.layers import LayerSolver
    from meanfield.dynamics.particles import ParticleSolver

    solvers = [ParticleSolver(model, X) for model in (DIRECT, FAST)]
    for kind in {type(model.manifold) for model in (DIRECT, FAST)}:
        monkeypatch.setattr(kind, "checked", lambda *_: pytest.fail("checked"))
    for solver in (*solvers, LayerSolver(FAST, X, layer_step=0.1)):
        assert isinstance(solver.measure().points, Located)
        solver.advance(1.0)
        solver.velocity()


def test_weights_add_up_over_ranks() -> None:
    def velocity(comm: Communicator) -> Array:
        own = slice(0, 13) if comm.rank == 0 else slice(13, 20)
        return DIRECT.field(mf.Measure(X[own], W[own]), comm=comm).velocity(X)

    expected = DIRECT.field(mf.Measure(X, W)).velocity(X)
    for found in on_ranks(2, velocity):
        assert not isinstance(found, Exception), found
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_what_one_rank_gives_wrongly_is_refused_on_all() -> None:
    def scaled(comm: Communicator) -> object:
        return DIRECT.field(mf.Measure((1.0 + comm.rank) * X, 0.5 * W), comm=comm)

    def asked(comm: Communicator) -> object:
        field = DIRECT.field(mf.Measure(X, 0.5 * W), comm=comm)
        return field.velocity((1.0 + comm.rank) * X)

    def everything(comm: Communicator) -> object:
        return DIRECT.field(mf.Measure(X, W), comm=comm)

    for action, message in ((scaled, "length 2"), (asked, "length 2"), (everything, "sum 2")):
        for found in on_ranks(2, action):
            assert isinstance(found, mf.InputError) and message in str(found)
