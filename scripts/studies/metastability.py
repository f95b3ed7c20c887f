"""How long three clusters on the circle last, by four discretisations of one equation.

The case is ``scripts/cases/metastable.toml``: characteristics, the linear-implicit and the explicit
finite elements, and 2 000 tokens start from the same law. For each: when three clusters become two,
and two become one (the times at which E passes the middle between its plateaus), how many steps and
seconds that took, and E against the logarithm of time in one picture. Solvers of a density on a
mesh that stays cannot hold clusters narrower than a cell; what becomes of them there is numerics,
not physics, and the table shows it. The explicit one is stopped after a minute.

    scripts/env python scripts/studies/metastability.py [-o results/metastability]
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

CASE = Path(__file__).parents[1] / "cases" / "metastable.toml"
SOLVERS: dict[str, dict[str, Any]] = {
    "characteristics": {},
    "2000 tokens": {
        "geometry.type": "unmeshed",
        "geometry.d": 2,
        "solver.type": "particles",
        "solver.number": 2000,
        "solver.tokens": "quantised",
    },
    "implicit": {"solver.type": "implicit", "solver.rtol": 1e-3},
    "explicit": {"solver.type": "eulerian"},
}


def run(name: str, folder: Path, wall: float) -> tuple[mf.Result, float]:
    """One discretisation of the case."""
    changes = {**SOLVERS[name], "output.figures": False, "time.wall_limit": wall}
    case = mf.Case.from_toml(CASE, changes)
    begun = time.perf_counter()
    result = mf.run(case, folder / name.replace(" ", "-"), overwrite=True, progress=False)
    return result, time.perf_counter() - begun


def passing(t: Any, energy: Any, level: float) -> float:
    """When E first passes a level; nan if it does not."""
    above = np.flatnonzero(energy > level)
    return float(t[above[0]]) if above.size else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("results/metastability"))
    parser.add_argument("--wall", type=float, default=60.0, help="seconds for each (default 60)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    found = {name: run(name, args.output, args.wall) for name in SOLVERS}

    # Plateaus of equal Diracs on the circle: three of them, two opposite, one.
    beta = 9.0
    pairs = [
        np.exp(beta * (np.cos(2.0 * np.pi * np.arange(m) / m) - 1.0)).mean() for m in (3, 2, 1)
    ]
    plateau = np.array(pairs) / (2.0 * beta)
    # Two clusters of masses 1/3 and 2/3: more than two equal ones.
    plateau[1] = (1.0 / 9.0 + 4.0 / 9.0) / (2.0 * beta)
    levels = 0.5 * (plateau[:-1] + plateau[1:])
    rows = []
    for name, (result, seconds) in found.items():
        t, energy = result.series["t"], result.series["energy_scaled"]
        rows.append(
            {
                "solver": name,
                "to two": passing(t, energy, levels[0]),
                "to one": passing(t, energy, levels[1]),
                "reached": result.t,
                "stopped": result.stop_reason,
                "steps": result.steps,
                "seconds": seconds,
            }
        )
    with open(args.output / "metastability.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print("| solver | 3 to 2 clusters at t | 2 to 1 at t | reached | steps | seconds |")
    print("|---" * 6 + "|")
    for row in rows:
        print(
            f"| {row['solver']} | {row['to two']:.4g} | {row['to one']:.4g} | {row['reached']:.3g} "
            f"({row['stopped']}) | {row['steps']} | {row['seconds']:.1f} |"
        )

    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    styles = {"characteristics": "-", "2000 tokens": "--", "implicit": "-.", "explicit": ":"}
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(styles)))
    for (name, (result, _)), colour in zip(found.items(), colours, strict=True):
        t, energy = result.series["t"], result.series["energy_scaled"]
        ax.plot(t[1:], energy[1:], styles[name], color=colour, label=name, linewidth=1.6)
    for row in rows[:1]:
        for key in ("to two", "to one"):
            ax.axvline(row[key], color="0.6", linewidth=0.7, linestyle=":")
            ax.annotate(f"{row[key]:.3g}", (row[key], 0.01), fontsize=7, color="0.4", ha="right")
    ax.set_xscale("log")
    ax.set_xlabel("time  $t$")
    ax.set_ylabel(r"energy  $E\,e^{-\beta}$")
    ax.set_title(r"Three clusters on the circle, sa, $\beta = 9$", fontsize=10)
    ax.legend(fontsize=8)
    figure.savefig(args.output / "metastability.png", dpi=160)
    print(f"\npicture {args.output / 'metastability.png'}")


if __name__ == "__main__":
    main()
