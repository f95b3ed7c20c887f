"""Charts on S^2: the change of variables, what it is good for, and what it must not change."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference
from ranks import on_ranks

from meanfield.case import Lagrangian
from meanfield.collective import Alone, Communicator
from meanfield.dynamics.lagrangian import LagrangianSolver, characteristics
from meanfield.dynamics.lagrangian import chart as charts
from meanfield.dynamics.lagrangian import pilot as pilots
from meanfield.dynamics.lagrangian.pilot import Pilot
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import Mixture, Uniform, VonMisesFisher, standard_density
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.rules import rule_on
from meanfield.geometry.sphere import Array, random_rotation
from meanfield.interaction.attention import Attention
from meanfield.interaction.contract import AnyInteraction

Density = Callable[[Any], Any]

SA = Attention("sa", 4.0, 3, "sphere", 1)
STANDARD = standard_density()


def placed(
    number: int, end: float, options: Lagrangian, comm: Communicator | None = None
) -> charts.Chart:
    """The chart of the standard density."""
    ranks = comm if comm is not None else Alone()
    found = charts.Charts(SA, STANDARD.density, end, options, ranks, 0.0).of(number)
    assert isinstance(found, charts.Chart)
    return found


def from_chart(
    number: int,
    end: float,
    density: Density = STANDARD.density,
    interaction: AnyInteraction = SA,
    **options: Any,
) -> LagrangianSolver:
    """A run to ``end`` from about so many points."""
    options = {"accuracy": 1e-6} | options
    return run(begun(number, end, density, interaction, **options), end)


def begun(
    number: int,
    end: float,
    density: Density = STANDARD.density,
    interaction: AnyInteraction = SA,
    **options: Any,
) -> LagrangianSolver:
    """Of the mesh only the number of its points tells."""
    points = np.tile(icosphere(0).points, (number // 12 + 1, 1))[:number]
    mesh = replace(icosphere(0), points=points)
    chosen = Lagrangian(**options)
    return characteristics(interaction, mesh, density, end, options=chosen, comm=Alone())


def run(solver: LagrangianSolver, end: float) -> LagrangianSolver:
    while solver.t < end:
        solver.advance(end)
    return solver


def mean(solver: LagrangianSolver) -> Array:
    return np.asarray(solver.mass @ solver.positions())


def known(end: float) -> reference.StandardPoint:
    points = (*reference.STANDARD_SA, reference.STANDARD_SA_LATE)
    return next(point for point in points if point.t == end)


# ------------------------------------------------------------------ the change of variables


def pulled_back(number: int, s: float, step: float) -> tuple[Array, Array]:
    """Nodes of a rule at s, at the beginning, and the area that they have there."""
    pilot = Pilot(SA, STANDARD.density, Lagrangian(tolerance=1e-11), 0.0)
    pilot.run(s)
    rule = rule_on(pilot.manifold, number)
    x, change = pilot.following(rule.points).through(np.linspace(s, 0.0, round(s / step) + 1))
    return x, rule.weights * np.exp(-change)


def test_a_rule_pulled_back_integrates_what_it_did() -> None:
    """The identity of the change of variables: moments of degree <= 10 of the uniform density."""
    x, weights = pulled_back(4570, 1.5, 0.25)
    harmonics = SA.manifold.harmonics(10, 1e-13)
    np.testing.assert_allclose(harmonics.moments(x, weights), harmonics.uniform(), atol=1e-9)
    assert weights.min() > 0.0
    # Not because nothing has moved.
    assert weights.max() > 3.0 * weights.min()


def test_steps_back_are_fine_enough() -> None:
    """Of a law that any rule integrates, the mass is one but for them."""
    solver = begun(9090, 4.0, start="chart")
    assert solver.origin.time == pytest.approx(2.8)
    assert abs(solver.initial_mass_error) < 1e-8


# ------------------------------------------------------------------ accuracy


@pytest.mark.parametrize(
    ("number", "end", "mean_error", "energy_error"),
    [
        (2400, 1.0, 1e-9, 1e-10),
        (4726, 4.0, 2e-6, 1e-7),
        (9090, 4.0, 2e-7, 1e-8),
        pytest.param(12500, 8.0, 5e-6, 1e-7, marks=pytest.mark.slow),
        pytest.param(20000, 8.0, 1e-6, 5e-8, marks=pytest.mark.slow),
    ],
)
def test_standard_density(number: int, end: float, mean_error: float, energy_error: float) -> None:
    """verification.md 1, absolute; today's mesh of 10 242 vertices: 9e-5 and 3e-6 at T = 4."""
    solver, point = from_chart(number, end), known(end)
    assert np.max(np.abs(mean(solver) - point.mean)) < mean_error
    assert solver.energy(scaled=True) == pytest.approx(point.energy_scaled, abs=energy_error)
    assert solver.n <= 1.08 * number
    assert solver.energy_violations == 0


