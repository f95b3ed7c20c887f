"""What is known beforehand of the points of a sweep: cosines of tokens against time.

Uniform tokens in high dimension start nearly orthogonal, and stay nearly equiangular in every
scheme of normalisation, as equiangular ones do of any cosine: two ordinary differential equations
(``analysis.equiangular``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from meanfield.analysis.equiangular import Equiangular, equiangular_curve, equiangular_time
from meanfield.case import Case, Particles
from meanfield.case.equiangular import EQUIANGULAR
from meanfield.case.normalisation import Normalisation
from meanfield.case.shortform import short_form
from meanfield.errors import InputError
from meanfield.geometry.laws import Uniform

__all__ = ["curves_of", "scheme_times"]


def curves_of(cases: Sequence[Case]) -> list[list[float] | None]:
    """Cosines of orthogonal tokens, or equiangular ones, at the output times of each case.

    Returns:
        None where tokens do not start so (d >= n, drawn from the uniform law; or
        ``solver.tokens = "equiangular"``), are moved by
        anything else than the short form of [model] and a scheme, without noise, or do not stay
        equiangular.
    """
    return [_curve(case) for case in cases]


def scheme_times(cases: Sequence[Case], delta: float) -> list[float | None]:
    """Times at which such tokens in a scheme have inner products 1 - delta, else None."""
    return [_time(case, delta) for case in cases]


def _curve(case: Case) -> list[float] | None:
    tokens = _tokens_of(case)
    if tokens is None:
        return None
    try:
        gamma = equiangular_curve(case.output_times(), tokens, _scheme(case)).gamma
    except InputError:  # a length ends
        return None
    return [float(value) for value in gamma] if np.all(np.isfinite(gamma)) else None


def _time(case: Case, delta: float) -> float | None:
    tokens = _tokens_of(case)
    if tokens is None or tokens.value != 1 or _scheme(case) is None:
        return None
    if not tokens.gamma < 1.0 - delta:
        return None
    time = equiangular_time(1.0 - delta, tokens, _scheme(case))
    return time if np.isfinite(time) else None


def _scheme(case: Case) -> Normalisation | None:
    scheme = case.model.normalisation
    return scheme if isinstance(scheme, Normalisation) else None


def _tokens_of(case: Case) -> Equiangular | None:
    solver, scheme = case.solver, _scheme(case)
    form = short_form(dataclasses.replace(case.model, normalisation=None))
    if form is None or not isinstance(solver, Particles) or solver.common_noise:
        return None
    n = solver.number
    drawn = solver.tokens == "iid" and isinstance(case.initial, Uniform)
    if solver.exclude_self or n is None or n < 2:
        return None
    gamma = 0.0 if solver.cosine is None else solver.cosine
    if solver.tokens == EQUIANGULAR:
        if not gamma > -1.0 / (n - 1):  # a simplex, which has no rates
            return None
    elif not drawn or n > case.geometry.d:
        return None
    length: object = 1.0
    if scheme is not None:
        length = scheme.length
        if scheme.centre or isinstance(scheme.gain, tuple) or not isinstance(length, float):
            return None
    assert isinstance(length, float)
    kind, inverse_temperature, value = form
    return Equiangular(n, inverse_temperature, value, kind, gamma, length)
