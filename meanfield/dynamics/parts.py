"""Parts of a cloud: the same tokens, where each interacts with those of its own part only.

What differs between a cloud and its parts is what its finite number of tokens does.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure

__all__ = ["DIVISIONS", "FEWEST", "Division", "advance_together", "pair_energy"]

DIVISIONS = (2, 4, 8)
"""Into how many parts a cloud is divided: halves, quarters, eighths."""
FEWEST = 32
"""Tokens that are divided: 4 in an eighth."""


class _Part(ParticleSolver):
    """Some tokens of a cloud, which interact with each other only and have the cloud's own noise.

    With noise a step goes as far as it is asked to, so that the cloud's own steps are taken.
    """

    def __init__(self, cloud: ParticleSolver, rows: slice) -> None:
        self._rows, self._all = rows, cloud.n
        super().__init__(
            cloud.interaction, cloud.x[rows], cloud.weights[rows], options=cloud.options,
            kappa=cloud.diffusion_in_time, seed=cloud.seed, t=cloud.t,
        )  # fmt: skip
        self.step = cloud.step

    def _longest_noisy_step(self, t_end: float) -> float:
        return math.inf

    def _shaken(self, x: Array, tau: float, rng: np.random.Generator) -> Array:
        everyone = np.zeros((self._all, self.d))
        everyone[:, 0] = 1.0  # where the others are makes no difference
        everyone[self._rows] = x
        return super()._shaken(everyone, tau, rng)[self._rows]


class Division:
    """A cloud of tokens, divided into parts of nearly equal numbers: every second token, ...

    Args:
        cloud: the tokens, at any time.
        count: number of parts.

    Attributes:
        parts: their solvers.
        shares: their masses, sum 1.
    """

    def __init__(self, cloud: ParticleSolver, count: int) -> None:
        self._rows = [slice(first, None, count) for first in range(count)]
        self.parts = [_Part(cloud, rows) for rows in self._rows]
        self.shares = np.array([float(cloud.weights[rows].sum()) for rows in self._rows])

    @classmethod
    def all_of(cls, cloud: ParticleSolver) -> list[Division]:
        """Into halves, quarters and eighths; none, if an eighth had fewer than 4 tokens."""
        if cloud.n < FEWEST:
            return []
        return [cls(cloud, count) for count in DIVISIONS]

    @property
    def x(self) -> Array:
        """(n, d) all tokens, in the order of the cloud."""
        out = np.empty((sum(part.n for part in self.parts), self.parts[0].d))
        for rows, part in zip(self._rows, self.parts, strict=True):
            out[rows] = part.x
        return out

    def pair_energy(self) -> float:
        """Mean of the scaled energies over pairs of different tokens, by mass."""
        energies = [pair_energy(part) for part in self.parts]
        return float(self.shares @ np.array(energies))

    def advance(self, t_end: float) -> None:
        """Advance all parts to a time."""
        for part in self.parts:
            while part.t < t_end:
                part.advance(t_end)


def pair_energy(solver: ParticleSolver) -> float:
    """Scaled E over pairs of different tokens: at t = 0 its mean is E of the law."""
    return solver.interaction.pair_energy(Measure.equal(solver.x), solver.n, solver.t)


def advance_together(cloud: ParticleSolver, divisions: list[Division], t_end: float) -> None:
    """Advance a cloud and its parts to a time; with noise step by step, in the same steps."""
    while cloud.t < t_end:
        cloud.advance(t_end)
        if cloud.diffuses:
            for division in divisions:
                division.advance(cloud.t)
    for division in divisions:
        division.advance(t_end)
