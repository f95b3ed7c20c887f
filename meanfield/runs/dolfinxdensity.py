"""The density of a run as a function of DOLFINx: from its solver, or from its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import as_found
from meanfield.collective import Alone, Communicator, on_root
from meanfield.dynamics.density import DensitySolver
from meanfield.dynamics.dolfinxmeshes import function_on
from meanfield.dynamics.lagrangian import LagrangianSolver, SlicedSolver
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_fields
from meanfield.results.outputs import OutputFields
from meanfield.runs.result import Result
from meanfield.runs.tracks.density import LOG_MOST
from meanfield.software import load_dolfinx, load_mpi

if TYPE_CHECKING:
    from meanfield.dynamics.dolfinxmeshes import Function

__all__ = ["density_to_dolfinx"]

_SLICED = "found densities by position, whose meshes lie on one another: one density expected"


@checked_arguments
def density_to_dolfinx(
    run: Result | Solver | str | os.PathLike[str],
    t: float | None = None,
    *,
    comm: Communicator | None = None,
) -> Function:
    """The density of a run as a P1 function of DOLFINx on the mesh of the run. Collective.

    Values are those at the vertices, with respect to the uniform probability (uniform = 1), and
    the mass of the run is sum_i w_i rho_i = 1 with the weights w_i of the run, which add up to 1.
    DOLFINx integrates over the flat cells, whose area |T| is less than that of the sphere:

        assemble_scalar(form(rho * dx)) = |T| (1 + O(h^2)),    |T| = assemble_scalar(form(1 * dx))

    so that the mean of rho f is assemble_scalar(form(rho * f * dx)) / assemble_scalar(form(rho *
    dx)). On S^2 at level 4 |T| = 4 pi (1 - 1.2e-3), at level 5 4 pi (1 - 3.0e-4); on S^1 with n
    vertices |T| = 2 n sin(pi / n). In zonal geometry the mesh is that of theta: the weight
    sin^{d-2}(theta) belongs into the form.

    Args:
        run: the result of a run, its solver, or its folder.
        t: an output time of the folder; None: where the run stopped, or the last output.
        comm: over which the mesh is distributed. Of a run in this process it is that of the run,
            and no other; from a folder, None means the world.

    Returns:
        The function, called "rho". Characteristics have moved their mesh: it is where it is then.

    Raises:
        InputError: on every rank: there is no density on a mesh (one by position has several), or
            none at that time; or ``comm`` is not that of the run.

    Example:
        >>> import meanfield as mf
        >>> case = mf.Case(
        ...     geometry=mf.Sphere(level=2),
        ...     model=mf.Model(attention="sa", beta=1.0),
        ...     initial=mf.standard_density(),
        ...     time=mf.Time(end=0.1),
        ... )
        >>> rho = mf.density_to_dolfinx(mf.run(case, progress=False))
        >>> rho.function_space.mesh.geometry.x.shape
        (162, 3)
    """
    load_dolfinx()
    solver = run if isinstance(run, Solver) else getattr(run, "solver", None)
    comm = _chosen(comm, solver.comm if isinstance(solver, Solver) else None)
    if isinstance(solver, Solver) and (t is None or t == solver.t):
        mesh, rho = _of_solver(solver)
    else:
        found = on_root(comm, lambda: _of_folder(run, t), share=False)
        mesh, rho = (None, None) if found is None else found
    return function_on(mesh, rho, comm)


def _chosen(comm: Communicator | None, own: Communicator | None) -> Communicator:
    """The communicator of mpi4py to distribute over; ``own``: that of a run in this process."""
    mpi = load_mpi()
    given, own = (mpi.COMM_SELF if isinstance(one, Alone) else one for one in (comm, own))
    if own is None or given is None:
        found: Communicator = given or own or mpi.COMM_WORLD
        return found
    if mpi.Comm.Compare(given, own) not in (mpi.IDENT, mpi.CONGRUENT):
        raise InputError(
            f"comm: found one of {given.size} ranks, expected that of the run, of {own.size} ranks "
            "(None): other ranks do not have its density"
        )
    return own


def _of_solver(solver: Solver) -> tuple[Mesh | None, Array | None]:
    """Its mesh and density on rank 0. Collective."""
    if isinstance(solver, SlicedSolver):
        raise InputError(f"run: {_SLICED}")
    if isinstance(solver, LagrangianSolver):
        log_rho = np.minimum(solver.log_density(), LOG_MOST["float64"])
        return solver.moved_mesh(), np.exp(log_rho)
    if not isinstance(solver, DensitySolver):
        raise InputError(
            f"run: found a run of {type(solver).__name__}, expected that of a density on a mesh"
        )
    return solver.space.mesh, solver.space.gather(solver.rho)


def _of_folder(run: object, t: float | None) -> tuple[Mesh, Array]:
    """The mesh and the density at an output."""
    where = getattr(run, "folder", None) if not isinstance(run, str | os.PathLike) else run
    if not isinstance(where, str | os.PathLike):
        raise InputError(
            f"t: found {as_found(t)}, expected the time of the solver: this run has no folder"
        )
    folder = RunFolder.open(Path(where))
    if not folder.fields_path.is_file():
        raise InputError(f"{folder.path} has no fields: the run of a density on a mesh expected")
    fields = OutputFields(read_fields(folder.fields_path))
    if fields.sliced:
        raise InputError(f"{folder.fields_path}: {_SLICED}")
    return fields.mesh(t), fields.density(t)
