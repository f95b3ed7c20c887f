"""[model.diffusion]: reading, writing, refusing, running."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cases import Recipe, plain, small_tokens

import meanfield as mf
from meanfield.case.helptext import help_on
from meanfield.case.schema import case_schema
from meanfield.cli.words import case_words
from meanfield.errors import InputError
from meanfield.steady.problem import Problem

porous = plain.but(
    model={
        "interaction": {"type": "power", "k": 1}, "kappa": 0.2, "diffusion": {"exponent": 2.0},
    },
    solver={"type": "implicit"},
    time={"end": 1.0, "outputs": [0.5], "series_every": 1},
    output={"figures": False},
)  # fmt: skip


def test_read_and_written() -> None:
    case = porous()
    assert case.model.exponent == 2.0
    assert tomllib.loads(case.to_toml())["model"]["diffusion"] == {"exponent": 2.0}
    assert mf.Case.from_dict(tomllib.loads(case.to_toml())) == case
    jsonschema.validate(porous.table(), case_schema())
    assert porous({"model.diffusion.exponent": 0.5}).model.exponent == 0.5
    made = mf.Model(interaction=mf.Power(k=1), kappa=0.2, diffusion=mf.Diffusion(exponent=2.0))
    assert made == case.model
    assert case_words(case).endswith("kappa = 0.2, m = 2")
    assert "Diffusion (kappa/m) Laplace rho^m" in "\n".join(help_on("model.diffusion"))


def test_left_out_it_is_linear() -> None:
    case = plain({"model.kappa": 0.1, "solver": "implicit"})
    assert case.model.exponent == 1.0
    assert "diffusion" not in tomllib.loads(case.to_toml())["model"]
    assert "m = " not in case_words(case)


@pytest.mark.parametrize("exponent", [0.0, -1.0, 21.0, math.nan])
def test_exponents_out_of_range(exponent: float) -> None:
    with pytest.raises(InputError, match=r"model\.diffusion\.exponent: (expected|found)"):
        porous({"model.diffusion.exponent": exponent})


def refused(recipe: Recipe, expected: str, **changes: object) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        recipe(changes)
    assert "\n" not in str(caught.value)


def test_what_has_linear_diffusion_only() -> None:
    tokens = small_tokens.but(model=porous.table()["model"])
    refused(tokens, "the noise of tokens is linear diffusion")
    assert tokens({"model.diffusion.exponent": 1.0}).model.kappa == 0.2
    assert tokens({"model.kappa": 0.0}).model.exponent == 2.0
    refused(porous, 'the lagrangian solver has kappa = 0 only: expected solver.type = "implicit"$',
            solver={"type": "lagrangian"})  # fmt: skip
    explicit = porous.but(solver={"type": "eulerian"})
    assert explicit().model.exponent == 2.0
    assert explicit({"model.diffusion.exponent": 1.0}).model.exponent == 1.0
    refused(explicit.but({"model.diffusion.exponent": 0.5}), "no explicit step is stable")
    assert Problem.from_case(porous()).equation().m == 2.0
    assert isinstance(porous.but(solver={"type": "auto"})().solver, mf.Implicit)


@pytest.mark.parametrize("solver", ["implicit", "eulerian"])
def test_a_run_tells_its_free_energy(solver: str, tmp_path: Path) -> None:
    law = {"type": "von-mises-fisher", "mean": [0.0, 0.6, 0.8], "concentration": 2.0}
    case = porous.but(geometry__level=3, solver={"type": solver}, initial=law)()
    run = mf.run(case, tmp_path / "run")
    series = run.series
    entropy, energy, free = (series[name] for name in ("entropy", "energy", "free_energy"))
    np.testing.assert_allclose(free, 0.2 * entropy - energy, atol=1e-14)
    # int (rho^2 - rho)/2 of k e^{k t}/sinh k, k = 2
    assert entropy[0] == pytest.approx(0.5 * (2.0 / math.tanh(2.0) - 1.0), rel=5e-3)
    assert np.max(np.diff(free)) <= 1e-14
    assert np.all(series["dissipation"] > 0.0)
    told = np.sum(
        0.5 * np.diff(series["t"]) * (series["dissipation"][1:] + series["dissipation"][:-1])
    )
    assert free[0] - free[-1] == pytest.approx(told, rel=0.02)
    assert np.max(np.abs(series["mass"] - 1.0)) < 1e-13


def test_without_diffusion_its_exponent_says_nothing(tmp_path: Path) -> None:
    found = []
    for k, exponent in enumerate((1.0, 2.0)):
        case = mf.Case.from_dict({
            "title": "no noise",
            "geometry": {"type": "circle", "vertices": 64},
            "model": {"attention": "sa", "beta": 1.0, "diffusion": {"exponent": exponent}},
            "initial": {"type": "fourier", "cos": [0.3]},
            "solver": {"type": "implicit"},
            "time": {"end": 0.5, "outputs": []},
            "output": {"figures": False},
        })  # fmt: skip
        found.append(mf.run(case, tmp_path / str(k), progress=False).series["entropy"])
    np.testing.assert_allclose(found[1][-1], found[0][-1], rtol=1e-3)
    assert found[0][0] == found[1][0]
