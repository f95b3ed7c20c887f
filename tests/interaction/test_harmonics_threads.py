"""Transforms give the same bits on any number of threads, and twice in a row."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.geometry.manifolds import manifold
from meanfield.geometry.sphere import uniform_points


@pytest.mark.parametrize(("geometry", "d"), [("sphere", 3), ("circle", 2)])
def test_bits_do_not_depend_on_threads(
    geometry: str, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    n = 70_001  # more than one thread is used from 60 000 on
    x, weights = uniform_points(n, d, rng), rng.random(n) / n
    harmonics = manifold(geometry, d).harmonics(28, 1e-13)
    at = harmonics.locate(x)

    def everything() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        moments = harmonics.moments(at, weights)
        return moments, harmonics.values(moments, at), harmonics.gradient(moments, at)

    monkeypatch.setenv("MEANFIELD_NUM_THREADS", "1")
    expected = everything()
    # The parts fit together: the same sums over halves of the nodes.
    halves = harmonics.moments(x[:30_000], weights[:30_000]) + harmonics.moments(
        x[30_000:], weights[30_000:]
    )
    np.testing.assert_allclose(expected[0], halves, atol=1e-12)
    for threads in ("2", "3", "2"):
        monkeypatch.setenv("MEANFIELD_NUM_THREADS", threads)
        for found, wanted in zip(everything(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("value", ["", "0", "many", "-3"])
def test_a_number_of_threads_that_is_none_is_left_to_the_machine(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmonics = manifold("circle", 2).harmonics(3)
    x = uniform_points(40_000, 2, np.random.default_rng(0))
    monkeypatch.setenv("MEANFIELD_NUM_THREADS", "1")
    expected = harmonics.moments(x, np.full(40_000, 1.0))
    monkeypatch.setenv("MEANFIELD_NUM_THREADS", value)
    np.testing.assert_array_equal(harmonics.moments(x, np.full(40_000, 1.0)), expected)
