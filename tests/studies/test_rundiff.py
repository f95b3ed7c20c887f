"""Two finished runs held against each other: what is known, what is not, what is refused."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from cases import CIRCLE, plain, run

from meanfield import cli
from meanfield.studies.rundiff import compare_runs, difference_table

sphere = plain.but(
    {"geometry.level": 3, "solver.type": "lagrangian"},
    time={"end": 2.0, "outputs": {"every": 0.5}, "series_every": 2},
    output={"precision": "float64", "figures": False},
)
circle = sphere.but({**CIRCLE, "geometry.vertices": 100})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same law by different solvers, on meshes of different fineness."""
    folder = tmp_path_factory.mktemp("runs")
    for name, level, solver in (
        ("euler3", 3, "eulerian"), ("euler4", 4, "eulerian"), ("lagrange", 4, "lagrangian"),
    ):  # fmt: skip
        made = sphere(geometry__level=level, solver__type=solver, time__end=1.0)
        run(made, folder / name)
    run(circle(time__end=1.0), folder / "circle")
    return folder


def test_a_run_is_no_distance_from_itself(runs: Path) -> None:
    for name in ("euler3", "lagrange"):
        for row in compare_runs(runs / name, runs / name, distances=name == "euler3"):
            assert row.l1 < 1e-12 and row.energy == 0.0 and row.mean == 0.0
            if name == "euler3":
                assert row.w2 < 1e-6


def test_the_same_law_on_other_points_is_within_the_error_of_these(tmp_path: Path) -> None:
    """Two values of beta lay different points, which resolve too little to be compared at nodes."""
    made = sphere.but({"geometry.level": 2, "time.end": 0.5})
    for beta in (4.0, 5.0):
        run(made(model__beta=beta), tmp_path / f"beta{beta:g}")
    first = compare_runs(tmp_path / "beta4", tmp_path / "beta5", time=0.0)[0]
    assert not first.nodes and first.l1 < 1e-8
    assert 0.0 < first.w2 < first.w2_error


def test_eulerian_runs_come_closer_to_the_lagrangian_one(runs: Path) -> None:
    coarse = compare_runs(runs / "euler3", runs / "lagrange")
    fine = compare_runs(runs / "euler4", runs / "lagrange", distances=False)
    assert [row.t for row in coarse] == [row.t for row in fine] == [0.0, 0.5, 1.0]
    assert coarse[-1].l1 < 2e-2 and coarse[-1].l1 > 2.5 * fine[-1].l1
    assert abs(coarse[-1].energy) > 2.5 * abs(fine[-1].energy)
    assert coarse[-1].mean > 2.5 * fine[-1].mean
    assert coarse[-1].w2 < 0.06 and math.isnan(fine[-1].w2)


def test_compare_two_runs_on_the_command_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", str(runs / "euler3"), str(runs / "lagrange"), "--no-distances"]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "L1" in shown and "dE e^-|beta|" in shown and "differences.csv" in shown
    with open(tmp_path / "out" / "differences.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    known = compare_runs(runs / "euler3", runs / "lagrange", distances=False)
    assert [float(row["l1"]) for row in rows] == [row.l1 for row in known]
    assert [float(row["energy"]) for row in rows] == [row.energy for row in known]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert cli.main([*words, "-o", str(tmp_path / "out"), "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("second", "message"),
    [("nix", "no such folder"), ("circle", "the same geometry expected")],
)
def test_runs_that_cannot_be_compared(
    runs: Path, second: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", str(runs / "euler3"), str(runs / second)]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_l1_of_densities_that_the_nodes_do_not_see_is_unknown(tmp_path: Path) -> None:
    # Both are nothing at the nodes: L1 was 0, as if they were the same. (Two clusters merge later,
    # when round-off has it.)
    for name, vertices in (("a", 60), ("b", 50)):
        late = circle(geometry__vertices=vertices, time__end=20.0, time__outputs=[1.0])
        run(late, tmp_path / name)
    rows = compare_runs(tmp_path / "a", tmp_path / "b")
    assert [math.isnan(row.l1) for row in rows] == [False, False, True]
    assert rows[1].l1 < 0.05 and rows[-1].w2 < 0.2 and not rows[-1].nodes
    assert difference_table(rows, "E")[-1].split()[1] == "-"


def test_between_moved_vertices_the_history_tells(tmp_path: Path) -> None:
    """The same characteristics on the mesh of the case and on their own: apart by 1e-2 before."""
    moving = plain.but(
        {"geometry.level": 3, "solver.type": "lagrangian"},
        time={"end": 1.0, "outputs": []},
        output={"figures": False, "precision": "float64"},
    )
    run(moving(), tmp_path / "moving")
    run(moving(output__mesh="fixed"), tmp_path / "fixed")
    rows = compare_runs(tmp_path / "moving", tmp_path / "fixed", distances=False)
    assert [row.t for row in rows] == [0.0, 1.0]
    assert all(row.l1 < 1e-4 for row in rows)
