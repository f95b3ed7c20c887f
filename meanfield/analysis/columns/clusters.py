"""Clusters and what they hold."""

from meanfield.analysis.columns.base import Column

COLUMNS = (
    Column(
        "clusters",
        "1",
        "Number of clusters: peaks of a density that are higher than 1 and twice as high as the "
        "saddles around them; groups of tokens that hold 1 % of the mass.",
        lambda view: float(view.clusters),
    ),
    Column(
        "largest_cluster",
        "1",
        "Mass of the largest group of tokens; of a density that of the heaviest cluster, with all "
        "from where it is uphill to its peak, 0 where there is none.",
        lambda view: view.largest_cluster,
        frozenset({"groups"}),
    ),
    Column(
        "points",
        "1",
        "Number of different points: vertices that have not become one with others.",
        lambda view: float(view.points),
        frozenset({"points"}),
    ),
)
