"""Figures show the data at the right places, legibly, and need no display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from drawnruns import COLUMNS, MESHES, assert_texts_do_not_overlap, density, make_run, shown
from matplotlib.figure import Figure
from numpy.typing import NDArray
from parameters import slow_but
from PIL import Image
from processes import Job, python
from scipy.integrate import trapezoid
from scipy.spatial import cKDTree

from meanfield.errors import InputError
from meanfield.figures import make_figures
from meanfield.figures.density import plot_density
from meanfield.figures.series import plot_series
from meanfield.figures.style import CLUSTER_COLOURS
from meanfield.figures.tokens import plot_tokens
from meanfield.geometry.mesh import Mesh, icosphere
from meanfield.geometry.sphere import Array, normalize, uniform_points
from meanfield.results.folder import RunFolder
from meanfield.results.formats.vtkhdf.tokens import TokenWriter
from meanfield.scenes import views

# -- files and looks ------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", slow_but([0], list(MESHES)))
def test_both_figures_are_made_small_and_not_blank(tmp_path: Path, geometry: str) -> None:
    run = make_run(tmp_path / "run", MESHES[geometry])
    made = make_figures(run.path)
    names = ["energy.png", "density.png", *(["density-map.png"] if geometry == "sphere" else [])]
    assert made == [run.figures_dir / name for name in names]
    for path in made:
        assert path.stat().st_size < 300_000
        with Image.open(path) as image:
            assert image.mode == "RGB" and min(image.size) > 400
            pixels = np.asarray(image)
        assert (pixels[:, [0, -1]] == 255).all(), "something reaches the edge"
        inked = (pixels < 250).any(axis=2).mean()
        assert inked > (0.3 if geometry == "sphere" and path.stem != "energy" else 0.01)


@pytest.mark.parametrize("geometry", slow_but([1], list(MESHES)))
def test_no_text_overlaps_another_or_leaves_the_figure(
    tmp_path: Path, geometry: str, figures: list[Figure]
) -> None:
    title = (
        "A title with $ and _ of a hundred letters or so, which must go onto two lines: "
        + "β " * 12
    )
    run = make_run(tmp_path / "run", MESHES[geometry], title=title)
    make_figures(run)
    assert len(figures) == (3 if geometry == "sphere" else 2)
    for figure in figures:
        assert_texts_do_not_overlap(figure)
        assert sum(text.get_text().startswith(r"A title with \$") for text in shown(figure)) == 1


def test_no_display_no_pyplot_and_no_trace_in_the_settings(
    tmp_path: Path, start: Callable[..., Job]
) -> None:
    run = make_run(tmp_path / "run", MESHES["sphere"])
    before = dict(matplotlib.rcParams)
    make_figures(run)
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys; from meanfield.figures import make_figures; "
        f"made = make_figures({str(run.path)!r}); "
        # pyvista loads pyplot for its colour maps.
        "assert len(made) == 3 and not sys.modules['matplotlib.pyplot'].get_fignums()"
    )
    done = start(*python("-c", code), DISPLAY="", WAYLAND_DISPLAY="", MPLBACKEND="TkAgg").finish()
    assert done.code == 0, done.said


def test_curves_need_no_vtk(tmp_path: Path, start: Callable[..., Job]) -> None:
    """Neither loaded with the figures nor for what is no sphere: it takes a second."""
    run = make_run(tmp_path / "run", MESHES["circle"])
    code = (
        "import sys; from meanfield.figures import make_figures; "
        f"made = make_figures({str(run.path)!r}); "
        "assert len(made) == 2, made; "
        "assert not any(m.startswith(('vtk', 'pyvista')) for m in sys.modules); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = start(*python("-c", code)).finish()
    assert done.code == 0, done.said


# -- the sphere -----------------------------------------------------------------------------------


def test_panels_show_the_density_where_it_is(
    tmp_path: Path, figures: list[Figure], by_hand: None
) -> None:
    """The value at a pixel of a panel is log10 rho at the point of the sphere behind it."""
    mesh = MESHES["sphere"]
    run = make_run(tmp_path / "run", mesh, times=(0.0, 1.0, 2.0, 3.0))
    plot_density(run)
    axes = [ax for ax in figures[0].axes if ax.images]
    assert len(axes) == 8
    assert [ax.get_title() for ax in axes[:4]] == [f"$t = {t}$" for t in range(4)]
    label = axes[0].texts[0].get_text()
    assert label.startswith("front, seen from")
    written = label.split("(")[1].rstrip(")").replace("\N{MINUS SIGN}", "-")
    toward = normalize(np.array([[float(c) for c in written.split(",")]]))[0]
    for row, direction in enumerate((toward, -toward)):
        up = np.array([0.0, 0.0, 1.0]) - direction[2] * direction
        up /= np.linalg.norm(up)
        right = np.cross(up, direction)
        for t in range(4):
            image = np.asarray(axes[4 * row + t].images[0].get_array())
            n = len(image)
            for u, v in ((0.0, 0.0), (0.5, 0.1), (-0.3, 0.8), (0.6, -0.6), (-0.95, 0.0)):
                column, line = round((u + 1) * n / 2 - 0.5), round((v + 1) * n / 2 - 0.5)
                u, v = (column + 0.5) * 2 / n - 1, (line + 0.5) * 2 / n - 1
                x = u * right + v * up + np.sqrt(1.0 - u**2 - v**2) * direction
                exact = np.log10(density(Mesh("sphere", 3, x[None], np.zeros((0, 3))), t))[0]
                # Level 4 has edges of 0.07: linear interpolation, and two digits of direction.
                assert abs(image[line, column] - exact) < 0.03


def test_rings_are_drawn_and_explained_only_where_needed(
    tmp_path: Path, figures: list[Figure], by_hand: None
) -> None:
    """Each of three clusters has one ring, on one side, in the last panel."""
    plot_density(make_run(tmp_path / "run", icosphere(4), times=(0.0, 12.0)))
    plot_density(make_run(tmp_path / "smooth", icosphere(4), times=(0.0,)))
    panels = [ax for ax in figures[0].axes if ax.images]
    rings = [
        sum(
            line.get_color() == "white"
            and line.get_linewidth() == 0.9
            and np.isfinite(line.get_xdata()).any()
            for line in ax.lines
        )
        for ax in panels
    ]
    assert rings[0] == rings[2] == 0
    assert rings[1] + rings[3] == 3
    # Each with its part of the mass, on the side on which it is; grey is explained, too.
    told = [text.get_text() for ax in panels for text in ax.texts if "%" in text.get_text()]
    assert len(told) == 3 and 85 < sum(int(text.split("\N{THIN SPACE}")[0]) for text in told) < 102
    assert "grey: density below" in figures[0].get_supxlabel()
    assert ["rings" in figure.get_supxlabel() for figure in figures] == [True, False]


def test_colour_range_is_robust() -> None:
    mesh = icosphere(4)
    weights = views.vertex_weights(mesh.points, mesh.cells)

    def colour_range(*rows: Array) -> tuple[float, float]:
        values = np.stack(rows)
        masses = weights * 10.0**values
        return views.colour_range(values, weights, masses / masses.sum(axis=1, keepdims=True))

    smooth = 0.9 * mesh.points[:, 2]
    assert colour_range(smooth) == (-1.0, 1.0)
    assert colour_range(0.0 * smooth) == (0.0, 0.5)  # never empty
    spoiled = smooth.copy()
    spoiled[17] = -300.0  # one empty vertex
    spoiled[99] = 1.4  # and one peak with a hundredth of the mass
    assert colour_range(spoiled) == (-1.0, 1.0)
    clusters = np.log10(density(mesh, 12.0))
    low, high = colour_range(smooth, clusters - 200.0 * (clusters < -2.0))
    assert low == -2.0  # voids are cut
    assert clusters.max() - 0.6 < high < clusters.max() + 0.5  # but not the clusters


def test_rho_alone_serves_as_well(tmp_path: Path, figures: list[Figure], by_hand: None) -> None:
    """Also with zeros, which have no logarithm."""

    def cap(mesh: Mesh, t: float) -> Array:
        return np.where(mesh.points[:, 2] > 0.0, 2.0, 0.0)

    run = make_run(tmp_path / "run", icosphere(3), rho=cap, names=("rho",), times=(0.0, 1.0))
    plot_density(run)
    image = np.asarray(next(ax for ax in figures[0].axes if ax.images).images[0].get_array())
    assert np.isfinite(image).all()
    assert image.max() == pytest.approx(np.log10(2.0))
    assert figures[0].axes[-1].get_ylim() == (-2.0, 0.5)


# -- the choice of times --------------------------------------------------------------------------


def test_the_panels_are_those_times(tmp_path: Path, figures: list[Figure]) -> None:
    run = make_run(tmp_path / "run", MESHES["circle"])
    plot_density(run)
    # Two clusters become one at 10; E = 0.02 + 0.1 / (1 + e^(6 - t)) is in the middle at 6.
    labels = [text.get_text() for text in figures[0].axes[0].get_legend().get_texts()]
    assert labels == ["$t = 0$", "$t = 6$", "$t = 10$", "$t = 12$"]


# -- circle, zonal, series ------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", ["circle", "zonal"])
def test_profiles_are_the_density_over_the_angle(
    tmp_path: Path, geometry: str, figures: list[Figure]
) -> None:
    run = make_run(tmp_path / "run", MESHES[geometry], times=(0.0, 6.0))
    plot_density(run)
    (ax,) = figures[0].axes
    assert ax.get_yscale() == "log"
    curves = [line for line in ax.lines if line.get_label().startswith("$t")]
    low, high = ax.get_xlim()
    assert (low, high) == pytest.approx((0.0 if geometry == "zonal" else -np.pi, np.pi))
    for line, t in zip(curves, (0.0, 6.0), strict=True):
        angle, value = line.get_data()
        assert (np.diff(angle) > 0.0).all()
        assert angle[0] <= low + 1e-12 and angle[-1] >= high - 1e-12  # from border to border
        if geometry == "circle":
            x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            exact = density(Mesh("circle", 2, x, np.zeros((0, 2))), t)
        else:
            exact = density(Mesh("zonal", 8, angle[:, None], np.zeros((0, 2))), t)
        np.testing.assert_allclose(value, exact, rtol=1e-5)


def test_series_curves_are_the_series(tmp_path: Path, figures: list[Figure]) -> None:
    run = make_run(tmp_path / "run", None)
    assert make_figures(run) == [run.figures_dir / "energy.png"]
    series = run.read_series()
    energy, order, clusters = figures[0].axes
    for ax, name in ((energy, "energy_scaled"), (order, "mean_norm"), (clusters, "clusters")):
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), series["t"])
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), series[name])
    # The largest energy there is, at one Dirac: 1 / (2 beta) after scaling, beta = 4.
    assert energy.lines[1].get_ydata()[0] == 0.125
    assert energy.get_ylim()[1] > 0.125


def test_without_an_energy_there_are_the_other_curves(
    tmp_path: Path, figures: list[Figure]
) -> None:
    run = make_run(tmp_path / "run", MESHES["sphere"])
    run.write_run({"meanfield": "0", "energy": None, "convexity": None})
    rows = [line.split(",") for line in run.series_path.read_text("utf-8").splitlines()]
    run.series_path.write_text("".join(f"{','.join([t, *rest])}\n" for t, _, *rest in rows))
    assert [path.name for path in make_figures(run)] == [
        "energy.png", "density.png", "density-map.png",
    ]  # fmt: skip
    order, clusters = figures[0].axes
    series = run.read_series()
    for ax, name in ((order, "mean_norm"), (clusters, "clusters")):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), series[name])
    assert clusters.get_xlabel() and not order.get_xlabel()


@pytest.mark.parametrize(
    ("outputs", "first"),
    [
        ("{ every = 0.1 }", None),
        ("{ geometric = { first = 0.05, number = 9 } }", 0.05),
        pytest.param(  # no decade: nothing is gained
            "{ geometric = { first = 4.0, number = 3 } }", None, marks=pytest.mark.slow
        ),
        pytest.param("[0.0, 0.012, 0.12, 1.2, 12.0]", 0.012, marks=pytest.mark.slow),
        pytest.param("[0.0, 1.0, 2.0, 4.0, 12.0]", None, marks=pytest.mark.slow),
    ],
)
def test_time_is_logarithmic_where_the_outputs_are(
    tmp_path: Path, outputs: str, first: float | None, figures: list[Figure]
) -> None:
    plot_series(make_run(tmp_path / "run", None, outputs=outputs))
    for ax in figures[0].axes:
        assert ax.get_xscale() == ("linear" if first is None else "symlog")
        assert ax.lines[0].get_xdata()[0] == 0.0
        assert ax.lines[0].get_xdata()[-1] == 12.0
        if first is not None:
            # From the first output on, each factor of ten is as long as the next one.
            at = ax.transData.transform(np.column_stack([[first, 0.5, 5.0], np.ones(3)]))[:, 0]
            assert (at[1] - at[0]) / np.log10(0.5 / first) == pytest.approx(at[2] - at[1])
    if first is not None:
        texts = [text.get_text() for text in figures[0].axes[-1].get_xticklabels()]
        assert texts[0] == "$0$" and {"$1$", "$10$"} <= set(texts)


# -- tokens ---------------------------------------------------------------------------------------


def make_token_run(
    path: Path,
    d: int,
    n: int,
    *,
    times: tuple[float, ...] = (0, 1, 2, 3, 4, 6, 8, 10, 12),
    masses: Array | None = None,
    **options: str,
) -> RunFolder:
    """Three clusters of 1/2, 1/3 and 1/6 of the tokens, which gather from all over the sphere."""
    run = make_run(path, None, **options)  # type: ignore[arg-type]
    x, centres, member = gathering(d, n)
    with TokenWriter(run.particles_path, d, n, masses=masses) as writer:
        for t in times:
            x_t = normalize(x + 0.5 * t**2 * centres[member])
            label = member if t > 2 else np.arange(n)
            writer.write(t, x_t, label, np.zeros((n, d)))
    return run


def gathering(d: int, n: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """Tokens at the start, where the clusters will be, and which is whose."""
    rng = np.random.default_rng(n + d)
    centres = uniform_points(3, d, np.random.default_rng(5 * d))
    member = np.searchsorted([n // 2, n // 2 + n // 3], np.arange(n), side="right")
    return uniform_points(n, d, rng), centres, member.astype(np.int64)


TOKEN_RUNS = {"circle": (2, 200), "sphere": (3, 700), "any": (8, 120), "one": (3, 1)}


@pytest.mark.parametrize("kind", slow_but([0, 1], list(TOKEN_RUNS)))
def test_figures_of_tokens(tmp_path: Path, kind: str, figures: list[Figure]) -> None:
    title = (
        "A title with $ and _ of a hundred letters or so, which goes onto two lines: " + "β " * 9
    )
    run = make_token_run(tmp_path / "run", *TOKEN_RUNS[kind], title=title)
    made = make_figures(run.path)
    assert made == [run.figures_dir / "energy.png", run.figures_dir / "particles.png"]
    assert made[1].stat().st_size < 300_000
    with Image.open(made[1]) as image:
        assert image.mode == "RGB" and min(image.size) > 400
        pixels = np.asarray(image)
    assert (pixels[:, [0, -1]] == 255).all(), "something reaches the edge"
    assert (pixels < 250).any(axis=2).mean() > 0.01
    assert_texts_do_not_overlap(figures[1])


def test_a_folder_may_have_fields_and_tokens(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", MESHES["circle"], times=(0.0, 1.0))
    other = make_token_run(tmp_path / "other", 2, 20)
    run.particles_path.write_bytes(other.particles_path.read_bytes())
    names = [path.name for path in make_figures(run)]
    assert names == ["energy.png", "density.png", "particles.png"]


def test_dots_are_where_the_tokens_are(
    tmp_path: Path, figures: list[Figure], by_hand: None
) -> None:
    """Each token is in one of the two views, at its place, in the colour of its cluster."""
    d, n, times = 3, 600, (0.0, 3.0, 6.0, 12.0)
    run = make_token_run(tmp_path / "run", d, n, times=times)
    plot_tokens(run)
    axes = figures[0].axes
    assert [ax.get_title() for ax in axes[:4]] == ["$t = 0$", "$t = 3$", "$t = 6$", "$t = 12$"]
    label = axes[0].texts[0].get_text()
    written = label.split("(")[1].rstrip(")").replace("\N{MINUS SIGN}", "-")
    toward = normalize(np.array([[float(c) for c in written.split(",")]]))[0]
    x, centres, member = gathering(d, n)
    # The largest has the first colour; at the start tokens belong to no cluster.
    colours = [matplotlib.colors.to_rgb(colour) for colour in CLUSTER_COLOURS[:3]]
    for k, t in enumerate(times):
        x_t = normalize(x + 0.5 * t**2 * centres[member])
        count = 0
        for ax, direction in ((axes[k], toward), (axes[4 + k], -toward)):
            local = x_t @ views.frame_towards(direction).T
            for dots in ax.collections:
                places = np.asarray(dots.get_offsets())
                count += len(places)
                colour = tuple(dots.get_facecolors()[0, :3])
                whose = colours.index(colour) if t > 0 else slice(None)
                assert t > 0 or colour == (0.5, 0.5, 0.5)
                ours = local[member == whose] if t > 0 else local
                ours = ours[ours[:, 2] > -0.02][:, :2]
                # The direction is written with two digits.
                assert cKDTree(ours).query(places)[0].max() < 0.015
        assert count == n


def test_many_tokens_are_thinned_and_that_is_said(
    tmp_path: Path, figures: list[Figure], by_hand: None
) -> None:
    run = make_token_run(tmp_path / "run", 3, 30_000, times=(12.0,))
    plot_tokens(run)
    assert "20000 of 30000 tokens drawn" in figures[0].get_supxlabel().replace("\n", " ")
    drawn = sum(len(dots.get_offsets()) for ax in figures[0].axes for dots in ax.collections)
    assert drawn == 20_000


def test_lines_on_the_circle_follow_the_tokens(tmp_path: Path, figures: list[Figure]) -> None:
    """Angles against time for tokens that turn by 5 pi, out at one border and in at the other."""
    run = make_run(tmp_path / "run", None, outputs="{ geometric = { first = 0.1, number = 9 } }")
    times = np.linspace(0.0, 12.0, 60)
    start = np.array([0.3, -2.0, 3.0])
    turn = 5.0 * np.pi * times / 12.0
    with TokenWriter(run.particles_path, 2, 3, precision="float64") as writer:
        for t, by in zip(times, turn, strict=True):
            x = np.stack([np.cos(start + by), np.sin(start + by)], axis=1)
            writer.write(t, x, np.array([0, 0, 1]), 0.0 * x)
    plot_tokens(run)
    (ax,) = figures[0].axes
    assert ax.get_xscale() == "symlog"
    assert ax.get_ylim() == pytest.approx((-np.pi, np.pi))
    lines = [line for part in ax.collections for line in part.get_segments()]
    for angle in start:
        exact = angle + turn
        near = np.zeros(60, dtype=int)
        for line in lines:
            np.testing.assert_array_equal(line[:, 0], times)
            turns = (line[:, 1] - exact) / (2.0 * np.pi)
            if np.abs(turns - np.round(turns[0])).max() < 1e-6:
                near += np.abs(line[:, 1]) < np.pi
        # At every time the token is on exactly one visible line.
        assert (near == 1).all()
    # Two thirds of the mass end with the first colour, one third with the second.
    texts = [(text.get_text(), text.get_color()) for text in ax.texts]
    assert texts == [
        ("67\N{THIN SPACE}%", CLUSTER_COLOURS[0]), ("33\N{THIN SPACE}%", CLUSTER_COLOURS[1])
    ]  # fmt: skip


def test_a_single_step_on_the_circle_is_dots(tmp_path: Path, figures: list[Figure]) -> None:
    run = make_token_run(tmp_path / "run", 2, 50, times=(1.0,))
    plot_tokens(run)
    (dots,) = figures[0].axes[0].collections
    x, centres, member = gathering(2, 50)
    x = normalize(x + 0.5 * centres[member])
    angles = np.sort(np.arctan2(x[:, 1], x[:, 0]))
    np.testing.assert_allclose(np.sort(dots.get_offsets()[:, 1]), angles, atol=1e-6)


def test_inner_products_are_drawn_as_a_density(tmp_path: Path, figures: list[Figure]) -> None:
    d, n, times = 8, 120, (0.0, 12.0)
    run = make_token_run(tmp_path / "run", d, n, times=times)
    plot_tokens(run)
    (ax,) = figures[0].axes
    assert ax.get_yscale() == "log"
    x, centres, member = gathering(d, n)
    i, j = np.triu_indices(n, 1)
    for patch, t in zip(ax.patches, times, strict=True):
        values, edges, _ = patch.get_data()
        assert patch.get_label() == f"$t = {t:g}$"
        x_t = normalize(x + 0.5 * t**2 * centres[member])
        exact, _ = np.histogram((x_t @ x_t.T)[i, j], edges, density=True)
        np.testing.assert_allclose(values, exact, atol=1e-9)
    s, uniform = ax.lines[0].get_data()
    assert ax.lines[0].get_label() == "uniform"
    assert trapezoid(uniform, s) == pytest.approx(1.0, abs=1e-3)
    assert trapezoid(uniform * s**2, s) == pytest.approx(1.0 / d, abs=1e-3)


# -- incomplete folders ---------------------------------------------------------------------------


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        make_figures(tmp_path / "nowhere")
    run = make_run(tmp_path / "run", None)
    with pytest.raises(InputError, match="no field file"):
        plot_density(run)
    empty = make_run(tmp_path / "empty", MESHES["circle"], times=())
    with pytest.raises(InputError, match="has no steps"):
        plot_density(empty)
    other = make_run(tmp_path / "other", MESHES["circle"], names=("other",))
    with pytest.raises(InputError, match="has no density, only other"):
        plot_density(other)
    for folder in (run, empty, other):
        assert make_figures(folder) == [folder.figures_dir / "energy.png"]
    nothing = make_token_run(tmp_path / "nothing", 3, 5, times=())
    with pytest.raises(InputError, match="has no steps"):
        plot_tokens(nothing)
    single = make_token_run(tmp_path / "single", 8, 1)
    with pytest.raises(InputError, match="single token"):
        plot_tokens(single)
    with pytest.raises(InputError, match="no particle file"):
        plot_tokens(run)
    for folder in (nothing, single):
        assert make_figures(folder) == [folder.figures_dir / "energy.png"]
    other.series_path.write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(InputError, match="has no rows"):
        plot_series(other)
    assert make_figures(other) == []


def test_a_run_that_stopped_at_once_has_its_first_state_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", MESHES["sphere"], times=(0.0,))
    run.series_path.write_text(",".join(COLUMNS) + "\n0,0.02,0.1,0\n")
    assert [path.name for path in make_figures(run)] == [
        "energy.png", "density.png", "density-map.png",
    ]  # fmt: skip


def test_plateaus_of_the_energy_are_underlaid(tmp_path: Path, figures: list[Figure]) -> None:
    run = make_run(tmp_path / "run", None)
    t = np.geomspace(0.1, 1e5, 121)
    energy = 0.02 + 0.03 * (t > 10.0) + 0.05 * (t > 1e3)
    lines = (f"{s:.17g},{e:.17g},0.5,1\n" for s, e in zip(t, energy, strict=True))
    run.series_path.write_text("t,energy_scaled,mean_norm,clusters\n" + "".join(lines))
    make_figures(run)
    (marked,) = figures[0].axes[0].collections
    heights = [segment[0, 1] for segment in marked.get_segments()]  # type: ignore[attr-defined]
    np.testing.assert_allclose(heights, [0.02, 0.05, 0.1], rtol=1e-12)
