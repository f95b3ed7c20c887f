"""The smallest and the largest density."""

from meanfield.analysis.columns.base import Column

_NEEDS = frozenset({"density"})
# A density of collapsed clusters alone is beyond all numbers, everywhere.
COLUMNS = (
    Column(
        "rho_min",
        "density",
        "The smallest density at a vertex (uniform: 1); inf where all vertices are in collapsed "
        "clusters.",
        lambda view: view.extremes[0],
        _NEEDS,
        may_be_infinite=True,
    ),
    Column(
        "rho_max",
        "density",
        "The largest density at a vertex (uniform: 1); inf beyond 1e308, in a collapsed cluster.",
        lambda view: view.extremes[1],
        _NEEDS,
        may_be_infinite=True,
    ),
)
