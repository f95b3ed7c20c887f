"""Figures of sweeps show the numbers of the table, at legible scales; slopes are those fitted."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from pictures import assert_fit_to_print, shown
from scipy import stats
from sweeps import ensemble, sweep_table

from meanfield.figures import make_figures
from meanfield.figures.sweepslopes import fitted_slope
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.sweeptable import Axis, SweepTable

TIMES = np.linspace(0.0, 12.0, 25)
BETAS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
TITLE = "Tokens on spheres, softmax, n = 16: a title of sixty letters"


def axis(key: str, *values: object) -> Axis:
    return Axis((key,), tuple((value,) for value in values))


def table(axes: tuple[Axis, ...], realisations: int = 12, **about: object) -> SweepTable:
    """Two tokens of each point come together at t = 1 + i/4, in one realisation after another."""
    count = math.prod(len(one.values) for one in axes)
    lag = np.linspace(-0.9, 0.9, realisations)[:, None]
    rows = [1.0 - np.exp(np.minimum(-4.0 * (TIMES - 1.0 - i / 4 + lag), 0.0) - 5.0 *
            (TIMES >= 1.0 + i / 4 - lag)) for i in range(count)]  # fmt: skip
    return sweep_table(axes, TIMES, {"inner_product": rows}, 0.01, title=TITLE, **about)


def drawn(path: Path, made: SweepTable) -> dict[str, Path]:
    run = RunFolder.create(path)
    run.write_run({"meanfield": "0", "kind": "sweep"})
    made.write(run)
    return {one.stem: one for one in make_figures(run)}


def texts(figure: Figure) -> str:
    """Footnotes, too."""
    return " ".join(text.get_text() for text in (*shown(figure), *figure.texts)) + str(
        figure.get_supxlabel()
    )


def test_all_figures_of_a_real_ensemble_are_fit_to_print(
    tmp_path: Path, figures: list[Figure]
) -> None:
    axes = (axis("geometry.d", 2, 32), axis("model.beta", *BETAS))
    made = [ensemble(16, d, beta, 24, TIMES) for d in (2, 32) for beta in BETAS]
    columns = {name: [one[name] for one in made] for name in made[0]}
    theory = [None] * 6 + [5.0 + 0.1 * k for k in range(6)]
    paths = drawn(tmp_path / "run", sweep_table(axes, TIMES, columns, title=TITLE, theory=theory))
    assert list(paths) == ["sweep_map", "sweep_bands", "sweep_slopes"]
    for figure, path in zip(figures, paths.values(), strict=True):
        assert_fit_to_print(figure, path, TITLE)
    assert len(figures[1].axes) == 3 * 6


def test_map_has_the_probabilities_in_their_places(tmp_path: Path, figures: list[Figure]) -> None:
    made = table(
        (axis("model.beta", 3.0, 1.0, 2.0, 5.0, 4.0), axis("geometry.d", 2, 8)),
        theory=[None if k % 2 == 0 else 1.5 + k / 4 for k in range(10)],
    )
    drawn(tmp_path / "run", made)
    *panels, _ = figures[0].axes
    assert [ax.get_title() for ax in panels] == ["$d = 2$", "$d = 8$"]
    order = np.array([1, 2, 0, 4, 3])  # of beta, ascending
    for k, ax in enumerate(panels):
        (mesh,) = [one for one in ax.collections if isinstance(one, QuadMesh)]
        found = np.asarray(mesh.get_array()).reshape(5, len(TIMES))
        np.testing.assert_array_equal(found, made.probability[2 * order + k])
        corners = mesh.get_coordinates()
        np.testing.assert_allclose(corners[:, 0, 1], [0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
        np.testing.assert_allclose(corners[0, 1:-1, 0], 0.5 * (TIMES[1:] + TIMES[:-1]))
        assert mesh.get_clim() == (0.0, 1.0)
        half, theory = (np.asarray(line.get_xdata()) for line in ax.lines)
        np.testing.assert_array_equal(half, made.half[2 * order + k])
        assert np.isfinite(half).all() and np.isfinite(theory).all() == (k == 1)
        assert ax.get_xlim() == (0.0, 12.0) and ax.get_ylim() == (0.5, 5.5)
    assert panels[0].get_ylabel() == r"inverse temperature $\beta$"


def test_map_of_many_panels_shows_six_and_says_so(tmp_path: Path, figures: list[Figure]) -> None:
    axes = (axis("geometry.d", *range(2, 9)), axis("model.kappa", *np.geomspace(0.01, 1.0, 8)))
    made = table(axes)
    made.probability[0] = math.nan  # of a point that has failed: grey
    drawn(tmp_path / "run", made)
    *panels, _ = figures[0].axes
    assert len(panels) == 6 and "6 of 7 panels" in texts(figures[0])
    assert [panels[k].get_title() for k in (0, -1)] == ["$d = 2$", "$d = 8$"]
    assert all(ax.get_yscale() == "log" for ax in panels)
    (mesh,) = [one for one in panels[0].collections if isinstance(one, QuadMesh)]
    assert np.ma.getmaskarray(mesh.get_array()).reshape(8, -1).all(axis=1).tolist() == [
        True, *[False] * 7
    ]  # fmt: skip


def test_no_map_where_there_is_none(tmp_path: Path) -> None:
    few = table((axis("model.beta", 1.0, 2.0, 3.0, 4.0),))
    words = table((axis("model.attention", "sa", "usa"),))
    fields = table((axis("model.beta", *BETAS),))
    fields = dataclasses.replace(
        fields, probability=np.full_like(fields.probability, math.nan), half=fields.half * math.nan
    )
    point = table(())
    found = [drawn(tmp_path / str(k), one) for k, one in enumerate((few, words, fields, point))]
    assert [list(one) for one in found] == [
        ["sweep_bands", "sweep_slopes"],
        ["sweep_bands"],
        ["sweep_bands", "sweep_slopes"],
        ["sweep_bands"],
    ]


def test_bands_are_the_quantiles(tmp_path: Path, figures: list[Figure]) -> None:
    made = table((axis("model.beta", *BETAS), axis("geometry.d", 2, 8)))
    drawn(tmp_path / "run", made)
    figure = figures[1]
    assert len(figure.axes) == 6 and "6 of 12 points" in texts(figure)
    column = made.columns["inner_product"]
    for k, ax in enumerate(figure.axes):
        point = 2 * k + 1
        assert ax.get_title() == rf"$\beta = {BETAS[k]:g}$, $d = 8$"
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), column.quantiles[point, 2])
        for band, (low, high) in zip(ax.collections, ((0, 4), (1, 3)), strict=True):
            heights = band.get_paths()[0].vertices[:, 1]
            assert heights.min() == column.quantiles[point, low].min()
            assert heights.max() == column.quantiles[point, high].max()


def test_logarithmic_times_are_told_without_a_crowd(tmp_path: Path, figures: list[Figure]) -> None:
    made = table((axis("model.beta", *BETAS),))
    times = np.concatenate([[0.0], np.geomspace(0.1, 1000.0, len(TIMES) - 1)])
    paths = drawn(tmp_path / "run", dataclasses.replace(made, times=times))
    for figure, path in zip(figures[:2], list(paths.values())[:2], strict=True):
        assert_fit_to_print(figure, path, TITLE)
        ax = figure.axes[-2]
        assert ax.get_xscale() == "symlog" and ax.get_xlim() == (0.0, 1000.0)


def test_without_quantiles_there_are_means(tmp_path: Path, figures: list[Figure]) -> None:
    made = table(())
    column = made.columns["inner_product"]
    plain = dataclasses.replace(column, quantiles=np.full_like(column.quantiles, math.nan))
    drawn(tmp_path / "run", dataclasses.replace(made, columns={"w": plain}))
    (ax,) = figures[0].axes
    assert ax.get_ylabel() == "w" and "mean ± error" in texts(figures[0])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), column.mean[0])


def test_one_realisation_has_no_bands_to_tell_of(tmp_path: Path, figures: list[Figure]) -> None:
    paths = drawn(tmp_path / "run", table((axis("model.beta", *BETAS),), realisations=1))
    assert "1 realisation a point" in texts(figures[1]) and "median" not in texts(figures[1])
    for figure, path in zip(figures, paths.values(), strict=True):
        assert_fit_to_print(figure, path, TITLE)


# ------------------------------------------------------------------ slopes


def power_law(rng: np.random.Generator, m: int, noise: float) -> tuple[Array, Array]:
    x = np.geomspace(0.1, 10.0, m)
    return x, 3.0 * x**-0.75 * np.exp(noise * rng.standard_normal(m))


def test_slope_is_that_of_least_squares() -> None:
    x, y = power_law(np.random.default_rng(0), 9, 0.1)
    fit = fitted_slope(x, y, np.full(9, math.nan))
    assert fit is not None
    line = stats.linregress(np.log(x), np.log(y))
    half = float(stats.t.ppf(0.975, 7)) * line.stderr
    assert fit == pytest.approx((line.slope, half, line.intercept), rel=1e-12)
    # Relative errors that are all the same change nothing.
    assert fitted_slope(x, y, 0.2 * y) == pytest.approx(fit, rel=1e-12)
    # A number that is hardly known counts for nothing.
    y[0] *= 50.0
    heavy = fitted_slope(x, y, np.where(np.arange(9) == 0, 1e6, 1e-3) * y)
    rest = fitted_slope(x[1:], y[1:], 1e-3 * y[1:])
    assert heavy is not None and rest is not None
    assert heavy.value == pytest.approx(rest.value, rel=1e-9)
    assert fitted_slope(x[:2], y[:2], y[:2]) is None


def test_confidence_intervals_cover_in_95_of_100() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(1000):
        x, y = power_law(rng, 6, 0.2)
        fit = fitted_slope(x, y, 0.2 * y)
        assert fit is not None
        covered += abs(fit.value + 0.75) < fit.half_width
    assert covered == pytest.approx(950, abs=3 * math.sqrt(1000 * 0.95 * 0.05))


def test_slopes_are_told_and_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    x = np.geomspace(0.1, 10.0, 4)
    made = table((axis("model.kappa", *x), axis("geometry.d", 2, 8)))
    half = np.stack([2.0 * x**-0.5, 3.0 * x**-0.75], axis=1).ravel()
    drawn(tmp_path / "run", dataclasses.replace(made, half=half, half_error=0.01 * half))
    (ax,) = figures[-1].axes
    assert ax.get_xscale() == ax.get_yscale() == "log"
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told[0].startswith("$d = 2$: slope −0.5000 ±") and told[1].startswith(
        "$d = 8$: slope −0.7500 ±"
    )
    for k, container in enumerate(ax.containers):
        ends = np.array([segment[:, 1] for segment in container[2][0].get_segments()])
        np.testing.assert_allclose(ends, half[k::2, None] * [0.98, 1.02])


def test_axes_are_linear_where_numbers_are_negative(tmp_path: Path, figures: list[Figure]) -> None:
    made = table((axis("model.beta", *BETAS),))
    column = made.columns["inner_product"]
    energy = dataclasses.replace(column, mean=column.mean - 2.0)
    made = dataclasses.replace(
        made, columns={"other": column, "free_energy": energy}, half=made.half * math.nan
    )
    drawn(tmp_path / "run", made)
    (ax,) = figures[-1].axes
    assert ax.get_xscale() == ax.get_yscale() == "linear"
    assert ax.get_ylabel() == "free energy $F$ at the end" and ax.get_legend() is None
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), column.mean[:, -1] - 2.0)


def test_words_of_a_zipped_axis(tmp_path: Path, figures: list[Figure]) -> None:
    zipped = Axis(("model.heads.0.V", "model.beta"), tuple(("$V$", b) for b in BETAS))
    drawn(tmp_path / "run", table((zipped,)))
    assert figures[0].axes[0].get_ylabel() == r"inverse temperature $\beta$, with V"
    assert figures[1].axes[0].get_title() == r"V = \$V\$, $\beta = 0.5$"
