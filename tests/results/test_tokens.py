"""Particle files: what VTK reads is what was written; killed, resumed and refused writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from processes import Job
from viewer import Viewer, each_end, end_a_writer, file_of, whole_steps

from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.mesh import icosphere
from meanfield.geometry.sphere import (
    Array,
    normalize,
    random_rotation,
    tangent_project,
    uniform_points,
)
from meanfield.results.formats import INNER_PRODUCT_EDGES, read_fields, read_tokens_file
from meanfield.results.formats.vtkhdf import temporal
from meanfield.results.formats.vtkhdf.fields import FieldWriter
from meanfield.results.formats.vtkhdf.tokens import TokenWriter

TIMES = [0.0, 0.1, 1.0, 2.5]


class Tokens:
    """Tokens that gather at the last axis; those with an even number are one cluster."""

    def __init__(self, n: int, d: int) -> None:
        self.n, self.d = n, d
        rng = np.random.default_rng(100 * d + n)
        self.start = uniform_points(n, d, rng)
        self.masses = rng.dirichlet(np.ones(n))

    def at(self, t: float) -> tuple[Array, NDArray[np.int64], Array]:
        axis = np.eye(self.d)[-1]
        x = normalize(self.start + t * axis)
        velocity = tangent_project(x, np.broadcast_to(axis, x.shape))
        return x, np.arange(self.n) % 2 + round(10 * t), velocity

    def write(
        self, path: Path, times: list[float], resume_at: float | None = None, **options: Any
    ) -> None:
        options.setdefault("masses", self.masses)
        with TokenWriter(path, self.d, self.n, resume_at=resume_at, **options) as writer:
            for t in times:
                writer.write(t, *self.at(t))


def in_space(values: Array) -> Array:
    """Three coordinates, as ParaView shows them."""
    if values.shape[1] == 2:
        return np.column_stack([values, np.zeros(len(values))])
    return values[:, :3]


# -- what others read ---------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (40, 2), (500, 3), (30, 8)])
def test_pyvista_reads_every_step(
    tmp_path: Path, n: int, d: int, precision: str, compression: str
) -> None:
    pyvista = pytest.importorskip("pyvista")
    tokens = Tokens(n, d)
    path = tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES, precision=precision, compression=compression)

    reader = pyvista.get_reader(str(path)).reader
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == len(TIMES)
    information = reader.GetOutputInformation(0)
    assert information.Get(type(reader.GetExecutive()).TIME_STEPS()) == tuple(TIMES)
    places = []
    for k in (2, 0, 3, 1):  # out of order: steps are read independently
        reader.SetStep(k)
        reader.Modified()
        reader.Update()
        grid = pyvista.wrap(reader.GetOutput())
        x, cluster, velocity = tokens.at(TIMES[k])
        np.testing.assert_array_equal(grid.points, in_space(x).astype(precision))
        np.testing.assert_array_equal(grid["velocity"], in_space(velocity).astype(precision))
        np.testing.assert_array_equal(grid["cluster"], cluster)
        np.testing.assert_array_equal(grid["id"], np.arange(n))
        np.testing.assert_array_equal(grid["mass"], tokens.masses)
        if d > 3:
            np.testing.assert_array_equal(grid["coordinates"], x.astype(precision))
        assert ("coordinates" in grid.point_data) == (d > 3)
        assert grid["cluster"].dtype == grid["id"].dtype == np.int32
        assert grid.points.dtype == grid["velocity"].dtype == precision
        # One vertex cell a token, the k-th of the k-th point.
        assert set(grid.celltypes) == {1}
        np.testing.assert_array_equal(grid.cells.reshape(n, 2)[:, 1], np.arange(n))
        places.append(np.array(grid.points))
    assert np.abs(places[0] - places[1]).max() > 0.1, "the points do not move"


def test_layout_is_that_of_the_specification(tmp_path: Path) -> None:
    tokens = Tokens(7, 3)
    path = tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES)
    with h5py.File(path) as file:
        root = file["VTKHDF"]
        assert root.attrs["Version"].tolist() == [2, 2]
        assert root.attrs["Type"] == b"UnstructuredGrid"
        assert root["NumberOfPoints"][:].tolist() == [7]
        assert root["NumberOfCells"][:].tolist() == [7]
        assert root["NumberOfConnectivityIds"][:].tolist() == [7]
        # Cells are stored once, points for every step.
        assert root["Connectivity"][:].tolist() == list(range(7))
        assert root["Offsets"][:].tolist() == list(range(8))
        assert root["Types"][:].tolist() == [1] * 7
        assert root["Points"].shape == (28, 3)
        steps = root["Steps"]
        assert steps.attrs["NSteps"] == 4
        assert steps["Values"][:].tolist() == TIMES
        assert steps["NumberOfParts"][:].tolist() == [1] * 4
        assert steps["PointOffsets"][:].tolist() == [0, 7, 14, 21]
        for name in ("PartOffsets", "CellOffsets", "ConnectivityIdOffsets"):
            assert not steps[name][:].any() and len(steps[name]) == 4
        offsets = {name: values[:].tolist() for name, values in steps["PointDataOffsets"].items()}
        moving, still = [0, 7, 14, 21], [0] * 4
        assert offsets == {"cluster": moving, "velocity": moving, "id": still, "mass": still}
        assert root["PointData/id"].shape == root["PointData/mass"].shape == (7,)
        assert root["PointData/id"].dtype == root["PointData/cluster"].dtype == np.int32
        assert file["meanfield"].attrs["d"] == 3


@pytest.mark.parametrize(("n", "d"), [(1, 2), (1, 9), (2, 4), (300, 3), (50, 128)])
def test_read_tokens_file_gives_back_what_was_written(tmp_path: Path, n: int, d: int) -> None:
    tokens = Tokens(n, d)
    path = tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES, precision="float64")
    back = read_tokens_file(path)
    assert back.times.tolist() == TIMES
    assert (back.n, back.d) == (n, d)
    names = {"cluster", "velocity", "coordinates"} if d > 3 else {"cluster", "velocity"}
    assert set(back.names) == names and set(back.static) == {"id", "mass"}
    for k, t in enumerate(TIMES):
        x, cluster, velocity = tokens.at(t)
        np.testing.assert_array_equal(back.points(k), in_space(x))
        np.testing.assert_array_equal(back.coordinates(k), x)
        assert back.coordinates(k).dtype == np.float64
        np.testing.assert_array_equal(back.read("velocity", k), in_space(velocity))
        np.testing.assert_array_equal(back.read("cluster", k), cluster)
        assert back.read("cluster", k).dtype == np.int64
    np.testing.assert_array_equal(back.points(-1), back.points(3))
    np.testing.assert_array_equal(back.coordinates(-1), tokens.at(TIMES[-1])[0])
    np.testing.assert_array_equal(back.read("mass"), tokens.masses)
    np.testing.assert_array_equal(back.read("id"), np.arange(n))
    with pytest.raises(IndexError, match="step 4 of"):
        back.points(4)
    with pytest.raises(IndexError, match="step 4 of"):
        back.coordinates(4)
    with pytest.raises(InputError, match="did you mean 'cluster'"):
        back.read("clusters", 0)


def test_masses_are_equal_unless_given(tmp_path: Path) -> None:
    path = tmp_path / "particles.vtkhdf"
    Tokens(8, 3).write(path, TIMES, masses=None)
    np.testing.assert_array_equal(read_tokens_file(path).read("mass"), np.full(8, 0.125))


def test_single_precision_keeps_the_length_to_1e_7(tmp_path: Path) -> None:
    path = tmp_path / "particles.vtkhdf"
    Tokens(2000, 3).write(path, [0.0])
    length = np.linalg.norm(read_tokens_file(path).points(0), axis=1)
    assert 1e-9 < np.abs(length - 1.0).max() < 1.2e-7


# -- more than three dimensions -------------------------------------------------------------------


def test_a_frame_chooses_the_coordinates_shown(tmp_path: Path) -> None:
    tokens = Tokens(20, 6)
    frame = random_rotation(6, np.random.default_rng(4))[:3]
    path = tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES, frame=frame, precision="float64")
    back = read_tokens_file(path)
    assert back.frame is not None
    np.testing.assert_array_equal(back.frame, frame)
    x, _, velocity = tokens.at(1.0)
    np.testing.assert_allclose(back.points(2), x @ frame.T, atol=1e-15)
    np.testing.assert_allclose(back.read("velocity", 2), velocity @ frame.T, atol=1e-15)

    default = tmp_path / "default.vtkhdf"
    tokens.write(default, TIMES)
    np.testing.assert_array_equal(read_tokens_file(default).frame, np.eye(3, 6))
    with pytest.raises(ValueError, match="orthonormal"):
        TokenWriter(path, 6, 20, frame=2.0 * frame)
    with pytest.raises(ValueError, match=r"expected \(3, 6\)"):
        TokenWriter(path, 6, 20, frame=frame[:2])
    with pytest.raises(ValueError, match="d = 3 needs none"):
        TokenWriter(path, 3, 20, frame=np.eye(3))


def test_pyvista_reads_coordinates_of_any_number(tmp_path: Path) -> None:
    tokens, path = Tokens(20, 768), tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES)
    for k in (2, 0):
        grid = Viewer(path).step(k)
        np.testing.assert_array_equal(
            grid["coordinates"], tokens.at(TIMES[k])[0].astype(np.float32)
        )


def test_coordinates_are_left_out_where_they_are_not_wanted(tmp_path: Path) -> None:
    tokens, path = Tokens(300, 40), tmp_path / "particles.vtkhdf"
    tokens.write(tmp_path / "all.vtkhdf", TIMES, compression="none")
    tokens.write(path, TIMES[:3], compression="none", coordinates=False)
    tokens.write(path, TIMES[3:], compression="none", coordinates=False, resume_at=TIMES[2])
    back = read_tokens_file(path)
    np.testing.assert_array_equal(back.points(3), tokens.at(2.5)[0][:, :3].astype(np.float32))
    with pytest.raises(InputError, match=r"projections of tokens in d = 40 .*output.coordinates"):
        back.coordinates(3)
    # n d numbers of 4 bytes at each step are what they cost.
    more = (tmp_path / "all.vtkhdf").stat().st_size - path.stat().st_size
    assert more == pytest.approx(4 * 300 * 40 * len(TIMES), rel=0.05)
    with pytest.raises(InputError, match=r"resume with the output\.coordinates of the run"):
        tokens.write(tmp_path / "all.vtkhdf", [3.0], coordinates=False, resume_at=2.5)


def test_a_file_of_before_coordinates_goes_on_without(tmp_path: Path) -> None:
    tokens, path = Tokens(20, 6), tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES[:2], coordinates=False)  # as earlier versions wrote it
    tokens.write(path, TIMES[2:], resume_at=TIMES[1])
    back = read_tokens_file(path)
    assert back.times.tolist() == TIMES and set(back.names) == {"cluster", "velocity"}
    np.testing.assert_array_equal(back.points(3), tokens.at(2.5)[0][:, :3].astype(np.float32))


def test_chunks_are_what_hdf5_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of wide rows is cut into equal chunks; one of narrow rows never is."""
    monkeypatch.setattr(temporal, "_LARGEST_CHUNK", 300)
    tokens, path = Tokens(101, 20), tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES, precision="float64")
    with h5py.File(path) as file:
        data = file["VTKHDF/PointData"]
        assert data["coordinates"].chunks == (34, 20)  # three of them
        assert data["velocity"].chunks == (101, 3)
    for k, t in enumerate(TIMES):
        np.testing.assert_array_equal(read_tokens_file(path).coordinates(k), tokens.at(t)[0])


