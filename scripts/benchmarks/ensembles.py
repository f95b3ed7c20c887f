"""What does a realisation of an ensemble cost? Processor time for one, and for a call.

    scripts/env python scripts/benchmarks/ensembles.py
    scripts/env python scripts/benchmarks/ensembles.py --realisations 1024

n = 32 tokens, softmax attention, T = 30, 301 output times. The time of a panel of 90 x 1024
realisations is extrapolated from the mean over the values of beta.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from meanfield.dynamics.ensembles import StartingTokens, Watch, run_ensemble
from meanfield.interaction.batched import BatchedModel


def main() -> None:
    """Print a line for each dimension and beta, and the panel of each dimension."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--realisations", type=int, default=128)
    R = parser.parse_args().realisations
    watch = Watch(np.linspace(0.0, 30.0, 301), np.array([300]))
    run_ensemble(BatchedModel(2, 2, True, 1.0), np.eye(2)[None], watch)  # compiles
    for d in (1024, 512, 128, 32, 8, 2):
        x = np.random.default_rng(0).standard_normal((R, 32, d))
        start, costs = StartingTokens(x / np.linalg.norm(x, axis=2, keepdims=True)), []
        _ = start.gram, start.columns
        for beta in (1.0, 5.0, 9.0):
            begin = time.process_time()
            found = run_ensemble(BatchedModel(32, d, True, beta), start, watch)
            costs.append(time.process_time() - begin)
            print(
                f"d = {d:4}, beta = {beta:g}: {1e3 * costs[-1] / R:.3f} ms a realisation, "
                f"{found.calls.mean():.0f} calls, {1e6 * costs[-1] / found.calls.sum():.2f} us each"
            )
        print(f"d = {d:4}: a panel takes {np.mean(costs) / R * 90 * 1024:.0f} s of processor time")


if __name__ == "__main__":
    main()
