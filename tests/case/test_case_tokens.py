"""Cases of tokens: what they may say, what they may not, and that they survive being written."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from cases import few_tokens, plain, small_tokens

import meanfield as mf
from meanfield.case import MAX_TOKENS, apply_overrides
from meanfield.errors import InputError
from meanfield.geometry.mesh import write_mesh, zonal_interval

RAW = small_tokens.table()
LAYERS = {"solver.type": "layers", "solver.number": 64, "solver.layers": 20}
ANY = {"geometry.d": 8, "initial.type": "uniform"}
NOISE: dict[str, object] = {"model.kappa": 0.1}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).normal(size=(7, 3))
    np.save(tmp_path / "first.npy", x / np.linalg.norm(x, axis=1, keepdims=True))
    return tmp_path / "first.npy"


# ------------------------------------------------------------------ what is taken


def test_defaults() -> None:
    solver = small_tokens().solver
    assert solver == mf.Particles(
        number=100,
        tokens="iid",
        method="dop853",
        rtol=1e-6,
        atol=1e-9,
        dt=None,
        interaction="auto",
        cluster_angle=0.1,
    )
    layers = small_tokens(LAYERS).solver
    assert layers == mf.Layers(
        number=64, tokens="iid", layers=20, interaction="auto", cluster_angle=0.1
    )


def test_a_solver_is_eulerian_unless_it_says_otherwise() -> None:
    # Without the type there are no keys of tokens.
    raw = {**RAW, "geometry": {"type": "sphere", "level": 2}, "solver": {}}
    assert mf.Case.from_dict(raw).solver == mf.Eulerian()
    with pytest.raises(mf.InputError, match=r"unknown key solver\.number.*type 'eulerian' takes"):
        mf.Case.from_dict({**raw, "solver": {"number": 100}})


@pytest.mark.parametrize(("d", "kind"), [(2, "circle"), (3, "sphere"), (4, "any"), (128, "any")])
def test_spheres_without_a_mesh(d: int, kind: str) -> None:
    geometry = mf.Unmeshed(d)
    assert (geometry.d, geometry.kind, geometry.vertex_count) == (d, kind, 0)
    with pytest.raises(mf.InputError, match="'unmeshed' found, a meshed one expected"):
        geometry.build_mesh()


@pytest.mark.parametrize(
    "changes",
    [
        {"geometry.type": "sphere", "geometry.level": 2},
        {"geometry.type": "circle", "geometry.vertices": 50, "initial.type": "uniform"},
    ],
)
def test_tokens_also_live_on_meshed_spheres(changes: dict[str, object]) -> None:
    assert isinstance(small_tokens(changes).solver, mf.Particles)
    assert isinstance(small_tokens({**changes, **LAYERS}).solver, mf.Layers)


def test_numpy_numbers_become_plain_ones() -> None:
    solver = mf.Particles(number=np.int64(5), rtol=np.float32(0.5e-3))  # type: ignore[arg-type]
    assert type(solver.number) is int and type(solver.rtol) is float
    assert type(mf.Layers(number=5, layers=np.int32(8)).layers) is int  # type: ignore[arg-type]


def test_frozen() -> None:
    solver = mf.Particles(number=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        solver.number = 6  # type: ignore[misc]


# ------------------------------------------------------------------ what is refused

NUMBER = f"expected a whole number from 1 to {MAX_TOKENS}"
BETA_100 = {"model.attention": "usa", "model.beta": 100.0}

REFUSALS: dict[str, tuple[dict[str, object], str]] = {
    # geometry
    "d = 1": ({"geometry.d": 1}, "geometry.d: expected a whole number from 2 to 100000, found 1"),
    "d = 3.0": ({"geometry.d": 3.0}, "geometry.d: expected a whole number .*, found 3.0"),
    "no d": ({"geometry.type": "sphere", "geometry.level": 2, "geometry.d": 3},
             "unknown key geometry.d"),
    "law of another d": ({"geometry.d": 4}, "d = 4"),
    "unknown geometry": ({"geometry.type": "unmesh"},
                         "geometry.type: .*found 'unmesh' \\(did you mean 'unmeshed'\\?\\)"),
    "level of unmeshed": ({"geometry.level": 3},
                          "unknown key geometry.level; \\[geometry\\] of type 'unmeshed' takes d"),
    "eulerian without a mesh": (
        {"solver.type": "eulerian"},
        "geometry.type: the eulerian solver needs a mesh, found 'unmeshed'; expected another "
        "geometry \\('sphere', 'circle', 'zonal' or 'file'\\) for a density, or solver.type = "
        "'particles'",
    ),
    "particles on zonal": (
        {"geometry.type": "zonal", "geometry.d": 5, "geometry.vertices": 33,
         "initial.type": "uniform"},
        "geometry.type: tokens live on the whole sphere, found 'zonal'; expected 'unmeshed' with "
        "d = 5",
    ),
    "layers on zonal": (
        LAYERS | {"geometry.type": "zonal", "geometry.d": 4, "geometry.vertices": 33,
                  "initial.type": "uniform"},
        "geometry.type: tokens live on the whole sphere, found 'zonal'; expected 'unmeshed' with "
        "d = 4",
    ),
    # solver
    "unknown solver": ({"solver.type": "particle", "solver.number": 3},
                       "solver.type: .*found 'particle' \\(did you mean 'particles'\\?\\)"),
    "key of another solver": (
        {"solver.cfl": 0.5},
        "unknown key solver.cfl; \\[solver\\] of type 'particles' takes number, tokens, cosine, "
        "normalise, method, rtol, atol, dt, common_noise, common_seed, interaction, tolerance, "
        "exclude_self, cluster_angle",
    ),
    "rtol of layers": (LAYERS | {"solver.rtol": 1e-6},
                       "unknown key solver.rtol; \\[solver\\] of type 'layers' takes"),
    "no number": ({"solver.type": "particles", "solver.tokens": "iid", "solver.number": None},
                  "solver.number: the number of tokens is missing; add for example number = 1000"),
    "no number, quantised": (
        {"solver.tokens": "quantised", "solver.number": None},
        "solver.number: the number of tokens is missing; add for example number = 1000",
    ),
    "no number of layers' tokens": (LAYERS | {"solver.number": None},
                                    "solver.number: the number of tokens is missing"),
    "no layers": ({"solver.type": "layers", "solver.number": 64},
                  "solver.layers is missing \\(\\[solver\\] of type 'layers' needs it\\); add for "
                  "example layers = 100"),
    "no layer": (LAYERS | {"solver.layers": 0},
                 "solver.layers: expected a whole number from 1 to 1000000000, found 0"),
    "half a layer": (LAYERS | {"solver.layers": 0.5}, "solver.layers: .*found 0.5"),
    "number = 0": ({"solver.number": 0}, f"solver.number: {NUMBER}, found 0"),
    "number = -1": ({"solver.number": -1}, f"solver.number: {NUMBER}, found -1"),
    "number = 1e3": ({"solver.number": 1e3}, f"solver.number: {NUMBER}, found 1000.0"),
    "number = true": ({"solver.number": True}, f"solver.number: {NUMBER}, found true"),
    "number = '9'": ({"solver.number": "9"}, f"solver.number: {NUMBER}, found the text '9'"),
    "too many": ({"solver.number": MAX_TOKENS + 1}, f"solver.number: {NUMBER}, found 1000000001"),
    "tokens = 5": (
        {"solver.tokens": 5},
        'solver.tokens: expected "iid", "quantised", "equiangular" or the name of a file '
        "of tokens, found 5",
    ),
    "quantized": ({"solver.tokens": "quantized"},
                  'solver.tokens: expected "iid", "quantised", "equiangular" or a file \\('
                  ".npy, .npz, .csv, .txt, .vtp, .vtu\\), there is no file .*quantized "
                  "\\(did you mean 'quantised'\\?\\)"),
    "quantised, d = 8": (ANY | {"solver.tokens": "quantised"},
                         "solver.tokens: quantised tokens exist for d = 2 and 3, found d = 8: "
                         "expected 'iid' or a file"),
    "harmonics, d = 8": (ANY | {"solver.interaction": "harmonics"},
                         "solver.interaction: harmonics exist for d = 2 and 3, found d = 8: "
                         "expected 'auto' or 'direct'"),
    "harmonics of layers, d = 8": (ANY | LAYERS | {"solver.interaction": "harmonics"},
                                   "solver.interaction: harmonics exist for d = 2 and 3"),
    "interaction": ({"solver.interaction": "harmonic"},
                    "solver.interaction: .*found 'harmonic' \\(did you mean 'harmonics'\\?\\)"),
    "interaction of layers": (LAYERS | {"solver.interaction": "dirct"},
                              "solver.interaction: .*\\(did you mean 'direct'\\?\\)"),
    "method": ({"solver.method": "dopri8"}, "solver.method: .*\\(did you mean 'dopri5'\\?\\)"),
    "rtol = 0": ({"solver.rtol": 0}, "solver.rtol: expected a number from 1e-13 to 0.1, found 0"),
    "atol = 1": ({"solver.atol": 1}, "solver.atol: expected a number from 1e-14 to 0.1, found 1"),
    "dt = 0": (NOISE | {"solver.dt": 0.0}, "solver.dt: expected a number above 0, found 0.0"),
    "dt without noise": ({"solver.dt": 0.1}, "solver.dt: found 0.1 with model.kappa = 0"),
    "angle = 0": ({"solver.cluster_angle": 0}, "solver.cluster_angle: .*above 0.*found 0"),
    "angle = 4": (LAYERS | {"solver.cluster_angle": 4.0}, "solver.cluster_angle: .*found 4.0"),
    # model
    "noise of a density": (
        NOISE | {"geometry.type": "sphere", "geometry.level": 2, "solver.type": "lagrangian"},
        "model.kappa: found 0.1, but the lagrangian solver has kappa = 0 only: expected",
    ),
    "noise in layers": (
        LAYERS | NOISE | {"model.normalisation": "none"},
        "model.kappa: found 0.1 with model.normalisation = 'none'",
    ),
    "negative noise": ({"model.kappa": -0.1}, "model.kappa: expected a number from 0 to "),
    # output: velocities of tokens are always written, whatever the fields of densities are
    "float32": (BETA_100, 'output.precision: .* e\\^100 do not fit .*: expected "float64"$'),
    "float32, no fields": (BETA_100 | {"output.fields": ["rho"]}, "output.precision: .*float64\"$"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(name: str) -> None:
    changes, message = REFUSALS[name]
    raw = apply_overrides(RAW, {k: v for k, v in changes.items() if v is not None})
    for key in (key for key, value in changes.items() if value is None):
        section, _, last = key.partition(".")
        raw[section].pop(last, None)
    with pytest.raises(mf.InputError, match=message) as refused:
        mf.Case.from_dict(raw)
    assert "\n" not in str(refused.value)


def test_a_misspelt_key_is_named_with_the_right_one() -> None:
    raw = {**RAW, "solver": {"type": "layers", "numbr": 5}}
    with pytest.raises(mf.InputError, match=r"unknown key solver\.numbr \(did you mean 'number'"):
        mf.Case.from_dict(raw)


def test_the_same_in_python() -> None:
    with pytest.raises(mf.InputError, match=r"solver\.number: the number of tokens is missing"):
        dataclasses.replace(small_tokens(), solver=mf.Particles())
    with pytest.raises(mf.InputError, match=r"solver\.number: the number of tokens is missing"):
        dataclasses.replace(small_tokens(), solver=mf.Layers(layers=10))
    with pytest.raises(mf.InputError, match=r"solver\.tokens: expected .*found a list"):
        mf.Particles(number=2, tokens=[[1.0, 0.0, 0.0]])  # type: ignore[arg-type]
    with pytest.raises(mf.InputError, match=r"geometry\.d: .*found the text 'three'"):
        mf.Unmeshed("three")  # type: ignore[arg-type]
    with pytest.raises(mf.InputError, match="tokens live on the whole sphere"):
        dataclasses.replace(small_tokens(), geometry=mf.Zonal(d=3, vertices=33))


def test_a_zonal_mesh_file_is_refused_for_tokens(tmp_path: Path) -> None:
    write_mesh(tmp_path / "angles.vtu", zonal_interval(33, d=3))
    changes = {"geometry.type": "file", "geometry.file": "angles.vtu", "initial.type": "uniform"}
    with pytest.raises(mf.InputError, match="'file'; expected 'unmeshed' with d = 3"):
        small_tokens(changes, tmp_path)


# ------------------------------------------------------------------ files of tokens


def test_a_file_is_found_beside_the_case(
    token_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    solver = {"type": "particles", "tokens": "first.npy"}
    found = small_tokens({"solver": solver}, tmp_path).solver
    assert isinstance(found, mf.Particles)
    assert (found.tokens, found.number) == (token_file, None)
    # By a relative folder, by ~, and in Python from the working folder: always the same.
    here = small_tokens({"solver": solver}, tmp_path.name).solver
    monkeypatch.setenv("HOME", str(tmp_path))
    home = small_tokens({"solver": {**solver, "tokens": "~/first.npy"}}).solver
    monkeypatch.chdir(tmp_path)
    assert found == here == home == mf.Particles(tokens="first.npy")
    assert found == mf.Particles(tokens=Path("first.npy"))


@pytest.mark.parametrize("kind", [{"type": "particles"}, {"type": "layers", "layers": 5}])
def test_a_missing_file_is_named_with_its_neighbour(
    token_file: Path, kind: dict[str, object]
) -> None:
    (token_file.parent / "fist.txt").write_text("nothing of tokens")
    with pytest.raises(mf.InputError, match=r"there is no file .*frist\.npy .*'first\.npy'\?\)$"):
        small_tokens({"solver": {**kind, "tokens": "frist.npy"}}, token_file.parent)


def test_a_missing_file_in_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(mf.InputError, match=r"there is no file .*x\.npy$"):
        small_tokens({"solver.tokens": "nowhere/x.npy"}, tmp_path)


def test_a_folder_and_an_unknown_ending_are_no_files_of_tokens(token_file: Path) -> None:
    folder = token_file.parent
    (folder / "first.xyz").write_text("1 0 0\n")
    with pytest.raises(mf.InputError, match=r"a file \(\.npy, .*\), found .*first\.xyz"):
        small_tokens({"solver.tokens": "first.xyz"}, folder)
    (folder / "sub.npy").mkdir()
    with pytest.raises(mf.InputError, match=r"there is no file .*sub\.npy"):
        small_tokens({"solver.tokens": "sub.npy"}, folder)


def test_a_path_is_a_file_whatever_its_name(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(token_file.parent)
    with pytest.raises(mf.InputError, match=r"there is no file .*iid"):
        mf.Particles(number=3, tokens=Path("iid"))


# ------------------------------------------------------------------ there and back

KEPT: dict[str, dict[str, object]] = {
    "particles": {},
    "everything said": {
        "seed": 7,
        "solver.tokens": "quantised",
        "solver.method": "dopri5",
        "solver.rtol": 1e-8,
        "solver.atol": 1e-11,
        "solver.interaction": "direct",
        "solver.cluster_angle": 0.25,
    },
    "noise": NOISE | {"solver.dt": 0.01},
    "layers": LAYERS,
    "d = 8": ANY,
    "a mesh": {"geometry.type": "sphere", "geometry.level": 1},
    "a file": {"solver.tokens": "first.npy"},
    "layers of a file": LAYERS | {"solver.tokens": "first.npy"},
}


@pytest.mark.parametrize("name", KEPT)
def test_written_and_read_again_a_case_is_the_same(
    name: str, token_file: Path, tmp_path: Path
) -> None:
    first = small_tokens(KEPT[name], token_file.parent)
    text = first.to_toml()
    away = tmp_path / "elsewhere"
    away.mkdir()
    (away / "case.toml").write_text(text, encoding="utf-8")
    again = mf.Case.from_toml(away / "case.toml")
    assert again == first and again.to_toml() == text
    assert first.differences(again) == []


def test_absent_options_are_not_written(token_file: Path) -> None:
    solver = {"type": "particles", "tokens": str(token_file)}
    table = small_tokens({"solver": solver}).to_dict()["solver"]
    assert "number" not in table and "dt" not in table
    assert table["tokens"] == str(token_file)


# ------------------------------------------------------------------ overrides


def test_another_solver_empties_the_section(tmp_path: Path) -> None:
    density = plain.write(tmp_path / "density.toml", solver__cfl=0.5)
    found = mf.Case.from_toml(density, ["solver.number=50", "solver.type=particles"])
    assert found.solver == mf.Particles(number=50)  # cfl is gone, the order does not matter
    layers = mf.Case.from_toml(
        density, ["solver.type=layers", "solver.number=5", "solver.layers=8"]
    )
    assert layers.solver == mf.Layers(number=5, layers=8)
    with pytest.raises(mf.InputError, match=r"density\.toml: solver\.number: .* is missing"):
        mf.Case.from_toml(density, ["solver.type=particles"])


def test_the_same_solver_keeps_its_section() -> None:
    found = small_tokens({"solver.type": "particles", "solver.rtol": 1e-4}).solver
    assert found == mf.Particles(number=100, rtol=1e-4)


def test_a_file_in_an_override_is_found_beside_the_case(token_file: Path) -> None:
    (token_file.parent / "case.toml").write_text(small_tokens().to_toml())
    found = mf.Case.from_toml(token_file.parent / "case.toml", ["solver.tokens=first.npy"])
    assert found.solver == mf.Particles(number=100, tokens=token_file)


def test_paths_of_tokens_are_known_to_overrides() -> None:
    with pytest.raises(mf.InputError, match=r"did you mean 'solver\.cluster_angle'"):
        small_tokens({"solver.cluster_angel": 0.2})
    with pytest.raises(mf.InputError, match=r"did you mean 'solver\.layers'"):
        small_tokens({"layers": 3})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"solver.rtol": 1e-8}, ["solver.rtol"]),
        ({"seed": 5}, ["seed"]),
        (NOISE, ["model.kappa"]),
        ({"solver.number": 99}, ["solver.number"]),
        ({"geometry.d": 3, "solver.cluster_angle": 0.2}, ["solver.cluster_angle"]),
        ({"time.end": 9.0, "title": "longer", "output.figures": False}, []),
    ],
)
def test_what_a_run_of_tokens_may_change_when_it_goes_on(
    changes: dict[str, object], named: list[str]
) -> None:
    assert small_tokens(changes).resume_conflicts(small_tokens()) == named


def test_a_mask_of_another_number_of_tokens_is_refused_with_the_case() -> None:
    mask = {"type": "matrix", "rows": [[1, 0], [1, 1]]}
    with pytest.raises(InputError, match=r"^model\.mask: a 2 x 2 matrix found for 50 tokens"):
        few_tokens({"model.mask": mask})
