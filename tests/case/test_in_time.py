"""Values in time in a case: reading, writing, refusing, changing, and what they become."""

from __future__ import annotations

import math
import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from cases import plain, small_tokens

import meanfield as mf
from meanfield import cli
from meanfield.case import Unmeshed, apply_overrides
from meanfield.case.ensembles import draw
from meanfield.case.helptext import help_on
from meanfield.case.schema import case_schema
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

D3 = [[2.0, 0.0, 0.0], [0.0, 1.9, 0.0], [0.0, 0.0, -0.5]]
E3, E1 = [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]
STEPS = {"times": [0.0, 1.0], "values": [4.0, 9.0]}
WAVE = {"mean": 4.0, "amplitude": 2.0, "period": 2.0}
PATH = {"mean": "identity", "variance": 2.0, "seed": 3, "symmetric": True}


def of(**model: object) -> mf.Case:
    """Tokens on S^2 with a model."""
    return small_tokens(model=model)


def head(**given: object) -> dict[str, object]:
    """A model with one head."""
    return {"attention": "sa", "heads": [{"beta": 2.0, **given}]}


def moving(case: mf.Case) -> mf.Moving:
    """Its interaction."""
    made = case.model.on(case.geometry)
    assert isinstance(made, mf.Moving) and made.moves
    return made


def matrices(case: mf.Case, t: float) -> tuple[Array, Array]:
    """A and V of the one head at a time."""
    [found] = moving(case).at(t).heads
    return found.A, found.V


def vector(case: mf.Case, t: float) -> Array:
    """What the one drift does to a token at a time."""
    [drift] = moving(case).at(t).drifts
    return drift.vector(np.array([[0.6, 0.0, 0.8]]))[0]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.fixture
def here(inside: Path) -> Path:
    """A folder with files of arrays and of functions."""
    layers = np.stack([draw("ginibre", 3, seed) for seed in range(3)])
    np.savez(inside / "w.npz", K=layers, t=np.array([0.0, 0.5, 2.0]), b=np.array([1.0, 2.0, 3.0]))
    np.save(inside / "t.npy", np.array([0.0, 0.5, 2.0]))
    np.save(inside / "v.npy", np.array(D3))
    (inside / "weights.py").write_text(
        "import numpy as np\n"
        "def value(t): return 4.0 + np.cos(t)\n"
        "def turn(t): return [[0, -t, 0], [t, 0, 0], [0, 0, 0]]\n"
        "def field(t): return [0.0, 0.0, np.exp(-t)]\n"
        "def broken(t): return 1.0 / t\n",
        "utf-8",
    )
    return inside


# ------------------------------------------------------------------ what they become


def test_beta_of_the_short_form_in_time_is_one_head() -> None:
    case = of(attention="sa", beta=STEPS, value=-1)
    assert not case.model.is_zonal
    for t, beta in ((-1.0, 4.0), (0.5, 4.0), (1.0, 9.0), (7.0, 9.0)):
        found, values = matrices(case, t)
        np.testing.assert_array_equal(found, beta * np.eye(3))
        np.testing.assert_array_equal(values, -np.eye(3))
    assert moving(case).next_jump(0.0) == 1.0 and math.isinf(moving(case).next_jump(1.0))
    line = of(attention="sa", beta={**STEPS, "interpolate": "linear"})
    np.testing.assert_allclose(matrices(line, 0.25)[0], 5.25 * np.eye(3))
    wave = of(attention="usa", beta={**WAVE, "phase": 0.5})
    now = 4.0 + 2.0 * math.cos(2.0 * math.pi * 0.3 / 2.0 + 0.5)
    np.testing.assert_allclose(matrices(wave, 0.3)[0], now * np.eye(3), rtol=1e-15)


