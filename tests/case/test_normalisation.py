"""[model.normalisation] in cases: read, written, refused with the reason; gains are other heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import few_tokens, plain, small, small_tokens

import meanfield as mf
from meanfield.case import apply_overrides
from meanfield.case.batched import batched_model
from meanfield.case.lengths import UniformLength
from meanfield.case.normalisation import Mix, Peri, Post, Pre
from meanfield.errors import InputError
from meanfield.geometry.sphere import uniform_points
from meanfield.interaction.measure import Measure
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds
from meanfield.studies.sweep.axes import parse_range

_RNG = np.random.default_rng(4)


def _tokens(scheme: object, **more: object) -> mf.Case:
    return few_tokens({"model.normalisation": scheme, **more})


@pytest.mark.parametrize(
    "scheme",
    [
        "pre",
        {"type": "mix", "switch": 2.0, "length": 0.5},
        {"type": "peri", "length": {"type": "uniform", "low": 0.5, "high": 2.0}, "gain": 2.0},
        {"type": "pre", "length": {"type": "lognormal", "sigma": 0.5, "median": 3.0}},
        {"type": "ngpt", "alpha": 0.5, "centre": True, "gain": [1.0, 2.0, 3.0]},
        {"type": "post", "gain": 0.5},
        {"type": "none", "length": 0.1},
    ],
)
def test_what_is_written_is_read_back(scheme: Any, tmp_path: Path) -> None:
    case = _tokens(scheme)
    path = tmp_path / "case.toml"
    path.write_text(case.to_toml(), encoding="utf-8")
    again = mf.Case.from_toml(path)
    assert again == case and again.model.normalisation == case.model.normalisation
    assert case.differences(_tokens("sqrt"))


def test_from_python() -> None:
    law = UniformLength(low=0.5, high=2.0)
    model = mf.Model(attention="sa", beta=1.0, normalisation=Pre(length=law, gain=[1.0, 2.0]))
    assert model.normalisation == Pre(length=law, gain=(1.0, 2.0))
    assert model.describe().endswith("normalisation pre, gain")
    rng = np.random.default_rng(1)
    drawn = law.lengths(2000, rng)
    assert drawn.min() >= 0.5 and drawn.max() <= 2.0
    assert abs(drawn.mean() - 1.25) < 4.0 * 1.5 / np.sqrt(12.0 * 2000)
    assert Mix(switch=2.0).next_jump(1.0) == 2.0 and np.isinf(Mix(switch=2.0).next_jump(2.0))
    assert Peri(length=3).length == 3.0 and Post().first_lengths(2, rng).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("prr", r"model\.normalisation\.type: expected .*\(did you mean 'pre'\?\)"),
        ({"type": "pre", "length": -1}, r"normalisation\.length: expected a length above 0, a tab"),
        ({"type": "pre", "length": "no.npy"}, r"length\.file: there is no file .*no\.npy"),
        ({"type": "pre", "length": {"type": "unifrm"}}, r"did you mean 'uniform'\?"),
        (
            {"type": "pre", "length": {"type": "uniform", "low": 3.0, "high": 2.0}},
            r"length\.high: found 2, expected at least low = 3",
        ),
        ({"type": "post", "gain": [1.0, -2.0]}, "gain: expected a number or d numbers above 0"),
        ({"type": "post", "gain": [1.0, 2.0]}, "gain: found 2 numbers, expected one .* d = 3"),
        ({"type": "none", "gain": 2.0}, r"unknown key model\.normalisation\.gain"),
    ],
)
def test_values_that_are_refused(scheme: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        case = _tokens(scheme)
        case.model.on(case.geometry)


def test_a_scheme_in_its_short_form_can_be_changed() -> None:
    short: dict[str, object] = {"model": {"normalisation": "pre", "mask": "causal"}}
    changed = apply_overrides(short, ["model.normalisation.length=2.0", "model.mask.type=window"])
    assert changed["model"] == {
        "normalisation": {"type": "pre", "length": 2.0}, "mask": {"type": "window"},
    }  # fmt: skip
    both = apply_overrides(short, ["model.normalisation=peri", "model.normalisation.gain=3.0"])
    assert both["model"]["normalisation"] == {"type": "peri", "gain": 3.0}  # type: ignore[index]
    mixed = {"model": {"normalisation": {"type": "mix", "switch": 2.0}}}
    other = apply_overrides(mixed, ["model.normalisation.type=sqrt"])
    assert other["model"] == {"normalisation": {"type": "sqrt"}}
    assert short == {"model": {"normalisation": "pre", "mask": "causal"}}
    name, values = parse_range('model.normalisation=post,{type="mix",switch=2.0}')
    assert (name, values) == ("model.normalisation", ["post", {"type": "mix", "switch": 2.0}])


def test_equiangular_tokens_are_not_centred() -> None:
    """Centred in d, they would have another cosine."""
    tokens: dict[str, object] = {
        "initial": {"type": "uniform"}, "solver.tokens": "equiangular", "solver.cosine": 0.5,
        "solver.number": 3,
    }  # fmt: skip
    assert _tokens({"type": "post", "gain": 2.0}, **tokens)
    with pytest.raises(InputError, match=r"^solver\.tokens: found 'equiangular' with .*centre = t"):
        _tokens({"type": "post", "centre": True}, **tokens)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver.interaction": "harmonics"}, r"interaction: found 'harmonics' .* direct sums"),
        ({"solver.exclude_self": True}, r"exclude_self: found true with model\.normalisation"),
        ({"model.kappa": 0.1}, r"model\.kappa: found noise .* change the lengths"),
        ({"solver.common_noise": 0.1}, r"solver\.common_noise: found noise"),
        ({"model.attention": "linear"}, "found 'pre' with attention = \"linear\", whose outputs"),
        ({"model.strength": {"type": "power"}}, r"found 'pre' with model\.strength"),
        (
            {"model.potential": {"type": "linear", "field": [0.0, 0.0, 1.0]}},
            r"found 'pre' with model\.potential, which has no outputs",
        ),
    ],
)
def test_what_does_not_go_with_a_scheme(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _tokens("pre", **changes)


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("pre", "two tokens at one place may have different lengths"),
        ("none", "two tokens at one place may have different lengths"),
        ("sandwich", "it divides by the size of outputs"),
        ("sqrt", r"a density has no clock of its own; .* 'post' until 2 sqrt\(t \+ 1\) - 2"),
        ({"type": "post", "centre": True}, "directions stay in a hyperplane"),
    ],
)
def test_a_density_says_why_it_has_none(scheme: Any, reason: str) -> None:
    with pytest.raises(InputError, match=f"with a density on a mesh: {reason}"):
        small({"model.normalisation": scheme})


def test_a_gain_is_another_model_also_for_densities() -> None:
    """g on all coordinates: beta g^2, and all is g times as fast (the output is that of g x)."""
    x = uniform_points(30, 3, _RNG)
    measure, base = Measure.equal(x), plain.table()
    assert base["model"]["attention"] == "sa"
    case = small({"model.normalisation": {"type": "post", "gain": 1.5}, "model.beta": 2.0})
    wide = mf.Model(attention="sa", beta=2.0 * 1.5**2).on(case.geometry)
    found = case.model.on(case.geometry).field(measure).velocity(x)
    np.testing.assert_allclose(found, 1.5 * wide.field(measure).velocity(x), atol=1e-7)


def test_studies_refuse_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'pre', that what particles are compared"):
        compare(small(), Clouds([10], 2, _tokens("pre")), tmp_path / "compare")
    gain = {"model.normalisation": {"type": "post", "gain": 1.5}}
    with pytest.raises(InputError, match="'post' with a gain, that ensembles do not have"):
        batched_model(small_tokens(gain))
    with pytest.raises(InputError, match="that stationary and branch do not have"):
        small(gain).model.gibbs(3)
