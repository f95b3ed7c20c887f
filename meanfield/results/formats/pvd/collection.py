"""Many grids in time (.pvd): a list of files, one a step, which grows step by step.

Owns the list, which is written anew after each step's file: killed at any moment, it lists whole
files. What else there is to know of a series stands in an element of its own beside the list, as
JSON, which other readers pass over. Knows neither meshes nor tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from meanfield.errors import InputError, suggest
from meanfield.geometry.sphere import Array
from meanfield.results.formats.pvd.vtu import Grid, write_grid
from meanfield.whole import whole_file

__all__ = ["CollectionWriter", "damaged", "read_collection", "step_path", "write_collection"]

_FORMAT = 1
"""Version of what stands beside the list."""

About = dict[str, object]


def step_path(path: Path, k: int) -> Path:
    """The file of a step: ``fields.pvd`` has ``fields/fields_000000.vtu`` and so on."""
    return path.parent / path.stem / f"{path.stem}_{k:06d}.vtu"


def write_collection(path: Path, times: Array, about: Mapping[str, object]) -> None:
    """Write the list of the files of as many steps."""
    root = ElementTree.Element(
        "VTKFile", {"type": "Collection", "version": "1.0", "byte_order": "LittleEndian"}
    )
    listed = ElementTree.SubElement(root, "Collection")
    for k, t in enumerate(times):
        name = step_path(path, k).relative_to(path.parent).as_posix()
        ElementTree.SubElement(
            listed, "DataSet", {"timestep": repr(float(t)), "part": "0", "file": name}
        )
    text = json.dumps({"format": _FORMAT, **about})
    ElementTree.SubElement(root, "meanfield", {"about": text})
    ElementTree.indent(root)
    with whole_file(path) as part:
        ElementTree.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)


def read_collection(path: Path, kind: str) -> tuple[Array, About]:
    """Times of the steps, (k,), and what stands beside the list.

    Raises:
        InputError: there is no such file, it is damaged, or of another program or later version.
    """
    if not path.is_file():
        raise InputError(f"no {kind} at {path}")
    try:
        root = ElementTree.parse(path).getroot()
        about = json.loads(root.findall("meanfield")[0].attrib["about"])
        times = [float(one.attrib["timestep"]) for one in root.iter("DataSet")]
        found = int(about["format"])
    except (ElementTree.ParseError, LookupError, ValueError, TypeError) as error:
        raise damaged(path, kind, error) from None
    if found != _FORMAT:
        raise InputError(
            f"{path} has format {found}, this version reads {_FORMAT}: use the meanfield version "
            "that wrote it"
        )
    return np.asarray(times, dtype=np.float64), about


def damaged(path: Path, kind: str, error: Exception) -> InputError:
    """Make the error to raise when a file is not what a run writes."""
    return InputError(
        f"{path} cannot be read as a {kind} of meanfield ({error}): it is damaged or was written "
        "by another program"
    )


class CollectionWriter:
    """Appends steps to a collection; what the writers of fields and of tokens share.

    Args:
        path: the list; an existing one is replaced by the first step.
        kind: what to call it in messages.
        precision: "float32" or "float64", how values are stored.
        compression: "gzip" (zlib here) or "none".

    Raises:
        InputError: if precision or compression is not one of those.
    """

    def __init__(self, path: Path, kind: str, precision: str, compression: str) -> None:
        for key, value, valid in (
            ("precision", precision, ("float32", "float64")),
            ("compression", compression, ("gzip", "none")),
        ):
            if value not in valid:
                raise InputError(
                    f"output.{key} = {value!r}: expected one of {', '.join(valid)}"
                    + suggest(str(value), valid)
                )
        self.path, self._kind = Path(path), kind
        self._dtype = np.dtype(precision)
        self._compressed = compression == "gzip"
        self._times = np.zeros(0)
        self._about: About = {}

    @property
    def steps(self) -> int:
        """Number of steps in the list."""
        return len(self._times)

    @property
    def last_time(self) -> float:
        """Time of the last step, -inf before the first."""
        return float(self._times[-1]) if len(self._times) else -np.inf

    def _check_time(self, t: float) -> None:
        if not (np.isfinite(t) and t > self.last_time):
            raise ValueError(f"time {t!r} of a step must be finite and above {self.last_time!r}")

    def _check_resumed(self, found: Mapping[str, object], told: Mapping[str, str]) -> None:
        """Refuse to go on with another series; ``told``: what each entry is, and what to do."""
        for name, value in self._about.items():
            if found.get(name) != value:
                words = told.get(name, "start again with --overwrite")
                raise InputError(
                    f"to resume, {self.path} must hold the run's own {self._kind}: found {name} = "
                    f"{found.get(name)}, expected {value}; {words}"
                )

    def _keep(self, times: Array, resume_at: float) -> None:
        """Go on after the steps with t <= resume_at; the others are dropped."""
        # A time that went through a decimal representation may be off in the last digit.
        slack = 1e-12 * max(1.0, abs(resume_at))
        keep = int(np.searchsorted(times, resume_at + slack, side="right"))
        self._times = times[:keep]
        if keep == len(times):
            return
        if keep:
            write_collection(self.path, self._times, self._about)
        else:
            self.path.unlink()
        for k in range(keep, len(times)):
            step_path(self.path, k).unlink(missing_ok=True)

    def _append(self, t: float, grid: Grid) -> None:
        """Write the file of a step, then the list with it."""
        made = step_path(self.path, self.steps)
        made.parent.mkdir(exist_ok=True)
        grid = Grid(grid.points, grid.cells, grid.data, {**grid.tables, "TimeValue": np.array([t])})
        try:
            write_grid(made, grid, self._compressed)
            times = np.append(self._times, t)
            write_collection(self.path, times, self._about)
        except BaseException:
            with suppress(OSError):
                made.unlink(missing_ok=True)
            raise
        self._times = times

    def close(self) -> None:
        """Nothing is open between two steps."""
