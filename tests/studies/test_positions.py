"""``compare`` of causal tokens with their density by position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pretrained import D, write

import meanfield as mf
from meanfield.errors import InputError
from meanfield.results.comparison import StoredDensity
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds

TABLE: dict[str, dict[str, object]] = {
    "geometry": {"type": "circle", "vertices": 128},
    "model": {"attention": "sa", "beta": 2.0, "mask": "causal"},
    "initial": {
        "type": "by-position",
        "first": {"type": "von-mises-fisher", "mean": [1, 0], "concentration": 2.0},
        "last": {"type": "von-mises-fisher", "mean": [-0.3, 1.0], "concentration": 2.0},
    },
    "solver": {"type": "lagrangian", "slices": 8, "rtol": 1e-5},
    "time": {"end": 1.0},
    "output": {"figures": False},
}


def case(**sections: dict[str, object]) -> mf.Case:
    return mf.Case.from_dict({**TABLE, **sections})


def test_causal_tokens_come_near_the_density_as_draws_of_it_do(tmp_path: Path) -> None:
    clouds = Clouds([50, 400], 4, times=[0.5])
    found = compare(case(), clouds, tmp_path / "out", progress=False)
    assert [(row["t"], row["n"]) for row in found.rows] == [
        (0, 50),
        (0, 400),
        (0.5, 50),
        (0.5, 400),
    ]
    for row in found.rows[:2]:  # draws of the law, both
        assert 0.6 < row["ratio_w2"] < 1.6
    for few, many in (found.rows[:2], found.rows[2:]):
        assert many["floor_w2"] < 0.6 * few["floor_w2"] and many["w2"] < 0.6 * few["w2"]
        assert many["p_value"] > 0.01
    assert found.rows[3]["ratio_w2"] < 1.8
    # Each slice has masses on 128 points that were equidistant: half of a distance, at t = 0.
    assert found.rows[0]["quadrature"] == pytest.approx(np.pi / 128, rel=1e-6)
    assert 0.0 < found.rows[2]["quadrature"] < 2.0 * np.pi / 128
    # Kept: vertices of all slices, whose mean is that of a run; the whole on the mesh, of mass one.
    stored = StoredDensity.read(tmp_path / "out")
    assert stored.slices is not None and stored.slices.x.shape == (2, 8, 128, 2)
    short = case(time={"end": 0.5})
    points, m, _ = stored.masses(1)
    series = mf.run(short, progress=False).series
    np.testing.assert_allclose(m @ points, [series["mean_1"][-1], series["mean_2"][-1]], atol=1e-9)
    np.testing.assert_allclose(stored.rho @ stored.weights, 1.0, atol=2e-3)
    # More replicas later: the same clouds, and the density is not made again.
    again = compare(case(), Clouds([50], 5, times=[0.5]), tmp_path / "out", resume=True)
    assert again.rows[0]["replicas"] == 5.0


@pytest.mark.slow
def test_tokens_under_another_mask_are_noticed(tmp_path: Path) -> None:
    other = case(model={"attention": "sa", "beta": 2.0, "mask": {"type": "alibi", "slope": 30.0}})
    rows = [
        compare(case(), Clouds([600], 8, given, [1.0], ()), tmp_path / name, progress=False).rows[
            -1
        ]
        for name, given in (("same", None), ("other", other))
    ]
    assert rows[0]["p_value"] > 0.05 > rows[1]["p_value"]
    assert rows[1]["z_mean"] > 4.0 > rows[0]["z_mean"]


@pytest.mark.slow
def test_on_the_sphere(tmp_path: Path) -> None:
    first = {"type": "von-mises-fisher", "mean": [1, 0, 0], "concentration": 2.0}
    made = case(
        geometry={"type": "sphere", "level": 3},
        initial={"type": "by-position", "first": first, "last": {"type": "uniform"}},
        solver={"type": "lagrangian", "slices": 4, "rtol": 1e-4},
    )
    row = compare(made, Clouds([300], 2, times=[0.3]), tmp_path / "out", progress=False).rows[-1]
    assert 0.6 < row["ratio_w2"] < 1.6 and 0.01 < row["floor_w2"] < 0.5


def test_refused(tmp_path: Path) -> None:
    plain = case(model={"attention": "sa", "beta": 2.0}, solver={"type": "lagrangian"})
    with pytest.raises(InputError, match="one by position, 'lagrangian' with a mask"):
        compare(plain, Clouds([10], 2), tmp_path / "out")
    tokens = {"type": "particles", "number": 10}
    for order, expected in (
        ({"mask": "causal"}, r"a density by position \(solver.type = 'lagrangian'\), or no mask"),
        ({"rope": {}}, "no rope"),
    ):
        ordered = case(model={"attention": "sa", "beta": 2.0, **order}, solver=tokens)
        with pytest.raises(InputError, match=rf"found one, .* not know; expected {expected}$"):
            compare(ordered, Clouds([10, 40], 2), tmp_path / "out")
    rows = np.tri(8).tolist()
    given = case(model={"attention": "sa", "beta": 2.0, "mask": {"type": "matrix", "rows": rows}})
    with pytest.raises(InputError, match=r'found "matrix", .* expected causal or alibi$'):
        compare(given, Clouds([10], 2), tmp_path / "out")
    with pytest.raises(InputError, match=r'found "matrix", .* expected causal or alibi$'):
        compare(case(), Clouds([10], 2, given), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_pretrained_layers_are_of_the_tokens_of_a_file(family: str, tmp_path: Path) -> None:
    write(tmp_path / family, family)
    table = {
        "geometry": {"type": "unmeshed", "d": D},
        "model": {"pretrained": str(tmp_path / family)},
        "initial": {"type": "uniform"},
        "solver": {"type": "particles", "number": 8},
        "time": {"end": 1.0},
    }
    said = "model.pretrained: found .*, a comparison draws tokens from a law; expected attention"
    with pytest.raises(InputError, match=said):
        compare(mf.Case.from_dict(table), Clouds([8, 32], 2), tmp_path / "out")
    assert not (tmp_path / "out").exists()
