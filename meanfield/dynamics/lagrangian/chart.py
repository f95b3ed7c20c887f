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
|M_0 - 1| is too large.

Knows an interaction, a law's density and a geometry; nothing of files and cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meanfield.case.solvers import Lagrangian
from meanfield.collective import Communicator, joined, own_share
from meanfield.dynamics.lagrangian.adaptive import adapted
from meanfield.dynamics.lagrangian.pilot import Pilot
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import Start, checked_density
from meanfield.errors import InputError
from meanfield.geometry.cells import cells_of
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.rules import cells_between, rule_on
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Chart", "characteristics", "chart_of"]

_MIDDLE = 0.7  # of the end: the chart's time
_PER_PEAK = {2: 35.0, 1: 6.0}  # nodes in an area of one over the highest density, by dimension
_GOOD = 1e-7  # |M_0 - 1|
_LATE = 1.6  # ends over the time of a chart from which on it takes cells
_FEWER = 6  # times as many nodes as the pilot of cells has
_AHEAD, _LOOKS = 4.0, 3  # how far cells look, in times of the chart, and how often
_TRIES, _SHORTER = 2, 0.85  # pull-backs at most; the second one at an earlier time


@dataclass(frozen=True, eq=False)
class Chart:
    """Nodes that a run starts from.

    Attributes:
        s: the time of the rule.
        mesh: the nodes at the beginning, with cells as they are at s.
        start: what they carry; ``mass_error`` is M_0 - 1.
    """

    s: float
    mesh: Mesh
    start: Start


def characteristics(
    interaction: AnyInteraction,
    mesh: Mesh | None,
    density: Callable[[Array], Array],
    end: float,
    *,
    options: Lagrangian,
    comm: Communicator,
) -> LagrangianSolver:
    """The solver of a run until ``end``, from a chart if one is wanted. Collective.

    Args:
        mesh: rank 0's is used: the points, or how many there are to be.
        All others are those of ``LagrangianSolver``.

    Raises:
        InputError: a chart is asked for, and there is none. On every rank.
    """
    if options.start != "mesh":
        vertices = comm.bcast(None if mesh is None else mesh.n_vertices, root=0)
        assert vertices is not None
        number: int = vertices
        chart = chart_of(interaction, density, number, end, options=options, comm=comm)
        if chart is not None:
            return LagrangianSolver(
                interaction, chart.mesh, density, options=options, comm=comm, start=chart.start
            )
        if options.start == "chart":
            raise InputError(
                f'solver.start: found "chart" with {interaction.describe()}, whose field at any '
                'point is not told by its moments alone: expected "mesh"'
            )
    return LagrangianSolver(interaction, mesh, density, options=options, comm=comm)


def chart_of(
    interaction: AnyInteraction,
    density: Callable[[Array], Array],
    number: int,
    end: float,
    *,
    options: Lagrangian,
    comm: Communicator,
    t: float = 0.0,
) -> Chart | None:
    """The nodes of a run until ``end``; None where there is no chart. Collective.

    None: direct sums, an interaction of which more than moments is needed, or dark points.

    Args:
        interaction: the model.
        density: values (m,) >= 0 with respect to sigma at unit vectors (m, d).
        number: of nodes, about.
        end: the last time; t: the first.
        options: of the run.
        comm: ranks that share the work.

    Raises:
        InputError: a density that is negative, not finite or zero everywhere. On every rank.
    """
    cut = interaction.on_mesh(number, options.tolerance)
    if cut.harmonics is None or cut.further or cut.is_external or end <= t:
        return None
    on = cut.manifold
    pilot = Pilot(interaction, density, options, t)
    per_peak = _PER_PEAK[on.dimension]
    s = pilot.run(t + _MIDDLE * (end - t), number / per_peak)
    cells = cells_of(on)
    late = options.start == "cells" or (options.start == "auto" and end - t > _LATE * (s - t))
    if cells is not None and late:
        ahead = _better(pilot, interaction, density, number, options=options, comm=comm)
        if ahead is None:
            return None
        # Beyond a few times s only what has been torn apart moves on.
        horizon = min(end, t + _AHEAD * (s - t))
        ahead.run(horizon)
        looks = [s + (ahead.reached - s) * k / _LOOKS for k in range(1, _LOOKS + 1)]
        nodes = adapted(cells, ahead, s, looks, density, number, comm=comm)
        if nodes is None:
            return None
        return _charted(
            on,
            s,
            on.settle(nodes.y),
            on.settle(nodes.x),
            nodes.weights,
            density,
            2 * cells.order - 1,
        )
    return _by_rule(pilot, s, density, number, comm)


def _better(
    pilot: Pilot,
    interaction: AnyInteraction,
    density: Callable[[Array], Array],
    number: int,
    *,
    options: Lagrangian,
    comm: Communicator,
) -> Pilot | None:
    """A pilot that starts from a chart of fewer nodes. Collective."""
    fewer = max(number // _FEWER, 100)
    s = pilot.when(fewer / _PER_PEAK[pilot.manifold.dimension])
    chart = _pulled_back(pilot, s, density, fewer, comm)
    if chart is None:
        return None
    return Pilot(interaction, density, options, pilot.t, (chart.mesh, chart.start))


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
        s, most = min(_SHORTER * (s - pilot.t) + pilot.t, pilot.when(0.5 * most)), 0.5 * most
    return best


def _pulled_back(
    pilot: Pilot, s: float, density: Callable[[Array], Array], number: int, comm: Communicator
) -> Chart | None:
    """The chart of a rule at time ``s``; None at dark points. Collective."""
    on, ways = pilot.manifold, pilot.ways()
    rule = rule_on(on, number)
    y = on.lift(rule.points)[own_share(comm, len(rule.points))]
    back = ways.with_density(y, pilot.back(s))
    if any(comm.allgather(ways.dark.most > 0)):
        return None
    x, change = (joined(comm, part) for part in back)
    weights = rule.weights * np.exp(-change)
    return _charted(on, s, rule.points, on.settle(x), weights, density, rule.degree)


def _charted(
    on: Manifold,
    s: float,
    y: Array,
    x: Array,
    weights: Array,
    density: Callable[[Array], Array],
    degree: int,
) -> Chart:
    """A chart of points y at s that are x at the beginning, with the area that they have there.

    Masses are w e^{-q} rho_0: this is the identity of the change of variables.
    """
    rho, mass_error = checked_density(density(on.embed(x)), weights)
    mesh = Mesh(on.name, on.d, x, cells_between(on, y))
    return Chart(s, mesh, Start(weights, degree, abs(mass_error), rho, mass_error))
