"""The state script of a run: its numbers, in tables at the top; what is done with them is ``body``.

Reads folders by their formats. Limits, viewpoint and colours are those of the figures.
"""

from __future__ import annotations

import math
import os
import pprint
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb

from meanfield.arguments import PathLike, checked_arguments
from meanfield.errors import InputError
from meanfield.figures.reading import title_of
from meanfield.figures.slices import is_sliced
from meanfield.figures.style import CLUSTER_COLOURS, cluster_colours
from meanfield.geometry.sphere import Array, normalize
from meanfield.paraview.body import BODY
from meanfield.results.folder import RunFolder
from meanfield.results.formats import FieldSeries, TokenSeries, read_tokens_file
from meanfield.results.outputs import known_fields
from meanfield.scenes import views
from meanfield.software import package_version
from meanfield.whole import write_text

__all__ = ["STATE_FILE", "state_script", "write_state"]

STATE_FILE = "open_in_paraview.py"

_HEIGHT = 0.9
"""Height of the whole range of log10 rho above a curve, in radii."""
_ARROW = 0.35
"""Length of the arrow of the largest velocity, in radii."""
_GREY = "0.55"
_VOID, _MOST = -2.0, 12.0
"""Least and largest log10 of a density on a curve that is drawn, as in the figures."""

Table = dict[str, object]


@dataclass(frozen=True)
class _Camera:
    """From where, and how much is seen: ``toward`` a unit vector to the viewer, half a height."""

    toward: Array
    scale: float
    focus: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def table(self) -> Table:
        up = views.frame_towards(self.toward)[1]
        return {
            "toward": _numbers(self.toward),
            "up": _numbers(up),
            "focus": _numbers(self.focus),
            "scale": self.scale,
        }


