"""Which processes run a case together. Knows no verb."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from meanfield.cli.speech import complain
from meanfield.collective import Alone, Communicator, is_everywhere
from meanfield.errors import InputError
from meanfield.surroundings import launched, launched_by, launched_rank

__all__ = ["together", "together_or_ended"]

_PATIENCE = 5.0  # seconds between the failures of processes that fail for one reason


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


@contextmanager
def together_or_ended() -> Iterator[None]:
    """End all processes when one of them has failed where the others wait for it. Collective.

    What has failed on all of them is for who comes next. For what all of them do.
    """
    if launched() == 1:
        yield
        return
    from meanfield.software import load_mpi

    try:
        # Its own, as another call of theirs may be what the others wait in.
        ranks = load_mpi().COMM_WORLD.Dup()
    except ImportError:
        ranks = None
    try:
        yield
    except BaseException as error:
        if ranks is not None and not is_everywhere(error) and not _all_come(ranks):
            said = "".join(traceback.format_exception(error)).rstrip()
            if isinstance(error, InputError | OSError):
                said = f"error: {error}"
            complain(f"on rank {ranks.rank} alone: {said}", everywhere=True)
            time.sleep(0.2)  # let the text get through to mpirun
            ranks.Abort(1)
        raise


def _all_come(ranks: Any) -> bool:
    """Whether all processes come here; those that have not yet are given a few seconds."""
    request, until = ranks.Ibarrier(), time.monotonic() + _PATIENCE
    while not request.Test():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
