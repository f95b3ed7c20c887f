"""How many dimensions the tokens fill: of the matrix of all tokens, one a row.

Both are of the singular values s of (sqrt(m_i) x_i), whose squares are the eigenvalues of
int x x^T dmu and sum to 1. They are found of the smaller of the two Gram matrices, (n, n) or
(d, d), as the second moments are: neither costs anything beside those.
"""

import numpy as np

from meanfield.analysis.columns.base import Column
from meanfield.analysis.columns.view import View

_LEAST = 1e-3  # of the largest singular value, above which one counts


def _rank(view: View) -> float:
    found = view.spectrum
    return float(np.count_nonzero(found > _LEAST**2 * found[-1]))


def _effective_dimension(view: View) -> float:
    """Scaled by the largest one, as masses of tokens far apart may be of any size."""
    scaled = np.maximum(view.spectrum, 0.0) / view.spectrum[-1]
    return float(np.sum(scaled) ** 2 / np.sum(scaled**2))


_NEEDS = frozenset({"spectrum"})
COLUMNS = (
    Column(
        "rank",
        "1",
        "Numerical rank of the matrix of all tokens, each weighted by the root of its mass: "
        "singular values above 1e-3 of the largest. 1 when all tokens are at one point, or at two "
        "that are opposite.",
        _rank,
        _NEEDS,
    ),
    Column(
        "effective_dimension",
        "1",
        "Participation ratio (sum s^2)^2 / sum s^4 of its singular values s, which is "
        "1 / tr((int x x^T dmu)^2): from 1 (one line) to d (isotropic).",
        _effective_dimension,
        _NEEDS,
    ),
)