@pytest.mark.slow
def test_standard_density_at_twelve() -> None:
    """By self-convergence: cells of 25 000 nodes and of 12 500."""
    fine, coarse = (from_chart(number, 12.0) for number in (25_000, 12_500))
    assert np.max(np.abs(mean(fine) - mean(coarse))) < 5e-6
    assert fine.energy(scaled=True) == pytest.approx(coarse.energy(scaled=True), abs=2e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("end", "energy"), [(4.0, 0.01833624), (8.0, 0.0191571)])
def test_narrow_kernels(end: float, energy: float) -> None:
    """verification.md 1, beta = 9."""
    solver = from_chart(9090, end, interaction=Attention("sa", 9.0, 3, "sphere", 1))
    assert solver.energy(scaled=True) == pytest.approx(energy, abs=1e-6)


# ------------------------------------------------------------------ what must not matter


def test_where_the_rule_begins_does_not_matter() -> None:
    """A rotated law is the same to another rule."""
    turn = random_rotation(3, np.random.default_rng(7))
    plain = from_chart(9090, 4.0, start="chart")
    turned = from_chart(9090, 4.0, lambda x: STANDARD.density(x @ turn), start="chart")
    np.testing.assert_allclose(mean(turned) @ turn, mean(plain), atol=2e-7)


