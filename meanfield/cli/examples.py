"""``meanfield examples``: the cases and examples that are shipped, listed or copied."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.cli.layout import columns
from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say
from meanfield.errors import InputError
from meanfield.whole import whole_file

if TYPE_CHECKING:
    from meanfield.shipped import Shipped

__all__ = ["add_to"]

_DESCRIPTION = """\
List the case files and the example scripts that are shipped, or copy them.

A case is run by `meanfield run`; an example is a script that repeats a published experiment, draws
its pictures and checks a number. With MEANFIELD_EXAMPLE=small in the environment it is a small one,
of seconds. A name without an ending stands for the case and the example that have it."""

_EXAMPLES = """\
examples:
  meanfield examples                          all of them, with titles
  meanfield examples clustering.toml          copy a case into this folder
  meanfield examples phase_diagram --to try   a case and an example into the folder try
  meanfield examples --scripts                the examples alone"""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "examples",
        _examples,
        help="list or copy the cases and examples that are shipped",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="what to copy (default: none, all are listed)"
    )
    parser.add_argument("--to", metavar="DIR", help="where to (default: this folder)")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--cases", dest="kind", action="store_const", const="case", help="case files alone"
    )
    kinds.add_argument(
        "--scripts", dest="kind", action="store_const", const="script", help="example scripts alone"
    )


def _examples(args: argparse.Namespace) -> int:
    from meanfield.shipped import found, shipped_cases, shipped_examples

    cases = shipped_cases() if args.kind != "script" else []
    scripts = shipped_examples() if args.kind != "case" else []
    if not args.names:
        if args.to is not None:
            raise InputError("--to: names of what to copy expected, see `meanfield examples`")
        say(_listed(cases, scripts))
        return 0
    wanted = [one for name in args.names for one in found(name, [*cases, *scripts])]
    for path in _copied(wanted, Path(args.to or ".")):
        say(f"copied {path}")
    return 0


def _listed(cases: Sequence[Shipped], scripts: Sequence[Shipped]) -> str:
    """Both lists, within the width of the terminal."""
    parts = []
    if cases:
        rows = [(one.name, one.title) for one in cases]
        parts.append(f"cases, for `meanfield run`:\n{_rows(rows)}")
    if scripts:
        rows = [(one.name, _script_words(one)) for one in scripts]
        parts.append(f"examples, for `python`:\n{_rows(rows)}")
    parts.append("`meanfield examples NAME` copies a case, an example, or both")
    return "\n\n".join(parts)


def _script_words(script: Shipped) -> str:
    """Title, paper and what it takes."""
    takes = "" if script.minutes is None else f"{script.minutes:g} cpu-minutes"
    about = "; ".join(filter(None, (script.paper, takes)))
    return f"{script.title} ({about})" if about else script.title


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    """Names and texts; the texts are filled below each other."""
    import textwrap

    left = max(len(name) for name, _ in rows) + 4
    lines = []
    for name, text in rows:
        filled = textwrap.wrap(text, max(columns() - left, 20), break_on_hyphens=False)
        first, *more = filled or [""]
        lines += [f"  {name:<{left - 2}}{first}", *(f"{'':{left}}{line}" for line in more)]
    return "\n".join(lines)


def _copied(wanted: Sequence[Shipped], folder: Path) -> list[Path]:
    """Copy files into a folder, all of them or none that is there already; where they are now.

    Raises:
        InputError: one is there, or the folder is a file.
    """
    sources = list(dict.fromkeys(path for one in wanted for path in one.files))
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--to: {folder} is a file, a folder expected")
    there = [path.name for path in sources if (folder / path.name).exists()]
    if there:
        raise InputError(
            f"{folder / there[0]} exists, and is not overwritten: expected another folder, --to DIR"
        )
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for path in sources:
        with whole_file(folder / path.name) as part:
            shutil.copyfile(path, part)
        out.append(folder / path.name)
    return out
