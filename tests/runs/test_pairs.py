"""pairs.csv: of tokens and of densities, and of runs that go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import GEOMETRIES, few_tokens, small
from tokencases import LAYERS

import meanfield as mf
from meanfield.analysis.pairlaw import TokenPairs
from meanfield.results.pairtable import PairTable
from meanfield.runs.tracks.pairs import degree_for

SHORT: dict[str, object] = {"output.pairs": 16, "output.figures": False}


def _table(folder: Path) -> PairTable:
    return PairTable.read(folder / "pairs.csv")


def test_tokens_have_a_row_for_each_of_the_series(tmp_path: Path) -> None:
    result = mf.run(few_tokens(SHORT), tmp_path / "run", progress=False)
    table = _table(tmp_path / "run")
    np.testing.assert_array_equal(table.t, result.series["t"])
    np.testing.assert_array_equal(table.edges, np.linspace(-1.0, 1.0, 17))
    np.testing.assert_allclose(table.shares.sum(axis=1), 1.0, atol=1e-14)
    assert np.all(table.blur == 0.0)
    x = result.solver.x
    np.testing.assert_array_equal(table.shares[-1], TokenPairs(np.ones(len(x)), 16).law(x).shares)
    folder = mf.RunFolder.open(tmp_path / "run")
    assert folder.pairs_path in folder.data_paths()
    assert folder.read_run()["pairs"] == {"number": 50 * 49 // 2, "sampled": False}


@pytest.mark.parametrize("solver", ["tokens", "layers", "lagrangian"])
def test_a_run_that_goes_on_has_the_same_rows(solver: str, tmp_path: Path) -> None:
    if solver == "lagrangian":
        # From the mesh: a chart is laid for the end of the run, which is another one here.
        mesh = {"solver.type": solver, "solver.start": "mesh"}
        case = small({**SHORT, **mesh, "time.end": 0.6, "time.outputs": [0.3]})
    else:
        layers = LAYERS if solver == "layers" else {}
        case = few_tokens({**SHORT, **layers, "time.end": 0.6, "time.outputs": [0.3]})
    mf.run(case, tmp_path / "whole", progress=False)
    half = mf.Case.from_dict({**case.to_dict(), "time": {**case.to_dict()["time"], "end": 0.3}})  # type: ignore[dict-item]
    mf.run(half, tmp_path / "part", progress=False)
    with open(tmp_path / "part" / "pairs.csv", "a", encoding="utf-8") as file:
        file.write("0.35,0")  # what a run that was killed has left behind
    mf.run(case, tmp_path / "part", resume=True, progress=False)
    assert (tmp_path / "whole" / "pairs.csv").read_bytes() == (
        tmp_path / "part" / "pairs.csv"
    ).read_bytes()


@pytest.mark.parametrize("geometry", ["sphere", "circle"])
def test_a_density_and_its_tokens_have_one_law(geometry: str, tmp_path: Path) -> None:
    """Along characteristics, and of the tokens of the same law; the same time."""
    changes = {**GEOMETRIES[geometry], **SHORT, "output.pairs": 8, "solver.type": "lagrangian"}
    end = 1.0 if geometry == "sphere" else 3.0
    case = small({**changes, "model.beta": 2.0, "time.end": end, "time.outputs": [end]})
    mf.run(case, tmp_path / "density", progress=False)
    table = case.to_dict()
    table["solver"] = {"type": "particles", "number": 1500, "tokens": "quantised"}
    table["geometry"] = {"type": "unmeshed", "d": case.geometry.d}
    mf.run(mf.Case.from_dict(table), tmp_path / "tokens", progress=False)
    density, tokens = (_table(tmp_path / kind) for kind in ("density", "tokens"))
    assert density.t[0] == tokens.t[0] == 0.0 and density.t[-1] == tokens.t[-1] == end
    for k in (0, -1):
        np.testing.assert_allclose(density.shares[k], tokens.shares[k], atol=4e-3)
    assert np.abs(density.shares[-1] - density.shares[0]).max() > 0.02


def test_a_fixed_mesh_tells_what_characteristics_do(tmp_path: Path) -> None:
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    found = []
    for solver in ("eulerian", "lagrangian"):
        changes = {**SHORT, "output.pairs": 8, "solver.type": solver, "geometry.level": 4}
        case = small({**changes, "model.beta": 2.0, "time.end": 0.5, "time.outputs": [0.5]})
        mf.run(case, tmp_path / solver, progress=False)
        found.append(_table(tmp_path / solver))
    for k in (0, -1):
        np.testing.assert_allclose(found[0].shares[k], found[1].shares[k], atol=2e-3)


def test_the_degree_is_what_bins_need_and_a_mesh_carries() -> None:
    assert degree_for(16, 2) == degree_for(16, 1) == 64
    assert degree_for(16, 2, 2562) == 49 and degree_for(16, 1, 64) == 32
    assert degree_for(1000, 2) == 256 and degree_for(1, 2) == 8


def test_a_single_token_has_no_pairs_to_count() -> None:
    with pytest.raises(mf.InputError, match=r"^output.pairs: pairs found for a single token"):
        mf.run(few_tokens({**SHORT, "solver.number": 1}), progress=False)


def test_a_folder_without_pairs_says_so(tmp_path: Path) -> None:
    with pytest.raises(mf.InputError, match=r"expected a run with output.pairs > 0"):
        _table(tmp_path)
    (tmp_path / "pairs.csv").write_text("t,x\n0,1\n")
    with pytest.raises(mf.InputError, match=r"has the columns t, x, expected shares of pairs"):
        _table(tmp_path)
