"""The density of characteristics at any point and time, from the folder of their run.

The newest checkpoint has all that is needed: moments at all steps, and what the initial law's mass
was. Nothing is written, and the run is not gone on with.
"""

from __future__ import annotations

import math

from meanfield.arguments import PathLike, checked_arguments
from meanfield.case import Case, Lagrangian
from meanfield.collective import Alone
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.folder import RunFolder
from meanfield.runs.tracks import make_track

__all__ = ["DensityInTime", "known_density", "known_in"]


def known_density(solver: Solver) -> LagrangianSolver:
    """The solver, if it knows the density at any point.

    Raises:
        InputError: it is another one.
    """
    if not isinstance(solver, LagrangianSolver):
        raise InputError(
            f"density_at: found a run of {type(solver).__name__}, characteristics expected "
            "(solver.type = 'lagrangian'): others know the density on their mesh only"
        )
    return solver


class DensityInTime:
    """The density at any point and time of a run along characteristics, from its folder.

    Args:
        folder: of the run; its initial law is read again.

    Attributes:
        begin, end: the first and the last time at which it is known; end = -inf: at none.

    Raises:
        InputError: there is no such run, no checkpoint, or a law that is in no file.

    Example:
        >>> mf.DensityInTime('results/metastable').density_at([[1.0, 0.0]], 10.0)  # doctest: +SKIP
    """

    @checked_arguments
    def __init__(self, folder: PathLike) -> None:
        run = RunFolder.open(folder)
        wrong = f"{folder} has no checkpoint: the run of a density that was begun expected"
        for path in run.checkpoint_paths:
            if not path.is_file():
                continue
            try:
                values = load_checkpoint(path)
                break
            except InputError as error:
                wrong = str(error)
        else:
            raise InputError(wrong)
        self._solver = known_density(
            make_track(Case.from_toml(run.case_path), Alone(), restored=True).solver
        )
        self._solver.restore(self._solver.state_kind.from_values(values))
        self.begin, self.end = self._solver.density_from, self._solver.density_until

    def density_at(self, x: object, t: float | None = None) -> Array:
        """rho with respect to sigma: see ``log_density_at``."""
        return self._solver.density_at(x, self.end if t is None else t)

    def log_density_at(self, x: object, t: float | None = None) -> Array:
        """Log rho with respect to sigma, (n,), to about 1e-6: see ``LagrangianSolver``.

        Args:
            x: (n, d) unit vectors, or points (n, gdim) of the geometry.
            t: from the beginning to ``end``; None: ``end``.

        Raises:
            InputError: the history of the run does not tell the density, or not at this time.
        """
        return self._solver.log_density_at(x, self.end if t is None else t)


def known_in(folder: PathLike, case: Case) -> DensityInTime | None:
    """What the history in the folder of a run tells of its density; None where there is none.

    Args:
        folder: of the run.
        case: that was run.
    """
    if not isinstance(case.solver, Lagrangian):
        return None
    try:
        known = DensityInTime(folder)
    except InputError:  # no checkpoint, or a law that cannot be read
        return None
    return known if known.end > -math.inf else None
