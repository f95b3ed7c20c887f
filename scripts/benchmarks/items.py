"""What is timed for the history of benchmarks (``history.py``): a function for each item.

Each makes what it needs, runs once so that kernels are compiled, and gives what one call of the
timed part is: ``history.py`` repeats that. ``small``: sizes for a test of the script itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from meanfield.analysis.wasserstein import wasserstein
from meanfield.case import Case, Implicit, Lagrangian
from meanfield.collective import Alone
from meanfield.dynamics.ensembles import StartingTokens, Watch, run_ensemble
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import characteristics
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.laws import standard_density
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.batched import BatchedModel
from meanfield.interaction.measure import Measure
from meanfield.steady.verbs import branch

__all__ = ["ITEMS", "TIMED_ONCE", "Timed"]

Timed = Callable[[], object]
"""What is timed; it can be called again and again."""

_CASES = Path(__file__).parents[1] / "cases"


def field(small: bool) -> Timed:
    """One field of 40 962 nodes on S^2 with its velocity there (sa, beta = 4), by transforms."""
    x = icosphere(3 if small else 6).points
    attention = Attention("sa", 4.0, 3, "sphere")
    assert attention.harmonics is not None
    at = attention.harmonics.locate(x)
    masses = np.random.default_rng(0).dirichlet(np.ones(len(x)))
    return lambda: attention.field(Measure(at, masses)).velocity(at)


def step(small: bool) -> Timed:
    """Ten explicit steps at level 6 (40 962 vertices; sa, beta = 4, the standard density)."""
    space = P1Space(icosphere(3 if small else 6))
    rho = standard_density().density(space.points[: space.n_owned])
    solver = EulerianSolver(space, Attention("sa", 4.0, 3, "sphere"), rho)

    def ten() -> None:
        for _ in range(10):
            solver.advance(1e3)

    return ten


def implicit_step(small: bool) -> Timed:
    """One second-order implicit step at level 6 (kappa = 0.01, dt = 0.01)."""
    space = P1Space(icosphere(3 if small else 6))
    rho = standard_density().density(space.points[: space.n_owned])
    attention = Attention("sa", 4.0, 3, "sphere")
    solver = ImplicitSolver(space, attention, rho, 0.01, Implicit(dt=0.01))
    return lambda: solver.advance(1e3)


def characteristics_run(small: bool) -> Timed:
    """Characteristics to T = 4 with 10 242 points, their start included (sa, beta = 4)."""
    mesh = icosphere(3 if small else 5)
    attention, law = Attention("sa", 4.0, 3, "sphere"), standard_density()

    def run() -> None:
        solver = characteristics(
            attention, mesh, law.density, 4.0, options=Lagrangian(), comm=Alone()
        )
        while solver.t < 4.0:
            solver.advance(4.0)

    return run


def tokens(small: bool) -> Timed:
    """4 096 tokens in d = 3 to T = 4 (sa, beta = 4, direct sums)."""
    n = 64 if small else 4096
    x = uniform_points(n, 3, np.random.default_rng(0))
    attention = Attention("sa", 4.0, 3, "any")

    def run() -> None:
        solver = ParticleSolver(attention, x)
        while solver.t < 4.0:
            solver.advance(4.0)

    return run


def ensemble(small: bool) -> Timed:
    """128 realisations of 32 tokens in d = 128 to T = 30 (beta = 5)."""
    realisations, d = (2, 8) if small else (128, 128)
    x = np.random.default_rng(0).standard_normal((realisations, 32, d))
    start = StartingTokens(x / np.linalg.norm(x, axis=2, keepdims=True))
    watch = Watch(np.linspace(0.0, 30.0, 301), np.array([300]))
    model = BatchedModel(32, d, True, 5.0)
    return lambda: run_ensemble(model, start, watch)


def _distance(n: int) -> Timed:
    rng = np.random.default_rng(0)
    pair = [Measure.equal(uniform_points(n, 3, rng)) for _ in range(2)]
    return lambda: wasserstein(*pair, p=2)


def distance_4(small: bool) -> Timed:
    """Certified W_2 of two uniform clouds of 1e4 points on S^2."""
    return _distance(200 if small else 10_000)


def distance_5(small: bool) -> Timed:
    """Certified W_2 of two uniform clouds of 1e5 points on S^2."""
    return _distance(300 if small else 100_000)


def branch_run(small: bool) -> Timed:
    """The branch of sa on S^2, beta = 4, kappa from 0.12 to 0.03, files and figures included."""
    case = Case.from_toml(_CASES / "noise.toml")

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            end = 0.115 if small else 0.03
            branch(case, "kappa", 0.12, end, Path(folder) / "branch", progress=False)

    return run


def _first_run(fresh: bool, small: bool) -> None:
    """``meanfield run clustering.toml`` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        kernels = {"NUMBA_CACHE_DIR": f"{folder}/kernels"} if fresh else {}
        less = ["--set", "geometry.level=2", "--set", "time.end=0.5"] if small else []
        command = [
            sys.executable, "-m", "meanfield", "run", str(_CASES / "clustering.toml"),
            "-o", f"{folder}/run", *less,
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **kernels})


def first_run(small: bool) -> Timed:
    """The README's first command, with no kernel compiled before."""
    return lambda: _first_run(True, small)


def later_run(small: bool) -> Timed:
    """The README's first command, once kernels are compiled."""
    _first_run(False, small)
    return lambda: _first_run(False, small)


ITEMS: dict[str, Callable[[bool], Timed]] = {
    "field": field,
    "explicit step": step,
    "implicit step": implicit_step,
    "characteristics": characteristics_run,
    "tokens": tokens,
    "ensemble": ensemble,
    "branch": branch_run,
    "W2, 1e4 points": distance_4,
    "W2, 1e5 points": distance_5,
    "first run": first_run,
    "later run": later_run,
}
"""By the name that lines of the history have for it; its docstring says what it is."""

TIMED_ONCE = ("W2, 1e5 points", "first run")
"""Too long to be repeated."""
