"""``meanfield help``: keys of a case file, columns of the series, files of a folder."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator

from meanfield.cli import screen
from meanfield.cli.layout import columns
from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.errors import InputError, suggest

__all__ = ["add_to"]

_EXAMPLES = """\
examples:
  meanfield help                what can be asked for
  meanfield help solver.rtol
  meanfield help model          all keys of a section
  meanfield help lagrangian     all keys of a type
  meanfield help columns        all columns of series.csv
  meanfield help files          all files of a folder"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "help",
        _help,
        help="what a key of a case file, a column of the series or a file means",
        description="Tell type, range, default, unit and meaning of a key, of all keys of a "
        "section or of a type; what a column of series.csv is; what the files of a folder are. "
        "Without a word: what can be asked for",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "key",
        metavar="KEY",
        nargs="?",
        help="a key, a section or a type of a case file; a column, or columns; files",
    )


def _help(args: argparse.Namespace) -> int:
    looked_at = screen.laid_out(sys.stdout)
    if args.key is None:
        say("\n\n".join(_shown(part, looked_at) for part in _overview()))
        return 0
    lines = _on(args.key)
    say(screen.texts(lines, sys.stdout) if looked_at else "\n".join(lines))
    return 0


def _on(key: str) -> list[str]:
    from meanfield.case.helptext import help_keys, help_on

    try:
        return help_on(key)
    except InputError:
        pass
    if key == "files":
        from meanfield.results.filelist import explained_files

        return explained_files()
    # Not before: columns are of solvers, which take a second to import.
    from meanfield.analysis.columns import COLUMNS, explained

    try:
        return explained(key)
    except InputError:
        names = [*help_keys(), "columns", "files", *(entry.name for entry in COLUMNS)]
        raise InputError(
            f"'{key}' found, a key of a case file or a column of the series expected"
            f"{suggest(key, names)}; `meanfield help` lists them"
        ) from None


def _overview() -> Iterator[list[str] | list[tuple[str, str]]]:
    """All words that may follow: texts, and names with what there is of each."""
    from meanfield.analysis.columns import COLUMNS
    from meanfield.case.helptext import TABLES
    from meanfield.options import labels_of

    yield ["Sections of a case file and their types (meanfield help WORD, or SECTION.KEY):"]
    yield [
        (section, ", ".join(label for kind in kinds for label in labels_of(kind)))
        for section, kinds in TABLES.items()
    ]
    yield ["Columns of series.csv (meanfield help columns: all of them):"]
    yield [("columns", ", ".join(entry.name for entry in COLUMNS))]
    yield [
        "Files of the folders of runs and studies: meanfield help files",
        "Options of a verb: meanfield VERB --help",
        "A case file to begin with: meanfield case --list",
    ]


def _shown(part: list[str] | list[tuple[str, str]], looked_at: bool) -> str:
    rows = [one for one in part if not isinstance(one, str)]
    texts = [one for one in part if isinstance(one, str)]
    if looked_at:
        return screen.pairs(rows, sys.stdout) if rows else screen.texts(texts, sys.stdout)
    return "\n".join(texts + [line for row in rows for line in _listed(*row)])


def _listed(name: str, text: str) -> list[str]:
    gap = 31 * " "
    head = f"  {name}".ljust(len(gap))
    if not text:
        return [head.rstrip()]
    return textwrap.wrap(
        text, max(columns(), 60), initial_indent=head, subsequent_indent=gap,
        break_on_hyphens=False,
    )  # fmt: skip
