"""``meanfield export``: the fields or tokens of a run, for other programs."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say

__all__ = ["add_to"]

_DESCRIPTION = """\
Write the fields or tokens of a run in a form that other programs read:

  pvd    a list of VTK's XML files, one a step: for ParaView, pyvista (all times)
  xdmf   XML with the arrays in HDF5: for ParaView, meshio
  npz    arrays by name, with a README: for NumPy
  csv    a row for each vertex at each time: for anything; of more than 1e6 rows a file a step

Numbers are as in the file of the run, in double precision."""

_EXAMPLES = """\
examples:
  meanfield export results/clustering --to npz               results/clustering/export/fields.npz
  meanfield export results/clustering --to csv --times 0 4 --fields rho -o tables"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "export",
        _export,
        help="write the fields or tokens of a run for other programs",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("folder", metavar="DIR", help="the folder of a run")
    add("--to", required=True, choices=["pvd", "xdmf", "npz", "csv"], help="the form")
    add(
        "-o",
        "--output",
        metavar="FOLDER",
        help="where to (default: export in DIR; of a run that goes on: elsewhere)",
    )
    add("--times", nargs="+", type=float, metavar="T", help="output times (default: all)")
    add("--fields", nargs="+", metavar="NAME", help="such as rho, velocity (default: all)")
    add("--overwrite", action="store_true", help="replace files that are there")


def _export(args: argparse.Namespace) -> int:
    from meanfield.results.exporting import export

    made = export(
        args.folder,
        args.to,
        args.output,
        times=args.times,
        fields=args.fields,
        overwrite=args.overwrite,
    )
    for path in made:
        if path.suffix != ".vtu":
            say(str(path))
    return 0
