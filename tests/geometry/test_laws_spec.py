"""Laws from and to TOML tables and files: the same law comes back, and every fault is named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import meshio
import numpy as np
import pytest

from meanfield.errors import InputError, MeanfieldWarning
from meanfield.geometry.laws import (
    LAW_TYPES,
    FunctionDensity,
    TabulatedDensity,
    TabulatedProfile,
    VonMisesFisher,
    law_from_spec,
    law_to_spec,
    standard_density,
)
from meanfield.geometry.mesh import (
    circle,
    icosphere,
    unstructured_sphere,
    write_mesh,
    zonal_interval,
)
from meanfield.geometry.sphere import uniform_points

TABLES = {
    "uniform": (7, 'type = "uniform"'),
    "von-mises-fisher": (3, 'type = "von-mises-fisher"\nmean = [0, 0.3, 1]\nconcentration = 4'),
    "mixture": (
        2,
        """type = "mixture"
        components = [
          {weight = 0.25, type = "von-mises-fisher", mean = [1, 1.0], concentration = 1e4},
          {weight = 1, type = "mixture", components = [
            {weight = 1, type = "uniform"}, {weight = 2, type = "poisson-kernel", w = [0.3, 0.1]}]},
        ]""",
    ),
    "by-position": (
        2,
        """type = "by-position"
        first = {type = "von-mises-fisher", mean = [1, 0], concentration = 2}
        last = {type = "uniform"}""",
    ),
    "harmonic": (
        3,
        """type = "harmonic"
        modes = [{l = 2, m = 0, amplitude = 0.1}, {l = 3, m = -2, amplitude = 0.2}]""",
    ),
    "fourier": (2, 'type = "fourier"\ncos = [0.1, 0.2]\nsin = [0, 0.3]'),
    "gegenbauer": (3, 'type = "gegenbauer"\ncoefficients = [0.3, 0.25]'),
    "gegenbauer-axis": (3, 'type = "gegenbauer"\ncoefficients = [0.3]\naxis = [1, 2, 3]'),
    "poisson-kernel": (4, 'type = "poisson-kernel"\nw = [0.1, 0.2, 0, -0.3]'),
    "angular-gaussian": (2, 'type = "angular-gaussian"\nmatrix = [[2, 0.5], [0.5, 1]]'),
    "cap": (3, 'type = "cap"\ncentre = [1, 0, -1]\nangle = 0.5'),
    "standard": (3, 'type = "standard"'),
}


@pytest.mark.parametrize("name", TABLES)
def test_round_trip(name: str) -> None:
    d, text = TABLES[name]
    law = law_from_spec(tomllib.loads(text), d)
    again = law_from_spec(law_to_spec(law), d)
    assert again == law
    assert law_to_spec(again) == law_to_spec(law)
    x = uniform_points(20, d, np.random.default_rng(0))
    assert np.array_equal(again.density(x), law.density(x))


def test_every_type_is_tried_here() -> None:
    tried = {str(tomllib.loads(text)["type"]) for _, text in TABLES.values()}
    assert tried | {"file", "function"} == set(LAW_TYPES)


def test_tables_give_the_values_they_say() -> None:
    assert law_from_spec({"type": "standard"}, 3) == standard_density()
    law = law_from_spec(
        {"type": "von-mises-fisher", "mean": [0, 0, 1], "concentration": 4}, 3, where="law"
    )
    assert law == VonMisesFisher((0.0, 0.0, 1.0), 4.0)


def test_short_forms_for_high_dimensions() -> None:
    def same(one: dict[str, object], other: dict[str, object]) -> None:
        assert law_from_spec(one, 8) == law_from_spec(other, 8)

    north = [0.0] * 7 + [1.0]
    vmf = {"type": "von-mises-fisher", "concentration": 2.0}
    same(vmf | {"mean": "e_8"}, vmf | {"mean": north})
    same(vmf | {"mean": "e_d"}, vmf | {"mean": north})
    same(vmf | {"mean": "-e_2"}, vmf | {"mean": [-0.0, -1.0, *[-0.0] * 6]})
    poisson = {"type": "poisson-kernel"}
    same(poisson | {"w": 0.2}, poisson | {"w": [0.0] * 7 + [0.2]})
    gauss = {"type": "angular-gaussian"}
    diagonal = [1.0] * 7 + [3.0]
    same(gauss | {"matrix": diagonal}, gauss | {"matrix": np.diag(diagonal).tolist()})


VMF = 'type = "von-mises-fisher"\n'
MIX = 'type = "mixture"\ncomponents = '
UNIFORM = '{weight = 1, type = "uniform"}'

BAD = [
    (3, 'kind = "uniform"', "initial.type: missing, expected one of: uniform, von-mises-fisher,"),
    (3, "type = 3", "initial.type: found 3, expected one of: uniform"),
    (
        3,
        'type = "von-mises-fischer"',
        "initial.type: found 'von-mises-fischer' (did you mean 'von-mises-fisher'?), expected one",
    ),
    (
        3,
        VMF + "mean = [0, 0, 1]\nconcentraton = 4",
        "initial.concentraton: unknown key (did you mean 'concentration'?), expected: mean, conc",
    ),
    (3, 'type = "uniform"\nx = 1', "initial.x: unknown key, expected: no key but 'type'"),
    (3, VMF + "mean = [0, 0, 1]", "initial.concentration: missing, expected: mean, concentration"),
    (
        3,
        VMF + 'mean = [0, 0, 1]\nconcentration = "4"',
        "initial.concentration: found '4', expected a number >= 0",
    ),
    (
        3,
        VMF + "mean = [0, 0, 1]\nconcentration = true",
        "initial.concentration: found True, expected a number >= 0",
    ),
    (
        3,
        VMF + "mean = [0, 0, 1]\nconcentration = -4",
        "initial.concentration: found -4, expected a number >= 0; to concentrate at the opposite",
    ),
    (3, VMF + "mean = [0, 0, 1]\nconcentration = inf", "initial.concentration: found inf, exp"),
    (
        3,
        VMF + "mean = [0, 1]\nconcentration = 4",
        "initial.mean: found 2 numbers, expected 3 (the geometry has d = 3)",
    ),
    (3, VMF + "mean = 3\nconcentration = 4", "initial.mean: found 3, expected a list of numbers"),
    (
        3,
        VMF + 'mean = [0, "a", 1]\nconcentration = 4',
        "initial.mean[1]: found 'a', expected a finite number",
    ),
    (
        3,
        VMF + 'mean = "e_4"\nconcentration = 4',
        "initial.mean: found 'e_4', expected 3 numbers or an axis, 'e_1' to 'e_3'",
    ),
    (3, VMF + "mean = [0, 0, 0]\nconcentration = 4", "initial.mean: found [0.0, 0.0, 0.0], expec"),
    (3, MIX + "[]", "initial.components: found [], expected a list of tables, at least one"),
    (3, MIX + "3", "initial.components: found 3, expected a list of tables"),
    (3, MIX + "[1]", "initial.components[0]: found 1, expected a table"),
    (3, MIX + '[{type = "uniform"}]', "initial.components[0].weight: missing, expected a number"),
    (
        3,
        MIX + f'[{UNIFORM}, {{weight = -1, type = "uniform"}}]',
        "initial.components[1].weight: found -1, expected a number >= 0",
    ),
    (3, MIX + '[{weight = 0, type = "uniform"}]', "initial.components: found weights that are all"),
    (
        3,
        MIX + f'[{UNIFORM}, {{weight = 1, type = "cap", centre = [0, 0, 1], angle = 9}}]',
        "initial.components[1].angle: found 9, expected an angle in (0, pi], in radians",
    ),
    (
        3,
        MIX + f'[{UNIFORM}, {{wieght = 1, weight = 1, type = "uniform"}}]',
        "initial.components[1].wieght: unknown key (did you mean 'weight'?), expected: weight",
    ),
    (
        2,
        MIX + '[{weight = 1, type = "mixture", components = [{weight = 1, type = "uniforn"}]}]',
        "initial.components[0].components[0].type: found 'uniforn' (did you mean 'uniform'?)",
    ),
    (3, 'type = "uniform"\nweight = 1', "initial.weight: unknown key"),
    (
        8,
        'type = "harmonic"\nmodes = [{l = 2, m = 0, amplitude = 0.1}]',
        "initial.type: found 'harmonic', a law on the sphere (d = 3), expected one for d = 8",
    ),
    (8, 'type = "standard"', "initial.type: found 'standard', a law on the sphere (d = 3)"),
    (3, 'type = "fourier"\ncos = [0.1]', "initial.type: found 'fourier', a law on the circle (d ="),
    (2, 'type = "fourier"', "initial.cos: missing, and 'sin' too"),
    (2, 'type = "fourier"\nsin = [0.8, 0.8]', "initial.sin: the density falls to -0.4"),
    (2, 'type = "fourier"\nsin = 0.3', "initial.sin: found 0.3, expected a list of numbers"),
    (3, 'type = "harmonic"\nmodes = [{l = 2, m = 0}]', "initial.modes[0].amplitude: missing"),
    (
        3,
        'type = "harmonic"\nmodes = [{l = 2, m = 0, amplitude = 0.1}, {l=2, m=-3, amplitude=0.1}]',
        "initial.modes[1].m: found -3, expected an integer between -2 and 2",
    ),
    (
        3,
        'type = "harmonic"\nmodes = [{l = 2.5, m = 0, amplitude = 0.1}]',
        "initial.modes[0].l: found 2.5, expected an integer >= 1",
    ),
    (
        3,
        'type = "harmonic"\nmodes = [{l = 2, m = 0, amplitud = 0.1}]',
        "initial.modes[0].amplitud: unknown key (did you mean 'amplitude'?)",
    ),
    (
        3,
        'type = "harmonic"\nmodes = [{l = 2, m = 0, amplitude = -1.5}]',
        "initial.modes: the density falls to -0.5",
    ),
    (
        4,
        'type = "gegenbauer"\ncoefficients = [2]',
        "initial.coefficients: the density falls to -1 at the angle 3.142 from the axis",
    ),
    (
        4,
        'type = "gegenbauer"\ncoefficients = [0.2]\naxis = [1]',
        "initial.axis: found 1 numbers, expected 4 (the geometry has d = 4)",
    ),
    (2, 'type = "poisson-kernel"\nw = [1, 0]', "initial.w: found a vector of length 1, expected"),
    (2, 'type = "poisson-kernel"\nw = 1.5', "initial.w: found a vector of length 1.5, expected"),
    (2, 'type = "poisson-kernel"\nw = [0, 0, 0.1]', "initial.w: found 3 numbers, expected 2 (the"),
    (
        2,
        'type = "angular-gaussian"\nmatrix = [[1, 0.2], [0.3, 1]]',
        "initial.matrix: found 0.2 at (0, 1) and 0.3 at (1, 0), expected a symmetric matrix",
    ),
    (
        2,
        'type = "angular-gaussian"\nmatrix = [[1, 2], [2, 1]]',
        "initial.matrix: found an eigenvalue -1, expected a positive definite matrix",
    ),
    (
        2,
        'type = "angular-gaussian"\nmatrix = [[1, 2], [2]]',
        "initial.matrix[1]: found 1 numbers, expected 2",
    ),
    (3, 'type = "angular-gaussian"\nmatrix = [1, 2]', "initial.matrix: found 2 entries, expected"),
    (2, 'type = "angular-gaussian"\nmatrix = 1', "initial.matrix: found 1, expected 2 rows of 2"),
    (3, 'type = "file"\npath = "no.vtu"\narray = "rho"', "initial.path: found no file"),
    (3, 'type = "file"\npath = 3\narray = "rho"', "initial.path: found 3, expected a text in quo"),
    (3, 'type = "function"\npath = "no.py"\nname = "f"', "initial.path: found no file"),
    (
        3,
        'type = "function"\npath = "no.py"\nname = "f"\nzonal = 1',
        "initial.zonal: found 1, expected true or false",
    ),
]


@pytest.mark.parametrize(("d", "text", "message"), BAD, ids=[m[:50] for *_, m in BAD])
def test_bad_tables(d: int, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        law_from_spec(tomllib.loads(text), d, tmp_path)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_not_a_table() -> None:
    with pytest.raises(InputError, match=r"case\.law: found 'uniform', expected a table"):
        law_from_spec("uniform", 3, where="case.law")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="d: found 1, expected an integer >= 2"):
        law_from_spec({"type": "uniform"}, 1)


# --- mesh files ---------------------------------------------------------------------------------


def file_spec(path: str, array: str = "rho") -> dict[str, object]:
    return {"type": "file", "path": path, "array": array}


@pytest.mark.parametrize("suffix", ["vtu", "vtk", "xdmf"])
def test_values_on_a_sphere_file(suffix: str, tmp_path: Path) -> None:
    mesh = icosphere(2)
    rho = 1.0 + 0.5 * mesh.points[:, 0]
    path = tmp_path / f"rho.{suffix}"
    meshio.write(path, meshio.Mesh(mesh.points, [("triangle", mesh.cells)], {"rho": rho}))
    law = law_from_spec(file_spec(path.name), 3, tmp_path)
    assert isinstance(law, TabulatedDensity)
    exact = TabulatedDensity(mesh.points, mesh.cells, rho)
    x = uniform_points(200, 3, np.random.default_rng(0))
    assert law.density(x) == pytest.approx(exact.density(x), rel=1e-12)
    assert law_to_spec(law) == file_spec(str(path))
    again = law_from_spec(law_to_spec(law), 3)
    assert np.array_equal(again.density(x), law.density(x))
    assert path.name in law.describe()


def test_values_on_a_circle_file_and_on_an_interval_file(tmp_path: Path) -> None:
    ring = circle(40)
    flat = np.column_stack([ring.points, np.zeros(40)])
    rho = {"rho": 2.0 + ring.points[:, 0]}
    meshio.write(tmp_path / "ring.vtu", meshio.Mesh(flat, [("line", ring.cells)], rho))
    law = law_from_spec(file_spec("ring.vtu"), 2, tmp_path)
    assert isinstance(law, TabulatedDensity)
    ratio = law.density(ring.points) / rho["rho"]
    assert ratio == pytest.approx(np.full(40, 0.5), rel=1e-12)

    for d in (2, 3, 8):
        write_mesh(tmp_path / "line.vtu", zonal_interval(50, d), overwrite=True)
        line = meshio.read(tmp_path / "line.vtu")
        turn = np.roll(np.arange(len(line.points)), 7)  # any order of the vertices will do
        data = {name: a[turn] for name, a in line.point_data.items()}
        data["rho"] = 2.0 + np.cos(data["theta"])
        back = np.argsort(turn)
        cells = [("line", back[line.get_cells_type("line")])]
        meshio.write(tmp_path / "line.vtu", meshio.Mesh(line.points[turn], cells, data))
        zonal = law_from_spec(file_spec("line.vtu"), d, tmp_path)
        assert isinstance(zonal, TabulatedProfile) and zonal.is_zonal() and zonal.d == d
        poles = zonal.density(np.array([np.eye(d)[-1], -np.eye(d)[-1]]))
        assert poles[0] / poles[1] == pytest.approx(3.0, rel=1e-12)
        assert law_to_spec(zonal) == file_spec(str(tmp_path / "line.vtu"))
        with pytest.raises(InputError, match=r"initial\.path: found a zonal mesh for d = \d in"):
            law_from_spec(file_spec("line.vtu"), d + 1, tmp_path)


@pytest.mark.filterwarnings("ignore:far.msh. dropped 1 point")
def test_values_on_an_unstructured_file_with_another_centre(tmp_path: Path) -> None:
    # As gmsh writes it: the centre as a point that no triangle uses, any place and size.
    mesh = unstructured_sphere(300, seed=1)
    centre, radius = np.array([5.0, -3.0, 2.0]), 40.0
    points = np.vstack([centre, centre + radius * mesh.points])
    rho = np.append(np.nan, 1.0 + 0.5 * mesh.points[:, 0])
    data = meshio.Mesh(points, [("triangle", mesh.cells + 1)], {"rho": rho})
    meshio.write(tmp_path / "far.msh", data, "gmsh")
    with pytest.warns(MeanfieldWarning, match=r"far\.msh: recentred"):
        law = law_from_spec(file_spec("far.msh"), 3, tmp_path)
    exact = TabulatedDensity(mesh.points, mesh.cells, rho[1:])
    x = uniform_points(200, 3, np.random.default_rng(0))
    assert law.density(x) == pytest.approx(exact.density(x), rel=1e-9)


def test_mesh_file_faults(tmp_path: Path) -> None:
    mesh = icosphere(1)
    rho = np.ones(len(mesh.points))
    bad = rho.copy()
    bad[2] = -1.0
    data = {"rho": rho, "bad": bad, "v": mesh.points, "zero": 0 * rho}
    meshio.write(tmp_path / "s.vtu", meshio.Mesh(mesh.points, [("triangle", mesh.cells)], data))
    (tmp_path / "junk.vtu").write_text("not a mesh")
    hole = meshio.Mesh(mesh.points, [("triangle", mesh.cells[1:])], {"rho": rho})
    meshio.write(tmp_path / "open.vtu", hole)

    def refuse(match: str, spec: dict[str, object], d: int = 3) -> None:
        with pytest.raises(InputError, match=match):
            law_from_spec(spec, d, tmp_path)

    refuse(
        r"initial\.array: found no point data 'roh' .* \(did you mean", file_spec("s.vtu", "roh")
    )
    refuse(r"initial\.values: found -1.0 at vertex 2", file_spec("s.vtu", "bad"))
    refuse(r"initial\.array: found 'v' of shape \(42, 3\)", file_spec("s.vtu", "v"))
    refuse(r"initial\.values: found the integral 0, expected a pos", file_spec("s.vtu", "zero"))
    refuse(r"initial\.path: .*junk.vtu cannot be read .meshio", file_spec("junk.vtu"))
    refuse(r"initial\.path: .*open.vtu: .*", file_spec("open.vtu"))
    refuse(r"initial\.path: found triangle cells .*closed loop .*d = 2", file_spec("s.vtu"), 2)
    refuse(r"initial\.path: found triangle cells .*zonal mesh .*d = 8", file_spec("s.vtu"), 8)


# --- functions in Python files ------------------------------------------------------------------

CODE = """
import numpy as np

