"""The software underneath: versions, found without importing it; which DOLFINx will do; MPI.

The one place that imports DOLFINx and MPI first, as where they came from wants it. Knows nothing of
the rest of the package.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import logging
import os
import platform
import signal
import sys
import warnings
from concurrent.futures import Executor
from pathlib import Path
from types import ModuleType

from meanfield.errors import InputError
from meanfield.signals import kept
from meanfield.surroundings import hidden

__all__ = [
    "DOLFINX_RANGE",
    "dolfinx_version",
    "load_dolfinx",
    "load_h5py",
    "load_matplotlib",
    "load_mpi",
    "load_pandas",
    "load_pyvista",
    "mpi_pool",
    "not_installed",
    "package_version",
    "provenance",
    "require_dolfinx",
    "utc_now",
]

DOLFINX_RANGE = ((0, 9), (0, 12))

_PACKAGES = {  # key in run.json -> names of the distribution, first found wins
    "meanfield": ("meanfield",),
    "dolfinx": ("fenics-dolfinx", "dolfinx", "dolfinx-solver-real", "dolfinx-solver-complex"),
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "ducc0": ("ducc0",),
    "numba": ("numba",),
    "h5py": ("h5py",),
    "mpi4py": ("mpi4py",),
}


def package_version(key: str) -> str | None:
    """Give the version of an installed package by its key in run.json, without importing it."""
    for name in _PACKAGES[key]:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def dolfinx_version() -> str | None:
    """Give the version of DOLFINx without importing it, or None where there is none."""
    if importlib.util.find_spec("dolfinx") is None:
        return None
    return package_version("dolfinx") or "unknown"


def require_dolfinx() -> str:
    """Give the version of DOLFINx if it is one that this package runs with.

    Raises:
        InputError: there is none, or it is outside [0.9, 0.12); says how to get one.
    """
    low, high = (f"{major}.{minor}" for major, minor in DOLFINX_RANGE)
    wanted = f"expected DOLFINx >= {low}, < {high}: {_how_to_get_dolfinx()}"
    version = dolfinx_version()
    if version is None:
        raise InputError(
            f"DOLFINx was not found by this Python; {wanted}. Tokens, characteristics "
            "(solver.type 'lagrangian'), stationary states and branches do without"
        )
    parts = version.split(".")[:2]
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        found = (int(parts[0]), int(parts[1]))
        if not DOLFINX_RANGE[0] <= found < DOLFINX_RANGE[1]:
            raise InputError(f"DOLFINx {version} is out of range; {wanted}")
    return version


def _how_to_get_dolfinx() -> str:
    others = "conda-forge, or the same command as `scripts/env meanfield ...` in a checkout"
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return others
    here = "" if tuple(sys.version_info) >= (3, 12) else f" (this is {platform.python_version()})"
    return f'`pip install "dolfinx-solver-real<0.12" h5py` in Python >= 3.12{here}, {others}'


def load_mpi() -> ModuleType:
    """Import ``mpi4py.MPI``, which starts MPI.

    Raises:
        ImportError: there is no mpi4py, or no MPI for it.
    """
    if importlib.util.find_spec("dolfinx_solver") is not None:
        transports = _transports()
        if transports is not None:
            os.environ["UCX_TLS"] = transports
    try:
        from mpi4py import MPI
    except RuntimeError as error:  # what PyPI's says where it finds no library
        raise ImportError(str(error)) from error
    return MPI


def mpi_pool() -> Executor:
    """An executor whose tasks are done by the other processes of ``mpiexec``, on whatever machine.

    Only one of them runs the program: they must have been started by ``python -m mpi4py.futures``.

    Raises:
        InputError: they were not, or mpi4py is missing.
    """
    wanted = "`mpiexec -n N python -m mpi4py.futures -m meanfield sweep ...`"
    if "mpi4py.futures" not in sys.modules:
        raise InputError(
            f"several processes found that run the same program, expected {wanted} (or one process "
            "and --jobs)"
        )
    load_mpi()
    from mpi4py.futures import MPIPoolExecutor

    pool: Executor = MPIPoolExecutor()
    return pool


def load_dolfinx(alone: bool = False) -> None:
    """Import MPI, DOLFINx and its form compiler, in the order that the wheel on PyPI wants.

    Two habits of theirs are undone. FFCx turns on ``logging.captureWarnings`` when imported, after
    which warnings of every package go to a logger that nobody reads. PETSc catches signals and ends
    the process with code 59: SIGPIPE, which Python ignores, having an exception for a reader that
    has gone (a process of a pool, or ``| head``), and SIGQUIT, to which a job in the background is
    deaf. MPICH catches SIGHUP.

    Args:
        alone: PETSc, which starts on all processes of MPI together, is to start on this one only.

    Raises:
        InputError: no usable DOLFINx.
    """
    require_dolfinx()
    shown = warnings.showwarning
    try:
        with kept(signal.SIGPIPE, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
            load_mpi()
            if importlib.util.find_spec("dolfinx_solver") is not None:
                import dolfinx_solver  # noqa: F401  (before dolfinx, petsc4py, slepc4py)
            if alone:
                import petsc4py

                petsc4py.init(comm=load_mpi().COMM_SELF)
            import dolfinx.fem
            import dolfinx.jit  # imports FFCx
    except ImportError as error:
        raise InputError(f"DOLFINx {dolfinx_version()} does not import: {error}") from error
    finally:
        if warnings.showwarning is not shown:
            logging.captureWarnings(False)
    if dolfinx.default_scalar_type is not dolfinx.default_real_type:
        raise InputError(
            "DOLFINx for complex numbers found, the one for real numbers expected (from PyPI: "
            "`pip uninstall dolfinx-solver dolfinx-solver-complex`, then `pip install "
            "dolfinx-solver-real`)"
        )


def load_h5py() -> None:
    """Import h5py, whatever is said of locks: files are opened without any, to be seen while a run
    writes them. HDF5 would take the variable before what it is asked for.

    Raises:
        InputError: it is not installed, or does not import; says which one to install.
    """
    try:
        with hidden("HDF5_USE_FILE_LOCKING"):
            import h5py  # noqa: F401
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "h5py"
        found = "is not installed" if missing else f"does not import ({error})"
        raise InputError(
            f"h5py, by which VTKHDF and HDF5 files are read and written, {found}; expected "
            f"{_how_to_get_h5py()}"
        ) from None


def _how_to_get_h5py() -> str:
    """Beside a DOLFINx that is not of PyPI, the one that is linked with the same HDF5."""
    if dolfinx_version() is None or importlib.util.find_spec("dolfinx_solver") is not None:
        return "it: `pip install h5py`"
    return (
        "that of this DOLFINx, not pip's: `apt install python3-h5py python3-h5py-mpi` (Debian, "
        "Ubuntu) or `conda install -c conda-forge 'h5py=*=mpi*'`"
    )


def load_matplotlib() -> None:
    """Import matplotlib, whatever backend it is told to show pictures with: none are shown.

    A notebook tells the processes that it starts its own backend, which they need not have.
    """
    try:
        import matplotlib
    except ValueError:
        for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
            del sys.modules[name]  # half loaded
        with hidden("MPLBACKEND"):
            import matplotlib  # noqa: F401


def not_installed(found: str, *packages: str) -> InputError:
    """The error that a library is missing, which is loaded when it is asked for.

    Its packages are named, not an extra of ours: ``meanfield`` of PyPI is another project.

    Args:
        found: what is missing, for what.
        packages: what pip installs.
    """
    return InputError(f"{found} is not installed, expected it: pip install {' '.join(packages)}")


def load_pyvista() -> ModuleType:
    """Import pyvista, which takes a second: when it is asked for.

    Raises:
        InputError: it is not installed, or VTK is not.
    """
    try:
        import pyvista
    except ImportError as error:
        raise not_installed(error.name or "pyvista", "pyvista") from None
    return pyvista


def load_pandas() -> ModuleType:
    """Import pandas, which an extra brings.

    Raises:
        InputError: it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise not_installed("pandas", "pandas") from None
    module: ModuleType = pandas
    return module


