"""The density at any point and time of a run that keeps its history.

A point is followed back to the beginning through the field that the history tells:

    log rho(x, t) = log rho_0(x(0)) - log M_0 - q,    q = int_t^0 -div X ds along the way,

M_0 the mass of the initial law as the nodes saw it. Nothing is interpolated in space: it is right
between vertices that the flow has torn apart, and where there are none.

Knows an interaction and its history, an initial density; nothing of meshes and who takes steps.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.collective import joined, max_over_ranks, own_share, sum_over_ranks
from meanfield.dynamics.lagrangian.following import field_at, follow
from meanfield.dynamics.lagrangian.history import History
from meanfield.dynamics.lagrangian.paths import Evaluation, moment_rates
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.manifolds import Located, Manifold
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.rules import rule_on
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.measure import Measure, plain

__all__ = ["Pointwise"]

_PROBES = 400  # points at which the fastest rate is looked for
_STEP = (
    0.6  # of ways back, over the shortest time of contraction, or of one radian: 1e-6 in log rho
)
_LONGEST = 2.0  # step, over the same time, at whose ends the history tells what is between
_MOST = 20_000  # points that are followed together: their stages stay in the cache


class Pointwise(Solver):
    """A solver whose density is known at any point and time so far.

    Attributes:
        history: moments at all steps, as long as fields are by transforms.
        precise: the interaction by those transforms.
        density: values (m,) >= 0 of the initial density at unit vectors (m, d), in any unit;
            ``initial_mass_error``: its mass at the nodes, minus one.
    """

    keeps_history: ClassVar[bool] = True
    """Whether the moments of one measure tell its field."""
    history: History
    precise: AnyInteraction
    manifold: Manifold
    density: Callable[[Array], Array]
    initial_mass_error: float
    _first: float
    _keeps: bool

    def _begin_history(self, density: Callable[[Array], Array]) -> None:
        """Nothing is known but the initial density."""
        self.history, self.density, self._first = History(), density, self.t

    def _resolve(self, model: AnyInteraction, rtol: float) -> None:
        """Take the interaction as so many vertices resolve it."""
        self.interaction, self.precise = model, model.quiet(rtol)
        vars(self).pop("_followed_in", None)  # is made of it
        told = model.harmonics is not None and not model.further
        self._keeps = self.keeps_history and (told or model.is_external)

    @abstractmethod
    def _evaluated(self) -> Evaluation:
        """Field and rates of the current state. Collective."""

    @property
    def contraction_time(self) -> float:
        """The shortest time in which neighbours come nearer, or farther, by e. Collective."""
        divergence = self._evaluated().rates[:, -1]
        (rate,) = max_over_ranks(self.comm, float(np.max(np.abs(divergence), initial=0.0)))
        return (self.manifold.d - 1) / rate if rate > 0.0 else math.inf

    @cached_property
    def _followed_in(self) -> AnyInteraction:
        """That by transforms, whose points are dark as late as they can be."""
        return self.precise.with_dark(self.interaction.dark)

    def _remember(self, t: float, now: Evaluation) -> None:
        """Keep the moments at a time, and how they change. Collective.

        Of few points, whose field is summed directly, as long as steps are no longer than what the
        history can tell: then it ends.
        """
        history, model = self.history, self.precise
        if not self._keeps or model.is_external or (len(history) and history.times[-1] < self.t):
            return
        measure, moments = self.measure(), now.field.moments
        if moments is None:
            if t - self.t > _LONGEST * self.contraction_time:
                return
            at = model.locate(plain(measure.points))
            measure = Measure(at, measure.weights)
            moments = model.moments_of(measure, t, self.comm)
        assert isinstance(measure.points, Located)
        own = moment_rates(model, measure.points, measure.weights, now.rates[:, :-1])
        history.append(t, moments, sum_over_ranks(self.comm, own))

    @property
    def density_from(self) -> float:
        """The first time at which ``density_at`` knows the density."""
        return self._first

    @property
    def density_until(self) -> float:
        """The last time at which ``density_at`` knows the density; -inf: at none.

        Before ``t`` where few points are left, and steps have become long.
        """
        if not self._keeps:
            return -math.inf
        if self.precise.is_external:
            return self.t
        return float(self.history.times[-1]) if len(self.history) else self._first

    def density_at(self, x: object, t: float | None = None) -> Array:
        """rho with respect to sigma at points and a time so far: see ``log_density_at``."""
        return np.asarray(np.exp(self.log_density_at(x, t)))

    @checked_arguments
    def log_density_at(self, x: object, t: float | None = None) -> Array:
        """Log rho with respect to sigma at points and a time so far. Collective.

        By the way of each point back to the beginning: to 1e-6 where steps were short enough for it
        (``solver.pointwise``), else to 1e-5, beside what the moments of the run are wrong by
        (``solver.accuracy``). The work grows with ``t``.

        Args:
            x: (n, d) unit vectors, or points (n, gdim) of the geometry; the same on every rank.
            t: from the beginning to ``density_until``; None: the current time.

        Returns:
            (n,); -inf where there is nothing. nan, with a warning, where the way leads over a point
            at which Z is lost in the noise of transforms ("dark"): its field was summed directly,
            and is not kept.

        Raises:
            InputError: the history does not tell the density, or not at this time. On every rank.
        """
        t = self.t if t is None else float(t)
        self._refuse_time(t)
        points = self._unit_vectors(x)
        own = points[own_share(self.comm, len(points))]
        with self._timed("points"):
            parts = [
                self._followed(own[k : k + _MOST], t) for k in range(0, max(len(own), 1), _MOST)
            ]
            found = joined(self.comm, np.concatenate(parts))
        lost = int(np.count_nonzero(np.isnan(found)))
        if lost:
            warnings.warn(
                f"log rho at {lost} of {len(found)} points is not known at t = {t:.6g} (nan): their"
                " ways lead through places where Z is lost in the noise of transforms",
                MeanfieldWarning,
                stacklevel=2,
            )
        return found

    def _refuse_time(self, t: float) -> None:
        if not self._keeps:
            raise InputError(
                f"density_at: found {self.interaction.describe()}, whose field at any point is not "
                "told by the moments of one measure: expected another interaction, by transforms"
            )
        until = self.density_until
        if not self._first <= t <= until:
            why = "" if until == self.t else " (since then few points are left, and steps are long)"
            raise InputError(
                f"density_at: t = {t:g} found, {self._first:g} to {until:g} expected{why}"
            )

    def _unit_vectors(self, x: object) -> Array:
        """Points as the manifold lifts them."""
        on = self.manifold
        if on.gdim != on.d and isinstance(x, np.ndarray) and x.shape[1:] == (on.gdim,):
            return on.lift(on.checked(x))
        return on.lift(on.coordinates(unit_vectors(x, on.d)))

    def _followed(self, x: Array, t: float) -> Array:
        """log rho at this rank's points (n, k)."""
        found = follow(self._followed_in, self.history, x, t, self._first, self._step_at)
        with np.errstate(divide="ignore"):
            start = np.log(self.density(self.manifold.embed(self.manifold.settle(found.x))))
        return np.asarray(start - found.change - math.log1p(self.initial_mass_error))

    def _step_at(self, t: float) -> float:
        """A step of ways back from a time, the same on every rank."""
        points = self._followed_in.locate(rule_on(self.manifold, _PROBES).points)
        field = field_at(self._followed_in, self.history, t)
        with np.errstate(all="ignore"):  # dark points
            velocity, divergence = field.velocity_and_divergence(points)
            rates = np.abs(divergence) / (self.manifold.d - 1)
            rates = np.maximum(rates, np.linalg.norm(velocity, axis=1))
        rate = float(np.max(rates, initial=0.0, where=np.isfinite(rates)))
        return _STEP / rate if rate > 0.0 else math.inf
