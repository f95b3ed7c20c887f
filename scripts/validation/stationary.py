"""Stationary states and branches, without time stepping."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from scipy import optimize, special

import meanfield as mf
from meanfield.analysis import exact
from meanfield.geometry.laws import Uniform, VonMisesFisher
from meanfield.interaction.attention import SelfAttention
from meanfield.interaction.external import External
from meanfield.interaction.kernels import Power, Series
from meanfield.steady.branch import find_branches
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary
from meanfield.steady.symmetric import find_symmetric_branches
from meanfield.steady.symmetry import symmetry_named

from .solving import shipped
from .table import Table, Values

table = Table("stationary")

OTHER = "fixed point of the profile, another code"


def _bump(d: int, k: float = 3.0) -> VonMisesFisher:
    return VonMisesFisher((0.0,) * (d - 1) + (1.0,), k)


def _profile(model: str, beta: float, kappa: float, d: int) -> Values:
    equation = Equation(SelfAttention(model, beta), kappa, d)  # type: ignore[arg-type]
    state = find_stationary(equation, _bump(d))
    return state.mean_norm, state.c2, state.energy


@table.row(
    "`sa`, $d = 3$, $\\beta = 4$, $\\kappa = 0.1$: $\\lvert m\\rvert$, $c_2$, $E$",
    "{:.10f}, {:.10f}, {:.8f}", known=(0.8231632710, 0.5590414935, 2.87132356),
    source=OTHER, quick=True,
)  # fmt: skip
def profile_sa() -> Values:
    return _profile("sa", 4.0, 0.1, 3)


@table.row(
    "`usa`, $d = 3$, $\\beta = 1$, $\\kappa = 0.3$", "{:.10f}, {:.10f}, {:.8f}",
    known=(0.6648695797, 0.3530267874, 0.85474152), source=OTHER, quick=True,
)  # fmt: skip
def profile_usa() -> Values:
    return _profile("usa", 1.0, 0.3, 3)


@table.row(
    "`sa`, $d = 2$, $\\beta = 4$, $\\kappa = 0.1$", "{:.10f}, {:.10f}, {:.8f}",
    known=(0.9131361279, 0.6958706442, 4.41036334), source=OTHER, quick=True,
)  # fmt: skip
def profile_circle() -> Values:
    return _profile("sa", 4.0, 0.1, 2)


@table.row(
    "$\\beta = 0$, $\\kappa = 0.2$, $d = 2, 3, 4$ (a von Mises-Fisher law): "
    "$\\lvert m\\rvert$", "{:.12f}, {:.12f}, {:.12f}",
    known=tuple(exact.noisy_linear_mean(0.2, d) for d in (2, 3, 4)),
    source="root of $A_d(m/\\kappa) = m$", quick=True,
)  # fmt: skip
def linear_field() -> Values:
    return tuple(_profile("usa", 0.0, 0.2, d)[0] for d in (2, 3, 4))


@table.row(
    "`usa`, $d = 3$, $\\beta = 4$: $\\kappa_c$, equal free energies, fold, $\\lvert m\\rvert$ at "
    "the fold", "{:.6f}, {:.3f}, {:.5f}, {:.2f}",
    known=(exact.critical_noise("usa", 4.0, 3), 1.5496, 1.617409, 0.73),
    source="closed form; Mun, Rosenzweig 2026", quick=True,
)  # fmt: skip
def hysteresis() -> Values:
    equation = Equation(SelfAttention("usa", 4.0), 1.0, 3)
    found = find_branches(equation, "kappa", 1.0, 1.8, _bump(3))
    (fold,), (equal,) = found.events("fold"), found.events("equal free energy")
    return found.critical[0], equal.parameter, fold.parameter, fold.mean_norm


@table.row(
    "`sa`, $d = 3$, $\\beta = 4$: $\\kappa_c$, number of folds", "{:.8f}, {:.0f}",
    known=(exact.critical_noise("sa", 4.0, 3), 0.0), source="closed form; continuous", quick=True,
)  # fmt: skip
def continuous() -> Values:
    found = find_branches(Equation(SelfAttention("sa", 4.0), 0.1, 3), "kappa", 0.1, 0.22, _bump(3))
    return found.critical[0], float(len(found.events("fold")))


def _spinodal() -> Values:
    """h = kappa A^-1(m) - m turns back where its slope vanishes."""

    def slope(k: float) -> float:
        return 0.25 - (1.0 / k**2 - 1.0 / math.sinh(k) ** 2)

    k = float(optimize.brentq(slope, 0.5, 3.0, xtol=1e-15))
    h = 0.25 * k - (1.0 / math.tanh(k) - 1.0 / k)
    return h, -h


@table.row(
    "$W = t$ in $U = -ht$, $\\kappa = 0.25$: fields at which the state turns back",
    "{:.10f}, {:.10f}", known=_spinodal(), source="closed form", quick=True,
)  # fmt: skip
def magnet() -> Values:
    field = External(3, (), mf.LinearPotential(field=(0.0, 0.0, 1.0), strength=0.1))
    equation = Equation(Power(k=1), 0.25, 3, field)
    found = find_branches(equation, "potential.strength", 0.1, -0.1, _bump(3, 4.0))
    return tuple(event.parameter for event in found.events("fold"))


def _breaking() -> Values:
    """W = cos + 1.5 cos 2: two clusters are left where kappa = <cos^2>."""

    def ratio(z: float) -> float:
        return float(special.iv(1, z) / special.iv(0, z))

    def defect(z: float) -> float:
        return 1.5 * ratio(z) / z - 0.5 * (1.0 + ratio(z))

    return (0.5 * (1.0 + ratio(float(optimize.brentq(defect, 0.01, 5.0, xtol=1e-15)))),)


@table.row(
    "$W = \\cos + 1.5\\cos 2$ on $S^1$: $\\kappa$ at which two clusters are left", "{:.10f}",
    known=_breaking(), source="closed form", quick=True,
)  # fmt: skip
def secondary() -> Values:
    equation = Equation(Series(legendre=(0.0, 1.0, 1.5)), 0.9, 2)
    found = find_branches(equation, "kappa", 0.9, 0.3, Uniform(2), secondary=True)
    return (found.events("secondary")[0].parameter,)


def _solid(name: str, kappa: float) -> Values:
    """Critical noise and fold of a symmetry."""
    found = find_symmetric_branches(
        Equation(SelfAttention("usa", 4.0), kappa, 3), "kappa", 1.15 * kappa, 0.95 * kappa,
        symmetry_named(name, 3),
        step=0.1,
    )  # fmt: skip
    return found.critical[0], found.events("fold")[0].parameter


@table.row(
    "`usa`, $\\beta = 4$, tetrahedral states: $\\kappa_c$ ($l = 3$), fold", "{:.9f}, {:.6f}",
    source="0.348671936, closed form; the fold by no other code",
)  # fmt: skip
def tetrahedral() -> Values:
    return _solid("tetrahedral", 0.3486719363)


@table.row(
    "the same, octahedral ($l = 4$)", "{:.9f}, {:.6f}",
    source="0.135174239, closed form; the fold by no other code",
)  # fmt: skip
def octahedral() -> Values:
    return _solid("octahedral", 0.1351742392)


@table.row(
    "`heads.toml`: $\\kappa$ at which states that point up or down leave the even ones; "
    "$\\lvert m\\rvert$ at $\\kappa = 0.3$", "{:.8f}, {:.9f}",
    source="run in time, at rest: $\\lvert m\\rvert$ = 0.744 on level 4",
)  # fmt: skip
def two_heads() -> Values:
    from meanfield.steady.branch import find_aligned
    from meanfield.steady.curve import Curve
    from meanfield.steady.verbs import stationary

    case = shipped("heads")
    with tempfile.TemporaryDirectory() as folder:
        state = stationary(case, Path(folder) / "state", progress=False).state
    curve = Curve(state.equation, "kappa", (0.1, 0.6))
    found = find_aligned(curve, case.initial)
    places = [e.parameter for e in found.events("branch point") if e.kind == "branch point"]
    return min(places, key=lambda kappa: abs(kappa - 0.354)), state.mean_norm
