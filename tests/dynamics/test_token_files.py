"""Tokens from files: what is taken of them, by name, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista
from cases import small_tokens

import meanfield as mf
from meanfield.dynamics.tokenfiles import read_tokens
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, uniform_points

DATA = Path(__file__).parents[1] / "data"
X = uniform_points(5, 3, np.random.default_rng(0))
MASS = np.array([1.0, 2.0, 0.0, 3.0, 4.0])


def write(path: Path, x: Array) -> None:
    if path.suffix == ".npy":
        np.save(path, x)
    elif path.suffix == ".npz":
        np.savez(path, x)
    elif path.suffix in (".csv", ".txt"):
        np.savetxt(path, x, delimiter="," if path.suffix == ".csv" else " ", fmt="%.17g")
    else:
        spatial = np.column_stack([x, np.zeros(len(x))]) if x.shape[1] == 2 else x
        cloud = pyvista.PolyData(spatial.astype(np.float64))
        (cloud if path.suffix == ".vtp" else cloud.cast_to_unstructured_grid()).save(path)


def table(path: Path, header: str, columns: Array, mark: str = ",") -> Path:
    rows = "\n".join(mark.join(f"{v:.17g}" for v in row) for row in columns)
    path.write_text(f"{header}\n{rows}\n", "utf-8")
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".txt", ".vtp", ".vtu"])
@pytest.mark.parametrize("d", [2, 3])
def test_tokens_come_back_from_files(tmp_path: Path, suffix: str, d: int) -> None:
    x = uniform_points(17, d, np.random.default_rng(0))
    path = tmp_path / f"tokens{suffix}"
    write(path, x * (1.0 + 5e-7))  # single precision somewhere on the way is no reason to refuse
    for kind in (path, str(path)):
        found = read_tokens(kind, d)
        np.testing.assert_allclose(found.x, x, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(found.x, axis=1), 1.0, rtol=0.0, atol=5e-16)
        assert found.weights is None
    with pytest.raises(InputError, match="17 tokens found, 18 expected"):
        read_tokens(path, d, 18)
    x[11] *= 1.002
    x[5] *= 0.99
    write(path, x)
    with pytest.raises(
        InputError, match=r"point 5 has length 0\.99.* 2 such points, .*solver\.normalise = true"
    ):
        read_tokens(path, d)
    np.testing.assert_allclose(
        read_tokens(path, d, normalise=True).x,
        x / np.linalg.norm(x, axis=1, keepdims=True),
        atol=1e-15,
    )


def test_files_of_other_programs() -> None:
    found = read_tokens(DATA / "header_zyx_d3.csv", 3)
    np.testing.assert_allclose(found.x[0], [0.3635, 0.8643, 0.3476], atol=5e-5)
    assert found.taken == "columns x, y, z" and len(found.x) == 50
    assert len(read_tokens(DATA / "pandas_header_0_1_d2.csv", 2).x) == 50
    assert len(read_tokens(DATA / "pyvista.vtp", 3).x) == 162


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("z,y,x", (2, 1, 0)),
        ("Points:2,Points:1,Points:0", (2, 1, 0)),
        ("Points_0,Points_2,Points_1", (0, 2, 1)),
        ('"Points:0","Points:1","Points:2"', (0, 1, 2)),
        ("x3,x1,x2", (2, 0, 1)),
        ("x[2],x[0],x[1]", (2, 0, 1)),
        (" X , Z , Y ", (0, 2, 1)),
        ("pos_z,pos_x,pos_y", (2, 0, 1)),
        ("0,1,2", (0, 1, 2)),
        ("# y,x,z", (1, 0, 2)),
        ("# made by hand\n\n# y, z, x", (1, 2, 0)),
        ("\ufeffy,x,z", (1, 0, 2)),
    ],
)
def test_columns_are_taken_by_name(tmp_path: Path, header: str, order: tuple[int, ...]) -> None:
    path = table(tmp_path / "t.csv", header, X[:, order])
    np.testing.assert_allclose(read_tokens(path, 3).x, X, atol=1e-15)


@pytest.mark.parametrize("mark", [",", ";", "\t", " ", "   ", ", "])
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_what_stands_between_columns(tmp_path: Path, mark: str, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    named = table(path, mark.join(["z", "mass", "x", "y"]), np.c_[X[:, 2], MASS, X[:, :2]], mark)
    found = read_tokens(named, 3)
    np.testing.assert_allclose(found.x, X, atol=1e-15)
    assert found.weights is not None
    np.testing.assert_array_equal(found.weights, MASS)
    assert found.taken == "columns x, y, z; weights mass"
    path.write_text("\n".join(mark.join(map(repr, row)) for row in X.tolist()), "utf-8")
    bare = read_tokens(path, 3)
    np.testing.assert_allclose(bare.x, X, atol=1e-15)
    assert bare.taken == "columns 1 to 3"


def test_columns_beside_the_coordinates(tmp_path: Path) -> None:
    # As ParaView writes them, with an index as pandas does; velocities are no coordinates.
    names = ',velocity:0,velocity:1,velocity:2,"Points:0","Points:1","Points:2",Weight'
    columns = np.column_stack([np.arange(5), 2.0 * X, X, MASS])
    found = read_tokens(table(tmp_path / "t.csv", names, columns), 3)
    np.testing.assert_allclose(found.x, X, atol=1e-15)
    assert found.weights is not None and found.weights.tolist() == MASS.tolist()
    plane = X[:, :2] / np.linalg.norm(X[:, :2], axis=1, keepdims=True)
    flat = table(tmp_path / "u.csv", "x,y,z", np.column_stack([plane, np.zeros(5)]))
    np.testing.assert_allclose(read_tokens(flat, 2).x, plane, atol=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c,e\n1,0,0,0\n", "the columns a, b, c, e found"),
        ("a,b,c\n1,0,0\n", "the columns a, b, c found, d = 3 coordinates expected by name: x, y"),
        ("velocity:0,velocity:1,velocity:2\n1,0,0\n", "coordinates expected by name"),
        ("x,x,y,z\n1,1,0,0\n", "two columns 'x'"),
        ("x,y,z,mass,weight\n1,0,0,1,1\n", "mass and weight found, one of them"),
        ("x1,x2,x3,x4\n1,0,0,0\n", "4 coordinates, d = 3"),
        ("x,y\n1,0\n", "2 coordinates, d = 3"),
        ("0.6,0.8,0,1\n0.6,0.8,0,1\n", "4 columns without a header found, 3 expected"),
        ("1,0\n0,1\n", "2 columns without a header"),
        ("x;y;z\n0,6;0,8;0\n", "numbers such as 0,6 found, decimal points"),
        ("x,y,z\n", r"shape \(0, 3\)|no rows"),
        ("", "no rows found"),
        ("# nothing\n", "no rows found"),
        ("x,y,z\n1,0,0\n1,0\n", "cannot be read"),
        ("x,y,z\n1,0,nan\n", "point 0 is .*nan.* finite"),
        ("x,y,z,mass\n1,0,0,-1\n", r"weight 0 is -1\.0 .* >= 0 expected"),
        ("x,y,z,mass\n1,0,0,0\n", "weights that are all 0"),
        ("x,y,z,mass\n1,0,0,inf\n", "weight 0 is inf"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message):
        read_tokens(path, 3)


def test_whole_numbers_may_be_tokens(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("0,1\n1,0\n", "utf-8")
    with pytest.raises(InputError, match="may be a header or a token"):
        read_tokens(path, 2)
    path.write_text("0.,1.\n1,0\n", "utf-8")
    assert len(read_tokens(path, 2).x) == 2
    path.write_text("x,y\n0,1\n1,0\n", "utf-8")
    assert read_tokens(path, 2).x.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_arrays_with_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", tokens=X, other=np.eye(2), mass=MASS)
    found = read_tokens(tmp_path / "a.npz", 3)
    np.testing.assert_allclose(found.x, X, atol=1e-15)
    assert found.weights is not None and found.taken == "array tokens; weights mass"
    np.savez(tmp_path / "b.npz", one=X, two=X)
    with pytest.raises(InputError, match="arrays one, two found"):
        read_tokens(tmp_path / "b.npz", 3)
    np.savez(tmp_path / "c.npz", x=X, weights=MASS[:3])
    with pytest.raises(InputError, match=r"weights of shape \(3,\) found"):
        read_tokens(tmp_path / "c.npz", 3)
    fields = np.empty(5, dtype=[("z", "f4"), ("x", "f8"), ("y", "f8"), ("mass", "f4")])
    fields["x"], fields["y"], fields["z"], fields["mass"] = *X.T, MASS
    np.save(tmp_path / "d.npy", fields)
    found = read_tokens(tmp_path / "d.npy", 3)
    np.testing.assert_allclose(found.x, X, atol=1e-6)
    cloud = pyvista.PolyData(X)
    cloud.point_data["mass"] = MASS
    cloud.save(tmp_path / "e.vtp")
    assert read_tokens(tmp_path / "e.vtp", 3).taken == "points; weights mass"


def test_few_digits(tmp_path: Path) -> None:
    for name, x in (("half", X.astype(np.float16)), ("four", np.round(X, 4)), ("big", 1e200 * X)):
        path = tmp_path / f"{name}.npy"
        np.save(path, x)
        with pytest.raises(InputError, match=r"point \d has length .*solver\.normalise = true"):
            read_tokens(path, 3)
        found = read_tokens(path, 3, normalise=True).x
        np.testing.assert_allclose(found, X, atol=2e-3)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=0.0, atol=5e-16)
    np.save(path, np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"point 0 .* a direction expected"):
        read_tokens(path, 3, normalise=True)


class _Payload:
    """What a pickle may do to who reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickles_are_not_run(tmp_path: Path, suffix: str) -> None:
    trap, path = tmp_path / "trap", tmp_path / f"t{suffix}"
    objects = np.empty(2, dtype=object)
    objects[:] = [_Payload(trap), _Payload(trap)]
    write(path, objects)
    pickle.loads(pickle.dumps(_Payload(trap)))  # it would
    trap.rmdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_tokens(path, 3)
    bare = io.BytesIO()
    pickle.dump(_Payload(trap), bare)
    path.write_bytes(bare.getvalue())  # numpy reads these too, if it may
    with pytest.raises(InputError, match="cannot be read"):
        read_tokens(path, 3)
    assert not trap.exists()


