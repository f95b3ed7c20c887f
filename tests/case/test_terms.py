"""[model.perceptron] and [model.potential]: reading, writing, refusing, running."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from cases import Recipe, plain, small_tokens

import meanfield as mf
from meanfield import cli
from meanfield.case import Unmeshed, apply_overrides
from meanfield.case.helptext import help_on
from meanfield.case.schema import case_schema
from meanfield.errors import InputError
from meanfield.geometry.mesh import write_mesh

PERCEPTRON = {
    "B": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    "W": [[0.5, 0.0], [0.0, -0.5], [0.0, 0.0]],
    "b": [0.1, 0.2],
    "activation": "gelu",
}
POTENTIALS: dict[str, dict[str, Any]] = {
    "linear": {"field": [0.0, 0.0, 5.0]},
    "cap": {"axis": [0.0, 0.0, 1.0], "strength": 2.0},
    "bumps": {"centres": [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], "strength": 0.5, "concentration": 4.0},
    "harmonic": {"axis": [0.0, 1.0, 1.0], "coefficients": [0.0, 1.0], "strength": 0.5},
    "units": {
        "directions": [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
        "weights": [2.0, -1.0],
        "shifts": [0.0, 0.2],
        "function": "softplus",
        "strength": 2.0,
    },
}


def alone(**model: object) -> Recipe:
    """A small density with no interaction."""
    return plain.but(model=model)


@pytest.mark.parametrize("kind", POTENTIALS)
def test_a_potential_is_read_and_written(kind: str) -> None:
    table = {"type": kind, **POTENTIALS[kind]}
    for model in ({"potential": table}, {"attention": "usa", "beta": 2.0, "potential": table}):
        case = alone(**model)()
        again = mf.Case.from_dict(tomllib.loads(case.to_toml()))
        assert again == case and again.to_dict() == case.to_dict()
        written = tomllib.loads(case.to_toml())["model"]["potential"]
        assert {name: written[name] for name in table} == table
        jsonschema.validate(alone(**model).table(), case_schema())
        made = case.model.on(Unmeshed(3))
        assert made.energy_kind == "gradient" and "potential" in case.model.describe()


CODE = """\
import numpy as np
def potential(x):
    return -np.maximum(x[:, 2], 0.0) ** 2
def slope(x):
    g = np.zeros_like(x)
    g[:, 2] = -2.0 * np.maximum(x[:, 2], 0.0)
    return g
