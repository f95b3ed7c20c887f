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
from meanfield.dynamics.lagrangian.pilot import Pilot
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import Start, checked_density
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.rules import cells_between, rule_on
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["Chart", "characteristics", "chart_of"]

_MIDDLE = 0.7  # of the end: the chart's time
_PER_PEAK = {2: 35.0, 1: 6.0}  # nodes in an area of one over the highest density, by dimension
_GOOD = 1e-7  # |M_0 - 1|
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
    pilot = Pilot(interaction, density, options, t)
    most = number / _PER_PEAK[cut.manifold.dimension]
    best: Chart | None = None
    s = pilot.run(t + _MIDDLE * (end - t), most)
    for _ in range(_TRIES):
        found = _pulled_back(pilot, s, density, number, comm)
        if found is None:
            return best
        wrong = abs(found.start.mass_error)
        if best is None or wrong < abs(best.start.mass_error):
            best = found
        if wrong <= _GOOD:
            break
        s, most = min(_SHORTER * (s - t) + t, pilot.when(0.5 * most)), 0.5 * most
    return best


def _pulled_back(
    pilot: Pilot, s: float, density: Callable[[Array], Array], number: int, comm: Communicator
) -> Chart | None:
    """The chart of a time; None at dark points. Collective."""
    manifold = pilot.manifold
    rule = rule_on(manifold, number)
    own = own_share(comm, len(rule.points))
    y = manifold.lift(rule.points)[own]
    ways = pilot.ways()
    back = ways.with_density(y, pilot.back(s))
    if any(comm.allgather(ways.dark.most > 0)):
        return None
    x, change = (joined(comm, part) for part in back)
    weights = rule.weights * np.exp(-change)
    cells = cells_between(manifold, rule.points)
    points = manifold.settle(x)
    mesh = Mesh(manifold.name, manifold.d, points, cells)
    rho, mass_error = checked_density(density(manifold.embed(points)), weights)
    # Masses are w e^{-q} rho_0: this is the identity of the change of variables.
    return Chart(s, mesh, Start(weights, rule.degree, abs(mass_error), rho, mass_error))
