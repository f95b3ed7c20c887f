"""Options: one declaration for case, solver, messages, help and schema."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import numpy as np
import pytest
from cases import plain
from processes import ROOT, Job, python

import meanfield as mf
from meanfield import cli
from meanfield.case import TOKEN_KINDS, apply_overrides
from meanfield.case.helptext import TABLES, help_keys, help_on
from meanfield.case.masks import MASKS
from meanfield.case.normalisation import SCHEMES
from meanfield.case.reference import SECTIONS, key_paths
from meanfield.case.schema import case_schema
from meanfield.case.solvers import Auto, Solver
from meanfield.dynamics.lagrangian import LagrangianSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import InputError
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.kernels import KERNELS, Kernel
from meanfield.options import (
    Field,
    Number,
    Whole,
    as_table,
    labels_of,
    made_from,
    options,
    options_of,
)

CASES = sorted((ROOT / "scripts" / "cases").glob("*.toml"))
RAW = plain.table(initial__type="uniform", time__end=2.0)


def made(*overrides: str, **sections: Any) -> mf.Case:
    return mf.Case.from_dict(apply_overrides({**RAW, **sections}, overrides))


# ------------------------------------------------------------------ a class of options


@options("drawer")
class Drawer:
    """Something with options."""

    size: Number = Field(gt=0.0, le=2.0, examples=[1.5])
    """How large."""
    colour: Literal["red", "blue"] = "red"
    """Which colour."""
    socks: Annotated[Whole, Field(ge=1)] | None = None
    """How many."""


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"size": 3}, "drawer.size: expected a number above 0 and at most 2, found 3"),
        ({"size": 0.5, "colour": "bleu"}, 'expected "red" or "blue", found \'bleu\' (did you mean'),
        (
            {"size": 0.5, "socks": 1.5},
            "drawer.socks: expected a whole number, 1 or more, found 1.5",
        ),
        ({"size": 0.5, "socks": 0}, "drawer.socks: expected a whole number, 1 or more, found 0"),
        ({}, "drawer.size is missing; add for example size = 1.5"),
        # One line on the first of several faults: unknown keys, missing ones, values.
        (
            {"siez": 1, "colour": 3},
            "unknown key drawer.siez (did you mean 'size'?); [drawer] takes",
        ),
        ({"colour": 3}, "drawer.size is missing"),
    ],
)
def test_one_message_from_a_table_and_from_python(table: dict[str, Any], message: str) -> None:
    for make in (lambda: made_from(Drawer, table), lambda: Drawer(**table)):
        with pytest.raises(InputError) as caught:
            make()
        assert message in str(caught.value) and "\n" not in str(caught.value)


def test_options_are_values() -> None:
    drawer = Drawer(np.float32(0.5), socks=np.int64(2))  # type: ignore[arg-type]
    assert drawer == Drawer(0.5, socks=2) and hash(drawer) == hash(Drawer(0.5, socks=2))
    assert (type(drawer.size), type(drawer.socks)) == (float, int)
    assert type(Drawer(1).size) is float
    with pytest.raises(AttributeError):
        drawer.size = 1.0  # type: ignore[misc]
    assert as_table(Drawer(0.5)) == {"size": 0.5, "colour": "red"}
    names = [(option.key, option.default, option.about) for option in options_of(Drawer)]
    assert names[1:] == [
        ("drawer.colour", '"red"', "Which colour."),
        ("drawer.socks", "", "How many."),
    ]
    with pytest.raises(InputError, match=r"Eulerian: found 0\.5 without a name, expected scheme="):
        mf.Eulerian(0.5)  # type: ignore[misc]


def test_one_class_may_stand_for_several_types() -> None:
    @options("geometry")
    class Ring:
        d: Whole = Field(ge=2)
        type: Literal["ring", "torus"] = dataclasses.field(default="ring", kw_only=True)

    assert labels_of(Ring) == ("ring", "torus")
    assert as_table(Ring(4)) == {"type": "ring", "d": 4}
    assert as_table(Ring(4, type="torus")) == {"type": "torus", "d": 4} != as_table(Ring(4))
    assert made_from(Ring, {"type": "torus", "d": 4}) == Ring(4, type="torus")


def test_a_case_goes_to_another_process_as_it_is() -> None:
    for solver in (mf.Implicit(dt=0.1), mf.Particles(number=3), mf.Layers(number=3, layers=10)):
        case = made(solver=as_table(solver))
        assert case.solver == solver
        assert pickle.loads(pickle.dumps(case)) == case == copy.deepcopy(case)


# ------------------------------------------------------------------ the case and the solver


def test_the_solver_reads_the_options_of_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    x = uniform_points(9, 3, np.random.default_rng(0))
    attention = Attention("sa", 4.0, 3, "sphere")
    chosen = mf.Particles(rtol=1e-4, interaction="direct")
    tokens = ParticleSolver(attention, x, options=chosen)
    assert tokens.options is chosen and tokens.interaction.harmonics is None
    assert ParticleSolver(attention, x).options == mf.Particles()
    moving = mf.Lagrangian(tolerance=1e-9)
    solver = LagrangianSolver(attention, icosphere(2), lambda y: np.ones(len(y)), options=moving)
    assert solver.options is moving and solver.interaction.accuracy == 1e-9


@pytest.mark.parametrize("kind", ["eulerian", "implicit"])
def test_solvers_on_a_mesh_read_the_options_of_the_case(kind: str) -> None:
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    from mpi4py import MPI

    from meanfield.runs.tracks import make_track

    case = made(solver={"type": kind, "tolerance": 1e-9, "scheme": "log-muscl"})
    solver: Any = make_track(case, MPI.COMM_SELF).solver
    assert solver.options is case.solver and solver.interaction.accuracy == 1e-9


def test_a_solver_by_its_name_and_its_options_go_together() -> None:
    wanted = mf.Lagrangian(rtol=1e-6)
    assert made("solver.rtol=1e-6", solver="lagrangian").solver == wanted
    assert made("solver=lagrangian", "solver.rtol=1e-6").solver == wanted
    assert made("solver.rtol=1e-6", "solver=lagrangian").solver == wanted
    # The options of another one go with it.
    old = {"type": "implicit", "dt": 0.1}
    assert made("solver=lagrangian", "solver.rtol=1e-6", solver=old).solver == wanted
    assert made("solver=auto", solver=old).solver == mf.Eulerian()
    with pytest.raises(InputError, match=r"unknown key solver\.cfl.*of type 'lagrangian' takes"):
        made("solver.cfl=0.5", solver="lagrangian")
    with pytest.raises(InputError, match=r"solver\.type: .*'lagrange' \(did you mean 'lagrangian'"):
        made(solver="lagrange")


@pytest.mark.parametrize("solver", [kind for kind in SECTIONS["solver"] if kind is not Auto])
def test_what_a_solver_suits_is_its_own_knowledge(solver: type[Solver]) -> None:
    """Each refuses in its own class, by the key in the case and with what would do."""
    options: dict[str, Any] = {"layers": 10} if solver is mf.Layers else {}
    if solver in (mf.Particles, mf.Layers):
        options["number"] = 3
    choice = solver(**options)
    plain = mf.Model(attention="sa", beta=1.0)
    noisy = mf.Model(attention="sa", beta=1.0, kappa=0.1)
    good, bad = (noisy, plain) if solver is mf.Gaussians else (plain, noisy)
    choice.suits(mf.Sphere(2), good)
    meshed = solver not in (mf.Gaussians, mf.Particles, mf.Layers)
    wrong = mf.Unmeshed(8) if meshed else mf.Zonal(8, 30)
    with pytest.raises(InputError, match=r"geometry\.type: .*expected"):
        choice.suits(wrong, good)
    if solver in (mf.Implicit, mf.Eulerian, mf.Particles, mf.Layers):
        choice.suits(mf.Sphere(2), bad)
    else:
        found = "0," if solver is mf.Gaussians else "0\\.1"
        with pytest.raises(InputError, match=rf"model\.kappa: found {found}"):
            choice.suits(mf.Sphere(2), bad)


# ------------------------------------------------------------------ help


def test_every_key_is_explained() -> None:
    for section, kinds in SECTIONS.items():
        for kind in kinds:
            assert kind.__doc__, kind
            for option in options_of(kind, section):
                assert option.about and option.expected != "another value", option
                text = "\n".join(help_on(option.key))
                assert option.about.split()[0] in text and option.key in text
    for path in key_paths():
        assert help_on(path), path


def test_help_answers_each_word_with_what_its_sections_have() -> None:
    for word in help_keys():
        text = "\n".join(help_on(word))
        assert text and "``" not in text, word
        for section, kinds in TABLES.items():
            if word in (section, section.rpartition(".")[2]):
                for kind in kinds:
                    assert all(f'"{label}"' in text for label in labels_of(kind)), (word, kind)
                    for option in options_of(kind, section):
                        assert f"\n  {option.key.rpartition('.')[2]}: " in text, (word, option)
    assert '[model.interaction] type = "maier-saupe"' in help_on("interaction")
    assert "in place of a matrix: { ensemble, seed, scale }" in help_on("ensemble")
    assert any("number" in line for line in help_on("geometric"))


def test_help_on_a_key_tells_type_range_default_and_meaning() -> None:
    text = "\n".join(help_on("solver.rtol"))
    assert "solver.rtol  (implicit)\n  a number from 1e-09 to 0.1; default 0.001" in text
    assert "solver.rtol  (particles)" in text and "solver.rtol  (lagrangian)" in text
    assert help_on("rtol") == help_on("solver.rtol")
    assert help_on("lagrangian")[0] == '[solver] type = "lagrangian"'
    assert any("pointwise" in line for line in help_on("solver.lagrangian"))
    assert "must be given" in "\n".join(help_on("geometry.level"))
    for name in KERNELS:
        assert f'[model.interaction] type = "{name}"' in help_on(name)


def test_help_and_schema_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", "solver.cfl"]) == 0
    assert "above 0 and at most 1; default 0.9" in capsys.readouterr().out
    assert cli.main(["help", "solver.cfll"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "did you mean 'solver.cfl'?" in err and err.count("\n") == 1
    for wrong, right in (("kapa", "kappa"), ("lagrangain", "lagrangian"), ("solvr", "solver")):
        assert cli.main(["help", wrong]) == 2
        assert f"did you mean '{right}'?" in capsys.readouterr().err
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == case_schema()


def test_help_needs_no_transforms_and_no_dolfinx(start: Callable[..., Job]) -> None:
    code = (
        "import sys; from meanfield import cli; cli.main(['help', 'geometry']);"
        "print(sorted({'numba', 'ducc0', 'dolfinx', 'mpi4py', 'pyvista'} & set(sys.modules)))"
    )
    done = start(*python("-c", code)).finish()
    assert done.out.strip().endswith("[]") and "level" in done.out, done.said


# ------------------------------------------------------------------ the schema


VALIDATOR = jsonschema.Draft202012Validator(case_schema())


def valid(raw: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid(raw))


@pytest.mark.parametrize(("key", "kinds"), [("mask", MASKS), ("normalisation", SCHEMES)])
def test_the_schema_knows_the_names_that_stand_alone(key: str, kinds: dict[str, type]) -> None:
    for name, kind in kinds.items():
        try:
            kind()
            alone = True
        except mf.InputError:
            alone = False
        assert valid(plain.table({f"model.{key}": name})) == alone, name
    assert not valid(plain.table({f"model.{key}": next(iter(kinds))[:-1]}))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(case_schema())


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_shipped_cases_fit_the_schema_as_written_and_as_resolved(path: Path) -> None:
    assert valid(tomllib.loads(path.read_text("utf-8")))
    resolved = tomllib.loads(mf.Case.from_toml(path).to_toml())
    assert valid(resolved), [error.message for error in VALIDATOR.iter_errors(resolved)]


@pytest.mark.parametrize(
    "changes",
    [
        {"geometry": {"type": "sphere", "level": 11}},
        {"geometry": {"type": "sphere", "vertices": 30}},
        {"geometry": {"level": 3}},
        {"model": {"attention": "saa", "beta": 4.0}},
        {"model": {"attention": "sa", "beta": 2001.0}},
        {"model": {"interaction": {"type": "power"}}},
        {"model": {"interaction": {"type": "power", "k": 2, "s": 0.5}}},
        {"initial": {"type": "cap", "centre": "e_1"}},
        {"solver": "lagrange"},
        {"solver": {"type": "lagrangian", "cfl": 0.5}},
        {"solver": {"cfl": 2.0}},
        {"solver": {"type": "implicit", "dt": 0.0}},
        {"time": {}},
        {"time": {"end": 1.0, "outputs": {"evry": 1.0}}},
        {"output": {"fields": ["rh"]}},
        {"outptu": {}},
    ],
)
def test_schema_and_case_refuse_alike(changes: dict[str, Any]) -> None:
    raw = {**RAW, **changes}
    assert not valid(raw)
    with pytest.raises(InputError):
        mf.Case.from_dict(raw)


@pytest.mark.parametrize(
    "changes",
    [
        {"solver": "auto"},
        {"solver": {"cfl": 0.5}},
        {"solver": {"type": "particles", "number": 5, "tokens": TOKEN_KINDS[1]}},
        {"time": {"end": 1.0, "outputs": [0.5]}},
        {"time": {"end": 1.0, "outputs": {"geometric": {"first": 0.1, "number": 3}}}},
        {"model": {"interaction": {"type": "series", "legendre": [0.0, 1.0]}}},
        {"initial": {"type": "von-mises-fisher", "mean": "e_d", "concentration": 2.0}},
        {"initial": {"type": "poisson-kernel", "w": 0.2}},
        {"initial": {"type": "harmonic", "modes": [{"l": 2, "m": 0, "amplitude": 0.1}]}},
        {"initial": {"type": "mixture", "components": [{"weight": 1.0, "type": "uniform"}]}},
    ],
)
def test_schema_and_case_take_alike(changes: dict[str, Any]) -> None:
    raw = {**RAW, **changes}
    assert valid(raw), [error.message for error in VALIDATOR.iter_errors(raw)]
    assert mf.Case.from_dict(raw)


# ------------------------------------------------------------------ what is said of faults


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": {"end": 1.0, "outputs": {"evry": 1}}}, "unknown key time.outputs.evry (did you"),
        (
            {"time": {"end": 1.0, "outputs": {"geometric": {"first": 0.1, "number": 3, "x": 1}}}},
            "unknown key time.outputs.geometric.x; [time.outputs.geometric] takes first, number",
        ),
        ({"geometry": {"type": "sphere", "level": 99}}, "geometry.level: level 99 has 10 * 4^99"),
        ({"solver": {"type": 3}}, 'solver.type: expected "eulerian" or'),
        ({"solver": {"type": ["eulerian"]}}, "found a list"),
        (
            {"seed": 2**63},
            "seed: expected a whole number from 0 to 9223372036854775807, found 92233",
        ),
        ({"output": {"figures": math.nan}}, "output.figures: expected true or false, found nan"),
        ({"solver": {"type": "auto", "rtol": 1}}, "found rtol: name the solver to set its options"),
        ({"solver": {"a.b": 3}}, "unknown key solver.a.b; [solver] of type 'eulerian' takes"),
        ({"model": {"attention": "sa", "beta": 1.0, "value": 0}}, "model.value: expected 1 or -1"),
        ({"geometry": {"type": "file", "file": "a\0b"}}, "geometry.file: expected the name of a"),
        ({"geometry": {"type": "file", "file": "x" * 5000}}, "geometry.file: cannot look up"),
        ({"geometry": {"type": "file", "file": "~nobody-here/x"}}, "geometry.file: cannot look up"),
    ],
)
def test_messages_begin_with_the_key_and_show_what_was_written(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        mf.Case.from_dict({**RAW, **changes})
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mf.Uniform(3, zzz=1), "unknown key zzz; Uniform takes d"),
        (lambda: mf.Uniform(3, d=3), "d: found twice"),
        (lambda: mf.Sphere(2, 3), "Sphere: too many arguments, expected level"),
        (lambda: mf.Mixture((mf.Uniform(3),), (1.0,), x=1), "Mixture takes components, weights"),
        (lambda: mf.Model(interaction=mf.Power), "model.interaction: expected a table, found"),
        (lambda: mf.Series(legendre=np.array(1.0)), "model.interaction.legendre: expected a list"),
        (
            lambda: mf.Case(
                geometry=mf.Sphere(1),
                model=mf.Model(attention="sa", beta=1.0),
                initial=5,
                time=mf.Time(end=1.0),
            ),
            "initial: expected a law such as meanfield.standard_density(), a function",
        ),
        (lambda: mf.Case(solver=None), "the section [geometry] is missing"),
    ],
)
def test_messages_for_calls_from_python(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert message in str(caught.value)


def test_what_a_user_s_function_raised_is_not_lost() -> None:
    def bad(t: Any) -> Any:
        raise KeyError("deep inside")

    with pytest.raises(InputError, match="deep inside") as caught:
        mf.FunctionKernel(function=bad)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_is_no_refusal_is_raised_as_it_is() -> None:
    @options("drawer", kw_only=True)
    class Broken:
        size: Number = 1.0

        def __post_init__(self) -> None:
            raise AssertionError("a bug")

    with pytest.raises(AssertionError, match="a bug"):
        Broken()


def test_options_of_another_solver_are_refused() -> None:
    x, attention = uniform_points(9, 3, np.random.default_rng(0)), Attention("sa", 4.0, 3, "sphere")
    for wrong in (mf.Lagrangian(), {"rtol": 1e-3}):
        with pytest.raises(InputError, match=r"options: found .*, expected a Particles or None"):
            ParticleSolver(attention, x, options=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"options: expected Lagrangian\(\.\.\.\), found"):
        LagrangianSolver(attention, icosphere(1), lambda y: np.ones(len(y)), options=mf.Eulerian())  # type: ignore[arg-type]


def test_a_solver_by_its_name_alone_has_the_default_options() -> None:
    old = {"type": "implicit", "rtol": 1e-4}
    assert made("solver=implicit", solver=old).solver == mf.Implicit()
    assert made("solver.type=implicit", solver=old).solver == mf.Implicit(rtol=1e-4)
    # A table without a type is of the first one.
    assert made("solver.type=eulerian", solver={"cfl": 0.5}).solver == mf.Eulerian(cfl=0.5)


def test_a_kernel_made_in_python_without_options() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Mine(Kernel):
        a: float
        type: str = "mine"

        def lam(self, degree: int, d: int) -> Any:
            return self.a * mf.Power(k=2).lam(degree, d)

        def w(self, t: Any, u: Any, d: int) -> Any:
            return self.a * t * t

        def dw(self, t: Any, u: Any, d: int) -> Any:
            return 2.0 * self.a * t

        def ddw(self, t: Any, u: Any, d: int) -> Any:
            return np.full_like(t, 2.0 * self.a)

    kernel = Mine(a=2.0)
    assert (kernel.strength, kernel.link) == (1.0, "identity")
    assert kernel.table() == {"type": "mine", "strength": 1.0, "link": "identity", "a": 2.0}
    assert kernel.describe() == "mine, a = 2"
    cases = [
        mf.Case(geometry=mf.Sphere(1), model=mf.Model(interaction=Mine(a=a)),
                initial=mf.Uniform(3), time=mf.Time(end=1.0))
        for a in (2.0, 3.0)
    ]  # fmt: skip
    assert cases[0].resume_conflicts(cases[1]) == ["model.interaction.a"]
