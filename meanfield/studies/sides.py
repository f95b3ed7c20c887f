"""What a distance is measured between: tokens of a file, tokens of a run, the density of a run.

Reads files and folders, never a live run. Knows nothing of distances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from meanfield.analysis.quadrature import density_measure, sample_density, spread_bound
from meanfield.dynamics.tokenfiles import read_tokens
from meanfield.errors import InputError, suggest
from meanfield.geometry.laws.base import along_axis
from meanfield.geometry.manifolds import Manifold, of_vectors
from meanfield.geometry.mesh import Mesh
from meanfield.geometry.sphere import Array
from meanfield.interaction.measure import Measure
from meanfield.results.checkpoint import load_checkpoint
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, read_fields, read_tokens_file

__all__ = [
    "Side",
    "common_steps",
    "density_of",
    "has_tokens",
    "read_side",
    "read_sides",
    "side_of_density",
    "side_of_masses",
    "step_at",
]

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
        moved: the mesh of vertices that have moved, whose masses the points are.
    """

    measure: Measure
    on: Manifold
    error: float
    words: str
    tokens: bool
    density: tuple[Mesh, Array] | None = None
    moved: Mesh | None = None

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
    for path in (first, second):
        if not Path(path).exists():
            folder = Path(path).parent
            near = [p.name for p in folder.iterdir()] if folder.is_dir() else []
            raise InputError(
                f"{path}: no such folder or file{suggest(Path(path).name, near)}, expected the "
                "folder of a run, or a file of tokens"
            )
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
        return read_tokens_file(folder.particles_path).d if has_tokens(folder) else None
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


def has_tokens(folder: RunFolder) -> bool:
    """Whether the run is one of tokens, with a file of them."""
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
    elif has_tokens(folder):
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
    k = step_at(folder, fields.times, time)
    mesh, on = fields.at(k).mesh, fields.at(k).mesh.manifold
    words = f"{folder.path}: a density on {on.describe()}, t = {fields.times[k]:g}"
    if fields.moving:
        return side_of_masses(mesh, fields.read("mass", k), words)
    return side_of_density(mesh, density_of(fields, k, folder.path), words)


def side_of_masses(mesh: Mesh, mass: Array, words: str) -> Side:
    """The side of a density that is known by the masses (n,) of vertices that have moved."""
    mass = np.maximum(mass, 0.0)
    measure = Measure(mesh.points, mass / mass.sum())
    error = spread_bound(mesh, mass)
    return Side(measure, mesh.manifold, error, words, tokens=False, moved=mesh)


def side_of_density(mesh: Mesh, rho: Array, words: str) -> Side:
    """The side of a density by its values (n,) at the vertices of a mesh that stays."""
    measure, error = density_measure(mesh, rho)
    return Side(measure, mesh.manifold, error, words, tokens=False, density=(mesh, rho))


def density_of(fields: FieldSeries, k: int, path: Path) -> Array:
    """rho (n,) at a step of a field file on a mesh that stays.

    Raises:
        InputError: the fields of the run at ``path`` are others.
    """
    if "rho" in fields.names:
        return fields.read("rho", k)
    if "log10_rho" in fields.names:
        return np.asarray(10.0 ** np.minimum(fields.read("log10_rho", k), 300.0))
    raise InputError(f"{path} has no density among its fields: 'rho' or 'log10_rho'")


def _tokens(folder: RunFolder, time: float | None) -> Side:
    stored = read_tokens_file(folder.particles_path)
    k = step_at(folder, stored.times, time)
    t, on = float(stored.times[k]), of_vectors(stored.d)
    if stored.d <= 3 or "coordinates" in stored.names:
        x = stored.coordinates(k)
    else:
        x = _of_checkpoint(folder, stored.d, t)
    # Which may be in single precision: lengths are 1 to 1e-7 only.
    x, w = on.normalised(x), stored.read("mass", k)
    words = f"{folder.path}: {len(x):,} tokens on {on.symbol}, t = {t:g}"
    return Side(Measure(x, w / w.sum()), on, 0.0, words, tokens=True)


def _of_checkpoint(folder: RunFolder, d: int, t: float) -> Array:
    """All coordinates of the tokens of a run in d > 3 whose file has three of them alone."""
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


def step_at(folder: RunFolder, times: Array, time: float | None) -> int:
    """Number of the output step of a run at a time; by default the last.

    Raises:
        InputError: there is none; the nearest is named.
    """
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


def common_steps(
    paths: Sequence[str | Path], times: Sequence[Array], time: float | None = None
) -> list[tuple[int, int]]:
    """Numbers of the steps of two runs at the output times that both have.

    Args:
        paths: of the two runs, for messages.
        times: output times of each.
        time: one of those; None: all.

    Raises:
        InputError: one has no output, or there is no such time.
    """
    for path, known in zip(paths, times, strict=True):
        if not len(known):
            raise InputError(f"{path} has no output yet: a run with one or more expected")
    pairs = []
    for i, t in enumerate(times[0]):
        j = int(np.argmin(np.abs(times[1] - t)))
        if abs(times[1][j] - t) <= _SAME * max(1.0, abs(t)):
            pairs.append((i, j))
    if not pairs:
        one, two = (f"{p} (t = {t[0]:g} to {t[-1]:g})" for p, t in zip(paths, times, strict=True))
        raise InputError(f"{one} and {two} have no output time in common")
    if time is None:
        return pairs
    shared = np.array([times[0][i] for i, _ in pairs])
    k = int(np.argmin(np.abs(shared - time)))
    if abs(shared[k] - time) > _SAME * max(1.0, abs(time)):
        raise InputError(
            f"time {time:g} found, one of the {len(shared)} output times expected that both runs "
            f"have, {shared[0]:g} to {shared[-1]:g} (the nearest: {shared[k]:g})"
        )
    return [pairs[k]]
