"""[[model.heads]] and [model.drift]: reading, writing, refusing, changing."""

from __future__ import annotations

import functools
import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from cases import Recipe, plain, small_tokens

import meanfield as mf
from meanfield import cli
from meanfield.case import Unmeshed, apply_overrides
from meanfield.case.ensembles import draw
from meanfield.case.helptext import help_on
from meanfield.case.schema import case_schema
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

D3 = [[2.0, 0.0, 0.0], [0.0, 1.9, 0.0], [0.0, 0.0, -0.5]]
RANDOM = np.random.default_rng(1).standard_normal((3, 3))
R = RANDOM.tolist()


def headed(*heads: object, attention: str | None = "sa", **more: object) -> Recipe:
    """A small density whose model has these heads."""
    model = {"attention": attention, "heads": list(heads), **more}
    return plain.but(model={name: value for name, value in model.items() if value is not None})


def matrices(model: mf.Model, d: int = 3) -> list[tuple[Array, Array]]:
    """A and V of each head in dimension d."""
    made = model.on(Unmeshed(d))
    assert isinstance(made, mf.Composite)
    return [(head.A, head.V) for head in made.heads]


def moved(made: mf.Composite) -> Array:
    """M of the one drift that there is."""
    [drift] = made.drifts
    assert isinstance(drift, mf.LinearDrift)
    return drift.M


def one(d: int = 3, **head: Any) -> tuple[Array, Array]:
    """A and V of a model with one head."""
    [found] = matrices(mf.Model(attention="sa", heads=[mf.Head(**head)]), d)
    return found


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    return said


# ------------------------------------------------------------------ what heads mean


def test_matrices_are_beta_k_t_q_and_v() -> None:
    q, k, v = (draw("ginibre", 3, seed) for seed in (1, 2, 3))
    found, values = one(beta=2.0, Q=q, K=k, V=v)
    np.testing.assert_allclose(found, 2.0 * k.T @ q)
    np.testing.assert_array_equal(values, v)
    found, values = one(beta=4)
    np.testing.assert_array_equal(found, 4.0 * np.eye(3))
    np.testing.assert_array_equal(values, np.eye(3))
    found, values = one(A=q)
    np.testing.assert_array_equal(found, q)
    np.testing.assert_array_equal(values, np.eye(3))
    # <Ax, y> = beta <Qx, Ky>.
    x, y = RANDOM[0], RANDOM[1]
    assert (one(beta=2.0, Q=q, K=k)[0] @ x) @ y == pytest.approx(2.0 * (q @ x) @ (k @ y))


def test_queries_and_keys_may_have_another_height() -> None:
    q, k = np.ones((2, 3)), np.arange(6.0).reshape(2, 3)
    found, values = one(beta=0.5, Q=q, K=k, V="Q^T K")
    np.testing.assert_allclose(found, 0.5 * k.T @ q)
    np.testing.assert_allclose(values, q.T @ k)
    np.testing.assert_allclose(one(beta=0.5, Q=q, K=k, V="-Q^T K")[1], -values)
    tripled = {"ensemble": "Q^T K", "scale": 3.0}
    np.testing.assert_allclose(one(beta=0.5, Q=q, K=k, V=tripled)[1], 3.0 * values)


def test_ensembles_in_the_dimension_of_the_geometry() -> None:
    for d in (2, 5):
        table = {"ensemble": "wigner", "seed": 3, "scale": 0.5}
        np.testing.assert_allclose(one(d, beta=1.0, V=table)[1], 0.5 * draw("wigner", d, 3))
        np.testing.assert_allclose(one(d, beta=1.0, V="goe")[1], draw("goe", d, 0))
        np.testing.assert_array_equal(one(d, beta=1.0, V="minus identity")[1], -np.eye(d))


