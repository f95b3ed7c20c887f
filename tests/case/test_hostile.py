"""Case files that are no case, or one that never ends: one line, exit code 2, and nothing begun."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from cases import all_numbers, few_tokens, plain, small

import meanfield as mf
from meanfield import cli
from meanfield.case.files import read_table

BOM = Path(__file__).parents[1] / "data" / "bom.toml"
TEXT = few_tokens.text()
NINES = "9" * 5000


def refused(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """The line by which the command line refuses a case."""
    folder = path.parent / "out"
    assert cli.main(["run", str(path), "-o", str(folder), *more]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("meanfield: error: ") and err.count("\n") == 1, err
    assert len(err) < 1000 and not folder.exists()
    return err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        (f"{TEXT}\n[{'.'.join('a' * 3000)}]\n", "nested too deeply"),
        (f"number = {NINES}\n{TEXT}", "thousands of digits"),
        (TEXT.replace("end = 2.0", "end = 1e309"), "time.end: .* found inf"),
        (TEXT.replace("end = 2.0", f"end = {NINES[:400]}"), "time.end: .*number"),
        (TEXT.replace("seed = 3", f"seed = {NINES[:400]}"), "seed: .*whole number of 400 digits"),
        (f"{TEXT}\0", "not valid TOML"),
        ("", "is empty"),
        ("# no more than this\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "UTF-8 text"),
        (TEXT.encode("utf-16"), "UTF-8 text"),
        (
            few_tokens.text(title="x" * 100_000),
            "title: expected at most 1000 letters, found 100000",
        ),
        (TEXT.replace("every = 0.5", "every = 1e-300"), "makes 2e.300 outputs"),
        (TEXT.replace("50", '"' + "n" * 10_000 + '"'), "solver.number: .*found the text 'nnn"),
        (few_tokens.text(model__kappa=1e300), "model.kappa: expected a number from 0 to"),
        (few_tokens.text(model__kappa=1.0, solver__dt=1e-300), "solver.dt: .* makes 2e.300 steps"),
    ],
)
def test_a_text_that_is_no_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, words: str
) -> None:
    import re

    path = tmp_path / "case.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert re.search(words, refused(path, capsys))


def test_a_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)  # nobody writes: to open it would wait for ever
    assert "is a pipe or a device" in refused(pipe, capsys)
    assert "is a pipe or a device" in refused(Path("/dev/zero"), capsys, "-o", str(tmp_path / "o"))
    large = tmp_path / "large.toml"
    with large.open("wb") as file:
        file.truncate(1 << 30)  # a hole: takes no room
    assert "has 1074 MB" in refused(large, capsys)
    with pytest.raises(mf.InputError, match="is a folder"):
        read_table(tmp_path)


@pytest.mark.parametrize("value", [NINES, "[" * 5000 + "]" * 5000])
def test_an_override_that_is_no_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    path = few_tokens.write(tmp_path / "case.toml")
    refused(path, capsys, "--set", f"seed={value}")


def test_a_number_from_python_that_fills_the_screen() -> None:
    with pytest.raises(mf.InputError, match="found a whole number of 5000 digits or so"):
        mf.Time(end=10**5000)


def test_a_byte_order_mark_is_no_part_of_a_case() -> None:
    case = mf.Case.from_toml(BOM)
    assert case.title == "base" and case.time.end == 0.5


def test_geometric_times_over_all_doubles() -> None:
    times = mf.Time(end=1e308, outputs=mf.Geometric(first=1e-300, number=5)).output_times()
    assert times == pytest.approx((0.0, 1e-300, 1e-148, 1e4, 1e156, 1e308), rel=1e-12)
    plain_times = mf.Time(end=10.0, outputs=mf.Geometric(first=0.1, number=3)).output_times()
    assert plain_times == (0.0, 0.1, 1.0, 10.0)
    close = mf.Geometric(first=1.0, number=1000)
    with pytest.raises(mf.InputError, match="too close to each other"):
        mf.Time(end=math.nextafter(1.0, 2.0), outputs=close)


def test_an_axis_of_time_names_few_decades() -> None:
    from matplotlib.figure import Figure

    from meanfield.figures.style import drawing, logarithmic_time

    with drawing():
        for first, last in ((1e-300, 1.7e308), (0.1, 1e9), (0.1, 10.0)):
            axes = Figure().subplots()
            logarithmic_time(axes, first, last)
            assert 3 <= len(axes.get_xticks()) <= 20 and len(axes.get_xticks(minor=True)) < 200


# ------------------------------------------------------------------ numbers beyond doubles


@pytest.mark.parametrize("solver", ["particles", "lagrangian", "eulerian"])
def test_energies_beyond_doubles_are_left_out_and_said(tmp_path: Path, solver: str) -> None:
    if solver == "eulerian":
        pytest.importorskip("dolfinx")
    recipe = few_tokens if solver == "particles" else small.but(geometry__level=1)
    changes = {"model.beta": 2000.0, "time.end": 1e-3, "time.outputs": []}
    if solver != "particles":
        changes["solver"] = solver
    with pytest.warns(mf.MeanfieldWarning, match="energies of this interaction are no doubles"):
        result = mf.run(recipe(changes), tmp_path / "run", progress=False)
    assert "energy" not in result.series and "free_energy" not in result.series
    all_numbers(result.series)
    assert np.all(result.series["energy_scaled"] > 0.0)
    assert np.all(result.series["dissipation"] >= 0.0)
    told = [text for text in result.warnings if "energy_scaled = E e^-|beta|" in text]
    assert len(told) == 1


def test_densities_of_collapsed_characteristics_are_capped_and_said(tmp_path: Path) -> None:
    """All has become one point: rho at the vertices is beyond doubles, and nothing between them."""
    case = plain(solver="lagrangian", time__end=2000.0, time__outputs=[], output__figures=False)
    with pytest.warns(mf.MeanfieldWarning, match="does not resolve the density: its integral"):
        result = mf.run(case, tmp_path / "run", progress=False)
    rho = result.series["rho_max"]
    assert np.all(np.isfinite(rho)) and rho[-1] == pytest.approx(math.exp(690.0))
    assert result.series["mass"][-1] == pytest.approx(1.0, abs=1e-12)


def test_a_resolved_density_has_the_mass_that_it_carries() -> None:
    from meanfield.analysis.columns import CharacteristicView

    for geometry, tolerance in (("sphere", 2e-2), ("circle", 1e-3)):
        from cases import GEOMETRIES

        case = plain(GEOMETRIES[geometry], solver="lagrangian", time__end=0.5)
        solver = mf.run(case, progress=False).solver
        assert CharacteristicView(solver).implied_mass == pytest.approx(1.0, abs=tolerance)
