"""``meanfield help``: what a key of a case file, or a column of the series, means."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.errors import InputError, suggest

__all__ = ["add_to"]

_EXAMPLES = """\
examples:
  meanfield help solver.rtol
  meanfield help model          all keys of a section
  meanfield help lagrangian     all keys of a type
  meanfield help columns        all columns of series.csv"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "help",
        _help,
        help="what a key of a case file, or a column of the series, means",
        description="Tell type, range, default and meaning of a key, of all keys of a section or "
        "of a type; or what a column of series.csv is",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "key", metavar="KEY", help="a key, a section or a type of a case file; a column"
    )


def _help(args: argparse.Namespace) -> int:
    from meanfield.case.helptext import help_keys, help_on

    try:
        lines = help_on(args.key)
    except InputError:
        # Not before: columns are of solvers, which take a second to import.
        from meanfield.analysis.columns import COLUMNS, explained

        try:
            lines = explained(args.key)
        except InputError:
            near = suggest(args.key, [*help_keys(), *(entry.name for entry in COLUMNS)])
            raise InputError(
                f"'{args.key}' found, a key of a case file or a column of the series expected{near}"
            ) from None
    say("\n".join(lines))
    return 0
