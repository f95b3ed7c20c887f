"""An HTML file as a test reads it: what is open, identifiers, addresses, texts, data."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Read", "decoded"]

_VOID = {"meta", "link", "img", "input", "br", "hr"}
_ADDRESSES = {"src", "href", "srcset", "action", "poster", "data"}


class Read(HTMLParser):
    """A page. Not balanced: an AssertionError that says where.

    Attributes:
        elements: names with their attributes, in order.
        ids: all identifiers.
        addresses: what attributes lead to.
        texts: what is in elements of each name, but for scripts and styles.
        data: that of ``page.js``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.data: dict[str, Any] = {}
        self._open: list[str] = []
        self._json: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()
        assert not self._open, f"never closed: {self._open}"
        if self._json:
            self.data = json.loads("".join(self._json))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        given = dict(attrs)
        assert len(given) == len(attrs), f"{tag} has an attribute twice: {attrs}"
        self.elements.append((tag, given))
        self.ids += [str(value) for name, value in attrs if name == "id"]
        self.addresses += [str(value) for name, value in attrs if name in _ADDRESSES]
        if tag not in _VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self._open and self._open.pop() == tag, f"{self.getpos()}: </{tag}>"

    def handle_data(self, data: str) -> None:
        """A text."""
        if self._open and self._open[-1] == "script":
            if self.elements[-1][1].get("type") == "application/json":
                self._json.append(data)
            return
        for name in set(self._open):
            self.texts[name][-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a name."""
        return [given for name, given in self.elements if name == tag]

    def row(self, name: str) -> str:
        """What is beside the first cell of a table that has this text."""
        rows = [text for text in self.texts["tr"] if text.startswith(name)]
        assert len(rows) == 1, (name, rows)
        return rows[0].removeprefix(name)


def decoded(stored: dict[str, str]) -> NDArray[Any]:
    """Numbers as ``page.js`` reads them."""
    return np.frombuffer(base64.b64decode(stored["bdata"]), np.dtype(f"<{stored['dtype']}"))
