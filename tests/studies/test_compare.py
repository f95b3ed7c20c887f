"""Particles against the density: what a comparison says, and whether it tells right from wrong."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import ot
import pytest
from cases import about, files
from comparisons import NUMBERS, REPLICAS, TIMES, compared, quick, task, tasks
from processes import needs_dolfinx
from scipy import stats

import meanfield as mf
from meanfield.analysis.crosscheck import ratio_interval, sampling_floor
from meanfield.analysis.quadrature import density_measure
from meanfield.analysis.wasserstein import quantise, wasserstein
from meanfield.case import Particles
from meanfield.dynamics.particles import ParticleSolver
from meanfield.geometry.laws.tabulated import density_law
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import Attention
from meanfield.interaction.measure import Measure
from meanfield.studies import numbers, references, transport
from meanfield.studies.compare import compare
from meanfield.studies.evaluate import Comparison
from meanfield.studies.report import summary
from meanfield.studies.settings import Clouds

cloud = Measure.equal

pytestmark = needs_dolfinx


# ------------------------------------------------------------------ what comes out


def test_files(finished: Comparison) -> None:
    pictures = ["distance-against-n.png", "distance-against-t.png", "side-by-side.png"]
    assert files(finished.folder) == {
        *("case.toml", "run.json", "compare.csv", "rates.csv"),
        *("density.npz", "density-coarse.npz"),
        *(f"figures/{name}" for name in pictures),
        *tasks(),
    }
    for name in pictures:
        assert (finished.folder / "figures" / name).stat().st_size > 10_000
    data = about(finished.folder)
    assert (data["kind"], data["stop_reason"]) == ("compare", "end")
    assert (data["numbers"], data["replicas"]) == (list(NUMBERS), REPLICAS)
    assert (data["times"], data["exponents"]) == (list(TIMES), [2])
    assert sorted(data["figures"]) == pictures
    assert data["meanfield"] and data["started"] <= data["ended"]
    assert mf.Case.from_toml(finished.folder / "case.toml") == compared({"output.figures": True})


def test_rows(finished: Comparison) -> None:
    assert [(row["t"], row["n"]) for row in finished.rows] == [(t, n) for t in TIMES
                                                               for n in NUMBERS]  # fmt: skip
    for row in finished.rows:
        measured = {f"{kind}w2{end}" for kind in ("", "floor_", "ratio_")
                    for end in ("", "_low", "_high")}  # fmt: skip
        assert set(row) == {
            *("t", "n", "replicas", "quadrature", "z_energy", "z_mean", "z_second"),
            *("measured", "floor_measured", "gap"),
            *("p_value", "moment_allowance", "moment_distance", "moment_resolution"),
            *("moment_bias", "moment_band", "moment_share", "density_error"),
            *measured,
        }
        assert all(math.isfinite(value) for value in row.values())
        for name in ("w2", "floor_w2", "ratio_w2"):
            assert 0.0 < row[f"{name}_low"] < row[name] < row[f"{name}_high"]
        assert row["p_value"] * 32 == round(row["p_value"] * 32)  # of 2^5 sign patterns
        assert 0.0 < row["quadrature"] < row["w2"]


def test_the_table_on_disk(finished: Comparison) -> None:
    with open(finished.folder / "compare.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(finished.rows[0])
    for stored, row in zip(rows, finished.rows, strict=True):
        np.testing.assert_allclose([float(v) for v in stored.values()], list(row.values()),
                                   rtol=1e-9)  # fmt: skip
    rates = (finished.folder / "rates.csv").read_text("utf-8").splitlines()
    assert rates[0] == "t,exponent,low,high" and len(rates) == 1 + len(TIMES)


def test_particles_begin_on_the_floor(finished: Comparison) -> None:
    for row in finished.rows:
        if row["t"] == 0.0:
            assert row["ratio_w2_low"] <= 1.0 <= row["ratio_w2_high"]
        # The ratio is that of geometric means, near that of the means.
        assert row["ratio_w2"] == pytest.approx(row["w2"] / row["floor_w2"], rel=0.05)
    by_number = {(row["t"], row["n"]): row["floor_w2"] for row in finished.rows}
    for t in TIMES:
        assert by_number[t, 200] < 0.75 * by_number[t, 50]


def test_the_rate_in_n(finished: Comparison) -> None:
    assert tuple(finished.rates) == TIMES
    for rate in finished.rates.values():
        assert rate is not None and rate.low < rate.value < rate.high
        assert -0.6 < rate.value < -0.3


def test_a_distance_again_by_hand(finished: Comparison) -> None:
    """The mean over replicas, of exact distances to far more points than the comparison takes."""
    case = compared()
    with np.load(finished.folder / "density.npz") as data:
        rho, times = data["rho"], data["times"]
    np.testing.assert_array_equal(times, TIMES)
    reference, error = density_measure(case.geometry.build_mesh(), rho[-1])
    rows = {(row["t"], row["n"]): row for row in finished.rows}
    found = []
    for r in range(REPLICAS):
        x = task(finished.folder, "particles", 50, r)["x"][-1]
        angle = np.arccos(np.clip(x @ np.asarray(reference.points).T, -1.0, 1.0))
        cost = float(ot.emd2(np.full(50, 0.02), reference.weights, angle**2, numItermax=10**7))
        found.append(math.sqrt(cost))
        stored = task(finished.folder, "particles", 50, r)["w2"][-1]
        assert found[-1] == pytest.approx(stored, abs=rows[0.5, 50]["quadrature"])
    row = rows[0.5, 50]
    half = stats.t.ppf(0.975, 5) * np.std(found, ddof=1) / math.sqrt(6)
    assert row["w2"] == pytest.approx(np.mean(found), rel=0.02)
    assert row["w2_high"] - row["w2"] == pytest.approx(half, rel=0.1)
    assert error <= row["quadrature"]


def with_parts(folder: Path, replica: int) -> list[Array]:
    """200 particles of the finished comparison, and parts of them: (times, 200, 3) each."""
    start = task(folder, "particles", 200, replica)["x"][0]
    found = []
    for parts in (1, 2, 4, 8):
        x = np.empty((len(TIMES), 200, 3))
        for first in range(parts):
            solver = ParticleSolver(Attention("sa", 4.0, 3, "any"), start[first::parts])
            for k, t in enumerate(TIMES):
                while solver.t < t:
                    solver.advance(t)
                x[k, first::parts] = solver.x
        found.append(x)
    np.testing.assert_allclose(found[0], task(folder, "particles", 200, replica)["x"], atol=1e-5)
    return found


def test_moments_again_by_hand(finished: Comparison) -> None:
    """Extrapolated from 200, 100, 50 and 25 particles, and from two meshes."""
    factors = (64.0 / 21.0, -8.0 / 3.0, 2.0 / 3.0, -1.0 / 21.0)
    means, energies = [], []
    for name, level in (("density.npz", 3), ("density-coarse.npz", 2)):
        with np.load(finished.folder / name) as data:
            mass = data["weights"] * data["rho"]
            energies.append(data["energy"])
        np.testing.assert_allclose(mass.sum(axis=1), 1.0, rtol=1e-12)
        means.append(mass @ compared(geometry__level=level).geometry.build_mesh().points)
    clouds = np.array([with_parts(finished.folder, r) for r in range(REPLICAS)])
    for k, t in enumerate(TIMES):
        fine, coarse = 4.0 / 3.0, -1.0 / 3.0
        row = next(row for row in finished.rows if (row["t"], row["n"]) == (t, 200))
        x = clouds[:, :, k]
        mean = np.tensordot(factors, x.mean(axis=2), (0, 1))
        gap = mean.mean(axis=0) - (fine * means[0][k] + coarse * means[1][k])
        z = gap / (mean.std(axis=0, ddof=1) / math.sqrt(REPLICAS))
        assert row["z_mean"] == pytest.approx(np.abs(z).max(), rel=1e-3)
        energy = np.zeros(REPLICAS)
        for factor, parts, level in zip(factors, (1, 2, 4, 8), range(4), strict=True):
            m = 200 // parts
            for first in range(parts):
                own = x[:, level, first::parts]
                pairs = np.exp(4.0 * (own @ np.swapaxes(own, 1, 2))).sum(axis=(1, 2))
                off = (pairs - m * math.exp(4.0)) / (m * (m - 1))
                energy += factor * off * math.exp(-4.0) / 8.0 / parts
        gaps = energy - (fine * energies[0][k] + coarse * energies[1][k])
        z_energy = gaps.mean() / (gaps.std(ddof=1) / math.sqrt(REPLICAS))
        assert row["z_energy"] == pytest.approx(z_energy, rel=1e-3, abs=1e-3)


def test_clouds_are_independent(finished: Comparison) -> None:
    starts = [task(finished.folder, "particles", n, r)["x"][0] for n in NUMBERS
              for r in range(REPLICAS)]  # fmt: skip
    first = {tuple(x[0]) for x in starts}
    assert len(first) == len(starts)
    # Nor are the samples of the floor the particles.
    for r in range(REPLICAS):
        ours, floor = (task(finished.folder, kind, 50, r)["w2"][0] for kind in
                       ("particles", "floor"))  # fmt: skip
        assert ours != floor


def test_the_summary(finished: Comparison) -> None:
    lines = summary(finished)
    head, *rows = lines[: 1 + len(finished.rows)]
    for word in ("W2", "floor", "ratio", "z(E)", "z(m)", "z(m2)", "allow"):
        assert word in head
    assert {len(line) for line in rows} == {len(head)}  # columns stand below each other
    assert rows[0].split()[:2] == ["0", "50"] and f"{finished.rows[0]['w2']:.5f}" in rows[0]
    assert sum(line.startswith("t = ") and "W2 ~ n^-0." in line for line in lines) == len(TIMES)


def test_the_energy_of_pairs_has_no_bias(tmp_path: Path) -> None:
    """E over different particles: its mean over many small clouds is E of the law."""
    found = quick(compared({"geometry.level": 4}), tmp_path / "many", numbers=(10,), replicas=150,
                  times=[0.0])  # fmt: skip
    (row,) = found.rows
    assert row["t"] == 0.0 and abs(row["z_energy"]) < 3.5
    # With the particles themselves it would be too high by e^beta / (2 beta n), far more.
    energies = [task(tmp_path / "many", "particles", 10, r)["energy"][0] for r in range(150)]
    assert 1.0 / 80.0 > 10.0 * np.std(energies) / math.sqrt(150)


# ------------------------------------------------------------------ does it tell right from wrong?


def standard(level: int, end: float, **model: float) -> mf.Case:
    return mf.Case(
        geometry=mf.Sphere(level),
        model=mf.Model(**{"attention": "sa", "beta": 4.0, **model}),  # type: ignore[arg-type]
        initial=mf.standard_density(),
        time=mf.Time(end=end),
        output=mf.Output(figures=False),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_wrong_beta_is_told_apart_and_the_right_one_is_not(seed: int, tmp_path: Path) -> None:
    case = dataclasses.replace(standard(5, 1.0), seed=seed)
    p_values = {}
    for beta in (4.0, 4.4):
        found = compare(
            case,
            Clouds(
                (4000,),
                8,
                dataclasses.replace(standard(5, 1.0, beta=beta), seed=seed),
                times=[1.0],
                exponents=(),
            ),
            tmp_path / f"{beta}",
            progress=False,
        )
        start, end = found.rows
        assert start["p_value"] > 0.05  # the law is the same
        p_values[beta] = end["p_value"]
    assert p_values[4.4] <= 0.05 < p_values[4.0]


@pytest.mark.slow
def test_particles_leave_the_floor_slowly_while_the_flow_is_smooth(tmp_path: Path) -> None:
    """Interaction amplifies what sampling has got wrong, as fast as it makes clusters grow.

    Measured (32 clouds of 250 and 500): W2 over floor 1.13 and 1.07 at t = 0.5, 1.29 and 1.17 at
    t = 1, 1.58 and 1.36 at t = 2, and it falls like n^{-1/2} all the time.
    """
    found = compare(
        standard(5, 1.0),
        Clouds((1000,), 8, times=[0.5, 1.0]),
        tmp_path / "x",
        jobs=2,
        progress=False,
    )
    start, middle, end = found.rows
    for row in (start, middle):
        assert row["ratio_w2_low"] <= 1.0 <= row["ratio_w2_high"], row
    assert 0.9 < end["ratio_w2"] < 1.35
    for row in found.rows:
        assert row["p_value"] > 0.05 and abs(row["z_energy"]) < stats.t.ppf(0.999, 7)


@pytest.mark.slow
def test_tokens_without_mass_stay_on_the_floor() -> None:
    """In the field of very many tokens, independent tokens stay independent samples of the density.

    So what makes the ratio grow above is interaction, and neither solver is wrong.
    """
    end, replicas, n, many = 2.0, 24, 250, 160_000
    case = standard(5, end)
    alone = mf.run(case, progress=False)
    rho = alone.solver.space.gather(alone.solver.rho)
    mesh = case.geometry.build_mesh()
    rng = np.random.default_rng(6)
    x = case.initial.sample(many + n * replicas, rng)
    mass = np.concatenate([np.full(many, 1.0 / many), np.zeros(n * replicas)])
    solver = ParticleSolver(
        Attention("sa", 4.0, 3, "sphere"), x, mass, options=Particles(merge=False)
    )
    while solver.t < end:
        solver.advance(end)
    reference, _ = quantise(density_measure(mesh, rho)[0], 2000)
    passive = solver.x[many:].reshape(replicas, n, 3)
    ours = [wasserstein(cloud(one), reference, 2).distance for one in passive]
    floor = sampling_floor(density_law(mesh, rho), reference, n, replicas, rng)
    ratio = ratio_interval(ours, floor)
    assert 1.0 in ratio and ratio.high - ratio.low < 0.35, ratio


def test_many_particles_are_compared_with_as_many_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few: with 4 n points, quantised; many: with pieces of cells, as many as particles."""
    monkeypatch.setattr(references, "MANY", 1_500)
    monkeypatch.setattr(numbers, "MANY", 1_500)
    monkeypatch.setattr(transport, "MANY", 1_500)
    case = compared()
    found = compare(case, Clouds((1_500, 3_000), 2, times=[0.0]), tmp_path / "m", progress=False)
    mesh = case.geometry.build_mesh()
    rho = np.load(tmp_path / "m" / "density.npz")["rho"][0]
    reference, error = density_measure(mesh, rho, points=3_000)
    few, many = found.rows
    assert many["quadrature"] == pytest.approx(error, rel=1e-6)
    assert many["quadrature"] < 0.9 * density_measure(mesh, rho)[1] and few["quadrature"] != error
    samples = task(tmp_path / "m", "particles", 3_000, 0)
    known = wasserstein(cloud(samples["x"][0]), reference, 2, "columns")
    assert samples["w2"][0] == pytest.approx(known.distance, rel=1e-4)
    for row in found.rows:  # at t = 0 particles are samples, as those of the floor are
        assert row["ratio_w2"] == pytest.approx(1.0, abs=0.15)
