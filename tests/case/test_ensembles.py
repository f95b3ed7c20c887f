"""Ensembles of matrices: their laws, and that a seed is a matrix."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.case.ensembles import ENSEMBLES, RANDOM, draw

D = 4
MANY = range(4000)


def sample(name: str) -> np.ndarray:
    return np.array([draw(name, D, seed) for seed in MANY])


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_is_a_matrix(name: str) -> None:
    np.testing.assert_array_equal(draw(name, 5, 7), draw(name, 5, 7))
    assert np.max(np.abs(draw(name, 5, 7) - draw(name, 5, 8))) > 0.1
    assert draw(name, 2).shape == (2, 2)


def test_the_numbers_of_a_seed_stay() -> None:
    """Of NumPy's generator, which keeps them: cases must not change with a version of ours."""
    g = np.random.default_rng(3).standard_normal((3, 3))
    np.testing.assert_array_equal(draw("ginibre", 3, 3), g)
    np.testing.assert_allclose(draw("goe", 3, 3), (g + g.T) / np.sqrt(2.0))
    np.testing.assert_allclose(draw("psd", 3, 3), g.T @ g / 3.0)
    np.testing.assert_allclose(np.triu(draw("wigner", 3, 3)), np.triu(g))


def test_plus_and_minus_the_identity() -> None:
    np.testing.assert_array_equal(draw("identity", D, 5), np.eye(D))
    np.testing.assert_array_equal(draw("minus identity", D), -np.eye(D))
    assert set(ENSEMBLES) == {"identity", "minus identity", *RANDOM}


def test_entries_of_ginibre_are_normal() -> None:
    flat = sample("ginibre").reshape(len(MANY), -1)
    np.testing.assert_allclose(np.cov(flat.T), np.eye(D * D), atol=0.12)
    np.testing.assert_allclose(flat.mean(axis=0), 0.0, atol=0.08)
    assert np.mean(flat**4) == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize(("name", "diagonal"), [("wigner", 1.0), ("goe", 2.0)])
def test_symmetric_ensembles(name: str, diagonal: float) -> None:
    found = sample(name)
    np.testing.assert_array_equal(found, np.swapaxes(found, 1, 2))
    variance = np.full((D, D), 1.0)
    np.fill_diagonal(variance, diagonal)
    np.testing.assert_allclose(np.var(found, axis=0), variance, atol=0.2)
    upper = found[:, *np.triu_indices(D)]
    correlation = np.corrcoef(upper.T)
    np.testing.assert_allclose(correlation, np.eye(len(correlation)), atol=0.08)


def test_positive_matrices() -> None:
    found = sample("psd")
    np.testing.assert_allclose(found.mean(axis=0), np.eye(D), atol=0.06)
    assert np.min(np.linalg.eigvalsh(found)) >= -1e-13


def test_rotations_are_of_the_law_of_haar() -> None:
    found = sample("rotation")
    np.testing.assert_allclose(
        found @ np.swapaxes(found, 1, 2), np.eye(D) + 0.0 * found, atol=1e-13
    )
    np.testing.assert_allclose(np.linalg.det(found), 1.0, atol=1e-12)
    flat = found.reshape(len(MANY), -1)
    np.testing.assert_allclose(np.cov(flat.T), np.eye(D * D) / D, atol=0.03)
    # Of Haar's law traces have mean 0 and variance 1: not so without the signs of R.
    traces = np.trace(found, axis1=1, axis2=2)
    assert abs(np.mean(traces)) < 0.08 and np.var(traces) == pytest.approx(1.0, abs=0.1)
