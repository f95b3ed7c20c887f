"""A sweep over schemes of normalisation, with the curves of equiangular tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.analysis.equiangular import Equiangular, equiangular_curve, equiangular_time
from meanfield.case.normalisation import Pre, Sandwich
from meanfield.case.shortform import short_form
from meanfield.figures import make_figures
from meanfield.figures import sweepcurves as drawing
from meanfield.results.sweeptable import SweepTable
from meanfield.studies.sweep.axes import parse_range
from meanfield.studies.sweepcurves import curves_of, scheme_times

CASE = Path(__file__).parents[2] / "scripts" / "cases" / "normalisation.toml"
SCHEMES = ("post", "pre", "sandwich")
SMALL = ["solver.number=16", "geometry.d=2048", "time.end=6.0", "time.outputs={every=1.0}"]


def _case(*changes: str) -> mf.Case:
    return mf.Case.from_toml(CASE, [*SMALL, *changes])


def test_tokens_of_each_scheme_follow_its_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, values = parse_range("model.normalisation=" + ",".join(SCHEMES))
    options = mf.SweepOptions(changes=SMALL, progress=False)
    mf.sweep(CASE, {key: values}, tmp_path / "sweep", seeds=2, options=options)
    table = SweepTable.read(tmp_path / "sweep")
    mean = table.columns["mean_inner_product"].mean
    curves = np.array(table.about["curves"])
    assert curves.shape == mean.shape == (3, 7)
    # Not quite orthogonal at t = 0: 1/sqrt(d) = 0.02.
    np.testing.assert_allclose(mean, curves, atol=0.04)
    assert curves[1, -1] < 0.7 < 0.99 < curves[0, -1] < curves[2, -1]
    pictures = {path.name for path in make_figures(mf.RunFolder.open(tmp_path / "sweep"))}
    assert "sweep_curves.png" in pictures
    kept: list[Figure] = []
    monkeypatch.setattr(drawing, "save", lambda figure, path: kept.append(figure) or path)
    drawing.plot_curves(mf.RunFolder.open(tmp_path / "sweep"))
    (ax,) = kept[0].axes
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines]
    np.testing.assert_array_equal(lines[::2], mean)
    np.testing.assert_array_equal(lines[1::2], curves)
    assert json.dumps([text.get_text() for text in ax.get_legend().get_texts()]).count("norm") == 3


def test_equiangular_tokens_have_curves_from_their_cosine() -> None:
    start = ['initial={type="uniform"}', "solver.tokens=equiangular", "solver.cosine=0.25"]
    case = _case(*start, "model.normalisation=sandwich")
    tokens = Equiangular(16, 3.0, gamma=0.25)
    (curve,) = curves_of([case])
    want = equiangular_curve(case.output_times(), tokens, Sandwich()).gamma
    np.testing.assert_allclose(curve, want)
    x = mf.run(case, progress=False).solver.x
    np.testing.assert_allclose((x @ x.T)[np.triu_indices(16, 1)], want[-1], atol=1e-6)
    assert scheme_times([case], 0.1) == [pytest.approx(equiangular_time(0.9, tokens, Sandwich()))]
    assert scheme_times([case], 0.9) == [None]
    simplex = _case(*start[:2], "solver.cosine=-0.06666666666666667")
    assert curves_of([simplex]) == [None]


def test_post_that_is_written_has_its_closed_forms() -> None:
    for changes in ([], ["model.normalisation.gain=2.0"]):
        model = _case('model.normalisation={type="post"}', *changes).model
        assert (short_form(model) == ("sa", 3.0, 1)) == (not changes)


def test_what_is_known_of_a_case() -> None:
    pre, tokens = _case(), Equiangular(16, 3.0)
    (curve,) = curves_of([pre])
    np.testing.assert_allclose(curve, equiangular_curve(pre.output_times(), tokens, Pre()).gamma)
    assert scheme_times([pre], 0.1) == [pytest.approx(equiangular_time(0.9, tokens, Pre()))]
    assert scheme_times([_case("model.normalisation=post")], 0.1) != [None]
    length = 'model.normalisation={type="pre",length={type="uniform",low=0.5,high=1.0}}'
    for change in (length, "geometry.d=8", "model.value=-1"):  # whose lengths reach 0
        case = _case(change)
        assert scheme_times([case], 0.1) == curves_of([case]) == [None]
    assert curves_of([_case("model.value=-1", "model.normalisation=post")]) != [None]
