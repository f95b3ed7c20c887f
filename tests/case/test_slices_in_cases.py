"""A mask with characteristics: a density by position, in slices, run as a case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import ROOT

import meanfield as mf
from meanfield.errors import InputError
from meanfield.results.formats import read_fields

BASE: dict[str, dict[str, object]] = {
    "geometry": {"type": "circle", "vertices": 48},
    "model": {"attention": "sa", "beta": 3.0, "mask": "causal"},
    "initial": {
        "type": "by-position",
        "first": {"type": "von-mises-fisher", "mean": [1, 0], "concentration": 1.0},
        "last": {"type": "von-mises-fisher", "mean": [-0.6, 0.8], "concentration": 3.0},
    },
    "solver": {"type": "lagrangian", "slices": 4},
    "time": {"end": 1.0, "outputs": [0.0, 0.5, 1.0]},
    "output": {"figures": False, "precision": "float64"},
}


def case(**sections: dict[str, object]) -> mf.Case:
    return mf.Case.from_dict({**BASE, **sections})


def test_sixteen_slices_where_nothing_is_said() -> None:
    made = case(solver={"type": "lagrangian"})
    assert isinstance(made.solver, mf.Lagrangian) and made.solver.slices == 16
    assert mf.Case.from_dict(made.to_dict()) == made
    rows: dict[str, object] = {"type": "matrix", "rows": np.tri(3).tolist()}
    given = case(
        model={"attention": "sa", "beta": 3.0, "mask": rows}, solver={"type": "lagrangian"}
    )
    assert isinstance(given.solver, mf.Lagrangian) and given.solver.slices == 3
    without = case(model={"attention": "sa", "beta": 3.0}, solver={"type": "lagrangian"})
    assert isinstance(without.solver, mf.Lagrangian) and without.solver.slices is None


REFUSED: dict[str, tuple[dict[str, dict[str, object]], str]] = {
    "no mask": ({"model": {"attention": "sa", "beta": 3.0}}, "solver.slices: found 4 without"),
    "window": (
        {"model": {"attention": "sa", "beta": 3.0, "mask": {"type": "window", "width": 2}}},
        r"^model\.mask: window of 2 found for a density by position",
    ),
    "matrix": (
        {"model": {"attention": "sa", "beta": 3.0, "mask": {"type": "matrix", "rows": [[1.0]]}}},
        r"^model\.mask: a 1 x 1 matrix found for 4 slices",
    ),
    "rope": (
        {"model": {"attention": "sa", "beta": 3.0, "mask": "causal", "rope": {}}}, r"^model\.rope",
    ),
    "zonal": (
        {"geometry": {"type": "zonal", "d": 2, "vertices": 48}}, "the geometry 'zonal' does not",
    ),
    "dimension": (
        {"initial": {**BASE["initial"], "last": {"type": "cap", "centre": [1, 0, 0], "angle": 1}}},
        r"^initial\.last\.centre",
    ),
    "a mixture of them": (
        {"initial": {"type": "mixture", "components": [{"weight": 1.0, **BASE["initial"]}]}},
        r"^initial\.components\[0\]: found a law by position, expected one that is the same",
    ),
    "one in another": (
        {"initial": {**BASE["initial"], "last": BASE["initial"]}},
        r"^initial\.last: found a law by position, expected one that is the same",
    ),
    "no table": ({"initial": {**BASE["initial"], "last": 3}}, r"^initial\.last: found 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    changes, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        case(**changes)


def test_a_law_by_position_is_no_part_of_another() -> None:
    law = case().initial
    for name, make in (
        ("components[1]", lambda: mf.Mixture((mf.Uniform(2), law), (0.5, 0.5))),
        ("first", lambda: mf.ByPosition(law, mf.Uniform(2))),
    ):
        with pytest.raises(InputError) as caught:
            make()
        assert str(caught.value).startswith(f"{name}: found a law by position, expected one")


def test_a_run_its_files_and_how_it_goes_on(tmp_path: Path) -> None:
    made = case()
    whole = mf.run(made, tmp_path / "whole", progress=False)
    short = case(time={"end": 0.5, "outputs": [0.0, 0.5]})
    mf.run(short, tmp_path / "parts", progress=False)
    parts = mf.run(made, tmp_path / "parts", progress=False, resume=True)
    np.testing.assert_allclose(
        parts.solver.positions(), whole.solver.positions(), rtol=0.0, atol=1e-13
    )
    fields = read_fields(tmp_path / "whole" / "fields.vtkhdf")
    assert len(fields.times) == 3
    last = fields.at(-1)
    place, mass = last.read("position", -1), last.read("mass", -1)
    x = last.mesh.points
    np.testing.assert_allclose(np.unique(place), [0.125, 0.375, 0.625, 0.875])
    for s in np.unique(place):
        assert mass[place == s].sum() == pytest.approx(0.25, abs=1e-14)
    series = whole.series
    np.testing.assert_allclose([series["mean_1"][-1], series["mean_2"][-1]], mass @ x, atol=1e-12)
    # The densities are those of the slices: of mass one each on meshes that have moved.
    rho, angle = last.read("rho", -1), np.arctan2(x[:, 1], x[:, 0])
    for s in np.unique(place):
        of, phi = rho[place == s], angle[place == s]
        order = np.argsort(phi)
        step = np.diff(np.append(phi[order], phi[order][0] + 2.0 * np.pi)) / (2.0 * np.pi)
        held = 0.5 * (of[order] + np.roll(of[order], -1)) @ step
        assert held == pytest.approx(1.0, abs=0.02)
    assert mf.run(made, progress=False).series["clusters"][0] == 1.0


def test_tokens_by_position_are_drawn_in_their_order() -> None:
    law = case().initial
    x = law.sample(40_000, np.random.default_rng(0))
    toward = np.array([-0.6, 0.8])
    parts = (x @ toward).reshape(4, -1).mean(axis=1)
    assert isinstance(law, mf.ByPosition)
    phi = (np.arange(4000) + 0.5) * (2.0 * np.pi / 4000)
    nodes = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    known = [np.mean(law.at(s).density(nodes) * (nodes @ toward)) for s in (0.125, 0.375, 0.625,
             0.875)]  # fmt: skip
    np.testing.assert_allclose(parts, known, atol=0.03)
    tokens = case(solver={"type": "particles", "number": 20, "tokens": "quantised"})
    with pytest.raises(InputError, match="quantised tokens of a law by position"):
        mf.run(tokens, progress=False)


@pytest.mark.slow
def test_the_case_of_the_readme_made_small(tmp_path: Path) -> None:
    """First slices gather at angle 0; those behind follow, the later the farther."""
    changes = {"geometry.vertices": 96, "solver.slices": 8, "time.end": 6.0, "title": "small"}
    made = mf.Case.from_toml(ROOT / "scripts" / "cases" / "sliced.toml", changes)
    solver = mf.run(made, tmp_path / "run", progress=False).solver
    mean = solver.of_slices(solver.mass[:, None] * solver.positions()).sum(axis=1)
    angle = np.arctan2(mean[:, 1], mean[:, 0])
    assert abs(angle[0]) < 0.1 and np.all(np.diff(angle) > 0.02) and angle[-1] > 0.5
    pictures = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert "slices.png" in pictures and "density.png" not in pictures
