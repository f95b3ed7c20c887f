"""The explicit solver: errors on meshes, each half as coarse as the one before."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.analysis import exact
from meanfield.geometry.laws import PoissonKernel

from .solving import (
    STANDARD,
    ZONAL,
    attention,
    explicit,
    masses,
    mean,
    order,
    places,
    relative,
    space,
    until,
    with_order,
)
from .table import Table, Values

table = Table("convergence", ("error of", "measured; order in $h$ after a semicolon", "against"))

AXES = {"sphere": (0.5, -0.3, 0.7), "circle": (0.6, 0.8)}
CONFORMAL = "closed form: it stays a Poisson kernel"


def _poisson(kind: str, d: int, r: float) -> PoissonKernel:
    axis = np.array(AXES.get(kind, (0.0,) * (d - 1) + (1.0,)))
    return PoissonKernel(tuple(r * axis / np.linalg.norm(axis)))


def _conformal(kind: str, d: int, sizes: tuple[int, ...]) -> Values:
    """L1 errors at t = 2 of beta = 0, from |w| = 0.2."""

    def error(size: int) -> float:
        on = space(kind, size, d)
        solver = until(explicit(on, attention("sa", 0.0, on), _poisson(kind, d, 0.2)), 2.0)
        law = _poisson(kind, d, float(exact.poisson_radius(2.0, 0.2, d)))
        return float(solver.weights @ np.abs(solver.rho - law.density(places(on))))

    return with_order(error, sizes)


@table.row(
    "$\\rho$ in $L^1$, $\\beta = 0$, $t = 2$, $S^2$, levels 3, 4, 5, 6",
    "{:.2e}, {:.1e}, {:.1e}, {:.1e}; {:.2f}", source=CONFORMAL,
)  # fmt: skip
def conformal_sphere() -> Values:
    return _conformal("sphere", 3, (3, 4, 5, 6))


@table.row(
    "the same, $S^1$, 64, 128, 256 vertices", "{:.1e}, {:.1e}, {:.1e}; {:.2f}", source=CONFORMAL,
    quick=True,
)  # fmt: skip
def conformal_circle() -> Values:
    return _conformal("circle", 2, (64, 128, 256))


@table.row(
    "the same, zonal, $d = 3$, 64, 128, 256 latitudes", "{:.1e}, {:.1e}, {:.1e}; {:.2f}",
    source=CONFORMAL, quick=True,
)  # fmt: skip
def conformal_zonal() -> Values:
    return _conformal("zonal", 3, (64, 128, 256))


@table.row("the same, zonal, $d = 8$", "{:.1e}, {:.1e}, {:.1e}; {:.2f}", source=CONFORMAL)
def conformal_zonal_8() -> Values:
    return _conformal("zonal", 8, (64, 128, 256))


def _standard(level: int) -> dict[float, tuple[float, float]]:
    """Errors of the mean and of E (relative) at t = 1 and 4."""
    on = space("sphere", level)
    solver = explicit(on, attention("sa", 4.0, on), mf.standard_density())
    found = {}
    for t in (1.0, 4.0):
        until(solver, t)
        energy, known = STANDARD[t]
        wrong = float(np.linalg.norm(mean(solver) - np.array(known)))
        found[t] = wrong, relative(solver.field().energy(scaled=True), energy)
    return found


_LEVELS: dict[int, dict[float, tuple[float, float]]] = {}


def _at(t: float, which: int) -> Values:
    """Levels 4, 5, 6, each run once."""
    for level in (4, 5, 6):
        if level not in _LEVELS:
            _LEVELS[level] = _standard(level)
    errors = [_LEVELS[level][t][which] for level in (4, 5, 6)]
    return (*errors, order(errors))


TWO = "two other methods, which agree to 1e-9"


@table.row(
    "the mean, standard density, `sa`, $\\beta = 4$, $t = 1$, levels 4, 5, 6",
    "{:.1e}, {:.1e}, {:.1e}; {:.1f}", source=TWO,
)  # fmt: skip
def mean_at_1() -> Values:
    return _at(1.0, 0)


@table.row("the same, $t = 4$", "{:.1e}, {:.1e}, {:.1e}; {:.1f}", source=TWO)
def mean_at_4() -> Values:
    return _at(4.0, 0)


@table.row("$E$, relative, $t = 1$", "{:.1e}, {:.1e}, {:.1e}; {:.1f}", source=TWO)
def energy_at_1() -> Values:
    return _at(1.0, 1)


@table.row("$E$, relative, $t = 4$", "{:.1e}, {:.1e}, {:.1e}; {:.1f}", source=TWO)
def energy_at_4() -> Values:
    return _at(4.0, 1)


def _trajectory(kind: str, size: int, model: str) -> float:
    """Largest error of c_1, c_2 and (relative) E on the way."""
    on = space(kind, size)
    law = mf.Gegenbauer(3, (0.3, 0.25))
    solver, worst = explicit(on, attention(model, 4.0, on), law), 0.0
    z = places(on)[:, -1]
    for t, (c1, c2, energy) in ZONAL[model].items():
        m = masses(until(solver, t))
        wrong = (m @ z - c1, m @ (1.5 * z * z - 0.5) - c2)
        worst = max(worst, *np.abs(wrong), relative(solver.field().energy(), energy))
    return float(worst)


@table.row(
    "$c_1$, $c_2$, $E$ of $1 + 0.3P_1 + 0.25P_2$, `sa` ($t \\le 3$) and `usa` ($t \\le 0.4$), "
    "$\\beta = 4$, 512 latitudes", "{:.0e}, {:.0e}",
    source="another code, 8 to 10 digits", quick=True,
)  # fmt: skip
def trajectory_zonal() -> Values:
    return tuple(_trajectory("zonal", 512, model) for model in ("sa", "usa"))


@table.row(
    "the same, `sa`, $S^2$, levels 4, 5, 6", "{:.1e}, {:.1e}, {:.1e}; {:.1f}",
    source="another code, 8 to 10 digits",
)  # fmt: skip
def trajectory_sphere() -> Values:
    return with_order(lambda level: _trajectory("sphere", level, "sa"), (4, 5, 6))


_STUDY: dict[float, dict[str, Values]] = {}


def _study() -> dict[float, dict[str, Values]]:
    """L1 and W2 to characteristics of level 6 by scripts/studies/convergence.py, run once."""
    if not _STUDY:
        import importlib.util

        path = Path(__file__).parents[1] / "studies" / "convergence.py"
        spec = importlib.util.spec_from_file_location("convergence_study", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        with tempfile.TemporaryDirectory() as folder:
            found = module.study(Path(folder), (3, 4, 5), 6, (1.0, 2.0, 4.0), True)
        for k, row in enumerate(found[3]):
            for name in ("l1", "w2"):
                errors = [float(getattr(found[level][k], name)) for level in (3, 4, 5)]
                if row.t > 0.0:
                    _STUDY.setdefault(row.t, {})[name] = (*errors, order(errors))
    return _STUDY


FINEST = "characteristics of level 6"


@table.row(
    "$\\rho$ in $L^1$, standard density, $t = 1$, levels 3, 4, 5", "{:.1e}, {:.1e}, {:.1e}; {:.2f}",
    source=FINEST,
)  # fmt: skip
def distance_at_1() -> Values:
    return _study()[1.0]["l1"]


@table.row("the same, $t = 2$", "{:.1e}, {:.1e}, {:.1e}; {:.2f}", source=FINEST)
def distance_at_2() -> Values:
    return _study()[2.0]["l1"]


@table.row("the same, $t = 4$", "{:.1e}, {:.1e}, {:.1e}; {:.2f}", source=FINEST)
def distance_at_4() -> Values:
    return _study()[4.0]["l1"]


@table.row("$W_2$, $t = 1$", "{:.1e}, {:.1e}, {:.1e}; {:.2f}", source=FINEST)
def transport_at_1() -> Values:
    return _study()[1.0]["w2"]


@table.row("$W_2$, $t = 2$", "{:.1e}, {:.1e}, {:.1e}; {:.2f}", source=FINEST)
def transport_at_2() -> Values:
    return _study()[2.0]["w2"]


@table.row("$W_2$, $t = 4$", "{:.1e}, {:.1e}, {:.1e}; {:.2f}", source=FINEST)
def transport_at_4() -> Values:
    return _study()[4.0]["w2"]
