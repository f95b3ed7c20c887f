"""The figure of a sweep over two parameters: its numbers in their places, fit to print."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from pictures import assert_fit_to_print
from sweeps import sweep_table

from meanfield.figures import make_figures
from meanfield.figures.sweepplane import has_plane
from meanfield.figures.sweepreading import point_label
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import Axis, SweepTable

NUMBERS, FACTORS = (64, 8, 16, 32), (0.5, 1.0, 1.5, 2.0, 2.5)
AXES = (
    Axis(("solver.number",), tuple((n,) for n in NUMBERS)),
    Axis(("geometry.d",), ((2,), (8,))),
    Axis(("model.beta.factor",), tuple((f,) for f in FACTORS)),
)
TITLE = "Tokens of two parameters"


def table(meets: bool, **about: object) -> SweepTable:
    """Two tokens meet at 1 + log2(n) factor / 4, or end at cos(that / 6)."""
    times = np.linspace(0.0, 8.0, 33) if meets else np.array([0.0, 1.0])
    rows = []
    for n in NUMBERS:
        for d in (2, 8):
            for factor in FACTORS:
                at = 1.0 + math.log2(n) * factor / 4 + d / 100
                row = 1.0 * (times >= at) if meets else np.array([0.0, math.cos(at / 6)])
                rows.append(row[None])
    return sweep_table(AXES, times, {"inner_product": rows}, 0.01, title=TITLE, **about)


def drawn(folder: Path, made: SweepTable, figures: list[Figure]) -> tuple[Figure, Path]:
    run = RunFolder.create(folder)
    run.write_run({"meanfield": "0", "kind": "sweep"})
    made.write(run)
    paths = [path.stem for path in make_figures(run)]
    at = paths.index("sweep_plane")
    return figures[at], run.figure("sweep_plane.png")


def expected(values: np.ndarray) -> np.ndarray:
    """(factor, n) at d = 8, n ascending."""
    return values.reshape(4, 2, 5)[[1, 2, 3, 0], 1].T


def test_half_times_in_their_places(tmp_path: Path, figures: list[Figure]) -> None:
    made = table(True)
    figure, path = drawn(tmp_path / "run", made, figures)
    assert_fit_to_print(figure, path, TITLE)
    ax, bar = figure.axes
    (mesh,) = [one for one in ax.collections if isinstance(one, QuadMesh)]
    found = np.ma.asarray(mesh.get_array()).reshape(5, 4)
    np.testing.assert_allclose(found.filled(np.nan), expected(made.half))
    assert "number of tokens" in ax.get_xlabel() and "gamma" in ax.get_ylabel()
    assert "1/2" in bar.get_ylabel() and ax.get_xscale() == "log"
    assert "d = 8" in str(figure.get_supxlabel())


def test_ends_with_their_contours_and_theory(tmp_path: Path, figures: list[Figure]) -> None:
    made = table(False)
    end = made.columns["inner_product"].mean[:, -1]
    made = table(False, theory_end=[float(value) for value in end])
    figure, path = drawn(tmp_path / "run", made, figures)
    assert_fit_to_print(figure, path, TITLE)
    (mesh,) = [one for one in figure.axes[0].collections if isinstance(one, QuadMesh)]
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(5, 4), expected(end))
    assert "dashed: theory" in str(figure.get_supxlabel())


@pytest.mark.parametrize("axes", [AXES[:2], AXES[2:]], ids=["few places", "one axis"])
def test_no_plane_without_two_axes(axes: tuple[Axis, ...], tmp_path: Path) -> None:
    count = math.prod(len(one.values) for one in axes)
    rows = [np.array([[0.0, k / count]]) for k in range(count)]
    run = RunFolder.create(tmp_path / "run")
    sweep_table(axes, np.array([0.0, 1.0]), {"inner_product": rows}).write(run)
    assert not has_plane(run)


def test_tables_are_told_by_their_values() -> None:
    matrix = {"ensemble": "ginibre", "seed": 3, "scale": 0.0884}
    values = {"model.heads.0.V": matrix, "model.beta.factor": 1.5}
    assert point_label(values) == r"V = ginibre, 3, 0.0884, $\gamma = 1.5$"
