"""One ensemble: which of the kernels advances it, and what it is asked and answers.

Knows tokens and what is watched; a model is handed on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.dynamics.ensembles.kernel import advance
from meanfield.dynamics.ensembles.matrices import advance_matrices
from meanfield.dynamics.ensembles.noisy import advance_noisy
from meanfield.dynamics.ensembles.outcome import QUIET, IntArray, Noise, Outcome, Watch
from meanfield.errors import InputError, suggest
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.interaction.batched import BatchedModel, numbers_of

__all__ = ["FORMS", "StartingTokens", "run_ensemble"]

FORMS = ("auto", "gram", "coordinates", "matrices")

_USUAL, _USUAL_COORDINATES = 1e-5, 2e-6  # tolerances
_FINE = 1.9e-6  # tolerance below which round-off of float32 counts
_LOW = 8  # dimension
_MOST_STEPS = 200_000
_LEAST_DELTA = 1e-6  # inner products are float32
_COLUMNS = ("inner_product", "mean_inner_product", "close", "mean_norm")


class StartingTokens:
    """Tokens of many realisations, looked at once: for several ensembles from the same ones.

    Args:
        tokens: (R, n, d) unit vectors.

    Attributes:
        x: (R, n, d).

    Raises:
        InputError: no unit vectors, or fewer than two of them.
    """

    def __init__(self, tokens: Array) -> None:
        x = real_array(tokens, "tokens", "(R, n, d) unit vectors")
        if x.ndim != 3 or x.shape[1] < 2 or x.shape[2] < 2:
            raise InputError(
                f"tokens of shape {x.shape} found, (R, n, d) expected: R realisations of n >= 2 "
                "tokens in dimension d >= 2"
            )
        R, n, d = x.shape
        self.x: Array = unit_vectors(x.reshape(R * n, d), d, "tokens").reshape(R, n, d)

    @cached_property
    def gram(self) -> Array:
        """(R, n, n) inner products."""
        G = np.matmul(self.x, self.x.transpose(0, 2, 1))
        n = G.shape[1]
        G[:, np.arange(n), np.arange(n)] = 1.0
        return np.asarray(G)

    @cached_property
    def columns(self) -> Array:
        """(R, d, n) tokens, the long axis last."""
        return np.ascontiguousarray(self.x.transpose(0, 2, 1))


@checked_arguments
def run_ensemble(
    model: BatchedModel,
    tokens: Array | StartingTokens,
    watch: Watch,
    *,
    noise: Noise = QUIET,
    seeds: IntArray | None = None,
    tolerance: float | None = None,
    form: str = "auto",
) -> Outcome:
    """Advance R systems of n tokens, each by steps of its own.

    No number of a realisation hangs on which others are computed with it, nor on threads.

    Args:
        model: who pulls whom.
        tokens: (R, n, d) unit vectors; as ``StartingTokens`` they are looked at once for several
            ensembles.
        watch: what is to be known, and when.
        noise: of the tokens; without any, steps follow the error.
        seeds: (R,) of the noise of each realisation; needed where there is some.
        tolerance: largest error of a step without noise, in an inner product (or a coordinate);
            None: 1e-5 (2e-6), for errors of inner products below 1e-4, or delta/10.
        form: without noise, "gram" (inner products), "coordinates" or "matrices" (what heads
            need); "auto" chooses.

    Raises:
        InputError: what no kernel can do, and what is out of its range.
    """
    start = tokens if isinstance(tokens, StartingTokens) else StartingTokens(tokens)
    if start.x.shape[1:] != (model.n, model.d):
        raise InputError(
            f"tokens of shape {start.x.shape} found, (R, {model.n}, {model.d}) expected"
        )
    form = _fitting_form(form, model, noise)
    watch = _checked_watch(watch)
    _check_seeds(seeds, len(start.x), noise)
    if form == "noise":
        assert seeds is not None
        if tolerance is not None:
            raise InputError(f"tolerance = {tolerance:g} found with noise, none expected")
        return advance_noisy(
            model, start.x, watch, noise.kappa, noise.common,
            seeds=np.asarray(seeds, dtype=np.int64), common_seed=noise.common_seed, dt=noise.dt,
        )  # fmt: skip
    usual = _USUAL if form == "gram" else _USUAL_COORDINATES
    tolerance = min(usual, 0.1 * watch.delta) if tolerance is None else tolerance
    if not 1e-12 <= tolerance <= 1e-2:
        raise InputError(f"tolerance = {tolerance:g} found, 1e-12 to 1e-2 expected")
    if form == "matrices":
        return advance_matrices(model, start.x, watch, tolerance)
    return _smooth(model, start, watch, form == "gram", tolerance)


def _fitting_form(form: str, model: BatchedModel, noise: Noise) -> str:
    """Who advances the model: "noise" or one of ``FORMS``."""
    if form not in FORMS:
        raise InputError(
            f"form '{form}' found, one of {', '.join(FORMS)} expected{suggest(form, FORMS)}"
        )
    for name in ("kappa", "common"):
        value = getattr(noise, name)
        if not 0.0 <= value < math.inf:
            raise InputError(f"noise.{name} = {value:g} found, a finite number >= 0 expected")
    if noise.dt is not None and not (noise.acts and 0.0 < noise.dt < math.inf):
        raise InputError(
            f"noise.dt = {noise.dt:g} found, a number > 0 beside kappa > 0 or common > 0 expected"
        )
    if noise.common_seed is not None and not (noise.common > 0.0 and noise.common_seed >= 0):
        raise InputError(
            f"noise.common_seed = {noise.common_seed} found, one >= 0 beside common > 0 expected"
        )
    if noise.acts:
        if form != "auto":
            raise InputError(f"form '{form}' found with noise, 'auto' expected")
        return "noise"
    if model.heads:
        if form not in ("auto", "matrices"):
            raise InputError(f"form '{form}' found with heads, 'auto' or 'matrices' expected")
        return "matrices"
    if form == "auto":
        return "gram" if model.d >= model.n else "coordinates"
    return form


def _smooth(
    model: BatchedModel, start: StartingTokens, watch: Watch, gram: bool, tolerance: float
) -> Outcome:
    """By ``kernel.advance``."""
    numbers = numbers_of(model)
    # Of nearly antipodal tokens, which few dimensions have, float32 keeps too little of 1 + <x, y>.
    fine = numbers.fine or numbers.merges or tolerance < _FINE or (gram and model.d <= _LOW)
    real = np.float64 if fine else np.float32
    starts = (start.gram if gram else start.columns).astype(real)
    R, n, k, s = len(starts), model.n, len(watch.times), len(watch.snapshots)
    out, told = np.full((R, k, 4), np.nan), np.full((R, s, 3), np.nan)
    histogram = np.zeros((R, s, max(0, len(watch.bins) - 1)), dtype=np.int64)
    shape = (n, n if gram else model.d) if watch.states else (0, 0)
    states = np.full((R, s, *shape), np.nan)
    calls, failed = np.zeros(R, dtype=np.int64), np.zeros(R, dtype=np.int64)
    setting = np.array(
        [tolerance, watch.delta, math.cos(watch.cluster_angle), numbers.tail,
         min(numbers.one, 0.5 * watch.delta),
         float(numbers.merges), _MOST_STEPS]
    )  # fmt: skip
    advance(
        gram, numbers.law, numbers.seen.astype(real), numbers.share.astype(real), setting, starts,
        np.ascontiguousarray(watch.times, dtype=np.float64),
        np.ascontiguousarray(watch.snapshots, dtype=np.int64),
        np.ascontiguousarray(watch.bins, dtype=np.float64), out, told, histogram, states, calls,
        failed,
    )  # fmt: skip
    snapshots = {"energy_scaled": told[:, :, 0]} if numbers.has_energy else {}
    snapshots |= {"clusters": told[:, :, 1], "largest": told[:, :, 2]}
    columns = {name: out[:, :, i] for i, name in enumerate(_COLUMNS)}
    return Outcome(columns, snapshots, histogram, states if watch.states else None, calls, failed)


# ------------------------------------------------------------------ checks of what users give


def _checked_watch(watch: Watch) -> Watch:
    times, shots, bins = (np.asarray(a) for a in (watch.times, watch.snapshots, watch.bins))
    if not (times.ndim == 1 and times.size > 1 and np.all(np.isfinite(times)) and times[0] == 0.0
            and np.all(np.diff(times) > 0.0)):  # fmt: skip
        raise InputError("watch.times: found others, expected two or more, ascending from 0")
    if shots.ndim != 1 or (
        shots.size
        and (shots.dtype.kind not in "iu" or np.any(np.diff(shots) <= 0) or shots[0] < 0
             or shots[-1] >= times.size)
    ):  # fmt: skip
        raise InputError(
            f"watch.snapshots: found others, expected ascending places among {times.size} times"
        )
    if bins.size and not (
        bins.ndim == 1 and bins.size > 1 and bins[0] == -1.0 and bins[-1] == 1.0
        and np.all(np.diff(bins) > 0.0)
    ):  # fmt: skip
        raise InputError("watch.bins: found other edges, expected some ascending from -1 to 1")
    if not _LEAST_DELTA <= watch.delta < 1.0:
        raise InputError(f"watch.delta = {watch.delta:g} found, {_LEAST_DELTA:g} to 1 expected")
    if not 0.0 < watch.cluster_angle <= math.pi:
        raise InputError(
            f"watch.cluster_angle = {watch.cluster_angle:g} found, 0 < angle <= pi expected"
        )
    return replace(
        watch, times=times.astype(float), snapshots=shots.astype(np.int64), bins=bins.astype(float)
    )


def _check_seeds(seeds: IntArray | None, number: int, noise: Noise) -> None:
    if seeds is None:
        if noise.acts:
            raise InputError(f"seeds: found none, {number} expected, of the noise")
        return
    found = np.asarray(seeds)
    if found.shape != (number,) or found.dtype.kind not in "iu" or np.any(found < 0):
        raise InputError(
            f"seeds of shape {found.shape} ({found.dtype}) found, {number} whole numbers >= 0 "
            "expected"
        )
