"""Systems in blocks that stay in the cache, each block on one thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from meanfield.dynamics.ensembles.outcome import Outcome
from meanfield.dynamics.ensembles.record import joined
from meanfield.geometry.threads import available_cpus
from meanfield.surroundings import number_of

__all__ = ["in_blocks"]

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
