"""Steps of characteristics along the field that they make.

Vertices are distributed over ranks in blocks; only moments are summed, so that no mesh library is
needed. A collapsed cluster becomes one point (``clusters.collapsed_groups``), and steps grow to the
time scale of the clusters. The moments of all steps are kept (``history``).

Knows a mesh (NumPy), an interaction and a law's density; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from meanfield.case.solvers import Lagrangian
from meanfield.collective import Alone, Communicator, sum_over_ranks
from meanfield.dynamics.lagrangian.decided import Decided, decided
from meanfield.dynamics.lagrangian.history import History
from meanfield.dynamics.lagrangian.paths import Evaluation, Stages, located, moment_rates, rates_in
from meanfield.dynamics.lagrangian.points import Points
from meanfield.dynamics.lagrangian.pointwise import Pointwise
from meanfield.dynamics.lagrangian.start import Origin, Start, longest_edge, start_of
from meanfield.dynamics.lagrangian.state import LagrangianState, flat
from meanfield.dynamics.rungekutta import TOO_SMALL, Control, Setting, Trial, pair_named, try_step
from meanfield.dynamics.solver import State
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.mesh import IntArray, Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure
from meanfield.options import chosen

__all__ = ["LagrangianSolver"]

_FEW = 400  # points among which what has collapsed is searched for in every step
_MERGE_EVERY = 10  # steps between searches for what has collapsed, among many points
_STIFF = 2.0  # such steps, over the shortest time of contraction
_POINTWISE = 0.5  # the same, so that the history tells log rho to 1e-6
_CARRIED = 1e-2  # weight of the error of log rho (mean square) in them


class LagrangianSolver(Pointwise):
    """Advance a density along its characteristics.

    kappa = 0: an embedded Runge-Kutta pair with retraction to the sphere; a step is good if its
    largest error of a position (angle) is at most ``atol + rtol * (largest distance moved)``, and
    that of log rho likewise. With ``options.control`` "moments", if the errors of all positions
    together change the moments by at most ``options.accuracy``, relative to those of degree >= 1,
    each weighted by what it does to the field: fewer and longer steps for the same integrals.

    Points that have come within sqrt(2 ``atol``) w^2 of their joint mean, w the width of the
    interaction, and still get closer, become one of their joint mass: replacing masses by their
    mean changes a kernel e^{beta <x, y>} by at most (1 + |beta|)^2 s^2/2 = ``atol`` of itself at
    distances s, w^2 = 1/(1 + |beta|). What is given up is summed, by mass, in ``merge_error``.
    Vertices keep their numbers, and their log rho goes on.

    Args:
        interaction: the model; geometry and d are the mesh's.
        mesh: the initial mesh (rank 0's is used).
        density: values (m,) >= 0 of the initial density with respect to sigma at unit vectors
            (m, d).
        options: tolerances, what becomes one point.
        comm: an mpi4py communicator; None: one process.
        t: initial time.
        start: what the vertices carry (``chart``); None: weights of the mesh, and the density.

    Attributes:
        mass: (n,) masses of the vertices, sum one, on every rank.
        reference: the mesh where the vertices started.
        weights: (n,) nodal weights of the initial mesh (sum one), exact for harmonics of degree up
            to ``balanced_degree`` with the error ``balance_error``.
        origin: where its points come from.
        evaluations: number of field evaluations.
        merge_error: estimated relative error of the field by merging so far.
        timings: seconds in "field" and "merge".
        All others are those of ``Pointwise`` and ``Solver``.

    Raises:
        InputError: parameters that cannot be used, or an initial density that is negative, not
            finite or zero everywhere. On every rank.
    """

    state_kind: ClassVar[type[LagrangianState]] = LagrangianState

    def __init__(
        self,
        interaction: AnyInteraction,
        mesh: Mesh | None,
        density: Callable[[Array], Array],
        *,
        options: Lagrangian | None = None,
        comm: Communicator | None = None,
        t: float = 0.0,
        start: Start | None = None,
    ) -> None:
        self.options = options = chosen(Lagrangian, options)
        ranks: Communicator = comm if comm is not None else Alone()
        given = ranks.bcast(mesh, root=0)
        assert given is not None
        super().__init__(interaction, ranks, t)
        self.pair, self._charted, self.merge_error = (
            pair_named(options.method),
            start is not None,
            0.0,
        )
        self._whole, self.reference = interaction, given
        self.manifold, self.origin = given.manifold, Origin()
        self._begin_history(density)
        self.evaluations, self._dark = 0, DarkPoints()
        self.timings |= {"merge": 0.0}
        self._take_over(decided(options, interaction, given, start), given.n_vertices)
        rho = self._weigh(density, start)
        x = given.manifold.lift(given.points)
        with np.errstate(divide="ignore"):
            log_rho = np.log(rho)
        self._set_points(Points(ranks, self.mass, x, log_rho, np.arange(len(x))))

    def _take_over(self, made: Decided, vertices: int) -> None:
        """Set transforms, and the control of steps, to what the beginning has decided."""
        self._decided, model = made, self._whole.on_mesh(vertices, made.tolerance)
        self._resolve(model, max(self.options.tolerances[0], 1e-12))
        self._by_moments = made.by_moments and self._keeps and not model.is_external
        if made.by_moments and made.accuracy != self.options.moments_accuracy:
            self.options = replace(self.options, accuracy=made.accuracy)
        self._energy.tolerate(made.accuracy if self._by_moments else self.options.tolerances[1])
        self._control, self._setting = self._controlled(False)

    has_lengths: bool = False
    """Whether vertices have lengths beside their directions."""

    @property
    def n(self) -> int:
        """Number of vertices."""
        return self.reference.n_vertices

    @cached_property
    def longest_edge(self) -> float:
        """Of the initial mesh, an angle; of a chart, whose edges are of another time, as usual."""
        return longest_edge(self.reference, self._charted)

    def lengths(self) -> Array:
        """(n,) those of all vertices. Collective."""
        return np.ones(self.n)

    # ------------------------------------------------------------------ vertices and points

    def _weigh(self, density: Callable[[Array], Array], start: Start | None) -> Array:
        """Set weights and masses of the vertices; gives their initial density."""
        if start is None:
            degree = self.interaction.degree(1e-6)
            start = start_of(self.reference, density, self.n, degree, self.comm)
        self.weights, self.mass = start.weights, start.mass
        self.balanced_degree, self.balance_error = start.balanced_degree, start.balance_error
        self.initial_mass_error = start.mass_error
        return start.rho

    @property
    def rejected(self) -> int:
        """Number of rejected steps so far."""
        return self._control.rejected

    @property
    def dark_points(self) -> int:
        """Largest number of this rank's points at which Z was summed directly."""
        return self._dark.most

    @property
    def points(self) -> int:
        """Number of different points: vertices that have not become one with others."""
        return self._points.count

    @property
    def group(self) -> IntArray:
        """(n,) number of the point that each vertex is at."""
        return self._points.group

    def _set_points(self, points: Points) -> None:
        self._points, model = points, self.interaction
        few = points.count <= self.manifold.few and model.compiled_sums
        direct = (
            few and model.method == "auto" and not (self._by_moments and points.count == self.n)
        )
        self._model = model.direct() if direct else self.precise
        if self._by_moments and direct:  # positions of single points matter from now on
            old, self._by_moments = self._control, False
            self._control, self._setting = self._controlled(True)
            self._control.longest, self._control.rejected = old.longest, old.rejected
        self._now: Evaluation | None = None
        self._energy.forget()  # it was that of other points

    def positions(self) -> Array:
        """(n, k) unit vectors of all vertices (zonal: (sin theta, cos theta)). Collective."""
        return self._points.positions()

    def log_density(self) -> Array:
        """(n,) log rho with respect to sigma at all vertices. Collective."""
        return self._points.log_density()

    def moved_mesh(self) -> Mesh:
        """The triangulation where it is now, in the coordinates of its geometry. Collective."""
        mesh = self.reference
        return replace(mesh, points=self.manifold.settle(self.positions()))

    # ------------------------------------------------------------------ the field

    def measure(self) -> Measure:
        """This rank's points with their masses."""
        return Measure(located(self._model, self._points.x), self._points.masses)

    def field(self) -> AnyField:
        """The field of the current state. Collective."""
        return self._evaluated().field

    def _evaluate(self, x: Array, t: float) -> Evaluation:
        """The field of this rank's points, were they at ``x``, and their rates. Collective."""
        with self._timed("field"):
            at = located(self._model, x)
            measure = Measure(at, self._points.masses)
            field = self._model.field(measure, self._within(t), self.comm)
            rates = rates_in(field, self.manifold, x, at, self._dark)
        self.evaluations += 1
        return Evaluation(rates, field)

    def _evaluated(self) -> Evaluation:
        """Field and rates of the current state. Collective."""
        if self._now is None:
            self._now = self._evaluate(self._points.x, self.t)
        return self._now

    def velocity(self) -> Array:
        """That of all vertices, (n, k) (zonal: along the meridian, (n, 2)). Collective."""
        return self._points.at_vertices(self._flow()[0])

    def paces(self) -> Array:
        """(m,) velocity over X at this rank's points. Collective."""
        return np.ones(len(self._points.masses))

    def check(self) -> None:
        """Refuse vertices and densities that are none; see ``Solver``. Collective."""
        x, log_rho = self.positions(), self.log_density()
        if not np.all(np.isfinite(x)) or np.any(np.isnan(log_rho) | (log_rho == np.inf)):
            raise BrokenInvariantError(f"vertices or log rho not finite at t = {self.t:.6g}")

    def _flow(self) -> tuple[Array, Array]:
        x = self._points.x
        return self._evaluated().rates[:, : x.shape[1]], self._points.masses

    # ------------------------------------------------------------------ stepping

    def _forget(self) -> None:
        self._now = None

    def _controlled(self, few: bool) -> tuple[Control, Setting]:
        """How long steps may be, and what decides on it."""
        options, setting, order = self.options, Setting.shared(self.comm), self.pair.error_order
        if not self._by_moments:
            return Control(*options.tolerances, order), setting
        return Control(0.0, options.moments_accuracy, order), setting._replace(
            measured=self._errors
        )

    def _errors(self, end: Array, wrong: Array) -> tuple[float, float]:
        """Sizes of errors (m, k + 1) of this rank's points, were they at ``end``. Collective.

        Relative, of the moments; and of log rho in the mean.
        """
        model, k, masses = self._model, end.shape[1], self._points.masses
        moments, harmonics = self._last.last.field.moments, model.harmonics
        assert harmonics is not None and moments is not None
        with self._timed("field"):
            own = moment_rates(model, located(model, end), masses, wrong[:, :k])
            square = float(np.dot(masses, wrong[:, k] ** 2))
            total = sum_over_ranks(self.comm, np.append(own, square))
        norm, least = model.kernel_norm, model.epsilon / self._control.atol
        # Errors of the size of what transforms leave are no reason for shorter steps.
        size = max(norm(moments - harmonics.uniform()), least * norm(moments))
        return norm(total[:-1]) / size, _CARRIED * math.sqrt(total[-1])

    def _take(self, t_end: float) -> float:
        now, control, x = self._evaluated(), self._control, self._moving()
        if self.history.misses(self.t, self.interaction.next_jump):
            self._remember(self.t, now)
        if self._energy.new:
            with self._timed("field"):
                self._see_energy(now.field)
        if control.longest == 0.0:
            stages = self._stages(now, 0.0)
            control.start(stages, x, now.rates, self.t, t_end, self._setting)
        while True:
            longest = control.longest
            if self._by_moments:
                most = _POINTWISE if self.options.pointwise else _STIFF
                longest = min(longest, most * self.contraction_time)
            dt = self._fitted(t_end, longest, TOO_SMALL)
            stages = self._last = self._stages(now, dt)
            trial = try_step(
                self.pair, stages, x, now.rates, self.t, dt, self._after(dt, t_end), self._setting
            )  # fmt: skip
            if control.accepts(dt, trial):
                break
        self._now = self._moved(trial, stages.last)
        self._remember(self._after(dt, t_end), self._now)
        return dt

    def _moving(self) -> Array:
        """What the steps of a pair move, a row for each of this rank's points."""
        return self._points.x

    def _stages(self, first: Evaluation, dt: float) -> Stages:
        """The evaluations of a step."""
        return Stages(self._evaluate, first)

    def _moved(self, trial: Trial, last: Evaluation) -> Evaluation:
        """Take over a step; gives the evaluation at its end. Collective."""
        assert trial.x is not None
        self._points.move(trial.x, trial.carried[:, 0])
        return last

    def _settle(self) -> None:
        field = self.field()
        with self._timed("field"):
            self._see_energy(field)  # before what ``merge_error`` tells
        if self.options.merge and (self.points <= _FEW or self.step % _MERGE_EVERY == 0):
            self._merge()

    @property
    def merge_radius(self) -> float:
        """Largest distance from their mean at which points become one."""
        return math.sqrt(2.0 * self.options.tolerances[1]) / self.interaction.sharpness

    def _merge(self) -> None:
        """Make one point of what has collapsed. Collective; the same decision on every rank."""
        if self.points == 1:
            return
        v = self._flow()[0]
        with self._timed("merge"):
            merged = self._points.merged(v, self.merge_radius)
            if merged is not None:
                points, moved = merged
                self.merge_error += 0.5 * self.interaction.sharpness**2 * moved
                self._set_points(points)

    # ------------------------------------------------------------------ restart

    def state(self) -> LagrangianState | None:
        """Everything that a restart needs, on rank 0 (None elsewhere). Collective."""
        x, log_rho = self.positions(), self.log_density()
        if self.comm.rank != 0:
            return None
        control = self._control
        return LagrangianState(
            *(self.t, self.step, self.dt),
            *(self.reference.points, self.reference.cells),
            *(x, log_rho, self.mass, self.group.copy()),
            *(control.longest, control.previous),
            rejected=control.rejected,
            merge_error=self.merge_error,
            past=self.history.rows(),
            mass_error=self.initial_mass_error,
            weights=self.weights,
            balanced_degree=self.balanced_degree,
            balance_error=self.balance_error,
            **flat(self._decided, self.origin),
        )

    def _refuse_state(self, state: State) -> None:
        assert isinstance(state, LagrangianState)
        if state.reference.shape[1] != self.reference.gdim:
            raise InputError(
                f"a state in {state.reference.shape[1]} coordinates found, {self.reference.gdim} "
                "expected"
            )

    def _restore(self, state: State | None) -> None:
        known = self.comm.bcast(state, root=0)
        assert isinstance(known, LagrangianState)
        made, vertices = known.decided or self._decided, len(known.mass)
        if (made, vertices) != (self._decided, self.n):
            self._take_over(made, vertices)
        self.reference = replace(self.reference, points=known.reference, cells=known.cells)
        self.mass = known.mass
        self.merge_error, self.history = known.merge_error, History.from_rows(known.past)
        if known.start:
            self.origin, self._charted = known.origin(self.origin.error), known.start != "mesh"
            self.weights, self.balance_error = known.weights, known.balance_error
            self.balanced_degree = known.balanced_degree
            vars(self).pop("longest_edge", None)
        if not math.isnan(known.mass_error):
            self.initial_mass_error = known.mass_error
        self._set_points(Points(self.comm, self.mass, known.x, known.log_rho, known.group))
        control = self._control
        control.longest, control.previous = known.longest, known.previous
        control.rejected = known.rejected
