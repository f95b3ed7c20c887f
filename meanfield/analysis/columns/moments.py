"""First and second moments: they turn with the state, or stay as it turns."""

import numpy as np

from meanfield.analysis.columns.base import Column, Family

COLUMNS = (
    Family(
        "mean",
        "1",
        "Coordinates of int x dmu (tokens: the first 8 at most; zonal: the last alone).",
        lambda view: view.mean,
        lambda view: view.directions,
    ),
    Column(
        "mean_norm",
        "1",
        "Length of int x dmu, the order parameter: 0 for the uniform state, 1 for a Dirac.",
        lambda view: float(np.linalg.norm(view.mean)),
    ),
    Family(
        "m2",
        "1",
        "Eigenvalues of int x x^T dmu, ascending (tokens: the 8 largest; zonal: int x_d^2 dmu).",
        lambda view: view.second,
        lambda view: view.directions,
    ),
)
