"""A cloud of points against the density of a run: known distances, verdicts, what is refused."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from cases import CIRCLE, ZONAL, plain, run
from processes import needs_dolfinx
from scipy import stats

import meanfield as mf
from meanfield import cli
from meanfield.geometry.sphere import Array
from meanfield.studies.densities import density_at
from meanfield.studies.points import PointsComparison, compare_points, held_against

circle = plain.but(
    {**CIRCLE, "solver.type": "lagrangian", "geometry.vertices": 200, "initial.cos": [0.3, 0.2]},
    time={"end": 1.0, "outputs": [0.5]},
    output={"figures": False, "precision": "float64"},
)
uniform = {"initial": {"type": "uniform"}, "time.end": 0.1, "time.outputs": []}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of characteristics, on all three geometries; tokens of one of them."""
    folder = tmp_path_factory.mktemp("clouds")
    run(circle(), folder / "circle")
    run(circle(model__beta=1.0), folder / "other")
    run(circle(uniform), folder / "flat")
    zonal = plain.but({**ZONAL, "geometry.d": 3, "solver.type": "lagrangian"}).but(uniform)
    run(zonal(output__figures=False), folder / "zonal")
    sphere = plain.but({"solver.type": "lagrangian"}, time={"end": 0.5, "outputs": []})
    run(sphere(output__figures=False), folder / "sphere")
    return folder


def samples(folder: Path, n: int, t: float = 1.0, seed: int = 0) -> Array:
    return density_at(folder, t).side.draws(n, np.random.default_rng(seed))


def turned(angles: Array) -> Array:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


# ---------------------------------------------------------------------- known numbers


def test_even_points_on_the_circle(runs: Path) -> None:
    """Each of n stands for an arc of 2 pi/n: W_2 = pi / (n sqrt(3))."""
    found = compare_points(runs / "flat", turned(2.0 * np.pi * np.arange(16) / 16), 0.1, draws=8)
    assert abs(found.w2 - math.pi / (16.0 * math.sqrt(3.0))) <= found.quadrature < 2e-3
    assert found.ratio < 0.4 and found.n == found.effective == 16
    assert found.statistic == pytest.approx(0.0, abs=1e-6)  # no moments up to degree 15


@pytest.mark.parametrize("name", ["zonal", "sphere"])
def test_points_at_a_pole(name: str, runs: Path) -> None:
    """W_2^2 is the mean of theta^2: (pi^2 - 4) / 2 for the uniform law; far, whatever the seed."""
    pole = np.tile([0.0, 0.0, 1.0], (50, 1))
    found = compare_points(runs / name, pole, draws=2)
    assert found.verdict.startswith("differs: p = ") and found.p_value <= 1e-3
    if name == "zonal":
        known = math.sqrt(0.5 * (math.pi**2 - 4.0))
        assert abs(found.w2 - known) <= found.quadrature < 1e-2
        by_angle = compare_points(runs / name, np.zeros((50, 1)), draws=2)
        assert by_angle.w2 == found.w2 and by_angle.statistic == found.statistic
        # Which do not tell the energy of vectors.
        assert math.isnan(by_angle.energy) and not math.isnan(found.energy)
        for angles in (np.zeros(50), np.zeros((50, 1)).tolist(), np.zeros((50, 1), "f4")):
            assert compare_points(runs / name, angles, draws=2).row() == pytest.approx(
                by_angle.row(), nan_ok=True
            )
        with pytest.raises(mf.InputError, match=r"\(n, 3\) unit vectors, or colatitudes \(n, 1\)"):
            compare_points(runs / name, np.eye(2))


def test_draws_of_the_density_agree(runs: Path) -> None:
    """Ratio 1, p uniform, the energy within what chance makes."""
    held = density_at(runs / "circle", 1.0)
    rng = np.random.default_rng(5)
    found = [held_against(held, held.side.draws(120, rng), None, draws=2, seed=k)
             for k in range(200)]  # fmt: skip
    p = np.array([one.p_value for one in found])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.exp(np.mean(np.log([one.ratio for one in found]))) == pytest.approx(1.0, abs=0.1)
    z = np.array([one.energy for one in found])
    spread = np.sqrt(np.mean([one.energy_spread**2 for one in found]))
    assert abs(z.mean()) < 4.0 * spread / math.sqrt(200.0)
    assert spread == pytest.approx(z.std(), rel=0.3)
    agreed = [one.verdict.startswith("agrees: p = ") for one in found]
    assert np.mean(agreed) == np.mean(p > 0.05) > 0.88


