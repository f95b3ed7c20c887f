"""Whether a mesh resolves the clusters that noise leaves: their width, and the edges that it needs.

Near a narrow cluster tokens come nearer at the rate r of its own field, and noise drives them
apart: an Ornstein-Uhlenbeck process, in each direction of the variance sigma^2 = kappa/r. Measured
(implicit solver, sa, beta = 9, kappa = .005): the variance is wrong by 1 % with edges of sigma, by
.25 % with sigma/2, by .06 % with sigma/4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from meanfield.case import Case, FixedMesh
from meanfield.errors import InputError
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.dirac import dirac_contraction

__all__ = ["Resolution", "resolution_of", "settled_width"]

_WANTED = 0.5  # edges over sigma
_ALMOST = 1.02  # what is as good
_ERROR = 0.01  # of the variance, with edges of sigma; it goes with their square
_LOST = 2.0  # edges over sigma from which on that is no error any more
_DEGREES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def settled_width(interaction: AnyInteraction, kappa: float) -> float | None:
    """Width sigma (angle) of a narrow cluster at rest: sqrt(kappa/r), see ``dirac_contraction``.

    Args:
        interaction: at t = 0.
        kappa: linear diffusion.

    Returns:
        None where none forms: for kappa = 0, if a point mass drives tokens away or is singular, if
        the uniform state is stable against perturbations of all degrees, or noise spreads a cluster
        over a radian and more.
    """
    if kappa <= 0.0:
        return None
    try:
        fastest = [interaction.fastest_rate(l) for l in _DEGREES]
    except InputError:  # of densities, which it does not have
        return None
    d = interaction.d
    if all(rate <= kappa * l * (l + d - 2) for rate, l in zip(fastest, _DEGREES, strict=True)):
        return None
    rate = dirac_contraction(interaction)
    return math.sqrt(kappa / rate) if rate > kappa else None


@dataclass(frozen=True)
class Resolution:
    """Clusters of a case against its mesh.

    Attributes:
        width: sigma of a narrow cluster at rest, in radians.
        edge: length of the edges of the mesh, in radians; where it is finest, if it is graded.
        enough: what would do, as "geometry.level = 5"; "" if nothing is known that does.
    """

    width: float
    edge: float
    enough: str

    @property
    def resolved(self) -> bool:
        """Whether edges are at most sigma/2."""
        return self.edge <= _ALMOST * _WANTED * self.width

    @property
    def words(self) -> str:
        """For the opening lines of a run."""
        verdict = "at most" if self.resolved else f"more than {self.width * _WANTED:.2g} ="
        return (
            f"clusters at rest have the width sigma = {self.width:.2g} (by kappa), edges "
            f"{self.edge:.2g}: {verdict} sigma/2"
        )

    @property
    def note(self) -> str:
        """A warning; "" where edges are short enough."""
        if self.resolved:
            return ""
        ratio = self.edge / self.width
        lost = "their width is that of the mesh"
        told = f"their variance is wrong by about {_ERROR * ratio**2:.1%}"
        enough = f"{self.enough} has" if self.enough else "a finer mesh has"
        return (
            f"edges of {self.edge:.2g} for clusters of the width sigma = {self.width:.2g}, to "
            f"which noise brings them: {lost if ratio > _LOST else told}; {enough} edges of "
            "sigma/2 or less"
        )


def resolution_of(case: Case) -> Resolution | None:
    """Clusters against the mesh of a case.

    Returns:
        None where there is nothing to tell: no density on a mesh that stays, no clusters (see
        ``settled_width``), a kappa that depends on time, nonlinear diffusion.
    """
    kappa, geometry = case.model.kappa, case.geometry
    if not isinstance(case.solver, FixedMesh) or not isinstance(kappa, float):
        return None
    if kappa <= 0.0 or case.model.exponent != 1.0:
        return None
    width = settled_width(case.model.on(geometry), kappa)
    if width is None:
        return None
    enough = geometry.resolving(_WANTED * width)
    return Resolution(width, geometry.edge, f"geometry.{enough}" if enough else "")
