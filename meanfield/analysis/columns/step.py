"""Where the run is: time, number of steps, size of the last one."""

from meanfield.analysis.columns.base import Column

COLUMNS = (
    Column("t", "time", "Time.", lambda view: view.t),
    Column("step", "1", "Number of steps done.", lambda view: float(view.solver.step)),
    Column("dt", "time", "Size of the last step.", lambda view: view.solver.dt),
)
