"""What the vertices of a mesh carry: nodal weights, the initial density and its masses.

Knows a mesh and values of a density; nothing of fields, time and what moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from meanfield.collective import Communicator, joined, own_share, sum_over_ranks
from meanfield.dynamics.balance import balance_weights
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh, delaunay_weights, edge_range
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction

__all__ = [
    "NEARLY",
    "Estimate",
    "Kind",
    "Origin",
    "Start",
    "checked_density",
    "longest_edge",
    "nearly_uniform",
    "start_of",
]

NEARLY = 1e-2  # moments of degree >= 1 over all
_USUAL = 1.3  # longest edge of n vertices, over (total / n)^(1 / dimension)
_LOOSE = 1e-9  # accuracy of transforms that is asked about

Kind = Literal["mesh", "chart", "cells"]


class Estimate(NamedTuple):
    """Estimated errors by name; ``why``: the reason if they are nan."""

    errors: Mapping[str, float]
    why: str = ""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where the points of a run come from.

    Attributes:
        kind: the vertices of a mesh, a chart of one rule, or one of cells; time: of the chart.
        end: of the run that the chart was laid for; nan: no chart.
        error: estimates errors of the current state, None if that is not wanted. Collective.
    """

    kind: Kind = "mesh"
    time: float = 0.0
    end: float = math.nan
    error: Callable[[], Estimate] | None = None


@dataclass(frozen=True, eq=False)
class Start:
    """What the vertices of a mesh carry, the same on every rank.

    Attributes:
        weights: (n,) nodal weights (sum one), exact for harmonics of degree up to
            ``balanced_degree`` with the error ``balance_error``.
        rho: (n,) initial density with respect to sigma, of mass one.
        mass_error: mass of the density as given, minus one.
    """

    weights: Array
    balanced_degree: int
    balance_error: float
    rho: Array
    mass_error: float

    @property
    def mass(self) -> Array:
        """(n,) masses, sum one."""
        return self.weights * self.rho

    def with_density(self, mesh: Mesh, density: Callable[[Array], Array]) -> Start:
        """The same weights with another density, see ``start_of``.

        Raises:
            InputError: a density that is negative, not finite or zero everywhere.
        """
        rho, mass_error = checked_density(density(mesh.embedded()), self.weights)
        return replace(self, rho=rho, mass_error=mass_error)


def start_of(
    mesh: Mesh, density: Callable[[Array], Array], count: int, degree: int, comm: Communicator
) -> Start:
    """Weights of the vertices, and a density at them. Collective.

    Args:
        mesh: where the vertices start, on every rank.
        density: values (m,) >= 0 of the initial density with respect to sigma at unit vectors.
        count: number of vertices that decides how far weights are balanced.
        degree: of the harmonics that matter.
        comm: ranks that share the work.

    Raises:
        InputError: a density that is negative, not finite or zero everywhere. On every rank.
    """
    own = own_share(comm, mesh.n_vertices)
    area = delaunay_weights(mesh)[2]
    own_weights, balanced_degree, balance_error = balance_weights(
        mesh.manifold,
        mesh.points[own],
        area[own] / area.sum(),
        count,
        degree,
        lambda values: sum_over_ranks(comm, values),
        full=True,
    )
    weights = joined(comm, own_weights)
    rho, mass_error = checked_density(density(mesh.embedded()), weights)
    return Start(weights, balanced_degree, balance_error, rho, mass_error)


def checked_density(values: Array, weights: Array) -> tuple[Array, float]:
    """A density (n,) of mass one from values at nodes, and its mass as given, minus one.

    Raises:
        InputError: it is negative, not finite or zero everywhere.
    """
    rho = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(rho) & (rho >= 0.0)))
    if bad.size:
        raise InputError(
            f"an initial density that is negative or not finite at {bad.size} vertices found "
            f"(the first is {rho[bad[0]]:g}), finite values >= 0 expected"
        )
    total = float(np.dot(weights, rho))
    if total <= 0.0:
        raise InputError("an initial density that vanishes at every vertex found")
    return rho / total, total - 1.0


def longest_edge(mesh: Mesh, charted: bool) -> float:
    """Of a mesh, an angle; of a chart, whose edges are of another time, as usual."""
    on = mesh.manifold
    if charted:
        return float(_USUAL * (on.total / mesh.n_vertices) ** (1.0 / on.dimension))
    longest = edge_range(mesh)[1]
    return longest if on.latitudes else 2.0 * math.asin(min(0.5 * longest, 1.0))


def nearly_uniform(interaction: AnyInteraction, mesh: Mesh, start: Start | None) -> bool:
    """Whether so little of a start is not uniform that noise of loose transforms would grow in it.

    Args:
        interaction: the model, as it is without a mesh.
        mesh: where points start; start: what they carry, None if that is not known yet.
    """
    model = interaction.on_mesh(mesh.n_vertices, _LOOSE)
    if start is None or model.harmonics is None:
        return False
    moments = model.harmonics.moments(mesh.points, start.mass)
    rest = moments - model.harmonics.uniform()
    return model.kernel_norm(rest) < NEARLY * model.kernel_norm(moments)
