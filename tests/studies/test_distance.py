"""Distances between files of tokens and runs: from Python, and by the verb."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from cases import ZONAL, plain, run, small_tokens
from processes import needs_dolfinx
from scipy.stats import wasserstein_distance

import meanfield as mf
from meanfield import cli
from meanfield.cli import distance as cli_distance
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.studies import distance as module
from meanfield.studies.sides import read_side


def say(*words: str) -> int:
    return cli.main(["distance", *words])


def turned(x: Array, angle: float) -> Array:
    """Turned in the plane of the first two axes."""
    turn = np.eye(x.shape[1])
    turn[:2, :2] = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    return x @ turn


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clouds a and b in R^5: 40 points near the equator of the first plane, and turned by 0.3."""
    monkeypatch.chdir(tmp_path)
    circle = np.zeros((40, 5))
    circle[:, 0] = 1.0
    x = turned(circle, 0.0)
    x[:, 2] = np.linspace(-1e-3, 1e-3, 40)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.save("a.npy", x)
    np.save("b.npy", turned(x, 0.3))
    np.savez("a.npz", x=x, mass=np.ones(40))
    np.savetxt("a.csv", x, delimiter=",")
    return tmp_path


def test_a_turned_cloud_is_as_far_as_it_was_turned(files: Path) -> None:
    for p in (1, 2):
        found = mf.distance("a.npy", "b.npy", p=p, permutations=99)
        assert found.transport.distance == pytest.approx(0.3, rel=1e-6)
        assert found.low <= found.transport.distance <= found.high < 0.3 + 1e-6
    energy, mmd = found.tests
    assert (energy.statistic, mmd.statistic, found.points) == ("energy", "mmd", (40, 40))
    # Two tight clouds: twice the chord between them.
    assert energy.distance**2 == pytest.approx(4.0 * math.sin(0.15), rel=1e-2)
    assert energy.p_value == mmd.p_value == 0.01
    assert mf.distance("a.npy", "a.npy", permutations=9).tests[0].p_value == 1.0