def test_attention_and_drift_reach_the_interaction() -> None:
    model = mf.Model(attention="usa", heads=[{"beta": 1}], drift=mf.Drift(matrix=D3))  # type: ignore[list-item]
    made = model.on(mf.Sphere(level=1), "direct", 1e-9)
    assert isinstance(made, mf.Composite) and made.model == "usa" and made.geometry == "sphere"
    assert (made.method, made.accuracy, made.d) == ("direct", 1e-9, 3)
    np.testing.assert_array_equal(moved(made), D3)
    alone = mf.Model(drift=mf.Drift(matrix="goe")).on(Unmeshed(4))
    assert isinstance(alone, mf.Composite) and alone.heads == ()
    np.testing.assert_array_equal(moved(alone), draw("goe", 4))
    # The short form beside a drift is one head.
    short = mf.Model(attention="sa", beta=4.0, value=-1, drift=mf.Drift(matrix=D3))
    [(found, values)] = matrices(short)
    np.testing.assert_array_equal(found, 4.0 * np.eye(3))
    np.testing.assert_array_equal(values, -np.eye(3))


def test_a_zonal_geometry_takes_what_commutes_with_its_rotations() -> None:
    across = np.diag([2.0, 2.0, 2.0, -1.0])
    zonal = headed({"A": across, "V": across}, drift={"matrix": across})
    changes: dict[str, object] = {"geometry": {"type": "zonal", "d": 4, "vertices": 65}}
    changes["initial"] = {"type": "uniform"}
    [(found, _)] = matrices(zonal(changes).model, 4)
    np.testing.assert_array_equal(found, across)
    said = refused(lambda: zonal({**changes, "model.heads.0.V": "goe"}))
    assert said.startswith("model.heads[0].V: a matrix that does not commute"), said
    said = refused(lambda: zonal({**changes, "model.drift.matrix": "goe"}))
    assert said.startswith("model.drift: a matrix that does not commute"), said


@pytest.mark.parametrize("solver", ["particles", "layers"])
def test_the_tolerance_of_tokens_is_that_of_their_interaction(solver: str) -> None:
    from meanfield.runs.tracks.make import make_interaction

    options = {"type": solver, "number": 10, "tolerance": 1e-10, "interaction": "direct"}
    if solver == "layers":
        options["layers"] = 10
    for model in ({"attention": "sa", "beta": 4.0}, headed({"beta": 4.0}).table()["model"]):
        made = make_interaction(small_tokens(model=model, solver=options))
        assert made.accuracy == 1e-10 and made.method == "direct"
        del options["tolerance"]
        assert make_interaction(small_tokens(model=model, solver=options)).accuracy is None
        options["tolerance"] = 1e-10


def test_the_solver_is_picked_by_what_heads_do() -> None:
    model = mf.Model(attention="sa", heads=[mf.Head(beta=4.0), mf.Head(beta=4.0)])
    for heads in (model, mf.Model(attention="sa", beta=4.0)):
        sphere = mf.Sphere(level=2)
        assert mf.auto_solver(sphere, heads, mf.Time(end=1.0)) == mf.Eulerian()
        assert mf.auto_solver(sphere, heads, mf.Time(end=1e4)) == mf.Lagrangian()
    noisy = mf.Model(attention="sa", heads=[mf.Head(beta=4.0)], kappa=0.1)
    assert mf.auto_solver(mf.Sphere(level=2), noisy, mf.Time(end=1.0)) == mf.Implicit()


def test_cases_with_heads_go_to_other_processes() -> None:
    case = headed({"beta": 4.0, "V": D3}, {"A": {"ensemble": "goe", "seed": 2}})()
    assert pickle.loads(pickle.dumps(case)) == case
    assert hash(case.model) == hash(headed(*case.model.table()["heads"])().model)  # type: ignore[misc]


# ------------------------------------------------------------------ tables


@pytest.fixture
def here(inside: Path) -> Path:
    """A folder with files of matrices."""
    np.save(inside / "v.npy", RANDOM)
    np.savez(inside / "w.npz", Q0=RANDOM, K0=2.0 * RANDOM)
    return inside


EVERY: list[dict[str, Any]] = [
    {"beta": 4.0},
    {"beta": -2, "Q": "v.npy", "K": "w.npz:K0", "V": "-Q^T K"},
    {"beta": 1.5, "Q": {"file": "w.npz", "name": "Q0"}, "V": {"file": "v.npy"}},
    {"beta": 1.5, "Q": "rotation", "K": {"ensemble": "rotation", "seed": 5}, "V": "minus identity"},
    {"A": D3, "V": {"ensemble": "identity", "scale": 2.0}},
    {"A": {"ensemble": "psd", "seed": 1, "scale": 2.0}, "V": R},
]


