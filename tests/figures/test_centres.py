"""The figure of causal tokens on the circle: its centres are those of the tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from pictures import assert_fit_to_print
from processes import ROOT

import meanfield as mf
from meanfield.analysis.centres import renyi_centres
from meanfield.dynamics.tokens import initial_tokens
from meanfield.figures.centres import has_centres, plot_centres
from meanfield.results.folder import RunFolder

PATH = ROOT / "scripts" / "cases" / "centres.toml"
SHORT = {"solver.number": 60, "time.end": 1.0, "output.figures": False}


def test_centres(tmp_path: Path, figures: list[Figure]) -> None:
    case = mf.Case.from_toml(PATH, SHORT)
    mf.run(case, tmp_path / "run", progress=False)
    run = RunFolder.open(tmp_path / "run")
    assert has_centres(run)
    path = plot_centres(run)
    (figure,) = figures
    assert_fit_to_print(figure, path, case.heading)
    x = initial_tokens(case.initial, 60, case.seed)
    centres = x[renyi_centres(x, 0.5)]
    (dots,) = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    found = np.asarray(dots.get_offsets())
    np.testing.assert_allclose(found[:, 0], 0.0)
    np.testing.assert_allclose(found[:, 1], np.arctan2(centres[:, 1], centres[:, 0]), atol=1e-6)
    assert f"{len(centres)} Renyi centres of 60 tokens" in str(figure.get_supxlabel())


def test_no_centres_without_the_mask(tmp_path: Path) -> None:
    case = mf.Case.from_toml(PATH, {**SHORT, "model.mask": {"type": "alibi", "slope": 4.0}})
    mf.run(case, tmp_path / "run", progress=False)
    assert not has_centres(RunFolder.open(tmp_path / "run"))
