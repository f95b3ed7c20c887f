"""What moves characteristics: velocities and -div X of one field, and those of a step.

Knows a geometry and fields; nothing of masses, meshes and of who takes steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meanfield.geometry.manifolds import Located, Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints

__all__ = ["Evaluation", "Stages", "located", "moment_rates", "rates_in"]


class Evaluation(NamedTuple):
    """The field of points, and what it does to them.

    Attributes:
        rates: (m, k + 1) velocities of their unit vectors, and -div X.
        field: theirs.
    """

    rates: Array
    field: AnyField


class Stages:
    """The evaluations of one step of a Runge-Kutta pair, which calls this for its rates.

    Args:
        evaluate: at unit vectors and a time.
        first: the evaluation that the step begins with.

    Attributes:
        last: the evaluation made last: after a step, where it ends.
    """

    def __init__(self, evaluate: Callable[[Array, float], Evaluation], first: Evaluation) -> None:
        self._evaluate = evaluate
        self.last = first

    def __call__(self, x: Array, t: float) -> Array:
        self.last = self._evaluate(x, t)
        return self.last.rates


def located(model: AnyInteraction, x: Array) -> Located:
    """Unit vectors in the coordinates of the geometry, ready for the transforms in use."""
    return model.locate(model.manifold.settle(x))


def rates_in(
    field: AnyField, on: Manifold, x: Array, at: Located, seen: DarkPoints | None = None
) -> Array:
    """Velocities and -div X of unit vectors ``x``, which are ``at``: (m, k + 1)."""
    velocity, divergence = field.velocity_and_divergence(at, seen=seen)
    return np.column_stack([on.lifted_velocity(x, velocity), -divergence])


def moment_rates(model: AnyInteraction, at: Located, masses: Array, moved: Array) -> Array:
    """What moments (c,) of masses (m,) change by as these move along (m, k), as unit vectors do."""
    assert model.harmonics is not None
    velocity = model.manifold.settled_velocity(at.points, moved)
    return model.harmonics.moment_rates(at, masses[:, None] * velocity)