def test_cases_are_written_as_they_are_read(here: Path) -> None:
    case = headed(*EVERY, drift={"matrix": "w.npz:Q0"})(base=here)
    again = mf.Case.from_dict(tomllib.loads(case.to_toml()))
    assert again == case and not case.differences(again)
    table = case.model.table()
    assert list(table) == ["attention", "heads", "drift", "kappa"]
    heads: Any = table["heads"]
    w, v = str(here / "w.npz"), str(here / "v.npy")
    assert heads[0] == {"beta": 4.0, "Q": "identity", "K": "identity", "V": "identity"}
    assert heads[1] == {"beta": -2.0, "Q": v, "K": {"file": w, "name": "K0"}, "V": "-Q^T K"}
    assert heads[2]["Q"] == {"file": w, "name": "Q0"} and heads[2]["V"] == v
    assert heads[3]["Q"] == {"ensemble": "rotation", "seed": 0, "scale": 1.0}
    assert heads[3]["V"] == "minus identity"
    assert heads[4] == {"A": D3, "V": {"ensemble": "identity", "scale": 2.0}}
    assert heads[5]["V"] == R and heads[5]["A"]["scale"] == 2.0
    for made, wanted in zip(matrices(again.model), matrices(case.model), strict=True):
        np.testing.assert_array_equal(made, wanted)
    jsonschema.Draft202012Validator(case_schema()).validate(tomllib.loads(case.to_toml()))


def test_from_python_and_from_a_file_alike(here: Path) -> None:
    text = """
[geometry]
type = "sphere"
level = 2
[model]
attention = "sa"
[[model.heads]]
beta = 4
V = [[2, 0, 0], [0, 1.9, 0], [0, 0, -0.5]]
[[model.heads]]
beta = 9
Q = { file = "w.npz", name = "Q0" }
[model.drift]
matrix = "v.npy"
[initial]
type = "standard"
[time]
end = 1.0
"""
    (here / "case.toml").write_text(text, "utf-8")
    jsonschema.Draft202012Validator(case_schema()).validate(tomllib.loads(text))
    case = mf.Case.from_toml(here / "case.toml")
    made = mf.Model(
        attention="sa",
        heads=[
            mf.Head(beta=4.0, V=np.diag([2, 1.9, -0.5])),
            mf.Head(beta=9.0, Q={"file": here / "w.npz", "name": "Q0"}),
        ],
        drift=mf.Drift(matrix=here / "v.npy"),
    )
    assert case.model == made
    assert case.model != mf.Model(attention="sa", heads=[mf.Head(beta=4.0)])


def test_what_two_cases_differ_in() -> None:
    case = headed({"beta": 4.0}, {"beta": 9.0, "V": "goe"})
    for path, value in {
        "model.heads.0.beta": 5.0,
        "model.heads.1.V.seed": 2,
        "model.heads.0.Q": R,
        "model.attention": "usa",
    }.items():
        changed = Recipe(case().to_dict())({path: value})
        assert case().differences(changed) == [path] == case().resume_conflicts(changed)
    more = case(model__heads=[{"beta": 4.0}])
    assert "model.heads.1.beta" in case().differences(more)


def test_files_of_matrices_are_known_by_their_content(here: Path) -> None:
    case = headed(*EVERY[:3], drift={"matrix": "v.npy"})(base=here)
    digests = case.file_digests()
    assert set(digests) == {
        "model.heads.1.Q", "model.heads.1.K.file", "model.heads.2.Q.file", "model.heads.2.V",
        "model.drift.matrix",
    }  # fmt: skip
    np.save(here / "v.npy", 2.0 * RANDOM)
    changed = {key for key, digest in case.file_digests().items() if digests[key] != digest}
    assert changed == {"model.heads.1.Q", "model.heads.2.V", "model.drift.matrix"}


# ------------------------------------------------------------------ changes