def test_inner_products_of_all_pairs(tmp_path: Path) -> None:
    tokens = Tokens(60, 5)
    path = tmp_path / "particles.vtkhdf"
    tokens.write(path, TIMES)
    back = read_tokens_file(path)
    i, j = np.triu_indices(60, 1)
    for k, t in enumerate(TIMES):
        x = tokens.at(t)[0]
        weights = tokens.masses[i] * tokens.masses[j]
        exact, _ = np.histogram((x @ x.T)[i, j], INNER_PRODUCT_EDGES, weights=weights)
        np.testing.assert_allclose(back.inner_products(k), exact / exact.sum(), atol=1e-15)
    with pytest.raises(IndexError):
        back.inner_products(4)


def test_inner_products_of_many_tokens_are_those_of_a_sample(tmp_path: Path) -> None:
    """Uniform tokens in d = 4: the density of <x, y> is (2 / pi) sqrt(1 - s^2)."""
    n, path = 5000, tmp_path / "particles.vtkhdf"
    x = uniform_points(n, 4, np.random.default_rng(1))
    label, zero = np.zeros(n, dtype=np.int64), np.zeros_like(x)
    with TokenWriter(path, 4, n) as writer:
        writer.write(0.0, x, label, zero)
        writer.write(1.0, np.broadcast_to(x[:1], x.shape), label, zero)
    back = read_tokens_file(path)
    s = INNER_PRODUCT_EDGES
    below = (np.arcsin(s) + s * np.sqrt(1.0 - s**2)) / np.pi + 0.5
    np.testing.assert_allclose(np.cumsum(back.inner_products(0)), below[1:], atol=0.006)
    # Tokens in one place have the inner product 1, which round-off may exceed.
    assert back.inner_products(1)[-1] == 1.0 and back.inner_products(1).sum() == 1.0


