"""[model.mask] and [model.rope]: read, written, refused, and the same as what they stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield.case.masks import mask_factors
from meanfield.errors import InputError

BASE: dict[str, dict[str, object]] = {
    "geometry": {"type": "unmeshed", "d": 4},
    "model": {"attention": "sa", "beta": 2.0},
    "initial": {"type": "uniform"},
    "solver": {"type": "layers", "number": 6, "layers": 4},
    "time": {"end": 1.0},
}


def case(base_dir: Path | str = ".", solver: object = None, **model: object) -> mf.Case:
    table = {**BASE, "model": {**BASE["model"], **model}}
    if solver is not None:
        table["solver"] = solver  # type: ignore[assignment]
    table["model"] = {k: v for k, v in table["model"].items() if v is not None}
    return mf.Case.from_dict(table, base_dir)


def test_each_mask_is_read_written_and_read_again(tmp_path: Path) -> None:
    factors = np.tril(np.random.default_rng(0).random((6, 6)) + 0.1)
    np.save(tmp_path / "mask.npy", factors)
    i, j = np.indices((6, 6))
    expected: list[tuple[object, object]] = [
        ("causal", j <= i),
        ({"type": "causal"}, j <= i),
        ({"type": "window", "width": 2}, abs(i - j) <= 2),
        ({"type": "alibi", "slope": 3.0}, (j <= i) * np.exp(-0.5 * (i - j))),
        ({"type": "matrix", "file": "mask.npy"}, factors),
        ({"type": "matrix", "rows": factors.tolist()}, factors),
    ]
    for mask, found in expected:
        made = case(tmp_path, mask=mask)
        np.testing.assert_allclose(mask_factors(made.model, 6), found, rtol=1e-14)
        assert mf.Case.from_dict(made.to_dict(), tmp_path) == made
    assert mask_factors(case().model, 6) is None


def test_a_run_in_layers_is_that_of_the_formula(tmp_path: Path) -> None:
    heads = [{"beta": 1.0, "Q": {"ensemble": "ginibre", "seed": 1}, "V": {"ensemble": "ginibre"}}]
    made = case(mask="causal", beta=None, heads=heads)
    result = mf.run(made, tmp_path / "run", progress=False)
    head = made.model.heads[0].matrices(4, "sa")
    assert isinstance(head, mf.HeadMatrices)
    x = mf.run(
        mf.Case.from_dict({**made.to_dict(), "time": {"end": 0.25}}), tmp_path / "one",
        progress=False,
    ).solver.x  # fmt: skip
    for _ in range(3):
        weights = np.tril(np.exp(x @ head.A.T @ x.T))
        flow = weights @ x @ head.V.T / weights.sum(axis=1, keepdims=True)
        x = x + 0.25 * (flow - np.sum(x * flow, axis=1, keepdims=True) * x)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(result.solver.x, x, rtol=0.0, atol=1e-12)


def test_rotary_positions_in_cases(tmp_path: Path) -> None:
    def end(name: str, **model: object) -> np.ndarray:
        return np.asarray(mf.run(case(**model), tmp_path / name, progress=False).solver.x)

    plain = end("plain")
    still = end("still", rope={"frequencies": [0.0, 0.0]})
    np.testing.assert_allclose(still, plain, rtol=0.0, atol=1e-12)
    base = end("base", rope={"base": 100.0})
    np.testing.assert_array_equal(base, end("same", rope={"frequencies": [1.0, 0.1]}))
    assert np.abs(base - plain).max() > 1e-3
    made = case(rope={"base": 100.0}, mask="causal")
    assert mf.Case.from_dict(made.to_dict()) == made
    assert "rotary" in made.model.describe() and "causal" in made.model.describe()


PARTICLES = {"type": "particles", "number": 6}
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "name": ({"mask": "causl"}, "did you mean 'causal'"),
    "kind": ({"mask": "causal", "attention": "linear"}, 'expected "sa" or "usa"'),
    "rows and file": ({"mask": {"type": "matrix"}}, "neither of them"),
    "blind": ({"mask": {"type": "matrix", "rows": [[1, 0], [0, 0]]}}, "row 1 is zero"),
    "negative": ({"mask": {"type": "matrix", "rows": [[-1.0]]}}, "factors >= 0 expected"),
    "slope": ({"mask": {"type": "alibi", "slope": -1}}, "slope"),
    "frequencies": ({"rope": {"frequencies": [1.0]}}, "2 expected"),
    "both": ({"rope": {"base": 10.0, "frequencies": [1.0, 1.0]}}, "one of the two"),
    "A": ({"rope": {}, "beta": None, "heads": [{"A": "identity"}]}, "expected beta, Q and K"),
    "in time": (
        {"rope": {}, "beta": {"times": [0.0, 1.0], "values": [1.0, 2.0]}}, "expected constants",
    ),
    "own terms": (
        {"mask": "causal", "solver": {**PARTICLES, "exclude_self": True}}, "exclude_self",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    given, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        made = case(**given)  # type: ignore[arg-type]
        made.model.on(made.geometry)


@pytest.mark.parametrize("solver", ["eulerian", "implicit", "auto"])
def test_densities_on_a_mesh_that_stays_have_no_order(solver: str) -> None:
    table = {**BASE, "geometry": {"type": "sphere", "level": 2}, "solver": solver}
    table["model"] = {"attention": "sa", "beta": 2.0, "mask": "causal"}
    with pytest.raises(InputError, match="particles"):
        mf.Case.from_dict(table)


def test_a_matrix_of_another_size_is_refused_with_the_case() -> None:
    with pytest.raises(InputError, match=r"^model\.mask: a 2 x 2 matrix found for 6 tokens"):
        case(mask={"type": "matrix", "rows": [[1.0, 0.0], [1.0, 1.0]]}, solver=PARTICLES)
    made = case(mask={"type": "matrix", "rows": np.tri(6).tolist()}, solver=PARTICLES)
    with pytest.raises(InputError, match="stationary density"):
        made.model.gibbs(4)
