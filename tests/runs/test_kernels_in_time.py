"""Cases with numbers of kernels in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Recipe, at_step, run, same_series, small

import meanfield as mf
from meanfield import cli
from meanfield.errors import InputError

WAVE = {"mean": 1.0, "amplitude": 0.5, "period": 0.7}
KERNEL = {
    "type": "gaussian",
    "width": WAVE,
    "strength": {"times": [0.0, 0.4], "values": [1.0, 2.0]},
}
moving: Recipe = small.but(
    model={"interaction": KERNEL, "kappa": 0.05},
    solver={"type": "implicit"},
    time={"end": 1.0, "outputs": {"every": 0.5}},
)


def stop(solver: object) -> None:
    raise RuntimeError("killed")


@pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")
def test_a_killed_run_goes_on(inside: Path) -> None:
    case = moving()
    whole = run(case, inside / "whole")
    assert "energy" not in whole.series and case.model.table()["interaction"]["width"]["period"]
    with pytest.raises(RuntimeError, match="killed"):
        run(case, inside / "parts", observers=[at_step(whole.steps - 1, stop)])
    assert run(case, inside / "parts", resume=True).steps == whole.steps
    series = mf.RunFolder.open(inside / "parts").read_series()
    same_series(series, mf.RunFolder.open(inside / "whole").read_series(), 1e-12)
    with pytest.raises(InputError, match=r"was begun in model\.interaction\.width\.period"):
        other = moving({"model.interaction.width.period": 0.8, "time.end": 2.0})
        run(other, inside / "parts", resume=True)


@pytest.mark.filterwarnings("ignore:a mesh of:meanfield.errors.MeanfieldWarning")
def test_from_a_file_and_beside_others(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turn = [[0.0, -0.8, 0.0], [0.8, 0.0, 0.0], [0.0, 0.0, 0.0]]
    beside = {
        "model.drift": {"matrix": turn},
        "model.potential": {"type": "linear", "field": [0, 0, 1]},
    }
    moving.write(inside / "case.toml", beside)
    changed = ["--set", "model.interaction.width.period=3"]
    assert cli.main(["run", "case.toml", "-o", "run", "--no-progress", *changed]) == 0
    told = capsys.readouterr().out
    assert "gaussian, width in time, strength in time" in told
    recorded = mf.Case.from_toml(inside / "run" / "case.toml")
    assert recorded.model.table()["interaction"]["width"]["period"] == 3.0
    for verb in (["stationary"], ["branch", "--parameter", "strength", "--from", "1", "--to", "2"]):
        assert cli.main([verb[0], "case.toml", *verb[1:]]) == 2
        told = capsys.readouterr().err
        assert "model.interaction.width: found a value in time" in told or "drift" in told


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model.interaction.width.amplitude": 1.5}, r"model\.interaction\.width: expected a number"),
    ({"model.interaction.link": WAVE}, r"model\.interaction\.link"),
    ({"model.interaction.width": {"mean": [1.0], "amplitude": [0.1], "period": 1.0}}, "a number"),
    ({"model.interaction.width": {"mean": 1.0, "amplitud": 0.1, "period": 1.0}}, "amplitud"),
    ({"model.interaction.wdth": WAVE}, "wdth"),
    (
        {"model.interaction.width": {"times": [0.0, 1.0], "values": [1.0, "a"]}},
        r"^model\.interaction\.width\.values\[1\]: expected a number, found the text 'a'",
    ),
    (
        {"model.interaction.width": {"times": "a", "values": [1.0, 2.0]}},
        r"^model\.interaction\.width\.times: expected a list, or a file with an array, found the t",
    ),
    (
        {"model.kappa": {"mean": "a", "amplitude": 0.1, "period": 1.0}},
        r"kappa\.mean: expected a num",
    ),
    (
        {"model.kappa": {"times": [0.0, 1.0], "values": [True, 1.0]}},
        r"^model\.kappa\.values\[0\]: expected a number, found ",
    ),
    *(
        (
            {"model.interaction": {**kernel, name: WAVE}},
            rf"^model\.interaction\.{name}: found a value in time, expected a constant",
        )
        for kernel, name in (
            ({"type": "power"}, "k"),
            ({"type": "gaussian", "width": 0.5}, "link"),
            ({"type": "series"}, "legendre"),
        )
    ),
    ({"model.interaction": {"type": WAVE, "k": 1}}, r"^model\.interaction\.type: expected .expon"),
    (
        {"model.interaction": {"type": "maier-saupe", "k": WAVE}},
        r"unknown key .*interaction\.k",
    ),
    (
        {"model.interaction.width": {"times": [1.0, 0.0], "values": [1.0, 2.0]}},
        r"^model\.interaction\.width\.times: 0 after 1 found",
    ),
    (
        {"model.interaction.width": {"mean": 1.0, "amplitude": 0.1, "period": -1.0}},
        r"^model\.interaction\.width\.period: expected a number above 0",
    ),
]


@pytest.mark.parametrize(("changes", "told"), REFUSED)
def test_what_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told) as found:
        moving(changes)
    assert "\n" not in str(found.value)


def test_from_python() -> None:
    table = mf.TableInTime(np.array([0.0, 1.0]), np.array([0.5, 1.0]), "linear")
    model = mf.Model(interaction={"type": "power", "k": 1, "strength": table}, kappa=0.1)
    made = model.on(mf.Sphere(level=2))
    assert isinstance(made, mf.MovingKernel) and made.at(0.5).term.strength == 0.75
    with pytest.raises(InputError, match=r"model\.interaction\.strength: found a value in time"):
        _ = model.term
    with pytest.raises(InputError, match=r"^model\.interaction\.strength\.times: 0 after 1 found"):
        late = {"times": [1.0, 0.0], "values": [0.5, 1.0]}
        mf.Model(interaction={"type": "power", "k": 1, "strength": late})
