"""From how far on causal tokens of a case do not see each other: what Renyi centres hang on."""

from __future__ import annotations

import dataclasses
import math

from meanfield.case.case import Case
from meanfield.case.masks import Causal
from meanfield.case.shortform import short_form

__all__ = ["centre_distance"]


def centre_distance(case: Case) -> float | None:
    """4 beta^{-1/2}, radians (arXiv 2411.04990); None: no attraction by a causal mask alone."""
    if not isinstance(case.model.mask, Causal):
        return None
    form = short_form(dataclasses.replace(case.model, mask=None))
    if form is None or form.value != 1 or form.beta <= 0.0:
        return None
    return 4.0 / math.sqrt(form.beta)