def test_each_matrix_of_a_head_in_time(here: Path) -> None:
    q, v = draw("rotation", 3, 1), np.array(D3)
    table = {"times": [0, 1], "values": ["identity", {"ensemble": "rotation", "seed": 1}]}
    case = of(**head(Q=table, V={"times": [0.0, 1.5], "values": [D3, "v.npy"]}))
    np.testing.assert_array_equal(matrices(case, 0.0)[0], 2.0 * np.eye(3))
    np.testing.assert_allclose(matrices(case, 1.0)[0], 2.0 * q)
    np.testing.assert_array_equal(matrices(case, 2.0)[1], v)
    case = of(**head(beta=WAVE, K="goe", V="Q^T K"))
    np.testing.assert_allclose(matrices(case, 1.0)[0], 2.0 * draw("goe", 3))
    np.testing.assert_array_equal(matrices(case, 1.0)[1], draw("goe", 3))
    case = of(attention="usa", heads=[{"A": {"mean": D3, "amplitude": D3, "period": 1.0}}])
    np.testing.assert_allclose(matrices(case, 0.5)[0], 0.0, atol=1e-15)
    np.testing.assert_allclose(matrices(case, 1.0)[0], 2.0 * v)


def test_values_are_a_multiple_of_the_same_random_matrix() -> None:
    """Heads of arXiv 2605.18870: A = beta D(t), V = D(t)/H."""
    case = of(**head(K=PATH, V={"ensemble": "Q^T K", "scale": 0.1}))
    for t in (0.0, 0.3, 55.0):
        found, values = matrices(case, t)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_allclose(values, found / 20.0, rtol=1e-15)
    assert not np.array_equal(matrices(case, 0.0)[0], matrices(case, 0.3)[0])


def test_a_random_path_does_not_hang_on_when_it_is_asked() -> None:
    long, short = (mf.EndlessPath(np.eye(3), 1.0, 2.0, 3, None, True) for _ in range(2))
    late = long.at(500.0)
    early = [short.at(t) for t in (0.0, 3.7, 15.99, 16.01, 80.0)]
    for t, value in zip((0.0, 3.7, 15.99, 16.01, 80.0), early, strict=True):
        np.testing.assert_array_equal(long.at(t), value)
    np.testing.assert_array_equal(short.at(500.0), late)
    t, nodes = -0.1, []
    while t < 1.0:
        t = short.next_jump(t)
        nodes.append(t)
    assert nodes == [k / 32.0 for k in range(33)]
    # The law: entries about the mean, with their variance and correlations.
    path = mf.EndlessPath(np.array(1.0), 2.0, 0.5, 7)
    found = np.array([float(path.at(0.25 * k)) for k in range(16_000)]) - 1.0
    assert found.mean() == pytest.approx(0.0, abs=0.05)
    assert np.mean(found**2) == pytest.approx(0.5, abs=0.04)
    assert np.mean(found[1:] * found[:-1]) == pytest.approx(0.5 * math.exp(-0.5), abs=0.04)
    assert np.abs(found).max() <= path.largest


def test_a_value_beyond_the_bound_of_a_path_is_scaled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meanfield.interaction.intime.endless._TAIL", -1.5)
    path = mf.EndlessPath(np.zeros((2, 2)), 1.0, 1.0, 1)
    sizes = [float(np.linalg.norm(path.at(k / 64.0), 2)) for k in range(4000)]
    assert max(sizes) == pytest.approx(path.largest, rel=1e-12)
    assert np.count_nonzero(np.array(sizes) < 0.9 * path.largest) > 100


def test_drifts_in_time() -> None:
    x = np.array([0.6, 0.0, 0.8])
    case = of(drift={"matrix": {"times": [0.0, 2.0], "values": [D3, "minus identity"],
                                "interpolate": "linear"}})  # fmt: skip
    np.testing.assert_allclose(vector(case, 1.0), 0.5 * (np.array(D3) @ x - x))
    shifts = {"times": [0.0, 1.0], "values": [[1.0], [-9.0]]}
    table: dict[str, object] = {"W": [[1.0], [0.0], [0.0]], "B": [[1.0, 0.0, 0.0]], "b": shifts}
    case = of(perceptron=table)
    np.testing.assert_allclose(vector(case, 0.0), [1.6, 0.0, 0.0])
    np.testing.assert_array_equal(vector(case, 1.0), 0.0)
    outer = {"mean": [[0.0], [0.0], [0.0]], "amplitude": [[1.0], [0.0], [2.0]], "period": 4.0}
    case = of(perceptron={**table, "b": [1.0], "W": outer})
    np.testing.assert_allclose(vector(case, 0.0), [1.6, 0.0, 3.2])
    np.testing.assert_allclose(vector(case, 1.0), 0.0, atol=1e-15)


