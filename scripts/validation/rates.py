"""Linear growth at the uniform density against l(l + d - 2)(drive_l - kappa)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import eval_gegenbauer

from meanfield.analysis.exact import growth_rate
from meanfield.geometry.laws import Fourier, Gegenbauer, Harmonic
from meanfield.geometry.sphere import Array

from .solving import attention, explicit, implicit, masses, places, space, until
from .table import Table, Values

table = Table("rates")

FORMULA = "closed form"


def _exact(model: str, beta: float, d: int, degrees: int) -> Values:
    return tuple(growth_rate(model, beta, d, l) for l in range(1, degrees + 1))  # type: ignore[arg-type]


def _law(kind: str, d: int, degree: int, amplitude: float) -> object:
    if kind == "sphere":
        return Harmonic(((degree, 0, amplitude),))
    one = (0.0,) * (degree - 1) + (amplitude,)
    return Fourier(cos=one) if kind == "circle" else Gegenbauer(d, one)


def _measured(
    kind: str, size: int, d: int, model: str, beta: float, end: float, top: int
) -> Values:
    """Fitted to the amplitude of 1e-5 times a harmonic, over all steps."""
    on, found = space(kind, size, d), []
    for degree in range(1, top + 1):
        shape = 2.0 * (_law(kind, d, degree, 0.5).density(places(on)) - 1.0)  # type: ignore[attr-defined]
        solver = explicit(on, attention(model, beta, on), _law(kind, d, degree, 1e-5))
        times, sizes = [0.0], [float(masses(solver) @ shape)]
        while solver.t < end:
            solver.advance(end)
            times.append(solver.t)
            sizes.append(float(masses(solver) @ shape))
        found.append(float(np.polyfit(times, np.log(sizes), 1)[0]))
    return tuple(found)


@table.row(
    "$S^2$, level 5, explicit, `sa`, $\\beta = 4$, $l = 1, \\dots, 4$",
    "{:.4f}, {:.4f}, {:.4f}, {:.4f}", known=_exact("sa", 4.0, 3, 4),
    within=(2e-4, 5e-4, 8e-4, 8e-4), source=FORMULA,
)  # fmt: skip
def sphere_sa() -> Values:
    return _measured("sphere", 5, 3, "sa", 4.0, 2.0, 4)


@table.row(
    "the same, `usa`", "{:.3f}, {:.3f}, {:.3f}, {:.3f}", known=_exact("usa", 4.0, 3, 4),
    within=(1e-3, 4e-3, 6e-3, 6e-3), source=FORMULA,
)  # fmt: skip
def sphere_usa() -> Values:
    return _measured("sphere", 5, 3, "usa", 4.0, 0.4, 4)


@table.row(
    "$S^1$, 256 vertices, explicit, `sa`, $\\beta = 5$, $l = 1, \\dots, 5$",
    "{:.4f}, {:.4f}, {:.4f}, {:.4f}, {:.4f}", known=_exact("sa", 5.0, 2, 5),
    within=(1e-4, 2e-4, 4e-4, 6e-4, 6e-4), source=FORMULA,
    quick=True,
)  # fmt: skip
def circle_sa() -> Values:
    return _measured("circle", 256, 2, "sa", 5.0, 2.0, 5)


@table.row(
    "zonal, $d = 8$, 128 latitudes, explicit, `sa`, $\\beta = 4$, $l = 1, \\dots, 4$",
    "{:.4f}, {:.4f}, {:.4f}, {:.4f}", known=_exact("sa", 4.0, 8, 4),
    within=(1e-4, 2e-4, 2e-4, 2e-4), source=FORMULA, quick=True,
)  # fmt: skip
def zonal_8() -> Values:
    return _measured("zonal", 128, 8, "sa", 4.0, 2.0, 4)


NOISE = ((1, 0.02), (2, 0.1), (3, 0.7), (6, 0.05))


def _mode(x: Array, degree: int, d: int) -> Array:
    alpha = 0.5 * d - 1.0
    return np.asarray(eval_gegenbauer(degree, alpha, x) / eval_gegenbauer(degree, alpha, 1.0))


@table.row(
    "zonal, $d = 5$, 400 latitudes, implicit, `usa`, $\\beta = 4$, $(l, \\kappa)$ = (1, .02), "
    "(2, .1), (3, .7), (6, .05)", "{:.3f}, {:.3f}, {:.3f}, {:.3f}",
    known=tuple(growth_rate("usa", 4.0, 5, l, kappa) for l, kappa in NOISE),
    within=(1e-3, 1e-3, 2e-3, 1e-3), source=FORMULA,
    quick=True,
)  # fmt: skip
def with_noise() -> Values:
    on, found = space("zonal", 400, 5), []
    for degree, kappa in NOISE:
        mode = _mode(np.cos(on.points[: on.n_owned, 0]), degree, 5)
        t = 0.5 / abs(growth_rate("usa", 4.0, 5, degree, kappa))
        solver = implicit(on, attention("usa", 4.0, on), 1.0 + 1e-4 * mode, kappa, rtol=1e-4)
        w = solver.weights
        before = float(w * mode @ (solver.rho - 1.0))
        until(solver, t)
        found.append(math.log(float(w * mode @ (solver.rho - 1.0)) / before) / t)
    return tuple(found)
