"""Kernels W(<x, y>): stationary states, folds, repulsion, a strength by the order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, special

import meanfield as mf
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.geometry.laws import Gegenbauer
from meanfield.interaction.composite import Composite
from meanfield.interaction.interaction import Interaction
from meanfield.interaction.kernels import Kernel, Log, MaierSaupe, Onsager, Power, Series
from meanfield.interaction.strength import PowerStrength
from meanfield.interaction.strong import Strong
from meanfield.interaction.together import Together
from meanfield.steady.branch import find_branches
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary

from .solving import implicit, places, settled, space, two_moments, until
from .table import Table, Values

table = Table("kernels")

OTHER = "another code: Newton's method with $\\kappa$ unknown"


def _fold(kernel: Kernel, d: int, low: float, high: float) -> Values:
    """Critical noise, fold, and the order c_2 there."""
    law = Gegenbauer(d, (0.0, 0.5))
    found = find_branches(Equation(kernel, low, d), "kappa", low, high, law)
    (event,) = found.events("fold")
    return found.critical[0], event.parameter, event.c_2


@table.row(
    "Maier-Saupe, $W = t^2$, $d = 3$: $\\kappa_c = 2/15$, fold, order $c_2$ at the fold",
    "{:.10f}, {:.10f}, {:.8f}", known=(2 / 15, 0.1485555999225, 0.323596876907),
    source=OTHER, quick=True,
)  # fmt: skip
def maier_saupe() -> Values:
    return _fold(MaierSaupe(), 3, 0.1, 0.16)


@table.row(
    "the same, $d = 4$: $\\kappa_c = 1/12$",
    "{:.10f}, {:.10f}, {:.8f}", known=(1 / 12, 0.1090932789788, 0.423173906179), source=OTHER,
)  # fmt: skip
def maier_saupe_4() -> Values:
    return _fold(MaierSaupe(), 4, 0.07, 0.12)


@table.row(
    "Onsager, $W = -\\sqrt{1 - t^2}$, $d = 3$: $\\kappa_c = \\pi/32$, fold, order $c_2$",
    "{:.10f}, {:.10f}, {:.7f}", known=(math.pi / 32, 0.112655994942, 0.413815943), source=OTHER,
)  # fmt: skip
def onsager() -> Values:
    return _fold(Onsager(), 3, 0.09, 0.12)


NORMALISED = math.sqrt((-6.0 + math.sqrt(36.0 + 20.0 / 3.0)) / 2.0)


@table.row(
    "$W = 1 + t$ with the link `log`, $\\kappa = 1/4$: $\\lvert m\\rvert$",
    "{:.12f}", known=(NORMALISED,), source="closed form, $\\mu \\sim (1 + mt)^4$", quick=True,
)  # fmt: skip
def normalised() -> Values:
    equation = Equation(Series(legendre=(1.0, 1.0), link="log"), 0.25, 3)
    return (find_stationary(equation, Gegenbauer(3, (0.5,)), "zonal").mean_norm,)


CHARGE, EDGE = 0.25, 0.6


def _gas_energy() -> float:
    """E of 1 + q on t <= (1 - q)/(1 + q), from the potential, which is constant there.

    xi = W * mu - U has its value at the south pole, where rings are at a common distance; so
    E = 1/2 iint W + ... = (xi - int U dmu)/2.
    """

    def over(f: object) -> float:
        half = 0.5 * (1.0 + CHARGE)
        return half * float(integrate.quad(f, -1.0, EDGE, epsabs=1e-14)[0])  # type: ignore[arg-type]

    def charge(t: float) -> float:
        return -0.5 * CHARGE * math.log(2.0 - 2.0 * t)

    at_south = over(lambda t: 0.5 * math.log(2.0 + 2.0 * t)) - charge(-1.0)
    return 0.5 * (at_south - over(charge))


def _gas(tail: str, end: float) -> tuple[float, float, int]:
    """L1 error, E and steps."""
    on = space("zonal", 200)
    axis = (0.0, 0.0, 1.0)
    drift = mf.ChargePotential(at=axis, strength=CHARGE).on(3)
    alone = Composite((), "sa", 3, "zonal", drifts=(drift,))
    pulls = Together((Interaction(Log(strength=-1.0), 3, "zonal"), alone))
    solver = until(implicit(on, pulls, np.ones(200), tail=tail), end)
    exact = np.where(places(on)[:, -1] <= EDGE + 1e-12, 1.0 + CHARGE, 0.0)
    return float(solver.weights @ np.abs(solver.rho - exact)), solver.energy(), solver.step


@table.row(
    "logarithmic gas, charge 1/4, $\\kappa = 0$, 200 latitudes, $t = 100$: E",
    "{:.7f}", known=(_gas_energy(),), source="closed form: density 5/4 on $t \\le 3/5$",
)  # fmt: skip
def gas_energy() -> Values:
    return (_gas("closed", 100.0)[1],)


@table.row("the same, $L^1$ error and steps", "{:.4f}, {:.0f}", source="the same density")
def gas_density() -> Values:
    error, _, steps = _gas("closed", 100.0)
    return error, steps


@table.row(
    "the same with the tail of the series cut (`tail = \"cut\"`): $L^1$ error and steps",
    "{:.3f}, {:.0f}", source="the same density",
)  # fmt: skip
def gas_cut() -> Values:
    error, _, steps = _gas("cut", 100.0)
    return error, steps


class _Old(Interaction):
    """Whose repulsion takes the potential of the old density, too."""

    @property
    def repels(self) -> NDArray[np.bool_]:
        return np.zeros_like(super().repels)


def _repelled(interaction: type[Interaction]) -> tuple[int, ImplicitSolver]:
    """Of 30 steps of 10, those in which F rises: W = -t in the field U = -.3 t."""
    on = space("zonal", 100)
    drift = mf.LinearPotential(field=(0.0, 0.0, 0.3)).on(3)
    alone = Composite((), "sa", 3, "zonal", drifts=(drift,))
    pulls = Together((interaction(Power(k=1, strength=-1.0), 3, "zonal"), alone))
    start = mf.VonMisesFisher((0.0, 0.0, 1.0), 2.0)
    solver = implicit(on, pulls, start, 0.01, dt=10.0, order=1)
    rises, before = 0, solver.free_energy_excess()
    for _ in range(30):
        solver.advance(1e9)
        after = solver.free_energy_excess()
        rises += after > before + 1e-12
        before = after
    return rises, solver


@table.row(
    "repulsion $W = -t$ in $U = -0.3t$, $\\kappa = 0.01$, 30 implicit steps of 10: steps in which "
    "$F$ rises", "{:.0f}", known=(0.0,), source="proved or checked",
)  # fmt: skip
def repulsion() -> Values:
    return (float(_repelled(Interaction)[0]),)


@table.row(
    "the same with the potential of the old density: steps in which $F$ rises; steps that were "
    "refused for that and halved; time reached by 30 of them", "{:.0f}; {:.0f}; {:.1f}",
    source="not proved: the solver takes that of the new one",
)  # fmt: skip
def repulsion_old() -> Values:
    rises, solver = _repelled(_Old)
    return float(rises), float(solver.refused), solver.t


def _order(kappa: float, d: int) -> float:
    """The larger root of A_d(|m|^2/kappa) = |m|, the order for nu = |m|, W = t."""

    def mean_of(k: float) -> float:
        return float(special.ive(0.5 * d, k) / special.ive(0.5 * d - 1.0, k))

    return mean_of(optimize.brentq(lambda k: mean_of(k) ** 2 / k - kappa, 3.0, 60.0, xtol=1e-14))


@table.row(
    "$W = t$ times $\\nu = \\lvert m\\rvert$, $\\kappa = 0.13$, zonal, 101, 201 and 401 latitudes: "
    "$\\lvert m\\rvert$", "{:.6f}, {:.6f}, {:.6f}", known=(_order(0.13, 3),) * 3,
    within=(1e-4, 3e-5, 6e-6), source="root of $A_3(m^2/\\kappa) = m$", quick=True,
)  # fmt: skip
def strength() -> Values:
    found = []
    for size in (101, 201, 401):
        on = space("zonal", size)
        pulls = Strong(Interaction(Power(k=1), 3, "zonal"), PowerStrength())
        start = mf.VonMisesFisher((0.0, 0.0, 1.0), 6.0)
        found.append(two_moments(settled(implicit(on, pulls, start, 0.13), 1e-9))[0])
    return tuple(found)
