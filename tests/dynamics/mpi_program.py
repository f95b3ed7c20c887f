"""Run by test_mpi.py under mpirun: mpi_program.py FOLDER VERB... Rank 0 leaves what it found."""

from __future__ import annotations

import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.case import Eulerian, Implicit
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.space import P1Space
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.laws import (
    Cap,
    Gegenbauer,
    Harmonic,
    Mixture,
    PoissonKernel,
    Uniform,
    VonMisesFisher,
    standard_density,
)
from meanfield.geometry.mesh import Mesh, circle, icosphere, unstructured_sphere, zonal_interval
from meanfield.interaction.attention import Attention
from meanfield.interaction.composite import Composite, HeadMatrices, Moving, MovingHead
from meanfield.interaction.contract import AnyInteraction
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.intime import TableInTime, WaveInTime
from meanfield.interaction.kernels import Log, Power
from meanfield.software import load_mpi

COMM = load_mpi().COMM_WORLD
TIMES = (0.1, 0.5, 1.0, 2.0)

UPWIND = Eulerian(scheme="upwind")
STAGES = Eulerian(stepper="ssprk3", field="stages")
CAPS = Mixture((Cap((0, 0, 1), 0.3), Cap((1, 0.2, 0), 0.2), Uniform(3)), (0.4, 0.3, 0.3))
# One with a potential, one without.
A, B, V = np.random.default_rng(8).standard_normal((3, 3, 3))
HEADS = (HeadMatrices(A, 0.5 * A.T), HeadMatrices(B, V))
# One that jumps, one that stays.
STEPS = TableInTime(np.array([0.0, 0.07, 0.3]), np.array([A, B, 0.5 * A]))
MOVING = (MovingHead(STEPS, V), HeadMatrices(B, V))
# One that changes all the time.
WAVING = (MovingHead(WaveInTime(A, 0.5 * B, 0.4), V),)
# name: mesh, model, beta or heads, V, law, scheme, times relative to TIMES
CASES = {
    "sphere-sa": (lambda: icosphere(4), "sa", 4.0, 1, standard_density(), Eulerian(), 1.0),
    "sphere-usa": (lambda: icosphere(3), "usa", 4.0, 1, standard_density(), Eulerian(), 0.2),
    "sphere-stages": (lambda: icosphere(3), "sa", 4.0, 1, standard_density(), STAGES, 1.0),
    "sphere-upwind": (
        lambda: icosphere(3), "sa", 4.0, -1, Cap((0.3, 0.4, 1.0), 0.9), UPWIND, 1.0,
    ),
    "unstructured": (
        lambda: unstructured_sphere(700, 1), "sa", 4.0, 1, standard_density(), Eulerian(), 1.0,
    ),
    "circle": (
        lambda: circle(201), "sa", 4.0, 1, VonMisesFisher((1.0, 2.0), 2.0), Eulerian(), 1.0,
    ),
    "zonal": (
        lambda: zonal_interval(101, 8), "sa", 4.0, 1, Gegenbauer(8, (0.3, 0.2)), Eulerian(), 1.0,
    ),
    "linear": (
        lambda: icosphere(3), "sa", 0.0, 1, PoissonKernel((0.1, 0.2, 0.1)), Eulerian(), 1.0,
    ),
    # V = -I and negative beta push mass into empty regions, across ranks
    "negative-beta": (
        lambda: icosphere(3), "sa", -3.0, 1, Cap((1.0, 0.0, 0.0), 0.6), Eulerian(), 1.0,
    ),
    # Next to rest
    "growing": (
        lambda: icosphere(3), "sa", 4.0, 1, Harmonic(((2, 1, 1e-5),)), Eulerian(), 1.0,
    ),
    "heads": (lambda: icosphere(3), "sa", HEADS, 1, standard_density(), Eulerian(), 0.5),
    "moving": (lambda: icosphere(3), "sa", MOVING, 1, standard_density(), Eulerian(), 0.5),
    "waving": (lambda: icosphere(3), "sa", WAVING, 1, standard_density(), Eulerian(), 0.5),
    "turning": (lambda: circle(201), "sa", (), 1, VonMisesFisher((1.0, 2.0), 2.0), Eulerian(), 0.5),
    # Empty beyond the cap: fronts, across ranks
    "porous": (lambda: icosphere(3), "usa", 0.0, 1, Cap((1.0, 0.2, 0.0), 0.9), Eulerian(), 0.5),
    # Jumps, across ranks: rooms hang on curvatures of ghosts
    "caps": (lambda: icosphere(4), "sa", 9.0, 1, CAPS, Eulerian(), 0.1),
    "caps-bounded": (lambda: icosphere(4), "sa", 9.0, 1, CAPS, Eulerian(scheme="bounded"), 0.1),
    # Nothing moves on most ranks
    "spread": (lambda: circle(60), "none", 0.0, 1, Cap((1.0, 0.0), 0.45), Eulerian(), 0.5),
    "noisy": (lambda: icosphere(3), "usa", 2.0, 1, standard_density(), Eulerian(), 0.2),
    # Its series does not end: the tail is closed
    "gas": (lambda: icosphere(3), "log", 0.0, -1, Cap((1.0, 0.2, 0.0), 0.9), Eulerian(), 0.5),
}  # fmt: skip
DIFFUSION = {"porous": Diffusion(0.1, 2.0), "spread": Diffusion(0.1, 2.0), "noisy": Diffusion(0.1)}

