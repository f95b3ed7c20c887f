"""Nodes for late times: Gauss nodes of cells that are split where it matters, pulled back.

One rule for all of a geometry resolves the density of a middle time s, but not where the flow tears
apart what is to become different clusters. So the integrals of later times are looked at as they
are on the chart of time s,

    int f dmu_t = int rho_s(y) f(phi_{s->t}(y)) dsigma(y),

f = 1 and polynomials of degree 2, t = s and later times: where the Legendre coefficients of an
integrand say that its cell is too large, the cell is split, the worst ones first, until there are
as many nodes as wanted. Both ways lead through the history of a pilot, backward with the change of
log rho, which gives rho_s and the masses, forward only to see.

Knows a pilot, a law's density and cells; nothing of files and cases.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meanfield.collective import Communicator, joined, own_share
from meanfield.dynamics.lagrangian.pilot import Pilot
from meanfield.dynamics.lagrangian.probes import first_boxes
from meanfield.geometry.cells import Cells
from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array

__all__ = ["Nodes", "adapted", "fewest_nodes"]

_AHEAD = 1.0  # longest steps forward, in times of contraction
_GREEDY = {2: 0.1, 1: 3e-3}  # cells are split whose error is at least this part of the largest
_ROUNDS = {2: 60, 1: 14}  # of splitting at most: an edge of a law is never resolved
_SMALLEST = 1e-12  # errors of integrals, of measures of mass one, that are none


class Nodes(NamedTuple):
    """Nodes in cells at the time of a chart, and where they come from.

    Attributes:
        y: (n, k) unit vectors at the time s.
        x: (n, k) where they are at the beginning.
        weights: (n,) parts of the uniform probability that they stand for at the beginning.
    """

    y: Array
    x: Array
    weights: Array


class _Batch(NamedTuple):
    """Cells with their nodes: boxes (n, k), errors (n,), all others by cell and node."""

    boxes: Array
    errors: Array
    y: Array
    x: Array
    weights: Array

    def kept(self, which: Array) -> _Batch:
        return _Batch(*(part[which] for part in self))

    def with_others(self, others: _Batch) -> _Batch:
        return _Batch(*(np.concatenate(both) for both in zip(self, others, strict=True)))


def fewest_nodes(cells: Cells) -> int:
    """As many as the coarsest cells have (216 on S^2)."""
    return len(cells.covering(1)) * cells.per_cell


def adapted(
    cells: Cells,
    pilot: Pilot,
    s: float,
    looks: list[float],
    density: Callable[[Array], Array],
    number: int,
    *,
    comm: Communicator,
) -> Nodes | None:
    """Nodes on the chart of time ``s``; None at dark points. Collective.

    At most ``number``, which is at least ``fewest_nodes``.

    Args:
        cells: of the geometry.
        pilot: a run to the last of the times.
        looks: times after s at which integrals matter, ascending.
        density: values (m,) >= 0 with respect to sigma at unit vectors (m, d).
    """
    evaluate = _Evaluation(cells, pilot, s, looks, density, comm)
    greedy = _GREEDY[cells.dimension]
    # Where no time passes, the law itself may be narrower than first cells.
    still = s <= pilot.t
    found = evaluate(first_boxes(cells, pilot.manifold, density, number, probed=still))
    parts = 2**cells.dimension - 1
    for _ in range(_ROUNDS[cells.dimension]):
        if found is None:
            break
        room = (number // cells.per_cell - len(found.boxes)) // parts
        order = np.argsort(-found.errors, kind="stable")
        worst = found.errors[order]
        chosen = order[worst > max(greedy * worst[0], _SMALLEST)][: max(room, 0)]
        if not chosen.size:
            break
        new = evaluate(cells.split(found.boxes[chosen]))
        stay = np.ones(len(found.boxes), dtype=bool)
        stay[chosen] = False
        found = None if new is None else found.kept(stay).with_others(new)
    if found is None:
        return None
    k = found.y.shape[-1]
    return Nodes(found.y.reshape(-1, k), found.x.reshape(-1, k), found.weights.reshape(-1))


class _Evaluation:
    """What is known of cells, shared by the ranks; see ``adapted``."""

    def __init__(
        self,
        cells: Cells,
        pilot: Pilot,
        s: float,
        looks: list[float],
        density: Callable[[Array], Array],
        comm: Communicator,
    ) -> None:
        self._cells, self._density, self._comm = cells, density, comm
        self._on: Manifold = pilot.manifold
        self._pilot = pilot
        self._back = pilot.back(s)
        times = [s, *looks]
        self._ahead = [pilot.times(a, b, _AHEAD) for a, b in itertools.pairwise(times)]

    def __call__(self, boxes: Array) -> _Batch | None:
        """Nodes of cells, where they come from, and the errors of the cells. Collective."""
        points, area = self._cells.nodes(boxes)
        n, each = area.shape
        y = self._on.lift(points.reshape(n * each, -1))
        own = own_share(self._comm, len(y))
        x, change = self._pilot.following(y[own]).through(self._back)
        seen, ahead, unknown = [_observed(y[own])], self._pilot.following(y[own]), np.isnan(change)
        for times in self._ahead:
            place = ahead.glimpsed(times)
            unknown |= np.isnan(place.change)
            seen.append(_observed(place.x))
        if any(self._comm.allgather(bool(np.any(unknown)))):
            return None
        rho = self._density(self._on.embed(self._on.settle(x))) * np.exp(-change)
        values = np.column_stack([np.ones(len(x)), *seen]) * rho[:, None]
        x, change, values = (joined(self._comm, part) for part in (x, change, values))
        shape = (area / self._cells.reference_weights)[..., None]
        errors = self._cells.errors(values.reshape(n, each, -1) * shape)
        weights = area * np.exp(-change).reshape(n, each)
        k = y.shape[1]
        return _Batch(boxes, errors, y.reshape(n, each, k), x.reshape(n, each, k), weights)


def _observed(x: Array) -> Array:
    """Coordinates (n, k) of unit vectors and their products, but one: polynomials of degree 2."""
    first, second = np.triu_indices(x.shape[1])
    return np.column_stack([x, (x[:, first] * x[:, second])[:, :-1]])
