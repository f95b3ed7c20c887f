"""Direct sums over circles of latitude: what is left out of them does not matter."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.interaction import direct


@pytest.mark.parametrize("d", [2, 3, 8, 200])
@pytest.mark.parametrize("beta", [-50.0, 0.0, 2.0, 400.0])
def test_pairs_that_are_left_out_do_not_matter(
    d: int, beta: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Masses over 300 decades: what matters to a point may be far from it.
    theta = np.linspace(0.0, np.pi, 121)
    masses = np.exp(-345.0 * (1.0 - np.cos(theta))) / 121.0
    masses[7] = 0.0
    called: list[int] = []
    means = direct.circle_means

    def counted(x: np.ndarray, d: int) -> tuple[np.ndarray, ...]:
        called.append(x.size)
        return means(x, d)

    monkeypatch.setattr(direct, "circle_means", counted)
    few = direct.zonal_pair_sums(theta, theta, masses, beta, d)
    monkeypatch.setattr(direct, "_NEGLIGIBLE", np.inf)
    everything = direct.zonal_pair_sums(theta, theta, masses, beta, d)
    assert called[0] < 0.7 * called[1] and called[1] == 121 * 120
    np.testing.assert_array_equal(few.log_scale, everything.log_scale)
    for name in ("z", "zt", "ztt", "zy", "pull"):
        found, exact = getattr(few, name), getattr(everything, name)
        size = everything.z if exact.ndim == 1 else everything.z[:, None]
        np.testing.assert_allclose(found / size, exact / size, rtol=0.0, atol=1e-14)
    assert np.all(everything.z > 0.0)
