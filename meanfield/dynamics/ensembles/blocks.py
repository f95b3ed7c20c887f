"""Systems in blocks that stay in the cache, each block on one thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np

from meanfield.dynamics.ensembles.outcome import IntArray, Outcome
from meanfield.dynamics.ensembles.record import Record, joined
from meanfield.geometry.sphere import Array
from meanfield.geometry.threads import available_cpus
from meanfield.surroundings import number_of

__all__ = ["Batch", "in_blocks"]

_NUMBERS = 1 << 17  # of a block, n (n + d) for each system
_MOST = 256


def in_blocks(number: int, n: int, d: int, part: Callable[[slice], Outcome]) -> Outcome:
    """Do a part for each block of ``number`` systems of n tokens; results in their order."""
    size = min(_MOST, max(1, _NUMBERS // (n * (n + d))))
    blocks = [slice(k, min(k + size, number)) for k in range(0, number, size)] or [slice(0, 0)]
    threads = number_of("MEANFIELD_NUM_THREADS", least=1) or available_cpus()
    if threads == 1 or len(blocks) == 1:
        return joined([part(block) for block in blocks])
    with ThreadPoolExecutor(threads) as pool:
        return joined(list(pool.map(part, blocks)))


class Batch(ABC):
    """Systems that are advanced together, each by steps of its own; those that end leave.

    Attributes:
        own: names of further arrays with a row for each system that is left.
    """

    own: ClassVar[tuple[str, ...]]
    _record: Record
    _times: Array
    _rows: IntArray
    _x: Array
    _t: Array
    _next: IntArray

    @abstractmethod
    def _step(self) -> None:
        """Try one step of each system that is left."""

    def run(self) -> Outcome:
        """To the last output time."""
        self._leave(self._next >= len(self._times), 0)
        while len(self._rows):
            self._step()
        return self._record.outcome()

    def _leave(self, gone: Array, why: int) -> None:
        """Systems that have ended, or failed, leave the batch."""
        if np.any(gone):
            self._record.failed[self._rows[gone]] = why
            for name in ("_rows", "_x", "_t", "_next", *self.own):
                setattr(self, name, getattr(self, name)[~gone])
