"""Pages on the verbs of the command line, from their parsers."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator

from meanfield.cli.command import make_parser
from meanfield.cli.speech import EXIT_BROKEN, EXIT_INPUT, EXIT_SYSTEM
from refpages.text import code, escaped

__all__ = ["EXIT_CODES", "pages", "verbs"]

EXIT_CODES: dict[str, str] = {
    "0": "done; a run that stops at its wall-clock limit, too",
    "1": "an error of the program itself, with a traceback",
    str(EXIT_INPUT): "the input cannot be used: one line says why",
    str(EXIT_BROKEN): "the computed state broke an invariant; the last good one is kept",
    str(EXIT_SYSTEM): "the system refused: a full disk, a folder that is gone",
    "128 + n": "ended by signal n (130: Ctrl-C); what is finished is kept",
}


def verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the words of which one must follow; {}: none must."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # argparse has no other way
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


def pages() -> dict[str, str]:
    """A page for each verb, and one on all of them."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "88"  # of usages, wherever pages are made
    try:
        parser = make_parser()
        made = {f"verbs/{name}": "\n".join(_verb(one, 1)) for name, one in verbs(parser).items()}
        made["verbs/index"] = "\n".join(_index(parser))
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return made


def _index(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield "# Verbs of the command line\n"
    yield (
        "What `meanfield VERB` does, with all options, as `meanfield VERB --help` tells it. "
        "Input that cannot be used is refused in one line, with the nearest valid name.\n"
    )
    names = list(verbs(parser))
    yield "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
    yield "## Exit codes\n"
    for number, words in EXIT_CODES.items():
        yield f"{code(number)}\n: {escaped(words)}.\n"
    yield "## Options of `meanfield` itself\n\n```{program} meanfield\n```\n"
    yield from _options(parser)
    yield "## Examples\n"
    yield from _examples(parser)


def _verb(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield f"{'#' * level} {code(parser.prog)}\n"
    yield from _description(parser.description or "")
    usage = parser.format_usage().removeprefix("usage: ").strip()
    yield f"```text\n{usage}\n```\n"
    yield f"```{{program}} {parser.prog}\n```\n"
    yield from _options(parser)
    yield from _examples(parser)
    for one in verbs(parser).values():
        yield from _verb(one, min(level + 1, 4))
    if level == 1:
        yield "Exit codes: see [](index.md#exit-codes).\n"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        value = _value(action)
        names = action.option_strings or [value]
        told = [f"{name}{f' {value}' if action.option_strings and value else ''}" for name in names]
        yield f"```{{option}} {', '.join(told)}\n"
        needed = " (needed)" if action.required and action.option_strings else ""
        yield escaped(action.help or "") + needed
        yield "```\n"


def _value(action: argparse.Action) -> str:
    """What stands behind an option."""
    if action.nargs == 0:
        return ""
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    word = action.metavar or choices or action.dest.upper()
    if isinstance(word, tuple):
        return " ".join(word)
    return f"{word} ..." if action.nargs in ("+", "*") else word


def _description(text: str) -> Iterator[str]:
    """Paragraphs; what is indented is kept as it stands."""
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.startswith("  "):
            yield f"```text\n{block}\n```\n"
        elif block:
            yield _ended(escaped(block)) + "\n"


def _ended(text: str) -> str:
    return text if text.endswith((".", ":")) else f"{text}."


def _examples(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What stands below the options: examples as commands, other words as they are."""
    text = (parser.epilog or "").strip()
    if not text:
        return
    for block in re.split(r"\n\s*\n", text):
        head, _, rest = block.partition("\n")
        if head.startswith("example"):
            yield f"Examples:\n\n```text\n{rest}\n```\n"
        else:
            yield from _description(block)
