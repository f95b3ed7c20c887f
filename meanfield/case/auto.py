"""The choice of a solver by the problem (``solver = "auto"``)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.arguments import checked_arguments
from meanfield.case.solvers import Density, Eulerian, Implicit, Lagrangian

if TYPE_CHECKING:
    from meanfield.case.geometry import Geometry
    from meanfield.case.model import Model
    from meanfield.case.time import Time

__all__ = ["AUTO_EXPLICIT", "auto_solver"]

AUTO_EXPLICIT = 20.0
"""Growth times of the fastest mode up to which ``auto_solver`` takes explicit steps."""


@checked_arguments
def auto_solver(geometry: Geometry, model: Model, time: Time) -> Density:
    """The solver of a density that fits a problem, with its default options (``type = "auto"``).

    * kappa > 0: ``Implicit``; explicit steps with diffusion are of the order of h^2.
    * kappa = 0 and an end within 20 growth times of the fastest mode of the uniform state, in which
      clusters form: ``Eulerian``.
    * kappa = 0 and later: clusters are narrower than any mesh and move on the time scale
      e^{beta(1 - cos angle)} (attention). ``Lagrangian``, whose clusters collapse to points;
      ``Implicit`` where they do not narrow (W concave on average: repulsion, V beta < 0), which
      comes to rest, and for singular kernels.

    Example:
        >>> model = mf.Model(attention='sa', beta=4.0, kappa=0.1)
        >>> mf.auto_solver(mf.Sphere(4), model, mf.Time(end=1.0)).type
        'implicit'
    """
    if model.diffuses:
        return Implicit()
    interaction = model.on(geometry)
    degrees = 8 + int(3.0 * math.sqrt(interaction.sharpness - 1.0))
    if time.end * interaction.fastest_rate(degrees) <= AUTO_EXPLICIT:
        return Eulerian()
    return Lagrangian() if interaction.sharpens and interaction.series_ends else Implicit()
