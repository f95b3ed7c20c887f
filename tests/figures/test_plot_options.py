"""What is asked of pictures is checked where it comes in, and is what the files are."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawnruns import MESHES, assert_texts_do_not_overlap, density, make_run
from matplotlib.figure import Figure
from parameters import slow_but
from PIL import Image

import meanfield as mf
from meanfield.errors import InputError, MeanfieldWarning
from meanfield.figures import FIGURES, PlotOptions, make_figures, plot
from meanfield.figures.options import asked, asking
from meanfield.results.folder import RunFolder

NAMES = ("rho", "log10_rho", "velocity")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"times": []}, "times: the list is empty"),
        ({"times": [1, "a"]}, r"plot.times\[1\]: expected a number, found the text 'a'"),
        ({"what": "velocity"}, 'a list such as ["velocity"], found the text'),
        ({"projection": "gloob"}, "found 'gloob' (did you mean 'globe'?)"),
        ({"cmap": "magna"}, "found 'magna' (did you mean 'magma'?)"),
        ({"limits": [1.0]}, "limits: expected the lowest and the highest"),
        ({"limits": [2, 1]}, "found [2.0, 1.0]"),
        ({"camera": [0, 0, 0]}, "camera: expected three numbers"),
        ({"format": ["jpg"]}, "found 'jpg' (did you mean 'png'?)"),
        ({"format": []}, "expected png, pdf or svg"),
        ({"size": [0.1, 3]}, "1 to 60 each, found [0.1, 3.0]"),
        ({"style": "papper"}, "(did you mean 'paper'?)"),
        ({"outptu": "x"}, "(did you mean 'output'?)"),
    ],
)
def test_bad_options_are_one_line(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        PlotOptions(**given)
    plain = words.replace("\\", "")
    assert plain in str(error.value) and "\n" not in str(error.value)


def test_no_colour_map_is_meant_that_is_not_near() -> None:
    with pytest.raises(InputError, match=r"found 'foo'$"):
        PlotOptions(cmap="foo")


def test_what_is_asked_ends_with_its_block() -> None:
    wanted = PlotOptions(style="talk")
    with asking(wanted):
        assert asked().style == wanted.style == "talk"
    assert asked() == PlotOptions()


def test_names_of_figures(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", MESHES["circle"])
    with pytest.raises(InputError, match=r"found 'spacetme' \(did you mean 'spacetime'\?\)"):
        plot(run.path, "spacetme")
    with pytest.raises(InputError, match="has not what 'velocity' needs, expected one of series"):
        plot(run.path, ["velocity"])
    with pytest.raises(InputError, match="expected the folder of a run"):
        plot(5)
    made = plot(run.path, ["spacetime", "clusters"])
    assert [path.name for path in made] == ["clusters.png", "spacetime.png"] or [
        path.name for path in made
    ] == ["spacetime.png", "clusters.png"]
    assert len({one.name for one in FIGURES}) == len(FIGURES)


def test_formats_have_letters_as_letters(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", MESHES["sphere"], title="Three clusters & more", times=(0, 12))
    wanted = PlotOptions(what=["log-density"], format=["svg", "pdf", "png"])
    made = make_figures(run, wanted)
    assert [path.suffix for path in made] == [".svg", ".pdf", ".png"]
    svg = made[0].read_text("utf-8")
    assert re.search(r"<text[^>]*>Three clusters &amp; more</text>", svg)
    assert "<image" in svg  # what has pixels: one image each, not a path for every cell
    assert svg.count("<path") < 400
    pdf = made[1].read_bytes()
    assert (b"/Font" in pdf and b"/Type0" in pdf) or b"/TrueType" in pdf
    assert b"/Subtype /Image" in pdf
    # All are recorded: they go when the run is made anew.
    assert {f"figures/{path.name}" for path in made} <= run.files()
    again = make_figures(run, wanted)
    assert again[0].read_text("utf-8") == svg  # no date, no random names


def test_size_and_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", MESHES["circle"])
    before = run.files()
    options = PlotOptions(what=["density"], size=(4.0, 3.0), output=str(tmp_path / "out"))
    (path,) = make_figures(run, options)
    assert path == tmp_path / "out" / "density-linear.png"
    with Image.open(path) as image:
        assert image.size == (600, 450)
    assert run.files() == before and not (run.figures_dir / "density-linear.png").exists()


def test_times_limits_and_colours_are_those_asked_for(
    tmp_path: Path, figures: list[Figure]
) -> None:
    run = make_run(tmp_path / "run", MESHES["sphere"])
    options = {"limits": (-3.0, 2.5), "cmap": "cividis", "camera": (0.0, 0.0, 2.0)}
    for projection in ("globe", "mollweide", "equal-area", "flat"):
        wanted = PlotOptions(
            what=["log-density"], times=[1.2, 9.0], projection=projection, **options
        )
        (path,) = make_figures(run, wanted)
        assert path.name == ("density.png" if projection == "globe" else "density-map.png")
        axes = [ax for ax in figures[-1].axes if ax.images]
        assert [ax.get_title() for ax in axes[:2]] == ["$t = 1$", "$t = 8$"]
        assert figures[-1].axes[-1].get_ylim() == (-3.0, 2.5)  # the scale of colours
        if projection != "globe":
            assert axes[0].images[0].get_cmap().name.startswith("cividis")
        if projection == "equal-area":  # the middle shows the pole, where one cluster is
            shown = np.asarray(axes[1].images[0].get_array())
            middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
            assert middle == pytest.approx(np.log10(_at_pole(8.0)), abs=0.1)


def _at_pole(t: float) -> float:
    from meanfield.geometry.mesh import Mesh

    return float(density(Mesh("sphere", 3, np.array([[0.0, 0, 1]]), np.zeros((0, 3))), t)[0])


@pytest.mark.parametrize("style", slow_but([1], ["paper", "talk", "dark"]))
@pytest.mark.parametrize("geometry", slow_but([0], list(MESHES)))
def test_no_text_overlaps_in_any_style_with_one_two_or_six_times(
    tmp_path: Path, geometry: str, style: str, figures: list[Figure]
) -> None:
    run = make_run(tmp_path / "run", MESHES[geometry], title="A title of some forty letters on one")
    able = [one.name for one in FIGURES if one.has(run)]
    assert {"density", "power", "energy", "clusters", "log-density"} <= set(able)
    for times in (None, [3.0], [3.0, 12.0]):
        make_figures(run, PlotOptions(what=able, style=style, times=times))
    for figure in figures:
        assert_texts_do_not_overlap(figure)


def test_styles_differ_as_they_say(tmp_path: Path, figures: list[Figure]) -> None:
    run = make_run(tmp_path / "run", MESHES["circle"])
    sizes = {}
    for style in ("paper", "talk", "dark"):
        (path,) = make_figures(run, PlotOptions(what=["density"], style=style))
        sizes[style] = figures[-1].axes[0].xaxis.label.get_fontsize()
        with Image.open(path) as image:
            corner = np.asarray(image)[0, 0]
        assert (corner < 40).all() if style == "dark" else (corner == 255).all()
    assert sizes["talk"] == pytest.approx(1.3 * sizes["paper"])
    assert sizes["dark"] == sizes["paper"]


def test_a_result_is_plotted_as_its_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", MESHES["circle"])

    class Finished:
        folder = run.path

    assert mf.plot(Finished(), "density") == [run.figures_dir / "density-linear.png"]
    Finished.folder = None
    with pytest.raises(InputError, match="a result that has one"):
        mf.plot(Finished())
    assert isinstance(RunFolder.open(run.path).files(), set)


def test_limits_between_which_there_is_nothing_are_refused(tmp_path: Path) -> None:
    for geometry in ("circle", "sphere"):
        run = make_run(tmp_path / geometry, MESHES[geometry])
        for what in ("log-density", "density"):
            with pytest.raises(InputError, match=r"plot\.limits: found 50 to 60, between which"):
                make_figures(run, PlotOptions(what=[what], limits=(50.0, 60.0)))


def test_a_size_without_room_is_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", MESHES["sphere"])
    with pytest.raises(InputError, match=r"plot\.size: found 3 x 1\.2 inches, expected more"):
        make_figures(run, PlotOptions(what=["globes"], size=(3.0, 1.2)))
    assert not (run.figures_dir / "density.png").exists()


def test_a_cut_axis_says_so(tmp_path: Path, figures: list[Figure]) -> None:
    run = make_run(tmp_path / "run", MESHES["circle"])
    make_figures(run, PlotOptions(what=["log-density", "density"], limits=(-1.0, 0.5)))
    assert all("cut at" in figure.get_supxlabel() for figure in figures)


def test_what_no_picture_has_a_use_for_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "circle", MESHES["circle"])
    asked_for = PlotOptions(what=["log-density"], camera=(1, 0, 0), projection="flat", times=[0.0])
    with pytest.warns(MeanfieldWarning) as told:
        make_figures(run, asked_for)
    assert [str(one.message).split(":")[0] for one in told] == ["plot.projection", "plot.camera"]
    assert "(log-density) has a use for it" in str(told[0].message)
    ball = make_run(tmp_path / "ball", MESHES["sphere"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", MeanfieldWarning)
        make_figures(ball, asked_for)
