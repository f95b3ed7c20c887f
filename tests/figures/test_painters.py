"""Views of the sphere by scenes and by matplotlib: the same picture, at both sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from meanfield.figures import globe
from meanfield.figures.density import plot_density
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import Array, normalize
from meanfield.results.folder import RunFolder
from meanfield.results.formats.vtkhdf.fields import FieldWriter
from meanfield.scenes import views, why_not
from meanfield.scenes.stage import MARGIN

MESH = icosphere(4)


def drawn(size: float, dpi: int, toward: Array, what: str) -> Array:
    """Pixels of one view without its margins, from 0 to 1."""
    figure = Figure(figsize=(size, size), dpi=dpi)
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    places = normalize(np.array([[1.0, -0.4, 0.6], [0.0, 0.0, -1.0]]))
    rho = 0.02 + np.exp(12.0 * (MESH.points @ places.T - 1.0)) @ [8.0, 2.0]
    mass = views.vertex_weights(MESH.points, MESH.cells) * rho
    shown = globe.Densities.of(
        MESH.points, MESH.cells, np.log10(rho)[None], (mass / mass.sum())[None]
    )
    if what == "density":
        with globe.painter(shown.norm) as by:
            shown.draw(by, [ax], toward)
    else:
        rng = np.random.default_rng(1)
        x = normalize(rng.standard_normal((800, 3)) + np.array([1.0, 0.0, 0.0]))
        equal, colour = np.full(800, 1.0 / 800), (x[:, 1] > 0.0).astype(np.int64)
        with globe.painter() as by:
            globe.draw_tokens(by, ax, x, equal, colour, toward, x[:1])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3] / 255.0


def both(size: float, dpi: int, what: str, by_hand: Callable[[], None]) -> tuple[Array, Array]:
    toward = normalize(np.array([[0.9, -0.6, 0.3]]))[0]
    rendered = drawn(size, dpi, toward, what)
    by_hand()
    return rendered, drawn(size, dpi, toward, what)


def radii(n: int) -> Array:
    """Distances from the middle of a view of n pixels a side, in radii of the disc."""
    x = (np.arange(n) + 0.5) * 2.0 * MARGIN / n - MARGIN
    return np.hypot(*np.meshgrid(x, x))


@pytest.mark.parametrize(("size", "dpi"), [(1.5, 150), (6.0, 200)])
def test_both_ways_show_the_same_density(
    size: float, dpi: int, request: pytest.FixtureRequest
) -> None:
    """Within what soft light and other thin lines change."""
    if why_not():
        pytest.skip(why_not())
    rendered, flat = both(size, dpi, "density", lambda: request.getfixturevalue("by_hand"))
    n = round(size * dpi)
    assert rendered.shape == flat.shape == (n, n, 3)
    inside = radii(n) < 0.98
    difference = np.abs(rendered - flat)[inside].mean()
    assert difference < 0.03
    # Turned, mirrored or upside down it would be far away.
    for other in (flat[::-1], flat[:, ::-1], flat[::-1, ::-1]):
        assert np.abs(rendered - other)[inside].mean() > 3.0 * difference


def test_both_ways_show_the_same_tokens(request: pytest.FixtureRequest) -> None:
    """In patches of a fifteenth of the view: dots are drawn otherwise, and shaded."""
    if why_not():
        pytest.skip(why_not())
    images = both(1.5, 150, "tokens", lambda: request.getfixturevalue("by_hand"))
    rendered, flat = (im.reshape(15, 15, 15, 15, 3).mean(axis=(1, 3)) for im in images)
    # Which colour there is more of: blue, green and grey, whatever the shade.
    hues = [image - image.mean(axis=2, keepdims=True) for image in (rendered, flat)]
    assert np.corrcoef(hues[0].ravel(), hues[1].ravel())[0, 1] > 0.9
    assert np.corrcoef(hues[0].ravel(), hues[1][:, ::-1].ravel())[0, 1] < 0.5
    inside = radii(15) < 0.9
    assert np.abs(rendered - flat)[inside].mean() < 0.1


def test_a_figure_without_opengl_says_so(
    tmp_path: Path, figures: list[Figure], request: pytest.FixtureRequest
) -> None:
    if why_not():
        pytest.skip(why_not())
    run = RunFolder.create(tmp_path / "run")
    run.write_run({})
    with FieldWriter(run.fields_path, MESH, names={"log10_rho": 1}) as file:
        file.write(0.0, {"log10_rho": 0.5 * MESH.points[:, 0]})
    plot_density(run)
    request.getfixturevalue("by_hand")
    plot_density(run)
    said = [figure.get_supxlabel().replace("\n", " ") for figure in figures]
    assert said == ["", "drawn flat: OpenGL renders nothing off-screen"]
