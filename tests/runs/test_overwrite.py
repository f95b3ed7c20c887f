"""Each verb over what another one left: all of that goes, and what is not its own stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cases import CIRCLE, PREVIOUS, about, files, plain
from processes import needs_dolfinx

import meanfield as mf
from meanfield import cli
from meanfield.results.folder import RunFolder
from meanfield.steady import verbs
from meanfield.steady.problem import Problem
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds

pytestmark = needs_dolfinx

short = plain.but(CIRCLE, time__end=0.25)
MARKERS = {"case.toml", "run.json"}
MINE = ("notes.txt", "figures/mine.png", "tasks/particles-n20-r0.npz.bak", "own/series.csv")


def run(folder: Path, overwrite: bool) -> None:
    mf.run(short(), folder, overwrite=overwrite, progress=False)


def compared(folder: Path, overwrite: bool) -> None:
    clouds = Clouds((20, 30), 2, times=[0.25], exponents=())
    compare(short(), clouds, folder, overwrite=overwrite, progress=False)


def stationary(folder: Path, overwrite: bool) -> None:
    problem = Problem.from_case(short({"model.kappa": 0.1, "solver.type": "implicit"}))
    verbs.stationary(problem, folder, overwrite=overwrite, progress=False)


def branch(folder: Path, overwrite: bool) -> None:
    problem = Problem.from_case(short({"model.kappa": 0.1, "solver.type": "implicit"}))
    verbs.branch(problem, "kappa", 0.3, 0.29, folder, overwrite=overwrite, progress=False)


VERBS: dict[str, Callable[[Path, bool], None]] = {
    "run": run, "compare": compared, "stationary": stationary, "branch": branch
}  # fmt: skip


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder that a verb leaves, made once; to be copied."""
    place = tmp_path_factory.mktemp("left")

    def made(verb: str) -> Path:
        if not (place / verb).is_dir():
            VERBS[verb](place / verb, False)
        return place / verb

    return made


@pytest.fixture(params=VERBS)
def old(request: pytest.FixtureRequest, left: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder of a verb, with files of a user in it."""
    shutil.copytree(left(request.param), tmp_path / request.param)
    for name in MINE:
        path = tmp_path / request.param / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    return tmp_path / request.param


@pytest.mark.parametrize("verb", VERBS)
def test_every_file_is_recorded(verb: str, left: Callable[[str], Path]) -> None:
    made = files(left(verb))
    assert made > MARKERS and any(name.startswith("figures/") for name in made)
    recorded = RunFolder(left(verb)).files()
    assert made <= recorded
    assert recorded == set(about(left(verb))["files"])
    # What a run may write by the path: the tokens of another solver.
    assert recorded - made <= {"particles.vtkhdf"}


@pytest.mark.parametrize("verb", VERBS)
def test_any_verb_over_any_other(verb: str, old: Path, left: Callable[[str], Path]) -> None:
    (old / "run.json.tmp").write_text("half")
    VERBS[verb](old, True)
    assert files(old) == files(left(verb)) | set(MINE)
    assert all((old / name).read_text() == "mine" for name in MINE)


LATER = (PREVIOUS, "clusters.csv")  # what they did not make


def as_of_before(folder: Path) -> None:
    """Take away the record of the files, which earlier versions did not write."""
    data = about(folder)
    del data["files"]
    for later in LATER:
        (folder / later).unlink(missing_ok=True)
    (folder / "run.json").write_text(json.dumps(data), encoding="utf-8")


def test_folders_without_a_record(old: Path) -> None:
    as_of_before(old)
    if old.name == "compare":
        (old / "tasks" / "floor-n99-r0.npz.tmp").write_text("half")
    RunFolder.create(old, overwrite=True)
    assert files(old) - {"run.json"} == set(MINE)


def test_a_record_begins_with_what_was_there(old: Path) -> None:
    """A folder of an earlier version goes on: nothing of it is forgotten."""
    made = files(old) - {*MINE, *LATER}
    as_of_before(old)
    RunFolder(old).file("new/table.csv").write_text("new")
    assert made | {"new/table.csv"} <= RunFolder(old).files()
    RunFolder.create(old, overwrite=True)
    assert files(old) == {*MINE, "run.json"} and not (old / "new").exists()


def test_a_comparison_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clouds were recorded before they were made."""
    from meanfield.studies import compare as module

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(module, "evaluate", killed)
        compared(tmp_path / "x", False)
    assert (tmp_path / "x" / "tasks" / "particles-n30-r1.npz").is_file()
    (tmp_path / "x" / "tasks" / "particles-n30-r1.npz.417.tmp").write_text("half")
    run(tmp_path / "x", True)
    assert not (tmp_path / "x" / "tasks").exists()


def test_pictures_that_are_drawn_later_are_recorded(
    left: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(left("run"), tmp_path / "run")
    before = (folder / "run.json").read_bytes()
    assert cli.main(["plot", str(folder)]) == 0
    assert (folder / "run.json").read_bytes() == before, "they are recorded already"
    as_of_before(folder)
    assert cli.main(["plot", str(folder)]) == 0
    assert files(folder) <= RunFolder(folder).files()
