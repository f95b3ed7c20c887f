"""How HTML is written: elements whose texts are escaped, tables, pictures, the page around them.

Owns the look of a page (``page.css``) and what moves on it (``page.js``). Knows nothing of runs.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from meanfield.results.manifest import plain
from meanfield.software import not_installed

__all__ = [
    "MARK",
    "Html",
    "Page",
    "element",
    "encoded",
    "joined",
    "numeral",
    "picture",
    "plain_table",
    "subtitled",
]

MARK = "meanfield report"
"""What the page tells as its generator: by it a report knows the file of an earlier one."""

_NO_SCRIPT = "Curves and scenes need JavaScript; pictures and tables do not."
_VOID = {"meta", "link", "img", "input", "br", "hr"}


class Html(str):
    """A text that is HTML already: what is not, is escaped where it is put into an element."""

    __slots__ = ()


def joined(parts: Iterable[str]) -> Html:
    """Parts one after the other; those that are no HTML are escaped."""
    return Html("".join(p if isinstance(p, Html) else html.escape(p) for p in parts))


def element(name: str, /, *parts: str, **attributes: object) -> Html:
    """An element.

    Args:
        name: of it.
        parts: what is in it: HTML, or texts, which are escaped.
        attributes: their values are escaped; a trailing ``_`` of a name is dropped, another one is
            a hyphen. True: without a value; None or False: left out.
    """
    told = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        told += f" {key}" if value is True else f' {key}="{html.escape(str(value))}"'
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(parts)}</{name}>")


def subtitled(title: str, *parts: str, level: int = 3) -> Html:
    """A heading with what is under it; nothing, if nothing is."""
    body = joined(parts)
    return Html(element(f"h{level}", title) + body) if body else Html()


def numeral(value: object, digits: int = 6) -> str:
    """A number as people read it: 1.23 × 10⁻⁵, 10 242; other things as their text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    if isinstance(value, int | np.integer):
        text = f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
        return text.replace("-", "\N{MINUS SIGN}")
    if not isinstance(value, float | np.floating):
        return str(value)
    if not math.isfinite(value):
        return "\N{EN DASH}" if math.isnan(value) else f"{value:g}".replace("inf", "∞")
    text = f"{float(value):.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        superscript = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
        mantissa += f" × 10{str(int(exponent)).translate(superscript)}"
    return mantissa.replace("-", "\N{MINUS SIGN}")


def plain_table(
    caption: str,
    rows: Sequence[Sequence[object]],
    head: Sequence[str] = (),
    note: str = "",
) -> Html:
    """A table; nothing, if it has no rows.

    Args:
        caption: what it is.
        rows: cells, numbers or texts (or HTML).
        head: names of the columns; none: the first cell of each row is its name.
        note: what the reader must know of it, below.
    """
    if not rows:
        return Html()
    classes = ["number" if head and _is_number(value) else None for value in rows[0]]
    names = (element("th", h, scope="col", class_=c) for h, c in zip(head, classes, strict=False))
    top = element("thead", element("tr", *names))
    body = []
    for row in rows:
        cells = []
        for k, value in enumerate(row):
            text = value if isinstance(value, str) else numeral(value, 4 if head else 6)
            if not head and k == 0:
                cells.append(element("th", text, scope="row"))
            else:
                cells.append(element("td", text, class_=classes[k]))
        body.append(element("tr", *cells))
    made = element(
        "table",
        element("caption", caption),
        top if head else Html(),
        element("tbody", *body),
        class_="wide" if head else None,
    )
    below = element("p", note, class_="note") if note else Html()
    return element("div", made, below, class_="table", role="region", aria_label=caption,
                   tabindex="0")  # fmt: skip


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def picture(path: Path, alt: str, caption: str) -> Html:
    """A PNG or SVG file, inside the page."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    if path.suffix == ".svg":
        drawn = element("img", src=f"data:image/svg+xml;base64,{data}", alt=alt)
        return element("figure", drawn, element("figcaption", caption))
    with Image.open(path) as image:
        width, height = image.size
    source = f"data:image/png;base64,{data}"
    shown = element("img", src=source, alt=alt, width=width, height=height)
    return element("figure", shown, element("figcaption", caption))


def encoded(values: NDArray[np.generic], dtype: str) -> dict[str, str]:
    """Numbers for ``page.js``: their type ("f4", "f8", "i4", "i1"), little-endian, as base64."""
    data = np.ascontiguousarray(values, dtype=np.dtype(f"<{dtype}"))
    return {"dtype": dtype, "bdata": base64.b64encode(data.tobytes()).decode("ascii")}


class Page:
    """A page in the making: identifiers that are used once, and the data of what moves on it."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._scenes: list[Mapping[str, object]] = []
        self._charts: list[Mapping[str, object]] = []

    def name(self, stem: str) -> str:
        """An identifier that no other element has."""
        return f"{stem}-{next(self._numbers)}"

    def add_scene(self, data: Mapping[str, object]) -> None:
        """Have ``page.js`` draw a scene; ``id`` is that of its element."""
        self._scenes.append(data)

    def add_chart(self, data: Mapping[str, object]) -> None:
        """Have ``page.js`` draw curves; ``id`` is that of their element."""
        self._charts.append(data)

    def whole(self, title: str, body: str) -> Html:
        """The page, with all that it needs inside.

        Raises:
            InputError: something moves on it, and plotly is missing.
        """
        here = files("meanfield.reports")
        scripts = Html()
        if self._scenes or self._charts:
            data = json.dumps(
                plain({"scenes": self._scenes, "charts": self._charts}), separators=(",", ":")
            ).replace("<", "\\u003c")
            scripts = joined(
                [
                    element("noscript", element("p", _NO_SCRIPT, class_="stopped")),
                    element("script", Html(data), type="application/json", id="data"),
                    element("script", Html(_plotly())),
                    element("script", Html(here.joinpath("page.js").read_text("utf-8"))),
                ]
            )
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="generator", content=MARK),
            element("meta", name="color-scheme", content="light dark"),
            # Without it a browser asks the server of the page for an icon.
            element("link", rel="icon", href="data:,"),
            element("title", title),
            element("style", Html(here.joinpath("page.css").read_text("utf-8"))),
        )
        return Html(
            "<!DOCTYPE html>\n"
            + element("html", head, element("body", body, scripts), lang="en")
            + "\n"
        )


def _plotly() -> str:
    """plotly.js, whole."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        wanted = "plotly, which a report with curves and scenes needs,"
        raise not_installed(wanted, "plotly") from None
    code = str(get_plotlyjs())
    # Its comments and texts may have what would end the element.
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")
