"""Run folders: what is made, what is refused, what is deleted, and what is read back."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import about
from processes import Job, python

from meanfield.analysis.columns import ADDED, RETIRED
from meanfield.errors import InputError
from meanfield.results import folder as module
from meanfield.results.folder import RunFolder
from meanfield.results.series import Changed, SeriesWriter


class FakeCase:
    def to_toml(self) -> str:
        return 'title = "ü"\n'


def finished_run(path: Path) -> RunFolder:
    """A folder with every file that a run leaves."""
    folder = RunFolder.create(path)
    folder.write_case(FakeCase())
    folder.write_run({"meanfield": "0", "figures": ["figures/extra.png"]})
    with folder.series(["t", "mass"]) as series:
        series.write({"t": 0.0, "mass": 1.0})
    folder.log("hello")
    for name in ("fields.vtkhdf", "checkpoint.npz"):
        folder.file(name).write_bytes(b"old")
    for name in ("energy.png", "density.png", "extra.png"):
        folder.figure(name).write_bytes(b"old")
    return folder


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


# ---------------------------------------------------------------------------------------------
# create, check, open


def test_create_makes_missing_parents_and_takes_an_empty_folder(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a" / "b")
    assert folder.path.is_dir() and not any(folder.path.iterdir())
    RunFolder.create(folder.path)


def test_check_touches_nothing(tmp_path: Path) -> None:
    RunFolder.check(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    old = finished_run(tmp_path / "run")
    before = tree(old.path)
    RunFolder.check(old.path, overwrite=True)
    assert tree(old.path) == before


def test_an_existing_run_is_refused_without_overwrite(tmp_path: Path) -> None:
    old = finished_run(tmp_path / "run")
    before = tree(old.path)
    with pytest.raises(InputError, match="already holds a run: add --overwrite"):
        RunFolder.create(old.path)
    assert tree(old.path) == before


def test_overwrite_deletes_what_a_run_made_and_nothing_else(tmp_path: Path) -> None:
    old = finished_run(tmp_path / "run")
    (old.path / "notes.txt").write_text("mine")
    (old.figures_dir / "mine.png").write_bytes(b"mine")
    (old.path / "sub").mkdir()
    (old.path / "sub" / "series.csv").write_text("mine")
    RunFolder.create(old.path, overwrite=True)
    # Killed now, it is still known as a run's.
    assert about(old.path)["files"] == ["run.json"]
    old.run_path.unlink()
    assert tree(old.path) == {
        "notes.txt": b"mine",
        "figures/mine.png": b"mine",
        "sub/series.csv": b"mine",
    }


def test_overwrite_leaves_no_trace_of_the_old_run(tmp_path: Path) -> None:
    old = finished_run(tmp_path / "run")
    (old.path / "run.json.tmp").write_text("half")
    RunFolder.create(old.path, overwrite=True)
    assert list(old.path.iterdir()) == []


@pytest.mark.parametrize("name", ["thesis.tex", "case.toml", "series.csv", "run.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_never_touched(tmp_path: Path, name: str, overwrite: bool) -> None:
    """Not even if the user's own file has the name of one of ours."""
    (tmp_path / name).write_text('{"mine": 1}')
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "energy.png").write_bytes(b"mine")
    before = tree(tmp_path)
    with pytest.raises(InputError, match="no run made it"):
        RunFolder.create(tmp_path, overwrite=overwrite)
    assert tree(tmp_path) == before


def test_overwrite_does_not_follow_links_out_of_the_folder(tmp_path: Path) -> None:
    old = finished_run(tmp_path / "run")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "energy.png").write_bytes(b"mine")
    (outside / "fields.vtkhdf").write_bytes(b"mine")
    for file in old.figures_dir.iterdir():
        file.unlink()
    old.figures_dir.rmdir()
    old.figures_dir.symlink_to(outside)
    old.fields_path.unlink()
    old.fields_path.symlink_to(outside / "fields.vtkhdf")
    (old.path / "run.json").write_text(json.dumps({"meanfield": "0", "figures": ["../../x"]}))
    (tmp_path / "x").write_text("mine")
    RunFolder.create(old.path, overwrite=True)
    assert set(tree(outside)) == {"energy.png", "fields.vtkhdf"}
    assert (tmp_path / "x").exists() and not old.fields_path.is_symlink()


