"""Compile the kernels that runs use, by small runs of every kind: numba keeps them for later ones.

A kernel is compiled for the kinds of arrays that it is called with, which is known where it is
called: so each is called as a run calls it, by the cases of ``case.small`` and what else is here.
Whoever adds a kernel is told by ``tests/studies/test_warmup.py`` that nothing calls it yet.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import config as numba_config
from numba.core.dispatcher import Dispatcher

from meanfield.analysis.evaluate import log_density_at
from meanfield.analysis.wasserstein import wasserstein
from meanfield.case import FixedMesh
from meanfield.case.small import small_cases
from meanfield.collective import Alone
from meanfield.dynamics.ensembles import Watch, run_ensemble
from meanfield.dynamics.sweep import emit_to_halo
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.manifolds import of_vectors
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import uniform_points
from meanfield.interaction.batched import BatchedModel
from meanfield.interaction.composite import HeadMatrices
from meanfield.interaction.composite.sums import head_sums
from meanfield.interaction.measure import Measure
from meanfield.interaction.outputsums import summed_output
from meanfield.runs.simulation import run
from meanfield.software import load_dolfinx

__all__ = ["Warmed", "kept_kernels", "warm_up"]


def _distances() -> None:
    rng = np.random.default_rng(1)
    for d in (3, 16):  # with a tree of boxes, and without
        a, b = (Measure.equal(uniform_points(n, d, rng)) for n in (40, 50))
        for method in ("exact", "columns", "bracket"):
            wasserstein(a, b, 2, method)


def _ensembles() -> None:
    many = np.stack([uniform_points(8, 4, np.random.default_rng(seed)) for seed in (1, 2)])
    watch = Watch(np.array([0.0, 0.1]), np.array([0, 1]))
    for form in ("gram", "coordinates"):
        run_ensemble(BatchedModel(8, 4, True, 3.0), many, watch, form=form)


def _sums() -> None:
    """What a run needs where vertices hardly see any mass, or tell outputs of transformers."""
    x, unit = uniform_points(24, 3, np.random.default_rng(1)), np.eye(3)
    m = np.full(24, 1.0 / 24.0)
    head_sums(HeadMatrices(unit, unit), x, x, m, 2, of_vectors(3))
    summed_output((unit, unit), x, x, m, True)


def _looking() -> None:
    """A moved density at points, as pictures and comparisons look at it."""
    mesh = icosphere(1)
    n = mesh.n_vertices
    log_density_at(mesh, np.zeros(n), np.full(n, 1.0 / n), mesh.points)


def _halo() -> None:
    """What several ranks do at their common vertices."""
    none = np.zeros(0, dtype=np.int32)
    emit_to_halo(np.zeros(1), none, none, np.zeros(1))


_CALLS: tuple[Callable[[], None], ...] = (_distances, _ensembles, _sums, _looking, _halo)


@dataclass(frozen=True)
class Warmed:
    """What a warm-up has done.

    Attributes:
        compiled: kernels that were compiled, "module.name" each.
        found: those that an earlier process had compiled.
        folder: the one that holds all of theirs; None: none is kept.
        left_out: what could not be run, with the reason.
        seconds: how long it took.
    """

    compiled: tuple[str, ...]
    found: tuple[str, ...]
    folder: Path | None
    left_out: tuple[str, ...]
    seconds: float


def kept_kernels() -> dict[str, Dispatcher]:
    """The functions of the modules loaded so far that numba compiles and keeps, by their names."""
    kept = {}
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] == "meanfield":
            for found in vars(module).values():
                if isinstance(found, Dispatcher) and found.stats.cache_path is not None:
                    kept[f"{found.py_func.__module__}.{found.py_func.__name__}"] = found
    return kept


def warm_up() -> Warmed:
    """Compile every kernel that runs use, where numba does not have it yet.

    Raises:
        InputError: numba is told to compile nothing.
    """
    if numba_config.DISABLE_JIT:
        raise InputError(
            f"NUMBA_DISABLE_JIT: found {numba_config.DISABLE_JIT}, by which nothing is compiled; "
            "expected 0, or none"
        )
    begun = time.perf_counter()
    left_out = []
    try:
        load_dolfinx()
        meshes = True
    except InputError as error:
        left_out.append(f"densities on a fixed mesh: {error}")
        meshes = False
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", MeanfieldWarning)
        for case in small_cases():
            if meshes or not isinstance(case.solver, FixedMesh):
                run(case, progress=False, comm=None if meshes else Alone())
        for call in _CALLS:
            call()
    kernels = kept_kernels()
    made = {name for name, one in kernels.items() if sum(one.stats.cache_misses.values())}
    held = {name for name, one in kernels.items() if sum(one.stats.cache_hits.values())} - made
    places = [kernels[name].stats.cache_path for name in made | held]
    folder = Path(os.path.commonpath(places)) if places else None
    seconds = time.perf_counter() - begun
    return Warmed(tuple(sorted(made)), tuple(sorted(held)), folder, tuple(left_out), seconds)
