"""Where characteristics start: a quadrature rule at a middle time, pulled back to the beginning.

Nodes that are well placed at t = 0 are torn apart later, and those that are well placed at the end
miss what the density is made of at the beginning. So a rule that is exact for harmonics of high
degree is laid at a time s between, y_i with weights w_i, and followed back to 0 through the field
of a cheap *pilot*, a run with few vertices:

    x_i = psi(y_i),    m_i = w_i |det D psi(y_i)| rho_0(x_i),    |det D psi| = e^{-q_i},

q the change of log rho on the way back. That is a change of variables: any smooth map psi is one,
and the pilot may be wrong without any error in m. That their sum M_0 is 1 tells, before the run,
whether the rule resolves rho(s).

s is 0.7 of the end, or where the pilot's density gets too high for the nodes; smaller, once, if
|M_0 - 1| is too large. Cells have no fewer nodes than the coarsest of them: for fewer there is the
rule only.

A law that is all but uniform is another matter (``seeds``): what a late rule misses would grow
faster than the law shows, so that s goes back until it is a small part of what is not uniform.

Knows an interaction, a law's density and a geometry; nothing of files and cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np

from meanfield.case.solvers import Lagrangian
from meanfield.collective import Communicator, joined, own_share
from meanfield.dynamics.lagrangian.adaptive import adapted, fewest_nodes
from meanfield.dynamics.lagrangian.estimate import FEWER, LOOSER, estimated_error, no_estimate
from meanfield.dynamics.lagrangian.pilot import Pilot
from meanfield.dynamics.lagrangian.seeds import SEEN, Seeds
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import (
    Estimate,
    Kind,
    Origin,
    Start,
    checked_density,
)
from meanfield.errors import InputError
from meanfield.geometry.cells import cells_of
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.rules import cells_between, resting_ends, rule_on
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["ROUGH", "UNSEEN", "Chart", "Charts"]

Value = TypeVar("Value")

_MIDDLE = 0.7  # of the end: the chart's time
_PER_PEAK = {2: 35.0, 1: 10.0}  # nodes in an area of one over the highest density, by dimension
_GOOD, ROUGH = 1e-7, 1e-3  # |M_0 - 1|
UNSEEN = 0.03  # the same, from which on there is no run
_LATE, _FEW = 1.6, 2000.0  # on surfaces: ends over the chart's time from which on cells are better
_FEWER = {2: 6, 1: 1}  # times as many nodes as the pilot of cells has, by dimension
_AHEAD, _LOOKS = 4.0, 3  # how far cells look, in times of the chart, and how often
_FEWEST = {2: 640, 1: 160}  # nodes of that pilot
_TIED, _FINEST = 1e3, 1e-8  # accuracy of steps over |M_0 - 1|, and the best
_LEAST = 8  # nodes of a chart
_SOFT = 1.1  # the pilot's density at an earlier time, for laws that are nearly uniform
_CLEARLY = 0.6  # points of the run that tells the error, over those of the run, at most
_TRIES, _SHORTER = 2, 0.85  # pull-backs at most; the second one at an earlier time


@dataclass(frozen=True, eq=False)
class Chart:
    """Nodes that a run starts from.

    Attributes:
        kind: "chart" of one rule, or "cells".
        s: the time of the rule.
        mesh: the nodes at the beginning, with cells as they are at s.
        start: what they carry; ``mass_error`` is M_0 - 1.
        missed: error of the moments over those of degree >= 1, of a law that is nearly uniform.
    """

    kind: Kind
    s: float
    mesh: Mesh
    start: Start
    missed: float = 0.0


def _looser(options: Lagrangian, used: Lagrangian) -> Lagrangian:
    """Options with steps that are less exact than those in use."""
    if options.by_moments is False:
        rtol, atol = (min(LOOSER * tolerance, 0.1) for tolerance in options.tolerances)
        return replace(options, rtol=rtol, atol=atol)
    return replace(options, accuracy=min(LOOSER * used.moments_accuracy, 0.1))


class Charts:
    """Charts of any number of nodes for one run from ``t`` to ``end``, from one pilot.

    There are none for few nodes, direct sums, an interaction of which more than moments is needed,
    an external field, or at dark points.
    """

    def __init__(
        self,
        interaction: AnyInteraction,
        density: Callable[[Array], Array],
        end: float,
        options: Lagrangian,
        comm: Communicator,
        t: float,
    ) -> None:
        self._interaction, self._density, self._options = interaction, density, options
        self._t, self._end, self._comm = t, end, comm
        self._laid: dict[int, Chart | str] = {}

    def of(self, number: int) -> Chart | str:
        """The chart of about so many nodes, or why there is none. Collective."""
        if number not in self._laid:
            dark = f"moments do not tell the field of {self._interaction.describe()} at dark points"
            self._laid[number] = self._refused(number) or self._placed(number) or dark
        return self._laid[number]

    def fewer(self, number: int, points: int) -> Chart | str:
        """A chart to estimate errors by, for one of ``number`` nodes, or why none. Collective.

        Args:
            points: what became of that number.
        """
        few = number // FEWER
        smaller = self.of(few)
        if isinstance(smaller, str):
            return f"of 1/{FEWER} of the points there is no chart: {smaller}"
        if smaller.mesh.n_vertices > _CLEARLY * points:
            return (
                f"that of {few} points would be one of {smaller.mesh.n_vertices}, found with "
                f"{points}: a finer mesh expected"
            )
        return smaller

    def _refused(self, number: int) -> str:
        """Why there cannot be a chart; "" if it can be tried."""
        model = self._interaction
        cut = model.on_mesh(number, self._options.tolerance)
        if number < _LEAST:
            return f"{number} points are fewer than the {_LEAST} that a chart has at least"
        if self._end <= self._t:
            return f"the run ends at t = {self._end:.6g}, where it begins"
        if cut.is_external:
            return f"the field of {model.describe()} is not made by the points"
        if cut.harmonics is None:
            on = model.manifold.name
            return f"moments do not tell the field of {model.describe()} on '{on}' (direct sums)"
        if cut.further:
            return f"moments of one measure do not tell the field of {model.describe()}"
        return ""

    @cached_property
    def _pilot(self) -> Pilot:
        return Pilot(self._interaction, self._density, self._options, self._t)

    def _placed(self, number: int) -> Chart | None:
        """The chart of about so many nodes; None at dark points. Collective."""
        t, end, pilot, start = self._t, self._end, self._pilot, self._options.start
        on = pilot.manifold
        middle = pilot.run(t + _MIDDLE * (end - t), number / _PER_PEAK[on.dimension])
        s = _agreed(pilot, middle, self._comm)
        seeds = Seeds(self._interaction, self._density, number)
        if self._shared(seeds.small):
            return self._of_seeds(s, number, seeds)
        late = end - t > (_LATE + _FEW / number) * (s - t) and on.dimension == 2
        chart, enough = None, number >= fewest_nodes(cells_of(on))
        if start == "chart" or not enough or (start == "auto" and not late):
            chart = _by_rule(pilot, s, self._density, number, self._comm)
            good = chart is not None and abs(chart.start.mass_error) <= ROUGH
            if good or start == "chart" or not enough:
                return chart
        cells = self._of_cells(s, number)
        # A law with edges, or narrower than what is between nodes.
        if cells is None or chart is None:
            return cells or chart
        return min(chart, cells, key=lambda found: abs(found.start.mass_error))

    def _of_seeds(self, s: float, number: int, seeds: Seeds) -> Chart | None:
        """The chart of a law that is nearly uniform, at time ``s`` or earlier. Collective."""

        def weighed(found: Chart) -> Chart:
            missed = seeds.missed(found.mesh.points, found.start.mass)
            return replace(found, missed=self._shared(missed))

        pilot, best = self._pilot, None
        enough = number >= fewest_nodes(cells_of(pilot.manifold))
        if self._options.start == "cells" and enough:
            cells = self._of_cells(s, number)
            return None if cells is None else weighed(cells)
        soft = self._shared(min(pilot.when(_SOFT), s))
        for time in (s, soft, self._t):
            chart = _pulled_back(pilot, time, self._density, number, self._comm)
            if chart is None:
                continue
            chart = weighed(chart)
            if best is None or chart.missed < best.missed:
                best = chart
            if best.missed <= SEEN:
                break
        return best

    def _shared(self, value: Value) -> Value:
        """Rank 0's: the machines of ranks may round differently. Collective."""
        return self._comm.bcast(value, root=0)

    def started(self, chart: Chart, options: Lagrangian) -> LagrangianSolver:
        """A run from a chart; its steps are as good as that is, if nothing else is said."""
        if options.accuracy is None and options.by_moments is not False:
            tied = min(max(_TIED * abs(chart.start.mass_error), _FINEST), options.moments_accuracy)
            options = replace(options, accuracy=tied)
        solver = LagrangianSolver(
            self._interaction, chart.mesh, self._density, options=options, comm=self._comm,
            start=chart.start,
        )  # fmt: skip
        solver.origin = Origin(chart.kind, chart.s, self._end)
        return solver

    def estimate(self, solver: LagrangianSolver, number: int) -> Estimate:
        """Errors of a run from such a chart of ``number`` nodes, by one of fewer. Collective."""
        laid = solver.origin.end
        if laid != self._end:
            return no_estimate(
                solver,
                f"points laid for t = {laid:g} found at t = {self._end:g}, where a run of half "
                "the points tells nothing of them: begin a new run with this end",
            )
        try:
            smaller = self.fewer(number, solver.n)
        except InputError as error:  # a law that is known by its name only
            return no_estimate(solver, str(error))
        if isinstance(smaller, str):
            return no_estimate(solver, smaller)
        twin = self.started(smaller, _looser(self._options, solver.options))
        return estimated_error(solver, twin)

    def _of_cells(self, s: float, number: int) -> Chart | None:
        """The chart of cells at time ``s``, which look ahead; None at dark points. Collective."""
        ahead, t, end = self._ahead(number), self._t, self._end
        if ahead is None:
            return None
        # Beyond a few times s only what has been torn apart moves on.
        ahead.run(min(end, t + _AHEAD * (s - t)) if s > t else end)
        reached = _agreed(ahead, ahead.reached, self._comm)
        s = min(s, reached)
        looks = [s + (reached - s) * k / _LOOKS for k in range(1, _LOOKS + 1)]
        on = ahead.manifold
        cells = cells_of(on)
        nodes = adapted(cells, ahead, s, looks, self._density, number, comm=self._comm)
        if nodes is None:
            return None
        found = _Pulled("cells", s, on.settle(nodes.y), nodes.weights, 2 * cells.order - 1)
        return found.charted(on, nodes.x, self._density)

    def _ahead(self, number: int) -> Pilot | None:
        """A pilot that starts from a chart of fewer nodes. Collective."""
        pilot = self._pilot
        dimension = pilot.manifold.dimension
        fewer = max(number // _FEWER[dimension], _FEWEST[dimension])
        s = _agreed(pilot, pilot.when(fewer / _PER_PEAK[dimension]), self._comm)
        chart = _pulled_back(pilot, s, self._density, fewer, self._comm)
        if chart is None:
            return None
        plain = abs(chart.start.mass_error) > UNSEEN  # the first pilot has seen more
        seeds = Seeds(self._interaction, self._density, fewer)
        if self._shared(seeds.small):
            missed = self._shared(seeds.missed(chart.mesh.points, chart.start.mass))
            plain = plain or missed > SEEN
        points = None if plain else (chart.mesh, chart.start)
        return Pilot(self._interaction, self._density, self._options, self._t, points)


def _agreed(pilot: Pilot, s: float, comm: Communicator) -> float:
    """Rank 0's time ``s``, and every rank's pilot has come as far. Collective.

    Each rank has a pilot of its own, and what follows has collective calls: their machines may
    round differently.
    """
    s = comm.bcast(s, root=0)
    pilot.run(s)
    return s


def _by_rule(
    pilot: Pilot, s: float, density: Callable[[Array], Array], number: int, comm: Communicator
) -> Chart | None:
    """The chart of a rule at time ``s``, or earlier if it does not resolve that. Collective."""
    best: Chart | None = None
    most = number / _PER_PEAK[pilot.manifold.dimension]
    for _ in range(_TRIES):
        found = _pulled_back(pilot, s, density, number, comm)
        if found is None:
            return best
        wrong = abs(found.start.mass_error)
        if best is None or wrong < abs(best.start.mass_error):
            best = found
        if wrong <= _GOOD:
            break
        most *= 0.5
        s = _agreed(pilot, min(_SHORTER * (s - pilot.t) + pilot.t, pilot.when(most)), comm)
    return best


def _pulled_back(
    pilot: Pilot, s: float, density: Callable[[Array], Array], number: int, comm: Communicator
) -> Chart | None:
    """The chart of a rule at time ``s``; None at dark points. Collective."""
    on = pilot.manifold
    rule = rule_on(on, number)
    y = on.lift(rule.points)[own_share(comm, len(rule.points))]
    back = pilot.following(y).through(pilot.back(s))
    if any(comm.allgather(bool(np.any(np.isnan(back.change))))):
        return None
    x, change = (joined(comm, part) for part in back)
    found = _Pulled("chart", s, rule.points, rule.weights * np.exp(-change), rule.degree)
    return found.charted(on, x, density)


class _Pulled(NamedTuple):
    """Points y at s, the area that they have at the beginning, and the degree of their rule."""

    kind: Kind
    s: float
    y: Array
    weights: Array
    degree: int

    def charted(self, on: Manifold, x: Array, density: Callable[[Array], Array]) -> Chart:
        """The chart of these points, which come from unit vectors x.

        Masses are w e^{-q} rho_0: this is the identity of the change of variables. Where the
        geometry ends, a point that rests is added, without mass.
        """
        ends = resting_ends(on)
        y, points = np.concatenate([self.y, ends]), np.concatenate([on.settle(x), ends])
        weights = np.append(self.weights, np.zeros(len(ends)))
        values = density(on.embed(points))
        if not np.any(values) and len(values):
            rho, mass_error = values, -1.0  # of a law between the nodes
        else:
            rho, mass_error = checked_density(values, weights)
        mesh = Mesh(on.name, on.d, points, cells_between(on, y))
        start = Start(weights, self.degree, abs(mass_error), rho, mass_error)
        return Chart(self.kind, self.s, mesh, start)
