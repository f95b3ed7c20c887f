"""One, two and three ranks: the same numbers, the same errors, no hanging."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parameters import slow_but
from processes import Job, needs_launcher, ranks

pytestmark = [
    pytest.mark.mpi,
    needs_launcher,
    pytest.mark.skipif(
        importlib.util.find_spec("dolfinx") is None,
        reason="no DOLFINx here: run the tests with scripts/env pytest",
    ),
]

PROGRAM = Path(__file__).parent / "mpi_program.py"
CASES = (
    "sphere-sa", "sphere-usa", "sphere-stages", "sphere-upwind", "unstructured", "circle", "zonal",
    "linear", "negative-beta", "heads", "moving", "waving", "turning", "porous", "caps",
    "caps-bounded", "spread", "noisy", "gas", "growing",
)  # fmt: skip
IMPLICIT = (
    "implicit-noise", "implicit-usa", "implicit-drift", "implicit-caps", "implicit-bounded",
    "implicit-circle", "implicit-zonal",
    "implicit-heads", "implicit-moving", "implicit-waving", "implicit-current", "implicit-porous",
    "implicit-fast", "implicit-gas",
)  # fmt: skip


def mpirun(number: int, folder: Path, *verbs: str) -> None:
    """Run verbs of mpi_program.py on some ranks; fails with its output."""
    job = Job(ranks(number, str(PROGRAM), str(folder), *verbs))
    try:
        ended = job.finish()
    finally:
        job.close()
    assert ended.code == 0, ended.said[-6000:]


# One launch for each number of ranks, made when it is first asked for. Those that resume need the
# state that two ranks save.
VERBS = {1: ("all", "resume"), 2: ("all", "save", "bad"), 3: ("all", "resume", "bad")}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The folder in which a number of ranks has left its results."""
    folder = tmp_path_factory.mktemp("mpi")

    def get(number: int) -> Path:
        done = folder / f"done-{number}"
        if not done.exists():
            done.touch()  # a launch that fails is not repeated
            if number != 2:
                get(2)
            mpirun(number, folder, *VERBS[number])
        return folder

    return get


@pytest.fixture(scope="module")
def found(results: Callable[[int], Path]) -> Callable[[int], dict[str, Any]]:
    """Results of all cases on a number of ranks."""

    def get(number: int) -> dict[str, Any]:
        file = results(number) / f"all-{number}.pickle"
        result: dict[str, Any] = pickle.loads(file.read_bytes())
        return result

    return get


def same_steps(one: Any, many: Any, rtol: float, atol: float) -> None:
    """Times, energies, masses, means, and the densities to a tolerance."""
    for a, b in zip(one, many, strict=True):
        assert (b["t"], b["step"]) == (a["t"], a["step"])
        assert b["energy"] == pytest.approx(a["energy"], rel=1e-10)
        assert abs(a["mass"] - 1.0) < 1e-13
        assert abs(b["mass"] - 1.0) < 1e-13
        np.testing.assert_allclose(b["mean"], a["mean"], rtol=0.0, atol=1e-10)
        np.testing.assert_allclose(b["rho"], a["rho"], rtol=rtol, atol=atol)
        assert b["violations"] == a["violations"] == 0


@pytest.mark.parametrize("number", slow_but([0], [2, 3]))
@pytest.mark.parametrize("name", CASES)
def test_ranks_agree(name: str, number: int, found: Callable[[int], dict[str, Any]]) -> None:
    one, many = found(1)[name], found(number)[name]
    assert len(one) == len(many) == 4
    assert len(many[0]["owned"]) == number
    assert min(many[0]["owned"]) > 0
    np.testing.assert_allclose(many[0]["weights"], one[0]["weights"], rtol=1e-12)
    # Pointwise: round-off times what neighbouring trajectories do to it.
    same_steps(one, many, rtol=1e-8, atol=1e-10)
    for a, b in zip(one, many, strict=True):
        scale = np.abs(a["velocity"]).max()
        np.testing.assert_allclose(b["velocity"], a["velocity"], atol=1e-9 * scale)


@pytest.mark.parametrize("number", slow_but([0], [2, 3]))
@pytest.mark.parametrize("name", IMPLICIT)
def test_ranks_agree_on_implicit_steps(
    name: str, number: int, found: Callable[[int], dict[str, Any]]
) -> None:
    # Other factorisations, other iterations: to the tolerance of the linear solves.
    one, many = found(1)[name], found(number)[name]
    assert len(many[0]["owned"]) == number
    same_steps(one, many, rtol=1e-6, atol=1e-9)


def test_one_rank_of_mpirun_is_the_serial_run(
    found: Callable[[int], dict[str, Any]], make_space: Any, make_solver: Any
) -> None:
    from meanfield.geometry.laws import standard_density

    solver = make_solver(make_space("sphere", 4), "sa", 4.0, standard_density())
    for result, t in zip(found(1)["sphere-sa"], (0.1, 0.5, 1.0, 2.0), strict=True):
        while solver.t < t:
            solver.advance(t)
        assert solver.field().energy() == pytest.approx(result["energy"], rel=1e-12)
        np.testing.assert_allclose(solver.space.gather(solver.rho), result["rho"], rtol=1e-10)


def test_restart_on_as_many_ranks_is_the_same_run(results: Callable[[int], Path]) -> None:
    # Potentials at ghosts are those of the owner then, and not the rank's own: round-off.
    folder = results(2)
    for name in ("sphere-sa", "growing", "circle", "zonal", "heads"):
        a, b = pickle.loads((folder / f"again-{name}.pickle").read_bytes())
        assert b["step"] == a["step"] == 8
        assert b["t"] == pytest.approx(a["t"], rel=1e-13)
        np.testing.assert_allclose(b["rho"], a["rho"], rtol=1e-11, err_msg=name)


@pytest.mark.parametrize("number", slow_but([0], [1, 3]))
def test_restart_on_another_number_of_ranks(number: int, results: Callable[[int], Path]) -> None:
    # Four steps and four more on two ranks; the second four again on one and on three.
    folder = results(number)
    for name in (
        "sphere-sa", "caps", "growing", "circle", "zonal", "heads", "moving", "waving",
        "implicit-noise",
    ):  # fmt: skip
        a, b = pickle.loads((folder / f"resumed-{number}-{name}.pickle").read_bytes())
        assert len(a["owned"]) == 2
        assert len(b["owned"]) == number
        assert b["step"] == a["step"] == 8
        assert b["t"] == pytest.approx(a["t"], rel=1e-11)
        assert b["energy"] == pytest.approx(a["energy"], rel=1e-11)
        np.testing.assert_allclose(b["mean"], a["mean"], atol=1e-11)
        np.testing.assert_allclose(b["rho"], a["rho"], rtol=1e-9)


@pytest.mark.parametrize("number", slow_but([0], [2, 3]))
def test_errors_of_one_rank_are_raised_on_all(number: int, results: Callable[[int], Path]) -> None:
    folder = results(number)
    for rank in range(number):
        lines = (folder / f"bad-{number}-{rank}.txt").read_text().splitlines()
        assert [line.split(":")[0] for line in lines] == ["density", "density", "mesh", "step"]
        assert "negative or not finite at 1 vertices" in lines[0]
        assert "negative or not finite at 1 vertices" in lines[1]
        assert "not Delaunay" in lines[2]
        assert "NaN at" in lines[3]
