"""Masks of batches: padding, and sequences that do not see each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import meanfield as mf
from meanfield.case import Particles
from meanfield.case.batched import batched_model
from meanfield.case.masks import mask_factors
from meanfield.dynamics.layers import layers
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.composite import Composite, HeadMatrices
from meanfield.interaction.masked import Masked
from meanfield.interaction.masks import Causal, Mask, Padding, RandomSequences, Sequences

D = 4
_RNG = np.random.default_rng(3)
X = uniform_points(24, D, _RNG)
HEAD = HeadMatrices(*_RNG.normal(size=(2, D, D)))
LENGTHS = (5, 1, 10, 8)
SEQUENCES: dict[str, tuple[Mask, tuple[int, ...]]] = {
    "one length": (Sequences(6), (6,) * 4),
    "given": (Sequences(LENGTHS), LENGTHS),
    "drawn": (RandomSequences(3, 9, 1), tuple(RandomSequences(3, 9, 1).lengths_of(24))),
}


def blocks(lengths: tuple[int, ...]) -> Array:
    number = np.repeat(np.arange(len(lengths)), lengths)
    return np.asarray(1.0 * (number[:, None] == number[None, :]))


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_each_sequence_moves_as_if_it_were_alone(name: str, kind: str) -> None:
    mask, lengths = SEQUENCES[name]
    assert sum(lengths) == 24 and len(lengths) > 2
    np.testing.assert_array_equal(mask.factors(24), blocks(lengths))
    heads = Composite((HEAD,), kind, D)
    paths = layers(Masked(heads, mask), X, 20, horizon=2.0)
    for first, stop in pairwise([0, *np.cumsum(lengths)]):
        alone = layers(heads, X[first:stop], 20, horizon=2.0)
        np.testing.assert_allclose(paths[:, first:stop], alone, rtol=0.0, atol=1e-11)


def test_causal_sequences() -> None:
    for mask in (Sequences(6, causal=True), Sequences((6, 6, 6, 6), causal=True)):
        np.testing.assert_array_equal(mask.factors(24), np.tril(blocks((6,) * 4)))
    heads = Composite((HEAD,), "sa", D)
    paths = layers(Masked(heads, Sequences(6, causal=True)), X, 10)
    alone = layers(Masked(heads, Causal()), X[6:12], 10)
    np.testing.assert_allclose(paths[:, 6:12], alone, rtol=0.0, atol=1e-12)
    assert "causal sequences of 6 tokens" in Masked(heads, Sequences(6, causal=True)).describe()


def test_particles_in_sequences() -> None:
    heads = Composite((HEAD,), "sa", D)
    options = Particles(rtol=1e-9, atol=1e-12)
    batch = ParticleSolver(Masked(heads, Sequences(LENGTHS)), X, options=options)
    alone = ParticleSolver(heads, X[6:16], options=options)
    for solver in (batch, alone):
        while solver.t < 2.0:
            solver.advance(2.0)
    np.testing.assert_allclose(batch.x[6:16], alone.x, rtol=0.0, atol=1e-7)


def test_drawn_lengths() -> None:
    mask = RandomSequences(8, 64, 5)
    lengths = mask.lengths_of(100_000)
    assert lengths.sum() == 100_000
    assert lengths[:-1].min() == 8 and lengths[:-1].max() == 64
    assert abs(lengths[:-1].mean() - 36.0) < 4.0 * np.sqrt((57**2 - 1) / 12.0 / len(lengths))
    few = mask.lengths_of(1000)
    np.testing.assert_array_equal(few[:-1], lengths[: len(few) - 1])
    assert not np.array_equal(RandomSequences(8, 64, 6).lengths_of(1000), few)
    assert RandomSequences(8, 64).lengths_of(3).tolist() == [3]


@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_padding_is_seen_by_none_and_follows(kind: str) -> None:
    heads = Composite((HEAD,), kind, D)
    paths = layers(Masked(heads, Padding(15)), X, 10)
    np.testing.assert_allclose(paths[:, :15], layers(heads, X[:15], 10), rtol=0.0, atol=1e-12)
    x = X[15:]
    e = np.exp(x @ HEAD.A.T @ X[:15].T)
    a = e @ X[:15] @ HEAD.V.T / (e.sum(axis=1, keepdims=True) if kind == "sa" else 15.0)
    y = x + 0.1 * (a - np.sum(a * x, axis=1, keepdims=True) * x)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    np.testing.assert_allclose(paths[1, 15:], y, rtol=0.0, atol=1e-12)
    np.testing.assert_array_equal(Padding(15).factors(24), np.tile(np.arange(24) < 15, (24, 1)))


# ------------------------------------------------------------------ in cases


def case(mask: object, solver: str = "layers") -> mf.Case:
    options: dict[str, object] = {"type": solver, "number": 24}
    options |= {"layers": 10} if solver == "layers" else {}
    return mf.Case.from_dict({
        "geometry": {"type": "unmeshed", "d": D}, "initial": {"type": "uniform"},
        "model": {"attention": "sa", "beta": 2.0, "mask": mask}, "solver": options,
        "time": {"end": 0.3},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "factors"),
    [
        ({"type": "padding", "length": 15}, Padding(15).factors(24)),
        ({"type": "sequences", "length": 8}, blocks((8, 8, 8))),
        ({"type": "sequences", "lengths": LENGTHS}, blocks(LENGTHS)),
        (
            {"type": "sequences", "low": 3, "high": 9, "seed": 1, "causal": True},
            np.tril(blocks(SEQUENCES["drawn"][1])),
        ),
    ],
)
def test_masks_of_batches_in_cases(mask: dict[str, object], factors: Array) -> None:
    made = case(mask)
    np.testing.assert_array_equal(mask_factors(made.model, 24), factors)
    again = mf.Case.from_dict(made.to_dict())
    assert again == made and mf.Case.from_dict(again.to_dict()) == made
    ensemble = batched_model(case(mask, "particles"))
    np.testing.assert_array_equal(ensemble.mask, factors)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ({"type": "padding", "length": 25}, r"^model\.mask: 25 tokens that are seen .* 24$"),
        ({"type": "padding", "length": 0}, r"model\.mask\.length: expected"),
        ({"type": "sequences"}, "length: found no lengths, expected one of"),
        ({"type": "sequences", "length": 7}, "sequences of 7 tokens found for 24 tokens, a mult"),
        ({"type": "sequences", "lengths": [5, 6]}, "2 sequences of 11 tokens in all .* 24 tokens"),
        ({"type": "sequences", "length": 8, "lengths": [24]}, "length together with lengths"),
        ({"type": "sequences", "low": 3}, "high is missing"),
        ({"type": "sequences", "low": 5, "high": 3}, "5 to 3 found, whole numbers 1 <= low"),
        ({"type": "sequences", "length": 8, "seed": 1}, "seed: found 1 without low and high"),
        ({"type": "sequence", "length": 8}, "did you mean 'sequences'"),
    ],
)
def test_refused(mask: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        case(mask)


def test_masks_refuse_what_is_none() -> None:
    with pytest.raises(InputError, match="length = 0 found"):
        Padding(0)
    with pytest.raises(InputError, match="lengths: none found"):
        Sequences(())
    with pytest.raises(InputError, match="lengths: 0 found"):
        Sequences((3, 0))
    with pytest.raises(InputError, match="seed = -1 found"):
        RandomSequences(1, 2, -1)