def test_draws_of_another_density_differ(runs: Path) -> None:
    found = compare_points(runs / "circle", samples(runs / "other", 8_000), 1.0, draws=4)
    assert found.p_value < 1e-3 and found.verdict.startswith("differs: p = less than 0.001")
    assert found.ratio > 1.5 and abs(found.energy) > 5.0 * found.energy_spread


def test_a_small_p_of_tokens_that_interacted_is_no_verdict(runs: Path) -> None:
    held, x = density_at(runs / "circle", 1.0), samples(runs / "circle", 2_000)
    x = x @ turned(np.array([0.18, 0.18 + 0.5 * np.pi]))  # all of them by an angle
    drawn, told = (held_against(held, x, None, draws=8, interacted=k) for k in (False, True))
    assert drawn.ratio < 2.0 and drawn.p_value == told.p_value < 0.05
    assert drawn.verdict.startswith("differs: p = ")
    assert told.verdict.startswith("no verdict: W2 is ") and "with replicas" in told.verdict
    pole = np.tile([-1.0, 0.0], (500, 1))
    far = held_against(held, pole, None, draws=8, interacted=True)
    assert far.verdict.startswith("differs: W2 is ")


def test_masses_that_moved_allow_for_what_they_hide(runs: Path, tmp_path: Path) -> None:
    """Without the history: right draws, however many, are not told from coarse masses."""
    coarse = circle(geometry__vertices=24, time__end=2.0)
    run(coarse, tmp_path / "coarse")
    exact = density_at(tmp_path / "coarse", 2.0)
    for path in (tmp_path / "coarse").glob("checkpoint*"):
        path.unlink()
    held = density_at(tmp_path / "coarse", 2.0)
    assert held.side.moved is not None and exact.side.moved is None
    law = held.moments
    wrong = np.linalg.norm(law.mean - exact.moments.mean)
    assert 0.0 < wrong < 3.0 * np.linalg.norm(law.error)
    x = exact.side.draws(1_000_000, np.random.default_rng(0))
    found = law.test(x, np.full(len(x), 1.0 / len(x)))
    assert found.hidden and found.statistic > 2.0 * found.freedom and found.p_value > 0.05
    few = held_against(held, x[:2_000], None, draws=2)
    assert not few.verdict.startswith("differs")
    assert few.shift == pytest.approx(found.shift / 500.0)
    assert f"the mesh allows for {few.shift:.3g}" in dict(few.rows())["moments"]
    silent = held_against(held, x[:200_000], None, draws=2)
    assert silent.verdict.startswith("no verdict: what the mesh is wrong by (T up to ")
    assert math.isnan(silent.p_value)


def test_characteristics_are_known_at_any_time(runs: Path) -> None:
    """Between outputs, too: the density of the history, at nodes of its own."""
    held = density_at(runs / "circle", 0.3)
    assert held.side.density is not None and math.isnan(held.energy)
    mesh, rho = held.side.density
    known = mf.DensityInTime(runs / "circle").density_at(mesh.points[:50], 0.3)
    np.testing.assert_allclose(rho[:50], known, rtol=1e-12)


# ---------------------------------------------------------------------- what is given


def test_weights_and_what_they_are_worth(runs: Path) -> None:
    """Weights k are points k times over, but for how much these fluctuate."""
    x = samples(runs / "circle", 100)
    count = np.random.default_rng(1).integers(1, 4, size=100)
    weighted = compare_points(runs / "circle", x, 1.0, count, draws=4)
    repeated = compare_points(runs / "circle", np.repeat(x, count, axis=0), 1.0, draws=4)
    assert weighted.n == 100 and repeated.n == count.sum()
    assert weighted.effective == pytest.approx(count.sum() ** 2 / np.sum(count**2))
    assert weighted.w2 == pytest.approx(repeated.w2, rel=0.05)
    assert weighted.statistic * repeated.effective == pytest.approx(
        repeated.statistic * weighted.effective, rel=1e-9
    )
    held = density_at(runs / "circle", 1.0)
    rng, w = np.random.default_rng(2), np.random.default_rng(3).exponential(size=150)
    energies = [held.energy_of(held.side.draws(150, rng), w / w.sum()) for _ in range(200)]
    error = np.std(energies) / math.sqrt(200.0)
    assert abs(np.mean(energies) - held.energy) < 4.0 * error < 0.1 * held.energy


