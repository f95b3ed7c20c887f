"""Clouds and their parts: what they share, and what differs."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.parts import Division, advance_together, pair_energy
from meanfield.geometry.laws import VonMisesFisher


def cloud(n: int, kappa: float = 0.0, d: int = 3) -> ParticleSolver:
    axis = np.zeros(d)
    axis[-1] = 1.0
    x = VonMisesFisher(tuple(axis), 1.0).sample(n, np.random.default_rng(1))
    return ParticleSolver(mf.Attention("sa", 4.0, d, "any"), x, kappa=kappa, seed=5)


@pytest.mark.parametrize("kappa", [0.0, 0.2])
@pytest.mark.parametrize("d", [2, 3, 8])
def test_a_cloud_is_its_only_part(d: int, kappa: float) -> None:
    whole = cloud(30, kappa, d)
    only = Division(whole, 1)
    advance_together(whole, [only], 0.5)
    assert whole.step > 1
    np.testing.assert_allclose(only.x, whole.x, atol=1e-14)
    assert only.pair_energy() == pytest.approx(pair_energy(whole), rel=1e-13)


@pytest.mark.parametrize("kappa", [0.0, 0.2])
def test_parts_are_clouds_of_their_own(kappa: float) -> None:
    """Each token interacts with those of its part: the law of a part is that of a small cloud."""
    whole = cloud(35, kappa)
    start = whole.x
    halves, quarters, eighths = Division.all_of(whole)
    assert [part.n for part in halves.parts] == [18, 17]
    assert [part.n for part in quarters.parts] == [9, 9, 9, 8]
    assert halves.shares.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(halves.x, start)
    advance_together(whole, [halves, quarters, eighths], 0.5)
    assert whole.t == halves.parts[0].t == quarters.parts[3].t == 0.5
    if kappa == 0.0:
        alone = ParticleSolver(mf.Attention("sa", 4.0, 3, "any"), start[1::4])
        while alone.t < 0.5:
            alone.advance(0.5)
        np.testing.assert_allclose(quarters.x[1::4], alone.x, atol=1e-12)
    assert np.abs(quarters.x - whole.x).max() > 1e-3


def test_parts_have_the_noise_of_the_cloud() -> None:
    """Nearly the same paths: with noise of their own they were further apart than they move."""
    whole = cloud(64, 0.5)
    start, divisions = whole.x, Division.all_of(whole)
    advance_together(whole, divisions, 0.2)
    moved = np.linalg.norm(whole.x - start, axis=1).mean()
    for division in divisions:
        assert np.linalg.norm(division.x - whole.x, axis=1).mean() < 0.2 * moved


def test_few_tokens_are_not_divided() -> None:
    assert Division.all_of(cloud(31)) == [] and len(Division.all_of(cloud(32))) == 3
