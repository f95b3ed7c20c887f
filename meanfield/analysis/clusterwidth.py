"""Whether a mesh resolves the clusters that noise leaves: their width, and the edges that it needs.

Near a narrow cluster tokens come nearer at the rate r of its own field, and noise drives them
apart: an Ornstein-Uhlenbeck process, in each direction of the variance sigma^2 = kappa/r.

What the variance is wrong by at rest is an error of quadrature: the density is in balance with its
potential at the vertices, and their masses are those of their cells. Of a Gaussian, r = h/sigma:

* equal steps on S^1 have 4 q e^{-q} at most, q = 2 pi^2/r^2 (Poisson's summation);
* latitudes have -(d - 2)/(12 (d - 1)) r^2 + O(r^4) at the pole;
* on S^2 it depends on the place, by the corners of the mesh near it.

Measured (implicit solver, sa, beta = 9, kappa = .005, against the exact variance; ``widths`` and
others in scripts/validation/implicit.py), edges of sigma, sigma/2: S^1 1e-7, 1e-8; latitudes,
d = 3, 5, 16: 3.1 %, .98 %; 6.0 %, 1.5 %; 6.4 %, 1.8 %; S^2 at eight places .05 to 1.6 %, .01 to
.36 %. On S^1 with vertices that are moved at random by up to .3 of an edge: up to 8 %, 1.9 %.
Times are harder: of three clusters on S^1 (``metastable`` there) two merge 13 % too late with
edges of sigma, 3 % too late with sigma/2.
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

__all__ = ["Resolution", "resolution_of", "settled_width", "variance_error"]

_WANTED = 0.5  # edges over sigma
_ALMOST = 1.02  # what is as good
_ERROR = 0.016  # on S^2, of the variance, with edges of sigma; it goes with their square
_LOST = 1.7  # edges over sigma from which on errors grow faster: 14 % on S^1, 18 % on S^2 at 2
_NONE = 0.001  # an error that is not worth a number
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
        error: relative, of their variance at rest by these edges, up to about; nan: not known.
    """

    width: float
    edge: float
    enough: str
    longest: float
    centred: bool = False
    error: float = math.nan

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
        if math.isnan(self.error):
            told = "their width depends on the mesh"
        elif self.error < _NONE:
            told = (
                f"their variance is wrong by less than {_NONE:.1%}, times at which they merge by "
                "more"
            )
        else:
            told = f"their variance is wrong by up to about {self.error:.1%}"
        enough = f"{self.enough} has" if self.enough else "a finer mesh has"
        up_to = "up to " if self._asked > self.edge else ""
        return (
            f"edges of {up_to}{self._asked:.2g} for clusters of the width sigma = "
            f"{self.width:.2g}, to which noise brings them: {told}; "
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
    asked = geometry.edge if centred else longest
    error = variance_error(geometry, asked / width)
    return Resolution(width, geometry.edge, enough, longest, centred, error)


def variance_error(geometry: Geometry, ratio: float) -> float:
    """What the variance of a narrow cluster at rest is wrong by, relative, up to about.

    Args:
        geometry: with a mesh.
        ratio: edges over sigma.

    Returns:
        See the top of this file for what is derived and measured; nan: nothing is known of a mesh
        that is read from a file, and of edges above 1.7 sigma.
    """
    if ratio > _LOST:
        return math.nan
    if isinstance(geometry, Sphere):
        return _ERROR * ratio**2
    if isinstance(geometry, Zonal) and geometry.d > 2:
        return (geometry.d - 2) / (12.0 * (geometry.d - 1)) * ratio**2
    if isinstance(geometry, Circle | Zonal):
        q = 2.0 * (math.pi / ratio) ** 2
        return 4.0 * q * math.exp(-q)
    return math.nan


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
