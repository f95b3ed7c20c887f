"""An estimate of what a finite number of points does to the results of characteristics.

The mass that a chart finds is far more exact than what comes of it later. So a second run, of a
part of the points, tells: its difference from the first one is its own error, and that of the first
is smaller by as much as a chart gains by its points, and not below the mass that this has missed at
the beginning. Its steps are as much less exact.

Knows two solvers at work; nothing of how they have started.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import Estimate
from meanfield.geometry.sphere import Array

__all__ = ["FEWER", "LOOSER", "estimated_error", "no_estimate"]

FEWER = 2  # times as many points as the second run has
LOOSER = 10.0  # accuracy of its steps over that of the first run's
_GAIN = 5.0  # its errors over those of the first: 1 to 28 in random laws


def estimated_error(solver: LagrangianSolver, twin: LagrangianSolver) -> Estimate:
    """Of the mean (largest component) and of the scaled energy, where there is one. Collective.

    Args:
        solver: at any time.
        twin: a run of the same from ``FEWER`` times less points, at the same time or before.
    """
    while twin.t < solver.t:
        twin.advance(solver.t)
    found = {"mean": float(np.max(np.abs(_mean(solver) - _mean(twin)))) / _GAIN}
    if solver.interaction.energy_kind is not None:
        found["energy_scaled"] = abs(solver.energy(scaled=True) - twin.energy(scaled=True)) / _GAIN
    least = abs(solver.initial_mass_error)  # the same nodes may miss the same
    return Estimate({name: max(error, least) for name, error in found.items()})


def no_estimate(solver: LagrangianSolver, why: str) -> Estimate:
    """That none is known, and why."""
    energy = ("energy_scaled",) if solver.interaction.energy_kind is not None else ()
    return Estimate(dict.fromkeys(("mean", *energy), math.nan), why)


def _mean(solver: LagrangianSolver) -> Array:
    return np.asarray(solver.mass @ solver.positions())