@pytest.mark.parametrize(
    "name", ["../x", "sub/../../x", "/{outside}/x", "away/x", "sub", ".", "", "..", "x\0", 7]
)
def test_a_record_never_leads_out_of_the_folder(tmp_path: Path, name: str | int) -> None:
    old = finished_run(tmp_path / "run")
    outside = tmp_path / "outside"
    for place in (outside, old.path / "sub"):
        place.mkdir()
        (place / "x").write_text("mine")
    (tmp_path / "x").write_text("mine")
    (old.path / "away").symlink_to(outside)
    told = name.format(outside=outside) if isinstance(name, str) else name
    record = {"meanfield": "0", "files": ["series.csv", told]}
    old.run_path.write_text(json.dumps(record))
    RunFolder.create(old.path, overwrite=True)
    assert all((place / "x").read_text() == "mine" for place in (tmp_path, outside))
    assert (old.path / "sub" / "x").is_file() and (old.path / "away").is_symlink()
    assert not old.series_path.exists() and about(old.path)["files"] == ["run.json"]
    assert old.fields_path.exists(), "what the record does not tell stays"


def test_what_is_recorded(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    (folder.path / "compare.csv").write_text("mine")  # the name of a file of ours
    folder.file("early.csv").write_text("before the record")
    folder.write_case(FakeCase())
    folder.write_run({"meanfield": "0"})
    other = RunFolder.open(folder.path)  # as who draws later
    other.figure("late.png").write_bytes(b"picture")
    folder.add("parts/1.npz", "parts/2.npz")
    folder.log("hello")
    folder.write_run({"meanfield": "0", "files": ["compare.csv"], "stop_reason": "end"})
    made = {"case.toml", "run.json", "run.log", "early.csv", "figures/late.png"}
    assert folder.files() == other.files() == made | {"parts/1.npz", "parts/2.npz"}
    assert folder.read_run() == {"meanfield": "0", "stop_reason": "end"}
    for name in ("parts/1.npz", "parts/1.npz.tmp", "parts/2.npz.417.tmp", "run.log.tmp"):
        (folder.path / name).write_text("half")
    (folder.path / "parts" / "3.npz.tmp").write_text("mine")
    RunFolder.create(folder.path, overwrite=True)
    assert set(tree(folder.path)) == {"compare.csv", "parts/3.npz.tmp", "run.json"}


def test_deleting_that_stops_half_way_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = finished_run(tmp_path / "run")
    real, gone = Path.unlink, []

    def fails(path: Path, missing_ok: bool = False) -> None:
        if len(gone) == 4:
            raise KeyboardInterrupt
        gone.append(path.name)
        real(path, missing_ok)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", fails)
        RunFolder.create(old.path, overwrite=True)
    assert old.case_path.is_file() and old.run_path.is_file()
    RunFolder.create(old.path, overwrite=True)
    assert not any(old.path.iterdir())


@pytest.mark.parametrize("mark", ["case.toml", "run.json"])
def test_a_killed_run_can_be_overwritten(tmp_path: Path, mark: str) -> None:
    old = finished_run(tmp_path / "run")
    (old.path / ({"case.toml": "run.json", "run.json": "case.toml"}[mark])).unlink()
    RunFolder.create(old.path, overwrite=True)
    assert not (old.path / mark).exists()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="file is a file, expected a folder"):
            RunFolder.create(path, overwrite=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="leads nowhere"):
        RunFolder.create(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(InputError, match="not writable"):
            RunFolder.create(tmp_path / "run")
    finally:
        tmp_path.chmod(0o755)


def test_open_says_what_is_missing(tmp_path: Path) -> None:
    assert RunFolder.open(finished_run(tmp_path / "run").path).path == tmp_path / "run"
    with pytest.raises(InputError, match="there is no folder"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(InputError, match=r"no run folder: case\.toml and run\.json missing"):
        RunFolder.open(tmp_path)
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(InputError, match=r"no run folder: run\.json missing"):
        RunFolder.open(tmp_path / "run")
    with pytest.raises(InputError, match="is a file"):
        RunFolder.open(tmp_path / "run" / "case.toml")


# ---------------------------------------------------------------------------------------------
# Files


def test_case_is_marked_and_kept(tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "run")
    first, rest = folder.case_path.read_text("utf-8").split("\n", 1)
    assert first.startswith("# ") and rest == 'title = "ü"\n'


def test_run_json_holds_numpy_paths_and_infinities(tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "run")
    folder.write_run(
        {
            "meanfield": "1",
            "steps": np.int64(3),
            "t": np.float64(0.1),
            "timings": {"field": np.float32(0.5)},
            "warnings": ("one", "two"),
            "mesh": {"h": np.array([1.0, 2.0])},
            "path": tmp_path,
            "bad": math.inf,
            "none": None,
            "flag": np.bool_(True),
        }
    )
    assert folder.read_run() == {
        "meanfield": "1",
        "steps": 3,
        "t": 0.1,
        "timings": {"field": 0.5},
        "warnings": ["one", "two"],
        "mesh": {"h": [1.0, 2.0]},
        "path": str(tmp_path),
        "bad": "inf",
        "none": None,
        "flag": True,
    }


def test_run_json_is_replaced_in_one_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finished_run(tmp_path / "run")
    folder.write_run({"meanfield": "old"})
    moves: list[tuple[str, str]] = []

    def replace(source: Any, target: Any) -> None:
        # At the moment of the move the new file is whole and the old one still there.
        moves.append(
            (json.loads(Path(source).read_text())["meanfield"], folder.read_run()["meanfield"])
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        folder.write_run({"meanfield": "new"})
    assert moves == [("new", "old")] and folder.read_run()["meanfield"] == "old"
    with pytest.raises(TypeError):
        folder.write_run({"meanfield": object()})
    assert folder.read_run()["meanfield"] == "old"


def test_damaged_run_json(tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "run")
    folder.run_path.write_text("{")
    with pytest.raises(InputError, match="cannot read"):
        folder.read_run()
    folder.run_path.write_text("[]")
    with pytest.raises(InputError, match="expected a JSON object"):
        folder.read_run()
    folder.run_path.unlink()
    with pytest.raises(InputError, match=r"run\.json missing"):
        folder.read_run()


def test_log_appends_with_times(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.log("one")
    folder.log("two")
    lines = folder.log_path.read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["one", "two"]
    assert all(line.split()[0].endswith("+00:00") for line in lines)


# ---------------------------------------------------------------------------------------------
# Series


def test_series_is_exact_and_flushed_row_by_row(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((20, 2)) * 10.0 ** rng.integers(-300, 300, (20, 2))
    with folder.series(["t", "step", "energy", "entropy"]) as series:
        for k, (energy, entropy) in enumerate(rows):
            series.write({"energy": energy, "entropy": entropy, "t": k / 3, "step": k})
            assert len(folder.read_series()["t"]) == k + 1, "readable while the run goes on"
    found = folder.read_series()
    assert list(found) == ["t", "step", "energy", "entropy"]
    assert np.array_equal(found["t"], np.arange(20) / 3)
    assert np.array_equal(found["energy"], rows[:, 0])
    assert np.array_equal(found["entropy"], rows[:, 1])
    assert folder.series_path.read_text().splitlines()[2].split(",")[:2] == [
        "0.33333333333333331",
        "1",
    ]


def test_series_holds_nan_and_infinity(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    with folder.series(["t", "x", "y"]) as series:
        series.write({"t": 0, "x": math.nan, "y": -math.inf})
    found = folder.read_series()
    assert np.isnan(found["x"][0]) and found["y"][0] == -math.inf


def test_a_row_must_have_exactly_the_columns(tmp_path: Path) -> None:
    with SeriesWriter(tmp_path / "s.csv", ["t", "x"]) as series:
        with pytest.raises(ValueError, match=r"lacks \['x'\].*unknown \['y'\]"):
            series.write({"t": 0.0, "y": 1.0})
    with pytest.raises(ValueError, match="start with 't'"):
        SeriesWriter(tmp_path / "s.csv", ["x", "t"])


def test_a_new_series_replaces_an_old_one(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    for value in (1.0, 2.0):
        with folder.series(["t"]) as series:
            series.write({"t": value})
    assert np.array_equal(folder.read_series()["t"], [2.0])


def test_resume_cuts_off_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    times = [0.0, 0.1, 0.1 + 0.2, 0.4, 1e3]
    with folder.series(["t", "x"]) as series:
        for t in times:
            series.write({"t": t, "x": 2 * t})
    with open(folder.series_path, "a") as file:
        file.write("2000,40")  # a row that the killed run did not finish
    assert np.array_equal(folder.read_series()["t"], times)
    with folder.series(["t", "x"], resume_at=0.1 + 0.2) as series:
        assert np.array_equal(folder.read_series()["t"], times[:3]), "its own row stays"
        series.write({"t": 0.5, "x": 1.0})
    found = folder.read_series()
    assert np.array_equal(found["t"], [*times[:3], 0.5])
    assert np.array_equal(found["x"], [0.0, 0.2, 2 * (0.1 + 0.2), 1.0])


def test_resume_with_other_columns_is_refused_and_keeps_the_file(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    with folder.series(["t", "x"]) as series:
        series.write({"t": 0.0, "x": 1.0})
    before = folder.series_path.read_bytes()
    with pytest.raises(InputError, match="other columns"):
        folder.series(["t", "y"], resume_at=0.0)
    assert folder.series_path.read_bytes() == before


def test_resume_without_a_series_starts_one(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    with folder.series(["t"], resume_at=1.0) as series:
        series.write({"t": 1.5})
    assert np.array_equal(folder.read_series()["t"], [1.5])


def test_reading_an_empty_damaged_or_absent_series(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    with pytest.raises(InputError, match=r"no series\.csv"):
        folder.read_series()
    folder.series(["t", "x"]).close()
    assert {name: len(v) for name, v in folder.read_series().items()} == {"t": 0, "x": 0}
    for text in ("t,x\n1\n", "t,x\n1,2\n3\n", "t,x\n1,two\n"):
        folder.series_path.write_text(text)
        with pytest.raises(InputError, match="damaged"):
            folder.read_series()


def test_looking_at_a_folder_loads_nothing_slow(start: Callable[..., Job]) -> None:
    code = (
        "import sys, meanfield.results.folder\n"
        "print(sorted({'numba', 'ducc0', 'scipy'} & set(sys.modules)))"
    )
    done = start(*python("-c", code)).finish()
    assert (done.code, done.out.strip()) == (0, "[]"), done.said


def test_a_column_of_an_earlier_version_is_cut_and_one_of_an_observer_is_not(
    tmp_path: Path,
) -> None:
    """``free_energy`` stood in the series of sa with noise, where there is none."""
    folder = RunFolder.create(tmp_path)
    with folder.series(["t", "x", "free_energy", "tilt"]) as series:
        for t in (0.0, 0.1, 0.2):
            series.write({"t": t, "x": 2 * t, "free_energy": -t, "tilt": 3 * t})
    before = folder.series_path.read_bytes()
    changed = Changed(RETIRED)
    for some in (changed, Changed()):
        with pytest.raises(InputError, match="other columns"):
            folder.series(["t", "x"], 0.1, some)
    with pytest.raises(InputError, match="other columns"):
        folder.series(["t", "tilt", "x"], 0.1, changed)  # in another order
    assert folder.series_path.read_bytes() == before
    with folder.series(["t", "x", "tilt"], 0.1, changed) as series:
        assert (series.rows, series.last) == (2, {"t": 0.1, "x": 0.2, "tilt": 3 * 0.1})
        assert series.cut == "1 rows" and series.dropped == ("free_energy",)
    assert folder.series_path.read_text("utf-8").splitlines()[0] == "t,x,tilt"
    np.testing.assert_array_equal(folder.read_series()["tilt"], [0.0, 3 * 0.1])


def test_a_column_that_an_earlier_version_did_not_write_is_unknown_in_its_rows(
    tmp_path: Path,
) -> None:
    folder = RunFolder.create(tmp_path)
    with folder.series(["t", "x", "free_energy"]) as series:
        for t in (0.0, 0.1):
            series.write({"t": t, "x": 2 * t, "free_energy": -t})
    before, names = folder.series_path.read_bytes(), ["t", *ADDED, "x"]
    for some in (Changed(RETIRED), Changed((), ADDED)):
        with pytest.raises(InputError, match="other columns"):
            folder.series(names, 0.1, some)
    assert folder.series_path.read_bytes() == before
    with folder.series(names, 0.1, Changed(RETIRED, ADDED)) as series:
        series.write({"t": 0.2, "x": 0.4, **dict.fromkeys(ADDED, 1.0)})
        assert series.dropped == ("free_energy",)
    found = folder.read_series()
    np.testing.assert_array_equal(found["x"], [0.0, 0.2, 0.4])
    for name in ADDED:
        np.testing.assert_array_equal(found[name], [np.nan, np.nan, 1.0])
