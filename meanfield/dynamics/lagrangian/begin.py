"""How characteristics begin: from a chart, from the vertices of a mesh, or from a state.

Knows an interaction, a law's density and a mesh; nothing of files and cases.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from meanfield.case.solvers import Lagrangian
from meanfield.collective import Communicator
from meanfield.dynamics.lagrangian.chart import ROUGH, UNSEEN, Chart, Charts
from meanfield.dynamics.lagrangian.seeds import SEEN
from meanfield.dynamics.lagrangian.solver import LagrangianSolver
from meanfield.dynamics.lagrangian.start import start_of
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import Uniform
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = ["characteristics"]

_PLAIN = 8  # degree up to which weights of a mesh are balanced to see what mass it misses


def characteristics(
    interaction: AnyInteraction,
    mesh: Mesh | None,
    density: Callable[[Array], Array],
    end: float,
    *,
    options: Lagrangian,
    comm: Communicator,
    restored: bool = False,
) -> LagrangianSolver:
    """The solver of a run until ``end``, from a chart if one is wanted. Collective.

    Args:
        mesh: rank 0's is used: the points, or how many there are to be.
        restored: it will be given a state, which has the points: none are laid, and nothing is
            asked of the law.
        All others are those of ``LagrangianSolver``.

    Raises:
        InputError: a chart is asked for, and there is none. On every rank.
    """
    if restored:
        return _to_restore(interaction, mesh, density, end, options, comm)
    wanted = options.start
    vertices = comm.bcast(None if mesh is None else mesh.n_vertices, root=0)
    assert vertices is not None
    number: int = vertices
    charts = Charts(interaction, density, end, options, comm, 0.0)
    found = 'solver.start is "mesh"' if wanted == "mesh" else charts.of(number)
    if isinstance(found, str) and wanted in ("chart", "cells"):
        raise InputError(f'solver.start: found "{wanted}", but {found}: expected "auto" or "mesh"')
    if isinstance(found, Chart) and _coarse(found, mesh, density, wanted, comm):
        found = "the mesh misses less of the mass of this law than a chart does"
    if isinstance(found, Chart) and found.missed > SEEN:
        if wanted == "auto":
            found = "the law is so near to the uniform one that a chart does not see the difference"
        else:
            _hides(found)
    if isinstance(found, str):
        if options.estimate:
            _no_estimate(f"there is no chart: {found}")
        return LagrangianSolver(interaction, mesh, density, options=options, comm=comm)
    solver = charts.started(found, options)
    if options.estimate:
        smaller = charts.fewer(number, solver.n)
        if isinstance(smaller, str):
            _no_estimate(smaller)
        else:
            solver.origin = replace(solver.origin, error=partial(charts.estimate, solver, number))
    return solver


def _to_restore(
    interaction: AnyInteraction,
    mesh: Mesh | None,
    density: Callable[[Array], Array],
    end: float,
    options: Lagrangian,
    comm: Communicator,
) -> LagrangianSolver:
    """A solver that is to be given a state; until then its law is the uniform one. Collective."""
    uniform = Uniform(interaction.d).density
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeanfieldWarning)  # of a start that is not the run's
        solver = LagrangianSolver(interaction, mesh, uniform, options=options, comm=comm)
    solver.density = density
    if options.estimate:
        # The law may be known later, or never.
        charts = Charts(interaction, lambda x: solver.density(x), end, options, comm, 0.0)
        solver.origin = replace(solver.origin, error=partial(charts.estimate, solver, solver.n))
    return solver


def _no_estimate(why: str) -> None:
    warnings.warn(f"solver.estimate: no estimate, as {why}", MeanfieldWarning, stacklevel=3)


def _hides(chart: Chart) -> None:
    warnings.warn(
        f"solver.start: the {chart.kind} laid at t = {chart.s:.4g} adds to what is not "
        f"uniform in this law {chart.missed:.2g} times as much, which grows like that: "
        'instabilities are not seen when they should be (start = "auto" or "mesh")',
        MeanfieldWarning,
        stacklevel=3,
    )


def _coarse(
    chart: Chart,
    mesh: Mesh | None,
    density: Callable[[Array], Array],
    wanted: str,
    comm: Communicator,
) -> bool:
    """Whether to take a mesh, as a chart misses mass, and the vertices miss less. Collective.

    So it may be with laws that have edges, or are narrower than what is between the nodes.

    Raises:
        InputError: what is taken hardly sees the law, and both do not see the same.
    """
    wrong = abs(chart.start.mass_error)
    if wrong <= ROUGH:
        return False
    plain = comm.bcast(mesh, root=0)
    assert plain is not None
    try:
        other = start_of(plain, density, plain.n_vertices, _PLAIN, comm).mass_error
    except InputError:  # no vertex sees anything
        other = -1.0
    masses = 1.0 + chart.start.mass_error, 1.0 + other
    better = wanted == "auto" and abs(other) < wrong
    apart = min(masses) <= (1.0 - UNSEEN) * max(masses)  # of any mass, but not the same
    if apart and (abs(other) if better else wrong) > UNSEEN:
        raise InputError(
            f"initial: found a law that is narrower than what {chart.mesh.n_vertices:,} points "
            f"resolve: a chart gives it a mass of {masses[0]:.3g}, the vertices of the mesh one of "
            f"{masses[1]:.3g}; expected a wider law, more vertices, or a mesh that is graded there "
            "(geometry.factor)"
        )
    return better
