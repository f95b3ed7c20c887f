"""Mass, which is kept to round-off."""

from meanfield.analysis.columns.base import Column

COLUMNS = (Column("mass", "1", "Sum of all masses: 1.", lambda view: view.mass),)
