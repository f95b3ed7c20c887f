"""Runs from charts: the same numbers on several ranks and after a restart, refusals, records."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import about, run, small
from ranks import on_ranks

import meanfield as mf
from meanfield.case import Circle, Drift, Lagrangian, Model
from meanfield.cli.tables import error_rows
from meanfield.cli.words import mesh_words
from meanfield.collective import Alone, Communicator
from meanfield.dynamics.lagrangian import LagrangianSolver, LagrangianState, characteristics
from meanfield.dynamics.solver import Solver
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import Cap, standard_density
from meanfield.geometry.mesh import Mesh, circle, icosphere
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.contract import AnyInteraction

SA = Attention("sa", 4.0, 3, "sphere", 1)
END = 3.0


def begun(comm: Communicator, **options: Any) -> LagrangianSolver:
    mesh = icosphere(4) if comm.rank == 0 else None
    density = standard_density().density
    return characteristics(SA, mesh, density, END, options=Lagrangian(**options), comm=comm)


def gone(solver: LagrangianSolver, end: float) -> LagrangianSolver:
    while solver.t < end:
        solver.advance(end)
    return solver


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("start", ["chart", "cells"])
def test_ranks_agree(start: str, size: int) -> None:
    """In what integrates; single points near ridges are as good as the transforms (1e-9) leave."""

    def outcome(comm: Communicator) -> tuple[Array, Array, float]:
        solver = gone(begun(comm, start=start), END)
        mean = solver.mass @ solver.positions()
        return np.asarray(mean), solver.mass, solver.energy(scaled=True)

    alone = outcome(Alone())
    for found in on_ranks(size, outcome):
        assert not isinstance(found, Exception), found
        for one, several in zip(alone, found, strict=True):
            np.testing.assert_allclose(several, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("start", ["chart", "cells"])
def test_going_on_is_bitwise(start: str) -> None:
    whole = gone(begun(Alone(), start=start), 1.0)
    state = whole.state()
    gone(whole, END)
    again = begun(Alone(), start=start)
    again.restore(state)
    gone(again, END)
    assert again.step == whole.step
    np.testing.assert_array_equal(again.positions(), whole.positions())
    # Of log rho, what has come since is added at the end: to the last digit or two.
    np.testing.assert_allclose(again.log_density(), whole.log_density(), rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(again.history.rows(), whole.history.rows())


def nearly_even(x: Array) -> Array:
    return np.asarray(1.0 + 1e-3 * x[:, 2])


@pytest.mark.parametrize("law", ["nearly even", "bumps"])
def test_a_state_tells_what_its_run_had_decided(law: str) -> None:
    """Neither the law, nor the end that points were laid for, is seen again."""
    density = nearly_even if law == "nearly even" else standard_density().density
    options = Lagrangian(estimate=True)
    begin = partial(characteristics, SA, icosphere(3), options=options, comm=Alone())
    whole = gone(begin(density, 1.0), 0.5)
    state = whole.state()
    assert state is not None
    state = LagrangianState.from_values(state.values())
    again = begin(lambda x: np.ones(len(x)), 3.0, restored=True)
    again.restore(state)
    assert (again.origin.kind, again.origin.end) == ("chart", 1.0)
    assert again.origin.time == whole.origin.time
    assert again.options.moments_accuracy == whole.options.moments_accuracy
    assert again.interaction.harmonics is not None and whole.interaction.harmonics is not None
    assert again.interaction.harmonics.degree == whole.interaction.harmonics.degree
    assert again.longest_edge == whole.longest_edge
    assert again.balanced_degree == whole.balanced_degree
    np.testing.assert_array_equal(again.weights, whole.weights)
    for solver in (whole, again):
        gone(solver, 1.0)
    assert again.step == whole.step
    np.testing.assert_array_equal(again.positions(), whole.positions())
    np.testing.assert_array_equal(again.history.rows(), whole.history.rows())


charted = small.but({"geometry.level": 3, "solver.type": "lagrangian", "time.end": 1.0})


def test_records_tell_where_points_start_and_how_wrong_it_is(tmp_path: Path) -> None:
    run(charted(solver__estimate=True), tmp_path / "chart")
    data = about(tmp_path / "chart")
    assert data["start"] == "chart" and data["points"] == data["mesh"]["vertices"]
    assert data["chart_time"] == pytest.approx(0.7)
    found = data["estimated_error"]
    assert 0.0 < found["mean"] < 1e-3 and 0.0 <= found["energy_scaled"] < 1e-3
    ((name, text),) = error_rows(data, "E")
    assert name == "error" and text.startswith(f"about mean {found['mean']:.1e}, E ")
    run(charted(solver__start="mesh"), tmp_path / "mesh")
    data = about(tmp_path / "mesh")
    assert data["start"] == "mesh" and "chart_time" not in data and "estimated_error" not in data


def test_vertices_that_have_been_placed_are_kept(tmp_path: Path) -> None:
    """A graded mesh is one for its places; the words of a run tell which points there are."""
    short = charted.but({"time": {"end": 0.1, "outputs": {"every": 0.1}}})
    graded = short(geometry__factor=4.0)
    assert "graded by 4, lagrangian" in mesh_words(graded)
    run(graded, tmp_path / "graded")
    assert about(tmp_path / "graded")["start"] == "mesh"
    run(short(geometry__factor=4.0, solver__start="chart"), tmp_path / "chart")
    assert about(tmp_path / "chart")["start"] == "chart"
    assert "642 points, from a chart if there is one, lagrangian" in mesh_words(charted())
    assert "642 vertices" in mesh_words(charted(model__mask="causal"))
    with pytest.raises(InputError, match=r"solver\.estimate: found true with geometry\.factor"):
        charted(geometry__factor=4.0, solver__estimate=True)


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("chart", r"the points \(a rule at t = [\d.]+\) give"),
        ("cells", r"the points \(cells at t = [\d.]+\) give"),
        ("mesh", "the mesh gives"),
    ],
)
def test_what_does_not_resolve_a_law_is_told(start: str, told: str) -> None:
    law = {"type": "von-mises-fisher", "mean": [0.0, 0.6, 0.8], "concentration": 300.0}
    case = charted(initial=law, solver__start=start, time={"end": 0.01, "outputs": []})
    with pytest.warns(MeanfieldWarning, match=f"^{told} the initial law a mass of "):
        run(case)


def test_going_on_to_a_later_end(tmp_path: Path) -> None:
    """The points stay, and what is told of them; of a run of others no error is estimated."""
    recipe = charted.but({"solver.estimate": True, "geometry.level": 2})
    run(recipe(time__end=0.5), tmp_path / "run")
    first = about(tmp_path / "run")
    assert first["estimated_error"]["mean"] > 0.0
    with pytest.warns(MeanfieldWarning) as told:
        result = run(recipe(time__end=1.0), tmp_path / "run", resume=True)
    texts = [str(text.message) for text in told]
    assert any("laid for time.end = 0.5: at 1 the mean is 4 to 11 times" in t for t in texts)
    assert any("no estimate of the error" in t and "begin a new run" in t for t in texts)
    data = about(tmp_path / "run")
    same = ("start", "chart_time", "points", "mesh", "balanced_degree", "harmonic_degree")
    assert {name: data[name] for name in same} == {name: first[name] for name in same}
    assert data["points"] == result.solver.n
    assert data["estimated_error"] == {"mean": "nan", "energy_scaled": "nan"}
    assert error_rows(data, "E") == [("error", "not estimated (see the warnings)")]


def test_going_on_to_the_same_end_estimates_its_error(tmp_path: Path) -> None:
    recipe = charted.but({"solver.estimate": True, "geometry.level": 2})

    def stop(solver: Solver) -> str | None:
        return "enough" if solver.t > 0.3 else None

    run(recipe(), tmp_path / "parts", observers=[mf.Watch(stop, mf.EverySteps(1))])
    assert "estimated_error" not in about(tmp_path / "parts")
    run(recipe(), tmp_path / "parts", resume=True)
    run(recipe(), tmp_path / "whole")
    parts, whole = (about(tmp_path / name)["estimated_error"] for name in ("parts", "whole"))
    assert parts == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver__start": "chart", "model__mask": "causal"}, "slices of positions"),
        ({"solver__start": "cells", "model__normalisation": "pre-ln"}, "normalisation"),
        ({"solver__estimate": True, "solver__start": "mesh"}, "solver.estimate: found true"),
        ({"solver__start": "grid"}, "solver.start"),
    ],
)
def test_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        charted(**changes)
    assert "\n" not in str(refused.value)


def even(x: Array) -> Array:
    return np.ones(len(x))


def ramp(x: Array) -> Array:
    return np.asarray(1.0 + 0.5 * x[:, 0])


CAP = Cap((0.6, 0.0, 0.8), 0.3)
CURVE = Attention("sa", 4.0, 2, "circle", 1)
DRIFT = Model(drift=Drift(matrix=((1.0, 0.0), (0.0, -1.0)))).on(Circle(vertices=40))


@pytest.mark.parametrize(
    ("interaction", "mesh", "density", "end", "why"),
    [
        (SA.direct(), icosphere(2), standard_density().density, 1.0, r"no chart: .*direct sums"),
        (DRIFT, circle(40), even, 1.0, "no chart: the field of .* not made by the points"),
        (CURVE, circle(5), even, 1.0, "no chart: 5 points are fewer than the 8"),
        (CURVE, circle(40), even, 0.0, "no chart: the run ends at t = 0, where it begins"),
        (SA, icosphere(3), CAP.density, 1.0, "no chart: the mesh misses less of the mass of this"),
        (CURVE, circle(12), ramp, 1.0, "1/2 of the points .*: 6 points are fewer"),
        (SA, icosphere(1), standard_density().density, 1.0, "21 points would be one of"),
    ],
)
def test_why_there_is_no_estimate(
    interaction: AnyInteraction, mesh: Mesh, density: Callable[[Any], Array], end: float, why: str
) -> None:
    def begin(**options: Any) -> LagrangianSolver:
        return characteristics(
            interaction, mesh, density, end, options=Lagrangian(**options), comm=Alone()
        )

    with pytest.warns(MeanfieldWarning, match="^solver.estimate: no estimate, as .*" + why):
        solver = begin(estimate=True)
    assert solver.origin.error is None
    assert (solver.origin.kind == "mesh") == why.startswith("no chart")
    if why.startswith("no chart") and density != CAP.density:
        with pytest.raises(InputError) as refused:
            begin(start="chart")
        assert re.search(why.replace("no chart: ", 'found "chart", but .*'), str(refused.value))


@pytest.mark.parametrize(
    ("curve", "mesh", "start"),
    [
        (False, icosphere(1), "chart"),
        (False, icosphere(2), "chart"),  # 162, and 216 of the coarsest cells: 36 in each of six
        (False, icosphere(3), "cells"),
        (True, circle(100), "cells"),
        (True, circle(16), "cells"),
        (True, circle(15), "chart"),
    ],
)
def test_few_points_start_from_a_rule(curve: bool, mesh: Mesh, start: str) -> None:
    """Cells have no fewer nodes than the coarsest of them, and never more than wanted."""
    options = Lagrangian(start="cells")
    solver = characteristics(CURVE if curve else SA, mesh, ramp, 2.0, options=options, comm=Alone())
    assert solver.origin.kind == start
    assert start == "chart" or solver.n <= mesh.n_vertices


@pytest.mark.parametrize("start", ["chart", "cells"])
def test_few_points(start: str) -> None:
    """Fewer than direct sums are faster for: the pilot keeps its moments all the same."""
    solver = characteristics(
        CURVE if start == "chart" else SA,
        circle(100) if start == "chart" else icosphere(3),
        ramp,
        2.0,
        options=Lagrangian(start=start),
        comm=Alone(),
    )
    gone(solver, 2.0)
    assert solver.origin.kind == start and solver.n <= 642
    assert solver.mass.sum() == pytest.approx(1.0, abs=1e-14)
    assert abs(solver.initial_mass_error) < 1e-3
