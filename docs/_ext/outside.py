"""Links of pages to Markdown files beside docs/ lead to the pages that have them.

A page links to ``../CONTRIBUTING.md`` as one who reads the sources expects it. On the site that
file is a page, too (``docs/contributing.md`` includes it), and the link leads there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

__all__ = ["setup"]

_SITE = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "meshes/README.md": "meshes.md",
}
"""Files, from the root of the repository, and their pages."""


def _led(app: Sphinx, name: str, source: list[str]) -> None:
    root, here = Path(app.srcdir).parent, Path(app.env.doc2path(name)).parent

    def there(found: re.Match[str]) -> str:
        path = os.path.normpath(here / found[1])
        page = _SITE.get(os.path.relpath(path, root))
        return f"](/{page}" if page else found[0]

    source[0] = re.sub(r"\]\(((?:\.\./)+[\w/.-]+\.md)\b", there, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _led)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
