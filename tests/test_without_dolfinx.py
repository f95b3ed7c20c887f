"""Without DOLFINx, PETSc and MPI, or h5py: what needs none works, what does says so in one line.

They are hidden from a Python that may have them: importing fails, and nothing finds them.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
from cases import ZONAL, few_tokens, plain, small
from processes import Job, python

from meanfield import software
from meanfield.errors import InputError

Start = Callable[..., Job]

HIDES = """
import sys

HIDDEN = {
    "dolfinx", "dolfinx_solver", "basix", "ffcx", "ufl", "petsc4py", "slepc4py", "mpi4py", "adios2",
}

class Hides:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hides(finder) for finder in sys.meta_path]
"""

VERBS = """
import json
from meanfield import cli

for line in json.load(open("lines.json")):
    code = cli.main(line)
    print("CODE", code, " ".join(line[:2]), flush=True)
assert not HIDDEN & set(sys.modules), HIDDEN & set(sys.modules)
"""

FLOW = {"solver.type": "lagrangian", "time.end": 0.2, "time.outputs": [0.1]}
NOISE = {**ZONAL, "model.attention": "usa", "model.kappa": 1.4, "solver.type": "implicit"}


def codes(
    tmp_path: Path, start: Start, lines: Sequence[str], hidden: Collection[str] = ()
) -> tuple[list[int], str]:
    """Exit codes of verbs, one after the other in one process, and all that was said."""
    few_tokens.write(tmp_path / "tokens.toml", time__end=1.0, time__outputs=[0.5])
    small.write(tmp_path / "mesh.toml")
    small.write(tmp_path / "flow.toml", FLOW)
    plain.write(tmp_path / "noise.toml", NOISE)
    words = [line.split() for line in lines]
    (tmp_path / "lines.json").write_text(json.dumps(words), "utf-8")
    (tmp_path / "program.py").write_text(
        HIDES + (f"HIDDEN = {set(hidden)!r}\n" if hidden else "") + VERBS, "utf-8"
    )
    ended = start(*python("program.py"), cwd=tmp_path).finish()
    assert ended.code == 0, ended.said
    found = [int(line.split()[1]) for line in ended.out.splitlines() if line.startswith("CODE ")]
    assert len(found) == len(lines), ended.said
    return found, ended.said


def test_what_needs_none_works_and_what_does_says_so(tmp_path: Path, start: Start) -> None:
    lines = [
        "run flow.toml -o flow --no-progress",
        "run tokens.toml -o tokens --no-progress",
        "info flow",
        "compare flow flow --no-distances",
        "export flow --to npz",
        "paraview flow",
        "mesh make sphere --level 1 sphere.vtu",
        "help solver.rtol",
        "doctor",
        "run mesh.toml -o mesh --no-progress",
        "run noise.toml -o noise --no-progress",
        "compare mesh.toml -o comparison",
        "converge mesh.toml --levels 1 2 3 -o converge",
    ]
    found, said = codes(tmp_path, start, lines)
    assert found == [0] * 9 + [2] * 4, said
    told = [line for line in said.splitlines() if line.startswith("meanfield: error: ")]
    assert len(told) == 4 and "Traceback" not in said
    assert all("DOLFINx was not found" in text and "conda-forge" in text for text in told)
    assert not any((tmp_path / name).exists() for name in ("mesh", "noise", "comparison"))
    assert "no mpi4py: one process at a time" in said


@pytest.mark.slow
def test_the_other_verbs_work(tmp_path: Path, start: Start) -> None:
    pytest.importorskip("imageio_ffmpeg")
    pytest.importorskip("plotly")
    lines = [
        "run flow.toml -o flow --no-progress",
        "run tokens.toml -o tokens --no-progress",
        "stationary noise.toml -o stationary --no-progress",
        "branch noise.toml --parameter kappa --from 1.4 --to 1.42 -o branch --no-progress",
        "sweep tokens.toml --vary model.beta=1,4 --seeds 2 -o sweep --no-progress",
        "converge flow.toml --levels 1 2 3 -o converge --no-progress",
        "distance tokens tokens --test none",
        "plot flow",
        "plot tokens",
        "film flow -o film.gif --frames 4 --size 320x240",
        "report flow tokens -o report.html",
        "warm-up",
    ]
    found, said = codes(tmp_path, start, lines)
    assert found == [0] * len(lines), said
    assert (tmp_path / "film.gif").is_file() and (tmp_path / "report.html").is_file()


def test_what_is_missing_is_named_by_its_packages() -> None:
    """Never by an extra of ours: `pip install meanfield` brings another project of PyPI."""
    named = re.compile(r"pip install .{0,3}meanfield")
    package = Path(software.__file__).parent
    texts = {path: path.read_text("utf-8") for path in package.rglob("*.py")}
    assert [str(path) for path, text in texts.items() if named.search(text)] == []
    error = software.not_installed("x, which y needs,", "a", "b")
    assert str(error) == "x, which y needs, is not installed, expected it: pip install a b"


def test_without_h5py_nothing_is_begun(tmp_path: Path, start: Start) -> None:
    """What would write or read such files is refused before; files of VTK are there without."""
    (tmp_path / "given.vtkhdf").write_bytes(b"\x89HDF")
    lines = [
        "run tokens.toml -o pvd --no-progress --set output.format=pvd",
        "run tokens.toml -o pvd --no-progress --dry-run",
        "export pvd --to csv",
        "run tokens.toml -o tokens --no-progress",
        "run flow.toml -o flow --no-progress",
        "compare tokens.toml --particles 10 --replicas 2 -o comparison",
        "converge flow.toml --levels 1 2 3 -o converge",
        "sweep flow.toml --vary model.beta=1,2 -o sweep --no-progress",
        "export pvd --to xdmf",
        "mesh inspect given.vtkhdf",
    ]
    found, said = codes(tmp_path, start, lines, {"h5py"})
    assert found == [0] * 3 + [2] * 7 and "format   REFUSED: h5py" in said, said
    told = [line for line in said.splitlines() if line.startswith("meanfield: error: ")]
    assert len(told) == 7 and "Traceback" not in said, said
    assert all("h5py, by which" in text and "is not installed" in text for text in told), told
    assert not {"tokens", "flow", "comparison", "converge", "sweep"} & set(os.listdir(tmp_path))
    assert not list(tmp_path.glob("pvd/export/*.xdmf"))


@pytest.mark.parametrize(
    ("dolfinx", "wheel", "expected"),
    [
        (None, None, "expected it: `pip install h5py`"),
        ("0.11.0", object(), "expected it: `pip install h5py`"),
        ("0.9.0", None, "expected that of this DOLFINx, not pip's: `apt install python3-h5py"),
    ],
)
def test_which_h5py_goes_with_a_dolfinx(
    monkeypatch: pytest.MonkeyPatch, dolfinx: str | None, wheel: object, expected: str
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setattr(software, "dolfinx_version", lambda: dolfinx)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: wheel)
    with pytest.raises(InputError, match=re.escape(expected)):
        software.load_h5py()


def test_the_names_for_users_are_all_there(tmp_path: Path, start: Start) -> None:
    code = HIDES + (
        "import meanfield as mf\n"
        "for name in dir(mf):\n    getattr(mf, name)\n"
        "assert not HIDDEN & set(sys.modules), HIDDEN & set(sys.modules)\n"
        "try:\n    mf.density_to_dolfinx('nowhere', 0.0)\n"
        "except mf.InputError as error:\n    print(error)\n"
    )
    ended = start(*python("-c", code), cwd=tmp_path).finish()
    assert ended.code == 0 and ended.out.strip(), ended.said