def test_a_wrong_pilot_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any smooth map is a change of variables: here that of another beta."""
    right = from_chart(4726, 2.0, start="chart", accuracy=1e-9)
    seen = charts.Pilot

    def wrong(_: AnyInteraction, *rest: Any) -> Pilot:
        return seen(Attention("sa", 3.8, 3, "sphere", 1), *rest)

    monkeypatch.setattr(charts, "Pilot", wrong)
    other = from_chart(4726, 2.0, start="chart", accuracy=1e-9)
    assert np.max(np.abs(other.reference.points - right.reference.points)) > 1e-3
    np.testing.assert_allclose(mean(other), mean(right), atol=1e-9)


@pytest.mark.parametrize("start", ["chart", "cells"])
def test_masses_are_positive_and_one(start: str) -> None:
    solver = from_chart(3000, 3.0, start=start)
    assert solver.mass.min() > 0.0
    assert solver.mass.sum() == pytest.approx(1.0, abs=1e-14)
    assert solver.n <= 3200


def test_the_uniform_law_stays_uniform() -> None:
    """No cells are taken where there is nothing to see, however late: the rule is exact there."""
    solver = characteristics(
        SA, icosphere(4), Uniform(3).density, 8.0, options=Lagrangian(), comm=Alone()
    )
    assert solver.origin.kind == "chart"
    run(solver, 8.0)
    assert np.max(np.abs(mean(solver))) < 1e-8
    np.testing.assert_allclose(solver.log_density(), 0.0, atol=1e-7)


def test_cells_are_better_late() -> None:
    """Where the flow tears apart, one rule has too few nodes."""
    point, errors = known(8.0), []
    for start in ("chart", "cells"):
        solver = from_chart(5000, 8.0, start=start)
        errors.append(float(np.max(np.abs(mean(solver) - point.mean))))
    assert errors[1] < 0.5 * errors[0]


# ------------------------------------------------------------------ choosing it


def test_which_start_is_taken() -> None:
    kinds = {}
    for end, start in ((2.0, "auto"), (30.0, "auto"), (2.0, "mesh"), (2.0, "cells")):
        solver = characteristics(
            SA, icosphere(3), STANDARD.density, end, options=Lagrangian(start=start), comm=Alone()
        )
        kinds[end, start] = solver.origin.kind
    assert list(kinds.values()) == ["chart", "cells", "mesh", "cells"]


def test_a_chart_that_there_is_not() -> None:
    options = Lagrangian(start="chart")
    direct = replace(SA, method="direct")
    with pytest.raises(InputError, match=r'solver.start: found "chart".*expected "auto" or "mesh"'):
        characteristics(direct, icosphere(2), STANDARD.density, 2.0, options=options, comm=Alone())


def test_steps_are_as_good_as_the_chart() -> None:
    """A wide law is resolved by far: then steps are not what limits it."""
    wide = VonMisesFisher((0.0, 0.0, 1.0), 0.5)
    fine, plain = (
        characteristics(SA, icosphere(4), law.density, 2.0, options=Lagrangian(), comm=Alone())
        for law in (wide, STANDARD)
    )
    assert fine.options.accuracy is not None and plain.options.accuracy is not None
    assert 1e-8 <= fine.options.accuracy < plain.options.accuracy <= 1e-6


@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (0.3, -0.5, 0.8)])
def test_a_law_between_all_first_nodes_is_found(axis: tuple[float, float, float]) -> None:
    """At the middle of a face or not: the pilot's points and those of first cells see nothing."""
    concentration = 30_000.0
    law = VonMisesFisher(axis, concentration)
    options = Lagrangian()
    solver = characteristics(SA, icosphere(5), law.density, 1.0, options=options, comm=Alone())
    assert solver.origin.kind == "cells" and abs(solver.initial_mass_error) < 1e-7
    length = float(np.linalg.norm(mean(solver)))
    assert 1.0 - length == pytest.approx(1.0 / concentration, rel=1e-6)


def test_a_law_that_no_points_see_is_refused() -> None:
    for start, k in (("auto", 3e3), ("auto", 1e6), ("chart", 3e3), ("chart", 1e6), ("cells", 1e6)):
        law = VonMisesFisher((0.0, 0.0, 1.0), k)
        with pytest.raises(InputError, match=r"initial: found a law.* a mass of") as refused:
            characteristics(
                SA, icosphere(3), law.density, 1.0,
                options=Lagrangian(start=start), comm=Alone(),
            )  # fmt: skip
        assert "\n" not in str(refused.value)


# ------------------------------------------------------------------ the pilot


