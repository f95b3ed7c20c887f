"""Power spectrum: it is invariant under rotations."""

from meanfield.analysis.columns.base import Family
from meanfield.analysis.columns.view import POWER_DEGREE

COLUMNS = (
    Family(
        "power",
        "1",
        "Sum over the harmonics of a degree, orthonormal in L^2(sigma), of the squared moments of "
        "mu: 1 for degree 0, and each at most the number of harmonics.",
        lambda view: view.power,
        lambda view: POWER_DEGREE + 1,
        first=0,
        needs=frozenset({"harmonics"}),
    ),
)