def test_overrides_of_heads() -> None:
    case = headed({"beta": 4.0, "V": {"ensemble": "goe", "seed": 1}}, {"A": R})
    raw = case.table()
    changed = apply_overrides(
        raw,
        ["model.heads.0.beta=9", "model.heads[0].V.seed=7", "model.heads.1.A.0.2=5",
         "model.heads.1.V=rotation"],
    )  # fmt: skip
    model: Any = mf.Case.from_dict(changed).model.table()
    assert model["heads"][0]["beta"] == 9.0 and model["heads"][0]["V"]["seed"] == 7
    assert model["heads"][1]["A"][0] == [R[0][0], R[0][1], 5.0]
    assert model["heads"][1]["V"]["ensemble"] == "rotation"
    assert raw == case.table(), "the table that was changed is a copy"
    for override, said in {
        "model.heads.2.beta=1": "expected a place from 0 to 1 in the list model.heads, found '2'",
        "model.heads.beta=1": "expected a place from 0 to 1",
        "model.heads.0.bet=1": "did you mean 'model.heads.beta'?",
        "model.heads.0.V.sed=1": "a case has no such key",
        "model.drift.matrx=1": "did you mean 'model.drift.matrix'?",
    }.items():
        with pytest.raises(InputError) as caught:
            apply_overrides(raw, [override])
        assert said in str(caught.value)


def test_another_kind_of_interaction_takes_the_place_of_heads() -> None:
    heads, kernel = headed({"beta": 4.0}, drift={"matrix": "goe"}), {"type": "power", "k": 3}
    power = heads({"model.interaction.type": "power", "model.interaction.k": 3}).model
    assert power == heads({"model.interaction": kernel}).model and power.is_zonal
    back = Recipe({**plain.table(), "model": {"interaction": kernel}})(
        {"model.attention": "usa", "model.heads": [{"beta": 1.0}]}
    )
    assert back.model == mf.Model(attention="usa", heads=[mf.Head(beta=1.0)])
    assert plain({"model.heads": [{"beta": 1.0}]}).model.heads[0].beta == 1.0


def test_questions_to_a_model_with_heads() -> None:
    model = mf.Model(attention="sa", heads=[mf.Head(beta=4.0), mf.Head(beta=9.0)])
    assert model.describe() == "sa, 2 heads, beta = 4, 9"
    assert model.replaced("kappa", 0.5).kappa == 0.5
    one = mf.Model(attention="usa", heads=[mf.Head(A=R)], drift=mf.Drift(matrix=R))
    assert one.describe() == "usa, 1 head, linear drift"
    assert mf.Model(drift=mf.Drift(matrix=R)).describe() == "linear drift"
    with pytest.raises(InputError, match=r"model\.heads: found what is no zonal kernel"):
        _ = model.term
    with pytest.raises(InputError, match=r"model\.heads: .*softmax heads that are added"):
        model.gibbs(3)
    assert model.parameters == ("kappa", "heads[0].beta", "heads[1].beta", "diffusion.exponent")
    with pytest.raises(InputError, match=r"model\.drift: found one that is no gradient"):
        mf.Model(drift=mf.Drift(matrix=R)).external(3)


