"""A matrix on the edges of a P1 space and the solvers of its systems, by PETSc, on any ranks.

The structure is made once: a diagonal, and an entry for each edge from each of its ends. Which
solver is for what, by measurement, is told in ``dynamics.linear``.

Knows stars, not what the entries stand for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield.dynamics.space import P1Space
from meanfield.geometry.sphere import Array

__all__ = ["EdgeMatrix"]

_SHORT_ITERATIONS = 60
_FACTORED_UP_TO = 600_000  # vertices; LU at level 8 needs 4 GB


class EdgeMatrix:
    """A matrix of one row for each vertex. All methods are collective.

    Args:
        space: gives stars and ranks.
        tolerance: relative, that Krylov solvers begin with.
    """

    def __init__(self, space: P1Space, tolerance: float = 1e-12) -> None:
        from petsc4py import PETSc

        self._petsc = PETSc
        self.space, self.tolerance = space, tolerance
        self._solvers: dict[str, Any] = {}
        stars, n = space.stars, space.n_owned
        width = stars.neighbour.shape[0]
        own = np.arange(n)
        real = stars.neighbour != own
        counts = real.sum(axis=0) + 1
        (before,) = _offset(space)
        numbers = space.with_ghosts(before + own.astype(np.float64)).astype(np.int64)
        rows = np.concatenate([own, *(own[real[k]] for k in range(width))])
        columns = np.concatenate(
            [before + own, *(numbers[stars.neighbour[k, real[k]]] for k in range(width))]
        )
        order = np.lexsort((columns, rows))
        kind = PETSc.IntType
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(kind)
        self._columns = columns[order].astype(kind)
        place = np.empty(rows.size, dtype=np.int64)
        place[order] = np.arange(rows.size)
        self._diagonal, self._off = place[:n], place[n:]
        self._real = real
        size = ((n, space.n_global), (n, space.n_global))
        self._matrix = PETSc.Mat().createAIJ(
            size,
            csr=(self._starts, self._columns, np.zeros(rows.size)),
            comm=space.comm,
        )
        self._x, self._b = self._matrix.createVecs()
        self._values = np.empty(rows.size)

    def _fill(self, diagonal: Array, off: Array) -> None:
        """Its entries: (n_owned,), and (K, n_owned) in the slots of the ``Stars``."""
        self._values[self._diagonal] = diagonal
        self._values[self._off] = off[self._real]
        self._matrix.setValuesCSR(self._starts, self._columns, self._values)
        self._matrix.assemble()

    def _preferred(self) -> list[str]:
        names = ["lu", "amg"]
        return names if self.space.n_global <= _FACTORED_UP_TO else names[::-1]

    def _solver(self, name: str) -> Any:
        """The named solver, made at first use; None if this PETSc has none."""
        if name not in self._solvers:
            make = {"ilu": self._make_ilu, "lu": self._make_lu, "amg": self._make_amg}[name]
            self._solvers[name] = make()
        return self._solvers[name]

    def _krylov(self, iterations: int) -> Any:
        petsc = self._petsc
        solver = petsc.KSP().create(self.space.comm)
        solver.setOperators(self._matrix)
        solver.setType("bcgs")
        solver.setPCSide(petsc.PC.Side.RIGHT)
        solver.setNormType(petsc.KSP.NormType.UNPRECONDITIONED)
        solver.setInitialGuessNonzero(True)
        solver.setTolerances(rtol=0.1 * self.tolerance, atol=0.0, divtol=1e8, max_it=iterations)
        return solver

    def _make_ilu(self) -> Any:
        solver = self._krylov(_SHORT_ITERATIONS)
        if self.space.comm.size == 1:
            solver.getPC().setType("ilu")
        else:
            solver.getPC().setType("bjacobi")  # with incomplete LU on each rank
        return solver

    def _make_lu(self) -> Any:
        petsc = self._petsc
        parallel = self.space.comm.size > 1
        packages = [p for p in ("mumps", "superlu_dist") if petsc.Sys.hasExternalPackage(p)]
        if parallel and not packages and self.space.manifold.dimension > 1:
            return None
        solver = petsc.KSP().create(self.space.comm)
        solver.setOperators(self._matrix)
        solver.setType("preonly")
        pc = solver.getPC()
        if parallel and self.space.manifold.dimension == 1:
            pc.setType("redundant")  # every rank solves the whole small system
            return solver
        pc.setType("lu")
        pc.setFactorSolverType(packages[0] if packages else "petsc")
        if packages[:1] == ["mumps"]:
            pc.setFactorSetUpSolverType()
            factors = pc.getFactorMatrix()
            factors.setMumpsIcntl(14, 60)  # per cent of memory to spare
            factors.setMumpsCntl(1, 0.0)  # no pivoting
        return solver

    def _make_amg(self) -> Any:
        petsc = self._petsc
        solver = self._krylov(200)
        pc = solver.getPC()
        prefix = "meanfield_amg_"
        if petsc.Sys.hasExternalPackage("hypre"):
            pc.setType("hypre")
            pc.setHYPREType("boomeramg")
            options = petsc.Options(prefix)
            options["pc_hypre_boomeramg_coarsen_type"] = "PMIS"
            options["pc_hypre_boomeramg_interp_type"] = "ext+i"
            options["pc_hypre_boomeramg_relax_type_all"] = "SOR/Jacobi"
        else:
            # Plain aggregation: smoothed aggregation and its Chebyshev smoother are for symmetric
            # matrices, and diverge where the drift is strong.
            pc.setType("gamg")
            options = petsc.Options(prefix)
            options["pc_gamg_agg_nsmooths"] = 0
            options["mg_levels_ksp_type"] = "richardson"
            options["mg_levels_ksp_max_it"] = 2
            options["mg_levels_pc_type"] = "sor"
        solver.setOptionsPrefix(prefix)
        pc.setFromOptions()
        return solver


def _offset(space: P1Space) -> tuple[int]:
    """Number of vertices on the ranks before this one. Collective."""
    counts = space.comm.allgather(space.n_owned)
    return (sum(counts[: space.comm.rank]),)