def test_inner_products_where_there_are_none(tmp_path: Path) -> None:
    Tokens(1, 7).write(tmp_path / "one", [0.0])
    assert not read_tokens_file(tmp_path / "one").inner_products(0).any()
    Tokens(9, 3).write(tmp_path / "sphere", [0.0])
    with pytest.raises(InputError, match="kept for d > 3 only"):
        read_tokens_file(tmp_path / "sphere").inner_products(0)


# -- size -----------------------------------------------------------------------------------------


def test_a_hundred_thousand_tokens(tmp_path: Path) -> None:
    """28 bytes a token and step, less what gzip finds; what never changes is stored once."""
    n = 100_000
    tokens = Tokens(n, 3)
    path = tmp_path / "particles.vtkhdf"
    tokens.write(path, list(np.linspace(0.0, 2.0, 10)), masses=None)
    size = path.stat().st_size
    once = 3 * 8 * n
    assert size < 0.9 * (28 * 10 * n + once)
    np.testing.assert_array_equal(Viewer(path).step(9).points, tokens.at(2.0)[0].astype(np.float32))


# -- refused values -------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 6])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["position", "velocity"])
def test_non_finite_values_are_refused_and_leave_the_file_as_it_was(
    tmp_path: Path, which: str, bad: float, d: int
) -> None:
    tokens = Tokens(30, d)
    path = tmp_path / "particles.vtkhdf"
    with TokenWriter(path, d, 30) as writer:
        writer.write(0.0, *tokens.at(0.0))
        x, cluster, velocity = tokens.at(1.0)
        (x if which == "position" else velocity)[5, d - 1] = bad  # d = 6: not in the frame
        with pytest.raises(
            BrokenInvariantError, match=rf"the {which} of the tokens at t = 1 .* 1 of 30 .*token 5"
        ):
            writer.write(1.0, x, cluster, velocity)
        assert (writer.steps, writer.last_time) == (1, 0.0)
        writer.write(1.0, *tokens.at(1.0))
    back = read_tokens_file(path)
    assert back.times.tolist() == [0.0, 1.0]
    assert np.isfinite(back.points(1)).all() and np.isfinite(back.read("velocity", 1)).all()


