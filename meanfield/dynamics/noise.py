"""The random numbers of a step: of its number and the seed alone, and so counter-based.

Not of threads, nor of where a run was interrupted.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.geometry.sphere import Array

__all__ = ["LENGTHS", "TANGENTS", "common_draw", "start_generator", "step_generator"]

_NO_STEP = 2**64 - 1
LENGTHS = TANGENTS = 2
"""Streams of what is drawn at the start beside tokens (0); nobody has both of these."""


def step_generator(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """The random numbers of one step: Philox with (seed, step) for a key.

    Args:
        seed: 0 <= seed < 2^64.
        step: number of the step, >= 0.
        stream: 0, of each token; 1, of what all tokens have in common.
    """
    key, counter = np.array([seed, step], dtype=np.uint64), np.zeros(4, dtype=np.uint64)
    counter[3] = stream
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def start_generator(seed: int, stream: int = 0) -> np.random.Generator:
    """The random numbers of the start, which are those of no step: as ``step_generator``."""
    return step_generator(seed, _NO_STEP, stream)


def common_draw(rng: np.random.Generator, d: int, variance: float) -> tuple[Array, bool]:
    """What ``geometry.brownian.common_step`` takes for one system: w (d,), and the order."""
    w = math.sqrt(variance) * rng.standard_normal(d)
    return w, bool(rng.random() < 0.5)
