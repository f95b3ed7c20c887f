"""Cases: what is refused and in which words, overrides, output times, and the round trip."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import plain
from processes import ROOT, Job, python

import meanfield as mf
from meanfield.case import (
    MAX_OUTPUTS,
    Case,
    Circle,
    Eulerian,
    Every,
    Geometric,
    MeshFile,
    Model,
    Output,
    Sphere,
    Time,
    Zonal,
    apply_overrides,
    parse_override,
)
from meanfield.errors import InputError
from meanfield.geometry.laws import Fourier, Gegenbauer, Uniform, VonMisesFisher
from meanfield.geometry.mesh import (
    circle,
    delaunay_weights,
    icosphere,
    write_mesh,
    zonal_interval,
)

CASES = sorted((ROOT / "scripts" / "cases").glob("*.toml"))

numbered = plain.but(seed=3, model__beta=4, time__end=12)
"""A case whose numbers are whole ones."""


def small(**sections: Any) -> dict[str, Any]:
    """A valid case as a dictionary, with whole sections replaced (None: left out)."""
    raw = plain.without("title").table(initial__type="uniform", time__end=2.0) | sections
    return {name: value for name, value in raw.items() if value is not None}


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    return numbered.write(tmp_path / "small.toml")


# ---------------------------------------------------------------------------------------------
# What a case is


def test_defaults_and_types(small_file: Path) -> None:
    case = Case.from_toml(small_file)
    assert (case.title, case.seed, case.geometry.d) == ("Small", 3, 3)
    assert case.model == Model(attention="sa", beta=4.0, value=1, kappa=0.0)
    assert isinstance(case.model.beta, float), "an integer in TOML is a number all the same"
    assert case.solver == Eulerian(
        scheme="log-muscl", stepper="ssprk2", cfl=0.9, field="extrapolated", tolerance=None
    )
    assert case.output == Output(
        fields=("rho", "log10_rho", "velocity"),
        precision="float32",
        compression="gzip",
        figures=True,
    )
    assert case.time.outputs == Every(1.0)
    assert (case.time.series_every, case.time.wall_limit, case.time.stationary) == (10, None, None)


def test_title_is_the_file_name_if_there_is_none(tmp_path: Path) -> None:
    path = numbered.without("title").write(tmp_path / "ring.toml")
    assert Case.from_toml(path).title == "ring"


def test_same_case_from_python() -> None:
    made = Case(
        geometry=Sphere(2),
        model=Model(attention="sa", beta=4),
        initial=Uniform(3),
        time=Time(end=2),
        title="Same",
    )
    assert made == Case.from_dict({"title": "Same", **small()})


def test_geometries_build_their_meshes() -> None:
    for geometry, kind, d in (
        (Sphere(2), "sphere", 3),
        (Circle(50), "circle", 2),
        (Zonal(8, 30), "zonal", 8),
    ):
        mesh = geometry.build_mesh()
        assert (mesh.geometry, mesh.d, len(mesh.points)) == (kind, d, geometry.vertex_count)
        assert (geometry.kind, geometry.d) == (kind, d)


def test_mesh_file_is_found_beside_the_case(tmp_path: Path, small_file: Path) -> None:
    write_mesh(tmp_path / "ball.vtu", icosphere(1))
    write_mesh(tmp_path / "ring.vtu", circle(20))
    case = Case.from_toml(small_file, ['geometry={type="file", file="ball.vtu"}'])
    assert (case.geometry.kind, case.geometry.d, case.geometry.vertex_count) == ("sphere", 3, 42)
    assert isinstance(case.geometry, MeshFile) and Path(case.geometry.file).is_absolute()
    again = Case.from_dict(case.to_dict(), base_dir="/")
    assert again == case, "the resolved case does not depend on the folder it is read from"
    with pytest.raises(InputError, match=r"law lives in dimension d = 3.*'file' has d = 2"):
        Case(
            geometry=MeshFile(tmp_path / "ring.vtu"),
            model=case.model,
            initial=Uniform(3),
            time=case.time,
        )


def test_a_rewritten_mesh_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "ball.vtu"
    write_mesh(path, icosphere(1))
    geometry = MeshFile(path)
    assert geometry.vertex_count == 42
    assert geometry.build_mesh() is geometry.build_mesh(), "read once"
    write_mesh(path, icosphere(2), overwrite=True)
    assert geometry.vertex_count == 162


def test_nobody_can_change_the_mesh_that_others_get_too(tmp_path: Path) -> None:
    path = tmp_path / "ball.vtu"
    write_mesh(path, icosphere(1))
    mesh = MeshFile(path).build_mesh()
    for array in (mesh.points, mesh.cells):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


# ---------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        # unknown and missing keys, the nearest valid name, an example line
        ({"modle": {}}, ["unknown key or section 'modle'", "did you mean 'model'?"]),
        ({"beta": 4.0}, ["'beta' stands at the top", "[model]"]),
        ({"model": {"attention": "sa", "bta": 4.0}}, ["model.bta", "did you mean 'beta'?"]),
        ({"model": {"beta": 4.0}}, ["model.attention is missing", 'attention = "sa"']),
        ({"model": {"attention": "sa"}}, ["model.beta is missing", "beta = 4.0"]),
        ({"time": {}}, ["time.end is missing", "end = 12.0"]),
        ({"geometry": None}, ["section [geometry] is missing", 'type = "sphere"', "level = 5"]),
        ({"model": None}, ["section [model] is missing", "beta = 4.0"]),
        ({"initial": None}, ["section [initial] is missing", 'type = "standard"']),
        ({"time": None}, ["section [time] is missing", "end = 12.0"]),
        ({"model": "sa"}, ["model: expected a section [model]", "found the text 'sa'"]),
        ({"geometry": {"level": 2}}, ["geometry.type is missing", "sphere, circle, zonal, file"]),
        ({"geometry": {"type": "sphere"}}, ["geometry.level is missing", "level = 5"]),
        ({"geometry": {"type": "zonal", "vertices": 9}}, ["geometry.d is missing", "d = 8"]),
        (
            {"geometry": {"type": "circle", "level": 2}},
            ["unknown key geometry.level", "type 'circle' takes vertices"],
        ),
        ({"geometry": {"type": "spere"}}, ["geometry.type", "'spere'", "did you mean 'sphere'?"]),
        ({"initial": {"type": "unifrm"}}, ["initial.type", "did you mean 'uniform'?"]),
        ({"solver": {"type": "euler"}}, ["solver.type", "eulerian"]),
        # types: a boolean is no number, a text is no number, a fraction is no whole number
        ({"model": {"attention": "sa", "beta": True}}, ["model.beta", "a number", "found true"]),
        ({"model": {"attention": "sa", "beta": "4"}}, ["model.beta", "found the text '4'"]),
        ({"model": {"attention": 1, "beta": 4.0}}, ["model.attention", '"sa" or "usa"', "found 1"]),
        ({"geometry": {"type": "sphere", "level": 2.0}}, ["geometry.level", "a whole number"]),
        ({"geometry": {"type": "sphere", "level": True}}, ["geometry.level", "found true"]),
        ({"seed": 1.5}, ["seed", "a whole number", "found 1.5"]),
        ({"seed": -1}, ["seed", "from 0", "found -1"]),
        ({"title": 3}, ["title", "a text in quotes", "found 3"]),
        ({"title": "a\nb"}, ["title", "one line"]),
        ({"output": {"figures": "True"}}, ["output.figures", "true or false", "lower case"]),
        ({"output": {"figures": 1}}, ["output.figures", "true or false", "found 1"]),
        # ranges, nan, infinity
        ({"model": {"attention": "sa", "beta": math.nan}}, ["model.beta", "nan", "finite"]),
        ({"model": {"attention": "sa", "beta": math.inf}}, ["model.beta", "inf", "finite"]),
        ({"model": {"attention": "sa", "beta": 2001}}, ["model.beta", "-2000 to 2000", "2001"]),
        ({"model": {"attention": "usa", "beta": -601}}, ["model.beta", "e^|beta|", "<= 600"]),
        ({"model": {"attention": "saa", "beta": 1}}, ["'saa'", "did you mean 'sa'?"]),
        ({"model": {"attention": "sa", "beta": 1, "value": 2}}, ["model.value", "1 or -1", "2"]),
        ({"model": {"attention": "sa", "beta": 1, "value": True}}, ["model.value", "found true"]),
        (
            {
                "model": {"attention": "sa", "beta": 1, "kappa": 0.1},
                "solver": {"type": "lagrangian"},
            },
            ["model.kappa", "kappa = 0 only", 'solver.type = "implicit"'],
        ),
        (
            {"model": {"attention": "sa", "beta": 1, "kappa": -1}},
            ["model.kappa", "from 0 to 1e+06"],
        ),
        (
            {"geometry": {"type": "sphere", "level": 11}},
            ["geometry.level", "41,943,042 vertices", "0 to 10"],
        ),
        ({"geometry": {"type": "sphere", "level": 10**9}}, ["10 * 4^1000000000 + 2 vertices"]),
        ({"geometry": {"type": "sphere", "level": -1}}, ["geometry.level", "found -1"]),
        ({"geometry": {"type": "circle", "vertices": 2}}, ["geometry.vertices", "from 3"]),
        ({"geometry": {"type": "zonal", "d": 1, "vertices": 9}}, ["geometry.d", "from 2"]),
        ({"geometry": {"type": "file", "file": "no.msh"}}, ["geometry.file", "no file", "no.msh"]),
        ({"geometry": {"type": "file", "file": 3}}, ["geometry.file", "found 3"]),
        ({"solver": {"cfl": 0}}, ["solver.cfl", "above 0 and at most 1", "found 0"]),
        ({"solver": {"cfl": 1.01}}, ["solver.cfl", "at most 1", "found 1.01"]),
        ({"solver": {"tolerance": 1e-3}}, ["solver.tolerance", "1e-14 to 0.0001"]),
        ({"solver": {"scheme": "muscl"}}, ["solver.scheme", "did you mean 'log-muscl'?"]),
        ({"solver": {"stepper": "rk4"}}, ["solver.stepper", '"ssprk3" or "ssprk2" or "euler"']),
        ({"solver": {"field": "stage"}}, ["solver.field", "did you mean 'stages'?"]),
        ({"time": {"end": 0}}, ["time.end", "above 0", "found 0"]),
        ({"time": {"end": 1, "series_every": 0}}, ["time.series_every", "from 1"]),
        ({"time": {"end": 1, "wall_limit": -1}}, ["time.wall_limit", "above 0"]),
        ({"time": {"end": 1, "stationary": 0}}, ["time.stationary", "above 0"]),
        # output times
        ({"time": {"end": 1, "outputs": [0.5, 2]}}, ["time.outputs", "the time 2", "end = 1"]),
        ({"time": {"end": 1, "outputs": [0.5, 0.5]}}, ["time.outputs", "0.5 is given twice"]),
        ({"time": {"end": 1, "outputs": [-0.5]}}, ["time.outputs[0]", "0 or more", "-0.5"]),
        ({"time": {"end": 1, "outputs": [0.1, "x"]}}, ["time.outputs[1]", "found the text 'x'"]),
        ({"time": {"end": 1, "outputs": [True]}}, ["time.outputs[0]", "found true"]),
        ({"time": {"end": 1, "outputs": 0.5}}, ["time.outputs", "{ every = 1.0 }", "found 0.5"]),
        ({"time": {"end": 1, "outputs": "every"}}, ["time.outputs", "found the text 'every'"]),
        ({"time": {"end": 1, "outputs": {}}}, ["time.outputs", "an empty table"]),
        ({"time": {"end": 1, "outputs": {"evry": 1}}}, ["outputs.evry", "did you mean 'every'?"]),
        ({"time": {"end": 1, "outputs": {"every": 0}}}, ["time.outputs.every", "above 0"]),
        ({"time": {"end": 1, "outputs": {"every": 1e-6}}}, ["outputs.every", "at most 100000"]),
        ({"time": {"end": 9, "outputs": [k * 5e-5 for k in range(100_001)]}}, ["found 100001"]),
        ({"time": {"end": 1, "outputs": {"geometric": 3}}}, ["time.outputs.geometric", "found 3"]),
        (
            {"time": {"end": 1, "outputs": {"geometric": {"first": 0.1}}}},
            ["time.outputs.geometric.number is missing", "number = 20"],
        ),
        (
            {"time": {"end": 1, "outputs": {"geometric": {"first": 1, "number": 5}}}},
            ["time.outputs.geometric.first", "before time.end = 1", "found 1"],
        ),
        (
            {"time": {"end": 1, "outputs": {"geometric": {"first": 0.1, "number": 100_001}}}},
            ["time.outputs.geometric.number", "from 2 to 100000"],
        ),
        (
            {"time": {"end": 1, "outputs": {"every": 1, "geometric": {}}}},
            ["either every or geometric", "both"],
        ),
        # output
        ({"output": {"fields": ["rho", "rh"]}}, ["output.fields[1]", "did you mean 'rho'?"]),
        ({"output": {"fields": ["rho", "rho"]}}, ["output.fields", "'rho' is given twice"]),
        ({"output": {"fields": []}}, ["output.fields", "empty"]),
        ({"output": {"fields": "rho"}}, ["output.fields", "a list", "found the text 'rho'"]),
        ({"output": {"precision": "double"}}, ["output.precision", '"float32" or "float64"']),
        ({"output": {"compression": "zip"}}, ["output.compression", "did you mean 'gzip'?"]),
        # parts that do not fit together
        (
            {
                "geometry": {"type": "zonal", "d": 3, "vertices": 9},
                "initial": {"type": "cap", "centre": [1, 0, 0], "angle": 0.5},
            },
            ["initial", "zonal", "symmetric about the last coordinate axis"],
        ),
        (
            {"geometry": {"type": "circle", "vertices": 9}, "initial": {"type": "standard"}},
            ["d = 3"],
        ),
    ],
)
def test_refusals_name_key_expected_and_found(sections: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Case.from_dict(small(**sections))
    message = str(caught.value)
    for word in words:
        assert word in message
    assert len(message) < 400


def test_python_users_get_the_same_messages() -> None:
    with pytest.raises(InputError, match=r"model\.beta: expected a number.*found the text 'x'"):
        Model(attention="sa", beta="x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="initial: expected a law such as"):
        Case(
            geometry=Sphere(1),
            model=Model(attention="sa", beta=1),
            initial="uniform",  # type: ignore[arg-type]
            time=Time(end=1),
        )
    with pytest.raises(InputError, match=r"time: expected Time, found 3"):
        Case(
            geometry=Sphere(1),
            model=Model(attention="sa", beta=1),
            initial=Uniform(3),
            time=3,  # type: ignore[arg-type]
        )
    with pytest.raises(InputError, match=r"dimension d = 2.*'sphere' has d = 3"):
        Case(
            geometry=Sphere(1),
            model=Model(attention="sa", beta=1),
            initial=Uniform(2),
            time=Time(end=1),
        )


def test_numpy_numbers_are_numbers() -> None:
    model = Model(attention="sa", beta=np.float32(0.5), value=np.int64(-1))  # type: ignore[arg-type]
    assert model == Model(attention="sa", beta=0.5, value=-1)
    assert type(model.beta) is float and type(model.value) is int
    assert Sphere(np.int64(2)) == Sphere(2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"model\.beta"):
        Model(attention="sa", beta=np.bool_(True))
    assert Time(end=1, outputs=np.array([0.5, 0.25])).outputs == (0.25, 0.5)  # type: ignore[arg-type]


def test_limits_themselves_are_taken() -> None:
    assert Model(attention="sa", beta=-2000).beta == -2000
    assert Model(attention="usa", beta=600).beta == 600
    assert Eulerian(cfl=1, tolerance=1e-14).cfl == 1
    assert Sphere(10).vertex_count == 10_485_762
    assert len(Time(end=1, outputs=Every(1 / MAX_OUTPUTS)).output_times()) == MAX_OUTPUTS + 1


@pytest.mark.parametrize("d", [60, 100, 200])
def test_zonal_weights_that_underflow_are_refused_just_before_the_mesh_does(d: int) -> None:
    with pytest.raises(
        InputError, match=rf"geometry\.vertices.*at most \d+ vertices for d = {d}"
    ) as e:
        Zonal(d, 20_000_000)
    most = int(str(e.value).split("at most ")[1].split()[0])
    if most < 10_000:
        delaunay_weights(Zonal(d, most).build_mesh())
        with pytest.raises(InputError, match="underflows"):
            delaunay_weights(zonal_interval(int(1.1 * most), d=d))


# ---------------------------------------------------------------------------------------------
# Files


def test_file_problems(tmp_path: Path, small_file: Path) -> None:
    with pytest.raises(InputError, match=r"no case file .*smal\.toml .*mean 'small\.toml'"):
        Case.from_toml(tmp_path / "smal.toml")
    with pytest.raises(InputError, match="is a folder, expected a case file"):
        Case.from_toml(tmp_path)
    bad = tmp_path / "bad.toml"
    bad.write_text("[model\nbeta = 4\n")
    with pytest.raises(InputError, match=r"bad\.toml is not valid TOML: .*line 1"):
        Case.from_toml(bad)
    bad.write_bytes(b'title = "\xff"\n')
    with pytest.raises(InputError, match="UTF-8"):
        Case.from_toml(bad)
    bad.write_text(numbered.text() + "[outptu]\n")
    with pytest.raises(InputError, match=r"bad\.toml: unknown key or section 'outptu'"):
        Case.from_toml(bad)


# ---------------------------------------------------------------------------------------------
# Output times


def test_every() -> None:
    assert Time(end=0.45, outputs=Every(0.1)).output_times() == (0.0, 0.1, 0.2, 0.3, 0.4, 0.45)
    assert Time(end=0.3, outputs=Every(0.1)).output_times() == (0.0, 0.1, 0.2, 0.3)
    assert Time(end=0.5, outputs=Every(1.0)).output_times() == (0.0, 0.5)
    # 3 * (1/3) and 0.7 / 0.1 are not exact in binary: no double time at the end
    assert len(Time(end=1, outputs=Every(1 / 3)).output_times()) == 4
    assert len(Time(end=0.7, outputs=Every(0.1)).output_times()) == 8


def test_listed_times_are_sorted_and_completed() -> None:
    time = Time(end=12, outputs=[4, 1.0, 0.5])
    assert time.outputs == (0.5, 1.0, 4.0)
    assert time.output_times() == (0.0, 0.5, 1.0, 4.0, 12.0)
    assert Time(end=12, outputs=[12, 0]).output_times() == (0.0, 12.0)
    assert Time(end=12, outputs=[]).output_times() == (0.0, 12.0)


def test_geometric_times() -> None:
    times = Time(end=100, outputs=Geometric(first=0.01, number=5)).output_times()
    assert times == (0.0, 0.01, 0.1, 1.0, 10.0, 100.0)
    times = Time(end=7.3, outputs=Geometric(first=0.02, number=40)).output_times()
    assert len(times) == 41 and times[0] == 0.0 and times[-1] == 7.3
    ratios = np.diff(np.log(times[1:]))
    assert np.allclose(ratios, ratios[0], rtol=1e-11)


# ---------------------------------------------------------------------------------------------
# Overrides


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("model.beta=9", "model.beta", 9),
        ("model.beta = 9.5", "model.beta", 9.5),
        ("model.beta=.5", "model.beta", 0.5),
        ("model.beta=-2.", "model.beta", -2.0),
        ("model.attention=usa", "model.attention", "usa"),
        ('model.attention="usa"', "model.attention", "usa"),
        ("solver.scheme=log-muscl", "solver.scheme", "log-muscl"),
        ("title=A longer title", "title", "A longer title"),
        ("title=a=b", "title", "a=b"),
        ("output.figures=false", "output.figures", False),
        ("time.outputs=[0, 1.5]", "time.outputs", [0, 1.5]),
        ("time.outputs={every=0.5}", "time.outputs", {"every": 0.5}),
        ("initial.components[0].weight=2", "initial.components.0.weight", 2),
        ("title=1\nseed = 2", "title", "1\nseed = 2"),
    ],
)
def test_override_values_are_toml(text: str, key: str, value: object) -> None:
    found = parse_override(text)
    assert found == (key, value) and type(found[1]) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model.beta", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("model..beta=3", "expected KEY=VALUE"),
        ("model.beta=", "nothing"),
        ("time.outputs=[0, 1", "not valid TOML"),
        ('title="open', "not valid TOML"),
        ("model.bta=3", "did you mean 'model.beta'?"),
        ("beta=3", "did you mean 'model.beta'?"),
        ("modl.beta=3", "did you mean 'model.beta'?"),
        ("every=3", "did you mean 'time.outputs.every'?"),
        ("model.beta.x=3", "no such key"),
        ("wholly.strange=3", "no such key"),
        ("title.x=3", "no such key"),
        ("time.outputs.7=3", "time.outputs"),
        ("initial.type.x=3", "initial.type"),
    ],
)
def test_refused_overrides(small_file: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        Case.from_toml(small_file, [text])
    assert words in str(caught.value)


def test_overrides_come_before_validation_and_leave_the_input_alone(small_file: Path) -> None:
    case = Case.from_toml(
        small_file,
        ["model.beta=9", "model.attention=usa", "output.figures=false", "time.wall_limit=60"],
    )
    assert case.model == Model(attention="usa", beta=9.0)
    assert not case.output.figures and case.time.wall_limit == 60.0
    with pytest.raises(InputError, match=r"model\.beta: found 700.*usa"):
        Case.from_toml(small_file, ["model.beta=700", "model.attention=usa"])
    raw = small()
    changed = apply_overrides(raw, {"model.beta": 9.0})
    assert (raw["model"]["beta"], changed["model"]["beta"]) == (4.0, 9.0)


def test_overrides_of_schedules_and_types(small_file: Path) -> None:
    def outputs(*overrides: str) -> object:
        return Case.from_toml(small_file, ["time.outputs=[1, 2]", *overrides]).time.outputs

    assert outputs() == (1.0, 2.0)
    assert outputs("time.outputs.1=3") == (1.0, 3.0)
    assert outputs("time.outputs.every=0.5") == Every(0.5)
    geometric = ["time.outputs.geometric.first=0.1", "time.outputs.geometric.number=4"]
    assert outputs(*geometric) == Geometric(first=0.1, number=4)
    assert outputs(*geometric, "time.outputs.every=2") == Every(2.0)
    # another type empties its section, in whatever order the overrides come
    case = Case.from_toml(
        small_file, ["geometry.vertices=30", "geometry.type=circle", "initial.type=uniform"]
    )
    assert case.geometry == Circle(30)
    assert Case.from_toml(small_file, ["geometry.type=sphere"]).geometry == Sphere(2)


def test_override_inside_a_law(tmp_path: Path) -> None:
    parts = [
        {"weight": 1, "type": "uniform"},
        {"weight": 1, "type": "cap", "centre": "e_1", "angle": 1.0},
    ]
    law = {"type": "mixture", "components": parts}
    path = numbered.write(tmp_path / "mix.toml", initial=law)
    case = Case.from_toml(path, ["initial.components.1.angle=0.5"])
    assert case.to_dict()["initial"]["components"][1]["angle"] == 0.5
    with pytest.raises(InputError, match=r"components\[1\]\.angl: unknown key.*'angle'"):
        Case.from_toml(path, ["initial.components.1.angl=0.5"])
    with pytest.raises(InputError, match=r"a place from 0 to 1 in the list initial\.components"):
        Case.from_toml(path, ["initial.components.2.angle=0.5"])


# ---------------------------------------------------------------------------------------------
# Round trip


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_shipped_cases_are_valid_and_come_back(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ") and f"meanfield run scripts/cases/{path.name}" in text
    case = Case.from_toml(path)
    copy = tmp_path / "copy.toml"
    copy.write_text(case.to_toml())
    again = Case.from_toml(copy)
    assert again == case and again.to_toml() == case.to_toml()


def test_there_are_cases() -> None:
    assert "clustering" in {path.stem for path in CASES} and len(CASES) >= 3


@pytest.mark.parametrize(
    "case",
    [
        Case(
            title='Quotes " and \\ and \t, ü, 🌍 and \x7f',
            seed=2**63 - 1,
            geometry=Circle(17),
            model=Model(attention="usa", beta=-1e-3, value=-1),
            initial=Fourier(cos=[0.1, 0.0, 1 / 3]),
            solver=Eulerian(
                scheme="upwind", stepper="euler", cfl=0.1 + 0.2, field="stages", tolerance=1e-14
            ),
            time=Time(end=1e22, outputs=[1e-300, 0.1], series_every=1, stationary=1e-9),
            output=Output(
                fields=["velocity"], precision="float64", compression="none", figures=False
            ),
        ),
        Case(
            geometry=Zonal(8, 30),
            model=Model(attention="sa", beta=0),
            initial=Gegenbauer(8, [0.3, 0.25]),
            time=Time(end=3, outputs=Geometric(first=0.01, number=7), wall_limit=3600),
        ),
        Case(
            geometry=Sphere(0),
            model=Model(attention="sa", beta=1000),
            initial=VonMisesFisher([0.1, 0.2, 0.3], 1e4),
            time=Time(end=3, outputs=[]),
        ),
    ],
    ids=["circle", "zonal", "sphere"],
)
def test_round_trip_is_exact(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text(case.to_toml(), encoding="utf-8")
    again = Case.from_toml(path)
    assert again.to_dict() == case.to_dict()
    assert again == case


def test_a_law_that_no_file_can_name_is_described() -> None:
    from meanfield.geometry.laws import FunctionDensity

    law = FunctionDensity(lambda x: 1.0 + 0.1 * x[:, 2], 3)
    case = Case(
        geometry=Sphere(0), model=Model(attention="sa", beta=1), initial=law, time=Time(end=1)
    )
    assert case.to_dict()["initial"]["type"] == "python"
    assert case.to_dict()["initial"]["description"] == law.describe()
    with pytest.raises(InputError, match=r"initial\.type: found 'python'"):
        Case.from_dict(case.to_dict())


def test_differences_and_what_a_resumed_run_may_change(small_file: Path) -> None:
    case = Case.from_toml(small_file)
    assert case.differences(Case.from_toml(small_file)) == []
    longer = Case.from_toml(
        small_file, ["time.end=20", "title=Longer", "time.wall_limit=5", "output.figures=false"]
    )
    assert set(longer.differences(case)) == {
        "title",
        "time.end",
        "time.wall_limit",
        "output.figures",
    }
    assert longer.resume_conflicts(case) == []
    other = Case.from_toml(
        small_file,
        ["model.beta=5", "geometry.level=3", 'output.fields=["rho"]'],
    )
    assert set(other.resume_conflicts(case)) == {"model.beta", "geometry.level", "output.fields"}


def test_case_imports_without_dolfinx_and_heavy_libraries(start: Callable[..., Job]) -> None:
    code = (
        "import sys; import meanfield.case; heavy = {'dolfinx', 'mpi4py', 'petsc4py', 'pyvista'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = start(*python("-c", code)).finish()
    assert done.out.strip() == "[]", done.said


# ------------------------------------------------------------------ solver.type = "auto"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, mf.Eulerian()),  # t = 12, growth rate 0.655
        ({"time.end": 31.0}, mf.Lagrangian()),
        ({"time.end": 31.0, "model.value": -1}, mf.Implicit()),
        ({"model.attention": "usa"}, mf.Lagrangian()),  # growth rate 4.47: t = 12 is late
        ({"model.kappa": 1e-3}, mf.Implicit()),
        ({"model.kappa": 1e-3, "time.end": 1e5}, mf.Implicit()),
    ],
)
def test_auto_solver_follows_its_rule(changes: dict[str, object], expected: object) -> None:
    made = plain({"geometry.level": 3, "solver": "auto", "time.end": 12.0, **changes})
    assert made.solver == expected
    # The resolved case names the solver that was picked.
    assert mf.Case.from_dict(made.to_dict()) == made
    assert mf.auto_solver(made.geometry, made.model, made.time) == expected


def test_auto_solver_takes_no_options() -> None:
    with pytest.raises(InputError, match="type 'auto' takes no other keys, found cfl"):
        plain(solver={"type": "auto", "cfl": 0.5})


def test_an_abbreviation_leads_to_the_name() -> None:
    from meanfield.errors import suggest

    assert suggest("vmf", ("von-mises-fisher", "uniform")) == " (did you mean 'von-mises-fisher'?)"
    assert suggest("xyz", ("von-mises-fisher", "uniform")) == ""
