"""How fast the Eulerian solver converges to characteristics: a table of distances and orders.

The law, the model and the times are those of ``scripts/cases/clustering.toml``. The reference
follows the characteristics of a mesh finer than all others; every Eulerian run is compared with it
at its own vertices (L1) and by W2 of the masses there (``meanfield compare DIR DIR`` does the same
for any two runs). The order is the slope of log error against log h, h = 2^-level.

    scripts/env python scripts/studies/convergence.py                        (minutes)
    scripts/env python scripts/studies/convergence.py --levels 3 4 --no-distances
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.studies.rundiff import RunDifference, compare_runs

CASE = Path(__file__).parents[1] / "cases" / "clustering.toml"
TIMES = (1.0, 2.0, 4.0)


def one(folder: Path, level: int, solver: str, times: Sequence[float]) -> Path:
    """Run the case on one mesh; returns its folder."""
    changes = {
        "geometry.level": level,
        "solver.type": solver,
        "time.end": times[-1],
        "time.outputs": list(times),
        "output.precision": "float64",
        "output.fields": ["rho", "log10_rho"],
        "output.figures": False,
    }
    path = folder / f"{solver}-{level}"
    mf.run(mf.Case.from_toml(CASE, changes), path, progress=False)
    return path


def study(
    folder: Path, levels: Sequence[int], reference: int, times: Sequence[float], distances: bool
) -> dict[int, list[RunDifference]]:
    """Differences of Eulerian runs from characteristics, by level, at the times (and 0)."""
    exact = one(folder, reference, "lagrangian", times)
    return {
        level: compare_runs(one(folder, level, "eulerian", times), exact, distances)
        for level in levels
    }


def order(levels: Sequence[int], errors: Sequence[float]) -> float:
    """Slope of log2 error against level, by least squares."""
    return -float(np.polyfit(levels, np.log2(errors), 1)[0])


def table(found: dict[int, list[RunDifference]]) -> list[str]:
    """Lines in Markdown: for each time, errors at each level and their order."""
    levels = list(found)
    names = ("l1", "w2", "mean")
    lines = ["| t | error in | " + " | ".join(f"level {k}" for k in levels) + " | order |"]
    lines.append("|---" * (3 + len(levels)) + "|")
    for k, row in enumerate(found[levels[0]]):
        if row.t == 0.0:
            continue
        for name in names:
            errors = [float(getattr(found[level][k], name)) for level in levels]
            if not np.all(np.isfinite(errors)):
                continue
            cells = " | ".join(f"{error:.2e}" for error in errors)
            lines.append(f"| {row.t:g} | {name} | {cells} | {order(levels, errors):.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--levels", type=int, nargs="+", default=[3, 4, 5])
    parser.add_argument("--reference", type=int, default=6, help="level of the characteristics")
    parser.add_argument("--times", type=float, nargs="+", default=list(TIMES))
    parser.add_argument("--no-distances", action="store_true", help="leave out W2, the slow part")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = study(Path(folder), args.levels, args.reference, args.times, not args.no_distances)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
