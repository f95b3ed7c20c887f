"""What is watched in an ensemble, and what comes out of it: arrays, a row for each realisation.

A realisation is one small system of n tokens, with its own random numbers and its own steps: no
number of it hangs on which others are computed beside it. Knows nothing of how they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array

__all__ = ["FAILURES", "QUIET", "IntArray", "Noise", "Outcome", "Watch"]

IntArray = NDArray[np.int64]

FAILURES = (
    "",
    "the step became too small for its error",
    "more steps than allowed",
    "a token is no unit vector any more",
)
"""What has become of a realisation, by its number in ``Outcome.failed``; the first: all is well."""


@dataclass(frozen=True)
class Noise:
    """The noise of tokens, as ``ParticleSolver`` has it.

    Attributes:
        kappa: of each token, sqrt(2 kappa) dB.
        common: kappa_0, of what all tokens of a realisation have in common.
        common_seed: one path of that for all realisations; None: each has its own.
        dt: fixed step; None: chosen for each realisation.
    """

    kappa: float = 0.0
    common: float = 0.0
    common_seed: int | None = None
    dt: float | None = None

    @property
    def acts(self) -> bool:
        """Whether there is any."""
        return self.kappa > 0.0 or self.common > 0.0


QUIET = Noise()


@dataclass(frozen=True, eq=False)
class Watch:
    """What is to be known of each realisation, and when.

    Attributes:
        times: (k,) output times, ascending, the first one 0, the last one the end.
        snapshots: (s,) places in ``times`` at which what is not linear is counted: energy,
            clusters, the histogram; ascending.
        delta: tokens are close from <x_i, x_j> >= 1 - delta on, 0 < delta < 1.
        cluster_angle: tokens nearer than this (radians) belong to one cluster (single linkage).
        bins: (b + 1,) edges of the histogram of <x_i, x_j>, ascending from -1 to 1; empty: none.
        states: whether all tokens are kept at the snapshots.
    """

    times: Array
    snapshots: IntArray
    delta: float = 1e-3
    cluster_angle: float = 0.1
    bins: Array = field(default_factory=lambda: np.zeros(0))
    states: bool = False


@dataclass(frozen=True, eq=False)
class Outcome:
    """R realisations of n tokens.

    A realisation that has failed has nan (in whole numbers: -1) from the time on at which it did.

    Attributes:
        columns: (R, k) each, at ``Watch.times``: "inner_product" <x_1, x_2>; "mean_inner_product"
            over all pairs i < j; "close", the fraction of all pairs i < j that are close;
            "mean_norm" |m|, m the mean of the tokens.
        snapshots: (R, s) each, at those times: "energy_scaled" (where the model has an energy; own
            terms included, as in the series of a run), "clusters" their number, "largest" the part
            of the tokens in the largest one.
        histogram: (R, s, b) pairs i < j with <x_i, x_j> in each bin.
        states: (R, s, n, d) tokens, or (R, s, n, n) inner products where only these are known;
            None: not asked for.
        calls: (R,) evaluations of the velocity.
        failed: (R,) places in ``FAILURES``.
    """

    columns: Mapping[str, Array]
    snapshots: Mapping[str, Array]
    histogram: IntArray
    states: Array | None
    calls: IntArray
    failed: IntArray
