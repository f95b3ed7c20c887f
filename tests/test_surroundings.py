"""What stands in the environment of a process: nothing of it may end a run, least of all late."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cases import few_tokens
from parameters import slow_but
from processes import Job, python

import meanfield
from meanfield import surroundings
from meanfield.cli import speech, world
from meanfield.errors import InputError

Start = Callable[..., Job]
FOREIGN = {
    "MPLBACKEND": "module://matplotlib_inline_that_is_not_here.backend_inline",
    "OMP_NUM_THREADS": "4,2",
    "MEANFIELD_NUM_THREADS": "",
    "NUMBA_NUM_THREADS": "0",
    "HDF5_USE_FILE_LOCKING": "TRUE",
}


def test_a_run_ends_well_in_a_foreign_environment(tmp_path: Path, start: Start) -> None:
    """Variables of a notebook, OpenMP and HDF5; no home, and a package that is not to be written.

    Files in the way do what missing rights do, for root as well.
    """
    package = tmp_path / "package" / "meanfield"
    source = Path(meanfield.__path__[0])
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    few_tokens.write(tmp_path / "case.toml", output__figures=True)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    nowhere = str(tmp_path / "case.toml" / "no-folder")
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"), nowhere)
    ended = start(
        *python("-B", "-m", "meanfield", "run", "case.toml", "-o", "out", "--no-progress"),
        cwd=tmp_path,
        **FOREIGN,
        **homes,
        PYTHONPATH=os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")]),
        TMPDIR=str(temporary),
    ).finish()
    assert ended.code == 0, ended.said
    assert "Traceback" not in ended.said and "warning" not in ended.said
    pictures = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))["figures"]
    assert len(pictures) == 2
    assert [*temporary.glob("meanfield-*/interaction_*/*.nbc")]  # kernels are kept for the next


@pytest.mark.parametrize("value", slow_but([0, 3, 4], ["4,2", "1.0", "0", "abc", "", " 2 "]))
def test_any_number_of_threads(tmp_path: Path, start: Start, value: str) -> None:
    code = (
        "import numpy as np, os, meanfield\n"
        "from meanfield.geometry.manifolds.transforms import load_ducc0\n"
        "from meanfield.geometry.threads import available_cpus\n"
        "load_ducc0().fft.c2c(np.ones(4, dtype=complex))\n"
        "assert available_cpus() >= 1\n"
        "print(repr(os.environ['OMP_NUM_THREADS']))\n"
    )
    names = ("OMP_NUM_THREADS", "DUCC0_NUM_THREADS", "MEANFIELD_NUM_THREADS", "MPI_LOCALNRANKS")
    ended = start(*python("-c", code), **dict.fromkeys(names, value)).finish()
    assert (ended.code, ended.out) == (0, f"{value!r}\n"), ended.said  # given back as it was


def test_a_number_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from meanfield.cli import main

    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.setenv("MEANFIELD_NUM_THREADS", "")
    monkeypatch.setenv("DUCC0_NUM_THREADS", "4,2")
    assert main(["help", "model.beta"]) == 0
    assert capsys.readouterr().err == (
        "meanfield: warning: OMP_NUM_THREADS = many is no number of threads, and left out\n"
    )
    assert os.environ["OMP_NUM_THREADS"] == "many"


def test_files_are_open_to_readers_whatever_is_said_of_locks(tmp_path: Path, start: Start) -> None:
    pytest.importorskip("h5py")
    code = (
        "import sys\n"
        "from meanfield.results.formats.vtkhdf import FORMAT\n"
        "import h5py\n"
        "if sys.argv[1:]:\n"
        "    h5py.File('a.h5', 'r', locking=False)\n"
        "    sys.exit()\n"
        "import subprocess\n"
        "with h5py.File('a.h5', 'w', locking=False) as file:\n"
        "    file.flush()\n"
        "    subprocess.run([sys.executable, __file__, 'read'], check=True)\n"
    )
    (tmp_path / "program.py").write_text(code)
    ended = start(*python("program.py"), cwd=tmp_path, HDF5_USE_FILE_LOCKING="TRUE").finish()
    assert ended.code == 0, ended.said


# ------------------------------------------------------------------ who started this process

MARKS = (
    "OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_RANK PMI_SIZE PMI_RANK PMIX_RANK SLURM_STEP_NUM_TASKS "
    "SLURM_PROCID SLURM_NTASKS SLURM_JOB_ID"
).split()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("", (1, None)),
        ("OMPI_COMM_WORLD_SIZE=3 OMPI_COMM_WORLD_RANK=2 PMIX_RANK=2", (3, 2)),
        ("PMI_SIZE=4 PMI_RANK=1", (4, 1)),
        # srun of several, of one; a shell and a batch script in a job with room for several.
        ("SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=3", (4, 3)),
        ("SLURM_JOB_ID=7 SLURM_NTASKS=1 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0", (1, 0)),
        ("SLURM_JOB_ID=7 SLURM_NTASKS=4", (1, None)),
        ("SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID=0", (1, 0)),
        ("SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0", (1, 0)),
        # mpirun inside of a step of one, which srun has started
        ("SLURM_STEP_NUM_TASKS=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=1", (2, 1)),
        ("PMIX_RANK=1", (None, 1)),
        ("PMI_SIZE=many OMPI_COMM_WORLD_SIZE=-1", (1, None)),
    ],
)
def test_who_was_started_together(
    monkeypatch: pytest.MonkeyPatch, variables: str, expected: tuple[int | None, int | None]
) -> None:
    for name in MARKS:
        monkeypatch.delenv(name, raising=False)
    for name, _, value in (word.partition("=") for word in variables.split()):
        monkeypatch.setenv(name, value)
    assert (surroundings.launched(), surroundings.launched_rank()) == expected
    if expected[0] is not None:
        assert speech.ranks() == expected[0]
        assert speech.rank() == ((expected[1] or 0) if expected[0] > 1 else 0)


def test_processes_that_do_not_know_of_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each would believe to be alone, and write into the folder of the others."""

    class World:
        size = 1

    class Library:
        COMM_WORLD = World

    monkeypatch.setattr("meanfield.software.load_mpi", lambda: Library)
    for name in MARKS:
        monkeypatch.delenv(name, raising=False)
    assert world.together().size == 1
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "0")
    with pytest.raises(InputError, match=r"4 processes were started \(SLURM_STEP_NUM_TASKS = 4\)"):
        world.together()
    World.size = 4
    assert world.together() is World
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    monkeypatch.setenv("PMIX_RANK", "2")
    assert world.together() is World
    World.size = 1
    with pytest.raises(InputError, match="several processes were started"):
        world.together()


