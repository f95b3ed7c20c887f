"""The smallest and the largest density."""

from meanfield.analysis.columns.base import Column

_NEEDS = frozenset({"density"})
COLUMNS = (
    Column(
        "rho_min",
        "density",
        "The smallest density at a vertex (uniform: 1); at most e^690, see rho_max.",
        lambda view: view.extremes[0],
        _NEEDS,
    ),
    Column(
        "rho_max",
        "density",
        "The largest density at a vertex (uniform: 1). e^690 = 4.6e299 stands for all that is "
        "larger, as in a collapsed cluster.",
        lambda view: view.extremes[1],
        _NEEDS,
    ),
)
