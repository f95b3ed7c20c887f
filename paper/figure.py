"""The figure of the paper: growth rates at the uniform state, measured and exact.

A small perturbation of degree 1 of the uniform law grows like e^(r t) under softmax self-attention,

    r = (d - 1) I_{d/2}(beta) / (beta I_{d/2 - 1}(beta)),

as log(1 + e K)/beta is e K/beta to first order, and the Laplacian of degree 1 on S^{d-1} is d - 1.
Runs along characteristics, which need no DOLFINx. Some ten seconds when the kernels are compiled.

    python paper/figure.py                      # writes growth.png beside this file
    python paper/figure.py --vertices 33 --betas 1 4 -o small.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import ive

import meanfield as mf

DIMENSIONS = (2, 3, 8)
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 9.0, 16.0)
SMALL = 1e-4  # amplitude of the perturbation: what is left out is of its square


def exact(d: int, beta: float | np.ndarray) -> float | np.ndarray:
    """The growth rate of degree 1 on S^{d-1}."""
    return (d - 1) * ive(d / 2, beta) / (beta * ive(d / 2 - 1, beta))


def measured(d: int, beta: float, vertices: int) -> float:
    """The same of a run: half a growth time, from the mean vector at both ends."""
    end = 0.5 / float(exact(d, beta))
    case = mf.Case(
        title="growth of degree 1",
        geometry=mf.Zonal(d=d, vertices=vertices),
        model=mf.Model(attention="sa", beta=beta),
        initial=mf.Gegenbauer(d, (SMALL,)),
        solver=mf.Lagrangian(),
        time=mf.Time(end=end, outputs=(0.0, end)),
    )
    series = mf.run(case, progress=False).series
    first, last = series["mean_norm"][[0, -1]]
    return float(np.log(last / first)) / end


def draw(found: dict[tuple[int, float], float], path: Path) -> None:
    """Curves and markers, and below them the relative errors."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    betas = sorted({beta for _, beta in found})
    fine = np.geomspace(betas[0] / 1.3, betas[-1] * 1.3, 200)
    for k, d in enumerate(sorted({d for d, _ in found})):
        rates = np.array([found[d, beta] for beta in betas])
        above.plot(fine, exact(d, fine), color=f"C{k}", lw=1.2)
        above.plot(betas, rates, "os^"[k % 3], color=f"C{k}", label=f"$d = {d}$")
        error = np.abs(rates / exact(d, np.array(betas)) - 1.0)
        below.plot(betas, error, "os^"[k % 3], color=f"C{k}")
    above.set_ylabel("growth rate of degree 1")
    above.legend(title="markers: measured, lines: exact", frameon=False)
    below.set(xscale="log", yscale="log", xlabel=r"$\beta$", ylabel="relative error")
    below.yaxis.set_minor_formatter(NullFormatter())
    figure.savefig(path, dpi=200)


def main(words: Sequence[str] | None = None) -> dict[tuple[int, float], float]:
    """Run, draw, and give the measured rates by d and beta."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vertices", type=int, default=129)
    parser.add_argument("--betas", type=float, nargs="+", default=BETAS)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "growth.png")
    args = parser.parse_args(words)
    found = {(d, b): measured(d, b, args.vertices) for d in DIMENSIONS for b in args.betas}
    worst = max(abs(rate / exact(d, beta) - 1.0) for (d, beta), rate in found.items())
    print(f"{len(found)} rates, largest relative error {worst:.1e}")
    draw(found, args.output)
    return found


if __name__ == "__main__":
    main()
