"""Equiangular tokens: their inner products, their rotation, in cases and ensembles; refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import few_tokens, small

import meanfield as mf
from meanfield.analysis.exact import equiangular_solution
from meanfield.dynamics.equiangular import equiangular_tokens
from meanfield.dynamics.tokens import initial_tokens, tokens_of_block
from meanfield.errors import InputError
from meanfield.studies.settings import Settings
from meanfield.studies.sweeptheory import theory_of

SIMPLEX = few_tokens.but(
    {"geometry.d": 12, "initial": {"type": "uniform"}, "solver.tokens": "equiangular",
     "solver.number": 8, "solver.cosine": 0.5, "time.end": 2.0, "time.outputs.every": 0.25}
)  # fmt: skip


@pytest.mark.parametrize(
    ("n", "d", "cosine"),
    [(1, 2, 0.5), (2, 2, 0.9), (2, 2, -1.0), (3, 2, -0.5), (4, 3, -1 / 3), (6, 6, 0.0),
     (6, 6, 0.999), (6, 6, -0.19), (7, 40, 0.3), (60, 64, 0.5)],
)  # fmt: skip
def test_inner_products(n: int, d: int, cosine: float) -> None:
    x = equiangular_tokens(n, d, cosine, np.random.default_rng(n))
    expected = np.full((n, n), cosine)
    np.fill_diagonal(expected, 1.0)
    assert x.shape == (n, d)
    np.testing.assert_allclose(x @ x.T, expected, atol=3e-15)


def test_each_is_uniform() -> None:
    """Means and second moments over rotations are those of the uniform law, to four errors."""
    x = np.stack([equiangular_tokens(3, 4, 0.6, np.random.default_rng(k)) for k in range(4000)])
    assert np.abs(x.mean(axis=0)).max() < 4.0 * np.sqrt(0.25 / 4000)
    for j in range(3):
        second = x[:, j].T @ x[:, j] / 4000
        np.testing.assert_allclose(second, np.eye(4) / 4, atol=4.0 * np.sqrt(0.125 / 4000))


@pytest.mark.parametrize(
    ("n", "d", "cosine"), [(4, 3, 0.1), (4, 2, -1 / 3), (3, 9, -0.6), (3, 9, 1.0)]
)
def test_there_are_none_such(n: int, d: int, cosine: float) -> None:
    with pytest.raises(InputError, match="expected"):
        equiangular_tokens(n, d, cosine, np.random.default_rng(0))


def test_seeds() -> None:
    law = mf.Uniform(9)
    one, other = (initial_tokens(law, 4, seed, "equiangular", 0.2) for seed in (1, 2))
    assert np.abs(one - other).max() > 0.1
    block = tokens_of_block(law, 4, [1, 2], "equiangular", 0.2)
    np.testing.assert_array_equal(block, np.stack([one, other]))
    with pytest.raises(InputError, match="no cosine"):
        initial_tokens(law, 4, 1, "equiangular")


def test_a_run_follows_the_equiangular_solution(tmp_path: Path) -> None:
    case = SIMPLEX({"solver.rtol": 1e-10, "model.beta": 2.0})
    result = mf.run(case, tmp_path / "run", progress=False)
    gram = result.solver.x @ result.solver.x.T
    end = float(equiangular_solution(2.0, 0.5, "sa", 2.0, 8))
    np.testing.assert_allclose(gram[~np.eye(8, dtype=bool)], end, atol=1e-8)
    assert mf.Case.from_toml(tmp_path / "run" / "case.toml") == case


def test_layers_take_one_step_of_them() -> None:
    changes = {"solver": {"type": "layers", "layers": 4, "tokens": "equiangular", "number": 8,
                          "cosine": 0.5}, "time.end": 0.25, "time.outputs.every": 0.25}  # fmt: skip
    case = SIMPLEX(changes)
    result = mf.run(case, progress=False)
    x = initial_tokens(mf.Uniform(12), 8, case.seed, "equiangular", 0.5)
    weights = np.exp(4.0 * (x @ x.T))
    pull = weights @ x / weights.sum(axis=1, keepdims=True)
    assert case.model.beta == 4.0
    x += 0.25 * (pull - np.sum(pull * x, axis=1, keepdims=True) * x)
    np.testing.assert_allclose(result.solver.x, x / np.linalg.norm(x, axis=1)[:, None], atol=1e-13)


def test_sweeps_over_the_cosine(tmp_path: Path) -> None:
    """By the kernel: P = 1/2 at the time that theory tells, which starts from each cosine."""
    vary: dict[Any, Any] = {"solver.cosine": [0.2, 0.8]}
    options = mf.SweepOptions(progress=False, kernel="always", delta=0.1)
    table = mf.sweep(SIMPLEX(), vary, tmp_path / "sweep", seeds=2, options=options).table
    cases = [SIMPLEX({"solver.cosine": c}) for c in (0.2, 0.8)]
    known = theory_of(cases, 0.1)
    at_first = table.columns["inner_product"].mean[:, 0]
    np.testing.assert_allclose(at_first, [0.2, 0.8], atol=1e-6)
    for k, cosine in enumerate((0.2, 0.8)):
        exact = equiangular_solution(table.times, cosine, "sa", 4.0, 8)
        np.testing.assert_allclose(table.columns["inner_product"].mean[k], exact, atol=1e-4)
        assert float(equiangular_solution(known[k], cosine, "sa", 4.0, 8)) == pytest.approx(0.9)  # type: ignore[arg-type]
    assert theory_of([SIMPLEX({"solver.cosine": 0.95})], 0.1) == [0.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"solver.cosine": None}, "solver.cosine is missing"),
        ({"solver.cosine": 1.0}, "solver.cosine: found 1, which is one token"),
        ({"solver.cosine": 1.5}, "solver.cosine: expected a number from -1 to 1, found 1.5"),
        ({"solver.cosine": -0.2}, "expected at least -0.142857 for 8 tokens"),
        ({"solver.number": 13}, "expected at most 12, which span them"),
        ({"solver.tokens": "iid"}, "solver.cosine: found 0.5 with solver.tokens = 'iid'"),
        ({"solver.number": None}, "solver.number"),
        ({"solver.tokens": "equiangle"}, "did you mean 'equiangular'"),
        ({"initial": {"type": "von-mises-fisher", "mean": "e_d", "concentration": 1.0}},
         "initial: found "),
    ],
    ids=str,
)  # fmt: skip
def test_refusals(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        SIMPLEX(changes)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_comparisons_draw_their_own_tokens() -> None:
    """Of a density there are clouds of independent points, whatever the particles' case says."""
    case = small()
    table = {"type": "particles", "number": 3, "tokens": "equiangular", "cosine": 0.5}
    other = mf.Case.from_dict(
        {**case.to_dict(), "initial": {"type": "uniform"}, "solver": table},
    )
    solver = Settings(case, other, (10,), 1, (0.0,), ()).token_case(10).solver
    assert isinstance(solver, mf.Particles)
    assert (solver.tokens, solver.cosine, solver.number) == ("iid", None, 10)