def test_files_that_hold_no_tokens(tmp_path: Path) -> None:
    cases: list[tuple[str, Any, str]] = [
        ("a.npy", b"", "cannot be read"),
        ("b.npy", b"\x93NUMPY\x01\x00", "cannot be read"),
        ("c.csv", b"1,2\n3\n", "2 columns without a header"),
        ("e.vtp", b"<VTKFile", "cannot be read|n rows"),
        ("f.npy", np.array(["x"]), "n rows of d = 3"),
        ("g.npy", np.zeros((0, 3)), "n rows of d = 3"),
        ("h.npy", np.full((2, 3), np.nan), "point 0"),
        ("i.npy", np.array([X[0], 1e300 * X[1]]), "point 1 has length inf"),
        ("j.npy", X + 0j, "array of complex128"),
        ("k.txt", b"\xff\xfe1\x00", "cannot be read"),
        ("l.npz", b"PK\x03\x04", "cannot be read"),
    ]
    for name, content, message in cases:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        for normalise in (False, True):
            if normalise and name == "i.npy":
                continue
            with pytest.raises(InputError, match=message):
                read_tokens(path, 3, normalise=normalise)
    write(tmp_path / "tokens.npy", X)
    with pytest.raises(InputError, match=r"did you mean 'tokens\.npy'"):
        read_tokens(tmp_path / "token.npy", 3)
    with pytest.raises(InputError, match=r"\.npy, \.npz, \.csv, \.txt"):
        read_tokens(tmp_path / "tokens.xls", 3)


@pytest.mark.parametrize("solver", ["particles", "layers"])
def test_weights_of_a_file_are_those_of_the_solver(tmp_path: Path, solver: str) -> None:
    path = table(tmp_path / "t.csv", "x,y,z,mass", np.column_stack([np.round(X, 4), MASS]))
    options = {"type": solver, "tokens": str(path)} | ({"layers": 10} if solver == "layers" else {})
    with pytest.raises(InputError, match=r"solver\.normalise = true"):
        mf.run(small_tokens(solver=options, time__end=0.1), progress=False)
    case = small_tokens(solver={**options, "normalise": True}, time__end=0.1)
    found: Any = mf.run(case, progress=False).solver
    np.testing.assert_allclose(found.weights, MASS / 10.0)
