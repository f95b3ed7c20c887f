"""Direct sums keep the digits of forces that are exponentially small."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.geometry.sphere import tangent_project, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.direct import pair_sums
from meanfield.interaction.measure import Measure


@pytest.mark.parametrize("beta", [1.0, 30.0, 300.0])
def test_the_pull_of_a_far_cluster_keeps_its_digits(beta: float) -> None:
    angle, a, b = 2.0, 0.7, 0.3
    x = np.array([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
    velocity = Attention("sa", beta, 3).field(Measure(x, np.array([a, b]))).velocity(x)
    far = np.exp(beta * (np.cos(angle) - 1.0))
    exact = b * far / (a + b * far) * np.sin(angle)  # 1e-185 for beta = 300
    assert velocity[0, 1] == pytest.approx(exact, rel=1e-12, abs=0.0)
    assert velocity[0, 0] == velocity[0, 2] == 0.0


def test_pull_is_the_tangential_part_of_the_sum() -> None:
    rng = np.random.default_rng(1)
    x, y = uniform_points(50, 4, rng), uniform_points(3000, 4, rng)
    sums = pair_sums(x, y, rng.random(3000), 7.0)
    np.testing.assert_allclose(
        tangent_project(x, sums.pull), tangent_project(x, sums.zy), atol=1e-12 * np.max(sums.z)
    )
    np.testing.assert_allclose(np.sum(sums.zy * x, axis=1), sums.zt, rtol=1e-12)
