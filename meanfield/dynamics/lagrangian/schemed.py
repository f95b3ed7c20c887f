"""Characteristics under a normalisation scheme: vertices have lengths, too.

theta' = f X, r' = g of each vertex, as the scheme says (``case.normalisation``); masses stay, so
that the field is known. See ``sheet`` for log rho.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meanfield.case.normalisation import Normalisation
from meanfield.case.solvers import Lagrangian
from meanfield.collective import Communicator, own_share
from meanfield.dynamics.lagrangian.paths import Evaluation, Stages, located
from meanfield.dynamics.lagrangian.points import Points
from meanfield.dynamics.lagrangian.sheet import (
    Directed,
    first_tangents,
    log_spread,
    sheet_rates,
    straightened,
)
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.state import LagrangianState
from meanfield.dynamics.rungekutta import Control, Pair, Setting, Trial, weighted_sum
from meanfield.dynamics.solver import State
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.anyfield import Output
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.measure import Measure
from meanfield.options import chosen

__all__ = ["SchemedSolver", "SchemedState"]


@dataclass(frozen=True, eq=False)
class SchemedState(LagrangianState):
    """All that a restart needs, in the order of the vertices (rank 0 holds it).

    Attributes:
        log_length: (n,) log r.
        tangents: (n, d - 1, d + 1) orthonormal tangent vectors of the sheet (``sheet``).
        All others are those of ``LagrangianState``.
    """

    log_length: Array
    tangents: Array


class _SheetStages(Stages):
    """The same with tangent vectors, which the pair carries: here they act on their own rates.

    Args:
        evaluate: at (theta, log r), tangent vectors and a time.
        first: the evaluation that the step begins with.
        tangents: there, (m, d - 1, d + 1).
        pair, dt: the method and the step; 0: they stay.
    """

    def __init__(
        self, evaluate: Callable[[Array, Array, float], Evaluation], first: Evaluation,
        tangents: Array, pair: Pair, dt: float,
    ) -> None:  # fmt: skip
        super().__init__(lambda x, t: evaluate(x, self._carried(), t), first)
        self._tangents, self._pair, self._dt = tangents, pair, dt
        columns = tangents.shape[1] * tangents.shape[2]
        self._changes = [first.rates[:, -columns:]]

    def _carried(self) -> Array:
        done, pair = len(self._changes), self._pair
        if self._dt == 0.0:
            return self._tangents
        weights = pair.a[done, :done] if done < pair.b.size else pair.b
        change = weighted_sum(self._dt * weights, np.stack(self._changes))
        return self._tangents + change.reshape(self._tangents.shape)

    def __call__(self, x: Array, t: float) -> Array:
        rates = super().__call__(x, t)
        self._changes.append(rates[:, -self._changes[0].shape[1] :])
        return rates


class SchemedSolver(LagrangianSolver):
    """Advance a density of directions along characteristics with lengths.

    As ``LagrangianSolver``, but: a step is good if its largest error of (theta, log r) is, and that
    of the tangent vectors of the sheet, of length one, likewise. With lengths nothing is merged, as
    what meets may have different ones.

    Args:
        interaction, mesh, density, options, comm, t: as for ``LagrangianSolver``.
        scheme: how outputs and lengths are normalised, without a gain: it is of the interaction.

    Raises:
        InputError: see there; a scheme, an interaction or a geometry that it is not for.
    """

    state_kind = SchemedState
    keeps_history = False  # lengths decide on the field, too

    def __init__(
        self,
        interaction: AnyInteraction,
        mesh: Mesh | None,
        density: Callable[[Array], Array],
        scheme: Normalisation,
        *,
        options: Lagrangian | None = None,
        comm: Communicator | None = None,
        t: float = 0.0,
    ) -> None:
        options = chosen(Lagrangian, options)
        options.suits_scheme(scheme)
        scheme.refuse_heads()
        self.scheme, self.has_lengths = scheme, scheme.has_length
        self._first_length = math.log(_one_length(scheme))
        self._switch = math.inf  # of the scheme, at the end of the step that is being taken
        self._sheet: tuple[Array, Array] | None = None
        super().__init__(interaction, mesh, density, options=options, comm=comm, t=t)
        self._evaluated()  # refuses what has no outputs

    @property
    def merges(self) -> bool:
        """Whether what has collapsed becomes one point."""
        return self.options.merge and not self.has_lengths

    def _set_points(self, points: Points) -> None:
        """New points: those that have become one are at one place, without a slope of lengths."""
        super()._set_points(points)
        log_r = np.full(len(points.x), self._first_length)
        self._sheet = log_r, first_tangents(points.x)

    @property
    def _own(self) -> tuple[Array, Array]:
        assert self._sheet is not None
        return self._sheet

    def lengths(self) -> Array:
        """(n,) r of all vertices; ones where the scheme has none. Collective."""
        return np.exp(self._points.at_vertices(self._own[0]))

    # ------------------------------------------------------------------ the field

    def _evaluate(self, x: Array, t: float) -> Evaluation:
        return self._evaluate_sheet(np.column_stack([x, self._own[0]]), self._own[1], t)

    def _evaluate_sheet(self, y: Array, tangents: Array, t: float) -> Evaluation:
        """The field of this rank's points, were they at (theta, log r), and rates. Collective."""
        x, now = np.ascontiguousarray(y[:, :-1]), self._within(t)
        with self._timed("field"):
            at = located(self._model, x)
            field = self._model.field(Measure(at, self._points.masses), now, self.comm)
            out = field.output(at, seen=self._dark)
            rates, moved = self._rates(out, x, y[:, -1], tangents, now)
        self.evaluations += 1
        return Evaluation(np.column_stack([rates, moved.reshape(len(x), -1)]), field)

    def _rates(
        self, out: Output, x: Array, log_r: Array, tangents: Array, t: float
    ) -> tuple[Array, Array]:
        before = t if t < self._switch else math.nextafter(self._switch, -math.inf)
        with np.errstate(all="ignore"):  # no output at all: the step is refused
            return sheet_rates(self.scheme, out, x, log_r, tangents, before)

    def paces(self) -> Array:
        """(m,) 1/s of this rank's points. Collective."""
        field = self.field()
        x = self._points.x
        vector = field.output(located(self._model, x)).vector
        along = np.einsum("ni,ni->n", x, vector)
        size, r = np.linalg.norm(vector, axis=1), np.exp(self._own[0])
        return self.scheme.rates(along, size, r, self.t).factor

    # ------------------------------------------------------------------ stepping

    def advance(self, t_end: float) -> float:
        """One step: see ``Solver``. It ends where the scheme changes, too."""
        switch = self.scheme.next_jump(self.t)
        self._switch = switch
        try:
            dt = super().advance(min(t_end, switch))
        finally:
            self._switch = math.inf
        if self.t >= switch:
            self._forget()
        return dt

    def _controlled(self, few: bool) -> tuple[Control, Setting]:
        control, setting = super()._controlled(few)
        return control, setting._replace(on=Directed(self.manifold.d))

    def _moving(self) -> Array:
        return np.column_stack([self._points.x, self._own[0]])

    def _stages(self, first: Evaluation, dt: float) -> Stages:
        return _SheetStages(self._evaluate_sheet, first, self._own[1], self.pair, dt)

    def _moved(self, trial: Trial, last: Evaluation) -> Evaluation:
        assert trial.x is not None
        x, log_r, old = trial.x[:, :-1], trial.x[:, -1], self._own[1]
        new = old + trial.carried.reshape(old.shape)
        change = log_spread(self._points.x, old) - log_spread(x, new)
        self._points.move(np.ascontiguousarray(x), change)
        straight = straightened(x, new)
        self._sheet = log_r, straight.tangents
        k = trial.x.shape[1]
        moved = straight.turn @ last.rates[:, k:].reshape(old.shape)
        return last._replace(rates=np.column_stack([last.rates[:, :k], moved.reshape(len(x), -1)]))

    def _merge(self) -> None:
        if self.merges:
            super()._merge()

    # ------------------------------------------------------------------ restart

    def state(self) -> SchemedState | None:
        """Everything that a restart needs, on rank 0 (None elsewhere). Collective."""
        log_r, tangents = (self._points.at_vertices(part) for part in self._own)
        plain = super().state()
        if plain is None:
            return None
        return SchemedState(**plain.values(), log_length=log_r, tangents=tangents)  # type: ignore[arg-type]  # by name

    def _restore(self, state: State | None) -> None:
        super()._restore(state)
        known = self.comm.bcast(state, root=0)
        assert isinstance(known, SchemedState)
        first = np.unique(self.group, return_index=True)[1]
        own = first[own_share(self.comm, self.points)]
        self._sheet = known.log_length[own], np.ascontiguousarray(known.tangents[own])


def _one_length(scheme: Normalisation) -> float:
    """r of all vertices at the beginning.

    Raises:
        InputError: a law of them.
    """
    length: object = getattr(scheme, "length", 1.0) if scheme.has_length else 1.0
    if not isinstance(length, int | float):
        raise InputError(
            "model.normalisation.length: a law found, but the vertices of a density begin with one "
            "length: expected a number, or tokens (solver.type 'particles' or 'layers')"
        )
    return float(length)
