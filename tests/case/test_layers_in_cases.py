"""solver.type = "layers" with weights, outputs, normalisations and noise: in case files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from processes import ROOT

import meanfield as mf
from meanfield.cli.words import case_words
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyInteraction
from meanfield.runs.tracks.make import make_interaction, token_solver

D, N = 4, 30
PERCEPTRON = {
    "W": {"ensemble": "ginibre", "seed": 3},
    "B": {"ensemble": "ginibre", "seed": 4},
    "activation": "tanh",
}
HEADS = [{"beta": 1.0, "Q": {"ensemble": "ginibre", "seed": 1}, "V": {"ensemble": "ginibre"}}]


def case(
    model: dict[str, object] | None = None, end: float = 2.0, d: int = D, **solver: object
) -> mf.Case:
    own = {"attention": "sa", "heads": HEADS} if model is None or "attention" not in model else {}
    return mf.Case.from_dict({
        "geometry": {"type": "unmeshed", "d": d}, "initial": {"type": "uniform"},
        "model": own | (model or {}), "time": {"end": end},
        "solver": {"type": "layers", "number": N, "layers": 2} | solver,
    })  # fmt: skip


def start(made: mf.Case) -> Array:
    return np.asarray(token_solver(made, N, "iid", made.seed).x)


def parts(made: mf.Case) -> tuple[AnyInteraction, Array, Array]:
    """Attention alone, W and B."""
    perceptron = made.model.perceptron
    assert perceptron is not None
    layer = perceptron.on(D)
    attention = case({"perceptron": None} | {"attention": "sa", "heads": HEADS})
    return make_interaction(attention), layer.outputs, layer.directions  # type: ignore[union-attr]


def unit(y: Array) -> Array:
    return np.asarray(y / np.linalg.norm(y, axis=1, keepdims=True))


def test_a_pre_ln_run_with_a_perceptron(tmp_path: Path) -> None:
    model = {"normalisation": {"type": "pre", "length": 2.0}, "perceptron": PERCEPTRON}
    made = case(model, perceptron="sublayer", step=0.3)
    assert mf.Case.from_dict(made.to_dict()) == made
    assert "2 layers a unit of time, pre, step 0.3, the perceptron a sublayer" in case_words(made)
    solver = mf.run(made, tmp_path / "run", progress=False).solver
    attention, W, B = parts(made)
    y = 2.0 * start(made)
    for _ in range(4):
        y = y + 0.3 * attention.outputs(unit(y), np.full(N, 1.0 / N))
        y = y + 0.3 * np.tanh(unit(y) @ B.T) @ W.T
    np.testing.assert_allclose(solver.x, unit(y), rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(solver.lengths, np.linalg.norm(y, axis=1), rtol=1e-12)


def test_a_perceptron_that_is_added() -> None:
    made = case({"perceptron": PERCEPTRON}, residual=0.5)
    solver = token_solver(made, N, "iid", 0)
    solver.advance(2.0)
    attention, W, B = parts(made)
    x = start(made)
    a = attention.outputs(x, np.full(N, 1.0 / N)) + np.tanh(x @ B.T) @ W.T
    np.testing.assert_allclose(solver.x, unit(0.5 * x + 0.5 * a), rtol=0.0, atol=1e-12)


def test_projected_sublayers() -> None:
    made = case({"perceptron": PERCEPTRON}, perceptron="sublayer", output="projected")
    solver = token_solver(made, N, "iid", 0)
    solver.advance(2.0)
    attention, W, B = parts(made)
    x = start(made)
    for a in (
        lambda x: attention.outputs(x, np.full(N, 1.0 / N)), lambda x: np.tanh(x @ B.T) @ W.T,
    ):  # fmt: skip
        x = unit(x + 0.5 * (a(x) - np.sum(a(x) * x, axis=1, keepdims=True) * x))
    np.testing.assert_allclose(solver.x, x, rtol=0.0, atol=1e-12)


def test_a_sublayer_in_time_has_the_weights_of_its_layer() -> None:
    values = np.random.default_rng(5).normal(size=(2, D, D))
    W = {"times": [0.0, 0.5], "values": values.tolist()}
    perceptron = {**PERCEPTRON, "W": W}
    made = case({"normalisation": "pre", "perceptron": perceptron}, 1.0, perceptron="sublayer")
    solver = token_solver(made, N, "iid", 0)
    attention, _, B = parts(case({"perceptron": PERCEPTRON}))
    y = start(made)
    for k in range(2):
        y = y + 0.5 * attention.outputs(unit(y), np.full(N, 1.0 / N))
        y = y + 0.5 * np.tanh(unit(y) @ B.T) @ values[k].T
        solver.advance(1.0)
        np.testing.assert_allclose(solver.x, unit(y), rtol=0.0, atol=1e-12)


def test_what_is_left_out_is_what_was() -> None:
    plain, post = case(), case({"normalisation": "post"})
    layers = plain.solver
    assert isinstance(layers, mf.Layers) and not layers.whole(None)
    one, other = (token_solver(made, N, "iid", 0) for made in (plain, post))
    model = make_interaction(plain)
    for solver in (one, other):
        solver.advance(2.0)
    before = token_solver(plain, N, "iid", 0)
    x = model.manifold.retracted(before.x + 0.5 * before.field().own_velocity())
    np.testing.assert_array_equal(one.x, x)
    np.testing.assert_array_equal(other.x, x)
    assert one.lengths is None


@pytest.mark.parametrize("scheme", ["pre", "post", "sandwich"])
def test_a_run_resumes_along_the_same_path(scheme: str, tmp_path: Path) -> None:
    model: dict[str, object] = {"normalisation": scheme}
    model |= {"kappa": 0.05} if scheme != "pre" else {}
    whole = mf.run(case(model, 4.0, step=0.4), tmp_path / "whole", progress=False).solver
    mf.run(case(model, 1.5, step=0.4), tmp_path / "parts", progress=False)
    longer = case(model, 4.0, step=0.4)
    resumed = mf.run(longer, tmp_path / "parts", resume=True, progress=False).solver
    np.testing.assert_array_equal(resumed.x, whole.x)
    if scheme == "pre":
        np.testing.assert_array_equal(resumed.lengths, whole.lengths)
        assert np.ptp(whole.lengths) > 0.1
        return
    quiet = token_solver(case({"normalisation": scheme}, 4.0, step=0.4), N, "iid", 0)
    assert math.isclose(np.linalg.norm(whole.x[0]), 1.0) and np.abs(quiet.x - whole.x).max() > 0.1


@pytest.mark.parametrize(
    ("model", "solver", "told"),
    [
        ({}, {}, True),
        ({}, {"output": "whole"}, True),
        ({"normalisation": "pre"}, {}, False),
        ({}, {"step": 0.3}, False),
        ({}, {"residual": 0.5}, False),
        ({"kappa": 0.1}, {}, False),
    ],
)
def test_the_field_tells_the_rate_of_the_energy_where_tokens_move_by_it(
    model: dict[str, object], solver: dict[str, object], told: bool, tmp_path: Path
) -> None:
    made = case({"attention": "usa", "beta": 1.0, **model}, 1.0, **solver)
    series = mf.run(made, tmp_path / "run", progress=False).series
    assert "energy" in series and ("dissipation" in series) == told
    scheme = {"normalisation": "none", "attention": "usa", "beta": 1.0}
    assert "energy" not in mf.run(case(scheme, 1.0), tmp_path / "none", progress=False).series


def test_preln_says_what_comes_out(tmp_path: Path) -> None:
    """Of the case that comes with the package: clusters, and lengths, after 24 layers."""
    found = {}
    for name in ("pre", "post"):
        path = ROOT / "scripts" / "cases" / "preln.toml"
        made = mf.Case.from_toml(path, {"model.normalisation": name, "output.figures": False})
        found[name] = mf.run(made, tmp_path / name, progress=False)
    assert round(found["pre"].series["largest_cluster"][-1], 2) == 0.24
    assert round(found["post"].series["largest_cluster"][-1], 2) == 0.98
    assert found["pre"].solver.lengths.mean() == pytest.approx(15.6, abs=0.05)
    assert found["post"].solver.lengths is None


REFUSED: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "times": (
        {}, {"residual": 0.0, "end": 1.25}, r"^time\.outputs: found t = 1\.25 within a layer",
    ),
    "times, of a step": ({}, {"step": 1.0, "end": 1.25}, r"^time\.outputs: found t = 1\.25 with"),
    "times, of a scheme": ({"normalisation": "sqrt"}, {"end": 0.3}, r"^time\.outputs: found t = "),
    "times, with noise": ({"kappa": 0.1}, {"end": 0.3}, r"^time\.outputs: found t = 0\.3 within"),
    "kind": (
        {"attention": "linear", "beta": 1.0}, {"step": 0.1},
        r"solver\.output: outputs as they are found for linear.* expected attention 'sa' or 'usa'",
    ),
    "strength": (
        {"strength": {"type": "power", "exponent": 1.0}}, {"output": "whole"}, r"solver\.output: ",
    ),
    "harmonics": (
        {"normalisation": "pre", "attention": "sa", "beta": 1.0},
        {"interaction": "harmonics", "d": 3}, r"solver\.interaction: found harmonics with outputs",
    ),
    "exclude_self": ({}, {"output": "whole", "exclude_self": True}, r"solver\.exclude_self: found"),
    "projected": ({"normalisation": "peri"}, {"output": "projected"}, r"solver\.output: found 'pr"),
    "no perceptron": ({}, {"perceptron": "sublayer"}, r"solver\.perceptron: found 'sublayer' with"),
    "exponent": (
        {"kappa": 0.1, "diffusion": {"exponent": 2.0}}, {}, r"model\.diffusion\.exponent: found 2",
    ),
    "none": ({"kappa": 0.1, "normalisation": "none"}, {}, r"model\.kappa: found 0\.1 with mod"),
    "step": ({}, {"step": 0.0}, r"solver\.step: expected"),
    "residual": ({}, {"residual": -0.1}, r"solver\.residual: expected"),
    "common": ({}, {"common_noise": 0.1}, r"common_noise: .*the noise of layers is that of"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    model, solver, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        case(model, **solver)  # type: ignore[arg-type]


def test_observers_do_not_cut_layers() -> None:
    """Of plain ones they do; of others a time within one is refused before the run begins."""
    met: list[float] = []
    watch = mf.Watch(lambda s: met.append(s.t), mf.AtTimes([0.3, 0.5, 7.0]))
    mf.run(case(end=0.5), progress=False, observers=[watch])
    assert met == [0.3, 0.5]
    scheme = {"normalisation": "sandwich"}
    with pytest.raises(InputError, match=r"^AtTimes\.times: found t = 0\.3 within a layer"):
        mf.run(case(scheme), progress=False, observers=[watch])
    ends = mf.Watch(lambda s: met.append(s.t), mf.AtTimes([0.5, 7.0]))
    assert mf.run(case(scheme, end=1.0), progress=False, observers=[ends]).steps == 2
    assert met == [0.3, 0.5, 0.5]