@checked_arguments
def write_state(
    folder: PathLike,
    output: PathLike | None = None,
    *,
    tokens: PathLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a script by which ParaView (>= 5.12) opens a run as one would want it.

    For ``File > Load State``, pvpython and pvbatch. It finds the data by paths that begin at
    itself: it may move together with them.

    Args:
        folder: of a run, of a density or of tokens.
        output: the file to make; None: ``open_in_paraview.py`` in the folder.
        tokens: the folder of a run of tokens, which are shown together with the density.
        overwrite: replace a file that is there (the one in the folder is always replaced).

    Returns:
        The file made.

    Raises:
        InputError: a folder has nothing to show; tokens on another sphere, or with a density on
            latitudes; the file is no .py, or there already; somebody else is writing in the folder.
    """
    run = RunFolder.open(folder)
    beside = None if tokens is None else RunFolder.open(tokens)
    path = run.path / STATE_FILE if output is None else Path(output)
    within = path.resolve().parent == run.path.resolve()
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a file to write, such as {STATE_FILE}")
    if path.suffix != ".py":
        raise InputError(
            f"output: found {path}, expected a name that ends in .py, such as {STATE_FILE}: "
            "ParaView takes no other for a script"
        )
    if path.name == "paraview.py":
        raise InputError(
            f"{path} would hide ParaView's own module of that name from Python: give another "
            f"name, such as {STATE_FILE}"
        )
    if path.exists() and not overwrite and not (within and path.name in run.files()):
        raise InputError(f"{path} is there already: add --overwrite, or give another name")
    if not path.resolve().parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for {path.name}")
    text = state_script(run, path.resolve().parent, beside)
    if not within:
        write_text(path, text)
        return path
    with RunFolder.claimed(run.path, "paraview", "FILE"):
        write_text(run.file(path.name), text)
    return path


def state_script(run: RunFolder, place: Path, beside: RunFolder | None = None) -> str:
    """The text of the script, for the folder ``place``; ``beside``: see ``write_state``."""
    density = tokens = None
    if run.fields_path.is_file():
        fields = known_fields(run)
        if beside is not None and beside.particles_path.is_file():
            _refuse_apart(fields, read_tokens_file(beside.particles_path))
        density, camera = _density(fields, place)
    elif beside is not None:
        raise InputError(f"{run.path} has no density, beside which to show tokens of {beside.path}")
    holder = beside or run
    if holder.particles_path.is_file():
        tokens, aim = _tokens(read_tokens_file(holder.particles_path), place)
        camera = camera if density is not None else aim
    elif beside is not None:
        raise InputError(f"{beside.path} has no tokens ({beside.particles_path.name})")
    if density is None and tokens is None:
        raise InputError(
            f"{run.path} has neither a density ({run.fields_path.name}) nor tokens "
            f"({run.particles_path.name}): the folder of a run expected"
        )
    tables = {
        "WRITTEN_IN": str(place),
        "CAMERA": camera.table(),
        "DENSITY": density,
        "TOKENS": tokens,
    }
    named = (f"{name} = {pprint.pformat(value, width=96)}" for name, value in tables.items())
    return f"{_head(title_of(run) or run.path.name)}\n" + "\n".join(named) + "\n" + BODY


def _refuse_apart(fields: FieldSeries, tokens: TokenSeries) -> None:
    """Refuse tokens of another sphere, and of one of which the density has a curve alone."""
    if fields.manifold.latitudes:
        raise InputError(
            f"{tokens.path}: tokens found for a density on latitudes ({fields.path}), which is "
            "drawn as one curve; expected one on the sphere or the circle"
        )
    if tokens.d != fields.d:
        raise InputError(
            f"{tokens.path}: tokens in d = {tokens.d} found, d = {fields.d} expected, as "
            f"{fields.path} has"
        )


def _head(title: str) -> str:
    words = " ".join(title.split()).replace('"', "'").replace("\\", "/")
    return f'''"""{words}

State of ParaView (5.12 or later), written by meanfield {package_version("meanfield")}.

  File > Load State... in ParaView, or
  pvbatch THIS.py --screenshot picture.png [--time T] [--size 1000 800]

What is drawn is clamped to the limits below: log10_rho is -300 where the density is zero.
"""
'''


def _relative(path: Path, place: Path) -> str:
    return Path(os.path.relpath(path.resolve(), place)).as_posix()


def _numbers(values: Sequence[float] | Array) -> list[float]:
    return [round(float(v), 6) + 0.0 for v in values]


def _arrow_scale(names: Sequence[str], speeds: Sequence[float]) -> float | None:
    """Length of an arrow of the speed 1; None where there are no velocities."""
    if "velocity" not in names:
        return None
    most = max(speeds)
    return _ARROW / most if most > 0.0 else 1.0


def _ticks(low: float, high: float) -> list[float]:
    """Some eight numbers from one limit to the other."""
    step = 0.5 * max(1, math.ceil((high - low) / 4.0))
    inner = step * np.arange(math.ceil(low / step), math.floor(high / step) + 1)
    return sorted({low, high, *map(float, inner)})


def _speed(velocity: Array) -> float:
    return float(np.linalg.norm(velocity, axis=1).max())


# -- densities ------------------------------------------------------------------------------------


def _density(fields: FieldSeries, place: Path) -> tuple[Table, _Camera]:
    steps = range(len(fields.times))
    if not len(steps):
        raise InputError(f"{fields.path} has no steps: the run did not get to its first output")
    if fields.density_name is None or is_sliced(fields):
        raise InputError(
            f"{fields.path} has no density, only {', '.join(fields.all_names)}: expected 'rho' or "
            "'log10_rho' in output.fields"
        )
    each = [_Step.of(fields, k) for k in steps]
    shown = _Shown(each, fields.manifold.dimension == 1, fields.moving)
    speeds = [_speed(fields.read("velocity", k)) for k in steps if "velocity" in fields.names]
    table: Table = {
        "file": _relative(fields.path, place),
        "times": [float(t) for t in fields.times],
        "from_rho": fields.density_name == "rho",
        "limits": shown.limits,
        "labels": _ticks(*shown.limits),
        "height": None,
        "velocity": _arrow_scale(tuple(fields.names), speeds),
    }
    if not shown.curve:
        return table, _Camera(shown.front(), 1.25)
    low, high = shown.limits
    scale, normal = _HEIGHT / (high - low), _normal(fields.points)
    table["height"] = {"normal": _numbers(normal), "scale": round(scale, 6)}
    middle = 0.5 * scale * (low + high) * normal
    focus = (float(middle[0]), float(middle[1]), float(middle[2]))
    return table, _Camera(shown.oblique(normal), 1.25, focus)


@dataclass(frozen=True)
class _Step:
    """A density at one time: points (n, 3), log10 of it, areas and masses as parts of the whole."""

    points: Array
    log10_rho: Array
    weights: Array
    masses: Array

    @classmethod
    def of(cls, fields: FieldSeries, k: int) -> _Step:
        there = fields.at(k)
        values = there.log10_density(k)
        if there.manifold.dimension == 2:
            weights = views.vertex_weights(there.points, there.cells)
        else:
            mesh = there.mesh
            parts = np.repeat(there.manifold.shares(mesh.points, mesh.cells), mesh.cells.shape[1])
            weights = np.bincount(mesh.cells.ravel(), parts, minlength=len(mesh.points))
            weights = weights / weights.sum()
        if fields.moving:
            masses = np.maximum(there.read("mass", k), 0.0)
        else:
            masses = weights * 10.0 ** np.clip(values, -300.0, 300.0)
        return cls(there.points, values, weights, masses / masses.sum())


@dataclass(frozen=True)
class _Shown:
    """The densities of all times; ``curve``: on a circle or along latitudes."""

    steps: list[_Step]
    curve: bool
    moving: bool

    @property
    def limits(self) -> tuple[float, float]:
        """Of log10 rho, over all times: of the figures' colours, and on curves of all values."""
        if self.curve:
            low = min(float(step.log10_rho.min()) for step in self.steps)
            high = max(float(step.log10_rho.max()) for step in self.steps)
            low = max(math.floor(2.0 * low) / 2.0, _VOID)
            return low, max(min(math.ceil(2.0 * high) / 2.0, _MOST), low + 0.5)
        if not self.moving:
            values = np.stack([step.log10_rho for step in self.steps])
            masses = np.stack([step.masses for step in self.steps])
            return views.colour_range(values, self.steps[0].weights, masses)
        ranges = [
            views.colour_range(s.log10_rho[None], s.weights, s.masses[None]) for s in self.steps
        ]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def front(self) -> Array:
        """Unit vector to the viewer who sees most of the mass."""
        points = np.concatenate([step.points for step in self.steps])
        masses = np.concatenate([step.masses for step in self.steps]) / len(self.steps)
        return views.view_direction(points, masses[None])

    def oblique(self, normal: Array) -> Array:
        """Unit vector to a viewer before the mass and above the plane of a curve."""
        mean = sum(step.masses @ step.points for step in self.steps) / len(self.steps)
        mean = mean - (mean @ normal) * normal
        if np.linalg.norm(mean) < 1e-3:
            mean = np.linalg.svd(self.steps[0].points, full_matrices=False)[2][0]
        return normalize(math.cos(0.6) * normalize(mean) + math.sin(0.6) * normal)


def _normal(points: Array) -> Array:
    """Unit normal of the plane of a great circle, up if it can."""
    normal = np.linalg.svd(points, full_matrices=False)[2][2]
    return np.asarray(normal * np.sign(normal[np.argmax(np.abs(normal))]))


# -- tokens ---------------------------------------------------------------------------------------

_BALLS = 5000
"""Tokens of which each is a sphere; more are discs that face the viewer."""
_SEEN = 60
"""Steps from which the viewpoint of tokens is chosen."""


def _tokens(tokens: TokenSeries, place: Path) -> tuple[Table, _Camera]:
    steps = range(len(tokens.times))
    if not len(steps):
        raise InputError(f"{tokens.path} has no steps: the run did not get to its first output")
    masses = tokens.read("mass")
    masses = masses / masses.sum()
    labels = [tokens.read("cluster", k) for k in steps]
    colours = cluster_colours(labels, masses)
    tables = []
    for label, colour in zip(labels, colours, strict=True):
        found = np.unique(np.stack([label, colour]), axis=1)
        tables.append({int(one): int(number) for one, number in found.T if number >= 0})
    used = sorted({number for table in tables for number in table.values()})
    ends = {c: float(masses[colours[-1] == c].sum()) for c in used}
    speeds = [_speed(tokens.read("velocity", k)) for k in steps]
    table: Table = {
        "file": _relative(tokens.path, place),
        "times": [float(t) for t in tokens.times],
        "tables": tables,
        "annotations": [["-1", "others"], *([str(c), _percent(ends[c])] for c in used)],
        "colours": [_numbers(to_rgb(c)) for c in (_GREY, *(CLUSTER_COLOURS[c] for c in used))],
        "radius": round(min(max(0.5 / math.sqrt(tokens.n), 0.008), 0.03), 4),
        "many": tokens.n > _BALLS,
        "circle": tokens.d == 2,
        "inside": tokens.d > 3,
        "velocity": _arrow_scale(tokens.names, speeds),
    }
    if tokens.d == 2:
        return table, _Camera(np.array([0.0, 0.0, 1.0]), 1.25)
    chosen = np.unique(np.linspace(0, len(steps) - 1, _SEEN).round().astype(int))
    clouds = np.concatenate([tokens.points(int(k)) for k in chosen])
    front = views.view_direction(clouds, np.tile(masses / len(chosen), len(chosen))[None])
    return table, _Camera(front, 1.25)


def _percent(part: float) -> str:
    return f"{100.0 * part:.0f} %" if part > 0.0 else "merged"
