"""Words of the code as MyST."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["code", "escaped", "lead", "list_table", "see_also", "words"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>$|~^#])")


def escaped(text: str) -> str:
    """A text of a docstring: ``code`` stays code, everything else is shown as it is."""
    parts = re.split(r"``(.+?)``", " ".join(text.split()))
    return "".join(
        code(part) if k % 2 else _SPECIAL.sub(r"\\\1", part) for k, part in enumerate(parts)
    )


def code(text: str) -> str:
    """Between back quotes."""
    return f"`{text}`"


def lead(kind: object) -> str:
    """The first paragraph of a docstring and what follows it, without sections and examples."""
    doc = (kind.__doc__ or "").strip()
    doc = re.split(r"\n\s*(?:Example|Raises|Attributes|Args|Returns):|\n\s*>>>", doc)[0]
    return "\n\n".join(escaped(part) for part in re.split(r"\n\s*\n", doc) if part.strip())


def words(names: Iterable[str]) -> str:
    """Names as code, with commas."""
    return ", ".join(code(name) for name in names)


def list_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are MyST in one line."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def see_also(*targets: tuple[str, str]) -> str:
    """Links to pages of the guide."""
    return "See also: " + ", ".join(f"[{title}]({path})" for title, path in targets) + ".\n"
