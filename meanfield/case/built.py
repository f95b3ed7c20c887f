"""What a model is made of, as interactions take it: heads, drifts and potentials on a geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from meanfield.case.gain import norm_of
from meanfield.case.heads import Attention, Drift, Head, head_matrices
from meanfield.case.intime import Form, combined, resolved
from meanfield.case.normalisation import Normalisation
from meanfield.case.terms import Perceptron, potential_on
from meanfield.errors import InputError

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.case.intime import NumberInTime
    from meanfield.interaction.composite import HeadMatrices, Moving, MovingHead
    from meanfield.interaction.contract import AnyInteraction
    from meanfield.interaction.drifts.potential import Potential

__all__ = ["OPTIONS", "Parts", "composite_of", "heads_of", "options_of"]

_AHEAD = 100  # jumps at which a zonal geometry looks at what comes

OPTIONS = {"bias": "sigmoid", "tolerance": "sinkhorn"}
"""Keys of [model] that one kind of attention has, which has the same option."""


class Parts(Protocol):
    """What of a ``Model`` is made into heads, drifts and potentials: see its keys."""

    @property
    def attention(self) -> Attention | None: ...

    @property
    def beta(self) -> NumberInTime | None: ...

    @property
    def value(self) -> int | None: ...

    @property
    def heads(self) -> Sequence[Head]: ...

    @property
    def drift(self) -> Drift | None: ...

    @property
    def perceptron(self) -> Perceptron | None: ...

    @property
    def potential(self) -> Potential | None: ...

    @property
    def normalisation(self) -> Normalisation | str | None: ...

    @property
    def beside(self) -> list[str]:
        """The keys that are given of what needs no interaction."""


def composite_of(
    model: Parts, geometry: Geometry, method: str, accuracy: float | None
) -> AnyInteraction:
    """The heads of a model, and what stands beside them, on a geometry.

    Raises:
        InputError: what this dimension, or a kind of attention, does not have.
    """
    from meanfield.interaction.composite import (
        KINDS,
        Composite,
        HeadMatrices,
        Moving,
        MovingDrift,
        MovingHead,
    )
    from meanfield.interaction.drifts import Drift as Fixed

    d, kind = geometry.d, model.attention or "sa"
    heads = heads_of(model, d, kind)
    norm = norm_of(model.normalisation, d)
    drifts = [part.on(d, norm) for part in (model.drift, model.perceptron) if part is not None]
    if model.potential is not None:
        drifts.append(potential_on(model.potential, d))
    given = options_of(model)
    try:
        made = KINDS[kind](**given) if given else kind
        rest = (made, d, geometry.kind, method, accuracy)
        if any(isinstance(part, MovingHead | MovingDrift) for part in (*heads, *drifts)):
            return _looked_ahead(Moving(tuple(heads), *rest, tuple(drifts)))
        fixed = tuple(head for head in heads if isinstance(head, HeadMatrices))
        return Composite(fixed, *rest, tuple(x for x in drifts if isinstance(x, Fixed)))
    except InputError as error:  # it knows its own names only
        said = str(error)
        raise InputError(said if said.startswith("model.") else f"model.{said}") from None


def options_of(model: Parts) -> dict[str, float]:
    """What is given of the options of a kind of attention."""
    return {n: getattr(model, n) for n in OPTIONS if getattr(model, n) is not None}


def heads_of(model: Parts, d: int, kind: Attention) -> list[HeadMatrices | MovingHead]:
    """The heads; the short form is one."""
    heads = [head.matrices(d, kind, f"model.heads[{i}]") for i, head in enumerate(model.heads)]
    if model.value is not None:
        values = np.diag(np.full(d, model.value, dtype=float))
        beta = resolved("model.beta", 1.0 if model.beta is None else model.beta, Form(0))
        pull = combined([beta], lambda now: now * np.eye(d), (d, d))
        keys = pull if kind == "l2" else None
        heads.append(head_matrices(pull, values, kind, "model.beta", keys))
    norm = norm_of(model.normalisation, d)
    if norm is None:
        return heads
    key = "model.heads" if model.heads else "model.beta"
    return [
        head_matrices(
            norm.within(head.A), norm.given(norm.seen(head.V)), kind, f"{key} with its gain",
            None if head.keys is None else norm.within(head.keys),
        )
        for head in heads
    ]  # fmt: skip


def _looked_ahead(moving: Moving) -> Moving:
    """The same, once it is known that a zonal geometry takes what comes: no run ends for it."""
    t = 0.0
    for _ in range(_AHEAD if moving.manifold.latitudes else 0):
        t = moving.next_jump(t)
        if t == math.inf:
            break
        moving.at(t)
    return moving