@pytest.mark.parametrize(
    ("potential", "then"),
    [
        ({"type": "linear", "field": {"times": [0, 1], "values": [E3, E1]}},
         {"type": "linear", "field": E1}),
        ({"type": "cap", "axis": E3, "strength": {"mean": 2, "amplitude": 1, "period": 4}},
         {"type": "cap", "axis": E3, "strength": 2.0}),
        ({"type": "bumps", "centres": {"times": [0, 1], "values": [[E3], [E1, E3]][1:] * 2},
          "concentration": {"times": [0, 2], "values": [2, 4], "interpolate": "linear"}},
         {"type": "bumps", "centres": [E1, E3], "concentration": 3.0}),
        ({"type": "harmonic", "axis": E1,
          "coefficients": {"mean": [0, 1], "amplitude": [1, 1], "period": 2}},
         {"type": "harmonic", "axis": E1, "coefficients": [-1.0, 0.0]}),
    ],
)  # fmt: skip
def test_potentials_are_made_anew(potential: dict[str, Any], then: dict[str, Any]) -> None:
    x = np.array([[0.6, 0.0, 0.8], [0.0, 0.6, 0.8]])
    case, fixed = of(potential=potential), of(potential=then)
    [drift], made = moving(case).at(1.0).drifts, fixed.model.on(fixed.geometry)
    assert isinstance(made, mf.Composite)
    np.testing.assert_allclose(drift.vector(x), made.drifts[0].vector(x), atol=1e-15)
    assert mf.Case.from_dict(case.to_dict()) == case


# ------------------------------------------------------------------ tables


EVERY: list[dict[str, object]] = [
    {"attention": "sa", "beta": STEPS},
    {"attention": "sa", "beta": {"times": "t.npy", "values": "w.npz:b"}},
    {"attention": "sa", "beta": {"mean": 1.0, "variance": 0.1, "step": 0.5}},
    {"attention": "sa", "beta": {"path": "weights.py", "largest": 5, "jumps": [1.0]}},
    head(beta=WAVE, K=PATH, V={"ensemble": "Q^T K", "scale": 0.1}),
    head(K={"times": {"file": "w.npz", "name": "t"}, "values": "w.npz:K"}, V="goe"),
    head(V={"times": [0, 1], "values": ["goe", "v.npy"], "interpolate": "linear"}),
    {"drift": {"matrix": {"path": "weights.py", "call": "turn", "largest": 100.0}}},
    {"potential": {"type": "linear", "field": {"path": "weights.py", "call": "field",
                                               "largest": 1.0}}},
    {"perceptron": {"W": {"times": [0.0], "values": [[[1.0], [0.0], [0.0]]]},
                    "B": [[1.0, 0.0, 0.0]], "b": {"times": [0, 1], "values": [[1], [2]]}}},
]  # fmt: skip


@pytest.mark.parametrize("model", EVERY, ids=range(len(EVERY)))
def test_cases_are_written_as_they_are_read(model: dict[str, Any], here: Path) -> None:
    case = small_tokens(model=model, base=here)
    text = case.to_toml()
    again = mf.Case.from_dict(tomllib.loads(text))
    assert again == case and not case.differences(again) and hash(again.model) == hash(case.model)
    assert again.to_toml() == text and pickle.loads(pickle.dumps(case)) == case
    given = {**small_tokens.table(), "model": model}
    for table in (tomllib.loads(text), given):
        jsonschema.Draft202012Validator(case_schema()).validate(table)
    one, other = (moving(c) for c in (case, again))
    for t in (0.0, 0.5, 1.0, 3.0):
        for mine, theirs in zip(one.at(t).heads, other.at(t).heads, strict=True):
            np.testing.assert_array_equal((mine.A, mine.V), (theirs.A, theirs.V))
    assert "in time" in one.describe() and case.model.describe()


