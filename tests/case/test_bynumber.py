"""Inverse temperatures by the number of tokens: their values, what is recorded, what is refused."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import few_tokens, small

import meanfield as mf
from meanfield.case.batched import batched_model
from meanfield.errors import InputError

LOG: dict[str, object] = {"type": "log_n", "factor": 1.5}
POWER: dict[str, object] = {"type": "power_n", "factor": 2.0, "exponent": "2/(d-1)"}
TOKENS = few_tokens.but({"solver.number": 20, "time.end": 0.5})


@pytest.mark.parametrize(
    ("law", "beta"),
    [
        (LOG, 1.5 * math.log(20)),
        (POWER, 2.0 * 20.0),  # d = 3: n^1
        ({"type": "power_n", "exponent": 0.5}, math.sqrt(20)),
        ({"type": "power_n", "exponent": -1, "factor": -3.0}, -0.15),
    ],
    ids=str,
)
def test_values(law: dict[str, object], beta: float) -> None:
    case = TOKENS({"model.beta": law})
    assert case.model.beta == pytest.approx(beta, rel=1e-14)
    head = TOKENS({"model": {"attention": "sa", "heads": [{"beta": law}, {"beta": 7.0}]}})
    assert [h.beta for h in head.model.heads] == [pytest.approx(beta, rel=1e-14), 7.0]
    same = TOKENS({"model.beta": beta})
    x = np.eye(3)
    for one in (case, TOKENS({"model": {"attention": "sa", "heads": [{"beta": law}]}})):
        found, expected = (c.model.on(c.geometry) for c in (one, same))
        fields = [i.field(mf.Measure(i.locate(x), np.full(3, 1 / 3))) for i in (found, expected)]
        values = [f.velocity(i.locate(x)) for f, i in zip(fields, (found, expected), strict=True)]
        np.testing.assert_allclose(*values, rtol=0.0, atol=1e-6)


def test_a_run_is_that_with_the_number(tmp_path: Path) -> None:
    runs = [
        mf.run(TOKENS({"model.beta": beta}), tmp_path / name, progress=False)
        for name, beta in (("law", LOG), ("number", 1.5 * math.log(20)))
    ]
    np.testing.assert_array_equal(runs[0].solver.x, runs[1].solver.x)
    recorded = mf.Case.from_toml(tmp_path / "law" / "case.toml")
    assert recorded.to_dict()["model"]["beta"] == LOG  # type: ignore[index]
    assert recorded.model.beta == pytest.approx(1.5 * math.log(20), rel=1e-15)


def test_another_number_is_another_beta() -> None:
    case = TOKENS({"model.beta": LOG})
    assert isinstance(case.solver, mf.Particles)
    more = replace(case, solver=replace(case.solver, number=400))
    assert more.model.beta == pytest.approx(2.0 * float(case.model.beta), rel=1e-14)
    assert case.differences(more) == ["solver.number"]


def test_cases_are_copied_and_read_back() -> None:
    case = TOKENS({"model.beta": POWER, "model.kappa": 0.1})
    for other in (
        mf.Case.from_dict(case.to_dict()), pickle.loads(pickle.dumps(case)), copy.deepcopy(case),
    ):  # fmt: skip
        assert other == case and other.to_toml() == case.to_toml()
    heads = TOKENS({"model": {"attention": "sa", "heads": [{"beta": LOG}]}})
    assert mf.Case.from_dict(heads.to_dict()) == heads
    changed = TOKENS({"model": {"attention": "sa", "heads": [{"beta": LOG}]}})
    wider = mf.Case.from_dict(
        mf.case.apply_overrides(changed.to_dict(), {"model.heads.0.beta.factor": 3.0})
    )
    assert wider.model.heads[0].beta == pytest.approx(3.0 * math.log(20), rel=1e-14)


def test_another_kappa_keeps_the_law() -> None:
    case = TOKENS({"model.beta": LOG})
    assert case.model.replaced("kappa", 0.2).table()["beta"] == LOG
    assert case.model.replaced("beta", 3.0).table()["beta"] == 3.0


@pytest.mark.parametrize(
    ("beta", "said"),
    [
        ({"type": "logn", "factor": 1.0}, "model.beta.type: found the text 'logn'"),
        ({"factor": 1.0}, "model.beta.type: found no type"),
        ({"type": "log_n"}, "factor is missing"),
        ({"type": "log_n", "factr": 1.0}, "did you mean 'factor'"),
        ({"type": "power_n", "exponent": "2/d"}, 'expected a number from -10 to 10, or "2/(d-1)"'),
        ({"type": "power_n", "exponent": True}, "model.beta.exponent: "),
        ({"type": "log_n", "factor": 900.0}, "'log_n' with factor 900 at n = 20"),
        ({"type": "power_n", "factor": 500.0, "exponent": 5}, "model.beta: "),
    ],
    ids=str,
)
def test_wrong_laws(beta: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as error:
        TOKENS({"model.beta": beta})
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("solver", ["eulerian", "lagrangian", "auto"])
def test_densities_have_no_number(solver: str) -> None:
    with pytest.raises(InputError) as error:
        small({"model.beta": LOG, "solver": {"type": solver}})
    assert str(error.value) == (
        "model.beta: found 'log_n' with factor 1.5, which is by the number of tokens, and a "
        "density has none; expected a number, such as 10.36 (that of 1000 tokens), or "
        "solver.type = 'particles' or 'layers'"
    )


def test_a_file_needs_the_number_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    table: dict[str, Any] = {"type": "particles", "tokens": str(tmp_path / "x.npy")}
    with pytest.raises(InputError, match=r"solver\.number, also with a file"):
        TOKENS({"model.beta": LOG, "solver": table})
    case = TOKENS({"model.beta": LOG, "solver": {**table, "number": 3}})
    assert case.model.beta == pytest.approx(1.5 * math.log(3), rel=1e-14)


def test_a_model_alone_does_not_know_it() -> None:
    case = TOKENS()
    for model in (
        mf.Model(attention="sa", beta=LOG),
        mf.Model(attention="sa", heads=[mf.Head(beta=LOG)]),
    ):
        with pytest.raises(InputError, match="does not know the number of tokens"):
            model.on(case.geometry)


def test_sweeps_by_the_kernel(tmp_path: Path) -> None:
    """Over n and the factor, as with the values of beta written out."""
    options = mf.SweepOptions(progress=False, kernel="always")
    law = TOKENS({"model.beta": LOG})
    vary: dict[Any, Any] = {"solver.number": [6, 12], "model.beta.factor": [0.5, 2.0]}
    by_law = mf.sweep(law, vary, tmp_path / "law", seeds=3, options=options).table
    rows = [(n, g * math.log(n)) for n in (6, 12) for g in (0.5, 2.0)]
    zipped: dict[Any, Any] = {("solver.number", "model.beta"): rows}
    plain = mf.sweep(TOKENS(), zipped, tmp_path / "plain", seeds=3, options=options).table
    for name, column in by_law.columns.items():
        np.testing.assert_array_equal(column.mean, plain.columns[name].mean, err_msg=name)
    case = replace(law, solver=mf.Particles(number=12))
    model = batched_model(case)
    assert type(model.beta) is float and model.beta == pytest.approx(1.5 * math.log(12))


@pytest.mark.parametrize("heads", [False, True])
def test_a_comparison_refuses_another_model_for_each_number(heads: bool, tmp_path: Path) -> None:
    model = {"attention": "sa", **({"heads": [{"beta": LOG}]} if heads else {"beta": LOG})}
    case = mf.Case.from_dict({**TOKENS().to_dict(), "model": model})
    with pytest.raises(InputError, match=r"beta: found 'log_n' with factor 1.5, which.*such as"):
        mf.compare(case, mf.Clouds([10], 2), tmp_path / "x")
    other = mf.Case.from_dict({**small().to_dict(), "model": model,
                               "solver": {"type": "particles", "number": 5}})  # fmt: skip
    with pytest.raises(InputError, match=r"beta: found 'log_n'"):
        mf.compare(small(), mf.Clouds([10], 2, other), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_batches_have_no_number_of_their_own() -> None:
    for mask in ({"type": "padding", "length": 5}, {"type": "sequences", "length": 5}):
        with pytest.raises(InputError, match=r"^model\.beta: found 'log_n'.*mask of batches"):
            TOKENS({"model.beta": LOG, "model.mask": mask})


def test_pairs_are_not_for_ensembles() -> None:
    with pytest.raises(InputError, match=r"^output\.pairs: found 8, expected 0 in an ensemble"):
        batched_model(TOKENS({"output.pairs": 8}))
