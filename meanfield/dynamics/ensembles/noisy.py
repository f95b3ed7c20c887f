"""Tokens with noise, many systems at once: the steps of ``ParticleSolver``, with its numbers.

With the same tokens, seed and steps a system follows the path that ``ParticleSolver`` gives it, to
round-off. Each has its own steps; the ones that have ended leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.dynamics.ensembles.blocks import Batch, in_blocks
from meanfield.dynamics.ensembles.outcome import IntArray, Outcome, Watch
from meanfield.dynamics.ensembles.record import Record
from meanfield.dynamics.noise import common_draw, step_generator
from meanfield.dynamics.stepping import fitted_step, grown_step
from meanfield.errors import InputError
from meanfield.geometry.brownian import brownian_steps, common_step
from meanfield.geometry.sphere import Array
from meanfield.interaction.batched import BatchedModel, MatrixField

__all__ = ["advance_noisy"]

_TURN, _BEND = 0.3, 0.02  # as in ``ParticleSolver``, whose steps these are
_MOST = 1_000_000  # steps


@dataclass(frozen=True)
class _Noise:
    """kappa, kappa_0, and the seed of the common noise (None: that of each system)."""

    kappa: float
    common: float
    common_seed: int | None


def advance_noisy(
    model: BatchedModel,
    tokens: Array,
    watch: Watch,
    kappa: float,
    common: float = 0.0,
    *,
    seeds: IntArray,
    common_seed: int | None = None,
    dt: float | None = None,
) -> Outcome:
    """Advance R systems with noise.

    Args:
        model: the attention, with heads or without.
        tokens: (R, n, d) unit vectors.
        watch: what is to be known.
        kappa: of the noise of each token, >= 0.
        common: kappa_0, of what all tokens of a system have in common, >= 0; one is positive.
        seeds: (R,) of the noise of each system.
        common_seed: of the common noise, one path for all systems; None: from ``seeds``.
        dt: fixed step, shortened to land on output times; None: chosen for each system.

    Returns:
        The outcome; what it holds of a system does not hang on the others.

    Raises:
        InputError: no noise, a seed for none, or one path for steps that differ.
    """
    if not (kappa >= 0.0 and common >= 0.0 and kappa + common > 0.0):
        raise InputError(
            f"kappa = {kappa:g} and common = {common:g} found, expected numbers >= 0, one of them "
            "positive"
        )
    if common_seed is not None and (common == 0.0 or dt is None):
        lacks = "common > 0" if common == 0.0 else "dt: one path needs the same steps for all"
        raise InputError(f"common_seed = {common_seed} found, expected with it {lacks}")
    if len(seeds) != len(tokens):
        raise InputError(
            f"{len(seeds)} seeds found, one for each of {len(tokens)} systems expected"
        )
    field, noise = MatrixField(model), _Noise(float(kappa), float(common), common_seed)

    def part(block: slice) -> Outcome:
        return _NoisyBatch(field, tokens[block], watch, noise, seeds[block], dt).run()

    return in_blocks(len(tokens), model.n, model.d, part)


class _NoisyBatch(Batch):
    """Systems that are advanced together; ``dt`` None: steps follow noise and drift."""

    own = ("_seeds", "_longest")

    def __init__(
        self, field: MatrixField, tokens: Array, watch: Watch, noise: _Noise, seeds: IntArray,
        dt: float | None,
    ) -> None:  # fmt: skip
        number = len(tokens)
        self._field, self._times, self._noise, self._dt = field, watch.times, noise, dt
        self._record = Record(watch, number, field)
        self._rows: IntArray = np.arange(number)  # those that have not ended
        self._x = np.array(tokens, dtype=np.float64)  # its own
        self._seeds = seeds.copy()
        self._t, self._next = np.zeros(number), np.ones(number, dtype=np.int64)
        self._record.put(self._rows, np.zeros(number, dtype=np.int64), self._x)
        self._count = 0  # steps so far, of all that are left
        most = 0.5 * (_TURN * field.width) ** 2 / (field.d - 1)
        self._turn = most / (noise.kappa + noise.common) if dt is None else dt
        self._longest = np.full(number, self._turn)
        if dt is None:
            speed = _largest_row(field.velocity(self._x))
            self._record.calls += 1
            moving = speed > 0.0
            self._longest[moving] = 0.01 / speed[moving]

    def _step(self) -> None:
        """One step of each system that is left."""
        ends = self._times[self._next]
        dt = np.array(
            [
                fitted_step(float(t), float(end), float(min(self._turn, longest)))
                for t, end, longest in zip(self._t, ends, self._longest, strict=True)
            ]
        )
        arrives = dt >= ends - self._t
        t = np.where(arrives, ends, self._t + dt)
        stuck = ~(t > self._t)
        if np.any(stuck):
            self._leave(stuck, 1)
            return
        y, bend = self._moved(dt)
        if self._dt is None:
            grown = [
                grown_step(float(h), float(b), _BEND, 2) for h, b in zip(dt, bend, strict=True)
            ]
            self._longest = np.array(grown)
        self._x, self._t = y, t
        self._record.calls[self._rows] += 2
        self._count += 1
        lost = ~np.isfinite(y).all(axis=(1, 2))
        put = np.flatnonzero(arrives & ~lost)
        if len(put):
            self._record.put(self._rows[put], self._next[put], y[put])
            self._next[put] += 1
        self._leave(lost, 3)
        self._leave(self._next >= len(self._times), 0)
        if self._count >= _MOST:
            self._leave(np.ones(len(self._rows), dtype=bool), 2)

    def _moved(self, dt: Array) -> tuple[Array, Array]:
        """Tokens after steps (R,), and how far the drift has bent in them."""
        noise, field = self._noise, self._field
        own = [step_generator(int(seed), self._count) for seed in self._seeds]
        seeds = [int(s) if noise.common_seed is None else noise.common_seed for s in self._seeds]
        of_all = [step_generator(s, self._count, 1) for s in seeds] if noise.common else []
        taus = (0.5 * noise.kappa * dt).tolist()
        wide = dt[:, None, None]
        x = self._in_common(brownian_steps(self._x, taus, own), dt, of_all)
        slope = field.velocity(x)
        drift = field.velocity(_unit(x + 0.5 * wide * slope))
        y = _unit(x + wide * drift)
        lost = ~np.isfinite(y).all(axis=(1, 2))
        y[lost] = x[lost]  # steps of others go on; these are told below
        y = brownian_steps(self._in_common(y, dt, of_all), taus, own)
        y[lost] = np.nan
        return y, dt * _largest_row(drift - slope)

    def _in_common(self, x: Array, dt: Array, of_all: list[np.random.Generator]) -> Array:
        """Tokens after half a step of the noise that those of a system have in common."""
        if not of_all:
            return x
        common = self._noise.common
        found = [
            common_draw(rng, x.shape[2], common * h)
            for rng, h in zip(of_all, dt.tolist(), strict=True)
        ]
        w, backward = zip(*found, strict=True)
        return common_step(x, np.array(w), np.array(backward))


def _largest_row(v: Array) -> Array:
    """(R,) the largest length of a row of (R, n, d)."""
    return np.asarray(np.sqrt(np.einsum("rij,rij->ri", v, v).max(axis=1, initial=0.0)))


def _unit(x: Array) -> Array:
    """Tokens (R, n, d) scaled to length one; nan where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(x / np.sqrt(np.einsum("rij,rij->ri", x, x))[:, :, None])