def test_what_is_written() -> None:
    def table(**model: object) -> Any:
        return of(**model).model.table()

    assert table(attention="sa", beta=STEPS)["beta"] == {**STEPS, "interpolate": "step"}
    assert table(attention="sa", beta=WAVE)["beta"] == {**WAVE, "phase": 0.0}
    [found] = table(**head(K=PATH))["heads"]
    assert found["K"] == {**PATH, "rate": 1.0}


def test_arrays_of_files(here: Path) -> None:
    model = head(K={"times": "w.npz:t", "values": "w.npz:K"}, V="Q^T K")
    case = small_tokens(model=model, base=here)
    for t, seed in ((0.0, 0), (0.49, 0), (0.5, 1), (9.0, 2)):
        np.testing.assert_allclose(matrices(case, t)[1], draw("ginibre", 3, seed))
    assert set(case.file_digests()) == {
        "model.heads.0.K.times.file", "model.heads.0.K.values.file",
    }  # fmt: skip
    mixed = head(V={"times": [0, 1], "values": ["goe", "v.npy"]})
    case = small_tokens(model=mixed, base=here)
    assert set(case.file_digests()) == {"model.heads.0.V.values.1.file"}
    recipe = small_tokens.but(model=mixed)
    changed = recipe({"model.heads.0.V.values.0": "wigner"}, here)
    assert case.differences(changed) == ["model.heads.0.V.values.0.ensemble"]


def test_functions_of_a_file(here: Path) -> None:
    model = {"attention": "sa", "beta": {"path": "weights.py", "largest": 5.0, "jumps": [2.0]}}
    case = small_tokens(model=model, base=here)
    np.testing.assert_allclose(matrices(case, 1.0)[0], (4.0 + math.cos(1.0)) * np.eye(3))
    assert moving(case).next_jump(0.0) == 2.0
    assert set(case.file_digests()) == {"model.beta.path"}
    turn = {"matrix": {"path": "weights.py", "call": "turn", "largest": 2.0}}
    case = small_tokens(model={"drift": turn}, base=here)
    np.testing.assert_allclose(vector(case, 1.5), [0.0, 0.9, 0.0])
    said = refused(lambda: moving(case).at(3.0))
    assert said.startswith("model.drift.matrix: ") and "at t = 3" in said and "at most 2" in said


