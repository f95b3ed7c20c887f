"""Runs with a kappa in time: what is written, when they end, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Recipe, at_step, few_tokens, run, same_series, small

import meanfield as mf
from meanfield import cli
from meanfield.errors import InputError

WAVE = {"mean": 0.3, "amplitude": 0.2, "period": 0.7}
moving: Recipe = small.but(
    model={"attention": "usa", "beta": 1.0, "kappa": WAVE},
    solver={"type": "implicit"},
    time={"end": 1.0, "outputs": {"every": 0.5}},
)
noisy: Recipe = few_tokens.but(
    model={"attention": "usa", "beta": 1.0, "kappa": WAVE},
    time={"end": 1.0, "outputs": {"every": 0.5}},
)


def stop(solver: object) -> None:
    raise RuntimeError("killed")


def test_columns_are_those_of_noise_but_for_the_residual() -> None:
    series = run(moving()).series
    assert {"entropy", "free_energy", "dissipation"} <= set(series)
    assert "energy_residual" not in series
    assert "energy_residual" in run(moving(model__kappa=0.3)).series
    # F of the kappa of each row.
    case = moving()
    kappa = 0.3 + 0.2 * np.cos(2.0 * np.pi * series["t"] / 0.7)
    expected = kappa * series["entropy"] - series["energy"]
    np.testing.assert_allclose(series["free_energy"], expected, rtol=1e-12)
    assert np.any(np.diff(series["free_energy"]) > 0.0) and case.model.diffuses


@pytest.mark.parametrize("recipe", [moving, noisy], ids=["density", "tokens"])
def test_a_killed_run_goes_on(recipe: Recipe, inside: Path) -> None:
    case = recipe()
    whole = run(case, inside / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        run(case, inside / "parts", observers=[at_step(whole.steps - 1, stop)])
    resumed = run(case, inside / "parts", resume=True)
    assert resumed.steps == whole.steps
    series = mf.RunFolder.open(inside / "parts").read_series()
    same_series(series, mf.RunFolder.open(inside / "whole").read_series(), 1e-12)
    with pytest.raises(InputError, match=r"was begun in model\.kappa\.period"):
        other = recipe({"model.kappa.period": 0.8, "time.end": 2.0})
        run(other, inside / "parts", resume=True)


def test_no_run_ends_as_stationary_while_kappa_changes() -> None:
    steps = {"times": [0.0, 0.5], "values": [4.0, 5.0]}
    result = run(moving(model__kappa=steps, time__stationary=10.0, time__end=4.0))
    assert result.stop_reason == "stationary" and 0.5 <= result.t < 4.0
    fixed = run(moving(model__kappa=4.0, time__stationary=10.0, time__end=4.0))
    assert fixed.t < 0.5
    always = run(moving(time__stationary=10.0))
    assert always.stop_reason == "end"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model.kappa.mean": 0.1}, r"model\.kappa: expected a number from 0 to 1e\+06, found -0\.1"),
    (
        {"model.kappa": {"times": [0, 1], "values": [0.1, -1.0]}},
        r"model\.kappa: expected a number from 0 to 1e\+06, found -1",
    ),
    ({"model.kappa": {"times": [0, 1], "values": [0.1, [1.0]]}}, r"model\.kappa\.values\[1\]: exp"),
    ({"solver.type": "lagrangian"}, "a value in time, but the lagrangian solver has kappa = 0"),
    (
        {
            "solver": {"type": "layers", "number": 10, "layers": 10},
            "model.normalisation": "pre",
        },
        "found a value in time with model.normalisation = 'pre'",
    ),
    (
        {
            "solver": {"type": "particles", "number": 10},
            "model.diffusion": {"exponent": 2.0},
        },
        "the noise of tokens is linear diffusion",
    ),
]


@pytest.mark.parametrize(("changes", "told"), REFUSED)
def test_what_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        moving(changes)


def test_a_kappa_that_is_always_zero_is_none() -> None:
    never = {"times": [0.0, 1.0], "values": [0.0, 0.0]}
    case = moving({"model.kappa": never, "solver.type": "lagrangian"})
    assert run(case).t == 1.0
    assert moving({"model.kappa": never, "solver.type": "auto"}).solver.type == "eulerian"
    assert moving({"solver.type": "auto"}).solver.type == "implicit"


def test_functions_of_files(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inside / "k.py").write_text("def value(t): return 0.2 - 0.5 * t\n", "utf-8")
    moving.write(inside / "case.toml", {"model.kappa": {"path": "k.py", "largest": 1.0}})
    run_it = ["run", "case.toml", "-o", "run", "--no-progress"]
    assert cli.main(run_it) == 2 and "by --trust only" in capsys.readouterr().err
    assert cli.main([*run_it, "--trust"]) == 2
    told = capsys.readouterr()
    assert "kappa in time" in told.out
    assert "kappa: -0.0" in told.err and "a number >= 0 expected" in told.err
    for verb in (["stationary"], ["branch", "--parameter", "beta", "--from", "1", "--to", "2"]):
        assert cli.main([verb[0], "case.toml", *verb[1:], "--trust"]) == 2
        assert "model.kappa: found a value in time, stationary" in capsys.readouterr().err


def test_from_python() -> None:
    table = mf.TableInTime(np.array([0.0, 1.0]), np.array([0.1, 0.4]), "linear")
    model = mf.Model(attention="usa", beta=1.0, kappa=table)
    assert model.table()["kappa"] == {
        "times": [0.0, 1.0], "values": [0.1, 0.4], "interpolate": "linear",
    }  # fmt: skip
    made = mf.FunctionInTime(lambda t: np.array(0.1), (), 1.0)
    assert mf.Model(attention="usa", beta=1.0, kappa=made).diffuses
