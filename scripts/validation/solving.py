"""What rows need again and again: spaces, solvers run to a time, errors, orders, small cases."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import meanfield as mf
from meanfield.case import Implicit
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.space import P1Space
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention

CASES = Path(__file__).parents[1] / "cases"

# Of the standard density under sa, beta = 4: E e^{-beta} and the mean at some times, by
# two other methods, which agree to 1e-9.
STANDARD = {
    1.0: (0.02507975508, (0.2210227983, 0.2529167834, 0.1092786780)),
    4.0: (0.0449910820739, (0.308087211573, 0.353996361170, 0.168443155797)),
    8.0: (0.04882618317, (0.3785626456, 0.3969492750, 0.2000144038)),
}
# c_1, c_2 and E of rho_0 = 1 + .3 P_1 + .25 P_2 on S^2, beta = 4, by another code.
ZONAL = {
    "sa": {
        1.0: (0.1443977792, 0.1002315273, 0.91167176),
        2.0: (0.2057177548, 0.1994137443, 1.01029605),
        3.0: (0.2820061307, 0.3815375338, 1.30071079),
    },
    "usa": {
        0.2: (0.1726192134, 0.1545316028, 0.95873833),
        0.4: (0.2928286207, 0.4448088643, 1.62620087),
    },
}


@functools.lru_cache(maxsize=32)
def space(kind: str, size: int, d: int = 3) -> P1Space:
    """Finite elements on an icosphere ("sphere", a level), a circle or latitudes (vertices)."""
    from mpi4py import MPI

    return P1Space(mesh(kind, size, d), MPI.COMM_SELF)


def mesh(kind: str, size: int, d: int = 3) -> Mesh:
    """The mesh alone."""
    if kind == "sphere":
        return icosphere(size)
    return circle(size) if kind == "circle" else zonal_interval(size, d)


def places(on: P1Space) -> Array:
    """(n, d) unit vectors of the vertices."""
    return np.asarray(on.manifold.embed(on.points[: on.n_owned]))


def density(on: P1Space, law: Any) -> Array:
    """Values of a law, or of an array, at the vertices."""
    return law if isinstance(law, np.ndarray) else np.asarray(law.density(places(on)))


def attention(model: str, beta: float, on: Any, value: int = 1) -> Attention:
    """Q = K = I, V = value I on a space or a mesh."""
    return Attention(model, beta, on.d, on.geometry, value)  # type: ignore[arg-type]


def explicit(on: P1Space, pulls: Any, law: Any, **choices: Any) -> EulerianSolver:
    """The explicit solver."""
    return EulerianSolver(on, pulls, density(on, law), mf.Eulerian(**choices))


def implicit(
    on: P1Space, pulls: Any, law: Any, diffusion: Any = 0.0, **choices: Any
) -> ImplicitSolver:
    """The implicit solver; ``diffusion``: kappa, or a Diffusion."""
    return ImplicitSolver(on, pulls, density(on, law), diffusion, Implicit(**choices))


def until(solver: Any, t: float) -> Any:
    """Run to a time."""
    while solver.t < t:
        solver.advance(t)
    return solver


def settled(solver: Any, speed: float, most: float = 1e6) -> Any:
    """Run until nothing moves faster."""
    while solver.speed() > speed:
        if solver.t >= most:
            raise RuntimeError(f"not at rest at t = {solver.t:g}")
        solver.advance(most)
    return solver


def masses(solver: Any) -> Array:
    """Of the vertices."""
    return np.asarray(solver.weights * solver.rho)


def mean(solver: Any) -> Array:
    """int x dmu of a density at vertices."""
    return np.asarray(masses(solver) @ places(solver.space))


def moving_mean(solver: Any) -> Array:
    """int x dmu of characteristics."""
    return np.asarray(solver.mass @ solver.positions())


def cosines(solver: Any) -> Array:
    """Of the angle from the axis of a zonal law, or from the mean."""
    x = places(solver.space)
    if solver.space.geometry == "zonal":
        return np.asarray(np.cos(solver.space.points[: solver.space.n_owned, 0]))
    m = masses(solver) @ x
    return np.asarray(x @ (m / np.linalg.norm(m)))


def two_moments(solver: Any) -> tuple[float, float]:
    """|m| and c_2."""
    c, m = cosines(solver), masses(solver)
    second = 2.0 * c * c - 1.0 if solver.space.d == 2 else 1.5 * c * c - 0.5
    return float(m @ c), float(m @ second)


def order(errors: Sequence[float]) -> float:
    """Fitted to errors, each on cells half as large as the one before."""
    return -float(np.polyfit(np.arange(float(len(errors))), np.log2(errors), 1)[0])


def with_order(error: Callable[[Any], float], sizes: Sequence[Any]) -> tuple[float, ...]:
    """Errors of sizes, and their order."""
    found = [float(error(size)) for size in sizes]
    return (*found, order(found))


def rough(on: P1Space, seed: int) -> Array:
    """A density that no scheme likes: lognormal, half of it empty, one vertex, a narrow peak."""
    rng = np.random.default_rng(seed)
    n, kind = on.n_owned, seed % 4
    if kind == 0:
        return np.exp(3.0 * rng.standard_normal(n))
    if kind == 1:
        return np.where(rng.random(n) < 0.5, 0.0, rng.random(n))
    if kind == 2:
        return np.eye(n)[int(rng.integers(n))]
    x = rng.standard_normal(on.d)
    return np.asarray(np.exp(50.0 * (places(on) @ (x / np.linalg.norm(x)) - 1.0)))


def run(table: dict[str, Any], **changes: Any) -> mf.Result:
    """Run a case in silence, without files."""
    return mf.run(mf.Case.from_dict({**table, **changes}), progress=False)


def shipped(name: str, **changes: Any) -> mf.Case:
    """A case of scripts/cases; changes by keys with "__" for the point."""
    made = {key.replace("__", "."): value for key, value in changes.items()}
    return mf.Case.from_toml(CASES / f"{name}.toml", made)


def relative(found: float, known: float) -> float:
    """|found/known - 1|."""
    return abs(found / known - 1.0)


def mass_error(solver: Any) -> float:
    """|mass - 1|, summed exactly."""
    return abs(math.fsum(masses(solver)) - 1.0)
