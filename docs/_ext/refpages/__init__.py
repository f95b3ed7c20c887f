"""The reference, made from the code before Sphinx reads the pages.

``setup`` is what conf.py names as an extension: it writes docs/reference/generated/ (which git does
not have) and helps autodoc with what our classes are. Each module makes some pages: a dictionary
from the name of a page to its text (MyST).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["pages", "setup", "write"]


def pages() -> dict[str, str]:
    """All pages by their names below ``generated``. Needs no DOLFINx."""
    from refpages import api, cases, columns, files, verbs

    made: dict[str, str] = {}
    for module in (cases, columns, verbs, files, api):
        made |= module.pages()
    return made


def write(folder: Path) -> None:
    """Write the pages; one that has not changed is left alone, so that Sphinx need not read it."""
    import json

    from meanfield.case.schema import case_schema

    made = {f"{name}.md": text for name, text in pages().items()}
    made["case.schema.json"] = json.dumps(case_schema(), indent=2) + "\n"
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in made:
            path.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """As Sphinx asks for it."""
    from refpages import autodoc

    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference" / "generated"))
    autodoc.connect(app)
    return {"parallel_read_safe": True}
