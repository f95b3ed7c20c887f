"""Runs of tokens in schemes of normalisation: what they leave behind, and how they go on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import about, few_tokens, run
from tokencases import same_run

from meanfield.errors import InputError
from meanfield.geometry.sphere import uniform_points
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_tokens_file

_LOGNORMAL = {"type": "lognormal", "sigma": 0.5}
SCHEMES: dict[str, Any] = {
    "pre": {"type": "pre", "length": _LOGNORMAL},
    "mix": {"type": "mix", "switch": 1.25, "length": _LOGNORMAL},
    "peri": "peri",
    "sandwich": "sandwich",
    "none": {"type": "none", "length": {"type": "uniform", "low": 0.5, "high": 1.0}},
    "gain": {"type": "post", "gain": 1.5},
    "layer norm": {"type": "sqrt", "centre": True, "gain": [0.5, 1.0, 2.0]},
}
LENGTHS = ["mean_length", "smallest_length", "largest_length"]
each_scheme = pytest.mark.parametrize("name", SCHEMES)


@each_scheme
def test_going_on_is_the_same_as_not_stopping(name: str, tmp_path: Path) -> None:
    changes = {"model.normalisation": SCHEMES[name]}
    case = few_tokens({**changes, "time.end": 2.0})
    whole = run(case, tmp_path / "whole")
    assert run(few_tokens({**changes, "time.end": 1.0}), tmp_path / "parts").t == 1.0
    parts = run(case, tmp_path / "parts", resume=True)
    assert whole.steps == parts.steps
    same_run(tmp_path / "whole", tmp_path / "parts")
    lengths = whole.solver.lengths
    if lengths is not None:
        np.testing.assert_array_equal(lengths, parts.solver.lengths)


@each_scheme
def test_columns(name: str, tmp_path: Path) -> None:
    result = run(few_tokens({"model.normalisation": SCHEMES[name]}), tmp_path / "run")
    series, solver = RunFolder.open(tmp_path / "run").read_series(), result.solver
    has = [column for column in LENGTHS if column in series]
    if name not in ("pre", "mix", "peri", "none"):
        assert not has and solver.lengths is None
    else:
        assert has == LENGTHS
        r = solver.lengths
        end = [float(series[column][-1]) for column in LENGTHS]
        assert end == pytest.approx([r.mean(), r.min(), r.max()], rel=1e-14)
    stored = read_tokens_file(tmp_path / "run" / "particles.vtkhdf")
    assert ("length" in stored.names) == (solver.lengths is not None)
    if solver.lengths is not None:
        np.testing.assert_array_equal(stored.read("length", -1), solver.lengths)
        assert stored.read("length", 0).mean() == pytest.approx(series["mean_length"][0])
    assert ("rescaled_length" in series) == (name == "none")
    # What the field says of dE/dt is so where tokens move as it says.
    assert ("dissipation" in series) == (name == "gain")
    assert ("energy_scaled" in series) == (name not in ("none", "layer norm"))
    if "energy_scaled" in series:
        assert np.all(np.diff(series["energy_scaled"]) > 0.0)  # each scheme slows, none turns
    if name == "none":
        growth = series["mean_length"] * np.exp(-series["t"])
        np.testing.assert_allclose(series["rescaled_length"], growth, rtol=1e-12)


def test_all_is_in_the_record(tmp_path: Path) -> None:
    run(few_tokens({"model.normalisation": SCHEMES["mix"]}), tmp_path / "run")
    series = RunFolder.open(tmp_path / "run").read_series()
    before = series["t"] <= 1.25
    assert np.ptp(series["mean_length"][before]) == 0.0
    assert np.all(np.diff(series["mean_length"][~before]) > 0.0)
    with pytest.raises(InputError, match=r"model\.normalisation\.switch"):
        changed = {**SCHEMES["mix"], "switch": 1.5}
        run(few_tokens({"model.normalisation": changed}), tmp_path / "run", resume=True)


def test_post_is_what_there_was(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model.normalisation": "post"}
    run(few_tokens(), tmp_path / "one")
    run(few_tokens(changes), tmp_path / "two")
    left, right = (RunFolder.open(tmp_path / name).series_path for name in ("one", "two"))
    assert left.read_bytes() == right.read_bytes()


def test_lengths_of_a_file(tmp_path: Path) -> None:
    r = np.linspace(0.5, 2.0, 50)
    np.save(tmp_path / "lengths.npy", r)
    table = {"type": "pre", "length": "lengths.npy"}
    changes: dict[str, Any] = {"model.normalisation": table, "time.end": 0.5}
    case = few_tokens(changes, base=tmp_path)
    result = run(case, tmp_path / "run")
    assert RunFolder.open(tmp_path / "run").read_series()["largest_length"][0] == 2.0
    assert result.solver.lengths.min() > 0.5
    np.save(tmp_path / "lengths.npy", r[1:])
    with pytest.raises(InputError, match=r"lengths of shape \(49,\) found, one for each of 50"):
        run(case, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    with pytest.raises(InputError, match=r"the content of model\.normalisation\.length"):
        run(few_tokens({**changes, "time.end": 1.0}, base=tmp_path), tmp_path / "run", resume=True)


def test_tokens_of_a_file_that_are_centred_are_told(tmp_path: Path) -> None:
    """And those that are centred already are as they were."""
    x = uniform_points(5, 3, np.random.default_rng(1))
    inside = x - x.mean(axis=1, keepdims=True)
    for y, count in ((x, 1), (inside / np.linalg.norm(inside, axis=1)[:, None], 0)):
        np.save(tmp_path / "x.npy", y)
        changes: dict[str, Any] = {
            "model.normalisation": {"type": "pre", "centre": True}, "time.end": 0.1,
            "solver": {"type": "particles", "tokens": "x.npy"},
        }  # fmt: skip
        warnings = run(few_tokens(changes, base=tmp_path)).warnings
        assert sum("begin at their projections" in text for text in warnings) == count


@pytest.mark.parametrize("attention", ["sa", "usa"])
def test_layer_norm_has_the_energy_of_one_dimension_less(attention: str, tmp_path: Path) -> None:
    """Tokens orthogonal to (1, 1, 1, 1) are tokens in d = 3, whose energy is known."""
    basis = np.linalg.svd(np.eye(4) - 0.25)[0][:, :3]
    y = uniform_points(6, 3, np.random.default_rng(1))
    np.save(tmp_path / "x.npy", y @ basis.T)
    np.save(tmp_path / "y.npy", y)
    series = []
    for d, name in ((4, "x.npy"), (3, "y.npy")):
        changes: dict[str, Any] = {
            "geometry": {"type": "unmeshed", "d": d}, "model.attention": attention,
            "initial": {"type": "uniform"}, "solver": {"type": "particles", "tokens": name},
        }  # fmt: skip
        if d == 4:
            changes["model.normalisation"] = {"type": "post", "centre": True}
        result = run(few_tokens(changes, base=tmp_path))
        assert not any("no energy" in text for text in result.warnings)
        series.append(result.series)
    for column in ("energy", "dissipation"):
        np.testing.assert_allclose(series[0][column][-1], series[1][column][-1], rtol=1e-8)


def test_a_run_ends_where_a_length_does(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model.value": -1, "model.normalisation": "pre", "time.end": 9.0}
    result = run(few_tokens(changes), tmp_path / "run")
    assert "reaches 0 at t = " in about(tmp_path / "run")["stop_reason"]
    assert math.isfinite(result.t) and result.t < 9.0
