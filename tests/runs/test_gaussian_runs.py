"""Runs of narrow Gaussians: what they leave, that they go on, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import about, plain, run, same_series

import meanfield as mf
from meanfield import cli
from meanfield.results.formats import read_tokens_file


def vmf(mean: list[float], concentration: float, weight: float) -> dict[str, object]:
    law = {"type": "von-mises-fisher", "mean": mean, "concentration": concentration}
    return {**law, "weight": weight}


narrow = plain.but(
    {
        "title": "Two narrow clusters",
        "geometry.type": "unmeshed",
        "geometry.d": 3,
        "model.beta": 9.0,
        "model.kappa": 1e-3,
        "initial.type": "mixture",
        "initial.components": [vmf([-0.4, 0.0, 0.9], 300.0, 0.6), vmf([0.4, 0.0, 0.9], 300.0, 0.4)],
        "solver.type": "gaussians",
        "output.figures": False,
        "output.precision": "float64",
    },
    time={"end": 6.0, "outputs": {"every": 1.0}},
)


def test_a_run_and_its_folder(tmp_path: Path) -> None:
    result = run(narrow(), tmp_path / "run")
    series, data = result.series, about(tmp_path / "run")
    assert result.stop_reason == "end" and not result.warnings
    np.testing.assert_allclose(series["mass"], 1.0, atol=1e-14)
    # Two clusters, then one, which noise keeps sqrt(kappa) wide (the centres still approach).
    assert series["clusters"][0] == 2 and series["clusters"][-1] == 1
    assert series["variance_max"][-1] == pytest.approx(1e-3, rel=0.02)
    assert series["variance_min"][0] == pytest.approx(1 / 300, rel=0.01)
    # Entropy of a Gaussian of this width, for sigma and not for the area.
    exact = np.log(2.0) - 1.0 - np.log(series["variance_max"][-1])
    assert series["entropy"][-1] == pytest.approx(exact, abs=0.03)
    assert np.all(np.diff(series["energy_scaled"]) > 0.0)
    assert not {"free_energy", "rho_max", "dissipation"} & set(series)
    assert data["gaussians"] == 2 and data["curved_from"] is None
    assert data["largest_nonaffine"] == pytest.approx(series["nonaffine"].max())
    # The file has the points, whose moments are those of the law.
    stored = read_tokens_file(tmp_path / "run" / "particles.vtkhdf")
    np.testing.assert_allclose(stored.times, np.arange(7.0))
    x, m = stored.points(-1), stored.read("mass")
    assert x.shape == (50, 3)
    mean = np.array([series[f"mean_{k}"][-1] for k in (1, 2, 3)])
    np.testing.assert_allclose(m @ x, mean, atol=1e-12)


def test_the_free_energy_falls_where_there_is_one() -> None:
    """usa: F = kappa H - E is that of the closure, too, as far as Gaussians are exact."""
    scale = np.exp(-4.0)  # clusters of usa are a factor e^beta more tightly held
    changes = {"model.attention": "usa", "model.beta": 4.0, "model.kappa": 1e-3 / scale}
    series = run(narrow({**changes, "time.end": 0.1, "time.outputs.every": 0.002})).series
    assert series["t"][-1] == 0.1 and len(series["t"]) == 51
    falls = np.diff(series["free_energy"])
    assert np.all(falls < 1e-9 * np.abs(series["free_energy"][0])) and falls.sum() < -0.1


@pytest.mark.parametrize("geometry", ["unmeshed", "sphere"])
def test_going_on_is_the_same_as_not_stopping(geometry: str, tmp_path: Path) -> None:
    on = {"geometry.type": "sphere", "geometry.level": 2} if geometry == "sphere" else {}
    whole = run(narrow(on), tmp_path / "whole")
    run(narrow(on, time__end=3.0), tmp_path / "parts")
    parts = run(narrow(on), tmp_path / "parts", resume=True)
    np.testing.assert_array_equal(whole.solver.x, parts.solver.x)
    assert whole.steps == parts.steps
    same_series(whole.series, parts.series, 1e-12)
    first, second = (about(tmp_path / name) for name in ("whole", "parts"))
    assert first["largest_nonaffine"] == second["largest_nonaffine"]
    assert first["rejected_steps"] == second["rejected_steps"]


def test_clusters_that_are_too_wide_are_told(tmp_path: Path) -> None:
    """Also after a resumption, in whose part they are narrow."""
    clusters = [vmf([-0.4, 0.0, 0.9], 25.0, 0.6), vmf([0.4, 0.0, 0.9], 25.0, 0.4)]
    wide = narrow({"initial.components": clusters, "time.end": 2.0})
    with pytest.warns(mf.MeanfieldWarning, match="within a cluster is not affine"):
        result = run(wide, tmp_path / "run")
    assert "from t = 0 on" in result.warnings[0] and "variances are wrong" in result.warnings[0]
    data = about(tmp_path / "run")
    assert data["curved_from"] == 0.0 and data["largest_nonaffine"] > 0.2
    longer = mf.Case.from_dict({**wide.to_dict(), "time": {"end": 4.0, "outputs": {"every": 1.0}}})
    with pytest.warns(mf.MeanfieldWarning, match="from t = 0 on"):
        run(longer, tmp_path / "run", resume=True)
    after = about(tmp_path / "run")
    assert after["curved_from"] == 0.0
    assert after["largest_nonaffine"] == data["largest_nonaffine"]


def test_clusters_that_widen_are_told_of_though_little_is_curved(tmp_path: Path) -> None:
    """From the first step on that is too wide, also after a resumption that begins there."""
    one = {"type": "von-mises-fisher", "mean": [0.0, 0.0, 1.0], "concentration": 20.0}
    wide = narrow({"model.kappa": 0.05, "time.end": 1.0}).to_dict() | {"initial": one}
    with pytest.warns(mf.MeanfieldWarning, match="sum to more than 0.1: too wide"):
        run(mf.Case.from_dict(wide), tmp_path / "run")
    data = about(tmp_path / "run")
    assert 0.0 < data["wide_from"] < 1.0 and data["curved_from"] is None
    longer = {**wide, "time": {"end": 2.0, "outputs": {"every": 1.0}}}
    with pytest.warns(mf.MeanfieldWarning, match="sum to more than 0.1"):
        run(mf.Case.from_dict(longer), tmp_path / "run", resume=True)
    assert about(tmp_path / "run")["wide_from"] == data["wide_from"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.kappa": 0.0}, "model.kappa: found 0, .* expected kappa > 0"),
        ({"model.diffusion.exponent": 2.0}, "model.diffusion.exponent: found 2"),
        (
            {"geometry.type": "zonal", "geometry.vertices": 65, "geometry.d": 3},
            "geometry.type: found 'zonal'",
        ),
        (
            {
                "geometry.d": 7,
                "initial.components": [vmf([0.0] * 6 + [1.0], 300.0, 1.0)],
            },
            "geometry.d: found 7, expected at most 6",
        ),
        ({"initial.type": "standard"}, "initial: found uniform .* expected 'von-mises-fisher'"),
        ({"model.mask": "causal"}, "model.mask: found one, .* narrow Gaussians does not know"),
        ({"model.normalisation": "pre"}, "model.normalisation: found 'pre'"),
        ({"model.beta": {"type": "log_n", "factor": 1.0}}, "model.beta: found .* number of tokens"),
        ({"output.tangents": 2}, "output.tangents: found 2"),
        ({"solver.number": 3}, "solver.number"),
    ],
)
def test_cases_that_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(mf.InputError, match=message):
        narrow(changes)


def test_pairs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(mf.InputError, match=r"^output\.pairs: found 20 with Gaussians"):
        run(narrow(output__pairs=20), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    narrow.write(tmp_path / "case.toml", time__end=1.0)
    assert cli.main(["run", "case.toml", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "2 Gaussians on S^2" in told
    assert "position, velocity, cluster: 5.2 kB" in told  # 50 points, of two outputs
    assert cli.main(["run", "case.toml", "--output", "out"]) == 0
    assert cli.main(["help", "gaussians"]) == 0
    assert "cluster_angle" in capsys.readouterr().out
    assert cli.main(["info", "out"]) == 0
