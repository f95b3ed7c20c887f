"""Tables of sweeps, made by an ensemble of tokens in plain NumPy that shares no code with them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from meanfield.geometry.sphere import Array, uniform_points
from meanfield.results.sweeptable import QUANTILES, Axis, Statistics, SweepTable

__all__ = ["ensemble", "softmax_rate", "statistics", "sweep_table"]


def softmax_rate(x: Array, beta: float) -> Array:
    """Velocity of tokens (R, n, d) under softmax attention, V = I."""
    weights = np.exp(beta * (x @ x.transpose(0, 2, 1) - 1.0))
    pull = weights @ x / weights.sum(axis=2, keepdims=True)
    return np.asarray(pull - np.sum(pull * x, axis=2, keepdims=True) * x)


def ensemble(n: int, d: int, beta: float, realisations: int, times: Array) -> dict[str, Array]:
    """Columns (R, k) of uniform tokens at equally spaced times, by classical Runge-Kutta."""
    x = np.stack([uniform_points(n, d, np.random.default_rng([7, k])) for k in range(realisations)])
    columns: dict[str, list[Array]] = {"inner_product": [], "energy_scaled": [], "mean_norm": []}
    steps = max(round((times[1] - times[0]) / 0.1), 1)
    dt = (times[1] - times[0]) / steps
    for k in range(len(times)):
        for _ in range(steps if k else 0):
            a = softmax_rate(x, beta)
            b = softmax_rate(x + 0.5 * dt * a, beta)
            c = softmax_rate(x + 0.5 * dt * b, beta)
            x = x + dt / 6.0 * (a + 2.0 * b + 2.0 * c + softmax_rate(x + dt * c, beta))
            x /= np.linalg.norm(x, axis=2, keepdims=True)
        gram = x @ x.transpose(0, 2, 1)
        columns["inner_product"].append(gram[:, 0, 1])
        columns["energy_scaled"].append(np.exp(beta * (gram - 1.0)).mean((1, 2)) / (2.0 * beta))
        columns["mean_norm"].append(np.linalg.norm(x.mean(axis=1), axis=1))
    return {name: np.stack(values, axis=1) for name, values in columns.items()}


def statistics(rows: list[Array]) -> Statistics:
    """Of (R, k) at each point."""
    single = len(rows[0]) == 1
    error = [
        np.full(r.shape[1], math.nan) if single else r.std(axis=0, ddof=1) / math.sqrt(len(r))
        for r in rows
    ]
    return Statistics(
        mean=np.stack([r.mean(axis=0) for r in rows]),
        error=np.stack(error),
        quantiles=np.stack([np.quantile(r, QUANTILES, axis=0) for r in rows]),
    )


def sweep_table(
    axes: tuple[Axis, ...],
    times: Array,
    columns: Mapping[str, list[Array]],
    delta: float = 1e-3,
    **about: object,
) -> SweepTable:
    """The table of columns, (R, k) at each point."""
    rows = columns["inner_product"]
    close = np.stack([(r >= 1.0 - delta).mean(axis=0) for r in rows])
    half, error = np.full((2, len(rows)), math.nan)
    for i, p in enumerate(close):
        if p[-1] >= 0.5:
            k = int(np.argmax(p >= 0.5))
            slope = (p[k] - p[k - 1]) / (times[k] - times[k - 1])
            half[i] = times[k] - (p[k] - 0.5) / slope
            error[i] = 0.5 / math.sqrt(len(rows[i])) / slope
    count = np.array([len(r) for r in rows])
    return SweepTable(
        axes=axes,
        times=times,
        realisations=int(count[0]),
        finished=count,
        failed=np.zeros_like(count),
        columns={name: statistics(values) for name, values in columns.items()},
        delta=delta,
        probability=close,
        half=half,
        half_error=error,
        about=about,
    )
