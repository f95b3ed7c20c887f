"""What clouds of particles are compared with: a density, or many particles from the same law.

Owns which points stand for it in a distance, and what as many independent samples of it are. Many
particles are divided: the first stand for the law, each sample is a block of the others, so that
samples are no nearer for being the same, and are independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from meanfield.analysis.quadrature import density_measure, spread_bound
from meanfield.analysis.wasserstein import quantise
from meanfield.case import Case
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.parts import pair_energy
from meanfield.geometry.laws.tabulated import density_law
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import Reference, StoredCloud, StoredDensity, StoredSlices
from meanfield.runs.tracks import token_solver
from meanfield.studies.numbers import MANY, points_of, usual_points

__all__ = ["cloud_of", "points_for", "samples_of"]


def points_for(reference: Reference, k: int, n: int) -> tuple[Measure, float]:
    """Points that stand for it when n particles are compared, and their error (nan: unknown)."""
    if isinstance(reference, StoredCloud):
        return Measure.equal(reference.x[k, : _points(reference, n)]), math.nan
    return _of_density(reference, k, n)


def samples_of(
    reference: Reference, k: int, n: int, replica: int, rng: np.random.Generator
) -> Array:
    """As many independent samples (n, d) of it: others for each replica."""
    if isinstance(reference, StoredDensity):
        if reference.slices is not None:
            return reference.slices.draws(k, n, rng)
        return density_law(reference.mesh, reference.rho[k]).sample(n, rng)
    first = _points(reference, n) + replica * n
    return np.ascontiguousarray(reference.x[k, first : first + n])


def cloud_of(case: Case, n: int, times: tuple[float, ...], seed: int) -> StoredCloud:
    """Run n particles and keep them at the times of the comparison."""
    solver = token_solver(case, n, "iid", seed)
    assert isinstance(solver, ParticleSolver)
    x, energy = [], []
    for t in times:
        while solver.t < t:
            solver.advance(t)
        x.append(solver.x.copy())
        if solver.interaction.energy_kind is not None:
            energy.append(pair_energy(solver))
    return StoredCloud(np.array(times), np.array(x), np.array(energy) if energy else None)


def _points(reference: StoredCloud, n: int) -> int:
    total, d = reference.x.shape[1:]
    return points_of(total, n, d)


def _of_density(density: StoredDensity, k: int, n: int) -> tuple[Measure, float]:
    size = usual_points(n)
    if density.slices is not None:
        whole, error = density.masses(k), _of_cells(density.mesh, density.slices, k)
        if density.mesh.manifold.dimension == 1 or len(whole.weights) <= size:
            return whole, error
        fewer, moved = quantise(whole, max(size, n))
        return fewer, error + moved
    latitudes = density.mesh.manifold.latitudes
    if n > MANY and not latitudes:
        return density_measure(density.mesh, density.rho[k], points=n)
    measure, error = density_measure(density.mesh, density.rho[k])
    if latitudes or len(measure.weights) <= size:
        return measure, error
    fewer, moved = quantise(measure, size)
    return fewer, error + moved


def _of_cells(mesh: Mesh, slices: StoredSlices, k: int) -> float:
    """Bound of W_2 between vertices of all slices and a density with their masses."""
    parts = zip(slices.x[k], slices.mass, strict=True)
    bounds = [(spread_bound(replace(mesh, points=x), mass), mass.sum()) for x, mass in parts]
    return math.sqrt(sum(mass * bound**2 for bound, mass in bounds) / slices.mass.sum())
