"""Versions of the software underneath, found without importing it; which DOLFINx will do.

Knows nothing of the rest of the package.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from typing import Any

from meanfield.errors import InputError

__all__ = [
    "DOLFINX_RANGE",
    "dolfinx_version",
    "package_version",
    "provenance",
    "require_dolfinx",
]

DOLFINX_RANGE = ((0, 9), (0, 12))

_PACKAGES = {  # key in run.json -> names of the distribution, first found wins
    "meanfield": ("meanfield",),
    "dolfinx": ("fenics-dolfinx", "dolfinx"),
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
    wanted = f"expected fenics-dolfinx >= {low}, < {high}; run the same command as `scripts/env "
    wanted += "meanfield ...`, which sets one up (or install it from conda-forge)"
    version = dolfinx_version()
    if version is None:
        raise InputError(f"DOLFINx was not found by this Python; {wanted}")
    parts = version.split(".")[:2]
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        found = (int(parts[0]), int(parts[1]))
        if not DOLFINX_RANGE[0] <= found < DOLFINX_RANGE[1]:
            raise InputError(f"DOLFINx {version} is out of range; {wanted}")
    return version


def provenance() -> dict[str, Any]:
    """Collect versions, Python, platform and thread settings, as they go into run.json."""
    return {
        **{key: package_version(key) for key in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "cpus": os.cpu_count(),
    }