# Linear solves agree to their tolerance only, and so do steps that follow errors.
TIGHT = Implicit(linear_tolerance=1e-14)
IMPLICIT = {
    "implicit-noise": (
        lambda: icosphere(3), "sa", 4.0, 1, standard_density(), 0.1, TIGHT, 2.0,
    ),
    "implicit-usa": (
        lambda: unstructured_sphere(700, 1), "usa", 4.0, 1, standard_density(), 0.3, TIGHT, 0.2,
    ),
    "implicit-drift": (lambda: icosphere(3), "sa", 4.0, 1, standard_density(), 0.0, TIGHT, 1.0),
    "implicit-caps": (lambda: icosphere(4), "sa", 9.0, 1, CAPS, 0.0, TIGHT, 0.1),
    "implicit-bounded": (
        lambda: icosphere(4), "sa", 9.0, 1, CAPS, 0.0,
        Implicit(linear_tolerance=1e-14, scheme="bounded"), 0.1,
    ),
    "implicit-circle": (
        lambda: circle(201), "sa", 4.0, -1, VonMisesFisher((1.0, 2.0), 2.0), 0.01, TIGHT, 1.0,
    ),
    "implicit-zonal": (
        lambda: zonal_interval(101, 8), "sa", 4.0, 1, Gegenbauer(8, (0.3, 0.2)), 0.05, TIGHT, 2.0,
    ),
    "implicit-heads": (lambda: icosphere(3), "sa", HEADS, 1, standard_density(), 0.0, TIGHT, 0.5),
    "implicit-moving": (
        lambda: icosphere(3), "sa", MOVING, 1, standard_density(), 0.1, TIGHT, 0.5,
    ),
    "implicit-waving": (
        lambda: icosphere(3), "sa", WAVING, 1, standard_density(), 0.1, TIGHT, 0.5,
    ),
    "implicit-current": (
        lambda: icosphere(3), "usa", HEADS, 1, standard_density(), 0.1, TIGHT, 0.1,
    ),
    "implicit-porous": (
        lambda: icosphere(3), "usa", 0.0, 1, Cap((1.0, 0.2, 0.0), 0.9), Diffusion(0.1, 2.0), TIGHT,
        1.0,
    ),
    "implicit-fast": (
        lambda: zonal_interval(101, 8), "usa", 2.0, 1, Gegenbauer(8, (0.3, 0.2)),
        Diffusion(0.2, 0.5), TIGHT, 1.0,
    ),
    "implicit-gas": (
        lambda: icosphere(3), "log", 0.0, -1, Cap((1.0, 0.2, 0.0), 0.9), 0.0, TIGHT, 1.0,
    ),
}  # fmt: skip
SAVED = (
    "sphere-sa",
    "caps",
    "growing",
    "circle",
    "zonal",
    "heads",
    "moving",
    "waving",
    "implicit-noise",
    "implicit-moving",
    "implicit-gas",
)


def interaction(model: Any, beta: Any, value: int, space: P1Space) -> AnyInteraction:
    """Attention; or a gas; or, with heads in the place of beta, these and a drift that turns."""
    geometry, d = space.geometry, space.d
    if model == "log":
        return Interaction(Log(strength=value), d, geometry)
    if model == "none":
        return Interaction(Power(k=1, strength=0.0), d, geometry)
    if not isinstance(beta, tuple):
        return Attention(model, beta, d, geometry, value)
    drift = np.array([[0.9, 1.1, -0.3], [-0.8, -0.4, 0.7], [0.5, -0.9, -0.5]])[:d, :d]
    kind = Moving if beta is MOVING or beta is WAVING else Composite
    return kind(beta, model, d, geometry, drifts=(LinearDrift(drift),))


def make(name: str) -> EulerianSolver | ImplicitSolver:
    """The solver of a case. Collective."""
    if name in IMPLICIT:
        return make_implicit(name)
    build, model, beta, value, law, scheme, _ = CASES[name]
    # Only rank 0's mesh counts: give the others another one.
    space = P1Space(build() if COMM.rank == 0 else icosphere(0), COMM)
    rho = law.density(space.manifold.embed(space.points[: space.n_owned]))
    diffusion = DIFFUSION.get(name, 0.0)
    pulls = interaction(model, beta, value, space)
    return EulerianSolver(space, pulls, rho, scheme, diffusion=diffusion)


