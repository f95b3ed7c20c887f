"""Which processes run a case together. Knows no verb."""

from __future__ import annotations

from meanfield.collective import Alone, Communicator
from meanfield.errors import InputError
from meanfield.surroundings import launched, launched_by, launched_rank

__all__ = ["together"]


def together() -> Communicator:
    """The ranks that run a case together.

    Raises:
        InputError: processes that were started together do not know of each other: each would be
            alone in the same folder.
    """
    from meanfield.software import load_mpi

    told = launched()
    if told == 1:
        return Alone()
    try:
        world: Communicator = load_mpi().COMM_WORLD
    except ImportError:
        world = Alone()
    if world.size < (told or 1) or (world.size == 1 and launched_rank()):
        raise InputError(
            f"{told or 'several'} processes were started ({launched_by()}), but the MPI of this "
            f"Python finds {world.size} in each: start them with its own mpiexec, or by srun "
            "with the --mpi that it knows; or start one, without these variables"
        )
    return world