def density(x):
    return 2.0 + x[:, 0]

def zonal_density(x):
    return np.exp(3.0 * x[:, -1])

def _hidden(x):
    return x
"""


def test_function_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "mylaw.py").write_text(CODE)
    spec = {"type": "function", "path": "mylaw.py", "name": "density", "bound": 3.5}
    law = law_from_spec(spec, 3, tmp_path)
    assert isinstance(law, FunctionDensity) and law.bound == 3.5
    x = uniform_points(50, 3, np.random.default_rng(0))
    assert law.density(x) == pytest.approx(1.0 + 0.5 * x[:, 0], rel=1e-12)
    written = law_to_spec(law)
    assert written == {**spec, "path": str(tmp_path / "mylaw.py")}
    assert np.array_equal(law_from_spec(written, 3).density(x), law.density(x))
    zonal = {"type": "function", "path": "mylaw.py", "name": "zonal_density", "zonal": True}
    y = uniform_points(50, 8, np.random.default_rng(0))
    high = law_from_spec(zonal, 8, tmp_path)
    expected = VonMisesFisher(np.eye(8)[-1], 3.0).density(y)
    assert high.density(y) == pytest.approx(expected, rel=1e-10)
    assert law_to_spec(high)["zonal"] is True


def test_function_file_faults(tmp_path: Path) -> None:
    (tmp_path / "mylaw.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found")
    (tmp_path / "law.txt").write_text(CODE)

    def refuse(match: str, path: str, name: str, d: int = 3) -> None:
        with pytest.raises(InputError, match=match):
            law_from_spec({"type": "function", "path": path, "name": name}, d, tmp_path)

    refuse(
        r"initial\.name: found no function 'densty' .*\(did you mean 'density'\?\), expected one "
        r"of: density, zonal_density",
        "mylaw.py",
        "densty",
    )
    refuse(r"initial\.path: running .*broken.py raised ModuleNotFoundError", "broken.py", "f")
    refuse(r"initial\.path: found .*law.txt, expected a Python file", "law.txt", "density")
    refuse(r"initial\.function: found d = 8, expected d = 2 or 3", "mylaw.py", "density", 8)


def test_laws_that_are_in_no_file_cannot_be_written() -> None:
    mesh = icosphere(1)
    for law in (
        FunctionDensity(lambda x: np.ones(len(x)), 2),
        TabulatedDensity(mesh.points, mesh.cells, np.ones(len(mesh.points))),
    ):
        with pytest.raises(InputError, match="found a law that is in no file"):
            law_to_spec(law)
