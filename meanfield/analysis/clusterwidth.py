"""Whether a mesh resolves the clusters that noise leaves: their width, and the edges that it needs.

Near a narrow cluster tokens come nearer at the rate r of its own field, and noise drives them
apart: an Ornstein-Uhlenbeck process, in each direction of the variance sigma^2 = kappa/r. Measured
(implicit solver, sa, beta = 9, kappa = .005): the variance is wrong by 1 % with edges of sigma, by
.25 % with sigma/2, by .06 % with sigma/4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from meanfield.case import Case, Circle, FixedMesh, Geometry, Sphere, Zonal
from meanfield.case.grading import finer
from meanfield.case.intime.tables import TimeTable
from meanfield.case.terms import kappa_in_time
from meanfield.errors import InputError
from meanfield.geometry.laws import Cap, Law, Mixture, PoissonKernel, VonMisesFisher
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.dirac import dirac_contraction
from meanfield.interaction.intime import TableInTime

__all__ = ["Resolution", "resolution_of", "settled_width"]

_WANTED = 0.5  # edges over sigma
_ALMOST = 1.02  # what is as good
_ERROR = 0.01  # of the variance, with edges of sigma; it goes with their square
_LOST = 2.0  # edges over sigma from which on that is no error any more
_SAME = 1.0 - 1e-6  # cosine of directions that are the same
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
        longest: length of the longest edges.
        centred: whether the law is one cluster where a graded mesh is finest.
    """

    width: float
    edge: float
    enough: str
    longest: float
    centred: bool = False

    @property
    def resolved(self) -> bool:
        """Whether edges are at most sigma/2, where clusters may be."""
        return self._asked <= _ALMOST * _WANTED * self.width

    @property
    def _asked(self) -> float:
        """Length of the edges that count."""
        return self.edge if self.centred else self.longest

    @property
    def words(self) -> str:
        """For the opening lines of a run."""
        verdict = "at most" if self.resolved else f"more than {self.width * _WANTED:.2g} ="
        where = ""
        if self.longest > self.edge:
            where = f" where the mesh is finest, elsewhere up to {self.longest:.2g}"
        return (
            f"clusters at rest have the width sigma = {self.width:.2g} (by kappa), edges "
            f"{self.edge:.2g}{where}: {verdict} sigma/2"
        )

    @property
    def note(self) -> str:
        """A warning; "" where edges are short enough."""
        if self.resolved:
            return ""
        ratio = self._asked / self.width
        lost = "their width is that of the mesh"
        told = f"their variance is wrong by about {_ERROR * ratio**2:.1%}"
        enough = f"{self.enough} has" if self.enough else "a finer mesh has"
        up_to = "up to " if self._asked > self.edge else ""
        return (
            f"edges of {up_to}{self._asked:.2g} for clusters of the width sigma = "
            f"{self.width:.2g}, to which noise brings them: {lost if ratio > _LOST else told}; "
            f"{enough} edges of sigma/2 or less"
        )


def resolution_of(case: Case) -> Resolution | None:
    """Clusters against the mesh of a case.

    Returns:
        None where there is nothing to tell: no density on a mesh that stays, no clusters (see
        ``settled_width``), a kappa that changes all the time, nonlinear diffusion. Of a table in
        steps the last kappa > 0 before the end counts.
    """
    geometry = case.geometry
    if not isinstance(case.solver, FixedMesh) or case.model.exponent != 1.0:
        return None
    kappa = _last_kappa(case)
    if kappa <= 0.0:
        return None
    width = settled_width(case.model.on(geometry), kappa)
    if width is None:
        return None
    longest = geometry.edge * finer(geometry.factor) ** 2
    centred = longest > geometry.edge and _one_at_centre(case.initial, geometry)
    even = geometry if centred else _even(geometry)
    enough = even.resolving(_WANTED * width)
    if enough:
        enough = f"geometry.{enough}" + (" without a factor" if even is not geometry else "")
    return Resolution(width, geometry.edge, enough, longest, centred)


def _even(geometry: Geometry) -> Geometry:
    """The geometry with edges that are the same everywhere."""
    if isinstance(geometry, Sphere | Circle):
        return replace(geometry, factor=None, centre=None) if geometry.factor else geometry
    if isinstance(geometry, Zonal):
        return replace(geometry, factor=None) if geometry.factor else geometry
    return geometry


def _one_at_centre(law: Law, geometry: Geometry) -> bool:
    """Whether a law is one cluster, symmetric about the place where a graded mesh is finest."""
    if isinstance(law, Mixture):
        parts = zip(law.components, law.weights, strict=True)
        return all(_one_at_centre(part, geometry) for part, weight in parts if weight > 0.0)
    if isinstance(law, VonMisesFisher):
        axis = np.array(law.mean) * law.concentration
    elif isinstance(law, PoissonKernel):
        axis = np.array(law.w)
    elif isinstance(law, Cap) and law.angle <= 0.5 * math.pi:
        axis = np.array(law.centre)
    else:
        return False
    given = geometry.centre if isinstance(geometry, Sphere | Circle) else None
    centre = np.eye(law.d)[-1] if given is None else np.array(given)
    if geometry.factor is not None and geometry.factor < 1.0:
        centre = -centre
    along = float(axis @ centre) / float(np.linalg.norm(centre))
    return along > _SAME * float(np.linalg.norm(axis)) > 0.0


def _last_kappa(case: Case) -> float:
    """The last one above 0 that holds in the run; 0: none, or it is not constant between jumps."""
    given = case.model.kappa
    if isinstance(given, float):
        return given
    kappa = kappa_in_time(given) if isinstance(given, TimeTable) else given
    if not isinstance(kappa, TableInTime) or not kappa.piecewise:
        return 0.0
    starts = [0.0, *(float(t) for t in kappa.times if 0.0 < t < case.time.end)]
    return next((now for t in reversed(starts) if (now := float(kappa.at(t))) > 0.0), 0.0)
