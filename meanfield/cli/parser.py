"""What verbs are made of: parsers that refuse in one line, and options that several verbs have.

Knows no verb, and nothing of what they do.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from meanfield.cli import screen
from meanfield.cli.layout import Layout, columns
from meanfield.cli.speech import say
from meanfield.errors import InputError, suggest

__all__ = ["Act", "Parser", "Verbs", "add_no_progress", "add_output", "add_set", "output_folder"]

_FILES = {"A", "B", "CASE", "DIR", "DIR2", "FOLDER", "IN", "OUT", "OTHER"}
_FILES |= {"FILE", "FILE.html", "FILE.py"}
"""Words for files and folders in the help of options."""

Act = Callable[[argparse.Namespace], int]
"""What a verb does with its arguments; gives the exit code."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest valid word, like every other refusal."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(f"{message}; see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        # Ours, as each Python words it in its own way, and some with a suggestion of their own.
        if action.choices is None or value in action.choices:
            return
        listed = ", ".join(map(repr, action.choices))
        hint = suggest(str(value), map(str, action.choices))
        raise argparse.ArgumentError(
            action, f"invalid choice: {value!r} (choose from {listed}){hint}"
        )

    def parse_known_args(  # type: ignore[override]  # one of its overloads: all that is asked for
        self, args: Iterable[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse what is not known: by the parser of the verb, which knows the valid options."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            near = suggest(rest[0], self._option_string_actions) if rest[0].startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{near}")
        return found, rest

    def format_help(self) -> str:
        """The help; its usage is moved to the left where it is too long for what is right."""
        usage, gap, rest = super().format_help().partition("\n\n")
        if max(map(len, usage.splitlines())) > columns():
            usage = "\n".join(re.sub(r"^ +", "    ", line) for line in usage.splitlines())
        return usage + gap + rest

    def mark_files(self, how: Mapping[str, str]) -> None:
        """Tell what completes words whether they are files or folders; of all verbs, too."""
        for action in self._actions:
            if action.metavar in _FILES:
                action.complete = how  # type: ignore[attr-defined]  # where shtab looks
            for parser in action.choices.values() if isinstance(action.choices, dict) else ():
                if isinstance(parser, Parser):
                    parser.mark_files(how)

    def print_help(self, file: object = None) -> None:
        """Say the help, as everything else; never to a file."""
        text = self.format_help().rstrip()
        say(screen.usage(text, sys.stdout) if screen.coloured(sys.stdout) else text)


class Verbs:
    """The words of which one must follow, each with a parser and an action of its own."""

    def __init__(self, parser: Parser, title: str, word: str) -> None:
        self._group = parser.add_subparsers(title=title, metavar=word, required=True)

    def add(
        self,
        name: str,
        act: Act | None = None,
        *,
        help: str,
        description: str | None = None,
        epilog: str | None = None,
        every_rank: bool = False,
    ) -> Parser:
        """Add a verb; gives its parser, for its arguments.

        Args:
            name: the word.
            act: what it does; None: other words follow, which do something.
            help: its line in the list of verbs.
            description, epilog: what its own help begins and ends with, see ``layout``.
            every_rank: whether it does something on other processes than the first.
        """
        parser = self._group.add_parser(
            name,
            help=help,
            description=description,
            epilog=epilog,
            formatter_class=Layout,
            # Abbreviated options would break scripts on the day a second option starts alike.
            allow_abbrev=False,
        )
        if act is not None:
            parser.set_defaults(act=act, every_rank=every_rank)
        return parser


def add_set(parser: Parser, example: str = "") -> None:
    """Add what goes with a case: ``--set``, changes of it, and ``--trust``, to run its code."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"change one value of the case{example} (can be repeated)",
    )
    parser.add_argument(
        "--trust", action="store_true", help="run the Python files that the case names, if any"
    )


def add_output(parser: Parser, help: str) -> None:
    """Add ``-o``: see ``output_folder``."""
    parser.add_argument("-o", "--output", metavar="DIR", help=help)


def output_folder(args: argparse.Namespace, ending: str = "") -> Path:
    """The folder that ``-o`` names, or the one by the name of the case."""
    return Path(args.output or Path("results") / f"{Path(args.case).stem}{ending}")


def add_no_progress(parser: Parser) -> None:
    """Add ``--no-progress``: ``args.progress`` is False, or None for what the verb thinks best."""
    parser.add_argument(
        "--no-progress",
        dest="progress",
        action="store_const",
        const=False,
        help="no progress bar",
    )
