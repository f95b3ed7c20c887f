"""One ensemble: which of the kernels advances it, and what it is asked and answers.

Knows tokens and what is watched; a model is handed on.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import numpy as np

from meanfield.arguments import checked_arguments
from meanfield.checks import real_array
from meanfield.dynamics.ensembles.kernel import advance
from meanfield.dynamics.ensembles.outcome import IntArray, Outcome, Watch
from meanfield.errors import InputError, suggest
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.interaction.batched import BatchedModel, numbers_of

__all__ = ["FORMS", "Form", "StartingTokens", "run_ensemble"]

Form = Literal["auto", "gram", "coordinates", "matrices"]
FORMS = ("auto", "gram", "coordinates", "matrices")

_FINE = 2e-6  # tolerance below which round-off of float32 counts
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
    kappa: float = 0.0,
    common: float = 0.0,
    seeds: IntArray | None = None,
    common_seed: int | None = None,
    tolerance: float = 1e-5,
    **rest: str,
) -> Outcome:
    """Advance R systems of n tokens, each by steps of its own.

    No number of a realisation hangs on which others are computed with it, nor on threads.

    Args:
        model: who pulls whom.
        tokens: (R, n, d) unit vectors; as ``StartingTokens`` they are looked at once for several
            ensembles.
        watch: what is to be known, and when.
        kappa: of the noise of each token, sqrt(2 kappa) dB.
        common: of the noise that all tokens of a realisation have together.
        seeds: (R,) of the noise of each realisation; needed where there is some.
        common_seed: of the common noise, one path for all realisations; None: one for each.
        tolerance: largest error of a step in an inner product (or a coordinate).
        rest: form="auto", or "gram" (inner products), "coordinates", "matrices" (of heads).

    Raises:
        InputError: what no kernel can do, and what is out of its range.
    """
    form = _checked_form(rest)
    start = tokens if isinstance(tokens, StartingTokens) else StartingTokens(tokens)
    if start.x.shape[1:] != (model.n, model.d):
        raise InputError(
            f"tokens of shape {start.x.shape} found, (R, {model.n}, {model.d}) expected"
        )
    _check_watch(watch)
    _check_seeds(seeds, len(start.x))
    if not 1e-12 <= tolerance <= 1e-2:
        raise InputError(f"tolerance = {tolerance:g} found, 1e-12 to 1e-2 expected")
    if not (0.0 <= kappa < math.inf and 0.0 <= common < math.inf):
        raise InputError(f"kappa = {kappa:g}, common = {common:g} found, both >= 0 expected")
    # Other kernels are asked from here: noise, then what has matrices.
    if kappa > 0.0 or common > 0.0:
        raise InputError(f"kappa = {max(kappa, common):g} found, 0 expected by this kernel")
    if model.heads or form == "matrices":
        raise InputError("heads found, attention with beta and value expected by this kernel")
    gram = form == "gram" or (form == "auto" and model.d >= model.n)
    return _smooth(model, start, watch, gram, tolerance)


def _smooth(
    model: BatchedModel, start: StartingTokens, watch: Watch, gram: bool, tolerance: float
) -> Outcome:
    """By ``kernel.advance``."""
    numbers = numbers_of(model)
    fine = numbers.fine or numbers.merges or tolerance < _FINE
    real = np.float64 if fine else np.float32
    starts = (start.gram if gram else start.columns).astype(real)
    R, n, k, s = len(starts), model.n, len(watch.times), len(watch.snapshots)
    out, told = np.full((R, k, 4), np.nan), np.full((R, s, 3), np.nan)
    histogram = np.zeros((R, s, max(0, len(watch.bins) - 1)), dtype=np.int64)
    shape = (n, n if gram else model.d) if watch.states else (0, 0)
    states = np.full((R, s, *shape), np.nan)
    calls, failed = np.zeros(R, dtype=np.int64), np.zeros(R, dtype=np.int64)
    setting = np.array(
        [tolerance, watch.delta, math.cos(watch.cluster_angle), numbers.tail, numbers.one,
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


def _checked_form(rest: dict[str, str]) -> str:
    for name in rest:
        if name != "form":
            raise InputError(f"{name}: found, 'form' expected{suggest(name, ('form',))}")
    form = rest.get("form", "auto")
    if form not in FORMS:
        raise InputError(
            f"form '{form}' found, 'auto', 'gram', 'coordinates' or 'matrices' expected"
            f"{suggest(str(form), FORMS)}"
        )
    return form


def _check_watch(watch: Watch) -> None:
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


def _check_seeds(seeds: IntArray | None, number: int) -> None:
    if seeds is None:
        return
    found = np.asarray(seeds)
    if found.shape != (number,) or found.dtype.kind not in "iu" or np.any(found < 0):
        raise InputError(
            f"seeds of shape {found.shape} ({found.dtype}) found, {number} whole numbers >= 0 "
            "expected"
        )
