"""clusters.csv: what a run leaves of its clusters, with as many as its series counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CIRCLE, ZONAL, Recipe, about, few_tokens, plain, run, small
from tokencases import ANY, KINDS

import meanfield as mf
from meanfield.analysis.clustertable import ClusterTable
from meanfield.errors import InputError
from meanfield.geometry.mesh import circle
from meanfield.geometry.sphere import Array
from meanfield.results.clusters import (
    ClusterReader,
    numbered,
    read_cluster_history,
    read_clusters,
    write_clusters,
)
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, read_fields, read_tokens_file

SOLVERS: dict[str, dict[str, object]] = {
    "explicit": {},
    "noise": {"solver.type": "implicit", "model.kappa": 0.02},
    "moving": {"solver.type": "lagrangian"},
    "from a mesh": {"solver.type": "lagrangian", "solver.start": "mesh"},
}
PLACES: dict[str, dict[str, object]] = {
    "sphere": {"geometry.level": 3},
    "circle": {**CIRCLE, "geometry.vertices": 100},
    "zonal": {**ZONAL, "geometry.vertices": 80},
}
late = plain.but(
    {"model.beta": 9.0},
    time={"end": 4.0, "outputs": {"every": 1.0}, "series_every": 50},
    output={"figures": False},
)


def counted(result: mf.Result, times: Array) -> list[int]:
    """The column of the series at these times."""
    places = [int(np.argmin(np.abs(result.series["t"] - t))) for t in times]
    np.testing.assert_allclose(result.series["t"][places], times, rtol=1e-12)
    return [int(result.series["clusters"][place]) for place in places]


@pytest.mark.filterwarnings("ignore::meanfield.MeanfieldWarning")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_there_are_as_many_as_the_column_counts(solver: str, place: str, tmp_path: Path) -> None:
    case = late({**PLACES[place], **SOLVERS[solver]})
    result = run(case, tmp_path / "run")
    fields = read_fields(tmp_path / "run" / "fields.vtkhdf")
    expected = counted(result, fields.times)
    tables = [read_clusters(tmp_path / "run", t) for t in fields.times]
    assert [len(table) for table in tables] == expected and max(expected) >= 1
    for table in tables:
        assert table.mass.sum() == pytest.approx(1.0 if len(table) else 0.0, abs=1e-12)
        np.testing.assert_allclose(np.linalg.norm(table.centre, axis=1), 1.0, atol=1e-14)
        assert table.centre.shape == (len(table), case.geometry.d)
    if solver == "explicit":
        biggest = result.series["largest_cluster"][-1]
        assert tables[-1].mass[0] == pytest.approx(biggest, rel=1e-3)
    if "lagrangian" in SOLVERS[solver].values():
        told = about(tmp_path / "run")["collapsed_edge"]
        assert told == 1e-3 * result.solver.longest_edge


@pytest.mark.parametrize("kind", ["sphere", "circle", "d = 8", "layers, d = 8"])
def test_those_of_tokens(kind: str, tmp_path: Path) -> None:
    case = few_tokens({**KINDS[kind], "model.beta": 9.0, "time.end": 8.0})
    result = run(case, tmp_path / "run")
    tokens = read_tokens_file(tmp_path / "run" / "particles.vtkhdf")
    tables = [read_clusters(tmp_path / "run", t) for t in tokens.times]
    assert [len(table) for table in tables] == counted(result, tokens.times)
    assert len(tables[-1]) > 1 and tables[-1].mass[0] == pytest.approx(
        result.series["largest_cluster"][-1], abs=1e-14
    )
    x, label = result.solver.x, tokens.read("cluster", -1)
    heaviest = x[label == 0].mean(axis=0)
    heaviest /= np.linalg.norm(heaviest)
    np.testing.assert_allclose(tables[-1].centre[0], heaviest, atol=1e-14)


def vmf(mean: tuple[float, ...], concentration: float, weight: float) -> dict[str, object]:
    law = {"type": "von-mises-fisher", "mean": list(mean), "concentration": concentration}
    return {**law, "weight": weight}


def test_those_of_gaussians(tmp_path: Path) -> None:
    """Points of one Gaussian are of one cluster, whose spread is its width."""
    parts = [vmf((-0.6, 0.0, 0.8), 300.0, 0.6), vmf((0.6, 0.0, 0.8), 200.0, 0.4)]
    case = plain(
        {"geometry.type": "unmeshed", "geometry.d": 3, "model.kappa": 1e-3,
         "initial.type": "mixture", "initial.components": parts, "solver.type": "gaussians",
         "output.figures": False, "output.precision": "float64"},
    )  # fmt: skip
    result = run(case, tmp_path / "run")
    start = read_clusters(tmp_path / "run", 0.0)
    assert start.mass == pytest.approx([0.6, 0.4], abs=1e-12)
    # The variance of the angle is 2 / concentration, and more by this over it, nearly.
    assert start.spread == pytest.approx([math.sqrt(2.0 / 300), math.sqrt(2.0 / 200)], rel=0.01)
    np.testing.assert_allclose(start.centre, [[-0.6, 0.0, 0.8], [0.6, 0.0, 0.8]], atol=1e-3)
    last = read_clusters(tmp_path / "run", 1.0)
    assert len(last) == result.series["clusters"][-1]


def test_those_of_characteristics_on_a_mesh_that_stays(tmp_path: Path) -> None:
    """The file has no masses: they are those of the density at its vertices."""
    changes = {"solver.type": "lagrangian", "geometry.level": 4, "time.end": 1.0}
    for mesh in ("fixed", "moving"):
        run(late({**changes, "model.beta": 4.0, "output.mesh": mesh}), tmp_path / mesh)
    fixed, moving = (read_clusters(tmp_path / mesh, 1.0) for mesh in ("fixed", "moving"))
    assert len(fixed) == len(moving) == 3
    np.testing.assert_allclose(fixed.mass, moving.mass, atol=0.02)
    np.testing.assert_allclose(fixed.centre, moving.centre, atol=0.03)
    np.testing.assert_allclose(fixed.spread, moving.spread, rtol=0.05)


def test_one_that_goes_on_is_written_anew_and_overwriting_deletes_it(tmp_path: Path) -> None:
    case = few_tokens({**ANY, "time.end": 2.0})
    run(case, tmp_path / "whole")
    run(few_tokens({**ANY, "time.end": 1.0}), tmp_path / "parts")
    first = (tmp_path / "parts" / "clusters.csv").read_bytes()
    run(case, tmp_path / "parts", resume=True)
    parts = (tmp_path / "parts" / "clusters.csv").read_bytes()
    assert parts == (tmp_path / "whole" / "clusters.csv").read_bytes()
    assert parts.startswith(first) and len(parts) > len(first)
    assert "clusters.csv" in RunFolder(tmp_path / "parts").files()
    RunFolder.create(tmp_path / "parts", overwrite=True)
    assert not list((tmp_path / "parts").iterdir())


def test_one_that_ends_before_is_no_empty_table(tmp_path: Path) -> None:
    case = few_tokens({**ANY, "time.end": 2.0})
    run(case, tmp_path / "whole")
    whole, last = mf.load(tmp_path / "whole"), read_clusters(tmp_path / "whole", 2.0)
    history = whole.cluster_history()
    path = tmp_path / "whole" / "clusters.csv"
    path.write_text("".join(
        line for line in path.read_text("utf-8").splitlines(keepends=True)
        if line[0] == "t" or float(line.split(",")[0]) <= 1.0
    ), "utf-8")  # fmt: skip
    with pytest.raises(InputError, match=r"no cluster at t = 2, expected the \d+ of the field"):
        read_clusters(tmp_path / "whole", 2.0)
    np.testing.assert_array_equal(whole.clusters(2.0).number, last.number)
    again = whole.cluster_history()
    assert list(again) == list(history) and set(again["t"]) == set(whole.times)
    for name, column in again.items():
        np.testing.assert_allclose(column, history[name], rtol=1e-12)
    np.testing.assert_array_equal(again.to_pandas()["cluster"], history["cluster"])


def test_it_goes_when_a_run_goes_on(tmp_path: Path) -> None:
    run(few_tokens({**ANY, "time.end": 1.0}), tmp_path / "run")

    def dies(solver: Any) -> None:
        raise RuntimeError("killed")

    later = few_tokens({**ANY, "time.end": 2.0})
    with pytest.raises(RuntimeError, match="killed"):
        watch = mf.Watch(dies, mf.AtTimes((1.5,)))
        run(later, tmp_path / "run", resume=True, observers=[watch])
    assert not (tmp_path / "run" / "clusters.csv").exists()
    result = mf.load(tmp_path / "run")
    assert result.times[-1] > 0.9 and set(result.cluster_history()["t"]) == set(result.times)


def test_its_columns(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    run(few_tokens(KINDS["circle"]), tmp_path / "run")
    frame = pandas.read_csv(tmp_path / "run" / "clusters.csv")
    assert list(frame.columns) == ["t", "cluster", "mass", "spread", "ring", "x1", "x2"]
    history = read_cluster_history(tmp_path / "run")
    for name, values in history.items():
        np.testing.assert_allclose(frame[name], values, rtol=1e-15)
    at = read_clusters(tmp_path / "run", 0.5)
    tokens = ClusterReader(read_tokens_file(tmp_path / "run" / "particles.vtkhdf")).at(1)
    for name, values in tokens.columns().items():
        if name != "cluster":
            np.testing.assert_array_equal(at.columns()[name], values)
    assert list(at.to_pandas().columns) == list(frame.columns)


def without(tmp_path: Path, changes: dict[str, object], recipe: Recipe = small) -> Path:
    """A run whose files do not tell its clusters."""
    run(recipe(changes), tmp_path / "run")
    assert not (tmp_path / "run" / "clusters.csv").exists()
    with pytest.raises(InputError, match="expected a run that has ended"):
        read_clusters(tmp_path / "run", 0.0)
    return tmp_path / "run"


def test_where_there_is_none(tmp_path: Path) -> None:
    folder = without(tmp_path, {"geometry.level": 2, "output.fields": ["velocity"]})
    with pytest.raises(InputError, match=r"it holds velocity, expected rho or log10_rho"):
        ClusterReader(read_fields(folder / "fields.vtkhdf"))
    folder = without(tmp_path / "tokens", {**ANY, "output.coordinates": False}, few_tokens)
    with pytest.raises(InputError, match=r"output\.coordinates"):
        ClusterReader(read_tokens_file(folder / "particles.vtkhdf")).at(0)


def test_what_is_asked_for_and_is_not_there(tmp_path: Path) -> None:
    run(few_tokens(), tmp_path / "run")
    with pytest.raises(InputError, match=r"t = 0.6 found.*5 output times.*nearest is 0.5"):
        read_clusters(tmp_path / "run", 0.6)
    assert read_clusters(tmp_path / "run", 0.5 + 1e-12).t == 0.5
    path = tmp_path / "run" / "clusters.csv"
    for text in ("t,cluster\n1,2\n", "", path.read_text("utf-8").replace("5", "x")):
        path.write_text(text, "utf-8")
        with pytest.raises(InputError, match="no table of clusters, or damaged"):
            read_cluster_history(tmp_path / "run")
    with pytest.raises(InputError, match="there is no folder"):
        read_clusters(tmp_path / "nowhere", 0.0)


def test_what_cannot_be_written_loses_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(run: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr("meanfield.runs.records.write_clusters", fails)
    with pytest.warns(mf.MeanfieldWarning, match=r"clusters\.csv could not be written: no room"):
        result = run(few_tokens(), tmp_path / "run")
    assert result.stop_reason == "end"
    assert about(tmp_path / "run")["warnings"] == ["clusters.csv could not be written: no room"]


def test_slices_by_position_have_none(tmp_path: Path) -> None:
    case = plain(
        {"geometry.type": "circle", "geometry.vertices": 40, "model.mask": {"type": "causal"},
         "initial": {"type": "fourier", "cos": [0.2]}, "solver.type": "lagrangian",
         "solver.slices": 4, "time.end": 0.5, "output.figures": False},
    )  # fmt: skip
    run(case, tmp_path / "run")
    assert not (tmp_path / "run" / "clusters.csv").exists()
    with pytest.raises(InputError, match="densities by position, one density expected"):
        ClusterReader(read_fields(tmp_path / "run" / "fields.vtkhdf"))


@dataclass(frozen=True)
class OneStep(FieldSeries):
    """A density on a mesh that stays, at one time."""

    rho: Array = field(default_factory=lambda: np.zeros(0))

    def _at(self, k: int) -> FieldSeries:
        raise NotImplementedError

    def _read(self, name: str, k: int | None) -> Array:
        return self.rho


def test_there_are_none_where_the_density_is_not_known(tmp_path: Path) -> None:
    mesh, rho = circle(8), np.array([8.0, 0, 0, 0, 0, 0, 0, 0])
    given = (tmp_path, np.zeros(1), {"rho": 1}, (), "circle", 2)
    for density, count in ((rho, 1), (np.where(rho > 0.0, np.nan, rho), 0)):
        series = OneStep(*given, mesh.manifold.in_space(mesh.points), mesh.cells, rho=density)
        assert len(ClusterReader(series).at(0)) == count


def test_only_a_run_has_clusters(tmp_path: Path) -> None:
    assert write_clusters(RunFolder(tmp_path)) is None
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ which is which


def state(t: float, member: list[int]) -> tuple[ClusterTable, Array]:
    """A table of equal tokens, sorted by mass as the tables are."""
    of, masses = np.array(member), np.full(len(member), 1.0 / len(member))
    mass = np.bincount(of[of >= 0], minlength=max(member) + 1) / len(member)
    assert np.all(np.diff(mass) <= 0.0)
    zero = np.zeros(len(mass))
    numbers = np.arange(1, len(mass) + 1)
    return ClusterTable(t, np.ones((len(mass), 1)), mass, zero, zero, numbers, of), masses


def test_a_cluster_keeps_its_number() -> None:
    states = [
        state(0.0, [0, 0, 0, 1, 1, 2, -1, -1]),  # 1, 2, 3
        state(1.0, [1, 1, 1, 0, 0, 0, 0, 0]),  # 3 has merged into 2, which is the heaviest now
        state(2.0, [1, 1, 2, 0, 0, 0, 0, 0]),  # one has left 1
        state(3.0, [0, 0, 0, 0, 0, 0, 0, 0]),  # all together, as the heaviest was
    ]
    assert [table.number.tolist() for table in numbered(iter(states))] == [
        [1, 2, 3], [2, 1], [2, 1, 4], [2]
    ]  # fmt: skip
    others = numbered(iter([state(0.0, [0, 0, 1]), state(1.0, [0, 0, 1, 1])]))
    assert [table.number.tolist() for table in others] == [[1, 2], [3, 4]]


def test_numbers_follow_two_clusters_that_pass_in_mass(tmp_path: Path) -> None:
    """On the circle: the cluster at 0 is there first, and stays number 1."""
    case = late({**PLACES["circle"], "model.beta": 20.0, "time.end": 3.0})
    run(case, tmp_path / "run")
    history = read_cluster_history(tmp_path / "run")
    angle = np.arctan2(history["x2"], history["x1"])
    for number in np.unique(history["cluster"]):
        way = np.exp(1j * angle[history["cluster"] == number])
        assert np.abs(np.angle(way / way[0])).max() < 0.3 * math.pi
