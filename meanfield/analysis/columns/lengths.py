"""Lengths of tokens, in schemes of normalisation that have them."""

import numpy as np

from meanfield.analysis.columns.base import Column

COLUMNS = (
    Column(
        "mean_length",
        "1",
        "Mean of the lengths r of tokens, by mass; of schemes of normalisation that have lengths.",
        lambda view: float(view.masses @ view.lengths),
        frozenset({"lengths"}),
    ),
    Column(
        "smallest_length",
        "1",
        "The smallest of them.",
        lambda view: float(np.min(view.lengths)),
        frozenset({"lengths"}),
    ),
    Column(
        "largest_length",
        "1",
        "The largest of them.",
        lambda view: float(np.max(view.lengths)),
        frozenset({"lengths"}),
    ),
    Column(
        "rescaled_length",
        "1",
        "Mean of |e^{-tV} x| of tokens without normalisation, V the sum of V of all heads; for "
        "softmax attention whose heads are constant.",
        lambda view: float(view.masses @ np.linalg.norm(view.rescaled, axis=1)),
        frozenset({"rescaled"}),
    ),
)
