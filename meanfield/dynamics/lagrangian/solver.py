"""Steps of characteristics along the field that they make.

Vertices are distributed over ranks in blocks; only moments are summed, so that no mesh library is
needed. A collapsed cluster becomes one point (``clusters.collapsed_groups``), and steps grow to the
time scale of the clusters. Where neighbours drift apart new vertices can be inserted from the
initial law: their whole history is integrated again through the fields of all stages so far.

Knows a mesh (NumPy), an interaction and a law's density; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from meanfield.case.solvers import Lagrangian
from meanfield.collective import Alone, Communicator, joined, own_share
from meanfield.dynamics.lagrangian.inserting import Inserting
from meanfield.dynamics.lagrangian.paths import Evaluation, Stages, located, rates_in
from meanfield.dynamics.lagrangian.points import Points
from meanfield.dynamics.lagrangian.refinement import PASSES, REFINE_EVERY, Refinement
from meanfield.dynamics.lagrangian.start import start_of
from meanfield.dynamics.lagrangian.state import LagrangianState
from meanfield.dynamics.rungekutta import TOO_SMALL, Control, Setting, Trial, pair_named, try_step
from meanfield.dynamics.solver import EnergyWatch, Solver, State
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.mesh import IntArray, Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure
from meanfield.options import chosen

__all__ = ["LagrangianSolver"]

_FEW = 400  # points among which what has collapsed is searched for in every step
_FEW_REFINED = 8  # points summed directly where vertices are inserted, which takes moments
_MERGE_EVERY = 10  # steps between searches for what has collapsed, among many points


class LagrangianSolver(Inserting, Solver):
    """Advance a density along its characteristics.

    kappa = 0: an embedded Runge-Kutta pair with retraction to the sphere; a step is good if its
    largest error of a position (angle) is at most ``atol + rtol * (largest distance moved)``, and
    that of log rho likewise.

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
        options: tolerances, what becomes one point, where new vertices are inserted.
        comm: an mpi4py communicator; None: one process.
        t: initial time.

    Attributes:
        n: number of vertices; mass: (n,) their masses, sum one, on every rank.
        reference: the mesh where the vertices started.
        weights: (n,) nodal weights of the initial mesh (sum one), exact for harmonics of degree up
            to ``balanced_degree`` with the error ``balance_error``.
        evaluations: number of field evaluations.
        merge_error: estimated relative error of the field by merging so far.
        timings: seconds in "field", "merge" and "insert".
        All others are those of ``Solver``.

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
    ) -> None:
        self.options = options = chosen(Lagrangian, options)
        pair = pair_named(options.method)
        ranks: Communicator = comm if comm is not None else Alone()
        given = ranks.bcast(mesh, root=0)
        assert given is not None
        if (interaction.geometry, interaction.d) != (given.geometry, given.d):
            raise InputError(
                f"an interaction on '{interaction.geometry}' (d = {interaction.d}) found, the "
                f"mesh's '{given.geometry}' (d = {given.d}) expected"
            )
        interaction = interaction.on_mesh(given.n_vertices, options.tolerance)
        super().__init__(interaction, ranks, t, EnergyWatch(options.atol))
        self.pair, self._density = pair, density
        self._precise = self.interaction.quiet(max(options.rtol, 1e-12))
        self.reference: Mesh = given
        self.manifold = given.manifold
        self._first_count = given.n_vertices
        self._refinement = Refinement(options, pair, given)
        self.evaluations, self._dark = 0, DarkPoints()
        self.merge_error = 0.0
        self.timings |= {"merge": 0.0, "insert": 0.0}
        self._control = Control(options.rtol, options.atol, self.pair.error_order)
        self._setting = Setting.shared(ranks)
        rho = self._weigh()
        x = given.manifold.lift(given.points)
        with np.errstate(divide="ignore"):
            log_rho = np.log(rho)
        self._set_points(Points(ranks, self.mass, x, log_rho, np.arange(len(x))))

    has_lengths: bool = False
    """Whether vertices have lengths beside their directions."""

    def lengths(self) -> Array:
        """(n,) those of all vertices. Collective."""
        return np.ones(self.n)

    # ------------------------------------------------------------------ vertices and points

    def _weigh(self) -> Array:
        """Set weights and masses of the vertices; gives their initial density."""
        degree = self.interaction.degree(1e-6)
        start = start_of(self.reference, self._density, self._first_count, degree, self.comm)
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
        self._points = points
        model = self.interaction
        most = _FEW_REFINED if self.refines else self.manifold.few
        few = points.count <= most and model.compiled_sums
        self._model = model.direct() if few and model.method == "auto" else self._precise
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
            masses = self._points.masses
            field = self._model.field(Measure(at, masses), self._within(t), self.comm)
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

    def _take(self, t_end: float) -> float:
        now, control, x = self._evaluated(), self._control, self._moving()
        if self._energy.new:
            with self._timed("field"):
                self._see_energy(now.field)
        if control.longest == 0.0:
            control.start(
                self._stages(now, 0.0),
                x, now.rates, self.t, t_end, self._setting,
            )  # fmt: skip
        while True:
            dt = self._fitted(t_end, control.longest, TOO_SMALL)
            stages = self._stages(now, dt)
            trial = try_step(
                self.pair, stages, x, now.rates, self.t, dt, self._after(dt, t_end), self._setting
            )  # fmt: skip
            if control.accepts(dt, trial):
                break
        self._refinement.remember(self.t, dt, stages.moments)
        self._now = self._moved(trial, stages.last)
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
            self._see_energy(field)  # before what ``merge_error`` and ``insert_error`` tell
        if self.options.merge and (self.points <= _FEW or self.step % _MERGE_EVERY == 0):
            self._merge()
        if self.refines and self.step % REFINE_EVERY == 0:
            with self._timed("insert"):
                self._refine()

    @property
    def merge_radius(self) -> float:
        """Largest distance from their mean at which points become one."""
        return math.sqrt(2.0 * self._control.atol) / self.interaction.sharpness

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

    # ------------------------------------------------------------------ new vertices

    def _refine(self) -> None:
        """Insert vertices on edges that have become long and carry mass. Collective."""
        if self.field().moments is None:  # what has just become one has left few points
            self._refinement.too_few(self.t)
        for _ in range(PASSES):
            edges = self._refinement.long_edges(self.reference, self.positions(), self.mass, self.t)
            if edges is None:
                break
            self._insert(edges)

    def _insert(self, edges: IntArray) -> None:
        """Put vertices into the middle of edges of the reference mesh, with all their history."""
        mesh = self.reference
        new = self.manifold.lift(mesh.points)[edges].sum(axis=1)
        new /= np.linalg.norm(new, axis=1, keepdims=True)
        # Steps are known, so that noise decides on none of them.
        model = self._precise.with_dark(self.interaction.dark)
        followed = self._refinement.followed(new[own_share(self.comm, len(new))], model)
        if not self._setting.together(followed is not None):
            why = "new vertices came where the transforms do not resolve Z"
            self._refinement.stop(self.t, why)
            return
        assert followed is not None
        x, change = (joined(self.comm, own) for own in followed)
        old_x, old_log = self.positions(), self.log_density()
        before = self._moments()
        points, cells = self.manifold.with_vertices(
            mesh.points, mesh.cells, self.manifold.settle(new), edges
        )
        self.reference = replace(mesh, points=points, cells=cells)
        rho = self._weigh()
        with np.errstate(divide="ignore"):
            new_log = np.log(rho[len(old_x) :]) + change
        group = np.concatenate([self.group, self.points + np.arange(len(new))])
        every_x, every_log = np.concatenate([old_x, x]), np.concatenate([old_log, new_log])
        self._set_points(Points(self.comm, self.mass, every_x, every_log, group))
        after = self._moments()
        norm = self._model.kernel_norm
        error = norm(after - before) / norm(before)
        self._refinement.error = max(self._refinement.error, error)

    def _moments(self) -> Array:
        moments = self.field().moments
        assert moments is not None
        return moments

    # ------------------------------------------------------------------ restart

    def state(self) -> LagrangianState | None:
        """Everything that a restart needs, on rank 0 (None elsewhere). Collective."""
        x, log_rho = self.positions(), self.log_density()
        if self.comm.rank != 0:
            return None
        control, until = self._control, self.refined_until
        return LagrangianState(
            t=self.t,
            step=self.step,
            dt=self.dt,
            reference=self.reference.points,
            cells=self.reference.cells,
            x=x,
            log_rho=log_rho,
            mass=self.mass,
            group=self.group.copy(),
            longest=control.longest,
            previous=control.previous,
            rejected=control.rejected,
            merge_error=self.merge_error,
            insert_error=self.insert_error,
            history=self._refinement.history(),
            refined_until=math.nan if until is None else until[0],
            refined_why="" if until is None else until[1],
        )

    def _refuse_state(self, state: State) -> None:
        assert isinstance(state, LagrangianState)
        if state.reference.shape[1] != self.reference.gdim or len(state.x) < self._first_count:
            raise InputError(
                f"a state of {len(state.x)} vertices found, {self._first_count} or more expected"
            )

    def _restore(self, state: State | None) -> None:
        known = self.comm.bcast(state, root=0)
        assert isinstance(known, LagrangianState)
        if len(known.x) != self.n:
            self.reference = replace(self.reference, points=known.reference, cells=known.cells)
            self._weigh()
        self.mass = known.mass
        control = self._control
        control.longest, control.previous = known.longest, known.previous
        control.rejected = known.rejected
        self.merge_error, self._refinement.error = known.merge_error, known.insert_error
        until = known.refined_until, known.refined_why
        self._refinement.restore(self.t, known.history, until, self._precise)
        self._set_points(Points(self.comm, self.mass, known.x, known.log_rho, known.group))
