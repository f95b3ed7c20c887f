"""What a distance is measured between: tokens of a file, tokens of a run, the density of a run.

Reads files and folders, never a live run. Knows nothing of distances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from meanfield.analysis.quadrature import density_measure, sample_density, spread_bound
from meanfield.dynamics.tokenfiles import read_tokens
from meanfield.errors import InputError
from meanfield.geometry.laws.base import along_axis
from meanfield.geometry.manifolds import Manifold, of_vectors
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.folder import RunFolder
from meanfield.results.formats import read_fields, read_tokens_file

__all__ = ["Side", "read_side", "read_sides"]

_SAME = 1e-9  # relative difference of times that are the same
_EQUAL = 1e-6  # relative difference of masses that are the same: they may be stored as float32


@dataclass(frozen=True)
class Side:
    """One of two measures.

    Attributes:
        measure: weighted points, in the coordinates of ``on``.
        on: the sphere, or its latitudes.
        error: bound of W_2 between these points and what is meant: of vertices that have moved
            their masses anywhere in their (dual) cells.
        words: what it is.
        tokens: whether the points are tokens, which are draws if their masses are equal.
        density: mesh and values at its vertices, of a density on a mesh that stays.
    """

    measure: Measure
    on: Manifold
    error: float
    words: str
    tokens: bool
    density: tuple[Mesh, Array] | None = None

    @property
    def equal(self) -> bool:
        """Whether all points have the same mass."""
        w = self.measure.weights
        return bool(np.ptp(w) <= _EQUAL * w.max())

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """Independent draws of a density, or a choice of n different tokens, (n, d)."""
        x, w = np.asarray(self.measure.points), self.measure.weights
        if self.tokens:
            return x if n >= len(x) else x[rng.choice(len(x), n, replace=False)]
        if self.density is not None:
            return sample_density(*self.density, n, rng)
        x = x[rng.choice(len(x), n, p=w / w.sum())]
        if not self.on.latitudes:
            return x
        return along_axis(2.0 * np.sin(0.5 * x[:, 0]) ** 2, np.eye(self.on.d)[-1], rng)


_ASSUMED = 3  # dimension where nothing tells it


def read_sides(
    first: str | Path, second: str | Path, d: int | None = None, time: float | None = None
) -> tuple[Side, Side]:
    """Read two measures on the same sphere.

    Args:
        first, second: files of tokens, or folders of runs.
        d: dimension of their space; None: as one of them tells, or 3.
        time: output time of runs; None: the last of each.

    Raises:
        InputError: what cannot be read, or is in another dimension; a time of two files.
    """
    if d is not None and d < 2:
        raise InputError(f"d = {d} found, at least 2 expected")
    if time is not None and not math.isfinite(time):
        raise InputError(f"time {time:g} found, a finite number expected")
    if time is not None and not any(Path(path).is_dir() for path in (first, second)):
        raise InputError(
            f"time {time:g} found for two files of tokens, which have none: expected the folder of "
            "a run, or no time"
        )
    told = (d, _told_dimension(Path(first)), _told_dimension(Path(second)))
    known = next((found for found in told if found is not None), None)
    try:
        one, two = (read_side(path, known or _ASSUMED, time) for path in (first, second))
    except InputError as error:
        if known is None and any(f"{of}{_ASSUMED}" in str(error) for of in ("d = ", "found, ")):
            raise InputError(f"{error} (--d D, in Python d = D, tells another dimension)") from None
        raise
    return one, two


def _told_dimension(path: Path) -> int | None:
    """What a run, or an array by its shape, tells; None: it does not."""
    if path.is_dir():
        folder = RunFolder.open(path)
        if folder.fields_path.is_file():
            return read_fields(folder.fields_path).d
        return read_tokens_file(folder.particles_path).d if _has_tokens(folder) else None
    if path.suffix.lower() not in (".npy", ".npz") or not path.is_file():
        return None
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if path.suffix.lower() == ".npy":
            shapes = [found.shape]
        else:
            with found:
                shapes = [found[name].shape for name in found.files]
    except (ValueError, OSError, EOFError, BadZipFile):
        return None  # which is told when it is read
    widths = {int(shape[1]) for shape in shapes if len(shape) == 2 and shape[1] > 1}
    return widths.pop() if len(widths) == 1 else None


def _has_tokens(folder: RunFolder) -> bool:
    return folder.particles_path.is_file()


def read_side(path: str | Path, d: int, time: float | None = None) -> Side:
    """Read a measure on S^{d-1}.

    Args:
        path: a file of tokens (``dynamics.tokenfiles``), or the folder of a run.
        d: dimension that is expected.
        time: of a run: an output time; None: the last one. Files have none.

    Raises:
        InputError: it is neither, has another dimension or no such time.
    """
    path = Path(path)
    if not path.is_dir():
        table = read_tokens(path, d)
        w = np.ones(len(table.x)) if table.weights is None else table.weights
        words = f"{path}: {len(w):,} tokens on S^{d - 1}"
        return Side(Measure(table.x, w / w.sum()), of_vectors(d), 0.0, words, tokens=True)
    folder = RunFolder.open(path)
    if folder.fields_path.is_file():
        side = _density(folder, time)
    elif _has_tokens(folder):
        side = _tokens(folder, time)
    else:
        raise InputError(
            f"{path} has neither a density ({folder.fields_path.name}) nor tokens "
            f"({folder.particles_path.name}): the folder of a run expected"
        )
    if side.on.d != d:
        raise InputError(f"{path} is in d = {side.on.d}, d = {d} expected, as the other side")
    return side


def _density(folder: RunFolder, time: float | None) -> Side:
    fields = read_fields(folder.fields_path)
    k = _step(folder, fields.times, time)
    mesh, on = fields.at(k).mesh, fields.at(k).mesh.manifold
    words = f"{folder.path}: a density on {on.describe()}, t = {fields.times[k]:g}"
    if fields.moving:
        mass = np.maximum(fields.read("mass", k), 0.0)
        error = spread_bound(mesh, mass)
        return Side(Measure(mesh.points, mass / mass.sum()), on, error, words, tokens=False)
    if "rho" in fields.names:
        rho = fields.read("rho", k)
    elif "log10_rho" in fields.names:
        rho = 10.0 ** np.minimum(fields.read("log10_rho", k), 300.0)
    else:
        raise InputError(f"{folder.path} has no density among its fields: 'rho' or 'log10_rho'")
    measure, error = density_measure(mesh, rho)
    return Side(measure, on, error, words, tokens=False, density=(mesh, rho))


def _tokens(folder: RunFolder, time: float | None) -> Side:
    stored = read_tokens_file(folder.particles_path)
    k = _step(folder, stored.times, time)
    t, on = float(stored.times[k]), of_vectors(stored.d)
    if stored.d <= 3:
        x = stored.points(k)[:, : stored.d]
    else:
        x = _of_checkpoint(folder, stored.d, t)
    # Which may be in single precision: lengths are 1 to 1e-7 only.
    x, w = on.normalised(x), stored.read("mass", k)
    words = f"{folder.path}: {len(x):,} tokens on {on.symbol}, t = {t:g}"
    return Side(Measure(x, w / w.sum()), on, 0.0, words, tokens=True)


def _of_checkpoint(folder: RunFolder, d: int, t: float) -> Array:
    """All coordinates of the tokens of a run in d > 3, of which the file has three."""
    times = []
    for path in folder.checkpoint_paths:
        if path.is_file():
            values = load_checkpoint(path)
            at, x = float(np.asarray(values.get("t", np.nan))), np.asarray(values.get("x"))
            if x.ndim == 2 and abs(at - t) <= _SAME * max(1.0, abs(t)):
                return x
            times.append(f"{at:g}")
    raise InputError(
        f"{folder.path}: t = {t:g} found, of which the file of tokens has 3 of {d} coordinates; "
        f"expected the time of a checkpoint ({', '.join(times) or 'there is none'})"
    )


def _step(folder: RunFolder, times: Array, time: float | None) -> int:
    """Number of the step at a time; by default the last."""
    if not len(times):
        raise InputError(f"{folder.path} has no output yet: a run with one or more expected")
    if time is None:
        return len(times) - 1
    k = int(np.argmin(np.abs(times - time)))
    if abs(times[k] - time) > _SAME * max(1.0, abs(time)):
        raise InputError(
            f"{folder.path}: time {time:g} found, one of its {len(times)} output times from "
            f"{times[0]:g} to {times[-1]:g} expected (the nearest: {times[k]:g})"
        )
    return k
