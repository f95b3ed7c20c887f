"""The density of a run of Gaussians at any point, from the points that its file has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from meanfield.dynamics.gaussianpoints import from_cloud, log_density
from meanfield.errors import InputError
from meanfield.geometry.mesh import circle, delaunay_weights, icosphere
from meanfield.geometry.points import unit_vectors
from meanfield.geometry.sphere import Array
from meanfield.results.formats import FieldSeries, TokenSeries
from meanfield.results.inmemory import fields_in_memory
from meanfield.results.outputs import step_at

__all__ = ["gaussian_density", "gaussian_fields", "of_gaussians"]

_LARGEST_LOG = 700.0  # of a density that is a double
_LEVEL, _VERTICES = 6, 2_000  # of the nodes by which a density is drawn
_UNSEEN = 0.1  # of the mass, by those nodes, at most
_PARTS = 0.01  # round-off of points, in widths of a Gaussian, beyond which they do not tell it


def of_gaussians(case: Mapping[str, object]) -> bool:
    """Whether the case of a run, as plain data, is one of Gaussians."""
    solver = case.get("solver")
    return isinstance(solver, Mapping) and solver.get("type") == "gaussians"


def gaussian_density(outputs: TokenSeries, points: object, t: float | None = None) -> Array:
    """rho of a sum of Gaussians with respect to the uniform probability, (m,), in closed form.

    Masses, centres and covariances are those of the points that the file has, to its precision:
    that of log rho is about the round-off of a coordinate over the width of a Gaussian.

    Args:
        outputs: of a run of Gaussians.
        points: (m, d) unit vectors.
        t: an output time; None: the last.

    Raises:
        InputError: points of another shape or length, no output time, a file that has no
            coordinates, or Gaussians that are too narrow for its precision.
    """
    k = step_at(outputs.times, t)
    where = unit_vectors(points, outputs.d)
    x = outputs.coordinates(k)
    masses, centres, factors = from_cloud(x, outputs.read("mass"))
    off = float(np.max(np.abs(np.linalg.norm(x, axis=1) - 1.0)))
    width = float(np.min(np.linalg.svd(factors[masses > 0.0], compute_uv=False)))
    if not off <= _PARTS * width:
        raise InputError(
            f"at: found a Gaussian {width:.3g} wide and points that are rounded by {off:.1g} in "
            f"{outputs.path}; expected a run with output.precision = 'float64'"
        )
    found = log_density(masses, centres, factors, where)
    return np.asarray(np.exp(np.minimum(found, _LARGEST_LOG)))


def gaussian_fields(outputs: TokenSeries, t: float | None = None) -> FieldSeries:
    """The density at an output time at the nodes of a mesh, as pictures take it.

    Raises:
        InputError: d > 3, Gaussians that fall between the nodes, or as ``gaussian_density``.
    """
    if outputs.d > 3:
        raise InputError(
            f"plot: what = 'density' found of Gaussians in d = {outputs.d}, expected d = 2 or 3, "
            "or 'tokens'"
        )
    mesh = circle(_VERTICES) if outputs.d == 2 else icosphere(_LEVEL)
    shown = float(outputs.times[step_at(outputs.times, t)])
    rho = gaussian_density(outputs, mesh.points, shown)
    area = delaunay_weights(mesh)[2]
    seen = float(area @ rho / np.sum(area))
    if abs(seen - 1.0) > _UNSEEN:
        raise InputError(
            f"plot: what = 'density' found at t = {shown:g} of Gaussians that are too narrow for "
            f"the {len(rho):,} nodes of a picture, wider ones or 'tokens' expected"
        )
    return fields_in_memory(shown, {"rho": rho}, mesh)
