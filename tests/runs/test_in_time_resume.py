"""Runs with values in time: what goes on, what does not, and what their folders tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Recipe, about, at_step, few_tokens, run, same_series, small

import meanfield as mf
from meanfield import cli
from meanfield.dynamics.tokens import initial_tokens
from meanfield.errors import InputError

PATH = {"mean": "identity", "variance": 0.5, "seed": 3, "symmetric": True, "step": 0.25}
HEADS: list[dict[str, Any]] = [
    {"beta": {"path": "weights.py", "largest": 3.0}, "V": "v.npy"},
    {"beta": 1.0, "K": PATH, "V": {"ensemble": "Q^T K", "scale": 0.5}},
    {"beta": 0.5, "Q": {"times": [0.0, 0.7], "values": "w.npz:Q"}},
]
moving: Recipe = few_tokens.but(
    model={"attention": "sa", "heads": HEADS}, time={"end": 1.0, "outputs": {"every": 0.5}}
)
FUNCTION = "import math\ndef value(t): return 2.0 + math.cos(3.0 * t)\n"


@pytest.fixture
def here(inside: Path) -> Path:
    """A folder with files of matrices and of a function, where commands are given."""
    np.save(inside / "v.npy", np.diag([2.0, 1.9, -0.5]))
    np.savez(inside / "w.npz", Q=np.stack([np.eye(3), np.diag([1.0, 2.0, 3.0])]))
    (inside / "weights.py").write_text(FUNCTION, "utf-8")
    return inside


def stop(solver: object) -> None:
    raise RuntimeError("killed")


def test_a_run_goes_on_as_if_it_had_not_stopped(here: Path) -> None:
    """Also with a later end, at which no random path may look."""
    run(moving(base=here), here / "parts")
    longer = moving(base=here, time__end=2.0)
    run(longer, here / "parts", resume=True)
    whole = run(longer, here / "whole")
    again = mf.RunFolder.open(here / "parts").read_series()
    np.testing.assert_allclose(again["mean_norm"][-1], whole.series["mean_norm"][-1], rtol=1e-6)
    assert "in time" in about(here / "parts")["interaction"]


@pytest.mark.parametrize("recipe", [moving, small.but(
    model={"attention": "usa", "beta": {"times": [0.0, 0.3], "values": [1.0, 3.0]}},
    time__end=0.6,
)], ids=["tokens", "density"])  # fmt: skip
def test_a_killed_run_goes_on(recipe: Recipe, here: Path) -> None:
    case = recipe(base=here)
    whole = run(case, here / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        run(case, here / "parts", observers=[at_step(whole.steps - 1, stop)])
    resumed = run(case, here / "parts", resume=True)
    assert resumed.steps == whole.steps
    series = mf.RunFolder.open(here / "parts").read_series()
    same_series(series, mf.RunFolder.open(here / "whole").read_series(), 1e-12)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model.heads.0.beta.largest": 4.0}, "model.heads.0.beta.largest"),
        ({"model.heads.0.beta": 4.0}, "model.heads.0.beta"),
        ({"model.heads.1.K.seed": 5}, "model.heads.1.K.seed"),
        ({"model.heads.2.Q.times.1": 0.8}, "model.heads.2.Q.times"),
        ({"model.heads.2.Q.interpolate": "linear"}, "model.heads.2.Q.interpolate"),
    ],
)
def test_other_values_do_not_go_on(changes: dict[str, object], told: str, here: Path) -> None:
    run(moving(base=here), here / "run")
    with pytest.raises(InputError, match=rf"differs from the one that was begun in {told}"):
        run(moving({**changes, "time.end": 2.0}, here), here / "run", resume=True)


def test_a_function_that_has_changed_does_not_go_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moving.write(here / "case.toml")
    run_it = ["run", "case.toml", "-o", "run", "--no-progress", "--trust"]
    assert cli.main(run_it) == 0
    (here / "weights.py").write_text(FUNCTION.replace("3.0", "2.0"), "utf-8")
    capsys.readouterr()
    on = ["run", "run", "--resume", "--set", "time.end=2", "--no-progress"]
    assert cli.main([*on, "--trust"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "the content of model.heads.0.beta.path" in err
    # The same one elsewhere; code is run only if that is allowed again.
    (here / "weights.py").write_text(FUNCTION, "utf-8")
    assert cli.main(on) == 2
    assert "by --trust only" in capsys.readouterr().err
    assert cli.main([*on, "--trust"]) == 0
    (here / "other.py").write_text(FUNCTION, "utf-8")
    moved = moving({"model.heads.0.beta.path": "other.py", "time.end": 2.5}, here)
    assert run(moved, here / "run", resume=True).t == 2.5


def test_a_file_with_other_values_does_not_go_on(here: Path) -> None:
    run(moving(base=here), here / "run")
    np.savez(here / "w.npz", Q=np.stack([np.eye(3), np.diag([1.0, 2.0, 4.0])]))
    with pytest.raises(InputError, match=r"the content of model\.heads\.2\.Q\.values\.file"):
        run(moving(base=here, time__end=2.0), here / "run", resume=True)


def test_a_function_made_in_python_is_known_by_its_hash(here: Path) -> None:
    def case(rate: float, end: float) -> mf.Case:
        beta = mf.FunctionInTime(lambda t: np.array(2.0 + np.cos(rate * t)), (), 3.0)
        return few_tokens({"model.beta": beta, "time.end": end})

    run(case(1.0, 1.0), here / "parts")
    whole = run(case(1.0, 2.0), here / "whole")
    with pytest.raises(InputError, match=r"was begun in model\.beta\.fingerprint"):
        run(case(2.0, 2.0), here / "parts", resume=True)
    # Without Python nobody can go on with it, and nothing is written.
    before = {path: path.stat().st_mtime_ns for path in (here / "parts").iterdir()}
    assert cli.main(["run", "parts", "--resume", "--set", "time.end=2"]) == 2
    assert before == {path: path.stat().st_mtime_ns for path in (here / "parts").iterdir()}
    resumed = run(case(1.0, 2.0), here / "parts", resume=True)
    np.testing.assert_allclose(resumed.solver.x, whole.solver.x, atol=1e-6)


def test_what_info_tells(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moving.write(here / "case.toml")
    assert cli.main(["run", "case.toml", "-o", "run", "--no-progress", "--trust"]) == 0
    assert "sa, 3 heads, |A| <= " in capsys.readouterr().out
    for name in ("weights.py", "w.npz", "v.npy"):  # not needed to tell what was run
        (here / name).unlink()
    assert cli.main(["info", "run"]) == 0
    told = capsys.readouterr().out
    assert "heads.1.K.variance = 0.5" in told and "heads.2.Q.times = [0.0, 0.7]" in told


def test_layers_with_weights_of_their_own(here: Path) -> None:
    """A stack of layers, each with its matrix: the recursion itself."""
    rng, depth, number = np.random.default_rng(0), 20, 30
    stack = rng.standard_normal((2 * depth, 3, 3))
    np.savez(here / "stack.npz", V=stack, t=np.arange(2 * depth) / depth)
    values = {"times": "stack.npz:t", "values": "stack.npz:V"}
    case = few_tokens(
        model={"attention": "sa", "heads": [{"beta": 1.0, "V": values}]},
        solver={"type": "layers", "number": number, "layers": depth}, base=here,
    )  # fmt: skip
    found = run(case)
    y = initial_tokens(case.initial, number, case.seed, "iid")
    for V in stack:
        weights = np.exp(y @ y.T)
        pull = (weights @ y) / weights.sum(axis=1, keepdims=True) @ V.T
        pull -= np.sum(pull * y, axis=1, keepdims=True) * y
        y = y + pull / depth
        y /= np.linalg.norm(y, axis=1, keepdims=True)
    assert found.steps == 2 * depth
    np.testing.assert_allclose(found.solver.x, y, atol=1e-13)