def test_too_large_for_float32_names_the_remedy(tmp_path: Path) -> None:
    tokens = Tokens(4, 3)
    x, cluster, velocity = tokens.at(0.0)
    with TokenWriter(tmp_path / "a", 3, 4) as writer:
        with pytest.raises(BrokenInvariantError, match=r'output\.precision = "float64"'):
            writer.write(0.0, x, cluster, 1e40 * velocity)
    with TokenWriter(tmp_path / "b", 3, 4, precision="float64") as writer:
        writer.write(0.0, x, cluster, 1e40 * velocity)
    np.testing.assert_array_equal(
        read_tokens_file(tmp_path / "b").read("velocity"), 1e40 * velocity
    )


def test_misuse_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(InputError, match=r"output\.precision = 'float23'.*did you mean 'float32'"):
        TokenWriter(path, 3, 5, precision="float23")
    with pytest.raises(InputError, match=r"output\.compression = 'zip'"):
        TokenWriter(path, 3, 5, compression="zip")
    with pytest.raises(ValueError, match="expected n >= 1 and d >= 2"):
        TokenWriter(path, 3, 0)
    with pytest.raises(ValueError, match=r"masses of shape \(4,\)"):
        TokenWriter(path, 3, 5, masses=np.full(4, 0.25))
    assert not path.exists()
    tokens = Tokens(5, 3)
    x, cluster, velocity = tokens.at(1.0)
    with TokenWriter(path, 3, 5) as writer:
        writer.write(1.0, x, cluster, velocity)
        with pytest.raises(ValueError, match=r"above 1\.0"):
            writer.write(1.0, x, cluster, velocity)
        with pytest.raises(ValueError, match=r"position of shape \(4, 3\)"):
            writer.write(2.0, x[:4], cluster, velocity)
        with pytest.raises(ValueError, match=r"velocity of shape \(5, 2\)"):
            writer.write(2.0, x, cluster, velocity[:, :2])
        with pytest.raises(ValueError, match=r"type float64: expected \(5,\) integers"):
            writer.write(2.0, x, cluster.astype(float), velocity)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"expected below 2\^31"):
            writer.write(2.0, x, cluster + 2**31, velocity)
    assert read_tokens_file(path).times.tolist() == [1.0]


