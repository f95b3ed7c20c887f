"""From which checkpoint a run goes on, of which case, and what it finds damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import PREVIOUS, about, at_step, contents, few_tokens, run, same_series, small

import meanfield as mf
from meanfield import cli
from meanfield.geometry.laws import FunctionDensity
from meanfield.geometry.mesh import icosphere, write_mesh
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.folder import RunFolder

SHORT = small(time__outputs=[0.1, 0.2], time__end=0.3)
LONGER = small(time__outputs=[0.1, 0.2, 0.3], time__end=0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("restart") / "run"
    run(SHORT, path)
    return path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture(scope="module")
def whole() -> mf.Result:
    return run(LONGER)


def goes_on(folder: Path, whole: mf.Result) -> mf.Result:
    result = run(LONGER, folder, resume=True)
    same_series(whole.series, result.series, 1e-12)
    assert tuple(mf.read_fields(folder / "fields.vtkhdf").times) == LONGER.output_times()
    return result


def test_a_column_that_an_earlier_version_wrote_is_no_obstacle(
    folder: Path, whole: mf.Result
) -> None:
    lines = (folder / "series.csv").read_text("utf-8").splitlines()
    rows = ["free_energy", *["0.25"] * (len(lines) - 1)]
    text = "".join(f"{line},{more}\n" for line, more in zip(lines, rows, strict=True))
    (folder / "series.csv").write_text(text, "utf-8")
    goes_on(folder, whole)
    assert "free_energy" not in RunFolder(folder).read_series()
    assert "no longer a column of the series, and dropped from it: free_energy" in (
        folder / "run.log"
    ).read_text("utf-8")


# ------------------------------------------------------------------ of the same case


def test_a_case_edited_by_hand_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "case.toml").read_text("utf-8")
    (folder / "case.toml").write_text(text.replace("beta = 4.0", "beta = 4.5"), "utf-8")
    before = contents(folder)
    assert cli.main(["run", str(folder), "--resume", "--set", "time.end=0.5"]) == 2
    assert "differs from the one that was begun in model.beta;" in capsys.readouterr().err
    assert contents(folder) == before


def test_a_checkpoint_of_another_run_is_refused(folder: Path, tmp_path: Path) -> None:
    run(small(model__beta=5.0, seed=3, time__end=0.1, time__outputs=[]), tmp_path / "other")
    for name in ("checkpoint.npz", PREVIOUS):
        shutil.copy(tmp_path / "other" / "checkpoint.npz", folder / name)
    before = contents(folder)
    with pytest.raises(mf.InputError, match=r"differs .* in seed, model\.beta;"):
        run(LONGER, folder, resume=True)
    assert contents(folder) == before


def test_the_content_of_a_mesh_counts_and_its_name_does_not(tmp_path: Path) -> None:
    write_mesh(tmp_path / "one.vtu", icosphere(2))

    def case(name: str, end: float) -> mf.Case:
        table = {"geometry.type": "file", "geometry.file": str(tmp_path / name)}
        return small(table, model__beta=1.0, time__end=end, time__outputs=[])

    run(case("one.vtu", 0.1), tmp_path / "run")
    (tmp_path / "one.vtu").rename(tmp_path / "two.vtu")
    assert run(case("two.vtu", 0.2), tmp_path / "run", resume=True).t == 0.2
    write_mesh(tmp_path / "two.vtu", icosphere(3), overwrite=True)
    before = contents(tmp_path / "run")
    with pytest.raises(mf.InputError, match=r"in the content of geometry\.file;"):
        run(case("two.vtu", 0.3), tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == before


SOLVERS = {
    "eulerian": {},
    "implicit": {"solver.type": "implicit"},
    # (A chart is laid for the end of a run: an earlier one has other nodes.)
    "lagrangian": {"solver.type": "lagrangian", "solver.start": "mesh"},
    "particles": {"solver.type": "particles", "solver.number": 30},
}


OUT = {0.3: [0.2], 0.4: [0.2, 0.3]}


def bump(x: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 + 0.5 * x[:, 2])


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_law_made_in_python_is_not_needed_again(tmp_path: Path, solver: str) -> None:
    def case(end: float) -> mf.Case:
        table = small.table({**SOLVERS[solver], "time.end": end, "time.outputs": OUT[end]})
        table.pop("initial")
        plain = mf.Case.from_dict({**table, "initial": {"type": "uniform"}})
        made = {name: getattr(plain, name) for name in ("geometry", "model", "solver", "time")}
        return mf.Case(**made, initial=FunctionDensity(bump, 3), output=plain.output)

    whole = run(case(0.4))
    run(case(0.3), tmp_path / "python")
    shutil.copytree(tmp_path / "python", tmp_path / "command")
    result = run(case(0.4), tmp_path / "python", resume=True)
    same_series(whole.series, result.series, 1e-12)
    words = ["run", str(tmp_path / "command"), "--resume", "--set", "time.end=0.4"]
    assert cli.main([*words, "--no-progress"]) == 0
    same_series(whole.series, mf.RunFolder(tmp_path / "command").read_series(), 1e-12)
    assert 'type = "python"' in (tmp_path / "command" / "case.toml").read_text("utf-8")
    # To begin anew it is.
    with pytest.raises(mf.InputError, match="'python', a law that was made in Python"):
        mf.Case.from_toml(tmp_path / "command" / "case.toml")


def test_a_law_in_a_file_that_is_gone_is_not_needed_again(tmp_path: Path) -> None:
    (tmp_path / "law.py").write_text("def bump(x):\n    return 1 + 0.5 * x[:, 2]\n")
    law = {"type": "function", "path": str(tmp_path / "law.py"), "name": "bump"}
    table = small.table(time__end=0.3, time__outputs=[0.2])
    case = mf.Case.from_dict({**table, "initial": law})
    run(case, tmp_path / "run")
    (tmp_path / "law.py").unlink()
    assert cli.main(["run", str(tmp_path / "run"), "--resume", "--set", "time.end=0.4"]) == 0
    assert about(tmp_path / "run")["t"] == 0.4


# ------------------------------------------------------------------ what is damaged


def test_the_last_two_are_kept_and_the_newest_whole_one_is_taken(
    folder: Path, whole: mf.Result
) -> None:
    assert load_checkpoint(folder / "checkpoint.npz")["t"] == 0.3
    assert load_checkpoint(folder / PREVIOUS)["t"] == 0.2
    data = (folder / "checkpoint.npz").read_bytes()
    (folder / "checkpoint.npz").write_bytes(data[: len(data) // 2])
    with pytest.warns(mf.MeanfieldWarning, match=r"damaged .* went on from .*previous"):
        result = goes_on(folder, whole)
    assert any("truncated or damaged" in text for text in about(folder)["warnings"])
    assert "resumed at t = 0.2" in (folder / "run.log").read_text("utf-8")
    assert result.warnings


def test_a_checkpoint_whose_name_was_not_given_yet(folder: Path, whole: mf.Result) -> None:
    """Killed between the two moves: the one before is there, under the other name."""
    (folder / "checkpoint.npz").rename(folder / "checkpoint.npz.tmp")
    goes_on(folder, whole)


TAILS: dict[str, Callable[[bytes], bytes]] = {
    "half a row": lambda data: data + b"0.31,1.0,0.4",
    "zeros": lambda data: data + bytes(4096),
    "zeros in a row": lambda data: data + b"0.31,1.0," + bytes(100) + b"\n",
    "a row that is none": lambda data: data + b"0.31,what,\n",
    "a later row": lambda data: data + b"0.35," + data.splitlines(True)[-1].partition(b",")[2],
}


@pytest.mark.parametrize("tail", TAILS)
def test_what_is_damaged_after_the_checkpoint_is_cut(
    folder: Path, whole: mf.Result, tail: str
) -> None:
    path = folder / "series.csv"
    path.write_bytes(TAILS[tail](path.read_bytes()))
    if tail in ("half a row", "zeros", "zeros in a row"):  # can be read all the same
        assert mf.RunFolder(folder).read_series()["t"][-1] == 0.3
    goes_on(folder, whole)
    assert "cut off after t = 0.3: " in (folder / "run.log").read_text("utf-8")


def test_a_series_that_the_newest_checkpoint_is_ahead_of(folder: Path, whole: mf.Result) -> None:
    path = folder / "series.csv"
    rows = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join(rows[:-1]))
    with pytest.warns(mf.MeanfieldWarning, match=r"counts \d+ rows up to t = 0.3, found \d+ in"):
        goes_on(folder, whole)


def lose_rows(folder: Path) -> None:
    path = folder / "series.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:3]))


def lose_fields(folder: Path) -> None:
    (folder / "fields.vtkhdf").unlink()


def spoil_fields(folder: Path) -> None:
    data = (folder / "fields.vtkhdf").read_bytes()
    (folder / "fields.vtkhdf").write_bytes(data[:100])


def earlier_fields(folder: Path) -> None:
    run(small(time__end=0.1, time__outputs=[]), folder.parent / "other")
    shutil.copy(folder.parent / "other" / "fields.vtkhdf", folder / "fields.vtkhdf")


def spoil_checkpoints(folder: Path) -> None:
    for name in ("checkpoint.npz", PREVIOUS):
        (folder / name).write_bytes(b"PK")


def other_columns(folder: Path) -> None:
    path = folder / "series.csv"
    path.write_text(path.read_text("utf-8").replace("energy", "work", 1), "utf-8")


def other_fields(folder: Path) -> None:
    case = small(geometry__level=2, time__outputs=[0.1, 0.2], time__end=0.3)
    run(case, folder.parent / "other")
    shutil.copy(folder.parent / "other" / "fields.vtkhdf", folder / "fields.vtkhdf")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lose_rows, r"counts \d+ rows"),
        (lose_fields, "no field file"),
        (spoil_fields, "cannot be read as a field file"),
        (earlier_fields, "which the field file does not reach"),
        (spoil_checkpoints, "truncated or damaged"),
        (other_columns, "other columns"),
        (other_fields, "must hold the run's own mesh and fields"),
    ],
)
def test_a_refused_resumption_has_written_nothing(
    folder: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(folder)
    before = contents(folder)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(mf.InputError, match=told):
        run(LONGER, folder, resume=True)
    assert contents(folder) == before
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


# ------------------------------------------------------------------ what else it tells


def test_what_a_killed_part_has_found_is_not_lost(tmp_path: Path) -> None:
    """Its warnings and counts reach run.json by the checkpoint."""

    class Killed(BaseException):
        pass

    def kill(solver: object) -> None:
        raise Killed

    case = small(time__end=8.0, time__outputs=[4.0, 6.0])
    with pytest.raises(Killed), pytest.warns(mf.MeanfieldWarning):
        run(case, tmp_path / "run", observers=[mf.Watch(kill, mf.AtTimes([7.0]))])
    record = json.loads(str(load_checkpoint(tmp_path / "run" / "checkpoint.npz")["record"]))
    unresolved = record["outcome"]["unresolved_from"]
    assert 0 < unresolved < 6
    data = about(tmp_path / "run")
    assert "unresolved_from" not in data
    with pytest.warns(mf.MeanfieldWarning, match="narrower than the mesh"):
        run(case, tmp_path / "run", resume=True)
    assert about(tmp_path / "run")["unresolved_from"] == unresolved


def test_tokens_count_too(tmp_path: Path) -> None:
    run(few_tokens(time__end=1.0, time__outputs=[0.5]), tmp_path / "run")
    path = tmp_path / "run" / "series.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:2]))
    before = contents(tmp_path / "run")
    with pytest.raises(mf.InputError, match=r"counts \d+ rows"):
        run(few_tokens(time__end=2.0), tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == before


def test_a_law_known_by_name_begins_no_run(tmp_path: Path) -> None:
    parts = {"geometry": mf.Sphere(level=1), "model": mf.Model(attention="sa", beta=1.0)}
    made = mf.Case(**parts, initial=FunctionDensity(bump, 3), solver=mf.Lagrangian(),
                   time=mf.Time(end=0.1))  # fmt: skip
    run(made, tmp_path / "run")
    case = mf.Case.from_toml(tmp_path / "run" / "case.toml", recorded=True)
    with pytest.raises(mf.InputError, match="known by its name only"):
        run(case, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_going_on_from_the_one_before_keeps_it(folder: Path, whole: mf.Result) -> None:
    """The damaged one does not take its place: killed in the next save, there would be none."""
    (folder / "checkpoint.npz").write_bytes(b"PK")

    class Killed(BaseException):
        pass

    def kill(solver: object) -> None:
        raise Killed

    with pytest.warns(mf.MeanfieldWarning, match="went on from"), pytest.raises(Killed):
        run(LONGER, folder, resume=True, observers=[mf.Watch(kill, mf.EverySteps(1))])
    assert load_checkpoint(folder / "checkpoint.npz")["t"] == 0.2
    assert not (folder / PREVIOUS).exists()
    goes_on(folder, whole)


def test_killed_between_the_last_step_and_the_end(folder: Path) -> None:
    """All is there but how it ended: going on closes it."""
    data = about(folder)
    (folder / "run.json").write_text(json.dumps({**data, "stop_reason": None, "ended": None}))
    result = run(SHORT, folder, resume=True)
    assert (result.stop_reason, result.t) == ("end", 0.3)
    assert about(folder)["stop_reason"] == "end" and about(folder)["ended"]
    with pytest.raises(mf.InputError, match=r"has reached t = 0\.3 already"):
        run(SHORT, folder, resume=True)


def test_a_stop_right_after_a_checkpoint_between_outputs(tmp_path: Path) -> None:
    """Row and fields are behind the state then: they are written, as at any other stop."""

    class Killed(BaseException):
        pass

    def kill(solver: object) -> None:
        raise Killed

    often = small(output__checkpoint_minutes=1e-9, time__outputs=[], time__end=1.0)
    with pytest.raises(Killed):
        run(often, tmp_path / "run", observers=[at_step(3, kill)])
    t = load_checkpoint(tmp_path / "run" / "checkpoint.npz")["t"]
    late = small(time__outputs=[], time__end=1.0, time__wall_limit=1e-9)
    result = run(late, tmp_path / "run", resume=True)
    assert (result.stop_reason, result.t) == ("wall limit", t)
    assert result.series["t"][-1] == mf.read_fields(tmp_path / "run" / "fields.vtkhdf").times[-1]
    assert result.series["t"][-1] == t
    again = run(late, tmp_path / "run", resume=True)  # nothing twice
    np.testing.assert_array_equal(again.series["t"], result.series["t"])


def test_files_of_a_user_are_not_asked(folder: Path, whole: mf.Result) -> None:
    (folder / "particles.vtkhdf").write_text("mine")
    goes_on(folder, whole)
    assert (folder / "particles.vtkhdf").read_text() == "mine"
