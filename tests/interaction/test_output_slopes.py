"""Outputs before their projection at points of a density, with their derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.case import Model, Unmeshed
from meanfield.errors import InputError
from meanfield.geometry.manifolds import S1, S2
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.anyfield import AnyField
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Onsager
from meanfield.interaction.measure import Measure
from meanfield.options import made_from

_RNG = np.random.default_rng(11)
_HEADS = tuple(HeadMatrices(a, v) for a, v in _RNG.normal(size=(2, 2, 3, 3)))


def _cloud(n: int, d: int) -> Measure:
    x = _RNG.normal(size=(n, d)) + np.eye(d)[0]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Measure(x, _RNG.dirichlet(np.ones(n)))


def _models() -> list[AnyInteraction]:
    zonal = [
        Attention(name, beta, d, "circle" if d == 2 else "sphere", value, method)  # type: ignore[arg-type]
        for name, beta, d, value, method in [
            ("sa", 4.0, 3, 1, "harmonics"), ("sa", 4.0, 3, -1, "direct"),
            ("usa", 2.0, 3, -1, "harmonics"), ("usa", 2.0, 3, 1, "direct"),
            ("sa", 5.0, 2, 1, "harmonics"), ("usa", -2.0, 2, 1, "harmonics"),
            ("sa", 0.0, 3, 1, "harmonics"),
        ]
    ]  # fmt: skip
    heads = [Composite(_HEADS, name, 3, "sphere") for name in ("sa", "usa")]
    return [*zonal, *heads]


@pytest.mark.parametrize("model", _models(), ids=lambda model: model.describe())
def test_as_outputs_of_tokens_and_differences(model: AnyInteraction) -> None:
    """At tokens those of ``outputs``; their derivative along geodesics by differences."""
    measure = _cloud(60, model.d)
    x = np.asarray(measure.points)
    found = model.field(measure).output(x)
    want = model.outputs(x, measure.weights)
    size = np.max(np.abs(want))
    np.testing.assert_allclose(found.vector, want, rtol=0.0, atol=1e-9 * size)
    velocity = model.field(measure).velocity(x)
    np.testing.assert_allclose(tangent_project(x, found.vector), velocity, atol=1e-9 * size)
    field, h = model.field(measure), 1e-4
    for w in (tangent_project(x, _RNG.normal(size=x.shape)) for _ in range(2)):
        w /= np.linalg.norm(w, axis=1, keepdims=True)
        ends = [field.output(np.cos(k * h) * x + np.sin(k * h) * w).vector for k in (-2, -1, 1, 2)]
        slope = (ends[0] - 8.0 * ends[1] + 8.0 * ends[2] - ends[3]) / (12.0 * h)
        along = np.einsum("nij,nj->ni", found.slope, w)
        np.testing.assert_allclose(along, slope, rtol=0.0, atol=1e-6 * size)


def test_dark_points_by_direct_sums() -> None:
    """A cloud opposite to a point: transforms lose Z there."""
    x = _RNG.normal(size=(50, 3)) * 0.1 + np.array([0.0, 0.0, 1.0])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    measure = Measure(x, np.full(50, 0.02))
    far = np.array([[0.0, 0.0, -1.0], [0.0, 0.6, 0.8]])
    model = Attention("sa", 20.0, 3, "sphere")
    found, known = (m.field(measure).output(far) for m in (model, model.direct()))
    np.testing.assert_allclose(found.vector, known.vector, rtol=0.0, atol=1e-7)
    np.testing.assert_allclose(found.slope, known.slope, rtol=0.0, atol=1e-6)
    np.testing.assert_array_equal(found.vector[0], known.vector[0])


@pytest.mark.parametrize("on", [S1(2), S2(3)], ids=["circle", "sphere"])
def test_second_derivatives(on: S1 | S2) -> None:
    """Their trace is the Laplacian, and they turn the gradient; also next to the poles."""
    harmonics = on.harmonics(7, 1e-13)
    c = _RNG.normal(size=harmonics.degrees.size)
    x = np.concatenate([_RNG.normal(size=(9, on.d)), np.eye(on.d), -np.eye(on.d)])
    x[0] = [1e-9, *np.eye(on.d)[-1][1:]]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = harmonics.hessian(c, x)
    laplacian = harmonics.values(harmonics.laplacian_coefficients(c), x)
    np.testing.assert_allclose(np.einsum("nii->n", found), laplacian, atol=1e-10)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", found, x), 0.0, atol=1e-10)
    w, h = tangent_project(x, _RNG.normal(size=x.shape)), 1e-5
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    ends = [harmonics.gradient(c, np.cos(h) * x + s * np.sin(h) * w) for s in (1.0, -1.0)]
    turned = tangent_project(x, (ends[0] - ends[1]) / (2.0 * h))
    np.testing.assert_allclose(np.einsum("nij,nj->ni", found, w), turned, atol=1e-6)


def _field(model: AnyInteraction, x: Array) -> AnyField:
    return model.field(Measure(x, np.full(len(x), 1.0 / len(x))))


def test_none_of_others() -> None:
    x = np.asarray(_cloud(5, 3).points)
    drifted = Composite(_HEADS, "sa", 3, "sphere", drifts=(LinearDrift(np.eye(3)),))
    linear = made_from(Model, {"attention": "linear", "beta": 1.0}).on(Unmeshed(d=3))
    for model in (Interaction(Onsager(), 3, "sphere"), drifted, linear):
        with pytest.raises(InputError, match="outputs before their projection"):
            _field(model, x).output(x)
    zonal = Attention("sa", 1.0, 5, "zonal")
    angles = np.linspace(0.1, 3.0, 5)[:, None]
    with pytest.raises(InputError, match="zonal"):
        _field(zonal, angles).output(angles)


def test_uniform_density_gives_what_points_outwards() -> None:
    """A = lam_1/lam_0 x, known in closed form: coth(beta) - 1/beta on S^2."""
    grid = S2(3).grid(20, 24)
    x = grid.points
    found = Attention("sa", 3.0, 3, "sphere").field(Measure(x, grid.weights)).output(x[::50])
    ratio = 1.0 / np.tanh(3.0) - 1.0 / 3.0
    np.testing.assert_allclose(found.vector, ratio * x[::50], atol=1e-11)
    projector = np.eye(3) - np.einsum("ni,nj->nij", x[::50], x[::50])
    np.testing.assert_allclose(found.slope, ratio * projector, atol=1e-10)