@pytest.mark.parametrize(
    "words",
    [("stationary",), ("branch", "--parameter", "kappa", "--from", "1", "--to", "2"),
     ("branch", "--parameter", "heads[0].beta", "--from", "1", "--to", "2")],
)  # fmt: skip
def test_stationary_and_branch_say_what_they_need(
    words: tuple[str, ...], inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    headed({"beta": 4.0}, {"beta": 9.0}, kappa=0.5).write(
        inside / "case.toml", solver={"type": "implicit"}
    )
    assert cli.main([words[0], "case.toml", *words[1:]]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "model.heads: sa attention without an energy found (softmax heads that are" in err
    assert [path.name for path in inside.iterdir()] == ["case.toml"]


def test_help_on_heads() -> None:
    text = "\n".join(help_on("model.heads"))
    assert "[[model.heads]]" in text and "{ ensemble =" in text and "weights.npz:Q0" in text
    for name in ("beta", "Q", "K", "V", "A"):
        assert f"\n  {name}: " in text
    assert "[model.drift]" in help_on("model.drift")
    assert help_on("model.heads.V") and help_on("model.drift.matrix")


# ------------------------------------------------------------------ what is refused

GOOD = {"beta": 1.0}
BAD_MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "beta twice": (
        {"heads": [GOOD], "beta": 4.0},
        "model.beta: given twice, as 4 and in heads; expected it in each head",
    ),
    "value twice": ({"heads": [GOOD], "value": -1}, "model.value: found -1 together with heads"),
    "a kernel and heads of no attention": (
        {"attention": None, "heads": [GOOD], "interaction": {"type": "onsager"}},
        "model.attention is missing; add for",
    ),
    "a kernel and the short form": (
        {"beta": 2.0, "interaction": {"type": "onsager"}},
        "model.interaction: found together with model.attention, expected one of the two",
    ),
    "no attention": ({"attention": None, "heads": [GOOD]}, "model.attention is missing; add for"),
    "no heads": ({"heads": []}, "model.beta is missing"),
    "one table": ({"heads": GOOD}, "model.heads: expected tables [[model.heads]], found a table"),
    "a number": ({"heads": 3}, "model.heads: expected tables [[model.heads]], found 3"),
    "numbers": ({"heads": [3]}, "model.heads[0]: expected a table, found 3"),
    "a list for a drift": ({"beta": 1.0, "drift": D3}, "model.drift: expected a table, found a"),
    "an empty drift": ({"drift": {}}, "model.drift.matrix is missing"),
    "attention without beta beside a drift": (
        {"drift": {"matrix": D3}},
        "model.beta is missing; add for example beta = 4.0",
    ),
    "a product for a drift": (
        {"drift": {"matrix": "Q^T K"}},
        'model.drift.matrix: found "Q^T K", which only V may be',
    ),
    "a drift that does not fit": (
        {"attention": None, "drift": {"matrix": [[1.0]]}},
        "model.drift.matrix: expected a 3 x 3 matrix, found 1 x 1",
    ),
    "a large beta in the short form": (
        {"beta": 800.0, "drift": {"matrix": D3}},
        "model.beta: found |A| = 800",
    ),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_models_that_are_refused(name: str) -> None:
    changes, said = BAD_MODELS[name]
    model = {k: v for k, v in {"attention": "sa", **changes}.items() if v is not None}
    # An example may follow in lines of its own; the message itself is of one.
    assert refused(lambda: plain(model=model)).startswith(said)


BAD_HEADS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ".beta is missing; add for example beta = 4.0, or A"),
    "an unknown key": ({"beta": 1.0, "W": R}, "unknown key model.heads[1].W; [model."),
    "beta and A": ({"beta": 2.0, "A": R}, ".beta: given twice, as 2 and in A = beta K^T Q"),
    "Q and A": ({"A": R, "Q": R}, ".Q: found together with A = beta K^T Q, expected one"),
    "K and A": ({"A": R, "K": "identity"}, ".K: found together with A"),
    "a product and A": ({"A": R, "V": "-Q^T K"}, '.V: found "-Q^T K" together with A, '),
    "a product for Q": ({"beta": 1.0, "Q": "Q^T K"}, '.Q: found "Q^T K", which only V may be'),
    "a text for beta": ({"beta": "4"}, ".beta: expected a number, found the text '4'"),
    "no ensemble": ({"A": "ginibr"}, ".A: expected a list of rows, a file (.npy, .npz, "
                    ".safetensors) or the name of an ensemble (identity, minus identity, "
                    "ginibre, wigner, goe, psd, rotation), found the text 'ginibr' (did you "
                    "mean 'ginibre'?)"),
    "no ensemble in a table": ({"A": {"ensemble": "giniber"}}, '.A.ensemble: expected "identity"'),
    "no ensemble at all": ({"A": {"seed": 3}}, ".A: found a table without ensemble or file"),
    "a key of no ensemble": ({"A": {"ensemble": "goe", "sed": 1}}, ".A: unknown key A.sed (did "),
    "a negative seed": ({"A": {"ensemble": "goe", "seed": -1}}, ".A.seed: expected a whole number"),
    "a number": ({"A": 4.0}, ".A: expected a list of rows, a file"),
    "a vector": ({"A": [1.0, 2.0, 3.0]}, ".A: expected a list of rows of numbers, of one length, "
                 "found 1.0 where a row should be"),
    "no rows": ({"A": []}, ".A: expected a list of rows of numbers, of one length, found an empty"),
    "rows of two lengths": ({"A": [[1.0, 2.0], [1.0]]}, ".A: expected a list of rows of "
                            "numbers, of one length, found rows of 2 and 1"),
    "a text in a row": ({"A": [[1.0, "a"], [1.0, 2.0]]}, ".A: expected a list of rows of numbers"),
    "true in a row": ({"A": [[True, False], [False, True]]}, ".A: expected a list of rows"),
    "a nan": ({"V": [[1.0, 2.0], [np.nan, 1.0]], "beta": 1.0}, ".V: expected finite numbers, found "
              "nan in row 1, column 0"),
    "another height": ({"beta": 1.0, "V": [[1.0, 2.0, 3.0]] * 2},
                       ".V: expected a 3 x 3 matrix, found 2 x 3"),
    "another A": ({"A": [[1.0, 2.0], [3.0, 4.0]]}, ".A: expected a 3 x 3 matrix, found 2 x 2"),
    "another width of Q": ({"beta": 1.0, "Q": [[1.0, 2.0]]}, ".Q: expected a matrix with 3 "
                           "columns, found 1 x 2"),
    "another height of K": ({"beta": 1.0, "Q": R, "K": R[:2]},
                            ".K: expected a 3 x 3 matrix, found 2 x 3"),
    "a large A": ({"A": {"ensemble": "identity", "scale": 701.0}},
                  ": found |A| = 701 (2-norm of beta K^T Q), but attention is of size e^|A|: "
                  'expected at most 700 for "sa"'),
    "a large K": ({"beta": 1e300, "K": [[1e6] * 3] * 3},
                  ".K: expected a 2-norm of at most 1e+06, found"),
    "a beta of no double": ({"beta": 1e308, "Q": {"ensemble": "identity", "scale": 1e3}},
                            ": found |A| = inf"),
    "a large V": ({"beta": 1.0, "V": [[1e200] * 3] * 3}, ".V: expected a 2-norm of at most 1e+06"),
    "no file": ({"beta": 1.0, "V": "gone.npy"}, ".V: found no file "),
    "no name": ({"beta": 1.0, "V": "w.npz"}, ".V: "),
    "another name": ({"beta": 1.0, "V": "w.npz:Q"}, ".V: found no array 'Q' in "),
    "no file in a table": ({"beta": 1.0, "V": {"file": "w.npy"}}, ".V.file: found no file "),
    "a nan in a file": ({"beta": 1.0, "V": "nan.npy"}, ".V: expected finite numbers, found nan"),
    "one number in a file": ({"beta": 1.0, "V": "one.npy"}, ".V: expected a 3 x 3 matrix, found a"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_HEADS)
def test_heads_that_are_refused(name: str, here: Path) -> None:
    np.save(here / "nan.npy", np.full((3, 3), np.nan))
    np.save(here / "one.npy", np.array(3.0))
    head, said = BAD_HEADS[name]
    said = said if said.startswith("unknown") else f"model.heads[1]{said}"
    found = refused(lambda: headed(GOOD, head)(base=here))
    assert found.startswith(said), found


def test_the_sizes_that_each_attention_takes() -> None:
    large = {"beta": 650.0}
    assert headed(large)().model.heads[0].beta == 650.0
    found = refused(headed(large, attention="usa"))
    assert 'expected at most 600 for "usa"' in found


def test_what_python_may_not_give() -> None:
    arrays = (1j * np.eye(3), np.eye(3, dtype=object), np.zeros((2, 2, 2)), np.zeros((0, 0)))
    bad: Any
    for bad in (None, *arrays, b"x", object(), len):
        said = refused(functools.partial(mf.Drift, matrix=bad))
        assert said.startswith("model.drift.matrix: ")
    assert refused(lambda: mf.Head(*[4.0])).startswith("Head: found 4.0 without a name")
