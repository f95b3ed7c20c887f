"""Characteristics: the vertices of a mesh follow the flow and carry their mass (kappa = 0).

x_i' = X(x_i), masses m_i = w_i rho_0(x_i) stay for good, and d/dt log rho = -div X along each path,
with X and div X exact from the harmonics of the moved masses. There is no numerical diffusion, mass
is exact, and with nodal weights that integrate harmonics exactly the accuracy is spectral as long
as the flow is smooth. The moving triangulation carries the P1 density for output.

Vertices are distributed over ranks in blocks; only moments are summed, so that no mesh library is
needed. A collapsed cluster becomes one point (``clusters.collapsed_groups``), and steps grow to the
time scale of the clusters. Where neighbours drift apart new vertices can be inserted from the
initial law: their whole history is integrated again through the fields of all stages so far.

Knows a mesh (NumPy), an interaction and a law's density; nothing of files, cases or observers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meanfield.case.solvers import Lagrangian
from meanfield.collective import Alone, Communicator, sum_over_ranks
from meanfield.dynamics.balance import balance_weights
from meanfield.dynamics.clusters import collapsed_groups, numbered_groups
from meanfield.dynamics.rungekutta import TOO_SMALL, Control, largest_row, pair_named, try_step
from meanfield.dynamics.solver import EnergyWatch, Solver, State
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.mesh import Mesh, delaunay_weights, mesh_edges
from meanfield.geometry.sphere import Array
from meanfield.interaction.field import Field
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.measure import Measure
from meanfield.options import chosen

__all__ = ["LagrangianSolver", "LagrangianState"]

IntArray = NDArray[np.int64]

_FEW = 400  # points among which what has collapsed is searched for in every step
_FEW_REFINED = 8  # points summed directly where vertices are inserted, which takes moments
_MERGE_EVERY = 10  # steps between searches for what has collapsed, among many points
_REFINE_EVERY = 2  # steps between searches for edges that have become long
_PASSES = 6  # halvings of one edge at such a time


@dataclass(frozen=True, eq=False)
class LagrangianState(State):
    """All that a restart needs, in the order of the vertices (rank 0 holds it).

    Attributes:
        reference: (n, gdim) where the vertices started; cells: (m, k) their triangulation.
        x: (n, k) unit vectors (zonal: (sin theta, cos theta)).
        log_rho: (n,) log of the density with respect to sigma; mass: (n,).
        group: (n,) vertices with the same number are one point for good.
        longest, previous, rejected: what the step control remembers.
        merge_error, insert_error: estimates made so far, see ``LagrangianSolver``.
        history: (k, 2 + stages * coefficients) time, step and the moments of all stages of each
            step; empty without refinement.
        refined_until, refined_why: when, and why, no more vertices could be inserted; nan: they
            still can.
    """

    reference: Array
    cells: IntArray
    x: Array
    log_rho: Array
    mass: Array
    group: IntArray
    longest: float
    previous: float
    rejected: int
    merge_error: float
    insert_error: float
    history: Array
    refined_until: float
    refined_why: str


class LagrangianSolver(Solver):
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
        longest_edge: of the initial mesh, an angle.
        weights: (n,) nodal weights of the initial mesh (sum one), exact for harmonics of degree up
            to ``balanced_degree`` with the error ``balance_error``.
        rejected, evaluations: numbers of rejected steps, of field evaluations.
        merge_error: estimated relative error of the field by merging so far.
        insert_error: largest change of the interaction's moments by inserting vertices so far.
        inserted: number of inserted vertices; refines: whether more may be; refined_until: when,
            and why, no more could be.
        timings: seconds in "field", "merge" and "insert".
        All others are those of ``Solver``.

    Raises:
        InputError: parameters that cannot be used, or an initial density that is negative, not
            finite or zero everywhere. On every rank.
    """

    state_kind = LagrangianState

    def __init__(
        self,
        interaction: Interaction,
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
        self.pair, self.refines, self._density = pair, options.refine, density
        self._precise = self.interaction.quiet(max(options.rtol, 1e-12))
        self.reference: Mesh = given
        self.manifold = given.manifold
        self._first_count = given.n_vertices
        edges = mesh_edges(given)
        self.longest_edge = float(np.max(_distances(given.manifold.lift(given.points), edges)))
        self.evaluations, self.dark_points = 0, 0
        self.merge_error, self.insert_error = 0.0, 0.0
        self.timings |= {"merge": 0.0, "insert": 0.0}
        self._control = Control(options.rtol, options.atol, self.pair.error_order)
        self.refined_until: tuple[float, str] | None = None
        self._history: list[Array] = []
        self._stage_moments: list[Array] = []
        self.initial_mass_error = 0.0
        self._weigh()
        x = given.manifold.lift(given.points)
        with np.errstate(divide="ignore"):
            log_rho = np.log(self._initial_rho)
        self._set_vertices(x, log_rho, np.arange(len(x)))

    # ------------------------------------------------------------------ vertices and points

    def _weigh(self) -> None:
        """Weights, initial density and masses of the vertices, from where they started."""
        mesh = self.reference
        n = mesh.n_vertices
        (start, stop), comm = _block(n, self.comm), self.comm
        area = delaunay_weights(mesh)[2]
        weights, self.balanced_degree, self.balance_error = balance_weights(
            mesh.manifold,
            mesh.points[start:stop],
            area[start:stop] / area.sum(),
            self._first_count,
            self.interaction.degree(1e-6),
            lambda values: sum_over_ranks(comm, values),
            full=True,
        )
        self.weights: Array = _joined(comm, weights)
        rho = np.asarray(self._density(mesh.embedded()), dtype=np.float64)
        bad = np.flatnonzero(~(np.isfinite(rho) & (rho >= 0.0)))
        if bad.size:
            raise InputError(
                f"an initial density that is negative or not finite at {bad.size} vertices found "
                f"(the first is {rho[bad[0]]:g}), finite values >= 0 expected"
            )
        total = float(np.dot(self.weights, rho))
        if total <= 0.0:
            raise InputError("an initial density that vanishes at every vertex found")
        self.initial_mass_error = total - 1.0
        self._initial_rho = rho / total
        self.mass: Array = self.weights * self._initial_rho

    @property
    def n(self) -> int:
        """Number of vertices."""
        return self.reference.n_vertices

    @property
    def inserted(self) -> int:
        """Number of vertices inserted so far."""
        return self.n - self._first_count

    @property
    def rejected(self) -> int:
        """Number of rejected steps so far."""
        return self._control.rejected

    @property
    def points(self) -> int:
        """Number of different points: vertices that have not become one with others."""
        return self._count

    @property
    def group(self) -> IntArray:
        """(n,) number of the point that each vertex is at."""
        return self._group

    def _set_vertices(self, x: Array, log_rho: Array, group: IntArray) -> None:
        """Keep one point of each group, in the order of their first vertices; share them out.

        All arguments are those of all vertices, the same on every rank.
        """
        self._group: IntArray
        self._group, first = numbered_groups(group)
        self._count = first.size
        own = slice(*_block(self._count, self.comm))
        self._x: Array = np.ascontiguousarray(x[first][own])
        self._masses: Array = np.bincount(self._group, weights=self.mass)[own]
        self._log_rho: Array = log_rho  # at the vertices, when they got this group
        self._log_change: Array = np.zeros(len(self._x))  # since then, at this rank's points
        model = self.interaction
        most = _FEW_REFINED if self.refines else self.manifold.few
        few = self._count <= most and model.compiled_sums
        self._model = model.direct() if few and model.method == "auto" else self._precise
        self._first: Array | None = None
        self._energy.forget()  # it was that of other points

    def _all_points(self, own: Array) -> Array:
        """Values at all points, from those at this rank's. Collective."""
        return _joined(self.comm, own)

    def positions(self) -> Array:
        """(n, k) unit vectors of all vertices (zonal: (sin theta, cos theta)). Collective."""
        return self._all_points(self._x)[self._group]

    def log_density(self) -> Array:
        """(n,) log rho with respect to sigma at all vertices. Collective."""
        return self._log_rho + self._all_points(self._log_change)[self._group]

    def moved_mesh(self) -> Mesh:
        """The triangulation where it is now, in the coordinates of its geometry. Collective."""
        mesh = self.reference
        x = self.positions()
        return replace(mesh, points=self.manifold.settle(x))

    # ------------------------------------------------------------------ the field

    def measure(self) -> Measure:
        """This rank's points with their masses."""
        return Measure(self._located(self._x), self._masses)

    def _located(self, x: Array) -> Array | Located:
        points = self.manifold.settle(x)
        harmonics = self._model.harmonics
        return points if harmonics is None else harmonics.locate(points)

    def field(self) -> Field:
        """The field of the current state. Collective."""
        self._first_rates()
        return self._field

    @property
    def _communicator(self) -> Communicator | None:
        return None if self.comm.size == 1 else self.comm

    def _rates(self, x: Array, t: float) -> Array:
        """Velocities and -div X at this rank's points, (m, k + 1). Collective."""
        with self._timed("field"):
            at = self._located(x)
            field = self._model.field(Measure(at, self._masses), t, self._communicator)
            rates = self._rates_in(field, x, at)
        self.evaluations += 1
        self.dark_points = max(self.dark_points, field.dark_points)
        self._latest: Field = field
        if field.moments is not None and self.refines:
            self._stage_moments.append(field.moments)
        return rates

    def _rates_in(self, field: Field, x: Array, at: Array | Located) -> Array:
        velocity, divergence = field.velocity_and_divergence(at)
        return np.column_stack([self.manifold.lifted_velocity(x, velocity), -divergence])

    def _first_rates(self) -> Array:
        if self._first is None:
            self._stage_moments = []
            self._first = self._rates(self._x, self.t)
            self._field = self._latest
        return self._first

    def velocity(self) -> Array:
        """X at all vertices, (n, k) (zonal: along the meridian, (n, 2)). Collective."""
        return self._all_points(self._first_rates()[:, :-1])[self._group]

    def check(self) -> None:
        """Refuse vertices and densities that are none; see ``Solver``. Collective."""
        x, log_rho = self.positions(), self.log_density()
        if not np.all(np.isfinite(x)) or np.any(np.isnan(log_rho) | (log_rho == np.inf)):
            raise BrokenInvariantError(f"vertices or log rho not finite at t = {self.t:.6g}")

    def speed(self) -> float:
        """Root mean square of |X| over the mass. Collective."""
        v = self._first_rates()[:, :-1]
        largest = self._largest(v)
        if largest == 0.0:
            return 0.0
        v = v / largest  # those of usa are up to e^600, and their squares no doubles
        local = np.array([float(np.dot(self._masses, np.sum(v * v, axis=1)))])
        return largest * math.sqrt(float(sum_over_ranks(self._communicator, local)[0]))

    # ------------------------------------------------------------------ stepping

    def _largest(self, rows: Array) -> float:
        return float(np.max(self.comm.allgather(largest_row(rows))))

    def _together(self, good: bool) -> bool:
        return all(self.comm.allgather(good))

    def _take(self, t_end: float) -> float:
        first, control = self._first_rates(), self._control
        if self._energy.new:
            self._watch_energy()
        if control.longest == 0.0:
            kept = list(self._stage_moments)
            control.start(self._rates, self._x, first, self.t, t_end, self._largest)
            self._stage_moments = kept
        while True:
            dt = self._fitted(t_end, control.longest, TOO_SMALL)
            t_new = self._after(dt, t_end)
            kept = self._stage_moments[:1]
            self._stage_moments = list(kept)
            trial = try_step(
                self.pair, self._rates, self._x, first, self.t, dt, t_new,
                self._together, self._largest,
            )  # fmt: skip
            if control.accepts(dt, trial):
                break
            self._stage_moments = kept
        assert trial.x is not None
        self._remember(dt)
        self._x, self._first, self._field = trial.x, trial.velocity, self._latest
        self._log_change = self._log_change + trial.carried[:, 0]
        self._stage_moments = self._stage_moments[-1:]
        return dt

    def _settle(self) -> None:
        self._watch_energy()
        if self.options.merge and (self._count <= _FEW or self.step % _MERGE_EVERY == 0):
            self._merge()
        if self.refines and self.step % _REFINE_EVERY == 0:
            with self._timed("insert"):
                self._refine()

    def _watch_energy(self) -> None:
        """Compare E before and after a step itself.

        Merging and inserting change it by what ``merge_error`` and ``insert_error`` say.
        """
        with self._timed("field"):
            self._energy.see(self._field)

    @property
    def merge_radius(self) -> float:
        """Largest distance from their mean at which points become one."""
        return math.sqrt(2.0 * self._control.atol) / self.interaction.sharpness

    def _merge(self) -> None:
        """Make one point of what has collapsed. Collective; the same decision on every rank."""
        if self._count == 1:
            return
        rates = self._first_rates()
        with self._timed("merge"):
            self._merge_with(rates)

    def _merge_with(self, rates: Array) -> None:
        x, v = self._all_points(self._x), self._all_points(rates[:, :-1])
        masses = self._all_points(self._masses)
        found = collapsed_groups(x, masses, v, self.merge_radius)
        if found is not None:
            group, centre = found
            log_rho = self.log_density()
            moved = np.sum((x - centre) ** 2, axis=1)
            self.merge_error += float(0.5 * self.interaction.sharpness**2 * np.dot(masses, moved))
            self._set_vertices(centre[self._group], log_rho, group[self._group])

    # ------------------------------------------------------------------ new vertices

    def _remember(self, dt: float) -> None:
        """Keep the moments of the stages of a step, for vertices that are inserted later."""
        if not self.refines:
            return
        if len(self._stage_moments) != self.pair.b.size + 1:
            self._insert_no_more("so few points are left that they are summed directly")
        else:
            self._history.append(np.concatenate([[self.t, dt], *self._stage_moments]))

    def _take_history(self) -> None:
        """Read the moments of a checkpoint in the order of this version."""
        harmonics, steps = self._precise.harmonics, len(self._history)
        if harmonics is None or not steps:
            return
        rows, stages = np.array(self._history), self.pair.b.size + 1
        moments = harmonics.from_earlier(rows[:, 2:].reshape(steps, stages, -1))
        if moments is None:
            self._insert_no_more("the moments in its checkpoint are of another interaction")
        else:
            self._history = list(np.column_stack([rows[:, :2], moments.reshape(steps, -1)]))

    def _insert_no_more(self, why: str) -> None:
        self.refines, self._history = False, []
        self.refined_until = (self.t, why)

    def _refine(self) -> None:
        """Insert vertices on edges that have become long and carry mass. Collective."""
        options = self.options
        longest = options.refine_longest * self.longest_edge
        for _ in range(_PASSES):
            edges = mesh_edges(self.reference)
            length = _distances(self.positions(), edges)
            carried = self.mass[edges].sum(axis=1)
            long = (length > longest) & (carried > options.refine_mass)
            count = int(np.count_nonzero(long))
            if not self.refines or count == 0:
                break
            if self.n + count > options.refine_vertices:
                self._insert_no_more(f"{options.refine_vertices} vertices are the most allowed")
                break
            self._insert(edges[long])

    def _insert(self, edges: IntArray) -> None:
        """Put vertices into the middle of edges of the reference mesh, with all their history."""
        mesh = self.reference
        new = self.manifold.lift(mesh.points)[edges].sum(axis=1)
        new /= np.linalg.norm(new, axis=1, keepdims=True)
        own = slice(*_block(len(new), self.comm))
        x, change, known = self._along_history(new[own])
        if not self._together(known):
            self._insert_no_more("new vertices came where the transforms do not resolve Z")
            return
        old_x, old_log = self.positions(), self.log_density()
        before = self._moments()
        points, cells = self.manifold.with_vertices(
            mesh.points, mesh.cells, self.manifold.settle(new), edges
        )
        self.reference = replace(mesh, points=points, cells=cells)
        self._weigh()
        with np.errstate(divide="ignore"):
            new_log = np.log(self._initial_rho[len(old_x) :]) + _joined(self.comm, change)
        self._set_vertices(
            np.concatenate([old_x, _joined(self.comm, x)]),
            np.concatenate([old_log, new_log]),
            np.concatenate([self._group, self._count + np.arange(len(new))]),
        )
        after = self._moments()
        norm = self._model.kernel_norm
        self.insert_error = max(self.insert_error, norm(after - before) / norm(before))

    def _moments(self) -> Array:
        moments = self.field().moments
        assert moments is not None
        return moments

    def _along_history(self, x: Array) -> tuple[Array, Array, bool]:
        """Where points that started at ``x`` are now, and how their log rho has changed.

        The third value is false where the moments that are kept do not tell the field.
        """
        harmonics, stages = self._model.harmonics, self.pair.b.size + 1
        assert harmonics is not None
        nobody = Measure(self._located(self._x[:0]), self._masses[:0])
        change: Array = np.zeros(len(x))
        known = True
        # Steps are known, so that noise decides on none of them.
        model = replace(self._precise, dark=self.interaction.dark)
        for row in self._history:
            moments = iter(row[2:].reshape(stages, -1))

            def rates(y: Array, t: float, moments: Iterator[Array] = moments) -> Array:
                nonlocal known
                field, at = model.field_of_moments(next(moments), nobody, t, None), y
                with np.errstate(all="ignore"):  # dark points, see below
                    values = self._rates_in(field, y, self._located(at))
                known = known and not field.dark_points
                return values

            t, dt = float(row[0]), float(row[1])
            trial = try_step(self.pair, rates, x, rates(x, t), t, dt, t + dt)
            if trial.x is None or not known:
                return x, change, False
            x, change = trial.x, change + trial.carried[:, 0]
        return x, change, True

    # ------------------------------------------------------------------ restart

    def state(self) -> LagrangianState | None:
        """Everything that a restart needs, on rank 0 (None elsewhere). Collective."""
        x, log_rho = self.positions(), self.log_density()
        if self.comm.rank != 0:
            return None
        control = self._control
        return LagrangianState(
            t=self.t,
            step=self.step,
            dt=self.dt,
            reference=self.reference.points,
            cells=self.reference.cells,
            x=x,
            log_rho=log_rho,
            mass=self.mass,
            group=self._group.copy(),
            longest=control.longest,
            previous=control.previous,
            rejected=control.rejected,
            merge_error=self.merge_error,
            insert_error=self.insert_error,
            history=np.array(self._history) if self._history else np.zeros((0, 2)),
            refined_until=math.nan if self.refined_until is None else self.refined_until[0],
            refined_why="" if self.refined_until is None else self.refined_until[1],
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
        self.merge_error, self.insert_error = known.merge_error, known.insert_error
        self._history = list(known.history) if known.history.shape[1] > 2 else []
        self.refined_until, self.refines = None, self.options.refine
        if not math.isnan(known.refined_until):
            # Its history is gone: what is inserted now would not have followed the flow.
            self.refined_until, self.refines = (known.refined_until, known.refined_why), False
        self._take_history()
        self._set_vertices(known.x, known.log_rho, known.group)


# ------------------------------------------------------------------ small things


def _block(n: int, comm: Communicator) -> tuple[int, int]:
    """First and last-plus-one of this rank's share of n things."""
    return n * comm.rank // comm.size, n * (comm.rank + 1) // comm.size


def _joined(comm: Communicator, own: Array) -> Array:
    """The blocks of all ranks, on every rank. Collective."""
    return own if comm.size == 1 else np.concatenate(comm.allgather(own))


def _distances(x: Array, edges: IntArray) -> Array:
    """Angles between the ends of edges."""
    chord = np.linalg.norm(x[edges[:, 0]] - x[edges[:, 1]], axis=1)
    return 2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0))
