"""The one Bessel function, against its power series in 60 digits."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest

from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.laws import VonMisesFisher
from meanfield.interaction.kernels import Exponential

ORDERS = (-0.5, 0.0, 0.5, 1.0, 3.0, 30.0, 39.5, 40.0, 63.0, 500.0, 1999.0)
ARGUMENTS = (1e-8, 1e-3, 0.5, 5.0, 19.0, 21.0, 39.0, 60.0, 333.0, 1000.0, 1e4)


def series(nu: float, x: float) -> Decimal:
    """log 0F1(; nu + 1; x^2/4) - x, whose terms are all positive."""
    getcontext().prec = 60
    order, argument = Decimal(repr(nu)), Decimal(repr(x))
    square = argument * argument / 4
    term = total = Decimal(1)
    j = 0
    while j < x / 2 or term > total * Decimal(10) ** -45:
        j += 1
        term *= square / (j * (order + j))
        total += term
    return total.ln() - argument


@pytest.mark.parametrize("nu", ORDERS)
def test_digits_for_any_order_and_argument(nu: float) -> None:
    """d to 4 000 and beta to 1e4: to 2e-14 of itself, or of one where it is small."""
    found = log_scaled_bessel(nu, np.array(ARGUMENTS))
    for x, value in zip(ARGUMENTS, found, strict=True):
        exact = series(nu, x)
        assert abs(Decimal(float(value)) - exact) <= Decimal("2e-14") * max(1, abs(exact))
        assert float(log_scaled_bessel(nu, x)) == value


def test_far_beyond_the_range_of_other_functions() -> None:
    # (3, 1e15): a cap of radius 3e-8; half-integer orders are elementary.
    for x in (1e7, 1e9, 1e12, 1e15):
        assert float(log_scaled_bessel(0.5, x)) == pytest.approx(-np.log(2.0 * x), rel=1e-15)
    assert float(log_scaled_bessel(2.0, 0.0)) == 0.0
    assert log_scaled_bessel(1.5, np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("d", [2, 3, 8, 128, 4000])
@pytest.mark.parametrize("beta", [1e-3, 7.0, 300.0, 1e4])
def test_kernel_and_law_share_it(d: int, beta: float) -> None:
    wanted = float(series(0.5 * d - 1.0, beta))
    lam0 = Exponential(beta=beta).lam(0, d)[0]
    assert lam0 == pytest.approx(np.exp(wanted), rel=1e-11)
    axis = np.eye(d)[0]
    # At the mean the density of the law is e^{k}/lam_0.
    assert VonMisesFisher(axis, beta).log_density(axis[None])[0] == pytest.approx(
        -wanted, rel=1e-12
    )
