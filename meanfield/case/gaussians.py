"""[solver] for narrow Gaussians, and the clusters that an initial law is made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from meanfield.case.geometry import Geometry
from meanfield.case.masks import refuse_mask
from meanfield.case.normalisation import TOKENS, refuse_normalisation
from meanfield.case.pretrained.option import refuse_pretrained
from meanfield.case.tokensolvers import Pair
from meanfield.errors import InputError
from meanfield.geometry.bessel import log_scaled_bessel
from meanfield.geometry.laws import Law, Mixture, VonMisesFisher
from meanfield.geometry.sphere import Array
from meanfield.options import Angle, Field, Pure, options

if TYPE_CHECKING:
    from meanfield.case.model import Model

__all__ = ["MOST_DIMENSION", "WIDEST", "Clusters", "Gaussians", "clusters_of"]

MOST_DIMENSION = 6
"""d up to which there are Gaussians: of 3^{d-1} points each, for d <= 3 of 5^{d-1}."""
WIDEST = 0.1
"""Sum of the variances of a Gaussian, at most, at the start."""
_WHO = "narrow Gaussians"


class Clusters(NamedTuple):
    """Gaussians by their centres (k, d), variances of each coordinate (k,) and masses (k,)."""

    centres: Array
    variances: Array
    masses: Array


def clusters_of(law: Law) -> Clusters:
    """The Gaussians of a law, with its mean directions and second moments.

    Raises:
        InputError: it is none of von Mises-Fisher laws that are narrow enough.
    """
    found = list(_parts(law, 1.0))
    centres = np.array([part.mean for part, _ in found], dtype=np.float64)
    centres /= np.linalg.norm(centres, axis=1)[:, None]
    variances = np.array([_variance(part) for part, _ in found])
    masses = np.array([mass for _, mass in found])
    d = centres.shape[1]
    if np.max(variances) * (d - 1) > WIDEST:
        widest, _ = found[int(np.argmax(variances))]
        least = math.ceil((d - 1) / WIDEST)
        raise InputError(
            f"initial: found concentration = {widest.concentration:g}, too wide for {_WHO}; "
            f"expected {least} or more in every component"
        )
    return Clusters(centres, variances, masses)


def _parts(law: Law, mass: float) -> list[tuple[VonMisesFisher, float]]:
    """Narrow laws and what they hold."""
    if isinstance(law, VonMisesFisher):
        return [(law, mass)] if mass > 0.0 else []
    if isinstance(law, Mixture):
        total = math.fsum(law.weights)
        parts = zip(law.components, law.weights, strict=True)
        return [one for part, w in parts for one in _parts(part, mass * w / total)]
    if mass == 0.0:
        return []
    raise InputError(
        f"initial: found {law.describe()} with {_WHO} (solver.type = 'gaussians'), expected "
        "'von-mises-fisher', or a 'mixture' of such laws"
    )


def _variance(law: VonMisesFisher) -> float:
    """Of each coordinate that is orthogonal to the mean: I_{d/2}(k)/(k I_{d/2-1}(k))."""
    half, k = 0.5 * law.d, law.concentration
    return float(np.exp(log_scaled_bessel(half, k) - log_scaled_bessel(half - 1.0, k))) / law.d


@options("solver", kw_only=True)
class Gaussians:
    """A density of narrow clusters (kappa > 0): each is a Gaussian that moves and changes width.

    For small kappa, where clusters are too narrow for a mesh. Exact where the field is affine
    within a cluster; the column ``nonaffine`` tells how far it is from that, and a warning when the
    variances of a cluster sum to more than 0.1.

    Example:
        >>> mf.Gaussians().method
        'dop853'
    """

    method: Pair = "dop853"
    """Runge-Kutta pair: "dop853" (order 8) or "dopri5" (order 5)."""
    rtol: Pure = Field(default=1e-7, ge=1e-13, le=1e-1)
    """Tolerance of a step, against the largest distance moved in it."""
    atol: Angle = Field(default=1e-10, ge=1e-14, le=1e-1)
    """Absolute tolerance of a step, of centres and widths."""
    cluster_angle: Angle = Field(default=0.1, gt=0.0, le=math.pi)
    """Gaussians whose centres are nearer than this (radians) belong to one cluster."""
    type: Literal["gaussians"] = "gaussians"

    def suits(self, geometry: Geometry, model: Model) -> None:
        """Refuse a problem that this solver cannot do.

        Raises:
            InputError: with what would do.
        """
        if geometry.manifold.latitudes:
            raise InputError(
                f"geometry.type: found '{geometry.type}', where points are whole circles of "
                f"latitude, with {_WHO}; expected 'unmeshed' (d <= {MOST_DIMENSION}), 'sphere' or "
                "'circle'"
            )
        if geometry.d > MOST_DIMENSION:
            raise InputError(
                f"geometry.d: found {geometry.d}, expected at most {MOST_DIMENSION}: {_WHO} are "
                "summed by 3^(d-1) points each"
            )
        if not model.diffuses:
            raise InputError(
                f"model.kappa: found 0, but the width of {_WHO} is made by noise: expected "
                "kappa > 0, or solver.type = 'lagrangian' or 'particles'"
            )
        if model.exponent != 1.0:
            raise InputError(
                f"model.diffusion.exponent: found {model.exponent:g}, but {_WHO} have linear "
                "diffusion: expected solver.type = 'implicit' (or exponent = 1)"
            )
        refuse_mask(model, _WHO)
        refuse_pretrained(model, _WHO)
        refuse_normalisation(model.normalisation, f"{_WHO} do not have", TOKENS)
