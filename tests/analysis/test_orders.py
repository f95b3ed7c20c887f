"""Orders of convergence from errors whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield.analysis.orders import fitted_order, orders_between

EDGES = np.array([0.4, 0.2, 0.1])


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("reference", [0.0, 0.05, 0.09])
def test_the_error_of_the_reference_is_allowed_for(order: float, reference: float) -> None:
    errors = 3.0 * (EDGES**order - reference**order)
    found = fitted_order(errors, EDGES, reference)
    assert found.value == pytest.approx(order, abs=1e-6)
    assert found.factor == pytest.approx(3.0, rel=1e-5)
    assert found.error(0.05) == pytest.approx(3.0 * 0.05**order, rel=1e-5)
    plain = orders_between(errors, EDGES)
    if reference == 0.0:
        np.testing.assert_allclose(plain, order, rtol=1e-12)
    else:
        assert plain[1] > plain[0] > order  # ratios alone tell too much


def test_edges_need_not_be_halved() -> None:
    edges = np.array([0.3, 0.17, 0.11])
    np.testing.assert_allclose(orders_between(2.0 * edges**3, edges), 3.0, rtol=1e-12)


def test_what_is_not_known() -> None:
    assert math.isnan(fitted_order(np.array([1.0, 0.0, np.nan]), EDGES).value)
    assert math.isnan(fitted_order(np.array([1.0, 2.0, 4.0]), EDGES).value)  # errors that grow
    np.testing.assert_array_equal(np.isnan(orders_between(np.array([1.0, 0.0, 0.1]), EDGES)), True)
    kept = fitted_order(np.array([0.16, np.nan, 0.01]), EDGES)
    assert kept.value == pytest.approx(2.0, abs=1e-6)
