"""A cheap run ahead of characteristics: what the density will be like, and moments at all times.

What is read off it is where points are to be, and none of its errors enters what is computed there.
Every rank does all of it.

Knows an interaction and a law's density; nothing of files and cases.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from meanfield.case.solvers import Lagrangian
from meanfield.dynamics.lagrangian.following import Following, even_times
from meanfield.dynamics.lagrangian.history import History
from meanfield.dynamics.lagrangian.probes import first_boxes
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import Start, checked_density
from meanfield.errors import MeanfieldWarning
from meanfield.geometry.cells import cells_of
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.rules import cells_between, log_crowding, rule_on
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Pilot", "plain_start"]

_POINTS = {2: 640, 1: 160}  # by dimension
_ACCURACY, _TRANSFORMS = 1e-5, 1e-10
_BACK = 0.6  # longest steps of ways back, in times of contraction
_GROWTH = 0.6  # times of contraction that a step of the pilot counts for at least
_STEPS = 200  # at most
_MISSED, _MORE = 0.1, 4  # share of all mass from which on there are up to so many times the points


class Pilot:
    """A run with few points, and its history.

    Args:
        interaction: the model.
        density: values (m,) >= 0 with respect to sigma at unit vectors (m, d).
        options: of the run that follows.
        t: where it begins.
        points: nodes with cells, and what they carry; None: a few.

    Attributes:
        model: the interaction with the transforms in use; manifold: its geometry.
    """

    def __init__(
        self,
        interaction: AnyInteraction,
        density: Callable[[Array], Array],
        options: Lagrangian,
        t: float,
        points: tuple[Mesh, Start] | None = None,
    ) -> None:
        on = interaction.manifold
        mesh, start = points or plain_start(density, on, _POINTS[on.dimension])
        few = replace(
            options, start="mesh", control="moments", accuracy=_ACCURACY, rtol=None, merge=False,
            tolerance=_TRANSFORMS if options.tolerance is None else options.tolerance,
        )  # fmt: skip
        self.t = t
        by_moments = interaction.by("harmonics")  # however few points
        self._solver = LagrangianSolver(by_moments, mesh, density, options=few, t=t, start=start)
        self.model = self._solver.precise
        self.manifold = self.model.manifold
        self._seen: list[tuple[float, float, float]] = []
        self._see()

    def _see(self) -> None:
        solver = self._solver
        rate = 1.0 / solver.contraction_time
        points = self.manifold.settle(solver.positions())
        highest = log_crowding(self.manifold, points, solver.log_density())
        self._seen.append((solver.t, highest, rate))

    @property
    def reached(self) -> float:
        """Its time."""
        return self._solver.t

    @property
    def history(self) -> History:
        """Moments until the time reached."""
        return self._solver.history

    def run(self, end: float, most: float = math.inf) -> float:
        """Go on until ``end``, or until its density has become higher than ``most``.

        One step at least: its history has a beginning and an end. After ``_STEPS`` of them it
        stops with a warning, wherever it is: it is to be cheap.

        Returns:
            The time when it is, log-linearly between its steps; else the time reached.
        """
        solver = self._solver
        for _ in range(_STEPS):
            high = self._seen[-1][1] > math.log(most)
            if solver.t >= end or (high and len(self._seen) > 1):
                break
            solver.advance(end)
            self._see()
        else:
            if solver.t < end:
                warnings.warn(
                    f"solver.start: the cheap run that tells where points are to be came to t = "
                    f"{solver.t:.4g} and not {end:.4g} in {_STEPS} steps: they are placed for that "
                    "time (solver.start = 'mesh': where the vertices are)",
                    MeanfieldWarning,
                    stacklevel=2,
                )
        return min(self.when(most), self.reached)

    def when(self, most: float) -> float:
        """When the density becomes higher than ``most``, or the time reached."""
        times, highest, _ = np.array(self._seen).T
        above = np.flatnonzero(highest > math.log(most))
        if not above.size:
            return self.reached
        k = int(above[0])
        if k == 0:
            return self.t
        share = (math.log(most) - highest[k - 1]) / (highest[k] - highest[k - 1])
        return float(times[k - 1] + share * (times[k] - times[k - 1]))

    def following(self, x: Array) -> Following:
        """Unit vectors (n, k) that follow its flow."""
        return Following(self.model, self.history, x)

    def back(self, s: float) -> Array:
        """Times of steps from ``s`` back to where it began."""
        return self.times(s, self.t, _BACK)

    def times(self, t: float, t_end: float, longest: float) -> Array:
        """Times of steps of at most ``longest``, in times of contraction."""
        known, _, rates = np.array(self._seen).T
        # A field that grows hardly moves anything at first: its own steps tell how fast.
        rates[1:] = np.maximum(rates[1:], _GROWTH / np.diff(known))
        rates[0] = max(rates[0], rates[1])
        return even_times(known, rates, t, t_end, longest)


def plain_start(density: Callable[[Array], Array], on: Manifold, number: int) -> tuple[Mesh, Start]:
    """About ``number`` points of a rule where they are, and what they carry.

    Nodes of cells, and more of them, if a law is narrower than what is between those of a rule.

    Raises:
        InputError: a density that is negative, not finite or zero everywhere.
    """
    rule = rule_on(on, number)
    points, weights, degree = rule.points, rule.weights, rule.degree
    if abs(float(np.dot(weights, density(on.embed(points)))) - 1.0) > _MISSED:
        cells = cells_of(on)
        boxes = first_boxes(cells, on, density, _MORE * number, probed=True)
        points, weights = cells.nodes(boxes)
        points, weights = points.reshape(weights.size, -1), weights.ravel()
        degree = 2 * cells.order - 1
    rho, mass_error = checked_density(density(on.embed(points)), weights)
    mesh = Mesh(on.name, on.d, points, cells_between(on, points))
    return mesh, Start(weights, degree, 0.0, rho, mass_error)