def test_arrays_of_any_kind(runs: Path) -> None:
    x = samples(runs / "circle", 64)
    one = compare_points(runs / "circle", x, draws=2)
    single = compare_points(str(runs / "circle"), x.astype(np.float32).tolist(), 1.0, draws=2)
    assert single.w2 == pytest.approx(one.w2, rel=1e-5) and single.t == one.t == 1.0
    assert repr(one).startswith("PointsComparison(t = 1, n = 64, ") and len(repr(one)) < 200
    frame = one.to_pandas()
    assert frame["w2"][0] == one.w2 and frame["verdict"][0] == one.verdict
    assert frame["floor_low"][0] == one.floor.low


def test_a_live_run_without_a_folder_is_at_its_end(runs: Path) -> None:
    live = run(circle())
    x = samples(runs / "circle", 200)
    stored, found = compare_points(runs / "circle", x, 1.0), compare_points(live, x)
    assert found.t == 1.0 and found.w2 == pytest.approx(stored.w2, rel=1e-6)
    assert found.p_value == pytest.approx(stored.p_value, abs=1e-3)
    with pytest.raises(mf.InputError, match=r"t = 0.5 found, 1 expected, where the run stopped"):
        compare_points(live, x, 0.5)
    assert found.energy == pytest.approx(stored.energy, rel=1e-6)


@needs_dolfinx
@pytest.mark.parametrize("solver", ["eulerian", "implicit"])
def test_a_live_run_on_a_mesh_that_stays(solver: str, runs: Path, tmp_path: Path) -> None:
    case = circle(solver__type=solver, time__end=0.2, time__outputs=[])
    x = samples(runs / "circle", 200, 0.2)
    found = compare_points(run(case), x, draws=3)
    stored = compare_points(run(case, tmp_path / "run"), x, draws=3)
    assert found.row() == pytest.approx(stored.row(), rel=1e-6)


# ---------------------------------------------------------------------- as mf.compare takes it


