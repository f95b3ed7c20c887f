"""Scenes: what colours come out, that numbers change in place, and what is refused."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.scenes import Look, Stage, opengl, views, why_not
from meanfield.scenes.stage import MARGIN

SIZE = 160


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return mf.Sphere(level=3).build_mesh()


@pytest.fixture
def stage() -> Iterator[Stage]:
    if why_not():
        pytest.skip(why_not())
    with Stage(Look(size=(SIZE, SIZE), limits=(-1.0, 1.0))) as made:
        yield made


def middle(image: Array) -> Array:
    """Mean colour of the innermost pixels, from 0 to 1."""
    half = SIZE // 2
    return np.asarray(image[half - 4 : half + 4, half - 4 : half + 4].mean(axis=(0, 1)) / 255.0)


def coloured(value: float) -> Array:
    return np.array(matplotlib.colormaps["magma"](0.5 * (value + 1.0))[:3])


@pytest.mark.parametrize("value", [-0.8, 0.0, 0.6])
def test_what_faces_the_viewer_has_the_colour_of_the_map(
    stage: Stage, mesh: Mesh, value: float
) -> None:
    stage.density(mesh.points, mesh.cells, np.full(mesh.n_vertices, value))
    for toward in np.eye(3):
        found = middle(stage.image(toward))
        assert np.abs(found - coloured(value)).max() < 0.03
        assert np.all(found <= coloured(value) + 0.005)  # the light makes nothing brighter


def test_shading_stays_soft(stage: Stage, mesh: Mesh) -> None:
    stage.density(mesh.points, mesh.cells, np.full(mesh.n_vertices, 0.6))
    image = stage.image(np.array([0.0, 0.0, 1.0])) / 255.0
    x = np.abs((np.arange(SIZE) + 0.5) / SIZE * 2.0 - 1.0) * MARGIN
    inside = np.hypot(*np.meshgrid(x, x)) < 0.95
    part = image[inside] / coloured(0.6)
    assert 0.86 < part.min() < part.max() < 1.01
    assert part.max() - part.min() > 0.05  # there is a light
    assert np.all(image[~inside & (np.hypot(*np.meshgrid(x, x)) > 1.02)] == 1.0)


def test_triangles_may_be_turned_either_way(stage: Stage, mesh: Mesh) -> None:
    up = np.array([0.0, 0.0, 1.0])
    stage.density(mesh.points, mesh.cells, mesh.points[:, 0])
    image = stage.image(up)
    mixed = mesh.cells.copy()
    mixed[::2] = mixed[::2, ::-1]
    with Stage(stage.look) as other:
        other.density(mesh.points, mixed, mesh.points[:, 0])
        assert np.abs(other.image(up).astype(int) - image).max() < 3


def test_values_change_in_place(stage: Stage, mesh: Mesh) -> None:
    up = np.array([0.0, 0.0, 1.0])
    stage.density(mesh.points, mesh.cells, np.zeros(mesh.n_vertices))
    before, actors = middle(stage.image(up)), len(stage.plotter.actors)
    stage.density(mesh.points, mesh.cells, np.full(mesh.n_vertices, 0.7))
    after = middle(stage.image(up))
    assert len(stage.plotter.actors) == actors
    assert (
        np.abs(before - coloured(0.0)).max() < 0.03 and np.abs(after - coloured(0.7)).max() < 0.03
    )


def test_it_is_seen_from_where_it_is_said_to_be(stage: Stage, mesh: Mesh) -> None:
    """Right is right, up is up: the east half is bright, seen from the south with the pole up."""
    stage.density(mesh.points, mesh.cells, np.sign(mesh.points[:, 0]))
    image = stage.image(np.array([0.0, -1.0, 0.0])).mean(axis=2)
    assert image[SIZE // 2, 3 * SIZE // 4] > image[SIZE // 2, SIZE // 4] + 80.0
    stage.density(mesh.points, mesh.cells, mesh.points[:, 2])
    image = stage.image(np.array([0.0, -1.0, 0.0])).mean(axis=2)
    assert image[SIZE // 4, SIZE // 2] > image[3 * SIZE // 4, SIZE // 2] + 60.0


def test_tokens_have_the_colours_of_their_clusters(stage: Stage) -> None:
    points = views.spread_points(3000)
    stage.tokens(points, np.where(points[:, 2] > 0.0, 1, -1))
    wanted = np.array([int(views.CLUSTER_COLOURS[1][k : k + 2], 16) for k in (1, 3, 5)])
    north, south = stage.image(np.array([0.0, 0.0, 1.0])), stage.image(np.array([0.0, 0.0, -1.0]))
    red = [np.mean(image[:, :, 0].astype(int) - image[:, :, 2] > 60) for image in (north, south)]
    assert red[0] > 0.05 and red[1] < 0.01
    nearest = np.abs(north.astype(int) - wanted).sum(axis=2).min()
    assert nearest < 30


def test_arrows_lines_and_a_curve_are_drawn(stage: Stage, mesh: Mesh) -> None:
    plain = np.zeros(mesh.n_vertices)
    stage.density(mesh.points, mesh.cells, plain)
    toward = np.array([1.0, 0.0, 0.0])
    images = [stage.image(toward)]
    stage.graticule()
    images.append(stage.image(toward))
    stage.rings(np.array([[1.0, 0.0, 0.0]]))
    images.append(stage.image(toward))
    stage.arrows(mesh.points, np.cross([0.0, 0.0, 1.0], mesh.points))
    images.append(stage.image(toward))
    for before, after in itertools.pairwise(images):
        assert np.mean(np.any(before != after, axis=2)) > 0.002
    stage.arrows(mesh.points, np.zeros_like(mesh.points))  # at rest: none
    assert np.array_equal(stage.image(toward), images[2])


def test_a_tube_is_highest_where_the_density_is() -> None:
    if why_not():
        pytest.skip(why_not())
    angle = np.linspace(-np.pi, np.pi, 200, endpoint=False)
    with Stage(Look(size=(SIZE, SIZE), limits=(-1.0, 1.0))) as stage:
        stage.curve(np.stack([np.cos(angle), np.sin(angle)], 1), np.cos(angle))
        image = stage.image(np.array([0.0, -1.0, 0.0]))  # x to the right
    drawn, scale = image.min(axis=2) < 250, 0.5 * SIZE / 1.48

    def top(x: float) -> int:
        column = round(0.5 * SIZE + scale * x)
        return int(np.argmax(drawn[:, column - 1 : column + 1].any(axis=1)))

    # From 0 to 0.9 above the floor, half of that in the middle of the image; plus the tube.
    for x, height in ((1.0, 0.9), (0.0, 0.45), (-1.0, 0.0)):
        assert abs(top(x) - (0.5 * SIZE - scale * (height - 0.45 + 0.035))) < 2.0


def test_the_window_is_chosen_for_the_time_being(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VTK_DEFAULT_OPENGL_WINDOW", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with opengl.off_screen():
        assert os.environ["VTK_DEFAULT_OPENGL_WINDOW"] == "vtkEGLRenderWindow"
    assert "VTK_DEFAULT_OPENGL_WINDOW" not in os.environ
    monkeypatch.setenv("DISPLAY", ":7")
    with opengl.off_screen():
        assert "VTK_DEFAULT_OPENGL_WINDOW" not in os.environ


def test_where_vtk_crashes_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A probe that comes to a violent end stands for a machine without OpenGL."""
    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(opengl.probe, "__file__", str(crash))
    why_not.cache_clear()
    try:
        assert "OpenGL renders nothing" in why_not()
        with pytest.raises(InputError, match="no scene in three dimensions: OpenGL"):
            Stage(Look())
    finally:
        why_not.cache_clear()


def test_looks_that_are_refused() -> None:
    for wrong, words in (
        ({"cmap": "magna"}, "found 'magna'.*did you mean 'magma'"),
        ({"limits": (1.0, 0.0)}, r"limits: found \(1.0, 0.0\)"),
        ({"camera": (0.0, 0.0, 0.0)}, "camera: found"),
        ({"size": (4, 400)}, "size: found"),
        ({"size": (400.5, 400)}, "size: found"),
        ({"camera": (0.0, "a", 0.0)}, "camera: found"),
        ({"style": "drak"}, "style: found 'drak', expected 'light' or 'dark' .did you mean 'dark'"),
    ):
        with pytest.raises(InputError, match=words):
            Look(**wrong)  # type: ignore[arg-type]
