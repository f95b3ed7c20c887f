"""Nearly uniform laws from charts: the little that is not uniform grows at the linear rate.

Exact: moments of degree l grow like exp(l(l + d - 2) lam_l t) as long as they are small. Laid for
late ends, a rule used to add 1e-5 of its own to them.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from meanfield.case import Circle, Lagrangian, Sphere, Zonal
from meanfield.collective import Alone
from meanfield.dynamics.lagrangian import LagrangianSolver, characteristics
from meanfield.errors import MeanfieldWarning
from meanfield.geometry.laws import Fourier, Gegenbauer, Harmonic
from meanfield.interaction.attention import Attention

DEGREE = 2
ON = {
    "circle": (2, Circle(vertices=64), lambda size: Fourier(cos=(0.0, size))),
    "zonal": (3, Zonal(d=3, vertices=51), lambda size: Gegenbauer(3, (0.0, size))),
    "zonal-5": (5, Zonal(d=5, vertices=51), lambda size: Gegenbauer(5, (0.0, size))),
    "sphere": (3, Sphere(level=3), lambda size: Harmonic(((2, 1, size),))),
}


def begun(where: str, size: float, end: float, start: str) -> tuple[LagrangianSolver, float]:
    """A run, and the rate of what it begins with."""
    d, geometry, law = ON[where]
    model = Attention("sa", 4.0, d, where.split("-")[0], 1)
    options = Lagrangian(start=start)  # type: ignore[arg-type]
    solver = characteristics(
        model, geometry.build_mesh(), law(size).density, end, options=options, comm=Alone()
    )
    return solver, float(model.uniform_rates(DEGREE)[DEGREE])


def moments(solver: LagrangianSolver) -> float:
    """Size of those of degree 2."""
    on = solver.manifold
    harmonics = on.harmonics(4, 1e-14)
    found = harmonics.moments(on.settle(solver.positions()), solver.mass)
    return math.sqrt(float(harmonics.power(found)[DEGREE]))


@pytest.mark.parametrize("start", ["auto", "chart"])
@pytest.mark.parametrize("where", ON)
def test_a_small_perturbation_grows_at_its_rate_whatever_the_end(where: str, start: str) -> None:
    """At t = 15 of a run to 60, by whose middle there would be clusters."""
    solver, rate = begun(where, 1e-10, 60.0, start)
    first = moments(solver)
    while solver.t < 15.0:
        solver.advance(15.0)
    assert moments(solver) / first == pytest.approx(math.exp(15.0 * rate), rel=1e-2)


@pytest.mark.parametrize("where", ["circle", "zonal", "sphere"])
def test_the_beginning_is_that_of_the_law(where: str) -> None:
    """Exact: of 1 + eps cos 2 phi etc. they do not hang on where nodes are laid."""
    late, early = (moments(begun(where, 1e-6, end, "auto")[0]) for end in (60.0, 1.0))
    assert late == pytest.approx(early, rel=2e-3)


def test_cells_asked_for_by_name_tell_that_they_hide_the_law() -> None:
    with pytest.warns(MeanfieldWarning, match="cells laid at .* not uniform in this law"):
        begun("zonal", 1e-6, 40.0, "cells")


def test_laws_that_are_far_from_uniform_have_no_such_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", MeanfieldWarning)
        solver, _ = begun("zonal", 0.3, 40.0, "cells")
    assert solver.origin.kind == "cells"
    assert np.isclose(solver.mass.sum(), 1.0)
