"""``meanfield case``: a case file to begin with."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.cli.tables import table
from meanfield.errors import InputError

__all__ = ["add_to"]

_DESCRIPTION = """\
Print a case file that runs as it is: the usual keys of a problem are set, every other key of its
sections is a comment with its default, range, unit and meaning. What is printed is what
`meanfield help` says."""

_EXAMPLES = """\
examples:
  meanfield case --list                              which there are
  meanfield case --template sphere                   print it
  meanfield case --template tokens -o tokens.toml    write it, and never over a file
  meanfield run tokens.toml"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "case",
        _case,
        help="print a case file to begin with: all keys, with comments",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--template", metavar="NAME", help="the problem, such as sphere or tokens")
    what.add_argument("--list", action="store_true", help="list the names")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to a new file")


def _case(args: argparse.Namespace) -> int:
    from meanfield.case.templates import TEMPLATES, template

    if args.list:
        if args.output is not None:
            raise InputError("-o: found with --list, expected it with --template NAME")
        say(table([(name, one.about) for name, one in TEMPLATES.items()]))
        return 0
    name = Path(args.output).name if args.output else ""
    text = template(args.template, shlex.quote(name) if name else "")
    if args.output is None:
        say(text.rstrip("\n"))
        return 0
    path = Path(args.output)
    if path.is_dir():
        raise InputError(f"-o: the folder {path} found, a file expected, such as {path}/mine.toml")
    if path.suffix != ".toml":
        raise InputError(f"-o: {path} found, a name that ends in .toml expected")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"-o: {path} is there already, another name expected") from None
    say(table([("case", str(path)), ("run it", f"meanfield run {shlex.quote(str(path))}")]))
    return 0