def test_the_verb(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("a.npy", "b.npy", "--permutations", "99") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"meanfield: {x}.npy: 40 tokens on S^4" for x in "ab"]
    assert lines[2].startswith("W2      0.3, between 0.3 and 0.3 rad (exact)")
    assert "p = 0.01 (40 against 40 points, 99 permutations)" in lines[3]
    assert lines[4].startswith("mmd ") and "width" in lines[4]
    assert say("a.npy", "b.npy", "--test", "none", "--p", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[2].startswith("W1 ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.npy", "c.npy"], "c.npy: no such folder or file (did you mean"),
        (["a.npy", "b.npy", "--d", "4"], "n rows of d = 4 numbers expected"),
        (["a.npy", "b.npy", "--d", "1"], "d = 1 found, at least 2 expected"),
        (["a.npy", "b.npy", "--p", "3"], "argument --p: invalid choice"),
        (["a.npy", "b.npy", "--test", "enery"], "did you mean 'energy'?"),
        (["a.npy", "b.npy", "--permutations", "0"], "permutations = 0 found"),
        (["a.npy", "b.npy", "--seed", "-1"], "seed"),
        (["a.npy", "b.npy", "--time", "inf"], "time inf found, a finite"),
        (["a.npy", "b.npy", "--time", "1"], "time 1 found for two files of tokens, which have"),
        (["a.csv", "a.csv"], "5 columns without a header found, 3 expected, or"),
        (["a.csv", "a.csv"], "(--d D, in Python d = D, tells another dimension)"),
        (["a.npy", "nothing"], "nothing: no such folder or file, expected the folder of a run, or"),
        (["a.npy", "empty"], "empty"),
    ],
)
def test_refused_in_one_line(
    words: list[str], message: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "empty").mkdir()
    assert say(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith("meanfield: error: ") and message in err and err.count("\n") == 1


def test_the_dimension_is_that_of_either_file(files: Path) -> None:
    for one, two in (("a.npz", "a.npz"), ("a.csv", "b.npy"), ("a.csv", "a.npz")):
        known = 0.3 if two == "b.npy" else 0.0
        assert mf.distance(one, two, tests=()).transport.distance == pytest.approx(known, abs=1e-5)
    assert mf.distance("a.csv", "a.csv", d=5, tests=()).transport.distance < 1e-5


def test_what_takes_long_is_told_or_refused(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a comparison: 20 000 points in d > 4, bounds of more than 100 000 on S^2."""
    monkeypatch.setattr(cli_distance, "_LONG", 1e-6)
    assert say("a.npy", "b.npy", "--test", "none") == 0
    assert capsys.readouterr().err == "meanfield: W2 of 40 and 40 points takes about 0 s\n"
    monkeypatch.setattr(module, "MANY", 39)
    assert say("a.npy", "b.npy") == 2
    assert "40 points in d = 5 found, up to 39 expected in d > 4" in capsys.readouterr().err
    monkeypatch.setattr(module, "EXACT", 1_000)
    x = [uniform_points(1_500, d, np.random.default_rng(s)) for d in (3, 2) for s in (0, 1)]
    for name, one in zip(("p", "q", "r", "s"), x, strict=True):
        np.save(f"{name}.npy", one)
    found = mf.distance("p.npy", "q.npy", tests=()).transport
    assert found.method == "bracket" and found.lower < found.upper
    assert mf.distance("r.npy", "s.npy", tests=()).transport.method == "circle"


def test_weighted_tokens_have_a_distance_and_no_test(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mass 1/4 goes from one pole to the other: W_1 = pi / 4."""
    x = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    np.savez("w.npz", x=x, mass=[3.0, 1.0])
    np.savez("v.npz", x=x, mass=[1.0, 1.0])
    assert say("w.npz", "v.npz", "--p", "1") == 0
    out = capsys.readouterr().out
    assert f"W1     {math.pi / 4:.6g}," in out
    assert "tests  none: tokens of unequal masses are no draws" in out


# ------------------------------------------------------------------ runs


@needs_dolfinx
def test_a_density_and_its_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = {"time.end": 0.5, "time.outputs": [0.25], "output.figures": False}
    run(plain.but(times)(geometry__level=3), tmp_path / "density")
    run(small_tokens.but(times)(solver__number=400), tmp_path / "tokens")
    paths = str(tmp_path / "density"), str(tmp_path / "tokens")
    found = mf.distance(*paths, time=0.25, permutations=199)
    assert found.first.endswith("a density on sphere, t = 0.25")
    assert found.second.endswith("400 tokens on S^2, t = 0.25")
    # One over the root of the number of tokens, and a bound of what the points cost on both sides.
    assert 0.05 < found.low < found.transport.distance < found.high < 0.35
    assert found.points == (400, 400) and min(t.p_value for t in found.tests) > 0.005
    late = mf.distance(*paths, permutations=9)
    assert late.second.endswith("t = 0.5")
    np.save(tmp_path / "pole.npy", np.tile([0.0, 0.0, -1.0], (400, 1)))
    far = mf.distance(paths[0], tmp_path / "pole.npy", time=0.25, permutations=199)
    assert [t.p_value for t in far.tests] == [0.005, 0.005]
    assert say(*paths, "--time", "0.3") == 2
    assert "(the nearest: 0.25)" in capsys.readouterr().err
    assert say(paths[0], paths[0], "--test", "none") == 0
    assert "W2  0, between 0 and 0" in capsys.readouterr().out


@pytest.mark.parametrize("geometry", ["sphere", "circle", "zonal"])
def test_bounds_of_characteristics_are_those_of_their_cells(geometry: str, tmp_path: Path) -> None:
    """One law on two meshes: the distance of their vertices is not that of the densities, 0."""
    found: list[tuple[mf.Circle | mf.Sphere | mf.Zonal, ...]] = [
        (mf.Sphere(level=2), mf.Sphere(level=3)),
        (mf.Circle(vertices=16), mf.Circle(vertices=32)),
        (mf.Zonal(d=4, vertices=17), mf.Zonal(d=4, vertices=33)),
    ]
    meshes = found[["sphere", "circle", "zonal"].index(geometry)]
    for k, mesh in enumerate(meshes):
        axis = np.eye(mesh.d)[-1].tolist()
        case = mf.Case(
            geometry=mesh,
            model=mf.Model(attention="sa", beta=1.0),
            initial=mf.VonMisesFisher(axis, 2.0),
            solver=mf.Lagrangian(),
            time=mf.Time(end=0.5),
            output=mf.Output(figures=False),
        )
        mf.run(case, tmp_path / str(k), progress=False)
    apart = mf.distance(tmp_path / "0", tmp_path / "1", tests=())
    assert apart.low == 0.0 < 0.01 < apart.transport.distance
    errors = [read_side(tmp_path / str(k), meshes[0].d).error for k in (0, 1)]
    assert apart.transport.distance < sum(errors) < 6.0 * apart.transport.distance
    assert 0.4 < errors[1] / errors[0] < 0.6


@needs_dolfinx
def test_a_density_on_latitudes_and_tokens_of_r8(tmp_path: Path) -> None:
    """W_1 is SciPy's of the colatitudes; the tests see vectors."""
    case = plain(ZONAL, geometry__d=8, geometry__vertices=129, time__end=0.2, output__figures=False)
    run(case, tmp_path / "zonal")
    x = uniform_points(300, 8, np.random.default_rng(3))
    np.save(tmp_path / "x.npy", x)
    found = mf.distance(tmp_path / "x.npy", tmp_path / "zonal", p=1, permutations=99)
    measure = read_side(tmp_path / "zonal", 8).measure
    theta = np.asarray(measure.points)[:, 0]
    known = wasserstein_distance(np.arccos(x[:, -1]), theta, None, measure.weights)
    assert found.latitudes and found.transport.distance == pytest.approx(known, rel=1e-9)
    assert found.transport.method == "meridian" and found.points == (300, 300)


@needs_dolfinx
@pytest.mark.parametrize("form", ["vtkhdf", "pvd"])
def test_tokens_in_many_dimensions_are_known_at_all_times(form: str, tmp_path: Path) -> None:
    """Particle files keep all coordinates; of a run that was told not to, the checkpoints do."""
    case = small_tokens.but(
        geometry__d=6, initial={"type": "uniform"}, solver__number=60, time__end=0.5,
        time__outputs=[0.1, 0.3], output__figures=False, output__format=form,
    )  # fmt: skip
    result = run(case(), tmp_path / "r")
    for t in (0.0, 0.1, 0.5):
        side = read_side(tmp_path / "r", 6, t)
        np.testing.assert_allclose(side.measure.points, result.tokens(t), atol=1e-7)
    found = mf.distance(tmp_path / "r", tmp_path / "r", time=0.3, tests=())
    assert found.transport.distance < 1e-6
    (row,) = mf.compare(tmp_path / "r", tmp_path / "r", t=0.1, draws=2).rows
    assert row.t == 0.1
    run(case(output__coordinates=False), tmp_path / "few")
    side = read_side(tmp_path / "few", 6)
    assert np.asarray(side.measure.points).shape == (60, 6) and side.words.endswith("t = 0.5")
    with pytest.raises(mf.InputError, match=r"has 3 of 6 coordinates; expected the time of a"):
        read_side(tmp_path / "few", 6, 0.1)


def test_what_is_not_there_is_told_to_be_neither_folder_nor_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,0,0\n0,1,0\n")
    with pytest.raises(
        mf.InputError, match=r"nowhere: no such folder or file, expected the folder"
    ):
        mf.distance(tmp_path / "a.csv", tmp_path / "nowhere")