@pytest.mark.parametrize("start", ["chart", "cells"])
def test_a_pilot_that_stops_is_told_and_not_passed(
    start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells have a pilot of their own, which may stop before the time of the chart."""
    going, first, reached = Pilot.run, list[Pilot](), list[float]()

    def stopping(pilot: Pilot, *wanted: float) -> float:
        first[:] = first or [pilot]
        monkeypatch.setattr(pilots, "_STEPS", 2 if pilot is first[0] else 1)
        found = going(pilot, *wanted)
        reached.append(pilot.reached)
        return found

    monkeypatch.setattr(Pilot, "run", stopping)
    with pytest.warns(MeanfieldWarning, match="steps: they are placed for that time"):
        chart = placed(2500, 4.0, Lagrangian(start=start))
    assert chart.kind == start
    assert chart.s == reached[-1] == min(reached) < 2.0
    assert abs(chart.start.mass_error) < 1e-6


@pytest.mark.parametrize("start", ["chart", "cells"])
def test_ranks_agree_on_the_time_of_a_chart(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a pilot, whose times may differ: here by far more than round-off."""
    earlier, asked = Pilot.when, itertools.count()

    def when(pilot: Pilot, most: float) -> float:
        return earlier(pilot, most) * (0.8 + 0.01 * (next(asked) % 7))

    monkeypatch.setattr(Pilot, "when", when)

    def outcome(comm: Communicator) -> tuple[float, Array]:
        chart = placed(700, 2.0, Lagrangian(start=start), comm)
        return chart.s, chart.start.weights

    (s, weights), (other, others) = on_ranks(2, outcome)
    assert s == other
    np.testing.assert_array_equal(weights, others)


# ------------------------------------------------------------------ the error estimate


def law_of(rng: np.random.Generator) -> Mixture:
    """A random mixture of two to four vMF laws and the uniform one."""
    number = int(rng.integers(2, 5))
    parts = [VonMisesFisher(rng.standard_normal(3), rng.uniform(1.0, 10.0)) for _ in range(number)]
    weights = rng.random(number + 1) + 0.2
    return Mixture([*parts, Uniform(3)], list(weights / weights.sum()))


def test_estimate_comes_with_the_run() -> None:
    options = Lagrangian(estimate=True)
    solver = characteristics(SA, icosphere(4), STANDARD.density, 4.0, options=options, comm=Alone())
    run(solver, 4.0)
    assert solver.origin.error is not None
    found = solver.origin.error().errors
    true = float(np.max(np.abs(mean(solver) - known(4.0).mean)))
    assert true / 30.0 < found["mean"] < 30.0 * true
    assert found["mean"] >= abs(solver.initial_mass_error) > 0.0
    assert sorted(found) == ["energy_scaled", "mean"]


@pytest.mark.filterwarnings("ignore::meanfield.errors.MeanfieldWarning")
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_estimate_of_few_points_is_right_or_none(level: int) -> None:
    """Half of them may be as many: a run says nothing about its own error."""
    options = Lagrangian(estimate=True)
    solver = characteristics(
        SA, icosphere(level), STANDARD.density, 2.0, options=options, comm=Alone()
    )
    run(solver, 2.0)
    assert level < 3 or solver.origin.error is not None
    if solver.origin.error is None:
        return
    finer = from_chart(5000, 2.0)
    true = float(np.max(np.abs(mean(solver) - mean(finer))))
    assert true / 30.0 < solver.origin.error().errors["mean"] < 30.0 * true


def test_estimate_is_no_less_than_the_mass_that_is_missed() -> None:
    """So few cells that half as many points are the same ones."""
    law = VonMisesFisher((0.0, 0.0, 1.0), 300.0)
    solver = characteristics(
        SA, icosphere(3), law.density, 0.2, options=Lagrangian(estimate=True), comm=Alone()
    )
    run(solver, 0.2)
    assert solver.origin.error is not None
    missed = abs(solver.initial_mass_error)
    assert missed > 1e-2 and min(solver.origin.error().errors.values()) >= missed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_estimate_can_be_trusted(seed: int) -> None:
    """Within a factor 30 of the true error of the mean, in random laws."""
    law, end = law_of(np.random.default_rng(seed)), (2.0, 4.0, 8.0)[seed % 3]
    solver = characteristics(
        SA, icosphere(4), law.density, end, options=Lagrangian(estimate=True), comm=Alone()
    )
    run(solver, end)
    assert solver.origin.error is not None
    found = solver.origin.error().errors["mean"]
    finer = from_chart(25_000, end, law.density, accuracy=1e-8)
    true = float(np.max(np.abs(mean(solver) - mean(finer))))
    assert true / 30.0 < found < 30.0 * true + 1e-9
