"""Versions found without an import, which DOLFINx is accepted, and how it and MPI are loaded."""

from __future__ import annotations

import importlib.metadata
import json
import os
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import Job, python

from meanfield import software as module
from meanfield.errors import InputError
from meanfield.software import (
    dolfinx_version,
    load_dolfinx,
    load_mpi,
    package_version,
    provenance,
    require_dolfinx,
)


def test_provenance() -> None:
    found = provenance()
    assert found["numpy"] == np.__version__
    assert found["python"].startswith("3.")
    assert {"meanfield", "dolfinx", "scipy", "ducc0", "numba", "platform", "threads"} <= set(found)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (None, ["not found", "scripts/env", ">= 0.9", "< 0.12"]),
        ("0.5.2", ["DOLFINx 0.5.2 is out of range", "scripts/env"]),
        ("0.12.0", ["DOLFINx 0.12.0 is out of range"]),
        ("1.0", ["out of range"]),
    ],
)
def test_dolfinx_missing_or_out_of_range(
    monkeypatch: pytest.MonkeyPatch, version: str | None, words: list[str]
) -> None:
    monkeypatch.setattr(module, "dolfinx_version", lambda: version)
    with pytest.raises(InputError) as caught:
        require_dolfinx()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("version", ["0.9.0", "0.10.0.post1", "0.11.1", "unknown"])
