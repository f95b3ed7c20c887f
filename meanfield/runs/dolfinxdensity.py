"""The density of a run as a function of DOLFINx: from its solver, or from its folder."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import as_found
from meanfield.collective import Communicator, on_root
from meanfield.dynamics.density import DensitySolver
from meanfield.dynamics.dolfinxmeshes import function_on
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_fields
from meanfield.runs.result import Result
from meanfield.runs.tracks.density import LOG_MOST
from meanfield.software import load_dolfinx, load_mpi

if TYPE_CHECKING:
    from meanfield.dynamics.dolfinxmeshes import Function

__all__ = ["density_to_dolfinx"]

_SAME = 1e-9  # by which a time may be off that of an output, relative


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
        comm: over which the mesh is distributed; None: the world.

    Returns:
        The function, called "rho". Characteristics have moved their mesh: it is where it is then.

    Raises:
        InputError: on every rank: there is no density on a mesh, or none at that time.

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
    comm = load_mpi().COMM_WORLD if comm is None else comm
    solver = run if isinstance(run, Solver) else getattr(run, "solver", None)
    if isinstance(solver, Solver) and (t is None or t == solver.t):
        mesh, rho = _of_solver(solver)
    else:
        found = on_root(comm, lambda: _of_folder(run, t), share=False)
        mesh, rho = (None, None) if found is None else found
    return function_on(mesh, rho, comm)


def _of_solver(solver: Solver) -> tuple[Mesh | None, Array | None]:
    """Its mesh and density on rank 0. Collective."""
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
    fields = read_fields(folder.fields_path)
    name = next((name for name in ("rho", "log10_rho") if name in fields.names), None)
    if name is None or not len(fields.times):
        raise InputError(f"{fields.path} has no density: expected 'rho' in output.fields")
    k = len(fields.times) - 1 if t is None else int(np.argmin(np.abs(fields.times - t)))
    if t is not None and not abs(fields.times[k] - t) <= _SAME * max(abs(t), 1.0):
        raise InputError(
            f"t: found {t:g}, expected an output time of {folder.path}: the nearest is "
            f"{fields.times[k]:g}"
        )
    there = fields.at(k)
    values = there.read(name, k)
    return there.mesh, values if name == "rho" else np.exp(math.log(10.0) * values)
