"""The page on the columns of the series."""

from __future__ import annotations

from meanfield.analysis.columns import COLUMNS, Column, Family
from refpages.formulas import SYMBOLS
from refpages.text import code, escaped, list_table, see_also

__all__ = ["NEEDS", "header", "pages"]

NEEDS: dict[str, str] = {
    "energy": "models with an energy",
    "entropy": "densities",
    "density": "densities on a mesh",
    "spectrum": "tokens",
    "lengths": "tokens with lengths",
    "rescaled": "tokens without normalisation",
    "tangents": "tokens with output.tangents",
    "gaussians": "narrow Gaussians",
    "points": "points that may become one",
    "groups": "where clusters have masses",
    "harmonics": "where there are transforms",
    "dissipation": "where dE/dt is known",
    "free energy": "with noise and a free energy",
    "double energy": "where E is a double",
    "balance": "with a constant kappa",
}
"""What a view must offer for a column, in words."""


def header(entry: Column | Family) -> str:
    """Its name as in the header; of a family the first two."""
    if isinstance(entry, Family):
        return f"{entry.name}_{entry.first}, {entry.name}_{entry.first + 1}, ..."
    return entry.name


def pages() -> dict[str, str]:
    """The page."""
    rows = [
        (
            code(header(entry)),
            f"${SYMBOLS[entry.name]}$",
            code(entry.unit),
        )
        for entry in COLUMNS
    ]
    lines = [
        "# Columns of the series",
        "",
        "What the columns of `series.csv` are, which runs have them, and their units. "
        "`meanfield help columns` prints the same; observers add columns of their own.",
        "",
        see_also(("own observers", "../../howto/observer.md"), ("files", "files.md")),
        "The unit `energy` is that of $W$, $U$ and $\\kappa$: `1/time`, as lengths are angles. "
        "The unit `density` is relative to the uniform probability, whose density is 1.",
        "",
        list_table(("column", "symbol", "unit"), rows),
        "",
    ]
    for entry in COLUMNS:
        of = ", ".join(words for need, words in NEEDS.items() if need in entry.needs)
        facts = f"*Unit* {code(entry.unit)}; *of* {of or 'all runs'}."
        lines += [f"## {code(header(entry))}", "", facts, "", escaped(entry.meaning), ""]
    return {"columns": "\n".join(lines)}