def test_dolfinx_in_range(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(module, "dolfinx_version", lambda: version)
    assert require_dolfinx() == version


def test_dolfinx_version_is_found_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert dolfinx_version() is None
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(module, "package_version", lambda key: {"dolfinx": "0.10.0"}[key])
    assert dolfinx_version() == "0.10.0"


def test_the_wheel_is_a_dolfinx(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "dolfinx-solver-real":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.11.0.post0"

    monkeypatch.setattr(module.importlib.metadata, "version", version)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    assert package_version("dolfinx") == dolfinx_version() == require_dolfinx() == "0.11.0.post0"


@pytest.mark.parametrize(
    ("system", "machine", "python", "pip"),
    [
        ("linux", "x86_64", (3, 12, 0), True),
        ("linux", "x86_64", (3, 11, 7), True),
        ("linux", "aarch64", (3, 13, 0), False),
        ("darwin", "x86_64", (3, 13, 0), False),
    ],
)
def test_what_to_do_without_dolfinx(
    system: str, machine: str, python: tuple[int, ...], pip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "dolfinx_version", lambda: None)
    monkeypatch.setattr(module, "sys", types.SimpleNamespace(platform=system, version_info=python))
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    monkeypatch.setattr(module.platform, "python_version", lambda: ".".join(map(str, python)))
    with pytest.raises(InputError, match="conda-forge") as caught:
        require_dolfinx()
    text = str(caught.value)
    assert ('pip install "dolfinx-solver-real<0.12" h5py' in text) == pip
    assert ("(this is 3.11.7)" in text) == (python < (3, 12))


# ------------------------------------------------------------------ loading

FAKE = """\
import sys
import types

from meanfield import software
from meanfield.errors import InputError

order = []


class Finder:  # in the place of everything that is loaded
    names = ("mpi4py", "mpi4py.MPI", "dolfinx_solver", "dolfinx", "dolfinx.fem", "dolfinx.jit")

    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec
        if name in self.names:
            return ModuleSpec(name, self, is_package=name in ("mpi4py", "dolfinx"))
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        order.append(module.__name__)
        if module.__name__ == "dolfinx_solver" and "foreign" in sys.argv:
            raise ImportError("petsc4py is installed in this environment")
        if module.__name__ == "dolfinx":
            module.default_real_type = float
            module.default_scalar_type = complex if "complex" in sys.argv else float


finder = Finder()
if "debian" in sys.argv:
    real = software.importlib.util.find_spec
    software.importlib.util.find_spec = lambda name: (
        None if name == "dolfinx_solver" else real(name)
    )
sys.meta_path.insert(0, finder)
software.dolfinx_version = lambda: "0.11.0"
try:
    software.load_dolfinx()
except InputError as error:
    print("refused:", error)
print(*order)
"""


@pytest.mark.parametrize(
    ("what", "refusal", "order"),
    [
        ("wheel", "", "mpi4py mpi4py.MPI dolfinx_solver dolfinx dolfinx.fem dolfinx.jit"),
        ("debian", "", "mpi4py mpi4py.MPI dolfinx dolfinx.fem dolfinx.jit"),
        ("foreign", "refused: DOLFINx 0.11.0 does not import: petsc4py is installed in this "
         "environment", "mpi4py mpi4py.MPI dolfinx_solver"),
        ("complex", "refused: DOLFINx for complex numbers found, the one for real numbers expected "
         "(from PyPI: `pip uninstall dolfinx-solver dolfinx-solver-complex`, then `pip install "
         "dolfinx-solver-real`)",
         "mpi4py mpi4py.MPI dolfinx_solver dolfinx dolfinx.fem dolfinx.jit"),
    ],
)  # fmt: skip
def test_what_is_imported_in_which_order(
    what: str, refusal: str, order: str, start: Callable[..., Job]
) -> None:
    done = start(*python("-c", FAKE, what)).finish()
    assert done.out.splitlines() == [*filter(None, [refusal]), order], done.err


def test_a_closed_pipe_is_an_exception_and_not_the_end(start: Callable[..., Job]) -> None:
    """PETSc would end the process (a pool whose processes have gone, a reader that has enough)."""
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    code = (
        "import os\n"
        "from meanfield.software import load_dolfinx\n"
        "load_dolfinx()\n"
        "import petsc4py.PETSc\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "try:\n"
        "    os.write(writer, b'?')\n"
        "except BrokenPipeError:\n"
        "    print('heard')\n"
    )
    done = start(*python("-c", code)).finish()
    assert (done.code, done.out) == (0, "heard\n"), done.said


def test_a_missing_mpi_is_one_line(start: Callable[..., Job]) -> None:
    """PyPI's mpi4py has a RuntimeError for it; others cannot be imported."""
    code = (
        "import sys\n"
        "import types\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mpi4py':\n"
        "            raise RuntimeError('cannot load MPI library')\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "from meanfield import software\n"
        "software.dolfinx_version = lambda: '0.11.0'\n"
        "for load in (software.load_mpi, software.load_dolfinx):\n"
        "    try:\n"
        "        load()\n"
        "    except (ImportError, software.InputError) as error:\n"
        "        print(type(error).__name__, error)\n"
    )
    done = start(*python("-c", code)).finish()
    assert done.out.splitlines() == [
        "ImportError cannot load MPI library",
        "InputError DOLFINx 0.11.0 does not import: cannot load MPI library",
    ], done.err


def test_loading_is_idempotent() -> None:
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    load_dolfinx()
    load_dolfinx()
    assert load_mpi().COMM_SELF.size == 1


def cards(root: Path, **usable: bool) -> Path:
    """A machine with network cards, which this process may open or not."""
    for number, (name, good) in enumerate(usable.items()):
        (root / "sys/class/infiniband" / name).mkdir(parents=True)
        entry = root / f"sys/class/infiniband_verbs/uverbs{number}"
        entry.mkdir(parents=True)
        (entry / "ibdev").write_text(f"{name}\n")
        (root / "dev/infiniband").mkdir(parents=True, exist_ok=True)
        if good:
            (root / f"dev/infiniband/uverbs{number}").touch()
    return root


@pytest.mark.parametrize(
    ("usable", "held"),
    [
        ({}, False),
        ({"mlx5_0": True}, False),
        ({"mlx5_0": True, "mlx5_1": True}, False),
        ({"mlx5_0": False}, True),
        ({"mlx5_0": True, "mlx5_1": False}, True),
        ({"mana_0": True}, True),
    ],
)
def test_transports_of_ucx(
    usable: dict[str, bool], held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UCX_TLS", raising=False)
    root = cards(tmp_path, **usable)
    assert module._transports(root) == ("self,sm,tcp" if held else None)
    monkeypatch.setenv("UCX_TLS", "rc,sm")
    assert module._transports(root) is None, "the user's own setting wins"


@pytest.mark.parametrize(("wheel", "expected"), [(True, "self,sm,tcp"), (False, None)])
def test_ucx_is_told_before_mpi_starts_and_only_that_of_the_wheel(
    wheel: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mpi4py")
    load_mpi()
    monkeypatch.delenv("UCX_TLS", raising=False)
    monkeypatch.setattr(module, "_transports", lambda: "self,sm,tcp")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: wheel or None)
    load_mpi()
    assert os.environ.get("UCX_TLS") == expected
    monkeypatch.delenv("UCX_TLS", raising=False)
