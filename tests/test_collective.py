"""A process alone and a communicator of mpi4py: the same answers to the same calls."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.collective import (
    Alone,
    Communicator,
    everywhere,
    max_over_ranks,
    on_root,
    sum_over_ranks,
)
from meanfield.software import load_mpi


def mpi() -> Communicator:
    try:
        comm: Communicator = load_mpi().COMM_SELF
    except ImportError:
        pytest.skip("no mpi4py here")
    return comm


@pytest.mark.parametrize("make", [Alone, mpi])
def test_one_process(make: type[Alone]) -> None:
    comm: Communicator = make()
    assert (comm.rank, comm.size) == (0, 1)
    assert comm.bcast("it", root=0) == "it"
    assert comm.gather("it", root=0) == comm.allgather("it") == ["it"]
    values, total = np.array([1.0, 2.0]), np.zeros(2)
    comm.Reduce(values, total, root=0)
    comm.Bcast(total, root=0)
    np.testing.assert_array_equal(total, values)
    np.testing.assert_array_equal(sum_over_ranks(comm, values), values)
    assert max_over_ranks(comm, 1.0, -2.0) == (1.0, -2.0)
    assert on_root(comm, lambda: 3) == everywhere(comm, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        everywhere(comm, lambda: 1 // 0)
