"""How wide Gaussians are, and how far from what they are exact for."""

from meanfield.analysis.columns.base import Column

_NEEDS = frozenset({"gaussians"})
COLUMNS = (
    Column(
        "variance_min",
        "1",
        "The smallest variance of a Gaussian in any direction (of the coordinate that is "
        "orthogonal to its centre: about the square of an angle).",
        lambda view: view.variances[0],
        _NEEDS,
    ),
    Column(
        "variance_max",
        "1",
        "The largest variance of a Gaussian in any direction.",
        lambda view: view.variances[1],
        _NEEDS,
    ),
    Column(
        "nonaffine",
        "1",
        "The largest share of the velocity within a Gaussian that is not affine, from 0 (where "
        "Gaussians are exact) to 1; the square of its largest value so far is the relative "
        "error of the variances, up to a factor (0.3 to 6 were measured).",
        lambda view: view.nonaffine,
        _NEEDS,
    ),
)
