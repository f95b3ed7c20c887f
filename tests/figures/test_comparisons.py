"""Figures of comparisons show the numbers given, at legible scales, and both clouds alike."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from parameters import slow_but
from pictures import assert_fit_to_print
from scipy.spatial import cKDTree

from meanfield.figures import distances
from meanfield.figures.mathwords import in_mathtext
from meanfield.figures.side_by_side import draw_side_by_side
from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array, normalize, uniform_points
from meanfield.scenes import views

NUMBERS = (250.0, 1000.0, 4000.0)
TIMES = (0.0, 0.5, 1.0, 2.0, 4.0)


def table(
    numbers: tuple[float, ...] = NUMBERS,
    times: tuple[float, ...] = TIMES,
    names: tuple[str, ...] = ("w2",),
    d: int = 3,
) -> list[dict[str, float]]:
    """Distances that are at the floor at first and then grow from it, in no order."""
    rows = []
    for n, t in itertools.product(numbers, times):
        row = {"n": n, "t": t, "replicas": 8.0, "p_value": 0.5}
        for name in names:
            floor = (0.8 if name == "w1" else 1.0) * distances._rate(np.array(n), d)
            ratio = 1.0 + 0.1 * t
            for key, value in (
                (name, floor * ratio), (f"floor_{name}", floor), (f"ratio_{name}", ratio)
            ):  # fmt: skip
                row |= {key: float(value), f"{key}_low": 0.9 * value, f"{key}_high": 1.2 * value}
        rows.append(row)
    return [rows[k] for k in np.random.default_rng(0).permutation(len(rows))]


def bars(ax: Axes) -> Array:
    """Ends of the error bars, (n, 2)."""
    (container,) = ax.containers
    return np.array([segment[:, 1] for segment in container[2][0].get_segments()])


# -- distances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("w2",), ("w1",), ("w2", "w1")])
@pytest.mark.parametrize("title", slow_but([1], ["", "Standard density, sa, beta = 4"]))
def test_against_n(
    tmp_path: Path, names: tuple[str, ...], title: str, figures: list[Figure]
) -> None:
    path = tmp_path / "new" / "n.png"
    assert distances.draw_against_n(path, table(names=names), title=title) == path
    assert_fit_to_print(figures[0], path, title)
    axes = figures[0].axes
    assert len(axes) == 4 * len(names)
    assert [ax.get_title() for ax in axes[:4]] == [f"$t = {t}$" for t in ("0", "0.5", "2", "4")]
    rate = np.sqrt(np.log(NUMBERS) / NUMBERS)
    for row, name in enumerate(names):
        for ax, t in zip(axes[4 * row : 4 * row + 4], (0.0, 0.5, 2.0, 4.0), strict=True):
            assert ax.get_xscale() == ax.get_yscale() == "log"
            floor = (0.8 if name == "w1" else 1.0) * rate
            value = (1.0 + 0.1 * t) * floor
            curves = {line.get_linestyle(): line.get_data() for line in ax.lines}
            np.testing.assert_allclose(curves["-"], (NUMBERS, value))
            np.testing.assert_allclose(curves["--"], (NUMBERS, floor))
            np.testing.assert_allclose(bars(ax), np.stack([0.9 * value, 1.2 * value], 1))
            # The band of the floor.
            (band,) = [part for part in ax.collections if part.get_facecolor().size]
            low, high = band.get_datalim(ax.transData).intervaly
            assert (low, high) == pytest.approx((0.9 * floor[-1], 1.2 * floor[0]))
            # The slope is parallel to a floor that has it.
            n, slope = curves[":"]
            np.testing.assert_allclose(slope, 0.8 * floor[0] / rate[0] * np.sqrt(np.log(n) / n))
        assert axes[4 * row].get_ylabel() == f"$W_{name[1]}$ to the density"


@pytest.mark.parametrize(("d", "exponent"), [(2, -0.5), (4, -1.0 / 3.0), (9, -0.125)])
def test_the_slope_is_that_of_samples(
    tmp_path: Path, d: int, exponent: float, figures: list[Figure]
) -> None:
    path = distances.draw_against_n(tmp_path / "n.png", table(d=d), d=d, times=[1.0])
    (ax,) = figures[0].axes
    assert ax.get_title() == "$t = 1$"
    n, slope = next(line for line in ax.lines if line.get_linestyle() == ":").get_data()
    np.testing.assert_allclose(np.diff(np.log(slope)) / np.diff(np.log(n)), exponent)
    assert_fit_to_print(figures[0], path, "")


@pytest.mark.parametrize("names", [("w2",), ("w2", "w1")])
def test_against_t(tmp_path: Path, names: tuple[str, ...], figures: list[Figure]) -> None:
    path = tmp_path / "t.png"
    assert distances.draw_against_t(path, table(names=names), title="A title") == path
    assert_fit_to_print(figures[0], path, "A title")
    axes = np.reshape(figures[0].axes, (2, len(names)))
    for column, name in enumerate(names):
        upper, lower = axes[:, column]
        assert (upper.get_yscale(), upper.get_xscale()) == ("log", "linear")
        curves = [line for line in upper.lines if line.get_linestyle() == "-"]
        floors = [line for line in upper.lines if line.get_linestyle() == "--"]
        ratios = [line for line in lower.lines if line.get_linestyle() == "-"]
        ratio = 1.0 + 0.1 * np.array(TIMES)
        for n, curve, floor, quotient in zip(NUMBERS, curves, floors, ratios, strict=True):
            least = (0.8 if name == "w1" else 1.0) * np.sqrt(np.log(n) / n)
            np.testing.assert_allclose(curve.get_data(), (TIMES, least * ratio))
            np.testing.assert_allclose(floor.get_data(), (TIMES, np.full(5, least)))
            np.testing.assert_allclose(quotient.get_data(), (TIMES, ratio))
            assert curve.get_color() is not None
            np.testing.assert_array_equal(curve.get_color(), floor.get_color())
            np.testing.assert_array_equal(curve.get_color(), quotient.get_color())
        assert len(upper.collections) == len(lower.collections) == 3  # bands
        assert lower.lines[-1].get_ydata()[0] == 1.0
    texts = [text.get_text() for text in axes[0, -1].get_legend().get_texts()]
    assert texts == ["$n = 250$", "$n = 1000$", "$n = 4000$", "floor"]


def test_time_is_logarithmic_where_the_times_are(tmp_path: Path, figures: list[Figure]) -> None:
    times = (0.0, *np.geomspace(0.01, 8.0, 9).tolist())
    path = distances.draw_against_t(tmp_path / "t.png", table(times=times))
    assert {ax.get_xscale() for ax in figures[0].axes} == {"symlog"}
    assert_fit_to_print(figures[0], path, "")


def test_a_large_ratio_is_on_a_logarithmic_scale(tmp_path: Path, figures: list[Figure]) -> None:
    path = distances.draw_against_t(tmp_path / "t.png", table(times=(0.0, 1.0, 80.0)))
    assert figures[0].axes[1].get_yscale() == "log"
    assert_fit_to_print(figures[0], path, "")


@pytest.mark.parametrize(
    "numbers", slow_but([1], [(100.0,), tuple(100.0 * 2.0**k for k in range(9))])
)
@pytest.mark.parametrize("times", [(0.0,), (1.0, 2.0)])
def test_few_and_many(
    tmp_path: Path, numbers: tuple[float, ...], times: tuple[float, ...], figures: list[Figure]
) -> None:
    rows = table(numbers, times)
    for plot in (distances.draw_against_n, distances.draw_against_t):
        path = plot(tmp_path / "x.png", rows)
        assert_fit_to_print(figures[-1], path, "")


def test_what_is_not_known_is_left_out(tmp_path: Path, figures: list[Figure]) -> None:
    rows = table()
    for row in rows:
        if row["t"] == 0.0:
            row |= {key: float("nan") for key in row if key.startswith("ratio")}
        row |= {"w2_low": float("nan"), "w2_high": float("nan")}
    distances.draw_against_t(tmp_path / "t.png", rows)
    distances.draw_against_n(tmp_path / "n.png", rows)
    low, high = figures[0].axes[1].get_ylim()
    assert 0.7 < low < 1.0 < high < 2.0


def test_rows_that_do_not_do(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    with pytest.raises(ValueError, match="neither 'w2' nor 'w1'"):
        distances.draw_against_n(path, [])
    with pytest.raises(ValueError, match="neither 'w2' nor 'w1'"):
        distances.draw_against_t(path, [{"n": 1.0, "t": 0.0}])
    with pytest.raises(ValueError, match=r"no rows at t = \[3.0\], only at \[0.0, 0.5"):
        distances.draw_against_n(path, table(), times=[1.0, 3.0])
    rows = [{k: v for k, v in row.items() if k != "ratio_w2_low"} for row in table()]
    with pytest.raises(ValueError, match="rows lack ratio_w2_low"):
        distances.draw_against_t(path, rows)
    assert not path.exists()
    distances.draw_against_n(path, rows)  # needs no ratio
    assert path.exists()


# -- side by side ---------------------------------------------------------------------------------

SPHERE = icosphere(4)
CENTRES = normalize(np.array([[0.3, -0.5, 0.8], [1.0, 0.4, 0.1], [0.2, -1.0, -0.1]]))


def clouds_and_densities(back: bool) -> tuple[list[Array], list[Array], list[Array]]:
    """Two times: uniform, and two or three clusters (the last on the far side), with labels."""
    rng = np.random.default_rng(0)
    centres = CENTRES.copy()
    if back:
        centres[2] = -centres[0]
    k = 60.0
    bumps = 2.0 * k * np.exp(k * (SPHERE.points @ centres.T - 1.0)).mean(axis=1)
    member = np.arange(900) % 3
    x = normalize(centres[member] + rng.standard_normal((900, 3)) / np.sqrt(k))
    tokens = [uniform_points(900, 3, rng), x]
    return [np.ones(SPHERE.n_vertices), bumps], tokens, [np.arange(900), member]


@pytest.mark.parametrize("back", [False, True])
def test_globes_side_by_side(
    tmp_path: Path, back: bool, figures: list[Figure], by_hand: None
) -> None:
    """Density above the tokens, both in the same view; the far side if there is something."""
    densities, tokens, labels = clouds_and_densities(back)
    path = tmp_path / "side.png"
    made = draw_side_by_side(
        path, SPHERE, (0.0, 1.5), densities, tokens, clusters=labels, title="A title"
    )
    assert made == path
    assert_fit_to_print(figures[0], path, "A title")
    axes = figures[0].axes[:-1]  # the last is the colour bar
    assert len(axes) == (8 if back else 4)
    assert [ax.get_title() for ax in axes[:2]] == ["$t = 0$", "$t = 1.5$"]
    for pair in range(len(axes) // 4):
        upper, lower = axes[4 * pair : 4 * pair + 2], axes[4 * pair + 2 : 4 * pair + 4]
        label = upper[0].texts[0].get_text()
        assert label.startswith("density, seen from")
        assert lower[0].texts[0].get_text() == "900 particles,\nsame view"
        written = label.split("(")[1].rstrip(")").replace("\N{MINUS SIGN}", "-")
        toward = normalize(np.array([[float(c) for c in written.split(",")]]))[0]
        frame = views.frame_towards(toward)
        # Where the density peaks is where the tokens gather.
        image = np.asarray(upper[1].images[0].get_array())
        line, column = np.unravel_index(np.argmax(image), image.shape)
        place = (np.array([column, line]) + 0.5) * 2.0 / len(image) - 1.0
        dots = np.concatenate([part.get_offsets() for part in lower[1].collections])
        assert np.sum(np.linalg.norm(dots - place, axis=1) < 0.25) > 150
        for ax, x in zip(lower, tokens, strict=True):
            local = x @ frame.T
            local = local[local[:, 2] > 0.02][:, :2]
            dots = np.concatenate([part.get_offsets() for part in ax.collections])
            assert cKDTree(dots).query(local)[0].max() < 0.02
    assert "colours: clusters of more than" in figures[0].get_supxlabel().replace("\n", " ")


def test_tokens_without_clusters_are_of_one_colour(
    tmp_path: Path, figures: list[Figure], by_hand: None
) -> None:
    densities, tokens, _ = clouds_and_densities(False)
    # As one array each, as a study has them.
    draw_side_by_side(
        tmp_path / "side.png", SPHERE, np.array([0.0, 1.5]), np.array(densities), np.array(tokens)
    )
    colours = {
        tuple(part.get_facecolors()[0, :3])
        for ax in figures[0].axes[2:4]
        for part in ax.collections
    }
    assert len(colours) == 1
    assert "colours" not in figures[0].get_supxlabel()


@pytest.mark.parametrize("geometry", ["circle", "zonal"])
def test_profiles_side_by_side(tmp_path: Path, geometry: str, figures: list[Figure]) -> None:
    """Mass per radian: curve and bars both have integral 1 and agree where bars are full."""
    d, n, rng = (2 if geometry == "circle" else 6), 40_000, np.random.default_rng(1)
    x = uniform_points(n, d, rng)
    # Density 1 + x_d, whose samples are uniform points turned over with a probability.
    turned = x * np.where(rng.random(n) < 0.5 * (1.0 + x[:, -1]), 1.0, -1.0)[:, None]
    mesh: Mesh = circle(400) if geometry == "circle" else zonal_interval(400, d)
    last = mesh.embedded()[:, -1]
    path = draw_side_by_side(
        tmp_path / "side.png", mesh, (0.0, 2.0), [np.ones(len(last)), 1.0 + last], [x, turned]
    )
    assert_fit_to_print(figures[0], path, "")
    for ax in figures[0].axes:
        assert ax.get_yscale() == "log"
        (line,) = ax.lines
        (patch,) = ax.patches
        values, edges, _ = patch.get_data()
        angle, curve = line.get_data()
        assert (values * np.diff(edges)).sum() == pytest.approx(1.0)
        centre = 0.5 * (edges[1:] + edges[:-1])
        expected = np.interp(centre, angle, curve)
        assert (expected * np.diff(edges)).sum() == pytest.approx(1.0, abs=2e-3)
        full = expected * np.diff(edges) * n > 400
        assert full.sum() > 20
        # Five standard deviations of 400 in a bin.
        np.testing.assert_allclose(values[full], expected[full], rtol=0.25)
        low, high = ax.get_ylim()
        assert high < 3.0 * values.max() and low < 1.0 / (n * np.diff(edges)[0])


def test_of_many_times_five_are_shown(tmp_path: Path, figures: list[Figure]) -> None:
    times = np.arange(9.0)
    mesh = circle(50)
    x = uniform_points(30, 2, np.random.default_rng(0))
    draw_side_by_side(tmp_path / "side.png", mesh, times, np.ones((9, 50)), [x] * 9)
    titles = [ax.get_title() for ax in figures[0].axes]
    assert titles == [f"$t = {t}$" for t in (0, 2, 4, 6, 8)]
    with pytest.raises(ValueError, match="9 times, 9 densities and 8 clouds"):
        draw_side_by_side(tmp_path / "side.png", mesh, times, np.ones((9, 50)), [x] * 8)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("mesh", [circle(60), zonal_interval(60, 4)])
def test_the_legend_is_not_on_the_title(
    tmp_path: Path, mesh: Mesh, count: int, figures: list[Figure]
) -> None:
    """Boxes of all texts, legend and title among them, at few panels and many."""
    times = [0.0, 0.5, 1.0, 2.0, 3.5][:count]
    rng = np.random.default_rng(0)
    clouds = [uniform_points(300, mesh.d, rng) for _ in times]
    title = "Axially symmetric on S^3, attention without a softmax"
    path = draw_side_by_side(
        tmp_path / "sides.png", mesh, times, [np.ones(mesh.n_vertices)] * count, clouds, title=title
    )
    lines = figures[0].get_suptitle()
    assert lines.replace("\n", " ") == in_mathtext(title)
    assert_fit_to_print(figures[0], path, lines.replace("$S^{3}$", "S^3"))
    (legend,) = figures[0].legends
    renderer = figures[0].canvas.get_renderer()  # type: ignore[attr-defined]
    box = legend.get_window_extent(renderer)
    assert not any(box.overlaps(ax.get_tightbbox(renderer)) for ax in figures[0].axes)