# -- killed and resumed runs ----------------------------------------------------------------------

_WRITER = """
import os, sys
import numpy as np
from meanfield.geometry.sphere import uniform_points
from meanfield.results.formats.vtkhdf.tokens import TokenWriter
x = uniform_points(500, 4, np.random.default_rng(0))
writer = TokenWriter(sys.argv[1], 4, 500)
k = 0
while True:
    if sys.argv[2] == "exit" and k == 5:
        for name in ("Points", "PointData/velocity"):  # a step begun, not finished
            data = writer._file["VTKHDF"][name]
            data.resize(3000, axis=0)
            data[-500:] = 99.0
        os._exit(1)
    writer.write(0.5 * k, (-1.0) ** k * x, np.full(500, k), k * x)
    print(k, flush=True)
    k += 1
"""


@each_end
def test_a_killed_writer_leaves_a_file_that_is_read_and_resumed(
    tmp_path: Path, start: Callable[..., Job], how: str
) -> None:
    path = tmp_path / "particles.vtkhdf"
    end_a_writer(start, _WRITER, path, how)

    x = uniform_points(500, 4, np.random.default_rng(0))
    shown = x[:, :3].astype(np.float32)
    back = read_tokens_file(path)
    viewer = whole_steps(path, back.times, how)
    for k in range(len(back.times)):
        np.testing.assert_array_equal(back.points(k), (-1.0) ** k * shown)
        assert set(back.read("cluster", k)) == {k}
        assert back.inner_products(k).sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(viewer.step(3).points, -shown)

    with TokenWriter(path, 4, 500, resume_at=1.7) as writer:
        assert (writer.steps, writer.last_time) == (4, 1.5)
        writer.write(1.8, x, np.full(500, 7), x)
    again = read_tokens_file(path)
    assert again.times.tolist() == [0.0, 0.5, 1.0, 1.5, 1.8]
    assert [again.read("cluster", k)[3] for k in range(5)] == [0, 1, 2, 3, 7]
    np.testing.assert_array_equal(again.points(4), shown)


