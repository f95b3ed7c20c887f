"""Runs with heads: what goes on, what does not, and what their folders tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Recipe, about, few_tokens, run

import meanfield as mf
from meanfield import cli
from meanfield.errors import InputError

HEADS: list[dict[str, Any]] = [
    {"beta": 2.0, "V": "v.npy"},
    {"beta": 1.0, "Q": "w.npz:Q0", "V": {"ensemble": "goe", "seed": 4}},
]
headed: Recipe = few_tokens.but(
    model={"attention": "sa", "heads": HEADS}, time={"end": 1.0, "outputs": {"every": 0.5}}
)


@pytest.fixture
def here(inside: Path) -> Path:
    """A folder with files of matrices, where commands are given."""
    np.save(inside / "v.npy", np.diag([2.0, 1.9, -0.5]))
    np.savez(inside / "w.npz", Q0=np.eye(3), K0=np.eye(3))
    return inside


def test_a_run_with_heads_goes_on(here: Path) -> None:
    run(headed(base=here), here / "parts")
    longer = headed(base=here, time__end=2.0)
    run(longer, here / "parts", resume=True)
    run(longer, here / "whole")
    parts, whole = (mf.RunFolder.open(here / name).read_series() for name in ("parts", "whole"))
    np.testing.assert_allclose(parts["mean_norm"][-1], whole["mean_norm"][-1], rtol=1e-6)
    assert about(here / "parts")["interaction"].startswith("sa, 2 heads")


def test_another_file_of_the_same_numbers_is_the_same(here: Path) -> None:
    run(headed(base=here), here / "run")
    (here / "v.npy").rename(here / "values.npy")
    changes: dict[str, object] = {"model.heads.0.V": "values.npy", "time.end": 1.5}
    assert run(headed(changes, here), here / "run", resume=True).t == 1.5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model.heads.0.beta": 3.0}, "model.heads.0.beta"),
        ({"model.heads.1.V.seed": 5}, "model.heads.1.V.seed"),
        ({"model.heads.1.Q": "w.npz:K0"}, "model.heads.1.Q.name"),
        ({"model.attention": "usa"}, "model.attention"),
        ({"model.drift": {"matrix": "goe"}}, "model.drift.matrix.ensemble"),
        ({"solver.tolerance": 1e-9}, "solver.tolerance"),
    ],
)
def test_another_model_does_not_go_on(changes: dict[str, object], told: str, here: Path) -> None:
    run(headed(base=here), here / "run")
    with pytest.raises(InputError, match=rf"differs from the one that was begun in {told}"):
        run(headed({**changes, "time.end": 2.0}, here), here / "run", resume=True)


def test_a_file_with_other_numbers_does_not_go_on(here: Path) -> None:
    run(headed(base=here), here / "run")
    np.save(here / "v.npy", np.diag([2.0, 1.8, -0.5]))
    with pytest.raises(InputError, match=r"the content of model\.heads\.0\.V"):
        run(headed(base=here, time__end=2.0), here / "run", resume=True)


def test_what_info_tells_of_heads(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes: dict[str, object] = {"model.heads.1.V": np.ones((3, 3)).tolist()}
    headed.write(here / "case.toml", changes)
    assert cli.main(["run", "case.toml", "-o", "run", "--no-progress"]) == 0
    assert "sa, 2 heads, |A| = 2, 1" in capsys.readouterr().out
    # Matrices in files are not needed to tell what was run.
    (here / "v.npy").unlink()
    assert cli.main(["info", "run"]) == 0
    told = capsys.readouterr().out
    assert "heads.0.beta = 2.0" in told and "heads.1.V = [[1.0, 1.0, 1.0]" in told
