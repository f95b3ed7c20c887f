"""Nonlinear diffusion: stationary means, eigenvalues, folds, Barenblatt's profile."""

from __future__ import annotations

import functools

import numpy as np

from meanfield.analysis.porous import barenblatt_circle, porous_mean
from meanfield.errors import BrokenInvariantError
from meanfield.geometry.laws import VonMisesFisher
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Power, Series
from meanfield.steady.branch import find_branches
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary
from meanfield.steady.spectrum import spectrum

from .solving import density, implicit, masses, places, rough, settled, space, until, with_order
from .table import Table, Values

table = Table("diffusion")

AXIS = VonMisesFisher((0.0, 0.0, 1.0), 1.0)


def _state(m: float, kappa: float = 0.2) -> object:
    return find_stationary(Equation(Power(k=1), kappa, 3, m=m), AXIS)


def _on_sphere(m: float) -> Values:
    """|m| at rest on levels 3 and 4, about an axis that no mesh prefers."""
    found = []
    for level in (3, 4):
        on = space("sphere", level)
        law = VonMisesFisher((0.48, 0.36, 0.8), 2.0)
        solver = implicit(on, Interaction(Power(k=1), 3, "sphere"), law, Diffusion(0.2, m))
        settled(solver, 2e-5 * 4.0 ** (4 - level))
        found.append(float(np.linalg.norm(masses(solver) @ places(on))))
    return tuple(found)


CLOSED = "closed form, root of a polynomial"


@table.row(
    "$W = t$, $d = 3$, $\\kappa = 0.2$, exponent 2, at rest on $S^2$, levels 3, 4: "
    "$\\lvert m\\rvert$", "{:.5f}, {:.5f}", known=(porous_mean(0.2, 2.0),) * 2,
    within=(2e-4, 3e-5), source=CLOSED,
)  # fmt: skip
def porous() -> Values:
    return _on_sphere(2.0)


@table.row(
    "the same, exponent 1/2",
    "{:.5f}, {:.5f}",
    known=(porous_mean(0.2, 0.5),) * 2,
    within=(2e-4, 5e-5),
    source=CLOSED,
)
def fast() -> Values:
    return _on_sphere(0.5)


@table.row(
    "the same by `stationary`, exponents 2 and 1/2", "{:.12f}, {:.12f}",
    known=(porous_mean(0.2, 2.0), porous_mean(0.2, 0.5)), source=CLOSED, quick=True,
)  # fmt: skip
def stationary() -> Values:
    return _state(2.0).mean_norm, _state(0.5).mean_norm  # type: ignore[attr-defined]


@table.row(
    "leading axial eigenvalue there, exponents 1/2, 1", "{:.7f}, {:.7f}",
    known=(-0.5024458, -0.6206654), source="finite elements, extrapolated", quick=True,
)  # fmt: skip
def eigenvalues() -> Values:
    found = (spectrum(_state(m)) for m in (0.5, 1.0))  # type: ignore[arg-type]
    return tuple(float(one.modes[0].eigenvalues[0].real) for one in found)


@table.row(
    "the same, exponents 2, 3 (with the free boundary)", "{:.6f}, {:.6f}",
    source="finite elements: −1.16 ± 0.02, −1.44 ± 0.05",
)  # fmt: skip
def free_boundary() -> Values:
    found = (spectrum(_state(m)) for m in (2.0, 3.0))  # type: ignore[arg-type]
    return tuple(float(one.modes[0].eigenvalues[0].real) for one in found)


@table.row(
    "`branch`, exponent 3: fold, $\\lvert m\\rvert$ there", "{:.12f}, {:.4f}",
    known=(375.0 / 1024.0, 0.25), source="closed form", quick=True,
)  # fmt: skip
def fold() -> Values:
    found = find_branches(Equation(Power(k=1), 0.2, 3, m=3.0), "kappa", 0.34, 0.38, AXIS)
    (event,) = found.events("fold")
    return event.parameter, event.mean_norm


def _spreading(kind: str, m: float) -> Values:
    """L1 errors of Barenblatt's profile on S^1 from s = .002 to .02, kappa = 1."""

    def error(size: int) -> float:
        on = space("circle", size, 2)
        x = on.points[: on.n_owned]
        angle = np.arctan2(x[:, 1], x[:, 0])
        nothing = Interaction(Series(coefficients=(0.0, 0.0)), 2, "circle")
        start = barenblatt_circle(angle, 0.002, m)
        end = 0.018 * m
        if kind == "implicit":
            solver = implicit(on, nothing, start, Diffusion(1.0, m), dt=end / (2 * size), order=1)
        else:
            from meanfield.dynamics.eulerian import EulerianSolver

            solver = EulerianSolver(on, nothing, start, diffusion=Diffusion(1.0, m))
        until(solver, end)
        return float(solver.weights @ np.abs(solver.rho - barenblatt_circle(angle, 0.02, m)))

    return with_order(error, (64, 128, 256))


@table.row(
    "Barenblatt on $S^1$, exponent 2, 64, 128, 256 vertices, implicit (first order in time, "
    "$2N$ steps): $L^1$ error, order", "{:.1e}, {:.1e}, {:.1e}; {:.1f}", source="closed form",
)  # fmt: skip
def barenblatt_implicit() -> Values:
    return _spreading("implicit", 2.0)


@table.row("the same, explicit", "{:.1e}, {:.1e}, {:.1e}; {:.1f}", source="closed form", quick=True)
def barenblatt_explicit() -> Values:
    return _spreading("explicit", 2.0)


@functools.cache
def _falls() -> tuple[int, int]:
    """Steps in which F rises, and runs with a step that is not solved for."""
    wrong = refused = 0
    for which in (("sphere", 3, 3), ("circle", 120, 2), ("zonal", 60, 8)):
        on = space(*which)
        for seed in range(4):
            rng = np.random.default_rng(seed)
            lam = (0.0, *rng.random(6).tolist())
            kappa = 0.01 + 0.3 * float(rng.random())
            pulls = Interaction(Series(coefficients=lam), on.d, on.geometry)
            for m in (0.5, 1.5, 2.0, 3.0):
                for dt in (1e-3, 1.0, 1e3):
                    start = density(on, rough(on, seed))
                    solver = implicit(on, pulls, start, Diffusion(kappa, m), dt=dt)
                    before = solver.free_energy_excess()
                    for _ in range(3):
                        try:
                            solver.advance(1e9)
                        except BrokenInvariantError:
                            refused += 1
                            break
                        after = solver.free_energy_excess()
                        wrong += after - before > 1e-13 * (abs(after) + abs(before)) + 1e-14
                        before = after
    return wrong, refused


@table.row(
    "rough data on $S^2$, $S^1$, zonal $d = 8$, attraction at random, exponents 1/2, 3/2, 2, 3, "
    "steps of 1e-3, 1, 1e3, 144 runs of 3 steps: steps in which $F$ rises", "{:.0f}",
    known=(0.0,), source="proved",
)  # fmt: skip
def falls() -> Values:
    return (float(_falls()[0]),)


@table.row(
    "the same: runs that end with a line, since a step of fixed length is not solved for (exponent "
    "1/2, $d = 8$, one vertex, a second step of 1e3)", "{:.0f}",
    source="none is promised: below exponent $1 - 2/(d - 1)$ all mass may gather in one vertex",
)  # fmt: skip
def refused() -> Values:
    return (float(_falls()[1]),)
