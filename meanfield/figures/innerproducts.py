"""Figure of the inner products of pairs of tokens at a few times, where no table has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from meanfield.figures.moments import steps_to_show
from meanfield.figures.pairs import has_pairs, plot_pairs
from meanfield.figures.reading import parameters_of, title_of
from meanfield.figures.style import drawing, footnote, headline, number, save, shades
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.results.formats import INNER_PRODUCT_EDGES, TokenSeries, read_tokens_file

__all__ = ["has_inner_products", "plot_inner_products", "shares"]

_MOST = 2000  # tokens whose pairs are counted


def has_inner_products(run: RunFolder) -> bool:
    """Whether there are pairs in a table, or two tokens at a time."""
    if has_pairs(run):
        return True
    if not run.particles_path.is_file():
        return False
    tokens = read_tokens_file(run.particles_path)
    return tokens.n > 1 and len(tokens.times) > 0


def plot_inner_products(run: RunFolder) -> Path:
    """Draw ``figures/pairs.png``: how inner products of pairs are distributed.

    Through time where the run has counted them (pairs.csv), else at up to four times, of the tokens
    in its particle file.

    Returns:
        The file made.
    """
    if has_pairs(run):
        return plot_pairs(run)
    tokens = read_tokens_file(run.particles_path)
    steps, widths = steps_to_show(run, tokens.times), np.diff(INNER_PRODUCT_EDGES)
    with drawing():
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        ax = figure.subplots()
        rows = [shares(tokens, k) / widths for k in steps]
        for row, k, shade in zip(rows, steps, shades(len(steps)), strict=True):
            # Not filled and without a baseline, but with sides: a single bin must be seen, too.
            ax.stairs(
                row, INNER_PRODUCT_EDGES, baseline=None, color=shade, linewidth=1.2,
                label=f"$t = {number(float(tokens.times[k]))}$",
            )  # fmt: skip
        found = np.concatenate(rows)
        ax.set_yscale("log")
        ax.set_ylim(max(0.5 * found[found > 0.0].min(), 1e-4), 2.0 * found.max())
        ax.set_xlim(-1.0, 1.02)
        ax.set_xlabel(r"inner product  $\langle x_i, x_j\rangle$")
        ax.set_ylabel("density of pairs")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        few = f"pairs of {_MOST} of {tokens.n} tokens" if _few(tokens) else ""
        footnote(figure, few)
        headline(figure, title_of(run), parameters_of(run))
        return save(figure, run.figure("pairs.png"))


def _few(tokens: TokenSeries) -> bool:
    return tokens.d <= 3 and tokens.n > _MOST


def shares(tokens: TokenSeries, k: int) -> Array:
    """Parts of the pairs of step ``k`` in each bin between ``INNER_PRODUCT_EDGES``, sum 1."""
    if tokens.d > 3:
        return tokens.inner_products(k)
    x = tokens.points(k)[:, : tokens.d]
    if _few(tokens):
        x = x[np.random.default_rng(0).permutation(tokens.n)[:_MOST]]
    products = np.clip((x @ x.T)[np.triu_indices(len(x), 1)], -1.0, 1.0)
    counts = np.histogram(products, INNER_PRODUCT_EDGES)[0]
    return np.asarray(counts / counts.sum())
