"""The random numbers of a step: of its number and the seed alone, and so counter-based.

Not of threads, nor of where a run was interrupted.
"""

from __future__ import annotations

import numpy as np

__all__ = ["step_generator"]


def step_generator(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one step: Philox with (seed, step) for a key.

    Args:
        seed: 0 <= seed < 2^64.
        step: number of the step, >= 0.
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed, step], dtype=np.uint64)))
