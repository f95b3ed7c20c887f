"""Folders that earlier versions made are read and gone on with; those of later ones are refused."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield import cli
from meanfield.analysis.columns import ADDED
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.manifest import FORMAT

EARLIER = Path(__file__).parents[1] / "data" / "folders_of_format_0.tar.gz"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A density on the circle and twelve tokens, to t = 0.5, from before folders told a format."""
    with tarfile.open(EARLIER) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def written(folder: Path) -> dict[str, object]:
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert isinstance(run, dict)
    return run


@pytest.mark.filterwarnings("ignore:a mesh of 24 vertices")
@pytest.mark.parametrize("kind", ["density", "tokens"])
def test_a_run_of_an_earlier_version_goes_on_as_one_run(here: Path, kind: str) -> None:
    assert "format" not in written(here / kind)
    changes = {"time.end": 1.0, "time.outputs": [0.25, 0.5]}
    case = mf.Case.from_toml(here / kind / "case.toml", changes)
    if kind == "density":
        pytest.importorskip(
            "dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest"
        )
    whole = mf.run(case, here / "whole", progress=False)
    more = mf.run(case, here / kind, resume=True, progress=False)
    assert written(here / kind)["format"] == FORMAT
    assert more.t == whole.t == 1.0 and more.steps == whole.steps
    # Explicit steps have another extrapolation since then: other times, and what that is wrong by.
    rtol, atol = (1e-4, 2e-5) if kind == "density" else (1e-9, 1e-12)
    same = np.abs(more.series["t"] - whole.series["t"]) <= atol
    assert same[-1] and np.count_nonzero(same) >= (5 if kind == "density" else len(same))
    for name, values in whole.series.items():
        # What the earlier version did not tell (of tokens it did), and a row that hangs on it.
        if name in ADDED and (kind, name) != ("tokens", "largest_cluster"):
            known = np.isfinite(more.series[name])
            assert 1 <= np.count_nonzero(known) < len(known) and known[-1]
            more.series[name][~known] = values[~known]
        if (kind, name) == ("density", "dt"):
            continue
        np.testing.assert_allclose(
            more.series[name][same], values[same], rtol=rtol, atol=atol, err_msg=name
        )


@pytest.mark.parametrize("kind", ["density", "tokens"])
def test_what_an_earlier_version_made_is_told_and_deleted(
    here: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", str(here / kind)]) == 0
    said = capsys.readouterr().out
    assert "A run of before the first format" in said and "checkpoint.npz" in said
    (here / kind / "own.txt").write_text("mine")
    mf.RunFolder.create(here / kind, overwrite=True)
    # The record stays beside what is a user's, until the next writer replaces it.
    assert {file.name for file in (here / kind).iterdir()} == {"own.txt", "run.json"}


@pytest.mark.parametrize("words", [["info"], ["plot"], ["run", "--resume"]])
def test_a_folder_of_a_later_version_is_refused(
    here: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = here / "tokens"
    later = written(folder) | {"format": FORMAT + 1, "meanfield": "9.1", "files": {"new": "way"}}
    (folder / "run.json").write_text(json.dumps(later), "utf-8")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    what = f"has format {FORMAT + 1}, this version reads up to {FORMAT}: use meanfield 9.1"
    assert cli.main([words[0], str(folder), *words[1:]]) == 2
    assert what in capsys.readouterr().err
    with pytest.raises(mf.InputError, match=what):
        mf.RunFolder.create(folder, overwrite=True)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_checkpoint_of_another_format_is_refused(here: Path) -> None:
    path = here / "tokens" / "checkpoint.npz"
    with np.load(path) as data:
        values = dict(data)
    values["meanfield_checkpoint"] = np.array(["2", *(n for n in values if "meanfield" not in n)])
    np.savez(path, **values)
    with pytest.raises(mf.InputError, match="of version 1: found version 2; resume with the"):
        load_checkpoint(path)