def test_whatever_is_on_disk_between_flushes_is_a_valid_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill may come after any flush: VTK crashes if Values is longer than NSteps says."""
    pytest.importorskip("pyvista")
    tokens = Tokens(12, 5)
    path, copy = tmp_path / "particles.vtkhdf", tmp_path / "copy.vtkhdf"
    flush = h5py.File.flush
    seen = []

    def checked(file: h5py.File) -> None:
        flush(file)
        copy.write_bytes(file_of(path).read_bytes())
        with h5py.File(copy, "r") as other:
            steps = other["VTKHDF/Steps"]
            count, times = int(steps.attrs["NSteps"]), steps["Values"][:]
            assert len(times) <= count
            for name in ("NumberOfParts", "PartOffsets", "CellOffsets", "ConnectivityIdOffsets"):
                assert len(steps[name]) >= count
            ends = {"Points": steps["PointOffsets"][:count] + 12}
            for name, offsets in steps["PointDataOffsets"].items():
                ends[f"PointData/{name}"] = offsets[:count] + 12
            for name, end in ends.items():
                assert len(end) == count and (end <= len(other["VTKHDF"][name])).all()
            assert len(other["meanfield/inner_products"]) >= count
        seen.append((count, len(times)))
        back = read_tokens_file(copy)
        assert back.times.tolist() == TIMES[: len(times)]
        for k, t in enumerate(back.times):
            x = tokens.at(t)[0]
            np.testing.assert_array_equal(back.points(k), in_space(x).astype(np.float32))
            assert back.inner_products(k).sum() == pytest.approx(1.0)
        if count > 1:  # VTK takes a single step for no series at all
            viewer = Viewer(copy)
            assert len(viewer) == count
            assert np.isfinite(viewer.step(count - 1).points).all()

    monkeypatch.setattr(h5py.File, "flush", checked)
    tokens.write(path, TIMES)
    tokens.write(path, TIMES[2:], resume_at=TIMES[1])
    assert {count - times for count, times in seen} >= {0, 1}  # the states in between did occur
    assert seen[-1] == (4, 4)


def test_a_reader_may_have_the_file_open_while_it_grows(tmp_path: Path) -> None:
    tokens = Tokens(10, 3)
    path = tmp_path / "particles.vtkhdf"
    with TokenWriter(path, 3, 10) as writer:
        assert not path.exists()  # until it can be read
        for k in range(3):
            writer.write(float(k), *tokens.at(k))
            with h5py.File(path, "r", locking=False):  # stays open during the next line
                back = read_tokens_file(path)
                assert len(back.times) == k + 1
                expected = tokens.at(k)[0].astype(np.float32)
                np.testing.assert_array_equal(back.points(k), expected)


@pytest.mark.parametrize("d", [2, 3, 7])
def test_resumed_series_equals_the_uninterrupted_one(tmp_path: Path, d: int) -> None:
    tokens = Tokens(25, d)
    whole, parts = tmp_path / "whole.vtkhdf", tmp_path / "parts.vtkhdf"
    tokens.write(whole, [0.0, 0.5, 1.0, 1.5, 2.0])
    tokens.write(parts, [0.0, 0.5, 1.0, 1.25, 1.3])  # went beyond its checkpoint at 1.0
    tokens.write(parts, [1.5, 2.0], resume_at=1.0)
    a, b = read_tokens_file(whole), read_tokens_file(parts)
    np.testing.assert_array_equal(a.times, b.times)
    for k in range(5):
        np.testing.assert_array_equal(a.points(k), b.points(k))
        np.testing.assert_array_equal(a.coordinates(k), b.coordinates(k))
        for name in ("cluster", "velocity", "id", "mass"):
            np.testing.assert_array_equal(a.read(name, k), b.read(name, k))
        if d > 3:
            np.testing.assert_array_equal(a.inner_products(k), b.inner_products(k))
    np.testing.assert_array_equal(Viewer(parts).step(3).points, a.points(3).astype(np.float32))


def test_resuming_before_everything_starts_over(tmp_path: Path) -> None:
    tokens = Tokens(6, 2)
    path = tmp_path / "particles.vtkhdf"
    tokens.write(path, [1.0, 2.0])
    tokens.write(path, [0.5], resume_at=0.0)
    assert read_tokens_file(path).times.tolist() == [0.5]


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    tokens = Tokens(6, 5)
    path = tmp_path / "particles.vtkhdf"
    with pytest.raises(InputError, match="no particle file"):
        TokenWriter(path, 5, 6, resume_at=1.0)
    tokens.write(path, [0.0, 1.0])
    before = path.read_bytes()
    masses = tokens.masses
    with pytest.raises(InputError, match="found 6 of dimension 5, expected 7 of dimension 5"):
        TokenWriter(path, 5, 7, resume_at=1.0)
    with pytest.raises(InputError, match="expected 6 of dimension 3"):
        TokenWriter(path, 3, 6, masses=masses, resume_at=1.0)
    with pytest.raises(InputError, match="found other masses"):
        TokenWriter(path, 5, 6, resume_at=1.0)
    with pytest.raises(InputError, match="found another frame"):
        TokenWriter(path, 5, 6, masses=masses, frame=np.eye(5)[[1, 2, 3]], resume_at=1.0)
    with pytest.raises(InputError, match="found float32, expected float64"):
        TokenWriter(path, 5, 6, masses=masses, precision="float64", resume_at=1.0)
    assert path.read_bytes() == before


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "particles.vtkhdf"
    with pytest.raises(InputError, match="no particle file"):
        read_tokens_file(path)
    path.write_text("not HDF5")
    with pytest.raises(InputError, match="damaged or was written by another program"):
        read_tokens_file(path)
    with FieldWriter(path, icosphere(1), names={"rho": 1}) as writer:
        writer.write(0.0, {"rho": np.ones(42)})
    with pytest.raises(InputError, match="cannot be read as a particle file"):
        read_tokens_file(path)
    tokens = Tokens(200, 3)
    tokens.write(path, [0.0, 1.0])
    with pytest.raises(InputError, match="cannot be read as a field file"):
        read_fields(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="damaged or was written by another program"):
        tokens.write(path, [2.0], resume_at=1.0)
