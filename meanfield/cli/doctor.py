"""``meanfield doctor``: what a report of a fault should say of the machine."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.cli.tables import Row, size, table
from meanfield.errors import InputError

__all__ = ["add_to"]

_DESCRIPTION = """\
Print what a report of a fault should say: versions, MPI, threads, drawing, where kernels are kept,
room on the disk. Tries what it tells of (imports DOLFINx, starts MPI, draws a small picture), and
writes nothing."""

_MISSING = "not installed"
_HEARD = (
    "NUMBA_CACHE_DIR",
    "NUMBA_DISABLE_JIT",
    "OPENBLAS_CORETYPE",
    "UCX_TLS",
    "VTK_DEFAULT_OPENGL_WINDOW",
    "DISPLAY",
    "MEANFIELD_ENV_KIND",
)
"""Variables that change what works, besides the numbers of threads."""

_LIBRARIES = ("numpy", "scipy", "numba", "ducc0", "POT", "pydantic", "meshio", "h5py", "matplotlib")
_BELOW = ("petsc4py", "slepc4py", "fenics-ffcx", "mpich", "openmpi")
_TERMINAL = ("rich", "tqdm", "shtab", "pandas", "ipykernel")
_DRAWING = ("pyvista", "vtk", "imageio", "imageio-ffmpeg", "plotly")


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    verbs.add(
        "doctor",
        _doctor,
        help="what is installed and works here, for a report of a fault",
        description=_DESCRIPTION,
        epilog="example:\n  meanfield doctor",
    )


def _doctor(args: argparse.Namespace) -> int:
    say(table([*_versions(), *_processes(), *_pictures(), *_places()]))
    return 0


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _MISSING


def _said(try_it: Callable[[], str]) -> str:
    """What something says of itself, or why it does not."""
    try:
        return try_it()
    except InputError as error:
        return str(error)
    except (ImportError, OSError, RuntimeError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())


def _versions() -> Iterator[Row]:
    here = Path(__file__).parent.parent
    yield "meanfield", f"{_version('meanfield')} in {here}"
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "platform", platform.platform()
    yield "libraries", ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    yield "others", ", ".join(f"{name} {_version(name)}" for name in _TERMINAL)
    yield "dolfinx", _said(_dolfinx)
    below = [f"{name} {_version(name)}" for name in _BELOW if _version(name) != _MISSING]
    yield "below it", ", ".join(below) or "nothing that pip knows"


def _dolfinx() -> str:
    from meanfield.software import load_dolfinx, require_dolfinx

    version = require_dolfinx()
    load_dolfinx()
    return f"{version}, imports"


def _mpi() -> str:
    from meanfield.software import load_mpi

    if importlib.util.find_spec("mpi4py") is None:
        return "no mpi4py: one process at a time"

    world = load_mpi()
    library = world.Get_library_version().splitlines()[0].strip(" \t\0")
    return f"mpi4py {_version('mpi4py')}, {' '.join(library.split())}"


def _processes() -> Iterator[Row]:
    from meanfield.geometry.threads import available_cpus
    from meanfield.surroundings import THREADS

    yield "MPI", _said(_mpi)
    yield "mpiexec", shutil.which("mpiexec") or "none on the path"
    told = [f"{name} = {os.environ[name]}" for name in (*THREADS, *_HEARD) if name in os.environ]
    cpus = f"{available_cpus()} processors for this process of {os.cpu_count()}"
    yield "threads", "; ".join([cpus, *told])


def _pictures() -> Iterator[Row]:
    from meanfield.scenes import why_not

    yield "drawing", ", ".join(f"{name} {_version(name)}" for name in _DRAWING)
    yield "OpenGL", why_not() or "renders off-screen"
    yield "ffmpeg", _said(_ffmpeg)


def _ffmpeg() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_version())


def _places() -> Iterator[Row]:
    from meanfield.studies.warmup import kept_kernels

    places = [kernel.stats.cache_path for kernel in kept_kernels().values()]
    yield "kernels", _held(Path(os.path.commonpath(places))) if places else "kept nowhere"
    for name, path in (("folder", Path.cwd()), ("temporary", Path(tempfile.gettempdir()))):
        yield name, f"{path}, {size(shutil.disk_usage(path).free)} free"


def _held(folder: Path) -> str:
    """How much is in a folder, and whether more can be written."""
    sizes = [path.stat().st_size for path in folder.rglob("*.nbc")] if folder.is_dir() else []
    rights = "" if os.access(folder, os.W_OK) or not folder.exists() else ", read only"
    return f"{folder}, {len(sizes)} compiled, {size(sum(sizes))}{rights}"
