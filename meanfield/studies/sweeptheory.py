"""What is known beforehand of the points of a sweep: the time at which tokens are close.

Uniform tokens in high dimension are nearly orthogonal, and then stay nearly equiangular: their
inner product follows one ordinary differential equation (arXiv 2312.10794, section 6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import integrate

from meanfield.analysis.exact import equiangular_rate
from meanfield.analysis.onelayer import layer_cosine
from meanfield.case import Case, Layers, Particles
from meanfield.case.equiangular import EQUIANGULAR
from meanfield.case.shortform import ShortForm, short_form
from meanfield.geometry.laws import Uniform

__all__ = ["cosines_of", "theory_of"]


def theory_of(cases: Sequence[Case], delta: float) -> list[float | None]:
    """Times at which orthogonal tokens, or equiangular ones, have inner products 1 - delta.

    Args:
        cases: of the points.
        delta: 0 < delta < 1.

    Returns:
        A time for each case; None where tokens do not start so (d >= n, drawn from the uniform
        law; or equiangular, with any cosine), are moved by anything else than the short form of
        [model] without noise, or never get there.
    """
    return [_equiangular_time(case, delta) for case in cases]


def _equiangular_time(case: Case, delta: float) -> float | None:
    solver, form = case.solver, short_form(case.model)
    if form is None or form.value != 1 or not isinstance(solver, Particles):
        return None
    n = solver.number
    if n is None or n < 2:
        return None
    drawn = solver.tokens == "iid" and isinstance(case.initial, Uniform) and n <= case.geometry.d
    if solver.exclude_self or not (drawn or solver.tokens == EQUIANGULAR):
        return None
    time = _time(form, n, delta, solver.cosine or 0.0)
    return time if math.isfinite(time) else None


def _time(form: ShortForm, n: int, delta: float, cosine: float) -> float:
    """The integral of 1/gamma' over gamma from a cosine to 1 - delta, in u = -log(1 - gamma)."""
    first = -math.log1p(-cosine)
    if first >= -math.log(delta):
        return 0.0
    kind, inverse_temperature, value = form

    def slowness(u: float) -> float:
        gamma = -math.expm1(-u)
        with np.errstate(over="ignore", divide="ignore"):  # slower than numbers tell: inf
            rate = equiangular_rate(kind, gamma, inverse_temperature, n, value)
            return float(np.divide(math.exp(-u), rate))

    if not math.isfinite(slowness(first)):
        return math.inf
    time, _ = integrate.quad(slowness, first, -math.log(delta), epsabs=0.0, epsrel=1e-10, limit=500)
    return float(time)


def cosines_of(cases: Sequence[Case]) -> list[float | None]:
    """Inner products of tokens after one layer N(alpha x + gamma A(x)) of equiangular ones.

    Args:
        cases: of the points.

    Returns:
        A cosine for each case; None where there are more layers, or other tokens or models.
    """
    return [_one_layer(case) for case in cases]


def _one_layer(case: Case) -> float | None:
    solver, form = case.solver, short_form(case.model)
    if form is None or not form.normalised or not isinstance(solver, Layers) or solver.exclude_self:
        return None
    alpha, step = getattr(solver, "residual", None), getattr(solver, "step", None)
    once = solver.layers * case.time.end == 1.0
    once = once and getattr(solver, "output", None) != "projected"
    if solver.tokens != EQUIANGULAR or alpha is None or step is None or not once:
        return None
    assert solver.number is not None and solver.cosine is not None
    if solver.number < 2:
        return None
    _, inverse_temperature, value = form
    cosine = layer_cosine(solver.cosine, inverse_temperature, solver.number, alpha, step * value)
    return float(cosine) if math.isfinite(cosine) else None
