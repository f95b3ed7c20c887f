"""What a density is run again with, so that its error is known."""

from __future__ import annotations

from dataclasses import replace

from meanfield.case import Case, Eulerian, Implicit, Lagrangian, Unmeshed
from meanfield.errors import InputError

__all__ = ["at_resolution", "coarser", "order_of"]


def coarser(case: Case) -> Case | None:
    """A case by which the error of a density is known; None: there is none.

    Half the resolution and steps of twice the length. Where steps are of first order, their error
    is the larger one: then the same mesh and steps of second order. Of slices half as many.
    """
    solver = case.solver
    if isinstance(solver, Lagrangian):
        half = 0 if solver.slices is None else solver.slices // 2
        return replace(case, solver=replace(solver, slices=half)) if half else None
    if isinstance(solver, Implicit) and solver.order == 1:
        return replace(case, solver=replace(solver, order=2))
    if isinstance(solver, Eulerian) and solver.stepper == "euler":
        return replace(case, solver=replace(solver, stepper="ssprk2"))
    geometry = case.geometry.coarser()
    if geometry is None:
        return None
    if isinstance(solver, Implicit):
        # The error of a step is 2^3 times as large.
        dt = None if solver.dt is None else 2.0 * solver.dt
        solver = replace(solver, rtol=min(8.0 * solver.rtol, 0.1), dt=dt)
    return replace(case, geometry=geometry, solver=solver)


def at_resolution(case: Case, resolution: int) -> Case:
    """The case with another value of the key that tells its resolution.

    Steps of the implicit solver, whose error is their third power, go with the edges: those of the
    case are for its own resolution.

    Raises:
        InputError: no key does, or it does not take this value.
    """
    geometry, solver = case.geometry, case.solver
    made = geometry.at(resolution)
    if made is None or isinstance(geometry, Unmeshed):
        raise InputError(
            f"geometry.type: found '{geometry.type}', of which no key tells the resolution: "
            "expected 'sphere' (level), 'circle' or 'zonal' (vertices)"
        )
    if isinstance(solver, Implicit):
        longer = made.edge / geometry.edge
        dt = None if solver.dt is None else longer * solver.dt
        rtol = min(max(longer**3 * solver.rtol, 1e-9), 0.1)
        solver = replace(solver, rtol=rtol, dt=dt)
    return replace(case, geometry=made, solver=solver)


def order_of(case: Case) -> int:
    """Order of a density's discretisation, in space and time, where it is smooth."""
    solver = case.solver
    if isinstance(solver, Lagrangian):
        return 1  # of slices nearly 2, M^-2 log M: not extrapolated
    if isinstance(solver, Eulerian):
        return 1 if solver.scheme == "upwind" or solver.stepper == "euler" else 2
    if isinstance(solver, Implicit):
        return 1 if solver.scheme == "fitted" else solver.order
    raise TypeError(f"{solver.type}: no density on a mesh that stays")
