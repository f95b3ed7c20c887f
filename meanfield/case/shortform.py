"""What a model is that the short form of [model] tells all of: for formulas that hold for it only.

Knows nothing of these formulas.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple, cast

from meanfield.case.heads import EXPONENTIAL
from meanfield.case.model import Model
from meanfield.case.normalisation import Post

__all__ = ["ShortForm", "short_form"]


class ShortForm(NamedTuple):
    """Kind of attention, inverse temperature, and V = value * I, in the order of formulas."""

    kind: Literal["sa", "usa"]
    beta: float
    value: int

    @property
    def normalised(self) -> bool:
        """Whether weights add up to one."""
        return self.kind == "sa"


def short_form(model: Model) -> ShortForm | None:
    """The short form of a model without noise; None where there is anything else in it."""
    if isinstance(model.normalisation, Post) and not model.normalisation.changes_heads:
        model = dataclasses.replace(model, normalisation=None)  # written, and the same as none
    kind, beta, value = model.attention, model.beta, model.value
    if kind not in EXPONENTIAL or not isinstance(beta, int | float) or value is None:
        return None
    if model != Model(attention=kind, beta=beta, value=value):
        return None
    return ShortForm(cast(Literal["sa", "usa"], kind), float(beta), value)