def test_times_and_files_by_any_name(runs: Path, tmp_path: Path) -> None:
    folder, x = runs / "circle", samples(runs / "circle", 60)
    w = np.arange(1.0, 61.0)
    np.savez(tmp_path / "x.npz", x=x, weights=w)
    known = mf.compare(folder, x, 1.0, w, draws=2).row()
    for found in (
        mf.compare(folder, x, time=1.0, weights=w, draws=2),
        mf.compare(density=folder, points=x, t=1.0, weights=w, draws=2),
        mf.compare(folder, tmp_path / "x.npz", t=1.0, draws=2),
        mf.compare(mf.load(folder), str(tmp_path / "x.npz"), 1.0, draws=2),
        mf.compare(tmp_path / "x.npz", folder, time=1.0, draws=2),
    ):
        assert isinstance(found, PointsComparison) and found.row() == known
    assert mf.compare(folder, tmp_path / "x.npz", 1.0, np.ones(60), draws=2).effective > 59.0
    pair = mf.compare(folder, runs / "other", t=1.0, distances=False).rows
    assert pair == mf.compare(folder, runs / "other", time=1.0, distances=False).rows


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([], {}, "found nothing alone, expected a second argument"),
        (["run"], {}, "found the text 'run' alone, expected a second argument"),
        (["run", np.eye(2)], {"t": 1.0, "time": 1.0}, "t and time found, which are the same"),
        (["run", np.eye(2)], {"tim": 1.0}, r"'tim'; expected compare\(density, points, t, weights"),
        (["run", "other"], {"weights": [1.0]}, r"'weights'; expected compare\(first, second, time"),
        (["a.npy", "b.npy"], {}, "two files of tokens found, a.npy and b.npy"),
    ],
)
def test_other_arguments_are_refused(
    given: list[object], options: dict[str, object], message: str
) -> None:
    with pytest.raises(mf.InputError, match=message):
        mf.compare(*given, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": 1.5 * np.eye(2)}, "points: point 0 has length 1.5, 1 expected"),
        ({"points": np.eye(3)}, r"points of shape \(3, 3\) found, \(n, 2\) unit vectors"),
        ({"points": np.eye(2)[:1]}, "points: 1 found, 2 or more expected"),
        ({"weights": [1.0]}, r"weights of shape \(1,\) found, one number >= 0 for each of 2"),
        ({"weights": [1.0, -1.0]}, "weights: weight 1 is -1.0"),
        ({"weights": [0.0, 0.0]}, "weights that are all 0"),
        ({"weights": [0.0, 3.0]}, "weights of one point alone found, 2 or more"),
        ({"t": 1.7}, r"time 1.7 found, one of its 3 output times from 0 to 1 expected"),
        ({"t": float("inf")}, "t = inf found"),
        ({"draws": 1}, "draws = 1 found, 2 to 10000 expected"),
        ({"density": "nowhere"}, "there is no folder nowhere"),
    ],
)
def test_refused_in_one_line(change: dict[str, object], message: str, runs: Path) -> None:
    given = {"density": runs / "circle", "points": np.eye(2), "t": 1.0, "weights": None} | change
    with pytest.raises(mf.InputError, match=message) as caught:
        compare_points(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- the verb


def test_from_the_command_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = samples(runs / "circle", 120, 0.5)
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "w.txt", np.arange(1.0, 121.0))
    words = ["compare", str(runs / "circle"), str(tmp_path / "x.npy"), "--time", "0.5"]
    assert cli.main([*words, "--draws", "3", "-o", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    known = compare_points(runs / "circle", x, 0.5, draws=3)
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines() if " " in line}
    assert told["verdict"] == known.verdict and told["ratio"] == f"{known.ratio:.3g}"
    assert "a density on circle, t = 0.5" in out and err == ""
    with open(tmp_path / "out" / "points.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert {k: float(v) for k, v in row.items()} == pytest.approx(known.row(), nan_ok=True)
    turned_round = [words[0], words[2], words[1], *words[3:]]
    assert cli.main([*turned_round, "--draws", "3"]) == 0
    assert f"{known.ratio:.3g}\n" in capsys.readouterr().out
    assert cli.main([*words, "--weights", str(tmp_path / "w.txt"), "--draws", "2"]) == 0
    assert " 120, effective 90.4\n" in capsys.readouterr().out
    # Points of another law are no failure.
    np.save(tmp_path / "pole.npy", np.tile([0.0, 1.0], (100, 1)))
    words[2] = str(tmp_path / "pole.npy")
    assert cli.main([*words, "--draws", "2"]) == 0
    assert " differs: p = " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["circle", "x.nix"], "x.nix: no such folder, and no file of tokens (.npy"),
        (["circle", "missing.npy"], "token file missing.npy does not exist"),
        (["case.toml", "x.npy"], "case.toml: no such folder; expected that of a run beside"),
        (["circle", "x.npy", "--time", "7"], "time 7 found, one of its 3 output times"),
        (["circle", "x.npy", "--weights", "w.npy"], "w.npy: no such file, expected weights"),
        (["circle", "x.npy", "--weights", "x.npy"], "weights of shape (5, 2) found"),
        (["circle", "three.npy"], "an array of shape (5, 3) found, n rows of d = 2"),
        (["circle", "flat", "--weights", "x.npy"], "found for two runs"),
        (["x.npy", "x.npy"], "`meanfield distance x.npy x.npy` holds tokens against tokens"),
        (["circle", "x.npy", "--times", "1"], "--times found for a run and a file of tokens, --ti"),
        (["circle", "x.npy", "--time", "1", "--particles", "30"], "--particles found for a run"),
        (["circle", "x.npy", "--replicas", "3"], "--draws expected"),
        (["circle", "x.npy", "--no-distances"], "--no-distances found for a run and a file"),
        (["circle", "flat", "--draws", "3"], "--draws found for two runs of densities"),
        (["circle", "flat", "--set", "model.beta=3"], "--set found for two runs of densities"),
        (["case.toml", "--time", "1"], "--time found for a case, --times expected"),
        (["case.toml", "--draws", "3"], "--draws found for a case, --replicas expected"),
    ],
)
def test_files_that_are_refused(
    words: list[str], message: str, runs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("circle", "flat"):
        Path(name).symlink_to(runs / name)
    np.save("x.npy", turned(np.arange(5.0)))
    np.save("three.npy", np.eye(3)[[0, 1, 2, 0, 1]] + 0.0)
    assert cli.main(["compare", *words]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
