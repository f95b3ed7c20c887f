"""Whatever a valid case is made of: mass, sign, the direction of the energy, finite numbers.

Cases are drawn by hypothesis, the same ones each time (``derandomize``): small meshes, few tokens,
short times. What fails is shown as the smallest such case.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
import pytest
from cases import all_numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import meanfield as mf

DENSITIES = ["lagrangian"]
if importlib.util.find_spec("dolfinx") is not None:
    DENSITIES += ["eulerian", "implicit"]

same_each_time = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """A few digits: what fails is read by people."""
    return st.integers(round(100 * low), round(100 * high)).map(lambda k: k / 100)


@st.composite
def meshes(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A geometry with a mesh, and its dimension."""
    kind = draw(st.sampled_from(["circle", "zonal", "sphere"]))
    if kind == "circle":
        return {"type": kind, "vertices": draw(st.integers(8, 40))}, 2
    if kind == "sphere":
        return {"type": kind, "level": draw(st.integers(1, 2))}, 3
    d = draw(st.integers(3, 9))
    return {"type": kind, "d": d, "vertices": draw(st.integers(9, 33))}, d


@st.composite
def models(draw: st.DrawFn, noise: bool) -> dict[str, Any]:
    """Attention in both normalisations, or a smooth kernel; any signs."""
    kappa = draw(st.sampled_from([0.0, 0.02, 0.3])) if noise else 0.0
    sign = draw(st.sampled_from([1, -1]))
    kind = draw(st.sampled_from(["sa", "usa", "exponential", "gaussian", "maier-saupe", "power"]))
    if kind in ("sa", "usa"):
        beta = draw(numbers(-3.0, 6.0))
        return {"attention": kind, "beta": beta, "value": sign, "kappa": kappa}
    kernel: dict[str, Any] = {"type": kind, "strength": sign * draw(numbers(0.1, 2.0))}
    if kind == "exponential":
        kernel |= {"beta": draw(numbers(0.1, 5.0))}
    elif kind == "gaussian":
        kernel |= {"width": draw(numbers(0.3, 2.0))}
    elif kind == "power":
        kernel |= {"k": draw(st.integers(1, 5))}
    return {"interaction": kernel, "kappa": kappa}


@st.composite
def laws(draw: st.DrawFn, d: int) -> dict[str, Any]:
    """Symmetric about the last axis, so that all geometries have them."""
    kind = draw(st.sampled_from(["uniform", "von-mises-fisher", "poisson-kernel"]))
    axis = [0.0] * (d - 1) + [draw(st.sampled_from([1.0, -1.0]))]
    if kind == "von-mises-fisher":
        return {"type": kind, "mean": axis, "concentration": draw(numbers(0.0, 6.0))}
    if kind == "poisson-kernel":
        return {"type": kind, "w": axis[-1] * draw(numbers(0.0, 0.7))}
    return {"type": kind}


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Tables of valid cases, of all solvers and geometries."""
    solver = draw(st.sampled_from([*DENSITIES, "particles", "layers"]))
    if solver in DENSITIES:
        geometry, d = draw(meshes())
        options: dict[str, Any] = {"type": solver}
    else:
        d = draw(st.integers(2, 6))
        geometry = {"type": "unmeshed", "d": d}
        options = {"type": solver, "number": draw(st.integers(1, 40))}
        if solver == "layers":
            options["layers"] = draw(st.integers(1, 20))
    noise = solver in ("implicit", "particles")
    return {
        "title": "Random",
        "seed": draw(st.integers(0, 99)),
        "geometry": geometry,
        "model": draw(models(noise)),
        "initial": draw(laws(d)),
        "solver": options,
        "time": {"end": draw(numbers(0.02, 0.6)), "outputs": [], "series_every": 1},
        "output": {"figures": False},
    }


def check(table: dict[str, Any]) -> None:
    case = mf.Case.from_dict(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.MeanfieldWarning)  # coarse meshes say that they are
        result = mf.run(case, progress=False)
    series, solver = result.series, result.solver
    assert result.stop_reason == "end" and result.t == case.time.end
    assert series["t"][0] == 0.0 and np.all(np.diff(series["t"]) > 0.0)
    all_numbers(series)
    np.testing.assert_allclose(series["mass"], 1.0, rtol=0.0, atol=1e-11)
    assert np.all(series["mean_norm"] <= 1.0 + 1e-9)
    if "rho_min" in series:
        assert np.all(series["rho_min"] >= 0.0) and np.all(series["rho_max"] > 0.5)
    else:
        assert np.max(np.abs(np.linalg.norm(solver.x, axis=1) - 1.0)) < 1e-12
    # E of attention and kernels with the sign of what drives it; tokens with noise have none.
    interaction, kappa = solver.interaction, case.model.kappa
    if kappa == 0.0 and case.solver.type != "layers":
        way = np.sign(interaction.drive) * series["energy_scaled"]
    elif "free_energy" in series and interaction.energy_kind == "gradient":
        way = -series["free_energy"]
    else:
        return
    size = max(1e-3, float(np.max(np.abs(way))))
    assert np.all(np.diff(way) > -1e-7 * size), np.min(np.diff(way)) / size


@settings(same_each_time, max_examples=25)
@given(cases())
def test_random_cases(table: dict[str, Any]) -> None:
    check(table)


@pytest.mark.slow
@settings(same_each_time, max_examples=300)
@given(cases())
def test_many_random_cases(table: dict[str, Any]) -> None:
    check(table)
