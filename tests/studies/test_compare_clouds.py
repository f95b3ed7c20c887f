"""Clouds of particles against many particles, in any dimension."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import ot
import pytest
from cases import about, files, small_tokens
from comparisons import compared, quick, task
from processes import needs_dolfinx

import meanfield as mf
from meanfield import cli
from meanfield.analysis.twosample import kernel_distance
from meanfield.analysis.verdict import low_moments
from meanfield.geometry.manifolds.ambient import Ambient
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.measure import Measure
from meanfield.results.comparison import StoredCloud, read_reference
from meanfield.studies.evaluate import Comparison
from meanfield.studies.moments import linear_moments
from meanfield.studies.references import points_for, samples_of
from meanfield.studies.report import summary

pytestmark = needs_dolfinx

TOKENS = small_tokens.but(
    geometry__d=6, initial={"type": "gegenbauer", "coefficients": [0.3, 0.25]}, time__end=0.5,
    time__outputs=[0.25], output__figures=False,
)  # fmt: skip


def test_moments_in_many_dimensions_are_those_of_harmonics() -> None:
    """In d = 3 both are there: the same norm for each degree, whatever the basis."""
    x, w = uniform_points(7, 3, np.random.default_rng(1)), np.random.default_rng(2).random(7)
    measure = Measure(x, w / w.sum())
    ours = linear_moments(measure, Ambient(3))
    moments, degrees = low_moments(measure, 2)
    for l in (1, 2):
        norm = np.linalg.norm(ours["low"][ours["degree"] == l])
        assert norm == pytest.approx(np.linalg.norm(moments[degrees == l]), rel=1e-12)
    # One point: the sum of all squares is the number of harmonics, 8 and 35 in d = 8.
    one = linear_moments(Measure.equal(uniform_points(1, 8, np.random.default_rng(3))), Ambient(8))
    squares = [np.sum(one["low"][one["degree"] == l] ** 2) for l in (1, 2)]
    np.testing.assert_allclose(squares, [8.0, 35.0], rtol=1e-12)
    many = linear_moments(Measure.equal(np.eye(100)), Ambient(100))
    assert many["second"].shape == many["low"].shape == (100,)


@pytest.fixture(scope="module")
def against_many(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """40 and 120 particles against 3 000, in d = 6."""
    return mf.compare(
        TOKENS(output__figures=True), mf.Clouds((40, 120), 6, None, [0.5], (2,), 2_000),
        tmp_path_factory.mktemp("clouds") / "c", progress=False,
    )  # fmt: skip


def test_what_there_is(against_many: Comparison) -> None:
    folder = against_many.folder
    assert {"compare.csv", "reference.npz", "figures/distance-against-n.png"} <= files(folder)
    assert "figures/side-by-side.png" not in files(folder)
    assert about(folder)["reference"] == against_many.reference == 2_000
    stored = read_reference(folder)
    assert isinstance(stored, StoredCloud) and stored.x.shape == (2, 2_000, 6)
    np.testing.assert_allclose(np.linalg.norm(stored.x, axis=2), 1.0, atol=1e-12)
    text = " ".join(" ".join(summary(against_many)).split())
    assert "MMD" in text and "2000 particles that are the reference" in text
    assert "the reference's moments of degree 1 to 2, within its sampling error" in text


def test_distances_again_by_hand(against_many: Comparison) -> None:
    stored = read_reference(against_many.folder)
    points, error = points_for(stored, 1, 120)
    y = np.asarray(points.points)
    assert len(y) == 1_000 and math.isnan(error)
    one = task(against_many.folder, "particles", 120, 3)
    angle = np.arccos(np.clip(one["x"][1] @ y.T, -1.0, 1.0))
    cost = float(ot.emd2(np.full(120, 1 / 120), np.full(len(y), 1 / len(y)), angle**2))
    assert one["w2"][1] == pytest.approx(math.sqrt(cost), rel=1e-6)
    x = Measure.equal(one["x"][1])
    assert one["energy_distance"][1] == pytest.approx(kernel_distance(x, points), rel=1e-12)
    assert one["mmd"][1] == pytest.approx(kernel_distance(x, points, "mmd"), rel=1e-12)


def test_samples_are_others(against_many: Comparison) -> None:
    stored = read_reference(against_many.folder)
    y = np.asarray(points_for(stored, 1, 120)[0].points)
    # All replicas and points: no token is in two of them.
    samples = [samples_of(stored, 1, 120, r, np.random.default_rng(0)) for r in range(6)]
    assert all(x.shape == (120, 6) for x in samples)
    assert len(np.unique(np.concatenate([y, *samples]), axis=0)) == len(y) + 6 * 120


def test_floors_differ_and_cover_one_in_the_smallest_reference(tmp_path: Path) -> None:
    found = quick(TOKENS(), tmp_path / "f", numbers=(100,), replicas=8, times=[0.0],
                  exponents=(2,), reference=1_600)  # fmt: skip
    (row,) = found.rows
    floors = [task(tmp_path / "f", "floor", 100, r) for r in range(8)]
    clouds = [task(tmp_path / "f", "particles", 100, r) for r in range(8)]
    for name in ("w2", "energy_distance", "mmd"):
        ours, theirs = ([one[name][0] for one in some] for some in (clouds, floors))
        assert len(set(theirs)) == 8 and 0.3 < np.std(theirs) / np.std(ours) < 3.0
        assert row[f"ratio_{name}_low"] < 1.0 < row[f"ratio_{name}_high"]


def test_particles_begin_on_the_floor_and_agree(against_many: Comparison) -> None:
    for row in against_many.rows:
        if row["t"] == 0.0:
            assert row["ratio_w2"] == pytest.approx(1.0, abs=0.03)
            assert row["ratio_mmd_low"] < 1.2 and row["ratio_mmd_high"] > 0.8
        assert row["p_value"] > 0.05 and row["density_error"] > 0.0
        assert abs(row["z_energy"]) < 5.0


def test_a_wrong_model_is_noticed(tmp_path: Path) -> None:
    """Of the other sign: what the reference may be wrong by does not hide it."""
    other = TOKENS({"model.value": -1})
    found = mf.compare(
        TOKENS(), mf.Clouds((100,), 8, other, [0.5], (), 4_000), tmp_path / "w", progress=False
    )
    right, wrong = found.rows
    assert right["p_value"] > 0.05 and wrong["p_value"] < 0.01 and "w2" not in wrong
    assert "the reference's moments" in " ".join(summary(found))


def test_a_small_reference_gives_no_verdict(tmp_path: Path) -> None:
    """What is allowed for is 2 (n R / N)^(1/2) of what chance makes, of each moment."""
    for total, name in ((64, "few"), (256, "enough")):
        found = quick(TOKENS(), tmp_path / name, numbers=(32,), replicas=8, reference=total)
        for row in found.rows:
            allowed = row["moment_allowance"] / row["moment_resolution"]
            assert allowed == pytest.approx(2.0 * math.sqrt(256 / total), rel=0.25)
            assert math.isnan(row["p_value"]) == (name == "few")
        text = " ".join(" ".join(summary(found)).split())
        assert ("of at least n R = 256" in text) == (name == "few")
        assert f"{allowed:5.1f}" in summary(found)[2] and "too few particles" not in text


def test_a_reference_has_enough_for_points_and_floors(tmp_path: Path) -> None:
    found = quick(TOKENS(), tmp_path / "r", numbers=(20, 64), exponents=(1,))
    assert found.reference == 2_000 + 2 * 64 and {row["n"] for row in found.rows} == {20.0, 64.0}
    assert 0.0 < found.rows[2]["w1"] and "w2" not in found.rows[2]
    assert quick(TOKENS(), tmp_path / "n", numbers=(20, 64)).reference == 4 * 64  # no distances
    # It stays what it was when more replicas are asked for.
    more = quick(TOKENS(), tmp_path / "r", numbers=(20,), replicas=3, exponents=(1,), resume=True)
    assert more.reference == found.reference and more.rows[0]["replicas"] == 3.0
    with pytest.raises(mf.InputError, match="other values of reference"):
        mf.compare(
            TOKENS(), mf.Clouds((20,), 2, None, [0.25], (1,), 80), tmp_path / "r", resume=True,
            progress=False,
        )  # fmt: skip


def test_tokens_that_have_met(tmp_path: Path) -> None:
    """The reference is at one place: its floor is 0, and a ratio is none."""
    pole: Array = np.eye(6)[-1]
    start = {"type": "von-mises-fisher", "mean": pole.tolist(), "concentration": 1e4}
    case = TOKENS(initial=start, time={"end": 60.0})
    found = quick(case, tmp_path / "m", numbers=(4,), times=[60.0], exponents=(2,), reference=16)
    first, last = found.rows
    assert first["ratio_mmd"] > 0.0 and last["floor_mmd"] == 0.0 < last["mmd"]
    assert math.isnan(last["ratio_mmd"]) and " nan [ nan,  nan]" in " ".join(summary(found))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--particles", "20", "--reference", "319"], "reference = 319 found, 320 to 1000000"),
        (
            ["--particles", "250", "500", "--replicas", "4", "--reference", "1000"],
            "4000 to 1000000 expected (floors of 4 replicas are of 500 particles each",
        ),
        (["--particles", "20", "--reference", "39", "--no-distances"], "40 to 1000000 expected"),
        (["--particles", "20", "--reference", "0"], "reference = 0 found"),
        (["--particles", "9000", "--replicas", "200"], "need a reference of 1810000: expected"),
        (["--particles", "30000", "--reference", "99999"], "2 to 20000 expected"),
        (["--particles-set", "geometry.d=7"], "particles in d = 7 found"),
        (["--set", "model.mask.type=causal"], "mask"),
        (
            [
                "--set",
                "solver.type=layers",
                "--set",
                "solver.layers=9",
                "--set",
                "solver.number=9",
                "--particles",
                "32",
                "--reference",
                "64",
            ],
            "'layers' found, a comparison needs a density",
        ),
        (["--particles", "2000000", "--no-distances"], "(all clouds are kept on disk)"),
        (["--set", "solver.common_noise=1"], "found 1 without common_seed: each cloud and"),
        (["--particles-set", "solver.common_noise=1"], "expected solver.common_seed and dt"),
        (["--reference", "many"], "argument --reference: invalid int value"),
    ],
)
def test_refused_in_one_line(
    words: list[str], message: str, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    TOKENS.write(inside / "t.toml")
    assert cli.main(["compare", "t.toml", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("meanfield: error: ") and message in err and err.count("\n") == 1
    assert files(inside) == {"t.toml"}


def test_tokens_of_a_case_are_not_used_which_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(6))
    of_file = TOKENS(solver={"type": "particles", "tokens": str(tmp_path / "x.npy")})
    with pytest.warns(mf.MeanfieldWarning, match=r"tokens of .*x\.npy are not used: clouds and"):
        found = quick(of_file, tmp_path / "f", numbers=(32,))
    assert found.rows == quick(TOKENS(), tmp_path / "i", numbers=(32,)).rows
    simplex = TOKENS(
        initial={"type": "uniform"},
        solver={"type": "particles", "number": 6, "tokens": "equiangular", "cosine": 0.5},
    )
    with pytest.raises(mf.InputError, match=r"'equiangular', which are no .*expected 'iid'"):
        quick(simplex, tmp_path / "e", numbers=(6,))
    assert not (tmp_path / "e").exists()


def test_common_noise_of_one_path(tmp_path: Path) -> None:
    """One for all clouds and the reference; a density has none."""
    case = TOKENS({"solver.common_noise": 1.0, "solver.common_seed": 4, "solver.dt": 0.01})
    found = quick(case, tmp_path / "c", numbers=(64,), replicas=6, times=[0.5], reference=1_000)
    assert abs(found.rows[-1]["z_energy"]) < 5.0 and found.rows[-1]["z_mean"] < 7.0
    other = compared({"geometry.type": "unmeshed", "geometry.d": 3,
                      "solver": {"type": "particles", "number": 7, "common_noise": 1.0,
                                 "common_seed": 4, "dt": 0.01}})  # fmt: skip
    with pytest.raises(mf.InputError, match="that the density they are compared with does not"):
        quick(compared(), tmp_path / "d", particle_case=other)


def test_from_the_command_line(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TOKENS.write(inside / "t.toml")
    words = ["--particles", "20", "--reference", "90", "--replicas", "2", "--no-progress"]
    assert cli.main(["compare", "t.toml", *words, "--times", "0.25"]) == 0
    out = capsys.readouterr().out
    assert "90 tokens on S^5 (iid), sa, beta = 4, V = +I, against particles" in out
    assert sum(line.split()[:2] == ["0.25", "20"] for line in out.splitlines()) == 2
    assert cli.main(["info", "results/t-compare"]) == 0
    assert "with 2 clouds of n = 20 particles" in capsys.readouterr().out