def _transports(root: Path = Path("/")) -> str | None:
    """What UCX, by which the MPI of the wheel talks, must be held to; None: it is left alone.

    Where a machine shows a network card (RDMA) that it does not let this process use, UCX fails
    when MPI starts, also of a process that is alone. A user's own setting wins, and on clusters
    with a card that works nothing is set, as TCP would be slower.
    """
    if "UCX_TLS" in os.environ:
        return None
    try:
        cards = {path.name for path in (root / "sys/class/infiniband").iterdir()}
    except OSError:
        return None
    usable = set()
    for entry in (root / "sys/class/infiniband_verbs").glob("uverbs*"):
        try:
            card = (entry / "ibdev").read_text("ascii").strip()
        except OSError:
            continue
        if os.access(root / "dev/infiniband" / entry.name, os.R_OK | os.W_OK):
            usable.add(card)
    # Azure's cards can be opened, and then do not know what UCX asks them for.
    broken = {card for card in cards if card not in usable or card.startswith("mana")}
    return "self,sm,tcp" if broken else None


def utc_now() -> str:
    """Give the time now in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def provenance() -> dict[str, object]:
    """Collect versions, Python, platform and thread settings, as they go into run.json."""
    return {
        **{key: package_version(key) for key in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "cpus": os.cpu_count(),
    }
