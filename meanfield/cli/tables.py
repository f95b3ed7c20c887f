"""Tables of names and texts, and rows that several verbs show. Knows no verb."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.cli import screen

if TYPE_CHECKING:
    from meanfield.geometry.sphere import Array
    from meanfield.studies.grid import Grid

__all__ = ["Row", "error_rows", "final_numbers", "picture_rows", "size", "table", "tables"]

Row = tuple[str, str]


def table(rows: Sequence[Row]) -> str:
    """One row a line, the texts below each other; on a terminal in colour, to its width."""
    if screen.laid_out(sys.stdout):
        return screen.pairs(rows, sys.stdout)
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{text}".rstrip() for name, text in rows)


def tables(parts: Sequence[Grid | str], plain: Sequence[str]) -> str:
    """Tables of columns with texts; ``plain``: what anything but a terminal gets."""
    return screen.grids(parts, sys.stdout) if screen.laid_out(sys.stdout) else "\n".join(plain)


def size(count: float) -> str:
    """Words for a number of bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


def final_numbers(series: Mapping[str, Array], energy: str) -> list[Row]:
    """Rows on the last one of the series; ``energy``: how the scaled energy is written."""
    last = {name: float(column[-1]) for name, column in series.items() if len(column)}
    rows = []
    if "energy" in last:
        scaled = ""
        if "energy_scaled" in last and energy != "E":
            scaled = f" ({energy} = {last['energy_scaled']:.6g})"
        rows.append(("E", f"{last['energy']:.6g}{scaled}"))
    elif "energy_scaled" in last:
        rows.append((energy, f"{last['energy_scaled']:.6g}"))
    if "mean_norm" in last:
        rows.append(("|m|", f"{last['mean_norm']:.6g}"))
    if "clusters" in last:
        rows.append(("clusters", f"{last['clusters']:g}"))
    return rows


def error_rows(run: Mapping[str, object], energy: str) -> list[Row]:
    """Rows on the errors that a run record has estimated; ``energy``: how it is written."""
    found = run.get("estimated_error")
    if not isinstance(found, Mapping):
        return []
    names = {"mean": "mean", "energy_scaled": energy}
    known = {name: value for name, value in found.items() if math.isfinite(float(value))}
    if not known:
        return [("error", "not estimated (see the warnings)")]
    told = [f"{names.get(name, name)} {value:.1e}" for name, value in known.items()]
    return [("error", f"about {', '.join(told)} (estimated, by the number of points)")]


def picture_rows(folder: Path) -> list[Row]:
    """Rows on the pictures in a run folder."""
    from meanfield.results.folder import RunFolder

    return [("picture", str(path)) for path in sorted(RunFolder(folder).figures_dir.glob("*.png"))]