def make_implicit(name: str) -> ImplicitSolver:
    """The implicit solver of a case. Collective."""
    build, model, beta, value, law, kappa, scheme, _ = IMPLICIT[name]
    space = P1Space(build() if COMM.rank == 0 else icosphere(0), COMM)
    rho = law.density(space.manifold.embed(space.points[: space.n_owned]))
    return ImplicitSolver(space, interaction(model, beta, value, space), rho, kappa, scheme)


def look(solver: EulerianSolver | ImplicitSolver) -> dict[str, object]:
    """What every number of ranks must agree on. Collective."""
    space = solver.space
    x = space.manifold.embed(space.points[: space.n_owned])
    mass = solver.weights * solver.rho
    sums = space.sum(float(mass.sum()), *(mass @ x).tolist())
    return {
        "t": solver.t,
        "step": solver.step,
        "energy": solver.energy() if solver.interaction.energy_kind else 0.0,
        "mass": sums[0],
        "mean": np.array(sums[1:]),
        "rho": space.gather(solver.rho),
        "velocity": space.gather(solver.velocity()),
        "weights": space.gather(solver.weights),
        "violations": solver.energy_violations,
        "owned": COMM.gather(space.n_owned, root=0),
    }


def run_all(folder: Path) -> None:
    found: dict[str, list[dict[str, object]]] = {}
    for name, case in (CASES | IMPLICIT).items():
        solver = make(name)
        found[name] = []
        for t in TIMES:
            while solver.t < t * case[-1]:
                solver.advance(t * case[-1])
            found[name].append(look(solver))
    if COMM.rank == 0:
        (folder / f"all-{COMM.size}.pickle").write_bytes(pickle.dumps(found))


def save(folder: Path) -> None:
    """Four steps, a state, four more; and these again from the state."""
    for name in SAVED:
        solver = make(name)
        for _ in range(4):
            solver.advance(1e3)
        state = solver.state()
        assert (state is None) == (COMM.rank > 0)
        for _ in range(4):
            solver.advance(1e3)
        after = look(solver)
        again = make(name)
        again.restore(state)
        for _ in range(4):
            again.advance(1e3)
        same = look(again)
        if COMM.rank == 0:
            (folder / f"state-{name}.pickle").write_bytes(pickle.dumps((state, after)))
            (folder / f"again-{name}.pickle").write_bytes(pickle.dumps((after, same)))


def resume(folder: Path) -> None:
    """From that state, on another number of ranks."""
    for name in SAVED:
        state, expected = None, None
        if COMM.rank == 0:
            state, expected = pickle.loads((folder / f"state-{name}.pickle").read_bytes())
        solver = make(name)
        solver.restore(state)
        for _ in range(4):
            solver.advance(1e3)
        after = look(solver)
        if COMM.rank == 0:
            (folder / f"resumed-{COMM.size}-{name}.pickle").write_bytes(
                pickle.dumps((expected, after))
            )


def bad(folder: Path) -> None:
    """Errors on one rank must come up on all of them: one line per rank and mistake."""
    lines = []
    space = P1Space(icosphere(3), COMM)
    attention = Attention("sa", 4.0, 3, "sphere")
    for value in (-1.0, np.nan):
        rho = np.ones(space.n_owned)
        if COMM.rank == COMM.size - 1:
            rho[0] = value
        try:
            EulerianSolver(space, attention, rho)
            lines.append("density: nothing raised")
        except InputError as error:
            lines.append(f"density: {error}")
    mesh = icosphere(2)
    if COMM.rank == 0:  # not Delaunay: flip one edge
        cells = mesh.cells.copy()
        a, b, c = cells[0]
        other = next(k for k in range(1, len(cells)) if {a, b} <= set(cells[k].tolist()))
        d = next(v for v in cells[other] if v not in (a, b))
        cells[0], cells[other] = (a, d, c), (d, b, c)
        mesh = Mesh("sphere", 3, mesh.points, cells)
    try:
        P1Space(mesh, COMM)
        lines.append("mesh: nothing raised")
    except InputError as error:
        lines.append(f"mesh: {error}")
    solver = make("sphere-usa")
    good = solver._sweep.euler
    poisoned = COMM.rank == COMM.size - 1
    solver._sweep.euler = lambda *a: good(*a) * (np.nan if poisoned else 1.0)  # type: ignore[method-assign]
    try:
        for _ in range(3):
            solver.advance(1.0)
        lines.append("step: nothing raised")
    except BrokenInvariantError as error:
        lines.append(f"step: {error}")
    (folder / f"bad-{COMM.size}-{COMM.rank}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    try:
        for verb in sys.argv[2:]:
            {"all": run_all, "save": save, "resume": resume, "bad": bad}[verb](Path(sys.argv[1]))
    except BaseException:  # one rank that fails must not leave the others waiting
        traceback.print_exc()
        sys.stderr.flush()
        COMM.Abort(1)
