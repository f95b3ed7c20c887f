"""Cases as ensembles take them, and by which key others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import few_tokens

import meanfield as mf
from meanfield.case.batched import batched_model
from meanfield.errors import InputError

TOKENS = few_tokens.but({"solver.number": 6})


def test_attention_in_its_short_form() -> None:
    model = batched_model(TOKENS(model__beta=2.5))
    assert (model.n, model.d, model.normalised, model.beta, model.value) == (6, 3, True, 2.5, 1)
    assert not model.heads and model.mask is None
    assert not batched_model(TOKENS(model__attention="usa", model__value=-1)).normalised


def test_heads_and_masks() -> None:
    heads = [{"beta": 2.0, "V": "identity"}, {"beta": -1.0, "V": [[0, 1, 0], [0, 0, 1], [1, 0, 0]]}]
    case = TOKENS({"model": {"attention": "sa", "heads": heads, "mask": "causal"}})
    model = batched_model(case)
    assert [head.A[0, 0] for head in model.heads] == [2.0, -1.0]
    assert model.heads[1].V[0, 1] == 1.0
    np.testing.assert_array_equal(model.mask, np.tri(6))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"solver": {"type": "layers", "number": 6, "layers": 10}}, "solver.type"),
        ({"solver.number": 1}, "solver.number"),
        ({"solver.exclude_self": True}, "solver.exclude_self"),
        ({"solver.interaction": "harmonics"}, "solver.interaction"),
        ({"model.beta": 301.0}, "model.beta"),
        ({"model.kappa": {"type": "wave", "mean": 0.2, "amplitude": 0.1, "frequency": 1.0}},
         "model.kappa"),
        ({"model": {"interaction": {"type": "power", "k": 2}}}, "model.interaction"),
        ({"model.drift": {"matrix": [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]}}, "model.drift"),
        ({"model": {"attention": "linear", "beta": 1.0}}, "model.attention"),
        ({"model.rope": {}}, "model.rope"),
    ],
)  # fmt: skip
def test_what_ensembles_do_not_have_is_refused_by_its_key(
    changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(InputError) as error:
        batched_model(TOKENS(changes))
    assert str(error.value).startswith(f"{key}: ")


def test_a_file_of_tokens_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.eye(3))
    case = mf.Case(
        geometry=mf.Unmeshed(d=3), model=mf.Model(attention="sa", beta=1.0),
        initial=mf.Uniform(3), solver=mf.Particles(tokens=path), time=mf.Time(end=1.0),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"^solver\.tokens: found a file"):
        batched_model(case)