def test_the_command_line_runs_functions_only_if_it_is_told_to(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {"path": "weights.py", "largest": 5.0}
    small_tokens.write(here / "case.toml", model={"attention": "sa", "beta": table})
    assert cli.main(["run", "case.toml"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "model.beta.path: " in said and "--trust only" in said
    assert cli.main(["run", "case.toml", "--trust", "--no-progress", "-o", "run"]) == 0
    assert "in time" in capsys.readouterr().out


def test_what_was_made_in_python() -> None:
    def model(beta: object) -> mf.Model:
        return mf.Model(attention="sa", beta=beta)  # type: ignore[arg-type]

    assert model(mf.TableInTime(np.arange(2.0), np.array([4.0, 9.0]))) == model(STEPS)
    assert model(mf.WaveInTime(np.array(4.0), np.array(2.0), 2.0)) == model(WAVE)
    path = {"mean": 1.0, "variance": 0.5, "rate": 2.0, "seed": 7}
    [theirs], [mine] = (
        moving(of(attention="sa", beta=beta)).at(2.0).heads
        for beta in (path, mf.EndlessPath(np.array(1.0), 2.0, 0.5, 7))
    )
    np.testing.assert_array_equal(mine.A, theirs.A)

    def growing(rate: float) -> mf.FunctionInTime:
        return mf.FunctionInTime(lambda t: np.array(min(rate * t, 5.0)), (), 5.0)

    one, same, other = (model(growing(rate)) for rate in (1.0, 1.0, 2.0))
    assert one == same and hash(one) == hash(same) and one != other
    found, _ = matrices(of(**one.table() | {"beta": growing(1.0)}), 2.0)
    np.testing.assert_array_equal(found, 2.0 * np.eye(3))
    # A table tells which one it was; nothing can be computed of that.
    told = mf.Case.from_dict(tomllib.loads(small_tokens(model=one.table()).to_toml())).model
    assert told == one
    said = refused(lambda: told.on(Unmeshed(3)))
    assert said.startswith("model.beta: FunctionInTime was made in Python"), said
    potential = mf.CapPotential(axis=(0.0, 0.0, 1.0), strength=mf.WaveInTime(2.0, 1.0, 4.0))  # type: ignore[arg-type]
    table = {"type": "cap", "axis": E3, "strength": {"mean": 2, "amplitude": 1, "period": 4}}
    assert mf.Model(potential=potential) == mf.Model(potential=table)  # type: ignore[arg-type]


# ------------------------------------------------------------------ changes


def test_overrides_reach_into_values_in_time() -> None:
    raw = small_tokens.table(
        model=head(K=PATH, V={"times": [0, 1], "values": [D3, D3]}, beta=WAVE)
        | {"drift": {"matrix": {"times": [0, 1], "values": ["goe", "goe"]}}}
    )
    changed = apply_overrides(
        raw,
        ["model.heads.0.beta.period=3", "model.heads[0].K.seed=9", "model.heads.0.V.times.1=5",
         "model.heads.0.V.values.1.0.2=7", "model.drift.matrix.values.1=wigner"],
    )  # fmt: skip
    model: Any = mf.Case.from_dict(changed).model.table()
    [made] = model["heads"]
    assert made["beta"]["period"] == 3.0 and made["K"]["seed"] == 9
    assert made["V"]["times"] == [0.0, 5.0] and made["V"]["values"][1][0] == [2.0, 0.0, 7.0]
    assert model["drift"]["matrix"]["values"][1]["ensemble"] == "wigner"
    short = small_tokens.table(model={"attention": "sa", "beta": STEPS})
    changed = apply_overrides(short, ["model.beta.values.1=3"])
    assert mf.Case.from_dict(changed).model.table()["beta"]["values"] == [4.0, 3.0]  # type: ignore[index]
    assert mf.Case.from_dict(apply_overrides(short, ["model.beta=3"])).model.is_zonal
    changed = apply_overrides(short, ["model.beta={mean=4.0, amplitude=1.0, period=2.0}"])
    assert mf.Case.from_dict(changed).model.table()["beta"]["amplitude"] == 1.0  # type: ignore[index]
    for path in ("model.beta.perod", "model.heads.0.beta.valus.1", "model.beta.1"):
        with pytest.raises(InputError, match="a case has no such key"):
            apply_overrides(raw, [f"{path}=1"])


def test_help_on_values_in_time() -> None:
    text = "\n".join(help_on("in_time"))
    for words in (
        "{ times, values, interpolate }",
        "{ mean, amplitude, period, phase }",
        "{ mean, variance, rate, seed, symmetric, step }",
        "{ path, largest, call, jumps }",
    ):
        assert f"in place of a number, a vector or a matrix: {words}" in text
    assert "in_time" in " ".join(help_on("model.beta"))
    assert help_on("amplitude") and help_on("in_time.times")


@pytest.mark.parametrize("model", [EVERY[0], EVERY[4]], ids=["beta", "heads"])
def test_stationary_and_branch_need_constants(
    model: dict[str, Any], inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_tokens.write(inside / "case.toml", model={**model, "kappa": 0.5})
    key = "model.beta" if "beta" in model else r"model.heads[0].beta"
    for words in (["stationary", "case.toml"], ["branch", "case.toml", "--parameter", "kappa",
                                                "--from", "1", "--to", "2"]):  # fmt: skip
        assert cli.main(words) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        assert f"{key}: found a value in time, stationary and branch need constants" in err
    assert [path.name for path in inside.iterdir()] == ["case.toml"]


# ------------------------------------------------------------------ what is refused


def short(beta: object) -> dict[str, Any]:
    return {"attention": "sa", "beta": beta}


BAD: list[tuple[dict[str, Any], str]] = [
    (short({"times": [0, 1, 1], "values": [1, 2, 3]}),
     "model.beta.times: 1 after 1 found (given twice)"),
    (short({"times": [1, 0], "values": [1, 2]}),
     "model.beta.times: 0 after 1 found (out of order)"),
    (short({"times": [0, 1], "values": [1, 2, 3]}),
     "model.beta.values: found 3 for 2 times, expected one for each"),
    (short({"times": "t.npy", "values": [1, 2]}), "model.beta.values: found 2 for 3 times"),
    (short({"times": "w.npz:K", "values": [1, 2]}), "model.beta.times: found an array of shape"),
    (short({"times": [0, 1], "values": "w.npz:b"}), "model.beta.values: found 3 for 2 times"),
    (short({"times": "w.npz:s", "values": [1]}), "model.beta.times: found no array 's'"),
    (short({"times": [0, math.nan], "values": [1, 2]}),
     "model.beta.times[1]: expected a finite number, found nan"),
    (short({"times": [0, 1], "values": [1, math.inf]}),
     "model.beta.values[1]: expected a finite number, found inf"),
    (short({"times": [0, "a"], "values": [1, 2]}),
     "model.beta.times[1]: expected a number, found the text 'a'"),
    (short({"times": [0, 1], "values": [1, [2]]}),
     "model.beta.values[1]: expected a number, found a list of numbers"),
    (short({"times": [0, 1], "values": [1, 2], "interpolate": "linera"}),
     "model.beta.interpolate: expected \"step\" or \"linear\", found 'linera' (did you mean"),
    (short({"times": [0, 1], "values": [1, 2], "valeus": 2}),
     "model.beta: unknown key beta.valeus (did you mean 'values'?)"),
    (short({"times": [], "values": []}), "model.beta.times: expected a list of one value or more"),
    (short({"times": 3, "values": [1]}), "model.beta.times: expected a list, or a file"),
    (short({"times": [0.0]}), "model.beta.values is missing"),
    (short({"time": [0.0]}), "model.beta: expected a number or a value in time"),
    (short({"times": [0, 1], "values": [1, 3000]}),
     "model.beta: expected a number from -2000 to 2000, found 3000"),
    (short({**WAVE, "period": 0}), "model.beta.period: expected a number above 0, found 0"),
    (short({**WAVE, "mean": 1999}), "model.beta: expected a number from -2000 to 2000, found 2001"),
    (short({**WAVE, "amplitude": [1]}),
     "model.beta.amplitude: expected a number, found a list of numbers"),
    (short({"mean": 4}), "model.beta.amplitude is missing"),
    (short({"mean": 4, "variance": -1}), "model.beta.variance: expected a number, 0 or more"),
    (short({"mean": 4, "variance": 1, "rate": 0}), "model.beta.rate: expected a number above 0"),
    (short({"mean": "identity", "variance": 1}),
     'model.beta.mean: expected a number, found the ensemble "identity"'),
    (short({"path": "none.py", "largest": 3}), "model.beta.path: found no file"),
    (short({"path": "weights.py"}), "model.beta.largest is missing"),
    (short({"path": "weights.py", "largest": 9, "call": "valeu"}),
     "model.beta.call: found no function 'valeu'"),
    (short({"path": "weights.py", "largest": 9, "call": "broken"}),
     "model.beta: function: raised ZeroDivisionError"),
    (short({"path": "weights.py", "largest": 3}), "model.beta: function: a value of size 5 found"),
    (short({"path": "weights.py", "largest": 9, "call": "turn"}), "model.beta: function: "),
    (head(beta={**WAVE, "mean": 1e308}),
     "model.heads[0].beta.mean: expected numbers up to 1e+06, found 1e+308"),
    (short(math.cos), "model.beta: found a function, expected FunctionInTime"),
    (head(beta={"times": [0, 1], "values": [2, 900]}), "model.heads[0]: found |A| = 900"),
    (head(V={"times": [0, 1], "values": ["goe", [[1, 2], [3, 4]]]}),
     "model.heads[0].V.values[1]: expected a 3 x 3 matrix, found 2 x 2"),
    (head(Q={"times": [0, 1], "values": ["goe", [[1, 2, 3]]]}),
     "model.heads[0].Q.values[1]: found an array of shape (1, 3)"),
    (head(K={"times": [0], "values": [[[1, 2, 3]]]}),
     "model.heads[0].K.values[0]: expected a 3 x 3 matrix, found 1 x 3"),
    (head(V={"times": [0], "values": [2.0]}),
     "model.heads[0].V.values[0]: expected a matrix, found the number 2"),
    (head(V={"times": [0, 1, 2], "values": "w.npz:b"}), "model.heads[0].V.values[0]: expected a 3"),
    (head(V={"mean": "Q^T K", "variance": 1.0}), 'model.heads[0].V.mean: found "Q^T K"'),
    (head(V={"times": [0], "values": ["gooe"]}), "model.heads[0].V.values[0]: expected a list of"),
    (head(V={"times": [0], "values": [{"ensemble": "goe", "sed": 1}]}),
     "model.heads[0].V.values[0]: unknown key values[0].sed"),
    (head(K={**PATH, "mean": [[1, 2, 3], [1, 2, 3], [1, 2, 3]]}),
     "model.heads[0].K.mean: found [[1.0"),
    ({"attention": "sa", "heads": [{"A": D3, "beta": WAVE}]},
     "model.heads[0].beta: given twice, as a value in time and in A"),
    ({"drift": {"matrix": {"times": [0], "values": ["-Q^T K"]}}},
     'model.drift.matrix.values[0]: found "-Q^T K"'),
    ({"potential": {"type": "cap", "axis": E3, "strength": {**WAVE, "period": -1}}},
     "model.potential.strength.period: expected a number above 0"),
    ({"potential": {"type": "cap", "axis": E3, "strength": {**WAVE, "foo": -1}}},
     "model.potential: unknown key strength.foo"),
    ({"potential": {"type": "bumps", "centres": [E3],
                    "concentration": {**STEPS, "values": [1, 0]}}},
     "model.potential.concentration: expected a number above 0 and at most 1e+06, found 0"),
    ({"potential": {"type": "linear", "field": {**STEPS, "values": [[0, 1], [1, 0]]}}},
     "model.potential.field: expected 3 numbers, found 2"),
    ({"potential": {"type": "cap", "axis": {**STEPS, "values": [E3, [0, 0, 0]]}}},
     "model.potential.axis: expected a direction, found zeros"),
    ({"perceptron": {"W": {**STEPS, "values": [D3, D3]}, "B": [[1, 0, 0]]}},
     "model.perceptron.W.values[0]: expected a 3 x 1 matrix, found 3 x 3"),
    ({"perceptron": {"W": [[1], [0], [0]], "B": [[1, 0, 0]],
                     "b": {**STEPS, "values": [[1, 2]] * 2}}},
     "model.perceptron.b: expected 1 numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "said"), BAD, ids=[said for _, said in BAD])
def test_bad_values_in_time(model: dict[str, Any], said: str, here: Path) -> None:
    assert refused(lambda: small_tokens(model=model, base=here)).startswith(said)


JUNK: list[Any] = [
    None, True, 10**400, 1e308, "", "\0.npy", b"x", [], [[]], [1, [2]], {}, {"file": 3}, math.nan,
    1j, object(), np.array(["a"]), np.zeros((0, 3)), [None], [{"file": 1}], int,
]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [{**STEPS, "interpolate": "step"}, {**WAVE, "phase": 0.1}, {**PATH, "mean": 1.0, "step": 0.5},
     {"path": "none.py", "call": "f", "largest": 1.0, "jumps": [1.0]},
     {"python": "f", "fingerprint": "ab", "shape": [], "largest": 3.0}],
    ids=["table", "wave", "path", "function", "python"],
)  # fmt: skip
def test_whatever_is_wrong_is_told_in_one_line(given: dict[str, Any], inside: Path) -> None:
    told = 0
    for key in given:
        for junk in JUNK:
            table = {**given, key: junk}
            for model in (short(table), head(K=table), {"drift": {"matrix": table}},
                          {"potential": {"type": "linear", "field": table}}):  # fmt: skip
                try:
                    of(**model)
                except InputError as error:
                    told += 1
                    assert "\n" not in str(error) and str(error).startswith(("model.", "unknown"))
    assert told > 60 * len(given)


def test_a_zonal_geometry_looks_at_what_comes() -> None:
    along, across = np.diag([1.0, 1.0, 1.0, 1.0, 2.0]), np.eye(5)
    across[0, 4] = 1.0
    zonal: dict[str, object] = {"geometry": {"type": "zonal", "d": 5, "vertices": 65}}
    zonal |= {"initial": {"type": "uniform"}}

    def drift(*values: Array) -> mf.Case:
        table = {"times": list(range(len(values))), "values": [v.tolist() for v in values]}
        return plain(zonal, model={"drift": {"matrix": table}})

    moving(drift(along, np.eye(5)))
    said = refused(lambda: drift(along, np.eye(5), across))
    assert said.startswith("model.drift: a matrix that does not commute"), said


def test_a_potential_by_itself_is_of_one_time() -> None:
    potential = mf.CapPotential(axis=(0.0, 0.0, 1.0), strength=mf.WaveInTime(2.0, 1.0, 4.0))  # type: ignore[arg-type]
    said = refused(lambda: potential.on(3))
    assert said.startswith("model.potential.strength: found a value in time"), said


def test_bad_input_on_the_command_line(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {"times": [0.0, 1.0, 1.0], "values": [1.0, 2.0, 3.0]}
    small_tokens.write(inside / "case.toml", model=short(bad))
    assert cli.main(["run", "case.toml"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "model.beta.times: 1 after 1 found (given twice)" in err


# ------------------------------------------------------------------ what runs make of it


def test_rest_before_a_jump_ends_no_run(tmp_path: Path) -> None:
    """V = 0 until t = 0.5."""
    beta = {"times": [0.0, 0.5], "values": [0.0, 4.0], "interpolate": "step"}
    values = {"times": [0.0, 0.5], "values": [[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]],
              "interpolate": "step"}  # fmt: skip
    case = mf.Case.from_dict({
        "title": "rest at first",
        "geometry": {"type": "circle", "vertices": 40},
        "model": {"attention": "sa", "heads": [{"beta": beta, "V": values}]},
        "initial": {"type": "fourier", "cos": [0.3]},
        "time": {"end": 1.0, "outputs": [], "stationary": 1e-6},
        "output": {"figures": False},
    })  # fmt: skip
    result = mf.run(case, tmp_path / "r", progress=False)
    assert result.stop_reason == "end" and result.t == 1.0


def test_long_tables_from_python_stay_piecewise() -> None:
    """More numbers than a case file keeps: known by a hash, with jumps all the same."""
    turns = np.array([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]] * 200)
    turns[1::2] *= 2.0
    table = mf.TableInTime(np.arange(200) / 100.0, turns, "step")
    model = mf.Model(drift=mf.Drift(matrix=table))
    moving = model.on(mf.Sphere(level=1))
    assert moving.moves and moving.piecewise and moving.next_jump(0.0) == 0.01


def test_what_moves_is_told_in_words() -> None:
    beta = {"times": [0.0, 0.5], "values": [1.0, 4.0], "interpolate": "step"}
    words = mf.Model(attention="sa", beta=beta, value=-1).describe()  # type: ignore[arg-type]
    assert words == "sa, beta in time, V = -I"
    drift = {"matrix": {"times": [0.0, 1.0], "values": [[[0.0, -1.0], [1.0, 0.0]]] * 2}}
    words = mf.Model(attention="sa", beta=4.0, drift=drift).describe()  # type: ignore[arg-type]
    assert words.endswith("linear drift in time")
