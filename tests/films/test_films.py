"""Films: what is in the files, that colours mean the same at all times, and what is refused."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import InputError
from meanfield.figures.reel import open_density, open_tokens
from meanfield.films import Film, film
from meanfield.geometry.mesh import Mesh, circle, icosphere
from meanfield.geometry.sphere import Array, normalize
from meanfield.results.folder import RunFolder
from meanfield.results.formats.vtkhdf.fields import FieldWriter
from meanfield.results.formats.vtkhdf.tokens import TokenWriter
from meanfield.scenes import Look, why_not

SPHERE = icosphere(3)
SMALL = Film(frames=5, fps=10.0, size=(320, 180), look=Look(limits=(-1.0, 1.0)))


def folder(path: Path) -> RunFolder:
    run = RunFolder.create(path)
    run.case_path.write_text('title = "A film"\n', encoding="utf-8")
    run.write_run({"meanfield": "0"})
    return run


def run_with(path: Path, mesh: Mesh, value: Callable[[float], Array]) -> Path:
    """A folder with log10 of the density at t = 0, 1, 4, and an energy."""
    run = folder(path)
    with run.series(("t", "energy_scaled")) as series:
        for t in np.linspace(0.0, 4.0, 9):
            series.write({"t": t, "energy_scaled": 0.1 + 0.02 * t})
    with FieldWriter(run.fields_path, mesh, names={"log10_rho": 1}) as file:
        for t in (0.0, 1.0, 4.0):
            file.write(t, {"log10_rho": value(t)})
    return run.path


@pytest.fixture
def bumps(tmp_path: Path) -> Path:
    """East is 0.5 always; west goes from -0.5 to 0.7."""
    east = SPHERE.points[:, 0] > 0.0
    return run_with(tmp_path / "bumps", SPHERE, lambda t: np.where(east, 0.5, -0.5 + 0.3 * t))


def needs_opengl() -> None:
    if why_not():
        pytest.skip(why_not())


def frames_of(path: Path) -> tuple[dict[str, object], list[Array]]:
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    width, height = about["size"]
    return about, [np.frombuffer(f, np.uint8).reshape(height, width, 3) for f in reader]


@pytest.mark.parametrize("ending", [".mp4", ".gif"])
def test_frames_rate_and_colours_are_as_asked(bumps: Path, tmp_path: Path, ending: str) -> None:
    """Seen from the east nothing changes, from the west the colour follows log rho."""
    needs_opengl()
    look = Look(limits=(-1.0, 1.0), camera=(1.0, 0.0, 0.0))
    path = tmp_path / f"film{ending}"
    made = film(bumps, path, replace(SMALL, look=look), progress=False)
    assert made == path and not list(tmp_path.glob("*.tmp"))
    about, frames = frames_of(path)
    assert (about["size"], about["fps"], len(frames)) == ((320, 180), 10.0, 5)
    colour = matplotlib.colormaps["magma"]
    # Two frames between 0 and 1, two between 1 and 4; the middle of each sphere, off the lines.
    for frame, t in zip(frames, (0.0, 0.5, 1.0, 2.5, 4.0), strict=True):
        left, right = (_disc(frame, side) / 255.0 for side in (0, 1))
        for found, value in ((left, 0.5), (right, -0.5 + 0.3 * t)):
            assert np.abs(found - np.array(colour(0.5 * (value + 1.0))[:3])).max() < 0.05


def _disc(frame: Array, side: int) -> Array:
    """Median colour in the middle of one of two spheres, which fill what the scale leaves."""
    room = 0.87 * 320.0
    size = 2 * (int(180 * (1.0 - 0.09 - 0.24)) // 2)
    gap = (room - 2 * size) / 3
    column = int(gap + side * (size + gap) + 0.5 * size)
    row = int(180 * 0.09 + 0.5 * 180 * 0.67)
    return np.asarray(np.median(frame[row - 9 : row + 9, column - 9 : column + 9], axis=(0, 1)))


def test_between_outputs_the_log_density_is_linear(bumps: Path) -> None:
    reel = open_density(RunFolder.open(bumps))
    east = SPHERE.points[:, 0] > 0.0
    for t in (0.0, 0.25, 1.0, 3.0, 4.0):
        values = reel.at(t)
        np.testing.assert_allclose(values[~east], -0.5 + 0.3 * t, atol=1e-6)
        np.testing.assert_allclose(values[east], 0.5, atol=1e-6)


def tokens_run(path: Path) -> Path:
    """Forty tokens on a parallel, turning by a tenth of a right angle a unit of time."""
    run = folder(path)
    with TokenWriter(run.particles_path, 3, 40, masses=np.full(40, 1.0 / 40)) as file:
        for t in (0.0, 2.0, 4.0):
            a = np.arange(40) * np.pi / 20 + 0.05 * np.pi * t
            x = normalize(np.stack([np.cos(a), np.sin(a), np.full(40, 0.3)], axis=1))
            file.write(t, x, np.zeros(40, dtype=np.int64), np.zeros((40, 3)))
    return run.path


def test_tokens_on_a_circle_are_filmed_from_above(tmp_path: Path) -> None:
    run = folder(tmp_path / "tokens")
    with TokenWriter(run.particles_path, 2, 4, masses=np.full(4, 0.25)) as file:
        for t in (0.0, 1.0):
            a = np.arange(4) * np.pi / 2 + t
            x = np.stack([np.cos(a), np.sin(a)], axis=1)
            file.write(t, x, np.zeros(4, dtype=np.int64), np.zeros((4, 2)))
    options = Film(frames=2, size=(320, 240), energy=False)
    made = film(run.path, tmp_path / "film.mp4", options, progress=False)
    first = frames_of(made)[1][0].astype(int)
    # One circle with nothing in it but its four dots, and no sphere behind it.
    dots = np.argwhere(first[:, :, 2] - first[:, :, 0] > 80)
    assert len(dots) > 20
    middle = 0.5 * (dots.min(axis=0) + dots.max(axis=0))
    off = np.linalg.norm(dots - middle, axis=1)
    assert off.min() > 0.85 * off.max()
    near = (
        np.abs(np.argwhere(np.ones(first.shape[:2], bool)) - middle).max(axis=1) < 0.5 * off.min()
    )
    assert (first.reshape(-1, 3)[near] > 250).all()
    with pytest.raises(InputError, match="turntable: found for what is filmed in a plane"):
        film(run.path, tmp_path / "other.mp4", Film(turntable=10.0), progress=False)


def test_tokens_stay_on_the_sphere_between_outputs(tmp_path: Path) -> None:
    reel = open_tokens(RunFolder.open(tokens_run(tmp_path / "tokens")))
    x, colours = reel.at(1.0)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=1e-12)
    assert np.arctan2(x[0, 1], x[0, 0]) == pytest.approx(0.05 * np.pi, abs=1e-6)
    assert np.all(colours == 0)


def test_tokens_over_a_density_and_alone(bumps: Path, tmp_path: Path) -> None:
    needs_opengl()
    tokens = tokens_run(tmp_path / "tokens")
    options = replace(SMALL, frames=2, turntable=90.0)
    film(bumps, tmp_path / "plain.mp4", options, progress=False)
    film(bumps, tmp_path / "over.mp4", options, tokens=tokens, progress=False)
    film(tokens, tmp_path / "alone.mp4", replace(options, look=Look()), progress=False)
    plain, over, alone = (
        frames_of(tmp_path / f"{name}.mp4")[1] for name in ("plain", "over", "alone")
    )
    assert np.mean(np.abs(plain[0].astype(int) - over[0]).max(axis=2) > 60) > 0.001
    blue = alone[0][:, :, 2].astype(int) - alone[0][:, :, 0]
    assert np.mean(blue > 60) > 0.001


def test_a_circle_is_filmed_as_a_curve_without_opengl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = circle(60)
    run = run_with(tmp_path / "circle", mesh, lambda t: 0.2 * t * mesh.points[:, 0])
    monkeypatch.setattr("meanfield.scenes.stage.why_not", lambda: "no OpenGL (test)")
    made = mf.film(run, options=replace(SMALL, frames=3, energy=False), progress=False)
    assert made == run / "figures" / "film.mp4"
    frames = frames_of(made)[1]
    assert len(frames) == 3
    assert not np.array_equal(frames[0], frames[2])
    assert mf.film(run, options=replace(SMALL, frames=2), overwrite=True, progress=False) == made
    assert len(frames_of(made)[1]) == 2


def test_what_cannot_be_filmed_is_told_in_a_line(
    bumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.mp4").write_bytes(b"")
    empty = folder(tmp_path / "empty")
    for words, arguments in (
        (r"ending '.avi', expected .mp4 or .gif", (bumps, tmp_path / "film.avi")),
        (r"there.mp4 exists", (bumps, tmp_path / "there.mp4")),
        (r"found no such folder for film.mp4", (bumps, tmp_path / "none" / "film.mp4")),
        (r"found neither fields nor tokens", (empty.path, tmp_path / "film.mp4")),
    ):
        with pytest.raises(InputError, match=words):
            film(*arguments)
    with pytest.raises(InputError, match="found a run of tokens"):
        tokens = tokens_run(tmp_path / "tokens")
        film(tokens, tmp_path / "film.mp4", tokens=tokens)
    for words, options in (
        ("frames: found 1", {"frames": 1}),
        ("fps: found 0", {"fps": 0.0}),
        ("views: found 3", {"views": 3}),
        (r"size: found \(321, 180\), expected even", {"size": (321, 180)}),
        (r"size: found \(10, 10\).* from 160 to 8192", {"size": (10, 10)}),
        ("turntable: found nan", {"turntable": float("nan")}),
    ):
        with pytest.raises(InputError, match=words):
            Film(**options)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    mesh = circle(20)
    run = run_with(tmp_path / "circle", mesh, lambda t: 0.0 * mesh.points[:, 0])
    with pytest.raises(InputError, match=r"pip install imageio imageio-ffmpeg$"):
        film(run, tmp_path / "film.mp4", progress=False)


def test_a_film_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = circle(20)
    run = run_with(tmp_path / "circle", mesh, lambda t: 0.1 * t * mesh.points[:, 0])

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("meanfield.runs.progress.Counted.update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        film(run, tmp_path / "film.mp4", SMALL, progress=False)
    assert not list(tmp_path.glob("film*"))


def test_clusters_of_a_mesh_that_moves_are_where_its_vertices_are(tmp_path: Path) -> None:
    """Three points between the places where the density is sampled: no sample meets them."""
    ends = normalize(np.array([[0.3, 0.4, 0.9], [1.0, -0.2, 0.13], [-0.3, 1.0, -0.33]]))
    nearest = np.argmax(SPHERE.points @ ends.T, axis=1)
    parts = np.array([0.4, 0.35, 0.25])
    mass = parts[nearest] / np.bincount(nearest)[nearest]
    run = folder(tmp_path / "moving")
    with FieldWriter(
        run.fields_path, SPHERE, names={"log10_rho": 1, "mass": 1}, moving=True
    ) as file:
        for t in (0.0, 1.0, 2.0):
            part = 0.9999 * min(t, 1.0)
            x = normalize((1.0 - part) * SPHERE.points + part * ends[nearest])
            there = Mesh("sphere", 3, x, SPHERE.cells)
            values = np.full(len(x), 6.0 * min(t, 1.0))
            file.write(t, {"log10_rho": values, "mass": mass}, there)
    reel = open_density(run)
    for t in (1.0, 1.5, 2.0):
        found = reel.gathered(t)
        np.testing.assert_allclose(found.centres, ends, atol=1e-3)
        np.testing.assert_allclose(found.dots, 6.0, atol=1e-6)
        there = reel.fields.at(2)
        held = there.read("mass", 2)
        inside = there.points @ found.centres.T > np.cos(0.1)
        np.testing.assert_allclose(held @ inside, parts, atol=1e-6)
    assert not len(reel.gathered(0.0).centres)
    (low, high), front = reel.seen()
    assert -2.0 <= low <= 0.0 and 2.5 <= high <= 3.5  # all in one of 642: 2.8
    assert np.abs(ends @ front).min() > 0.2


def test_what_a_film_has_no_use_for_is_refused(bumps: Path, tmp_path: Path) -> None:
    mesh = circle(20)
    run = run_with(tmp_path / "circle", mesh, lambda t: 0.0 * mesh.points[:, 0])
    for name, options in (
        ("camera", Film(look=Look(camera=(1.0, 0.0, 0.0)))),
        ("turntable", Film(turntable=20.0)),
        ("views", Film(views=1)),
    ):
        with pytest.raises(InputError, match=f"{name}: found for what is filmed in a plane"):
            film(run, tmp_path / "film.mp4", options, progress=False)
    tokens = tokens_run(tmp_path / "tokens")
    for name, look in (("cmap", Look(cmap="viridis")), ("limits", Look(limits=(-1.0, 1.0)))):
        with pytest.raises(InputError, match=f"{name}: found for tokens"):
            film(tokens, tmp_path / "film.mp4", Film(look=look), progress=False)
    with pytest.raises(InputError) as told:
        film(bumps, tmp_path / "film.avi")
    assert str(told.value).endswith("expected .mp4 or .gif")


def test_spheres_without_opengl_are_refused_before_ffmpeg_begins(
    bumps: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    module = sys.modules["meanfield.films.film"]  # of which the package has a function
    monkeypatch.setattr(module, "why_not", lambda: "no OpenGL (test)")
    with pytest.raises(InputError, match=r"no OpenGL \(test\).*meanfield plot.*meanfield paraview"):
        film(bumps, tmp_path / "film.mp4", SMALL, progress=False)
    monkeypatch.undo()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_frames", lambda *_: map(interrupted, [0]))
    monkeypatch.setattr(module, "why_not", lambda: "")
    monkeypatch.setattr(contextlib, "closing", contextlib.nullcontext)
    with pytest.raises(KeyboardInterrupt):
        film(bumps, tmp_path / "film.mp4", SMALL, progress=False)
    assert "No frames" not in "".join(capfd.readouterr())
    assert not list(tmp_path.glob("film*"))


def test_the_scale_tells_what_is_grey(bumps: Path) -> None:
    reel = open_density(RunFolder.open(bumps))
    assert reel.extremes() == pytest.approx((-0.5, 0.7), abs=1e-6)
