"""Verbs that write keep others out of their folder, and those that read do not ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cases import CIRCLE, contents, few_tokens, run, small

import meanfield as mf
from meanfield import cli
from meanfield.figures import make_figures
from meanfield.results.lock import LOCK_FILE, locked
from meanfield.steady.verbs import branch, stationary
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds


@contextmanager
def another_writer(path: Path) -> Iterator[None]:
    """Somebody else has the folder."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path, "run"):
            taken.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


CASE = few_tokens(time__end=1.0, output__figures=False)
STEADY = small(CIRCLE, model__kappa=1.5, solver__type="implicit")
CLOUDS = Clouds([20], 2, times=[0.1], exponents=())
WRITERS: dict[str, Callable[[Path], object]] = {
    "run": lambda path: run(CASE, path, overwrite=True),
    "resume": lambda path: run(few_tokens(time__end=2.0), path, resume=True),
    "plot": make_figures,
    "compare": lambda path: compare(small(), CLOUDS, path, overwrite=True, progress=False),
    "stationary": lambda path: stationary(STEADY, path, overwrite=True, progress=False),
    "branch": lambda path: branch(STEADY, "kappa", 1.0, 2.0, path, overwrite=True, progress=False),
}


@pytest.mark.parametrize("verb", WRITERS)
def test_writers_wait_outside(tmp_path: Path, verb: str) -> None:
    run(CASE, tmp_path / "x")
    with another_writer(tmp_path / "x"):
        before = contents(tmp_path / "x")
        with pytest.raises(mf.InputError, match=r"meanfield run \(process \d+ on .* is writing in"):
            WRITERS[verb](tmp_path / "x")
        assert contents(tmp_path / "x") == before


def test_readers_do_not_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(CASE, tmp_path / "x")
    with another_writer(tmp_path / "x"):
        assert cli.main(["info", str(tmp_path / "x")]) == 0
        assert mf.RunFolder.open(tmp_path / "x").read_series()["t"][-1] == 1.0
    assert not (tmp_path / "x" / LOCK_FILE).exists()


def test_a_run_has_its_folder_to_itself_from_the_start(tmp_path: Path) -> None:
    """Before it looks at what is there; and the file of the lock is not "something in it"."""
    refused: list[str] = []

    def second(solver: object) -> None:
        def go() -> None:
            try:
                run(CASE, tmp_path / "x", overwrite=True)
            except mf.InputError as error:
                refused.append(str(error))

        thread = threading.Thread(target=go)
        thread.start()
        thread.join()

    result = run(CASE, tmp_path / "x", observers=[second])
    assert len(refused) == len(CASE.output_times()) and "is writing in" in refused[0]
    assert result.stop_reason == "end" and not (tmp_path / "x" / LOCK_FILE).exists()
    # A killed one leaves it; the folder is as good as empty.
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / LOCK_FILE).write_text("")
    assert run(CASE, tmp_path / "y").stop_reason == "end"


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    tokens = few_tokens(solver__tokens="quantised", solver__number=7, time__end=1.0)
    with pytest.raises(mf.InputError):
        run(tokens, tmp_path / "results" / "x", resume=True)
    assert not (tmp_path / "results").exists()
