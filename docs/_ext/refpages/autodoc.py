"""What autodoc is told of our classes: signatures that people read, docstrings that are plain text.

Our docstrings are text with ``code`` and examples, no reStructuredText: |m|, x_1 and e^{-t} are
what they look like.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["connect", "plain", "signature"]


def connect(app: Sphinx) -> None:
    """Connect what is below."""
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _docstring, priority=100)  # before napoleon


def signature(made: object) -> str | None:
    """Arguments and defaults as a caller writes them, without types; None: there are none."""
    try:
        found = inspect.signature(made)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    given = [p for p in found.parameters.values() if p.name not in ("self", "cls")]
    if isinstance(made, type) and hasattr(made, "option_section"):
        given = [p for p in given if p.name != "type" or p.default is inspect.Parameter.empty]
    cleaned = [p.replace(annotation=p.empty, default=_default(p)) for p in given]
    return str(inspect.Signature(cleaned))


class _Shown:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _default(parameter: inspect.Parameter) -> object:
    value = parameter.default
    if value is parameter.empty or isinstance(value, str | int | float | bool | None | tuple):
        return value
    text = repr(value)
    return _Shown(text if re.fullmatch(r"\w+\([\w=., '\"]*\)", text) else "...")


def _signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, given: str, returns: str
) -> tuple[str, str | None] | None:
    if what not in ("class", "function", "method"):
        return None
    text = signature(obj)
    return None if text is None else (text, None)


def _docstring(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    lines[:] = plain(lines)
    if what in ("attribute", "property", "data") and lines:
        lines[:1] = _untyped(lines[0])
    for k in range(len(lines) - 1, 0, -1):
        if lines[k - 1].strip() == "Returns:":
            lines[k : k + 1] = _untyped(lines[k])
        lines[k] = re.sub(r"^(\s+)All others are those of", r"\1others: those of", lines[k])
        if re.match(r"\s+\w+(, \w+)+: ", lines[k]):  # several names with one text
            names, _, text = lines[k].partition(": ")
            lines[k] = f"{names.replace(', ', '/')}: {text}"


def _untyped(line: str) -> list[str]:
    """A line that Napoleon takes no type from, which would stand before a colon.

    It ends before it; reStructuredText joins both halves again.
    """
    before, colon, after = line.partition(":")
    if not colon or before.endswith("`") or before.count("``") % 2:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return [f"{before}\\", f"{indent}:{after}"]


def plain(lines: list[str]) -> list[str]:
    """A docstring of ours as reStructuredText: what is no code, example or section is escaped."""
    out: list[str] = []
    example = False
    for line in lines:
        if line.strip().startswith(">>>"):
            if not example and out and out[-1].strip() and not out[-1].strip().endswith(":"):
                out.append("")
            example = True
        elif not line.strip():
            example = False
        out.append(line if example else _escaped(line))
    return out


def _escaped(line: str) -> str:
    parts = re.split(r"(^\s*\* |``.+?``|:\w+:`[^`]+`)", line)
    parts[::2] = [re.sub(r"(?<!\\)([`*|])", r"\\\1", part) for part in parts[::2]]
    parts[::2] = [re.sub(r"(\w)_(?!\w)", r"\1\\_", part) for part in parts[::2]]
    return "".join(parts)
