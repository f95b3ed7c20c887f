"""Initial tokens from laws, and the clusters of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from parameters import slow_but
from scipy.sparse.csgraph import connected_components

from meanfield.dynamics.clusters import cluster_labels
from meanfield.dynamics.tokens import initial_tokens, tokens_of_block
from meanfield.errors import InputError
from meanfield.geometry.laws import (
    Cap,
    Fourier,
    Law,
    Mixture,
    PoissonKernel,
    Uniform,
    VonMisesFisher,
    standard_density,
)
from meanfield.geometry.sphere import Array, uniform_points

# ------------------------------------------------------------------ laws


LAWS: dict[str, Law] = {
    "standard": standard_density(),
    "vmf": VonMisesFisher((1.0, 2.0, -1.0), 8.0),
    "peaked": VonMisesFisher((1.0, 0.0, 1.0), 400.0),
    "uniform": Uniform(3),
    "poisson": PoissonKernel((0.0, -0.4, 0.2)),
    "cap": Cap((0.0, 0.0, 1.0), np.pi / 3.0),
    "fourier": Fourier((0.3, 0.2, 0.1), (0.0, 0.4)),
    "circle": Mixture((VonMisesFisher((1.0, 0.0), 9.0), Uniform(2)), (0.5, 0.5)),
}


def _moments(x: Array) -> Array:
    second = (x.T @ x / len(x))[np.triu_indices(x.shape[1])]
    return np.concatenate([x.mean(axis=0), second])


@pytest.mark.parametrize("name", slow_but([0, 3, 6, 7], list(LAWS)))
def test_quantised_moments_are_five_times_better_than_those_of_draws(name: str) -> None:
    law, n = LAWS[name], 1000
    if law.d == 3:  # a fine rule, midpoints in height (the edge of the cap lies between two)
        z = np.repeat((np.arange(2000) + 0.5) / 1000 - 1.0, 400)
        phi = np.tile(2.0 * np.pi * (np.arange(400) + 0.5) / 400, 2000)
        r = np.sqrt(1.0 - z * z)
        points = np.column_stack([r * np.cos(phi), r * np.sin(phi), z])
        weights = np.full(len(z), 1.0 / len(z))
    else:
        phi = 2.0 * np.pi * (np.arange(20_000) + 0.5) / 20_000
        points, weights = np.column_stack([np.cos(phi), np.sin(phi)]), np.full(20_000, 5e-5)
    mass = weights * law.density(points)
    mass /= mass.sum()
    second = (points.T @ (points * mass[:, None]))[np.triu_indices(law.d)]
    exact = np.concatenate([mass @ points, second])
    x = initial_tokens(law, n, 0, "quantised")
    assert x.shape == (n, law.d)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=4e-16)
    even = np.linalg.norm(_moments(x) - exact)
    drawn = np.sqrt(
        np.mean(
            [np.sum((_moments(initial_tokens(law, n, seed)) - exact) ** 2) for seed in range(20)]
        )
    )
    assert 5.0 * even < drawn
    # And the order is 1/n, not n^{-1/2}: sixteen times the tokens (errors of both rules aside).
    finer = np.linalg.norm(_moments(initial_tokens(law, 16 * n, 0, "quantised")) - exact)
    assert finer < even / 6.0 + (5e-4 if name == "cap" else 1e-4)


def test_quantised_tokens_fill_the_sphere_evenly() -> None:
    # As far apart as n points can be, up to a factor of two; no clumps and no holes.
    x = initial_tokens(Uniform(3), 2000, 0, "quantised")
    gram = x @ x.T
    np.fill_diagonal(gram, -1.0)
    nearest = np.arccos(np.max(gram, axis=1))
    hexagonal = np.sqrt(8.0 * np.pi / (np.sqrt(3.0) * 2000))
    assert np.min(nearest) > 0.5 * hexagonal and np.max(nearest) < 1.1 * hexagonal
    probes = uniform_points(20_000, 3, np.random.default_rng(0))
    assert np.max(np.arccos(np.max(probes @ x.T, axis=1))) < hexagonal
    angles = np.sort(np.arctan2(*initial_tokens(Uniform(2), 100, 0, "quantised").T))
    np.testing.assert_allclose(np.diff(angles), 2.0 * np.pi / 100, rtol=1e-9)


def test_quantised_needs_a_law_that_its_grid_resolves() -> None:
    with pytest.raises(InputError, match="too concentrated"):
        initial_tokens(VonMisesFisher((1.0, 1.0, 1.0), 1e7), 100, 0, "quantised")
    with pytest.raises(InputError, match="d = 2 or 3 expected"):
        initial_tokens(Uniform(8), 100, 0, "quantised")
    assert initial_tokens(Uniform(8), 100, 0, "iid").shape == (100, 8)


def test_draws_belong_to_their_seed() -> None:
    law = standard_density()
    first = initial_tokens(law, 50, 1)
    np.testing.assert_array_equal(first, initial_tokens(law, 50, 1))
    assert np.all(first != initial_tokens(law, 50, 2))
    for wrong in (0, -3, None):
        with pytest.raises(InputError, match="at least 1 expected"):
            initial_tokens(law, wrong, 1)
    with pytest.raises(InputError, match="did you mean 'quantised'"):
        initial_tokens(law, 50, 1, "quantized")


@pytest.mark.parametrize("law", [Uniform(2), Uniform(1024), LAWS["vmf"], LAWS["circle"]])
def test_a_block_has_the_tokens_of_each_seed_to_the_last_bit(law: Law) -> None:
    seeds = np.array([0, 7, 2**62])
    block = tokens_of_block(law, 9, seeds)
    assert block.shape == (3, 9, law.d)
    for tokens, seed in zip(block, seeds, strict=True):
        assert np.array_equal(tokens, initial_tokens(law, 9, int(seed)))
    # Which others are in the block is nothing to a realisation.
    assert np.array_equal(tokens_of_block(law, 9, seeds[1:2])[0], block[1])
    assert not np.array_equal(block[0], block[1])


def test_placed_tokens_are_the_same_in_a_whole_block() -> None:
    block = tokens_of_block(Uniform(3), 20, [3, 4], "quantised")
    assert np.array_equal(block, np.stack([initial_tokens(Uniform(3), 20, 0, "quantised")] * 2))
    with pytest.raises(InputError, match="0 tokens found"):
        tokens_of_block(Uniform(3), 0, [3])


# ------------------------------------------------------------------ clusters


def _same_partition(a: Array, b: Array) -> bool:
    pairs = len(set(zip(a.tolist(), b.tolist(), strict=True)))
    return pairs == len(np.unique(a)) == len(np.unique(b))


@pytest.mark.parametrize("angle", [1e-6, 0.03, 0.1, 0.5, 2.0, np.pi])
@pytest.mark.parametrize("d", [2, 3, 4, 8, 20])
def test_labels_are_connected_components(d: int, angle: float) -> None:
    rng = np.random.default_rng(d)
    x = uniform_points(400, d, rng)
    x[100:200] = x[rng.integers(0, 10, 100)] + 0.01 * rng.standard_normal((100, d))
    x[200:220] = x[200]
    x[220:240] = x[200] + 1e-9 * rng.standard_normal((20, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    labels = cluster_labels(x, angle)
    chords = np.linalg.norm(x[:, None] - x[None], axis=2)
    expected = connected_components(chords < 2.0 * np.sin(0.5 * angle))[1]
    assert _same_partition(labels, expected)
    sizes = np.bincount(labels)
    assert np.all(np.diff(sizes) <= 0) and np.all(sizes > 0)
    first = [int(np.flatnonzero(labels == k)[0]) for k in range(len(sizes))]
    for k in range(len(sizes) - 1):
        assert sizes[k] > sizes[k + 1] or first[k] < first[k + 1]


def test_chains_and_edges() -> None:
    phi = 0.1 * np.arange(30)
    x = np.column_stack([np.cos(phi), np.sin(phi)])
    assert np.all(cluster_labels(x, 0.1001) == 0)
    assert np.array_equal(np.sort(cluster_labels(x, 0.0999)), np.arange(30))
    x[10:] = np.column_stack([np.cos(phi[10:] + 0.01), np.sin(phi[10:] + 0.01)])
    assert np.array_equal(cluster_labels(x, 0.105), np.repeat([1, 0], [10, 20]))
    assert cluster_labels(np.zeros((0, 3)), 0.1).shape == (0,)
    assert np.array_equal(cluster_labels(np.eye(3)[:1], 0.1), [0])
    for wrong in (0.0, -1.0, 4.0, np.nan):
        with pytest.raises(InputError, match="0 < angle <= pi"):
            cluster_labels(x, wrong)


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-4])
def test_a_collapsed_cloud_costs_no_square(spread: float) -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    x = np.array([[0.0, 0.0, 1.0], [0.0, 0.3, 1.0]])[rng.integers(0, 2, n)]
    x = x + spread * rng.standard_normal((n, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    labels = cluster_labels(x, 0.1)
    assert np.array_equal(labels == labels[0], (x[:, 1] > 0.15) == (x[0, 1] > 0.15))
    assert labels.max() == 1
