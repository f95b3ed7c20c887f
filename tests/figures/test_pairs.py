"""The figure of inner products of pairs: it shows what is in pairs.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import few_tokens
from matplotlib.figure import Figure
from pictures import assert_fit_to_print

import meanfield as mf
from meanfield.figures import make_figures
from meanfield.figures.pairs import plot_pairs
from meanfield.results.folder import RunFolder
from meanfield.results.pairtable import PairTable, PairWriter


def _run(folder: Path, changes: dict[str, object] | None = None) -> RunFolder:
    case = few_tokens({"output.pairs": 32, **(changes or {})})
    mf.run(case, folder, progress=False)
    return RunFolder.open(folder)


@pytest.mark.parametrize("outputs", ["every", "geometric"])
def test_map_and_curves_are_the_shares(outputs: str, tmp_path: Path, figures: list[Figure]) -> None:
    geometric = {"time.outputs": {"geometric": {"first": 0.01, "number": 10}}}
    run = _run(tmp_path / "run", geometric if outputs == "geometric" else None)
    made = make_figures(run)
    assert [path.name for path in made] == ["energy.png", "particles.png", "pairs.png"]
    table = PairTable.read(run.pairs_path)
    density = table.shares * 16.0
    drawn = figures[2]
    assert_fit_to_print(drawn, made[2], "A few tokens")
    over_time, beside, _ = drawn.axes
    values = over_time.collections[0].get_array()
    assert values is not None and values.shape == (32, len(table.t))
    seen = density.T > 1e-4 * density.max()
    np.testing.assert_allclose(np.asarray(values)[seen], density.T[seen], rtol=1e-14)
    assert over_time.get_xscale() == ("symlog" if outputs == "geometric" else "linear")
    curves = [patch.get_data().values for patch in beside.patches]  # type: ignore[attr-defined]
    assert len(curves) == 4
    np.testing.assert_allclose(curves[0], density[0], rtol=1e-14)
    np.testing.assert_allclose(curves[-1], density[-1], rtol=1e-14)


def test_one_time_and_a_smoothed_density(tmp_path: Path, figures: list[Figure]) -> None:
    run = _run(tmp_path / "run")
    writer = PairWriter(run.pairs_path, 4)
    writer.write(0.5, np.array([-1e-4, 0.2001, 0.3, 0.5]), 0.125)
    writer.write(0.5, np.full(4, 0.25), 0.0)  # there is a row of this time
    writer.close()
    path = plot_pairs(run)
    (drawn,) = figures
    assert_fit_to_print(drawn, path, "A few tokens")
    assert drawn.get_supxlabel() == "density smoothed by up to 0.12 rad first"
    (ax,) = drawn.axes
    np.testing.assert_allclose(ax.patches[0].get_data().values[1:], [0.4002, 0.6, 1.0])  # type: ignore[attr-defined]