"""


def test_potentials_of_files(tmp_path: Path) -> None:
    """Found from the folder of the case file, written with their whole paths, known by content."""
    (tmp_path / "code.py").write_text(CODE)
    mesh = mf.icosphere(2)
    write_mesh(tmp_path / "u.vtu", mesh, fields={"U": mesh.points[:, 2] ** 2})
    x = np.array([[0.6, 0.0, 0.8], [0.0, 0.0, 1.0]])
    for table, F in (
        ({"type": "function", "path": "code.py", "gradient": "slope"}, [1.6, 2.0]),
        ({"type": "mesh", "path": "u.vtu", "strength": 0.5}, [-0.8, -1.0]),
    ):  # fmt: skip
        recipe = alone(potential=table)
        case = recipe(base=tmp_path)
        path = str(tmp_path / str(table["path"]))
        assert case.to_dict()["model"]["potential"]["path"] == path  # type: ignore[index]
        again = mf.Case.from_dict(tomllib.loads(case.to_toml()))
        assert again == case and list(case.file_digests()) == ["model.potential.path"]
        jsonschema.validate(case.to_dict(), case_schema())
        model = case.model.on(case.geometry)
        tangential = np.array(F)[:, None] * (np.eye(3)[2] - x[:, 2:] * x)
        assert model.field(mf.Measure.equal(x)).velocity(x) == pytest.approx(tangential, abs=1e-9)
    with pytest.raises(InputError, match=r"model\.potential\.gradient: found no function 'grad'"):
        alone(potential={"type": "function", "path": "code.py", "gradient": "grad"})(base=tmp_path)


def test_code_of_a_potential_needs_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "code.py").write_text(CODE)
    table = {"type": "function", "path": "code.py", "gradient": "slope"}
    recipe = alone(potential=table, kappa=0.2).but(
        solver="implicit", time__end=0.2, output__figures=False
    )
    path = recipe.write(tmp_path / "case.toml")
    assert cli.main(["run", str(path), "-o", str(tmp_path / "out")]) == 2
    assert "--trust" in capsys.readouterr().err
    assert cli.main(["run", str(path), "-o", str(tmp_path / "out"), "--trust"]) == 0


def test_a_perceptron_is_read_and_written() -> None:
    case = alone(attention="sa", beta=2.0, perceptron=PERCEPTRON)()
    assert mf.Case.from_dict(tomllib.loads(case.to_toml())) == case
    jsonschema.validate(alone(perceptron=PERCEPTRON).table(), case_schema())
    made = case.model.on(Unmeshed(3))
    assert isinstance(made, mf.Composite)
    [drift] = made.drifts
    x = np.array([[0.6, 0.0, 0.8]])
    t = np.array([0.7, 0.2])
    phi = np.array([0.5 * (1.0 + math.erf(u / math.sqrt(2.0))) for u in t])
    assert drift.vector(x)[0] == pytest.approx([0.5 * t[0] * phi[0], -0.5 * t[1] * phi[1], 0.0])
    from_python = mf.Model(perceptron=mf.Perceptron(W=np.eye(3), B=np.eye(3), activation="tanh"))
    assert from_python.on(Unmeshed(3)).energy_kind == "gradient"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"potential": {"type": "cup", "axis": [0, 0, 1]}}, r"model\.potential\.type: .*'cap'"),
        ({"potential": {"type": "cap", "axis": [0.0, 1.0]}}, r"model\.potential\.axis: expected 3"),
        ({"potential": {"type": "cap"}}, r"model\.potential\.axis"),
        ({"potential": {"type": "linear", "field": [1.0]}}, r"model\.potential\.field: expected 3"),
        (
            {"perceptron": {**PERCEPTRON, "W": [[1.0, 0.0]]}},
            r"model\.perceptron\.W: expected a 3 x 2 matrix, found 1 x 2",
        ),
        (
            {"perceptron": {**PERCEPTRON, "b": [1.0]}},
            r"model\.perceptron\.b: expected 2 numbers, one for each row of B, found 1",
        ),
        ({"perceptron": {**PERCEPTRON, "activation": "rulu"}}, r"activation.*'relu'"),
        ({"perceptron": {"B": [[1.0, 0.0, 0.0]]}}, r"model\.perceptron\.W"),
        (
            {"interaction": {"type": "power", "k": 1}, "potential": {"type": "cap", "axis": [1.0]}},
            r"model\.potential\.axis: expected 3",
        ),
        (
            {"interaction": {"type": "power", "k": 1}, "attention": "sa", "beta": 2.0},
            r"interaction: found together with model\.attention, .* \[\[model\.heads\]\]",
        ),
        (
            {"interaction": {"type": "power", "k": 1}, "heads": [{"beta": 2.0}]},
            r"model\.attention is missing",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(model: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        case = alone(**model)()
        case.model.on(case.geometry)
    assert "\n" not in str(caught.value)


SIDE_BY_SIDE: list[dict[str, Any]] = [
    {"potential": {"type": "linear", **POTENTIALS["linear"]}},
    {"drift": {"matrix": [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]}},
    {"perceptron": PERCEPTRON, "drift": {"matrix": [[1.0, 0, 0], [0, 0.5, 0], [0, 0, 0]]}},
    {"attention": "sa", "heads": [{"beta": 2.0}, {"beta": 1.0, "V": "minus identity"}]},
    {"attention": "usa", "heads": [{"beta": 2.0}], "potential": {"type": "cap", "axis": [0, 0, 1]}},
]


@pytest.mark.parametrize("beside", SIDE_BY_SIDE)
@pytest.mark.parametrize("solver", ["eulerian", "implicit", "lagrangian", "particles"])
def test_a_kernel_stands_beside_others(tmp_path: Path, beside: dict[str, Any], solver: str) -> None:
    """It is read, written, told and run by each solver, and is the sum of the two."""
    kernel = {"type": "power", "k": 2, "strength": 1.5}
    kappa = 0.1 if solver in ("implicit", "particles") else 0.0
    recipe = small_tokens if solver == "particles" else plain
    more: dict[str, object] = {"number": 20} if solver == "particles" else {}
    case = recipe.but(
        model={"interaction": kernel, "kappa": kappa, **beside}, solver={"type": solver, **more},
        time__end=0.1, output__figures=False,
    )()  # fmt: skip
    assert mf.Case.from_dict(tomllib.loads(case.to_toml())) == case
    jsonschema.validate(case.to_dict(), case_schema())
    assert case.model.describe().startswith("power, k = 2")
    made = case.model.on(case.geometry)
    assert isinstance(made, mf.Together)
    x = np.array([[0.6, 0.0, 0.8], [0.0, -1.0, 0.0], [0.8, 0.6, 0.0]])
    mu = mf.Measure.equal(x)
    alone_ = [
        mf.Model(interaction=mf.Power(k=2, strength=1.5)),
        recipe.but(model=beside)().model,
    ]
    parts = [model.on(case.geometry).field(mu).velocity(x) for model in alone_]
    assert made.field(mu).velocity(x) == pytest.approx(parts[0] + parts[1], abs=1e-7)
    result = mf.run(case, tmp_path / "out", progress=False)
    assert result.stop_reason == "end"
    assert ("energy_scaled" in result.series) == (made.energy_kind is not None)


def test_layers_have_no_potential() -> None:
    table = {"type": "cap", **POTENTIALS["cap"]}
    layers = small_tokens.but(
        model={"attention": "sa", "beta": 2.0, "potential": table},
        solver={"type": "layers", "number": 10, "layers": 4},
    )
    with pytest.raises(InputError, match=r"model\.potential: found together with layers"):
        layers()


def test_keys_are_explained() -> None:
    for key in ("model.potential", "model.perceptron", "model.perceptron.activation"):
        assert "\n".join(help_on(key))
    moved: Any = apply_overrides(
        alone(potential={"type": "linear", "field": [0.0, 0.0, 1.0]}).table(),
        ["model.potential.field.0=0.5"],
    )
    assert moved["model"]["potential"]["field"] == [0.5, 0.0, 1.0]
    other = apply_overrides(moved, ["model.potential.type=cap", "model.potential.axis=[1, 0, 0]"])
    assert mf.Case.from_dict(other).model.potential == mf.CapPotential(axis=(1.0, 0.0, 0.0))


def test_runs_with_a_potential_tell_the_free_energy(tmp_path: Path) -> None:
    """Noise in a potential alone: F falls, and the mean is that of Gibbs' measure."""
    table = {"type": "linear", "field": [0.0, 0.0, 5.0]}
    case = alone(potential=table, kappa=1.0)(
        geometry__level=3, solver="implicit", time__end=50.0, output__figures=False
    )
    result = mf.run(case, tmp_path / "out", progress=False)
    assert result.stop_reason == "end"
    free = result.series["free_energy"]
    assert np.all(np.diff(free) <= 1e-12)
    langevin = 1.0 / math.tanh(5.0) - 0.2
    assert result.series["mean_3"][-1] == pytest.approx(langevin, abs=5e-3)
    # log of the mean of e^{5 t} is log(sinh(5)/5): F = -that.
    assert free[-1] == pytest.approx(-math.log(math.sinh(5.0) / 5.0), abs=2e-2)


def test_tokens_under_a_perceptron_run(tmp_path: Path) -> None:
    case = small_tokens(
        {"model.perceptron": PERCEPTRON}, time__end=0.5, output__figures=False, solver__number=20
    )
    result = mf.run(case, tmp_path / "out", progress=False)
    assert result.stop_reason == "end" and "energy_scaled" not in result.series