# ------------------------------------------------------------------ compiled kernels


def test_a_folder_of_somebody_else_is_not_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(surroundings.tempfile, "tempdir", str(tmp_path))
    own = Path(surroundings.private_folder())
    assert own == tmp_path / f"meanfield-{os.getuid()}" and own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)  # anybody could have put something there
    other = Path(surroundings.private_folder())
    assert other != own and other.parent == tmp_path
    monkeypatch.setattr(surroundings.os, "getuid", lambda: own.stat().st_uid + 1)
    (tmp_path / f"meanfield-{os.getuid()}").symlink_to(other)
    assert Path(surroundings.private_folder()) != tmp_path / f"meanfield-{os.getuid()}"


def test_pictures_look_the_same_whatever_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib
    from cases import run

    from meanfield.figures import make_figures

    folder = tmp_path / "run"
    run(few_tokens(), folder)

    def pictures() -> list[bytes]:
        return [path.read_bytes() for path in make_figures(folder)]

    before = pictures()
    loud = {
        "axes.facecolor": "black",
        "axes.grid": True,
        "font.size": 30.0,
        "figure.dpi": 20.0,
        "lines.linestyle": ":",
        "axes.prop_cycle": matplotlib.cycler(color=["red"]),
        "xtick.direction": "in",
        "path.sketch": (1.0, 100.0, 2.0),
    }
    with matplotlib.rc_context(loud):
        assert pictures() == before
        assert matplotlib.rcParams["font.size"] == 30.0  # and what the caller has set stays


def test_matplotlib_that_is_there_keeps_its_backend(start: Start) -> None:
    code = "import meanfield.figures, matplotlib; print(matplotlib.rcParams['backend'])"
    ended = start(*python("-c", code), MPLBACKEND="svg").finish()
    assert (ended.code, ended.out.lower()) == (0, "svg\n"), ended.said
